"""A batch is committed whole or not at all, once, and only by who owns the site and knows where its log ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.core.audit import tenant_tree
from gatekeeper.core.memory import NEVER_USED
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.supervise import ChangeOutcome, StoredBadge, StoredHolder, Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.badges import BadgeRecord, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import BadgeId, TenantId, ZoneId
from gatekeeper.ports import Batch, LedgerUnavailableError, SiteLostError
from gatekeeper.transparency import EMPTY_ROOT, Tile
from tests.support.fort import (
    NOW,
    PUPIL,
    SCHOOL,
    SERGEANT,
    Fort,
    Pen,
    Written,
    boot,
    presence,
    receipt,
)
from tests.support.proxy import Direction, FaultProxy

pytestmark = pytest.mark.integration

CHANGE = bytes(range(16))


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as fort:
        yield fort


def _holder(name: bytes, *, badge: str = "0" * 32) -> StoredHolder:
    return StoredHolder(
        record=HolderRecord(id=SERGEANT, document=b"signed"),
        tenant=SCHOOL,
        name=name,
        badges=(BadgeId(badge),),
    )


def _badge(number: int, *, card: Card | None = None) -> StoredBadge:
    record = BadgeRecord(id=BadgeId(f"{number:032x}"), token=b"token", state=BadgeState.ACTIVE)
    return StoredBadge(record=record, tenant=SCHOOL, holder=SERGEANT, card=card)


def _full(written: Written) -> Written:
    """A batch with something of everything."""
    first = written.entries[0].seq
    return written.holding(
        receipts=[receipt(first, 1, opens_boot=True), receipt(first + 1, 2, holder=SERGEANT)],
        moved=[presence(SERGEANT, "yard", seq=first)],
        usage={BadgeId("0" * 32): replace(NEVER_USED, failures=(NOW, NOW), pin_tries=2)},
        opened={(ZoneId("yard"), first): NOW},
        writes=Writes(
            alert=1,
            lockdowns=frozenset({"site"}),
            documents=[("policy", 0, b"a policy")],
            holders=[_holder(b"sealed")],
            badges=[_badge(1)],
        ),
    )


# -- whole ------------------------------------------------------------------------------------------------------------


async def test_a_batch_goes_in_with_all_its_parts(fort: Fort):
    await fort.commit(_full(fort.pen.write(300, person=SERGEANT)))
    counts = {table: len(rows) for table, rows in (await fort.everything()).items()}
    assert counts | {"alembic_version": 1} == {
        "alembic_version": 1,
        "site": 1,
        "tree_head": 3,
        "entry": 300,
        "personal": 300,
        "tile": 2,  # of the site's tree and the school's
        "receipt": 2,
        "gate_boot": 1,
        "gate_link": 0,
        "presence": 1,
        "badge_use": 1,
        "zone_opened": 1,
        "holder": 1,
        "badge": 1,
        "holder_photo": 0,
        "legal_hold": 0,
        "erased_person": 0,
        "operator": 0,
        "proposal": 0,
        "document": 1,
        "checkpoint": 0,
        "timestamp_token": 0,
        "cosignature": 0,
        "handed_out": 0,
        "change": 0,
        "dead_letter": 0,
        "log_start": 0,
    }


async def test_the_stored_bodies_are_the_sealed_bytes(fort: Fort):
    written = fort.pen.write(20, person=PUPIL)
    await fort.commit(written)
    rows = await fort.run("SELECT body FROM entry WHERE site_id = $1 ORDER BY seq")
    assert [row["body"] for row in rows] == [entry.body for entry in written.entries]


async def test_an_empty_batch_with_the_outcome_of_a_refused_change_needs_no_entry(fort: Fort):
    await fort.run("INSERT INTO change (site_id, change, document) VALUES ($1, $2, '')", CHANGE)
    outcome = ChangeOutcome(change=CHANGE, code="change-stale", detail="yesterday", seq=None)
    empty = Batch(entries=(), tiles=(), heads=(), moved=(), receipts=(), writes=Writes(outcomes=[outcome]))
    await fort.ledger.commit(fort.site, epoch=fort.epoch, batch=empty)
    assert not await fort.ledger.changes(fort.site)
    with pytest.raises(SiteLostError):
        await fort.ledger.commit(fort.site, epoch=fort.epoch + 1, batch=empty)


async def test_what_a_commit_forgets_it_forgets_after_all_that_it_says_of_where_people_are(fort: Fort):
    written = fort.pen.write(1)
    moved = [presence(SERGEANT, "yard", seq=0), presence(PUPIL, "yard", seq=0)]
    await fort.commit(written.holding(moved=moved, writes=Writes(forgiven=[SERGEANT])))
    rows = await fort.run("SELECT holder FROM presence WHERE site_id = $1")
    assert [row["holder"] for row in rows] == [PUPIL]


# -- or not at all ----------------------------------------------------------------------------------------------------


def _same_entry_twice(written: Written) -> Written:
    return written.holding(entries=[*written.entries, written.entries[0]])


def _a_tile_that_is_there(written: Written) -> Written:
    tile = Tile(level=0, index=0, width=256, hashes=bytes(8192))
    return written.holding(tiles=[("site", tile), ("site", tile)])


def _same_receipt_twice(written: Written) -> Written:
    return written.holding(receipts=[receipt(0, 7), receipt(1, 7)])


def _same_boot_twice(written: Written) -> Written:
    return written.holding(receipts=[receipt(0, 7, opens_boot=True), receipt(1, 8, opens_boot=True)])


def _a_short_digest(written: Written) -> Written:
    return written.holding(receipts=[receipt(0, 7, digest=b"short")])


def _same_person_moved_twice(written: Written) -> Written:
    return written.holding(moved=[presence(PUPIL, "yard", seq=0), presence(PUPIL, "shed", seq=1)])


def _an_unknown_kind_of_document(written: Written) -> Written:
    return written.holding(writes=Writes(documents=[("poem", 0, b"roses")]))


def _a_card_that_answers_to_two_badges(written: Written) -> Written:
    card = Card(CardTechnology.MIFARE, b"\xba\x83\x9d\x07")
    return written.holding(writes=Writes(badges=[_badge(1, card=card), _badge(2, card=card)]))


@pytest.mark.parametrize(
    "spoil",
    [
        _same_entry_twice,
        _a_tile_that_is_there,
        _same_receipt_twice,
        _same_boot_twice,
        _a_short_digest,
        _same_person_moved_twice,
        _an_unknown_kind_of_document,
        _a_card_that_answers_to_two_badges,
    ],
)
async def test_one_bad_part_keeps_the_whole_batch_out(spoil: Callable[[Written], Written], fort: Fort):
    await fort.commit(fort.pen.write(2))
    before = await fort.everything()
    good = fort.pen.write(3, person=SERGEANT)
    with pytest.raises((asyncpg.PostgresError, ValueError)):
        await fort.commit(spoil(good))
    assert await fort.everything() == before
    await fort.commit(good)


async def test_another_epoch_commits_nothing_and_leaves_no_orphans(fort: Fort):
    before = await fort.everything()
    for epoch in (fort.epoch - 1, fort.epoch + 1):
        with pytest.raises(SiteLostError, match="another epoch"):
            await fort.ledger.commit(fort.site, epoch=epoch, batch=_full(fort.pen.write(300)).batch)
    assert await fort.everything() == before


async def test_a_log_that_ends_elsewhere_takes_nothing_and_leaves_no_orphans(fort: Fort):
    stale = Pen(fort.site)
    await fort.commit(fort.pen.write(2))
    before = await fort.everything()
    with pytest.raises(SiteLostError, match="not where the engine left it"):
        await fort.ledger.commit(fort.site, epoch=fort.epoch, batch=_full(stale.write(3)).batch)
    assert await fort.everything() == before


async def test_one_tree_that_ends_elsewhere_keeps_the_batch_out(fort: Fort):
    written = fort.pen.write(3)
    await fort.run("UPDATE tree_head SET size = 1 WHERE site_id = $1 AND tree = 'tenant:school'")
    before = await fort.everything()
    with pytest.raises(SiteLostError):
        await fort.commit(written)
    assert await fort.everything() == before


async def test_a_tree_that_was_never_opened_keeps_the_batch_out(fort: Fort):
    fort.pen.sealer.open_tree(tenant_tree(TenantId("club")))
    before = await fort.everything()
    written = fort.pen.write(1, tenants=(TenantId("club"),))
    with pytest.raises(SiteLostError):
        await fort.commit(written)
    assert await fort.everything() == before
    await fort.ledger.open_trees(fort.site, ["tenant:club"])
    await fort.commit(written)


async def test_opening_trees_again_leaves_their_heads_alone(fort: Fort):
    await fort.commit(fort.pen.write(3))
    await fort.ledger.open_trees(fort.site, ["site", "tenant:school", "tenant:club"])
    rows = await fort.run("SELECT tree, size, root FROM tree_head WHERE site_id = $1")
    heads = {row["tree"]: (row["size"], row["root"]) for row in rows}
    assert heads["site"] == (3, fort.pen.trees["site"].root())
    assert heads["tenant:club"] == (0, EMPTY_ROOT)


# -- once -------------------------------------------------------------------------------------------------------------


async def test_the_same_batch_again_is_recognised(fort: Fort):
    written = _full(fort.pen.write(3))
    await fort.commit(written)
    before = await fort.everything()
    await fort.ledger.commit(fort.site, epoch=fort.epoch, batch=written.batch)
    assert await fort.everything() == before


async def test_another_batch_for_the_same_place_is_not_taken_for_the_one_that_is_in(fort: Fort):
    ours, other = fort.pen.write(3), fort.pen.write(3)
    assert [head.size for head in ours.batch.heads] == [head.size for head in other.batch.heads]
    await fort.commit(ours)
    with pytest.raises(SiteLostError):
        await fort.commit(other)


async def test_a_batch_that_is_in_is_not_ours_any_more_when_the_site_is_lost(fort: Fort):
    written = fort.pen.write(3)
    await fort.commit(written)
    await fort.run("UPDATE site SET epoch = epoch + 1 WHERE site_id = $1")
    with pytest.raises(SiteLostError):
        await fort.ledger.commit(fort.site, epoch=fort.epoch, batch=written.batch)


async def test_of_two_engines_that_both_believe_they_own_the_site_one_commits(fort: Fort):
    batches = [fort.pen.write(5) for _ in range(4)]
    ledgers = [PostgresLedger(fort.dsn) for _ in batches]
    try:
        outcomes = await asyncio.gather(
            *(
                ledger.commit(fort.site, epoch=fort.epoch, batch=written.batch)
                for ledger, written in zip(ledgers, batches, strict=True)
            ),
            return_exceptions=True,
        )
    finally:
        for ledger in ledgers:
            await ledger.close()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", *["SiteLostError"] * 3]
    rows = await fort.run("SELECT count(*) AS entries FROM entry WHERE site_id = $1")
    assert rows[0]["entries"] == 5


# -- over a link that breaks ------------------------------------------------------------------------------------------


@pytest.fixture
async def far(fort: Fort, database_proxy: FaultProxy) -> AsyncIterator[PostgresLedger]:
    """The owner's ledger, behind a link that breaks on cue; it is connected."""
    ledger = PostgresLedger(database_proxy.dsn(fort.dsn))
    await fort.commit(fort.pen.write(1), by=ledger)
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def _under_way(
    fort: Fort, ledger: PostgresLedger, written: Written
) -> AsyncIterator[asyncio.Task[None]]:
    """A commit that will not be answered."""
    committing = asyncio.create_task(ledger.commit(fort.site, epoch=fort.epoch, batch=written.batch))
    yield committing
    with pytest.raises(LedgerUnavailableError):
        await committing


