"""What is over its period goes with an entry that says so, and nothing else goes; the log verifies after every step."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading, PostgresStoredTrees
from gatekeeper.core.audit import NOBODY, Kind, tenant_tree
from gatekeeper.core.retention import draft_of_expiry
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.retention import USUAL, Kept, Retention
from gatekeeper.ports import DeadLetter, DeletionOutdatedError
from gatekeeper.service.engine.expiry import Found
from gatekeeper.service.integrity.walk import Walk
from gatekeeper.service.verification import verify_log
from gatekeeper.service.verification.mending import objections
from gatekeeper.transparency import Tree
from tests.support.checkpoints import verifier_of
from tests.support.fort import ARMY, NOW, PUPIL, SCHOOL, SERGEANT, Fort, boot, receipt
from tests.support.sites import ground
from tests.support.verified import verified
from tests.support.years import DAY, PERIODS, POLICY, Years

pytestmark = pytest.mark.integration


@pytest.fixture
async def years(postgres_server: EmbeddedPostgres) -> AsyncIterator[Years]:
    async with Fort.opened(postgres_server) as fort:
        yield Years(fort)


# -- personal parts ---------------------------------------------------------------------------------------------------


async def test_each_tenants_personal_parts_go_when_their_own_period_is_over(years: Years):
    await years.write(3, days=190, of=ARMY, person=SERGEANT)
    await years.write(2, days=40, of=SCHOOL, person=PUPIL)
    await years.write(2, days=40, of=ARMY, person=SERGEANT)
    await years.write(2, days=20, of=SCHOOL, person=PUPIL)
    await years.checkpoint()
    assert await years.sweep() == [
        {"what": "personal", "tenant": "school", "first": 3, "last": 4, "count": 2},
        {"what": "personal", "tenant": "army", "first": 0, "last": 2, "count": 3},
    ]
    assert await years.parts() == [5, 6, 7, 8]
    report = await years.must_be_sound()
    assert "5 personal parts: deleted, as entries up to 10 say" in report.unchecked
    assert report.personal_opened == 4
    assert await years.sweep() == []


async def test_what_is_nobodys_goes_by_the_hosts_period(years: Years):
    await years.write(2, days=181, person=NOBODY)
    await years.write(2, days=179, person=NOBODY)
    assert await years.sweep() == [{"what": "personal", "first": 0, "last": 1, "count": 2}]
    assert await years.parts() == [2, 3]
    await years.must_be_sound()


async def test_who_is_under_a_hold_keeps_their_parts_and_the_others_go_around_them(years: Years):
    for person in (PUPIL, SERGEANT, PUPIL, PUPIL, SERGEANT, PUPIL):
        await years.write(1, days=40, of=SCHOOL, person=person)
    years.holds = frozenset({f"holder:{SERGEANT}"})
    assert [(one["first"], one["last"], one["count"]) for one in await years.sweep()] == [
        (0, 0, 1),
        (2, 3, 2),
        (5, 5, 1),
    ]
    assert await years.parts() == [1, 4]
    await years.must_be_sound()
    years.holds = frozenset()
    assert [(one["first"], one["last"]) for one in await years.sweep()] == [(1, 1), (4, 4)]
    await years.must_be_sound()


async def test_a_tenant_under_a_hold_keeps_all_and_the_others_do_not(years: Years):
    await years.write(2, days=500, of=SCHOOL, person=PUPIL)
    await years.write(2, days=500, of=ARMY, person=SERGEANT)
    years.holds = frozenset({"tenant:school"})
    assert await years.sweep() == [
        {"what": "personal", "tenant": "army", "first": 2, "last": 3, "count": 2},
    ]
    assert await years.bodies() == [0, 1, 2, 3, 4], (
        "a body that a tenant's tree needs stays with all behind it"
    )
    years.holds = frozenset({"site"})
    assert await years.sweep() == []
    await years.must_be_sound()


async def test_a_batch_is_bounded_and_the_next_goes_on_behind_it(
    years: Years, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatekeeper.service.engine.expiry.MAX_DOOMED", 4)
    for _ in range(5):
        await years.write(1, days=200, of=ARMY, person=SERGEANT)
        await years.write(1, days=200, of=SCHOOL, person=PUPIL)
    said = await years.sweep()
    assert all(one["count"] <= 4 and one["last"] - one["first"] < 4 for one in said)
    went = Counter[str]()
    for one in said:
        went[one["tenant"]] += one["count"]
    assert went == {"school": 5, "army": 5}
    assert await years.parts() == []
    await years.must_be_sound()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_stands_in_a_log_what_is_due_goes_and_what_is_not_stays(years: Years, seed: int):
    chance = Random(seed)
    stays, at = [], 700.0
    years.holds = frozenset(chance.sample([f"holder:{PUPIL}", "tenant:club", "tenant:school"], k=2))
    for _ in range(60):
        at -= chance.random() * 14
        person = chance.choice([PUPIL, SERGEANT, NOBODY])
        of = None if person == NOBODY else chance.choice([ARMY, SCHOOL])
        held = f"holder:{person}" in years.holds or f"tenant:{of}" in years.holds
        if held or at <= (30 if of == SCHOOL else 180):
            stays.append(years.fort.pen.size)
        await years.write(1, days=max(at, 0), of=of, person=person)
    await years.checkpoint()
    await years.sweep()
    assert await years.parts() == stays
    await years.must_be_sound()


# -- bodies -----------------------------------------------------------------------------------------------------------


async def _four_years(years: Years) -> None:
    """A log whose quiet tenant was last heard of years ago, and never filled a tile."""
    await years.write(300, days=1400, of=ARMY)
    await years.write(10, days=1300, of=SCHOOL)
    await years.write(300, days=1200, of=ARMY)
    await years.checkpoint()
    await years.write(30, days=10, of=ARMY)
    await years.checkpoint()


async def test_old_bodies_go_and_every_tree_goes_on_from_what_was_kept(years: Years):
    await _four_years(years)
    assert await years.sweep() == [{"what": "entries", "first": 0, "last": 609, "count": 610}]
    assert await years.bodies() == list(range(610, 641))
    report = await years.must_be_sound()
    assert (report.deleted, report.entries, report.checkpoints) == (610, 31, 5)
    assert "the bodies of the first 610 entries: they were deleted, as entry 640 says" in report.unchecked
    successor = PostgresLedger(years.fort.dsn)
    try:
        loaded = await successor.load(years.fort.site, epoch=years.fort.epoch)
    finally:
        await successor.close()
    for name, tree in years.fort.pen.trees.items():
        resumed = Tree.resume(*loaded.edges[name])
        assert (resumed.size, resumed.root()) == (tree.size, tree.root()), name
    assert loaded.edges[tenant_tree(SCHOOL)][0] == 10, "all its bodies are gone"
    await years.write(300, days=0, of=SCHOOL)
    await years.must_be_sound()


async def test_bodies_go_again_and_again_and_the_newest_entry_tells_where_the_log_begins(
    years: Years, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatekeeper.service.engine.expiry.MAX_DOOMED", 100)
    await _four_years(years)
    assert len(await years.sweep()) == 7
    await years.must_be_sound()
    for later in (900 * DAY, 900 * DAY):
        years.now += later
        await years.write(5, days=0, of=ARMY)
        assert await years.sweep() != []
        await years.must_be_sound()
    assert (await years.bodies())[0] > 640, "the entries that told of the first deletions are gone themselves"


async def test_no_body_goes_before_its_personal_part(years: Years):
    await years.write(5, days=600, of=ARMY)
    await years.write(1, days=600, of=ARMY, person=SERGEANT)
    await years.write(5, days=600, of=ARMY)
    years.holds = frozenset({f"holder:{SERGEANT}"})
    await years.sweep()
    assert await years.bodies() == [*range(5, 12)]
    await years.must_be_sound()
    years.holds = frozenset()
    await years.sweep()
    assert (await years.bodies())[0] == 11
    await years.must_be_sound()


async def test_a_month_stays_until_it_is_over_as_a_whole(years: Years):
    years.now = NOW.replace(day=15)
    edge = (years.now - 400 * DAY).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    await years.write(1, days=(years.now - edge) / DAY + 0.01)
    await years.write(1, days=(years.now - edge) / DAY - 0.01)
    await years.sweep()
    assert (await years.bodies())[0] == 1


# -- what is not personal, and not of the log -------------------------------------------------------------------------


async def test_refused_bytes_go_after_their_period(years: Years):
    for days in (31, 31, 29):
        letter = DeadLetter(
            at=NOW - days * DAY, topic="t", gate=None, code="topic-unknown", detail="", payload=b"?"
        )
        await years.fort.ledger.bury(years.fort.site, [letter])
    assert await years.sweep() == [{"what": "refused", "count": 2}]
    assert len(await years.fort.run("SELECT FROM dead_letter WHERE site_id = $1")) == 1
    await years.must_be_sound()


async def test_receipts_go_but_those_that_tell_news_from_repetition(years: Years):
    old = NOW - 31 * DAY
    for number in range(1, 7):
        of = [
            receipt(1000 * number + n, n, boot=boot(number), issued=old, opens_boot=n == 1)
            for n in range(1, 71)
        ]
        await years.fort.commit(years.fort.pen.write(1).holding(receipts=of))
    assert await years.sweep() == [{"what": "receipts", "count": 2 * 70 + 4 * 6}]
    left = await years.fort.run("SELECT boot, sequence FROM receipt WHERE site_id = $1")
    assert {row["boot"] for row in left} == {boot(number) for number in (3, 4, 5, 6)}
    assert {row["sequence"] for row in left} == set(range(7, 71))
    loaded = await years.fort.ledger.load(years.fort.site, epoch=years.fort.epoch)
    assert len(loaded.receipts) == 4 * 64
    await years.must_be_sound()


# -- registrations ----------------------------------------------------------------------------------------------------


async def test_whose_registration_has_ended_is_told_by_kind_tenant_and_when(years: Years):
    for name, document in ground().registrations.items():
        tenant = ground().holders[name].tenant
        await years.fort.run(
            "INSERT INTO holder (site_id, holder, tenant, name, document, badges) VALUES ($1, $2, $3, '', $4, '{}')",
            name,
            tenant,
            document,
        )
    until = ground().holders["pupil"].until
    async with PostgresReading.opened(years.fort.dsn) as reading:
        assert await reading.ended(years.fort.site, now=until) == []
        ended = await reading.ended(years.fort.site, now=until + DAY)
    assert Counter((kind, tenant) for kind, tenant, at in ended if at == until) == {
        (Kept.VISITORS, "school"): 1,
        (Kept.PEOPLE, "school"): 2,
        (Kept.PEOPLE, "army"): 2,
        (Kept.PEOPLE, "club"): 1,
    }


# -- what changed meanwhile -------------------------------------------------------------------------------------------


async def test_what_is_not_as_it_was_found_is_not_deleted_and_no_entry_says_so(years: Years):
    await years.write(3, days=200, of=ARMY, person=SERGEANT)
    before: list[Any] = []

    async def spoilt(found: Found) -> bool:
        await years.fort.run("DELETE FROM personal WHERE site_id = $1 AND seq = 1")
        before.append(await years.fort.everything())
        with pytest.raises(DeletionOutdatedError):
            await Years.let_go(years, found)
        return False

    years.let_go = spoilt  # type: ignore[method-assign]
    assert await years.sweep() == []
    assert before == [await years.fort.everything()]


# -- what is gone and nobody says so ----------------------------------------------------------------------------------


async def _expired(years: Years) -> None:
    await _four_years(years)
    await years.write(4, days=40, of=SCHOOL, person=PUPIL)
    await years.write(4, days=20, of=SCHOOL, person=PUPIL)
    await years.sweep()
    await years.must_be_sound()


_ONE_MORE_BODY = """
    WITH gone AS (DELETE FROM entry WHERE site_id = $1 AND seq = 610 RETURNING body)
    UPDATE log_start SET size = size + 1, hashes = hashes || sha256('\\x00' || gone.body)
    FROM gone WHERE site_id = $1 AND tree IN ('site', 'tenant:army')
