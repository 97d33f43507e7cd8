"""A bundle that was interrupted anywhere is gone on with, and ends as if nothing had happened."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from gatekeeper.service.export.partial import Partial, PartialError

PLAN = {"written": "2026-06-03T10:00:00.000000Z", "what": "three steps"}
STEPS = [{"one.txt": b"1" * 100}, {"two/a": b"2" * 70_000, "two/b": b""}, {"three": b"3\n" * 9}]
COUNTED = [{"n": 1}, {"n": 2}, {"n": 3}]


def _write_from(partial: Partial, *, compress: bool = False) -> Iterator[None]:
    for step, counted in list(zip(STEPS, COUNTED, strict=True))[len(partial.steps) :]:
        for name, content in step.items():
            with partial.member(name, compress=compress) as written:
                written.write(content)
                yield
        partial.keep(partial.ended(counted))
        yield


def _finished(file: Path, partial: Partial, **how: bool) -> bytes:
    with partial:
        for _ in _write_from(partial, **how):
            pass
        partial.finish()
    return file.read_bytes()


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    (tmp_path / "whole").mkdir()
    file = tmp_path / "whole" / "b.zip"
    return _finished(file, Partial.begun(file, PLAN))


@pytest.mark.parametrize("compress", [False, True])
def test_a_bundle_is_a_zip_with_all_its_members(tmp_path: Path, *, compress: bool):
    file = tmp_path / "b.zip"
    _finished(file, Partial.begun(file, PLAN), compress=compress)
    with ZipFile(file) as read:
        assert read.testzip() is None
        assert {name: read.read(name) for name in read.namelist()} == {
            name: content for step in STEPS for name, content in step.items()
        }
    assert [one.name for one in tmp_path.iterdir()] == ["b.zip"]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("point", range(7))
@pytest.mark.parametrize("torn", [b"", b"PK\x03\x04 and what a crash left", b"x" * 200_000])
def test_whatever_a_crash_leaves_the_end_is_the_same(tmp_path: Path, whole: bytes, point: int, torn: bytes):
    file = tmp_path / "b.zip"
    with Partial.begun(file, PLAN) as partial:
        for number, _ in enumerate(_write_from(partial)):
            if number == point:
                break
    with (tmp_path / "b.zip.partial").open("ab") as left:
        left.write(torn)
    with (tmp_path / "b.zip.partial.plan").open("ab") as left:
        left.write(torn[:9].replace(b"\n", b" "))
    with Partial.resumed(file) as stopped_again:  # and a step further it is stopped once more
        for _ in zip(range(2), _write_from(stopped_again), strict=False):
            pass
    resumed = Partial.resumed(file)
    assert resumed.plan == PLAN
    assert [step.counted for step in resumed.steps] == COUNTED[: len(resumed.steps)]
    assert _finished(file, resumed) == whole


def test_what_was_cut_off_afterwards_is_made_again(tmp_path: Path, whole: bytes):
    file = tmp_path / "b.zip"
    with Partial.begun(file, PLAN) as partial:
        for _ in _write_from(partial):
            pass
    with (tmp_path / "b.zip.partial").open("r+b") as left:
        left.truncate(300)
    assert _finished(file, Partial.resumed(file)) == whole


def test_a_stop_between_name_and_plan_leaves_a_complete_bundle(tmp_path: Path):
    file = tmp_path / "b.zip"
    kept = tmp_path / "kept"
    with Partial.begun(file, PLAN) as partial:
        for _ in _write_from(partial):
            pass
        shutil.copy(tmp_path / "b.zip.partial.plan", kept)
        partial.finish()
    shutil.move(kept, tmp_path / "b.zip.partial.plan")
    assert not Partial.is_begun(file)
    assert [one.name for one in tmp_path.iterdir()] == ["b.zip"]


def test_nothing_is_written_over(tmp_path: Path):
    file = tmp_path / "b.zip"
    with Partial.begun(file, PLAN), pytest.raises(PartialError, match="half-done"):
        Partial.begun(file, PLAN)
    file.write_bytes(b"precious")
    with pytest.raises(PartialError, match="already"):
        Partial.begun(file, PLAN)
    with pytest.raises(PartialError, match="no folder"):
        Partial.begun(tmp_path / "nowhere" / "b.zip", PLAN)


@pytest.mark.parametrize("plan", [b"", b"{}\n", b"no json\n", b'{"plan":{}}\n{"end":1}\n'])
def test_a_plan_that_cannot_be_read_is_said_so(tmp_path: Path, plan: bytes):
    file = tmp_path / "b.zip"
    with Partial.begun(file, PLAN):
        pass
    (tmp_path / "b.zip.partial.plan").write_bytes(plan)
    with pytest.raises(PartialError, match="begin anew"):
        Partial.resumed(file)


@pytest.mark.parametrize("torn", [b"", b'{"plan":{"wri'])
def test_a_bundle_that_a_crash_left_without_a_plan_is_begun_anew(tmp_path: Path, whole: bytes, torn: bytes):
    file = tmp_path / "b.zip"
    file.with_name("b.zip.partial.plan").write_bytes(torn)
    assert not Partial.is_begun(file)
    assert _finished(file, Partial.begun(file, PLAN)) == whole
