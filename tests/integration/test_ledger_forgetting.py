"""Forgetting in the database: no row names who was forgotten, whatever the same commit wrote of them; and what is held."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gatekeeper.core.audit import FORGOTTEN
from gatekeeper.core.memory import NEVER_USED
from gatekeeper.core.proposals import Proposal, digest_of
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.supervise import ChangeOutcome, StoredBadge, StoredHolder, Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.badges import BadgeRecord, BadgeState
from gatekeeper.model.ids import BadgeId, HolderId, OperatorId
from tests.support.fort import NOW, PUPIL, SCHOOL, SERGEANT, Fort, presence, receipt

pytestmark = pytest.mark.integration

BADGES = {SERGEANT: BadgeId("5e" * 16), PUPIL: BadgeId("9a" * 16)}
CHANGE = bytes(range(16))


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as fort:
        yield fort


def _registered(holder: HolderId) -> StoredHolder:
    record = HolderRecord(id=holder, document=f"registration of {holder}".encode())
    return StoredHolder(record=record, tenant=SCHOOL, name=b"sealed", badges=(BADGES[holder],))


def _badge(holder: HolderId) -> StoredBadge:
    record = BadgeRecord(id=BADGES[holder], token=b"token", state=BadgeState.ACTIVE)
    return StoredBadge(record=record, tenant=SCHOOL, holder=holder, card=None)


def _proposal(person: HolderId | None) -> Proposal:
    document = f"a proposal about {person}".encode()
    return Proposal(
        digest=digest_of(document),
        document=document,
        change=CHANGE,
        tenant=SCHOOL,
        author=OperatorId("school"),
        kind="erasure",
        subject="",
        gives=(),
        base=b"",
        seq=0,
        expires=NOW,
        person=person,
    )


async def _commit(fort: Fort, **parts: object) -> None:
    await fort.commit(fort.pen.write().holding(**parts))


async def _two_people(fort: Fort) -> None:
    await fort.run(
        "INSERT INTO holder_photo (site_id, holder, digest, sealed)"
        " SELECT $1, holder, decode(repeat('00', 32), 'hex'), '' FROM unnest($2::text[]) AS holder",
        [SERGEANT, PUPIL],
    )
    await _commit(
        fort,
        moved=[
            presence(SERGEANT, "yard", seq=1),
            replace(presence(PUPIL, "yard", seq=1), host=SERGEANT, came_with=SERGEANT),
        ],
        usage=dict.fromkeys(BADGES.values(), replace(NEVER_USED, uses=1)),
        writes=Writes(
            holders=[_registered(SERGEANT), _registered(PUPIL)],
            badges=[_badge(SERGEANT), _badge(PUPIL)],
            proposals=[_proposal(SERGEANT), _proposal(None)],
        ),
    )


async def test_no_row_names_who_was_forgotten_but_the_one_that_says_so(fort: Fort):
    await _two_people(fort)
    await _commit(fort, writes=Writes(erased=[(SERGEANT, 7)]))
    named = {
        table: [row for row in rows if SERGEANT in row or BADGES[SERGEANT] in row]
        for table, rows in (await fort.everything()).items()
    }
    assert {table: len(rows) for table, rows in named.items() if rows} == {"erased_person": 1}
    loaded = await fort.ledger.load(fort.site, epoch=fort.epoch)
    assert loaded.erased == {SERGEANT}
    assert [one.record.id for one in loaded.holders] == [PUPIL]
    assert [one.record.id for one in loaded.badges] == [BADGES[PUPIL]]
    assert list(loaded.usage) == [BADGES[PUPIL]]
    assert [(one.holder, one.host, one.came_with) for one in loaded.presences] == [(PUPIL, None, None)]
    assert [one.person for one in loaded.proposals] == [None]


async def test_what_the_same_commit_wrote_of_them_goes_too_and_twice_is_once(fort: Fort):
    await _two_people(fort)
    for seq in (7, 9):
        await _commit(
            fort,
            writes=Writes(
                holders=[_registered(SERGEANT)],
                badges=[_badge(SERGEANT)],
                proposals=[replace(_proposal(SERGEANT), digest=digest_of(bytes([seq])))],
                erased=[(SERGEANT, seq)],
            ),
        )
    loaded = await fort.ledger.load(fort.site, epoch=fort.epoch)
    assert [one.record.id for one in loaded.holders] == [PUPIL]
    assert [
        dict(row) for row in await fort.run("SELECT holder, seq FROM erased_person WHERE site_id = $1")
    ] == [{"holder": SERGEANT, "seq": 7}]


async def test_a_proposal_comes_back_with_whom_it_is_about(fort: Fort):
    await _commit(fort, writes=Writes(proposals=[_proposal(PUPIL), _proposal(None)]))
    loaded = await fort.ledger.load(fort.site, epoch=fort.epoch)
    assert {one.person for one in loaded.proposals} == {PUPIL, None}
    assert loaded.proposals[0] in {_proposal(PUPIL), _proposal(None)}


@pytest.mark.parametrize("forgets", [True, False])
async def test_the_bytes_of_a_change_stay_or_go_with_its_outcome(fort: Fort, *, forgets: bool):
    await fort.run("INSERT INTO change (site_id, change, document) VALUES ($1, $2, $3)", CHANGE, b"signed")
    outcome = ChangeOutcome(change=CHANGE, code="applied", detail="", seq=3, forgets=forgets)
    await _commit(fort, writes=Writes(outcomes=[outcome]))
    (row,) = await fort.run("SELECT document, outcome, seq FROM change WHERE site_id = $1")
    assert tuple(row) == (b"" if forgets else b"signed", "applied", 3)


async def test_what_is_held_is_held_until_it_is_lifted_also_for_the_next_engine(fort: Fort):
    scopes = ("site", "tenant:school", "holder:pupil")
    await _commit(fort, writes=Writes(holds=[(scope, seq) for seq, scope in enumerate(scopes)]))
    await _commit(fort, writes=Writes(holds=[("site", 9), ("tenant:school", None)]))
    loaded = await fort.ledger.load(fort.site, epoch=fort.epoch)
    assert loaded.holds == {"site", "holder:pupil"}
    (row,) = await fort.run("SELECT seq FROM legal_hold WHERE site_id = $1 AND scope = 'site'")
    assert row["seq"] == 0, "the entry that placed it first"


async def test_a_hold_that_is_placed_and_lifted_within_one_commit_is_none(fort: Fort):
    await _commit(fort, writes=Writes(holds=[("site", 1), ("site", None)]))
    assert (await fort.ledger.load(fort.site, epoch=fort.epoch)).holds == frozenset()


async def test_receipts_and_sealed_parts_let_go_of_somebody_a_little_at_a_time_and_of_nobody_else(fort: Fort):
    written = fort.pen.write(5, person=SERGEANT)
    receipts = [receipt(seq, seq + 1, holder=SERGEANT if seq else PUPIL) for seq in range(5)]
    await fort.commit(written.holding(receipts=receipts))
    await fort.commit(fort.pen.write(2, person=PUPIL).holding(writes=Writes(erased=[(SERGEANT, 5)])))
    assert await fort.ledger.unforgotten(fort.site) == [SERGEANT]
    steps = [await fort.ledger.let_go(fort.site, SERGEANT, most=2) for _ in range(4)]
    assert steps == [2, 2, 1, 0]
    named = await fort.run("SELECT holder, count(*) FROM receipt WHERE site_id = $1 GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in named] == [(PUPIL, 1), (None, 4)]
    filed = await fort.run("SELECT person, count(*) FROM personal WHERE site_id = $1 GROUP BY 1 ORDER BY 2")
    assert [tuple(row) for row in filed] == [(PUPIL, 2), (FORGOTTEN, 5)]
    await fort.ledger.forgotten(fort.site, SERGEANT)
    assert await fort.ledger.unforgotten(fort.site) == []
    assert (await fort.ledger.load(fort.site, epoch=fort.epoch)).erased == {SERGEANT}


async def test_plain_names_are_given_some_at_a_time_until_all_are_sealed(fort: Fort):
    await _two_people(fort)
    await fort.run("UPDATE holder SET plain_name = 'Wim' WHERE site_id = $1 AND holder = $2", SERGEANT)
    await fort.run("UPDATE holder SET plain_name = 'An', name = '' WHERE site_id = $1 AND holder = $2", PUPIL)
    assert await fort.ledger.plain_names(fort.site, most=1) == {PUPIL: "An"}
    await fort.ledger.seal_names(fort.site, {PUPIL: b"sealed An"})
    assert await fort.ledger.plain_names(fort.site, most=9) == {SERGEANT: "Wim"}
    await fort.ledger.seal_names(fort.site, {SERGEANT: b"sealed Wim"})
    assert await fort.ledger.plain_names(fort.site, most=9) == {}
    names = await fort.run("SELECT holder, name FROM holder WHERE site_id = $1 ORDER BY holder")
    assert [tuple(row) for row in names] == [(PUPIL, b"sealed An"), (SERGEANT, b"sealed")], (
        "what was said since stays"
    )
