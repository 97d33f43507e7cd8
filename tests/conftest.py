"""The servers of a test run: one PostgreSQL and one Mosquitto, real, started when the first test asks for them.

They belong to no event loop (see `gatekeeper.embedded.child`), so each test keeps a loop of its own. The database
forgets in a crash: a test that pulls the plug starts a durable one of its own with `server_folder`.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.support.databases import temporary_database
from tests.support.proxy import FaultProxy, to_broker, to_database

# How fast examples are made says something about the machine and nothing about the product.
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("any machine")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes have no part in a test's name: they may hold keys made at test time, and every worker must find the same tests."""
    return argname if isinstance(val, bytes) else None


def _temporary_folder() -> Iterator[Path]:
    """A folder that the servers' account can reach: pytest's own are closed to all but their owner."""
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def _session_folder() -> Iterator[Path]:
    yield from _temporary_folder()


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """An empty folder for servers that one test starts itself."""
    yield from _temporary_folder()


@pytest.fixture(scope="session")
def postgres_server(_session_folder: Path) -> Iterator[EmbeddedPostgres]:
    """The database server of this run; not durable."""
    server = EmbeddedPostgres(_session_folder / "postgres", durable=False)
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture(scope="session")
def broker(_session_folder: Path) -> Iterator[EmbeddedBroker]:
    """The broker of this run. Its logins, sessions and retained messages stay: use names of the test's own."""
    server = EmbeddedBroker(_session_folder / "broker")
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def empty_database(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of an empty database of the test's own."""
    async with temporary_database(postgres_server) as dsn:
        yield dsn


@pytest.fixture
async def clone_of(postgres_server: EmbeddedPostgres) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """`await clone_of(template)` gives the DSN of a copy of the test's own; see `prepare_template`."""
    async with AsyncExitStack() as databases:

        async def clone(template: str) -> str:
            return await databases.enter_async_context(temporary_database(postgres_server, template))

        yield clone


@pytest.fixture
async def database_proxy(postgres_server: EmbeddedPostgres) -> AsyncIterator[FaultProxy]:
    """A proxy before the database server: connect with `database_proxy.dsn(dsn)`."""
    async with to_database(postgres_server.dsn()) as proxy:
        yield proxy


@pytest.fixture
async def broker_proxy(broker: EmbeddedBroker) -> AsyncIterator[FaultProxy]:
    """A proxy before the broker's port for logins: connect to `broker_proxy.url`."""
    async with to_broker(broker.url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _logging_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that sets logging up, as a command does, leaves none of it to the next: a logger is kept by no module."""
    kept = structlog.configure
    monkeypatch.setattr(
        structlog, "configure", lambda **given: kept(**given | {"cache_logger_on_first_use": False})
    )
    yield
    structlog.reset_defaults()
