"""What is not there any more, held against the entries that say so: a deletion that no entry tells is found out.

An entry `data.expired` says which bodies or personal parts went. The leaf hashes of bodies are in the tiles still, and the
commitments of personal parts in the bodies, so its digest is made again from what is left. Bodies go from the beginning of the
log, so the newest entry about them says where it begins now; of older ones some are gone themselves.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson

from gatekeeper.core.audit import SITE_TREE, Kind
from gatekeeper.core.retention import Digest, Expired, read_expired, tenant_named
from gatekeeper.model.ids import TenantId
from gatekeeper.model.retention import Kept, Retention
from gatekeeper.ports import StoredEntry
from gatekeeper.service.verification.claims import Claimed, Report
from gatekeeper.service.words import counted

__all__ = ["Deletions"]


@dataclass(slots=True)
class _Told:
    """What an entry says of a batch from `first` to `last`, and the digest made again from what is left."""

    seq: int
    first: int
    last: int
    expired: Expired
    again: Digest = field(init=False)

    def __post_init__(self) -> None:
        self.again = Digest(self.expired.kind)

    @property
    def is_borne_out(self) -> bool:
        return (self.again.count, self.again.value()) == (self.expired.count, self.expired.digest)


class Deletions:
    """The deletions that the database claims entries of; each entry must pass by, and each deletion be as it says."""

    def __init__(self, claimed: Claimed, periods: Mapping[str, Retention] | None, report: Report) -> None:
        self._report = report
        self._periods = periods
        self._unseen = dict(claimed.expiries)
        self._told_of_any = bool(claimed.expiries)
        self._begin = claimed.starts.get(SITE_TREE, (0, b""))[0]
        self._bodies: list[_Told] = []
        self._parts: dict[TenantId | None, list[_Told]] = {}
        for told in self._read(claimed.expiries):
            if told.expired.kind is Kept.ENTRIES:
                self._bodies.append(told)
            else:
                self._parts.setdefault(told.expired.tenant, []).append(told)
        for parts in self._parts.values():
            parts.sort(key=lambda told: told.first)

    def _read(self, expiries: Sequence[tuple[int, bytes]]) -> Iterator[_Told]:
        for seq, stored in expiries:
            expired = _expired(stored)
            if expired is None:
                self._problem(f"entry {seq} says nothing of what expired that could be held against the log")
            elif expired.first is not None and expired.last is not None:
                if expired.last >= seq:
                    self._problem(f"entry {seq} says that something went which came after it")
                yield _Told(seq=seq, first=expired.first, last=expired.last, expired=expired)

    # -- as the log passes by -----------------------------------------------------------------------------------------

    def leaf(self, seq: int, leaf: bytes) -> None:
        """Take the leaf hash of a body that is gone."""
        told = _covering(self._bodies, seq)
        if told is not None:
            told.again.add(seq, leaf)

    def entry(self, entry: StoredEntry, body: Mapping[str, Any] | None) -> None:
        """Take an entry: what it says itself, and its personal part, there or gone."""
        if entry.kind == Kind.DATA_EXPIRED:
            if self._unseen.pop(entry.seq, None) != entry.body:
                self._problem(
                    f"entry {entry.seq} says of what expired something else than when it was asked for"
                )
            self._hold_period(entry, body or {})
        if body is None:
            return
        committed, is_there = body.get("personal"), entry.personal is not None
        told = None if committed is None else _covering(self._parts.get(tenant_named(body), ()), entry.seq)
        if told is None and (committed is not None) != is_there:
            self._problem(f"entry {entry.seq} and its personal part do not go together")
        elif told is not None and is_there:
            self._problem(
                f"the personal part of entry {entry.seq} is there, and entry {told.seq} says that it went"
            )
        elif told is not None:
            told.again.add(entry.seq, _octets(committed))

    def _hold_period(self, entry: StoredEntry, body: Mapping[str, Any]) -> None:
        """What went was over its period, by the policy that the entry names and the host signed."""
        expired = read_expired(body)
        if expired is None or self._periods is None:
            return
        named = body.get("policy")
        retention = self._periods.get(named) if isinstance(named, str) else None
        if retention is None:
            self._problem(f"entry {entry.seq} deletes by a policy that the host has not signed")
        elif expired.before > entry.at - retention.period(expired.kind, expired.tenant):
            self._problem(f"entry {entry.seq} deletes what was not over its period")

    # -- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Name what was deleted and by which entry, and what no entry tells."""
        for seq in self._unseen:
            self._problem(f"entry {seq} about what expired is not in the log")
        self._hold_bodies()
        self._hold_parts()
        if self._told_of_any and self._periods is None:
            self._report.unchecked.append("that what was deleted was over its period: no policies were given")

    def _hold_bodies(self) -> None:
        end = self._bodies[-1].last + 1 if self._bodies else 0
        if self._begin > end:
            self._problem(
                f"the bodies from {end} to {self._begin - 1} are gone, and no entry says that they went"
            )
        elif self._begin < end:
            self._problem(f"the bodies from {self._begin} to {end - 1} went, as an entry says, and are there")
        for before, told in pairwise(self._bodies):
            if told.first != before.last + 1:
                self._problem(
                    f"entry {told.seq} deletes from {told.first} on, and {before.last} was the last before that went"
                )
        for told in self._bodies:
            if told.last < self._begin and not told.is_borne_out:
                self._problem(
                    f"entry {told.seq} says of the bodies that went another digest than their leaves make"
                )
        if self._begin and self._bodies:
            bodies = counted(self._begin, "entry", "entries")
            self._report.unchecked.append(
                f"the bodies of the first {bodies}: they were deleted, as entry {self._bodies[-1].seq} says"
            )
        self._report.deleted = self._begin

    def _hold_parts(self) -> None:
        gone, last = 0, 0
        for told in (one for parts in self._parts.values() for one in parts):
            gone, last = gone + told.again.count, max(last, told.seq)
            # Where bodies are gone too, their commitments are: what is left can only be fewer.
            is_whole = told.first >= self._begin
            if told.again.count > told.expired.count or (is_whole and not told.is_borne_out):
                self._problem(
                    f"entry {told.seq} says of the personal parts that went another digest than is made of them"
                )
        if gone:
            self._report.unchecked.append(
                f"{counted(gone, 'personal part')}: deleted, as entries up to {last} say"
            )

    def _problem(self, text: str) -> None:
        self._report.problems.append(text)


def _expired(stored: bytes) -> Expired | None:
    try:
        body = orjson.loads(stored)
    except ValueError:
        return None
    return read_expired(body) if isinstance(body, dict) else None


def _covering(told: Sequence[_Told], seq: int) -> _Told | None:
    """Of what was told, in order, what covers an entry."""
    place = bisect_right(told, seq, key=lambda one: one.first) - 1
    return told[place] if place >= 0 and seq <= told[place].last else None


def _octets(commitment: object) -> bytes:
    try:
        return bytes.fromhex(commitment) if isinstance(commitment, str) else b""
    except ValueError:
        return b""
