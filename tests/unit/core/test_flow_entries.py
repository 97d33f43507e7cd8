"""What is written of a message, and what it does to presence: grants, passages, past events, and whom they concern."""

import hashlib
from base64 import b64decode
from dataclasses import replace
from datetime import timedelta

import pytest

from gatekeeper.core.audit import NOBODY, Kind
from gatekeeper.core.presence import Presence, Quality
from gatekeeper.model.badges import BadgeState, Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, GateId, HolderId, ZoneId
from gatekeeper.model.messages import ANSWER_VALIDITY, ClockQuality, PassageOutcome, StatusKind, Verdict
from gatekeeper.model.reasons import Reason
from gatekeeper.model.topics import Channel
from tests.support.sites import BADGES, SmallSite, ground, issue
from tests.support.transcripts import entry, here

TAKEN, NOT_TAKEN = PassageOutcome.TAKEN, PassageOutcome.NOT_TAKEN
SERGEANT = HolderId("sergeant")
STRANGE_CARD = Card(CardTechnology.MIFARE, b"\1\2\3\4")


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


# -- scans ------------------------------------------------------------------------------------------------------------


def test_a_granted_scan(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    taken = site.recorded(scan)
    policy = site.flow.policy.version
    assert entry(taken).kind is Kind.ACCESS_GRANTED
    assert entry(taken).public == {
        "access_point": "front-in",
        "from": "outside",
        "to": "yard",
        "gate": "front",
        "boot": scan.message.boot.hex(),
        "sequence": 1,
        "message": scan.digest.hex(),
        "reason": "granted",
        "reasons": [],
        "policy": policy.hex(),
        "tenant": "army",
        "assurance": 2,
    }
    answer = taken.answer
    assert (answer.verdict, answer.reason, answer.policy) == (Verdict.GRANTED, 1, policy)
    assert (answer.valid, answer.unlock) == (ANSWER_VALIDITY, timedelta(seconds=4))


def test_a_denied_scan_says_every_reason_to_the_log_and_one_to_the_gate(site: SmallSite):
    taken = site.tap("armoury-in", "pupil")
    assert entry(taken).kind is Kind.ACCESS_DENIED
    assert entry(taken).public["reason"] == Reason.HOST_VETO.code
    assert entry(taken).public["reasons"] == [reason.code for reason in taken.decision.reasons]
    assert len(taken.decision.reasons) > 3
    answer = taken.answer
    assert (answer.verdict, answer.reason, answer.unlock) == (Verdict.DENIED, Reason.HOST_VETO.bacnet, None)
    assert taken.moved == ()
    assert not site.flow.whereabouts


def test_what_is_personal_is_kept_apart_with_the_bytes_it_was_decided_on(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    draft = entry(site.recorded(scan))
    assert draft.person == SERGEANT
    assert draft.personal is not None
    assert draft.personal.keys() == {"holder", "badge", "facts", "scan"}
    assert (draft.personal["holder"], draft.personal["badge"]) == ("sergeant", BADGES["sergeant"].badge.id)
    assert b64decode(draft.personal["scan"]) == scan.wire


def test_of_a_card_that_nobody_knows_the_bytes_are_kept_under_nobodys_key(site: SmallSite):
    scan = site.scan("shed-in", STRANGE_CARD)
    draft = entry(site.recorded(scan))
    assert (draft.kind, draft.person) == (Kind.ACCESS_DENIED, NOBODY)
    assert draft.personal is not None
    assert (draft.personal["holder"], draft.personal["badge"]) == (None, None)
    assert b64decode(draft.personal["scan"]) == scan.wire
    assert "tenant" not in draft.public


def test_a_badge_without_a_holder_is_named_under_nobodys_key(site: SmallSite):
    stray = issue("stray", "army")
    site.enter("stray", stray)
    draft = entry(site.tap("front-in", "stray"))
    assert (draft.person, draft.tenants) == (NOBODY, ("army",))
    assert draft.personal is not None
    assert (draft.personal["holder"], draft.personal["badge"]) == (None, stray.badge.id)


def test_an_access_point_that_the_site_does_not_have_is_written_down_as_it_was_named(site: SmallSite):
    draft = entry(site.tap("back-door", "sergeant"))
    assert draft.public["access_point"] == "back-door"
    assert "from" not in draft.public
    assert "to" not in draft.public
    assert draft.tenants == ("army",)


def test_the_gates_own_time_is_written_beside_the_sites_with_what_it_is_worth(site: SmallSite):
    slow = site.now - timedelta(hours=1, milliseconds=1)
    draft = entry(site.tap("front-in", "sergeant", gate_at=slow, clock=ClockQuality.FREE_RUNNING))
    assert draft.at == site.now
    assert draft.public["gate_at"] == "2026-06-03T08:59:59.999000Z"
    assert draft.public["clock"] == "free_running"
    assert not {"gate_at", "clock"} & entry(site.tap("front-in", "private")).public.keys()


# -- whom an entry concerns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access_point", "who", "tenants"),
    [
        ("front-in", "sergeant", ("army",)),
        ("front-in", "teacher", ("school", "army")),
        ("school-in", "teacher", ("school",)),
        ("school-in", "sergeant", ("army", "school")),
        ("school-out", "member", ("club", "school")),
        ("school-in", STRANGE_CARD, ("school",)),
        ("shed-in", STRANGE_CARD, ("army",)),
        ("back-door", STRANGE_CARD, ()),
    ],
)
def test_a_scan_stands_in_the_trees_of_the_holders_tenant_and_of_the_zones_owner(
    access_point: str, who: str | Card, tenants: tuple[str, ...], site: SmallSite
):
    draft = entry(site.tap(access_point, who))
    assert draft.tenants == tenants


def test_a_tenant_that_the_policy_does_not_know_has_no_tree(site: SmallSite):
    tenants = {name: rights for name, rights in site.flow.policy.tenants.items() if name != "club"}
    site.flow.policy = replace(site.flow.policy, tenants=tenants)
    draft = entry(site.tap("school-in", "member"))
    assert (draft.tenants, draft.public["tenant"]) == (("school",), "club")


def test_a_passage_stands_in_the_trees_of_its_grant(site: SmallSite):
    scan = site.scan("school-in", "sergeant")
    grant = site.recorded(scan)
    passage = site.recorded(site.passage("school-in", TAKEN, scan=scan))
    assert entry(passage).tenants == entry(grant).tenants == ("army", "school")


def test_a_passage_of_nobody_concerns_the_zones_owner(site: SmallSite):
    taken = site.recorded(site.passage("school-in", PassageOutcome.FORCED))
    assert entry(taken).tenants == ("school",)


def test_what_a_gate_says_of_itself_concerns_the_site_alone(site: SmallSite):
    for sent in (site.hello("front"), site.status("inner", access_point=AccessPointId("school-in"))):
        draft = entry(site.recorded(sent))
        assert (draft.tenants, draft.person, draft.personal) == ((), None, None)


# -- grants and passages ----------------------------------------------------------------------------------------------


def test_a_grant_moves_at_once_and_the_passage_makes_it_sure(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    granted = site.recorded(scan)
    assert granted.moved == (here(site),)
    assert here(site) == Presence(
        holder=SERGEANT,
        zone=ZoneId("yard"),
        since=site.now,
        quality=Quality.GRANTED,
        access_point=AccessPointId("front-in"),
        seq=granted.receipt.seq,
    )
    asked = site.now
    site.advance(seconds=3)
    passed = site.recorded(site.passage("front-in", TAKEN, scan=scan))
    assert passed.moved == (here(site),)
    assert (here(site).zone, here(site).quality, here(site).since) == ("yard", Quality.TAKEN, asked)
    assert here(site).seq == passed.receipt.seq


def test_a_passage_names_its_grant_its_scan_and_whose_holder_it_was(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    grant = site.recorded(scan)
    passage = site.passage("front-in", TAKEN, scan=scan)
    draft = entry(site.recorded(passage))
    assert draft.kind is Kind.PASSAGE_TAKEN
    assert draft.public == {
        "access_point": "front-in",
        "from": "outside",
        "to": "yard",
        "tenant": "army",
        "gate": "front",
        "boot": passage.message.boot.hex(),
        "sequence": 2,
        "message": passage.digest.hex(),
        "scan": scan.digest.hex(),
        "grant": grant.receipt.seq,
    }
    assert (draft.person, draft.personal) == (SERGEANT, {"holder": SERGEANT})


def test_a_passage_is_recorded_and_opens_nothing(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    for outcome in PassageOutcome:
        taken = site.recorded(site.passage("front-in", outcome, scan=scan))
        answer = taken.answer
        assert (answer.verdict, answer.reason, answer.unlock) == (Verdict.RECORDED, 0, None)
        assert taken.decision is None


def test_who_did_not_pass_is_put_back(site: SmallSite):
    site.walk("front-in", "sergeant")
    scan = site.scan("barrack-in", "sergeant")
    site.recorded(scan)
    assert site.where("sergeant") == "barrack"
    put_back = site.recorded(site.passage("barrack-in", NOT_TAKEN, scan=scan))
    assert entry(put_back).kind is Kind.PASSAGE_NOT_TAKEN
    assert put_back.moved == (here(site),)
    assert site.where("sergeant") == "yard"
    assert site.tap("barrack-in", "sergeant").answer.verdict is Verdict.GRANTED


def test_whoever_comes_from_nowhere_and_does_not_pass_is_outside(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    site.recorded(site.passage("front-in", NOT_TAKEN, scan=scan))
    assert site.where("sergeant") == "outside"


@pytest.mark.parametrize("outcome", [TAKEN, NOT_TAKEN])
def test_a_passage_that_is_told_late_does_not_move_who_has_gone_on(outcome: PassageOutcome, site: SmallSite):
    front = site.scan("front-in", "sergeant")
    site.recorded(front)
    site.walk("barrack-in", "sergeant")
    before = here(site)
    late = site.recorded(site.passage("front-in", outcome, scan=front))
    assert late.moved == ()
    assert here(site) == before


def test_a_grant_is_used_up_by_its_first_passage(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    site.recorded(site.passage("front-in", TAKEN, scan=scan))
    before = here(site)
    for outcome in (TAKEN, NOT_TAKEN):
        assert site.recorded(site.passage("front-in", outcome, scan=scan)).moved == ()
    assert here(site) == before


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (PassageOutcome.FORCED, Kind.PASSAGE_FORCED),
        (PassageOutcome.HELD_OPEN, Kind.PASSAGE_HELD_OPEN),
    ],
)
def test_a_door_that_is_forced_or_held_open_is_written_down_and_moves_nobody(
    outcome: PassageOutcome, kind: Kind, site: SmallSite
):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    before = here(site)
    with_grant = site.recorded(site.passage("front-in", outcome, scan=scan))
    without = site.recorded(site.passage("front-in", outcome))
    assert (entry(with_grant).kind, entry(without).kind) == (kind, kind)
    assert entry(with_grant).person == SERGEANT
    assert (entry(without).person, entry(without).personal) == (None, None)
    assert not {"scan", "grant"} & entry(without).public.keys()
    assert with_grant.moved == without.moved == ()
    assert here(site) == before


def test_another_gate_cannot_claim_a_grant(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    site.recorded(scan)
    before = here(site)
    for outcome in (TAKEN, NOT_TAKEN):
        foreign = site.recorded(site.passage("barrack-in", outcome, scan=scan))
        assert "grant" not in entry(foreign).public
        assert (entry(foreign).person, entry(foreign).personal) == (None, None)
        assert foreign.moved == ()
    assert here(site) == before


def test_a_passage_by_another_door_of_the_same_gate_moves_nobody(site: SmallSite):
    for outcome in (TAKEN, NOT_TAKEN):
        scan = site.scan("barrack-in", "sergeant")
        site.recorded(scan)
        before = here(site)
        assert site.recorded(site.passage("armoury-in", outcome, scan=scan)).moved == ()
        assert here(site) == before


def test_a_passage_after_a_denial_is_nobodys(site: SmallSite):
    denied = site.scan("armoury-in", "private")
    site.recorded(denied)
    taken = site.recorded(site.passage("armoury-in", TAKEN, scan=denied))
    assert "grant" not in entry(taken).public
    assert entry(taken).person is None
    assert not site.flow.whereabouts


def test_a_passage_for_a_scan_that_was_never_heard_is_nobodys(site: SmallSite):
    unheard = site.scan("front-in", "sergeant")
    taken = site.recorded(site.passage("front-in", TAKEN, scan=unheard))
    assert entry(taken).public["scan"] == unheard.digest.hex()
    assert "grant" not in entry(taken).public
    assert not site.flow.whereabouts


def test_people_are_told_apart(site: SmallSite):
    first, second = site.scan("front-in", "sergeant"), site.scan("front-in", "private")
    site.recorded(first)
    site.recorded(second)
    site.recorded(site.passage("front-in", NOT_TAKEN, scan=first))
    site.recorded(site.passage("front-in", TAKEN, scan=second))
    assert (site.where("sergeant"), site.where("private")) == ("outside", "yard")
    assert here(site, "private").quality is Quality.TAKEN


# -- later scans see earlier ones -------------------------------------------------------------------------------------


def test_a_badge_that_is_handed_back_over_the_fence_does_not_open_again(site: SmallSite):
    site.walk("front-in", "sergeant")
    assert site.tap("barrack-in", "sergeant").answer.verdict is Verdict.GRANTED
    second = site.tap("barrack-in", "sergeant")
    assert (second.answer.verdict, second.decision.reason) == (Verdict.DENIED, Reason.PASSBACK)
    site.walk("barrack-out", "sergeant")
    assert site.tap("barrack-in", "sergeant").answer.verdict is Verdict.GRANTED


def test_a_denial_leaves_a_person_where_they_are(site: SmallSite):
    site.walk("front-in", "sergeant")
    site.flow.register.set_state(BADGES["sergeant"].badge.id, BadgeState.SUSPENDED)
    site.tap("barrack-in", "sergeant")
    assert site.where("sergeant") == "yard"


# -- gates of themselves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", StatusKind)
def test_every_status_has_its_word(kind: StatusKind, site: SmallSite):
    draft = entry(site.recorded(site.status("front", kind)))
    assert (draft.kind, draft.public["status"]) == (Kind.GATE_STATUS, kind.name.lower())


def test_what_a_gate_must_not_have_met_is_an_alarm_and_nothing_else_that_it_tells_of_itself(site: SmallSite):
    alarming = {
        StatusKind.LOG_ROLLED_BACK: "log-rolled-back",
        StatusKind.POLICY_REFUSED: "policy-refused",
        StatusKind.CLOCK_DOUBTED: "clock-doubted",
        StatusKind.JOURNAL_FULL: "journal-full",
        StatusKind.JOURNAL_DAMAGED: "journal-damaged",
        StatusKind.FIRE: "fire",
        StatusKind.COMMAND_REFUSED: "command-refused",
        StatusKind.TAMPER: "tamper",
        StatusKind.OPENED_ITSELF: "opened-itself",
    }
    for kind in StatusKind:
        recorded = site.recorded(site.status("front", kind))
        assert recorded.alarms == ((alarming[kind],) if kind in alarming else ())
        assert entry(recorded).public.get("alarm", False) is (kind in alarming)


@pytest.mark.parametrize("outcome", PassageOutcome)
def test_a_door_that_was_forced_or_is_held_open_is_an_alarm(outcome: PassageOutcome, site: SmallSite):
    alarming = {PassageOutcome.FORCED: "door-forced", PassageOutcome.HELD_OPEN: "door-held-open"}
    recorded = site.recorded(site.passage("front-in", outcome))
    assert recorded.alarms == ((alarming[outcome],) if outcome in alarming else ())
    assert entry(recorded).public.get("alarm", False) is (outcome in alarming)


def test_a_status_of_the_gate_itself_names_no_door(site: SmallSite):
    assert not {"access_point", "from", "to"} & entry(site.recorded(site.status("front"))).public.keys()


def test_a_status_of_a_door_says_where_it_stands(site: SmallSite):
    draft = entry(site.recorded(site.status("front", access_point=AccessPointId("front-in"))))
    assert (draft.public["access_point"], draft.public["from"], draft.public["to"]) == (
        "front-in",
        "outside",
        "yard",
    )


def test_a_hello_says_what_the_gate_runs_and_what_it_holds(site: SmallSite):
    note = b"a checkpoint that the gate remembers"
    draft = entry(
        site.recorded(site.hello("front", agent="acme/2", policy=bytes(range(32)), checkpoint=note))
    )
    assert draft.kind is Kind.GATE_HELLO
    assert draft.public["agent"] == "acme/2"
    assert draft.public["policy"] == bytes(range(32)).hex()
    assert draft.public["checkpoint"] == hashlib.sha256(note).hexdigest()
    bare = entry(site.recorded(site.hello("front")))
    assert not {"policy", "checkpoint"} & bare.public.keys()


def test_a_gate_may_be_known_to_the_trust_list_and_not_to_the_policy(site: SmallSite):
    policy = site.flow.policy
    site.flow.policy = replace(policy, points={}, gates={})
    taken = site.recorded(site.scan("front-in", "sergeant", gate="front"))
    assert taken.decision.reasons == (Reason.UNKNOWN_ACCESS_POINT,)
    site.recorded(site.send("front", Channel.STATUS, site.status("front").message))
    assert GateId("front") in ground().trust.listing.gates
