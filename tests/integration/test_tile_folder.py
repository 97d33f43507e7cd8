"""A log as a folder of tiles: read by a stranger, added to and never written anew, and never ahead of what is true."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.adapters.postgres import PostgresStoredTrees
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.publication import Publishing, Renewed, TileFolder, TileFolderError
from tests.support.checkpoints import WITNESS, cosign_heads, sign_heads, verifier_of
from tests.support.fort import ARMY, SCHOOL, Fort
from tests.support.gone import let_bodies_go
from tests.support.tlog_reader import Fetch, path_of, read_log

pytestmark = pytest.mark.integration


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as fort:
        yield fort


async def _grow(fort: Fort, entries: int, **what: Any) -> None:
    await fort.commit(fort.pen.write(entries, **what))
    await sign_heads(fort)


async def _renew(
    fort: Fort,
    folder: Path,
    tree: str = "site",
    progress: Any = None,
    publishing: Publishing = Publishing.ENTRIES,
) -> Renewed:
    async with PostgresStoredTrees.opened(fort.dsn) as stored:
        filled = TileFolder(
            folder,
            site=fort.site,
            tree=tree,
            stored=stored,
            verifiers=[verifier_of(fort.site, tree)],
            publishing=publishing,
        )
        return await filled.renew(progress or (lambda _done, _of: None))


def _fetch(folder: Path) -> Fetch:
    async def fetch(path: str) -> bytes | None:
        file = folder / path
        return file.read_bytes() if file.is_file() else None

    return fetch


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# -- what a reader finds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
async def test_a_reader_that_knows_the_specification_alone_checks_the_folder(
    size: int, fort: Fort, tmp_path: Path
):
    await _grow(fort, size)
    assert await _renew(fort, tmp_path / "log") == Renewed(size=size, added=size, bundles_left_out=0)
    assert await read_log(_fetch(tmp_path / "log")) == size


@pytest.mark.parametrize("tree", ["tenant:army", "tenant:school"])
async def test_a_tenants_folder_holds_its_own_entries_and_no_others(tree: str, fort: Fort, tmp_path: Path):
    await _grow(fort, 100, tenants=(ARMY, SCHOOL))
    await _grow(fort, 200, tenants=(SCHOOL,))
    await _grow(fort, 300, tenants=(SCHOOL, ARMY))
    await _renew(fort, tmp_path / "log", tree)
    assert await read_log(_fetch(tmp_path / "log")) == fort.pen.trees[tree].size


async def test_a_folder_is_closed_to_others_until_its_owner_opens_it(fort: Fort, tmp_path: Path):
    await _grow(fort, 1)
    await _renew(fort, tmp_path / "log")
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700


# -- only what is new -------------------------------------------------------------------------------------------------


async def test_after_any_growth_the_folder_is_what_it_would_be_if_filled_at_once(fort: Fort, tmp_path: Path):
    folder = tmp_path / "log"
    for step in (1, 254, 1, 1, 255, 256, 300, 4000):
        await _grow(fort, step)
        renewed = await _renew(fort, folder)
        assert (renewed.size, renewed.added) == (fort.pen.size, step)
        assert await read_log(_fetch(folder)) == fort.pen.size
    at_once = tmp_path / "at-once"
    await _renew(fort, at_once)
    grown = _files(folder)
    assert {path: grown[path] for path in _files(at_once)} == _files(at_once)
    assert not [path for path in grown if ".tmp" in path or "/." in path]


async def test_incomplete_tiles_go_when_the_full_ones_are_there_and_not_before(fort: Fort, tmp_path: Path):
    await _grow(fort, 100)
    await _renew(fort, tmp_path)
    await _grow(fort, 100)
    await _renew(fort, tmp_path)
    incomplete = {path for path in _files(tmp_path) if ".p/" in path}
    assert incomplete == {path_of(kind, 0, width) for kind in ("0", "entries") for width in (100, 200)}, (
        "who still reads the older checkpoint finds its tiles"
    )
    await _grow(fort, 100)
    await _renew(fort, tmp_path)
    assert {path for path in _files(tmp_path) if ".p/" in path} == {
        path_of("0", 1, 44),
        path_of("entries", 1, 44),
        path_of("1", 0, 1),
    }


async def test_a_folder_that_is_up_to_date_is_left_as_it_is(fort: Fort, tmp_path: Path):
    await _grow(fort, 300)
    await _renew(fort, tmp_path)
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in _files(tmp_path) if ".p/" not in path}
    assert (await _renew(fort, tmp_path)).added == 0
    after = {path: (tmp_path / path).stat().st_mtime_ns for path in before if path != "checkpoint"}
    assert after == {path: at for path, at in before.items() if path != "checkpoint"}


async def test_a_folder_shows_what_witnesses_cosigned_and_never_goes_back_for_it(fort: Fort, tmp_path: Path):
    await _grow(fort, 300)
    await _grow(fort, 300)
    assert (await _renew(fort, tmp_path / "ahead")).size == 600
    await cosign_heads(fort, up_to=300)
    assert (await _renew(fort, tmp_path / "ahead")).size == 600
    assert (await _renew(fort, tmp_path / "new")).size == 300
    await cosign_heads(fort)
    assert (await _renew(fort, tmp_path / "new")).size == 600
    assert WITNESS.name in (tmp_path / "new" / "checkpoint").read_text()


async def test_full_tiles_are_not_written_again(fort: Fort, tmp_path: Path):
    await _grow(fort, 600)
    await _renew(fort, tmp_path)
    before = (tmp_path / path_of("entries", 0)).stat().st_mtime_ns
    await _grow(fort, 600)
    await _renew(fort, tmp_path)
    assert (tmp_path / path_of("entries", 0)).stat().st_mtime_ns == before


async def test_progress_is_told_from_where_the_folder_was_to_the_end(fort: Fort, tmp_path: Path):
    await _grow(fort, 600)
    await _renew(fort, tmp_path)
    await _grow(fort, 400)
    told: list[tuple[int, int]] = []
    await _renew(fort, tmp_path, progress=lambda done, of: told.append((done, of)))
    assert told == [(768, 1000), (1000, 1000)]


def _interrupt(done: int, _of: int) -> None:
    if done > 2000:
        raise asyncio.CancelledError


async def test_a_first_run_that_was_interrupted_is_completed_by_the_next(fort: Fort, tmp_path: Path):
    await _grow(fort, 5000)
    with pytest.raises(asyncio.CancelledError):
        await _renew(fort, tmp_path, progress=_interrupt)
    assert not (tmp_path / "checkpoint").exists()
    await _renew(fort, tmp_path)
    assert await read_log(_fetch(tmp_path)) == 5000


async def test_a_run_that_was_interrupted_is_completed_by_the_next(fort: Fort, tmp_path: Path):
    await _grow(fort, 300)
    await _renew(fort, tmp_path)
    before = _files(tmp_path)
    await _grow(fort, 5000)
    with pytest.raises(asyncio.CancelledError):
        await _renew(fort, tmp_path, progress=_interrupt)
    assert await read_log(_fetch(tmp_path)) == 300, "who reads meanwhile finds what there was"
    assert before.items() <= _files(tmp_path).items()
    assert (await _renew(fort, tmp_path)).added == 5000
    assert await read_log(_fetch(tmp_path)) == 5300


async def test_two_runs_do_not_fill_one_folder_at_once(fort: Fort, tmp_path: Path):
    await _grow(fort, 300)
    said: list[str] = []

    async def meanwhile() -> None:
        with pytest.raises(TileFolderError) as refused:
            await _renew(fort, tmp_path)
        said.append(str(refused.value))

    tasks: list[asyncio.Task[None]] = []
    started = asyncio.Event()

    class Paused(PostgresStoredTrees):
        async def bodies(self, *place: Any, **bounds: Any) -> Any:
            tasks.append(asyncio.create_task(meanwhile()))
            started.set()
            await tasks[0]
            return await super().bodies(*place, **bounds)

    async with Paused.opened(fort.dsn) as stored:
        filled = TileFolder(
            tmp_path,
            site=fort.site,
            tree="site",
            stored=stored,
            verifiers=[verifier_of(fort.site, "site")],
            publishing=Publishing.ENTRIES,
        )
        await filled.renew(lambda _done, _of: None)
    assert said == [f"Another run is filling {tmp_path}."]


# -- never ahead of what is true --------------------------------------------------------------------------------------


async def test_a_log_that_does_not_lead_to_its_checkpoint_replaces_none(fort: Fort, tmp_path: Path):
    await _grow(fort, 300)
    await _renew(fort, tmp_path)
    await _grow(fort, 300)
    await fort.run("UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = 400")
    with pytest.raises(TileFolderError, match="do not lead to the root of the checkpoint at 600 entries"):
        await _renew(fort, tmp_path)
    assert await read_log(_fetch(tmp_path)) == 300
    await fort.run(
        "UPDATE entry SET body = rtrim(convert_from(body, 'UTF8'))::bytea WHERE site_id = $1 AND seq = 400"
    )
    await _renew(fort, tmp_path)
    assert await read_log(_fetch(tmp_path)) == 600


async def test_a_folder_that_was_altered_where_the_tree_goes_on_is_not_added_to(fort: Fort, tmp_path: Path):
    await _grow(fort, 300)
    await _renew(fort, tmp_path)
    tile = tmp_path / path_of("0", 1, 44)
    for altered in (bytes(44 * 32), b"short"):
        tile.write_bytes(altered)
        with pytest.raises(TileFolderError):
            await _renew(fort, tmp_path)


async def test_a_log_that_was_cut_is_not_taken_for_one_that_grew(fort: Fort, tmp_path: Path):
    await _grow(fort, 300)
    await _grow(fort, 300)
    await _renew(fort, tmp_path)
    await fort.run("DELETE FROM checkpoint WHERE site_id = $1 AND size > 300")
    with pytest.raises(
        TileFolderError, match=r"The folder holds 600 entries and .* covers 300: the log was cut"
    ):
        await _renew(fort, tmp_path)


async def test_a_folder_of_another_log_or_of_other_things_is_not_written_into(fort: Fort, tmp_path: Path):
    await _grow(fort, 10, tenants=(SCHOOL,))
    await _renew(fort, tmp_path / "log")
    with pytest.raises(TileFolderError, match="is no checkpoint of this log"):
        await _renew(fort, tmp_path / "log", "tenant:school")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(TileFolderError, match="holds other things than a log"):
        await _renew(fort, tmp_path / "other")


async def test_hashes_alone_are_a_log_too_and_stay_without_bodies(fort: Fort, tmp_path: Path):
    await _grow(fort, 300)
    await _renew(fort, tmp_path, publishing=Publishing.TILES)
    await _grow(fort, 300)
    await _renew(fort, tmp_path, publishing=Publishing.TILES)
    assert await read_log(_fetch(tmp_path), bodies=False) == 600
    assert not (tmp_path / "tile" / "entries").exists()


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (Publishing.TILES, Publishing.ENTRIES, "was begun without entries: name an empty folder."),
        (Publishing.ENTRIES, Publishing.TILES, "was begun with entries: name another folder."),
    ],
)
async def test_a_folder_does_not_change_its_mind_halfway(
    first: Publishing, then: Publishing, said: str, fort: Fort, tmp_path: Path
):
    await _grow(fort, 300)
    await _renew(fort, tmp_path, publishing=first)
    with pytest.raises(TileFolderError, match=said):
        await _renew(fort, tmp_path, publishing=then)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        ("DELETE FROM checkpoint WHERE site_id = $1", "holds no signed checkpoint of this tree yet"),
        ("UPDATE checkpoint SET note = 'trust me' WHERE site_id = $1", "newest checkpoint is not believed"),
        (
            "DELETE FROM entry WHERE site_id = $1 AND seq = 299",
            "Entries are missing from the log between 256 and 300",
        ),
        (
            "UPDATE entry SET body = decode(repeat('00', 65536), 'hex') WHERE site_id = $1 AND seq = 5",
            "65536 bytes",
        ),
    ],
)
async def test_a_log_that_cannot_be_written_out_is_said_to_be(
    tamper: str, said: str, fort: Fort, tmp_path: Path
):
    await _grow(fort, 300)
    await fort.run(tamper)
    with pytest.raises(TileFolderError, match=said):
        await _renew(fort, tmp_path / "log")


async def test_a_quiet_tree_that_lost_all_its_bodies_leaves_its_hashes(fort: Fort, tmp_path: Path):
    await _grow(fort, 300, tenants=(ARMY,))
    await _grow(fort, 10, tenants=(SCHOOL,))
    await let_bodies_go(fort, 305)
    assert await _renew(fort, tmp_path, "tenant:army") == Renewed(size=300, added=300, bundles_left_out=2)
    assert await read_log(_fetch(tmp_path), bodies=False) == 300


async def test_bodies_that_are_not_kept_any_more_leave_their_hashes(fort: Fort, tmp_path: Path):
    await _grow(fort, 700)
    await let_bodies_go(fort, 300)
    assert await _renew(fort, tmp_path) == Renewed(size=700, added=700, bundles_left_out=2)
    assert await read_log(_fetch(tmp_path), bodies=False) == 700
    assert not (tmp_path / path_of("entries", 1)).exists()
    assert (tmp_path / path_of("entries", 2, 188)).exists()
