"""Entries as ONVIF's events: topics and items of the Access Control and Door Control services, in JSON on MQTT.

    <prefix>/<site>/onvif-ej/<topic without namespace>/&<token>      {"UtcTime": ..., "Source": {...}, "Data": {...}}

The form is that of ONVIF Core, chapter "Event Broker" (topic structure, JSON event payload, property events). A prefix of
topics must name its producer there, and access points have their names within a site: so the site is part of it.

INVARIANT: a credential's token is the entry that granted or denied, never the badge: it is good for one passage and tells
one person from another no better than the log's public part does.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from gatekeeper.core.audit import Kind, timestamp
from gatekeeper.core.export.feeds import PublicEntry
from gatekeeper.model.ids import AccessPointId, SiteId
from gatekeeper.model.policy import Point
from gatekeeper.model.reasons import OnvifReason, Reason

__all__ = [
    "OnvifEvent",
    "Points",
    "Topic",
    "configuration_events",
    "events_of",
    "presence_topic",
    "state_filters",
    "topic_prefix",
]

Points = Mapping[AccessPointId, Point]
_PAYLOAD: Final = "onvif-ej"


class Topic(StrEnum):
    """Every topic that is told of, without ONVIF's namespace `tns1:`, which MQTT has no place for."""

    GRANTED = "AccessControl/AccessGranted/Credential"
    GRANTED_ANONYMOUS = "AccessControl/AccessGranted/Anonymous"
    TAKEN = "AccessControl/AccessTaken/Credential"
    TAKEN_ANONYMOUS = "AccessControl/AccessTaken/Anonymous"
    NOT_TAKEN = "AccessControl/AccessNotTaken/Credential"
    DENIED = "AccessControl/Denied/Credential"
    NOT_FOUND = "AccessControl/Denied/CredentialNotFound/Card"
    DURESS = "AccessControl/Duress"
    REQUEST = "AccessControl/Request/Credential"
    REQUEST_TIMEOUT = "AccessControl/Request/Timeout"
    POINT_CHANGED = "Configuration/AccessPoint/Changed"
    POINT_REMOVED = "Configuration/AccessPoint/Removed"
    DOOR_CHANGED = "Configuration/Door/Changed"
    DOOR_REMOVED = "Configuration/Door/Removed"
    ENABLED = "AccessPoint/State/Enabled"
    MODE = "Door/State/DoorMode"
    PHYSICAL = "Door/State/DoorPhysicalState"
    ALARM = "Door/State/DoorAlarm"
    TAMPER = "Door/State/DoorTamper"
    FAULT = "Door/State/DoorFault"

    @property
    def is_state(self) -> bool:
        """Whether it is a property (ONVIF: IsProperty), whose last word the broker retains."""
        return "/State/" in self

    @property
    def source(self) -> str:
        """The name of the item that says what it is about."""
        return "DoorToken" if "Door" in self.split("/")[:2] else "AccessPointToken"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnvifEvent:
    """An event, or a property's word: about which access point or door, when (RFC 3339, UTC), and its items in ONVIF's order."""

    topic: Topic
    token: str
    at: str
    data: Mapping[str, str | bool]

    def address(self, prefix: str) -> str:
        """The MQTT topic, below a prefix of ONVIF's (`topic_prefix`)."""
        return f"{prefix}/{_PAYLOAD}/{self.topic}/&{self.token}"

    def payload(self) -> bytes:
        """The JSON event payload."""
        document = {"UtcTime": self.at, "Source": {self.topic.source: self.token}}
        return orjson.dumps({**document, "Data": dict(self.data)} if self.data else document)


def topic_prefix(site: SiteId, *, prefix: str) -> str:
    """What ONVIF calls the TopicPrefix: it names the site, uniquely at its broker."""
    return f"{prefix}/{site}"


def presence_topic(site: SiteId, *, prefix: str) -> str:
    """Where `online` is retained while somebody tells of the site, and `offline` when nobody does."""
    return f"{topic_prefix(site, prefix=prefix)}/outward"


def state_filters(prefix: str) -> list[str]:
    """What to subscribe to for every state below a prefix of ONVIF's."""
    return [f"{prefix}/{_PAYLOAD}/{topic}/+" for topic in Topic if topic.is_state]


