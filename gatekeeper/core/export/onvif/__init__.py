"""What the log says, in ONVIF's words, for whoever integrates with the site over MQTT (`schemas/onvif.md`).

    events      an entry as ONVIF's events        doors       what is the case at each door, as its property events
    discovery   the doors as Home Assistant finds them by itself

Events are told once and not retained; states are retained and deleted with their source (ONVIF Core, "Event Broker").
Everything is made of public bodies alone: no holder, no name and no badge leaves by this way. It is told, not proved.
"""

from gatekeeper.core.export.onvif.discovery import discovered, discovery_filter
from gatekeeper.core.export.onvif.doors import DoorStates
from gatekeeper.core.export.onvif.events import (
    OnvifEvent,
    Topic,
    configuration_events,
    events_of,
    presence_topic,
    state_filters,
    topic_prefix,
)

__all__ = [
    "DoorStates",
    "OnvifEvent",
    "Topic",
    "configuration_events",
    "discovered",
    "discovery_filter",
    "events_of",
    "presence_topic",
    "state_filters",
    "topic_prefix",
]
