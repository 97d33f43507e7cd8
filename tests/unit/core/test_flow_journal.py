"""A gate's journal: forwarded in order and without a gap, or somebody must look; and a past that undoes no present."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import Kind
from gatekeeper.core.flow import Recorded
from gatekeeper.core.sequences import SEQUENCE_WINDOW
from gatekeeper.model.ids import BootId
from gatekeeper.model.messages import ClockQuality, JournalEnd, PassageOutcome, StatusKind, Verdict
from gatekeeper.model.reasons import MessageRefusal
from tests.support.sites import JOURNAL, Sent, SmallSite
from tests.support.takeover import fail_over
from tests.support.transcripts import assert_conflicts, assert_refused, gaps, here

OLD = MessageRefusal.SEQUENCE_OLD
OTHER = BootId(b"journal2")
FREE, SET = ClockQuality.FREE_RUNNING, ClockQuality.SYNCHRONISED


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def told(site: SmallSite, number: int, *, journal: BootId = JOURNAL, **fields: Any) -> Sent:
    """Something that the gate wrote into its journal."""
    return site.journals("front", site.status("front", **fields), number, journal=journal)


def tells(site: SmallSite, *numbers: int, journal: BootId = JOURNAL) -> list[Recorded]:
    return [site.recorded(told(site, number, journal=journal)) for number in numbers]


def past(
    site: SmallSite, number: int, door: str, who: str, *, ago: timedelta, clock: ClockQuality
) -> Recorded:
    """The gate tells that it let somebody in alone, a while ago."""
    scan = site.scan(door, who, offline_verdict=Verdict.GRANTED, gate_at=site.now - ago, clock=clock)
    return site.recorded(site.journals("front", scan, number))


# -- what it is, and what it says -------------------------------------------------------------------------------------


def test_an_entry_says_that_it_came_from_the_journal_with_both_times_and_how_sure_the_gates_is(
    site: SmallSite,
):
    then = site.now - timedelta(hours=3)
    door = site.passage("front-in", PassageOutcome.FORCED, gate_at=then, clock=FREE)
    (entry,) = site.recorded(site.journals("front", door, 1)).drafts
    assert entry.at == site.now
    assert entry.public | {"gate_at": "2026-03-02T08:00:00.000Z"} == entry.public | {
        "gate_at": "2026-03-02T08:00:00.000Z",
        "clock": "free_running",
        "journal": True,
        "boot": JOURNAL.hex(),
        "sequence": 1,
    }


def test_four_later_boots_close_no_journal(site: SmallSite):
    first = told(site, 1)
    site.recorded(first)
    for _ in range(9):
        site.reboot("front")
        site.recorded(site.status("front"))
    site.repeated(first)
    tells(site, 2)
    fail_over(site)
    site.repeated(first)
    tells(site, 3)
    assert not gaps(site)


def test_the_last_four_journals_of_a_gate_are_known(site: SmallSite):
    sent = [told(site, 1, journal=BootId(bytes([number]) * 8)) for number in range(5)]
    for message in sent:
        site.recorded(message)
    assert_refused(site, sent[0], OLD)
    for message in sent[1:]:
        site.repeated(message)
    fail_over(site)
    assert_refused(site, sent[0], OLD)


def test_a_boot_is_no_journal_and_a_journal_no_boot(site: SmallSite):
    live = site.status("front")
    site.recorded(live)
    assert_conflicts(site, told(site, 7, journal=live.message.boot), alarm="journal-rewritten")
    tells(site, 1)
    assert_conflicts(site, site.status("front", boot=JOURNAL, sequence=7), alarm="boot-repeated")


# -- gaps, disorder, and other words ----------------------------------------------------------------------------------


def test_what_is_missing_in_a_journal_is_told_at_once_and_nothing_else_is_refused_for_it(site: SmallSite):
    tells(site, 1)
    (taken,) = tells(site, 5)
    _, gap = taken.drafts
    assert (gap.kind, gap.public) == (
        Kind.GATE_GAP,
        {
            "gate": "front",
            "boot": JOURNAL.hex(),
            "first": 2,
            "last": 4,
            "missing": 3,
            "journal": True,
            "alarm": True,
        },
    )
    assert taken.alarms == ("journal-gap",)
    assert not any(one.alarms for one in tells(site, *range(6, 200)))
    assert gaps(site) == [(2, 4, 3)]


def test_a_journal_that_is_heard_late_misses_all_before(site: SmallSite):
    assert tells(site, 100)[0].alarms == ("journal-gap",)
    assert gaps(site) == [(1, 99, 99)]


def test_what_comes_after_what_followed_it_is_taken_and_marked(site: SmallSite):
    tells(site, 1, 2, 4)
    (late,) = tells(site, 3)
    (entry,) = late.drafts
    assert (entry.public["reordered"], entry.public["alarm"], late.alarms) == (
        True,
        True,
        ("journal-reordered",),
    )
    assert not tells(site, 5)[0].alarms


def test_nothing_is_marked_of_a_journal_in_order_over_a_change_of_engine(site: SmallSite):
    for number in range(1, 3 * SEQUENCE_WINDOW):
        (taken,) = tells(site, number)
        assert not taken.alarms
        assert len(taken.drafts) == 1
        if number % 50 == 0:
            fail_over(site)


def test_what_fell_out_of_the_window_of_a_journal_is_old(site: SmallSite):
    first = told(site, 1)
    site.recorded(first)
    tells(site, *range(2, SEQUENCE_WINDOW + 2))
    assert_refused(site, first, OLD)


def test_a_journal_that_says_something_else_was_rewritten_and_that_is_told_once(site: SmallSite):
    tells(site, 1, 2, 3)
    assert_conflicts(site, told(site, 2, kind=StatusKind.TAMPER), alarm="journal-rewritten")
    assert_refused(site, told(site, 3, kind=StatusKind.TAMPER), MessageRefusal.SEQUENCE_CONFLICT)


# -- hello ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("written", "alarms"), [(3, ()), (90, ()), (2, ("journal-rewritten",))])
def test_a_hello_says_how_far_the_journal_is_written_and_it_never_goes_back(
    written: int, alarms: tuple[str, ...], site: SmallSite
):
    tells(site, 1, 2, 3)
    fail_over(site)
    taken = site.recorded(site.hello("front", journal=JournalEnd(JOURNAL, written)))
    (entry,) = taken.drafts
    assert (entry.public["journal_id"], entry.public["journal_written"]) == (JOURNAL.hex(), written)
    assert (taken.alarms, entry.public.get("alarm")) == (alarms, True if alarms else None)


def test_a_hello_that_says_less_than_the_one_before_is_an_alarm(site: SmallSite):
    for written, alarms in ((9, ()), (8, ("journal-rewritten",))):
        site.reboot("front")
        hello = site.hello("front", journal=JournalEnd(JOURNAL, written))
        assert site.recorded(hello).alarms == alarms


def test_a_new_journal_is_none(site: SmallSite):
    tells(site, 1, 2, 3)
    assert not site.recorded(site.hello("front", journal=JournalEnd(OTHER, 0))).alarms


# -- the past and the present -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", [SET, FREE])
def test_who_left_this_morning_is_not_put_inside_by_what_a_gate_tells_of_last_night(
    clock: ClockQuality, site: SmallSite
):
    site.walk("front-in", "sergeant")
    site.walk("front-out", "sergeant")
    site.advance(hours=1)
    assert here(site, "sergeant").zone == "outside"
    taken = past(site, 1, "front-in", "sergeant", ago=timedelta(hours=14), clock=clock)
    assert taken.drafts[0].kind is Kind.OFFLINE_GRANTED
    assert taken.moved == ()
    assert here(site, "sergeant").zone == "outside"
    scan = taken.receipt.digest
    for number, outcome in ((2, PassageOutcome.TAKEN), (3, PassageOutcome.NOT_TAKEN)):
        passage = site.passage("front-in", outcome)
        claims = replace(passage.message, scan=scan)
        site.recorded(site.journals("front", replace(passage, message=claims), number))
        assert here(site, "sergeant").zone == "outside"


@pytest.mark.parametrize("clock", [SET, FREE])
def test_who_came_in_last_night_and_was_not_seen_since_is_inside_since_then(
    clock: ClockQuality, site: SmallSite
):
    taken = past(site, 1, "front-in", "sergeant", ago=timedelta(hours=14), clock=clock)
    assert [one.since for one in taken.moved] == [site.now - timedelta(hours=14)]
    assert here(site, "sergeant").zone == "yard"
