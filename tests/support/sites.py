"""A small site with real keys and signatures: its documents, its people, its gates, and the flow that takes their messages.

    outside ─ yard (school, club and all) ┬─ shed          level 0, a card number will do
                                          ├─ school-house  the school's own
                                          └─ barrack       level 2, key-bound, hard anti-passback
                                                └─ armoury level 4; the host vetoes the school

`SmallSite()` is cheap: what is signed is signed once a session, by keys derived from their owners' names. Time stands
still until `advance`; boots and sequences are counted. Nothing here is a stand-in: the bytes are what a gate sends.
"""

import hashlib
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

from gatekeeper import cose
from gatekeeper.core.change import ChangeContent, sign_change
from gatekeeper.core.flow import Flow, Outcome, Recorded, Refused, Repeated
from gatekeeper.core.operators import OperatorRecord, Operators
from gatekeeper.core.presence import Presence
from gatekeeper.core.register import HolderRecord, Register
from gatekeeper.core.scan import Authentic, Rejected, UpwardMessage, authenticate
from gatekeeper.core.sequences import Receipt
from gatekeeper.core.supervise import Supervised, Writes, supervise
from gatekeeper.model.badges import BadgeRecord, BadgeState, Card
from gatekeeper.model.ids import AccessPointId, BootId, GateId, HolderId, SiteId
from gatekeeper.model.messages import (
    HELLO_TYPE,
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    Credential,
    Hello,
    Passage,
    PassageOutcome,
    Proof,
    Scan,
    Status,
    StatusKind,
    Verdict,
    proof_digest_input,
)
from gatekeeper.model.people import Holder
from gatekeeper.model.topics import PREFIX, Channel, gate_topic
from tests.support.founded import (
    BADGES,
    CARD,
    HOST,
    NOON,
    SITE,
    Ground,
    Issued,
    compiled,
    cosigned_agreement,
    ground,
    issue,
    key_of,
    listed,
    register_holder,
    signed_trust,
    site_document,
    trusted,
)
from tests.support.operators import cast, operator_key

__all__ = [
    "BADGES",
    "CARD",
    "HOST",
    "NOON",
    "SITE",
    "Ground",
    "Issued",
    "Sent",
    "SmallSite",
    "beacon_number",
    "compiled",
    "cosigned_agreement",
    "ground",
    "issue",
    "key_of",
    "listed",
    "register_holder",
    "signed_trust",
    "site_document",
    "trusted",
]


