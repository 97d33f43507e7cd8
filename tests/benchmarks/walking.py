"""The example barracks with all its people: the simulator's gates and days on the whole service, as fast as it answers.

It is `gatekeeper demo` that is measured, on a site founded for 20,000 people whose hours are always open: the figures are
what the gates saw, and they count only where every promise was kept. A door lets twenty people a second through, so
this says what a site feels like, not what an engine can take; that is `way`.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["people_walking"]

_PEOPLE, _SECONDS = 20_000, 90
_ROOT = Path(__file__).parents[2]


def people_walking() -> dict[str, Any]:
    """Scans a second, and milliseconds from badge to answer at the gates of a site with 20,000 people."""
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as name:
        told = subprocess.run(
            [
                sys.executable, "-c", "from gatekeeper.cli import main; main()", "demo", "--people", str(_PEOPLE),
                "--speed", "0", "--seconds", str(_SECONDS), "--open-hours", "--json", "--data", name,
            ],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=_ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
    seen = json.loads(told.stdout)
    assert seen["verification"]["valid"], seen["verification"]
    assert seen["promises"]["kept"], seen["promises"]
    return {
        "people": seen["people"],
        "simulated": seen["simulated"],
        "scans": seen["scans"],
        "scans_per_s": seen["scans"] / _SECONDS,
        "granted": seen["granted"],
        "unanswered": seen["unanswered"],
        "opened_without_entry": seen["opened_without_entry"],
        "answered_after": {f"{which}_ms": seen["decision_latency_ms"][which] for which in ("p50", "p99")},
    }
