"""What gates saw, held against the log: whatever is not as it was promised is counted."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from gatekeeper.cli.compared import Compared, compare


@dataclass(frozen=True)
class Entry:
    seq: int
    kind: str
    body: bytes


def _entry(seq: int, kind: str, **body: Any) -> Entry:
    return Entry(seq, kind, json.dumps(body).encode())


GRANT = _entry(5, "access.granted", message="aa", access_point="front-in")
LOG = (
    _entry(4, "access.waiting", message="aa", access_point="front-in"),
    GRANT,
    _entry(6, "passage.taken", message="bb", access_point="front-in"),
    _entry(7, "holder.registered", tenant="army"),
)
OPENING = {"gate": "front", "access_point": "front-in", "entry": 5, "message": "aa"}
SEEN = {"openings": [OPENING], "recorded": [[5, "aa"], [6, "bb"]]}


async def _log(*entries: Entry) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry


async def test_what_is_as_it_was_promised_holds():
    compared = await compare(SEEN, _log(*LOG))
    expected = Compared(entries=4, opened_without_entry=0, recorded_elsewhere=0, recorded_twice=0)
    assert (compared, compared.holds) == (expected, True)


@pytest.mark.parametrize(
    ("seen", "log", "wrong"),
    [
        ({"openings": [OPENING | {"entry": 6}], "recorded": []}, LOG, "opened_without_entry"),
        ({"openings": [OPENING | {"message": "bb"}], "recorded": []}, LOG, "opened_without_entry"),
        ({"openings": [OPENING | {"access_point": "back-in"}], "recorded": []}, LOG, "opened_without_entry"),
        ({"openings": [OPENING | {"entry": 99}], "recorded": []}, LOG, "opened_without_entry"),
        ({"openings": [], "recorded": [[4, "bb"]]}, LOG, "recorded_elsewhere"),
        ({"openings": [], "recorded": [[6, "cc"]]}, LOG, "recorded_elsewhere"),
        (SEEN, (*LOG, _entry(8, "passage.taken", message="bb")), "recorded_twice"),
    ],
)
async def test_whatever_is_not_is_counted(seen: dict[str, Any], log: tuple[Entry, ...], wrong: str):
    compared = await compare(seen, _log(*log))
    assert getattr(compared, wrong) == 1
    assert not compared.holds
