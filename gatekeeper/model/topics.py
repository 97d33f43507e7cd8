"""The topics of the wire, and the strict reading of one.

    <prefix>/v1/<site>/<gate>/scan|passage|status|hello|journal  gate to service, QoS 1
    <prefix>/v1/<site>/<gate>/link                               gate to service, QoS 0, retained; also the gate's will
    <prefix>/v1/<site>/<gate>/decision|command|policy            service to gate, QoS 0
    <prefix>/v1/<site>/beacon|checkpoint|standing|trust          service to every gate, QoS 0, retained

The topic is the external AAD of everything signed that travels on it: bytes moved to another topic do not verify.
"""

from dataclasses import dataclass
from enum import StrEnum

from gatekeeper.model.ids import GateId, SiteId, is_name

__all__ = [
    "PREFIX",
    "Channel",
    "GateTopic",
    "beacon_topic",
    "checkpoint_topic",
    "gate_topic",
    "link_filter",
    "read_gate_topic",
    "standing_topic",
    "trust_topic",
    "upward_filters",
]

PREFIX = "gk"
_VERSION = "v1"


class Channel(StrEnum):
    """The last level of a gate's topic."""

    SCAN = "scan"
    PASSAGE = "passage"
    STATUS = "status"
    HELLO = "hello"
    JOURNAL = "journal"
    LINK = "link"
    DECISION = "decision"
    COMMAND = "command"
    POLICY = "policy"


UPWARD = (Channel.SCAN, Channel.PASSAGE, Channel.STATUS, Channel.HELLO, Channel.JOURNAL)
_CHANNELS = {channel.value: channel for channel in Channel}


@dataclass(frozen=True, slots=True)
class GateTopic:
    """A topic that belongs to one gate."""

    site: SiteId
    gate: GateId
    channel: Channel


def gate_topic(site: SiteId, gate: GateId, channel: Channel, *, prefix: str = PREFIX) -> str:
    """Spell the topic of one gate's channel."""
    return f"{prefix}/{_VERSION}/{site}/{gate}/{channel.value}"


def beacon_topic(site: SiteId, *, prefix: str = PREFIX) -> str:
    """Spell the topic of the site's beacon."""
    return f"{prefix}/{_VERSION}/{site}/beacon"


def checkpoint_topic(site: SiteId, *, prefix: str = PREFIX) -> str:
    """Spell the topic of the newest checkpoint of the site's log."""
    return f"{prefix}/{_VERSION}/{site}/checkpoint"


def standing_topic(site: SiteId, *, prefix: str = PREFIX) -> str:
    """Spell the topic of what takes rights away, site-wide."""
    return f"{prefix}/{_VERSION}/{site}/standing"


def trust_topic(site: SiteId, *, prefix: str = PREFIX) -> str:
    """Spell the topic of the site's trust list."""
    return f"{prefix}/{_VERSION}/{site}/trust"


def upward_filters(site: SiteId, *, prefix: str = PREFIX) -> tuple[str, ...]:
    """What the owner of a site subscribes to."""
    return tuple(f"{prefix}/{_VERSION}/{site}/+/{channel.value}" for channel in UPWARD)


def link_filter(site: SiteId, *, prefix: str = PREFIX) -> str:
    """What the owner of a site subscribes to besides, with what is retained: whose link is up."""
    return f"{prefix}/{_VERSION}/{site}/+/{Channel.LINK.value}"


def read_gate_topic(topic: str, *, prefix: str = PREFIX) -> GateTopic | None:
    """Read a gate's topic, or None when it is anything else."""
    levels = topic.split("/")
    if len(levels) != 5 or levels[0] != prefix or levels[1] != _VERSION:
        return None
    channel = _CHANNELS.get(levels[4])
    if channel is None or not is_name(levels[2]) or not is_name(levels[3]):
        return None
    return GateTopic(SiteId(levels[2]), GateId(levels[3]), channel)
