"""The one place where a gate is put together: its folder and a broker become an agent with a link and its fittings."""

from functools import partial
from pathlib import Path

from devices.agent import GateAgent
from devices.bridges.tasmota import TasmotaBridge
from devices.journal_file import JournalFile, JournalPort, MemoryJournal
from devices.link import GateLink
from devices.settings import GateSettings
from gatekeeper.model.topics import Channel, gate_topic

__all__ = ["make_gate", "open_journal"]


def make_gate(settings: GateSettings, *, broker: str, authority: Path | None = None) -> GateAgent:
    """Make the gate of these settings: a bridge with the fittings of its reader, any other gate without.

    `authority` is the file of certificates (PEM) that the broker's must come from. Raises `BrokerUrlError`.
    """
    link = GateLink(broker, gate=settings.gate, password=settings.password, authority=authority)
    journal = partial(open_journal, settings)
    if settings.bridge is None:
        return GateAgent(settings, link, open_journal=journal)
    bridge = TasmotaBridge(link, topic=settings.bridge.topic)
    return GateAgent(
        settings,
        link,
        open_journal=journal,
        fittings={settings.bridge.access_point: bridge.fittings},
        routes=bridge.routes,
    )


def open_journal(settings: GateSettings) -> JournalPort:
    """Open the gate's journal: in its folder, and in memory only where there is no folder.

    Raises `JournalInUseError`, and OSError when the disk does not do its part.
    """
    if settings.journal_folder is None:
        return MemoryJournal()
    topic = gate_topic(settings.site, settings.gate, Channel.JOURNAL, prefix=settings.prefix)
    return JournalFile.open(settings.journal_folder, gate=settings.gate, key=settings.key, topic=topic)