async def _until(fort: Fort, condition: str, *arguments: Any) -> None:
    async with asyncio.timeout(10):
        while not (await fort.run(f"SELECT {condition} AS holds FROM site WHERE site_id = $1", *arguments))[
            0
        ][0]:
            pass


_SOMEBODY_WAITS = "EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


@asynccontextmanager
async def _head_held(fort: Fort) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Somebody else holds the heads of the site's trees, so that a commit waits for them until they are let go."""
    other = await asyncpg.connect(fort.dsn)
    try:
        holding = other.transaction()
        await holding.start()
        await other.execute("SELECT FROM tree_head WHERE site_id = $1 FOR UPDATE", fort.site)
        yield holding.rollback
    finally:
        await other.close()


async def _size(fort: Fort) -> int:
    rows = await fort.run("SELECT size FROM tree_head WHERE site_id = $1 AND tree = 'site'")
    return int(rows[0]["size"])


async def test_a_commit_whose_request_is_lost_went_not_in_and_goes_in_when_repeated(
    fort: Fort, far: PostgresLedger, database_proxy: FaultProxy
):
    written, before = _full(fort.pen.write(3)), await fort.everything()
    database_proxy.swallow(Direction.TO_SERVER)
    async with _under_way(fort, far, written):
        database_proxy.cut()
    assert await fort.everything() == before
    database_proxy.deliver(Direction.TO_SERVER)
    await fort.commit(written, by=far)
    assert await _size(fort) == 4


