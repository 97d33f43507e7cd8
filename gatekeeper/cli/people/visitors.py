"""`gatekeeper visitor`: somebody comes to visit: a holder with a host and an end, and a pass, in one command."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gatekeeper.cli.options import JsonOutput, at_a_site, by_an_operator, in_order
from gatekeeper.cli.people.desk import (
    OpenDesk,
    TenantOption,
    at_desk,
    conclude,
    hand_in,
    is_made,
    may_be_made,
    paper_of,
)
from gatekeeper.cli.people.passes import BadgeFiles, QrOption
from gatekeeper.cli.people.people import holder_document, read_wanted, standing
from gatekeeper.cli.people.visitor_files import app
from gatekeeper.cli.talk import data as out
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import Settings
from gatekeeper.model.badges import Assurance
from gatekeeper.model.people import HolderKind
from gatekeeper.service.administration.directory import KnownBadge, PeopleError, Registered, particulars_of
from gatekeeper.service.administration.instants import show_instant
from gatekeeper.service.administration.particulars import Particulars
from gatekeeper.service.administration.people import BadgeOrder, new_holder_id

__all__ = ["app"]


@app.command("add")
@by_an_operator
def visitor_add(
    name: Annotated[str, typer.Argument(help="The visitor's name.")],
    host: Annotated[str, typer.Option("--host", help="The holder who receives them.")],
    until: Annotated[
        str, typer.Option("--until", help="Until when: 17:00, 2027-12-31 (that day included), or a time.")
    ],
    profiles: Annotated[
        str, typer.Option("--profiles", help='Access profiles of the tenant: "guest", or "guest lab".')
    ],
    since: Annotated[str, typer.Option("--from", help="Since when; else from now on.")] = "",
    clearance: Annotated[
        str, typer.Option("--clearance", help="The highest level they may come to, 0 to 5.")
    ] = "1",
    max_uses: Annotated[
        int | None,
        typer.Option("--max-uses", min=1, help="How often the pass may be used; else without limit."),
    ] = None,
    qr: QrOption = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Register a visitor and issue the pass, which ends with the visit; the visitor's id is printed."""
    files = BadgeFiles(out=None, qr=qr)
    files.see_new()
    given = {
        "name": name,
        "kind": HolderKind.VISITOR.value,
        "clearance": clearance,
        "profiles": profiles,
        "from": since,
        "until": until,
        "host": host,
    }
    with at_desk(settings, tenant=tenant, about=host, changes=True) as at:
        now, visitor = datetime.now(UTC), new_holder_id("v")
        wanted = read_wanted(at.desk, visitor, given)
        if wanted.until is None:
            raise PeopleError("until: is empty: a visit has an end.")
        order = BadgeOrder(assurance=Assurance.BEARER, max_uses=max_uses)
        issued = at.desk.issue(order, to=wanted, status_index=at.status_index(), now=now)
        registration = at.desk.register(visitor, wanted, now=now, issued=[issued])
        with files.holding(issued, zone=at.zone):
            (outcome,) = hand_in(at, [paper_of(registration)])
        if not may_be_made(outcome):
            files.discard()
        elif not json_output:
            out.print(visitor)
            _tell(at, wanted, issued.badge.id, issued.badge.expires, files)
        document = {"holder": visitor, "badge": issued.badge.id, "until": issued.badge.expires}
        conclude(outcome, document, json_output=json_output)


def _tell(at: OpenDesk, wanted: Particulars, badge: str, ends: datetime, files: BadgeFiles) -> None:
    host = at.called(wanted.host) if wanted.host is not None else "nobody"
    say(f"{wanted.name} visits {host}; the pass {badge} ends {show_instant(ends, at.zone, ends=True)}.")
    if files.qr is None:
        say(f"To print it: gatekeeper badge show {badge} --qr pass.svg")
    files.tell()


@app.command("list")
@at_a_site
def visitor_list(
    everybody: Annotated[bool, typer.Option("--all", help="Also those whose visit has ended.")] = False,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Show who visits now or is expected, whom, until when, and where they are."""
    with at_desk(settings, tenant=tenant) as at:
        now, directory = datetime.now(UTC), at.directory
        visitors = [
            one
            for one in directory.everyone()
            if one.holder.kind is HolderKind.VISITOR
            and (everybody or now < one.holder.until or _is_inside(at, one))
        ]
        badges = directory.badges_by_holder()
        if json_output:
            documents = [
                holder_document(at, one, badges.get(one.holder.id, ())) for one in _soonest(visitors)
            ]
            json_line({"tenant": at.tenant, "visitors": documents})
            return
        table(
            ("visitor", "name", "host", "from", "until", "pass", "where"),
            [_row(at, one, badges.get(one.holder.id, ()), now) for one in _soonest(visitors)],
        )
    say(f"{len(visitors)} {'visitor' if len(visitors) == 1 else 'visitors'} of {at.tenant}.")


def _soonest(visitors: list[Registered]) -> list[Registered]:
    return sorted(visitors, key=lambda one: (one.holder.since, one.holder.id))


def _row(at: OpenDesk, one: Registered, badges: Sequence[KnownBadge], now: datetime) -> tuple[Any, ...]:
    holder, here = one.holder, at.presences.get(one.holder.id)
    passes = ["ended" if holder.until <= now else standing(badge, now) for badge in badges]
    return (
        holder.id,
        one.name,
        "" if holder.host is None else at.called(holder.host),
        show_instant(holder.since, at.zone, ends=False),
        show_instant(holder.until, at.zone, ends=True),
        "active" if "active" in passes else " ".join(sorted(set(passes))) or "none",
        "" if here is None else here.zone,
    )


def _is_inside(at: OpenDesk, one: Registered) -> bool:
    here = at.presences.get(one.holder.id)
    return here is not None and here.zone != at.policy.outside


@app.command("end")
@by_an_operator
def visitor_end(
    visitor: Annotated[str, typer.Argument(metavar="VISITOR", help="The visitor's id.")],
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """End a visit now, or one that has not begun; the pass opens nothing any more."""
    with at_desk(settings, tenant=tenant, about=visitor, changes=True) as at:
        now, registered = datetime.now(UTC).replace(microsecond=0), at.person(visitor)
        holder = registered.holder
        if holder.kind is not HolderKind.VISITOR:
            raise PeopleError(f"{at.called(holder.id)} is no visitor, but {holder.kind.value}.")
        if holder.until <= now:
            ended = show_instant(holder.until, at.zone, ends=True)
            if json_output:
                json_line({"holder": holder.id, "version": holder.version, "outcome": "unchanged"})
            else:
                say(f"Nothing to change: the visit of {at.called(holder.id)} ended {ended}.")
            return
        at.say_if_inside([holder.id])
        registration = at.desk.register(holder.id, _ended(particulars_of(registered), now), now=now)
        (outcome,) = hand_in(at, [paper_of(registration)])
        if not json_output and is_made(outcome):
            say(f"The visit of {at.called(holder.id)} ends now.")
        document = {"holder": holder.id, "version": registration.holder.version}
        conclude(outcome, document, json_output=json_output)


def _ended(particulars: Particulars, now: datetime) -> Particulars:
    since = particulars.since
    return replace(particulars, until=now, since=now if since is None else min(since, now))


in_order(app, "add", "list", "end", "import")
