"""A gate with hardware, whole: from the pulses of a reader to the strike, over the real broker."""

import asyncio
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devices.app import make_gate, opened_hardware
from devices.core.events import Signal
from devices.hardware.fake_chip import FakeChip
from devices.hardware.fitting import opened
from devices.hardware.key_bound import CardBadge, read_card_badge, reader_name
from devices.hardware.software_card import SoftwareCard
from devices.settings import GateSettings
from gatekeeper import cose
from gatekeeper.core.register import Register
from gatekeeper.core.verify import verify_scan
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.badges import Assurance, Card, CardTechnology
from gatekeeper.model.messages import ByCard, Passage, PassageOutcome, Scan, Verdict
from tests.integration.gate_site import SiteSide, site_side
from tests.support.waiting import eventually
from tests.support.wiegand import frame_bits, spelled
from tests.unit.devices.folders import PASSWORD
from tests.unit.devices.ground import IN

pytestmark = pytest.mark.integration

CHIP = "/dev/gpiochip0"
D0, D1, STRIKE, CONTACT, RED = 17, 27, 22, 23, 24
WIEGAND = {"kind": "wiegand", "chip": CHIP, "d0": D0, "d1": D1, "formats": ["26"]}
GPIO_STRIKE = {"kind": "gpio", "chip": CHIP, "line": STRIKE, "fail": "secure"}
CONTACT_LINE = {"chip": CHIP, "line": CONTACT, "debounce_ms": 0}


