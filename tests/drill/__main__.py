"""`python -m tests.drill`: do every attack, and write the table in SECURITY.md anew."""

import asyncio
import sys
import tempfile
from pathlib import Path

from gatekeeper.embedded import EmbeddedPostgres
from tests.drill.attacks import ATTACKS
from tests.drill.judges import Outcome, judged
from tests.drill.table import SECURITY, row_of, with_table


async def _drill() -> dict[str, Outcome]:
    with tempfile.TemporaryDirectory(prefix="gatekeeper-drill-") as folder:
        Path(folder).chmod(0o711)  # noqa: ASYNC240 - before anything runs
        async with EmbeddedPostgres(Path(folder) / "postgres", durable=False) as server:
            outcomes = {}
            for name, attack in ATTACKS.items():
                outcomes[name] = await judged(server, attack)
                sys.stderr.write(f"{row_of(name, outcomes[name])}\n")
            return outcomes


if __name__ == "__main__":
    outcomes = asyncio.run(_drill())
    SECURITY.write_text(with_table(SECURITY.read_text(), outcomes))
