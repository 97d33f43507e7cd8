"""Promise 4 as a state machine: whatever gates send, lose, repeat and replay, each message changes the site once.

The machine keeps a book of its own: which sequences of which boots it saw taken, and where a plain reading of the log
says that everybody is. Engines come and go between any two messages.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gatekeeper.core.audit import Kind, seal_body
from gatekeeper.core.change import AlertChange, BadgeStateChange, LockdownChange
from gatekeeper.core.flow import Recorded, Refused, Repeated
from gatekeeper.core.sequences import SEQUENCE_WINDOW
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.messages import PassageOutcome, Scan, StatusKind, Verdict
from gatekeeper.model.reasons import MessageRefusal
from tests.support.changes import agreed, made, refused
from tests.support.sites import BADGES, CARD, SITE, Sent, SmallSite, beacon_number
from tests.support.takeover import fail_over

DOORS = st.sampled_from(
    [
        "front-in",
        "front-out",
        "barrack-in",
        "barrack-out",
        "armoury-in",
        "school-in",
        "shed-in",
        "corridor",
        "hatch",
    ]
)
WHO = st.sampled_from(["sergeant", "sergeant", "private", "teacher", "pupil", "van", CARD])
GATES = st.sampled_from(["front", "inner", "shed-reader"])
PICKS = st.integers(0, 1 << 20)
GRANTS = {Kind.ACCESS_GRANTED, Kind.OFFLINE_GRANTED}


@dataclass
class Boot:
    """What the book knows of one boot of one gate."""

    highest: int = 0
    taken: dict[int, bytes] = field(default_factory=dict)
    is_closed: bool = False

    def expects(self, sequence: int, digest: bytes) -> Any:
        """What must become of a message: a refusal, a repetition, or None for news."""
        if self.is_closed or sequence <= self.highest - SEQUENCE_WINDOW:
            return MessageRefusal.SEQUENCE_OLD
        if sequence in self.taken:
            return Repeated if self.taken[sequence] == digest else MessageRefusal.SEQUENCE_CONFLICT
        return None

    @property
    def lost(self) -> int:
        """How many messages can come no more and never came."""
        out_of_reach = max(self.highest - SEQUENCE_WINDOW, 0)
        return out_of_reach - sum(sequence <= out_of_reach for sequence in self.taken)


class LivingSite(RuleBasedStateMachine):
    """Everything that can reach a site, in any order."""

    @initialize()
    def begin(self) -> None:
        self.site = SmallSite()
        self.boots: dict[tuple[str, bytes], Boot] = {}
        self.sent: list[Sent] = []
        self.held_back: list[Sent] = []
        self.answers: dict[bytes, Any] = {}

    # -- the way of a message -----------------------------------------------------------------------------------------

    def deliver(self, sent: Sent) -> None:
        """Deliver a message, which must fare as the book says."""
        gate = self.site.authentic(sent).gate
        boot = self.boots.get((gate, sent.message.boot), Boot())
        expected = boot.expects(sent.message.sequence, sent.digest)
        before = None if expected is None else self.site.snapshot()
        outcome = self.site.take(sent)
        match outcome:
            case Recorded():
                assert expected is None, "a message was taken twice, or too late"
                self.note(gate, sent, outcome)
            case Repeated(receipt):
                assert expected is Repeated
                assert receipt == self.answers[sent.digest].receipt
            case Refused(code=code, drafts=drafts):
                assert code is expected
                assert len(drafts) <= (code is MessageRefusal.SEQUENCE_CONFLICT)
                before = (before[0] + len(drafts), *before[1:])
        if before is not None:
            assert self.site.snapshot() == before, "what was not taken changed something"

    def note(self, gate: str, sent: Sent, taken: Recorded) -> None:
        boot = self.boots.setdefault((gate, sent.message.boot), Boot())
        boot.taken[sent.message.sequence] = sent.digest
        boot.highest = max(boot.highest, sent.message.sequence)
        for older in [one for one in self.boots if one[0] == gate][:-4]:
            self.boots[older].is_closed = True
        self.sent.append(sent)
        self.answers[sent.digest] = taken
        self.hold_to_its_word(sent, taken)

    def hold_to_its_word(self, sent: Sent, taken: Recorded) -> None:
        """One message: one entry, its own answer, and an unlock in a grant and only there."""
        answer, entry = taken.answer, taken.drafts[0]
        assert answer.message == taken.receipt.digest == sent.digest
        assert answer.entry == taken.receipt.seq == entry.seq
        assert answer.verdict is taken.receipt.verdict
        assert (answer.unlock is not None) is (answer.verdict is Verdict.GRANTED)
        assert (entry.kind is Kind.ACCESS_GRANTED) is (answer.verdict is Verdict.GRANTED)
        if answer.verdict is Verdict.GRANTED:
            assert isinstance(sent.message, Scan)
            assert sent.message.offline_verdict is None
            assert taken.decision is not None
            assert not any(reason.denies for reason in taken.decision.reasons)

    def lately(self, pick: int) -> Sent:
        return self.sent[-1 - pick % min(len(self.sent), 90)]

    # -- what gates send ----------------------------------------------------------------------------------------------

    @rule(door=DOORS, who=WHO)
    def somebody_scans(self, door: str, who: Any) -> None:
        self.deliver(self.site.scan(door, who))

    @rule(
        door=DOORS,
        who=WHO,
        wrong=st.sampled_from(["no proof", "an old beacon", "a digest", "let in", "kept out"]),
    )
    def somebody_scans_oddly(self, door: str, who: Any, wrong: str) -> None:
        match wrong:
            case "no proof":
                self.deliver(self.site.scan(door, who, proof=None))
            case "an old beacon":
                self.deliver(self.site.scan(door, who, beacon=beacon_number(1)))
            case "a digest":
                self.deliver(self.site.scan_by_digest(door, "sergeant"))
            case _:
                verdict = Verdict.GRANTED if wrong == "let in" else Verdict.DENIED
                self.deliver(
                    self.site.scan("hatch" if door == "hatch" else door, who, offline_verdict=verdict)
                )

    @rule(outcome=st.sampled_from(PassageOutcome), pick=PICKS)
    def a_door_moves(self, outcome: PassageOutcome, pick: int) -> None:
        """After one of the last scans, at its own gate or at another."""
        scans = [sent for sent in self.sent[-6:] if isinstance(sent.message, Scan)]
        scan = scans[pick % len(scans)] if scans and pick % 5 else None
        gate = self.site.authentic(scan).gate if scan is not None and pick % 7 else "inner"
        door = scan.message.access_point if scan is not None and isinstance(scan.message, Scan) else "shed-in"
        self.deliver(self.site.passage(door, outcome, scan=scan, gate=gate))

    @rule(gate=GATES, kind=st.sampled_from(StatusKind))
    def a_gate_speaks(self, gate: str, kind: StatusKind) -> None:
        self.deliver(self.site.status(gate, kind))

    @rule(gate=GATES, messages=st.sampled_from([1, 2, 60, 63, 64, 65, 200]))
    def messages_are_lost(self, gate: str, messages: int) -> None:
        self.site.skip(gate, messages)

    @rule(gate=GATES, messages=st.integers(1, 70))
    def a_gate_speaks_much(self, gate: str, messages: int) -> None:
        for _ in range(messages):
            self.deliver(self.site.status(gate))

    @rule(gate=GATES)
    def a_gate_loses_its_power(self, gate: str) -> None:
        """What of it was still on its way is lost; news of former boots has tests of its own."""
        self.held_back = [sent for sent in self.held_back if self.site.authentic(sent).gate != gate]
        self.site.reboot(gate)

    # -- what the broker does -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.sent)
    @rule(pick=PICKS)
    def bytes_are_replayed(self, pick: int) -> None:
        self.deliver(self.lately(pick))

    @precondition(lambda self: self.sent)
    @rule(pick=PICKS)
    def the_oldest_bytes_are_replayed(self, pick: int) -> None:
        self.deliver(self.sent[pick % len(self.sent)])

    @precondition(lambda self: self.sent)
    @rule(pick=PICKS, door=DOORS)
    def other_bytes_come_under_a_taken_sequence(self, pick: int, door: str) -> None:
        known = self.lately(pick)
        gate = self.site.authentic(known).gate
        boot, sequence = known.message.boot, known.message.sequence
        self.deliver(self.site.scan(door, "private", gate=gate, boot=boot, sequence=sequence))

    @rule(door=DOORS, who=WHO)
    def a_scan_is_held_back(self, door: str, who: Any) -> None:
        self.held_back.append(self.site.scan(door, who))

    @precondition(lambda self: self.held_back)
    @rule(pick=PICKS)
    def what_was_held_back_comes(self, pick: int) -> None:
        self.deliver(self.held_back.pop(pick % len(self.held_back)))

    # -- what else happens --------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.001, 4, 10, 31, 3600, 40_000]))
    def time_passes(self, seconds: float) -> None:
        self.site.advance(seconds=seconds)

    @rule(state=st.sampled_from(["calm", "tense", "grave"]))
    def the_alert_state_changes(self, state: str) -> None:
        assert self.site.supervise(AlertChange(state=state)).draft is not None

    @rule(scope=st.sampled_from(["site", "zone:barrack", "gate:front"]), on=st.booleans())
    def a_lockdown_begins_or_ends(self, scope: str, on: bool) -> None:  # noqa: FBT001
        change = LockdownChange(scope=scope, on=on)
        assert made(self.site, change).draft if on else agreed(self.site, change)

    @rule(state=st.sampled_from(BadgeState))
    def a_badge_changes(self, state: BadgeState) -> None:
        content = BadgeStateChange(badge=BADGES["sergeant"].badge.id, state=state)
        if self.site.flow.register.state(content.badge) is BadgeState.REVOKED is not state:
            assert refused(self.site, content) == "badge-revoked"
        else:
            made(self.site, content)

    @rule()
    def another_engine_takes_over(self) -> None:
        fail_over(self.site)

    # -- what must stay true ------------------------------------------------------------------------------------------

    @invariant()
    def entries_are_numbered_without_a_gap(self) -> None:
        if hasattr(self, "site"):
            numbers = [draft.seq for draft in self.site.drafts]
            assert numbers == list(range(self.site.flow.next_seq))

    @invariant()
    def presence_is_what_a_plain_reading_of_the_log_says(self) -> None:
        """So nobody is in two places, and the database, the flow and the log agree on the one."""
        if hasattr(self, "site"):
            believed = {who: here.zone for who, here in self.site.flow.whereabouts.items()}
            assert believed == self.read_presence()
            assert self.site.flow.whereabouts == self.site.presences

    def read_presence(self) -> dict[str, str]:
        zones: dict[str, str] = {}
        last_grant: dict[str, tuple[int, str]] = {}
        for draft in self.site.drafts:
            who = draft.person
            if draft.kind in GRANTS and who in self.site.holders and "to" in draft.public:
                last_grant[who] = draft.seq, draft.public["from"]
                zones[who] = draft.public["to"]
            elif draft.kind in {Kind.PASSAGE_TAKEN, Kind.PASSAGE_NOT_TAKEN} and who is not None:
                grant, before_the_door = last_grant.get(who, (-1, ""))
                if grant == draft.public.get("grant"):
                    del last_grant[who]
                    zones[who] = before_the_door if draft.kind is Kind.PASSAGE_NOT_TAKEN else zones[who]
        return zones

    def teardown(self) -> None:
        """Once at the end, what is dear to ask: one entry a message, every loss counted, every body writable."""
        if not hasattr(self, "site"):
            return
        origins = [
            (draft.public["gate"], draft.public["boot"], draft.public["sequence"])
            for draft in self.site.drafts
            # A conflict is told under the number that it is about.
            if "sequence" in draft.public and draft.kind != "gate.conflict"
        ]
        assert all(times == 1 for times in Counter(origins).values()), "a message has two entries"
        taken = {
            (gate, boot.hex(), sequence)
            for (gate, boot), book in self.boots.items()
            for sequence in book.taken
        }
        assert set(origins) == taken
        for (gate, boot), book in self.boots.items():
            assert self.counted_lost(gate, boot) == book.lost, (
                "a lost message was not counted, or one that came"
            )
        for draft in self.site.drafts:
            assert seal_body(draft, site=SITE, trees={"site": draft.seq}, nonce=bytes(16), personal=None)

    def counted_lost(self, gate: str, boot: bytes) -> int:
        gaps = [draft.public for draft in self.site.drafts if draft.kind is Kind.GATE_GAP]
        return sum(gap["missing"] for gap in gaps if (gap["gate"], gap["boot"]) == (gate, boot.hex()))


TestAMessageChangesTheSiteOnce = LivingSite.TestCase
TestAMessageChangesTheSiteOnce.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