@pytest.mark.parametrize("full", [False, True], ids=["entries alone", "with altered state"])
async def test_a_commit_whose_answer_is_lost_went_in_and_is_recognised_when_repeated(
    full: bool,  # noqa: FBT001 - a table
    fort: Fort,
    far: PostgresLedger,
    database_proxy: FaultProxy,
):
    if full:  # the statement is known to the server
        await fort.commit(fort.pen.write(1).holding(moved=[presence(PUPIL, "mess", seq=1)]), by=far)
    size = await _size(fort) + 3
    written = fort.pen.write(3)
    if full:
        written = written.holding(
            receipts=[receipt(2, 1, opens_boot=True)], moved=[presence(PUPIL, "yard", seq=2)]
        )
    database_proxy.swallow(Direction.TO_CLIENT)
    async with _under_way(fort, far, written):
        await _until(
            fort, "(SELECT size FROM tree_head AS head WHERE head.site_id = $1 AND tree = 'site') = $2", size
        )
        database_proxy.cut()
    database_proxy.deliver(Direction.TO_CLIENT)
    before = await fort.everything()
    await fort.commit(written, by=far)
    assert await fort.everything() == before


async def test_a_commit_cut_between_the_log_and_the_state_beside_it_leaves_neither(
    fort: Fort, far: PostgresLedger, database_proxy: FaultProxy
):
    await fort.run(
        "INSERT INTO badge (site_id, badge, tenant, holder, token, state)"
        " VALUES ($1, $2, 'school', 'sergeant', 'token', 'active')",
        f"{1:032x}",
    )
    written = fort.pen.write(3).holding(
        writes=Writes(
            documents=[("policy", 0, b"a policy")],
            badge_states=[(BadgeId(f"{1:032x}"), BadgeState.LOST, frozenset({SCHOOL}), None)],
        )
    )
    before = await fort.everything()
    other = await asyncpg.connect(fort.dsn)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM badge WHERE site_id = $1 FOR UPDATE", fort.site)
            async with _under_way(fort, far, written):
                await _until(fort, _SOMEBODY_WAITS)
                database_proxy.cut()
    finally:
        await other.close()
    await _until(fort, f"NOT {_SOMEBODY_WAITS}")
    assert await fort.everything() == before
    await fort.commit(written, by=far)
    assert await _size(fort) == 4


