"""`gatekeeper holder`: a tenant registers its people. What is said of them is signed by the tenant, and made by the engine."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gatekeeper.cli.host.changes import holder as app
from gatekeeper.cli.options import JsonOutput, at_a_site, by_an_operator
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
from gatekeeper.cli.talk import data as out
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import Settings
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.card_numbers import write_card_number
from gatekeeper.model.ids import HolderId
from gatekeeper.model.people import HolderKind
from gatekeeper.service.administration.directory import (
    KnownBadge,
    PeopleError,
    Registered,
    particulars_of,
)
from gatekeeper.service.administration.instants import show_instant, show_time
from gatekeeper.service.administration.particulars import (
    Particulars,
    changed_columns,
    read_holder_id,
    read_particulars,
    write_particulars,
)
from gatekeeper.service.administration.people import Desk, new_holder_id

__all__ = ["app", "badge_document", "badge_table", "read_wanted", "standing"]

Kind = Annotated[str, typer.Option("--kind", help="staff, contractor, visitor, reservist or vehicle.")]
Profiles = Annotated[
    str | None, typer.Option("--profiles", help='Access profiles of the tenant: "teacher lab".')
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Since when: 2027-09-01, or 1-9-2027 (day first), or 2027-09-01T08:00; else from now on.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until", help="Until when: 2027-12-31 (that day included), or a time; else as long as may be."
    ),
]
Certificates = Annotated[
    list[str] | None,
    typer.Option("--certificate", help="A training and its end: first-aid=2027-12-31. May be repeated."),
]
Host = Annotated[str | None, typer.Option("--host", help="The holder who receives a visitor.")]
HolderArgument = Annotated[str, typer.Argument(metavar="HOLDER", help="The holder's id.")]


# -- add and change -----------------------------------------------------------------------------------------------------


@app.command("add")
@by_an_operator
def holder_add(
    name: Annotated[str, typer.Argument(help="The person's name (or a vehicle's).")],
    kind: Kind,
    clearance: Annotated[
        str, typer.Option("--clearance", help="The highest level they may come to, 0 to 5.")
    ],
    profiles: Profiles = None,
    since: From = None,
    until: Until = None,
    certificate: Certificates = None,
    host: Host = None,
    holder: Annotated[
        str | None, typer.Option("--id", help="The holder's id, a personnel number, say; else one is made.")
    ] = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Register somebody; the id is printed. Badges come with `badge issue`."""
    with at_desk(settings, tenant=tenant, changes=True) as at:
        who = _new_id(at, holder)
        given = _given(name=name, kind=kind, clearance=clearance, profiles=profiles, host=host)
        given |= _given(certificates=_joined(certificate), until=until) | {"from": since or ""}
        wanted = read_wanted(at.desk, who, given)
        _register(at, who, wanted, json_output=json_output)


