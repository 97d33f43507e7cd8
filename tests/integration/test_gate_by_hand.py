"""`gatekeeper-device run` with simulated hardware: somebody types, the site decides, and nobody takes it for a real gate."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import IN, OUT, Registry, saying, served_site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SOLDIER = "h-00001"


@dataclass
class Gate:
    """The program of a gate, and whoever sits at its terminal."""

    keys: IO[str]
    seen: Path
    told: Path

    def types(self, line: str) -> None:
        self.keys.write(f"{line}\n")
        self.keys.flush()

    def shows(self, words: str) -> bool:
        return words in self.seen.read_text()

    def tells(self, words: str) -> bool:
        return words in self.told.read_text()


@contextmanager
def typed_at(registry: Registry, folder: Path) -> Iterator[Gate]:
    gate = registry.folder.root / "gates" / "front"
    written = json.loads((gate / "gate.json").read_text())
    for point in written["access_points"]:
        point["hardware"] = "simulated"
    (gate / "gate.json").write_text(json.dumps(written))
    seen, told = folder / "seen", folder / "told"
    command = "from devices.cli import main; main()"
    with (
        seen.open("wb") as out,
        told.open("wb") as err,
        subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-c", command, "run"),
                *("--folder", gate, "--broker", registry.broker.url),
            ],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            text=True,
            env=dict(os.environ),
        ) as program,
    ):
        assert program.stdin is not None
        try:
            yield Gate(program.stdin, seen, told)
            program.send_signal(signal.SIGINT)
            assert program.wait(30) == 0, told.read_text()
            assert "Traceback" not in told.read_text()
        finally:
            program.kill()


def entries(registry: Registry, kind: str) -> list[dict[str, object]]:
    rows = registry.run("SELECT body FROM entry WHERE site_id = $1 AND kind = $2 ORDER BY seq", kind)
    return [json.loads(row["body"]) for row in rows]


def test_a_gate_without_metal_is_tried_from_badge_to_passage_and_says_what_it_is(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    badge = tmp_path / "badge.json"
    with served_site(tmp_path, postgres_server, broker) as registry:
        registry.say = saying(capfd)
        registry.done("badge", "issue", SOLDIER, "--out", badge)
        with typed_at(registry, tmp_path) as gate:
            registry.wait_until(lambda: gate.tells("link up") and len(entries(registry, "gate.hello")) == 1)
            assert gate.tells("SIMULATED HARDWARE: front HOLDS NO REAL DOOR.")
            gate.types(f"{IN} card mifare:00000000")
            registry.wait_until(lambda: gate.shows(f"SIMULATED {IN}: denied"))
            assert not gate.shows("strike released")
            gate.types(f"{IN} badge {badge}")
            registry.wait_until(lambda: gate.shows(f"SIMULATED {IN}: strike released for "))
            gate.types(f"{IN} open")
            gate.types(f"{IN} close")
            registry.wait_until(lambda: len(entries(registry, "passage.taken")) == 1)
            gate.types(f"{OUT} open")
            registry.wait_until(lambda: len(entries(registry, "passage.forced")) == 1)
            gate.types("armoury open")
            registry.wait_until(lambda: gate.shows(f"SIMULATED: armoury is none of {IN}, {OUT}."))
        (hello,) = entries(registry, "gate.hello")
        (granted,) = entries(registry, "access.granted")
        (taken,) = entries(registry, "passage.taken")
    assert str(hello["agent"]).endswith(" (SIMULATED hardware)")
    assert taken["grant"] == granted["seq"]