JOURNAL = BootId(b"journal1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message as it leaves a gate."""

    topic: str
    wire: bytes
    message: UpwardMessage

    @property
    def digest(self) -> bytes:
        """What an answer, and the passage after it, call this message."""
        return hashlib.sha256(self.wire).digest()


@dataclass(slots=True)
class _GateHand:
    boot: BootId
    sequences: Any = field(default_factory=lambda: count(1))


_TYPES = {
    Scan: SCAN_TYPE,
    Passage: PASSAGE_TYPE,
    Status: STATUS_TYPE,
    Hello: HELLO_TYPE,
}


@cache
def _cast() -> tuple[OperatorRecord, ...]:
    return tuple(cast(SITE, lambda tenant: key_of(f"{tenant} signing")))


class SmallSite:
    """One living small site: gates send, the flow takes, and a hand moves the clock.

    `scan`, `passage`, `status` and `hello` make what a gate sends; `take` brings it the whole way. `tap` is both at once.
    """

    def __init__(self, *, register: Register | None = None, next_seq: int = 0) -> None:
        made = ground()
        self.anchor = made.anchor
        self.holders = dict(made.holders)
        self.badges = dict(BADGES)
        self.now = NOON
        self.is_linked = True
        self.flow = Flow(
            policy=made.policy,
            policy_source=made.policy_source,
            trust=made.trust,
            register=self.populated() if register is None else register,
            next_seq=next_seq,
        )
        self.flow.operators = Operators(_cast())
        self.drafts: list[Any] = []
        self.receipts: list[Receipt] = []
        self.presences: dict[HolderId, Presence] = {}
        self.writes = Writes()
        self.first_seq = next_seq
        self._boots = count(1)
        self._changes = count(1)
        self._gates: dict[str, _GateHand] = {}

    @staticmethod
    def populated() -> Register:
        """A register with everybody in it."""
        register = Register()
        for name, issued in BADGES.items():
            record = BadgeRecord(id=issued.badge.id, token=issued.token, state=BadgeState.ACTIVE)
            holder = ground().holders[name]
            register.put_badge(record, tenant=issued.badge.tenant, card=issued.badge.card, holder=holder.id)
            document = ground().registrations[name]
            register.put_holder(
                HolderRecord(id=holder.id, document=document), tenant=holder.tenant, badges=holder.badges
            )
        return register

    def enter(
        self, name: str, issued: Issued, holder: Holder | None = None, *, card: Card | None = None
    ) -> None:
        """Put a further badge into the register, with its holder's registration when given."""
        self.badges[name] = issued
        record = BadgeRecord(id=issued.badge.id, token=issued.token, state=BadgeState.ACTIVE)
        self.flow.register.put_badge(
            record,
            tenant=issued.badge.tenant,
            card=card or issued.badge.card,
            holder=None if holder is None else holder.id,
        )
        if holder is not None:
            self.holders[name] = holder
            stored = HolderRecord(id=holder.id, document=register_holder(holder))
            self.flow.register.put_holder(stored, tenant=holder.tenant, badges=holder.badges)

    # -- time ---------------------------------------------------------------------------------------------------------

    def advance(self, **duration: float) -> None:
        """Move the clock: `advance(seconds=10)`."""
        self.now += timedelta(**duration)

    @property
    def beacons(self) -> tuple[bytes, bytes, bytes]:
        """The beacons that count now: the current and the two before, one each ten seconds."""
        number = int(self.now.timestamp()) // 10
        return beacon_number(number), beacon_number(number - 1), beacon_number(number - 2)

    # -- what gates send ----------------------------------------------------------------------------------------------

    def hand(self, gate: str) -> _GateHand:
        """A gate's boot and its counter."""
        if gate not in self._gates:
            self.reboot(gate)
        return self._gates[gate]

    def reboot(self, gate: str) -> BootId:
        """Cut a gate's power: a new boot id, and sequences from one."""
        boot = BootId(next(self._boots).to_bytes(8, "big"))
        self._gates[gate] = _GateHand(boot)
        return boot

    def skip(self, gate: str, messages: int) -> None:
        """Let messages of a gate be lost for ever."""
        for _ in range(messages):
            next(self.hand(gate).sequences)

    def gate_of(self, access_point: str) -> str:
        """Which gate an access point belongs to; `front` for one that the site does not have."""
        point = self.flow.policy.points.get(AccessPointId(access_point))
        return point.gate if point is not None else "front"

    def prove(
        self,
        access_point: str,
        key: cose.SigningKey,
        *,
        gate: str | None = None,
        direction: str | None = None,
        beacon: bytes | None = None,
        site: SiteId = SITE,
    ) -> Proof:
        """A badge's proof for a scan now, or for another gate, direction, beacon or site."""
        point = self.flow.policy.points.get(AccessPointId(access_point))
        towards = direction or ("out" if point is not None and point.leaving else "in")
        gate_random = hashlib.sha256(f"{access_point} {self.now}".encode()).digest()[:16]
        signed = proof_digest_input(
            site=site,
            gate=GateId(gate or self.gate_of(access_point)),
            direction=towards,
            beacon=beacon or self.beacons[0],
            gate_random=gate_random,
        )
        return Proof(gate_random=gate_random, signature=key.sign(hashlib.sha256(signed).digest()))

    def scan(self, access_point: str, who: str | Issued | Card, **changes: Any) -> Sent:
        """A scan by somebody's badge, or of a bare card number; `changes` are fields of `Scan`, and `gate`."""
        gate = changes.pop("gate", None) or self.gate_of(access_point)
        issued = self.badges[who] if isinstance(who, str) else who
        credential: Credential
        proof: Proof | None = None
        if isinstance(issued, Card):
            credential = ByCard(issued)
        elif issued.badge.card is not None:
            credential = ByCard(issued.badge.card)
        else:
            credential = ByToken(issued.token)
            if issued.key is not None:
                proof = self.prove(access_point, issued.key, gate=gate)
        fields = {
            "access_point": AccessPointId(access_point),
            "credential": credential,
            "beacon": self.beacons[0],
            "proof": proof,
            "round_trip": None,
            "offline_verdict": None,
            "offline_policy": None,
        }
        return self.send(gate, Channel.SCAN, Scan(**self._upward(gate, changes), **(fields | changes)))

    def scan_by_digest(self, access_point: str, who: str, **changes: Any) -> Sent:
        """A scan that names the token by its digest."""
        digest = hashlib.sha256(self.badges[who].token).digest()
        return self.scan(access_point, who, credential=ByDigest(digest), **changes)

    def passage(
        self, access_point: str, outcome: PassageOutcome, *, scan: Sent | None = None, **changes: Any
    ) -> Sent:
        """What the contact of a door said, after a scan or without one."""
        gate = changes.pop("gate", None) or self.gate_of(access_point)
        fields = {
            "access_point": AccessPointId(access_point),
            "outcome": outcome,
            "scan": None if scan is None else scan.digest,
        }
        return self.send(gate, Channel.PASSAGE, Passage(**self._upward(gate, changes), **(fields | changes)))

    def status(self, gate: str, kind: StatusKind = StatusKind.ONLINE, **changes: Any) -> Sent:
        """A gate speaks of itself."""
        upward = self._upward(gate, changes)
        return self.send(
            gate, Channel.STATUS, Status(**upward, **({"kind": kind, "access_point": None} | changes))
        )

    def hello(self, gate: str, **changes: Any) -> Sent:
        """A gate started."""
        fields = {"agent": "gatekeeper-device/0.1", "policy": None, "checkpoint": None}
        return self.send(gate, Channel.HELLO, Hello(**self._upward(gate, changes), **(fields | changes)))

    def journals(self, gate: str, sent: Sent, number: int, *, journal: BootId = JOURNAL) -> Sent:
        """The same message, from the journal of its gate, under this number."""
        message = replace(sent.message, boot=journal, sequence=number)
        return self.send(gate, Channel.JOURNAL, message)

    def send(
        self,
        gate: str,
        channel: Channel,
        message: UpwardMessage,
        *,
        by: str | None = None,
        topic: str | None = None,
    ) -> Sent:
        """Sign a message as its gate (or as another, on another topic)."""
        topic = topic or gate_topic(SITE, GateId(gate), channel)
        wire = cose.sign(
            message.payload(), key=key_of(by or gate), typ=_TYPES[type(message)], external_aad=topic.encode()
        )
        return Sent(topic=topic, wire=wire, message=message)

    def _upward(self, gate: str, changes: dict[str, Any]) -> dict[str, Any]:
        hand = self.hand(gate)
        sequence = changes.pop("sequence", None) or next(hand.sequences)
        return {
            "boot": changes.pop("boot", hand.boot),
            "sequence": sequence,
            "gate_at": changes.pop("gate_at", None),
            "clock": changes.pop("clock", ClockQuality.NONE),
        }

    # -- the way of a message -----------------------------------------------------------------------------------------

    def authenticate(self, sent: Sent) -> Authentic | Rejected:
        """The first step of the way."""
        return authenticate(sent.topic, sent.wire, trust=self.flow.trust, prefix=PREFIX)

    def authentic(self, sent: Sent) -> Authentic:
        """A message that must be authentic."""
        found = self.authenticate(sent)
        assert isinstance(found, Authentic), found
        return found

    def take(self, sent: Sent) -> Outcome:
        """Bring a message the whole way, and keep what would be committed."""
        authentic = self.authentic(sent)
        outcome = self.flow.take(authentic, self.flow.verify(authentic, beacons=self.beacons), now=self.now)
        if isinstance(outcome, Refused):
            self.drafts += outcome.drafts
        if isinstance(outcome, Recorded):
            self.drafts += outcome.drafts
            self.receipts.append(outcome.receipt)
            self.presences |= {presence.holder: presence for presence in outcome.moved}
        return outcome

    def recorded(self, sent: Sent) -> Recorded:
        """Take a message that must be new."""
        outcome = self.take(sent)
        assert isinstance(outcome, Recorded), outcome
        return outcome

    def repeated(self, sent: Sent) -> Repeated:
        """Take a message that must be known."""
        outcome = self.take(sent)
        assert isinstance(outcome, Repeated), outcome
        return outcome

    def refused(self, sent: Sent) -> Refused:
        """Take a message that must be refused by its sequence."""
        outcome = self.take(sent)
        assert isinstance(outcome, Refused), outcome
        return outcome

    def tap(self, access_point: str, who: str | Issued | Card, **changes: Any) -> Recorded:
        """Scan and take."""
        return self.recorded(self.scan(access_point, who, **changes))

    def walk(self, access_point: str, who: str) -> None:
        """Scan, be granted, and pass."""
        scan = self.scan(access_point, who)
        outcome = self.recorded(scan)
        assert outcome.answer.verdict is Verdict.GRANTED, outcome.decision
        self.recorded(self.passage(access_point, PassageOutcome.TAKEN, scan=scan))

    def where(self, who: str) -> str | None:
        """The zone in which the site believes somebody to be."""
        here = self.flow.whereabouts.get(HolderId(who))
        return None if here is None else here.zone

    # -- changes ------------------------------------------------------------------------------------------------------

    def change(
        self,
        content: ChangeContent,
        *,
        by: str = HOST,
        at: datetime | None = None,
        change_id: bytes | None = None,
    ) -> bytes:
        """A change, signed by an operator (see `tests.support.operators`)."""
        return sign_change(
            content,
            site=SITE,
            change_id=change_id or self.new_change_id(),
            author=by,
            at=at or self.now,
            key=operator_key(by),
        )

    def new_change_id(self) -> bytes:
        """An id that no change had before."""
        return next(self._changes).to_bytes(16, "big")

    def supervise(
        self, content: ChangeContent | bytes, *, by: str = HOST, name: bytes | None = None, **signing: Any
    ) -> Supervised:
        """Hand a change in under its own id; give what became of it."""
        change_id = signing.pop("filed_as", None) or self.new_change_id()
        if not isinstance(content, bytes):
            content = self.change(content, by=by, change_id=signing.pop("change_id", change_id), **signing)
        done = supervise(
            self.flow,
            content,
            change_id=change_id,
            name=name,
            anchor=self.anchor,
            now=self.now,
            writes=self.writes,
            is_linked=self.is_linked,
        )
        self.writes.outcomes.append(done.outcome)
        self.drafts += done.drafts
        return done

    def snapshot(self, flow: Flow | None = None) -> Any:
        """All that a message can change, to compare before and after; of this flow, or of a former one."""
        flow = self.flow if flow is None else flow
        return deepcopy(
            (
                flow.next_seq,
                flow.alert,
                flow.lockdowns,
                flow.whereabouts,
                flow.sequences._windows,
                flow.sequences._streams,
                flow.sequences._closed,
                flow.sequences._grants,
                flow.sequences._ends,
                flow.sequences._given_up,
            )
        )


def beacon_number(number: int) -> bytes:
    """The site's beacon of one period of ten seconds."""
    return hashlib.sha256(f"beacon {number}".encode()).digest()[:16]
