"""A bundle as a file: one ZIP archive in its plainest form, read strictly and as streams.

    local header, content    as often as there are members, without a gap; sizes stand in the ZIP64 field
    central directory        the same members in the same order
    [ZIP64 end, locator]     where the number of members, or where the directory begins, does not fit
    end                      the last 22 bytes: no comment, one disk

A number fits up to 2^31 - 1, that of the members up to 2^16 - 1 (as Python's zipfile has it). One that fits stands in no field
of ZIP64, but for the sizes in a local header, which always do; in the directory both sizes of a member do when one must.

Programs that unpack archives forgive much, and each something else: what one shows, another may not. So that everybody sees
what was verified, only the form is read that an export writes, in which there is nothing to choose: every field of a header is
the only one it can be, both headers of a member say the same, no byte lies outside of a member, a content ends exactly where
it says. Contents are stored or deflated. Nothing is unpacked to the disk, and no more than a chunk is in memory.

Sources: APPNOTE.TXT 6.3.10, sections 4.3 to 4.5; RFC 1951.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gatekeeper.service.auditor.findings import Fault, Found, fault
from gatekeeper.service.words import shown

__all__ = ["CHUNK", "Archive", "Member", "read_archive"]

CHUNK: Final = 1 << 18

_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_MARK: Final = b"PK"
_END_MARK: Final = b"PK\x05\x06"
_END_64_MARK: Final = b"PK\x06\x06"
_LOCATOR_MARK: Final = b"PK\x06\x07"
_CENTRAL_MARK: Final = b"PK\x01\x02"
_LOCAL_MARK: Final = b"PK\x03\x04"

_STORED, _DEFLATED = 0, 8
_VERSION: Final = 45
"""Of the form with ZIP64 (APPNOTE 4.4.3.2)."""
_MADE_ON_UNIX: Final = 3 << 8 | _VERSION
_READABLE_BY_OWNER: Final = 0o600 << 16
_ZIP_64: Final = 1
_WIDE_SIZES: Final = struct.Struct("<2H2Q")
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_LARGEST_NARROW: Final = 0x7FFFFFFF
_LARGEST_DIRECTORY: Final = 1 << 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What the archive says of one of its members; `begin` is where its content begins."""

    name: str
    begin: int
    packed: int
    size: int
    crc: int
    deflated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """A row of the central directory."""

    name: bytes
    method: int
    moment: tuple[int, int]
    crc: int
    packed: int
    size: int
    offset: int


class Archive:
    """An open archive whose form was found to be sound; contents are checked as they are read."""

    def __init__(self, path: Path, members: Sequence[Member], descriptor: int) -> None:
        self.path = path
        self.names = [member.name for member in members]
        self.members = {member.name: member for member in members}
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def chunks(self, name: str) -> Iterator[bytes]:
        """The content of a member, piece by piece. Raises `Found` when it is not what the archive says of it."""
        member = self.members[name]
        found, crc = 0, 0
        for chunk in self._unpacked(member):
            found += len(chunk)
            crc = zlib.crc32(chunk, crc)
            if found > member.size:
                break
            yield chunk
        if (found, crc) != (member.size, member.crc):
            raise fault(Fault.ARCHIVE_CONTENT, member=name)

    def read(self, name: str, *, most: int) -> bytes:
        """The whole content of a small member. Raises `Found`, too, when it is larger than it may be."""
        if self.members[name].size > most:
            raise fault(Fault.ARCHIVE_SIZE, member=name)
        return b"".join(self.chunks(name))

    def _unpacked(self, member: Member) -> Iterator[bytes]:
        if not member.deflated:
            yield from self._packed(member)
            return
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        for packed in self._packed(member):
            rest = packed
            while rest and not inflating.eof:
                try:
                    chunk = inflating.decompress(rest, CHUNK)
                except zlib.error as error:
                    raise fault(Fault.ARCHIVE_CONTENT, member=member.name) from error
                rest = inflating.unconsumed_tail
                if chunk:
                    yield chunk
            if inflating.eof and (rest or inflating.unused_data):
                raise fault(Fault.ARCHIVE_CONTENT, member=member.name)
        while not inflating.eof:  # what is held back after the last packed byte
            chunk = inflating.decompress(b"", CHUNK)
            if not chunk:
                break
            yield chunk
        if not inflating.eof:
            raise fault(Fault.ARCHIVE_CONTENT, member=member.name)

    def _packed(self, member: Member) -> Iterator[bytes]:
        at, end = member.begin, member.begin + member.packed
        while at < end:
            chunk = os.pread(self._descriptor, min(CHUNK, end - at), at)
            if not chunk:
                raise fault(Fault.ARCHIVE_CONTENT, member=member.name)
            at += len(chunk)
            yield chunk


