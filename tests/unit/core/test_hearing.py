"""Who is there: what gates and the broker say of links, and time, in; states and what is to be told of them, out."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.core.audit import SITE_TREE, Kind, seal_body
from gatekeeper.core.hearing import (
    GRACE,
    PATIENCE,
    Heard,
    Hearing,
    LinkState,
    draft_of_hearing,
    read_link,
    told_silent,
)
from gatekeeper.core.scan import Rejected
from gatekeeper.core.trust import KeyState, Trust
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import LINK_TYPE, Link
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import PREFIX, Channel, gate_topic
from tests.contract.vector_site import FRONT, INNER, NOON, SITE, key_of, trust

FRESH, STALE = b"a beacon counted", b"a beacon of old.."[:16]
BOOT, NEXT_BOOT = BootId(b"boot-001"), BootId(b"boot-002")
NEVER, UP, AWAITED, SILENT = LinkState
SECOND = timedelta(seconds=1)


def up(connection: int = 1, **changes: Any) -> Link:
    return Link(
        **{"boot": BOOT, "connection": connection, "up": True, "snapshot": None, "beacon": FRESH} | changes
    )


def down(connection: int = 1, **changes: Any) -> Link:
    return up(connection, **{"up": False, "beacon": None} | changes)


class Ear:
    """A site's hearing, and a clock that a hand moves; `told` is what became of the front gate, in order."""

    def __init__(self, hearing: Hearing | None = None, *, linked: bool = True) -> None:
        self.hearing, self.now = hearing or Hearing(), NOON
        self.told: list[str] = []
        self.hearing.adopt(trust())
        if linked:
            self.hearing.linked(now=self.now)

    def hears(self, *links: Link, gate: GateId = FRONT) -> None:
        for link in links:
            self.hearing.hear(gate, link, counted=[FRESH], now=self.now)
        self.look()

    def passes(self, duration: timedelta) -> None:
        self.now += duration
        self.look()

    def look(self) -> None:
        self.told += [f"{gate} heard" for gate, _ in self.hearing.speak_again()]
        self.told += [f"{gate} silent" for gate, _ in self.hearing.fall_silent(now=self.now)]

    @property
    def front(self) -> Heard:
        return self.hearing.gates[FRONT]


def without(gate: GateId, believed: Trust) -> Trust:
    key = replace(believed.listing.gates[gate], state=KeyState.REVOKED, revoked_from=NOON)
    listing = replace(believed.listing, gates={**believed.listing.gates, gate: key})
    return replace(believed, listing=listing)


# -- the conversation -----------------------------------------------------------------------------------------------------


def test_a_gate_that_was_never_heard_is_not_silent_however_long_it_takes():
    ear = Ear()
    ear.passes(timedelta(days=30))
    assert (ear.front, ear.told) == (Heard(), [])
    assert ear.hearing.next_due is None


def test_a_gate_whose_will_is_said_is_silent_after_the_grace_and_not_before():
    ear = Ear()
    ear.hears(up(snapshot=bytes(32)))
    assert ear.front == Heard(state=UP, since=NOON, heard_at=NOON, snapshot=bytes(32))
    ear.passes(10 * SECOND)
    ear.hears(down())
    assert ear.front == Heard(state=AWAITED, since=ear.now, heard_at=NOON, snapshot=bytes(32))
    assert ear.hearing.next_due == ear.now + GRACE
    ear.passes(GRACE - SECOND)
    assert ear.told == []
    ear.passes(SECOND)
    assert (ear.told, ear.front.state, ear.front.since) == (["front silent"], SILENT, ear.now)
    assert list(ear.hearing.silent) == [FRONT]
    ear.passes(timedelta(days=1))
    ear.hears(down())
    assert ear.told == ["front silent"], "once"


def test_a_gate_that_is_back_within_the_grace_is_told_to_nobody():
    ear = Ear()
    ear.hears(up())
    ear.hears(down())
    ear.passes(GRACE - SECOND)
    ear.hears(up(2))
    ear.passes(GRACE)
    assert (ear.told, ear.front.state) == ([], UP)


def test_a_gate_that_is_back_later_is_heard_again_once():
    ear = Ear()
    ear.hears(up())
    ear.hears(down())
    ear.passes(GRACE)
    ear.hears(up(boot=NEXT_BOOT), up(boot=NEXT_BOOT))
    assert ear.told == ["front silent", "front heard"]
    assert ear.front.since == ear.now
    ear.hears(down(boot=NEXT_BOOT))
    ear.passes(GRACE)
    assert ear.told == ["front silent", "front heard", "front silent"]


