"""A witness as a process: asked over HTTP as logs ask, and killed at the worst moments."""

import asyncio
import random
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper.transparency import (
    Checkpoint,
    Refused,
    Signer,
    Verifier,
    format_add_checkpoint,
    parse_known_size,
    read_cosignatures,
)
from tests.support.logs import WatchableLog, forked, honest
from tests.support.waiting import eventually
from tests.support.witnesses import RunningWitness, made_witness, serving_witness

pytestmark = pytest.mark.integration

LOG, FORK = honest(), forked()
ORIGIN = LOG.signer.name
THIEF = replace(LOG, signer=Signer(name=ORIGIN, private_key=Ed25519PrivateKey.from_private_bytes(b"t" * 32)))
NAME = "witness.example/w1"


class Asking:
    """A log's way to a witness."""

    def __init__(self, witness: RunningWitness, client: httpx.AsyncClient) -> None:
        self._url = f"{witness.url}/add-checkpoint"
        self._client = client

    async def __call__(self, log: WatchableLog, old: int, new: int) -> httpx.Response:
        return await self.send(format_add_checkpoint(log.request(old, new)))

    async def send(self, body: bytes) -> httpx.Response:
        return await self._client.post(self._url, content=body)


def believed(answer: httpx.Response, checkpoint: Checkpoint, keys: list[Verifier]) -> int:
    """How many cosignatures an answer holds; all of them are of the witness."""
    lines = read_cosignatures(answer.content, checkpoint=checkpoint, verifiers=keys)
    assert not isinstance(lines, Refused), lines
    return len(lines)


async def test_it_answers_each_request_as_the_specification_says(tmp_path: Path):
    keys = await made_witness(tmp_path / "w", NAME, logs=[LOG.signer.verifier], post_quantum=True)
    async with serving_witness(tmp_path / "w") as witness, httpx.AsyncClient() as client:
        ask = Asking(witness, client)
        answer = await ask(LOG, 0, 20)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert believed(answer, LOG.checkpoint(20), keys) == len(keys) == 2

        conflict = await ask(LOG, 3, 30)
        assert (conflict.status_code, conflict.content) == (409, b"20\n")
        assert conflict.headers["content-type"] == "text/x.tlog.size"
        fork = await ask(FORK, 20, 20)
        assert (fork.status_code, fork.content) == (409, b"20\n")
        rollback = await ask(LOG, 7, 7)
        assert (rollback.status_code, rollback.content) == (409, b"20\n")

        unproved = await ask(FORK, 20, 30)
        assert (unproved.status_code, unproved.text) == (
            422,
            "proof-old-root: The proof does not lead to the root of the older tree.\n",
        )
        assert (await ask(honest("example.com/stranger"), 0, 7)).status_code == 404
        assert (await ask(THIEF, 20, 30)).status_code == 403
        assert (await ask.send(b"hello")).status_code == 400
        assert (await ask.send(b"x" * 300_000)).status_code == 400
        assert (await ask(LOG, 30, 20)).status_code == 400
        assert believed(await ask(LOG, 20, 30), LOG.checkpoint(30), keys) == 2
        assert (await client.get(f"{witness.url}/health/live")).json() == {"status": "live"}
        assert (await client.get(f"{witness.url}/add-checkpoint")).status_code == 405


# A witness that is killed right before, or right after, it has stored what it is about to cosign.
FATAL = """
import asyncio, os, signal, sys
from pathlib import Path
from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.witness_store import SqliteWitnessStore
from gatekeeper.service.witnessing import Witness, WitnessFolder

class Fatal(SqliteWitnessStore):
    async def advance(self, accepted, **given):
        if sys.argv[2] == "after":
            assert await super().advance(accepted, **given)
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    folder = WitnessFolder(Path(sys.argv[1]))
    async with Fatal.opened(folder.store) as store:
        witness = Witness(cosigners=folder.cosigners(), store=store, clock=SystemClock())
        print(await witness.add_checkpoint(sys.stdin.buffer.read()))

asyncio.run(main())
"""


def killed_while_it_answers(folder: Path, moment: str, log: WatchableLog, old: int, new: int) -> bytes:
    """What a witness has said that was killed at a moment of its answer."""
    process = subprocess.run(
        [sys.executable, "-c", FATAL, str(folder), moment],
        input=format_add_checkpoint(log.request(old, new)),
        capture_output=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    return process.stdout


async def test_a_witness_killed_between_storing_and_answering_goes_back_on_nothing(tmp_path: Path):
    folder = tmp_path / "w"
    keys = await made_witness(folder, NAME, logs=[LOG.signer.verifier])
    assert await asyncio.to_thread(killed_while_it_answers, folder, "after", LOG, 0, 20) == b""
    async with serving_witness(folder) as witness, httpx.AsyncClient() as client:
        ask = Asking(witness, client)
        assert (await ask(FORK, 0, 20)).status_code == 409
        assert (await ask(LOG, 0, 7)).status_code == 409
        assert (await ask(FORK, 20, 30)).status_code == 422
        assert (await ask(LOG, 0, 20)).content == b"20\n", "whoever had no answer learns where it is"
        assert believed(await ask(LOG, 20, 20), LOG.checkpoint(20), keys) == 1


async def test_a_witness_killed_before_storing_has_cosigned_nothing_and_knows_nothing(tmp_path: Path):
    folder = tmp_path / "w"
    keys = await made_witness(folder, NAME, logs=[LOG.signer.verifier])
    assert await asyncio.to_thread(killed_while_it_answers, folder, "before", LOG, 0, 20) == b""
    async with serving_witness(folder) as witness, httpx.AsyncClient() as client:
        assert believed(await Asking(witness, client)(FORK, 0, 20), FORK.checkpoint(20), keys) == 1


async def test_a_witness_that_is_killed_again_and_again_cosigns_one_tree_that_only_grows(tmp_path: Path):
    folder = tmp_path / "w"
    keys = await made_witness(folder, NAME, logs=[LOG.signer.verifier])
    chance = random.Random(4)
    cosigned: list[tuple[WatchableLog, int]] = []
    for _ in range(4):
        async with serving_witness(folder) as witness, httpx.AsyncClient() as client:
            last_word = asyncio.create_task(_after(chance.randrange(5, 20), cosigned, witness))
            ask = Asking(witness, client)
            with suppress(httpx.TransportError):
                known = parse_known_size((await ask(LOG, 70, 70)).content) or 0
                while True:
                    log, old = chance.choice([LOG, FORK]), chance.choice([known, known, 0])
                    new = min(70, max(1, known + chance.randrange(-1, 3)))
                    answer = await ask(log, old, new)
                    if answer.status_code == 200:
                        assert believed(answer, log.checkpoint(new), keys) == 1
                        cosigned.append((log, new))
                        known = new
            await last_word
    sizes = [size for _, size in cosigned]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 4
    last, _ = cosigned[-1]
    assert all(log.root(size) == last.root(size) for log, size in cosigned)


async def _after(count: int, cosigned: list[tuple[WatchableLog, int]], witness: RunningWitness) -> None:
    """Kill the witness once it has cosigned so many more, in the midst of whatever it does then."""
    wanted = len(cosigned) + count
    await eventually(lambda: len(cosigned) >= wanted, within=60)
    await witness.kill()
