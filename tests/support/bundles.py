"""Bundles made by hand: a small log of a tenant, an export of it, and the ZIP, each as the test wants it."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper.core.audit import Kind, canonical_json, commitment, timestamp
from gatekeeper.core.export import (
    COLUMNS,
    EVERYTHING,
    Absent,
    Counts,
    Dialect,
    EarlierCheckpoint,
    Expiry,
    ExportedBy,
    Manifest,
    Proofs,
    Selection,
    gap_line,
    heading,
    manifest_document,
    member_name,
    opening_line,
    proofs_document,
    rows_of,
    segments_of,
)
from gatekeeper.model.ids import SiteId
from gatekeeper.service.export.inside import verify_program, verify_text
from gatekeeper.transparency import (
    Checkpoint,
    Cosigner,
    Note,
    Signer,
    Tile,
    TileHashes,
    Tree,
    consistency_proof,
    format_note,
    inclusion_proof,
    leaf_hash,
    parse_note,
    range_proof,
    root_of,
    sign_checkpoint,
    subtree_hashes,
)

__all__ = [
    "KEY", "NOON", "ORIGIN", "OTHER_KEY", "SITE", "TREE", "Asked", "Log", "Made", "bundle_of", "checkpoint_of",
    "export_entry", "exported", "log_of", "note_of", "packed", "reader_of", "sparse", "with_wide_end", "with_wide_numbers", "written",
]  # fmt: skip

SITE, TREE = SiteId("fort"), "tenant:school"
ORIGIN = "gatekeeper/fort/tenant/school"
KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"the log").digest())
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"a thief").digest())
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DOORS = ("back-in", "front-in")
KINDS = (Kind.ACCESS_GRANTED, Kind.ACCESS_DENIED, Kind.PASSAGE_TAKEN)


@dataclass(frozen=True)
class Log:
    """Bodies and personal parts, and where the export's own entry is put when it comes."""

    bodies: tuple[bytes, ...]
    parts: tuple[bytes | None, ...]

    def at(self, index: int) -> datetime:
        return NOON + timedelta(seconds=index)


