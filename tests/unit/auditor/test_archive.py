"""An archive is read in its plainest form only, so that everybody who unpacks it sees what was verified."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.service.auditor import archive as archive_form
from gatekeeper.service.auditor.archive import CHUNK, read_archive
from gatekeeper.service.auditor.findings import Fault, Found
from tests.support.bundles import packed, sparse, with_wide_end, with_wide_numbers

MEMBERS = {"one.txt": b"first " * 100, "two.txt": b"", "three.txt": bytes(range(256)) * 2000}
PLAIN = packed(MEMBERS)
STORED = packed(MEMBERS, compress=False)


def everything(content: bytes, folder: Path) -> dict[str, bytes]:
    path = folder / "archive.zip"
    path.write_bytes(content)
    with read_archive(path) as archive:
        return {name: b"".join(archive.chunks(name)) for name in archive.names}


def fault_of(content: bytes, folder: Path) -> Fault:
    with pytest.raises(Found) as found:
        everything(content, folder)
    code = found.value.finding.code
    assert isinstance(code, Fault)
    return code


@pytest.mark.parametrize("content", [PLAIN, STORED, packed({})])
def test_the_plain_form_is_read(tmp_path: Path, content: bytes):
    assert everything(content, tmp_path) == (MEMBERS if content != packed({}) else {})


def test_no_chunk_is_larger_than_it_must_be_whatever_it_inflates_to(tmp_path: Path):
    bomb = packed({"bomb": bytes(50_000_000)})
    assert len(bomb) < 100_000
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb)
    with read_archive(path) as archive:
        assert max(map(len, archive.chunks("bomb"))) <= CHUNK
        with pytest.raises(Found) as found:
            archive.read("bomb", most=1 << 20)
    assert found.value.finding.code == Fault.ARCHIVE_SIZE


def _streamed() -> bytes:
    """As who writes to a pipe does it: sizes follow behind each content."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, part: Any) -> int:
            self.written += part
            return len(part)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in MEMBERS.items():
            archive.writestr(name, content)
    return bytes(pipe.written)


def _with_comment() -> bytes:
    whole = io.BytesIO(PLAIN)
    with zipfile.ZipFile(whole, "a") as archive:
        archive.comment = b"hello"
    return whole.getvalue()


def _with_extra() -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        info = zipfile.ZipInfo("one.txt")
        info.extra = struct.pack("<HH4s", 0x7075, 4, b"name")
        archive.writestr(info, b"content")
    return whole.getvalue()


def _written(name: str, method: int = zipfile.ZIP_STORED) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        archive.writestr(name, b"content")
    return whole.getvalue()


def _patched(content: bytes, old: bytes, new: bytes, *, times: int = 1) -> bytes:
    assert old in content
    return content.replace(old, new, times)


def _folder() -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.mkdir("folder")
    return whole.getvalue()


def _hidden() -> bytes:
    """Two members, of which the directory knows the second only."""
    both = _written("two.txt")
    hidden = _written("one.txt")
    length = hidden.index(b"PK\x01\x02")
    at = both.index(b"PK\x01\x02")
    directory, end = both[at:-22], both[-22:]
    moved = directory[:42] + struct.pack("<L", length) + directory[46:]
    end = end[:16] + struct.pack("<L", length + at) + end[20:]
    return hidden[:length] + both[:at] + moved + end


FORMS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no archive": lambda: b"PK" * 100,
    "bytes before": lambda: b"#!/bin/sh\n" + PLAIN,
    "bytes after": lambda: PLAIN + b"\n",
    "cut short": lambda: PLAIN[:-1],
    "a comment": _with_comment,
    "a further field": _with_extra,
    "a folder": _folder,
    "bzip2": lambda: _written("one.txt", zipfile.ZIP_BZIP2),
    "a name outside of ASCII": lambda: _written("één.txt"),
    "another name in front": lambda: _patched(PLAIN, b"one.txt", b"eno.txt"),
    "encrypted": lambda: _patched(_patched(STORED, b"PK\x03\x04\x2d\x00\x00\x00", b"PK\x03\x04\x2d\x00\x01\x00"), b"\x2d\x03\x2d\x00\x00\x00", b"\x2d\x03\x2d\x00\x01\x00"),
    "a member hidden between": _hidden,
    "sizes behind the content": _streamed,
    "sizes in the narrow fields": lambda: _written("one.txt"),
    "a ZIP64 end that nothing needs": lambda: with_wide_end(PLAIN),
    "a wide size that fits": lambda: with_wide_numbers(PLAIN, 24),
    "wide sizes that fit": lambda: with_wide_numbers(PLAIN, 24, 20),
    "a wide offset that fits": lambda: with_wide_numbers(PLAIN, 42),
    "wide numbers that fit": lambda: with_wide_numbers(PLAIN, 24, 20, 42),
    "a field of ZIP64 without numbers": lambda: with_wide_numbers(PLAIN),
    "another version needed": lambda: _patched(PLAIN, b"PK\x01\x02\x2d\x03\x2d\x00", b"PK\x01\x02\x2d\x03\x2c\x00"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_any_other_form_is_refused(tmp_path: Path, form: str):
    assert fault_of(FORMS[form](), tmp_path) == Fault.ARCHIVE_FORM


def _content_altered(content: bytes) -> bytes:
    at = content.index(b"first ") if b"first " in content else 60
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("content", [PLAIN, STORED])
def test_a_content_that_is_not_what_the_archive_says_is_refused(tmp_path: Path, content: bytes):
    assert fault_of(_content_altered(content), tmp_path) == Fault.ARCHIVE_CONTENT


def _by_hand(packed_content: bytes, *, size: int, crc: int) -> bytes:
    """An archive of one deflated member with sizes of one's own choice."""
    name, sizes = b"one.txt", struct.pack("<HHQQ", 1, 16, size, len(packed_content))
    fields = struct.pack("<HHHHHL", 45, 0, 8, 0, 33, crc)
    local = (
        b"PK\x03\x04"
        + fields
        + b"\xff" * 8
        + struct.pack("<HH", len(name), 20)
        + name
        + sizes
        + packed_content
    )
    central = (
        b"PK\x01\x02\x2d\x03"
        + fields
        + struct.pack("<LLHHHHHLL", len(packed_content), size, len(name), 0, 0, 0, 0, 0o600 << 16, 0)
        + name
    )
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local), 0)


