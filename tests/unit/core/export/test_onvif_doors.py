"""What is told of a door: the entries of its gate go in, and the words that changed come out, as a transcript."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devices.core.door import ONVIF, DoorState
from gatekeeper.core.audit import canonical_json, timestamp
from gatekeeper.core.export.feeds import PublicEntry, read_public
from gatekeeper.core.export.onvif import DoorStates, Topic
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.policy import Point
from tests.contract.vector_site import FRONT, INNER, SITE, fresh_flow

NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
IN, HOUSE = AccessPointId("front-in"), AccessPointId("house-in")
BOOT, NEXT_BOOT = "00" * 8, "11" * 8


def points() -> dict[AccessPointId, Point]:
    return dict(fresh_flow().policy.points)


class Talk:
    """A site's doors, of which every change is asked for; entries come a second after one another."""

    def __init__(
        self, known: Mapping[AccessPointId, Point] | None = None, lockdowns: tuple[str, ...] = ()
    ) -> None:
        self.doors = DoorStates(points() if known is None else known, lockdowns=lockdowns, at=NOON)
        self.words: dict[tuple[str, Topic], Any] = {}
        self.since: dict[tuple[str, Topic], str] = {}
        self.seq = 0
        self.told()

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seq)

    def told(self) -> dict[str, Any]:
        """What has changed: `door topic` and its word, None for one that is gone."""
        changed = {}
        for state in self.doors.changes():
            word = state.data.get("State")
            key = (state.token, state.topic)
            self.words[key], self.since[key] = word, state.at
            changed[f"{state.token} {state.topic.rsplit('/', maxsplit=1)[1]}"] = word
        return changed

    def entry(self, kind: str, **fields: Any) -> PublicEntry:
        self.seq += 1
        body = {"v": 1, "site": SITE, "seq": self.seq, "at": timestamp(self.now), "kind": kind, **fields}
        entry = read_public(SITE, self.seq, self.now, canonical_json(body))
        assert entry.kind == kind
        return entry

    def hears(self, kind: str, door: str | None = IN, *, gate: str = FRONT, **fields: Any) -> dict[str, Any]:
        where = {} if door is None else {"access_point": door}
        fields = {"boot": BOOT, "sequence": self.seq + 1} | where | fields
        self.doors.take(self.entry(kind, gate=gate, **fields))
        return self.told()

    def status(self, status: str, door: str | None = IN, **fields: Any) -> dict[str, Any]:
        return self.hears("gate.status", door, status=status, **fields)

    def word(self, topic: Topic, door: str = IN) -> Any:
        return self.words.get((door, topic))


@pytest.fixture
def talk() -> Talk:
    """A gate that has been heard."""
    talk = Talk()
    talk.hears("gate.hello", None)
    return talk


def test_at_first_nothing_is_known_and_no_alarm_is_told():
    talk = Talk()
    assert talk.words == {
        (point, topic): word
        for point in points()
        for topic, word in (
            (Topic.ENABLED, True),
            (Topic.MODE, "Unknown"),
            (Topic.PHYSICAL, "Unknown"),
            (Topic.TAMPER, "Unknown"),
            (Topic.FAULT, "Unknown"),
        )
    }
    assert set(talk.since.values()) == {timestamp(NOON)}


def test_a_gate_that_is_heard_has_its_own_doors_locked_and_no_others():
    talk = Talk()
    of_front = {point.id for point in points().values() if point.gate == FRONT}
    assert talk.hears("gate.hello", None) == {
        **{f"{door} DoorMode": "Locked" for door in of_front},
        **{f"{door} DoorFault": "NotInFault" for door in of_front},
    }
    assert of_front < set(points())


def test_a_passage(talk: Talk):
    assert talk.hears("access.granted") == {f"{IN} DoorMode": "Accessed"}
    assert talk.hears("passage.taken") == {f"{IN} DoorMode": "Locked", f"{IN} DoorAlarm": "Normal"}
    assert talk.hears("access.granted") == {f"{IN} DoorMode": "Accessed"}
    assert talk.hears("passage.not-taken") == {f"{IN} DoorMode": "Locked"}
    assert talk.hears("access.denied") == {}