def test_a_gate_that_says_nothing_any_more_is_silent_though_nobody_said_its_will():
    ear = Ear()
    ear.hears(up())
    for _ in range(10):
        ear.passes(PATIENCE - SECOND)
        ear.hears(up())
    assert ear.told == []
    ear.passes(PATIENCE)
    assert ear.told == ["front silent"]


def test_what_was_said_long_ago_is_no_sign_of_life():
    ear = Ear()
    ear.hears(up())
    ear.passes(PATIENCE - SECOND)
    ear.hears(up(beacon=STALE), up(2, beacon=STALE))
    ear.passes(SECOND)
    assert ear.told == ["front silent"]
    ear.hears(up(3, beacon=STALE))
    assert ear.told == ["front silent"], "the broker cannot make it seem to be there"


def test_the_will_of_a_connection_that_is_over_says_nothing_of_the_one_after_it():
    ear = Ear()
    ear.hears(up(1), up(2), down(1), down(3), down(2, boot=NEXT_BOOT))
    ear.passes(GRACE)
    assert (ear.told, ear.front.state) == ([], UP)


def test_what_the_broker_keeps_of_a_gate_that_nobody_heard_yet_gives_it_time_and_no_more():
    ear = Ear()
    ear.hears(up(beacon=STALE, snapshot=bytes(32)))
    assert ear.front == Heard(state=AWAITED, since=NOON, snapshot=bytes(32))
    ear.passes(PATIENCE - SECOND)
    assert ear.told == []
    ear.passes(SECOND)
    assert ear.told == ["front silent"]


def test_an_engine_that_starts_while_a_gate_is_away_says_so_once():
    ear = Ear()
    ear.hears(down(7))
    ear.passes(GRACE)
    assert ear.told == ["front silent"]


def test_while_the_broker_is_away_nobody_is_silent_and_then_everybody_has_time():
    ear = Ear()
    ear.hears(up())
    ear.hears(up(), gate=INNER)
    ear.hears(down(), gate=INNER)
    ear.hearing.unlinked(now=ear.now)
    ear.passes(timedelta(hours=1))
    assert (ear.told, ear.hearing.next_due) == ([], None)
    ear.hearing.linked(now=ear.now)
    ear.look()
    assert ear.told == []
    ear.passes(GRACE)
    assert ear.told == ["inner silent"]
    ear.passes(PATIENCE - GRACE)
    assert ear.told == ["inner silent", "front silent"]


def test_who_breaks_the_link_again_and_again_hides_no_silence():
    ear = Ear()
    ear.hears(up())
    for _ in range(4):
        ear.passes(PATIENCE - timedelta(seconds=10))
        ear.hearing.unlinked(now=ear.now)
        ear.passes(timedelta(seconds=1))
        ear.hearing.linked(now=ear.now)
        ear.look()
    assert ear.told == ["front silent"]


def test_a_revoked_gate_is_not_silent_and_is_a_new_one_when_it_is_admitted_again():
    ear = Ear()
    ear.hears(up())
    ear.hears(down())
    ear.hearing.adopt(without(FRONT, trust()))
    ear.passes(GRACE)
    ear.hears(up(2))
    assert ear.told == []
    assert FRONT not in ear.hearing.gates
    ear.hearing.adopt(trust())
    assert ear.front == Heard()


# -- over a takeover --------------------------------------------------------------------------------------------------------


def taken_over(state: LinkState, told: dict[GateId, datetime | None]) -> Ear:
    known = Heard(state=state, since=NOON - 9 * SECOND, heard_at=NOON - 10 * SECOND)
    return Ear(Hearing.of({FRONT: known}, told, now=NOON))


def test_who_was_there_must_show_it_anew_to_the_next_engine():
    ear = taken_over(UP, {})
    assert ear.front.state is UP
    ear.passes(PATIENCE)
    assert ear.told == ["front silent"]
    back = taken_over(UP, {})
    back.hears(down(4))
    back.passes(GRACE)
    assert back.told == ["front silent"]


def test_a_silence_that_was_told_is_not_told_again_and_its_end_is():
    for state in (AWAITED, SILENT):
        ear = taken_over(state, {FRONT: NOON - SECOND})
        assert (ear.front.state, ear.front.since) == (SILENT, NOON - SECOND)
        ear.hears(down(4))
        ear.passes(timedelta(days=1))
        assert ear.told == []
        ear.hears(up(5))
        assert ear.told == ["front heard"]


