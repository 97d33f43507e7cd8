"""The log is cosigned: a real log in PostgreSQL, real witnesses over HTTP, and everything that can go wrong between them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request, Response

from gatekeeper.adapters.http import serving
from gatekeeper.adapters.http.witness import witness_app
from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading
from gatekeeper.adapters.witness_client import HttpWitnesses
from gatekeeper.adapters.witness_store import SqliteWitnessStore
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.observe.metrics import REGISTRY
from gatekeeper.service.cosigning import Cosigning, read_policy
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.service.witnessing import Witness
from gatekeeper.transparency import (
    Checkpoint,
    Cosigner,
    MlDsaCosigner,
    OpenedCheckpoint,
    Policy,
    Refused,
    Signer,
    Tree,
    Verifier,
    open_checkpoint,
    parse_note,
    sign_checkpoint,
)
from tests.support.fort import ARMY, SCHOOL, TREES, Fort, Pen
from tests.unit.witnessing.test_witness import COSIGNERS as FIRST_KEYS

pytestmark = pytest.mark.integration

LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
SECOND_KEYS = (Cosigner(name="w2.example", private_key=Ed25519PrivateKey.from_private_bytes(b"2" * 32)),)
INTERVAL = timedelta(seconds=15)
NOW = datetime(2026, 6, 3, 10, tzinfo=UTC)


@dataclass
class HandClock:
    """A clock that a test moves."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


def signer(fort: Fort, tree: str) -> Signer:
    return Signer(name=checkpoint_origin(fort.site, tree), private_key=LOG_KEY)


@dataclass
class Log:
    """A site's log, which signs checkpoints, and its way to witnesses."""

    fort: Fort
    clock: HandClock = field(default_factory=HandClock)
    way: HttpWitnesses = field(default_factory=HttpWitnesses)

    async def grow(self, entries: int, *, sign: bool = True) -> None:
        await self.fort.commit(self.fort.pen.write(entries, tenants=(SCHOOL,)))
        if sign:
            await self.sign(self.fort.pen)

    async def sign(self, pen: Pen) -> None:
        """Sign every tree as a pen has it."""
        for name, tree in pen.trees.items():
            if tree.size:
                await self.fort.ledger.checkpoint(
                    self.fort.site, tree=name, size=tree.size, root=tree.root(), note=self.note(name, tree), at=NOW
                )  # fmt: skip

    def note(self, name: str, tree: Tree) -> bytes:
        by = signer(self.fort, name)
        return sign_checkpoint(Checkpoint(origin=by.name, size=tree.size, root=tree.root()), [by])

    def verifiers(self) -> list[Verifier]:
        return [signer(self.fort, tree).verifier for tree in TREES]

    def cosigning(self, policy: Policy, *, tree_of: Callable[[str], Tree] | None = None) -> Cosigning:
        return Cosigning(
            self.fort.site,
            policy=policy,
            interval=INTERVAL,
            witnesses=self.way,
            ledger=self.fort.ledger,
            clock=self.clock,
            tree_of=tree_of or self.fort.pen.sealer.tree,
        )

    async def read(self, tree: str = SITE_TREE, *, at_most: int | None = None) -> OpenedCheckpoint | None:
        """The newest cosigned checkpoint as it is read, believed by the keys of log and witnesses."""
        async with PostgresReading.opened(self.fort.dsn) as reading:
            row = await reading.cosigned_checkpoint(self.fort.site, tree=tree, at_most=at_most)
        if row is None:
            return None
        known = [*self.verifiers(), *(one.verifier for one in (*FIRST_KEYS, *SECOND_KEYS))]
        opened = open_checkpoint(row.note, known)
        assert not isinstance(opened, Refused), opened
        assert (opened.checkpoint.size, opened.checkpoint.root) == (row.size, row.root)
        return opened


@pytest.fixture
async def log(postgres_server: EmbeddedPostgres) -> AsyncIterator[Log]:
    async with Fort.opened(postgres_server) as fort:
        found = Log(fort)
        yield found
        await found.way.close()


@dataclass
class Standing:
    """A witness that answers at `url`."""

    url: str
    keys: Sequence[Cosigner | MlDsaCosigner]
    store: SqliteWitnessStore
    asked: list[int] = field(default_factory=list)

    def lines(self, name: str) -> str:
        return "".join(
            f"witness {name}-{n} {key.verifier.key()} {self.url}\n" for n, key in enumerate(self.keys)
        )


