"""Cards at a PC/SC reader, with the system's own daemon and a virtual reader: badges are read, and prove themselves."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from devices.app import make_gate
from devices.hardware.fake_chip import FakeChip
from devices.hardware.fitting import opened as opened_points
from devices.hardware.key_bound import NoBadge, reader_name
from devices.hardware.pcsc import PcscReader
from devices.hardware.ports import HardwareError
from devices.hardware.software_card import SoftwareCard
from devices.running import failed_hardware
from gatekeeper import cose
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.messages import ByToken
from tests.integration.gate_site import SiteSide, site_side
from tests.support.pcsc import READER, VirtualReader, a_daemon, is_here, ready
from tests.support.waiting import eventually, found
from tests.unit.devices.ground import GATE, IN, SITE, Service

pytestmark = pytest.mark.skipif(
    not is_here(),
    reason="pcscd and its virtual reader (Debian: pcscd, vsmartcard-vpcd) are not here, or one runs already",
)
SERVICE = Service({GATE: cose.SigningKey.generate()})
KEY = cose.SigningKey.generate()
TOKEN = SERVICE.token(badge_key=KEY)
DIGEST = hashlib.sha256(b"what the badge must sign").digest()


@pytest.fixture
async def virtual(tmp_path: Path) -> AsyncIterator[VirtualReader]:
    with a_daemon(tmp_path) as reader:
        await ready()
        yield reader


async def opened() -> PcscReader:
    """The reader, as soon as the daemon knows it."""

    async def ask() -> PcscReader | None:
        try:
            return PcscReader(READER, reader=reader_name(SITE, GATE))
        except HardwareError:
            return None

    return await found(ask)


async def soon(values: AsyncIterator[Any]) -> Any:
    async with asyncio.timeout(10):
        return await anext(values)


async def test_a_card_is_read_and_proves_its_key_and_the_next_one_too(virtual: VirtualReader):
    gate = await opened()
    try:
        async with aclosing(gate.badges()) as badges:
            virtual.put(SoftwareCard(TOKEN, KEY))
            badge = await soon(badges)
            assert badge.credential == ByToken(TOKEN)
            signature = await badge.prove(DIGEST)
            assert signature is not None
            assert cose.verify_signature(KEY.record(use="badge", owner="x"), DIGEST, signature)

            waiting = asyncio.ensure_future(anext(badges))
            virtual.take_away()
            other = cose.SigningKey.generate()
            await eventually(lambda: badge.transport._connected is False)
            assert await badge.prove(DIGEST) is None, "a card that was taken away"
            virtual.put(SoftwareCard(SERVICE.token(badge_key=other), other))
            async with asyncio.timeout(10):
                second = await waiting
            assert second.credential != badge.credential
            assert await second.prove(DIGEST) is not None
    finally:
        gate.close()


async def test_a_card_that_goes_while_it_proves_proves_nothing(virtual: VirtualReader):
    gate = await opened()
    try:
        async with aclosing(gate.badges()) as badges:
            virtual.put(SoftwareCard(TOKEN, KEY))
            badge = await soon(badges)
            virtual.take_away()
            assert await badge.prove(DIGEST) is None
    finally:
        gate.close()


async def test_a_card_that_is_no_badge_is_counted(virtual: VirtualReader):
    gate = await opened()
    try:
        async with aclosing(gate.badges()) as badges:
            virtual.put(SoftwareCard(None, KEY))
            waiting = asyncio.ensure_future(anext(badges))
            await eventually(lambda: gate.no_badge == {NoBadge.FOREIGN: 1})
            virtual.take_away()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    finally:
        gate.close()


async def test_a_reader_that_pcsc_does_not_know_is_told(virtual: VirtualReader):
    (await opened()).close()
    with pytest.raises(HardwareError, match=f"PC/SC knows no reader Elsewhere 00 00; it has {READER}"):
        PcscReader("Elsewhere 00 00")


async def test_a_daemon_that_goes_stops_the_gate_with_a_sentence(
    virtual: VirtualReader, broker: EmbeddedBroker, tmp_path: Path
):
    (await opened()).close()
    hardware = {
        "reader": {"kind": "pcsc", "name": READER},
        "strike": {"kind": "gpio", "chip": "/dev/gpiochip0", "line": 1, "fail": "secure"},
    }
    point = {"id": IN, "direction": "in", "contact": False, "hardware": hardware}
    chip = FakeChip()

    async def ended(side: SiteSide) -> None:
        settings = side.settings(access_points=[point])
        with opened_points(settings.hardware, request=chip.request_lines) as fittings:
            async with side.serves(make_gate(settings, broker=broker.url, fittings=fittings)):
                virtual.put(SoftwareCard(side.service.token(badge_key=KEY), KEY))
                await eventually(lambda: chip.level(1))
                virtual.end_daemon()
                await asyncio.Event().wait()

    async with site_side(broker, tmp_path / "gate") as side:
        with pytest.raises(ExceptionGroup) as stopped:
            await ended(side)
    assert not chip.level(1), "and its door is held"
    failed = failed_hardware(stopped.value)
    assert isinstance(failed, HardwareError)
    assert str(failed).startswith("PC/SC: ")
    assert failed_hardware(ExceptionGroup("", [stopped.value, ValueError()])) is None
