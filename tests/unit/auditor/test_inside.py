"""What lies in a bundle to check it with: the guide is followed to the letter, and the program finds what it says it does."""

import ast
import importlib.util
import io
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.core.export import Expiry, Selection
from gatekeeper.service.auditor import Known, verify_bundle
from gatekeeper.service.auditor.archive import read_archive
from gatekeeper.service.export.inside import verify_program
from gatekeeper.transparency import leaf_hash
from tests.support.bundles import (
    OTHER_KEY,
    Asked,
    Made,
    bundle_of,
    log_of,
    packed,
    sparse,
    with_wide_end,
    with_wide_numbers,
    written,
)

LOG = log_of(20, forgotten=lambda index: index == 4)
MADE = bundle_of(LOG, Asked(within=(3, 15)))
FILTERED = bundle_of(LOG, Asked(within=(3, 15), selection=Selection(doors=("front-in",))))
EXPIRED = bundle_of(LOG, Asked(within=(0, 15), expired=6, selection=Selection(doors=("front-in",))))
ENTRIES, OPENINGS = "entries/000000000002.jsonl", "openings/000000000002.jsonl"
FIRST = "entries/000000000000.jsonl"


def ran(bundle: Path, *, program: Path) -> subprocess.CompletedProcess[str]:
    """Run the program as a stranger would: with nothing of ours to import."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(program), str(bundle)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "verify.py"
    path.write_bytes(verify_program())
    return path


@pytest.mark.parametrize("made", [MADE, FILTERED, EXPIRED], ids=["whole", "filtered", "expired"])
def test_the_program_finds_a_bundle_sound_and_says_what_it_did_not_check(
    tmp_path: Path, program: Path, made: Made
):
    done = ran(written(made, tmp_path), program=program)
    assert (done.returncode, done.stderr) == (0, "")
    counts = made.manifest.counts
    assert done.stdout.startswith(
        f"Sound: {counts.entries} entries, {counts.withheld} withheld, {counts.openings} personal parts opened"
        f"{', 6 expired' if made is EXPIRED else ''};"
    )
    assert "NOT checked: whose checkpoint this is" in done.stdout


def test_the_program_agrees_on_every_range_of_every_small_log(tmp_path: Path, program: Path):
    verify = _imported(program)
    for count in range(12):
        log = log_of(count)
        for first in range(count + 1):
            for last in range(first, count + 1):
                for selection in (Selection(), Selection(doors=("back-in",))):
                    made = bundle_of(log, Asked(within=(first, last), selection=selection))
                    bundle = verify.Bundle(written(made, tmp_path))
                    bundle.begin()
                    said = verify.check(bundle)
                    assert made.manifest.root.hex() in said


def _imported(program: Path) -> Any:
    spec = importlib.util.spec_from_file_location("stand_alone", program)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _without_line(name: str, number: int) -> Made:
    lines = MADE.members[name].split(b"\n")
    return MADE.with_member(name, b"\n".join([*lines[:number], *lines[number + 1 :]]))


ALTERED: list[tuple[str, Callable[[], Made], str]] = [
    ("an entry", lambda: MADE.with_member(ENTRIES, MADE.members[ENTRIES].replace(b'"gate":"front"', b'"gate":"fr0nt"', 1)), "do not lead to the root"),
    ("an entry missing", lambda: _without_line(ENTRIES, 4), "line 5: the entry says that it is another leaf"),
    ("the last entry missing", lambda: _without_line(ENTRIES, 13), "they end before leaf 15"),
    ("an entry too many", lambda: MADE.with_member(ENTRIES, MADE.members[ENTRIES] + LOG.bodies[16] + b"\n"), "there is more than the proof is for"),
    ("an opening", lambda: MADE.with_member(OPENINGS, MADE.members[OPENINGS].replace(b"h-2", b"h-3", 1)), "not what the entry committed to"),
    ("an opening missing", lambda: _without_line(OPENINGS, 2), "counts something else"),
    ("an opening of nobody", lambda: MADE.with_member(OPENINGS, b'{"index":2,"opening":{}}\n' + MADE.members[OPENINGS]), "belongs to no entry"),
    ("the counts", lambda: MADE.with_manifest(counts=replace(MADE.manifest.counts, personal=9)), "counts something else"),
    ("the export's entry", lambda: MADE.with_member("export.json", b"{}"), "no entry of this log"),
    ("the checkpoint", lambda: MADE.with_member("checkpoint", bundle_of(log_of(21), Asked(within=(3, 15))).note), "another origin, size or root"),
    ("the end of a line", lambda: MADE.with_member(ENTRIES, MADE.members[ENTRIES][:-1]), "line 14: it has no end"),
    ("the proof", lambda: MADE.with_member("proofs.json", b'{"consistency":[],"export":[],"range":[]}'), "too few hashes"),
    ("the manifest", lambda: MADE.with_member("manifest.json", b"[" * 100_000), "manifest.json: it is not in the form of a bundle"),
    ("a gap", lambda: FILTERED.with_member(ENTRIES, FILTERED.members[ENTRIES].replace(b'"withheld":[6,', b'"withheld":[7,')), "the gap does not lie where it says"),
    ("a gap's width", lambda: FILTERED.with_member(ENTRIES, FILTERED.members[ENTRIES].replace(b'"withheld":[6,9]', b'"withheld":[6,11]')), "more or fewer hashes"),
    ("a hash too many in a gap", lambda: FILTERED.with_member(ENTRIES, FILTERED.members[ENTRIES].replace(b'="]}', b'=","AAAA"]}', 1)), "more or fewer hashes"),
    ("what expired", lambda: EXPIRED.with_member(FIRST, EXPIRED.members[FIRST].replace(b'"expired":[0,6]', b'"withheld":[0,6]')), "counts something else"),
    ("less that expired", lambda: EXPIRED.with_manifest(expired=Expiry(entries=5, told_by=None)), "the gap does not lie where it says"),
    ("more that expired", lambda: EXPIRED.with_manifest(expired=Expiry(entries=7, told_by=None)), "counts something else"),
    ("a member missing", lambda: replace(MADE, members={name: it for name, it in MADE.members.items() if name != OPENINGS}), "it is not there"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "altered", "said"), ALTERED, ids=[row[0] for row in ALTERED])
def test_the_program_finds_what_was_altered(
    tmp_path: Path, program: Path, what: str, altered: Callable[[], Made], said: str
):
    done = ran(written(altered(), tmp_path), program=program)
    assert done.returncode == 1, done
    assert done.stdout.startswith("INVALID: ")
    assert said in done.stdout


def test_the_program_calls_nothing_invalid_that_is_not_there(tmp_path: Path, program: Path):
    done = ran(tmp_path / "nowhere.zip", program=program)
    assert (done.returncode, done.stdout) == (3, f"Cannot check: there is no {tmp_path / 'nowhere.zip'}\n")


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


WHOLE = packed(MADE.members)
HARMED: dict[str, Callable[[], bytes]] = {
    "no archive": lambda: b"no archive",
    "bytes before": lambda: b"#!/bin/sh\n" + WHOLE,
    "bytes behind": lambda: WHOLE + b"\n",
    "cut short": lambda: WHOLE[:-1],
    "a bit of a content": lambda: _flipped(WHOLE, 200),
    "a bit of a header": lambda: _flipped(WHOLE, 4),
    "a bit of the directory": lambda: _flipped(WHOLE, WHOLE.index(b"PK\x01\x02") + 6),
    "a ZIP64 end that nothing needs": lambda: with_wide_end(WHOLE),
    "a wide size that fits": lambda: with_wide_numbers(WHOLE, 24),
    "wide sizes that fit": lambda: with_wide_numbers(WHOLE, 24, 20),
    "a wide offset that fits": lambda: with_wide_numbers(WHOLE, 42),
    "a bit of the end": lambda: _flipped(WHOLE, len(WHOLE) - 1),
}


@pytest.mark.parametrize("harm", HARMED)
def test_the_program_and_the_command_call_a_harmed_archive_invalid(tmp_path: Path, program: Path, harm: str):
    path = tmp_path / "harmed.zip"
    path.write_bytes(HARMED[harm]())
    done = ran(path, program=program)
    assert (done.returncode, done.stderr) == (1, ""), done
    assert done.stdout.startswith("INVALID: ")
    assert not re.search(r"Error|\bCRC|\(|File is not", done.stdout), done.stdout
    assert verify_bundle(path, known=Known()).finding is not None


def test_no_bit_around_the_members_is_another_unseen(tmp_path: Path, program: Path):
    verify, path = _imported(program), tmp_path / "bundle.zip"
    contents = packed({"one.txt": b"", "two.txt": b""}, compress=False)
    path.write_bytes(contents)
    with zipfile.ZipFile(path) as archive:
        verify.must_be_plain(path, archive.infolist())
    for place in range(len(contents) * 8):
        altered = bytearray(contents)
        altered[place // 8] ^= 1 << place % 8
        path.write_bytes(altered)
        with pytest.raises((verify.InvalidError, *verify.MALFORMED)), zipfile.ZipFile(path) as archive:
            verify.must_be_plain(path, archive.infolist())


def test_a_number_that_does_not_fit_is_no_fault(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
):
    verify, path = _imported(program), tmp_path / "bundle.zip"
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(verify, "NARROW", 100)
    path.write_bytes(packed({"one.txt": bytes(500), "two.txt": b"2"}, compress=False))
    with zipfile.ZipFile(path) as archive:
        verify.must_be_plain(path, archive.infolist())


@pytest.mark.parametrize("sizes", [[(1 << 31, 10), (1, 1)], [(1 << 33, 1 << 33), (1, 1)], [(0, 0)] * 0xFFFF])
def test_the_program_reads_a_large_archive_as_the_command_does(
    tmp_path: Path, program: Path, sizes: list[tuple[int, int]]
):
    path = sparse(tmp_path / "large.zip", sizes)
    with zipfile.ZipFile(path) as archive, read_archive(path) as read:
        _imported(program).must_be_plain(path, archive.infolist())
        assert read.names == archive.namelist()


def _bzip2() -> bytes:
    """Members that are packed as no export packs them, and whole."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in MADE.members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_BZIP2
            with archive.open(info, "w", force_zip64=True) as member:
                member.write(content)
    known = whole.getvalue().replace(b"PK\3\4\x2e", b"PK\3\4\x2d")
    return known.replace(b"PK\1\2\x2e\3\x2e", b"PK\1\2\x2d\3\x2d")