@pytest.fixture
async def side(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[SiteSide]:
    async with site_side(broker, tmp_path / "gate") as side:
        yield side


@pytest.fixture
def chip() -> FakeChip:
    chip = FakeChip()
    chip.drive(CONTACT, high=False)
    return chip


def fitted(side: SiteSide, hardware: dict[str, Any]) -> GateSettings:
    point = {"id": IN, "direction": "in", "contact": "contact" in hardware, "hardware": hardware}
    return side.settings(access_points=[point])


def osdp_hardware(folder: Path, port: str, key: bytes) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    (folder / "reader.key").touch(mode=0o600)
    (folder / "reader.key").write_text(key.hex())
    osdp = {"kind": "osdp", "port": port, "address": 101, "key_file": "reader.key"}
    return {"reader": osdp, "strike": {"kind": "osdp", "output": 0}}


def hold(chip: FakeChip, bits: str) -> None:
    chip.pass_time(40_000)
    for bit in bits:
        chip.pulse(D1 if bit == "1" else D0)


async def test_a_card_at_a_wiegand_reader_opens_the_door_for_one_passage(side: SiteSide, chip: FakeChip):
    settings = fitted(side, {"reader": WIEGAND, "strike": GPIO_STRIKE, "contact": CONTACT_LINE})
    with opened(settings.hardware, request=chip.request_lines) as fittings:
        assert not chip.level(STRIKE)
        async with side.serves(make_gate(settings, broker=side.broker.url, fittings=fittings)):
            hold(chip, frame_bits(26, 4711))
            await eventually(lambda: chip.level(STRIKE))
            chip.drive(CONTACT, high=True)
            await eventually(lambda: bool(side.seen(Passage)))
            assert not chip.level(STRIKE), "secured as soon as the door opened"
            chip.drive(CONTACT, high=False)
    (scan,), (passage,) = side.seen(Scan), side.seen(Passage)
    assert scan.credential == ByCard(Card(CardTechnology.WIEGAND, spelled(26, 4711)))
    assert passage.outcome is PassageOutcome.TAKEN


async def test_a_denied_card_moves_no_strike_and_lights_the_red_lamp(side: SiteSide, chip: FakeChip):
    side.decides = lambda _scan: Verdict.DENIED
    settings = fitted(
        side,
        {"reader": WIEGAND, "strike": GPIO_STRIKE, "lamps": {"red": {"chip": CHIP, "line": RED}}},
    )
    with opened(settings.hardware, request=chip.request_lines) as fittings:
        async with side.serves(make_gate(settings, broker=side.broker.url, fittings=fittings)) as gate:
            hold(chip, frame_bits(26, 4711))
            await eventually(lambda: chip.level(RED))
            assert not gate.tally.unlocks
            assert not chip.level(STRIKE)
    assert len(side.seen(Scan)) == 1


async def test_a_door_that_is_forced_is_told(side: SiteSide, chip: FakeChip):
    settings = fitted(side, {"reader": WIEGAND, "strike": GPIO_STRIKE, "contact": CONTACT_LINE})
    with opened(settings.hardware, request=chip.request_lines) as fittings:
        async with side.serves(make_gate(settings, broker=side.broker.url, fittings=fittings)):
            chip.drive(CONTACT, high=True)
            await eventually(lambda: bool(side.seen(Passage)))
    assert side.seen(Passage)[0].outcome is PassageOutcome.FORCED


async def test_a_card_at_an_osdp_reader_opens_through_an_output_of_the_reader(side: SiteSide):
    osdp_sys = pytest.importorskip("osdp_sys", reason="libosdp is not installed: the extra `osdp` brings it")
    from tests.support.osdp_reader import a_cable

    key = secrets.token_bytes(16)
    with a_cable() as cable:
        settings = fitted(side, osdp_hardware(side.folder, cable.port, key))
        reader = cable.power(key=key)

        def told(kind: int) -> list[dict[str, Any]]:
            return [command for command in reader.commands if command["command"] == kind]

        with opened_hardware(settings) as fittings:
            async with side.serves(make_gate(settings, broker=side.broker.url, fittings=fittings)):
                await eventually(lambda: fittings[IN].reader.is_secure)  # type: ignore[attr-defined]
                reader.reads(frame_bits(26, 4711))
                await eventually(lambda: bool(told(osdp_sys.CMD_OUTPUT)) and bool(told(osdp_sys.CMD_LED)))
        assert told(osdp_sys.CMD_OUTPUT)[0]["control_code"] == 5
        assert told(osdp_sys.CMD_OUTPUT)[0]["timer_count"] == 40, "the four seconds of the service's answer"
        assert told(osdp_sys.CMD_LED)[0]["on_color"] == osdp_sys.LED_COLOR_GREEN


async def test_the_command_is_a_gate_with_its_hardware_until_it_is_stopped(side: SiteSide):
    osdp_sys = pytest.importorskip("osdp_sys", reason="libosdp is not installed: the extra `osdp` brings it")
    from tests.support.osdp_reader import a_cable

    key = secrets.token_bytes(16)
    with a_cable() as cable:
        fitted(side, osdp_hardware(side.folder, cable.port, key))
        reader = cable.power(key=key)
        program = "from devices.cli import main; main()"
        gate = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-c",
                program,
                "run",
                "--folder",
                str(side.folder),
                "--broker",
                side.broker.url,
            ),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await eventually(lambda: bool(side.messages), within=20)
            await side.beacon()
            await eventually(lambda: bool(reader.commands))  # its first: how it is
            reader.reads(frame_bits(26, 4711))

            def outputs() -> int:
                return sum(command["command"] == osdp_sys.CMD_OUTPUT for command in reader.commands)

            await eventually(lambda: outputs() > 0)
        finally:
            gate.send_signal(signal.SIGTERM)
            _, said = await gate.communicate()
    assert gate.returncode == 0, said
    assert f"{IN}: OSDP reader at {cable.port} address 101, strike on the reader's output 0.".encode() in said
    assert key.hex().encode() not in said
    assert PASSWORD.encode() not in said


async def test_a_badge_on_a_card_proves_its_key_to_the_service_itself(side: SiteSide):
    key = cose.SigningKey.generate()
    card = SoftwareCard(side.service.token(badge_key=key), key)
    async with side.serves(make_gate(side.settings(), broker=side.broker.url)) as gate:
        badge = await read_card_badge(card, reader=reader_name("site", side.gate))
        assert isinstance(badge, CardBadge)
        assert (await gate.present(IN, badge)).granted
        card.is_there = False
        assert (await gate.present(IN, badge)).signal is Signal.GRANTED, "this service grants everybody"
    proved, gone = side.seen(Scan)

    def verified(scan: Scan) -> Any:
        return verify_scan(
            scan,
            gate=side.gate,
            direction="in",
            register=Register(),
            trust=side.service.trust,
            beacons={scan.beacon},
        )

    assert (verified(proved).assurance, verified(proved).findings) == (Assurance.KEY_BOUND, ())
    assert gone.proof is None
    assert verified(gone).assurance is Assurance.BEARER
