"""Both sides of a gate's conversation, for tests: the service with its keys, and a controller with a clock moved by hand."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devices.core.checkpoints import CheckpointMemory
from devices.core.controller import Controller, Doorway
from devices.core.events import (
    AnswerReceived,
    Append,
    Appended,
    BeaconReceived,
    BeginJournal,
    Bequeath,
    CardPresented,
    CheckpointReceived,
    CommandReceived,
    Effect,
    EntriesRead,
    Event,
    JournalBegun,
    JournalSettled,
    LinkUp,
    Publish,
    ReadEntries,
    Retain,
    Settle,
    Started,
    StartTimer,
    TimerFired,
    TimerKind,
    WallTime,
)
from devices.core.journal import JournalBounds
from devices.core.standby import Held
from devices.journal_port import MemoryJournal
from gatekeeper import cose
from gatekeeper.core.scan import Authentic, UpwardMessage, authenticate
from gatekeeper.core.trust import (
    TRUST_TYPE,
    Anchor,
    KeyState,
    TenantTrust,
    Trust,
    TrustedKey,
    TrustListing,
    Use,
    read_trust,
    trust_payload,
)
from gatekeeper.model.badges import Assurance, Badge, Card, CardTechnology, claims_of
from gatekeeper.model.ids import AccessPointId, BadgeId, BootId, GateId, OperatorId, SiteId, TenantId
from gatekeeper.model.messages import (
    BEACON_TYPE,
    CHECKPOINT_TYPE,
    COMMAND_TYPE,
    DECISION_TYPE,
    Answer,
    Beacon,
    ByCard,
    ByToken,
    Command,
    CommandKind,
    Credential,
    LogCheckpoint,
    Scan,
    Verdict,
)
from gatekeeper.model.people import HolderKind
from gatekeeper.model.places import Direction
from gatekeeper.model.reasons import Reason
from gatekeeper.model.topics import PREFIX, Channel, beacon_topic, checkpoint_topic, gate_topic
from gatekeeper.model.trees import SITE_TREE, checkpoint_origin
from gatekeeper.transparency import Checkpoint, Signer, sign_checkpoint

SITE, HOST = SiteId("assen"), TenantId("defence")
JOURNAL = BootId(b"journal1")
GATE, OTHER_GATE = GateId("main-gate"), GateId("side-gate")
IN, OUT, PLAIN = AccessPointId("main-in"), AccessPointId("main-out"), AccessPointId("main-plain")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BOOT, NEXT_BOOT = BootId(b"boot-001"), BootId(b"boot-002")
CARD = ByCard(Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07")))
GRANTED, NO_RIGHTS = 1, 135
_DOORS = ((IN, Direction.IN, True), (OUT, Direction.OUT, True), (PLAIN, Direction.IN, False))
_Effect = TypeVar("_Effect", bound=Effect)


def topic(channel: Channel, gate: GateId = GATE) -> str:
    return gate_topic(SITE, gate, channel)


class Service:
    """The site's side: it made all keys, and can lie with them."""

    def __init__(self, gates: dict[GateId, cose.SigningKey], *, has_log_key: bool = True) -> None:
        self.root, self.decision = cose.SigningKey.generate(), cose.SigningKey.generate()
        self.log_private, self.issuer = Ed25519PrivateKey.generate(), cose.SigningKey.generate()
        self.log = cose.SigningKey(self.log_private, cose.Algorithm.ED25519)
        self.anchor = Anchor(site=SITE, host=HOST, threshold=1, roots=(self.root.public_der,))
        self.trust_document = self._trust(gates, has_log_key=has_log_key)
        trust = read_trust(self.trust_document, anchor=self.anchor, not_below=0)
        assert isinstance(trust, Trust)
        self.trust = trust
        self.entries = 0
        self.commands = 0

    def _trust(self, gates: dict[GateId, cose.SigningKey], *, has_log_key: bool) -> bytes:
        host = TenantTrust(
            signing=_trusted(cose.SigningKey.generate(), Use.TENANT, HOST),
            issuers=(_trusted(self.issuer, Use.ISSUER, HOST),),
            agreement=None,
            epoch=0,
        )
        listing = TrustListing(
            site=SITE,
            version=1,
            issued=NOON,
            threshold=1,
            roots=self.anchor.roots,
            tenants={HOST: host},
            gates={gate: _trusted(key, Use.GATE, gate) for gate, key in gates.items()},
            services=(
                (Use.DECISION, _trusted(self.decision, Use.DECISION, "service")),
                *([(Use.LOG, _trusted(self.log, Use.LOG, "service"))] if has_log_key else []),
            ),
        )
        return cose.cosign(
            trust_payload(listing), keys=[self.root], typ=TRUST_TYPE, external_aad=SITE.encode()
        )

    def beacon(
        self,
        *,
        issued: datetime = NOON,
        site: SiteId = SITE,
        period: timedelta = timedelta(seconds=10),
        key: cose.SigningKey | None = None,
        aad: str = beacon_topic(SITE),
        typ: str = BEACON_TYPE,
    ) -> bytes:
        value = hashlib.sha256(issued.isoformat().encode()).digest()[:16]
        beacon = Beacon(site=site, value=value, issued=issued, period=period)
        return cose.sign(beacon.payload(), key=key or self.decision, typ=typ, external_aad=aad.encode())

    def checkpoint(
        self,
        size: int,
        *,
        after: float = 0,
        history: str = "the log",
        site: SiteId = SITE,
        tree: str = SITE_TREE,
        note: bytes | None = None,
        log_key: Ed25519PrivateKey | None = None,
        key: cose.SigningKey | None = None,
        aad: str = checkpoint_topic(SITE),
        typ: str = CHECKPOINT_TYPE,
    ) -> bytes:
        """A checkpoint of a history, whose newest entry was made so many seconds after noon."""
        origin = checkpoint_origin(SITE, tree)
        root = hashlib.sha256(f"{history} at {size}".encode()).digest()
        signer = Signer(name=origin, private_key=log_key or self.log_private)
        signed = sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), [signer])
        said = LogCheckpoint(site=site, note=note or signed, at=NOON + timedelta(seconds=after))
        return cose.sign(said.payload(), key=key or self.decision, typ=typ, external_aad=aad.encode())

    def answer(
        self,
        message: bytes,
        verdict: Verdict = Verdict.GRANTED,
        /,
        *,
        gate: GateId = GATE,
        key: cose.SigningKey | None = None,
        aad: str = topic(Channel.DECISION),
        typ: str = DECISION_TYPE,
        **changes: Any,
    ) -> bytes:
        """Answer the message of these bytes."""
        self.entries += 1
        answer = Answer(
            message=hashlib.sha256(message).digest(),
            gate=gate,
            verdict=verdict,
            reason=_REASONS[verdict],
            issued=NOON,
            valid=timedelta(seconds=5),
            unlock=timedelta(seconds=4) if verdict is Verdict.GRANTED else None,
            policy=bytes(32),
            entry=self.entries,
        )
        payload = replace(answer, **changes).payload()
        return cose.sign(payload, key=key or self.decision, typ=typ, external_aad=aad.encode())

    def command(
        self,
        kind: CommandKind = CommandKind.OPEN,
        access_point: AccessPointId | None = IN,
        /,
        *,
        after: float = 0,
        key: cose.SigningKey | None = None,
        aad: str = topic(Channel.COMMAND),
        typ: str = COMMAND_TYPE,
        **changes: Any,
    ) -> bytes:
        """The next command, issued so many seconds after noon."""
        self.commands += 1
        command = Command(
            boot=BOOT,
            sequence=self.commands,
            gate=GATE,
            kind=kind,
            access_point=access_point,
            issued=NOON + timedelta(seconds=after),
            valid=timedelta(seconds=10),
            operator=OperatorId("officer"),
            second=None,
            entry=40 + self.commands,
            unlock=timedelta(seconds=4) if kind is CommandKind.OPEN else None,
        )
        payload = replace(command, **changes).payload()
        return cose.sign(payload, key=key or self.decision, typ=typ, external_aad=aad.encode())

    def token(self, *, badge_key: cose.SigningKey | None) -> bytes:
        """A badge of the host: key-bound with a key, bearer without."""
        confirmation = badge_key.record(use="badge", owner="00" * 16) if badge_key is not None else None
        badge = Badge(
            id=BadgeId("00" * 16),
            site=SITE,
            tenant=HOST,
            not_before=NOON,
            expires=NOON + timedelta(hours=12),
            issued=NOON,
            ceiling=3,
            assurance=Assurance.KEY_BOUND if badge_key is not None else Assurance.BEARER,
            kind=HolderKind.STAFF,
            epoch=1,
            requires_trusted_time=False,
            confirmation=confirmation,
            card=None,
            status_index=None,
        )
        return cose.sign(cose.encode(claims_of(badge)), key=self.issuer, typ="application/pacs-cred+cwt")

    def read(self, sent: Publish) -> UpwardMessage:
        """Believe a message as the service does: the gate's signature, for this topic."""
        authentic = authenticate(sent.topic, sent.payload, trust=self.trust, prefix=PREFIX)
        assert isinstance(authentic, Authentic), authentic
        return authentic.message


