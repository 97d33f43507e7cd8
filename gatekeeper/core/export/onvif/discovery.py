"""The doors of a site as Home Assistant finds them by itself: what its MQTT discovery wants to be told, one entity a message.

    <home>/<component>/gatekeeper-<site>/<access point>-<what>/config      retained; empty, and the entity is gone

The form is that of single-component discovery (Home Assistant, integration MQTT). The entities read ONVIF's topics and
write nothing. A device is a gate.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from gatekeeper.core.export.onvif.events import OnvifEvent, Topic, presence_topic, topic_prefix
from gatekeeper.model.policy import Point, Policy

__all__ = ["discovered", "discovery_filter"]


class _Entity(NamedTuple):
    component: str
    what: str
    topic: Topic
    more: Mapping[str, Any]


def _worded(**words: str) -> str:
    """A template that gives a state its word: what is not named is `None`, which is how one says unknown."""
    table = ", ".join(f"'{state}': '{word}'" for state, word in words.items())
    return f"{{{{ {{{table}}}.get(value_json.Data.State, 'None') if value_json is defined else 'None' }}}}"


_ENTITIES: Final = (
    _Entity(
        "binary_sensor",
        "contact",
        Topic.PHYSICAL,
        {"device_class": "door", "value_template": _worded(Open="ON", Closed="OFF")},
    ),
    _Entity(
        "binary_sensor",
        "alarm",
        Topic.ALARM,
        {
            "device_class": "problem",
            "value_template": _worded(DoorForcedOpen="ON", DoorOpenTooLong="ON", Normal="OFF"),
        },
    ),
    _Entity(
        "binary_sensor",
        "tamper",
        Topic.TAMPER,
        {"device_class": "tamper", "value_template": _worded(TamperDetected="ON", NotInTamper="OFF")},
    ),
    _Entity(
        "binary_sensor",
        "fault",
        Topic.FAULT,
        {"device_class": "problem", "value_template": _worded(FaultDetected="ON", NotInFault="OFF")},
    ),
    _Entity(
        "event",
        "granted",
        Topic.GRANTED,
        {"event_types": ["granted"], "value_template": '{"event_type": "granted"}'},
    ),
    _Entity(
        "event",
        "denied",
        Topic.DENIED,
        {
            "event_types": ["denied"],
            "value_template": '{"event_type": "denied", "reason": {{ value_json.Data.Reason | tojson }}}',
        },
    ),
    _Entity(
        "event",
        "unknown-card",
        Topic.NOT_FOUND,
        {"event_types": ["unknown-card"], "value_template": '{"event_type": "unknown-card"}'},
    ),
)


def discovery_filter(policy: Policy, *, home: str) -> str:
    """What to subscribe to for everything that the broker retains of this site for a Home Assistant."""
    return f"{home}/+/{_node(policy)}/+/config"


def discovered(
    policy: Policy, points: Iterable[Point], *, prefix: str, home: str, program: str
) -> Mapping[str, bytes]:
    """Every entity of these access points of a site by its topic; `home` is Home Assistant's prefix, `program` this program's version."""
    return {
        f"{home}/{entity.component}/{_node(policy)}/{point.id}-{entity.what}/config": orjson.dumps(
            _entity(entity, point, policy, prefix=prefix, program=program)
        )
        for point in points
        for entity in _ENTITIES
    }


def _node(policy: Policy) -> str:
    return f"gatekeeper-{policy.site}"


def _entity(entity: _Entity, point: Point, policy: Policy, *, prefix: str, program: str) -> dict[str, Any]:
    read = OnvifEvent(topic=entity.topic, token=point.id, at="", data={})
    gate = policy.gates.get(point.gate)
    return {
        "name": f"{point.id} {entity.what.replace('-', ' ')}",
        "unique_id": f"{_node(policy)}-{point.id}-{entity.what}",
        "state_topic": read.address(topic_prefix(policy.site, prefix=prefix)),
        **entity.more,
        "qos": 1,
        "availability_topic": presence_topic(policy.site, prefix=prefix),
        "device": {
            "identifiers": [f"{_node(policy)}-{point.gate}"],
            "name": gate.names.en if gate is not None else point.gate,
            "manufacturer": "Gatekeeper",
        },
        "origin": {"name": "Gatekeeper", "sw_version": program},
    }
