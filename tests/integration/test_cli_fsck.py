"""`gatekeeper audit fsck`: what of tiles and heads is not as the bodies make it, and what it takes to write it anew."""

import asyncio
from typing import Any

import pytest

from gatekeeper.adapters.postgres import PostgresLedger
from tests.integration.cli_hold import Hold
from tests.support.commands import Said

pytestmark = pytest.mark.integration


@pytest.fixture
def grown(hold: Hold) -> Hold:
    """A site of 610 entries, all under signed checkpoints."""
    hold.grow(600)
    return hold


def _fsck(hold: Hold, *words: object) -> Said:
    return hold("audit", "fsck", "--site", hold.site, *words)


def _rows(hold: Hold) -> list[Any]:
    return [
        *map(
            tuple, hold.run("SELECT tree, level, index, hashes FROM tile WHERE site_id = $1 ORDER BY 1, 2, 3")
        ),
        *map(tuple, hold.run("SELECT tree, size, root FROM tree_head WHERE site_id = $1 ORDER BY 1")),
    ]


def _found(said: Said) -> list[str]:
    return [
        f"{one['tree']} {one['what']} {'' if one['level'] is None else one['level']}/{one['index']} {one['is']}"
        for one in said.document["differences"]
    ]


# -- what differs -----------------------------------------------------------------------------------------------------


def test_of_a_sound_log_nothing_differs(grown: Hold):
    said = _fsck(grown, "--json")
    assert said.code == 0
    assert said.document == {
        "sound": True,
        "repaired": False,
        "entries": 610,
        "trees": 3,
        "differences": [],
        "other_problems": 0,
        "objections": [],
    }
    assert "Nothing differs: 610 entries, 3 trees made again." in _fsck(grown).err


ZERO = "decode(repeat('00', 8192), 'hex')"
MENDABLE: dict[str, tuple[str, list[str]]] = {
    "a tile altered": (
        f"UPDATE tile SET hashes = {ZERO} WHERE site_id = $1 AND tree = 'site' AND index = 1",
        ["site tile 0/1 altered"],
    ),
    "all tiles deleted": (
        "DELETE FROM tile WHERE site_id = $1",
        [
            "site tile 0/0 missing",
            "tenant:army tile 0/0 missing",
            "site tile 0/1 missing",
            "tenant:army tile 0/1 missing",
        ],
    ),
    "a tile too many": (
        f"INSERT INTO tile (site_id, tree, level, index, hashes) VALUES ($1, 'site', 0, 7, {ZERO})",
        ["site tile 0/7 too much"],
    ),
    "a head's root altered": (
        "UPDATE tree_head SET root = decode(repeat('00', 32), 'hex') WHERE site_id = $1 AND tree = 'site'",
        ["site head /610 altered"],
    ),
    "a head deleted": (
        "DELETE FROM tree_head WHERE site_id = $1 AND tree = 'site'",
        ["site head /610 missing"],
    ),
    "a tenant's head moved on": (
        "UPDATE tree_head SET size = 1000 WHERE site_id = $1 AND tree = 'tenant:army'",
        ["tenant:army head /605 altered"],
    ),
    "a tree that is not there": (
        "INSERT INTO tree_head SELECT site_id, 'tenant:ghost', size, root FROM tree_head WHERE site_id = $1 AND tree = 'site'",
        ["tenant:ghost head /0 too much"],
    ),
    "everything but the bodies": (
        f"WITH gone AS (DELETE FROM tree_head WHERE site_id = $1 AND size > 0) UPDATE tile SET hashes = {ZERO} WHERE site_id = $1",
        [
            "site tile 0/0 altered",
            "tenant:army tile 0/0 altered",
            "site tile 0/1 altered",
            "tenant:army tile 0/1 altered",
            "site head /610 missing",
            "tenant:army head /605 missing",
            "tenant:school head /4 missing",
        ],
    ),
}


@pytest.mark.parametrize(("tamper", "differs"), MENDABLE.values(), ids=MENDABLE)
def test_what_differs_is_told_by_its_place_and_written_anew(tamper: str, differs: list[str], grown: Hold):
    before = _rows(grown)
    grown.run(tamper)
    altered = _rows(grown)
    said = _fsck(grown, "--json")
    assert (said.code, said.document["sound"], said.document["objections"]) == (1, False, [])
    assert sorted(_found(said)) == sorted(differs)
    assert _rows(grown) == altered, "who only looks writes nothing"
    mended = _fsck(grown, "--repair", "--json")
    assert (mended.code, mended.document["repaired"]) == (0, True)
    assert sorted(_found(mended)) == sorted(differs)
    assert _rows(grown) == before
    assert _fsck(grown).code == 0
    assert grown.verify().code == 0