def _beyond() -> bytes:
    """A member that says of itself that it ends beyond any file."""
    name, sizes = b"one.txt", struct.pack("<2H2Q", 1, 16, 1 << 62, 1 << 62)
    local = struct.pack(
        "<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(sizes)
    )
    row = b"PK\1\2", 3 << 8 | 45, 45, 0, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(sizes)
    central = struct.pack("<4s6H3L5H2L", *row, 0, 0, 0, 0o600 << 16, 0) + name + sizes
    at = len(local + name + sizes)
    return (
        local + name + sizes + central + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), at, 0)
    )


def _named(name: str) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(name, b"content")
    return whole.getvalue()


@pytest.mark.parametrize(
    "content",
    [_bzip2(), _beyond(), _named("één.txt"), _named("\u2603")],
    ids=["bzip2", "beyond", "é", "snow"],
)
def test_the_program_says_of_any_archive_what_it_is_on_any_screen(
    tmp_path: Path, program: Path, content: bytes
):
    path = tmp_path / "hostile.zip"
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-S", str(program), str(path)],
        capture_output=True, text=True, check=False, env={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("INVALID: hostile.zip")


def test_the_program_says_how_it_is_called(tmp_path: Path, program: Path):
    for words, code in ((["--help"], 0), (["--quick"], 2), (["one.zip", "two.zip"], 2)):
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(program), *words], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (code, "")
        assert "python3 verify.py BUNDLE.zip" in done.stdout


