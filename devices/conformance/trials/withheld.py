"""Whom a gate that is alone lets in no longer, and whom not at all: each time the bare card would be let in but for one thing.

Nobody waits for hours: a right is given for a second, or by what was signed some time ago.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from devices.conformance.provisions import ALERT, SCOPE, YARD, Provided, Provisions
from devices.conformance.script import Script, Send, listen
from devices.conformance.site import HOST
from devices.conformance.stage import Stage
from devices.conformance.trials.pieces import Sight, beating, is_status
from devices.conformance.trials.solitude import (
    give,
    judge_withheld,
    lets_in,
    shown,
    silent,
    withheld,
)
from gatekeeper.cose.status_list import INVALID
from gatekeeper.model.badges import Badge
from gatekeeper.model.ids import AccessPointId, TenantId
from gatekeeper.model.messages import CommandKind, StatusKind, Verdict
from gatekeeper.model.snapshot import LocalPassback, SnapshotClass, Standing

__all__ = ["TAKEN_AWAY", "UNENTITLED", "locked_down_and_released", "try_ages", "try_rights", "try_taken_away"]

_SECOND: Final = timedelta(seconds=1)
_ELSEWHERE: Final = AccessPointId("elsewhere")
_HOUR: Final = 3600


def try_ages(stage: Stage) -> Script[None]:
    """Give snapshots that are over, or that no standing has named."""
    yield from lets_in(stage)
    cases: list[tuple[str, Sight]] = []

    def new() -> Provided:
        return stage.provisions.provided(stage.wall)

    def longest(provided: Provided, time: timedelta) -> Provided:
        points = {name: replace(point, longest=time) for name, point in provided.snapshot.points.items()}
        return replace(provided, snapshot=replace(provided.snapshot, points=points))

    made = longest(new(), 5 * _SECOND)
    old = replace(made, standing=replace(made.standing, issued=stage.wall - 10 * _SECOND))
    cases.append(("5 s alone, by a standing of 10 s ago", (yield from withheld(stage, old))))
    short = longest(new(), _SECOND)
    cases.append(("1 s alone, when that is over", (yield from withheld(stage, short, after=1.2))))
    made = new()
    another = {stage.question.gate: made.snapshot.version - 1}
    unnamed = replace(made, standing=replace(made.standing, snapshots=another))
    cases.append(("a standing that names another snapshot", (yield from withheld(stage, unnamed))))
    former, later = new(), new()
    names = {stage.question.gate: later.snapshot.version}
    before = replace(later, standing=replace(former.standing, snapshots=names))
    cases.append(("a standing from before the snapshot", (yield from withheld(stage, before))))
    made = new()
    since = int(stage.wall.timestamp()) + _HOUR // 2
    early = replace(made, snapshot=replace(made.snapshot, since=since))
    cases.append(("a snapshot from later on", (yield from withheld(stage, early))))
    made = new()
    until = int(stage.wall.timestamp()) + 1
    ends = replace(made, snapshot=replace(made.snapshot, until=until))
    cases.append(("a snapshot whose time is over", (yield from withheld(stage, ends, after=1.2))))
    judge_withheld("GK-G-164", stage, cases)


def try_taken_away(stage: Stage) -> Script[None]:
    """Take the right away in every way there is, and give it back with a newer trust list."""
    yield from lets_in(stage)
    cases: list[tuple[str, Sight]] = []
    for what, change in TAKEN_AWAY.items():
        made = stage.provisions.provided(stage.wall)
        cases.append((what, (yield from withheld(stage, change(stage.provisions, made)))))
    cases += yield from _order_to_lock_down(stage)
    cases.append((yield from _newer_trust(stage)))
    judge_withheld("GK-G-165", stage, cases)


def _order_to_lock_down(stage: Stage) -> Script[list[tuple[str, Sight]]]:
    """Order a lockdown and its end: until a standing of later nobody is let in. A gate that takes no commands shows nothing."""
    yield from lets_in(stage)
    follows_orders = yield from locked_down_and_released(stage)
    yield from silent(stage)
    if not follows_orders:
        return []
    seen = (yield from shown(stage)).let_in
    yield from lets_in(stage)
    return [("an order to lock down that the standing does not know", seen)]


def locked_down_and_released(stage: Stage) -> Script[bool]:
    """Order a lockdown and its end, while beacons tell the time; whether the gate follows such orders."""
    yield from beating(stage)
    told = None
    for kind, status in (
        (CommandKind.LOCK_DOWN, StatusKind.LOCKED_DOWN),
        (CommandKind.RELEASE, StatusKind.RELEASED),
    ):
        if stage.boot is None:
            return False
        wire = stage.service.command(kind, boot=stage.boot, issued=stage.wall)
        yield Send(topic=stage.service.command_topic, wire=wire)
        told = yield from listen(2.0, is_status(status))
    return told is not None


def _newer_trust(stage: Stage) -> Script[tuple[str, Sight]]:
    """Tell of a trust list that the gate does not have; then bring it."""
    issued = stage.wall + 2 * _SECOND
    version = int(issued.timestamp())
    made = stage.provisions.provided(stage.wall)
    seen = yield from withheld(stage, replace(made, standing=replace(made.standing, trust=version)))
    yield Send(topic=stage.provisions.trust_topic, wire=stage.provisions.trust(issued), retained=True)
    made = stage.provisions.provided(stage.wall)
    yield from give(stage, replace(made, standing=replace(made.standing, trust=version)))
    if (yield from shown(stage)).verdict is not Verdict.GRANTED:
        stage.failed("GK-G-165", "the trust list that a standing tells of came, and was not taken")
    return "a trust list that the gate does not have", seen


def try_rights(stage: Stage) -> Script[None]:
    """Present a badge that the snapshot does not let in."""
    yield from lets_in(stage)
    cases: list[tuple[str, Sight]] = []
    for what, change in UNENTITLED.items():
        made = stage.provisions.provided(stage.wall)
        cases.append((what, (yield from withheld(stage, change(stage.provisions, made)))))
    judge_withheld("GK-G-166", stage, cases)


def _of_badge(change: Callable[[Badge, Provisions], Badge], *, key: str = "issuer") -> "_Change":
    def changed(provisions: Provisions, made: Provided) -> Provided:
        badge = change(provisions.badge(made.snapshot.issued), provisions)
        return replace(made, snapshot=replace(made.snapshot, cards=provisions.cards(badge, key=key)))

    return changed


def _at_other_hours(_provisions: Provisions, made: Provided) -> Provided:
    now = int(made.snapshot.issued.timestamp())
    hours = (now - _HOUR, now - _HOUR // 4, now + _HOUR // 4, now + _HOUR)
    return replace(made, snapshot=replace(made.snapshot, hours=(hours,)))


def _without_a_row(_provisions: Provisions, made: Provided) -> Provided:
    return replace(made, snapshot=replace(made.snapshot, rows=b""))


def _elsewhere(provisions: Provisions, made: Provided) -> Provided:
    points = {**made.snapshot.points, _ELSEWHERE: provisions.point(_ELSEWHERE)}
    classes = (SnapshotClass(tenant=HOST, hours={_ELSEWHERE: 0}),)
    return replace(made, snapshot=replace(made.snapshot, points=points, classes=classes))


def _without_the_point(provisions: Provisions, made: Provided) -> Provided:
    made = _elsewhere(provisions, made)
    return replace(made, snapshot=replace(made.snapshot, points={_ELSEWHERE: provisions.point(_ELSEWHERE)}))


def _with_passback(_provisions: Provisions, made: Provided) -> Provided:
    """The card was let in at the beginning, into the zone that the access point leads to."""
    once = LocalPassback(within=None, zones=frozenset({YARD}))
    points = {name: replace(point, passback=once) for name, point in made.snapshot.points.items()}
    return replace(made, snapshot=replace(made.snapshot, points=points))


def _of_another_tenant(_provisions: Provisions, made: Provided) -> Provided:
    classes = tuple(replace(one, tenant=TenantId("another")) for one in made.snapshot.classes)
    return replace(made, snapshot=replace(made.snapshot, classes=classes))


def _by_standing(change: Callable[[Standing, Provisions], Standing]) -> "_Change":
    return lambda provisions, made: replace(made, standing=change(made.standing, provisions))


_Change = Callable[[Provisions, Provided], Provided]
UNENTITLED: Final[dict[str, _Change]] = {
    "at other hours": _at_other_hours,
    "a badge that is not in it": _without_a_row,
    "a right at another access point": _elsewhere,
    "an access point that is not in it": _without_the_point,
    "a class of another tenant": _of_another_tenant,
    "somebody who was let in already": _with_passback,
    "a badge that no issuer signed": _of_badge(lambda badge, _: badge, key="stranger"),
    "a badge that is expired": _of_badge(
        lambda badge, _: replace(badge, expires=badge.not_before + timedelta(minutes=10))
    ),
    "a badge that has not begun": _of_badge(
        lambda badge, _: replace(badge, not_before=badge.expires - timedelta(minutes=10))
    ),
}
"""Whom the snapshot does not let in, and how it is made for them."""
TAKEN_AWAY: Final[dict[str, _Change]] = {
    "a higher alert state": _by_standing(lambda standing, _: replace(standing, alert=ALERT + 1)),
    "a lockdown": _by_standing(lambda standing, _: replace(standing, lockdowns=frozenset({SCOPE}))),
    "a suspended tenant": _by_standing(lambda standing, _: replace(standing, suspended=frozenset({HOST}))),
    "a revoked badge": _by_standing(
        lambda standing, provisions: replace(standing, statuses={HOST: provisions.statuses(INVALID)})
    ),
    "a badge whose status is not listed": _by_standing(lambda standing, _: replace(standing, statuses={})),
}
"""What a standing takes away, and how it is made so."""
