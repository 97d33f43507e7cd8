"""`gatekeeper badge suspend|lost|stolen|revoke|reinstate|expire`: what has become of a badge.

    suspend    for a while             reinstate    active again: after suspend, lost or stolen
    lost       it may turn up          stolen       somebody else may have it
    revoke     for good                expire       it ends in good order: taken from its holder, no alarm when shown

`set` says the same with the state's own name, for programs that have one at hand.

What an officer of the host has stopped, the host lets go (`reinstate --operator`), and not the badge's tenant.
For a holder's id, each goes for all their badges of whom less was said before; what was replaced stays revoked.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gatekeeper.cli.options import (
    JsonOutput,
    by_an_operator,
)
from gatekeeper.cli.people.desk import (
    OpenDesk,
    TenantOption,
    at_desk,
    conclude_all,
    hand_in,
    is_made,
    paper_of,
)
from gatekeeper.cli.people.people import badge_document
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import Settings
from gatekeeper.core.change import BadgeStateChange
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import HolderId
from gatekeeper.service.administration.directory import KnownBadge, PeopleError, particulars_of
from gatekeeper.service.administration.instants import show_instant

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Issue badges, and say what has become of them.")

Which = Annotated[
    str, typer.Argument(metavar="BADGE|HOLDER", help="A badge's id, or a holder's for all of theirs.")
]
_SAID: Final = tuple(BadgeState)  # the later says more
_IN_GOOD_ORDER: Final = frozenset({BadgeState.ACTIVE, BadgeState.SUSPENDED})


def _becomes(state: BadgeState, says: str) -> None:
    """Make the command that says one thing of badges."""
    verb = _VERBS[state]

    def command(
        which: Which,
        tenant: TenantOption = None,
        json_output: JsonOutput = False,
        *,
        settings: Settings,
    ) -> None:
        _say(settings, which, state, tenant=tenant, json_output=json_output)

    command.__doc__ = says
    app.command(verb)(by_an_operator(command))


_VERBS: Final = {
    BadgeState.SUSPENDED: "suspend",
    BadgeState.LOST: "lost",
    BadgeState.STOLEN: "stolen",
    BadgeState.REVOKED: "revoke",
    BadgeState.ACTIVE: "reinstate",
}
_becomes(BadgeState.SUSPENDED, "Suspend a badge: it opens nothing until it is reinstated.")
_becomes(BadgeState.LOST, "Say that a badge is lost; it may be found and reinstated.")
_becomes(BadgeState.STOLEN, "Say that a badge is stolen: whoever shows it raises an alarm.")
_becomes(BadgeState.REVOKED, "Revoke a badge for good, from the next scan on.")
_becomes(BadgeState.ACTIVE, "Let a badge count again: of a holder's, those that are suspended.")


@app.command("set")
@by_an_operator
def badge_set(
    which: Which,
    state: Annotated[BadgeState, typer.Argument(help="What has become of it.")],
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Say that a badge is active, suspended, lost, stolen or revoked; it counts from the next scan on."""
    _say(settings, which, state, tenant=tenant, json_output=json_output)


def _say(settings: Settings, which: str, state: BadgeState, *, tenant: str | None, json_output: bool) -> None:
    with at_desk(settings, tenant=tenant, about=which) as at:
        badges = at.badges(which)
        _say_of(at, _meant(badges, state, which), state, json_output=json_output)


def _meant(badges: Sequence[KnownBadge], state: BadgeState, name: str) -> list[KnownBadge]:
    """Of which badges a state is to be said. Raises PeopleError when it cannot be said of the one that is named."""
    if not badges:
        raise PeopleError(f"{name} holds no badge.")
    if badges[0].badge.id != name:
        if state is BadgeState.ACTIVE:
            return _suspended(badges, name)
        return [one for one in badges if _SAID.index(one.state) < _SAID.index(state)]
    (named,) = badges
    if named.state is state:
        return []
    if named.state is BadgeState.REVOKED:
        raise PeopleError(
            f"Badge {name} is revoked, and that is for good: issue another (gatekeeper badge replace {name})."
        )
    return [named]


