"""The one place where a gate is put together: its folder and a broker become an agent with a link and its fittings."""

from pathlib import Path

from devices.agent import GateAgent
from devices.bridges.tasmota import TasmotaBridge
from devices.link import GateLink
from devices.settings import GateSettings

__all__ = ["make_gate"]


def make_gate(settings: GateSettings, *, broker: str, authority: Path | None = None) -> GateAgent:
    """Make the gate of these settings: a bridge with the fittings of its reader, any other gate without.

    `authority` is the file of certificates (PEM) that the broker's must come from. Raises `BrokerUrlError`.
    """
    link = GateLink(broker, gate=settings.gate, password=settings.password, authority=authority)
    if settings.bridge is None:
        return GateAgent(settings, link)
    bridge = TasmotaBridge(link, topic=settings.bridge.topic)
    return GateAgent(
        settings, link, fittings={settings.bridge.access_point: bridge.fittings}, routes=bridge.routes
    )