def test_the_program_is_as_long_as_the_guide_says():
    assert 280 <= len(verify_program().splitlines()) <= 380


def test_the_program_needs_no_newer_python_than_it_says():
    tree = ast.parse(verify_program(), feature_version=(3, 8))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {module.partition(".")[0] for module in modules} <= sys.stdlib_module_names


# -- the guide -----------------------------------------------------------------------------------------------------------


def _commands(text: str) -> list[str]:
    return re.findall(r"^    \$ (.*)$", text, re.MULTILINE)


def _followed(made: Made, folder: Path, *, key: str) -> subprocess.CompletedProcess[str]:
    """Do what the guide says, line by line, in one shell that stops at the first thing that fails."""
    shutil.copy(written(made, folder), folder / "BUNDLE.zip")
    commands = _commands(made.members["VERIFY.txt"].decode())
    assert len(commands) == 9
    script = "set -eu -o pipefail\n" + "\n".join(commands).replace(made.key, key)
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )


def _lacks(programs: Sequence[str]) -> list[str]:
    return [name for name in programs if shutil.which(name) is None]


needs_tools = pytest.mark.skipif(
    bool(_lacks(("bash", "unzip", "openssl", "sha256sum"))),
    reason="bash, unzip, openssl and sha256sum are needed",
)


@needs_tools
def test_whoever_follows_the_guide_to_the_letter_finds_the_bundle_sound(tmp_path: Path):
    done = _followed(MADE, tmp_path, key=MADE.key)
    assert (done.returncode, done.stderr) == (0, "")
    sound, verified, by_hand = done.stdout[: done.stdout.index("\n")], *done.stdout.splitlines()[-2:]
    assert sound.startswith("Sound: 14 entries")
    assert verified == "Signature Verified Successfully"
    assert by_hand.split()[0] == leaf_hash(LOG.bodies[2]).hex()


@needs_tools
def test_whoever_follows_the_guide_finds_out_that_another_signed(tmp_path: Path):
    other = bundle_of(LOG, Asked(within=(3, 15), key=OTHER_KEY))
    done = _followed(MADE, tmp_path, key=other.key)
    assert done.returncode != 0
    assert "Signature Verification Failure" in done.stdout + done.stderr


def test_the_guide_says_in_two_languages_what_is_proved_and_what_not():
    text = FILTERED.members["VERIFY.txt"].decode()
    assert "NOT proved" in text
    assert "NIET bewezen" in text
    assert "@" not in re.sub(r"[A-Za-z0-9+/]{40,}", "", text)
    english, dutch = text.split("ZO CONTROLEERT U DEZE BUNDEL")
    assert re.findall(r"^\[\d\]", english, re.MULTILINE) == re.findall(r"^\[\d\]", dutch, re.MULTILINE)
