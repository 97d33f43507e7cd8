"""kill -9 of `gatekeeper audit export`, at the seams and anywhere between: the same command goes on, and nothing tells after.

The bundle of an export that was killed again and again is byte for byte the one that nothing has disturbed.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.core.audit import Draft, Kind
from gatekeeper.core.supervise import Writes
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.ids import TenantId
from gatekeeper.ports import Batch
from gatekeeper.service.engine.sealing import Sealer
from gatekeeper.transparency import Tree
from tests.integration.people_site import Registry, served_site

pytestmark = pytest.mark.integration

SEGMENT = 2048
"""Segments of a hundredth of their size, so that a log that is quickly written has many."""
ENTRIES, ENTRY = 20_000, 300
"""So many, and so many bytes of each in the bundle, about."""
_ROOT = Path(__file__).parents[2]
_PROGRAM = f"from gatekeeper.core.export import segments; segments.SEGMENT = {SEGMENT}; from gatekeeper.cli import main; main()"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("export-crashes"), postgres_server, broker) as registry:
        with registry.unserved():
            asyncio.run(_grown(registry))
        yield registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.zip"


def test_an_export_killed_anywhere_goes_on_and_ends_as_if_nothing_had_happened(
    registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch
):
    chance = random.Random(20260602)
    plan, partial = Path(f"{file}.partial.plan"), Path(f"{file}.partial")
    with exporting(registry, file) as program:
        assert killed(program, when=lambda: plan.exists() and b"\n" in plan.read_bytes())
    begun = plan.read_bytes().partition(b"\n")[0] + b"\n"
    for part in (chance.uniform(0, 0.3), chance.uniform(0.4, 0.8)):
        with exporting(registry, file) as program:
            assert killed(program, when=lambda least=part * ENTRIES * ENTRY: size_of(partial) > least)
    with exporting(registry, file) as program:
        assert program.wait() == 0
    assert list(file.parent.iterdir()) == [file]

    whole = file.with_name("whole.zip")
    Path(f"{whole}.partial").touch()
    Path(f"{whole}.partial.plan").write_bytes(begun)
    with exporting(registry, whole) as program:
        assert program.wait() == 0
    assert whole.read_bytes() == file.read_bytes()

    monkeypatch.setattr("gatekeeper.core.export.segments.SEGMENT", SEGMENT)
    assert registry.say is not None
    verified = registry.say("audit", "verify", file, "--no-memory")
    assert verified.code == 0, verified


def test_a_half_done_export_is_refused_with_other_options_and_goes_on_with_the_same(
    registry: Registry, file: Path, tmp_path: Path
):
    asked = ("--from", "2026-01-01", "--decision", "granted", "--decision", "denied", "--csv", "none")
    plan = Path(f"{file}.partial.plan")
    with exporting(registry, file, *asked) as program:
        assert killed(program, when=lambda: plan.exists() and b"\n" in plan.read_bytes())
    begun, (entry,) = (
        plan.read_bytes(),
        registry.run("SELECT max(seq) FROM entry WHERE site_id = $1 AND kind = 'log.exported'")[0],
    )
    ((note,),) = registry.run(
        "SELECT note FROM checkpoint WHERE site_id = $1 AND tree = 'tenant:school' ORDER BY size LIMIT 1"
    )
    (tmp_path / "note").write_bytes(note)
    before = registry.log_size()
    of_school, why = ("--tenant", "school"), ("--reason", "yearly review")
    for words, differing in (
        ((), "--tenant, --reason, --from, --decision, --csv"),
        ((*of_school, *why, *asked[:6]), "--csv"),
        ((*of_school, *why, *asked[2:]), "--from"),
        ((*of_school, *why, *asked[:4], *asked[6:]), "--decision"),
        ((*of_school, "--reason", "curiosity", *asked), "--reason"),
        (("--tenant", "club", *why, *asked), "--tenant"),
        (("--site-tree", *why, *asked), "--tenant"),
        ((*of_school, *why, *asked, "--to", "2026-12-31", "--door", "front-in"), "--to, --door"),
        ((*of_school, *why, *asked, "--holder", "h-00001", "--openings"), "--holder, --openings"),
        ((*of_school, *why, *asked, "--parquet", "--compress"), "--parquet, --compress"),
        ((*of_school, *why, *asked, "--seen", tmp_path / "note"), "--seen"),
        (("--approved", entry - 1, *asked), "--approved"),
        (("--approved", entry), "--csv"),
    ):
        said = registry("audit", "export", "--out", file, *words, "--json")
        assert (said.code, said.document) == (
            1,
            {"outcome": "export-begun-otherwise", "detail": differing},
        ), said
        assert said.err.startswith(
            "Refused: export-begun-otherwise. The half-done bundle was begun with other options"
        )
        assert plan.read_bytes() == begun
    assert registry.log_size() == before, "what is refused is no entry"
    with exporting(registry, file, *asked, "--unwitnessed") as program:
        assert program.wait() == 0
    assert list(file.parent.glob("log.zip*")) == [file]


def test_an_export_killed_while_it_waits_for_a_checkpoint_goes_on_and_an_engine_killed_then_signs_later(
    registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch
):
    before = registry.log_size()
    with held_up(registry, "LOCK TABLE checkpoint IN SHARE MODE"):
        with exporting(registry, file) as program:
            killed(program, when=lambda: "log.exported" in registry.kinds(before))
        assert list(file.parent.iterdir()) == [Path(f"{file}.partial.asked")]
        assert registry.engine is not None
        registry.engine.kill()
        registry.engine.wait()
    registry.start()
    with exporting(registry, file) as program:
        assert program.wait() == 0
    assert registry.kinds(before).count("log.exported") == 1
    assert list(file.parent.iterdir()) == [file]
    monkeypatch.setattr("gatekeeper.core.export.segments.SEGMENT", SEGMENT)
    assert registry.say is not None
    assert registry.say("audit", "verify", file, "--no-memory").code == 0
    assert registry("audit", "verify").code == 0, "the log in its database is sound, too"


def test_an_export_stopped_with_ctrl_c_before_it_has_a_plan_is_asked_for_once(registry: Registry, file: Path):
    before = registry.log_size()
    with held_up(registry, "LOCK TABLE checkpoint IN SHARE MODE"), exporting(registry, file) as program:
        registry.wait_until(lambda: "log.exported" in registry.kinds(before))
        program.send_signal(signal.SIGINT)
        assert program.wait() == 130
    words = ("audit", "export", "--tenant", "school", "--out", file, "--reason")
    other = registry(*words, "curiosity", "--json")
    assert (other.code, other.document) == (1, {"outcome": "export-begun-otherwise", "detail": "--reason"})
    said = registry(*words, "yearly review")
    assert said.code == 0, said
    assert registry.kinds(before).count("log.exported") == 1
    assert list(file.parent.iterdir()) == [file]


@contextmanager
def exporting(registry: Registry, file: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process of its own."""
    command = (
        "audit",
        "export",
        "--tenant",
        "school",
        "--reason",
        "yearly review",
        "--out",
        file,
        *words,
        *registry.where,
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEKEEPER_")}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _PROGRAM, *map(str, command)], cwd=_ROOT, env=environment
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def killed(program: subprocess.Popen[bytes], *, when: Callable[[], bool]) -> bool:
    """Kill it as soon as something is so; False when it was through before."""
    while not when():
        if program.poll() is not None:
            assert program.returncode == 0
            return False
    program.kill()
    return program.wait() != 0


@contextmanager
def held_up(registry: Registry, lock: str) -> Iterator[None]:
    """Hold up who wants what this locks, for the length of a block."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(registry.settings.dsn))
        try:
            runner.run(connection.execute(f"BEGIN; {lock}"))
            yield
        finally:
            runner.run(connection.close())


async def _grown(registry: Registry) -> None:
    """Let the log grow by what a gate says in a year."""
    ledger = PostgresLedger(registry.settings.dsn)
    try:
        epoch = await ledger.claim(registry.site, owner="the test")
        assert epoch is not None
        loaded = await ledger.load(registry.site, epoch=epoch)
        trees = {name: Tree.resume(size, edge) for name, (size, edge) in loaded.edges.items()}
        sealer = Sealer(registry.site, trees=trees, keys={})
        for _ in range(0, ENTRIES, 2000):
            sealed = sealer.seal([_status(sealer.size + number) for number in range(2000)])
            parts: dict[str, Any] = {"entries": sealed.entries, "tiles": sealed.tiles, "heads": sealed.heads}
            batch = Batch(**parts, moved=(), receipts=(), writes=Writes())
            await ledger.commit(registry.site, epoch=epoch, batch=batch)
            sealer.accept(sealed)
    finally:
        await ledger.close()


def _status(seq: int) -> Draft:
    public = {"gate": "front", "access_point": "front-in"}
    return Draft(
        kind=Kind.GATE_STATUS,
        at=datetime.now(UTC),
        seq=seq,
        tenants=(TenantId("school"),),
        public=public,
        person=None,
        personal=None,
    )