@asynccontextmanager
async def witness(
    file: Path, log: Log, *, keys: Sequence[Cosigner | MlDsaCosigner] = FIRST_KEYS, admits: bool = True
) -> AsyncIterator[Standing]:
    """A witness of this log, and what it answered each time it was asked."""
    async with SqliteWitnessStore.opened(file) as store:
        for key in log.verifiers() if admits else ():
            await store.admit(key, at=NOW)
        app = witness_app(Witness(cosigners=keys, store=store, clock=log.clock))
        answers: list[int] = []

        @app.middleware("http")
        async def count(request: Request, call_next: Callable[[Request], object]) -> Response:
            response: Response = await call_next(request)  # type: ignore[misc]
            answers.append(response.status_code)
            return response

        async with serving(app, host="127.0.0.1", port=0) as url:
            yield Standing(url, keys, store, answers)


def one_of(standing: Standing) -> Policy:
    group = " ".join(f"a-{n}" for n in range(len(standing.keys)))
    return read_policy(f"{standing.lines('a')}group a all {group}\nquorum a\n".encode())


@pytest.fixture
async def standing(log: Log, tmp_path: Path) -> AsyncIterator[Standing]:
    async with witness(tmp_path / "witness.sqlite", log) as found:
        yield found


def counted(outcome: str, name: str = FIRST_KEYS[0].name) -> float:
    found = REGISTRY.get_sample_value(
        "gatekeeper_witness_requests_total", {"witness": name, "outcome": outcome}
    )
    return found or 0.0


def alarms(code: str) -> float:
    return REGISTRY.get_sample_value("gatekeeper_alarms_total", {"code": code}) or 0.0


# -- what goes well ---------------------------------------------------------------------------------------------------


async def test_every_tree_that_grew_is_cosigned_by_every_key(log: Log, standing: Standing):
    cosigning = log.cosigning(one_of(standing))
    await log.grow(3)
    await cosigning.ask()
    for tree in (SITE_TREE, f"tenant:{SCHOOL}"):
        opened = await log.read(tree)
        assert opened is not None
        assert opened.checkpoint.size == 3
        assert [(one.verifier, one.time) for one in opened.cosignatures] == [
            (key.verifier, int(NOW.timestamp()))
            for key in sorted(FIRST_KEYS, key=lambda key: key.verifier.key_id)
        ]
    assert await log.read(f"tenant:{ARMY}") is None, "nothing was written of the army"
    assert standing.asked == [200, 200]


@pytest.mark.parametrize("sizes", [(1, 2, 3), (255, 256, 257), (300, 1000), (65_530, 65_545)])
async def test_a_log_of_any_size_is_shown_to_have_grown(sizes: tuple[int, ...], log: Log, standing: Standing):
    cosigning = log.cosigning(one_of(standing))
    for size in sizes:
        while (missing := size - log.fort.pen.size) > 0:
            await log.grow(min(missing, 4096), sign=missing <= 4096)
        await cosigning.ask()
        opened = await log.read()
        assert opened is not None
        assert opened.checkpoint.size == size
    assert set(standing.asked) == {200}


async def test_who_signs_while_it_grows_on_is_cosigned_as_it_signed(log: Log, standing: Standing):
    cosigning = log.cosigning(one_of(standing))
    await log.grow(250)
    await cosigning.ask()
    await log.grow(3)
    await log.grow(300, sign=False)
    await cosigning.ask()
    opened = await log.read()
    assert opened is not None
    assert opened.checkpoint.size == 253
    assert set(standing.asked) == {200}


async def test_a_log_that_has_not_grown_bothers_nobody(log: Log, standing: Standing):
    cosigning = log.cosigning(one_of(standing))
    await cosigning.ask()
    await log.grow(3)
    await cosigning.ask()
    asked = len(standing.asked)
    await cosigning.ask()
    assert len(standing.asked) == asked


async def test_an_engine_that_took_over_learns_where_the_witness_is(log: Log, standing: Standing):
    await log.grow(3)
    await log.cosigning(one_of(standing)).ask()
    await log.grow(2)
    standing.asked.clear()
    await log.cosigning(one_of(standing)).ask()
    assert sorted(standing.asked) == [200, 200, 409, 409]
    opened = await log.read()
    assert opened is not None
    assert opened.checkpoint.size == 5