def log_of(count: int, *, forgotten: Callable[[int], bool] = lambda _index: False, more: str = "") -> Log:
    """A log of so many entries; two of three have a personal part, and those forgotten cannot be opened."""
    bodies, parts = [], []
    for index in range(count):
        personal = None
        kind = KINDS[index % 3]
        body: dict[str, Any] = {
            "v": 1, "site": SITE, "seq": 3 * index + 5, "at": timestamp(NOON + timedelta(seconds=index)),
            "kind": kind.value, "nonce": f"{index:032x}", "trees": {"site": 3 * index + 5, TREE: index},
            "access_point": DOORS[index // 3 % 2], "gate": "front", "tenant": "school", "reason": 11,
            "reasons": [11, 12], "alarm": index % 7 == 0, "assurance": 2, **({"more": more} if more else {}),
        }  # fmt: skip
        if kind is Kind.PASSAGE_TAKEN:
            # Told eight hours later, by a gate that had no link.
            body |= {"gate_at": timestamp(NOON + timedelta(seconds=index, hours=-8)), "clock": "free_running"}
        else:
            personal = canonical_json(
                {"salt": f"{index:032x}", "holder": f"h-{index % 4}", "badge": f"{index % 4:032x}"}
            )
            body["personal"] = commitment(personal)
        bodies.append(canonical_json(body))
        parts.append(None if forgotten(index) else personal)
    return Log(tuple(bodies), tuple(parts))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is exported: leaves within, a filter, what goes with it."""

    within: tuple[int, int]
    selection: Selection = field(default_factory=Selection)
    openings: bool = True
    csv: Dialect | None = Dialect.RFC4180
    seen: tuple[int, ...] = ()
    names_key: bool = True
    later: int = 0
    """So many entries follow on the export's own before the checkpoint."""
    cosigners: tuple[Cosigner, ...] = ()
    key: Ed25519PrivateKey = KEY
    stamp: bytes | None = None
    expired: int = 0
    """So many leaves at the log's beginning have expired."""
    columns: int = len(COLUMNS)
    """How many columns the table has; bundles of before have fewer."""
    told_by: tuple[int, int] | None = (400, 420)
    stamped: int | None = None
    """The size of the older checkpoint that the stamp is over."""


@dataclass(frozen=True)
class Made:
    """A bundle's members in order, and what is in them."""

    members: Mapping[str, bytes]
    manifest: Manifest
    note: bytes
    key: str

    def with_member(self, name: str, content: bytes) -> "Made":
        return replace(self, members={**self.members, name: content})

    def with_manifest(self, **changed: Any) -> "Made":
        manifest = replace(self.manifest, **changed)
        return replace(
            self, manifest=manifest, members={**self.members, "manifest.json": manifest_document(manifest)}
        )


def bundle_of(log: Log, asked: Asked) -> Made:
    """Export a part of a log."""
    count, (first, last) = len(log.bodies), asked.within
    since = log.at(first) if first else None
    until = log.at(last) if last < count else None
    index = count
    export = exported(index, approved=asked.openings)
    entry = export_entry(export, openings=asked.openings, selection=asked.selection, since=since, until=until)
    later = log_of(count + 1 + asked.later).bodies[count + 1 :]
    log = Log((*log.bodies, entry, *later), (*log.parts, None, *(None for _ in later)))
    leaves = [leaf_hash(body) for body in log.bodies]
    tree = Tree.empty()
    reader = reader_of([*tree.append(leaves), *tree.partial_tiles()])
    size, root = tree.size, tree.root()
    start, end = max(0, first - 1), size if until is None else last + 1
    last = size if until is None else last
    note, key = note_of(size, root, key=asked.key, cosigners=asked.cosigners)
    manifest = Manifest(
        site=SITE, tree=TREE, size=size, root=root, range=(start, end), within=(first, last), since=since,
        until=until, selection=asked.selection, openings=asked.openings, csv=asked.csv, parquet=False,
        export=export, written=timestamp(log.at(size)), program="gatekeeper 0", key=key if asked.names_key else None,
        expired=Expiry(entries=asked.expired - start, told_by=asked.told_by) if asked.expired > start else None,
        columns=asked.columns,
    )  # fmt: skip
    segments, counts = _segments(log, manifest, reader)
    manifest = manifest.counted(counts)
    proofs = Proofs(
        range=tuple(range_proof(start, end, size, reader)),
        export=tuple(inclusion_proof(index, size, reader)),
        consistency=tuple(
            EarlierCheckpoint(size=seen, root=root_of(leaves[:seen]), hashes=tuple(consistency_proof(seen, size, reader)))
            for seen in sorted({*asked.seen, *({asked.stamped} - {None})})
        ),
    )  # fmt: skip
    members = {
        "VERIFY.txt": verify_text(manifest),
        "verify.py": verify_program(),
        "checkpoint": note,
        **segments,
        "export.json": entry,
        "proofs.json": proofs_document(proofs),
        **(
            {}
            if asked.stamped is None
            else {"stamped-checkpoint": checkpoint_of(log, asked.stamped, key=asked.key)}
        ),
        **({} if asked.stamp is None else {"timestamp.tsr": asked.stamp}),
        "manifest.json": manifest_document(manifest),
    }
    return Made(members, manifest, note, key)


def checkpoint_of(log: Log, size: int, *, key: Ed25519PrivateKey = KEY) -> bytes:
    """What the log signed when it had so many entries."""
    root = root_of(leaf_hash(body) for body in log.bodies[:size])
    return sign_checkpoint(
        Checkpoint(origin=ORIGIN, size=size, root=root), [Signer(name=ORIGIN, private_key=key)]
    )


def packed(members: Mapping[str, bytes] | Sequence[tuple[str, bytes]], *, compress: bool = True) -> bytes:
    """The ZIP of some members."""
    items = members.items() if isinstance(members, Mapping) else members
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in items:
            with archive.open(
                zipfile.ZipInfo(name) if not compress else _deflated(name), "w", force_zip64=True
            ) as member:
                member.write(content)
    return whole.getvalue()


def sparse(path: Path, sizes: Sequence[tuple[int, int]]) -> Path:
    """A ZIP of members of such (sizes, packed sizes) as zipfile frames them, whose contents are a hole in the file."""
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        for number, (size, content) in enumerate(sizes):
            info = zipfile.ZipInfo(f"{number}.txt")
            info.compress_type = zipfile.ZIP_STORED if size == content else zipfile.ZIP_DEFLATED
            info.header_offset, info.external_attr = file.tell(), 0o600 << 16
            info.file_size, info.compress_size, info.CRC = size, content, 0
            file.write(info.FileHeader(zip64=True))
            file.seek(content, io.SEEK_CUR)
            archive.filelist.append(info)
            info.create_version = info.extract_version = 45
            archive.start_dir = file.tell()  # type: ignore[attr-defined]
        archive._didModify = True  # type: ignore[attr-defined]
    return path


def with_wide_end(content: bytes) -> bytes:
    """The same ZIP with a ZIP64 end."""
    *_, count, size, begin, _ = struct.unpack("<4s4H2LH", content[-22:])
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, begin)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(content) - 22, 1)
    return content[:-22] + wide + locator + content[-22:]


def with_wide_numbers(content: bytes, *places: int) -> bytes:
    """The same ZIP; in the first row of its directory, the numbers at these places stand in the field of ZIP64."""
    *_, size, begin, _ = struct.unpack("<4s4H2LH", content[-22:])
    row = bytearray(content[begin : begin + 46])
    numbers = [struct.unpack_from("<L", row, at)[0] for at in places]
    for at in places:
        struct.pack_into("<L", row, at, 0xFFFFFFFF)
    extra = struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers)
    struct.pack_into("<H", row, 30, len(extra))
    named = begin + 46 + struct.unpack_from("<H", row, 28)[0]
    end = content[-22:-10] + struct.pack("<L", size + len(extra)) + content[-6:]
    return content[:begin] + row + content[begin + 46 : named] + extra + content[named:-22] + end


