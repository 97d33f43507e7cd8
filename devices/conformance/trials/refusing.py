"""What a gate must not believe of what it decides by when it is alone, and that it tells of it.

All lies of a kind are told in a row, for a gate that believes none does the same after all of them; one that was fooled is told
them again, each by itself.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from devices.conformance.findings import some
from devices.conformance.forgeries import Lie, false_snapshots, false_standings, false_trust, over
from devices.conformance.provisions import SCOPE, Given
from devices.conformance.script import Script, listen, send
from devices.conformance.stage import Stage
from devices.conformance.trials.pieces import ARRIVAL, Sight, is_status
from devices.conformance.trials.solitude import from_another, give, judge_withheld, lets_in, shown
from gatekeeper.model.messages import StatusKind, Verdict

__all__ = ["try_refusals"]


class _Told:
    """What was told of the lies, in the order in which they were said."""

    def __init__(self) -> None:
        self.heard: list[tuple[Lie, bool]] = []

    def faults(self, believed: set[str]) -> list[str]:
        """What is wrong with it; of a lie that was believed nothing is told."""
        by_code: dict[str, list[tuple[Lie, bool]]] = defaultdict(list)
        for lie, told in self.heard:
            if lie.what not in believed:
                by_code[lie.code].append((lie, told))
        silent = [f"nothing of {said[0][0].what}" for said in by_code.values() if not said[0][1]]
        again = [f"again of {lie.what}" for said in by_code.values() for lie, told in said[1:] if told]
        return [*silent, *again]


_Prepare = Callable[[], Script[tuple[Given, list[Lie]]]]
"""Gives the gate what lets nobody in, and makes the lies that would."""


def try_refusals(stage: Stage) -> Script[None]:
    """Tell every lie."""
    older = yield from lets_in(stage)
    told = _Told()
    cases: list[tuple[str, Sight]] = []
    for prepare in (lambda: _before_snapshots(stage, older), lambda: _before_standings(stage, older)):
        cases += yield from _fooled(stage, prepare, told)
    for place in range(2):
        cases.append((yield from _fooled_by_trust(stage, place, told)))
    cases.append((yield from _displaced(stage, told)))
    judge_withheld("GK-G-167", stage, cases)
    faults = told.faults({what for what, seen in cases if seen.moved is not None})
    codes = len({lie.code for lie, _ in told.heard})
    good = f"policy-refused, once for each of {codes} codes"
    stage.judge("GK-G-168", kept=not faults, good=good, bad=f"told {some(faults)}")


def _before_snapshots(stage: Stage, older: Given) -> Script[tuple[Given, list[Lie]]]:
    made = stage.provisions.provided(stage.wall)
    held = yield from give(stage, replace(made, snapshot=replace(made.snapshot, rows=b"")))
    return held, false_snapshots(stage.provisions, stage.wall, older=older)


def _before_standings(stage: Stage, older: Given) -> Script[tuple[Given, list[Lie]]]:
    made = stage.provisions.provided(stage.wall)
    held = yield from give(
        stage, replace(made, standing=replace(made.standing, lockdowns=frozenset({SCOPE})))
    )
    return held, false_standings(stage.provisions, stage.wall, held=made.snapshot, older=older)


def _fooled(stage: Stage, prepare: _Prepare, told: _Told) -> Script[list[tuple[str, Sight]]]:
    """What came of the lies."""
    held, lies = yield from prepare()
    for lie in lies:
        yield from _say(lie, told)
    together = yield from _shown_to(stage, held)
    if together.moved is None:
        return [(lie.what, together) for lie in lies]
    alone: list[tuple[str, Sight]] = []
    for place in range(len(lies)):
        held, lies = yield from prepare()
        yield from _say(lies[place], None)
        alone.append((lies[place].what, (yield from _shown_to(stage, held))))
    found = any(seen.moved is not None for _, seen in alone)
    return alone if found else [*alone, ("all of them together", together)]


def _fooled_by_trust(stage: Stage, place: int, told: _Told) -> Script[tuple[str, Sight]]:
    """What came of a false trust list. A gate that believed it is brought back with a true one of later."""
    made = stage.provisions.provided(stage.wall)
    held = yield from give(stage, replace(made, snapshot=replace(made.snapshot, rows=b"")))
    lie = false_trust(stage.provisions, stage.wall)[place]
    yield from _say(lie, told)
    seen = yield from _shown_to(stage, held)
    if seen.moved is not None:
        later = stage.provisions.trust(stage.wall + timedelta(minutes=2))
        yield from send(stage.provisions.trust_topic, later, retained=True)
    return lie.what, seen


def _displaced(stage: Stage, told: _Told) -> Script[tuple[str, Sight]]:
    """Bring a snapshot that is over, and clear the topic: whether what was held counts no more."""
    held = yield from give(stage, stage.provisions.provided(stage.wall))
    lie = over(stage.provisions, stage.wall)
    yield from _say(lie, told)
    yield from send(stage.provisions.policy_topic, b"", retained=True)
    cleared = yield from listen(ARRIVAL, is_status(StatusKind.POLICY_REFUSED))
    if cleared is not None:
        told.heard += [(replace(lie, what="a topic that was cleared"), True)]
    seen = yield from shown(stage)
    counts = seen.verdict is Verdict.GRANTED and not from_another(stage, seen, held)
    return lie.what, Sight(moved=None if counts else "what was held counts no more", certain=True)


def _say(lie: Lie, told: _Told | None) -> Script[None]:
    yield from send(*lie.wrong)
    came = yield from listen(ARRIVAL, is_status(StatusKind.POLICY_REFUSED))
    if told is not None:
        told.heard.append((lie, came is not None))
    for topic, wire in lie.then:
        yield from send(topic, wire)
    yield from listen(ARRIVAL)


def _shown_to(stage: Stage, held: Given) -> Script[Sight]:
    """Have the badge presented: who was let in; whoever decides by anything but what is held, believes what it must not."""
    seen = yield from shown(stage)
    if seen.let_in.moved is None and from_another(stage, seen, held):
        return Sight(moved="it decided from a snapshot that it must not hold", certain=True)
    return seen.let_in