def test_a_grant_that_nobody_tells_the_end_of_ends_when_its_time_is_over(talk: Talk):
    talk.hears("access.granted")
    until = talk.now + points()[IN].unlock
    assert talk.doors.next_due == until
    talk.doors.pass_time(until - timedelta(microseconds=1))
    assert talk.told() == {}
    talk.doors.pass_time(until + timedelta(hours=1))
    assert talk.told() == {f"{IN} DoorMode": "Locked"}
    assert talk.since[IN, Topic.MODE] == timestamp(until), "since when it was, not since it was asked"
    assert talk.doors.next_due is None


def test_a_door_that_is_forced_is_an_alarm_until_it_is_closed_again(talk: Talk):
    assert talk.hears("passage.forced") == {
        f"{IN} DoorPhysicalState": "Open",
        f"{IN} DoorAlarm": "DoorForcedOpen",
    }
    assert talk.hears("passage.held-open") == {f"{IN} DoorAlarm": "DoorOpenTooLong"}
    assert talk.status("closed_again") == {f"{IN} DoorPhysicalState": "Closed", f"{IN} DoorAlarm": "Normal"}


@pytest.mark.parametrize(
    ("kind", "state"), [("passage.forced", DoorState.FORCED), ("passage.held-open", DoorState.HELD)]
)
def test_an_alarm_has_the_words_that_the_door_itself_has(talk: Talk, kind: str, state: DoorState):
    talk.hears(kind)
    word = tuple(talk.word(topic) for topic in (Topic.MODE, Topic.PHYSICAL, Topic.ALARM))
    assert word == ONVIF[state]


def test_a_gate_that_starts_anew_ends_no_alarm_and_knows_no_contact(talk: Talk):
    talk.hears("passage.forced")
    assert talk.hears("gate.hello", None, boot=NEXT_BOOT, sequence=1) == {
        f"{IN} DoorPhysicalState": "Unknown"
    }
    assert talk.word(Topic.ALARM) == "DoorForcedOpen"
    talk.hears("access.granted", boot=NEXT_BOOT, sequence=2)
    assert talk.hears("passage.not-taken", boot=NEXT_BOOT, sequence=3) == {f"{IN} DoorMode": "Locked"}
    assert talk.word(Topic.ALARM) == "DoorForcedOpen", "a door that stands open lets nobody in"
    talk.hears("access.granted", boot=NEXT_BOOT, sequence=4)
    assert talk.hears("passage.taken", boot=NEXT_BOOT, sequence=5)[f"{IN} DoorAlarm"] == "Normal"


def test_after_a_passage_an_ordinary_door_is_unknown_and_one_that_others_wait_for_open(talk: Talk):
    talk.status("closed_again")
    assert talk.hears("passage.taken") == {f"{IN} DoorPhysicalState": "Unknown"}
    known = points()
    other = next(point for point in known.values() if point.id != IN)
    known[other.id] = replace(other, interlocked=frozenset({IN}))
    lock = Talk(known)
    assert lock.hears("passage.taken")[f"{IN} DoorPhysicalState"] == "Open"
    assert lock.status("closed_again") == {f"{IN} DoorPhysicalState": "Closed"}


def test_a_word_that_was_overtaken_changes_nothing(talk: Talk):
    talk.status("closed_again", sequence=9)
    assert talk.hears("passage.forced", sequence=8) == {}
    assert talk.hears("passage.forced", sequence=10) != {}
    assert talk.status("closed_again", sequence=9) == {}


def test_another_boot_counts_anew(talk: Talk):
    talk.status("closed_again", sequence=9)
    assert talk.hears("passage.forced", boot=NEXT_BOOT, sequence=2) != {}


def test_what_a_gate_says_of_anothers_door_changes_nothing(talk: Talk):
    talk.hears("gate.hello", None, gate=INNER)
    for kind in ("passage.forced", "passage.held-open", "passage.taken", "access.granted"):
        assert talk.hears(kind, HOUSE, gate=FRONT) == {}
        assert talk.hears(kind, IN, gate=INNER) == {}
    assert talk.status("tamper", HOUSE) == {}


def test_a_housing_that_is_opened_is_that_of_all_doors_of_the_gate_unless_one_is_named(talk: Talk):
    of_front = [point.id for point in points().values() if point.gate == FRONT]
    assert len(of_front) > 1
    assert talk.status("tamper", None) == {f"{door} DoorTamper": "TamperDetected" for door in of_front}
    assert talk.status("tamper_cleared", IN) == {f"{IN} DoorTamper": "NotInTamper"}


