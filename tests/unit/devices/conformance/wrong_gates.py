"""Gates that are wrong, each in one way: the product's own rules with one of them undone. `WRONG` says what each breaks."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar

import cbor2
from typing_extensions import override

from devices.conformance.script import Ask, Do, Reply
from devices.conformance.site import Question
from devices.core.asking import Asking
from devices.core.belief import Beacons, Ignored, read_answer
from devices.core.believing import Believing
from devices.core.checkpoints import CheckpointMemory, Checkpoints
from devices.core.commands import Commands, Obeyed
from devices.core.controller import Controller, Limits
from devices.core.doors import Doors
from devices.core.events import Event, LinkDown, LinkUp
from devices.core.journal import Entry, Journal, JournalFound
from devices.core.outbox import Outbox, Sent
from devices.core.telling import Telling
from devices.journal_port import MemoryJournal
from gatekeeper import cose
from gatekeeper.core.trust import Use
from gatekeeper.model.ids import BootId
from gatekeeper.model.messages import (
    CHECKPOINT_TYPE,
    DECISION_TYPE,
    Answer,
    ByToken,
    Command,
    Hello,
    PassageOutcome,
    Scan,
    StatusKind,
    Verdict,
)
from gatekeeper.model.topics import PREFIX, Channel, gate_topic
from tests.unit.devices.conformance.hall import GATE, SITE, HallGate, becomes

DECISIONS = gate_topic(SITE, GATE, Channel.DECISION)

# -- wrong bytes ----------------------------------------------------------------------------------------------------------


class SpoiltOutbox(Outbox):
    """Writes its messages wrong, and knows them by what it wrote."""

    @override
    def send(self, message: Any, *, at: float) -> Sent:
        sent = super().send(message, at=at)
        payload = sent.message.payload()
        wire = self.write(sent, payload, typ=cose_typ(sent.wire), topic=sent.topic)
        spoilt = replace(sent, wire=wire, digest=hashlib.sha256(wire).digest())
        del self._unanswered[sent.digest]
        self._unanswered[spoilt.digest] = spoilt
        return spoilt

    def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
        return self.signed(payload, typ=typ, topic=topic)

    def signed(self, payload: bytes, *, typ: str, topic: str, key: cose.SigningKey | None = None) -> bytes:
        return cose.sign(payload, key=key or self._key, typ=typ, external_aad=topic.encode())


def cose_typ(wire: bytes) -> str:
    header: Mapping[int, Any] = cose.decode(cose.decode(wire[1:])[0])
    return str(header[16])


class WrongBytes(HallGate):
    outbox: type[SpoiltOutbox]

    @override
    def spoil(self, made: Controller) -> None:
        made._up._outbox = self.outbox(  # type: ignore[misc]
            site=SITE, gate=GATE, prefix=PREFIX, key=self.key, boot=made._up.boot
        )


class NumbersUsedTwice(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            if not isinstance(sent.message, Hello):
                return super().write(sent, payload, typ=typ, topic=topic)
            self._next = sent.message.sequence
            return super().write(sent, payload, typ=typ, topic=topic)


class NumbersLeftOut(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            self._next += isinstance(sent.message, Hello)
            return super().write(sent, payload, typ=typ, topic=topic)


class LongHeads(WrongBytes):
    """Writes its version in two bytes: the same number, and another spelling."""

    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            assert payload[1:3] == b"\x00\x01"
            return self.signed(payload[:2] + b"\x18\x01" + payload[3:], typ=typ, topic=topic)


class NoTopic(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            return self.signed(payload, typ=typ, topic="")


class OneTyp(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            return self.signed(payload, typ="application/pacs-scan+cose", topic=topic)


class AnotherKey(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            return self.signed(payload, typ=typ, topic=topic, key=_ANOTHER)


_ANOTHER = cose.SigningKey.generate()


class FieldsOfItsOwn(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            if isinstance(sent.message, Hello):
                payload = cose.encode(cose.decode(payload) | {99: "colour"})
            return self.signed(payload, typ=typ, topic=topic)


class KeyIdOutside(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            protected, _, content, signature = cose.decode(
                super().write(sent, payload, typ=typ, topic=topic)[1:]
            )
            loose = {4: self._key.kid}
            return cbor2.dumps(cbor2.CBORTag(18, [protected, loose, content, signature]))


class OtherBytesAgain(HallGate):
    """Signs anew, with the time of now, whatever it sends again."""

    @override
    def say(self, topic: str, wire: bytes, qos: int) -> None:
        said = self.__dict__.setdefault("said", set())
        if wire in said:
            payload = cose.decode(wire[1:])[2]
            later = cose.encode(cose.decode(payload) | {3: int(self.at * 1000)})
            typ = cose_typ(wire)
            wire = cose.sign(later, key=self.key, typ=typ, external_aad=topic.encode())
        said.add(wire)
        super().say(topic, wire, qos)


class Retained(HallGate):
    @override
    def say(self, topic: str, wire: bytes, qos: int) -> None:
        self.publish(topic, wire, qos=0, retained=True)


class ChannelOfItsOwn(HallGate):
    @override
    def say(self, topic: str, wire: bytes, qos: int) -> None:
        super().say(topic, wire, qos)
        self.publish(f"{topic.rsplit('/', 1)[0]}/health", b"well", qos=qos, retained=False)


# -- wrong belief ---------------------------------------------------------------------------------------------------------


class BelievesStrangers(HallGate):
    """Believes every key that it has ever heard of."""

    @override
    def spoil(self, made: Controller) -> None:
        stranger = self.asked.keys["stranger"].record(use=Use.DECISION, owner="service")
        ring = MappingProxyType({**self.trust.decisions, stranger.kid: stranger})
        made._standby._knowledge.trust = replace(self.trust, decisions=ring)


class BelievesOtherUses(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        seal = self.asked.keys["seal"].record(use=Use.DECISION, owner="service")
        ring = MappingProxyType({**self.trust.decisions, seal.kid: seal})
        made._standby._knowledge.trust = replace(self.trust, decisions=ring)


class ForgivingController(Controller):
    """Reads an answer as `forgive` does, when the right way gives none."""

    knows_given_over = True

    @override
    def _answer(self, wire: bytes) -> None:
        answer = read_answer(wire, gate=GATE, topic=DECISIONS, keys=self._standby.trust.decisions)
        forgiven = self.forgive(wire) if isinstance(answer, Ignored) else answer
        if forgiven is None:
            return
        sent = self.find(forgiven)
        if isinstance(sent, Sent):
            self._time.answered(forgiven.issued, asked=sent.since, at=self._turn.at)
        if isinstance(sent, Sent) and self.knows_given_over and self._up.is_given_over(sent):
            self._up.recorded(sent, forgiven.message, at=self._turn.at)
        elif isinstance(sent, Sent) and isinstance(sent.message, Scan):
            self._asking.take_answer(self._lanes[sent.message.access_point], sent, self.bent(forgiven))
        elif isinstance(sent, Sent | Entry) and forgiven.verdict is Verdict.RECORDED:
            self._recorded(sent, forgiven.message)

    def forgive(self, _wire: bytes) -> Answer | None:
        return None

    def find(self, answer: Answer) -> Sent | Entry | Ignored:
        return self._up.asked(answer.message)

    def bent(self, answer: Answer) -> Answer:
        return answer


class BelievesForOthers(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def forgive(self, wire: bytes) -> Answer | None:
            answer = read_answer(
                wire,
                gate="another-gate",
                topic=DECISIONS,
                keys=self._standby.trust.decisions,  # type: ignore[arg-type]
            )
            return None if isinstance(answer, Ignored) else answer


class BelievesOtherTopics(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def forgive(self, wire: bytes) -> Answer | None:
            topic = DECISIONS.replace(f"/{GATE}/", "/another-gate/")
            answer = read_answer(wire, gate=GATE, topic=topic, keys=self._standby.trust.decisions)
            return None if isinstance(answer, Ignored) else answer


class BelievesAnyScan(HallGate):
    """Takes a grant for whatever scan is under way."""

    class controller_type(ForgivingController):  # noqa: N801
        @override
        def find(self, answer: Answer) -> Sent | Entry | Ignored:
            found = super().find(answer)
            under_way = [lane.scan for lane in self._lanes.values() if lane.scan is not None]
            if isinstance(found, Ignored) and answer.verdict is Verdict.GRANTED and under_way:
                return under_way[0]
            return found


class OpensLate(HallGate):
    """Asks no grant how long it is valid."""

    class controller_type(ForgivingController):  # noqa: N801
        @override
        def bent(self, answer: Answer) -> Answer:
            granted = answer.verdict is Verdict.GRANTED
            return replace(answer, valid=timedelta(seconds=5)) if granted else answer


class AsksTheWallClock(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def find(self, answer: Answer) -> Sent | Entry | Ignored:
            old = self._turn.wall is not None and self._turn.wall.at - answer.issued > timedelta(days=1)
            return Ignored.ANSWER_LATE if old else super().find(answer)


class RecordedSettlesScans(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def bent(self, answer: Answer) -> Answer:
            denied = replace(answer, verdict=Verdict.DENIED)
            return denied if answer.verdict is Verdict.RECORDED else answer


class GivesEveryWait(HallGate):
    """Lets a second wait prolong the first."""

    class controller_type(ForgivingController):  # noqa: N801
        @override
        def bent(self, answer: Answer) -> Answer:
            if answer.verdict is Verdict.WAITING:
                for lane in self._lanes.values():
                    if lane.patience is not None and lane.patience < answer.valid:
                        lane.patience = None
            return answer


class HasNoPatience(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def bent(self, answer: Answer) -> Answer:
            short = answer.verdict is Verdict.WAITING and answer.valid > timedelta(seconds=5)
            return replace(answer, valid=timedelta(seconds=5)) if short else answer


class OpensTwice(HallGate):
    """Forgets that a scan was answered."""

    class controller_type(ForgivingController):  # noqa: N801
        @override
        def find(self, answer: Answer) -> Sent | Entry | Ignored:
            found = super().find(answer)
            again = self.__dict__.setdefault("granted", {})
            if isinstance(found, Sent) and answer.verdict is Verdict.GRANTED:
                again[answer.message] = found
            if found is Ignored.ANSWER_REPEATED and answer.message in again:
                sent: Sent = again[answer.message]
                self._up._outbox._unanswered[sent.digest] = sent
                return sent
            return found


class OpensAfterADenial(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def find(self, answer: Answer) -> Sent | Entry | Ignored:
            found = super().find(answer)
            denied = self.__dict__.setdefault("denied", {})
            if isinstance(found, Sent) and answer.verdict is Verdict.DENIED:
                denied[answer.message] = found
            if (
                answer.verdict is Verdict.GRANTED
                and found is Ignored.ANSWER_REPEATED
                and answer.message in denied
            ):
                sent: Sent = denied[answer.message]
                self._up._outbox._unanswered[sent.digest] = sent
                return sent
            return found


# -- wrong times ----------------------------------------------------------------------------------------------------------


class NeverAgain(HallGate):
    class asking_type(Asking):  # noqa: N801
        @override
        def scan_again(self, lane: Any) -> None:
            return


class Hasty(HallGate):
    """Sends what it keeps every 300 ms, for ever."""

    @override
    def spoil(self, made: Controller) -> None:
        made._up._resend_most = timedelta(milliseconds=300)  # type: ignore[misc]


class Stubborn(HallGate):
    """Gives a scan nine seconds."""

    @override
    def spoil(self, made: Controller) -> None:
        made._asking._limits = replace(Limits(), deadline=timedelta(seconds=9))  # type: ignore[misc]


class SaysNothingOfWhatItGaveUp(HallGate):
    class asking_type(Asking):  # noqa: N801
        @override
        def give_up(self, lane: Any) -> None:
            if lane.scan is not None:
                self._up.give_up(lane.scan)
                self._let_go_of_scan(lane)


class StaleBeacons(Beacons):
    __slots__ = ()

    @override
    def fresh(self, *, at: float) -> bytes | None:
        return self.newest.value if self.newest is not None else None


class IgnoresSilence(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        becomes(made._beacons, StaleBeacons)


class AnyBeacon(Beacons):
    __slots__ = ()

    @override
    def take(self, wire: bytes, *, at: float) -> Ignored | None:
        before, self.newest = self.newest, None
        ignored = Beacons.take(self, wire, at=at)
        self.newest = self.newest or before
        return ignored


class TakesAnyBeacon(HallGate):
    """Takes every beacon for new that is signed well."""

    @override
    def spoil(self, made: Controller) -> None:
        becomes(made._beacons, AnyBeacon)


# -- wrong memory, wrong words --------------------------------------------------------------------------------------------


class Forgetful(HallGate):
    @override
    def start(self) -> None:
        self.memory = CheckpointMemory()
        super().start()


class AlwaysTheSameBoot(HallGate):
    @override
    def boot(self) -> BootId:
        return BootId(b"the boot")


class CriesWolf(HallGate):
    """Takes every smaller checkpoint for a roll-back."""

    @override
    def spoil(self, made: Controller) -> None:
        class Suspicious(Checkpoints):
            @override
            def _read(self, wire: bytes) -> Any:
                read = super()._read(wire)
                newest = self.memory.newest
                if isinstance(read, Ignored) or newest is None or read.size >= newest.size:
                    return read
                return replace(read, at=newest.at + timedelta(seconds=1))

        becomes(made._checkpoints, Suspicious)


class TellsItAgain(HallGate):
    @override
    def hear(self, topic: str, wire: bytes, *, retained: bool, at: float) -> None:
        if self.controller is not None:
            self.controller._checkpoints._has_told = False
        super().hear(topic, wire, retained=retained, at=at)


class TakenWithoutOpening(HallGate):
    class telling_type(Telling):  # noqa: N801
        @override
        def report(self, lane: Any, outcome: PassageOutcome, *, scan: bytes | None) -> None:
            unused = outcome is PassageOutcome.NOT_TAKEN and lane.granted is not None
            super().report(lane, PassageOutcome.TAKEN if unused else outcome, scan=scan)


class ForcedWithTheLastScan(HallGate):
    class telling_type(Telling):  # noqa: N801
        @override
        def report(self, lane: Any, outcome: PassageOutcome, *, scan: bytes | None) -> None:
            super().report(lane, outcome, scan=scan or bytes(32))


class NeverSaysShut(HallGate):
    class telling_type(Telling):  # noqa: N801
        @override
        def tell(self, kind: Any, access_point: Any, *, command: Any = None) -> None:
            if kind is not StatusKind.CLOSED_AGAIN:
                super().tell(kind, access_point, command=command)


class OldChance(HallGate):
    @override
    def random(self) -> bytes:
        return b"sixteen of them."


class ProvesElsewhere(HallGate):
    """Has the badge sign for another direction."""

    def __init__(self, asked: Question, key: cose.SigningKey) -> None:
        other = next(way for way in type(asked.direction) if way is not asked.direction)
        super().__init__(replace(asked, direction=other), key)


class PlainPin(HallGate):
    @override
    def sealed(self, pin: str) -> bytes | None:
        return pin.encode().ljust(89, b"\0")


# -- and the rest ---------------------------------------------------------------------------------------------------------


def changed(payload: bytes, changes: Mapping[int, Any]) -> bytes:
    fields = cose.decode(payload) | changes
    return cose.encode({key: value for key, value in fields.items() if value is not None})


class SaysTooMuch(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            if isinstance(sent.message, Hello):
                payload = changed(payload, {5: "a gate" * 2000})
            return self.signed(payload, typ=typ, topic=topic)


class CountsFromTwo(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        made._up._outbox._next = 2


class SaysAnotherDoor(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            if isinstance(sent.message, Scan):
                payload = changed(payload, {5: "window"})
            return self.signed(payload, typ=typ, topic=topic)


class TellsNoTime(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            return self.signed(changed(payload, {9: None}), typ=typ, topic=topic)


class SendsDigests(WrongBytes):
    """Sends what has no key as the digest of its token."""

    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            scan = sent.message
            if isinstance(scan, Scan) and isinstance(scan.credential, ByToken) and scan.proof is None:
                payload = changed(payload, {6: [2, hashlib.sha256(scan.credential.token).digest()]})
            return self.signed(payload, typ=typ, topic=topic)


class EndlessJournal(Journal):
    @override
    def _may_send_of(self, line: Any) -> bool:
        return line.next is not None


class KnowsNoWindow(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        kept = made._up.journal
        made._up.journal = EndlessJournal(  # type: ignore[misc]
            topic=kept.topic, key=kept._key, bounds=kept._bounds
        )


class FirstBeacon(Beacons):
    """Keeps the value of the first it hears."""

    __slots__ = ()
    first: ClassVar[bytes | None] = None

    @override
    def fresh(self, *, at: float) -> bytes | None:
        fresh = Beacons.fresh(self, at=at)
        if fresh is not None and type(self).first is None:
            type(self).first = fresh
        return fresh and type(self).first


class KeepsTheFirstBeacon(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        FirstBeacon.first = None
        becomes(made._beacons, FirstBeacon)


class NoBeacon(Beacons):
    __slots__ = ()

    @override
    def fresh(self, *, at: float) -> bytes | None:
        return bytes(16) if self.newest is None else Beacons.fresh(self, at=at)


class ScansWithoutABeacon(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        becomes(made._beacons, NoBeacon)


class TakesAStrangersBeacon(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        kept, stranger = made._beacons, self.asked.keys["stranger"].record(use=Use.DECISION, owner="service")
        kept.keys = MappingProxyType({**kept.keys, stranger.kid: stranger})


class BelievesAnyTyp(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def forgive(self, wire: bytes) -> Answer | None:
            verified = cose.verify(
                wire,
                keys=self._standby.trust.decisions,
                typ=CHECKPOINT_TYPE,
                use=Use.DECISION,
                external_aad=DECISIONS.encode(),
            )
            answer = None if isinstance(verified, cose.Refused) else Answer.read(verified.payload)
            return answer if isinstance(answer, Answer) else None


class ReadsAnyVersion(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def forgive(self, wire: bytes) -> Answer | None:
            verified = cose.verify(
                wire,
                keys=self._standby.trust.decisions,
                typ=DECISION_TYPE,
                use=Use.DECISION,
                external_aad=DECISIONS.encode(),
            )
            if isinstance(verified, cose.Refused):
                return None
            answer = Answer.read(changed(verified.payload, {0: 1}))
            return answer if isinstance(answer, Answer) and answer.gate == GATE else None


class OpensForEveryBadge(HallGate):
    """Its strike is wired to the reader."""

    @override
    def present(self, badge: str, pin: str | None) -> None:
        super().present(badge, pin)
        self.released = True


class StrikeOutOfOrder(HallGate):
    @override
    def obey(self, asked: Ask, at: float) -> Reply:
        reply = super().obey(asked, at)
        return Reply(done=True, released=False) if asked.do is Do.LOOK else reply


class OpensWhatItGaveUp(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def find(self, answer: Answer) -> Sent | Entry | Ignored:
            found = super().find(answer)
            if found is Ignored.ANSWER_LATE and answer.verdict is Verdict.GRANTED:
                sent: Sent = self._asking.__dict__["given_up"]
                self._up._outbox._unanswered[sent.digest] = sent
                for lane in self._lanes.values():
                    lane.patience = timedelta(minutes=1)
                return sent
            return found

    class asking_type(Asking):  # noqa: N801
        @override
        def give_up(self, lane: Any) -> None:
            self.__dict__["given_up"] = lane.scan
            super().give_up(lane)


class OpensOnAWait(HallGate):
    class controller_type(ForgivingController):  # noqa: N801
        @override
        def bent(self, answer: Answer) -> Answer:
            waits = answer.verdict is Verdict.WAITING
            return (
                replace(answer, verdict=Verdict.GRANTED, unlock=timedelta(seconds=0.2)) if waits else answer
            )


class NobodyEverEnters(HallGate):
    class telling_type(Telling):  # noqa: N801
        @override
        def report(self, lane: Any, outcome: PassageOutcome, *, scan: bytes | None) -> None:
            taken = outcome is PassageOutcome.TAKEN
            super().report(lane, PassageOutcome.NOT_TAKEN if taken else outcome, scan=scan)


class PatientDoor(HallGate):
    """Lets its door stand open for an hour."""

    def __init__(self, asked: Question, key: cose.SigningKey) -> None:
        super().__init__(replace(asked, held=timedelta(hours=1)), key)


class SaysHelloForEver(HallGate):
    """Says its hello again with every twentieth message."""

    @override
    def say(self, topic: str, wire: bytes, qos: int) -> None:
        said = self.__dict__.setdefault("said", [])
        said.append((topic, wire))
        super().say(topic, wire, qos)
        if len(said) % 20 == 0:
            super().say(*said[0], qos)


class ForgetsWithTheLink(HallGate):
    @override
    def happens(self, event: Event) -> None:
        if isinstance(event, LinkDown) and self.controller is not None:
            journal = self.controller._up.journal
            for entry in journal._present.unanswered.values():
                journal._count(entry, -1)
                journal._about[entry.access_point] -= 1
            journal._present.unanswered.clear()
        super().happens(event)


class TellsNothing(HallGate):
    """Takes no contradiction for one."""

    class believing_type(Believing):  # noqa: N801
        @override
        def take_checkpoint(self, wire: bytes) -> None:
            self._checkpoints._has_told = True
            super().take_checkpoint(wire)


class RemembersStrangersNotes(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        stranger = self.asked.keys["stranger"].record(use=Use.DECISION, owner="service")
        ring = MappingProxyType({**self.trust.decisions, stranger.kid: stranger})
        made._checkpoints._decisions = ring  # type: ignore[misc]


# -- the journal ----------------------------------------------------------------------------------------------------------


class ForgetsItsJournal(HallGate):
    @override
    def found(self) -> JournalFound:
        self.disk.settle(self.disk.found.id, self.disk.found.written)
        return self.disk.found


class SendsBeforeTheAnswer(HallGate):
    @override
    def happens(self, event: Event) -> None:
        if isinstance(event, LinkUp) and self.controller is not None:
            self.controller._up._greeting = None
        super().happens(event)


class SkippingJournal(Journal):
    @override
    def write(self, message: Any, **how: Any) -> Entry | None:
        entry = super().write(message, **how)
        self._next += 1
        return entry


class SkipsInItsJournal(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        kept = made._up.journal
        made._up.journal = SkippingJournal(  # type: ignore[misc]
            topic=kept.topic, key=kept._key, bounds=kept._bounds
        )


class TurnsItsJournal(HallGate):
    """While much happens, sends the second first."""

    turns = False

    @override
    def obey(self, asked: Ask, at: float) -> Reply:
        self.turns = asked.times > 1
        reply = super().obey(asked, at)
        self.turns = False
        return reply

    @override
    def say(self, topic: str, wire: bytes, qos: int) -> None:
        held: list[tuple[str, bytes, int]] = self.__dict__.setdefault("held", [])
        if self.turns and not held and topic.endswith("journal"):
            held.append((topic, wire, qos))
            return
        super().say(topic, wire, qos)
        while held:
            super().say(*held.pop())


class GenerousJournal(Journal):
    @override
    def _may_send_of(self, line: Any) -> bool:
        line.most = 50
        return super()._may_send_of(line)


class SendsItAllAtOnce(HallGate):
    @override
    def spoil(self, made: Controller) -> None:
        kept = made._up.journal
        made._up.journal = GenerousJournal(  # type: ignore[misc]
            topic=kept.topic, key=kept._key, bounds=kept._bounds
        )


class NamesNoJournal(WrongBytes):
    class outbox(SpoiltOutbox):  # noqa: N801
        @override
        def write(self, sent: Sent, payload: bytes, *, typ: str, topic: str) -> bytes:
            if isinstance(sent.message, Hello):
                payload = changed(payload, {8: None})
            return self.signed(payload, typ=typ, topic=topic)


class ANewJournalEachTime(HallGate):
    @override
    def start(self) -> None:
        self.disk = MemoryJournal(BootId(cose.SigningKey.generate().kid))
        super().start()


# -- commands -------------------------------------------------------------------------------------------------------------


class ConfirmsWithoutTheDigest(HallGate):
    class telling_type(Telling):  # noqa: N801
        @override
        def tell(self, kind: Any, access_point: Any, *, command: Any = None) -> None:
            super().tell(kind, access_point, command=None if kind is StatusKind.OPENED else command)


class RefusesInSilence(HallGate):
    class telling_type(Telling):  # noqa: N801
        @override
        def tell_refusal(self, kind: Any, why: Any, *, command: Any = None) -> bool:
            return kind is not StatusKind.COMMAND_REFUSED and super().tell_refusal(kind, why, command=command)


class LocksNothingDown(HallGate):
    class doors_type(Doors):  # noqa: N801
        @override
        def lock_down(self, lanes: Any, *, on: bool) -> None:
            return


class ObeysWhatItMustNot(HallGate):
    """Obeys what is refused for one reason."""

    reason: Ignored

    @override
    def spoil(self, made: Controller) -> None:
        gate, seen = self, set[bytes]()

        class Obeying(Commands):
            __slots__ = ()

            @override
            def take(self, wire: bytes, *, now: Any) -> Any:
                came = Commands.take(self, wire, now=now)
                again = wire in seen
                seen.add(wire)
                if came is not gate.reason or not gate.obeys(again=again):
                    return came
                command = Command.read(cose.decode(wire[1:])[2])
                assert isinstance(command, Command)
                return Obeyed(command, hashlib.sha256(wire).digest())

        becomes(made._commands, Obeying)

    def obeys(self, *, again: bool) -> bool:
        return True


class ObeysTheSameAgain(ObeysWhatItMustNot):
    reason = Ignored.COMMAND_REPEATED

    @override
    def obeys(self, *, again: bool) -> bool:
        return again


class ObeysLowerNumbers(ObeysWhatItMustNot):
    reason = Ignored.COMMAND_REPEATED

    @override
    def obeys(self, *, again: bool) -> bool:
        return not again


class ObeysOtherBoots(ObeysWhatItMustNot):
    reason = Ignored.COMMAND_OTHER_BOOT


class ObeysLate(ObeysWhatItMustNot):
    reason = Ignored.COMMAND_LATE


class ObeysAnybody(ObeysWhatItMustNot):
    reason = Ignored.COMMAND_FORGED


class ObeysForOthers(ObeysWhatItMustNot):
    reason = Ignored.COMMAND_FOREIGN


WRONG: Mapping[type[HallGate], set[int]] = {
    NumbersUsedTwice: {32},
    NumbersLeftOut: {31},
    LongHeads: {11},
    NoTopic: {14},
    OneTyp: {12},
    AnotherKey: {13, 14},
    FieldsOfItsOwn: {15},
    KeyIdOutside: {10},
    OtherBytesAgain: {32, 140},
    Retained: {21},
    ChannelOfItsOwn: {22},
    BelievesStrangers: {60, 92},
    BelievesOtherUses: {64},
    BelievesForOthers: {62},
    BelievesOtherTopics: {61},
    BelievesAnyScan: {66},
    OpensLate: {68},
    AsksTheWallClock: {71},
    RecordedSettlesScans: {67},
    GivesEveryWait: {77},
    HasNoPatience: {76},
    OpensTwice: {73},
    OpensAfterADenial: {72},
    NeverAgain: {51},
    Hasty: {90},
    Stubborn: {52, 53},
    SaysNothingOfWhatItGaveUp: {53, 77},
    IgnoresSilence: {42, 43},
    TakesAnyBeacon: {43, 44},
    Forgetful: {100},
    AlwaysTheSameBoot: {32, 33},
    CriesWolf: {103},
    TellsItAgain: {105},
    TakenWithoutOpening: {81},
    ForcedWithTheLastScan: {82},
    NeverSaysShut: {84, 85, 86},
    OldChance: {121},
    ProvesElsewhere: {120},
    PlainPin: {130, 131},
    SaysTooMuch: {16, 30, 31, 33},
    CountsFromTwo: {30, 31},
    SaysAnotherDoor: {50},
    TellsNoTime: {122},
    SendsDigests: {125},
    KnowsNoWindow: {94, 144},
    KeepsTheFirstBeacon: {40},
    ScansWithoutABeacon: {41},
    TakesAStrangersBeacon: {45},
    BelievesAnyTyp: {63},
    ReadsAnyVersion: {65},
    OpensForEveryBadge: {68, 69, 72, 75, 157, 160, 164, 165, 166, 167, 169},
    StrikeOutOfOrder: {70, 76, 150, 161},
    OpensWhatItGaveUp: {74},
    OpensOnAWait: {75, 76, 77},
    NobodyEverEnters: {80},
    PatientDoor: {83},
    SaysHelloForEver: {91},
    ForgetsWithTheLink: {93},
    TellsNothing: {101, 102},
    RemembersStrangersNotes: {100, 104},
    ForgetsItsJournal: {140},
    SendsBeforeTheAnswer: {141},
    SkipsInItsJournal: {142},
    TurnsItsJournal: {143},
    SendsItAllAtOnce: {144},
    NamesNoJournal: {145},
    ANewJournalEachTime: {140, 146},
    ConfirmsWithoutTheDigest: {150},
    ObeysTheSameAgain: {151},
    ObeysLowerNumbers: {153},
    ObeysOtherBoots: {152},
    ObeysLate: {154},
    ObeysAnybody: {155},
    ObeysForOthers: {156},
    LocksNothingDown: {157},
    RefusesInSilence: {158},
}
"""What each breaks, and nothing else."""
