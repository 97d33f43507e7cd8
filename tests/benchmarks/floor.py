"""The floor of the whole way, as a process of its own: MQTT in and out, the raw crypto, a commit; and nothing decided.

For each message: two P-256 verifications (the gate's signature and the badge's proof), one signature, its share of one
COPY of rows as the engine writes them (`rows.bin`), an answer on the gate's decision topic, an acknowledgement.
Whatever waited while the last commit ran goes into the next, as in the engine.

    python -m tests.benchmarks.floor FOLDER
"""

import asyncio
import hashlib
import json
import pickle
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from gatekeeper import cose
from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.postgres import connect
from gatekeeper.model.topics import Channel, gate_topic, upward_filters
from gatekeeper.ports import Inbound
from gatekeeper.service.engine.engine import MAX_BATCH, RECEIVE_MAXIMUM
from tests.benchmarks.ground import GATE, SITE

TABLE = """
CREATE TABLE IF NOT EXISTS floor (
    seq bigint PRIMARY KEY, at timestamptz, kind text, body bytea, person text, sealed bytea,
    gate text, boot bytea, sequence bigint, digest bytea, answer bytea
)
"""


@dataclass(frozen=True)
class Premises:
    broker: str
    password: str
    dsn: str


class Floor:
    def __init__(self, connection: Any, rows: list[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._rows = rows
        self._seq = 0
        self._waiting: list[Inbound] = []
        self._arrived = asyncio.Event()
        self._threads = ThreadPoolExecutor(2)
        self._key = cose.SigningKey.generate()
        self._record = self._key.record(use="floor", owner="floor")
        self._message = bytes(600)
        self._signature = self._key.sign(self._message)
        self._topic = gate_topic(SITE, GATE, Channel.DECISION)

    def take(self, inbound: Inbound) -> None:
        self._waiting.append(inbound)
        self._arrived.set()

    async def run(self, session: MqttSession) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            answers = await self._crypto(batch)
            await self._commit(len(batch))
            for inbound, answer in zip(batch, answers, strict=True):
                session.publish(self._topic, answer)
                session.acknowledge(inbound)

    async def _crypto(self, batch: list[Inbound]) -> list[bytes]:
        if len(batch) < 4:
            return [self._one(inbound) for inbound in batch]
        half = -(-len(batch) // 2)
        loop = asyncio.get_running_loop()
        parts = [
            loop.run_in_executor(
                self._threads, lambda part: [self._one(one) for one in part], batch[at : at + half]
            )
            for at in range(0, len(batch), half)
        ]
        return [answer for part in parts for answer in await part]

    def _one(self, inbound: Inbound) -> bytes:
        assert cose.verify_signature(self._record, self._message, self._signature)
        assert cose.verify_signature(self._record, self._message, self._signature)
        head = b"\x00\x01\x01\x58\x20" + hashlib.sha256(inbound.payload).digest() + bytes(80)
        return head + self._key.sign(head)

    async def _commit(self, count: int) -> None:
        rows = [
            (self._seq + number, *self._rows[(self._seq + number) % len(self._rows)])
            for number in range(count)
        ]
        self._seq += count
        await self._connection.copy_records_to_table("floor", records=rows)


async def serve(folder: Path) -> None:
    there = Premises(**json.loads((folder / "floor.json").read_text()))
    connection = await connect(there.dsn)
    await connection.execute(TABLE)
    rows = pickle.loads((folder / "rows.bin").read_bytes())  # noqa: S301 - written by the same run
    floor = Floor(connection, rows)
    session = MqttSession(
        url=there.broker.replace("://", f"://service.{SITE}@"), client_id="floor", password=there.password,
        session_expiry=timedelta(0), receive_maximum=RECEIVE_MAXIMUM,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    working = asyncio.create_task(floor.run(session), name="floor")
    loop.add_signal_handler(signal.SIGTERM, working.cancel)
    await session.open(filters=upward_filters(SITE), on_message=floor.take, on_link=lambda _up: None)
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    try:
        await working
    except asyncio.CancelledError:
        await session.close()
        await connection.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
