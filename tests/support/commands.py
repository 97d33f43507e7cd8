"""The command line in this process: said in a second less than in one of its own, through the same `main`."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gatekeeper.cli import main
from tests.support.waiting import eventually

__all__ = ["Said", "gatekeeper", "said_next"]


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def gatekeeper(capture: pytest.CaptureFixture[str], *words: object) -> Said:
    """Run a command to its end. What is broken and not told in a sentence raises here, as it would show a traceback."""
    capture.readouterr()
    with _called_with("gatekeeper", *map(str, words)), _stock_logging_of_its_own():
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    captured = capture.readouterr()
    return Said(code, captured.out, captured.err)


async def said_next(capture: pytest.CaptureFixture[str]) -> str:
    """What something that runs beside says on stderr next."""
    said: list[str] = []

    def heard() -> bool:
        said.append(capture.readouterr().err)
        return bool(said[-1])

    await eventually(heard)
    return said[-1]


@contextmanager
def _called_with(*words: str) -> Iterator[None]:
    before = sys.argv
    sys.argv = list(words)
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _stock_logging_of_its_own() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]
