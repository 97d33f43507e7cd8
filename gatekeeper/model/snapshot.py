"""What a gate holds so that it can decide alone: a snapshot of rights, made for it, and where the site stands.

    snapshot    of one gate, on its policy topic, retained: who may pass which of its access points, and when
                {0 1, 1 site, 2 gate, 3 version, 4 issued ms, 5 since, 6 until, 7 alert,
                 8 [point], 9 [tenant], 10 [hours], 11 [class], 12 rows, 13 cards, 14 tokens}
        point   [access point, longest alone in s, unlock in ms, [lockdown scope], zone it leads to, passback / null]
        passback [window in s / null, [zone]]   who was let into one of these zones is not let in again (within the window)
        hours   [since, until, since, until ...]  seconds, rising: half-open stretches
        class   [place in 9, [[place in 8, place in 10]]]  what all badges of a class may do
        rows    24 bytes a badge, rising: badge id (16), number of its holder (4), place in 11 (4); big-endian
        cards   22 bytes a card, rising, for readers that know numbers only: technology (1), length of its number (1), the number
                filled up with zeros (16), where its token ends in 14 (4); big-endian
        tokens  those of the cards, one after the other
    standing    of the site, retained, said anew every minute: what takes rights away
                {0 1, 1 site, 2 version, 3 issued ms, 4 alert, 5 [lockdown scope], 6 [suspended tenant],
                 7 {tenant: status list}, 8 version of the trust list, 9 {gate: version of its snapshot}}

A snapshot is decided beforehand: every rule was asked by the service, for every stretch of time until its end. What is left to
the gate is to see that the badge is real, that it is its time, and that nothing was taken back. A version is the place in the
log at which it was made: it never goes back.

Badges and cards, of which there may be tens of thousands, are looked up where they lie: for none of them an object is made that
a gate with little memory would have to hold.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any, Final, Self

from gatekeeper import cose
from gatekeeper.cose import cbor
from gatekeeper.model.badges import MAX_CARD_BYTES, MAX_TOKEN_BYTES, Card, CardTechnology
from gatekeeper.model.fields import (
    UINT,
    WRONG,
    blob,
    each,
    exactly,
    milliseconds,
    moment,
    name,
    text,
    typed,
    whole,
)
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, SiteId, TenantId, ZoneId
from gatekeeper.model.messages import MessageMalformed

__all__ = [
    "CARD_BYTES",
    "MAX_SNAPSHOT_BYTES",
    "MAX_STANDING_BYTES",
    "ROW_BYTES",
    "SNAPSHOT_BOUNDS",
    "SNAPSHOT_TYPE",
    "STANDING_BOUNDS",
    "STANDING_TYPE",
    "KnownCards",
    "LocalPassback",
    "Snapshot",
    "SnapshotClass",
    "SnapshotPoint",
    "Standing",
]

SNAPSHOT_TYPE: Final = "application/pacs-snapshot+cose"
STANDING_TYPE: Final = "application/pacs-standing+cose"
MAX_SNAPSHOT_BYTES: Final = 16_777_216
MAX_STANDING_BYTES: Final = 1_048_576
ROW_BYTES: Final = 24
CARD_BYTES: Final = 22
SNAPSHOT_BOUNDS: Final = cose.Bounds(max_bytes=MAX_SNAPSHOT_BYTES, max_depth=6, max_items=1_000_000)
STANDING_BOUNDS: Final = cose.Bounds(max_bytes=MAX_STANDING_BYTES, max_depth=4, max_items=100_000)
_VERSION: Final = 1
_SCOPE_CHARACTERS: Final = 64
_LONGEST_UNLOCK_MS: Final = 60_000
_WEEK: Final = 7 * 86_400
_LAST_SECOND: Final = 253_402_300_799
_ID_BYTES: Final = 16
_HOLDER: Final = slice(16, 20)
_CLASS: Final = slice(20, 24)
_END_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPassback:
    """Who was let into one of these zones here is not let in again: `within` a while, or ever."""

    within: timedelta | None
    zones: frozenset[ZoneId]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPoint:
    """An access point of the gate; `longest` is for how long it may be decided alone, `scopes` whose lockdowns close it."""

    id: AccessPointId
    longest: timedelta
    unlock: timedelta
    scopes: frozenset[str]
    target: ZoneId
    passback: LocalPassback | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotClass:
    """What all badges of a class may do: at which access point in which hours (their place in the snapshot's list)."""

    tenant: TenantId
    hours: Mapping[AccessPointId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCards:
    """Bare cards, each with the token that stands for it: a row for each card, and the tokens on end in the same order."""

    rows: bytes = field(default=b"", repr=False)
    tokens: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, cards: Mapping[Card, bytes]) -> Self:
        """Lay cards and their tokens out."""
        by_key = sorted((_card_key(card), token) for card, token in cards.items())
        ends = accumulate(len(token) for _, token in by_key)
        rows = (key + end.to_bytes(_END_BYTES, "big") for (key, _), end in zip(by_key, ends, strict=True))
        return cls(rows=b"".join(rows), tokens=b"".join(token for _, token in by_key))

    def __len__(self) -> int:
        return len(self.rows) // CARD_BYTES

    def token_of(self, card: Card) -> bytes | None:
        """The token that stands for a card; None for one that is not known."""
        place = _found(self.rows, _card_key(card), CARD_BYTES)
        return None if place is None else self.tokens[self._begin(place) : self._begin(place + 1)]

    def _begin(self, place: int) -> int:
        """Where the token of a row begins, which is where that of the row before ends."""
        end = place * CARD_BYTES
        return int.from_bytes(self.rows[end - _END_BYTES : end], "big") if place else 0

    @classmethod
    def read(cls, rows: object, tokens: object) -> Self:
        """Read both strings: every card once and spelled in its one way, every byte of the tokens one card's."""
        known = cls(rows=_rising(rows, CARD_BYTES, CARD_BYTES - _END_BYTES), tokens=typed(tokens, bytes))
        for at in range(0, len(known.rows), CARD_BYTES):
            technology, length = known.rows[at : at + 2]
            filling = known.rows[at + 2 + length : at + CARD_BYTES - _END_BYTES]
            if technology >= len(CardTechnology) or not 0 < length <= MAX_CARD_BYTES or any(filling):
                raise ValueError("a row of no card")
        begins = map(known._begin, range(len(known) + 1))
        if any(not 0 < end - begin <= MAX_TOKEN_BYTES for begin, end in pairwise(begins)):
            raise ValueError("a token of no length that it may have")
        if known._begin(len(known)) != len(known.tokens):
            raise ValueError("the tokens are not those of the cards")
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The rights at one gate, from an instant until another (Unix seconds), under an alert state."""

    site: SiteId
    gate: GateId
    version: int
    issued: datetime
    since: int
    until: int
    alert: int
    points: Mapping[AccessPointId, SnapshotPoint]
    hours: tuple[tuple[int, ...], ...]
    classes: tuple[SnapshotClass, ...]
    rows: bytes = field(repr=False)
    cards: KnownCards = field(default_factory=KnownCards, repr=False)

    def __len__(self) -> int:
        return len(self.rows) // ROW_BYTES

    def find(self, badge: BadgeId) -> tuple[int, SnapshotClass] | None:
        """The class of a badge and its holder's number, which means something in this snapshot only; None for one that has no right here."""
        at = _found(self.rows, bytes.fromhex(badge), ROW_BYTES)
        if at is None:
            return None
        return self.holder_at(at), self.classes[int.from_bytes(self._row(at)[_CLASS], "big")]

    def badge_at(self, place: int) -> BadgeId:
        """The badge of a row."""
        return BadgeId(self._row(place)[:_ID_BYTES].hex())

    def holder_at(self, place: int) -> int:
        """The number of the holder of a row."""
        return int.from_bytes(self._row(place)[_HOLDER], "big")

    def _row(self, place: int) -> bytes:
        return self.rows[place * ROW_BYTES : (place + 1) * ROW_BYTES]

    def payload(self) -> bytes:
        """The CBOR to be signed by the service on the gate's policy topic."""
        tenants = sorted({one.tenant for one in self.classes})
        points = list(self.points)
        places = {point: place for place, point in enumerate(points)}
        return cbor.encode(
            {
                0: _VERSION,
                1: self.site,
                2: self.gate,
                3: self.version,
                4: milliseconds(self.issued),
                5: self.since,
                6: self.until,
                7: self.alert,
                8: [_point_out(point) for point in self.points.values()],
                9: tenants,
                10: [list(stretches) for stretches in self.hours],
                11: [
                    [
                        tenants.index(one.tenant),
                        sorted([places[point], hours] for point, hours in one.hours.items()),
                    ]
                    for one in self.classes
                ],
                12: self.rows,
                13: self.cards.rows,
                14: self.cards.tokens,
            }
        )

    @classmethod
    def read(cls, payload: bytes) -> "Snapshot | MessageMalformed":
        """Read a verified snapshot; every reference in it leads somewhere."""
        fields = cbor.decode(payload, bounds=SNAPSHOT_BOUNDS)
        try:
            return cls._of(_exact(fields, 15))
        except WRONG as error:
            return MessageMalformed(str(error))

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Snapshot":
        points = each(fields[8], _point_in)
        tenants = tuple(map(TenantId, each(fields[9], name)))
        hours = each(fields[10], _hours_in)
        classes = each(fields[11], lambda value: _class_in(value, tenants, points, len(hours)))
        since, until = whole(fields[5], _LAST_SECOND), whole(fields[6], _LAST_SECOND)
        if since >= until:
            raise ValueError("it ends before it begins")
        if len({point.id for point in points}) != len(points):
            raise ValueError("an access point stands there twice")
        return cls(
            site=SiteId(name(fields[1])),
            gate=GateId(name(fields[2])),
            version=whole(fields[3]),
            issued=moment(fields[4]),
            since=since,
            until=until,
            alert=whole(fields[7], 255),
            points={point.id: point for point in points},
            hours=hours,
            classes=classes,
            rows=_rows_in(fields[12], len(classes)),
            cards=KnownCards.read(fields[13], fields[14]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What takes rights away, site-wide: alert state, lockdowns, suspensions, status lists; and which snapshots are the newest."""

    site: SiteId
    version: int
    issued: datetime
    alert: int
    lockdowns: frozenset[str]
    suspended: frozenset[TenantId]
    statuses: Mapping[TenantId, bytes] = field(repr=False)
    trust: int
    snapshots: Mapping[GateId, int]

    def payload(self) -> bytes:
        """The CBOR to be signed by the service on the site's standing topic."""
        return cbor.encode(
            {
                0: _VERSION,
                1: self.site,
                2: self.version,
                3: milliseconds(self.issued),
                4: self.alert,
                5: sorted(self.lockdowns),
                6: sorted(self.suspended),
                7: dict(self.statuses),
                8: self.trust,
                9: dict(self.snapshots),
            }
        )

    @classmethod
    def read(cls, payload: bytes) -> "Standing | MessageMalformed":
        """Read a verified standing."""
        fields = cbor.decode(payload, bounds=STANDING_BOUNDS)
        try:
            return cls._of(_exact(fields, 10))
        except WRONG as error:
            return MessageMalformed(str(error))

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Standing":
        return cls(
            site=SiteId(name(fields[1])),
            version=whole(fields[2]),
            issued=moment(fields[3]),
            alert=whole(fields[4], 255),
            lockdowns=frozenset(each(fields[5], lambda value: text(value, _SCOPE_CHARACTERS))),
            suspended=frozenset(map(TenantId, each(fields[6], name))),
            statuses={
                TenantId(name(tenant)): blob(document, MAX_STANDING_BYTES, least=1)
                for tenant, document in typed(fields[7], dict).items()
            },
            trust=whole(fields[8], UINT),
            snapshots={
                GateId(name(gate)): whole(version) for gate, version in typed(fields[9], dict).items()
            },
        )


def _exact(fields: object, count: int) -> Mapping[int, Any]:
    """A map of version 1 with keys from 0 on, all of them and no other."""
    content = typed(fields, dict)
    if content.keys() != set(range(count)) or whole(content[0]) != _VERSION:
        raise ValueError("not the fields of version 1")
    return content


def _point_out(point: SnapshotPoint) -> list[Any]:
    passback = point.passback
    return [
        point.id,
        point.longest // timedelta(seconds=1),
        point.unlock // timedelta(milliseconds=1),
        sorted(point.scopes),
        point.target,
        None
        if passback is None
        else [
            None if passback.within is None else passback.within // timedelta(seconds=1),
            sorted(passback.zones),
        ],
    ]


def _point_in(value: object) -> SnapshotPoint:
    point, longest, unlock, scopes, target, passback = exactly(value, 6)
    return SnapshotPoint(
        id=AccessPointId(name(point)),
        longest=timedelta(seconds=whole(longest, _WEEK)),
        unlock=timedelta(milliseconds=whole(unlock, _LONGEST_UNLOCK_MS)),
        scopes=frozenset(each(scopes, lambda scope: text(scope, _SCOPE_CHARACTERS))),
        target=ZoneId(name(target)),
        passback=None if passback is None else _passback_in(passback),
    )


def _passback_in(value: object) -> LocalPassback:
    within, zones = exactly(value, 2)
    return LocalPassback(
        within=None if within is None else timedelta(seconds=whole(within, _WEEK)),
        zones=frozenset(map(ZoneId, each(zones, name))),
    )


def _hours_in(value: object) -> tuple[int, ...]:
    stretches = each(value, lambda instant: whole(instant, _LAST_SECOND))
    if len(stretches) % 2 or any(one >= other for one, other in pairwise(stretches)):
        raise ValueError("hours are stretches that follow one another")
    return stretches


def _class_in(
    value: object, tenants: tuple[TenantId, ...], points: tuple[SnapshotPoint, ...], hours: int
) -> SnapshotClass:
    tenant, rights = exactly(value, 2)
    found: dict[AccessPointId, int] = {}
    for right in typed(rights, list):
        point, place = exactly(right, 2)
        found[points[whole(point, len(points) - 1)].id] = whole(place, hours - 1)
    if len(found) != len(typed(rights, list)):
        raise ValueError("an access point stands twice in a class")
    return SnapshotClass(tenant=tenants[whole(tenant, len(tenants) - 1)], hours=found)


def _rows_in(value: object, classes: int) -> bytes:
    rows = _rising(value, ROW_BYTES, _ID_BYTES)
    places = (
        int.from_bytes(rows[at : at + ROW_BYTES][_CLASS], "big") for at in range(0, len(rows), ROW_BYTES)
    )
    if max(places, default=-1) >= classes:
        raise ValueError("a row of no class")
    return rows


def _rising(value: object, size: int, key: int) -> bytes:
    """Rows of so many bytes, in the rising order of the key that each begins with."""
    rows = typed(value, bytes)
    if len(rows) % size:
        raise ValueError("a row is not whole")
    if any(rows[at - size : at - size + key] >= rows[at : at + key] for at in range(size, len(rows), size)):
        raise ValueError("rows are in rising order, each once")
    return rows


def _found(rows: bytes, key: bytes, size: int) -> int | None:
    """The place of the row that begins with a key."""
    at = bisect_left(range(len(rows) // size), key, key=lambda at: rows[at * size : at * size + len(key)])
    return at if rows[at * size : at * size + len(key)] == key else None


def _card_key(card: Card) -> bytes:
    number = card.number
    return bytes((card.technology, len(number))) + number.ljust(MAX_CARD_BYTES, b"\0")
