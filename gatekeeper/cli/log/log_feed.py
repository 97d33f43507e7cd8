"""`gatekeeper audit feed`: what the log says, for systems that watch for incidents, in their own words (`schemas/feeds.md`).

A lossy rendering: it proves nothing and names no holder. Each entry goes out at least once. What was sent is remembered
after it was, so that a restart repeats some entries and loses none; every record has its entry's `seq`.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import orjson
import typer

from gatekeeper import __version__
from gatekeeper.adapters.postgres import PostgresReading, PostgresStoredTrees
from gatekeeper.adapters.syslog import CollectorAddress, CollectorLink, trusting
from gatekeeper.app import the_site
from gatekeeper.cli.log.following import Away, cursor_at, followed
from gatekeeper.cli.options import Data, Dsn, Site, VaultDsn, looking_databases, looking_settings, run
from gatekeeper.cli.serve import stop_signal
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import canonical_json, tenant_tree
from gatekeeper.core.export.feeds import Format, PublicEntry, record_of, syslog_message
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.ports import CollectorUnavailableError
from gatekeeper.service.files import write_whole

__all__ = ["feed"]

_Page = tuple[int, Sequence[PublicEntry]]
"""The `seq` behind some entries, and they."""

_NOT_DONE = 2
_MOST_ENTERPRISE = (1 << 32) - 1


def feed(
    spelling: Annotated[
        Format, typer.Option("--format", help="Elastic Common Schema, ArcSight CEF, or CloudEvents.")
    ],
    tenant: Annotated[str | None, typer.Option(help="Only what this tenant's tree holds.")] = None,
    since: Annotated[
        int | None, typer.Option(min=0, help="Begin at this entry; without it, at the first.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="File that remembers what was sent; where it does, the feed goes on there."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as the log grows.")] = False,
    syslog: Annotated[
        str | None,
        typer.Option(help="Collector, as tcp://host:port, tls://host:port or udp://host:port; else stdout."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(help="Authorities that a tls:// collector is believed by; else the machine's."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Our certificate for a tls:// collector that asks for one.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key, where that is another file.")] = None,
    enterprise: Annotated[
        int | None,
        typer.Option(
            min=0, max=_MOST_ENTERPRISE, help="Enterprise number for our structured data in syslog."
        ),
    ] = None,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Tell a system that watches for incidents what the log says: a lossy rendering, without proof and without names.

    Every entry goes out at least once, with its `seq`; `--state FILE` loses none over a restart.
    """
    settings = looking_settings(dsn=dsn, vault_dsn=vault_dsn, data=data, site=site)
    where = the_site(settings)
    of = None if tenant is None else TenantId(tenant)
    sink = _sink(spelling, syslog, enterprise=enterprise, ca=ca, certificate=certificate, key=key)
    memory = None if state is None else _Memory(state, where, of)
    kept = None if memory is None else memory.recall()
    begin = (since or 0) if kept is None else kept
    feeding = _Feeding(site=where, tenant=of, memory=memory, sink=sink)
    try:
        run(_feed(settings, feeding, begin, follow=follow))
    except BrokenPipeError as error:
        _let_stdout_go()
        say("Whoever read the feed is gone; what is not remembered comes again.")
        raise typer.Exit(_NOT_DONE) from error


