"""The witness before its real memory: what it cosigns, however it is asked, how often, and by how many at once."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from typing_extensions import override

from gatekeeper.adapters.witness_store import SqliteWitnessStore
from gatekeeper.service.witnessing import Cosigned, Witness
from gatekeeper.transparency import (
    Cosigner,
    Latest,
    MlDsaCosigner,
    OpenedCheckpoint,
    Refusal,
    Rejected,
    Verifier,
    format_add_checkpoint,
    open_checkpoint,
)
from tests.support.logs import WatchableLog, forked, honest

NOW = datetime(2026, 6, 3, 10, 0, 0, 999_000, tzinfo=UTC)
NAME = "witness.example/w1"
COSIGNERS = (
    Cosigner(name=NAME, private_key=Ed25519PrivateKey.from_private_bytes(b"w" * 32)),
    MlDsaCosigner(name=NAME, private_key=MLDSA44PrivateKey.from_seed_bytes(b"w" * 32)),
)
LOG, FORK = honest(), forked()
ORIGIN = LOG.signer.name


class StoppedClock:
    def now(self) -> datetime:
        return NOW


def witness_of(store: SqliteWitnessStore) -> Witness:
    return Witness(cosigners=COSIGNERS, store=store, clock=StoppedClock())


@pytest.fixture
async def witness(store: SqliteWitnessStore) -> Witness:
    await store.admit(LOG.signer.verifier, at=NOW)
    return witness_of(store)


async def ask(witness: Witness, log: WatchableLog, old: int, new: int) -> Cosigned | Rejected:
    return await witness.add_checkpoint(format_add_checkpoint(log.request(old, new)))


async def must_cosign(witness: Witness, log: WatchableLog, old: int, new: int) -> Cosigned:
    answer = await ask(witness, log, old, new)
    assert isinstance(answer, Cosigned), answer
    return answer


async def test_what_it_cosigns_verifies_with_each_of_its_keys_at_its_own_time(witness: Witness):
    answer = await must_cosign(witness, LOG, 0, 7)
    known: list[Verifier] = [LOG.signer.verifier, *(one.verifier for one in COSIGNERS)]
    opened = open_checkpoint(LOG.note(7) + answer.lines.encode(), known)
    assert isinstance(opened, OpenedCheckpoint)
    assert opened.checkpoint == LOG.checkpoint(7)
    assert [(one.verifier, one.time) for one in opened.cosignatures] == [
        (one.verifier, int(NOW.timestamp())) for one in COSIGNERS
    ]


async def test_it_goes_on_with_a_log_and_cosigns_the_same_again(witness: Witness):
    await must_cosign(witness, LOG, 0, 3)
    await must_cosign(witness, LOG, 3, 7)
    await must_cosign(witness, LOG, 7, 7)
    await must_cosign(witness, LOG, 7, 70)


async def test_it_tells_where_it_is_to_who_does_not_know(witness: Witness):
    await must_cosign(witness, LOG, 0, 7)
    assert await ask(witness, LOG, 0, 20) == Rejected(status=409, code=Refusal.WITNESS_CONFLICT, known_size=7)
    await must_cosign(witness, LOG, 7, 20)


async def test_a_log_that_was_not_admitted_or_is_no_more_is_not_cosigned(
    witness: Witness, store: SqliteWitnessStore
):
    stranger = honest("example.com/stranger")
    answer = await ask(witness, stranger, 0, 7)
    assert isinstance(answer, Rejected)
    assert answer.status == 404
    assert await store.latest(stranger.signer.name) is None
    await store.dismiss(LOG.signer.verifier)
    answer = await ask(witness, LOG, 0, 7)
    assert isinstance(answer, Rejected)
    assert answer.status == 404


@pytest.mark.parametrize(
    ("size", "status", "code"),
    [(20, 409, Refusal.WITNESS_FORK), (30, 422, Refusal.PROOF_OLD_ROOT)],
)
async def test_a_fork_is_refused_and_kept_as_evidence(
    size: int, status: int, code: Refusal, witness: Witness, store: SqliteWitnessStore
):
    await must_cosign(witness, LOG, 0, 20)
    answer = await ask(witness, FORK, 20, size)
    assert isinstance(answer, Rejected)
    assert (answer.status, answer.code) == (status, code)
    (dispute,) = await store.disputes(ORIGIN)
    assert (dispute.code, dispute.size, dispute.note) == (code, size, FORK.note(size))
    assert dispute.latest_note == LOG.note(20)
    assert await store.latest(ORIGIN) == LOG.latest(20)


async def test_a_roll_back_is_refused_however_it_is_asked_for(witness: Witness, store: SqliteWitnessStore):
    await must_cosign(witness, LOG, 0, 20)
    for old in range(21):
        answer = await ask(witness, LOG, old, 7)
        assert isinstance(answer, Rejected)
        assert answer.status == (409 if old <= 7 else 400)
    assert await store.latest(ORIGIN) == LOG.latest(20)
    assert await store.disputes(ORIGIN) == [], "whoever lags behind has told no lie"


async def test_of_two_trees_that_come_at_once_one_is_cosigned(witness: Witness, store: SqliteWitnessStore):
    await must_cosign(witness, LOG, 0, 10)
    answers = await asyncio.gather(
        *(ask(witness, log, 10, size) for size in range(11, 40) for log in (LOG, FORK))
    )
    assert sum(isinstance(answer, Cosigned) for answer in answers) == 1
    refused = [answer for answer in answers if isinstance(answer, Rejected)]
    assert {answer.status for answer in refused} == {409}


class Interrupted(SqliteWitnessStore):
    """A store in which something else happens between looking and writing."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    @override
    async def latest(self, origin: str) -> Latest | None:
        found = await super().latest(origin)
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return found


async def test_what_comes_between_weighing_and_storing_is_weighed_again(
    witness: Witness, store: SqliteWitnessStore, file: Path
):
    await must_cosign(witness, LOG, 0, 10)
    async with Interrupted.opened(file) as interrupted:
        assert isinstance(interrupted, Interrupted)
        other = witness_of(interrupted)
        interrupted.meanwhile = lambda: must_cosign(witness, LOG, 10, 30)
        answer = await ask(other, FORK, 10, 20)
        assert answer == Rejected(status=409, code=Refusal.WITNESS_CONFLICT, known_size=30)
    assert await store.latest(ORIGIN) == LOG.latest(30)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_it_is_asked_it_cosigns_one_tree_that_only_grows(
    seed: int, witness: Witness, store: SqliteWitnessStore
):
    chance = random.Random(seed)
    cosigned: list[tuple[WatchableLog, int]] = []
    for _ in range(120):
        latest = await store.latest(ORIGIN)
        known = 0 if latest is None else latest.size
        log, new = chance.choice([LOG, FORK]), min(70, max(1, known + chance.randrange(-4, 5)))
        old = chance.choice([0, known, known, chance.randrange(70)])
        if isinstance(await ask(witness, log, old, new), Cosigned):
            cosigned.append((log, new))
    sizes = [size for _, size in cosigned]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 3
    last_log, _ = cosigned[-1]
    assert all(log.root(size) == last_log.root(size) for log, size in cosigned)


async def test_what_is_no_request_is_refused_without_a_look_at_the_memory(file: Path):
    async with SqliteWitnessStore.opened(file) as store:
        witness = witness_of(store)
    answer = await witness.add_checkpoint(b"old 1\n")  # the store is closed: it would raise
    assert answer == Rejected(status=400, code=Refusal.WITNESS_STRUCTURE)
