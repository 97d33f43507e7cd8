"""Commands: one that opens, such that must not be obeyed, and a lockdown with its end.

Nothing says of a gate whether it takes commands. So the first one is true, and a gate of which nothing is heard then and at the
lies, has no such part.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from devices.conformance.script import Do, Script, Send, listen, look
from devices.conformance.service import OTHER_GATE
from devices.conformance.stage import Heard, Stage
from devices.conformance.trials.pieces import (
    AFTERMATH,
    AT_THE_DOOR,
    CannotJudgeError,
    Sight,
    asked,
    beating,
    granted,
    is_passage,
    is_status,
    judge_still,
)
from gatekeeper.model.messages import (
    DECISION_TYPE,
    CommandKind,
    Passage,
    PassageOutcome,
    Status,
    StatusKind,
)

__all__ = ["try_commands", "try_lockdown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lie:
    """A command that must not be obeyed: what a gate lacks that obeys it, and what such a one is called."""

    requirement: str
    code: str
    wire: Callable[[Stage, bytes, bytes], bytes]
    """Of the stage, the boot, and the true command that was obeyed."""


_LIES: Final = (
    _Lie(requirement="GK-G-151", code="repeated", wire=lambda _stage, _boot, obeyed: obeyed),
    _Lie(
        requirement="GK-G-153",
        code="repeated",
        wire=lambda stage, boot, _: stage.service.command(
            CommandKind.OPEN, boot=boot, issued=stage.wall, sequence=1
        ),
    ),
    _Lie(
        requirement="GK-G-152",
        code="of another boot",
        wire=lambda stage, boot, _: stage.service.command(
            CommandKind.OPEN, boot=hashlib.sha256(boot).digest()[:8], issued=stage.wall
        ),
    ),
    _Lie(
        requirement="GK-G-154",
        code="late",
        wire=lambda stage, boot, _: stage.service.command(
            CommandKind.OPEN, boot=boot, issued=stage.wall - timedelta(seconds=30)
        ),
    ),
    _Lie(
        requirement="GK-G-155",
        code="forged",
        wire=lambda stage, boot, _: stage.service.command(
            CommandKind.OPEN, boot=boot, issued=stage.wall, key="stranger"
        ),
    ),
    _Lie(
        requirement="GK-G-155",
        code="forged",
        wire=lambda stage, boot, _: stage.service.command(
            CommandKind.OPEN, boot=boot, issued=stage.wall, topic_of=OTHER_GATE
        ),
    ),
    _Lie(
        requirement="GK-G-155",
        code="forged",
        wire=lambda stage, boot, _: stage.service.command(
            CommandKind.OPEN, boot=boot, issued=stage.wall, typ=DECISION_TYPE
        ),
    ),
    _Lie(
        requirement="GK-G-156",
        code="of another gate",
        wire=lambda stage, boot, _: stage.service.command(
            CommandKind.OPEN, boot=boot, issued=stage.wall, gate=OTHER_GATE
        ),
    ),
)


def try_commands(stage: Stage) -> Script[None]:
    """Open, and then say every lie."""
    yield from beating(stage)
    boot = _boot(stage)
    # A number above 1, so that there is one below it.
    stage.service.command(CommandKind.OPEN, boot=boot, issued=stage.wall)
    true = stage.service.command(CommandKind.OPEN, boot=boot, issued=stage.wall)
    yield from look()
    yield _order(stage, true)
    opened = yield from listen(2.0, is_status(StatusKind.OPENED))
    yield from listen(AFTERMATH)
    released = yield from look()
    first = len(_told_of(stage, true))
    sights: list[tuple[str, Sight]] = []
    refused: dict[str, list[bytes]] = {}
    for lie in _LIES:
        wire = lie.wire(stage, boot, true)
        yield _order(stage, wire)
        yield from listen(AFTERMATH)
        moved = yield from _moved_by(stage, wire, known=first if wire == true else 0)
        sights.append((lie.requirement, moved))
        if moved.moved is None:
            refused.setdefault(lie.code, []).append(_digest(wire))
    refusals = _refusals(stage)
    if opened is None and not refusals:
        raise CannotJudgeError("the gate showed no sign of taking commands")
    confirmed = (
        opened is not None and isinstance(opened.message, Status) and opened.message.command == _digest(true)
    )
    stage.judge(
        "GK-G-150",
        kept=confirmed and released is not False,
        good="opened, with the digest of the command",
        bad="it was not told as opened with its digest" if not confirmed else "the strike was not released",
    )
    for requirement, sight in sights:
        judge_still(stage, requirement, sight, good="nothing came of it")
    wrong = [
        code
        for code, digests in refused.items()
        if [one for one in refusals if one in digests] != digests[:1]
    ]
    stage.judge(
        "GK-G-158",
        kept=not wrong,
        good=f"command-refused, once for each of {len(refused)} codes",
        bad=f"not once, with the digest of the first: {', '.join(wrong)}",
    )


def try_lockdown(stage: Stage) -> Script[None]:
    """Lock down, grant a badge, and release."""
    yield from beating(stage)
    down = stage.service.command(CommandKind.LOCK_DOWN, boot=_boot(stage), issued=stage.wall)
    yield _order(stage, down)
    told = yield from listen(2.0, is_status(StatusKind.LOCKED_DOWN))
    if told is None:
        raise CannotJudgeError("the gate showed no sign of following a lockdown")
    scan = yield from granted(stage, unlock=AT_THE_DOOR)
    yield from listen(AFTERMATH)
    sight = yield from _let_in(stage, scan)
    up = stage.service.command(CommandKind.RELEASE, boot=_boot(stage), issued=stage.wall)
    yield _order(stage, up)
    ended = yield from listen(2.0, is_status(StatusKind.RELEASED))
    confirmed = [_names(one, wire) for one, wire in ((told, down), (ended, up))]
    if not all(confirmed):
        stage.failed("GK-G-157", "locked-down or released was not told with the digest of its command")
    judge_still(stage, "GK-G-157", sight, good="a grant opened nothing, and both were told")


def _let_in(stage: Stage, scan: Heard) -> Script[Sight]:
    """Whether a grant lets somebody in: a door with a contact is opened, and tells."""
    released = yield from look()
    taken = False
    if stage.question.has_contact and not released:
        taken = yield from asked(
            Do.OPEN,
            "Open the door, whether its strike is released or not.",
            is_passage(PassageOutcome.TAKEN, scan.digest),
            within=1.0,
        )
        yield from asked(Do.CLOSE, "Close the door.", is_status(StatusKind.CLOSED_AGAIN), within=2.0)
    moved = "a grant in a lockdown let somebody in" if taken or released else None
    return Sight(moved=moved, certain=released is not None or stage.question.has_contact)


def _moved_by(stage: Stage, wire: bytes, *, known: int) -> Script[Sight]:
    """What shows that a command was obeyed."""
    told = len(_told_of(stage, wire)) > known
    released = yield from look()
    moved = "the gate told of it as obeyed" if told else "the strike was released" if released else None
    return Sight(moved=moved, certain=released is not None or stage.question.has_contact)


def _told_of(stage: Stage, wire: bytes) -> list[Heard]:
    """What a gate says of a command that it obeyed: that it opened, and what came of the strike."""
    digest = _digest(wire)
    return [
        one
        for one in stage.heard
        if one.copy == 0
        and (
            (isinstance(one.message, Passage) and one.message.scan == digest)
            or (is_status(StatusKind.OPENED)(one) and _names(one, wire))
        )
    ]


def _refusals(stage: Stage) -> list[bytes | None]:
    refused = is_status(StatusKind.COMMAND_REFUSED)
    return [one.message.command for one in stage.heard if isinstance(one.message, Status) and refused(one)]


def _names(one: Heard | None, wire: bytes) -> bool:
    return one is not None and isinstance(one.message, Status) and one.message.command == _digest(wire)


def _boot(stage: Stage) -> bytes:
    if stage.boot is None:
        raise CannotJudgeError("no hello was heard, so nobody knows the boot")
    return stage.boot


def _order(stage: Stage, wire: bytes) -> Send:
    return Send(topic=stage.service.command_topic, wire=wire)


def _digest(wire: bytes) -> bytes:
    return hashlib.sha256(wire).digest()
