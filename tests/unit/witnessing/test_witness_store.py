"""What a witness remembers, in the real store: one file, opened anew as often as a test likes."""

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatekeeper.adapters.witness_store import SqliteWitnessStore
from gatekeeper.ports import Dispute, WatchedLog, WitnessStoreError
from gatekeeper.transparency import Accepted, Latest, SignatureType, Verifier
from tests.support.logs import forked, honest

LOG, FORK = honest(), forked()
ORIGIN = LOG.signer.name
NOW = datetime(2026, 6, 3, 10, tzinfo=UTC)


def accepted(size: int) -> Accepted:
    return Accepted(checkpoint=LOG.checkpoint(size), note=LOG.note(size))


async def advance(store: SqliteWitnessStore, size: int, *, after: int | None) -> bool:
    known = None if after is None else LOG.latest(after)
    return await store.advance(accepted(size), after=known, at=NOW)


async def test_nothing_is_known_of_a_log_at_first(store: SqliteWitnessStore):
    assert await store.latest(ORIGIN) is None
    assert await store.logs() == {}
    assert await store.watched() == []


async def test_a_log_goes_on_from_where_it_was(store: SqliteWitnessStore):
    assert await advance(store, 3, after=None)
    assert await store.latest(ORIGIN) == LOG.latest(3)
    assert await advance(store, 7, after=3)
    assert await advance(store, 7, after=7), "the same once more is no step back"
    assert await store.latest(ORIGIN) == LOG.latest(7)


async def test_what_was_weighed_against_something_else_is_not_kept(store: SqliteWitnessStore):
    assert await advance(store, 5, after=None)
    assert not await advance(store, 7, after=None)
    assert not await advance(store, 7, after=3)
    other_root = Latest(size=5, root=bytes(32))
    assert not await store.advance(accepted(7), after=other_root, at=NOW)
    assert await store.latest(ORIGIN) == LOG.latest(5)


async def test_of_many_that_come_at_once_one_is_kept(file: Path, store: SqliteWitnessStore):
    async with SqliteWitnessStore.opened(file) as other:
        assert await advance(store, 3, after=None)
        won = await asyncio.gather(
            *(advance(opened, size, after=3) for size in range(4, 20) for opened in (store, other))
        )
        assert sum(won) == 1
        assert await store.latest(ORIGIN) == await other.latest(ORIGIN)


async def test_what_is_kept_outlives_the_witness(file: Path):
    async with SqliteWitnessStore.opened(file) as store:
        await store.admit(LOG.signer.verifier, at=NOW)
        await advance(store, 7, after=None)
    async with SqliteWitnessStore.opened(file) as store:
        assert await store.latest(ORIGIN) == LOG.latest(7)
        assert await store.logs() == {ORIGIN: [LOG.signer.verifier]}


async def test_a_log_has_the_keys_that_were_admitted_and_not_dismissed(store: SqliteWitnessStore):
    second = Verifier(name=ORIGIN, type=SignatureType.ED25519, public_key=b"\x07" * 32)
    assert await store.admit(LOG.signer.verifier, at=NOW)
    assert not await store.admit(LOG.signer.verifier, at=NOW)
    assert await store.admit(second, at=NOW)
    assert set((await store.logs())[ORIGIN]) == {LOG.signer.verifier, second}
    assert await store.dismiss(LOG.signer.verifier)
    assert not await store.dismiss(LOG.signer.verifier)
    assert await store.logs() == {ORIGIN: [second]}


async def test_the_file_itself_lets_no_log_shrink_fork_or_be_forgotten(file: Path, store: SqliteWitnessStore):
    await advance(store, 7, after=None)
    with sqlite3.connect(file) as connection:
        for change in (
            "UPDATE latest SET size = 6",
            "UPDATE latest SET root = zeroblob(32)",
            "UPDATE latest SET origin = 'another'",
            "DELETE FROM latest",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="a witness"):
                connection.execute(change)
    connection.close()
    assert await store.latest(ORIGIN) == LOG.latest(7)


async def test_a_dispute_is_kept_once_beside_the_latest_of_then(store: SqliteWitnessStore):
    await advance(store, 20, after=None)
    dispute = Dispute(at=NOW, code="witness-fork", size=20, note=FORK.note(20))
    await store.keep_dispute(ORIGIN, dispute)
    await store.keep_dispute(ORIGIN, dispute)
    await advance(store, 30, after=20)
    assert await store.disputes(ORIGIN) == [
        Dispute(at=NOW, code="witness-fork", size=20, note=FORK.note(20), latest_note=LOG.note(20))
    ]
    assert await store.watched() == [
        WatchedLog(
            origin=ORIGIN, keys=0, latest=LOG.latest(30), note=LOG.note(30), at=NOW, disputes=1
        )
    ]  # fmt: skip


async def test_disputes_of_a_log_are_bounded_and_the_first_ones_stay(store: SqliteWitnessStore):
    for size in range(11, 51):
        await store.keep_dispute(ORIGIN, Dispute(at=NOW, code="proof-root", size=size, note=FORK.note(size)))
    assert [one.size for one in await store.disputes(ORIGIN)] == list(range(11, 43))


@pytest.fixture
def notes(file: Path) -> Iterator[Path]:
    file.write_bytes(b"these are my notes, and no database at all" * 100)
    yield file
    assert file.read_bytes() == b"these are my notes, and no database at all" * 100


async def test_a_file_that_is_no_store_is_told_and_not_touched(notes: Path):
    with pytest.raises(WitnessStoreError, match="cannot be opened"):
        async with SqliteWitnessStore.opened(notes):
            pass


async def test_a_store_that_fails_says_so(store: SqliteWitnessStore, file: Path):
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE log_key")
    connection.close()
    with pytest.raises(WitnessStoreError, match="cannot be used"):
        await store.logs()