def events_of(entry: PublicEntry, points: Points) -> tuple[OnvifEvent, ...]:
    """What an entry is in ONVIF's events, in order; nothing for most kinds. States are not here: see `DoorStates`.

    INVARIANT: of a door that is not one of its gate's own, nothing that a gate says is told.
    """
    tell, point = _TELLERS.get(entry.kind or ""), points.get(AccessPointId(entry.told("access_point") or ""))
    if tell is None or point is None or point.gate != entry.told("gate"):
        return ()
    told = tell(entry)
    if entry.body.get("alarm") is True and Reason.DURESS.code in entry.listed("reasons"):
        told = (*told, (Topic.DURESS, {**_credential(entry), "Reason": Reason.DURESS.code}))
    at = timestamp(entry.happened.at)
    return tuple(OnvifEvent(topic=topic, token=point.id, at=at, data=items) for topic, items in told)


def configuration_events(before: Points, after: Points, *, at: str) -> Iterator[OnvifEvent]:
    """What a change of policy or trust list is in ONVIF's events: which doors came, are otherwise, and went."""
    for token in dict.fromkeys([*before, *after]):
        if before.get(token) != after.get(token):
            changed = token in after
            for topic in (
                Topic.POINT_CHANGED if changed else Topic.POINT_REMOVED,
                Topic.DOOR_CHANGED if changed else Topic.DOOR_REMOVED,
            ):
                yield OnvifEvent(topic=topic, token=token, at=at, data={})


_Told = tuple[tuple[Topic, Mapping[str, str | bool]], ...]
_REASONS: Final = {reason.code: reason for reason in Reason}


def _credential(entry: PublicEntry, seq: int | None = None) -> dict[str, str | bool]:
    return {"CredentialToken": f"entry-{entry.seq if seq is None else seq}"}


def _granted(entry: PublicEntry) -> _Told:
    return ((Topic.GRANTED, _credential(entry)),)


def _waiting(entry: PublicEntry) -> _Told:
    return ((Topic.REQUEST, _credential(entry)),)


def _denied(entry: PublicEntry) -> _Told:
    reason = _REASONS.get(entry.told("reason") or "")
    word = OnvifReason.OTHER if reason is None or not reason.denies else reason.onvif
    if word is OnvifReason.CREDENTIAL_NOT_FOUND:
        # What was presented is personal; ONVIF lets the card be empty.
        return ((Topic.NOT_FOUND, {"Card": ""}),)
    # A guard's word comes from outside of the machine that decides.
    asked: dict[str, str | bool] = {"External": True} if reason is Reason.VERIFICATION_FAILED else {}
    denied = (Topic.DENIED, {**asked, **_credential(entry), "Reason": word.value})
    return ((Topic.REQUEST_TIMEOUT, {}), denied) if reason is Reason.VERIFICATION_TIMEOUT else (denied,)


def _taken(entry: PublicEntry) -> _Told:
    grant = entry.number("grant")
    if grant is None:
        return ((Topic.TAKEN_ANONYMOUS, {}),)
    return ((Topic.TAKEN, _credential(entry, grant)),)


def _not_taken(entry: PublicEntry) -> _Told:
    """Of a scan that was never granted, that nobody passed is no event."""
    grant = entry.number("grant")
    return () if grant is None else ((Topic.NOT_TAKEN, _credential(entry, grant)),)


def _reported(entry: PublicEntry) -> _Told:
    """Somebody was let through without a badge: on the button inside, by an operator's command, or by the device itself."""
    match entry.told("status"):
        case "exit_requested":
            return ((Topic.GRANTED_ANONYMOUS, {}),)
        case "opened" | "opened_itself":
            return ((Topic.GRANTED_ANONYMOUS, {"External": True}),)
        case _:
            return ()


_TELLERS: Final[Mapping[str, Callable[[PublicEntry], _Told]]] = {
    Kind.ACCESS_GRANTED: _granted,
    Kind.ACCESS_ACCOMPANIED: _granted,
    Kind.OFFLINE_GRANTED: _granted,
    Kind.ACCESS_WAITING: _waiting,
    Kind.ACCESS_DENIED: _denied,
    Kind.OFFLINE_DENIED: _denied,
    Kind.PASSAGE_TAKEN: _taken,
    Kind.PASSAGE_NOT_TAKEN: _not_taken,
    Kind.GATE_STATUS: _reported,
}
