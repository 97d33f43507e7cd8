"""The live feed: the log as a stream of entries with names, and its lines for a person."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

import orjson

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.cli.log.following import followed
from gatekeeper.cli.people.names import Names
from gatekeeper.cli.talk import data as out
from gatekeeper.core.audit import FORGOTTEN, NOBODY, timestamp
from gatekeeper.core.export.feeds import is_alarm
from gatekeeper.core.happened import Clock, Happened, happened
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

    @property
    def happened(self) -> Happened:
        """When what it tells of happened, which may be long before it was logged."""
        return happened(self.entry, logged=self.at)

    @property
    def is_alarm(self) -> bool:
        """Whether somebody must look at it at once."""
        return is_alarm(self.kind, self.entry)

    def document(self) -> dict[str, Any]:
        """The line as JSON."""
        then = self.happened
        return {
            "seq": self.seq,
            "entry": self.entry,
            "happened": timestamp(then.at),
            "happened_by": then.clock.value,
            "alarm": self.is_alarm,
            "holder": self.holder,
            "name": self.name,
        }


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
}
_ALARM = "bold red"
_BESIDE = " " * 16
_LONGEST_VALUE = 16


class Screen:
    """Shows lines of the feed, all in one time zone: when it happened, who, where, granted or denied, and why.

    Lines come as the log was told. What happened long before has the time of then, and beside it when it was told.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._day = _day(datetime.now(zone))

    def show(self, line: FeedLine) -> None:
        """Show an entry on one line, or on two where the screen is too narrow for its reasons."""
        then = line.happened
        at, told = (one.astimezone(UTC).astimezone(self._zone) for one in (then.at, then.logged))
        self._turn_to(_day(told))
        who, alarm = shown(line.name or "-"), "ALARM " if line.is_alarm else ""
        head = f"{line.seq:>6} {at:%H:%M:%S} {shown(line.kind):<17} {who:<20.20} {alarm}{_where(line.entry)}"
        head = head.rstrip()
        why = " ".join(filter(None, (_why(line.entry), _told(then, at, told) if then.is_late else "")))
        text = f"{head} {why}".rstrip()
        if why and len(text) > out.width:
            text = f"{head}\n{_BESIDE}{why}"
        out.print(text, style=_ALARM if alarm else _COLOURS.get(line.kind, ""), markup=False)

    def _turn_to(self, day: str) -> None:
        """Times have no date and no offset on a line; both are said when they are others than before."""
        if day != self._day:
            out.print(day, style="dim", markup=False)
            self._day = day


def _day(at: datetime) -> str:
    """The date of a time by the clock that shows it, and that clock's offset."""
    offset = f"{at:%z}"
    return f"{at:%Y-%m-%d} {offset[:3]}:{offset[3:5]}"


def _told(then: Happened, at: datetime, told: datetime) -> str:
    """When the log was told, what day it happened where that is another, and by whose clock where nobody set that."""
    day = f"on {_day(at)}" if _day(at) != _day(told) else ""
    clock = "by the gate's own clock" if then.clock is Clock.FREE_RUNNING else ""
    return f"({', '.join(filter(None, (day, clock, f'told {told:%H:%M:%S}')))})"


def _where(entry: Mapping[str, Any]) -> str:
    status = shown(entry["status"]).replace("_", "-") if "status" in entry else ""
    return f"{_place(entry)} {status}".strip()


def _place(entry: Mapping[str, Any]) -> str:
    match entry:
        case {"from": source, "to": target}:
            return f"{_short(source)} -> {_short(target)}"
        case {"scope": scope, "on": on}:
            return f"{shown(scope)} {'on' if on else 'off'}"
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
