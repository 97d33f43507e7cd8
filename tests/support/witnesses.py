"""Witnesses as processes of their own: started, killed and started again by the command that an operator uses."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.witness_store import SqliteWitnessStore
from gatekeeper.service.witnessing import WitnessFolder
from gatekeeper.transparency import Verifier

__all__ = ["RunningWitness", "made_witness", "serving_witness"]

_PROJECT = Path(__file__).parents[2]
_SERVE = (sys.executable, "-c", "from gatekeeper.cli import main; main()", "witness", "serve", "--data")
_COSIGNING = re.compile(r"its URL is (http://\S+)")


@dataclass
class RunningWitness:
    """A witness that answers at `url`, until it is stopped or killed."""

    url: str
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """Pull its plug."""
        self.process.kill()
        await self.process.wait()


async def made_witness(
    folder: Path, name: str, *, logs: Sequence[Verifier], post_quantum: bool = False
) -> list[Verifier]:
    """Make a witness that watches these logs; gives its verifiers."""
    home = WitnessFolder(folder)
    home.make(name, post_quantum=post_quantum)
    async with SqliteWitnessStore.opened(home.store) as store:
        for log in logs:
            await store.admit(log, at=SystemClock().now())
    return [cosigner.verifier for cosigner in home.cosigners()]


@asynccontextmanager
async def serving_witness(folder: Path, *, port: int = 0) -> AsyncIterator[RunningWitness]:
    """Run a witness for the length of a block; at its end it is stopped, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *_SERVE,
        str(folder),
        "--port",
        str(port),
        stderr=asyncio.subprocess.PIPE,
        cwd=_PROJECT,
        env=os.environ | {"COLUMNS": "500"},
    )
    assert process.stderr is not None
    try:
        said = (await process.stderr.readline()).decode()
        found = _COSIGNING.search(said)
        assert found, said
        yield RunningWitness(found[1], process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
