"""What is told of a gate's folder is what the gate would do at its next start."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from devices.core.controller import Doorway
from devices.core.events import PolicyFile
from devices.core.standby import Held
from devices.holdings import told
from devices.settings import GateSettings
from devices.whole_file import write_whole
from gatekeeper import cose
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.messages import CommandKind
from gatekeeper.model.places import Direction
from gatekeeper.model.snapshot import KnownCards
from gatekeeper.model.topics import PREFIX
from tests.unit.devices.ground import GATE, IN, NOON, OUT, PLAIN, SITE
from tests.unit.devices.solitude import Lonely

DOORWAYS = tuple(
    Doorway(
        id=name,
        direction=Direction.IN,
        has_contact=True,
        interlocked=False,
        warned=timedelta(seconds=20),
        held=timedelta(seconds=30),
    )
    for name in (IN, OUT, PLAIN)
)


@pytest.fixture
def talk() -> Lonely:
    talk = Lonely.ready()
    assert isinstance(talk, Lonely)
    return talk


@pytest.fixture
def says(talk: Lonely, tmp_path: Path) -> Callable[[Held], list[str]]:
    """What is told of a folder that holds this."""
    settings = GateSettings(
        site=SITE, gate=GATE, prefix=PREFIX, doorways=DOORWAYS, bridge=None, key=cose.SigningKey.generate(), password="none",
        trust=talk.service.trust, policy_folder=tmp_path,
    )  # fmt: skip

    def said(held: Held) -> list[str]:
        for file in (PolicyFile.SNAPSHOT, PolicyFile.STANDING, PolicyFile.CONFIRMING, PolicyFile.LOCKDOWN):
            write_whole(tmp_path / file, getattr(held, file.removesuffix(".cose")) or b"")
        return list(told(settings))

    return said


def test_a_gate_that_is_provided_says_until_when_each_access_point_can_be_decided(
    talk: Lonely, says: Callable[[Held], list[str]]
):
    snapshot = talk.snapshot(cards=KnownCards.of({Card(CardTechnology.MIFARE, b"card"): b"token"}))
    said = says(Held(snapshot=snapshot, standing=talk.standing()))
    assert said == [
        "It holds version 100 of its snapshot, of 2026-03-02 12:00 UTC: 1 badge (1 card among them), made for alert state 1.",
        "The service was last heard 2026-03-02 12:00 UTC: alert state 1, 0 lockdowns, 0 suspended tenants.",
        "main-in: can be decided alone until 2026-03-02 16:00 UTC.",
        "main-out: can be decided alone until 2026-03-02 16:00 UTC.",
        "main-plain: is not to be decided alone.",
    ]


NOTHING = "It holds no snapshot and standing that it believes: alone it lets nobody in."


def test_a_gate_that_is_not_provided_says_so(talk: Lonely, says: Callable[[Held], list[str]]):
    assert says(Held()) == [NOTHING]
    assert says(Held(snapshot=talk.snapshot())) == [NOTHING]


def test_what_is_not_believed_counts_for_nothing_and_is_said(talk: Lonely, says: Callable[[Held], list[str]]):
    held = Held(snapshot=talk.snapshot(key=cose.SigningKey.generate()), standing=talk.standing()[:-1])
    assert says(held) == [
        "snapshot.cose counts for nothing: snapshot-forged.",
        "standing.cose counts for nothing: standing-forged.",
        NOTHING,
    ]


WHY = {
    "is locked down.": {"lockdowns": frozenset({"site"})},
    "The snapshot was made for a calmer state: alone it lets nobody in.": {"alert": 2},
    "The site counts on version 2 of the trust list, which is not here: alone it lets nobody in.": {
        "trust": 2
    },
    "The standing does not name this snapshot: alone it lets nobody in.": {"snapshots": {}},
}


@pytest.mark.parametrize(("sentence", "changes"), WHY.items(), ids=["lockdown", "alert", "trust", "unnamed"])
def test_why_nobody_is_let_in_is_said(
    talk: Lonely, says: Callable[[Held], list[str]], sentence: str, changes: dict
):
    standing = talk.standing(version=101, **changes)
    said = says(Held(snapshot=talk.snapshot(), standing=standing))
    assert any(one.endswith(sentence) for one in said)
    assert not any("until" in one for one in said)


def test_an_order_to_lock_down_that_no_standing_knows_of_is_said(
    talk: Lonely, says: Callable[[Held], list[str]]
):
    order = talk.service.command(CommandKind.LOCK_DOWN, None, entry=100)
    held = Held(snapshot=talk.snapshot(), standing=talk.standing(), lockdown=order)
    assert (
        says(held)[-1]
        == "It was ordered to lock down, and no standing of later is here: alone it lets nobody in."
    )


def test_a_snapshot_that_ends_before_the_gate_s_time_alone_ends_it(
    talk: Lonely, says: Callable[[Held], list[str]]
):
    short = talk.snapshot(until=int(NOON.timestamp()) + 600)
    said = says(Held(snapshot=short, standing=talk.standing()))
    assert "main-in: can be decided alone until 2026-03-02 12:10 UTC." in said


def test_a_snapshot_whose_successor_is_on_its_way_counts_from_the_standing_that_named_it(
    talk: Lonely, says: Callable[[Held], list[str]]
):
    newest = talk.standing(version=101, issued=NOON + timedelta(hours=1), snapshots={GATE: 101})
    said = says(Held(snapshot=talk.snapshot(), standing=newest, confirming=talk.standing()))
    assert "main-in: can be decided alone until 2026-03-02 16:00 UTC." in said