async def test_the_newest_checkpoint_is_read_with_or_without_cosignatures(log: Log, standing: Standing):
    cosigning = log.cosigning(one_of(standing))
    await log.grow(3)
    await cosigning.ask()
    await log.grow(2)
    site = log.fort.site
    async with PostgresReading.opened(log.fort.dsn) as reading:
        newest = await reading.newest_checkpoint(site, tree=SITE_TREE)
        assert newest is not None
        assert (newest.size, newest.note) == (5, log.note(SITE_TREE, log.fort.pen.trees[SITE_TREE]))
        older = await reading.newest_checkpoint(site, tree=SITE_TREE, at_most=4)
        assert older == await reading.cosigned_checkpoint(site, tree=SITE_TREE)
        assert older is not None
        assert older.size == 3
        assert await reading.cosigned_checkpoint(site, tree=SITE_TREE, at_most=2) is None
        assert await reading.newest_checkpoint(site, tree=SITE_TREE, at_most=2) is None


async def test_a_row_that_no_note_can_hold_leaves_the_checkpoint_readable(log: Log, standing: Standing):
    await log.grow(3)
    await log.cosigning(one_of(standing)).ask()
    await log.fort.run("UPDATE cosignature SET name = 'two words' WHERE site_id = $1")
    async with PostgresReading.opened(log.fort.dsn) as reading:
        newest = await reading.newest_checkpoint(log.fort.site, tree=SITE_TREE)
    assert newest is not None
    assert newest.note == log.note(SITE_TREE, log.fort.pen.trees[SITE_TREE])


async def test_a_witness_is_asked_again_about_what_it_cosigned_and_the_first_word_stays(
    log: Log, standing: Standing
):
    await log.grow(3)
    await log.cosigning(one_of(standing)).ask()
    log.clock.at += timedelta(hours=1)
    await log.cosigning(one_of(standing)).ask()
    opened = await log.read()
    assert opened is not None
    assert {one.time for one in opened.cosignatures} == {int(NOW.timestamp())}


async def test_of_every_hour_the_last_word_of_each_key_is_kept(log: Log, standing: Standing):
    cosigning = log.cosigning(one_of(standing))
    for minutes in (0, 20, 20, 20, 20, 20, 20, 20):  # at 10:00, 10:20, 10:40, 11:00 and so on
        log.clock.at += timedelta(minutes=minutes)
        await log.grow(1)
        await cosigning.ask()
    rows = await log.fort.run(
        "SELECT size, at, count(*) AS keys FROM cosignature WHERE site_id = $1 AND tree = 'site' GROUP BY size, at ORDER BY size"
    )
    assert [(row["size"], row["at"].hour, row["at"].minute, row["keys"]) for row in rows] == [
        (3, 10, 40, 2),
        (6, 11, 40, 2),
        (8, 12, 20, 2),
    ]
    opened = await log.read(at_most=7)
    assert opened is not None
    assert opened.checkpoint.size == 6


# -- two witnesses ----------------------------------------------------------------------------------------------------


def both_of(one: Standing, other: Standing) -> Policy:
    return read_policy(
        f"{one.lines('a')}{other.lines('b')}group a all a-0 a-1\ngroup both all a b-0\nquorum both\n".encode()
    )


async def test_a_quorum_of_two_is_met_when_both_have_cosigned(log: Log, standing: Standing, tmp_path: Path):
    async with witness(tmp_path / "second.sqlite", log, keys=SECOND_KEYS) as second:
        policy = both_of(standing, second)
        cosigning = log.cosigning(policy)
        await log.grow(3)
        await cosigning.ask()
        opened = await log.read()
        assert opened is not None
        assert policy.satisfied(opened.cosignatures)
        assert REGISTRY.get_sample_value("gatekeeper_witnessed_size") == 3


async def test_one_that_is_down_harms_nothing_and_is_missed(log: Log, standing: Standing):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    absent = Standing(f"http://127.0.0.1:{port}", SECOND_KEYS, standing.store)
    policy = both_of(standing, absent)
    cosigning = log.cosigning(policy)
    failed, before = counted("failed", "w2.example"), alarms("witness-quorum")
    await log.grow(3)
    await cosigning.ask()
    opened = await log.read()
    assert opened is not None
    assert len(opened.cosignatures) == 2
    assert not policy.satisfied(opened.cosignatures)
    assert counted("failed", "w2.example") == failed + 1

    log.clock.at += 20 * INTERVAL
    await cosigning.ask()
    assert alarms("witness-quorum") == before
    log.clock.at += timedelta(seconds=1)
    await cosigning.ask()
    assert alarms("witness-quorum") == before + 1
    await cosigning.ask()
    assert alarms("witness-quorum") == before + 1, "it is told once"


