"""What is the case at the doors of a site, as far as the log tells: ONVIF's property events.

A fold over entries: the same entries give the same words. What they do not tell is `Unknown`, and where ONVIF has no such
word (an alarm) there is none. Doors are access points here: each has a strike and a contact of its own.

    Enabled            no lockdown is in force here
    DoorMode           what the service has ordered: Locked, Accessed after a grant, LockedDown; Unknown until the gate is heard,
                       and while it tells of fire, for it may have released its doors
    DoorPhysicalState  what the contact said: a gate tells of every closing only at a door that others wait for, else only
                       of one after an alarm; so an ordinary door is Unknown from a passage on
    DoorAlarm          DoorForcedOpen or DoorOpenTooLong until the door is closed again, or somebody was let through it
    DoorTamper         what the gate says of its housing
    DoorFault          FaultDetected while its gate is silent; what the contact says is Unknown from then on

INVARIANT: what a gate says of another gate's doors changes nothing; nor does an older word of a gate that comes late.
INVARIANT: a gate that starts anew ends no alarm: cutting its power must not.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gatekeeper.core.audit import Kind, timestamp
from gatekeeper.core.export.feeds import PublicEntry
from gatekeeper.core.export.onvif.events import OnvifEvent, Points, Topic
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.policy import Point

__all__ = ["DoorStates"]

_Word = str | bool
_Key = tuple[AccessPointId, Topic]


@dataclass(slots=True)
class _Door:
    """What was heard of one door; `heard` is the last boot and number.

    `released` is until when its strike may be released, `granted` the entry of the grant that it was released on, if any.
    """

    physical: str = "Unknown"
    alarm: str | None = None
    tamper: str = "Unknown"
    burning: bool = False
    released: datetime | None = None
    granted: int | None = None
    heard: tuple[str, int] | None = None

    def hear(self, entry: PublicEntry, *, unlock: timedelta, tells_closing: bool) -> None:
        """Take what an entry says of this door, which is released for so long, and of whose every closing the gate tells or not."""
        match entry.kind:
            case Kind.ACCESS_GRANTED:
                self.released, self.granted = entry.instant + unlock, entry.seq
            case Kind.GATE_HELLO:
                self.physical, self.burning, self.released, self.heard = "Unknown", False, None, None
            case Kind.GATE_SILENT:
                self.physical = "Unknown"
            case Kind.GATE_STATUS:
                self._report(entry, unlock=unlock)
            case Kind.PASSAGE_NOT_TAKEN if self._is_news(entry) and entry.number("grant") in {
                None,
                self.granted,
            }:
                # Else it is released again by now, on the next grant.
                self.released = None
            case Kind.PASSAGE_TAKEN if self._is_news(entry):
                # Nobody is let through a door that stands open, so one that was forced or held was closed before.
                self.released, self.alarm = None, "Normal"
                self.physical = "Open" if tells_closing else "Unknown"
            case Kind.PASSAGE_FORCED if self._is_news(entry):
                self.physical, self.alarm = "Open", "DoorForcedOpen"
            case Kind.PASSAGE_HELD_OPEN if self._is_news(entry):
                self.physical, self.alarm = "Open", "DoorOpenTooLong"
            case _:
                pass

    def _report(self, entry: PublicEntry, *, unlock: timedelta) -> None:
        match entry.told("status"):
            case "tamper":
                self.tamper = "TamperDetected"
            case "tamper_cleared":
                self.tamper = "NotInTamper"
            case "offline":
                self.physical = "Unknown"
            case "fire" | "fire_cleared" as said:
                # A door that is released for a fire is opened without a word.
                self.physical, self.burning = "Unknown", said == "fire"
            case "exit_requested" | "opened" if entry.told("access_point"):
                self.released, self.granted = entry.instant + unlock, None
            case "closed_again" if entry.told("access_point") and self._is_news(entry):
                self.physical, self.alarm = "Closed", "Normal"
            case _:
                pass

    def _is_news(self, entry: PublicEntry) -> bool:
        """Whether no later word of the same boot was heard: messages may overtake one another."""
        boot, number = entry.told("boot") or "", entry.number("sequence") or 0
        if self.heard is not None and self.heard[0] == boot and self.heard[1] > number:
            return False
        self.heard = (boot, number)
        return True


class DoorStates:
    """The states of doors. `at` is since when what is not known is not known."""

    def __init__(self, points: Points, *, lockdowns: Collection[str], at: datetime) -> None:
        self._doors: dict[AccessPointId, _Door] = {}
        self._gates: set[GateId] = set()
        self._silent: set[GateId] = set()
        self._lockdowns = frozenset(lockdowns)
        self._words: dict[_Key, tuple[_Word, str]] = {}
        self._changed: dict[_Key, None] = {}
        self._points: Points = {}
        self._of_gate: Mapping[GateId, list[Point]] = {}
        self._tells_closing: frozenset[AccessPointId] = frozenset()
        self.adopt(points, at=timestamp(at))

    @property
    def points(self) -> Points:
        """The doors that are told of."""
        return self._points

    def adopt(self, points: Points, *, at: str) -> None:
        """Go on with these doors: one that is not among them is told of no more, one at another gate is a new one."""
        of_gate = defaultdict(list)
        for point in points.values():
            of_gate[point.gate].append(point)
        same = {
            name for name, one in self._points.items() if name in points and points[name].gate == one.gate
        }
        self._points, self._of_gate = points, dict(of_gate)
        self._gates &= of_gate.keys()
        self._silent &= of_gate.keys()
        self._tells_closing = frozenset(door for point in points.values() for door in point.interlocked)
        self._doors = {name: self._doors[name] if name in same else _Door() for name in points}
        for key in [key for key in self._words if key[0] not in points]:
            self._put(key, None)
        self._say(points.values(), at=at)

    def take(self, entry: PublicEntry) -> None:
        """Take one entry, in order."""
        if entry.kind == Kind.LOCKDOWN_CHANGED:
            self._lockdown(entry)
            return
        gate = GateId(entry.told("gate") or "")
        if gate not in self._of_gate:
            return
        is_back = entry.kind == Kind.GATE_HEARD
        if entry.kind == Kind.GATE_SILENT:
            self._silent.add(gate)
        elif is_back or gate not in self._gates:
            self._gates.add(gate)
            if is_back:
                self._silent.discard(gate)
            self._say(self._of_gate[gate], at=entry.at)
        changed = list(self._concerned(entry, gate))
        for point in changed:
            closing = point.id in self._tells_closing
            self._doors[point.id].hear(entry, unlock=point.unlock, tells_closing=closing)
        self._say(changed, at=timestamp(entry.happened.at))

    def pass_time(self, now: datetime) -> None:
        """Strikes are secured again when their time is over."""
        for name, door in self._doors.items():
            if door.released is not None and door.released <= now:
                until, door.released = door.released, None
                self._say([self._points[name]], at=timestamp(until))

    @property
    def next_due(self) -> datetime | None:
        """When time alone changes a state, next."""
        return min((door.released for door in self._doors.values() if door.released), default=None)

    def changes(self) -> Iterator[OnvifEvent]:
        """Every word that is another than when this was asked last, since when; without items, it stands no more."""
        changed, self._changed = self._changed, {}
        for key in changed:
            word, at = self._words.get(key, (None, ""))
            (point, topic), items = key, {} if word is None else {"State": word}
            yield OnvifEvent(topic=topic, token=point, at=at, data=items)

    def _concerned(self, entry: PublicEntry, gate: GateId) -> Iterator[Point]:
        """The gate's own door that the entry names, or, when it names none, all of them."""
        named = entry.told("access_point")
        for point in self._of_gate[gate]:
            if named in {None, point.id}:
                yield point

    def _lockdown(self, entry: PublicEntry) -> None:
        scope = frozenset({entry.told("scope") or ""})
        on = entry.body.get("on") is True
        self._lockdowns = self._lockdowns | scope if on else self._lockdowns - scope
        self._say(self._points.values(), at=entry.at)

    def _say(self, points: Iterable[Point], *, at: str) -> None:
        for point in points:
            for topic, word in self._words_of(point, self._doors[point.id]):
                said = self._words.get((point.id, topic))
                if word != (None if said is None else said[0]):
                    # What is told late takes the place of what was told before, and is not older than it.
                    since = at if said is None else max(at, said[1])
                    self._put((point.id, topic), None if word is None else (word, since))

    def _put(self, key: _Key, said: tuple[_Word, str] | None) -> None:
        self._changed[key] = None
        if said is None:
            self._words.pop(key, None)
        else:
            self._words[key] = said

    def _words_of(self, point: Point, door: _Door) -> Iterator[tuple[Topic, _Word | None]]:
        free = self._lockdowns.isdisjoint(point.scopes)
        yield Topic.ENABLED, free
        yield Topic.MODE, self._mode(point, door, free=free)
        yield Topic.PHYSICAL, door.physical
        yield Topic.ALARM, door.alarm
        yield Topic.TAMPER, door.tamper
        yield Topic.FAULT, self._fault(point)

    def _fault(self, point: Point) -> str:
        if point.gate in self._silent:
            return "FaultDetected"
        return "NotInFault" if point.gate in self._gates else "Unknown"

    def _mode(self, point: Point, door: _Door, *, free: bool) -> str:
        if door.burning:
            return "Unknown"
        if not free:
            return "LockedDown"
        if point.gate not in self._gates:
            return "Unknown"
        return "Locked" if door.released is None else "Accessed"
