"""One examination's memory: what was heard of the gate and what was answered, and what goes on without a trial asking for it.

Without being asked, beacons go out, and what is no question is recorded: every copy of it gets the same answer, for an answer
at QoS 0 may be lost. A scan is for the trial that asked for it, unless
the gate decided it alone.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from devices.conformance.findings import Ledger, Outcome
from devices.conformance.provisions import Given, Provided, Provisions
from devices.conformance.reading import CHANNELS, UNREAD, Fault, Message, Reading, read
from devices.conformance.script import Script, Send, send
from devices.conformance.service import SHORT, Service
from devices.conformance.site import Question
from gatekeeper.model.messages import ANSWER_VALIDITY, Hello, Passage, Scan, Verdict
from gatekeeper.model.topics import Channel

__all__ = ["BEACON_PERIOD", "Answered", "Heard", "Stage"]

BEACON_PERIOD: Final = timedelta(seconds=10)
BEACONS_COUNT: Final = 3
"""After so many periods without a new one a beacon counts no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Bytes that came up, `at` when on the monotonic clock; `copy` is how often the same message came before."""

    at: float
    topic: str
    wire: bytes
    digest: bytes
    qos: int
    retained: bool
    message: Message | None
    boot: bytes | None
    number: int | None
    faults: tuple[Fault, ...]
    copy: int

    @property
    def channel(self) -> str:
        """The last level of the topic."""
        return self.topic.rsplit("/", maxsplit=1)[-1]

    @property
    def is_question(self) -> bool:
        """Whether it is a scan that waits for a decision; one that the gate decided alone waits for none."""
        alone = isinstance(self.message, Scan) and self.message.offline_verdict is not None
        return self.channel == Channel.SCAN and not alone

    @property
    def is_journal(self) -> bool:
        """Whether it came from the gate's journal, whose id stands in the place of the boot's."""
        return self.channel == Channel.JOURNAL

    @property
    def is_whole(self) -> bool:
        """Whether it could be taken apart, and so all of it be looked at."""
        return self.message is not None or any(fault.requirement == "GK-G-015" for fault in self.faults)

    @property
    def identity(self) -> tuple[object, ...]:
        """What a message has in common with its copies, if not its bytes: channel, boot and number."""
        numbered = self.boot is not None and self.number is not None
        return (self.channel, self.boot, self.number) if numbered else (self.topic, self.wire)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The newest true answer to a message, and when it was first given."""

    at: float
    verdict: Verdict
    wire: bytes


UNSETTLED: Final = Answered(at=0.0, verdict=Verdict.WAITING, wire=b"")


