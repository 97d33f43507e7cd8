"""Doors of an ONVIF access controller, by what it publishes as an event broker's client, as the fittings of access points.

A card that the controller tells of is presented like any other. ONVIF has no message that opens a door over a broker; where
gate.json names one (a rule of the controller, or a relay beside it, that acts on a message), a grant becomes that message, never retained and
at QoS 0, and whatever hears it lets the door fall back by itself. Without one the controller opens for whom it likes, and Gatekeeper writes
down who came, what it would have said, and what the door did.

What the controller opened by itself is told each time. Where it decides by itself, that is what Gatekeeper does not grant as well,
within a while.

A door's state is taken from the broker's memory when the gate starts, as a contact tells how it is; an event never.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final, assert_never

from devices.bridges.fitted import BridgedDoor, Publish
from devices.bridges.notices import Notices
from devices.bridges.onvif_format import (
    DOOR_TOPICS,
    POINT_TOPICS,
    Alarm,
    Asked,
    DoorState,
    LetIn,
    LetOut,
    Shown,
    State,
    Tamper,
    Touch,
    read_state,
    read_touch,
    topics_of,
)
from devices.bridges.overheard import Overheard
from devices.bridges.repeats import Echoes, Newest, Question, Repeats, is_of_now
from devices.bridges.settings import OnvifDoor, OnvifSettings
from devices.hardware.ports import Fittings
from devices.link import Message, Route
from gatekeeper.model.badges import Card
from gatekeeper.model.ids import AccessPointId

__all__ = ["OnvifBridge"]

_DECIDED_WITHIN: Final = 60.0
"""Seconds in which a controller ends what it asked for: its grant or denial is of the same touch."""
_OWN_ECHO: Final = 10.0
_AGREED_WITHIN: Final = 10.0
_MOST_AWAITED: Final = 64
_REMEMBERED: Final = 256
"""More touches than there are within the bound of their time: one that comes again is known."""


class _Point:
    """An access point: what was last shown there, and what opens its door."""

    def __init__(self, door: OnvifDoor, *, has_contact: bool, release: Callable[["_Point"], None]) -> None:
        self.open = door.open
        self.fitted = BridgedDoor(
            release=lambda _lasting: release(self),
            has_contact=has_contact,
            feels_tamper=door.door_token is not None,
            has_button=True,
        )
        self.repeats = Repeats()
        self.heard: deque[Touch] = deque(maxlen=_REMEMBERED)
        self.asked = Question(within=_DECIDED_WITHIN)

        # Who opened: we, or the controller, of whose openings these await that Gatekeeper grants them as well.
        self.released = float("-inf")
        self.echoes = Echoes(within=_OWN_ECHO)
        self.awaited: deque[asyncio.TimerHandle] = deque()


class _Doorway:
    """A door, at one or more access points: the newest word on each of its states, and when it was last forced."""

    def __init__(self) -> None:
        self.points: list[_Point] = []
        self.newest: dict[str, Newest] = {}
        self.forced: datetime | None = None


class OnvifBridge:
    """Readers, strikes and contacts of all doors of a bridge."""

    def __init__(
        self,
        publish: Publish,
        settings: OnvifSettings,
        *,
        contacts: frozenset[AccessPointId],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        agreed_within: float = _AGREED_WITHIN,
    ) -> None:
        self._publish = publish
        self._now = now
        self._agreed_within = agreed_within
        self._routes: dict[str, Route] = {}
        self._fittings: dict[AccessPointId, Fittings] = {}
        self.notices = Notices("onvif")
        doorways: dict[str, _Doorway] = {}
        for door in settings.doors:
            point = _Point(door, has_contact=door.access_point in contacts, release=self._open)
            self._fittings[door.access_point] = point.fitted.fittings
            self._listen(settings.topic, POINT_TOPICS, door.token, partial(self._access, point))
            if door.door_token is not None:
                doorway = doorways.setdefault(door.door_token, _Doorway())
                doorway.points.append(point)
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

    def _open(self, point: _Point) -> None:
        if point.awaited:
            point.awaited.popleft().cancel()
        else:
            point.echoes.expect(at=asyncio.get_running_loop().time())
        if point.open is not None:
            point.released = asyncio.get_running_loop().time()
            topic, payload = point.open
            self._publish(topic, payload)

    # -- events: nobody's wish to enter comes from memory -------------------------------------------------------------

    def _access(self, point: _Point, local: str, token: str, message: Message) -> None:
        if message.retained:
            self.notices.notice(Overheard.RETAINED)
            return
        touch = read_touch(local, message.payload, token=token)
        if isinstance(touch, Overheard):
            self.notices.notice(touch)
        elif touch in point.heard:
            self.notices.notice(Overheard.REPEATED)
        else:
            point.heard.append(touch)
            self._touch(point, touch)

    def _touch(self, point: _Point, touch: Touch) -> None:
        match touch:
            case Shown() | Asked():
                self._card(point, touch)
            case LetIn():
                self._let_in(point)
            case LetOut():
                self.notices.notice(Overheard.OTHER)
                point.fitted.ask_to_leave()
            case _:
                assert_never(touch)

    def _card(self, point: _Point, touch: Shown | Asked) -> None:
        if touch.card is None:
            self.notices.notice(Overheard.NO_NUMBER)
        elif not is_of_now(touch.at, now=self._now()):
            self.notices.notice(Overheard.LATE)
        elif point.repeats.is_repeat(touch.card, at=touch.at.timestamp()):
            self.notices.notice(Overheard.REPEATED)
            return
        elif self._is_answer(point, touch, touch.card):
            self.notices.notice(Overheard.REPEATED)
        else:
            point.fitted.present(touch.card)
        # Whatever the time of the word, a door is open.
        if isinstance(touch, Shown) and touch.let_in:
            self._let_in(point)

    def _is_answer(self, point: _Point, touch: Shown | Asked, card: Card) -> bool:
        """Whether a touch is the controller's own answer to what it asked about before."""
        now = asyncio.get_running_loop().time()
        if isinstance(touch, Shown):
            return point.asked.ends_with(card, at=now)
        point.asked.begin(card, at=now)
        return False

    # -- what the controller opens ----------------------------------------------------------------------------------------

    def _let_in(self, point: _Point) -> None:
        """The controller let somebody in: on our word, on its own, or, where it decides, perhaps as Gatekeeper decides too."""
        loop = asyncio.get_running_loop()
        if point.echoes.is_ours(at=loop.time()):
            self.notices.notice(Overheard.OTHER)
        elif point.open is not None or len(point.awaited) >= _MOST_AWAITED:
            self._bypassed(point)
        else:
            point.awaited.append(loop.call_later(self._agreed_within, self._not_agreed, point))

    def _not_agreed(self, point: _Point) -> None:
        point.awaited.popleft()
        self._bypassed(point)

    def _bypassed(self, point: _Point) -> None:
        self.notices.notice(Overheard.OPENED_ITSELF)
        point.fitted.opened_itself()

    def _forced(self, doorway: _Doorway, at: datetime) -> None:
        """A door was forced, says the controller: told where no contact does, and where not we have opened it."""
        now, before = asyncio.get_running_loop().time(), doorway.forced
        doorway.forced = at
        quiet = any(point.fitted.has_contact or now - point.released < _OWN_ECHO for point in doorway.points)
        if at != before and not quiet:
            self._bypassed(doorway.points[0])

    # -- states: how things are, also when they come from memory -------------------------------------------------------

    def _state(self, doorway: _Doorway, local: str, token: str, message: Message) -> None:
        state = read_state(local, message.payload, token=token)
        if isinstance(state, Overheard):
            self.notices.notice(state)
            return
        newest = doorway.newest.setdefault(local, Newest())
        if newest.take(state.at, alarming=_is_alarming(state), now=self._now()):
            self._be(doorway, state)
        else:
            self.notices.notice(Overheard.LATE)

    def _be(self, doorway: _Doorway, state: State) -> None:
        match state:
            case DoorState(opened=opened) if opened is not None:
                for point in doorway.points:
                    point.fitted.feel(opened=opened)
            case Tamper(opened=opened) if opened is not None:
                for point in doorway.points:
                    point.fitted.tamper(opened=opened)
            case Alarm(raised=True):
                self.notices.notice(Overheard.ALARM)
                if state.forced:
                    self._forced(doorway, state.at)
            case DoorState() | Tamper() | Alarm():
                self.notices.notice(Overheard.OTHER)
            case _:
                assert_never(state)


def _is_alarming(state: State) -> bool:
    return state.raised if isinstance(state, Alarm) else state.opened is True
