"""One state change a message: what is new, what is known, what is too old, and what a successor takes over."""

from dataclasses import replace

import pytest

from gatekeeper.core.audit import Kind
from gatekeeper.core.flow import SEQUENCE_WINDOW, Recorded, Refused
from gatekeeper.core.scan import Authentic
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import PassageOutcome, StatusKind, Verdict
from gatekeeper.model.reasons import MessageRefusal, Reason
from gatekeeper.model.topics import PREFIX
from tests.support.sites import BADGES, Sent, SmallSite
from tests.support.takeover import fail_over

OLD, CONFLICT = MessageRefusal.SEQUENCE_OLD, MessageRefusal.SEQUENCE_CONFLICT
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def chatter(site: SmallSite, messages: int, *, gate: str = "front") -> list[Sent]:
    """So many messages of a gate, all taken."""
    sent = [site.status(gate) for _ in range(messages)]
    for message in sent:
        site.recorded(message)
    return sent


def gaps(site: SmallSite) -> list[tuple[int, int, int]]:
    """The gaps in the log: first, last, missing."""
    found = [draft.public for draft in site.drafts if draft.kind is Kind.GATE_GAP]
    return [(gap["first"], gap["last"], gap["missing"]) for gap in found]


def assert_refused(site: SmallSite, sent: Sent, code: MessageRefusal) -> None:
    """Refused by its sequence, said by which, and nothing changed."""
    before = site.snapshot()
    assert site.refused(sent) == Refused(code, f"sequence {sent.message.sequence}")
    assert site.snapshot() == before


# -- new, and known ---------------------------------------------------------------------------------------------------


