"""`gatekeeper presence` and `gatekeeper watch`: who is where, and what happens now."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import typer

from gatekeeper.adapters.postgres import PostgresReading, connect
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.options import Data, Dsn, JsonOutput, Site, VaultDsn, quiet_settings, run
from gatekeeper.cli.serve import stop_signal
from gatekeeper.cli.talk import data as out
from gatekeeper.cli.talk import json_line, local, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.trust import TrustRefused, read_trust
from gatekeeper.model.ids import HolderId, SiteId, ZoneId
from gatekeeper.model.policy import compile_policy
from gatekeeper.ports import LedgerUnavailableError, StoredEntry
from gatekeeper.service.engine.sealing import open_personal

__all__ = ["Feed", "presence", "watch"]

_COLOURS = {"access.granted": "green", "access.denied": "red", "passage.forced": "bold red"}
_LOOK_EVERY_SECONDS = 1.0


def presence(
    zone: Annotated[str | None, typer.Option(help="Only this zone and what lies inside it.")] = None,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Show who is where, since when, and how sure that is."""
    run(_presence(quiet_settings(data=data, site=site, dsn=dsn, vault_dsn=vault_dsn), zone, json_output))


async def _presence(settings: Settings, zone: str | None, json_output: bool) -> None:
    site = the_site(settings)
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        inside = await _inside(settings, reading, site)
        if zone is not None and zone not in inside:
            raise SettingError(f"The site has no zone {zone}; it has {', '.join(sorted(inside))}.")
        zones = None if zone is None else sorted(inside[ZoneId(zone)])
        rows = await reading.presence(site, zones=zones)
        size = await reading.size(site)
    if json_output:
        json_line({"site": site, "cursor": size, "present": [asdict(row) for row in rows]})
        return
    table(
        ("zone", "name", "holder", "tenant", "since", "how sure"),
        [(row.zone, row.name, row.holder, row.tenant, local(row.since), row.quality) for row in rows],
    )
    out.print(f"{len(rows)} people; as of entry {size}.", style="dim")


async def _inside(
    settings: Settings, reading: PostgresReading, site: SiteId
) -> Mapping[ZoneId, frozenset[ZoneId]]:
    """Which zones lie in which, by the policy in force."""
    trust_list, policy = await reading.document(site, "trust"), await reading.document(site, "policy")
    if trust_list is None or policy is None:
        raise SettingError(f"The database holds no site {site}.")
    trust = read_trust(trust_list, anchor=site_folder(settings, site).read_anchor(), not_below=0)
    if isinstance(trust, TrustRefused):
        raise SettingError(f"The trust list is not believed: {trust.code.sentence}")
    written = read_policy(policy, trust=trust)
    if isinstance(written, PolicyRefused):
        raise SettingError(f"The policy is not believed: {written.code.sentence}")
    return compile_policy(written.written, agreements=trust.agreements, sources=(policy,)).inside


def watch(
    since: Annotated[
        int | None, typer.Option(help="Begin at this entry; without it, with what comes now.")
    ] = None,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Follow the log as it grows; `--since SEQ` goes on where an earlier watch ended."""
    run(_watch(quiet_settings(data=data, site=site, dsn=dsn, vault_dsn=vault_dsn), since, json_output))


async def _watch(settings: Settings, since: int | None, json_output: bool) -> None:
    site = the_site(settings)
    stop = stop_signal()
    async with databases(settings) as (dsn, vault_dsn):
        feed = Feed(dsn, vault_dsn, site)
        async for line in feed.lines(since=since, stop=stop):
            if json_output:
                json_line(line)
            else:
                print_line(line)


def print_line(line: Mapping[str, Any]) -> None:
    """One line of the live feed for a person: who, where, granted or denied, and why."""
    entry = line["entry"]
    why = ", ".join(reason for reason in entry.get("reasons", ()) if reason != entry.get("reason"))
    reason = "" if entry.get("reason") == "granted" else entry.get("reason", "")
    where = f"{entry.get('from', '')} -> {entry.get('to', '')}" if "to" in entry else entry.get("gate", "")
    out.print(
        f"{entry['seq']:>7} {entry['at'][11:23]} {entry['kind']:<17} {line['name'] or '-':<28.28} {where:<36} "
        f"{reason} {f'({why})' if why else ''}".rstrip(),
        style=_COLOURS.get(entry["kind"], ""),
        markup=False,
    )


class Feed:
    """The log as a stream of entries with names, from a cursor on; it survives a database that goes and returns."""

    def __init__(self, dsn: str, vault_dsn: str, site: SiteId) -> None:
        self._dsn = dsn
        self._vault = PostgresKeyVault(vault_dsn)
        self._site = site
        self._keys: dict[HolderId, bytes] = {}
        self._names: dict[HolderId, str] = {}

    async def lines(self, *, since: int | None, stop: asyncio.Event) -> AsyncIterator[Mapping[str, Any]]:
        """Entries from `since` on (None: from now on), each with the holder's name where one is known, until `stop`."""
        cursor = since
        grown = asyncio.Event()
        while not stop.is_set():
            with suppress(LedgerUnavailableError):
                async with PostgresReading.opened(self._dsn) as reading:
                    listening = await connect(self._dsn)
                    try:
                        await listening.add_listener("gatekeeper_entry", lambda *_: grown.set())
                        cursor = await reading.size(self._site) if cursor is None else cursor
                        while not stop.is_set():
                            grown.clear()
                            async for entry in reading.entries(self._site, since=cursor):
                                cursor = entry.seq + 1
                                yield await self._line(reading, entry)
                            await _either(grown, stop)
                    finally:
                        listening.terminate()

    async def _line(self, reading: PostgresReading, entry: StoredEntry) -> Mapping[str, Any]:
        holder = entry.person
        if holder is not None and holder not in self._names:
            self._names |= await reading.names(self._site, [holder])
        return {
            "seq": entry.seq,
            "entry": json.loads(entry.body),
            "holder": holder,
            "name": self._names.get(holder) if holder is not None else None,
        }

    async def personal(self, entry: StoredEntry) -> Mapping[str, Any] | None:
        """What is personal in an entry, when its person was not forgotten."""
        if entry.personal is None or entry.person is None:
            return None
        if entry.person not in self._keys:
            self._keys = dict(await self._vault.keys(self._site))
        key = self._keys.get(entry.person)
        if key is None:
            return None
        opened: Mapping[str, Any] = json.loads(
            open_personal(entry.personal, key=key, site=self._site, seq=entry.seq)
        )
        return opened


async def _either(grown: asyncio.Event, stop: asyncio.Event) -> None:
    """Wait for news or for the end, a second at the most: a notification may be lost with its connection."""
    waits = [asyncio.ensure_future(grown.wait()), asyncio.ensure_future(stop.wait())]
    await asyncio.wait(waits, timeout=_LOOK_EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
