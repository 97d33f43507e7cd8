"""The manifest of a bundle: what was asked for, what is there, who exported it and why.

Only the canonical spelling is read. It is no authority: a verifier holds every word of it against the entries, the proofs
and the export's own entry; what it cannot hold against anything, it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gatekeeper.core.audit import canonical_json, timestamp
from gatekeeper.core.export.selection import Selection
from gatekeeper.core.export.table import COLUMNS, FORMER, Dialect
from gatekeeper.core.log_export import AtDoor, is_tree
from gatekeeper.model.ids import HolderId, SiteId, is_name
from gatekeeper.model.trees import checkpoint_origin
from gatekeeper.transparency import HASH_SIZE

__all__ = ["FORMAT", "Counts", "Expiry", "ExportedBy", "Manifest", "manifest_document", "read_manifest"]

FORMAT: Final = "gatekeeper-bundle/1"
_MOST: Final = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is: entries given (borders included) and withheld, personal parts within, those opened, rows."""

    entries: int = 0
    withheld: int = 0
    personal: int = 0
    openings: int = 0
    rows: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """So many entries at the beginning of the range are known by their hashes alone: the log had let them go before.

    `told_by` are the first and the last entry `data.expired` of the site's log that tell of it, None where none is known.
    """

    entries: int
    told_by: tuple[int, int] | None

    def __post_init__(self) -> None:
        """Let nothing be told by nobody, or in the wrong order."""
        first, last = self.told_by or (0, 0)
        if self.entries < 1 or first > last:
            raise ValueError("Entries that expired are some, and the entries that tell of them rise.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedBy:
    """What the log says of the export: its entry, who asked for it, who agreed, and why."""

    index: int
    seq: int
    at: str
    by: str
    author: str
    approved_by: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest. `range` are the leaves proved, borders included; `within` those asked for; all indices of this tree."""

    site: SiteId
    tree: str
    size: int
    root: bytes
    range: tuple[int, int]
    within: tuple[int, int]
    since: datetime | None
    until: datetime | None
    selection: Selection
    openings: bool
    csv: Dialect | None
    parquet: bool
    export: ExportedBy
    written: str
    program: str
    expired: Expiry | None = None
    counts: Counts = Counts()
    key: str | None = None
    """The verifier key with which the log signs this tree's checkpoints, as the log says."""
    columns: int = len(COLUMNS)
    """How many columns the CSV has, where there is one: bundles of before have fewer."""

    def __post_init__(self) -> None:
        """Let no manifest exist whose numbers lie in no order."""
        (start, end), (first, last) = self.range, self.within
        if not (
            0 <= start <= first <= last <= end <= self.size < _MOST and first - start <= 1 and end - last <= 1
        ):
            raise ValueError(
                "The range of a manifest lies within its tree, and is as wide as asked, and its borders."
            )
        if not 0 <= self.export.index < self.size or len(self.root) != HASH_SIZE:
            raise ValueError("The export's own entry lies in the tree, whose root has 32 bytes.")
        if self.columns not in {FORMER, len(COLUMNS)}:
            raise ValueError("A table has the columns of now, or those that it had before.")
        if self.begins > last:
            raise ValueError("No more can have expired than was asked for.")

    @property
    def origin(self) -> str:
        """The origin of the tree's checkpoints."""
        return checkpoint_origin(self.site, self.tree)

    @property
    def begins(self) -> int:
        """The first leaf of the range that has not expired."""
        return self.range[0] + (0 if self.expired is None else self.expired.entries)

    @property
    def borders(self) -> frozenset[int]:
        """The indices of the entries that are shown only to say that nothing was cut away at the edges."""
        (start, end), (first, last) = self.range, self.within
        return frozenset({*range(start, first), *range(last, end)})

    def counted(self, counts: Counts) -> "Manifest":
        """The same with what was counted in the end."""
        return replace(self, counts=counts)


def manifest_document(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json`."""
    selection, export = manifest.selection, manifest.export
    return canonical_json(
        {
            "format": FORMAT,
            "site": manifest.site,
            "tree": manifest.tree,
            "origin": manifest.origin,
            "size": manifest.size,
            "root": manifest.root.hex(),
            "range": list(manifest.range),
            "within": list(manifest.within),
            "from": _time(manifest.since),
            "until": _time(manifest.until),
            "doors": list(selection.doors),
            "decisions": list(selection.decisions),
            "holder": selection.holder,
            "openings": manifest.openings,
            "csv": None if manifest.csv is None else manifest.csv.value,
            "parquet": manifest.parquet,
            "counts": _fields(manifest.counts),
            "export": _fields(export),
            "written": manifest.written,
            "program": manifest.program,
            "key": manifest.key,
            **_expiry_document(manifest.expired),
            **({} if manifest.csv is None or manifest.columns == FORMER else {"columns": manifest.columns}),
        }
    )


def read_manifest(document: bytes) -> Manifest | None:
    """Read `manifest.json`; None for what `manifest_document` has not written."""
    try:
        manifest = _manifest(orjson.loads(document))
        return manifest if manifest_document(manifest) == document else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _manifest(found: Mapping[str, Any]) -> Manifest:
    tree = found["tree"]
    if not is_name(found["site"]) or not is_tree(tree):
        raise ValueError("no site or no tree")
    if not all(type(number) is int and 0 <= number < _MOST for number in _numbers(found)):
        raise ValueError("a number is none")
    return Manifest(
        site=SiteId(found["site"]),
        tree=tree,
        size=found["size"],
        root=bytes.fromhex(found["root"]),
        range=_pair(found["range"]),
        within=_pair(found["within"]),
        since=_instant(found["from"]),
        until=_instant(found["until"]),
        selection=Selection(
            doors=tuple(found["doors"]),
            decisions=tuple(map(AtDoor, found["decisions"])),
            holder=None if found["holder"] is None else HolderId(found["holder"]),
        ),
        openings=_claim(found["openings"]),
        csv=None if found["csv"] is None else Dialect(found["csv"]),
        parquet=_claim(found["parquet"]),
        counts=Counts(**found["counts"]),
        export=ExportedBy(**found["export"]),
        written=found["written"],
        program=found["program"],
        key=None if found["key"] is None else _text(found["key"]),
        expired=_expiry(found["expired"]) if "expired" in found else None,
        columns=found.get("columns", len(COLUMNS) if found["csv"] is None else FORMER),
    )


def _expiry_document(expired: Expiry | None) -> dict[str, Any]:
    """What a manifest says of what expired: nothing where nothing has."""
    if expired is None:
        return {}
    told_by = None if expired.told_by is None else list(expired.told_by)
    return {"expired": {"entries": expired.entries, "told_by": told_by}}


def _expiry(found: Mapping[str, Any]) -> Expiry:
    told_by = found["told_by"]
    return Expiry(entries=found["entries"], told_by=None if told_by is None else _pair(told_by))


def _numbers(found: Mapping[str, Any]) -> list[Any]:
    return [
        found["size"],
        *found["range"],
        *found["within"],
        *found["counts"].values(),
        found["export"]["index"],
        found["export"]["seq"],
        *_expired_numbers(found.get("expired")),
        found.get("columns", FORMER),
    ]


def _expired_numbers(expired: Mapping[str, Any] | None) -> list[Any]:
    return [] if expired is None else [expired["entries"], *(expired["told_by"] or ())]


def _fields(value: Counts | ExportedBy) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _pair(found: Any) -> tuple[int, int]:
    start, end = found
    return start, end


def _claim(found: Any) -> bool:
    if type(found) is not bool:
        raise TypeError("neither true nor false")
    return found


def _text(found: Any) -> str:
    if type(found) is not str:
        raise TypeError("no text")
    return found


def _time(at: datetime | None) -> str | None:
    return None if at is None else timestamp(at)


def _instant(found: str | None) -> datetime | None:
    return None if found is None else datetime.strptime(found, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
