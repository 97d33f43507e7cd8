"""The round trip by hand, as the README has it: found, serve, look, change, verify; each command a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.commands import Said

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/examples/johan-willem-friso/site.toml"
COMMAND = (sys.executable, "-W", "error", "-c", "from gatekeeper.cli import main; main()")
SIMULATE = (sys.executable, "-c", "from devices.cli import main; main()", "simulate")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("GATEKEEPER_")}


def gatekeeper(data: Path, *words: str | Path, of: tuple[str, ...] = COMMAND) -> Said:
    """Run a command to its end."""
    done = subprocess.run(
        [*of, *words, "--data", data],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=ENVIRONMENT,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


@contextmanager
def running(data: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command until the block ends; it must then end in order at Ctrl-C."""
    with subprocess.Popen(
        [*COMMAND, *words, "--data", data],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
    ) as process:
        try:
            yield process
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
            assert (process.returncode, "Traceback" in said) == (0, False), said
        finally:
            process.kill()


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """Serve the site, from when it says that it does; give where its metrics and health are."""
    with running(data, "serve", "--http-port", "0") as process:
        assert process.stderr is not None
        found = (re.search(r"metrics and health (http://\S+)", line) for line in process.stderr)
        yield next(match[1] for match in found if match)


def watched(data: Path, since: int, count: int) -> list[Any]:
    """The first entries that `watch` tells from a cursor on."""
    with running(data, "watch", "--json", "--since", str(since)) as process:
        assert process.stdout is not None
        return [json.loads(process.stdout.readline()) for _ in range(count)]


def _entry_of(said: Said) -> int:
    found = re.fullmatch(r"Done(?:: [a-z0-9: -]+)?; entry (\d+) of the log\.\s*", said.err)
    assert found, said
    return int(found[1])


@pytest.mark.timeout(180)
def test_the_round_trip_by_hand(server_folder: Path):
    data, remembered = server_folder / "data", server_folder / "memory"

    # Found.
    founded = gatekeeper(data, "site", "init", EXAMPLE)
    assert (founded.code, founded.out) == (0, "")
    assert "johan-willem-friso is founded. Its keys are in" in founded.err
    again = gatekeeper(data, "site", "init", EXAMPLE)
    assert again.code == 2
    assert "holds a site already" in again.err

    with serving(data) as url:
        ready = httpx.get(f"{url}/health/ready")
        assert ready.json() == {"status": "ready", "owns_site": True, "broker": True, "database": True}
        assert "gatekeeper_site_owned 1.0" in httpx.get(f"{url}/metrics").text

        # A second service of this folder does not start.
        second = gatekeeper(data, "serve", "--http-port", "0")
        assert second.code == 2
        assert "in use by another running process" in second.err

        # Look.
        present = gatekeeper(data, "presence", "--json")
        assert (present.code, present.err) == (0, "")
        assert present.document == {"site": "johan-willem-friso", "cursor": 502, "present": []}

        # Watch, and go on where it ended.
        first = watched(data, 0, 3)
        assert [line["seq"] for line in first] == [0, 1, 2]
        assert [line["entry"]["kind"] for line in first] == [
            "site.founded",
            "holder.registered",
            "holder.registered",
        ]
        assert {(line["holder"], line["name"]) for line in first} == {(None, None)}, (
            "of the past it is not told who it was"
        )
        assert [line["seq"] for line in watched(data, 3, 2)] == [3, 4]

        # Change.
        raised = _entry_of(gatekeeper(data, "alert", "set", "charlie"))
        revoked = _entry_of(gatekeeper(data, "badge", "revoke", "h-00001"))
        locked = _entry_of(gatekeeper(data, "lockdown", "on", "zone:campus"))
        assert (raised, revoked, locked) == (502, 503, 504)
        refused = gatekeeper(data, "alert", "set", "panic")
        assert refused.code == 1
        assert refused.err.startswith("Refused: ")
        kinds = [line["entry"]["kind"] for line in watched(data, raised, 3)]
        assert kinds == ["alert.changed", "badge.changed", "lockdown.changed"]
        with running(data, "watch", "--since", str(raised)) as process:
            assert process.stdout is not None
            (shown, who, where) = (process.stdout.readline() for _ in range(3))
        assert re.fullmatch(r" {3}502 \d\d:\d\d:\d\d alert\.changed +- +alpha -> charlie\n", shown), shown
        assert "badge.changed" in who
        assert where.endswith("zone:campus on\n")

        # Rules change: the folder holds what is in force.
        policy = data / "sites" / "johan-willem-friso" / "policy.cose"
        before, file = policy.read_bytes(), server_folder / "site.toml"
        file.write_text(EXAMPLE.read_text().replace('en = "Sports hall"', 'en = "Gymnasium"'))
        assert _entry_of(gatekeeper(data, "site", "apply", file)) == 505
        assert policy.read_bytes() != before
        assert b"Gymnasium" in policy.read_bytes()

    # Verify, when nothing runs any more, and remember.
    verified = gatekeeper(data, "audit", "verify", "--memory", remembered)
    assert (verified.code, verified.out) == (0, "")
    assert "Valid: 506 entries" in verified.err
    kept = remembered / "gatekeeper" / "johan-willem-friso" / "site" / "000000000506.checkpoint"
    assert kept.read_text().startswith("gatekeeper/johan-willem-friso/site\n506\n")
    held_to_it = gatekeeper(data, "audit", "verify", "--memory", remembered, "--json")
    assert held_to_it.code == 0
    assert held_to_it.document["not_checked"] == ["that others saw the same log: no witness has cosigned it"]

    # What happened while somebody served is what is found when somebody serves again.
    with serving(data):
        assert (
            gatekeeper(data, "audit", "verify", "--memory", remembered, "--json").document["entries"] == 507
        )

        # People walk, without a word of where; what their gates were told is in the log.
        walked = gatekeeper(data, "--people", "40", "--speed", "600", "--seconds", "5", "--json", of=SIMULATE)
        assert walked.code == 0, walked
        assert walked.document["people"] == 40
        assert walked.document["scans"] > 0
        assert walked.document["promises"]["kept"]
        recorded = {entry for entry, _ in walked.document["recorded"]}
        verified = gatekeeper(data, "audit", "verify", "--memory", remembered, "--json").document
        assert min(recorded) > 506
        assert max(recorded) < verified["entries"]

    # Nobody serves: that is said.
    unserved = gatekeeper(data, of=SIMULATE)
    assert (unserved.code, unserved.out) == (1, "")
    assert (
        unserved.err
        == f"No service runs on {data}: start `gatekeeper serve`, or name --broker and --readers.\n"
    )
