"""What may be taken out of the log: as the entry `log.exported` says it, and the words that a filter is written in.

    asked for, with a reason -> agreed to by another where it says who somebody was -> log.exported -> the files are written

What counts is the body of that entry, the bytes that are the leaf of the site's tree. Whose movements were asked for stands
in its personal part, which whoever writes the files opens; without it they are nobody's here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import orjson

from gatekeeper.core.audit import (
    SITE_TREE,
    TENANT_TREE_PREFIX,
    Kind,
    commitment,
    instant,
    read_body,
)
from gatekeeper.model.ids import AccessPointId, HolderId, SiteId, TenantId, is_name

__all__ = ["KINDS_AT_DOOR", "AtDoor", "LogExport", "is_tree", "read_log_export", "tenant_of_tree"]


class AtDoor(StrEnum):
    """What became of somebody at a door, as a filter names it."""

    GRANTED = "granted"
    DENIED = "denied"
    WAITING = "waiting"
    TAKEN = "taken"
    NOT_TAKEN = "not-taken"
    FORCED = "forced"
    HELD_OPEN = "held-open"
    EXITED = "exited"


KINDS_AT_DOOR: Final[Mapping[AtDoor, frozenset[Kind]]] = MappingProxyType(
    {
        AtDoor.GRANTED: frozenset({Kind.ACCESS_GRANTED, Kind.ACCESS_ACCOMPANIED, Kind.OFFLINE_GRANTED}),
        AtDoor.DENIED: frozenset({Kind.ACCESS_DENIED, Kind.OFFLINE_DENIED}),
        AtDoor.WAITING: frozenset({Kind.ACCESS_WAITING}),
        AtDoor.TAKEN: frozenset({Kind.PASSAGE_TAKEN}),
        AtDoor.NOT_TAKEN: frozenset({Kind.PASSAGE_NOT_TAKEN}),
        AtDoor.FORCED: frozenset({Kind.PASSAGE_FORCED}),
        AtDoor.HELD_OPEN: frozenset({Kind.PASSAGE_HELD_OPEN}),
        AtDoor.EXITED: frozenset({Kind.PASSAGE_EXITED}),
    }
)
"""The kinds of entries that a filter's word stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExport:
    """An export of the log that an entry allows: which tree, which entries of it, and whether personal parts are opened.

    No doors, or no words, are all of them. `holder` is who `one_holder` is, where the personal part could be read.
    """

    tree: str
    since: datetime | None
    until: datetime | None
    doors: tuple[AccessPointId, ...]
    decisions: tuple[AtDoor, ...]
    one_holder: bool
    holder: HolderId | None
    openings: bool
    reason: str
    author: str
    approved_by: str | None
    seq: int
    at: datetime


def is_tree(text: str) -> bool:
    """Whether a text can name a tree: `site`, or `tenant:` and a tenant's name."""
    return text == SITE_TREE or (text.startswith(TENANT_TREE_PREFIX) and is_name(_after_prefix(text)))


def tenant_of_tree(tree: str) -> TenantId | None:
    """Whose tree it is; None for the site's."""
    return None if tree == SITE_TREE else TenantId(_after_prefix(tree))


def _after_prefix(tree: str) -> str:
    return tree.removeprefix(TENANT_TREE_PREFIX)


def read_log_export(
    body: bytes, *, site: SiteId, seq: int, personal: bytes | None = None
) -> LogExport | None:
    """Read the body of an entry `log.exported`; None when it is none, or not as the log writes one.

    `personal` is its personal part in the clear: who the one holder is counts when the body commits to it.
    """
    entry = read_body(body, site=site, seq=seq)
    if entry is None or entry["kind"] != Kind.LOG_EXPORTED:
        return None
    try:
        export = _read(entry, seq, personal)
    except (KeyError, ValueError, TypeError):
        return None
    # INVARIANT: who somebody was is opened on the word of two, and they are two.
    if export.openings and export.approved_by in {None, export.author}:
        return None
    return export


def _read(entry: Mapping[str, Any], seq: int, personal: bytes | None) -> LogExport:
    one_holder = entry.get("one_holder", False)
    return LogExport(
        tree=str(entry["tree"]),
        since=instant(entry["from"]) if "from" in entry else None,
        until=instant(entry["to"]) if "to" in entry else None,
        doors=tuple(map(AccessPointId, entry.get("doors", ()))),
        decisions=tuple(map(AtDoor, entry.get("decisions", ()))),
        one_holder=one_holder,
        holder=_holder(entry, personal) if one_holder else None,
        openings=entry["openings"],
        reason=entry["reason"],
        author=entry["author"],
        approved_by=entry.get("approved_by"),
        seq=seq,
        at=instant(entry["at"]),
    )


def _holder(entry: Mapping[str, Any], personal: bytes | None) -> HolderId | None:
    if personal is None or commitment(personal) != entry["personal"]:
        return None
    return HolderId(orjson.loads(personal)["holder"])
