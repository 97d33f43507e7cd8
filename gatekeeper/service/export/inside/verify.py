"""Check a bundle of a passage log: every entry is hashed, and the hashes must lead to the root in the checkpoint.

    python3 verify.py                 the unpacked bundle that this file lies in
    python3 verify.py BUNDLE.zip      a bundle as it is

It needs Python 3.8 or later and nothing else. Exit 0: what is checked is sound. 1: INVALID. 2: called otherwise than so.
3: it cannot be checked.

The log is a Merkle tree as in RFC 6962. A leaf's hash is SHA-256(00 || entry), a node's is SHA-256(01 || left || right).
The bundle has the leaves [start, end) of the manifest's "range"; entries that a filter withheld, and the first ones where
the log had let them go before (expired), are there as the hashes of whole subtrees. "range" in proofs.json has the hashes
of what lies outside, from left to right. Whoever can build the root of the checkpoint from these has the very entries that
the log signed for: none missing, none added, none altered.

NOT checked here, because Python alone cannot: the signature under the checkpoint. VERIFY.txt says how openssl does it.
Without that you know that the bundle fits its checkpoint, not whose checkpoint it is.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

SEGMENT = 1 << 18
NARROW, FULL = 0x7FFFFFFF, 0xFFFFFFFF
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
GAP = re.compile(rb'\{"(withheld|expired)":\[(\d+),(\d+)\],"hashes":\[("[A-Za-z0-9+/=",]+")\]\}')
OPENING = re.compile(rb'\{"index":(\d+),"opening":(.*)\}')


MALFORMED = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError, EOFError),
    *(NotImplementedError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error),
)


class InvalidError(Exception):
    """The bundle is not what it says; the message tells where."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours into their parent (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def largest_power_below(width: int) -> int:
    """Where RFC 6962 splits a tree of this many leaves."""
    return 1 << (width - 1).bit_length() - 1


# -- reading -----------------------------------------------------------------------------------------------------


