"""Reading a site's log and state, as the command line and auditors do."""

import errno
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from gatekeeper.adapters.postgres import PostgresLeaves, PostgresMending, PostgresReading
from gatekeeper.adapters.postgres.reading import _PAGE, BadgeRow
from gatekeeper.core.audit import Kind
from gatekeeper.core.presence import Quality
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.supervise import StoredBadge, StoredHolder, Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.badges import BadgeRecord, BadgeState
from gatekeeper.model.ids import BadgeId, HolderId, SiteId, TenantId, ZoneId
from gatekeeper.ports import LedgerUnavailableError, StoredEntry
from tests.support.fort import ARMY, NOW, PUPIL, SCHOOL, SERGEANT, Fort, presence
from tests.support.proxy import FaultProxy

pytestmark = pytest.mark.integration

NOWHERE = SiteId("nowhere")


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as fort:
        yield fort


@pytest.fixture
async def reading(fort: Fort) -> AsyncIterator[PostgresReading]:
    async with PostgresReading.opened(fort.dsn) as reading:
        yield reading


def _person(holder: HolderId, tenant: TenantId, name: bytes, *badges: str) -> StoredHolder:
    return StoredHolder(
        record=HolderRecord(id=holder, document=b""),
        tenant=tenant,
        name=name,
        badges=tuple(BadgeId(badge * 32) for badge in badges),
    )


def _badge(
    name: str, holder: HolderId, tenant: TenantId, state: BadgeState = BadgeState.ACTIVE
) -> StoredBadge:
    record = BadgeRecord(id=BadgeId(name * 32), token=name.encode(), state=state)
    return StoredBadge(record=record, tenant=tenant, holder=holder, card=None)


PEOPLE = Writes(
    holders=[_person(SERGEANT, ARMY, b"sealed Wim", "a", "b"), _person(PUPIL, SCHOOL, b"sealed Aaltje", "c")],
    badges=[
        _badge("a", SERGEANT, ARMY, BadgeState.LOST),
        _badge("b", SERGEANT, ARMY),
        _badge("c", PUPIL, SCHOOL),
    ],
)


# -- entries ----------------------------------------------------------------------------------------------------------


async def _read(
    reading: PostgresReading, fort: Fort, since: int, until: int | None = None
) -> list[StoredEntry]:
    return [entry async for entry in reading.entries(fort.site, since=since, until=until)]


async def test_entries_are_read_as_they_were_written_with_what_is_personal(
    fort: Fort, reading: PostgresReading
):
    written = [fort.pen.write(2, person=SERGEANT, kind=Kind.ACCESS_GRANTED)]
    await fort.commit(written[0])
    written.append(fort.pen.write(1))
    await fort.commit(written[1])
    assert await _read(reading, fort, 0) == [
        StoredEntry(
            seq=entry.seq,
            at=NOW,
            kind=entry.kind,
            body=entry.body,
            person=entry.person,
            personal=entry.personal,
        )
        for batch in written
        for entry in batch.entries
    ]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (0, None),
        (0, 2 * _PAGE + 1),
        (0, _PAGE),
        (1, _PAGE + 1),
        (_PAGE - 1, _PAGE + 1),
        (2 * _PAGE, None),
        (17, 18),
        (17, 17),
        (2 * _PAGE + 1, None),
        (0, 9 * _PAGE),
    ],
)
async def test_entries_are_read_from_a_cursor_to_an_end_over_pages(
    since: int, until: int | None, long_log: Fort, reading: PostgresReading
):
    size = 2 * _PAGE + 1
    seqs = [entry.seq for entry in await _read(reading, long_log, since, until)]
    assert seqs == list(range(since, size if until is None else min(until, size)))


@pytest.fixture
async def long_log(fort: Fort) -> Fort:
    """A log of two pages and one entry."""
    await fort.commit(fort.pen.write(2 * _PAGE + 1))
    return fort


async def test_a_reader_that_goes_on_at_its_cursor_misses_nothing(fort: Fort, reading: PostgresReading):
    seen: list[int] = []
    for _ in range(3):
        await fort.commit(fort.pen.write(2))
        seen += [entry.seq for entry in await _read(reading, fort, len(seen))]
    assert seen == list(range(6))


async def test_the_size_of_a_log_is_that_of_its_sites_tree(fort: Fort, reading: PostgresReading):
    assert await reading.size(fort.site) == 0
    await fort.commit(fort.pen.write(3))
    assert await reading.size(fort.site) == 3
    assert await reading.size(NOWHERE) == 0


async def test_the_sites_of_a_database_are_told_in_the_order_of_their_names(
    fort: Fort, reading: PostgresReading
):
    sites = await reading.sites()
    assert fort.site in sites
    assert list(sites) == sorted(sites)


# -- people -----------------------------------------------------------------------------------------------------------