class Stage:
    """What trials see and set."""

    def __init__(self, question: Question, *, at: float) -> None:
        self.question: Final = question
        self.service: Final = Service(question)
        self.provisions: Final = Provisions(question, entry=self.service.entry)
        self.ledger: Final = Ledger()
        self.now = at
        self._began: Final = at

        # What was heard and said.
        self.heard: Final[list[Heard]] = []
        self._readings: Final[dict[tuple[str, bytes], Reading]] = {}
        self._copies: Final[Counter[tuple[object, ...]]] = Counter()
        self.answers: Final[dict[bytes, Answered]] = {}
        self.asking = ""

        # What goes on by itself.
        self.records = True
        self.beacons = False
        self.period = BEACON_PERIOD
        self.next_beacon: float | None = None
        self.beacons_sent: Final[list[tuple[bytes, bytes]]] = []
        self.beacons_count_until = at

        # What later trials must find again.
        self.note: bytes | None = None
        self.forged_notes: Final[list[bytes]] = []
        self.is_provided = False
        """Whether the gate may hold a snapshot that lets somebody in."""

    # -- findings ---------------------------------------------------------------------------------------------------

    def passed(self, requirement: str, seen: str) -> None:
        """Find that it is kept."""
        self.ledger.note(requirement, Outcome.PASSED, asked=self.asking, seen=seen)

    def failed(self, requirement: str, seen: str) -> None:
        """Find that it is broken."""
        self.ledger.note(requirement, Outcome.FAILED, asked=self.asking, seen=seen)

    def undecided(self, requirements: Iterable[str], seen: str) -> None:
        """Say why nothing can be found."""
        for requirement in requirements:
            self.ledger.note(requirement, Outcome.NOT_JUDGED, asked=self.asking, seen=seen)

    def judge(self, requirement: str, *, kept: bool, good: str, bad: str) -> None:
        """Find one or the other."""
        if kept:
            self.passed(requirement, good)
        else:
            self.failed(requirement, bad)

    # -- what was heard -----------------------------------------------------------------------------------------------

    @property
    def wall(self) -> datetime:
        """The service's time."""
        return self.question.started + timedelta(seconds=self.now - self._began)

    def hear(self, topic: str, wire: bytes, *, qos: int, retained: bool) -> tuple[Heard, list[Send]]:
        """Write down what came, and give what is answered without asking."""
        known = topic.rsplit("/", maxsplit=1)[-1] in CHANNELS
        reading = self._read(topic, wire) if known else UNREAD
        heard = Heard(
            at=self.now,
            topic=topic,
            wire=wire,
            digest=reading.digest,
            qos=qos,
            retained=retained,
            message=reading.message,
            boot=reading.boot,
            number=reading.number,
            faults=reading.faults,
            copy=0,
        )
        heard = replace(heard, copy=self._copies[heard.identity])
        self._copies[heard.identity] += 1
        self.heard.append(heard)
        if heard.digest in self.answers:
            return heard, [Send(topic=self.service.decision_topic, wire=self.answers[heard.digest].wire)]
        if self.records and known and not heard.is_question:
            return heard, [self.settle(heard, Verdict.RECORDED)]
        return heard, []

    def _read(self, topic: str, wire: bytes) -> Reading:
        """Read bytes once, however often they come."""
        reading = self._readings.get((topic, wire))
        if reading is None:
            reading = read(wire, topic=topic, record=self.question.record)
            self._readings[topic, wire] = reading
        return reading

    @property
    def boot(self) -> bytes | None:
        """The boot of the newest hello."""
        hellos = (one.boot for one in reversed(self.heard) if isinstance(one.message, Hello))
        return next(hellos, None)

    def journal(self, since: int = 0) -> list[Heard]:
        """What came from the gate's journal, each message once, after so many messages were heard."""
        return [one for one in self.heard[since:] if one.is_journal and one.copy == 0 and one.message]

    def copies_of(self, first: Heard) -> list[Heard]:
        """A message and all its copies, in the order in which they came."""
        return [one for one in self.heard if one.identity == first.identity]

    @property
    def last_answered(self) -> float:
        """When something was answered last."""
        return max((answered.at for answered in self.answers.values()), default=0.0)

    def unanswered(self) -> list[Heard]:
        """What was heard and has no answer yet, each message once."""
        return [one for one in self.heard if one.copy == 0 and one.digest and one.digest not in self.answers]

    def open_questions(self) -> list[Heard]:
        """What has no answer yet, or was only asked to wait, each message once."""
        return [
            one
            for one in self.heard
            if one.copy == 0
            and one.digest
            and self.answers.get(one.digest, UNSETTLED).verdict is Verdict.WAITING
        ]

    def passages_of(self, scan: Heard) -> list[Passage]:
        """What was reported of a scan, each message once."""
        return [
            one.message
            for one in self.heard
            if isinstance(one.message, Passage) and one.copy == 0 and one.message.scan == scan.digest
        ]

    # -- what is said -------------------------------------------------------------------------------------------------

    def settle(
        self,
        heard: Heard,
        verdict: Verdict,
        *,
        unlock: timedelta = SHORT,
        valid: timedelta = ANSWER_VALIDITY,
        issued: datetime | None = None,
    ) -> Send:
        """The true answer to a message, which every copy gets from now on."""
        wire = self.service.answer(
            heard.digest, verdict, issued=issued or self.wall, unlock=unlock, valid=valid
        )
        self.answers[heard.digest] = Answered(at=self.now, verdict=verdict, wire=wire)
        return Send(topic=self.service.decision_topic, wire=wire)

    def due(self) -> list[Send]:
        """The beacon, when it is time."""
        if not self.beacons or (self.next_beacon is not None and self.now < self.next_beacon):
            return []
        self.next_beacon = self.now + self.period.total_seconds()
        return [self.beacon()]

    def beacon(self) -> Send:
        """The beacon of now."""
        value, wire = self.service.beacon(self.wall, period=self.period)
        self.beacons_sent.append((value, wire))
        self.beacons_count_until = self.now + BEACONS_COUNT * self.period.total_seconds()
        return Send(topic=self.service.beacon_topic, wire=wire, retained=True)

    def beats_again(self, period: timedelta = BEACON_PERIOD) -> Script[None]:
        """A beacon now, and from now on."""
        self.beacons, self.period = True, period
        self.next_beacon = self.now + period.total_seconds()
        new = self.beacon()
        yield from send(new.topic, new.wire, retained=True)

    def give(self, provided: Provided) -> Script[Given]:
        """Give the gate what it decides by when it is alone, retained, as the service does."""
        given = self.provisions.given(provided)
        self.is_provided = bool(provided.snapshot.points)
        yield from send(self.provisions.policy_topic, given.snapshot, retained=True)
        yield from send(self.provisions.standing_topic, given.standing, retained=True)
        return given