@app.command("change")
@by_an_operator
def holder_change(
    holder: HolderArgument,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Another kind.")] = None,
    clearance: Annotated[str | None, typer.Option("--clearance", help="Another clearance, 0 to 5.")] = None,
    profiles: Annotated[
        str | None, typer.Option("--profiles", help='These profiles and no others: "teacher lab", or "".')
    ] = None,
    add_profile: Annotated[
        list[str] | None, typer.Option("--add-profile", help="One profile more. May be repeated.")
    ] = None,
    drop_profile: Annotated[
        list[str] | None, typer.Option("--drop-profile", help="One profile less. May be repeated.")
    ] = None,
    since: From = None,
    until: Until = None,
    certificate: Annotated[
        list[str] | None,
        typer.Option("--certificate", help="A training, new or renewed: first-aid=2027-12-31."),
    ] = None,
    drop_certificate: Annotated[
        list[str] | None, typer.Option("--drop-certificate", help="A training that counts no more.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help='Who receives a visitor; "" for nobody.')] = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Say something else of somebody; what is not named stays as it is. It counts from the next scan on."""
    with at_desk(settings, tenant=tenant, about=holder, changes=True) as at:
        registered = at.person(holder)
        written = write_particulars(particulars_of(registered), at.zone)
        given = _given(name=name, kind=kind, clearance=clearance, until=until, host=host, profiles=profiles)
        given |= {"from": since} if since is not None else {}
        given["profiles"] = _listed(
            given.get("profiles", written["profiles"]), add_profile or [], drop_profile or []
        )
        given["certificates"] = _renewed(written["certificates"], certificate or [], drop_certificate or [])
        wanted = read_wanted(at.desk, registered.holder.id, given)
        if not changed_columns(particulars_of(registered), wanted):
            _say_unchanged(at, registered, json_output=json_output)
            return
        _register(at, registered.holder.id, wanted, json_output=json_output)


def read_wanted(desk: Desk, holder: HolderId, given: Mapping[str, str]) -> Particulars:
    """Read what was said of somebody on the command line, and check it. Raises PeopleError with every problem."""
    now = datetime.now(UTC)
    former = desk.directory.find(holder)
    before = None if former is None else particulars_of(former)
    reading = read_particulars(given, former=before, zone=desk.zone, today=now.astimezone(desk.zone).date())
    problems = desk.problems(holder, reading, now=now)
    if problems:
        raise PeopleError("\n".join(f"{problem}." for problem in problems))
    return reading.particulars


def _register(at: OpenDesk, holder: HolderId, wanted: Particulars, *, json_output: bool) -> None:
    former = at.directory.find(holder)
    before = None if former is None else particulars_of(former)
    for note in at.desk.notes(wanted, changed_columns(before, wanted)):
        say(note)
    registration = at.desk.register(holder, wanted, now=datetime.now(UTC))
    version = registration.holder.version
    (outcome,) = hand_in(at, [paper_of(registration)])
    if not json_output and may_be_made(outcome):
        out.print(holder)
    if not json_output and is_made(outcome):
        say(f"{registration.name} ({holder}) of {at.tenant}, version {version}.")
    conclude(outcome, {"holder": holder, "version": version}, json_output=json_output)


def _say_unchanged(at: OpenDesk, registered: Registered, *, json_output: bool) -> None:
    holder = registered.holder
    if json_output:
        json_line({"holder": holder.id, "version": holder.version, "outcome": "unchanged", "entry": None})
    else:
        say(f"Nothing to change: that is what {at.tenant} says of {at.called(holder.id)} already.")


def _new_id(at: OpenDesk, given: str | None) -> HolderId:
    if given is None:
        return new_holder_id("h")
    try:
        holder = read_holder_id(given)
    except ValueError as error:
        raise PeopleError(f"id: {error}.") from None
    if at.directory.find(holder) is not None or holder in at.waiting:
        raise PeopleError(
            f"{at.tenant} has a holder {holder} already: change it (holder change {holder} ...)."
        )
    return holder


def _given(**texts: str | None) -> dict[str, str]:
    return {column: text for column, text in texts.items() if text is not None}


def _joined(items: list[str] | None) -> str | None:
    return None if items is None else " ".join(items)


def _listed(text: str, added: list[str], dropped: list[str]) -> str:
    """A list with some more and some less; as it is written when nothing is said of it."""
    if not added and not dropped:
        return text
    kept = [item for item in text.replace(",", " ").split() if item not in dropped]
    return " ".join([*kept, *(item for item in added if item not in kept)])


def _renewed(text: str, renewed: list[str], dropped: list[str]) -> str:
    names = {item.partition("=")[0] for item in renewed} | set(dropped)
    lapsed = [item for item in text.split() if item.partition("=")[0] in names]
    return _listed(text, renewed, lapsed)


# -- list and show ------------------------------------------------------------------------------------------------------


@app.command("list")
@at_a_site
def holder_list(
    kind: Annotated[HolderKind | None, typer.Option("--kind", help="Only people of this kind.")] = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Show whom a tenant has registered, with what, and until when."""
    with at_desk(settings, tenant=tenant) as at:
        directory = at.directory
        people = [one for one in directory.everyone() if kind is None or one.holder.kind is kind]
        badges = directory.badges_by_holder()
        unbelieved = directory.unbelieved()
        if json_output:
            documents = [holder_document(at, one, badges.get(one.holder.id, ())) for one in people]
            json_line({"tenant": at.tenant, "holders": documents, "not_believed": unbelieved})
            return
        now = datetime.now(UTC)
        table(
            ("holder", "name", "kind", "level", "profiles", "until", "badges", "where"),
            [_row(at, one, badges.get(one.holder.id, ()), now) for one in people],
        )
    say(f"{len(people)} {'person' if len(people) == 1 else 'people'} of {at.tenant}.")
    if unbelieved:
        shown = ", ".join(unbelieved[:10]) + (" ..." if len(unbelieved) > 10 else "")
        say(f"{len(unbelieved)} registrations are not signed by {at.tenant} and give no right: {shown}")


def _row(at: OpenDesk, one: Registered, badges: Sequence[KnownBadge], now: datetime) -> tuple[Any, ...]:
    holder = one.holder
    active = sum(standing(badge, now) == "active" for badge in badges)
    here = at.presences.get(holder.id)
    return (
        holder.id,
        one.name,
        holder.kind.value,
        holder.clearance,
        " ".join(holder.profiles),
        show_instant(holder.until, at.zone, ends=True),
        active,
        "" if here is None else here.zone,
    )


@app.command("show")
@at_a_site
def holder_show(
    holder: HolderArgument,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Show all that is registered of somebody, and their badges."""
    with at_desk(settings, tenant=tenant, about=holder) as at:
        registered = at.directory.get(HolderId(holder))
        badges = at.directory.badges_of(registered.holder.id)
    if json_output:
        json_line(holder_document(at, registered, badges))
        return
    one, here = registered.holder, at.presences.get(registered.holder.id)
    written = write_particulars(particulars_of(registered), at.zone)
    written["from"] = show_instant(one.since, at.zone, ends=False)
    written["until"] = show_instant(one.until, at.zone, ends=True)
    rows: list[tuple[str, Any]] = [("tenant", one.tenant), *written.items(), ("version", one.version)]
    rows.append(("PIN", "yes" if one.pin is not None else "no"))
    since = "" if here is None else f"{here.zone} since {show_time(here.since, at.zone)} ({here.quality})"
    rows.append(("where", since))
    table(("holder", one.id), rows)
    badge_table(at, badges)
    if one.id in at.waiting:
        say("A change of this holder was handed in and waits for an engine.")


def holder_document(at: OpenDesk, registered: Registered, badges: Sequence[KnownBadge]) -> dict[str, Any]:
    """Somebody as JSON."""
    holder, here = registered.holder, at.presences.get(registered.holder.id)
    return {
        "holder": holder.id,
        "tenant": holder.tenant,
        "name": registered.name,
        "kind": holder.kind.value,
        "clearance": holder.clearance,
        "profiles": holder.profiles,
        "from": holder.since,
        "until": holder.until,
        "certificates": dict(sorted(holder.certificates)),
        "host": holder.host,
        "version": holder.version,
        "pin": holder.pin is not None,
        "zone": None if here is None else here.zone,
        "badges": [badge_document(at, badge) for badge in badges],
    }


def badge_table(at: OpenDesk, badges: Sequence[KnownBadge]) -> None:
    """Badges for a person."""
    now = datetime.now(UTC)
    table(
        ("badge", "standing", "assurance", "level", "until", "uses", "card"),
        [
            (
                one.badge.id,
                standing(one, now),
                int(one.badge.assurance),
                one.badge.ceiling,
                show_instant(one.badge.expires, at.zone, ends=True),
                _uses(at, one),
                "" if one.badge.card is None else write_card_number(one.badge.card),
            )
            for one in badges
        ],
    )


def badge_document(at: OpenDesk, known: KnownBadge) -> dict[str, Any]:
    """A badge as JSON; never with what could be copied into another."""
    badge, usage = known.badge, at.usage.get(known.badge.id)
    return {
        "badge": badge.id,
        "holder": known.holder,
        "state": known.state.value,
        "standing": standing(known, datetime.now(UTC)),
        "assurance": int(badge.assurance),
        "ceiling": badge.ceiling,
        "from": badge.not_before,
        "until": badge.expires,
        "max_uses": badge.max_uses,
        "duress": badge.duress,
        "card": None if badge.card is None else write_card_number(badge.card),
        "uses": 0 if usage is None else usage.uses,
        "last_used": None if usage is None else usage.last_at,
        "locked_until": None if usage is None else usage.locked_until,
    }


def standing(known: KnownBadge, now: datetime) -> str:
    """In one word, whether a badge may open anything."""
    if known.state is not BadgeState.ACTIVE:
        return known.state.value
    if not known.held:
        return "taken away"
    if now < known.badge.not_before:
        return "not yet"
    return "active" if now < known.badge.expires else "ended"


def _uses(at: OpenDesk, known: KnownBadge) -> str:
    usage, most = at.usage.get(known.badge.id), known.badge.max_uses
    used = 0 if usage is None else usage.uses
    if most is not None:
        return f"{used} of {most}"
    return "" if usage is None else str(used)  # nobody counts where no rule asks
