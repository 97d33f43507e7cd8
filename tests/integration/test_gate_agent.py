"""A gate and the real broker; the test plays the service's side, with real signatures."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from devices.agent import GateAgent
from devices.app import make_gate
from devices.checkpoint_file import CHECKPOINTS, read_checkpoints
from devices.core.belief import Ignored
from devices.core.events import Signal
from devices.hardware.ports import HardwareError
from devices.hardware.simulated import SimulatedBadge, SimulatedDoor, SimulatedReader, SimulatedSwitch
from devices.journal_port import MemoryJournal
from devices.link import GateLink
from gatekeeper import cose
from gatekeeper.core.register import Register
from gatekeeper.core.verify import verify_scan
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.badges import Assurance, Card, CardTechnology
from gatekeeper.model.messages import (
    ByToken,
    Hello,
    Passage,
    PassageOutcome,
    Scan,
    Status,
    StatusKind,
    Verdict,
)
from gatekeeper.model.topics import checkpoint_topic
from tests.integration.gate_site import SiteSide, site_side
from tests.support.proxy import FaultProxy
from tests.support.waiting import eventually
from tests.unit.devices.folders import PASSWORD
from tests.unit.devices.ground import GRANTED, IN, NO_RIGHTS, OUT, SITE

pytestmark = pytest.mark.integration

CARD = SimulatedBadge.card(Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07")))


@pytest.fixture
async def side(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[SiteSide]:
    async with site_side(broker, tmp_path / "gate") as side:
        yield side


async def test_a_granted_card_opens_and_whoever_walks_through_is_told(side: SiteSide):
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        outcome = await gate.present(IN, CARD)
        assert (outcome.granted, outcome.reason) == (True, GRANTED)
        assert outcome.latency is not None
        assert 0 < outcome.latency < 5
        assert [(unlock.access_point, unlock.entry) for unlock in gate.tally.unlocks] == [(IN, outcome.entry)]
        await eventually(lambda: bool(side.seen(Passage)))
    hello, scan, passage = side.messages
    assert isinstance(hello, Hello)
    assert isinstance(scan, Scan)
    assert isinstance(passage, Passage)
    assert passage.outcome is PassageOutcome.TAKEN
    assert [message.sequence for message in side.messages] == [1, 2, 1]
    assert hello.boot == scan.boot != passage.boot
    assert hello.journal is not None
    assert hello.journal.journal == passage.boot


async def test_a_denied_card_opens_nothing_and_is_told_why(side: SiteSide):
    side.decides = lambda _scan: Verdict.DENIED
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        outcome = await gate.present(IN, CARD)
    assert (outcome.signal, outcome.reason) == (Signal.DENIED, NO_RIGHTS)
    assert not gate.tally.unlocks
    assert side.seen(Passage) == []


async def test_a_badge_proves_its_key_to_the_service_itself(side: SiteSide):
    key = cose.SigningKey.generate()
    badge = SimulatedBadge.key_bound(side.service.token(badge_key=key), key)
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        for access_point, direction in ((IN, "in"), (OUT, "out")):
            assert (await gate.present(access_point, badge)).granted
            scan = side.seen(Scan)[-1]
            presented = verify_scan(
                scan,
                gate=side.gate,
                direction=direction,
                register=Register(),
                trust=side.service.trust,
                beacons={scan.beacon},
            )
            assert (presented.assurance, presented.findings) == (Assurance.KEY_BOUND, ())


async def test_a_badge_that_breaks_off_has_proved_nothing(side: SiteSide):
    class Torn:
        pin = None
        credential = ByToken(side.service.token(badge_key=cose.SigningKey.generate()))

        async def prove(self, _digest: bytes) -> bytes | None:
            raise HardwareError("gone")

    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        await gate.present(IN, Torn())
    (scan,) = side.seen(Scan)
    assert scan.proof is None


async def test_a_scan_is_sent_again_with_the_same_bytes_until_the_service_answers(side: SiteSide):
    asked = 0

    def third_time(_scan: Scan) -> Verdict | None:
        nonlocal asked
        asked += 1
        return Verdict.GRANTED if asked == 3 else None

    side.decides = third_time
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        outcome = await gate.present(IN, CARD)
        assert outcome.granted
        assert gate.tally.repeats == 2
    assert len(side.seen(Scan)) == 1


async def test_answers_that_the_broker_invents_open_nothing(side: SiteSide):
    side.decides = lambda _scan: None
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        outcome = gate.offer(IN, CARD)
        await eventually(lambda: bool(side.seen(Scan)))
        scan = side.wires[-1]
        lies = [
            side.service.answer(scan, gate=side.gate, aad=side.decision_topic, key=side.key),
            side.service.answer(scan, gate=side.gate, aad="gk/v1/assen/other/decision"),
            side.service.answer(scan, aad=side.decision_topic),
            side.service.answer(b"another scan", gate=side.gate, aad=side.decision_topic),
            b"junk",
        ]
        for lie in lies:
            await side.client.publish(side.decision_topic, lie)
        await eventually(lambda: gate.tally.ignored.total() >= len(lies))
        assert not gate.tally.unlocks
        await side.answer(scan, Verdict.GRANTED)
        assert (await outcome).granted


async def test_a_second_card_is_told_to_wait(side: SiteSide):
    side.decides = lambda _scan: None
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        first = gate.offer(IN, CARD)
        assert (await gate.present(IN, CARD)).signal is Signal.BUSY
        await eventually(lambda: bool(side.seen(Scan)))
        await side.answer(side.wires[-1], Verdict.GRANTED)
        assert (await first).granted


async def test_a_grant_that_nobody_uses_is_told_as_not_taken(side: SiteSide):
    side.terms = {"unlock": timedelta(milliseconds=50)}
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        await gate.present(IN, CARD, walks_through=False)
        await eventually(lambda: bool(side.seen(Passage)))
    assert [passage.outcome for passage in side.seen(Passage)] == [PassageOutcome.NOT_TAKEN]


async def test_reader_strike_contact_and_display_are_served(side: SiteSide):
    settings = side.settings()
    reader, door = SimulatedReader(), SimulatedDoor()
    link = GateLink(side.broker.url, gate=side.gate, password=PASSWORD)
    gate = GateAgent(settings, link, open_journal=MemoryJournal, fittings={IN: door.fittings(reader)})
    async with side.serves(gate):
        reader.hold(CARD)
        await eventually(lambda: door.released == timedelta(seconds=4))
        assert [signal for signal, _, _ in door.shown] == [Signal.GRANTED]
        door.open()
        await eventually(lambda: door.released is None)
        door.close()
        door.open()
        await eventually(lambda: len(side.seen(Passage)) == 2)
        door.close()
        await eventually(lambda: bool(side.seen(Status)))
    outcomes = [passage.outcome for passage in side.seen(Passage)]
    assert outcomes == [PassageOutcome.TAKEN, PassageOutcome.FORCED]
    assert [status.kind for status in side.seen(Status)] == [StatusKind.CLOSED_AGAIN]


async def test_an_exit_button_and_a_fire_panel_release_the_doors_that_are_configured_so(side: SiteSide):
    points = [
        {"id": IN, "direction": "in", "exit": "released"},
        {"id": OUT, "direction": "out", "on_fire": "release"},
    ]
    inner, outer, button, panel = SimulatedDoor(), SimulatedDoor(), SimulatedSwitch(), SimulatedSwitch()
    button.is_on = True  # one that is stuck when the gate starts releases nothing
    fittings = {
        IN: inner.fittings(SimulatedReader(), request_to_exit=button),
        OUT: outer.fittings(SimulatedReader(), fire=panel),
    }
    link = GateLink(side.broker.url, gate=side.gate, password=PASSWORD)
    gate = GateAgent(side.settings(access_points=points), link, open_journal=MemoryJournal, fittings=fittings)
    async with side.serves(gate):
        assert inner.released is None
        button.turn(on=False)
        button.turn(on=True)
        await eventually(lambda: inner.released is not None)
        inner.open()
        inner.close()
        panel.turn(on=True)
        await eventually(lambda: outer.released is not None)
        panel.turn(on=False)
        await eventually(lambda: outer.released is None)
        await eventually(lambda: len(side.seen(Status)) == 3)
        await eventually(lambda: bool(side.seen(Passage)))
    told = [status.kind for status in side.seen(Status)]
    assert told == [StatusKind.EXIT_REQUESTED, StatusKind.FIRE, StatusKind.FIRE_CLEARED]
    assert [passage.outcome for passage in side.seen(Passage)] == [PassageOutcome.EXITED]


async def test_the_display_asks_for_a_door_to_be_closed_until_it_is(side: SiteSide):
    settings = side.settings()
    waits = timedelta(milliseconds=50)
    settings = replace(
        settings, doorways=tuple(replace(one, warned=waits, held=10 * waits) for one in settings.doorways)
    )
    reader, door = SimulatedReader(), SimulatedDoor()
    link = GateLink(side.broker.url, gate=side.gate, password=PASSWORD)
    async with side.serves(
        GateAgent(settings, link, open_journal=MemoryJournal, fittings={IN: door.fittings(reader)})
    ):
        reader.hold(CARD)
        await eventually(lambda: door.released is not None)
        door.open()
        await eventually(lambda: len(side.seen(Passage)) == 2)
        door.close()
        await eventually(lambda: bool(side.seen(Status)))
    assert [signal for signal, _, _ in door.shown] == [Signal.GRANTED, Signal.CLOSE_DOOR, Signal.READY]
    outcomes = [passage.outcome for passage in side.seen(Passage)]
    assert outcomes == [PassageOutcome.TAKEN, PassageOutcome.HELD_OPEN]


async def test_what_the_log_contradicts_is_on_disk_before_it_is_told(side: SiteSide):
    file = side.folder / CHECKPOINTS
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        await side.client.publish(checkpoint_topic(SITE), side.service.checkpoint(42, after=1))
        await eventually(lambda: gate.remembered.newest is not None)
        rolled_back = side.service.checkpoint(40, after=2, history="rolled back")
        await side.client.publish(checkpoint_topic(SITE), rolled_back)
        await eventually(lambda: bool(side.seen(Status)))
        kept = read_checkpoints(file)
    assert [status.kind for status in side.seen(Status)] == [StatusKind.LOG_ROLLED_BACK]
    assert [it.wire for it in kept.kept] == [side.service.checkpoint(42, after=1)]
    assert [it.arrived.wire for it in kept.contradictions] == [rolled_back]


async def test_what_the_service_sends_and_the_log_did_not_sign_is_told_in_the_gates_own_log(side: SiteSide):
    with capture_logs() as logs:
        async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
            wire = side.service.checkpoint(42, log_key=Ed25519PrivateKey.generate())
            await side.client.publish(checkpoint_topic(SITE), wire)
            await eventually(lambda: bool(gate.tally.ignored[Ignored.CHECKPOINT_UNSIGNED]))
    warned = [line["why"] for line in logs if line["event"] == "the service sends what is not believed"]
    assert warned == ["checkpoint-unsigned"]
    assert read_checkpoints(side.folder / CHECKPOINTS).kept == ()


@pytest.mark.parametrize("has_fittings", [False, True])
async def test_the_door_of_an_interlock_is_told_as_shut_at_the_start_and_after_every_passage(
    side: SiteSide,
    has_fittings: bool,  # noqa: FBT001
):
    point = {"id": IN, "direction": "in", "interlocked": True}
    link = GateLink(side.broker.url, gate=side.gate, password=PASSWORD)
    fittings = {IN: SimulatedDoor().fittings(SimulatedReader())} if has_fittings else {}
    gate = GateAgent(
        side.settings(access_points=[point]), link, open_journal=MemoryJournal, fittings=fittings
    )
    async with side.serves(gate):
        await eventually(lambda: len(side.seen(Status)) == 1)
        assert (await gate.present(IN, CARD)).granted
        await eventually(lambda: len(side.messages) == 5)
    assert [type(message) for message in side.messages] == [Hello, Status, Scan, Passage, Status]
    assert {(status.kind, status.access_point) for status in side.seen(Status)} == {
        (StatusKind.CLOSED_AGAIN, IN)
    }


async def test_a_lost_link_heals_and_nothing_kept_is_lost(side: SiteSide, broker_proxy: FaultProxy):
    async with side.serves(make_gate(side.settings(), broker=broker_proxy.url)) as gate:
        assert (await gate.present(IN, CARD)).granted
        await eventually(lambda: len(side.seen(Passage)) == 1)
        broker_proxy.refuse()
        broker_proxy.cut()
        gate.feel(IN, opened=True)
        gate.feel(IN, opened=False)
        await broker_proxy.accept()
        await eventually(lambda: len(side.messages) == 5, within=20)
        assert (await gate.present(OUT, CARD)).granted
        await eventually(lambda: len(side.messages) == 7)
    streams: dict[bytes, list[int]] = {}
    for message in side.messages:
        streams.setdefault(message.boot, []).append(message.sequence)
    assert list(streams.values()) == [[1, 2, 3], [1, 2, 3, 4]]


async def test_without_a_beacon_there_is_no_service(side: SiteSide):
    async with make_gate(side.settings(), broker=side.broker.url) as gate:
        await eventually(lambda: bool(side.seen(Hello)))
        assert (await gate.present(IN, CARD)).signal is Signal.NO_SERVICE
    assert side.seen(Scan) == []


async def test_a_gate_whose_broker_is_away_can_be_stopped_at_once(side: SiteSide, broker_proxy: FaultProxy):
    broker_proxy.refuse()
    async with asyncio.timeout(5), make_gate(side.settings(), broker=broker_proxy.url) as gate:
        assert (await gate.present(IN, CARD)).signal is Signal.NO_SERVICE


async def test_a_gate_that_the_broker_refuses_says_so_and_never_its_password(side: SiteSide):
    link = GateLink(side.broker.url, gate=side.gate, password="another password")
    with capture_logs() as logs:
        async with GateAgent(side.settings(), link, open_journal=MemoryJournal):
            await eventually(lambda: any("refuses" in line["event"] for line in logs))
            assert not link.up
    assert "password" not in str(logs)


async def test_no_credential_is_in_the_logs(side: SiteSide):
    token = side.service.token(badge_key=None)
    with capture_logs() as logs:
        async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
            await gate.present(IN, SimulatedBadge.bearer(token))
            await gate.present(OUT, CARD)
    lines = [line for line in logs if line["event"] == "badge"]
    assert [line["access_point"] for line in lines] == [IN, OUT]
    assert not any(secret in str(logs) for secret in (token.hex(), str(token), "BA839D07", "ba839d07"))


async def test_what_breaks_in_the_controller_stops_the_gate(side: SiteSide):
    async def break_it() -> None:
        async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
            with pytest.raises(KeyError):
                gate.feel("elsewhere", opened=True)
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as stopped:
        await break_it()
    assert stopped.group_contains(KeyError)