def _deflated(content: bytes) -> bytes:
    deflating = zlib.compressobj(wbits=-15)
    return deflating.compress(content) + deflating.flush()


def test_a_content_ends_exactly_where_it_says(tmp_path: Path):
    content = b"what is seen"
    good, crc = _deflated(content), zlib.crc32(content)
    assert everything(_by_hand(good, size=12, crc=crc), tmp_path) == {"one.txt": content}
    for bad, size in (
        (good + b"\x00", 12),
        (good[:-1], 12),
        (_deflated(content + b", and what is not"), 12),
        (good, 11),
        (good, 13),
        (b"", 0),
    ):
        assert fault_of(_by_hand(bad, size=size, crc=crc), tmp_path) == Fault.ARCHIVE_CONTENT


def _flipped(whole: bytes) -> Iterator[bytes]:
    for place in range(len(whole) * 8):
        altered = bytearray(whole)
        altered[place // 8] ^= 1 << place % 8
        yield bytes(altered)


def test_no_bit_of_an_archive_is_another_unseen(tmp_path: Path):
    for altered in _flipped(packed({"one.txt": b"first", "two.txt": b"second"}, compress=False)):
        with pytest.raises(Found):
            everything(altered, tmp_path)


def test_a_bit_behind_the_last_of_a_deflated_content_changes_nothing(tmp_path: Path):
    wanted = {"one.txt": b"first", "two.txt": b"second " * 5}
    for altered in _flipped(packed(wanted)):
        with suppress(Found):
            assert everything(altered, tmp_path) == wanted


def test_a_number_that_does_not_fit_stands_in_the_wide_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(archive_form, "_LARGEST_NARROW", 100)
    wide = packed(MEMBERS)
    assert b"PK\x06\x06" in wide
    assert everything(wide, tmp_path) == MEMBERS
    for altered in _flipped(packed({"one.txt": b"1", "two.txt": b"2"}, compress=False)):
        with pytest.raises(Found):
            everything(altered, tmp_path)


NARROW, FULL = 0x7FFFFFFF, 0xFFFFFFFF
SIZES = [
    [(NARROW - 1000, NARROW - 1000), (1, 1)],
    [(NARROW, NARROW), (1, 1)],
    [(NARROW + 1, 10), (1, 1)],
    [(10, NARROW + 1), (1, 1)],
    [(FULL, 10), (FULL + 1, FULL + 1), (1, 1), (NARROW, 10)],
]


@pytest.mark.parametrize("sizes", SIZES)
def test_a_large_archive_is_read_as_zipfile_writes_it(tmp_path: Path, sizes: list[tuple[int, int]]):
    with read_archive(sparse(tmp_path / "large.zip", sizes)) as archive:
        assert [(one.size, one.packed) for one in archive.members.values()] == sizes


@pytest.mark.parametrize("count", [0xFFFE, 0xFFFF, 0x10000])
def test_an_archive_of_many_members_is_read_as_zipfile_writes_it(tmp_path: Path, count: int):
    path = sparse(tmp_path / "many.zip", [(0, 0)] * count)
    with read_archive(path) as archive:
        assert len(archive.names) == count
    if count == 0xFFFF:
        assert fault_of(with_wide_end(path.read_bytes()), tmp_path) == Fault.ARCHIVE_FORM


@pytest.mark.parametrize("limit", [FULL, NARROW + 1])
def test_a_number_that_stands_in_a_narrow_field_and_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    path = sparse(tmp_path / "large.zip", [(NARROW + 1, 10), (1, 1)])
    with pytest.raises(Found) as found:
        read_archive(path)
    assert found.value.finding.code == Fault.ARCHIVE_FORM