async def test_presence_tells_who_is_where_with_the_names_the_directory_knows(
    fort: Fort, reading: PostgresReading
):
    stranger = HolderId("stranger")
    moved = [
        presence(SERGEANT, "yard", seq=0),
        presence(PUPIL, "shed", seq=1, quality=Quality.TAKEN, since=NOW + timedelta(seconds=1)),
        presence(stranger, "yard", seq=2, quality=Quality.FORCED),
    ]
    await fort.commit(fort.pen.write(3).holding(moved=moved, writes=PEOPLE))
    rows = await reading.presence(fort.site, zones=None)
    assert [(row.zone, row.name, row.holder, row.tenant, row.quality, row.seq) for row in rows] == [
        ("shed", b"sealed Aaltje", PUPIL, SCHOOL, "taken", 1),
        ("yard", b"sealed Wim", SERGEANT, ARMY, "granted", 0),
        ("yard", None, stranger, None, "forced", 2),
    ]
    assert rows[0].since == NOW + timedelta(seconds=1)
    some = await reading.presence(fort.site, zones=[ZoneId("shed"), ZoneId("barrack")])
    assert [row.holder for row in some] == [PUPIL]
    assert not await reading.presence(fort.site, zones=[])
    assert not await reading.presence(NOWHERE, zones=None)


async def test_names_are_told_of_those_asked_for(fort: Fort, reading: PostgresReading):
    await fort.commit(fort.pen.write(1).holding(writes=PEOPLE))
    assert await reading.names(fort.site, [PUPIL, HolderId("stranger")]) == {PUPIL: b"sealed Aaltje"}
    assert await reading.names(fort.site, []) == {}


async def test_a_badge_is_found_by_its_id_and_by_its_holder(fort: Fort, reading: PostgresReading):
    await fort.commit(fort.pen.write(1).holding(writes=PEOPLE))
    assert await reading.badge(fort.site, BadgeId("a" * 32)) == BadgeRow(
        tenant=ARMY, holder=SERGEANT, state="lost"
    )
    assert await reading.badge(fort.site, BadgeId("f" * 32)) is None
    assert list(await reading.badges_of(fort.site, SERGEANT)) == [("a" * 32, "lost"), ("b" * 32, "active")]
    assert not await reading.badges_of(fort.site, HolderId("stranger"))


# -- documents and trees ----------------------------------------------------------------------------------------------


async def test_the_document_in_force_is_the_newest_of_its_kind(fort: Fort, reading: PostgresReading):
    assert await reading.document(fort.site, "trust") is None
    for seq, content in enumerate((b"older", b"newer")):
        await fort.commit(fort.pen.write(1).holding(writes=Writes(documents=[("trust", seq, content)])))
    assert await reading.document(fort.site, "trust") == b"newer"
    assert await reading.document(fort.site, "policy") is None


async def test_what_the_database_claims_of_its_trees_is_told_whole(fort: Fort, reading: PostgresReading):
    await fort.commit(fort.pen.write(300, tenants=(SCHOOL, ARMY)))
    await fort.commit(fort.pen.write(300, tenants=(SCHOOL,)))
    await fort.ledger.checkpoint(fort.site, tree="site", size=600, root=bytes(32), note=b"a note", at=NOW)
    claimed = await reading.claimed(fort.site)
    assert claimed.heads == {name: (tree.size, tree.root()) for name, tree in fort.pen.trees.items()}
    assert sorted(claimed.tiles) == [
        ("site", 0, 0),
        ("site", 0, 1),
        ("tenant:army", 0, 0),
        ("tenant:school", 0, 0),
        ("tenant:school", 0, 1),
    ]
    assert claimed.tiles["site", 0, 0] == claimed.tiles["tenant:school", 0, 0]
    assert claimed.checkpoints == [("site", 600, bytes(32), b"a note")]


# -- when the database is away ----------------------------------------------------------------------------------------


async def test_a_database_that_is_not_there_is_said_to_be_away(fort: Fort, database_proxy: FaultProxy):
    database_proxy.refuse()
    with pytest.raises(LedgerUnavailableError):
        async with PostgresReading.opened(database_proxy.dsn(fort.dsn)):
            pass


async def test_a_database_that_goes_away_while_it_is_read_is_said_to_be_away(
    fort: Fort, database_proxy: FaultProxy
):
    await fort.commit(fort.pen.write(_PAGE + 1))
    seen: list[int] = []

    async def read_until_the_first_page_is_done() -> None:
        async with PostgresReading.opened(database_proxy.dsn(fort.dsn)) as reading:
            async for entry in reading.entries(fort.site, since=0):
                seen.append(entry.seq)
                if len(seen) == _PAGE:
                    database_proxy.cut()

    with pytest.raises(LedgerUnavailableError):
        await read_until_the_first_page_is_done()
    assert len(seen) == _PAGE


@pytest.mark.parametrize(
    "opened",
    [
        lambda dsn, _: PostgresReading.opened(dsn),
        PostgresLeaves.opened,
        PostgresMending.holding,
    ],
    ids=["reading", "leaves", "mending"],
)
async def test_what_goes_wrong_between_two_questions_is_not_the_database_s(
    fort: Fort, opened: Callable[[str, SiteId], AbstractAsyncContextManager[object]]
):
    await fort.ledger.close()  # and nobody owns the site

    async def fill_the_disk() -> None:
        async with opened(fort.dsn, fort.site):
            raise OSError(errno.ENOSPC, "No space left on device", "log.zip")

    with pytest.raises(OSError, match=r"No space left on device: 'log\.zip'"):
        await fill_the_disk()


async def test_a_log_that_is_none_of_ours_is_said_so(postgres_server: EmbeddedPostgres):
    async with PostgresReading.opened(postgres_server.dsn("postgres")) as reading:
        with pytest.raises(LedgerUnavailableError, match="cannot be read: relation"):
            await reading.size(NOWHERE)
