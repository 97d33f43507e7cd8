"""`gatekeeper privacy`: a person's own data, who looked at it, and forgetting them."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, the_site
from gatekeeper.cli.host.changes import submit
from gatekeeper.cli.host.signing import believed
from gatekeeper.cli.host.site_clock import FromOption, ToOption, site_clock, span_typed
from gatekeeper.cli.new_files import see_new, write_all
from gatekeeper.cli.options import JsonOutput, by_an_operator, run
from gatekeeper.cli.people.desk import OpenDesk, at_desk
from gatekeeper.cli.people.lookups import (
    PurposeOption,
    ReasonOption,
    entries_of,
    look_up,
    one_line,
    tenant_of,
)
from gatekeeper.cli.people.people import HolderArgument, badge_document, holder_document
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import ErasureChange
from gatekeeper.model.ids import HolderId, SiteId, TenantId
from gatekeeper.service.administration.directory import KnownBadge, Registered
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.administration.own_data import OwnData, PersonEntry, is_movement
from gatekeeper.service.administration.own_page import own_page
from gatekeeper.service.administration.photos import open_photo
from gatekeeper.service.words import counted

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="A person's own data, and forgetting them.")


# -- forgetting ---------------------------------------------------------------------------------------------------------


@app.command()
@by_an_operator
def erase(
    holder: HolderArgument,
    reason: ReasonOption = None,
    *,
    settings: Settings,
) -> None:
    """Propose to forget a person, for good: it takes a second person. Nobody undoes it, and no backup."""
    said, site = one_line("--reason", reason), the_site(settings)
    who = HolderId(holder)
    tenant = run(_tenant_of(settings, site, who))
    submit(settings, site, ErasureChange(holder=who, reason=said), tenant=tenant)


async def _tenant_of(settings: Settings, site: SiteId, holder: HolderId) -> TenantId:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        return await tenant_of(reading, site, holder)


# -- where somebody was -------------------------------------------------------------------------------------------------


@app.command()
@by_an_operator
def movements(
    holder: HolderArgument,
    purpose: PurposeOption = None,
    since: FromOption = None,
    until: ToOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Show where somebody was, and wanted to be; that you looked, and what for, stands in the log first.

    --from and --to ask when it happened; what a gate told later says when, beside it.
    """
    why, site = one_line("--purpose", purpose), the_site(settings)
    seq, found, zone = run(_movements(settings, site, HolderId(holder), why, (since, until)))
    if json_output:
        told = [one.document() for one in found]
        json_line({"holder": holder, "looked_up_in_entry": seq, "movements": told})
        return
    rows = [
        (
            one.seq,
            show_time(one.happened.at, zone),
            show_time(one.at, zone) if one.happened.is_late else "",
            one.happened.clock if one.happened.is_late else "",
            one.kind,
            one.body.get("access_point", ""),
            one.body.get("reason", ""),
        )
        for one in found
    ]
    table(("entry", "happened", "told", "by the clock", "what", "where", "why"), rows)
    say(f"{counted(len(found), 'entry', 'entries')}; times are by the clock of {zone.key}.")


async def _movements(
    settings: Settings,
    site: SiteId,
    holder: HolderId,
    purpose: str,
    between: tuple[str | None, str | None],
) -> tuple[int, list[PersonEntry], ZoneInfo]:
    async with databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        trust, _ = await believed(reading, settings, site)
        zone = await site_clock(reading, site, trust=trust)
        begins, ends = span_typed(*between, zone)
        seq = await look_up(reading, settings, site, holder, purpose)
        found = [
            entry
            async for entry in entries_of(reading, vault_dsn, site, holder)
            if is_movement(entry.kind)
            and (begins is None or begins <= entry.happened.at)
            and (ends is None or entry.happened.at < ends)
        ]
        return seq, found, zone


# -- a person's own data ------------------------------------------------------------------------------------------------


@app.command()
@by_an_operator
def export(
    holder: HolderArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE.html",
            help="The page to read, a new file; beside it goes FILE.json, new too.",
        ),
    ],
    purpose: PurposeOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Write all that the site knows of a person, for that person: a page to read (English, Dutch), and JSON."""
    why = one_line("--purpose", purpose)
    if out.suffix != ".html":
        raise SettingError(f"--out: {out} does not end in .html.")
    machine = out.with_suffix(".json")
    see_new(out, machine)
    with at_desk(settings, tenant=None, about=holder) as at:
        registered = at.directory.get(HolderId(holder))
        own = run(_own_data(at, registered, why))
        write_all({out: own_page(own, policy=at.policy), machine: _machine(own)})
    told = {"holder": holder, "entry": own.entry, "page": str(out), "json": str(machine)}
    if json_output:
        json_line({**told, "entries": len(own.entries)})
    else:
        say(
            f"{counted(len(own.entries), 'entry', 'entries')} of {holder}: {told['page']} and {told['json']}."
        )


async def _own_data(at: OpenDesk, registered: Registered, purpose: str) -> OwnData:
    who, here = registered.holder.id, at.presences.get(registered.holder.id)
    async with databases(at.settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        seq = await look_up(reading, at.settings, at.site, who, purpose)
        entries = [entry async for entry in entries_of(reading, vault_dsn, at.site, who)]
        photo = await _photo(reading, PostgresKeyVault(vault_dsn), at.site, registered)
    told = holder_document(at, registered, ())
    return OwnData(
        site=at.site,
        holder=who,
        made_at=datetime.now(UTC),
        entry=seq,
        registration={key: value for key, value in told.items() if key not in {"badges", "zone"}},
        badges=[_badge(at, badge) for badge in at.directory.badges_of(who)],
        whereabouts=None if here is None else asdict(here),
        photo=photo,
        entries=entries,
    )


def _badge(at: OpenDesk, badge: KnownBadge) -> dict[str, Any]:
    """A badge as its holder may read it aloud."""
    return {key: value for key, value in badge_document(at, badge).items() if key not in {"duress", "holder"}}


async def _photo(
    reading: PostgresReading, vault: PostgresKeyVault, site: SiteId, registered: Registered
) -> bytes | None:
    who, digest = registered.holder.id, registered.holder.photo
    sealed = None if digest is None else await reading.photo(site, who, digest)
    key = (await vault.keys_of(site, [who])).get(who)
    if digest is None or sealed is None or key is None:
        return None
    return open_photo(sealed, key=key, site=site, holder=who, digest=digest)


def _machine(own: OwnData) -> bytes:
    return orjson.dumps(own.document(), default=str, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2) + b"\n"
