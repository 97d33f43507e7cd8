"""Intake: what is turned away at the door, before it costs anything."""

import asyncio
from datetime import timedelta

import pytest

from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.model.messages import MAX_MESSAGE_BYTES
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import upward_filters
from gatekeeper.ports import Inbound
from gatekeeper.service.engine.intake import _MAX_BUCKETS, _MAX_WAITING, Allowance, Intake, TurnedAway
from tests.support.mqtt import mqtt_client
from tests.support.waiting import eventually

FRONT = "gk/v1/fort/front/scan"
INNER = "gk/v1/fort/inner/scan"
JOURNAL = "gk/v1/fort/front/journal"


def _inbound(topic: str = FRONT, payload: bytes = b"a scan", *, retained: bool = False) -> Inbound:
    return Inbound(topic=topic, payload=payload, retained=retained, receipt=(1, 1))


def _intake(*, per_second: float = 10, burst: float = 5) -> Intake:
    return Intake(allowance=Allowance(per_second=per_second, burst=burst), prefix="gk")


def _flood(intake: Intake, count: int, *, at: float, topic: str = FRONT) -> list[TurnedAway]:
    """Offer messages at one instant; give those that were turned away."""
    offered = [intake.offer(_inbound(topic), at=at) for _ in range(count)]
    return [turned_away for turned_away in offered if turned_away is not None]


# -- what is let in ---------------------------------------------------------------------------------------------------


async def test_what_is_let_in_comes_out_in_the_order_of_its_arrival():
    intake = _intake(burst=100)
    for number in range(5):
        assert intake.offer(_inbound(payload=bytes([number])), at=float(number)) is None
    assert len(intake) == 5
    first = await intake.take(3)
    assert [(arrival.inbound.payload, arrival.at) for arrival in first] == [
        (b"\0", 0.0),
        (b"\1", 1.0),
        (b"\2", 2.0),
    ]
    assert len(await intake.take(100)) == 2
    assert len(intake) == 0


async def test_who_takes_from_an_empty_intake_waits_for_the_first_message():
    intake = _intake()
    taking = asyncio.create_task(intake.take(10))
    await asyncio.sleep(0)
    assert not taking.done()
    intake.offer(_inbound(), at=0)
    async with asyncio.timeout(5):
        assert len(await taking) == 1


@pytest.mark.parametrize("channel", ["scan", "passage", "status", "hello"])
def test_every_channel_of_a_gate_is_let_in(channel: str):
    assert _intake().offer(_inbound(f"gk/v1/fort/front/{channel}"), at=0) is None


# -- what is turned away ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inbound", "code", "gate"),
    [
        (_inbound(retained=True), MessageRefusal.RETAINED, "front"),
        (_inbound(payload=bytes(MAX_MESSAGE_BYTES + 1)), MessageRefusal.OVERSIZED, "front"),
        (_inbound("gk/v1/fort/front/poem"), MessageRefusal.TOPIC, None),
        (_inbound("gk/v2/fort/front/scan"), MessageRefusal.TOPIC, None),
        (_inbound("other/v1/fort/front/scan"), MessageRefusal.TOPIC, None),
        (_inbound("gk/v1/fort/Front/scan"), MessageRefusal.TOPIC, None),
        (_inbound("gk/v1/fort/front/scan/more"), MessageRefusal.TOPIC, None),
        (_inbound(""), MessageRefusal.TOPIC, None),
        (_inbound("gk/v1/fort/fro\0nt/scan"), MessageRefusal.TOPIC, None),
    ],
)
def test_what_can_be_no_message_of_a_gate_is_turned_away_with_its_bytes_kept(
    inbound: Inbound, code: MessageRefusal, gate: str | None
):
    intake = _intake()
    assert intake.offer(inbound, at=0) == TurnedAway(
        inbound, None if gate is None else GateId(gate), code, keep=True
    )
    assert len(intake) == 0


def test_a_message_of_exactly_the_largest_size_is_let_in():
    assert _intake().offer(_inbound(payload=bytes(MAX_MESSAGE_BYTES)), at=0) is None


# -- floods -----------------------------------------------------------------------------------------------------------


def test_a_gate_may_send_its_burst_at_once_and_no_more():
    turned_away = _flood(_intake(burst=5), 8, at=0)
    assert [refused.code for refused in turned_away] == [MessageRefusal.FLOOD] * 3
    assert {refused.gate for refused in turned_away} == {"front"}


def test_a_gate_regains_its_allowance_with_time_up_to_its_burst():
    intake = _intake(per_second=10, burst=5)
    assert len(_flood(intake, 5, at=0)) == 0
    assert len(_flood(intake, 3, at=0.2)) == 1, "two tenths of a second are two messages"
    assert len(_flood(intake, 20, at=1000)) == 15, "silence saves up no more than a burst"


def test_a_gate_that_keeps_to_its_rate_is_never_turned_away():
    intake = _intake(per_second=8, burst=1)
    assert not [number for number in range(1000) if intake.offer(_inbound(), at=number / 8) is not None]


def test_the_flood_of_one_gate_costs_another_nothing():
    intake = _intake(burst=5)
    _flood(intake, 1000, at=0)
    assert not _flood(intake, 5, at=0, topic=INNER)


def test_one_specimen_a_second_is_kept_of_a_flood():
    intake = _intake(per_second=1e-9, burst=1)
    _flood(intake, 1, at=0)
    kept = [at / 100 for at in range(350) for refused in _flood(intake, 1, at=at / 100) if refused.keep]
    assert kept == [0.0, 1.0, 2.0, 3.0]


