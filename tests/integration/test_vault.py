"""The vault: one key a person, 32 bytes, made once, and there for good when it has been given out."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from gatekeeper.adapters.vault import KEY_BYTES, PostgresKeyVault
from gatekeeper.core.audit import NOBODY
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import LedgerUnavailableError
from tests.support.databases import create_database_from_template, drop_database
from tests.support.proxy import FaultProxy

pytestmark = pytest.mark.integration

SITE = SiteId("fort")
SERGEANT, PUPIL, CLERK = (HolderId(name) for name in ("sergeant", "pupil", "clerk"))


@pytest.fixture
def dsn(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    async def made() -> str:
        name = await create_database_from_template(postgres_server)
        await PostgresKeyVault(postgres_server.dsn(name)).migrate()
        return name

    name = asyncio.run(made())
    yield postgres_server.dsn(name)
    asyncio.run(drop_database(postgres_server, name))


@pytest.fixture
def vault(dsn: str) -> PostgresKeyVault:
    return PostgresKeyVault(dsn)


async def test_keys_are_32_bytes_and_no_two_are_alike(vault: PostgresKeyVault):
    people = [HolderId(f"h-{number}") for number in range(500)]
    keys = await vault.ensure(SITE, people)
    assert set(keys) == set(people)
    assert {len(key) for key in keys.values()} == {KEY_BYTES} == {32}
    assert len(set(keys.values())) == 500
    assert await vault.keys(SITE) == keys


async def test_a_key_that_is_there_is_given_again_and_never_made_anew(vault: PostgresKeyVault):
    first = await vault.ensure(SITE, [SERGEANT, PUPIL])
    second = await vault.ensure(SITE, [PUPIL, CLERK, PUPIL])
    assert second[PUPIL] == first[PUPIL]
    assert set(second) == {PUPIL, CLERK}, "only those who were asked for"
    assert await vault.keys(SITE) == {**first, **second}


async def test_of_many_who_ask_at_once_all_get_the_same_key(vault: PostgresKeyVault):
    people = [SERGEANT, PUPIL, CLERK]
    answers = await asyncio.gather(*(vault.ensure(SITE, people[::step]) for step in (1, -1) * 8))
    assert all(answer == answers[0] for answer in answers)
    assert await vault.keys(SITE) == answers[0]


async def test_the_same_person_on_two_sites_has_two_keys(vault: PostgresKeyVault):
    here = await vault.ensure(SITE, [SERGEANT])
    there = await vault.ensure(SiteId("castle"), [SERGEANT])
    assert here[SERGEANT] != there[SERGEANT]
    assert await vault.keys(SITE) == here


async def test_a_site_without_people_has_no_keys(vault: PostgresKeyVault):
    assert await vault.keys(SITE) == {}
    assert await vault.ensure(SITE, []) == {}


async def test_no_key_is_stored_that_is_not_32_bytes(vault: PostgresKeyVault, dsn: str):
    connection = await asyncpg.connect(dsn)
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "INSERT INTO person_key (site_id, person, key) VALUES ('fort', 'x', 'short')"
            )
    finally:
        await connection.close()


async def test_a_person_whose_key_was_destroyed_has_none_and_never_gets_another(vault: PostgresKeyVault):
    before = await vault.ensure(SITE, [SERGEANT, PUPIL])
    await vault.destroy(SITE, [PUPIL])
    assert await vault.keys(SITE) == {SERGEANT: before[SERGEANT]}
    assert await vault.keys_of(SITE, [SERGEANT, PUPIL]) == {SERGEANT: before[SERGEANT]}
    assert await vault.ensure(SITE, [SERGEANT, PUPIL]) == {SERGEANT: before[SERGEANT]}
    assert await vault.destroyed(SITE) == {PUPIL}


async def test_of_a_destroyed_key_nothing_is_left_in_its_row_and_twice_is_once(
    vault: PostgresKeyVault, dsn: str
):
    await vault.ensure(SITE, [PUPIL])
    await vault.destroy(SITE, [PUPIL, PUPIL])
    connection = await asyncpg.connect(dsn)
    try:
        (first,) = await connection.fetch("SELECT key, destroyed_at FROM person_key")
        await vault.destroy(SITE, [PUPIL])
        (second,) = await connection.fetch("SELECT key, destroyed_at FROM person_key")
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("UPDATE person_key SET destroyed_at = NULL")
    finally:
        await connection.close()
    assert first["key"] is None
    assert first["destroyed_at"] == second["destroyed_at"] is not None


async def test_who_never_had_a_key_gets_none_once_they_are_forgotten(vault: PostgresKeyVault):
    await vault.destroy(SITE, [CLERK])
    assert await vault.ensure(SITE, [CLERK]) == {}
    assert await vault.ensure(SiteId("castle"), [CLERK]), "on another site they are another"
    assert await vault.destroyed(SiteId("castle")) == frozenset()


async def test_the_key_that_is_nobodys_is_not_destroyed(vault: PostgresKeyVault):
    keys = await vault.ensure(SITE, [NOBODY])
    with pytest.raises(ValueError, match="nobody"):
        await vault.destroy(SITE, [NOBODY])
    assert await vault.keys(SITE) == keys


async def test_a_vault_that_is_not_there_is_said_to_be_away(
    vault: PostgresKeyVault, dsn: str, database_proxy: FaultProxy
):
    database_proxy.refuse()
    far = PostgresKeyVault(database_proxy.dsn(dsn))
    with pytest.raises(LedgerUnavailableError, match="vault"):
        await far.keys(SITE)
    with pytest.raises(LedgerUnavailableError, match="vault"):
        await far.ensure(SITE, [SERGEANT])
    with pytest.raises(LedgerUnavailableError, match="vault"):
        await far.destroy(SITE, [SERGEANT])
    with pytest.raises(LedgerUnavailableError, match="vault"):
        await far.destroyed(SITE)
    await database_proxy.accept()
    assert await far.keys(SITE) == {}


async def test_what_was_given_out_is_there_after_the_plug_was_pulled(server_folder: Path):
    """On a durable server: the tests' own forgets in a crash."""
    async with EmbeddedPostgres(server_folder / "postgres") as server:
        vault = PostgresKeyVault(server.dsn())
        await vault.migrate()
        given = await vault.ensure(SITE, [SERGEANT, PUPIL])
        await server.kill()
        await server.start()
        assert await vault.keys(SITE) == given


async def test_of_many_who_ask_at_once_in_any_order_all_get_their_keys(vault: PostgresKeyVault):
    people = [HolderId(f"h-{number}") for number in range(5000)]
    found = await asyncio.gather(*(vault.ensure(SITE, people[::step]) for step in (1, -1) * 3))
    assert all(keys == found[0] for keys in found)


@pytest.mark.parametrize("dsn", ["postgresql://", "no address", "postgresql://h:p@x:notaport/d"])
async def test_an_address_that_is_none_is_told_without_repeating_it(dsn: str):
    with pytest.raises(LedgerUnavailableError) as told:
        await PostgresKeyVault(dsn + "hunter2").keys(SITE)
    assert "hunter2" not in str(told.value)


async def test_a_database_that_does_not_exist_is_said_in_a_sentence(postgres_server: EmbeddedPostgres):
    with pytest.raises(LedgerUnavailableError, match='database "nosuch" does not exist'):
        await PostgresKeyVault(postgres_server.dsn("nosuch")).keys(SITE)