async def test_a_quorum_that_comes_late_ends_the_alarm(log: Log, standing: Standing, tmp_path: Path):
    async with witness(tmp_path / "second.sqlite", log, keys=SECOND_KEYS, admits=False) as second:
        cosigning = log.cosigning(both_of(standing, second))
        before = alarms("witness-quorum")
        await log.grow(3)
        await _not_for_long(cosigning, log)
        assert alarms("witness-quorum") == before + 1
        for key in log.verifiers():
            await second.store.admit(key, at=NOW)
        for _ in range(8):  # it is left alone for a while
            await log.grow(1)
            await cosigning.ask()
        assert REGISTRY.get_sample_value("gatekeeper_witnessed_size") == log.fort.pen.size
        for key in log.verifiers():
            await second.store.dismiss(key)
        await log.grow(1)
        await _not_for_long(cosigning, log)
        assert alarms("witness-quorum") == before + 2, "it is told anew"


async def _not_for_long(cosigning: Cosigning, log: Log) -> None:
    """Ask, and again when the patience with the quorum is over."""
    await cosigning.ask()
    log.clock.at += 21 * INTERVAL
    await cosigning.ask()


# -- what goes wrong --------------------------------------------------------------------------------------------------


async def asked_in(cosigning: Cosigning, log: Log, asked: list[int], *, rounds: int = 70) -> list[int]:
    """In which rounds a witness was asked, of a log that grows in each."""
    found = []
    for number in range(rounds):
        before = len(asked)
        await log.grow(1)
        await cosigning.ask()
        if len(asked) > before:
            found.append(number)
    return found


async def test_a_tree_that_is_not_cosigned_is_asked_about_less_and_less(log: Log, tmp_path: Path):
    async with witness(tmp_path / "w.sqlite", log, admits=False) as stranger:
        rounds = await asked_in(log.cosigning(one_of(stranger)), log, stranger.asked)
        assert rounds == [0, 2, 5, 10, 19, 36, 53]
        assert set(stranger.asked) == {404}


async def test_a_tree_that_is_not_cosigned_keeps_no_other_from_it(log: Log, tmp_path: Path):
    async with witness(tmp_path / "w.sqlite", log, admits=False) as half:
        await half.store.admit(log.verifiers()[0], at=NOW)
        rounds = await asked_in(log.cosigning(one_of(half)), log, half.asked, rounds=9)
        assert rounds == list(range(9))
        assert (half.asked.count(200), half.asked.count(404)) == (9, 3)
        opened = await log.read()
        assert opened is not None
        assert opened.checkpoint.size == 9


async def test_a_witness_that_does_not_answer_is_asked_less_and_less(log: Log):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    key = FIRST_KEYS[0].verifier.key()
    cosigning = log.cosigning(read_policy(f"witness a {key} http://127.0.0.1:{port}\nquorum a\n".encode()))
    failed = []
    for number in range(40):
        before = counted("failed")
        await log.grow(1)
        await cosigning.ask()
        if counted("failed") > before:
            failed.append(number)
    assert failed == [0, 2, 5, 10, 19, 36]


async def test_a_rewritten_log_is_found_out_and_raises_an_alarm(log: Log, standing: Standing):
    await log.grow(20)
    await log.cosigning(one_of(standing)).ask()
    before, cosigned = alarms("witness-fork"), await log.read()
    # Another history of the same site, by the same key: of the same size, and of a larger one.
    for size in (20, 30):
        other = Pen(log.fort.site)
        other.accept(other.write(size, tenants=(SCHOOL,)))
        await log.fort.run("DELETE FROM checkpoint WHERE site_id = $1 AND size > 19")
        await log.sign(other)
        await log.cosigning(one_of(standing), tree_of=other.sealer.tree).ask()
    assert alarms("witness-fork") == before + 4, "two trees, each twice"
    assert set(standing.asked[2:]) == {409, 422}
    assert cosigned is not None
    assert await log.read() is None
    origin = checkpoint_origin(log.fort.site, SITE_TREE)
    assert [one.code for one in await standing.store.disputes(origin)] == ["witness-fork", "proof-old-root"]