_REASONS = {
    Verdict.GRANTED: GRANTED,
    Verdict.DENIED: NO_RIGHTS,
    Verdict.RECORDED: 0,
    Verdict.WAITING: Reason.VERIFICATION_REQUIRED.bacnet,
}


def _trusted(key: cose.SigningKey, use: Use, owner: str) -> TrustedKey:
    record = key.record(use=use, owner=owner)
    return TrustedKey(record=record, state=KeyState.ACTIVE, revoked_from=None)


class Talk:
    """A controller in conversation: what happens to it, and everything it did since the last look.

    What it says of its link at every turn stands apart, in `linked`.
    """

    def __init__(
        self,
        *,
        interlocked: Collection[AccessPointId] = (),
        disk: MemoryJournal | None = None,
        bounds: JournalBounds | None = None,
        doors: Mapping[AccessPointId, Mapping[str, Any]] | None = None,
    ) -> None:
        self.disk = disk or MemoryJournal(JOURNAL)
        self.started = Started(self.disk.found)
        self._bounds = bounds
        self.disk_is_quick = True
        self.key = cose.SigningKey.generate()
        self.service = Service({GATE: self.key, OTHER_GATE: cose.SigningKey.generate()})
        self._interlocked = interlocked
        self._doors = doors or {}
        self.controller = self._controller(BOOT, CheckpointMemory())
        self.at = 1000.0
        self.wall: WallTime | None = None
        self.did: list[Effect] = []
        self.published: list[Publish] = []
        self.linked: list[Retain | Bequeath] = []

    def _controller(self, boot: BootId, memory: CheckpointMemory, held: Held | None = None) -> Controller:
        return Controller(
            gate=GATE,
            prefix=PREFIX,
            key=self.key,
            trust=self.service.trust,
            doorways=[
                Doorway(
                    id=access_point,
                    direction=direction,
                    has_contact=has_contact,
                    interlocked=access_point in self._interlocked,
                    warned=timedelta(seconds=20),
                    held=timedelta(seconds=30),
                    **self._doors.get(access_point, {}),
                )
                for access_point, direction, has_contact in _DOORS
            ],
            boot=boot,
            agent="test",
            bounds=self._bounds,
            checkpoints=memory,
            anchor=self.service.anchor,
            held=held,
        )

    def restarts(
        self,
        memory: CheckpointMemory,
        *,
        boot: BootId = NEXT_BOOT,
        held: Held | None = None,
        linked: bool = True,
    ) -> None:
        """The gate's program starts anew with what it has kept, and the link comes up."""
        self.controller = self._controller(boot, memory, held)
        found = self.disk.found
        self.started = Started(found, tuple(self.disk.read(found.id, found.settled, 1000)))
        self.published.clear()
        self.happens(self.started)
        if linked:
            self.happens(LinkUp())

    @classmethod
    def ready(cls, **how: Any) -> "Talk":
        """A gate that has started, is linked, has its hello recorded, and heard a beacon."""
        talk = cls(**how)
        talk.happens(talk.started)
        talk.happens(LinkUp())
        talk.recorded()
        talk.happens(BeaconReceived(talk.service.beacon()))
        talk.did.clear()
        return talk

    def happens(self, event: Event) -> list[Effect]:
        effects = self.controller.step(event, at=self.at, wall=self.wall)
        self.linked += [effect for effect in effects if isinstance(effect, Retain | Bequeath)]
        effects = [effect for effect in effects if not isinstance(effect, Retain | Bequeath)]
        self.did += effects
        self.published += [effect for effect in effects if isinstance(effect, Publish)]
        for effect in effects if self.disk_is_quick else ():
            said = self._keep(effect)
            if said is not None:
                effects = [*effects, *self.happens(said)]
        return effects

    def _keep(self, effect: Effect) -> Event | None:
        match effect:
            case Append(number=number):
                self.disk.append([effect])
                return Appended(number)
            case Settle(journal=journal, number=number):
                self.disk.settle(journal, number)
                return JournalSettled(journal, number)
            case ReadEntries(journal=journal, after=after, most=most):
                return EntriesRead(journal, tuple(self.disk.read(journal, after, most)))
            case BeginJournal(instead_of=journal):
                return JournalBegun(self.disk.begin_anew(journal, "the service takes no more of it"))
        return None

    def passes(self, seconds: float) -> None:
        self.at += seconds

    def presents(self, access_point: AccessPointId = IN, credential: Credential = CARD) -> list[Effect]:
        return self.happens(
            CardPresented(access_point=access_point, credential=credential, gate_random=b"r" * 16)
        )

    def scans(self, access_point: AccessPointId = IN, credential: Credential = CARD) -> bytes:
        """Present a card that needs no proof; give the bytes of the scan."""
        (sent,) = only(Publish, self.presents(access_point, credential))
        return sent.payload

    def hears(self, wire: bytes) -> list[Effect]:
        return self.happens(AnswerReceived(wire))

    def commanded(
        self, kind: CommandKind = CommandKind.OPEN, access_point: AccessPointId | None = IN, **how: Any
    ) -> list[Effect]:
        """A command comes."""
        return self.happens(CommandReceived(self.service.command(kind, access_point, **how)))

    def learns(self, size: int, **how: Any) -> list[Effect]:
        """A checkpoint of the log comes."""
        return self.happens(CheckpointReceived(self.service.checkpoint(size, **how)))

    def granted(self, access_point: AccessPointId = IN, **terms: Any) -> bytes:
        """Have a scan granted; give its bytes."""
        scan = self.scans(access_point)
        self.hears(self.service.answer(scan, **terms))
        return scan

    def fires(self, kind: TimerKind, access_point: AccessPointId | None = IN) -> list[Effect]:
        """Let the timer of this name run out: the clock moves on by what it was last started with."""
        started = [
            effect
            for effect in self.did
            if isinstance(effect, StartTimer)
            and effect.timer.kind is kind
            and effect.timer.access_point == access_point
        ]
        self.passes(started[-1].after.total_seconds())
        return self.happens(TimerFired(started[-1].timer))

    def recorded(self) -> None:
        """The service records everything that was published and is no scan, until there is no more."""
        answered: set[bytes] = set()
        while fresh := [sent for sent in self.published if sent.payload not in answered]:
            for sent in fresh:
                answered.add(sent.payload)
                if not isinstance(self.service.read(sent), Scan):
                    self.hears(self.service.answer(sent.payload, Verdict.RECORDED))

    def messages(self) -> list[UpwardMessage]:
        """What was published, each message once, as the service believes it."""
        return [self.service.read(sent) for sent in {sent.payload: sent for sent in self.published}.values()]

    def ignored(self) -> dict[str, int]:
        return {why.value: count for why, count in self.controller.tally.ignored.items()}


def only(kind: type[_Effect], effects: list[Effect]) -> list[_Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def bearer(service: Service) -> ByToken:
    return ByToken(service.token(badge_key=None))
