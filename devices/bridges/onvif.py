"""Doors of an ONVIF access controller, by what it publishes as an event broker's client, as the fittings of access points.

A card that the controller tells of is presented like any other. ONVIF has no message that opens a door over a broker; where
gate.json names one (a rule of the controller, or a relay beside it, that acts on a message), a grant becomes that message, never retained and
at QoS 0, and whatever hears it lets the door fall back by itself. Without one the controller opens for whom it likes, and Gatekeeper writes
down who came, what it would have said, and what the door did.

A door's state is taken from the broker's memory when the gate starts, as a contact tells how it is; an event never.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, assert_never

from devices.bridges.fitted import BridgedDoor, Publish
from devices.bridges.notices import Notices
from devices.bridges.onvif_format import (
    DOOR_TOPICS,
    POINT_TOPICS,
    Alarm,
    DoorState,
    Shown,
    Tamper,
    Touch,
    read_state,
    read_touch,
    topics_of,
)
from devices.bridges.overheard import Overheard
from devices.bridges.repeats import Asked, Repeats, is_of_now
from devices.bridges.settings import OnvifDoor, OnvifSettings
from devices.hardware.ports import Fittings
from devices.link import Message, Route
from gatekeeper.model.ids import AccessPointId

__all__ = ["OnvifBridge"]

_DECIDED_WITHIN: Final = 60.0
"""Seconds in which a controller ends what it asked for: its grant or denial is of the same touch."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class _Point:
    """An access point: what was last shown there."""

    def __init__(self, fitted: BridgedDoor) -> None:
        self.fitted = fitted
        self.repeats = Repeats()
        self.newest = _LONG_AGO
        self.asked = Asked(within=_DECIDED_WITHIN)


class _Doorway:
    """A door, at one or more access points: when each of its states was last told."""

    def __init__(self) -> None:
        self.points: list[BridgedDoor] = []
        self.newest: dict[str, datetime] = {}


class OnvifBridge:
    """Readers, strikes and contacts of all doors of a bridge."""

    def __init__(
        self,
        publish: Publish,
        settings: OnvifSettings,
        *,
        contacts: frozenset[AccessPointId],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._publish = publish
        self._now = now
        self._routes: dict[str, Route] = {}
        self._fittings: dict[AccessPointId, Fittings] = {}
        self.notices = Notices("onvif")
        doorways: dict[str, _Doorway] = {}
        for door in settings.doors:
            fitted = BridgedDoor(
                release=partial(self._open, door),
                has_contact=door.access_point in contacts,
                feels_tamper=door.door_token is not None,
            )
            self._fittings[door.access_point] = fitted.fittings
            self._listen(settings.topic, POINT_TOPICS, door.token, partial(self._access, _Point(fitted)))
            if door.door_token is not None:
                doorway = doorways.setdefault(door.door_token, _Doorway())
                doorway.points.append(fitted)
                self._listen(settings.topic, DOOR_TOPICS, door.door_token, partial(self._state, doorway))

    @property
    def fittings(self) -> Mapping[AccessPointId, Fittings]:
        """What the agent needs of each access point."""
        return self._fittings

    @property
    def routes(self) -> dict[str, Route]:
        """What the link must listen to."""
        return self._routes

    def _listen(
        self, prefix: str, heard: tuple[str, ...], token: str, take: Callable[[str, str, Message], None]
    ) -> None:
        for topic, local in topics_of(prefix, heard, token).items():
            self._routes[topic] = Route(partial(take, local, token), retained=True)

    def _open(self, door: OnvifDoor, _lasting: timedelta) -> None:
        if door.open is not None:
            topic, payload = door.open
            self._publish(topic, payload)

    # -- events: nobody's wish to enter comes from memory -------------------------------------------------------------

    def _access(self, point: _Point, local: str, token: str, message: Message) -> None:
        if message.retained:
            self.notices.notice(Overheard.RETAINED)
            return
        touch = read_touch(local, message.payload, token=token)
        if isinstance(touch, Overheard):
            self.notices.notice(touch)
        elif touch.at < point.newest or not is_of_now(touch.at, now=self._now()):
            self.notices.notice(Overheard.LATE)
        else:
            point.newest = touch.at
            self._touch(point, touch)

    def _touch(self, point: _Point, touch: Touch) -> None:
        if isinstance(touch, Shown) and touch.let_in:
            self.notices.notice(Overheard.OPENED_ITSELF)
        if self._is_known(point, touch):
            self.notices.notice(Overheard.REPEATED)
        else:
            point.fitted.present(touch.card)

    def _is_known(self, point: _Point, touch: Touch) -> bool:
        """Whether a touch is one that was told of already."""
        if point.repeats.is_repeat(touch.card, at=touch.at.timestamp()):
            return True
        now = asyncio.get_running_loop().time()
        if isinstance(touch, Shown):
            return point.asked.ends_with(touch.card, at=now)
        point.asked.begin(touch.card, at=now)
        return False

    # -- states: how things are, also when they come from memory -------------------------------------------------------

    def _state(self, doorway: _Doorway, local: str, token: str, message: Message) -> None:
        state = read_state(local, message.payload, token=token)
        if isinstance(state, Overheard):
            self.notices.notice(state)
            return
        if state.at < doorway.newest.get(local, _LONG_AGO):
            self.notices.notice(Overheard.LATE)
            return
        doorway.newest[local] = state.at
        match state:
            case DoorState(opened=opened) if opened is not None:
                for fitted in doorway.points:
                    fitted.feel(opened=opened)
            case Tamper(opened=opened) if opened is not None:
                for fitted in doorway.points:
                    fitted.tamper(opened=opened)
            case Alarm(raised=True):
                self.notices.notice(Overheard.ALARM)
            case DoorState() | Tamper() | Alarm():
                self.notices.notice(Overheard.OTHER)
            case _:
                assert_never(state)
