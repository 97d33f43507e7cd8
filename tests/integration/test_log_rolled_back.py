"""A gate is memory outside the database: rolled back by its own superuser, the log is found out at the gate, by itself."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from devices.app import make_gate
from devices.checkpoint_file import CHECKPOINTS, read_checkpoints
from devices.cli.commands import app as device
from devices.core.checkpoints import CheckpointMemory
from devices.settings import read_gate_folder
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, saying, served_site
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture
def registry(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Registry]:
    with served_site(tmp_path, postgres_server, broker) as registry:
        registry.say = saying(capfd)
        yield registry


def gate_folder(registry: Registry) -> Path:
    return registry.folder.root / "gates" / "front"


def remembered(
    registry: Registry, *, least: int = 1, until: Callable[[], bool] = lambda: True
) -> CheckpointMemory:
    """Let the gate work until it remembers so much, and something is so; give what it has kept on disk."""

    async def work() -> None:
        settings = read_gate_folder(gate_folder(registry))
        async with make_gate(settings, broker=registry.broker.url) as gate:

            def knows() -> bool:
                newest = gate.remembered.newest
                return newest is not None and newest.size >= least

            await eventually(knows, within=30)
            await asyncio.to_thread(registry.wait_until, until)

    asyncio.run(work())
    return read_checkpoints(gate_folder(registry) / CHECKPOINTS)


def note_of_gate(registry: Registry, place: Path) -> Path:
    """What an auditor takes from the gate."""
    said = CliRunner().invoke(device, ["checkpoint", "--folder", str(gate_folder(registry))])
    assert said.exit_code == 0, said.stderr
    place.write_text(said.stdout)
    return place


def rolled_back(registry: Registry, heads: list[Any]) -> None:
    """Make the log what it was when it had these heads; a superuser can."""
    size = next(head["size"] for head in heads if head["tree"] == "site")
    for table, column in (("entry", "seq"), ("personal", "seq"), ("receipt", "seq")):
        registry.run(f"DELETE FROM {table} WHERE site_id = $1 AND {column} >= $2", size)
    for head in heads:
        registry.run(
            "DELETE FROM checkpoint WHERE site_id = $1 AND tree = $2 AND size > $3",
            head["tree"],
            head["size"],
        )
        registry.run(
            "UPDATE tree_head SET size = $3, root = $4 WHERE site_id = $1 AND tree = $2",
            head["tree"], head["size"], head["root"],
        )  # fmt: skip


def alarms(registry: Registry) -> list[Any]:
    """The entries in which the gate says that the log was rolled back."""
    rows = registry.run("SELECT body FROM entry WHERE site_id = $1 AND kind = 'gate.status'")
    bodies = [json.loads(row["body"]) for row in rows]
    return [body for body in bodies if body["status"] == "log_rolled_back"]


def test_a_log_that_grows_is_remembered_by_the_gate_and_borne_out_by_the_database(
    registry: Registry, tmp_path: Path
):
    first = remembered(registry)
    with registry.unserved():
        size = registry.log_size()
    second = remembered(registry, least=size + 1)
    assert second.newest is not None
    assert second.kept[: len(first.kept)] == first.kept
    assert second.contradictions == ()
    (newest,) = registry.run("SELECT at FROM entry WHERE site_id = $1 AND seq = $2", second.newest.size - 1)
    assert timedelta() <= newest["at"] - second.newest.at < timedelta(milliseconds=1)
    note = note_of_gate(registry, tmp_path / "checkpoint.txt")
    said = registry("audit", "verify", "--checkpoint", note)
    assert said.code == 0, said
    assert alarms(registry) == []


def test_a_database_that_was_rolled_back_is_told_by_the_gate_and_found_out_by_whoever_takes_its_note(
    registry: Registry, tmp_path: Path
):
    remembered(registry)
    registry.stop()
    heads = registry.run("SELECT tree, size, root FROM tree_head WHERE site_id = $1")
    registry.start()
    for _ in range(3):  # each of its starts is an entry
        remembered(registry, least=registry.log_size() + 1)
    registry.stop()
    before = read_checkpoints(gate_folder(registry) / CHECKPOINTS)
    rolled_back(registry, heads)
    registry.start()

    after = remembered(registry, until=lambda: bool(alarms(registry)))

    (contradiction,) = after.contradictions
    assert contradiction.known in before.kept
    assert contradiction.arrived.size <= contradiction.known.size
    assert contradiction.arrived not in before.kept
    assert after.kept == before.kept
    (alarm,) = alarms(registry)
    assert (alarm["gate"], alarm["alarm"]) == ("front", True)
    assert '"code":"log-rolled-back"' in registry._log.read_text()
    note = note_of_gate(registry, tmp_path / "checkpoint.txt")
    said = registry("audit", "verify", "--checkpoint", note)
    assert said.code == 1
    assert "INVALID: the checkpoint of site at " in said.err
    assert f" entries in {note} " in said.err
    assert "[checkpoint-fork]" in said.err