def _suspended(badges: Sequence[KnownBadge], holder: str) -> list[KnownBadge]:
    """Those of a holder's badges that count again together. What is lost or stolen is named one by one, or PeopleError."""
    suspended = [one for one in badges if one.state is BadgeState.SUSPENDED]
    stopped = [one for one in badges if one.state in {BadgeState.LOST, BadgeState.STOLEN}]
    if stopped and not suspended:
        named = ", ".join(f"{one.badge.id} ({one.state.value})" for one in stopped)
        raise PeopleError(f"{holder} holds what is lost or stolen: name the badge that was found. {named}.")
    return suspended


def _say_of(at: OpenDesk, badges: Sequence[KnownBadge], state: BadgeState, *, json_output: bool) -> None:
    if not badges and not json_output:
        say("Nothing to change: no badge that is meant is any different.")
    if state is not BadgeState.ACTIVE:
        at.say_if_inside(one.holder for one in badges)
    outcomes = hand_in(at, [paper_of(BadgeStateChange(badge=one.badge.id, state=state)) for one in badges])
    made = [one for one, outcome in zip(badges, outcomes, strict=True) if is_made(outcome)]
    if not json_output and made:
        names = [(one.badge.id, at.called(one.holder), one.state.value) for one in made]
        table(("badge", "holder", "was", "is"), [(*one, state.value) for one in names])
    conclude_all(
        outcomes,
        [{"badge": one.badge.id, "holder": one.holder, "was": one.state.value} for one in badges],
        json_output=json_output,
    )


@app.command("expire")
@by_an_operator
def badge_expire(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="BADGE|HOLDER", help="A badge, or all of a holder's; else all whose time is over."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Take badges from their holders in good order: they open nothing any more, and raise no alarm when shown."""
    with at_desk(settings, tenant=tenant, about=which, changes=True) as at:
        now = datetime.now(UTC)
        held = at.badges(which) if which is not None else _ended(at, now)
        meant = [one for one in held if one.held and one.state in _IN_GOOD_ORDER]
        by_holder: dict[HolderId, list[KnownBadge]] = {}
        for one in meant:
            by_holder.setdefault(one.holder, []).append(one)
        if not meant and not json_output:
            say("Nothing to change: no badge that is meant is held by anybody.")
        if dry_run:
            if json_output:
                json_line({"changes": [badge_document(at, one) for one in meant]})
            else:
                _show(at, meant)
            return
        at.say_if_inside(one.holder for one in meant if which is not None)
        papers = [
            paper_of(
                at.desk.register(
                    holder,
                    particulars_of(at.person(holder)),
                    now=now,
                    without=frozenset(one.badge.id for one in badges),
                )
            )
            for holder, badges in by_holder.items()
        ]
        outcomes = hand_in(at, papers)
        if not json_output:
            made = zip(by_holder.values(), outcomes, strict=True)
            _show(at, [one for badges, outcome in made if is_made(outcome) for one in badges])
        about = [
            {"holder": holder, "badges": [one.badge.id for one in badges]}
            for holder, badges in by_holder.items()
        ]
        conclude_all(outcomes, about, json_output=json_output)


def _show(at: OpenDesk, badges: Sequence[KnownBadge]) -> None:
    if badges:
        table(("badge", "holder", "until"), [_row(at, one) for one in badges])


def _row(at: OpenDesk, one: KnownBadge) -> tuple[str, ...]:
    until = show_instant(one.badge.expires, at.zone, ends=True)
    return one.badge.id, at.called(one.holder), until


def _ended(at: OpenDesk, now: datetime) -> Sequence[KnownBadge]:
    everything = at.directory.badges_by_holder().values()
    return [one for badges in everything for one in badges if one.held and one.badge.expires <= now]