def test_a_person_is_shown_a_table_and_what_to_do(grown: Hold):
    grown.run("DELETE FROM tile WHERE site_id = $1 AND tree = 'site' AND index = 1")
    said = _fsck(grown)
    assert said.code == 1
    assert [line.split() for line in said.out.splitlines()] == [
        ["tree", "what", "level", "index", "is"],
        ["site", "tile", "0", "1", "missing"],
    ]
    assert "1 tile and 0 heads not as the bodies make them. 610 entries, 3 trees made again." in said.err
    assert said.err.splitlines()[-1].startswith("gatekeeper audit fsck --repair writes them anew")
    mended = _fsck(grown, "--repair")
    assert (mended.code, mended.err.splitlines()[-1]) == (
        0,
        "Mended: 1 tile and 0 heads written anew. 610 entries, 3 trees made again.",
    )


def test_an_engine_takes_a_mended_site_over(grown: Hold):
    """What was wrong kept every engine from it, and what was written is what an engine goes on from."""
    grown.run("DELETE FROM tree_head WHERE site_id = $1")
    _fsck(grown, "--repair")
    grown.grow(300)
    assert grown.verify().code == 0


# -- what is not written anew -----------------------------------------------------------------------------------------

UNMENDABLE: dict[str, tuple[list[str], str]] = {
    "a body altered": (
        [
            "UPDATE entry SET body = replace(convert_from(body, 'UTF8'), 'front', 'frond')::bytea WHERE site_id = $1 AND seq = 100"
        ],
        "other problems would remain",
    ),
    "a body and the tiles over it": (
        [
            "UPDATE entry SET body = replace(convert_from(body, 'UTF8'), 'front', 'frond')::bytea WHERE site_id = $1 AND seq = 100",
            "DELETE FROM tile WHERE site_id = $1",
        ],
        "other problems would remain",
    ),
    "a body deleted": (["DELETE FROM entry WHERE site_id = $1 AND seq = 100"], "other problems would remain"),
    "a tile and all signed checkpoints": (
        [
            "DELETE FROM tile WHERE site_id = $1 AND tree = 'site'",
            "DELETE FROM checkpoint WHERE site_id = $1",
        ],
        "no signed checkpoint vouches for site",
    ),
    "a checkpoint that is no note": (
        [
            "DELETE FROM tile WHERE site_id = $1 AND tree = 'site'",
            "UPDATE checkpoint SET note = 'trust me' WHERE site_id = $1 AND tree = 'tenant:army'",
        ],
        "1 other problem would remain",
    ),
}


@pytest.mark.parametrize(("tamper", "objection"), UNMENDABLE.values(), ids=UNMENDABLE)
def test_what_nobody_vouches_for_is_not_made_good(tamper: list[str], objection: str, grown: Hold):
    for sql in tamper:
        grown.run(sql)
    before = _rows(grown)
    said = _fsck(grown, "--repair", "--json")
    assert (said.code, said.document["repaired"]) == (1, False)
    assert objection in said.document["objections"][0]
    assert _rows(grown) == before
    told = _fsck(grown, "--repair")
    assert f"Not mended: {said.document['objections'][0]}." in told.err


def test_an_entry_slipped_in_behind_the_last_checkpoint_does_not_become_a_part_of_the_log(hold: Hold):
    """A body that is in every form right, and that nobody signed."""
    hold.grow(2)
    hold.run("DELETE FROM checkpoint WHERE site_id = $1 AND size > 11 AND tree = 'site'")
    hold.run("DELETE FROM checkpoint WHERE site_id = $1 AND tree = 'tenant:army'")
    hold.run("UPDATE tree_head SET size = 11 WHERE site_id = $1 AND tree = 'site'")
    hold.run("UPDATE tree_head SET size = 3 WHERE site_id = $1 AND tree = 'tenant:army'")
    said = _fsck(hold, "--repair", "--json")
    assert (said.code, said.document["repaired"]) == (1, False)
    assert "site has 1 body beyond its head and every signed checkpoint" in said.document["objections"]


def test_a_site_that_an_engine_owns_is_looked_at_and_not_written_to(grown: Hold):
    grown.run("DELETE FROM tile WHERE site_id = $1 AND tree = 'site' AND index = 1")
    before = _rows(grown)

    async def owned() -> tuple[Said, Said]:
        ledger = PostgresLedger(grown.dsn)
        try:
            assert await ledger.claim(grown.site, owner="the test") is not None
            return (
                await asyncio.to_thread(_fsck, grown),
                await asyncio.to_thread(_fsck, grown, "--repair"),
            )
        finally:
            await ledger.close()

    looked, refused = asyncio.run(owned())
    assert looked.code == 1
    assert (refused.code, refused.err) == (
        3,
        f"Cannot check: An engine owns {grown.site}: stop it first (gatekeeper serve).\n",
    )
    assert _rows(grown) == before


@pytest.mark.parametrize("words", [(), ("--repair",)])
def test_what_cannot_be_looked_at_is_no_fault_of_the_log(words: tuple[str, ...], hold: Hold):
    said = hold.say(
        "audit",
        "fsck",
        *words,
        "--data",
        hold.data,
        "--site",
        hold.site,
        "--dsn",
        "postgresql://127.0.0.1:1/log",
    )
    assert (said.code, said.out, said.err) == (3, "", "Cannot check: The database does not answer.\n")
