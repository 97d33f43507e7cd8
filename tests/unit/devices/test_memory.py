"""A gate has little memory: what was large is given back when it is free, and nothing large is held twice."""

import gc
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from devices.core.events import SnapshotReceived, StandingReceived
from gatekeeper.model.badges import Assurance, Card, CardTechnology
from gatekeeper.model.ids import BadgeId
from gatekeeper.model.snapshot import KnownCards
from tests.unit.devices.solitude import Lonely, badge_of

ROOT = Path(__file__).parents[3]
READS_A_LOT = """
import re, sys
from pathlib import Path
from devices.memory import give_back_at_once
if sys.argv[1] == "told":
    give_back_at_once()
def resident():
    return int(re.findall(r"VmRSS:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[0])
before = resident()
for _ in range(3):
    first = b"x" * 6_000_000
    del first
    others = [b"x" * 5_900_000, b"x" * 5_800_000]
    del others
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of a gate")
def test_what_was_large_is_given_back_when_it_is_free():
    kept = {
        how: int(subprocess.run([sys.executable, "-c", READS_A_LOT, how], check=True, capture_output=True, cwd=ROOT).stdout)
        for how in ("told", "not told")
    }  # fmt: skip
    assert kept["told"] < 1000
    if kept["not told"] < 1000:
        pytest.skip("this C library gives everything back by itself")


def test_the_bytes_of_a_snapshot_are_held_by_nobody_once_it_was_read():
    talk = Lonely.ready()
    wire = talk.snapshot()
    talk.comes(SnapshotReceived(wire))
    talk.comes(StandingReceived(talk.standing()))
    talk.did.clear()
    assert [one for one in gc.get_referrers(wire) if not isinstance(one, FrameType)] == []


def test_no_object_is_made_for_a_card():
    talk = Lonely.ready()
    cards = {}
    for number in range(200):
        card = Card(CardTechnology.MIFARE, number.to_bytes(4, "big"))
        cards[card] = talk.token(
            badge_of(id=BadgeId(f"{number:032x}"), assurance=Assurance.CARD_NUMBER, card=card)
        )
    wire = talk.snapshot(cards=KnownCards.of(cards))
    gc.collect()
    before = len(gc.get_objects())
    talk.comes(SnapshotReceived(wire))
    talk.did.clear()
    gc.collect()
    assert len(gc.get_objects()) - before < 100