def test_a_gate_that_was_alone_and_one_that_is_back_say_nothing_of_closed_doors(talk: Talk):
    talk.status("closed_again")
    assert talk.status("offline", None) == {f"{IN} DoorPhysicalState": "Unknown"}
    assert talk.status("online", None) == {}
    assert talk.status("closed_again", None) == {}, "of which door is not said"


@pytest.mark.parametrize("status", ["exit_requested", "opened"])
def test_who_is_let_through_without_a_badge_has_the_door_released_for_a_while(talk: Talk, status: str):
    assert talk.status(status) == {f"{IN} DoorMode": "Accessed"}
    assert talk.hears("passage.taken") == {f"{IN} DoorMode": "Locked", f"{IN} DoorAlarm": "Normal"}
    talk.status(status)
    talk.doors.pass_time(talk.now + points()[IN].unlock)
    assert talk.told() == {f"{IN} DoorMode": "Locked"}


def test_of_fire_nothing_is_known_but_that_it_is_over(talk: Talk):
    of_front = [point.id for point in points().values() if point.gate == FRONT]
    talk.status("closed_again")
    assert talk.status("fire", None) == {
        f"{IN} DoorPhysicalState": "Unknown",
        **{f"{door} DoorMode": "Unknown" for door in of_front},
    }
    talk.doors.take(talk.entry("lockdown.changed", scope="site", on=True))
    talk.told()
    assert talk.word(Topic.MODE) == "Unknown", "fire goes before everything at the gate"
    assert talk.status("fire_cleared", None) == {f"{door} DoorMode": "LockedDown" for door in of_front}


def test_a_grant_that_was_not_used_ends_not_the_next_one(talk: Talk):
    talk.hears("access.granted")
    first = talk.seq
    talk.hears("access.granted")
    assert talk.hears("passage.not-taken", grant=first) == {}
    assert talk.word(Topic.MODE) == "Accessed"
    assert talk.hears("passage.not-taken", grant=first + 1) == {f"{IN} DoorMode": "Locked"}


def test_a_lockdown_is_in_force_where_its_scope_is(talk: Talk):
    scope = f"gate:{FRONT}"
    of_front = [point.id for point in points().values() if scope in point.scopes]
    assert of_front
    assert len(of_front) < len(points())
    talk.doors.take(talk.entry("lockdown.changed", scope=scope, on=True))
    assert talk.told() == {
        f"{door} {topic}": word
        for door in of_front
        for topic, word in (("Enabled", False), ("DoorMode", "LockedDown"))
    }
    assert talk.hears("access.denied") == {}
    talk.doors.take(talk.entry("lockdown.changed", scope="site", on=True))
    talk.doors.take(talk.entry("lockdown.changed", scope=scope, on=False))
    assert not set(of_front) & {told.split(" ")[0] for told in talk.told()}, "the site's is in force still"
    talk.doors.take(talk.entry("lockdown.changed", scope="site", on=False))
    talk.told()
    assert talk.word(Topic.MODE) == "Locked"
    assert talk.word(Topic.ENABLED) is True


def test_a_lockdown_that_is_in_force_when_all_begins_is_told():
    talk = Talk(lockdowns=("site",))
    assert {talk.word(Topic.ENABLED, door) for door in points()} == {False}
    assert {talk.word(Topic.MODE, door) for door in points()} == {"LockedDown"}


# -- another policy -----------------------------------------------------------------------------------------------------


def test_a_door_that_left_is_told_of_no_more(talk: Talk):
    talk.hears("passage.forced")
    left = {name: point for name, point in points().items() if name != IN}
    talk.doors.adopt(left, at=timestamp(talk.now))
    assert talk.told() == {
        f"{IN} {topic.rsplit('/', maxsplit=1)[1]}": None for topic in Topic if topic.is_state
    }
    assert talk.hears("passage.held-open") == {}


def test_a_door_that_stays_is_as_it_was_and_one_that_comes_is_not_known(talk: Talk):
    talk.hears("passage.forced")
    talk.doors.adopt({IN: points()[IN]}, at=timestamp(talk.now))
    talk.told()
    assert talk.word(Topic.ALARM) == "DoorForcedOpen"
    talk.doors.adopt(points(), at=timestamp(talk.now))
    assert talk.told()[f"{HOUSE} DoorMode"] == "Unknown"
    assert talk.word(Topic.ALARM) == "DoorForcedOpen"