def read_archive(path: Path) -> Archive:
    """Open an archive and read what is in it. Raises `Found` for any but the plain form, OSError where there is none."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return Archive(path, _members(descriptor), descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _members(descriptor: int) -> list[Member]:
    count, begin, end = _directory(descriptor)
    listed = _listed(_exactly(descriptor, begin, end - begin), count)
    members: list[Member] = []
    at = 0
    for row in listed:
        if row.offset != at:
            raise _unsound("a gap before", row.name)
        member = _member(descriptor, row)
        members.append(member)
        at = member.begin + member.packed
    if at != begin:
        raise _unsound("a gap before the directory")
    return members


def _directory(descriptor: int) -> tuple[int, int, int]:
    """How many members there are, and where their directory begins and ends (APPNOTE 4.3.14 to 4.3.16)."""
    length = os.fstat(descriptor).st_size
    at = length - _END.size
    mark, disk, first, here, count, size, begin, comment = _END.unpack(_exactly(descriptor, at, _END.size))
    if mark != _END_MARK or disk or first or here != count or comment:
        raise _unsound("its end")
    end, narrow = at, (count, size, begin)
    if max(size, begin) > _LARGEST_NARROW or (count == _FULL_16 and _has_locator(descriptor, at)):
        end, count, size, begin = _directory_64(descriptor, at)
        if narrow != (min(count, _FULL_16), min(size, _FULL_32), min(begin, _FULL_32)):
            raise _unsound("its end")
        if count <= _FULL_16 and max(size, begin) <= _LARGEST_NARROW:
            raise _unsound("its end")
    if begin + size != end or size > _LARGEST_DIRECTORY:
        raise _unsound("its directory")
    return count, begin, end


def _has_locator(descriptor: int, at: int) -> bool:
    return at >= _LOCATOR.size and _exactly(descriptor, at - _LOCATOR.size, 4) == _LOCATOR_MARK


def _directory_64(descriptor: int, at: int) -> tuple[int, int, int, int]:
    locator = at - _LOCATOR.size
    mark, disk, end, disks = _LOCATOR.unpack(_exactly(descriptor, locator, _LOCATOR.size))
    if mark != _LOCATOR_MARK or disk or disks != 1 or end + _END_64.size != locator:
        raise _unsound("its ZIP64 locator")
    mark, rest, made, needed, disk, first, here, count, size, begin = _END_64.unpack(
        _exactly(descriptor, end, _END_64.size)
    )
    fixed = (mark, rest, made, needed, disk, first)
    if fixed != (_END_64_MARK, _END_64.size - 12, _VERSION, _VERSION, 0, 0) or here != count:
        raise _unsound("its ZIP64 end")
    return end, count, size, begin


def _listed(directory: bytes, count: int) -> Iterator[_Listed]:
    """The rows of the central directory (APPNOTE 4.3.12)."""
    at = 0
    for _ in range(count):
        if len(directory) - at < _CENTRAL.size:
            raise _unsound("its directory")
        (
            mark, made, needed, flags, method, time, date, crc, packed, size, name_size, extra_size,
            comment, disk, inside, outside, offset,
        ) = _CENTRAL.unpack_from(directory, at)  # fmt: skip
        at += _CENTRAL.size
        name, extra = directory[at : at + name_size], directory[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size
        fixed = (mark, made, needed, flags, comment, disk, inside, outside)
        if fixed != (_CENTRAL_MARK, _MADE_ON_UNIX, _VERSION, 0, 0, 0, 0, _READABLE_BY_OWNER):
            raise _unsound("the row of", name)
        if len(extra) != extra_size or method not in {_STORED, _DEFLATED}:
            raise _unsound("the row of", name)
        size, packed, offset = _wide(name, extra, size, packed, offset)
        yield _Listed(
            name=name, method=method, moment=(time, date), crc=crc, packed=packed, size=size, offset=offset
        )
    if at != len(directory):
        raise _unsound("its directory")


def _member(descriptor: int, row: _Listed) -> Member:
    """Read a member's local header and demand that it says what the directory says (APPNOTE 4.3.7)."""
    at = row.offset + _LOCAL.size + len(row.name)
    sizes = _WIDE_SIZES.pack(_ZIP_64, 16, row.size, row.packed)
    wanted = _LOCAL.pack(
        *(_LOCAL_MARK, _VERSION, 0, row.method, *row.moment, row.crc),
        *(_FULL_32, _FULL_32, len(row.name), len(sizes)),
    )
    if _exactly(descriptor, row.offset, at - row.offset + len(sizes)) != wanted + row.name + sizes:
        raise _unsound("the header of", row.name)
    if row.method == _STORED and row.packed != row.size:
        raise _unsound("the sizes of", row.name)
    if not row.name.isascii():
        raise _unsound("the name of", row.name)
    return Member(
        name=row.name.decode("ascii"),
        begin=at + len(sizes),
        packed=row.packed,
        size=row.size,
        crc=row.crc,
        deflated=row.method == _DEFLATED,
    )


def _wide(name: bytes, extra: bytes, *narrow: int) -> list[int]:
    """Size, packed size and offset, of which the ZIP64 field has those that do not fit; no other field is known (APPNOTE 4.5.3)."""
    wide = [number == _FULL_32 for number in narrow]
    given: tuple[int, ...] = ()
    if extra:
        kind, length = struct.unpack_from("<2H", extra) if len(extra) >= 4 else (0, 0)
        if kind != _ZIP_64 or length != len(extra) - 4 or length % 8 or not length:
            raise _unsound("a further field of", name)
        given = struct.unpack_from(f"<{length // 8}Q", extra, 4)
    if len(given) != sum(wide):
        raise _unsound("the sizes of", name)
    numbers = iter(given)
    size, packed, offset = (
        next(numbers) if is_wide else number for is_wide, number in zip(wide, narrow, strict=True)
    )
    large = max(size, packed) > _LARGEST_NARROW
    if wide != [large, large, offset > _LARGEST_NARROW]:
        raise _unsound("the sizes of", name)
    return [size, packed, offset]


def _exactly(descriptor: int, at: int, length: int) -> bytes:
    if at < 0:
        raise _unsound("its end")
    found = os.pread(descriptor, length, at) if length else b""
    if len(found) != length:
        raise _unsound("its end")
    return found


def _unsound(what: str, name: bytes = b"") -> Found:
    return fault(Fault.ARCHIVE_FORM, detail=f"{what} {shown(name.decode('ascii', 'replace'))}".rstrip())
