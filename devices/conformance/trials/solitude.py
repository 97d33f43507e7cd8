"""What trials of a gate that nobody answers are made of: silence, a badge that is shown, and what the gate says of it by itself.

What a gate decided stands in its journal, and a strike that it released shows as any other does.
"""

from dataclasses import dataclass

from devices.conformance.findings import some
from devices.conformance.provisions import Given, Provided
from devices.conformance.script import Ask, Do, Reply, Script, ask, listen, look
from devices.conformance.site import CARD
from devices.conformance.stage import BEACONS_COUNT, Heard, Stage
from devices.conformance.trials.pieces import (
    AFTERMATH,
    ARRIVAL,
    CannotJudgeError,
    Sight,
    is_scan,
    is_status,
    judge_still,
    named,
)
from gatekeeper.model.messages import Passage, Scan, StatusKind, Verdict

__all__ = [
    "Shown",
    "from_another",
    "give",
    "is_decided",
    "judge_withheld",
    "lets_in",
    "shown",
    "silent",
    "withheld",
]

_PATIENCE = 1.5
"""Seconds within which a gate to which nobody speaks has decided, and said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What came of a badge: the scan that the gate decided alone, if it told one; what was seen of the strike, and by whoever looked."""

    decided: Heard | None
    sight: Sight
    released: bool | None

    @property
    def verdict(self) -> Verdict | None:
        """What the gate decided."""
        said = self.decided.message if self.decided is not None else None
        return said.offline_verdict if isinstance(said, Scan) else None

    @property
    def let_in(self) -> Sight:
        """What shows that somebody was let in; a denial that was told is as certain as a look."""
        if self.verdict is Verdict.GRANTED:
            return Sight(moved="the journal says granted", certain=True)
        certain = self.sight.certain or self.verdict is Verdict.DENIED
        return Sight(moved=self.sight.moved, certain=certain)

    @property
    def policy(self) -> bytes | None:
        """The digest of what the gate decided from, as it told."""
        said = self.decided.message if self.decided is not None else None
        return said.offline_policy if isinstance(said, Scan) else None


def is_decided(one: Heard) -> bool:
    """Whether it is a new scan that the gate decided alone."""
    return isinstance(one.message, Scan) and one.message.offline_verdict is not None and one.copy == 0


def silent(stage: Stage) -> Script[None]:
    """Fall silent, until no beacon counts."""
    if stage.now < stage.beacons_count_until:
        yield from stage.beats_again(stage.question.period)
        stage.beacons = False
        yield from listen(BEACONS_COUNT * stage.question.period.total_seconds() + ARRIVAL)
    stage.beacons = False


def give(stage: Stage, provided: Provided) -> Script[Given]:
    """Give the gate something to decide by, and time to take it."""
    given = yield from stage.give(provided)
    yield from listen(ARRIVAL)
    return given


def shown(stage: Stage, *, pin: str | None = None) -> Script[Shown]:
    """Have the bare card presented to a gate to which nobody speaks. Without somebody to do it the trial cannot go on."""
    before = len(stage.heard)
    typed = f" and type {pin}" if pin is not None else ""
    came = yield from ask(
        Ask(
            do=Do.PRESENT,
            sentence=f"Hold the badge '{CARD}' to the reader{typed}.",
            badge=CARD,
            pin=pin,
            wanted=lambda one: is_decided(one) or is_scan(one),
            within=_PATIENCE,
        )
    )
    if isinstance(came, Reply) and not came.done:
        raise CannotJudgeError("the badge could not be presented")
    if isinstance(came, Heard) and is_scan(came):
        yield stage.settle(came, Verdict.DENIED)
        raise CannotJudgeError("the gate asks though no beacon counts, so nothing shows what it does alone")
    yield from listen(AFTERMATH)
    released = yield from look()
    new = [one for one in stage.heard[before:] if one.copy == 0]
    passages = [one.message for one in new if isinstance(one.message, Passage)]
    decided = next((one for one in new if is_decided(one)), None)
    if decided is not None:
        _judge_told(stage, decided)
    moved = "the strike was released" if released else None
    if passages:
        moved = f"the gate reported {named(one.outcome for one in passages)}"
    certain = released is not None or stage.question.has_contact
    return Shown(decided=decided, sight=Sight(moved=moved, certain=certain), released=released)


def _judge_told(stage: Stage, decided: Heard) -> None:
    """Judge what every decision says of itself."""
    said = decided.message
    if not isinstance(said, Scan):
        return
    faults = {
        f"it came on the channel {decided.channel}": not decided.is_journal,
        "field 11 is missing": said.offline_policy is None,
        "field 11 is the digest of no snapshot": said.offline_policy not in {None, *stage.provisions.signed},
        "a PIN is in field 12": said.sealed_pin is not None,
        f"it is of {said.access_point}": said.access_point != stage.question.access_point,
    }
    for fault, is_so in faults.items():
        if is_so:
            stage.failed("GK-G-163", fault)


def lets_in(stage: Stage) -> Script[Given]:
    """Be sure that a gate to which nobody speaks lets the bare card in; if not, nothing shows what it refuses."""
    yield from silent(stage)
    given = yield from give(stage, stage.provisions.provided(stage.wall))
    seen = yield from shown(stage)
    opened = seen.sight.moved is not None or not seen.sight.certain
    if seen.verdict is Verdict.GRANTED and opened and seen.released is not False:
        stage.passed(
            "GK-G-161", "granted, in the journal" + (", and the strike released" if seen.sight.moved else "")
        )
        return given
    if seen.verdict is None and seen.sight.moved is not None:
        stage.failed("GK-G-163", f"{seen.sight.moved}, and nothing stands in the journal")
        raise CannotJudgeError("what the gate decides does not stand in its journal")
    stage.failed("GK-G-161", _why_not(stage, seen))
    raise CannotJudgeError(
        "the gate did not let in whom the snapshot lets in, so nothing shows what it refuses"
    )


def _why_not(stage: Stage, seen: Shown) -> str:
    if any(is_status(StatusKind.CLOCK_DOUBTED)(one) for one in stage.heard):
        return "it doubts its clock (clock-doubted)"
    if any(is_status(StatusKind.POLICY_REFUSED)(one) for one in stage.heard):
        return "it refused something that it was given (policy-refused)"
    if seen.verdict is Verdict.GRANTED:
        return "granted, in the journal, and the strike was not released"
    return "denied, in the journal" if seen.verdict is Verdict.DENIED else "nothing came of it"


def withheld(stage: Stage, provided: Provided, *, after: float = 0.0) -> Script[Sight]:
    """Give the gate something that lets nobody in, and have the badge presented some seconds later: who was let in."""
    yield from give(stage, provided)
    if after:
        yield from listen(after)
    return (yield from shown(stage)).let_in


def from_another(stage: Stage, seen: Shown, held: Given) -> bool:
    """Whether the gate decided from a snapshot that is not the one it must hold."""
    return seen.policy in stage.provisions.signed - {held.digest}


def judge_withheld(requirement: str, stage: Stage, cases: list[tuple[str, Sight]]) -> None:
    """Find that nobody was let in, or where somebody was."""
    broken = [f"{what}: {sight.moved}" for what, sight in cases if sight.moved is not None]
    whole = Sight(moved=some(broken) or None, certain=all(sight.certain for _, sight in cases))
    judge_still(stage, requirement, whole, good=f"in {len(cases)} cases nobody was let in")