def test_an_end_that_was_told_is_not_told_again_though_the_table_came_late():
    ear = taken_over(SILENT, {FRONT: None})
    ear.hears(up(5))
    assert (ear.told, ear.front.state) == ([], UP)


def test_a_silence_whose_entry_is_gone_is_not_told_again():
    ear = taken_over(SILENT, {})
    ear.passes(timedelta(days=1))
    assert (ear.told, ear.front.state) == ([], SILENT)


def test_what_the_log_told_of_a_gate_that_nothing_is_known_of_counts_no_more():
    ear = Ear(Hearing.of({}, {FRONT: NOON}, now=NOON))
    ear.hears(up())
    assert ear.told == []


def test_the_log_tells_what_was_told_last():
    def row(seq: int, kind: Kind, gate: GateId, **more: Any) -> tuple[int, datetime, bytes]:
        at = NOON + seq * SECOND
        draft = replace(draft_of_hearing(kind, gate, Heard(heard_at=NOON), at=at, seq=seq), **more)
        body = seal_body(draft, site=SITE, trees={SITE_TREE: seq}, nonce=bytes(16), personal=None)
        return seq, at, body

    rows = [
        row(3, Kind.GATE_SILENT, FRONT),
        row(4, Kind.GATE_HEARD, FRONT),
        row(7, Kind.GATE_SILENT, INNER),
    ]
    assert told_silent(SITE, rows) == {FRONT: None, INNER: NOON + 7 * SECOND}
    altered = [(8, NOON, rows[2][2].replace(b"inner", b"front"))]
    assert told_silent(SITE, altered) == {}, "a body that does not belong here says nothing"


@given(
    st.lists(
        st.sampled_from(["up", "old", "down", "pass", "wait", "lost", "linked", "next engine"]), max_size=40
    )
)
def test_silences_and_their_ends_take_turns_whatever_happens(course: list[str]):
    ear, connection = Ear(), 1
    for what in course:
        match what:
            case "up":
                ear.hears(up(connection))
            case "old":
                ear.hears(up(connection, beacon=STALE))
            case "down":
                ear.hears(down(connection))
                connection += 1
            case "pass":
                ear.passes(GRACE)
            case "wait":
                ear.passes(PATIENCE)
            case "lost":
                ear.hearing.unlinked(now=ear.now)
            case "linked":
                ear.hearing.linked(now=ear.now)
            case _:
                last = {"front silent": ear.now, "front heard": None}
                told = {FRONT: last[ear.told[-1]]} if ear.told else {}
                following = Ear(Hearing.of(ear.hearing.gates, told, now=ear.now))
                following.now, following.told = ear.now, ear.told
                ear = following
    assert ear.told == ["front silent", "front heard"] * (len(ear.told) // 2) + ["front silent"] * (
        len(ear.told) % 2
    )
    assert (ear.front.state is SILENT) == (len(ear.told) % 2 == 1)


# -- what is believed ---------------------------------------------------------------------------------------------------------


def signed(link: bytes, *, key: str = "front", gate: GateId = FRONT, **changes: Any) -> Any:
    topic = gate_topic(SITE, gate, changes.get("channel", Channel.LINK), prefix=PREFIX)
    wire = cose.sign(link, key=key_of(key), typ=LINK_TYPE, external_aad=topic.encode())
    found = read_link(topic, wire, trust=changes.get("trust", trust()), prefix=PREFIX)
    return found.code if isinstance(found, Rejected) else found


def test_a_gate_s_own_word_is_believed():
    assert signed(up().payload()) == (FRONT, up())
    assert signed(down().payload()) == (FRONT, down())


def test_nobody_else_s_word_is():
    assert signed(up().payload(), key="inner") is MessageRefusal.FOREIGN_GATE
    assert signed(up().payload(), key="stranger") is cose.Refusal.COSE_UNKNOWN_KEY
    assert signed(up().payload(), gate=GateId("nowhere")) is MessageRefusal.UNKNOWN_GATE
    assert signed(up().payload(), trust=without(FRONT, trust())) is MessageRefusal.GATE_REVOKED
    assert signed(up().payload(), channel=Channel.STATUS) is MessageRefusal.TOPIC
    assert signed(b"\xa0") is MessageRefusal.MALFORMED
    assert signed(b"\x58\x20" + bytes(9000)) is MessageRefusal.OVERSIZED
