"""That the gate is there, said on its link topic; and what the broker says there when it is not.

    a connection begins     the will of the next one is signed beforehand: down, by its number
    while it lasts          up, with the newest beacon and the snapshot that is held: at its first fresh beacon, when another
                            snapshot is taken, and once a minute

Both are retained. It opens nothing, stands in no stream and is not answered: who hears it knows that the gate was there when
its beacon was fresh, and no more. Without a fresh beacon it says nothing, for nobody is there to hear it.
"""

from datetime import timedelta
from typing import Final

from devices.core.belief import Beacons
from devices.core.events import Bequeath, Retain
from devices.core.standby import Standby
from devices.core.turn import Turn
from gatekeeper import cose
from gatekeeper.model.ids import BootId
from gatekeeper.model.messages import LINK_PERIOD, LINK_TYPE, Link

__all__ = ["Linking"]


class Linking:
    """One gate's word on its own link."""

    def __init__(
        self,
        *,
        turn: Turn,
        beacons: Beacons,
        standby: Standby,
        topic: str,
        key: cose.SigningKey,
        boot: BootId,
    ) -> None:
        self._turn: Final = turn
        self._beacons: Final = beacons
        self._standby: Final = standby
        self._topic: Final = topic
        self._key: Final = key
        self._boot: Final = boot
        self._connection = 0
        self._linked = False
        self._said: tuple[float, bytes | None] | None = None
        """When it was said last in this connection, and which snapshot was held then."""

    def prepare(self) -> None:
        """Have the broker say of the next connection that it is lost, once it is."""
        self._connection += 1
        self._turn.do(Bequeath(topic=self._topic, payload=self._signed(up=False, snapshot=None, beacon=None)))

    def link(self, *, up: bool) -> None:
        """The link came, or went."""
        self._linked, self._said = up, None
        if up:
            self.say()
        else:
            self.prepare()

    def say(self) -> None:
        """Say that the gate is there, when that is news or was said long ago."""
        beacon, snapshot = self._beacons.fresh(at=self._turn.at), self._standby.digest
        if self._linked and beacon is not None and self._is_due(snapshot):
            self._said = (self._turn.at, snapshot)
            said = self._signed(up=True, snapshot=snapshot, beacon=beacon)
            self._turn.do(Retain(topic=self._topic, payload=said))

    def _is_due(self, snapshot: bytes | None) -> bool:
        newest = self._beacons.newest
        if self._said is None or newest is None:
            return True
        at, said = self._said
        # It is asked when a beacon comes: at the next one it would be too late.
        return said != snapshot or timedelta(seconds=self._turn.at - at) > LINK_PERIOD - newest.period

    def _signed(self, *, up: bool, snapshot: bytes | None, beacon: bytes | None) -> bytes:
        link = Link(boot=self._boot, connection=self._connection, up=up, snapshot=snapshot, beacon=beacon)
        return cose.sign(link.payload(), key=self._key, typ=LINK_TYPE, external_aad=self._topic.encode())
