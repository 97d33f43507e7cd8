"""The machine of an examination, fed with what arrives, what whoever stands at the gate says, and time, until it is finished.

session --(bounded queue)--> machine --> session, driver
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from devices.conformance.examination import Effect, Examination
from devices.conformance.script import Ask, Reply, Send
from devices.examination.asking import Driver
from devices.examination.session import ExaminerSession

__all__ = ["Arrival", "Arrivals", "Run"]

_PATIENCE: Final = 600.0
"""Seconds that whoever stands at the gate has for one thing."""
_MOST_UNREAD: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Bytes that came up."""

    topic: str
    wire: bytes
    qos: int
    retained: bool
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What was said to the question of this number."""

    number: int
    reply: Reply


class Arrivals:
    """What comes in, in order. A gate that says more than can be read is heard no further: its messages come again."""

    def __init__(self) -> None:
        self._queue: Final[asyncio.Queue[Arrival | _Told]] = asyncio.Queue()

    def arrived(self, topic: str, wire: bytes, qos: int, retained: bool, at: float) -> None:  # noqa: FBT001 - as MQTT says it
        """Take bytes of the gate."""
        if self._queue.qsize() < _MOST_UNREAD:
            self._queue.put_nowait(Arrival(topic=topic, wire=wire, qos=qos, retained=retained, at=at))

    def told(self, number: int, reply: Reply) -> None:
        """Take a reply."""
        self._queue.put_nowait(_Told(number=number, reply=reply))

    async def next(self, due: float | None) -> Arrival | _Told | None:
        """What comes next; None when it is time."""
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                return await self._queue.get()
        except TimeoutError:
            return None


class Run:
    """One examination at a broker. `tell` is given what is being tried."""

    def __init__(
        self,
        examination: Examination,
        *,
        session: ExaminerSession,
        driver: Driver,
        arrivals: Arrivals,
        tell: Callable[[str], None],
    ) -> None:
        self._examination: Final = examination
        self._session: Final = session
        self._driver: Final = driver
        self._arrivals: Final = arrivals
        self._tell: Final = tell
        self._trial = ""
        self._asked = 0
        self._asking: asyncio.Task[None] | None = None

    async def to_its_end(self) -> None:
        """Examine until it is finished."""
        examination = self._examination
        async with asyncio.TaskGroup() as group:
            effects = examination.begin(at=time.monotonic())
            while True:
                self._do(effects, group)
                if examination.finished:
                    break
                effects = []
                match await self._arrivals.next(examination.due):
                    case Arrival(topic=topic, wire=wire, qos=qos, retained=retained, at=at):
                        effects = examination.hear(topic, wire, qos=qos, retained=retained, at=at)
                    case _Told(number=number, reply=reply) if number == self._asked:
                        effects = examination.reply(reply, at=time.monotonic())
                    case None:
                        effects = examination.wake(at=time.monotonic())
            self._let_go()

    def _do(self, effects: list[Effect], group: asyncio.TaskGroup) -> None:
        if self._examination.trial != self._trial:
            self._trial = self._examination.trial
            self._tell(self._trial)
        for effect in effects:
            match effect:
                case Send(topic=topic, wire=wire, retained=retained):
                    self._session.publish(topic, wire, retained=retained)
                case Ask():
                    self._let_go()
                    self._asked += 1
                    asking = self._ask(effect, self._asked)
                    self._asking = group.create_task(asking, name=f"ask {effect.do}")

    async def _ask(self, question: Ask, number: int) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                reply = await self._driver.obey(question)
        except TimeoutError:
            reply = Reply(done=False)
        self._arrivals.told(number, reply)

    def _let_go(self) -> None:
        """Wait no longer for whoever was asked: what was wanted was heard."""
        if self._asking is not None:
            self._asking.cancel()
