"""What an engine takes over is exactly what its predecessors committed, at any size of the trees."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatekeeper.core.audit import Kind, read_body
from gatekeeper.core.presence import Quality
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.sequences import SEQUENCE_WINDOW, Receipt
from gatekeeper.core.supervise import StoredBadge, StoredHolder, Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.badges import BadgeRecord, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import BadgeId, GateId, HolderId, TenantId, ZoneId
from gatekeeper.model.messages import Verdict
from gatekeeper.ports import Loaded
from gatekeeper.transparency import EMPTY_ROOT, HASH_SIZE, Tree
from tests.support.fort import (
    ARMY,
    GATE,
    NOW,
    PUPIL,
    SCHOOL,
    SERGEANT,
    TREES,
    Fort,
    boot,
    presence,
    receipt,
)

pytestmark = pytest.mark.integration

BIG = 256 * 256


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as fort:
        yield fort


async def _load(fort: Fort) -> Loaded:
    return await fort.ledger.load(fort.site, epoch=fort.epoch)


async def _assert_taken_over(fort: Fort) -> None:
    """Every tree is resumed from the database alone, and is the tree of who committed."""
    edges = (await _load(fort)).edges
    assert edges == {name: (tree.size, list(tree.edge)) for name, tree in fort.pen.trees.items()}
    for name, (size, edge) in edges.items():
        assert Tree.resume(size, edge).root() == fort.pen.trees[name].root(), name


# -- trees ------------------------------------------------------------------------------------------------------------


async def test_a_new_site_has_empty_trees(fort: Fort):
    assert (await _load(fort)).edges == {name: (0, []) for name in TREES}


@pytest.mark.parametrize("steps", [(1, 254, 1, 1), (255, 1), (256,), (257, 255), (1023, 2)], ids=str)
async def test_trees_are_taken_over_at_the_edges_of_their_tiles(steps: tuple[int, ...], fort: Fort):
    for step in steps:
        await fort.commit(fort.pen.write(step))
        await _assert_taken_over(fort)


async def test_trees_are_taken_over_on_both_sides_of_the_third_level(fort: Fort):
    widths = {BIG - 1: [255, 255], BIG: [0, 0, 1], BIG + 1: [1, 0, 1]}
    for size, expected in widths.items():
        await fort.commit(fort.pen.write(size - fort.pen.size))
        assert [len(tile) // HASH_SIZE for tile in fort.pen.trees["site"].edge] == expected
        await _assert_taken_over(fort)


async def test_the_tree_of_a_tenant_holds_its_people_and_its_zones_and_nothing_else(fort: Fort):
    """A tenant is met as whose badge it is and as whose zone it is; both are leaves of the one tree, in order."""
    for tenants in ((SCHOOL,), (ARMY, SCHOOL), (ARMY,), (SCHOOL, ARMY), ()) * 60:
        written = fort.pen.write(1, tenants=tenants)
        fort.pen.accept(written)
        await fort.ledger.commit(fort.site, epoch=fort.epoch, batch=written.batch)
    assert {name: tree.size for name, tree in fort.pen.trees.items()} == {
        "site": 300,
        "tenant:army": 180,
        "tenant:school": 180,
    }
    await _assert_taken_over(fort)


async def test_who_takes_over_goes_on_with_the_log(fort: Fort):
    await fort.commit(fort.pen.write(300))
    loaded = await _load(fort)
    fort.pen.sealer._trees = {name: Tree.resume(size, edge) for name, (size, edge) in loaded.edges.items()}
    await fort.commit(fort.pen.write(300))
    await _assert_taken_over(fort)


# -- what was taken already ---------------------------------------------------------------------------------------------


def _as_loaded(given: Receipt) -> Receipt:
    """A receipt that was stored has opened its boot long since."""
    return replace(given, opens_boot=False)


async def test_receipts_come_back_as_they_were_in_the_order_of_their_entries(fort: Fort):
    given = [
        receipt(0, 5, opens_boot=True, verdict=Verdict.GRANTED, holder=SERGEANT),
        receipt(1, 3, verdict=Verdict.DENIED),
        receipt(2, 4, verdict=Verdict.RECORDED, signed=b""),
        receipt(3, 1, gate=GateId("inner"), opens_boot=True, issued=NOW + timedelta(microseconds=1)),
    ]
    await fort.commit(fort.pen.write(4).holding(receipts=given))
    assert list((await _load(fort)).receipts) == [_as_loaded(one) for one in given]


async def test_of_each_boot_the_newest_sequences_come_back_and_no_more(fort: Fort):
    count = SEQUENCE_WINDOW + 20
    given = [receipt(seq, seq + 1, opens_boot=seq == 0) for seq in range(count)]
    await fort.commit(fort.pen.write(count).holding(receipts=given))
    assert [one.sequence for one in (await _load(fort)).receipts] == list(range(21, count + 1))


async def test_the_four_newest_boots_of_a_gate_are_live_and_all_before_them_are_closed(fort: Fort):
    given = [receipt(seq, 1, boot=boot(9 - seq), opens_boot=True) for seq in range(6)]
    await fort.commit(fort.pen.write(6).holding(receipts=given))
    loaded = await _load(fort)
    assert list(loaded.closed_boots) == [(GATE, boot(9)), (GATE, boot(8))]
    assert [one.boot for one in loaded.receipts] == [boot(7), boot(6), boot(5), boot(4)]


async def test_the_boots_of_one_gate_close_none_of_another(fort: Fort):
    gates = [GateId(f"gate-{number}") for number in range(6)]
    given = [receipt(seq, 1, gate=gate, opens_boot=True) for seq, gate in enumerate(gates)]
    await fort.commit(fort.pen.write(6).holding(receipts=given))
    loaded = await _load(fort)
    assert not loaded.closed_boots
    assert [one.gate for one in loaded.receipts] == gates


# -- who is where -----------------------------------------------------------------------------------------------------


async def test_presences_come_back_as_they_were(fort: Fort):
    given = [
        presence(SERGEANT, "yard", seq=0),
        presence(PUPIL, "shed", seq=1, quality=Quality.TAKEN, access_point=None),
        presence(HolderId("member"), "shed", seq=2, host=PUPIL, came_with=SERGEANT),
    ]
    await fort.commit(fort.pen.write(3).holding(moved=given))
    assert sorted((await _load(fort)).presences, key=lambda one: one.seq) == given


@pytest.mark.parametrize("quality", Quality)
async def test_who_moves_is_in_one_place_with_every_quality(quality: Quality, fort: Fort):
    await fort.commit(fort.pen.write(1).holding(moved=[presence(SERGEANT, "yard", seq=0)]))
    there = presence(
        SERGEANT,
        "outside",
        seq=1,
        quality=quality,
        since=NOW + timedelta(seconds=1),
        access_point=None,
    )
    await fort.commit(fort.pen.write(1).holding(moved=[there]))
    assert list((await _load(fort)).presences) == [there]


async def test_zones_are_open_by_the_grants_that_still_count(fort: Fort):
    yard, shed = ZoneId("yard"), ZoneId("shed")
    later = NOW + timedelta(hours=1)
    await fort.commit(fort.pen.write(1).holding(opened={(yard, 0): NOW, (shed, 0): NOW}))
    await fort.commit(fort.pen.write(1).holding(opened={(yard, 0): None, (shed, 1): later, (shed, 9): None}))
    assert (await _load(fort)).opened == {(shed, 0): NOW, (shed, 1): later}
    await fort.commit(fort.pen.write(1).holding(opened={(yard, 2): NOW, (shed, 0): None}))
    assert (await _load(fort)).opened == {(yard, 2): NOW, (shed, 1): later}


# -- what is the case, and who is who ---------------------------------------------------------------------------------


async def test_documents_state_holders_and_badges_come_back_as_they_were(fort: Fort):
    holder = StoredHolder(
        record=HolderRecord(id=SERGEANT, document=b"signed"),
        tenant=ARMY,
        name=b"sealed",
        badges=(BadgeId("a" * 32), BadgeId("b" * 32)),
    )
    plain = StoredBadge(
        record=BadgeRecord(id=BadgeId("a" * 32), token=bytes(1024), state=BadgeState.ACTIVE),
        tenant=ARMY,
        holder=SERGEANT,
        card=None,
    )
    card = replace(
        plain,
        record=BadgeRecord(
            id=BadgeId("b" * 32), token=b"t", state=BadgeState.STOLEN, stopped_by=frozenset({ARMY})
        ),
        card=Card(CardTechnology.WIEGAND, bytes.fromhex("010076a068")),
    )
    writes = Writes(
        alert=2,
        lockdowns=frozenset({"site", "zone:yard"}),
        documents=[("trust", 0, b"trust"), ("policy", 0, b"policy")],
        holders=[holder],
        badges=[plain, card],
    )
    await fort.commit(fort.pen.write(1).holding(writes=writes))
    loaded = await _load(fort)
    assert (loaded.epoch, loaded.alert, loaded.lockdowns) == (fort.epoch, 2, writes.lockdowns)
    assert (loaded.trust, loaded.policy) == (b"trust", b"policy")
    assert list(loaded.holders) == [holder]
    assert sorted(loaded.badges, key=lambda badge: badge.record.id) == [plain, card]


async def test_what_a_change_does_not_mention_stays_as_it_was(fort: Fort):
    await fort.commit(fort.pen.write(1).holding(writes=Writes(alert=2, lockdowns=frozenset({"site"}))))
    await fort.commit(fort.pen.write(1).holding(writes=Writes(lockdowns=frozenset())))
    loaded = await _load(fort)
    assert (loaded.alert, loaded.lockdowns) == (2, frozenset())
    await fort.commit(fort.pen.write(1).holding(writes=Writes(alert=0)))
    assert (await _load(fort)).alert == 0


async def test_the_newest_document_of_a_kind_is_in_force_and_the_former_ones_are_kept(fort: Fort):
    for seq, content in enumerate((b"first", b"second", b"third")):
        await fort.commit(fort.pen.write(1).holding(writes=Writes(documents=[("policy", seq, content)])))
    assert (await _load(fort)).policy == b"third"
    rows = await fort.run("SELECT content FROM document WHERE site_id = $1 ORDER BY seq")
    assert [row["content"] for row in rows] == [b"first", b"second", b"third"]


async def test_a_holder_and_a_badge_are_replaced_by_what_is_signed_later(fort: Fort):
    def holder(name: bytes, document: bytes, *badges: str) -> StoredHolder:
        record = HolderRecord(id=HolderId("h-1"), document=document)
        return StoredHolder(
            record=record, tenant=ARMY, name=name, badges=tuple(BadgeId(b * 32) for b in badges)
        )

    def badge(token: bytes, state: BadgeState) -> StoredBadge:
        record = BadgeRecord(id=BadgeId("a" * 32), token=token, state=state)
        return StoredBadge(record=record, tenant=ARMY, holder=HolderId("h-1"), card=None)

    before = Writes(holders=[holder(b"Old", b"1", "a")], badges=[badge(b"old", BadgeState.ACTIVE)])
    after = Writes(holders=[holder(b"New", b"2", "a", "b")], badges=[badge(b"new", BadgeState.SUSPENDED)])
    for writes in (before, after):
        await fort.commit(fort.pen.write(1).holding(writes=writes))
    loaded = await _load(fort)
    assert (list(loaded.holders), list(loaded.badges)) == (after.holders, after.badges)


async def test_a_registration_that_says_no_name_leaves_the_one_that_is_known(fort: Fort):
    known = StoredHolder(
        record=HolderRecord(id=SERGEANT, document=b"first"), tenant=ARMY, name=b"sealed", badges=()
    )
    renewed = replace(known, record=HolderRecord(id=SERGEANT, document=b"second"), name=b"")
    for holder in (known, renewed):
        await fort.commit(fort.pen.write(1).holding(writes=Writes(holders=[holder])))
    assert list((await _load(fort)).holders) == [replace(renewed, name=b"sealed")]


@pytest.mark.parametrize("state", BadgeState)
async def test_what_has_become_of_a_badge_is_kept(state: BadgeState, fort: Fort):
    record = BadgeRecord(id=BadgeId("a" * 32), token=b"t", state=BadgeState.ACTIVE)
    issued = StoredBadge(record=record, tenant=TenantId("army"), holder=SERGEANT, card=None)
    await fort.commit(fort.pen.write(1).holding(writes=Writes(badges=[issued])))
    stopped_by = frozenset({SCHOOL, ARMY}) if state is BadgeState.SUSPENDED else frozenset()
    stopped_at = None if state is BadgeState.ACTIVE else datetime(2026, 6, 3, 8, 0, 0, 250_000, UTC)
    written = Writes(badge_states=[(record.id, state, stopped_by, stopped_at)])
    await fort.commit(fort.pen.write(1).holding(writes=written))
    assert [badge.record for badge in (await _load(fort)).badges] == [
        replace(record, state=state, stopped_by=stopped_by, stopped_at=stopped_at)
    ]


async def test_what_gates_gave_up_lately_comes_back_and_no_grant_that_nobody_used(
    fort: Fort, postgres_server: EmbeddedPostgres
):
    given_up = {"gate": GATE, "scan": "aa" * 32}
    said = [
        (NOW - timedelta(minutes=3), Kind.PASSAGE_NOT_TAKEN, given_up),
        (NOW - timedelta(minutes=1), Kind.PASSAGE_NOT_TAKEN, given_up),
        (NOW - timedelta(seconds=30), Kind.PASSAGE_NOT_TAKEN, given_up | {"grant": 0}),
        (NOW - timedelta(seconds=20), Kind.PASSAGE_TAKEN, given_up),
        (NOW, Kind.PASSAGE_NOT_TAKEN, given_up),
        (NOW, Kind.GATE_STATUS, {"gate": GATE}),
    ]
    assert (await _load(fort)).given_up == ()
    for at, kind, public in said:
        await fort.commit(fort.pen.write(1, at=at, kind=kind, public=public))
    async with Fort.opened(postgres_server) as castle:
        await castle.commit(castle.pen.write(1, kind=Kind.PASSAGE_NOT_TAKEN, public=given_up))
        loaded = await _load(fort)
    assert [(seq, at) for seq, at, _ in loaded.given_up] == [(1, NOW - timedelta(minutes=1)), (4, NOW)]
    assert all(read_body(body, site=fort.site, seq=seq) for seq, _, body in loaded.given_up)


async def test_nothing_of_another_site_comes_back(fort: Fort, postgres_server: EmbeddedPostgres):
    async with Fort.opened(postgres_server) as castle:
        everything = castle.pen.write(300).holding(
            receipts=[receipt(0, 1, opens_boot=True)],
            moved=[presence(SERGEANT, "yard", seq=0)],
            writes=Writes(alert=1, lockdowns=frozenset({"site"}), documents=[("policy", 0, b"theirs")]),
        )
        await castle.commit(everything)
        loaded = await _load(fort)
    assert loaded == Loaded(
        epoch=fort.epoch,
        trust=loaded.trust,
        policy=loaded.policy,
        alert=0,
        lockdowns=frozenset(),
        suspended=frozenset(),
        usage={},
        opened={},
        holders=[],
        badges=[],
        presences=[],
        receipts=[],
        closed_boots=[],
        edges={name: (0, []) for name in TREES},
        roots=dict.fromkeys(TREES, EMPTY_ROOT),
        operators=[],
        proposals=[],
    )
    assert (loaded.trust, loaded.policy) == (None, None)
