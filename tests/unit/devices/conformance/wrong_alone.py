"""Gates that are wrong when nobody answers, each in one way. `WRONG_ALONE` says what each breaks, and what must be named of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar

from typing_extensions import override

from devices.conformance.service import OTHER_GATE, SHORT
from devices.conformance.site import HOST, anchor_of
from devices.core.alone import Alone, AloneDecision, decide_alone
from devices.core.asking import Asking
from devices.core.belief import Ignored
from devices.core.believing import Believing
from devices.core.controller import Controller, Limits
from devices.core.deciding import Deciding
from devices.core.events import KeepPolicy, PolicyFile, StandingReceived
from devices.core.holders import Holders
from devices.core.knowledge import Knowledge, newer_trust
from devices.core.standby import Held, Standby
from devices.core.telling import Telling
from devices.core.timekeeping import ClockDoubt
from gatekeeper import cose
from gatekeeper.core.trust import Trust, read_trust
from gatekeeper.cose.status_list import VALID, StatusList
from gatekeeper.model.messages import PassageOutcome, Scan, StatusKind, Verdict
from gatekeeper.model.snapshot import SNAPSHOT_TYPE, STANDING_TYPE, Snapshot, Standing
from tests.unit.devices.conformance.hall import SITE, HallGate, becomes
from tests.unit.devices.conformance.wrong_gates import ForgivingController

__all__ = ["WRONG_ALONE", "Fault"]

GRANT = AloneDecision(said=Alone.GRANTED, unlock=SHORT)


# -- when it decides ------------------------------------------------------------------------------------------------------


class WrongDeciding(HallGate):
    deciding_type: type[Deciding]

    @override
    def spoil(self, made: Controller) -> None:
        becomes(made._deciding, self.deciding_type)


class OpensByNothing(WrongDeciding):
    """Lets everybody in when it has nothing to decide by."""

    class deciding_type(Deciding):  # noqa: N801
        @override
        def answer(self, lane: Any, scan: Scan) -> None:
            snapshot = self._standby._knowledge.snapshot
            if snapshot is None or not snapshot.points:
                self.let_in(lane, scan, GRANT)
            else:
                super().answer(lane, scan)

    class standby_type(Standby):  # noqa: N801
        @override
        def may_decide(self, access_point: Any) -> bool:
            return True


class NeverAlone(HallGate):
    class standby_type(Standby):  # noqa: N801
        @override
        def decide(self, scan: Any, direction: Any, *, wall: Any, at: float) -> AloneDecision:
            return AloneDecision(said=Alone.TOO_LONG)


class MustBeNamedAnew(HallGate):
    """Counts a snapshot for no longer than the newest standing names it."""

    class standby_type(Standby):  # noqa: N801
        @override
        def decide(self, scan: Any, direction: Any, *, wall: Any, at: float) -> AloneDecision:
            known = self._knowledge
            if known.confirming is not None:
                return AloneDecision(said=Alone.TOO_LONG)
            return Standby.decide(self, scan, direction, wall=wall, at=at)


class WrongLimit(HallGate):
    limit: ClassVar[timedelta]

    @override
    def spoil(self, made: Controller) -> None:
        made._asking._limits = replace(Limits(), alone=self.limit)  # type: ignore[misc]


class Impatient(WrongLimit):
    limit = timedelta(milliseconds=50)


class Sluggish(WrongLimit):
    limit = timedelta(seconds=2)


class WaitsForNobody(HallGate):
    class asking_type(Asking):  # noqa: N801
        @override
        def decide_instead(self, lane: Any) -> None:
            patience, lane.patience = lane.patience, None
            super().decide_instead(lane)
            lane.patience = patience


class OverrulesTheService(HallGate):
    class asking_type(Asking):  # noqa: N801
        @override
        def take_answer(self, lane: Any, sent: Any, answer: Any) -> None:
            if answer.verdict is Verdict.DENIED and lane.patience is None:
                self.decide_instead(lane)
            if lane.scan is not None:
                super().take_answer(lane, sent, answer)


class OpensForWhatItDecided(HallGate):
    """Believes a grant of a scan that it decided itself."""

    class controller_type(ForgivingController):  # noqa: N801
        knows_given_over = False


# -- what it tells --------------------------------------------------------------------------------------------------------


class WritesTheDecision(WrongDeciding):
    class deciding_type(Deciding):  # noqa: N801
        changes: ClassVar[Mapping[str, Any]]

        @override
        def _past(self, scan: Scan, verdict: Verdict) -> Scan:
            return replace(super()._past(scan, verdict), **self.changes)


class NamesNoSnapshot(WritesTheDecision):
    class deciding_type(WritesTheDecision.deciding_type):  # noqa: N801
        changes: ClassVar[Mapping[str, Any]] = {"offline_policy": None}


class NamesAnotherSnapshot(WritesTheDecision):
    class deciding_type(WritesTheDecision.deciding_type):  # noqa: N801
        changes: ClassVar[Mapping[str, Any]] = {"offline_policy": bytes(32)}


class JournalsThePin(WrongDeciding):
    class deciding_type(Deciding):  # noqa: N801
        @override
        def _past(self, scan: Scan, verdict: Verdict) -> Scan:
            return replace(super()._past(scan, verdict), sealed_pin=scan.sealed_pin)


class TellsWithoutItsJournal(WrongDeciding):
    """Sends what it decided as one scan more."""

    class deciding_type(Deciding):  # noqa: N801
        @override
        def let_in(self, lane: Any, scan: Scan, decision: AloneDecision) -> None:
            self._standby.let_in(decision, wall=self._turn.wall, at=self._turn.at)
            sent = self._up.send(self._past(scan, Verdict.GRANTED), at=self._turn.at)
            self._up.give_over(sent)
            self._doors.release(lane, sent.digest, unlock=decision.unlock, entry=None)


class TellsNothing(WrongDeciding):
    """Opens, and writes nothing down."""

    class deciding_type(Deciding):  # noqa: N801
        @override
        def let_in(self, lane: Any, scan: Scan, decision: AloneDecision) -> None:
            self._doors.release(lane, bytes(32), unlock=decision.unlock, entry=None)


class SaysNothingOfTheScan(HallGate):
    """Forgets to say that nobody passes any more on the scan that it gave over."""

    class asking_type(Asking):  # noqa: N801
        @override
        def decide_instead(self, lane: Any) -> None:
            asked = lane.scan.digest if lane.scan is not None else None
            report = self._telling.report

            def but_for_it(lane: Any, outcome: PassageOutcome, *, scan: bytes | None) -> None:
                if scan != asked:
                    report(lane, outcome, scan=scan)

            self._telling.report = but_for_it  # type: ignore[method-assign]
            super().decide_instead(lane)
            self._telling.report = report  # type: ignore[method-assign]


# -- what it overlooks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Overlooked:
    """A rule that a gate does not ask: the word that it would say, and of what it holds then."""

    word: Alone
    when: Callable[[Snapshot, Standing, Knowledge], bool] = lambda _snapshot, _standing, _known: True


def overlooks(*rules: Overlooked) -> type[HallGate]:
    """A gate that lets in whom it would refuse by one of these rules."""

    class Overlooking(HallGate):
        class standby_type(Standby):  # noqa: N801
            @override
            def may_decide(self, access_point: Any) -> bool:
                snapshot = self._knowledge.snapshot
                return snapshot is not None and bool(snapshot.points)

            @override
            def decide(self, scan: Any, direction: Any, *, wall: Any, at: float) -> AloneDecision:
                said = Standby.decide(self, scan, direction, wall=wall, at=at)
                known = self._knowledge
                snapshot, standing = known.snapshot, known.standing
                if snapshot is None or standing is None or not snapshot.points:
                    return said
                for rule in rules:
                    if rule.word is said.said and rule.when(snapshot, standing, known):
                        return GRANT
                return said

    return Overlooking


class BendsWhatItHolds(HallGate):
    """Decides by something else than what was signed."""

    class standby_type(Standby):  # noqa: N801
        @override
        def decide(self, scan: Any, direction: Any, *, wall: Any, at: float) -> AloneDecision:
            now = self.time.tell(wall, at=at)
            assert not isinstance(now, ClockDoubt)
            known = self.bent(replace(self._knowledge), now)
            return decide_alone(scan, direction, knowledge=known, inside=self.inside, now=now)

        def bent(self, known: Knowledge, now: datetime) -> Knowledge:
            raise NotImplementedError


def confirmed_at(known: Knowledge, at: datetime | None) -> Knowledge:
    """What is held, as if its snapshot had last been named at an instant."""
    named = known._confirming
    if named is None or at is None:
        return known
    return replace(known, _confirming=replace(named, said=replace(named.said, issued=at)))


class CountsFromItsArrival(BendsWhatItHolds):
    """Counts the age of a standing from when it came."""

    class standby_type(BendsWhatItHolds.standby_type):  # noqa: N801
        came: datetime | None = None

        @override
        def take(self, event: Any, *, at: float) -> list[KeepPolicy] | Ignored:
            taken = super().take(event, at=at)
            if isinstance(event, StandingReceived) and not isinstance(taken, Ignored):
                signed = self.time._signed
                self.came = signed.counted_to(at) if signed is not None else None
            return taken

        @override
        def bent(self, known: Knowledge, now: datetime) -> Knowledge:
            return confirmed_at(known, self.came)


class CountsOnArrivalOnly(BendsWhatItHolds):
    """Asks how old a standing is when it comes, and never again."""

    class standby_type(CountsFromItsArrival.standby_type):  # noqa: N801
        @override
        def bent(self, known: Knowledge, now: datetime) -> Knowledge:
            if known.confirmed is None or self.came is None:
                return known
            return confirmed_at(known, now - (self.came - known.confirmed))


# -- what it believes -----------------------------------------------------------------------------------------------------

Believes = Callable[[Ignored, bytes, "Fooled"], bool]


class Fooled(HallGate):
    """Holds what must be refused, in one case."""

    believes: Believes

    def signer(self, wire: bytes) -> str:
        kid = cose.decode(cose.decode(wire[1:])[0])[4]
        return next(name for name, key in self.asked.keys.items() if key.kid == kid)

    @override
    def spoil(self, made: Controller) -> None:
        gate = self

        class Believing(Knowledge):
            __slots__ = ()

            @override
            def take_snapshot(self, wire: bytes) -> Ignored | None:
                refused = Knowledge.take_snapshot(self, wire)
                if refused is None or not wire or not type(gate).believes(refused, wire, gate):
                    return refused
                read = Snapshot.read(_of_version_1(cose.decode(wire[1:])[2]))
                assert isinstance(read, Snapshot)
                assert self._provided is not None
                self._provided = replace(
                    self._provided, said=read, holders=Holders(read), digest=sha256(wire).digest()
                )
                self._confirming = None
                self._confirm(self._newest)
                return None

            @override
            def take_standing(self, wire: bytes) -> Ignored | None:
                refused = Knowledge.take_standing(self, wire)
                if refused is None or not wire or not type(gate).believes(refused, wire, gate):
                    return refused
                read = Standing.read(_of_version_1(cose.decode(wire[1:])[2]))
                assert isinstance(read, Standing)
                assert self._newest is not None
                listed = {HOST: StatusList.of(f"site:{SITE}/t:{HOST}", {3: VALID}, issued=0)}
                self._newest = replace(self._newest, said=read, wire=wire, statuses=listed)
                self._confirm(self._newest)
                return None

        becomes(made._standby._knowledge, Believing)


def _of_version_1(payload: bytes) -> bytes:
    return payload[:2] + b"\x01" + payload[3:]


def _typ(wire: bytes) -> str:
    return str(cose.decode(cose.decode(wire[1:])[0])[16])


def fooled_by(code: Ignored, when: Callable[[bytes, Fooled], bool]) -> type[Fooled]:
    """A gate that believes what is refused with this code."""

    class FooledBy(Fooled):
        @staticmethod
        def believes(refused: Ignored, wire: bytes, gate: Fooled) -> bool:  # type: ignore[override]
            return refused is code and when(wire, gate)

    return FooledBy


def _always(_wire: bytes, _gate: Fooled) -> bool:
    return True


def _forged(typ: str, signer: str, *, of_typ: bool = True) -> Callable[[bytes, Fooled], bool]:
    return lambda wire, gate: gate.signer(wire) == signer and (_typ(wire) == typ) is of_typ


def _says_another_gate(wire: bytes, _gate: Fooled) -> bool:
    read = Snapshot.read(cose.decode(wire[1:])[2])
    return isinstance(read, Snapshot) and read.gate == OTHER_GATE


def _says_another_site(wire: bytes, gate: Fooled) -> bool:
    return not _says_another_gate(wire, gate)


def _is_a_standing(wire: bytes, _gate: Fooled) -> bool:
    return isinstance(Standing.read(cose.decode(wire[1:])[2]), Standing)


def _is_no_standing(wire: bytes, gate: Fooled) -> bool:
    return not _is_a_standing(wire, gate)


class WrongTrust(HallGate):
    """Takes trust lists in its own way."""

    @override
    def spoil(self, made: Controller) -> None:
        gate = self

        class Trusting(type(made._standby)):  # type: ignore[misc]
            @override
            def _newer_trust(self, document: bytes) -> list[KeepPolicy] | Ignored:
                return gate.take_trust(self, document)

        becomes(made._standby, Trusting)

    def take_trust(self, standby: Standby, document: bytes) -> list[KeepPolicy] | Ignored:
        raise NotImplementedError


class TakesNoTrustList(WrongTrust):
    @override
    def take_trust(self, standby: Standby, document: bytes) -> list[KeepPolicy] | Ignored:
        assert standby._anchor is not None
        read = newer_trust(document, anchor=standby._anchor, held=standby.trust)
        return read if isinstance(read, Ignored) else Ignored.TRUST_REPEATED


class BelievesATrustList(WrongTrust):
    """Believes what is refused with this code."""

    code: ClassVar[Ignored]

    @override
    def take_trust(self, standby: Standby, document: bytes) -> list[KeepPolicy] | Ignored:
        taken = Standby._newer_trust(standby, document)
        if taken is not self.code or not document:
            return taken
        anchors = [
            anchor_of(SITE, {**self.asked.keys, "root": self.asked.keys[root]})
            for root in ("root", "stranger")
        ]
        read = next(
            trust
            for anchor in anchors
            if isinstance(trust := read_trust(document, anchor=anchor, not_below=0), Trust)
        )
        standby._knowledge.believe(read)
        return []


class BelievesStrangersTrust(BelievesATrustList):
    code = Ignored.TRUST_FORGED


class BelievesOldTrust(BelievesATrustList):
    code = Ignored.TRUST_OLD


class RefusesInSilence(HallGate):
    class standby_type(Standby):  # noqa: N801
        @override
        def is_alarming(self, refused: Ignored) -> bool:
            return False


class RefusesLoudly(HallGate):
    class telling_type(Telling):  # noqa: N801
        @override
        def tell_refusal(self, kind: Any, why: Any, *, command: Any = None) -> bool:
            if kind is StatusKind.POLICY_REFUSED:
                self._seldom._spells.clear()
            return Telling.tell_refusal(self, kind, why, command=command)


class CriesWolfWhenCleared(HallGate):
    class believing_type(Believing):  # noqa: N801
        @override
        def refuse(self, refused: Ignored) -> None:
            Believing.refuse(self, refused)
            if refused is Ignored.SNAPSHOT_CLEARED:
                self._telling.tell(StatusKind.POLICY_REFUSED, None)


class EmptiedByAnEmptyMessage(HallGate):
    class standby_type(Standby):  # noqa: N801
        @override
        def take(self, event: Any, *, at: float) -> list[KeepPolicy] | Ignored:
            taken = Standby.take(self, event, at=at)
            if taken is Ignored.SNAPSHOT_CLEARED:
                self._knowledge._provided = None
            return taken


# -- what it keeps --------------------------------------------------------------------------------------------------------


class KeepsNothing(HallGate):
    @override
    def policies(self) -> Held:
        return Held()


class ForgetsItsOrders(HallGate):
    @override
    def policies(self) -> Held:
        return replace(super().policies(), lockdown=None)


class BeginsAnewWithTheLink(HallGate):
    """Takes for the newest what comes first, in every boot."""

    @override
    def link(self) -> None:
        assert self.controller is not None
        knowledge = self.controller._standby._knowledge
        if self.files.get(PolicyFile.STANDING):
            knowledge._provided = knowledge._newest = knowledge._confirming = None
        super().link()


@dataclass(frozen=True, slots=True)
class Fault:
    """A gate, what it breaks, and words that stand in what is seen of the first of these."""

    gate: type[HallGate]
    broken: tuple[int, ...]
    seen: str


def _names_another(snapshot: Snapshot, standing: Standing, known: Knowledge) -> bool:
    return standing.snapshots.get(known.gate) != snapshot.version


def _is_from_before(snapshot: Snapshot, standing: Standing, known: Knowledge) -> bool:
    return standing.version < snapshot.version and not _names_another(snapshot, standing, known)


def _is_not_yet(snapshot: Snapshot, standing: Standing, _known: Knowledge) -> bool:
    return snapshot.since > standing.issued.timestamp()


def _ends(snapshot: Snapshot, standing: Standing, _known: Knowledge) -> bool:
    return snapshot.until - standing.issued.timestamp() < 2


def _has_no_rows(snapshot: Snapshot, _standing: Standing, _known: Knowledge) -> bool:
    return not snapshot.rows


def _has_rows_of(*, host: bool) -> Callable[[Snapshot, Standing, Knowledge], bool]:
    return lambda snapshot, _standing, _known: (
        bool(snapshot.rows) and host is all(one.tenant == HOST for one in snapshot.classes)
    )


def _is_ordered(*, so: bool) -> Callable[[Snapshot, Standing, Knowledge], bool]:
    return lambda _snapshot, standing, known: so is (known.is_locked_down and not standing.lockdowns)


def _lists(*, suspended: bool, listed: bool) -> Callable[[Snapshot, Standing, Knowledge], bool]:
    return lambda _snapshot, standing, _known: (
        (suspended, listed) == (bool(standing.suspended), bool(standing.statuses))
    )


_A = Alone
WRONG_ALONE: Mapping[str, Fault] = {
    "opens by nothing": Fault(OpensByNothing, (160,), "granted"),
    "never alone": Fault(NeverAlone, (161,), "denied, in the journal"),
    "must be named": Fault(MustBeNamedAnew, (161,), "a newer standing that names no snapshot"),
    "impatient": Fault(Impatient, (162,), "s after the scan"),
    "sluggish": Fault(Sluggish, (162,), "s after the scan"),
    "waits for nobody": Fault(WaitsForNobody, (162,), "decided though the service said waiting"),
    "overrules the service": Fault(OverrulesTheService, (162,), "decided though the service said denied"),
    "opens twice": Fault(OpensForWhatItDecided, (162,), "a grant of the scan came after it"),
    "names no snapshot": Fault(NamesNoSnapshot, (163,), "field 11 is missing"),
    "names another": Fault(NamesAnotherSnapshot, (163,), "field 11 is the digest of no snapshot"),
    "journals the PIN": Fault(JournalsThePin, (163,), "a PIN"),
    "without its journal": Fault(TellsWithoutItsJournal, (163,), "channel scan"),
    "tells nothing": Fault(TellsNothing, (163,), "nothing stands in the journal"),
    "says nothing of the scan": Fault(SaysNothingOfTheScan, (163,), "nothing of the scan"),
    # How long.
    "counts from arrival": Fault(CountsFromItsArrival, (164,), "5 s alone"),
    "counts on arrival only": Fault(CountsOnArrivalOnly, (164,), "1 s alone"),
    "not named": Fault(overlooks(Overlooked(_A.TOO_LONG, _names_another)), (164,), "names another"),
    "of before": Fault(overlooks(Overlooked(_A.TOO_LONG, _is_from_before)), (164,), "from before"),
    "not yet": Fault(overlooks(Overlooked(_A.TOO_LONG, _is_not_yet)), (164,), "from later on"),
    "over": Fault(overlooks(Overlooked(_A.TOO_LONG, _ends)), (164,), "time is over"),
    # What is taken away.
    "alert": Fault(overlooks(Overlooked(_A.ALERT)), (165,), "a higher alert state"),
    "lockdown": Fault(overlooks(Overlooked(_A.LOCKDOWN, _is_ordered(so=False))), (165, 167), "a lockdown"),
    "order": Fault(overlooks(Overlooked(_A.LOCKDOWN, _is_ordered(so=True))), (165, 169), "an order to lock"),
    "suspended": Fault(
        overlooks(Overlooked(_A.WITHDRAWN, _lists(suspended=True, listed=True))), (165,), "suspended"
    ),
    "revoked": Fault(
        overlooks(Overlooked(_A.WITHDRAWN, _lists(suspended=False, listed=True))), (165,), "revoked"
    ),
    "not listed": Fault(
        overlooks(Overlooked(_A.WITHDRAWN, _lists(suspended=False, listed=False))), (165,), "not listed"
    ),
    "trust": Fault(overlooks(Overlooked(_A.TRUST_OLD)), (165,), "a trust list that the gate does not have"),
    "takes no list": Fault(TakesNoTrustList, (165,), "was not taken"),
    # Who has no right.
    "hours": Fault(overlooks(Overlooked(_A.OTHER_HOURS)), (166,), "at other hours"),
    "no row": Fault(overlooks(Overlooked(_A.NO_RIGHT, _has_no_rows)), (166, 167), "not in it"),
    "elsewhere": Fault(overlooks(Overlooked(_A.NO_RIGHT, _has_rows_of(host=True))), (166,), "another access"),
    "tenant": Fault(overlooks(Overlooked(_A.NO_RIGHT, _has_rows_of(host=False))), (166,), "another tenant"),
    "not here": Fault(overlooks(Overlooked(_A.NOT_HERE)), (166,), "an access point that is not in it"),
    "any issuer": Fault(overlooks(Overlooked(_A.BADGE)), (166,), "no issuer signed"),
    "expired": Fault(overlooks(Overlooked(_A.NOT_IN_FORCE)), (166,), "is expired"),
    "not begun": Fault(overlooks(Overlooked(_A.NOT_IN_FORCE)), (166,), "has not begun"),
    "again": Fault(overlooks(Overlooked(_A.INSIDE)), (166,), "let in already"),
    # What must not be believed.
    **{
        what: Fault(fooled_by(code, when), (167, 169) if code is Ignored.SNAPSHOT_OLD else (167,), what)
        for what, code, when in (
            ("a snapshot by a stranger", Ignored.SNAPSHOT_FORGED, _forged(SNAPSHOT_TYPE, "stranger")),
            ("a snapshot by a key of another use", Ignored.SNAPSHOT_FORGED, _forged(SNAPSHOT_TYPE, "seal")),
            (
                "a snapshot for another gate's topic",
                Ignored.SNAPSHOT_FORGED,
                _forged(SNAPSHOT_TYPE, "decision"),
            ),
            (
                "a snapshot of another typ",
                Ignored.SNAPSHOT_FORGED,
                _forged(SNAPSHOT_TYPE, "decision", of_typ=False),
            ),
            ("a snapshot of a version that is not known", Ignored.SNAPSHOT_MALFORMED, _always),
            ("a snapshot of another gate", Ignored.SNAPSHOT_FOREIGN, _says_another_gate),
            ("a snapshot of another site", Ignored.SNAPSHOT_FOREIGN, _says_another_site),
            ("a snapshot older than the one held", Ignored.SNAPSHOT_OLD, _always),
            ("a snapshot that is over already", Ignored.SNAPSHOT_EXPIRED, _always),
            ("a standing by a stranger", Ignored.STANDING_FORGED, _forged(STANDING_TYPE, "stranger")),
            ("a standing for another topic", Ignored.STANDING_FORGED, _forged(STANDING_TYPE, "decision")),
            (
                "a standing of another typ",
                Ignored.STANDING_FORGED,
                _forged(STANDING_TYPE, "decision", of_typ=False),
            ),
            ("a standing of a version that is not known", Ignored.STANDING_MALFORMED, _is_no_standing),
            ("a standing with a status list by a stranger", Ignored.STANDING_MALFORMED, _is_a_standing),
            ("a standing of another site", Ignored.STANDING_FOREIGN, _always),
            ("a standing older than the one held", Ignored.STANDING_OLD, _always),
        )
    },
    "a trust list that the roots did not sign": Fault(BelievesStrangersTrust, (167,), "did not sign"),
    "a trust list older than the one held": Fault(BelievesOldTrust, (167,), "a trust list older than"),
    "emptied": Fault(EmptiedByAnEmptyMessage, (167,), "counts no more"),
    "refuses in silence": Fault(RefusesInSilence, (168,), "nothing of a snapshot by a stranger"),
    "refuses loudly": Fault(RefusesLoudly, (168,), "again of a snapshot by a key of another use"),
    "cries wolf": Fault(CriesWolfWhenCleared, (168,), "a topic that was cleared"),
    # What is kept.
    "keeps nothing": Fault(KeepsNothing, (169,), "hello does not name"),
    "forgets its orders": Fault(ForgetsItsOrders, (169,), "the newest order to lock down was forgotten"),
    "begins anew": Fault(BeginsAnewWithTheLink, (169,), "an older snapshot took its place"),
}
"""What each breaks, and nothing else."""
