"""What an engine takes over from the one before it, and that the same messages make the same log whoever takes them."""

from dataclasses import replace

import pytest

from gatekeeper.core.audit import Kind
from gatekeeper.core.sequences import SEQUENCE_WINDOW
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import JournalEnd, PassageOutcome, StatusKind, Verdict
from gatekeeper.model.reasons import MessageRefusal, Reason
from gatekeeper.model.topics import PREFIX
from tests.support.sites import BADGES, JOURNAL, Sent, SmallSite
from tests.support.takeover import fail_over
from tests.support.transcripts import assert_conflicts, assert_refused, boots_of, chatter, gaps

OLD = MessageRefusal.SEQUENCE_OLD


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


# -- what a successor takes over --------------------------------------------------------------------------------------


def test_a_successor_repeats_and_refuses_what_its_predecessor_did(site: SmallSite):
    boots = boots_of(site, 5)
    sent = chatter(site, SEQUENCE_WINDOW + 3)
    scan = site.scan("barrack-in", "sergeant")
    first = site.recorded(scan)
    fail_over(site)
    assert site.repeated(scan).receipt == first.receipt
    for message in (*boots[1:4], *sent[-SEQUENCE_WINDOW:]):
        site.repeated(message)
    for message in (boots[0], *sent[:-SEQUENCE_WINDOW]):
        assert_refused(site, message, OLD)
    assert_conflicts(site, site.scan("barrack-in", "private", sequence=1), alarm="boot-repeated")


def test_a_successor_knows_what_its_predecessor_knew(site: SmallSite):
    site.walk("front-in", "sergeant")
    boots_of(site, 6)
    site.skip("front", 80)
    chatter(site, 70)
    site.walk("barrack-in", "sergeant")
    site.recorded(site.hello("front", journal=JournalEnd(JOURNAL, 9)))
    never_came = site.scan("front-in", "private")
    site.recorded(site.passage("front-in", PassageOutcome.NOT_TAKEN, scan=never_came))
    assert all(site.snapshot()[8:])
    former = fail_over(site)
    assert site.snapshot()[:7] == site.snapshot(former)[:7]
    assert site.snapshot()[8:] == site.snapshot(former)[8:]


def test_a_successor_writes_no_gap_twice(site: SmallSite):
    chatter(site, 1)
    site.skip("front", 200)
    chatter(site, 5)
    known = gaps(site)
    fail_over(site)
    chatter(site, 2 * SEQUENCE_WINDOW)
    assert sum(missing for _, _, missing in gaps(site)) == 200
    assert gaps(site)[: len(known)] == known


