"""A gate that dies is missed: the device's own program, killed; an engine of its own, another after it, a real database and broker."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.core.audit import Kind
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, saying, served_site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

DEVICE = (sys.executable, "-W", "error", "-c", "from devices.cli import main; main()", "run")


@contextmanager
def running(registry: Registry, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The device's program, at the gate of a folder."""
    command = [
        *DEVICE,
        "--folder",
        str(registry.folder.root / "gates" / "front"),
        "--broker",
        registry.broker.url,
    ]
    with (folder / "gate.log").open("ab") as log:
        gate = subprocess.Popen(command, stderr=log)
    try:
        yield gate
    finally:
        gate.kill()
        gate.wait()


def listed(registry: Registry) -> dict[str, Any]:
    """What `gate list` says of the front gate."""
    assert registry.say is not None
    said = registry.say("gate", "list", *registry.where, "--json")
    assert said.code == 0, said
    [front] = [one for one in json.loads(said.out)["gates"] if one["gate"] == "front"]
    return dict(front)


def told(registry: Registry) -> list[str]:
    return [kind for kind in registry.kinds() if kind in {Kind.GATE_SILENT, Kind.GATE_HEARD}]


def test_a_gate_that_was_killed_is_silent_once_over_a_takeover_and_is_heard_again(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capsys: pytest.CaptureFixture[str],
):
    with served_site(tmp_path, postgres_server, broker) as registry:
        registry.say = saying(capsys)
        assert listed(registry)["link"] == "never"
        with running(registry, tmp_path) as gate:
            registry.wait_until(lambda: listed(registry)["link"] == "up")
            registry.wait_until(lambda: listed(registry)["snapshot"] == "newest")
            registry.stop()
            gate.send_signal(signal.SIGKILL)
            gate.wait()
        # An engine that starts while the gate is away hears of it from the broker, and says so.
        registry.start()
        registry.wait_until(lambda: listed(registry)["link"] == "awaited")
        assert told(registry) == []
        registry.wait_until(lambda: told(registry) != [])
        [silent] = registry.run("SELECT body FROM entry WHERE site_id = $1 AND kind = 'gate.silent'")
        entry = json.loads(silent["body"])
        assert (entry["gate"], entry["alarm"]) == ("front", True)
        before = listed(registry)
        assert (before["link"], before["last_heard"]) == ("silent", entry["last_heard"])
        said = registry.say("gate", "list", *registry.where)
        assert re.search(r"^front +active +silent ", said.out, re.MULTILINE), said
        assert "1 gate is silent." in said.err
        # And the next one does not say it again.
        registry.stop()
        said = registry.say("gate", "list", *registry.where)
        assert "No engine serves the site now" in said.err
        registry.start()
        with running(registry, tmp_path):
            registry.wait_until(lambda: listed(registry)["link"] == "up")
            assert told(registry) == [Kind.GATE_SILENT, Kind.GATE_HEARD]