def written(made: Made, folder: Path, *, name: str = "bundle.zip", compress: bool = True) -> Path:
    """The bundle as a file."""
    path = folder / name
    path.write_bytes(packed(made.members, compress=compress))
    return path


def _deflated(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def exported(index: int, *, approved: bool) -> ExportedBy:
    """Who exports the log, in the entry of this index."""
    return ExportedBy(
        index=index, seq=3 * index + 5, at=timestamp(NOON + timedelta(seconds=index)), by="army", author="auditor",
        approved_by="officer" if approved else None, reason="yearly review",
    )  # fmt: skip


def export_entry(
    export: ExportedBy,
    *,
    openings: bool,
    selection: Selection = EVERYTHING,
    since: datetime | None = None,
    until: datetime | None = None,
) -> bytes:
    """The entry by which the log says so."""
    body: dict[str, Any] = {
        "v": 1, "site": SITE, "seq": export.seq, "at": export.at, "kind": "log.exported", "nonce": "f" * 32,
        "trees": {"site": export.seq, TREE: export.index}, "tree": TREE, "openings": openings,
        "by": export.by, "author": export.author, "reason": export.reason,
    }  # fmt: skip
    times = {"from": since, "to": until}
    body |= {name: timestamp(at) for name, at in times.items() if at is not None}
    if export.approved_by is not None:
        body["approved_by"] = export.approved_by
    if selection.doors:
        body["doors"] = list(selection.doors)
    if selection.decisions:
        body["decisions"] = list(selection.decisions)
    if selection.holder is not None:
        body["one_holder"] = True
    return canonical_json(body)


def note_of(
    size: int, root: bytes, *, key: Ed25519PrivateKey = KEY, cosigners: Sequence[Cosigner] = ()
) -> tuple[bytes, str]:
    """The signed checkpoint of a tree, and the verifier key of who signed it."""
    signer = Signer(name=ORIGIN, private_key=key)
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root), [signer])
    parsed = parse_note(note)
    assert isinstance(parsed, Note)
    cosigned = [one.cosign(parsed.text, time=1_780_000_000) for one in cosigners]
    return format_note(replace(parsed, signatures=(*parsed.signatures, *cosigned))), signer.verifier.key()


def reader_of(tiles: Sequence[Tile]) -> TileHashes:
    """What proofs are made from."""
    return TileHashes(tiles)


def _segments(log: Log, manifest: Manifest, reader: TileHashes) -> tuple[dict[str, bytes], Counts]:
    members: dict[str, bytes] = {}
    total = Counts()
    for segment in segments_of(*manifest.range):
        lines, openings, rows, counts = _lines(log, manifest, segment.start, segment.end, reader)
        members[member_name("entries", segment, "jsonl")] = b"".join(line + b"\n" for line in lines)
        if manifest.openings:
            members[member_name("openings", segment, "jsonl")] = b"".join(line + b"\n" for line in openings)
        if manifest.csv is not None:
            table = heading(manifest.csv, manifest.columns) + "".join(rows)
            members[member_name("csv", segment, "csv")] = table.encode()
        total += counts
    return members, total


def _lines(log: Log, manifest: Manifest, start: int, end: int, reader: TileHashes) -> tuple[list[bytes], list[bytes], list[str], Counts]:  # fmt: skip
    first, last = manifest.within
    lines: list[bytes] = []
    if start < manifest.begins:
        until = min(end, manifest.begins)
        lines.append(gap_line(Absent.EXPIRED, start, until, subtree_hashes(start, until, reader)))
        start = until
    openings: list[bytes] = []
    rows: list[str] = []
    entries = withheld = personal = 0
    gap: int | None = None
    for index in range(start, end + 1):
        given = index == end
        if index < end:
            within = first <= index < last
            body, part = orjson.loads(log.bodies[index]), log.parts[index]
            opening = None if part is None or not manifest.openings else orjson.loads(part)
            given = not within or not manifest.selection or manifest.selection.gives(body, opening)
        if given and gap is not None:
            lines.append(gap_line(Absent.WITHHELD, gap, index, subtree_hashes(gap, index, reader)))
            withheld += index - gap
            gap = None
        if index == end:
            break
        if not given:
            gap = index if gap is None else gap
            continue
        lines.append(log.bodies[index])
        entries += 1
        if not within:
            continue
        personal += "personal" in body
        if opening is not None:
            openings.append(opening_line(index, part))
        if manifest.csv is not None:
            rows.append(rows_of(manifest.csv, [(index, body, opening)], manifest.columns))
    counts = Counts(
        entries=entries, withheld=withheld, personal=personal, openings=len(openings), rows=len(rows)
    )
    return lines, openings, rows, counts
