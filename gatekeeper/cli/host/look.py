"""`gatekeeper presence` and `gatekeeper watch`: who is where, and what happens now."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import site_folder, the_site
from gatekeeper.cli.host.feed import Feed, Screen
from gatekeeper.cli.host.site_clock import clock_named, clock_watched
from gatekeeper.cli.log.following import log_size
from gatekeeper.cli.options import (
    Data,
    Dsn,
    JsonOutput,
    Site,
    VaultDsn,
    looking_databases,
    looking_settings,
    run,
)
from gatekeeper.cli.people.names import Names
from gatekeeper.cli.serve import stop_signal
from gatekeeper.cli.talk import data as out
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.trust import TrustRefused, read_trust
from gatekeeper.model.ids import SiteId, ZoneId
from gatekeeper.model.policy import compile_policy
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.words import counted, shown

__all__ = ["presence", "watch"]


def presence(
    zone: Annotated[str | None, typer.Option(help="Only this zone and what lies inside it.")] = None,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Show who is where, since when, and how sure that is."""
    run(_presence(looking_settings(dsn=dsn, vault_dsn=vault_dsn, data=data, site=site), zone, json_output))


async def _presence(settings: Settings, zone: str | None, json_output: bool) -> None:
    site = the_site(settings)
    async with looking_databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        inside, times = await _inside(settings, reading, site)
        if zone is not None and zone not in inside:
            raise SettingError(f"The site has no zone {zone}; it has {', '.join(sorted(inside))}.")
        zones = None if zone is None else sorted(inside[ZoneId(zone)])
        rows = await reading.presence(site, zones=zones)
        size = await reading.size(site)
        names = await Names(vault_dsn, site).open({row.holder: row.name for row in rows})
    rows = sorted(rows, key=lambda row: (row.zone, names.get(row.holder, ""), row.holder))
    if json_output:
        present = [{**asdict(row), "name": names.get(row.holder)} for row in rows]
        json_line({"site": site, "cursor": size, "present": present})
        return
    table(
        ("zone", "name", "holder", "tenant", "since", "how sure"),
        [
            (
                row.zone,
                shown(names.get(row.holder, "-")),
                row.holder,
                row.tenant or "-",
                show_time(row.since, times),
                row.quality,
            )
            for row in rows
        ],
        yielding=("name", "tenant"),
    )
    out.print(
        f"{counted(len(rows), 'person', 'people')}; as of entry {size}; times are {clock_named(times)}.",
        style="dim",
    )


async def _inside(
    settings: Settings, reading: PostgresReading, site: SiteId
) -> tuple[Mapping[ZoneId, frozenset[ZoneId]], ZoneInfo]:
    """Which zones lie in which, and the site's time zone, by the policy in force."""
    trust_list, policy = await reading.document(site, "trust"), await reading.document(site, "policy")
    if trust_list is None or policy is None:
        raise SettingError(f"The database holds no site {site}.")
    trust = read_trust(trust_list, anchor=site_folder(settings, site).read_anchor(), not_below=0)
    if isinstance(trust, TrustRefused):
        raise SettingError(f"The trust list is not believed: {trust.code.sentence}")
    written = read_policy(policy, trust=trust)
    if isinstance(written, PolicyRefused):
        raise SettingError(f"The policy is not believed: {written.code.sentence}")
    compiled = compile_policy(written.written, agreements=trust.agreements, sources=(policy,))
    return compiled.inside, compiled.timetable.time_zone


def watch(
    since: Annotated[
        int | None, typer.Option(min=0, help="Begin at this entry; without it, with what comes now.")
    ] = None,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Follow the log as it grows; `--since SEQ` goes on where an earlier watch ended.

    Who it was is shown of what happens from now on; of what is past, `gatekeeper privacy movements` tells, with a purpose.
    """
    run(_watch(looking_settings(dsn=dsn, vault_dsn=vault_dsn, data=data, site=site), since, json_output))


async def _watch(settings: Settings, since: int | None, json_output: bool) -> None:
    site = the_site(settings)
    stop = stop_signal()
    async with looking_databases(settings) as (dsn, vault_dsn):
        size = await log_size(dsn, site, since)
        cursor = size if since is None else since
        feed, screen = Feed(dsn, site, names=Names(vault_dsn, site), persons_from=size), None
        if not json_output:
            async with PostgresReading.opened(dsn) as reading:
                times = await clock_watched(reading, settings, site)
            screen = Screen(times)
            say(f"{site}: from entry {cursor} on; times are {clock_named(times)}. Ctrl-C ends.")
        async for line in feed.lines(since=cursor, stop=stop):
            if screen is None:
                json_line(line.document())
            else:
                screen.show(line)
