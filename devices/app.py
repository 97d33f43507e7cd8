"""The one place where a gate is put together: its folder and a broker become an agent with a link and its fittings."""

from pathlib import Path

from devices.agent import GateAgent
from devices.bridges.tasmota import TasmotaBridge
from devices.link import GateLink
from devices.settings import GateSettings

__all__ = ["gate_on", "make_gate", "make_link"]


def make_link(settings: GateSettings, *, broker: str, authority: Path | None = None) -> GateLink:
    """Make the link of a gate to its broker, by its certificate where it has one, else by its password.

    `authority` is the file of certificates (PEM) that the broker's must come from. Raises `BrokerUrlError`.
    """
    return GateLink(
        broker,
        gate=settings.gate,
        password=settings.password,
        authority=authority,
        certificate=settings.certificate,
    )


def make_gate(settings: GateSettings, *, broker: str, authority: Path | None = None) -> GateAgent:
    """Make the gate of these settings, with a link of its own. Raises as `make_link` does."""
    return gate_on(make_link(settings, broker=broker, authority=authority), settings)


def gate_on(link: GateLink, settings: GateSettings) -> GateAgent:
    """Make the gate of these settings on a link: a bridge with the fittings of its reader, any other gate without."""
    if settings.bridge is None:
        return GateAgent(settings, link)
    bridge = TasmotaBridge(link, topic=settings.bridge.topic)
    return GateAgent(
        settings, link, fittings={settings.bridge.access_point: bridge.fittings}, routes=bridge.routes
    )
