"""One examination, whole: what comes in of the gate and of whoever stands there, and what goes out.

    begin -> trial after trial -> finished
    heard / replied / woken -> Send (to the broker), Ask (whoever stands at the gate)

Time comes in with each event (`at`, monotonic seconds); `due` says when to wake it. Findings are complete when it is finished;
before that, what is not judged yet is missing.
"""

from collections.abc import Collection
from typing import Final, TypeAlias

from devices.conformance.findings import Finding, Ledger
from devices.conformance.requirements import REQUIREMENTS
from devices.conformance.script import Ask, Listen, Reply, Script, Send, send
from devices.conformance.site import Question
from devices.conformance.stage import Heard, Stage
from devices.conformance.throughout import judge_throughout
from devices.conformance.trials import TRIALS, Trial, perform
from gatekeeper.model.messages import Hello
from gatekeeper.model.topics import Channel

__all__ = ["Effect", "Examination"]

Effect: TypeAlias = Send | Ask
_FOREVER: Final = None


class Examination:
    """The machine. Only the trials that judge one of `only` are made, and the first; all when it is empty."""

    def __init__(self, question: Question, *, at: float, only: Collection[str] = ()) -> None:
        self._stage: Final = Stage(question, at=at)
        self._only: Final = frozenset(only)
        self._script: Final = self._whole()
        self._step: Ask | Listen | None = None
        self._until: float | None = _FOREVER
        self._reply: Reply | None = None
        self.finished = False
        self.trial = ""

    @property
    def ledger(self) -> Ledger:
        """What is found so far."""
        return self._stage.ledger

    @property
    def findings(self) -> dict[str, Finding]:
        """What was found of whatever was asked for."""
        wanted = self._only or REQUIREMENTS.keys()
        return {name: found for name, found in self.ledger.all().items() if name in wanted}

    @property
    def agent(self) -> str | None:
        """What the gate calls its program."""
        hellos = (one.message for one in self._stage.heard if isinstance(one.message, Hello))
        return next((hello.agent for hello in hellos), None)

    @property
    def due(self) -> float | None:
        """When to wake it, at the latest."""
        beacon = self._stage.next_beacon if self._stage.beacons else None
        times = [time for time in (beacon, self._until) if time is not None]
        return min(times, default=None)

    def begin(self, *, at: float) -> list[Effect]:
        """Forget what a former examination left at the broker, and begin the first trial."""
        self._stage.now = at
        return self._go_on(None)

    def hear(self, topic: str, wire: bytes, *, qos: int, retained: bool, at: float) -> list[Effect]:
        """Take what came up; what a gate says of its link is of no stream and judged by nobody."""
        self._stage.now = at
        if topic.endswith(f"/{Channel.LINK}"):
            return []
        heard, answers = self._stage.hear(topic, wire, qos=qos, retained=retained)
        effects: list[Effect] = [*answers]
        if self._step is not None and self._step.wanted is not None and self._step.wanted(heard):
            effects += self._go_on(heard)
        return effects

    def reply(self, reply: Reply, *, at: float) -> list[Effect]:
        """Take what whoever was asked says; what nobody waits for any more is the shell's to drop."""
        self._stage.now = at
        if not isinstance(self._step, Ask) or self._reply is not None:
            return []
        if not reply.done or self._step.wanted is None:
            return self._go_on(reply)
        self._reply, self._until = reply, at + self._step.within
        return []

    def wake(self, *, at: float) -> list[Effect]:
        """Let time pass."""
        self._stage.now = at
        effects: list[Effect] = [*self._stage.due()]
        if self._until is not None and at >= self._until:
            effects += self._go_on(self._reply)
        return effects

    def _go_on(self, came: Heard | Reply | None) -> list[Effect]:
        effects: list[Effect] = []
        self._step, self._until, self._reply = None, _FOREVER, None
        while True:
            try:
                step = self._script.send(came)
            except StopIteration:
                self.finished = True
                return effects
            came = None
            match step:
                case Send():
                    effects.append(step)
                case Listen(within=within):
                    self._step, self._until = step, self._stage.now + within
                    return effects
                case Ask():
                    self._step = step
                    return [*effects, step]

    def _whole(self) -> Script[None]:
        stage = self._stage
        service, provisions = stage.service, stage.provisions
        yield from _clear(service.beacon_topic, service.checkpoint_topic, provisions.policy_topic)
        if stage.question.decides_alone:
            # A gate may hold what a former examination gave it.
            yield from stage.give(provisions.nothing(stage.wall))
        stage.asking = "the enrolment request"
        stage.passed("GK-G-002", f"its key is {stage.question.record.kid.hex()}, and it signed the request")
        for trial in TRIALS:
            if self._is_asked_for(trial):
                self.trial = stage.asking = trial.asks
                # INVARIANT: silence is no obedience: a gate that was never heard keeps nothing.
                if trial is TRIALS[0] or stage.heard:
                    yield from perform(trial, stage)
                else:
                    stage.undecided(trial.judges, "nothing was heard of the gate")
        stage.asking = "the whole conversation"
        judge_throughout(stage)
        yield from _clear(service.beacon_topic, service.checkpoint_topic)
        yield from _clear(provisions.policy_topic, provisions.standing_topic, provisions.trust_topic)

    def _is_asked_for(self, trial: Trial) -> bool:
        return not self._only or trial is TRIALS[0] or bool(self._only & trial.judges)


def _clear(*topics: str) -> Script[None]:
    """Leave nothing retained."""
    for topic in topics:
        yield from send(topic, b"", retained=True)
