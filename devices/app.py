"""The one place where a gate is put together: its folder and a broker become an agent with a link and its fittings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from devices.agent import GateAgent
from devices.bridges.tasmota import TasmotaBridge
from devices.hardware.fitting import opened
from devices.hardware.key_bound import reader_name
from devices.hardware.ports import Fittings
from devices.link import GateLink
from devices.settings import GateSettings
from gatekeeper.model.ids import AccessPointId

__all__ = ["make_gate", "opened_hardware"]


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
    fitted = dict(fittings or {})
    if settings.bridge is None:
        return GateAgent(settings, link, fittings=fitted)
    bridge = TasmotaBridge(link, topic=settings.bridge.topic)
    fitted[settings.bridge.access_point] = bridge.fittings
    return GateAgent(settings, link, fittings=fitted, routes=bridge.routes)
