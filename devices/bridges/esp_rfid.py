"""Devices with esp-rfid that share a topic, as the fittings of a gate's access points.

A card that a device tells of is presented at each of its doors, as the device itself would open each that a card is for; a
grant becomes one command to that door's relay, never retained and at QoS 0. The relay falls by itself, so nothing is sent to secure
it: its `close` would prolong what it should end.

A device is commanded by its address. When it tells of another one than gate.json has, that address may be another door's by
now, so its cards are presented no more until it is found where it should be.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
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
from devices.bridges.repeats import Repeats
from devices.bridges.settings import EspRfidDoor, EspRfidSettings
from devices.hardware.ports import Fittings
from devices.link import Message, Route
from gatekeeper.model.ids import AccessPointId

__all__ = ["EspRfidBridge"]

_SAME_TOUCH: Final = 2.0
"""Seconds for which the firmware itself reads no second card."""
_OWN_ECHO: Final = 10.0
_BEATS_MISSED: Final = 3


class _Device:
    """One device: its doors, and what was last heard of it."""

    def __init__(self, ip: str) -> None:
        self.ip = ip
        self.is_elsewhere = False
        self.repeats = Repeats(within=_SAME_TOUCH)
        self.commanded = float("-inf")
        self.doors: list[BridgedDoor] = []
        self.lifelines: list[Liveness] = []


class EspRfidBridge:
    """Readers, strikes and contacts of all doors of a bridge."""

    def __init__(
        self, publish: Publish, settings: EspRfidSettings, *, contacts: frozenset[AccessPointId]
    ) -> None:
        self._publish = publish
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
            release=partial(self._open, device, door.relay), has_contact=has_contact, liveness=lifeline
        )
        device.doors.append(fitted)
        device.lifelines.append(lifeline)
        self._fittings[door.access_point] = fitted.fittings

    def _open(self, device: _Device, relay: int | None, _lasting: timedelta) -> None:
        device.commanded = asyncio.get_running_loop().time()
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
                for door in device.doors:
                    door.feel(opened=opened)
            case Alive(ip=ip):
                device.is_elsewhere = ip != device.ip
                if device.is_elsewhere:
                    self.notices.notice(Overheard.ELSEWHERE)
            case _:
                assert_never(told)

    def _card(self, device: _Device, shown: Access) -> None:
        if shown.let_in:
            self.notices.notice(Overheard.OPENED_ITSELF)
        if device.is_elsewhere:
            self.notices.notice(Overheard.ELSEWHERE)
        elif device.repeats.is_repeat(shown.card, at=asyncio.get_running_loop().time()):
            self.notices.notice(Overheard.REPEATED)
        else:
            for door in device.doors:
                door.present(shown.card)

    def _opened(self, device: _Device, opened: OpenedItself) -> None:
        ours = opened.told and asyncio.get_running_loop().time() - device.commanded < _OWN_ECHO
        self.notices.notice(Overheard.OTHER if ours else Overheard.OPENED_ITSELF)
