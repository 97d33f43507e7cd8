"""The fault-injecting proxy, before the real database and the real broker."""

import asyncio

import asyncpg
import pytest

from gatekeeper.embedded import EmbeddedBroker
from tests.support.mqtt import mqtt_client
from tests.support.proxy import Direction, FaultProxy

pytestmark = pytest.mark.integration

LOST = (asyncpg.PostgresConnectionError, ConnectionError, asyncpg.InterfaceError)


async def test_what_passes_is_unchanged_and_pausing_only_delays(
    database_proxy: FaultProxy, empty_database: str
) -> None:
    connection = await asyncpg.connect(database_proxy.dsn(empty_database))
    assert len(await connection.fetchval("SELECT repeat('x', 1000000)")) == 1_000_000
    database_proxy.pause()
    answer = asyncio.create_task(connection.fetchval("SELECT 1"), name="answer")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await asyncio.shield(answer)
    database_proxy.resume()
    assert await answer == 1
    await connection.close()


async def test_a_cut_breaks_connections_and_lets_new_ones_in(
    database_proxy: FaultProxy, empty_database: str
) -> None:
    connection = await asyncpg.connect(database_proxy.dsn(empty_database))
    database_proxy.cut()
    with pytest.raises(LOST):
        await connection.fetchval("SELECT 1")
    again = await asyncpg.connect(database_proxy.dsn(empty_database))
    assert await again.fetchval("SELECT 1") == 1
    await again.close()


async def test_refusing_turns_new_connections_away_and_keeps_the_old_and_the_port(
    database_proxy: FaultProxy, empty_database: str
) -> None:
    address = database_proxy.dsn(empty_database)
    connection = await asyncpg.connect(address)
    database_proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(address)
    assert await connection.fetchval("SELECT 1") == 1
    await database_proxy.accept()
    assert database_proxy.dsn(empty_database) == address
    again = await asyncpg.connect(address)
    await again.close()
    await connection.close()


async def test_a_black_hole_takes_one_direction_only(database_proxy: FaultProxy, empty_database: str) -> None:
    direct = await asyncpg.connect(empty_database)
    await direct.execute("CREATE TABLE arrived (value integer)")
    connection = await asyncpg.connect(database_proxy.dsn(empty_database))
    database_proxy.swallow(Direction.TO_CLIENT)
    asking = asyncio.create_task(connection.execute("INSERT INTO arrived VALUES (1)"), name="asking")
    async with asyncio.timeout(5):
        while not await direct.fetchval("SELECT count(*) FROM arrived"):
            assert not asking.done()
    assert not asking.done(), "it was committed, and the client does not hear of it"
    database_proxy.cut()
    with pytest.raises(LOST):
        await asking
    await direct.close()


async def test_it_stands_before_a_broker_too(broker: EmbeddedBroker, broker_proxy: FaultProxy) -> None:
    await broker.admit("proxied", "secret")
    async with mqtt_client(broker_proxy.port, "proxied", "secret") as gate:
        assert broker_proxy.connections == 1
        await gate.publish("gk/v1/assen/proxied/hello")
        broker_proxy.cut()
        async with asyncio.timeout(5):
            await gate.lost.wait()
