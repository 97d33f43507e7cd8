"""The flow, as transcripts: what is new, what is known, what never came, and what follows for those who come after."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gatekeeper.core.flow import SEQUENCE_WINDOW, Flow
from gatekeeper.core.presence import Quality
from gatekeeper.model.messages import PassageOutcome, StatusKind, Verdict
from gatekeeper.model.reasons import MessageRefusal, Reason
from tests.support.sites import HOST, SmallSite


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def _restored(site: SmallSite) -> SmallSite:
    """The same site under another engine, which knows only what was committed."""
    other = SmallSite(next_seq=site.flow.next_seq)
    other.now = site.now
    other._gates, other._boots = site._gates, site._boots
    other.flow.memory.restore(
        site.flow.whereabouts.values(),
        site.flow.memory.usage,
        site.flow.memory.opened,
        register=other.flow.register,
        trust=other.flow.trust,
    )
    other.flow.restore(site.receipts, site.flow._closed_boots)
    return other


# -- known or new -----------------------------------------------------------------------------------------------------


def test_a_message_that_is_known_gets_its_first_answer_and_changes_nothing(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    first = site.recorded(scan)
    before = site.snapshot()
    for _ in range(100):
        assert site.repeated(scan).receipt is first.receipt
    assert site.snapshot() == before


def test_other_bytes_under_the_same_sequence_get_nothing(site: SmallSite):
    site.recorded(site.status("front", sequence=1))
    before = site.snapshot()
    refused = site.refused(site.status("front", StatusKind.TAMPER, sequence=1))
    assert refused.code is MessageRefusal.SEQUENCE_CONFLICT
    assert site.snapshot() == before


def test_messages_may_come_in_any_order_within_the_window(site: SmallSite):
    for sequence in (5, 2, 64, 1, 63):
        site.recorded(site.status("front", sequence=sequence))
    assert site.drafts[-1].kind == "gate.status"


def test_what_is_below_the_window_is_refused(site: SmallSite):
    old = site.status("front", sequence=1)
    site.recorded(site.status("front", sequence=1 + SEQUENCE_WINDOW))
    assert site.refused(old).code is MessageRefusal.SEQUENCE_OLD


def test_messages_that_never_came_are_written_down_when_they_fall_out_of_the_window(site: SmallSite):
    site.recorded(site.status("front", sequence=1))
    site.recorded(site.status("front", sequence=4))
    recorded = site.recorded(site.status("front", sequence=4 + SEQUENCE_WINDOW))
    assert [draft.kind for draft in recorded.drafts] == ["gate.status", "gate.gap"]
    gap = recorded.drafts[1].public
    assert (gap["first"], gap["last"], gap["missing"]) == (1, 4, 2)
    assert recorded.drafts[1].seq == recorded.drafts[0].seq + 1


def test_a_leap_of_a_quadrillion_is_one_gap_and_takes_no_time(site: SmallSite):
    site.recorded(site.status("front", sequence=1))
    leap = 1 << 52
    recorded = site.recorded(site.status("front", sequence=leap))
    gap = recorded.drafts[1].public
    assert (gap["first"], gap["last"]) == (1, leap - SEQUENCE_WINDOW)
    assert gap["missing"] == leap - SEQUENCE_WINDOW - 1


def test_the_bytes_of_a_former_boot_are_no_news_once_four_have_followed(site: SmallSite):
    old = site.status("front")
    for _ in range(4):
        site.reboot("front")
        site.recorded(site.status("front"))
    assert site.recorded(old).receipt.opens_boot
    stale = site.status("front")
    site.recorded(stale)
    for _ in range(4):
        site.reboot("front")
        site.recorded(site.status("front"))
    assert site.refused(stale).code is MessageRefusal.SEQUENCE_OLD


def test_gates_and_boots_have_windows_of_their_own(site: SmallSite):
    site.recorded(site.status("front", sequence=7))
    assert site.recorded(site.status("inner", sequence=7)).receipt.opens_boot
    site.reboot("front")
    assert site.recorded(site.status("front", sequence=7)).receipt.opens_boot


# -- what follows -----------------------------------------------------------------------------------------------------


def test_a_scan_sees_the_effect_of_the_scan_before_it(site: SmallSite):
    site.walk("front-in", "sergeant")
    site.walk("barrack-in", "sergeant")
    again = site.tap("barrack-in", "sergeant").decision
    assert again is not None
    assert again.reason is Reason.PASSBACK


def test_a_grant_moves_at_once_a_passage_makes_it_certain_and_none_puts_back(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    assert site.where("sergeant") == "yard"
    here = site.flow.whereabouts[site.holders["sergeant"].id]
    assert (here.quality, here.came_from) == (Quality.GRANTED, None)
    site.recorded(site.passage("front-in", PassageOutcome.TAKEN, scan=scan))
    assert site.flow.whereabouts[site.holders["sergeant"].id].quality is Quality.TAKEN
    inner = site.scan("barrack-in", "sergeant")
    site.recorded(inner)
    assert site.where("sergeant") == "barrack"
    site.recorded(site.passage("barrack-in", PassageOutcome.NOT_TAKEN, scan=inner))
    assert site.where("sergeant") == "yard"


def test_a_passage_of_another_gate_claims_no_grant(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    recorded = site.recorded(site.passage("front-in", PassageOutcome.NOT_TAKEN, scan=scan, gate="inner"))
    assert "grant" not in recorded.drafts[0].public
    assert recorded.moved == ()
    assert site.where("sergeant") == "yard"


def test_a_passage_long_after_its_holder_went_on_moves_nobody(site: SmallSite):
    first = site.scan("front-in", "sergeant")
    site.recorded(first)
    site.walk("barrack-in", "sergeant")
    site.recorded(site.passage("front-in", PassageOutcome.NOT_TAKEN, scan=first))
    assert site.where("sergeant") == "barrack"


@pytest.mark.parametrize("outcome", [PassageOutcome.FORCED, PassageOutcome.HELD_OPEN])
def test_a_door_that_was_forced_or_held_is_written_down_and_moves_nobody(
    site: SmallSite, outcome: PassageOutcome
):
    recorded = site.recorded(site.passage("front-in", outcome))
    assert recorded.drafts[0].kind in {"passage.forced", "passage.held-open"}
    assert recorded.answer.verdict is Verdict.RECORDED
    assert recorded.moved == ()


def test_what_a_gate_decided_alone_is_written_down_as_it_happened_and_decided_no_more(site: SmallSite):
    site.flow.lockdowns = frozenset({"site"})
    recorded = site.tap("front-in", "sergeant", offline_verdict=Verdict.GRANTED, offline_policy=bytes(32))
    assert recorded.decision is None
    assert recorded.drafts[0].kind == "access.offline-granted"
    assert recorded.answer.verdict is Verdict.RECORDED
    assert site.where("sergeant") == "yard"
    denied = site.tap("front-out", "sergeant", offline_verdict=Verdict.DENIED)
    assert denied.drafts[0].kind == "access.offline-denied"
    assert site.where("sergeant") == "yard"


def test_an_entry_stands_in_the_trees_of_the_holders_tenant_and_of_the_zones_owner(site: SmallSite):
    assert set(site.tap("front-in", "teacher").drafts[0].tenants) == {"school", HOST}
    assert site.tap("front-in", "sergeant").drafts[0].tenants == (HOST,)
    assert site.tap("school-in", "teacher").drafts[0].tenants == ("school",)


def test_who_is_not_known_is_nobodys_and_still_written_down(site: SmallSite):
    stranger = replace(site.badges["pupil"], token=b"no token at all")
    recorded = site.tap("front-in", stranger)
    assert recorded.drafts[0].kind == "access.denied"
    assert recorded.drafts[0].person == "-nobody-"
    assert "tenant" not in recorded.drafts[0].public


def test_every_message_is_answered_and_only_a_grant_unlocks(site: SmallSite):
    granted, denied = site.tap("front-in", "sergeant"), site.tap("armoury-in", "pupil")
    told = [site.recorded(site.status("front")), site.recorded(site.hello("front"))]
    assert granted.answer.unlock == timedelta(seconds=4)
    for other in (denied, *told):
        assert other.answer.unlock is None
    assert [one.answer.verdict for one in told] == [Verdict.RECORDED] * 2


def test_nothing_personal_stands_in_the_open(site: SmallSite):
    public = repr(site.tap("front-in", "teacher").drafts[0].public)
    assert "teacher" not in public
    assert site.badges["teacher"].badge.id not in public


# -- another engine ---------------------------------------------------------------------------------------------------


def test_an_engine_that_takes_over_answers_what_is_known_with_the_same_receipt(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    first = site.recorded(scan)
    other = _restored(site)
    assert other.repeated(scan).receipt.seq == first.receipt.seq
    assert other.flow.next_seq == site.flow.next_seq


def test_an_engine_that_takes_over_decides_as_the_former_would_have(site: SmallSite):
    site.walk("front-in", "sergeant")
    site.walk("barrack-in", "sergeant")
    other = _restored(site)
    again = other.tap("barrack-in", "sergeant").decision
    assert again is not None
    assert again.reason is Reason.PASSBACK


def test_an_engine_that_takes_over_still_lets_a_passage_find_its_grant(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    other = _restored(site)
    other.recorded(other.passage("front-in", PassageOutcome.NOT_TAKEN, scan=scan))
    assert other.where("sergeant") == "outside"


def test_an_engine_that_takes_over_refuses_what_the_former_would_have_refused(site: SmallSite):
    old = site.status("front", sequence=1)
    site.recorded(site.status("front", sequence=1 + SEQUENCE_WINDOW))
    assert _restored(site).refused(old).code is MessageRefusal.SEQUENCE_OLD


def test_the_same_messages_at_the_same_instants_make_the_same_entries():
    def played() -> list[object]:
        site = SmallSite()
        for who in ("sergeant", "private", "teacher", "pupil", "member"):
            site.tap("front-in", who)
            site.advance(seconds=7)
            site.tap("barrack-in", who)
        site.recorded(site.status("inner", StatusKind.TAMPER))
        return [
            (draft.kind, draft.seq, draft.at, draft.tenants, draft.public, draft.personal)
            for draft in site.drafts
        ]

    assert played() == played()


def test_a_scan_is_verified_before_it_is_taken(site: SmallSite):
    authentic = site.authentic(site.scan("front-in", "sergeant"))
    with pytest.raises(ValueError, match="verified"):
        site.flow.take(authentic, None, now=site.now)


def test_a_flow_that_begins_nowhere_counts_from_where_it_is_told():
    site = SmallSite(next_seq=4711)
    assert isinstance(site.flow, Flow)
    assert site.tap("front-in", "sergeant").receipt.seq == 4711