class Bundle:
    """A bundle, packed or unpacked, and what its manifest says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reading = path.name
        self.zip: zipfile.ZipFile | None = None

    def begin(self) -> None:
        """See what is there, and read the manifest."""
        if not self.path.exists():
            raise OSError(f"there is no {self.path}")
        if self.path.is_file():
            self.zip = zipfile.ZipFile(self.path)
            must_be_plain(self.path, self.zip.infolist())
            harmed = self.zip.testzip()
            if harmed is not None:
                raise InvalidError(harmed + ": its content is not what the archive says of it")
        self.manifest = json.loads(self.read("manifest.json"))
        if self.manifest["format"] != "gatekeeper-bundle/1":
            raise OSError("the bundle is of another format than this program knows")
        self.start, self.end = self.manifest["range"]
        self.first, self.last = self.manifest["within"]
        self.size = self.manifest["size"]
        if not 0 <= self.start <= self.first <= self.last <= self.end <= self.size:
            raise InvalidError("manifest.json: its numbers lie in no order")
        self.begins = self.start + self.manifest.get("expired", {"entries": 0})["entries"]

    def open(self, name: str) -> IO[bytes]:
        """Open a member for reading."""
        self.reading = name
        try:
            return self.zip.open(name) if self.zip else (self.path / name).open("rb")
        except (KeyError, FileNotFoundError):
            raise InvalidError(name + ": it is not there") from None

    def read(self, name: str) -> bytes:
        """Read a small member."""
        with self.open(name) as member:
            return member.read()

    def lines(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """Yield (where, line) for every line of every segment, without the newlines."""
        at = self.start
        while at < self.end:
            name = f"{folder}/{at:012}.jsonl"
            with self.open(name) as member:
                for number, line in enumerate(member, 1):
                    if not line.endswith(b"\n"):
                        raise InvalidError(f"{name} line {number}: it has no end")
                    yield f"{name} line {number}", line[:-1]
            at = (at // SEGMENT + 1) * SEGMENT


def must_be_plain(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """See that a ZIP is as an export writes it, to the byte: nothing lies before, between or behind its members."""
    if len({one.filename for one in members}) != len(members):
        raise InvalidError(path.name + ": a member is there twice")
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        for one in members:
            name, sizes = one.filename.encode(), struct.pack("<2H2Q", 1, 16, one.file_size, one.compress_size)
            header = struct.pack(
                "<4s5H3L2H", b"PK\3\4", 45, 0, *fields_of(one), FULL, FULL, len(name), len(sizes)
            )
            header += name + sizes
            if one.header_offset != at or one.compress_type not in METHODS or at > size:
                raise InvalidError(f"{path.name}: {one.filename} does not lie there as an export writes it")
            file.seek(at)
            if file.read(len(header)) != header:
                raise InvalidError(f"{path.name}: the header of {one.filename} is not as an export writes it")
            at += len(header) + one.compress_size
        file.seek(min(at, size))
        if file.read() != directory_of(members, at):
            raise InvalidError(path.name + ": its directory is not as an export writes it")


def fields_of(one: zipfile.ZipInfo) -> tuple[int, int, int, int]:
    """How a member is packed, its time, its date and its CRC, as both of its headers say them."""
    year, month, day, hour, minute, second = one.date_time
    time, date = hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
    return one.compress_type, time, date, one.CRC


def directory_of(members: list[zipfile.ZipInfo], begin: int) -> bytes:
    """The end of a ZIP with these members, from `begin` on; numbers that are too large stand in fields of ZIP64."""
    rows = bytearray()
    for one in members:
        name, size, packed, offset = (
            one.filename.encode(),
            one.file_size,
            one.compress_size,
            one.header_offset,
        )
        wide = []
        if max(size, packed) > NARROW:
            wide, size, packed = [size, packed], FULL, FULL
        if offset > NARROW:
            wide, offset = [*wide, offset], FULL
        extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        row = b"PK\1\2", 3 << 8 | 45, 45, 0, *fields_of(one), packed, size, len(name), len(extra)
        rows += struct.pack("<4s6H3L5H2L", *row, 0, 0, 0, 0o600 << 16, offset) + name + extra
    count, size, end = len(members), len(rows), begin + len(rows)
    if count > 0xFFFF or max(begin, size) > NARROW:
        rows += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, begin)
        rows += struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
        count, size, begin = min(count, 0xFFFF), min(size, FULL), min(begin, FULL)
    return bytes(rows) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, begin, 0)


# -- hashing -----------------------------------------------------------------------------------------------------


class Leaves:
    """The leaves of the bundle from left to right: single ones, and subtrees that stand for entries not shown."""

    def __init__(self, bundle: Bundle, opened: Openings) -> None:
        self.items = self.each(bundle, opened)
        self.entries = self.withheld = self.expired = 0
        self.next = next(self.items, None)

    def each(self, bundle: Bundle, opened: Openings) -> Iterator[tuple[int, int, bytes, str]]:
        """Yield (index of the first leaf, number of leaves, hash, where it stands)."""
        index = bundle.start
        for where, line in bundle.lines("entries"):
            gap = GAP.fullmatch(line)
            if gap is None:
                opened.hold(index, line, where)
                yield index, 1, leaf_hash(line), where
                index += 1
                self.entries += 1
                continue
            expired = gap.group(1) == b"expired"
            start, end = int(gap.group(2)), int(gap.group(3))
            low, high = (bundle.start, bundle.begins) if expired else (bundle.first, bundle.last)
            if not (low <= start == index < end <= high):
                raise InvalidError(where + ": the gap does not lie where it says")
            for text in json.loads(b"[" + gap.group(4) + b"]"):
                # The largest subtree that begins here at a multiple of its own width, and ends within the gap.
                width = end - index
                if width < 1:
                    raise InvalidError(where + ": the gap has more or fewer hashes than leaves need")
                while width & (width - 1) or index % width:
                    width = largest_power_below(width)
                yield index, width, base64.b64decode(text, validate=True), where
                index += width
            if expired:
                self.expired += end - start
            else:
                self.withheld += end - start
            if index != end:
                raise InvalidError(where + ": the gap has more or fewer hashes than leaves need")

    def take(self, low: int, width: int) -> bytes | None:
        """The hash of exactly these leaves, when it comes next; else None."""
        if self.next is None:
            raise InvalidError(f"entries: they end before leaf {low}")
        index, wide, found, where = self.next
        if index != low:
            raise InvalidError(f"{where}: leaf {index} stands where leaf {low} belongs")
        if wide != width:
            return None
        self.next = next(self.items, None)
        return found


class Openings:
    """Personal parts that were opened: each must be what its entry committed to."""

    def __init__(self, bundle: Bundle) -> None:
        self.lines = bundle.lines("openings") if bundle.manifest["openings"] else iter(())
        self.bundle, self.count, self.personal = bundle, 0, 0
        self.next = self.read()

    def read(self) -> tuple[int, bytes, str] | None:
        """Read the next opening: (index, plaintext, where)."""
        for where, line in self.lines:
            found = OPENING.fullmatch(line)
            if found is None:
                raise InvalidError(where + ": this is no opening")
            return int(found.group(1)), found.group(2), where
        return None

    def hold(self, index: int, line: bytes, where: str) -> None:
        """Hold the opening of an entry, where there is one, against the entry."""
        within = self.bundle.first <= index < self.bundle.last
        entry = json.loads(line)
        if entry["trees"][self.bundle.manifest["tree"]] != index:
            raise InvalidError(where + ": the entry says that it is another leaf")
        self.personal += within and "personal" in entry
        if self.next is None or self.next[0] > index:
            return
        number, plaintext, there = self.next
        if number != index or not within or "personal" not in entry:
            raise InvalidError(there + ": the opening belongs to no entry with a personal part")
        if hashlib.sha256(b"gatekeeper-personal-v1\0" + plaintext).hexdigest() != entry["personal"]:
            raise InvalidError(there + ": this is not what the entry committed to")
        self.count += 1
        self.next = self.read()


def root_of(low: int, high: int, bundle: Bundle, leaves: Leaves, proof: Iterator[bytes]) -> bytes:
    """The hash over leaves [low, high) (RFC 6962, section 2.1): from the proof outside of the range, from entries within."""
    width = high - low
    if low >= bundle.end or (high <= bundle.start and width & (width - 1) == 0):
        found = next(proof, None)
        if found is None:
            raise InvalidError("proofs.json: the range proof has too few hashes")
        return found
    if low >= bundle.start and high <= bundle.end:
        found = leaves.take(low, width)
        if found is not None:
            return found
    if width == 1:
        raise InvalidError(f"entries: leaf {low} is not there")
    middle = low + largest_power_below(width)
    left = root_of(low, middle, bundle, leaves, proof)
    return node_hash(left, root_of(middle, high, bundle, leaves, proof))


def root_by_inclusion(index: int, size: int, found: bytes, proof: list[bytes]) -> bytes:
    """The root to which an inclusion proof leads (RFC 9162, section 2.1.3.2)."""
    node, last = index, size - 1
    for sibling in proof:
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return found if last == 0 else b""


# -- the check ---------------------------------------------------------------------------------------------------


def check(bundle: Bundle) -> str:
    """Check a bundle; return what to say of it."""
    manifest = bundle.manifest
    origin, size, encoded = bundle.read("checkpoint").decode().split("\n")[:3]
    root = base64.b64decode(encoded)
    if (origin, size, root.hex()) != (manifest["origin"], str(bundle.size), manifest["root"]):
        raise InvalidError("checkpoint: it says another origin, size or root than the manifest")
    proofs = json.loads(bundle.read("proofs.json"))
    openings = Openings(bundle)
    leaves = Leaves(bundle, openings)
    proof = iter([base64.b64decode(one) for one in proofs["range"]])
    if root_of(0, bundle.size, bundle, leaves, proof) != root:
        raise InvalidError("entries: they do not lead to the root of the checkpoint")
    if leaves.next is not None or next(proof, None) is not None or openings.next is not None:
        raise InvalidError("entries: there is more than the proof is for")
    export = manifest["export"]["index"], bundle.size, leaf_hash(bundle.read("export.json"))
    if root_by_inclusion(*export, [base64.b64decode(one) for one in proofs["export"]]) != root:
        raise InvalidError("export.json: it is no entry of this log")
    counts = manifest["counts"]
    found = {"entries": leaves.entries, "withheld": leaves.withheld, "openings": openings.count}
    found["personal"] = openings.personal
    if {name: counts[name] for name in found} != found or bundle.start + leaves.expired != bundle.begins:
        raise InvalidError("manifest.json: it counts something else than what is there")
    return (
        f"{leaves.entries} entries, {leaves.withheld} withheld, {openings.count} personal parts opened"
        f"{f', {leaves.expired} expired' if leaves.expired else ''}; they lead to the "
        f"root {manifest['root']} of {origin} at {bundle.size} entries."
    )


def main(words: list[str]) -> int:
    """Check the bundle that is named, or the one around this file."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name in a bundle may have any letters
    if len(words) > 1 or (words and words[0].startswith("-")):
        print(__doc__.strip())
        return 0 if words in (["-h"], ["--help"]) else 2
    path = Path(words[0]) if words else Path(__file__).resolve().parent
    bundle = Bundle(path)
    try:
        bundle.begin()
        said = check(bundle)
    except InvalidError as error:
        print(f"INVALID: {error}")
        return 1
    except OSError as error:
        print(f"Cannot check: {error.strerror or error}")
        return 3
    except MemoryError:
        print(f"Cannot check: {bundle.reading} needs more memory than there is")
        return 3
    except MALFORMED:
        print(f"INVALID: {bundle.reading}: it is not in the form of a bundle")
        return 1
    print("Sound: " + said)
    print(
        "NOT checked: whose checkpoint this is (its signature: VERIFY.txt, step 2), cosignatures, the time stamp,"
    )
    print(
        "the tables, the times and the filter of the manifest, and whether this is the log that you saw before."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
