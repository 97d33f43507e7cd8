"""The one place where a gate is put together: its folder and a broker become an agent with a link and its fittings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from devices.agent import GateAgent
from devices.bridges.tasmota import TasmotaBridge
from devices.hardware.fitting import opened
from devices.hardware.key_bound import reader_name
from devices.hardware.ports import Fittings
from devices.journal_file import JournalFile, JournalPort, MemoryJournal
from devices.link import GateLink
from devices.settings import GateSettings
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.topics import Channel, gate_topic

__all__ = ["make_gate", "open_journal", "opened_hardware"]


@contextmanager
def opened_hardware(settings: GateSettings) -> Iterator[dict[AccessPointId, Fittings]]:
    """Open what gate.json names, for the length of a block. Raises `HardwareError`."""
    with opened(settings.hardware, called=reader_name(settings.site, settings.gate)) as fittings:
        yield fittings


def make_gate(
    settings: GateSettings,
    *,
    broker: str,
    authority: Path | None = None,
    fittings: Mapping[AccessPointId, Fittings] | None = None,
) -> GateAgent:
    """Make the gate of these settings, with the hardware that was opened for it, and with a bridge if it has one.

    `authority` is the file of certificates (PEM) that the broker's must come from. Raises `BrokerUrlError`.
    """
    link = GateLink(broker, gate=settings.gate, password=settings.password, authority=authority)
    journal, fitted = partial(open_journal, settings), dict(fittings or {})
    if settings.bridge is None:
        return GateAgent(settings, link, open_journal=journal, fittings=fitted)
    bridge = TasmotaBridge(link, topic=settings.bridge.topic)
    fitted[settings.bridge.access_point] = bridge.fittings
    return GateAgent(settings, link, open_journal=journal, fittings=fitted, routes=bridge.routes)


def open_journal(settings: GateSettings) -> JournalPort:
    """Open the gate's journal: in its folder, and in memory only where there is no folder.

    Raises `JournalInUseError`, and OSError when the disk does not do its part.
    """
    if settings.journal_folder is None:
        return MemoryJournal()
    topic = gate_topic(settings.site, settings.gate, Channel.JOURNAL, prefix=settings.prefix)
    return JournalFile.open(settings.journal_folder, gate=settings.gate, key=settings.key, topic=topic)
