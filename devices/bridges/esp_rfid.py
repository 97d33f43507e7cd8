"""Devices with esp-rfid that share a topic, as the fittings of a gate's access points.

A card that a device tells of is presented at each of its doors, as the device itself would open each that a card is for; a
grant becomes one command to that door's relay, never retained and at QoS 0. The relay falls by itself, so nothing is sent to secure
it: its `close` would prolong what it should end.

What the device opens by itself is told each time; the button beside a door is somebody who asks to leave.

A device is commanded by its address. When it tells of another one than gate.json has, that address may be another door's by
now, so its cards are presented no more until it is found where it should be.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, assert_never

from devices.bridges.esp_rfid_format import (
    Access,
    Alive,
    DoorMoved,
    OpenedItself,
    Told,
    opening,
    read_message,
)
from devices.bridges.fitted import BridgedDoor, Liveness, Publish
from devices.bridges.notices import Notices
from devices.bridges.overheard import Overheard
from devices.bridges.repeats import Echoes, Repeats, is_of_now
from devices.bridges.settings import EspRfidDoor, EspRfidSettings
from devices.hardware.ports import Fittings
from devices.link import Message, Route
from gatekeeper.model.ids import AccessPointId

__all__ = ["EspRfidBridge"]

_SAME_TOUCH: Final = 2.0
"""Seconds for which the firmware itself reads no second card."""
_OWN_ECHO: Final = 10.0
_BEATS_MISSED: Final = 3
_BUTTONS_RELAY: Final = 0


class _Device:
    """One device: its doors, and what was last heard of it."""

    def __init__(self, ip: str) -> None:
        self.ip = ip
        self.is_elsewhere = False
        self.repeats = Repeats(within=_SAME_TOUCH)
        self.echoes = Echoes(within=_OWN_ECHO)
        self.doors: dict[int | None, BridgedDoor] = {}
        self.lifelines: list[Liveness] = []

    def doors_of(self, relays: frozenset[int] | None) -> Iterator[BridgedDoor]:
        """The doors of these relays; of a door that has all relays, any is its own. All doors, when nobody says which."""
        for relay, door in self.doors.items():
            if relays is None or relay in relays or (relay is None and relays):
                yield door


class EspRfidBridge:
    """Readers, strikes and contacts of all doors of a bridge."""

    def __init__(
        self,
        publish: Publish,
        settings: EspRfidSettings,
        *,
        contacts: frozenset[AccessPointId],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._publish = publish
        self._now = now
        self._settings = settings
        self._devices: dict[str, _Device] = {}
        self._fittings: dict[AccessPointId, Fittings] = {}
        self.notices = Notices("esp-rfid")
        for door in settings.doors:
            self._fit(door, has_contact=door.access_point in contacts)

    @property
    def fittings(self) -> Mapping[AccessPointId, Fittings]:
        """What the agent needs of each access point."""
        return self._fittings

    @property
    def routes(self) -> dict[str, Route]:
        """What the link must listen to; what is retained is noticed, and nobody's wish to enter."""
        return {f"{self._settings.topic}/send": Route(self._hear, retained=True)}

    def _fit(self, door: EspRfidDoor, *, has_contact: bool) -> None:
        device = self._devices.setdefault(door.hostname, _Device(door.ip))
        lifeline = Liveness(_BEATS_MISSED * self._settings.heartbeat)
        fitted = BridgedDoor(
            release=partial(self._open, device, door.relay),
            has_contact=has_contact,
            liveness=lifeline,
            has_button=not door.relay,
        )
        device.doors[door.relay] = fitted
        device.lifelines.append(lifeline)
        self._fittings[door.access_point] = fitted.fittings

    def _open(self, device: _Device, relay: int | None, _lasting: timedelta) -> None:
        device.echoes.expect(at=asyncio.get_running_loop().time())
        topic, payload = opening(self._settings.topic, ip=device.ip, relay=relay)
        self._publish(topic, payload)

    def _hear(self, message: Message) -> None:
        if message.retained:
            self.notices.notice(Overheard.RETAINED)
            return
        told = read_message(message.payload, form=self._settings.cards)
        if isinstance(told, Overheard):
            self.notices.notice(told)
        elif (device := self._devices.get(told.hostname)) is None:
            self.notices.notice(Overheard.UNKNOWN)
        else:
            for lifeline in device.lifelines:
                lifeline.hear()
            self._take(device, told)

    def _take(self, device: _Device, told: Told) -> None:
        match told:
            case Access():
                self._card(device, told)
            case OpenedItself():
                self._opened(device, told)
            case DoorMoved(opened=opened):
                for door in device.doors.values():
                    door.feel(opened=opened)
            case Alive(ip=ip):
                device.is_elsewhere = ip != device.ip
                if device.is_elsewhere:
                    self.notices.notice(Overheard.ELSEWHERE)
            case _:
                assert_never(told)

    def _card(self, device: _Device, shown: Access) -> None:
        # Whatever else is the matter with the message: a door is open that Gatekeeper did not open.
        if shown.let_in:
            self._bypassed(device.doors_of(shown.opened))
        if shown.card is None:
            self.notices.notice(Overheard.NO_NUMBER)
        elif shown.at is not None and not is_of_now(shown.at, now=self._now()):
            self.notices.notice(Overheard.LATE)
        elif device.is_elsewhere:
            self.notices.notice(Overheard.ELSEWHERE)
        elif device.repeats.is_repeat(shown.card, at=asyncio.get_running_loop().time()):
            self.notices.notice(Overheard.REPEATED)
        else:
            for door in device.doors.values():
                door.present(shown.card)

    def _opened(self, device: _Device, opened: OpenedItself) -> None:
        if not opened.told:
            self.notices.notice(Overheard.OTHER)
            for door in device.doors_of(frozenset({_BUTTONS_RELAY})):
                door.ask_to_leave()
            return
        if device.echoes.is_ours(at=asyncio.get_running_loop().time()):
            self.notices.notice(Overheard.OTHER)
        else:
            self._bypassed(device.doors.values())

    def _bypassed(self, doors: Iterable[BridgedDoor]) -> None:
        self.notices.notice(Overheard.OPENED_ITSELF)
        for door in doors:
            door.opened_itself()