async def test_who_takes_over_sees_the_commit_that_its_predecessor_died_in(
    fort: Fort, far: PostgresLedger, database_proxy: FaultProxy
):
    """The statement of a dead engine may still be waiting in the server; its successor must not load before it."""
    abandoned = fort.pen.write(3)
    await fort.ledger.close()
    successor = PostgresLedger(fort.dsn)
    try:
        async with _head_held(fort) as let_go:
            async with _under_way(fort, far, abandoned):
                await _until(fort, _SOMEBODY_WAITS)
                database_proxy.cut()
            claiming = asyncio.create_task(successor.claim(fort.site, owner="the successor"))
            await _until(fort, "(SELECT count(*) FROM pg_locks WHERE NOT granted) > 1")
            await let_go()
            epoch = await claiming
        assert epoch == fort.epoch + 1
        loaded = await successor.load(fort.site, epoch=epoch)
        assert loaded.edges["site"][0] == await _size(fort)
        fort.pen.accept(abandoned)
        await successor.commit(fort.site, epoch=epoch, batch=fort.pen.write(2).batch)
        assert await _size(fort) == 6
    finally:
        await successor.close()


async def test_a_server_that_ends_the_session_is_away_not_broken(fort: Fort):
    written = fort.pen.write(1)
    async with _head_held(fort) as let_go:
        async with _under_way(fort, fort.ledger, written):
            await _until(fort, _SOMEBODY_WAITS)
            await fort.run(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND $1::text IS NOT NULL"
            )
        await let_go()
    await fort.commit(written)
    assert await _size(fort) == 1


def test_a_batch_without_writes_needs_no_transaction_of_its_own():
    """What decides whether one statement is enough: no field of `Writes` may be missed."""
    assert not Writes()
    for name in Writes.__slots__:
        filled = replace(
            Writes(), **{name: 0 if name == "alert" else frozenset() if name == "lockdowns" else [b"x"]}
        )
        assert filled, name


async def test_a_boot_is_kept_with_the_entry_that_first_heard_of_it(fort: Fort):
    written = fort.pen.write(2).holding(
        receipts=[receipt(0, 1, boot=boot(7), opens_boot=True), receipt(1, 2, boot=boot(7))]
    )
    await fort.commit(written)
    rows = await fort.run("SELECT boot, first_seq FROM gate_boot WHERE site_id = $1")
    assert [tuple(row) for row in rows] == [(boot(7), 0)]


async def test_two_policies_that_waited_together_are_committed_together(fort: Fort):
    written = fort.pen.write(2)
    first, second = (entry.seq for entry in written.entries)
    documents = [("policy", first, b"one"), ("policy", second, b"two")]
    await fort.commit(written.holding(writes=Writes(documents=documents)))
    assert (await fort.ledger.load(fort.site, epoch=fort.epoch)).policy == b"two"
