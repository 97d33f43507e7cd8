"""The newest checkpoint reaches the broker whenever there is one, and stays there for gates that come later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from gatekeeper import cose
from gatekeeper.model.ids import SiteId
from gatekeeper.model.messages import CHECKPOINT_TYPE, LogCheckpoint
from gatekeeper.service.engine.checkpoints import CheckpointAnnouncer

SITE, TOPIC = SiteId("fort"), "north/v1/fort/checkpoint"
KEY = cose.SigningKey.generate()
NOON = datetime(2026, 6, 3, 10, tzinfo=UTC)


class Broker:
    """The port to a broker that may be away: what reached it, and a sign that something was tried."""

    def __init__(self) -> None:
        self.here = True
        self.retained: list[bytes] = []
        self.tried = asyncio.Event()

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        assert (topic, qos, retain) == (TOPIC, 0, True)
        if self.here:
            self.retained.append(payload)
        self.tried.set()
        return self.here

    async def is_tried(self) -> None:
        async with asyncio.timeout(10):
            await self.tried.wait()
        self.tried.clear()


@asynccontextmanager
async def announcing(broker: Broker) -> AsyncIterator[CheckpointAnnouncer]:
    announcer = CheckpointAnnouncer(site=SITE, key=KEY, prefix="north", transport=broker)  # type: ignore[arg-type]
    running = asyncio.create_task(announcer.run())
    yield announcer
    running.cancel()


def said(wire: bytes) -> LogCheckpoint:
    """What a message says, held against the key and the topic."""
    keys = cose.key_ring([KEY.record(use="decision", owner="service")])
    verified = cose.verify(wire, keys=keys, typ=CHECKPOINT_TYPE, use="decision", external_aad=TOPIC.encode())
    assert isinstance(verified, cose.Verified)
    read = LogCheckpoint.read(verified.payload)
    assert isinstance(read, LogCheckpoint)
    return read


async def test_what_was_signed_is_published_as_it_is_with_the_time_of_its_newest_entry():
    broker = Broker()
    async with announcing(broker) as announcer:
        announcer.signed(b"a note", at=NOON)
        await broker.is_tried()
    assert [said(wire) for wire in broker.retained] == [LogCheckpoint(site=SITE, note=b"a note", at=NOON)]


async def test_only_the_newest_of_what_waits_is_published():
    broker = Broker()
    async with announcing(broker) as announcer:
        for second in range(3):
            announcer.signed(f"note {second}".encode(), at=NOON + timedelta(seconds=second))
        await broker.is_tried()
    assert [said(wire).note for wire in broker.retained] == [b"note 2"]


async def test_what_found_no_link_is_published_when_there_is_one():
    broker = Broker()
    broker.here = False
    async with announcing(broker) as announcer:
        announcer.signed(b"a note", at=NOON)
        await broker.is_tried()
        assert broker.retained == []
        broker.here = True
        announcer.link_up()
        await broker.is_tried()
    assert [said(wire).note for wire in broker.retained] == [b"a note"]


async def test_a_broker_that_came_back_gets_it_again_for_it_may_have_lost_it():
    broker = Broker()
    async with announcing(broker) as announcer:
        announcer.signed(b"a note", at=NOON)
        await broker.is_tried()
        announcer.link_up()
        await broker.is_tried()
    first, again = broker.retained
    assert first == again


async def test_before_anything_was_signed_there_is_nothing_to_publish():
    broker = Broker()
    async with announcing(broker) as announcer:
        announcer.link_up()
        assert not announcer._due.is_set()
        announcer.signed(b"a note", at=NOON)
        await broker.is_tried()
    assert len(broker.retained) == 1
