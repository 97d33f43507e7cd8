"""The whole way, scan published to decision received, beside its floor: the same load, servers and cores, and nothing decided."""

import contextlib
import json
import pickle
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gatekeeper.adapters.postgres import connect
from tests.benchmarks.floor import Premises
from tests.benchmarks.ground import BADGES, SITE, Ground, child, ground, verdicts
from tests.benchmarks.measure import percentiles

__all__ = ["whole_way"]

_PER_SECOND = 200.0
_PACED, _FLOODED = 2000, 16_000
_OUTSTANDING = 768
_ROWS = """
SELECT entry.at, entry.kind, entry.body, personal.person, personal.sealed, receipt.gate, receipt.boot,
       receipt.sequence, receipt.digest, receipt.answer
FROM receipt
JOIN entry USING (site_id, seq)
JOIN personal USING (site_id, seq)
WHERE site_id = $1 AND receipt.verdict = 1
LIMIT 4096
"""


async def whole_way(*, badges: int = BADGES) -> dict[str, Any]:
    """Latency at 200 scans a second and the most that one engine sustains, each with its floor and their ratio."""
    async with ground(badges=badges) as there:
        async with there.engine() as engine:
            megabytes = _resident(engine.pid)
            ours = await _measure(there)
        said = verdicts(there, [answer for tally in ours["tallies"] for answer in tally.answers])
        assert set(said) == {"granted"}, said
        async with _floor(there):
            floor = await _measure(there)
    return {
        "badges": badges,
        "founded_s": round(there.founded_seconds, 1),
        "engine_mb_at_start": megabytes,
        "latency": ours["latency"],
        "latency_floor": floor["latency"],
        "ratio_p50": ours["latency"]["p50_ms"] / floor["latency"]["p50_ms"],
        "ratio_p99": ours["latency"]["p99_ms"] / floor["latency"]["p99_ms"],
        "sustained_per_s": ours["sustained_per_s"],
        "sustained_floor_per_s": floor["sustained_per_s"],
        "ratio_sustained": ours["sustained_per_s"] / floor["sustained_per_s"],
    }


async def _measure(there: Ground) -> dict[str, Any]:
    load = await there.load()
    try:
        await load.flooded(await there.laps(1), outstanding=64)  # every badge is known from here on
        paced = await load.paced(await there.laps(_PACED), per_second=_PER_SECOND)
        flooded = await load.flooded(await there.laps(_FLOODED), outstanding=_OUTSTANDING)
    finally:
        load.close()
    return {
        "latency": percentiles(paced.seconds),
        "sustained_per_s": flooded.rate,
        "tallies": (paced, flooded),
    }


@contextlib.asynccontextmanager
async def _floor(there: Ground) -> AsyncIterator[None]:
    connection = await connect(there.postgres.dsn())
    rows = [tuple(row) for row in await connection.fetch(_ROWS, SITE)]
    await connection.close()
    premises = Premises(there.broker.url, there.service_password.read_text(), there.postgres.dsn())
    (there.folder / "floor.json").write_text(json.dumps(asdict(premises)))
    (there.folder / "rows.bin").write_bytes(pickle.dumps(rows))
    async with child("-m", "tests.benchmarks.floor", str(there.folder), environment={}, ready="ready"):
        yield


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * 4096 / 1e6, 1)
