"""The live feed: the log as a stream of entries with names, and its lines for a person."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any

import orjson

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.cli.log.following import followed
from gatekeeper.cli.people.names import Names
from gatekeeper.cli.talk import data as out
from gatekeeper.core.audit import FORGOTTEN, NOBODY
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import StoredEntry
from gatekeeper.service.words import shown

__all__ = ["Feed", "FeedLine", "Screen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLine:
    """An entry as it is watched; `entry` is its body, and empty when that cannot be read."""

    seq: int
    at: datetime
    kind: str
    entry: Mapping[str, Any]
    holder: HolderId | None
    name: str | None

    def document(self) -> dict[str, Any]:
        """The line as JSON."""
        return {"seq": self.seq, "entry": self.entry, "holder": self.holder, "name": self.name}


class Feed:
    """The log of a site from a cursor on; it survives a database that goes and returns, and says so."""

    def __init__(self, dsn: str, site: SiteId, *, names: Names, persons_from: int) -> None:
        """`persons_from`: of entries before that one it is not told whom they are about; they are looked up otherwise."""
        self._dsn = dsn
        self._site = site
        self._vault = names
        self._persons_from = persons_from
        self._names: dict[HolderId, str | None] = {}

    async def lines(self, *, since: int, stop: asyncio.Event) -> AsyncIterator[FeedLine]:
        """Entries from `since` on, each with the holder's name where one is known, until `stop`."""
        async for _, line in followed(self._dsn, since=since, stop=stop, look=self._look):
            yield line

    async def _look(self, reading: PostgresReading, since: int) -> AsyncIterator[tuple[int, FeedLine]]:
        async for entry in reading.entries(self._site, since=since):
            yield entry.seq + 1, await self._line(reading, entry)

    async def _line(self, reading: PostgresReading, entry: StoredEntry) -> FeedLine:
        # INVARIANT: nobody learns from a feed where somebody was before it began.
        told = entry.seq >= self._persons_from and entry.person not in {NOBODY, FORGOTTEN}
        holder = entry.person if told else None
        if holder is not None and holder not in self._names:
            opened = await self._vault.open(await reading.names(self._site, [holder]))
            self._names[holder] = opened.get(holder)
        return FeedLine(
            seq=entry.seq,
            at=entry.at,
            kind=entry.kind,
            entry=_body(entry),
            holder=holder,
            name=self._names.get(holder) if holder is not None else None,
        )


def _body(entry: StoredEntry) -> Mapping[str, Any]:
    try:
        body = orjson.loads(entry.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


# -- for a person -----------------------------------------------------------------------------------------------------

_COLOURS = {
    "access.granted": "green",
    "access.denied": "red",
    "access.offline-granted": "green",
    "access.offline-denied": "red",
    "passage.forced": "bold red",
    "gate.silent": "bold red",
}
_BESIDE = " " * 16
_LONGEST_VALUE = 16


class Screen:
    """Shows lines of the feed, all in one time zone: who, where, granted or denied, and why."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._day = datetime.now(zone).date()

    def show(self, line: FeedLine) -> None:
        """Show an entry on one line, or on two where the screen is too narrow for its reasons."""
        at = line.at.astimezone(UTC).astimezone(self._zone)
        self._turn_to(at.date())
        who = shown(line.name or "-")
        head = (
            f"{line.seq:>6} {at:%H:%M:%S} {shown(line.kind):<17} {who:<20.20} {_where(line.entry)}".rstrip()
        )
        why = _why(line.entry)
        text = f"{head} {why}".rstrip()
        if why and len(text) > out.width:
            text = f"{head}\n{_BESIDE}{why}"
        out.print(text, style=_COLOURS.get(line.kind, ""), markup=False)

    def _turn_to(self, day: date) -> None:
        """Times have no date on a line; the day is said when it is another than the one before."""
        if day != self._day:
            out.print(f"{day:%Y-%m-%d}", style="dim")
            self._day = day


def _where(entry: Mapping[str, Any]) -> str:
    match entry:
        case {"from": source, "to": target}:
            return f"{_short(source)} -> {_short(target)}"
        case {"scope": scope, "on": on}:
            return f"{shown(scope)} {'on' if on else 'off'}"
        case {"gate": gate, "status": status}:
            return f"{shown(gate)} {shown(status)}"
        case {"gate": gate}:
            return shown(gate)
        case _:
            return ""


def _why(entry: Mapping[str, Any]) -> str:
    reason, reasons = entry.get("reason"), entry.get("reasons")
    others = [shown(one) for one in reasons if one != reason] if isinstance(reasons, list) else []
    if reason in (None, "granted"):
        return ""
    return f"{shown(reason)} (also {', '.join(others)})" if others else shown(reason)


def _short(value: object) -> str:
    """A zone or a state as it is; of a version only what tells it from another."""
    text = shown(value)
    return text if len(text) <= 32 else f"{text[:_LONGEST_VALUE]}..."