def test_a_new_message_is_an_entry_an_answer_and_a_receipt_that_agree(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    taken = site.recorded(scan)
    (draft,) = taken.drafts
    assert (draft.seq, taken.answer.entry, taken.receipt.seq) == (0, 0, 0)
    assert site.flow.next_seq == 1
    assert taken.answer.message == taken.receipt.digest == scan.digest
    assert taken.answer.gate == taken.receipt.gate == "front"
    assert taken.answer.verdict is taken.receipt.verdict is Verdict.GRANTED
    assert taken.answer.issued == taken.receipt.issued == draft.at == site.now
    assert taken.receipt.holder == "sergeant"
    assert (taken.receipt.boot, taken.receipt.sequence) == (scan.message.boot, 1)
    assert taken.receipt.signed == b""  # nothing is signed here


def test_what_a_gate_sends_again_is_answered_as_the_first_time_and_changes_nothing(site: SmallSite):
    kinds = [
        site.scan("front-in", "sergeant"),
        site.scan("armoury-in", "private"),
        site.passage("front-in", PassageOutcome.FORCED),
        site.status("front", StatusKind.TAMPER),
        site.hello("front"),
    ]
    for sent in kinds:
        first = site.recorded(sent)
        before = site.snapshot()
        for _ in range(100):
            assert site.repeated(sent).receipt is first.receipt
        assert site.snapshot() == before
    assert len(site.drafts) == len(kinds)


def test_a_repetition_is_not_decided_again_however_the_world_has_changed(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    first = site.recorded(scan)
    assert first.answer.verdict is Verdict.GRANTED
    site.flow.lockdowns = frozenset({"site"})
    site.advance(days=400)
    assert site.repeated(scan).receipt.verdict is Verdict.GRANTED
    assert site.tap("front-in", "sergeant").answer.verdict is Verdict.DENIED


def test_entries_are_numbered_without_a_gap_whatever_is_repeated_or_refused_between(site: SmallSite):
    site.walk("front-in", "sergeant")
    site.repeated(site.scan("front-in", "sergeant", sequence=1))
    chatter(site, 70)
    site.refused(site.status("front", sequence=1))
    chatter(site, 2, gate="inner")
    assert [draft.seq for draft in site.drafts] == list(range(site.flow.next_seq))


def test_a_flow_goes_on_numbering_where_the_log_ends():
    site = SmallSite(next_seq=41)
    assert site.tap("front-in", "sergeant").answer.entry == 41
    assert site.flow.next_seq == 42


def test_a_scan_that_was_not_verified_is_a_mistake_of_the_caller(site: SmallSite):
    authentic = site.authentic(site.scan("front-in", "sergeant"))
    with pytest.raises(ValueError, match="verified before it is taken"):
        site.flow.take(authentic, None, now=site.now)


# -- other bytes under the same sequence ------------------------------------------------------------------------------


def test_other_bytes_under_a_sequence_that_was_taken_get_nothing(site: SmallSite):
    first = site.scan("front-in", "sergeant")
    site.recorded(first)
    assert_refused(site, site.scan("front-in", "private", sequence=1), CONFLICT)
    site.repeated(first)


def test_a_gate_has_one_sequence_over_all_its_channels(site: SmallSite):
    site.recorded(site.hello("front", sequence=1))
    for other in (
        site.scan("front-in", "sergeant", sequence=1),
        site.passage("front-in", PassageOutcome.FORCED, sequence=1),
        site.status("front", sequence=1),
    ):
        assert_refused(site, other, CONFLICT)


def test_the_second_signature_that_anyone_can_make_of_the_first_is_not_a_second_passage(site: SmallSite):
    """Of an ECDSA signature (r, s), the broker can make (r, n - s): as good, and other bytes."""
    scan = site.scan("front-in", "sergeant")
    s = int.from_bytes(scan.wire[-32:], "big")
    twin = replace(scan, wire=scan.wire[:-32] + (P256_ORDER - s).to_bytes(32, "big"))
    assert isinstance(site.authenticate(twin), Authentic)
    site.recorded(scan)
    assert_refused(site, twin, CONFLICT)


def test_gates_and_boots_count_apart(site: SmallSite):
    for gate in ("front", "inner", "shed-reader"):
        assert chatter(site, 2, gate=gate)[1].message.sequence == 2
    site.reboot("front")
    assert chatter(site, 1)[0].message.sequence == 1
    assert site.flow.next_seq == 7


# -- the window -------------------------------------------------------------------------------------------------------


def test_the_last_64_messages_are_answered_again_and_older_ones_refused(site: SmallSite):
    sent = chatter(site, SEQUENCE_WINDOW + 1)
    assert_refused(site, sent[0], OLD)
    for message in sent[1:]:
        site.repeated(message)


def test_a_message_that_comes_late_is_new_while_it_is_in_the_window(site: SmallSite):
    late = [site.status("front") for _ in range(2)]
    chatter(site, SEQUENCE_WINDOW)
    assert_refused(site, late[0], OLD)  # 64 after the second, 65 after the first
    assert_refused(site, late[1], OLD)

    late = [site.status("front") for _ in range(2)]
    chatter(site, SEQUENCE_WINDOW - 1)
    assert_refused(site, late[0], OLD)
    assert isinstance(site.take(late[1]), Recorded)
    site.repeated(late[1])


def test_messages_in_any_order_within_the_window_are_all_taken_once(site: SmallSite):
    sent = [site.status("front") for _ in range(SEQUENCE_WINDOW)]
    for message in reversed(sent):
        site.recorded(message)
    for message in sent:
        site.repeated(message)
    assert not gaps(site)


def test_what_a_window_has_let_go_is_not_kept(site: SmallSite):
    chatter(site, 300)
    ((_, window),) = site.flow._windows.items()
    assert sorted(window.taken) == list(range(300 - SEQUENCE_WINDOW + 1, 301))


# -- what never came --------------------------------------------------------------------------------------------------


def test_a_lost_message_shows_when_it_can_come_no_more(site: SmallSite):
    chatter(site, 1)
    site.skip("front", 1)
    chatter(site, SEQUENCE_WINDOW - 1)
    assert not gaps(site)
    chatter(site, 1)
    assert gaps(site) == [(2, 2, 1)]
    chatter(site, 200)
    assert gaps(site) == [(2, 2, 1)]


def test_a_gap_is_an_entry_after_that_of_the_message_that_showed_it(site: SmallSite):
    chatter(site, 1)
    site.skip("front", 99)
    site.advance(seconds=3)
    last = site.status("front")
    taken = site.recorded(last)
    status, gap = taken.drafts
    assert (status.kind, gap.kind) == (Kind.GATE_STATUS, Kind.GATE_GAP)
    assert (status.seq, gap.seq, site.flow.next_seq) == (1, 2, 3)
    assert taken.answer.entry == taken.receipt.seq == status.seq
    assert gap.at == site.now
    assert gap.public == {
        "gate": "front",
        "boot": last.message.boot.hex(),
        "first": 1,
        "last": 101 - SEQUENCE_WINDOW,
        "missing": 36,  # 2 to 37
    }
    assert (gap.tenants, gap.person, gap.personal) == ((), None, None)


def test_a_gate_that_is_heard_late_shows_what_was_missed(site: SmallSite):
    site.skip("front", 99)
    chatter(site, 1)
    assert gaps(site) == [(1, 36, 36)]


def test_every_message_that_was_lost_is_counted_in_the_end_and_none_that_came(site: SmallSite):
    lost = 0
    for round_ in range(12):
        chatter(site, 1 + round_ % 3)
        site.skip("front", round_ * 11)
        lost += round_ * 11
    late = site.status("front")
    chatter(site, 3)
    site.recorded(late)
    chatter(site, 2 * SEQUENCE_WINDOW)
    assert sum(missing for _, _, missing in gaps(site)) == lost
    assert all(first <= last and missing <= last - first + 1 for first, last, missing in gaps(site))


# -- boots ------------------------------------------------------------------------------------------------------------


def boots_of(site: SmallSite, boots: int) -> list[Sent]:
    """One message in each of so many boots."""
    sent = []
    for _ in range(boots):
        site.reboot("front")
        sent += chatter(site, 1)
    return sent


def test_the_first_message_of_a_boot_says_that_it_opens_it(site: SmallSite):
    for _ in range(2):
        site.reboot("front")
        assert [site.recorded(site.status("front")).receipt.opens_boot for _ in range(3)] == [
            True,
            False,
            False,
        ]


def test_a_gates_last_four_boots_are_answered_and_older_ones_refused(site: SmallSite):
    sent = boots_of(site, 5)
    for message in sent[1:]:
        site.repeated(message)
    assert_refused(site, sent[0], OLD)


def test_news_of_a_closed_boot_is_refused_too(site: SmallSite):
    hand = site.hand("front")
    chatter(site, 1)
    boots_of(site, 4)
    assert_refused(site, site.status("front", boot=hand.boot, sequence=2), OLD)
    assert_refused(site, site.scan("front-in", "sergeant", boot=hand.boot, sequence=3), OLD)


def test_boots_of_one_gate_close_none_of_another(site: SmallSite):
    (inner,) = chatter(site, 1, gate="inner")
    boots_of(site, 9)
    site.repeated(inner)


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
    assert_refused(site, site.scan("barrack-in", "private", sequence=1), CONFLICT)


def test_a_successor_knows_what_its_predecessor_knew(site: SmallSite):
    site.walk("front-in", "sergeant")
    boots_of(site, 6)
    site.skip("front", 80)
    chatter(site, 70)
    site.walk("barrack-in", "sergeant")
    former = fail_over(site)
    assert site.snapshot()[:7] == site.snapshot(former)[:7]


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


def test_a_closed_boot_stays_closed(site: SmallSite):
    gone = site.hand("front").boot
    site.flow.restore([], [(GateId("front"), gone)])
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
