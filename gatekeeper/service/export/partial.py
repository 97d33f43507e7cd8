"""A bundle on its way: a ZIP that grows member by member, and can be gone on with after whatever stopped it.

    FILE.partial          the ZIP without its directory at the end
    FILE.partial.plan     a line of JSON with the plan, then one for every step that is safely on the disk

A step is some members that belong together. When it is on the disk (fsync), its line is written, and after it only that line
counts: what a crash left behind the last one is cut off and made again. Complete, the bundle gets its directory, is put on
the disk and takes its name, all or nothing; the plan goes.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import orjson

__all__ = ["Partial", "PartialError", "Step"]

_FIELDS: Final = (
    "filename",
    "date_time",
    "compress_type",
    "CRC",
    "compress_size",
    "file_size",
    "header_offset",
    "flag_bits",
    "create_version",
    "extract_version",
    "external_attr",
)
_READABLE_BY_OWNER: Final = 0o600 << 16
_FASTEST: Final = 1


class PartialError(Exception):
    """A bundle cannot be begun or gone on with; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is safely on the disk: the members of a step, where they end, and what the step counted."""

    end: int
    members: tuple[Mapping[str, Any], ...]
    counted: Mapping[str, int]


class Partial:
    """One bundle that is being written. Use as a context manager; leaving it early keeps what is safely there."""

    def __init__(self, file: Path, *, plan: Mapping[str, Any], steps: list[Step]) -> None:
        self._file, self._plan, self.steps = file, plan, steps
        self._beside = _plan_of(file)
        end = steps[-1].end if steps else 0
        self._bytes: IO[bytes] = _partial_of(file).open("r+b")
        self._bytes.truncate(end)
        self._bytes.seek(end)
        self._zip = ZipFile(self._bytes, "w", allowZip64=True)
        for step in steps:
            for member in step.members:
                self._know(member)
        self._fresh = len(self._zip.filelist)

    @classmethod
    def begun(cls, file: Path, plan: Mapping[str, Any]) -> Self:
        """Begin anew. Raises PartialError when there is such a file, or one that is half-done, or no folder for it."""
        if file.exists():
            raise PartialError(f"There is a file {file} already.")
        if not file.parent.is_dir():
            raise PartialError(f"There is no folder {file.parent}.")
        try:
            descriptor = os.open(_plan_of(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise PartialError(
                f"{file} is half-done: go on with it, or remove {_plan_of(file)} and {_partial_of(file)}."
            ) from None
        with os.fdopen(descriptor, "wb") as lines:
            os.close(os.open(_partial_of(file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            _append(lines, {"plan": plan})
        return cls(file, plan=plan, steps=[])

    @staticmethod
    def is_begun(file: Path) -> bool:
        """Whether there is a bundle to go on with."""
        plan = _plan_of(file)
        complete = file.exists() and not _partial_of(file).exists()  # and stopped before its plan went
        if complete or (plan.exists() and b"\n" not in plan.read_bytes()):  # or stopped before it had one
            plan.unlink(missing_ok=True)
        return plan.exists()

    @classmethod
    def resumed(cls, file: Path) -> Self:
        """Go on behind the last step that is safely on the disk. Raises PartialError when there is none to go on with."""
        try:
            written = _plan_of(file).read_bytes()
            lines = written.split(b"\n")[:-1]  # what a crash left of a line has no end
            plan, *steps = [orjson.loads(line) for line in lines]
            known = [Step(end=s["end"], members=tuple(s["members"]), counted=s["counted"]) for s in steps]
            size = _partial_of(file).stat().st_size
            while known and size < known[-1].end:  # somebody has cut it short: what was cut off is made again
                known.pop()
            kept = b"".join(line + b"\n" for line in lines[: len(known) + 1])
            if kept != written:
                _rewrite(_plan_of(file), kept)
            return cls(file, plan=plan["plan"], steps=known)
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            raise PartialError(
                f"What was begun of {file} cannot be gone on with: "
                f"remove {_plan_of(file)} and {_partial_of(file)}, and begin anew."
            ) from error

    @property
    def plan(self) -> Mapping[str, Any]:
        """What is to be written, as it was when it was begun."""
        return self._plan

    @property
    def folder(self) -> Path:
        """Where the bundle is written, and with it what it needs for a while."""
        return self._file.parent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Closing the ZIP would write a directory behind what is no step yet.
        self._zip.fp = None
        self._bytes.close()

    @contextmanager
    def member(self, name: str, *, compress: bool = False) -> Iterator[IO[bytes]]:
        """Write a member; it counts from the next step on."""
        info = ZipInfo(name, date_time=_date_time(self._plan["written"]))
        info.compress_type = ZIP_DEFLATED if compress else ZIP_STORED
        info._compresslevel = _FASTEST  # type: ignore[attr-defined]  # noqa: SLF001 - has no other name before 3.13
        info.external_attr = _READABLE_BY_OWNER
        with self._zip.open(info, "w", force_zip64=True) as written:
            yield written

    def ended(self, counted: Mapping[str, int]) -> Step:
        """End a step here; it counts once it is kept."""
        self._bytes.flush()
        members = [_described(info) for info in self._zip.filelist[self._fresh :]]
        self._fresh = len(self._zip.filelist)
        return Step(end=self._bytes.tell(), members=tuple(members), counted=dict(counted))

    def keep(self, step: Step) -> None:
        """Put on the disk what was written up to a step; a crash loses it no more. What comes next may be written meanwhile."""
        os.fsync(self._bytes.fileno())
        with self._beside.open("ab") as lines:
            _append(lines, {"end": step.end, "members": step.members, "counted": step.counted})
        self.steps.append(step)

    def finish(self) -> None:
        """Give the bundle its directory and its name."""
        self._zip.close()
        self._bytes.flush()
        os.fsync(self._bytes.fileno())
        _partial_of(self._file).rename(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        with suppress(FileNotFoundError):
            self._beside.unlink()

    def _know(self, member: Mapping[str, Any]) -> None:
        info = ZipInfo()
        for name in _FIELDS:
            found = member[name]
            setattr(info, name, tuple(found) if isinstance(found, list) else found)
        self._zip.filelist.append(info)
        self._zip.NameToInfo[info.filename] = info


def _described(info: ZipInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in _FIELDS}


def _append(lines: IO[bytes], document: Mapping[str, Any]) -> None:
    lines.write(orjson.dumps(document) + b"\n")
    lines.flush()
    os.fsync(lines.fileno())


def _rewrite(plan: Path, kept: bytes) -> None:
    """Keep so much of a plan, and nothing of what a crash left behind it."""
    aside = plan.with_name(f"{plan.name}.new")
    with aside.open("wb") as written:
        written.write(kept)
        written.flush()
        os.fsync(written.fileno())
    aside.replace(plan)


def _date_time(written: str) -> tuple[int, int, int, int, int, int]:
    year, month, day = map(int, written[:10].split("-"))
    hour, minute, second = map(int, written[11:19].split(":"))
    return year, month, day, hour, minute, second


def _partial_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.partial")


def _plan_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.partial.plan")
