"""Doors of UHPPOTE controllers behind uhppoted-mqtt, as the fittings of a gate's access points.

A controller tells of a card and denies it, because it holds none but the one in whose name the gateway opens; the service
decides, and a grant becomes one request, never retained and at QoS 0. The lock falls by itself after the controller's own delay. That a
request was refused is heard from its reply, and noticed: nobody went through, and a contact will say so.

An event that is not new (`EventOrder`) moves nothing, and neither does a card that was not shown just now by the gate's clock: the
gateway also tells of what it missed. A door that was opened past Gatekeeper is told of however late.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, assert_never

from devices.bridges.fitted import BridgedDoor, Publish
from devices.bridges.notices import Notices
from devices.bridges.overheard import Overheard
from devices.bridges.repeats import Echoes, Repeats, is_of_now
from devices.bridges.settings import UhppotedDoor, UhppotedSettings
from devices.bridges.uhppoted_format import (
    DoorMoved,
    DoorOpened,
    Event,
    EventOrder,
    Happened,
    How,
    OtherEvent,
    Refusal,
    Swipe,
    opening,
    read_event,
    read_reply,
    reply_topic,
)
from devices.hardware.ports import Fittings
from devices.link import Message, Route
from gatekeeper.model.ids import AccessPointId, GateId

__all__ = ["UhppotedBridge"]

_REQUEST_BYTES: Final = 8
_OWN_ECHO: Final = 10.0


class _Reader:
    """One reader of a door."""

    def __init__(self, fitted: BridgedDoor) -> None:
        self.fitted = fitted
        self.repeats = Repeats()


class UhppotedBridge:
    """Readers, strikes and contacts of all doors of a bridge."""

    def __init__(
        self,
        publish: Publish,
        settings: UhppotedSettings,
        *,
        gate: GateId,
        contacts: frozenset[AccessPointId],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._publish = publish
        self._settings = settings
        self._gate = gate
        self._now = now
        self._orders = {door.device: EventOrder(settings.rollover) for door in settings.doors}
        self._readers: dict[tuple[int, int, int], _Reader] = {}
        # INVARIANT: of the settings' doors only: a controller may tell of any door, and nothing is kept of those.
        self._echoes = {(door.device, door.door): Echoes(within=_OWN_ECHO) for door in settings.doors}
        self._fittings: dict[AccessPointId, Fittings] = {}
        self.notices = Notices("uhppoted")
        for door in settings.doors:
            fitted = BridgedDoor(
                release=partial(self._open, door),
                has_contact=door.access_point in contacts,
                has_button=True,
            )
            self._readers[door.device, door.door, door.reader] = _Reader(fitted)
            self._fittings[door.access_point] = fitted.fittings

    @property
    def fittings(self) -> Mapping[AccessPointId, Fittings]:
        """What the agent needs of each access point."""
        return self._fittings

    @property
    def routes(self) -> dict[str, Route]:
        """What the link must listen to. The gateway retains its events, unless told not to: what is retained is noticed, and no more."""
        root = self._settings.topic
        events = Route(self._hear, retained=True)
        return {
            f"{root}/events": events,
            f"{root}/events/live": events,
            reply_topic(root, self._gate): Route(self._reply, retained=True),
        }

    def _open(self, door: UhppotedDoor, _lasting: timedelta) -> None:
        self._echoes[door.device, door.door].expect(at=asyncio.get_running_loop().time())
        topic, payload = opening(
            self._settings.topic,
            device=door.device,
            door=door.door,
            card_number=self._settings.card_number,
            client=self._gate,
            request=secrets.token_hex(_REQUEST_BYTES),
            key=self._settings.key,
        )
        self._publish(topic, payload)

    def _hear(self, message: Message) -> None:
        if message.retained:
            self.notices.notice(Overheard.RETAINED)
            return
        event = read_event(message.payload, key=self._settings.key, zone=self._settings.time_zone)
        if isinstance(event, Overheard):
            self.notices.notice(event)
            return
        if event.device not in self._orders:
            self.notices.notice(Overheard.UNKNOWN)
            return
        why = self._orders[event.device].take(event, now=self._now())
        if why is not None:
            self.notices.notice(why)
        else:
            self._take(event)

    def _take(self, event: Happened) -> None:
        match event:
            case Swipe():
                self._card(event)
            case DoorMoved():
                for fitted in self._doors_of(event):
                    fitted.feel(opened=event.opened)
            case DoorOpened():
                self._opened(event)
            case OtherEvent():
                self.notices.notice(Overheard.OTHER)
            case _:
                assert_never(event)

    def _card(self, swipe: Swipe) -> None:
        reader = self._readers.get((swipe.device, swipe.door, swipe.direction))
        if swipe.let_in:
            self._bypassed([reader.fitted] if reader is not None else self._doors_of(swipe))
        # A card that was shown long ago is nobody's wish to enter.
        if not is_of_now(swipe.at, now=self._now()):
            self.notices.notice(Overheard.LATE)
        elif reader is None:
            self.notices.notice(Overheard.UNKNOWN)
        elif swipe.card is None:
            self.notices.notice(Overheard.NO_NUMBER)
        elif reader.repeats.is_repeat(swipe.card, at=asyncio.get_running_loop().time()):
            self.notices.notice(Overheard.REPEATED)
        else:
            reader.fitted.present(swipe.card)

    def _opened(self, opened: DoorOpened) -> None:
        doors = self._doors_of(opened)
        echoes = self._echoes.get((opened.device, opened.door))
        match opened.how:
            case How.BUTTON:
                self.notices.notice(Overheard.OTHER)
                for fitted in doors[:1]:
                    fitted.ask_to_leave()
            case How.FROM_AFAR if echoes is not None and echoes.is_ours(at=asyncio.get_running_loop().time()):
                self.notices.notice(Overheard.OTHER)
            case How.FORCE if any(fitted.has_contact for fitted in doors):
                # Its contact says so.
                self.notices.notice(Overheard.ALARM)
            case How.FROM_AFAR | How.CODE | How.FORCE:
                self._bypassed(doors)
            case _:
                assert_never(opened.how)

    def _bypassed(self, doors: list[BridgedDoor]) -> None:
        """Tell of a door that was opened past Gatekeeper: once, though one goes in and out by it."""
        self.notices.notice(Overheard.OPENED_ITSELF)
        for fitted in doors[:1]:
            fitted.opened_itself()

    def _doors_of(self, event: Event) -> list[BridgedDoor]:
        """The access points by which one goes through the door of an event."""
        return [
            reader.fitted
            for (device, door, _), reader in self._readers.items()
            if (device, door) == (event.device, event.door)
        ]

    def _reply(self, message: Message) -> None:
        if message.retained:
            self.notices.notice(Overheard.RETAINED)
            return
        reply = read_reply(message.payload, key=self._settings.key)
        self.notices.notice(Overheard.REFUSED_TO_OPEN if isinstance(reply, Refusal) else reply)
