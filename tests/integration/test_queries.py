"""SQL is SQL: every named query is taken by the real server, says what it is for, and is used."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg
import pytest

import gatekeeper.adapters
from gatekeeper.adapters.queries import Queries
from gatekeeper.adapters.sql import migrate
from gatekeeper.embedded import EmbeddedPostgres
from tests.support.databases import create_database_from_template, drop_database

ADAPTERS = Path(gatekeeper.adapters.__path__[0])
_IN_SQLITE = "witness_store"
FILES = sorted(ADAPTERS.glob("*/queries/*.sql"))
NAMED = re.compile(
    r"^-- name: (?P<name>\S+)\n(?:-- continues: \S+\n)?(?P<comment>(?:-- .*\n)*)", re.MULTILINE
)


def _package(file: Path) -> str:
    return file.parents[1].name


def _queries(file: Path) -> Queries:
    return Queries(f"gatekeeper.adapters.{_package(file)}", file.stem)


QUERIES = [
    pytest.param(file, name, id=f"{_package(file)}/{file.stem}.{name}")
    for file in FILES
    if _package(file) != _IN_SQLITE
    for name in _queries(file)
]
SQLITE_QUERIES = list(Queries(f"gatekeeper.adapters.{_IN_SQLITE}", "witness"))


async def _migrated(server: EmbeddedPostgres, package: str) -> str:
    name = await create_database_from_template(server)
    await migrate(server.dsn(name), migrations=ADAPTERS / package / "migrations")
    return name


@pytest.fixture(scope="module")
def databases(postgres_server: EmbeddedPostgres) -> Iterator[Mapping[str, str]]:
    """The DSN of a migrated database for each adapter; nothing here writes to it."""
    names = {
        package: asyncio.run(_migrated(postgres_server, package))
        for package in sorted(set(map(_package, FILES)) - {_IN_SQLITE})
    }
    yield {package: postgres_server.dsn(name) for package, name in names.items()}
    for name in names.values():
        asyncio.run(drop_database(postgres_server, name))


def test_there_are_queries():
    assert {(_package(file), file.stem) for file in FILES} == {
        ("postgres", "ledger"),
        ("postgres", "mending"),
        ("postgres", "reading"),
        ("postgres", "stored_trees"),
        ("postgres", "leaves"),
        ("postgres", "retention"),
        ("vault", "keys"),
        ("witness_store", "witness"),
    }
    assert len(QUERIES) > 40


@pytest.mark.parametrize(("file", "name"), QUERIES)
async def test_the_server_takes_every_query(file: Path, name: str, databases: Mapping[str, str]):
    connection = await asyncpg.connect(databases[_package(file)])
    query = getattr(_queries(file), name)
    try:
        prepared = await connection.prepare(query)
        numbers = {int(number) for number in re.findall(r"\$(\d+)", query)}
        assert numbers == set(range(1, len(prepared.get_parameters()) + 1))
    finally:
        await connection.close()


@pytest.mark.parametrize("name", SQLITE_QUERIES)
def test_sqlite_takes_every_query_of_a_witness(name: str):
    query = getattr(Queries(f"gatekeeper.adapters.{_IN_SQLITE}", "witness"), name)
    numbers = sorted({int(number) for number in re.findall(r"\?(\d+)", query)})
    assert numbers == list(range(1, len(numbers) + 1))
    connection = sqlite3.connect(":memory:")
    connection.executescript((ADAPTERS / _IN_SQLITE / "schema.sql").read_text("utf-8"))
    assert connection.execute(f"EXPLAIN {query}", [None] * len(numbers)).fetchall()
    connection.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{_package(file)}/{file.stem}")
def test_every_query_has_one_sentence_that_says_what_it_does(file: Path):
    text = file.read_text("utf-8")
    found = {match["name"]: match["comment"] for match in NAMED.finditer(text)}
    assert sorted(found) == list(_queries(file)), "a name is written so that it is not found"
    for name, comment in found.items():
        sentence = " ".join(line.removeprefix("-- ") for line in comment.splitlines())
        assert re.fullmatch(r"[A-Z][^.]*[^. ]\.", sentence), f"{name}: {sentence!r}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{_package(file)}/{file.stem}")
def test_every_query_is_used_by_its_own_adapter_and_no_other_is_asked_for(file: Path):
    used: dict[str, set[str]] = {}
    for module in (ADAPTERS / _package(file)).glob("*.py"):
        text = module.read_text("utf-8")
        if f'"{file.stem}")' in text:
            used[module.name] = set(re.findall(r"_queries\.([a-z_]+)", text))
    assert len(used) == 1, "one module reads one file of queries"
    assert sorted(*used.values()) == list(_queries(file))


def test_a_query_that_is_not_there_is_a_mistake_at_once():
    with pytest.raises(AttributeError, match="there is no query truncate_everything"):
        _ = _queries(FILES[0]).truncate_everything


def test_a_name_that_stands_in_two_files_is_refused():
    with pytest.raises(ValueError, match="stands in two places"):
        Queries("gatekeeper.adapters.postgres", "ledger", "ledger")


def test_no_adapter_writes_a_query_beside_its_files():
    statement = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b [a-z$(*]")
    for module in ADAPTERS.glob("*/*.py"):
        assert not statement.search(module.read_text("utf-8")), module