def _let_stdout_go() -> None:
    """Else the interpreter would try to flush it once more at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Feeding:
    """What is told to whom."""

    site: SiteId
    tenant: TenantId | None
    memory: "_Memory | None"
    sink: "_Sink"

    async def look(self, reading: PostgresReading, since: int) -> AsyncGenerator[_Page, None]:
        """Entries from a cursor on to the end of the log as it is now, in pages, each with the `seq` behind it."""
        until = await reading.size(self.site)
        async for page in reading.public_entries(self.site, since=since, until=until, tenant=self.tenant):
            yield page

    async def tell(self, behind: int, entries: Sequence[PublicEntry]) -> None:
        """Send entries, and then remember that all before `behind` was sent. Raises CollectorUnavailableError."""
        await self.sink.send(entries)
        if self.memory is not None:
            self.memory.keep(behind)


async def _feed(settings: Settings, feeding: _Feeding, begin: int, *, follow: bool) -> None:
    stop = stop_signal()
    async with looking_databases(settings) as (dsn, _):
        since = await cursor_at(dsn, feeding.site, begin)
        await _must_have_tree(dsn, feeding.site, feeding.tenant)
        say(
            f"{feeding.site}: from entry {since} on, as a lossy rendering: audit export proves, a feed does not."
        )
        with closing(feeding.sink):
            if follow:
                await _follow(dsn, feeding, since, stop)
            else:
                await _once(dsn, feeding, since, stop)


async def _must_have_tree(dsn: str, site: SiteId, tenant: TenantId | None) -> None:
    if tenant is not None:
        async with PostgresStoredTrees.opened(dsn) as stored:
            if tenant_tree(tenant) not in await stored.heads(site):
                raise SettingError(f"The log of {site} has no tree of a tenant {tenant}.")


async def _once(dsn: str, feeding: _Feeding, since: int, stop: asyncio.Event) -> None:
    """Tell what the log holds; a collector that is away is not waited for."""
    async with aclosing(_held(dsn, feeding, since)) as pages:
        async for behind, entries in pages:
            if stop.is_set():
                return
            await feeding.tell(behind, entries)


async def _held(dsn: str, feeding: _Feeding, since: int) -> AsyncGenerator[_Page, None]:
    """What the log holds. Whatever fails where it is told is told there: it is no fault of the database."""
    async with PostgresReading.opened(dsn) as reading:
        async for page in feeding.look(reading, since):
            yield page


async def _follow(dsn: str, feeding: _Feeding, since: int, stop: asyncio.Event) -> None:
    """Tell what the log holds and what comes, until `stop`; what is away is waited for."""
    away = Away("The collector")
    async with aclosing(followed(dsn, since=since, stop=stop, look=feeding.look)) as pages:
        async for behind, entries in pages:
            while not stop.is_set():
                try:
                    await feeding.tell(behind, entries)
                except CollectorUnavailableError as error:
                    await away.wait(error, stop)
                else:
                    away.over()
                    break
            if stop.is_set():
                return


# -- where it goes ----------------------------------------------------------------------------------------------------


class _Sink(Protocol):
    """Where entries go."""

    async def send(self, entries: Sequence[PublicEntry]) -> None:
        """Send entries; they have arrived when this returns. Raises CollectorUnavailableError."""
        ...

    def close(self) -> None:
        """Send no more."""
        ...


def _sink(
    spelling: Format,
    syslog: str | None,
    *,
    enterprise: int | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
) -> _Sink:
    address = None if syslog is None else CollectorAddress.parse(syslog)
    encrypted = address is not None and address.way == "tls"
    if not encrypted and (ca or certificate or key):
        raise SettingError(
            "--ca, --certificate and --key are for a collector that is named as tls://host:port."
        )
    if key is not None and certificate is None:
        raise SettingError("--key belongs to a --certificate.")
    if address is None:
        return _Lines(spelling)
    tls = trusting(authorities=ca, certificate=certificate, key=key) if encrypted else None
    return _Messages(spelling, CollectorLink(address, tls=tls), enterprise)


class _Lines:
    """Records as lines on stdout."""

    def __init__(self, spelling: Format) -> None:
        self._spelling = spelling

    async def send(self, entries: Sequence[PublicEntry]) -> None:
        """Print them, at once."""
        sys.stdout.buffer.writelines(record + b"\n" for _, record in _records(self._spelling, entries))
        sys.stdout.buffer.flush()

    def close(self) -> None:
        """Stdout is not ours to close."""


class _Messages:
    """Records as syslog messages to a collector."""

    def __init__(self, spelling: Format, link: CollectorLink, enterprise: int | None) -> None:
        self._spelling, self._link, self._enterprise = spelling, link, enterprise

    async def send(self, entries: Sequence[PublicEntry]) -> None:
        """Send them. Raises CollectorUnavailableError."""
        await self._link.send(
            [
                syslog_message(entry, record, program=__version__, enterprise=self._enterprise)
                for entry, record in _records(self._spelling, entries)
            ]
        )

    def close(self) -> None:
        """End the link."""
        self._link.close()


def _records(spelling: Format, entries: Iterable[PublicEntry]) -> Iterable[tuple[PublicEntry, bytes]]:
    return ((entry, record_of(spelling, entry, program=__version__)) for entry in entries)


# -- what was sent ----------------------------------------------------------------------------------------------------


class _Memory:
    """A file that says where the feed of a site, or of a tenant of it, goes on: `{"since":N,"site":S,"tenant":T}`."""

    def __init__(self, file: Path, site: SiteId, tenant: TenantId | None) -> None:
        self._file, self._site, self._tenant = file, site, tenant

    def recall(self) -> int | None:
        """Where to go on; None at the first time. Raises SettingError when the file is of something else."""
        if not self._file.parent.is_dir():
            raise SettingError(f"There is no folder {self._file.parent} in which to remember what was sent.")
        if not self._file.exists():
            return None
        kept = self._file.read_bytes()
        try:
            since = orjson.loads(kept)["since"]
        except (ValueError, TypeError, KeyError):
            since = None
        if type(since) is not int or since < 0 or kept != self._spelled(since):
            whose = self._site if self._tenant is None else f"{self._site}, tenant {self._tenant}"
            raise SettingError(
                f"{self._file} does not say what was sent of {whose}: name another, or move it away."
            )
        return since

    def keep(self, since: int) -> None:
        """Remember that everything before an entry was sent."""
        write_whole(self._file, self._spelled(since))

    def _spelled(self, since: int) -> bytes:
        return canonical_json({"since": since, "site": self._site, "tenant": self._tenant}) + b"\n"
