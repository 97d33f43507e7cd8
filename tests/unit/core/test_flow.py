"""One state change a message: what is new, what is known, what is too old, and what a successor takes over."""

from dataclasses import replace

import pytest

from gatekeeper.core.audit import Kind
from gatekeeper.core.flow import Recorded
from gatekeeper.core.scan import Authentic
from gatekeeper.core.sequences import SEQUENCE_WINDOW
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import PassageOutcome, StatusKind, Verdict
from gatekeeper.model.reasons import MessageRefusal
from tests.support.sites import SmallSite
from tests.support.transcripts import assert_conflicts, assert_refused, boots_of, chatter, gaps

OLD, CONFLICT = MessageRefusal.SEQUENCE_OLD, MessageRefusal.SEQUENCE_CONFLICT
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


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
    assert_conflicts(site, site.scan("front-in", "private", sequence=1), alarm="boot-repeated")
    site.repeated(first)


def test_a_gate_has_one_sequence_over_all_its_channels(site: SmallSite):
    site.recorded(site.hello("front", sequence=1))
    assert_conflicts(site, site.scan("front-in", "sergeant", sequence=1), alarm="boot-repeated")
    for other in (
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
    kept = site.flow.sequences.kept(GateId("front"), site.hand("front").boot)
    assert kept == list(range(300 - SEQUENCE_WINDOW + 1, 301))


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
