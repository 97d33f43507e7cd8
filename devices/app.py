"""The one place where a gate is put together: its folder and a broker become an agent with a link and its fittings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, assert_never

from devices.agent import GateAgent
from devices.bridges.esp_rfid import EspRfidBridge
from devices.bridges.onvif import OnvifBridge
from devices.bridges.settings import (
    BridgeSettings,
    EspRfidSettings,
    OnvifSettings,
    TasmotaSettings,
    UhppotedSettings,
)
from devices.bridges.tasmota import TasmotaBridge
from devices.bridges.uhppoted import UhppotedBridge
from devices.hardware.fitting import opened
from devices.hardware.key_bound import reader_name
from devices.hardware.ports import Fittings
from devices.journal_file import JournalFile
from devices.journal_port import JournalPort, MemoryJournal
from devices.link import GateLink, Route
from devices.settings import GateSettings
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.topics import Channel, gate_topic

__all__ = ["gate_on", "make_gate", "make_link", "open_journal", "opened_hardware"]


class _Bridged(NamedTuple):
    """What a bridge brings to an agent."""

    fittings: Mapping[AccessPointId, Fittings]
    routes: Mapping[str, Route]


@contextmanager
def opened_hardware(settings: GateSettings) -> Iterator[dict[AccessPointId, Fittings]]:
    """Open what gate.json names, for the length of a block. Raises `HardwareError`."""
    with opened(settings.hardware, called=reader_name(settings.site, settings.gate)) as fittings:
        yield fittings


def make_link(settings: GateSettings, *, broker: str, authority: Path | None = None) -> GateLink:
    """Make the link of a gate to its broker, by its certificate where it has one, else by its password.

    `authority` is the file of certificates (PEM) that the broker's must come from. Raises `BrokerUrlError`, and OSError when
    a file cannot be used.
    """
    return GateLink(
        broker,
        gate=settings.gate,
        password=settings.password,
        authority=authority,
        certificate=settings.certificate,
    )


def make_gate(
    settings: GateSettings,
    *,
    broker: str,
    authority: Path | None = None,
    fittings: Mapping[AccessPointId, Fittings] | None = None,
) -> GateAgent:
    """Make the gate of these settings with a link of its own (see `gate_on`). Raises as `make_link` does."""
    return gate_on(make_link(settings, broker=broker, authority=authority), settings, fittings=fittings)


def gate_on(
    link: GateLink, settings: GateSettings, *, fittings: Mapping[AccessPointId, Fittings] | None = None
) -> GateAgent:
    """Make the gate of these settings on a link, with the hardware that was opened for it, and with a bridge if it has one."""
    journal, fitted = partial(open_journal, settings), dict(fittings or {})
    if settings.bridge is None:
        return GateAgent(settings, link, open_journal=journal, fittings=fitted)
    bridged = _bridge(link, settings, settings.bridge)
    return GateAgent(
        settings, link, open_journal=journal, fittings={**fitted, **bridged.fittings}, routes=bridged.routes
    )


def _bridge(link: GateLink, gate: GateSettings, settings: BridgeSettings) -> _Bridged:
    # INVARIANT: what opens a door is sent at QoS 0 and, as by this link always, not retained: none comes later.
    publish = partial(link.publish, qos=0)
    contacts = frozenset(doorway.id for doorway in gate.doorways if doorway.has_contact)
    match settings:
        case TasmotaSettings():
            tasmota = TasmotaBridge(link, topic=settings.topic)
            return _Bridged({settings.access_point: tasmota.fittings}, tasmota.routes)
        case EspRfidSettings():
            esp_rfid = EspRfidBridge(publish, settings, contacts=contacts)
            return _Bridged(esp_rfid.fittings, esp_rfid.routes)
        case UhppotedSettings():
            uhppoted = UhppotedBridge(publish, settings, gate=gate.gate, contacts=contacts)
            return _Bridged(uhppoted.fittings, uhppoted.routes)
        case OnvifSettings():
            onvif = OnvifBridge(publish, settings, contacts=contacts)
            return _Bridged(onvif.fittings, onvif.routes)
        case _:
            assert_never(settings)


def open_journal(settings: GateSettings) -> JournalPort:
    """Open the gate's journal: in its folder, and in memory only where there is no folder.

    Raises `JournalInUseError`, and OSError when the disk does not do its part.
    """
    if settings.journal_folder is None:
        return MemoryJournal()
    topic = gate_topic(settings.site, settings.gate, Channel.JOURNAL, prefix=settings.prefix)
    return JournalFile.open(settings.journal_folder, gate=settings.gate, key=settings.key, topic=topic)