"""
_PUT_BACK = """
    INSERT INTO personal SELECT site_id, 641, entry.at, person, sealed FROM personal JOIN entry USING (site_id)
    WHERE site_id = $1 AND personal.seq = 645 AND entry.seq = 641
"""
_ANOTHER_TILE = """
    UPDATE tile SET hashes = set_byte(hashes, 9, 255 - get_byte(hashes, 9))
    WHERE site_id = $1 AND tree = 'site' AND level = 0 AND index = 1
"""
TAMPERINGS = {
    "a body more than any entry says": (
        _ONE_MORE_BODY,
        "the bodies from 610 to 610 are gone, and no entry says",
    ),
    "a body in silence": (
        "DELETE FROM entry WHERE site_id = $1 AND seq = 610",
        "entry 611 stands where entry 610 belongs",
    ),
    "the beginning moved back": (
        "DELETE FROM log_start WHERE site_id = $1",
        "the bodies from 0 to 609 went, as an entry says, and are there",
    ),
    "a personal part in silence": (
        "DELETE FROM personal WHERE site_id = $1 AND seq = 645",
        "entry 645 and its personal part do not go together",
    ),
    "a personal part that went put back": (
        _PUT_BACK,
        "the personal part of entry 641 is there, and entry 648 says that it went",
    ),
    "a leaf hash that was kept": (
        "UPDATE log_start SET hashes = set_byte(hashes, 0, 255 - get_byte(hashes, 0)) WHERE site_id = $1 AND tree = 'site'",
        "the signed checkpoint of site at 610 entries has another root",
    ),
    "a tile below the beginning": (
        _ANOTHER_TILE,
        "the signed checkpoint of site at 610 entries has another root",
    ),
    "a tile below the beginning gone": (
        "DELETE FROM tile WHERE site_id = $1 AND tree = 'site' AND level = 0 AND index = 0",
        "tile 0/0 of site is missing, and its bodies are deleted",
    ),
}


async def test_what_expired_is_missed_by_nobody_who_watches_the_log_or_makes_it_again(years: Years):
    await _expired(years)
    await years.checkpoint()
    async with PostgresStoredTrees.opened(years.fort.dsn) as stored:
        walk = await Walk.begun(
            years.fort.site, stored, verifiers=lambda tree: [verifier_of(years.fort.site, tree)]
        )
        while (step := await walk.step()) is not None:
            assert step.found == ()
    await years.fort.run("UPDATE tree_head SET root = decode(repeat('00', 32), 'hex') WHERE site_id = $1")
    report = await verified(years.fort, seen=years.seen)
    assert len(report.wrong_heads) == len(report.problems) > 1
    async with PostgresReading.opened(years.fort.dsn) as reading:
        assert objections(report, await reading.claimed(years.fort.site)) == []


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_what_goes_or_stays_other_than_an_entry_says_is_found_out(years: Years, what: str):
    await _expired(years)
    sql, said = TAMPERINGS[what]
    await years.fort.run(sql)
    report = await verified(years.fort, seen=years.seen)
    assert not report.valid
    assert any(said in problem for problem in report.problems), report.problems[:5]


@pytest.mark.parametrize("field_", ["digest", "count", "first", "last", "what", "tenant"])
async def test_an_entry_that_says_another_deletion_than_there_was_is_found_out(years: Years, field_: str):
    """As an engine would write it that deletes more than it says, or other things."""
    await _four_years(years)
    await years.write(4, days=40, of=SCHOOL, person=PUPIL)
    other = {"digest": "00" * 32, "count": 3, "first": 641, "last": 642, "what": "nothing", "tenant": "army"}

    async def lies(found: Found) -> bool:
        draft = draft_of_expiry(found.doomed.expired, POLICY, at=NOW, seq=years.fort.pen.size)
        draft = replace(draft, public={**draft.public, field_: other[field_]})
        await years.fort.commit(years.fort.pen.seal([draft]).holding(doomed=found.doomed))
        return True

    years.let_go = lies  # type: ignore[method-assign]
    await years.sweep()
    assert not (await verified(years.fort)).valid


async def test_bodies_that_went_between_two_deletions_in_silence_are_found_out_by_the_second(
    years: Years, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatekeeper.service.engine.expiry.MAX_DOOMED", 100)
    await _four_years(years)
    one_more = _ONE_MORE_BODY.replace("610", "100")

    async def with_one_more(found: Found) -> bool:
        done = await Years.let_go(years, found)
        if found.doomed.expired.first == 0:
            await years.fort.run(one_more)
        return done

    years.let_go = with_one_more  # type: ignore[method-assign]
    await years.sweep()
    problems = (await verified(years.fort)).problems
    assert "entry 641 deletes from 101 on, and 99 was the last before that went" in problems


async def test_what_goes_while_a_log_is_verified_is_told_by_an_entry_that_was_not_asked_for(years: Years):
    """So that who verifies knows that it is to be looked at anew, and is no fault."""
    await years.write(3, days=200, of=ARMY, person=SERGEANT)
    async with PostgresReading.opened(years.fort.dsn) as reading:
        claimed = await reading.claimed(years.fort.site)
        assert await reading.newest_expiry(years.fort.site) is None
        await years.sweep()
        entries = reading.filed_entries(years.fort.site, until=3)
        report = await verify_log(
            years.fort.site, entries, claimed=claimed, verifiers={}, keys=None, periods=PERIODS
        )
        assert not report.valid
        assert claimed.expiries == []
        assert await reading.newest_expiry(years.fort.site) == 3
    await years.must_be_sound()


async def test_a_deletion_that_was_not_due_by_the_policy_is_found_out(years: Years):
    """As an engine would make it that lets evidence go: everything fits, and it was too soon."""
    sooner = Retention(site=USUAL | {Kept.PERSONAL: 10 * DAY})
    years.policy = replace(POLICY, retention=sooner)
    await years.write(1, days=20, of=ARMY, person=SERGEANT)
    await years.sweep()
    report = await verified(years.fort, periods=PERIODS)
    assert report.problems == ["entry 1 deletes what was not over its period"]
    assert (await verified(years.fort, periods={})).problems == [
        "entry 1 deletes by a policy that the host has not signed"
    ]
    report = await verified(years.fort)
    assert report.valid
    assert "that what was deleted was over its period: no policies were given" in report.unchecked


async def test_an_entry_of_a_deletion_that_is_not_in_the_log_tells_nothing(years: Years):
    await _expired(years)
    await years.fort.run(
        "INSERT INTO entry (site_id, seq, at, kind, body)"
        " SELECT site_id, 9999, at, kind, body FROM entry WHERE site_id = $1 AND kind = $2 ORDER BY seq LIMIT 1",
        Kind.DATA_EXPIRED.value,
    )
    problems = (await verified(years.fort)).problems
    assert "entry 9999 about what expired is not in the log" in problems


async def test_what_an_entry_says_is_public_and_names_nobody(years: Years):
    await years.write(1, days=200, of=ARMY, person=SERGEANT)
    await years.sweep()
    rows = await years.fort.run("SELECT body FROM entry WHERE site_id = $1 ORDER BY seq DESC LIMIT 1")
    body = json.loads(rows[0]["body"])
    assert SERGEANT not in json.dumps(body)
    assert (body["kind"], body["trees"]) == ("data.expired", {"site": 1, "tenant:army": 1})