def test_a_gate_that_was_dismissed_and_comes_back_is_heard_of_anew(talk: Talk):
    others = {name: point for name, point in points().items() if point.gate != FRONT}
    talk.doors.adopt(others, at=timestamp(talk.now))
    talk.doors.adopt(points(), at=timestamp(talk.now))
    talk.told()
    assert talk.word(Topic.MODE) == "Unknown"
    talk.hears("gate.hello", None)
    assert talk.word(Topic.MODE) == "Locked"


def test_a_door_at_another_gate_is_another_door(talk: Talk):
    talk.hears("passage.forced")
    moved = points() | {IN: replace(points()[IN], gate=INNER)}
    talk.doors.adopt(moved, at=timestamp(talk.now))
    assert talk.told() == {
        f"{IN} DoorAlarm": None,
        f"{IN} DoorPhysicalState": "Unknown",
        f"{IN} DoorMode": "Unknown",
        f"{IN} DoorFault": "Unknown",
    }


def test_the_same_word_again_is_no_change(talk: Talk):
    talk.hears("passage.forced")
    since = talk.since[IN, Topic.ALARM]
    assert talk.hears("passage.forced") == {}
    assert talk.since[IN, Topic.ALARM] == since


def test_a_word_that_came_and_went_between_two_questions_is_asked_about_once():
    talk = Talk()
    for kind in ("gate.hello", "access.granted", "passage.taken", "access.granted"):
        talk.doors.take(talk.entry(kind, gate=FRONT, access_point=IN, boot=BOOT, sequence=talk.seq + 1))
    assert talk.told()[f"{IN} DoorMode"] == "Accessed"


def test_what_is_told_late_stands_since_it_happened_and_not_before_the_word_that_it_replaces(talk: Talk):
    talk.seq = 3600
    forced = talk.now - timedelta(minutes=20)
    told = {"gate_at": timestamp(forced), "clock": "free_running"}
    talk.hears("passage.forced", **told)
    assert (talk.word(Topic.ALARM), talk.since[IN, Topic.ALARM]) == ("DoorForcedOpen", timestamp(forced))
    # Of before the gate was heard, which had said that nothing is known.
    before = {"gate_at": timestamp(NOON - timedelta(hours=3)), "clock": "free_running"}
    talk.status("tamper", **before)
    assert (talk.word(Topic.TAMPER), talk.since[IN, Topic.TAMPER]) == ("TamperDetected", timestamp(NOON))


# -- a gate that is silent ------------------------------------------------------------------------------------------------


def test_a_gate_that_falls_silent_is_a_fault_of_its_doors_and_what_their_contacts_said_is_not_known_any_more(
    talk: Talk,
):
    of_front = {point.id for point in points().values() if point.gate == FRONT}
    talk.hears("passage.forced")
    assert talk.word(Topic.PHYSICAL) == "Open"
    assert talk.hears("gate.silent", None, alarm=True) == {
        f"{IN} DoorPhysicalState": "Unknown",
        **{f"{door} DoorFault": "FaultDetected" for door in of_front},
    }
    assert talk.word(Topic.ALARM) == "DoorForcedOpen", "its silence ends no alarm"
    assert talk.word(Topic.FAULT, HOUSE) == "Unknown"


def test_only_the_entry_that_it_is_heard_again_ends_the_fault(talk: Talk):
    of_front = {point.id for point in points().values() if point.gate == FRONT}
    talk.hears("gate.silent", None, alarm=True)
    assert not {f"{IN} DoorFault"} & talk.hears("access.offline-granted", journal=True).keys()
    assert talk.word(Topic.FAULT) == "FaultDetected"
    assert talk.hears("gate.heard", None) == {f"{door} DoorFault": "NotInFault" for door in of_front}


def test_a_gate_that_was_silent_all_along_is_a_fault_and_its_mode_is_not_known():
    talk = Talk()
    talk.hears("gate.silent", None, alarm=True)
    assert (talk.word(Topic.FAULT), talk.word(Topic.MODE)) == ("FaultDetected", "Unknown")
    talk.hears("gate.heard", None)
    assert (talk.word(Topic.FAULT), talk.word(Topic.MODE)) == ("NotInFault", "Locked")
