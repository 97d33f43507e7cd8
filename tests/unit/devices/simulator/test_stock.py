"""Stock readers and their doors: the bytes they speak, and who is told what became of a card."""

import asyncio
import socket

import pytest

from devices.bridges.tasmota_format import read_sensor
from devices.core.events import Signal
from devices.link import BrokerUrlError
from devices.settings import SettingsError
from devices.simulator.stock import StockDoor, StockReaders
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.reasons import Reason
from tests.support.mqtt import mqtt_client

MIFARE = b'{"Time":"2021-01-23T13:10:50","RC522":{"UID":"BA839D07","Data":"","Type":"MIFARE 1KB"}}'
WIEGAND = b'{"Time":"2021-01-23T13:10:50","Wiegand":{"UID":4302741608,"Size":34}}'
UNHEARD = 0.05


# -- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.integration
async def test_stock_readers_speak_byte_for_byte_as_tasmota_does(broker: EmbeddedBroker):
    await broker.admit("simulated-bridge", "secret", role="bridge")
    async with mqtt_client(broker.port, "simulated-bridge", "secret") as bridge:
        assert await bridge.subscribe("tele/simulated/+") == "Granted QoS 1"
        with StockReaders(broker.readers_url) as readers:
            readers.show("tele/simulated/SENSOR", "mifare", bytes.fromhex("BA839D07"))
            assert await bridge.next_message() == ("tele/simulated/SENSOR", MIFARE)
            readers.show("tele/simulated/SENSOR", "wiegand", bytes.fromhex("010076A068"))
            assert await bridge.next_message() == ("tele/simulated/SENSOR", WIEGAND)


@pytest.mark.parametrize(
    ("payload", "card"),
    [
        (MIFARE, Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07"))),
        (WIEGAND, Card(CardTechnology.WIEGAND, bytes.fromhex("010076A068"))),
    ],
)
def test_the_bridge_reads_the_card_that_was_shown(payload: bytes, card: Card):
    assert read_sensor(payload) == card


# -- answers ----------------------------------------------------------------------------------------------------------


class Reader:
    """The cards that were held to a reader to which nobody listens, with when."""

    def __init__(self) -> None:
        self.cards: list[tuple[bytes, float]] = []
        self._held = asyncio.Event()

    def hold(self, topic: str, technology: str, number: bytes) -> None:
        self.cards.append((number, asyncio.get_running_loop().time()))
        self._held.set()

    async def held(self) -> bytes:
        """The next card that is held to the reader."""
        async with asyncio.timeout(5):
            await self._held.wait()
        self._held.clear()
        return self.cards[-1][0]


@pytest.fixture
def reader() -> Reader:
    return Reader()


def _door(refusals: list[int] | None = None, *, patience: float = 5.0) -> StockDoor:
    return StockDoor(
        "tele/x/SENSOR", on_denied=(refusals if refusals is not None else []).append, patience=patience
    )


@pytest.mark.parametrize(
    ("signal", "reason"),
    [(Signal.GRANTED, 0), (Signal.DENIED, Reason.OUT_OF_TIME_RANGE.bacnet), (Signal.NO_SERVICE, None)],
)
async def test_who_holds_a_card_waits_for_what_the_gate_says_of_it(
    signal: Signal, reason: int | None, reader: Reader
):
    door = _door()
    presenting = asyncio.ensure_future(door.present(reader.hold, "mifare", b"a"))
    assert await reader.held() == b"a"
    assert not presenting.done()
    door.show(signal, reason=reason, entry=7)
    outcome = await presenting
    assert outcome is not None
    assert (outcome.signal, outcome.reason, outcome.entry) == (signal, reason, 7)
    assert outcome.granted == (signal is Signal.GRANTED)


async def test_a_card_that_nobody_heard_opened_nothing(reader: Reader):
    assert await _door(patience=UNHEARD).present(reader.hold, "mifare", b"a") is None


async def test_an_answer_that_comes_too_late_is_not_the_next_ones(reader: Reader):
    door = _door(patience=UNHEARD)
    assert await door.present(reader.hold, "mifare", b"a") is None
    door.show(Signal.GRANTED, reason=0, entry=7)
    assert await door.present(reader.hold, "mifare", b"b") is None


async def test_people_wait_in_line_and_each_gets_their_own_answer(reader: Reader):
    door = _door()
    line = [
        asyncio.ensure_future(door.present(reader.hold, "mifare", number)) for number in (b"a", b"b", b"c")
    ]
    for number, entry in ((b"a", 1), (b"b", 2), (b"c", 3)):
        assert await reader.held() == number
        door.show(Signal.GRANTED, reason=0, entry=entry)
    assert [outcome.entry for outcome in await asyncio.gather(*line) if outcome] == [1, 2, 3]


async def test_the_same_card_is_held_again_only_when_the_reader_would_tell_of_it(reader: Reader):
    """Within a second a reader takes a card for the one it has just seen, and says nothing."""
    door = _door()
    for _ in range(2):
        presenting = asyncio.ensure_future(door.present(reader.hold, "mifare", b"a"))
        await reader.held()
        door.show(Signal.DENIED, reason=None, entry=None)
        await presenting
    (_, first), (_, second) = reader.cards
    assert second - first > 1.0


async def test_every_refusal_is_told_whoever_stands_there(reader: Reader):
    refusals: list[int] = []
    door = _door(refusals)
    door.show(Signal.DENIED, reason=3, entry=1)
    door.show(Signal.DENIED, reason=None, entry=None)
    door.show(Signal.GRANTED, reason=0, entry=2)
    presenting = asyncio.ensure_future(door.present(reader.hold, "mifare", b"a"))
    await reader.held()
    door.show(Signal.DENIED, reason=4, entry=3)
    await presenting
    assert refusals == [3, 4]


def test_readers_without_a_broker_say_so_in_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"mqtt://127.0.0.1:{taken.getsockname()[1]}"
    with (
        pytest.raises(SettingsError, match=f"Stock readers find no broker at {nobody}"),
        StockReaders(nobody),
    ):
        pass
    with pytest.raises(SettingsError, match="without TLS"):
        StockReaders("mqtts://127.0.0.1")
    with pytest.raises(BrokerUrlError, match="must begin with mqtt"):
        StockReaders("127.0.0.1")
