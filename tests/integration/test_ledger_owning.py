"""Who owns a site: one engine at a time, by an epoch that only rises and a lease that ends with its holder."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from gatekeeper.adapters.postgres import LEASE, PostgresLedger
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import SiteId
from gatekeeper.ports import LedgerUnavailableError, SiteLostError
from tests.support.fort import TREES, Fort
from tests.support.proxy import FaultProxy

pytestmark = pytest.mark.integration


@asynccontextmanager
async def _ledger(dsn: str) -> AsyncIterator[PostgresLedger]:
    ledger = PostgresLedger(dsn)
    try:
        yield ledger
    finally:
        await ledger.close()


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    """A site that we own."""
    async with Fort.opened(postgres_server) as fort:
        yield fort


@pytest.fixture
async def theirs(fort: Fort) -> AsyncIterator[PostgresLedger]:
    """The ledger of another engine."""
    async with _ledger(fort.dsn) as ledger:
        yield ledger


async def _set_lease(fort: Fort, until: timedelta) -> None:
    """Move the end of the lease, as waiting would."""
    await fort.run("UPDATE site SET leased_until = clock_timestamp() + $2 WHERE site_id = $1", until)


async def _lease_left(fort: Fort) -> timedelta:
    rows = await fort.run("SELECT leased_until - clock_timestamp() AS span FROM site WHERE site_id = $1")
    left: timedelta = rows[0]["span"]
    return left


async def _claimed(ledger: PostgresLedger, site: SiteId) -> int:
    """Claim as a standing-by engine does, until the server has seen that the former holder is gone."""
    async with asyncio.timeout(5):
        while (epoch := await ledger.claim(site, owner="them")) is None:
            pass
    return epoch


async def test_who_claims_a_new_site_owns_it_under_its_first_epoch(fort: Fort):
    assert fort.epoch == 1


async def test_a_site_that_was_never_founded_has_no_owner(theirs: PostgresLedger):
    assert await theirs.claim(SiteId("nowhere"), owner="them") is None


async def test_nobody_claims_a_site_while_its_engine_lives(fort: Fort, theirs: PostgresLedger):
    assert await theirs.claim(fort.site, owner="them") is None
    await fort.ledger.renew(fort.site, epoch=fort.epoch)


async def test_of_many_engines_that_claim_a_free_site_at_once_one_gets_it(fort: Fort):
    await fort.ledger.close()
    await _set_lease(fort, timedelta(milliseconds=-1))
    engines = [PostgresLedger(fort.dsn) for _ in range(8)]
    try:
        epochs = await asyncio.gather(*(engine.claim(fort.site, owner="one of many") for engine in engines))
    finally:
        for engine in engines:
            await engine.close()
    assert [epoch for epoch in epochs if epoch is not None] == [fort.epoch + 1]


async def test_a_lease_is_as_long_as_promised_from_its_last_renewal(fort: Fort):
    await _set_lease(fort, timedelta(milliseconds=1))
    await fort.ledger.renew(fort.site, epoch=fort.epoch)
    assert LEASE - timedelta(seconds=1) < await _lease_left(fort) <= LEASE


async def test_a_lease_is_free_at_once_when_its_holder_closes(fort: Fort, theirs: PostgresLedger):
    await _set_lease(fort, timedelta(days=1))
    await fort.ledger.close()
    assert await _claimed(theirs, fort.site) == fort.epoch + 1


async def test_a_lease_is_free_at_once_when_its_holder_is_cut_off(
    fort: Fort, database_proxy: FaultProxy, theirs: PostgresLedger
):
    await fort.ledger.close()
    async with _ledger(database_proxy.dsn(fort.dsn)) as ours:
        epoch = await _claimed(ours, fort.site)
        await _set_lease(fort, timedelta(days=1))
        assert await theirs.claim(fort.site, owner="them") is None
        database_proxy.cut()
        assert await _claimed(theirs, fort.site) == epoch + 1


async def test_an_engine_that_does_not_renew_loses_its_site_though_it_is_still_connected(
    fort: Fort, theirs: PostgresLedger
):
    await _set_lease(fort, timedelta(milliseconds=-1))
    assert await theirs.claim(fort.site, owner="them") == fort.epoch + 1
    with pytest.raises(SiteLostError):
        await fort.ledger.renew(fort.site, epoch=fort.epoch)
    with pytest.raises(SiteLostError):
        await fort.ledger.load(fort.site, epoch=fort.epoch)


async def test_an_engine_that_lost_its_site_commits_nothing_more(fort: Fort, theirs: PostgresLedger):
    await fort.commit(fort.pen.write(3))
    await _set_lease(fort, timedelta(milliseconds=-1))
    later = await theirs.claim(fort.site, owner="them")
    assert later is not None
    before = await fort.everything()
    with pytest.raises(SiteLostError):
        await fort.commit(fort.pen.write(2))
    assert await fort.everything() == before
    await theirs.commit(fort.site, epoch=later, batch=fort.pen.write(2).batch)


async def test_a_renewal_under_another_epoch_is_no_renewal(fort: Fort):
    await _set_lease(fort, timedelta(milliseconds=500))
    with pytest.raises(SiteLostError, match="another epoch"):
        await fort.ledger.renew(fort.site, epoch=fort.epoch + 1)
    assert await _lease_left(fort) < timedelta(seconds=1)


async def test_a_site_founded_again_keeps_its_epoch_and_its_log(fort: Fort):
    await fort.commit(fort.pen.write(3))
    before = await fort.everything()
    await fort.ledger.found(fort.site)
    await fort.ledger.open_trees(fort.site, TREES)
    assert await fort.everything() == before
    await fort.ledger.renew(fort.site, epoch=fort.epoch)


async def test_the_owners_of_two_sites_do_not_know_of_each_other(
    fort: Fort, postgres_server: EmbeddedPostgres
):
    async with Fort.opened(postgres_server) as castle:
        await castle.commit(castle.pen.write(2))
        await fort.commit(fort.pen.write(3))
        await fort.ledger.renew(fort.site, epoch=fort.epoch)


@pytest.mark.parametrize(
    "what", ["claim", "renew", "load", "commit", "found", "open_trees", "changes", "bury", "announce"]
)
async def test_a_database_that_is_not_there_is_said_to_be_away_and_is_used_again_when_it_is_back(
    what: str, database_proxy: FaultProxy, fort: Fort
):
    async with _ledger(database_proxy.dsn(fort.dsn)) as ledger:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "claim": lambda: ledger.claim(fort.site, owner="us"),
            "renew": lambda: ledger.renew(fort.site, epoch=fort.epoch),
            "load": lambda: ledger.load(fort.site, epoch=fort.epoch),
            "commit": lambda: ledger.commit(fort.site, epoch=fort.epoch, batch=fort.pen.write().batch),
            "found": lambda: ledger.found(fort.site),
            "open_trees": lambda: ledger.open_trees(fort.site, TREES),
            "changes": lambda: ledger.changes(fort.site),
            "bury": lambda: ledger.bury(fort.site, []),
            "announce": lambda: ledger.announce(fort.site, size=1),
        }
        database_proxy.refuse()
        with pytest.raises(LedgerUnavailableError):
            await calls[what]()
        await database_proxy.accept()
        await calls[what]()


async def test_a_database_that_is_frozen_is_said_to_be_away_within_the_lease(
    fort: Fort, database_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
):
    async with _ledger(database_proxy.dsn(fort.dsn)) as ledger:
        await ledger.renew(fort.site, epoch=fort.epoch)
        monkeypatch.setattr("gatekeeper.adapters.postgres.ledger.LEASE", timedelta(milliseconds=200))
        database_proxy.pause()
        async with asyncio.timeout(5):
            with pytest.raises(LedgerUnavailableError):
                await ledger.renew(fort.site, epoch=fort.epoch)
        monkeypatch.undo()
        database_proxy.resume()
        await ledger.renew(fort.site, epoch=fort.epoch)


async def test_an_engine_whose_connection_was_replaced_still_owns_its_site(
    fort: Fort, database_proxy: FaultProxy
):
    await fort.ledger.close()
    ours, theirs = PostgresLedger(database_proxy.dsn(fort.dsn)), PostgresLedger(fort.dsn)
    try:
        async with asyncio.timeout(5):
            while (epoch := await ours.claim(fort.site, owner="us")) is None:
                pass
        database_proxy.cut()
        with suppress(LedgerUnavailableError):
            await ours.renew(fort.site, epoch=epoch)
        await ours.renew(fort.site, epoch=epoch)
        assert await theirs.claim(fort.site, owner="them") is None
    finally:
        await ours.close()
        await theirs.close()