async def test_a_log_that_was_rolled_back_is_found_out_and_raises_an_alarm(log: Log, standing: Standing):
    await log.grow(3)
    await log.grow(4)
    await log.cosigning(one_of(standing)).ask()
    await log.fort.run("DELETE FROM checkpoint WHERE site_id = $1 AND size > 3")
    before = alarms("witness-ahead")
    cosigning = log.cosigning(one_of(standing))
    await cosigning.ask()
    await cosigning.ask()
    assert alarms("witness-ahead") == before + 2, "the site's tree and a tenant's, each once"
    assert await log.read() is None


async def test_a_database_that_lost_a_tile_is_no_reason_to_fail(log: Log, standing: Standing):
    cosigning = log.cosigning(one_of(standing))
    await log.grow(300)
    await cosigning.ask()
    await log.grow(300)
    await log.fort.run("DELETE FROM tile WHERE site_id = $1")
    with structlog.testing.capture_logs() as said:
        await cosigning.ask()
    assert {line["event"] for line in said} == {"no proof can be made; gatekeeper audit verify says why"}
    opened = await log.read()
    assert opened is not None
    assert opened.checkpoint.size == 300


async def test_a_database_that_is_away_is_no_fault_of_the_witness(log: Log, standing: Standing):
    away = Log(Fort(dsn=log.fort.dsn, site=log.fort.site, ledger=PostgresLedger("postgresql://127.0.0.1:1/x"), epoch=1, pen=log.fort.pen))  # fmt: skip
    await away.cosigning(one_of(standing)).ask()
    assert standing.asked == []


ANSWERS = [
    (200, b""),
    (200, b"<html>It works!</html>"),
    (200, SECOND_KEYS[0].cosign("hello\n", time=1).line().encode()),
    (200, FIRST_KEYS[0].cosign("hello\n", time=1).line().encode()),
    (302, b""),
    (400, b"witness-structure"),
    (403, b""),
    (404, b""),
    (409, b""),
    (409, b"0\n"),
    (409, b"-1\n"),
    (409, b"2"),
    (500, b"oops"),
    (200, b"x" * 300_000),
]


@pytest.mark.parametrize(("status", "body"), ANSWERS, ids=range(len(ANSWERS)))
async def test_whatever_a_false_witness_answers_nothing_is_believed(status: int, body: bytes, log: Log):
    app = FastAPI()

    @app.post("/add-checkpoint")
    async def answer() -> Response:
        return Response(body, status_code=status, headers={"location": "/add-checkpoint"})

    await log.grow(3)
    async with serving(app, host="127.0.0.1", port=0) as url:
        key = FIRST_KEYS[0].verifier.key()
        policy = read_policy(f"witness a {key} {url}\nquorum a\n".encode())
        with structlog.testing.capture_logs() as said:
            await log.cosigning(policy).ask()
    assert await log.read() is None
    assert {line["event"] for line in said} <= {"a witness does not cosign", "a witness does not answer"}
    assert said


async def test_a_size_that_changes_with_every_answer_is_asked_three_times_and_no_more(log: Log):
    app, asked = FastAPI(), []

    @app.post("/add-checkpoint")
    async def answer() -> Response:
        asked.append(1)
        return Response(f"{len(asked)}\n", status_code=409)

    await log.grow(9)
    async with serving(app, host="127.0.0.1", port=0) as url:
        policy = read_policy(f"witness a {FIRST_KEYS[0].verifier.key()} {url}\nquorum a\n".encode())
        await log.cosigning(policy).ask()
    assert len(asked) == 3 * 2, "the site's tree and a tenant's"
    assert await log.read() is None


async def test_it_asks_until_it_is_cancelled(log: Log, standing: Standing):
    await log.grow(3)
    task = asyncio.create_task(log.cosigning(one_of(standing)).run())
    async with asyncio.timeout(10):
        while len(standing.asked) < 2:  # noqa: ASYNC110 - the witness sets no event of ours
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_note_of_a_cosigned_checkpoint_is_the_log_s_own_with_lines_after_it(
    log: Log, standing: Standing
):
    await log.grow(3)
    await log.cosigning(one_of(standing)).ask()
    async with PostgresReading.opened(log.fort.dsn) as reading:
        row = await reading.cosigned_checkpoint(log.fort.site, tree=SITE_TREE)
    assert row is not None
    assert row.note.startswith(log.note(SITE_TREE, log.fort.pen.trees[SITE_TREE]))
    parsed = parse_note(row.note)
    assert not isinstance(parsed, Refused)
    assert len(parsed.signatures) == 3
