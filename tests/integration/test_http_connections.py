"""Connections that say nothing end in time, are bounded in number, and keep nobody out who asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from gatekeeper.adapters.http import serving
from gatekeeper.adapters.http.connections import BoundedListener, TimelyProtocol

pytestmark = pytest.mark.integration

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


class Served:
    """An app that answers at once at `/`, and at `/later` when `ready` is set."""

    def __init__(self) -> None:
        self.url, self.asked, self.ready = "", asyncio.Event(), asyncio.Event()
        self.app = FastAPI()
        self.app.get("/")(self.at_once)
        self.app.get("/later")(self.later)

    async def at_once(self) -> str:
        return "here"

    async def later(self) -> str:
        self.asked.set()
        await self.ready.wait()
        return "now"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = urlsplit(self.url)
        return await asyncio.open_connection(where.hostname, where.port)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    async with serving(made.app, host="127.0.0.1", port=0) as made.url:
        yield made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimelyProtocol, "head_seconds", 0.3)


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait until a connection ends; TimeoutError when it does not."""
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            await reader.read()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("said", [b"", HEAD])
async def test_a_head_that_is_not_whole_in_time_ends_its_connection(served: Served, said: bytes):
    reader, writer = await served.connect()
    writer.write(said)
    await ended(reader)
    writer.close()


@pytest.mark.usefixtures("hasty")
async def test_a_head_that_dribbles_in_is_not_waited_for_any_longer(served: Served):
    reader, writer = await served.connect()
    writer.write(HEAD)
    reading = asyncio.create_task(ended(reader))
    while not reading.done():
        writer.write(b"a")
        await asyncio.wait([reading], timeout=0.02)
    await reading
    writer.close()


@pytest.mark.usefixtures("hasty")
async def test_the_second_head_of_a_connection_has_no_more_time_than_the_first(served: Served):
    reader, writer = await served.connect()
    writer.write(HEAD + b"\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b'"here"')).startswith(b"HTTP/1.1 200")
    writer.write(HEAD)
    await ended(reader)
    writer.close()


@pytest.mark.usefixtures("hasty")
async def test_an_answer_may_take_longer_than_a_head(served: Served):
    async with httpx.AsyncClient(base_url=served.url) as client, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.get("/later"))
        await served.asked.wait()
        reader, writer = await served.connect()
        await ended(reader)  # it came after the question, and its time is over
        writer.close()
        served.ready.set()
        assert (await asking).json() == "now"


async def test_connections_that_say_nothing_are_bounded_and_keep_nobody_out(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(BoundedListener, "most", 8)
    silent = [await served.connect() for _ in range(40)]
    async with httpx.AsyncClient(base_url=served.url) as client:
        assert (await client.get("/")).json() == "here"
    async with asyncio.TaskGroup() as tasks:
        for reader, _ in silent[:33]:
            tasks.create_task(ended(reader))
    assert [reader.at_eof() for reader, _ in silent[33:]] == [False] * 7, (
        "the newest, beside the one who asked"
    )
    for _, writer in silent:
        writer.close()