def test_a_flood_is_turned_away_before_anything_else_is_looked_at():
    """Whatever is in it: retained, oversized or of no gate, it is one and the same refusal, and most of it is not kept."""
    intake = _intake(burst=1, per_second=1e-9)
    hostile = _inbound(payload=bytes(MAX_MESSAGE_BYTES + 1), retained=True)
    codes = [refused.code for _ in range(3) if (refused := intake.offer(hostile, at=0)) is not None]
    assert codes == [MessageRefusal.RETAINED, MessageRefusal.FLOOD, MessageRefusal.FLOOD]


def test_topics_of_no_gate_share_one_allowance():
    """Else whoever makes up topics would have as many allowances as topics."""
    intake = _intake(burst=5)
    codes = [
        refused.code
        for number in range(8)
        if (refused := intake.offer(_inbound(f"gk/v1/fort/front/poem-{number}"), at=0)) is not None
    ]
    assert codes == [MessageRefusal.TOPIC] * 5 + [MessageRefusal.FLOOD] * 3


def test_names_that_are_made_up_do_not_fill_the_memory():
    intake = _intake(burst=1)
    for number in range(_MAX_BUCKETS + 10):
        intake.offer(_inbound(f"gk/v1/fort/g-{number}/scan"), at=0)
    assert len(intake._buckets) <= _MAX_BUCKETS


def test_a_gate_regains_nothing_when_the_clock_does_not_move():
    intake = _intake(burst=5)
    assert len(_flood(intake, 100, at=7.0)) == 95
    assert len(_flood(intake, 100, at=7.0)) == 100


@pytest.mark.integration
async def test_no_more_waits_than_the_broker_may_send_without_acknowledgements(broker: EmbeddedBroker):
    """Nobody takes anything, as when the database is away: the rest waits at the broker, and nothing is lost."""
    service, gate, most, sent = "service.of-intake", "intake-gate", 8, 50
    await broker.admit(service, "secret", role="service")
    await broker.admit(gate, "secret")
    intake = _intake(burst=1000)
    session = MqttSession(
        url=f"mqtt://{service}@127.0.0.1:{broker.port}",
        password="secret",
        client_id=service,
        session_expiry=timedelta(0),
        receive_maximum=most,
    )
    await session.open(
        filters=upward_filters(SiteId("intake"), prefix="gk"),
        on_message=lambda inbound: _assert_let_in(intake.offer(inbound, at=0)),
        on_link=lambda _: None,
    )
    try:
        async with mqtt_client(broker.port, gate, "secret") as client:
            for number in range(sent):
                await client.publish(f"gk/v1/intake/{gate}/scan", bytes([number]))
        seen: list[bytes] = []
        while len(seen) < sent:
            await eventually(lambda: len(intake) == min(most, sent - len(seen)))
            for arrival in await intake.take(100):
                seen.append(arrival.inbound.payload)
                session.acknowledge(arrival.inbound)
        assert seen == [bytes([number]) for number in range(sent)]
    finally:
        await session.close()


def _assert_let_in(turned_away: TurnedAway | None) -> None:
    assert turned_away is None


# -- journals ---------------------------------------------------------------------------------------------------------


def _journals(*, per_second: float = 1000, burst: float = 5) -> Intake:
    allowance = Allowance(per_second=10, burst=5, journal_per_second=per_second, journal_burst=burst)
    return Intake(allowance=allowance, prefix="gk")


def test_a_journal_that_is_too_fast_is_shut_until_its_gate_was_quiet_and_has_no_hole():
    intake = _journals()
    assert len(_flood(intake, 8, at=0.0, topic=JOURNAL)) == 3
    # There is room again, but what comes now follows what was turned away; and it was not quiet for long enough.
    assert len(_flood(intake, 1, at=0.1, topic=JOURNAL)) == 1
    assert len(_flood(intake, 1, at=0.299, topic=JOURNAL)) == 1
    assert len(intake) == 5
    # The gate sends again from the oldest.
    assert _flood(intake, 5, at=0.5, topic=JOURNAL) == []
    assert len(intake) == 10


def test_a_journal_within_its_allowance_is_never_shut_however_long_it_goes_on():
    intake = _journals()
    turned_away = [_flood(intake, 1, at=number / 500, topic=JOURNAL) for number in range(1000)]
    assert turned_away == [[]] * 1000


def test_a_journal_that_is_shut_shuts_neither_the_scans_of_its_gate_nor_another_journal():
    intake = _journals()
    assert _flood(intake, 6, at=0.0, topic=JOURNAL)
    assert _flood(intake, 1, at=0.01, topic=FRONT) == []
    assert _flood(intake, 1, at=0.01, topic=JOURNAL.replace("front", "inner")) == []


def test_scans_that_were_too_many_are_let_in_as_soon_as_there_is_room_quiet_or_not():
    intake = _journals()
    assert _flood(intake, 6, at=0.0)
    assert _flood(intake, 1, at=0.15) == []


def test_a_journal_is_shut_too_when_the_whole_site_has_too_much_waiting():
    intake = _journals(burst=_MAX_WAITING + 5)
    assert len(_flood(intake, _MAX_WAITING + 1, at=0.0, topic=JOURNAL)) == 1
    asyncio.run(intake.take(100))
    assert len(_flood(intake, 1, at=0.1, topic=JOURNAL)) == 1
    assert _flood(intake, 1, at=0.4, topic=JOURNAL) == []
