"""`gatekeeper audit tiles --entries`: bodies leave the site only after the log said who takes them, and why."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, served_site
from tests.support.commands import Said
from tests.support.tlog_reader import read_log

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("tiles"), postgres_server, broker) as registry:
        yield registry


def _tiles(registry: Registry, out: Path, *words: object) -> Said:
    return registry("audit", "tiles", "--out", out, "--entries", "--reason", "a mirror", *words)


def test_the_log_says_first_who_takes_its_entries_out_and_then_they_are_written(
    registry: Registry, tmp_path: Path
):
    before = registry.log_size()
    said = _tiles(registry, tmp_path / "log", "--tenant", "school")
    assert (said.code, said.out) == (0, ""), said
    assert registry.kinds(before) == ["log.exported"]

    async def fetch(path: str) -> bytes | None:
        file = tmp_path / "log" / path
        return file.read_bytes() if file.is_file() else None

    assert asyncio.run(read_log(fetch)) > 0


def test_who_may_not_take_entries_out_gets_none(registry: Registry, tmp_path: Path):
    said = _tiles(registry, tmp_path / "log", "--site-tree", "--operator", "guard")
    assert said.code in {1, 2}
    assert not (tmp_path / "log").exists()
