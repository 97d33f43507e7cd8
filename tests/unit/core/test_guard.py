"""A grant that waits for a guard's word: yes opens, no and silence do not, and nothing opens in the meantime."""

from dataclasses import replace

import pytest

from gatekeeper.core.actuate import sign_answer
from gatekeeper.core.change import GuardChange, LockdownChange
from gatekeeper.core.facts import GuardsWord
from gatekeeper.core.flow import Repeated
from gatekeeper.core.supervise import APPLIED
from gatekeeper.model.ids import HolderId
from gatekeeper.model.messages import Answer, PassageOutcome, Verdict
from gatekeeper.model.reasons import Reason
from tests.support.sites import SITE, ground, issue, key_of
from tests.support.watched import Watched


@pytest.fixture
def site() -> Watched:
    return Watched()


def test_the_gate_is_asked_for_patience_and_nobody_has_moved(site: Watched):
    _, waiting = site.ask()
    assert (waiting.answer.verdict, waiting.answer.unlock) == (Verdict.WAITING, None)
    assert waiting.answer.reason == Reason.VERIFICATION_REQUIRED.bacnet
    assert waiting.answer.valid.total_seconds() == 20
    assert waiting.drafts[0].kind == "access.waiting"
    assert site.where("sergeant") is None


def test_an_answer_that_asks_for_patience_can_be_read_by_a_gate(site: Watched):
    _, waiting = site.ask()
    assert Answer.read(waiting.answer.payload()) == waiting.answer


def test_a_guards_yes_opens(site: Watched):
    sent, waiting = site.ask()
    done = site.say(waiting.receipt.seq, yes=True)
    assert done.outcome.code == APPLIED
    assert done.settled is not None
    answer = done.settled.answer
    assert (answer.verdict, answer.message) == (Verdict.GRANTED, sent.digest)
    assert [draft.kind for draft in (done.draft, *done.settled.drafts)] == [
        "guard.answered",
        "access.granted",
    ]
    assert [draft.seq for draft in (done.draft, *done.settled.drafts)] == [1, 2]
    assert site.where("sergeant") == "yard"
    assert (waiting.settles, done.settled.settles) == (False, True)


def test_a_passage_claims_the_grant_that_a_guards_yes_made(site: Watched):
    sent, waiting = site.ask()
    granted = site.say(waiting.drafts[0].seq, yes=True).settled
    assert granted is not None
    passed = site.recorded(site.passage("front-in", PassageOutcome.TAKEN, scan=sent))
    assert passed.drafts[0].public["grant"] == granted.drafts[0].seq
    assert [presence.holder for presence in passed.moved] == ["sergeant"]


def test_who_is_forced_alarms_once_when_a_guard_is_asked_and_not_again_when_he_answers(site: Watched):
    """The badge's own cry for help was heard when it was presented."""
    forced = issue("forced", "army", duress=True)
    site.enter(
        "forced",
        forced,
        replace(ground().holders["sergeant"], id=HolderId("forced"), badges=(forced.badge.id,)),
    )
    waiting = site.tap("front-in", "forced")
    assert waiting.alarms == (Reason.DURESS.code,)
    done = site.say(waiting.drafts[0].seq, yes=True).settled
    assert done is not None
    assert Reason.DURESS in done.decision.reasons
    assert (done.alarms, "alarm" in done.drafts[0].public) == ((), False)


def test_a_guards_no_and_his_silence_do_not(site: Watched):
    _, waiting = site.ask()
    refused = site.say(waiting.receipt.seq, yes=False).settled
    assert refused is not None
    assert refused.decision is not None
    assert refused.decision.reason is Reason.VERIFICATION_FAILED
    _, waiting = site.ask()
    assert site.flow.overdue(site.now) == []
    site.advance(seconds=20)
    assert site.flow.overdue(site.now) == [waiting.receipt.seq]
    silent = site.flow.settle(waiting.receipt.seq, GuardsWord.SILENCE, now=site.now)
    assert silent is not None
    assert silent.decision is not None
    assert silent.decision.reason is Reason.VERIFICATION_TIMEOUT
    assert site.where("sergeant") is None


def test_a_scan_is_settled_once(site: Watched):
    _, waiting = site.ask()
    site.say(waiting.receipt.seq, yes=False)
    again = site.say(waiting.receipt.seq, yes=True)
    assert again.outcome.code == "scan-not-waiting"
    assert site.say(999, yes=True).outcome.code == "scan-not-waiting"


def test_what_changed_while_the_guard_looked_counts(site: Watched):
    _, waiting = site.ask()
    site.supervise(LockdownChange(scope="site", on=True))
    done = site.say(waiting.receipt.seq, yes=True).settled
    assert done is not None
    assert done.answer.verdict is Verdict.DENIED
    assert done.decision is not None
    assert Reason.DENY_ALL in done.decision.reasons


def test_who_asks_again_meanwhile_is_asked_for_patience_again_and_afterwards_gets_the_last_word(
    site: Watched,
):
    sent, waiting = site.ask()
    repeated = site.repeated(sent)
    assert repeated == Repeated(waiting.receipt)
    assert repeated.receipt.verdict is Verdict.WAITING
    site.say(waiting.receipt.seq, yes=True)
    assert site.repeated(sent).receipt.verdict is Verdict.GRANTED


def test_a_scan_that_lacks_something_else_never_waits(site: Watched):
    site.supervise(LockdownChange(scope="site", on=True))
    _, refused = site.ask()
    assert refused.answer.verdict is Verdict.DENIED


def test_the_last_word_is_signed_like_any_answer(site: Watched):
    _, waiting = site.ask()
    done = site.say(waiting.receipt.seq, yes=True).settled
    assert done is not None
    topic, wire = sign_answer(done.answer, site=SITE, key=key_of("decision"), prefix="gk")
    assert topic == "gk/v1/fort/front/decision"
    assert wire


def test_nobody_but_the_host_speaks_as_guard(site: Watched):
    _, waiting = site.ask()
    refused = site.supervise(GuardChange(entry=waiting.receipt.seq, yes=True), by="school")
    assert refused.outcome.code == "change-not-yours"
    assert site.flow.overdue(site.now) == []