def test_a_grant_is_claimed_by_its_passage_also_with_the_successor(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    grant = site.recorded(scan)
    fail_over(site)
    site.recorded(site.passage("front-in", PassageOutcome.TAKEN, scan=scan))
    assert site.drafts[-1].public["grant"] == grant.receipt.seq
    assert site.flow.whereabouts["sergeant"].quality.value == "taken"


def test_a_scan_that_its_gate_gave_up_lets_nobody_through_with_the_successor_either(site: SmallSite):
    """The broker held it back, and the engine that heard of its end is gone."""
    scan = site.scan("front-in", "sergeant")
    site.recorded(site.passage("front-in", PassageOutcome.NOT_TAKEN, scan=scan))
    fail_over(site)
    assert site.recorded(scan).decision.reasons == (Reason.STALE_PROOF,)
    assert "sergeant" not in site.flow.whereabouts


def test_a_grant_that_nobody_used_is_no_scan_that_was_given_up(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    site.recorded(site.passage("front-in", PassageOutcome.NOT_TAKEN, scan=scan))
    fail_over(site)
    assert not site.flow.sequences.is_given_up(site.authentic(scan))


@pytest.mark.parametrize(("written", "alarms"), [(8, ("journal-rewritten",)), (9, ()), (10, ())])
def test_a_journal_that_became_shorter_is_found_out_though_another_engine_heard_how_long_it_was(
    written: int, alarms: tuple[str, ...], site: SmallSite
):
    site.recorded(site.hello("front", journal=JournalEnd(JOURNAL, 9)))
    fail_over(site)
    site.reboot("front")
    assert site.recorded(site.hello("front", journal=JournalEnd(JOURNAL, written))).alarms == alarms


def test_what_a_gate_says_twice_and_differently_is_told_once_by_each_engine(site: SmallSite):
    site.recorded(site.status("front"))
    for number in (1, 2):
        lie = site.status("front", StatusKind.TAMPER, sequence=1)
        assert_conflicts(site, lie, alarm="boot-repeated")
        assert_refused(site, lie, MessageRefusal.SEQUENCE_CONFLICT)
        assert sum(draft.kind is Kind.GATE_CONFLICT for draft in site.drafts) == number
        fail_over(site)


def test_receipts_of_a_former_engine_need_not_be_the_whole_window(site: SmallSite):
    """Sparse sequences: what was not received before the change is still new after it."""
    held_back = site.status("front")
    site.skip("front", 40)
    chatter(site, 2)
    fail_over(site)
    site.recorded(held_back)


def test_a_receipt_carries_its_signed_answer_over(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan).receipt.signed = b"the answer"
    fail_over(site)
    assert site.repeated(scan).receipt.signed == b"the answer"


def test_of_the_grants_of_long_ago_the_oldest_are_let_go(site: SmallSite):
    """So that a site's memory has a bound: a passage that comes 65,536 grants late is nobody's."""
    scans = [site.scan("front-in", who) for who in ("sergeant", "private")]
    for scan in scans:
        site.recorded(scan)
    grant = site.receipts[0]
    later = (
        replace(grant, digest=number.to_bytes(32, "big"), sequence=number, seq=number)
        for number in range(3, 65_538)
    )
    site.flow.sequences.restore(later, [])
    site.advance(seconds=1)
    for scan, claimed in zip(scans, (False, True), strict=True):
        site.recorded(site.passage("front-in", PassageOutcome.TAKEN, scan=scan, sequence=70_000 + claimed))
        passage = next(draft for draft in reversed(site.drafts) if draft.kind is Kind.PASSAGE_TAKEN)
        assert ("grant" in passage.public) is claimed


def test_a_closed_boot_stays_closed(site: SmallSite):
    gone = site.hand("front").boot
    site.flow.sequences.restore([], [(GateId("front"), gone)])
    assert_refused(site, site.status("front"), OLD)
    site.reboot("front")
    site.recorded(site.status("front"))


# -- the same again ---------------------------------------------------------------------------------------------------


def conversation(site: SmallSite) -> list[tuple[float, Sent]]:
    """A morning: seconds since the one before, and what was sent."""
    front_in = site.scan("front-in", "sergeant")
    again = site.scan("front-in", "sergeant")
    barrack = site.scan("barrack-in", "sergeant")
    return [
        (0, site.hello("front")),
        (1, front_in),
        (2, site.passage("front-in", PassageOutcome.TAKEN, scan=front_in)),
        (0, front_in),
        (1, again),
        (0, barrack),
        (0, site.scan("barrack-in", "sergeant")),
        (3, site.passage("barrack-in", PassageOutcome.NOT_TAKEN, scan=barrack)),
        (0, site.scan("shed-in", "van")),
        (0, site.scan("front-in", "pupil")),
        (0, site.scan("armoury-in", "teacher", offline_verdict=Verdict.GRANTED)),
        (5, site.status("inner", StatusKind.TAMPER)),
    ]


def told(to: SmallSite, talk: list[tuple[float, Sent]]) -> list[object]:
    outcomes = []
    for seconds, sent in talk:
        to.advance(seconds=seconds)
        outcomes.append(to.take(sent))
    return outcomes


def test_the_same_messages_at_the_same_instants_have_the_same_outcomes(site: SmallSite):
    talk = conversation(site)
    first, second = SmallSite(), SmallSite()
    assert told(first, talk) == told(second, talk)
    assert first.drafts == second.drafts
    assert first.snapshot() == second.snapshot()


def test_a_conversation_in_which_everything_is_said_three_times_leaves_the_same_log(site: SmallSite):
    talk = conversation(site)
    once, thrice = SmallSite(), SmallSite()
    told(once, talk)
    told(thrice, [line for seconds, sent in talk for line in ((seconds, sent), (0, sent), (0, sent))])
    assert once.drafts == thrice.drafts
    assert once.snapshot() == thrice.snapshot()


def test_a_change_of_engine_after_any_message_leaves_the_same_log(site: SmallSite):
    talk = conversation(site)
    stays = SmallSite()
    told(stays, talk)
    for after in range(len(talk)):
        changes = SmallSite()
        told(changes, talk[:after])
        fail_over(changes)
        told(changes, talk[after:])
        assert changes.drafts == stays.drafts, f"after {after} messages"
        assert changes.flow.whereabouts == stays.flow.whereabouts


def test_later_scans_see_earlier_ones_in_the_order_they_are_taken_not_in_that_they_are_verified(
    site: SmallSite,
):
    """Two copies of a badge at two doors at once: both verify, one gets in."""
    site.walk("front-in", "sergeant")
    here, there = site.scan("barrack-in", "sergeant"), site.scan("corridor", "sergeant")
    verified = [
        (authentic, site.flow.verify(authentic, beacons=site.beacons))
        for authentic in map(site.authentic, (here, there))
    ]
    taken = [site.flow.take(authentic, found, now=site.now) for authentic, found in reversed(verified)]
    assert [outcome.decision.reason for outcome in taken] == [Reason.GRANTED, Reason.PASSBACK]


def test_the_conversation_is_worth_its_name(site: SmallSite):
    """Both verdicts, a repetition, a past event and an alarm are in it, or the tests above prove little."""
    to = SmallSite()
    told(to, conversation(site))
    assert {draft.kind for draft in to.drafts} >= {
        Kind.ACCESS_GRANTED,
        Kind.ACCESS_DENIED,
        Kind.OFFLINE_GRANTED,
        Kind.PASSAGE_TAKEN,
        Kind.PASSAGE_NOT_TAKEN,
        Kind.GATE_HELLO,
        Kind.GATE_STATUS,
    }
    assert len(to.drafts) == len(conversation(SmallSite())) - 1
    assert all(sent.topic.startswith(PREFIX) for _, sent in conversation(SmallSite()))
    assert set(to.flow.whereabouts) <= set(BADGES)
