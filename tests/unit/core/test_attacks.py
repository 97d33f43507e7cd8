"""Attacks on the site, by people, gates, tenants and operators: each test says what must hold in spite of one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import NOBODY, Kind
from gatekeeper.core.change import (
    ApprovalChange,
    BadgeStateChange,
    GuardChange,
    HolderChange,
    OperatorChange,
    PolicyChange,
    TrustChange,
)
from gatekeeper.core.operators import Role
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.core.proposals import digest_of
from gatekeeper.core.register import HolderRecord, Register
from gatekeeper.core.supervise import APPLIED, PROPOSED
from gatekeeper.core.trust import KeyState, Use
from gatekeeper.core.widening import policy_gains
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import AccessPointId, HolderId, TenantId
from gatekeeper.model.messages import PassageOutcome, StatusKind, Verdict
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.operators import account, signed_account
from tests.support.rules_site import PIN, PIN_RECORD, RuledSite, document_with, policy_with
from tests.support.sites import (
    SITE,
    issue,
    key_of,
    listed,
    register_holder,
    signed_trust,
    trusted,
)

VISITOR = HolderKind.VISITOR
NOT_TAKEN, TAKEN = PassageOutcome.NOT_TAKEN, PassageOutcome.TAKEN
GUARD = {"barrack": {"guard_check": {"seconds": 30}}}


def registered(site: RuledSite, holder: Any) -> str:
    """What becomes of a registration without new badges."""
    change = HolderChange(holder=holder.id, document=register_holder(holder), badges=())
    return site.supervise(change).outcome.code


# -- past events ------------------------------------------------------------------------------------------------------


def test_an_older_offline_grant_does_not_unlock_a_badge_that_was_locked_out_since():
    site = RuledSite(rules={"lock_out": {"failures": 2, "minutes": 10, "for_minutes": 60}})
    site.enrol("thief", clearance=1)
    old = site.late("front-in", "thief", timedelta(hours=1))
    for _ in range(2):
        site.advance(seconds=1)
        assert not site.ask("armoury-in", "thief").granted
    site.advance(seconds=1)
    assert Reason.LOCKOUT in site.ask("front-in", "thief").reasons
    site.recorded(old)
    assert Reason.LOCKOUT in site.ask("front-in", "thief").reasons


def test_an_older_offline_grant_does_not_move_somebody_who_was_seen_elsewhere_since():
    site = RuledSite({"barrack": {"anti_passback": "hard"}})
    old = site.late("front-in", "sergeant", timedelta(minutes=30))
    site.advance(minutes=5)
    site.walk("barrack-in", "sergeant")
    assert not site.ask("barrack-in", "sergeant").granted
    site.recorded(old)
    assert site.where("sergeant") == "barrack"
    assert not site.ask("barrack-in", "sergeant").granted


def test_an_older_offline_grant_does_not_set_the_last_use_of_a_badge_back():
    site = RuledSite(travel=[{"between": ["front-in", "barrack-in"], "seconds": 3600}])
    old = site.late("shed-in", "sergeant", timedelta(hours=3))
    site.walk("front-in", "sergeant")
    site.advance(seconds=10)
    assert Reason.IMPOSSIBLE_TRAVEL in site.ask("barrack-in", "sergeant").reasons
    site.recorded(old)
    assert Reason.IMPOSSIBLE_TRAVEL in site.ask("barrack-in", "sergeant").reasons


FIRST = {"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}}


def test_a_gate_speaks_offline_of_its_own_access_points_only():
    """The shed's cheap reader says that it let the keyholder into the barrack; the barrack is open to all from then on."""
    site = RuledSite(FIRST)
    site.enrol("keyholder", "keyholder")
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)
    site.take(site.scan("barrack-in", "keyholder", offline_verdict=Verdict.GRANTED, gate="shed-reader"))
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)
    assert site.where("keyholder") is None


def test_an_offline_grant_without_the_badges_own_proof_opens_no_zone_for_others_and_moves_nobody():
    site = RuledSite(FIRST)
    site.enrol("keyholder", "keyholder")
    site.take(site.scan("barrack-in", "keyholder", offline_verdict=Verdict.GRANTED, proof=None))
    assert site.where("keyholder") is None
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)


def test_a_stolen_badge_that_a_gate_alone_let_in_is_no_first_person():
    site = RuledSite(FIRST)
    issued = site.enrol("keyholder", "keyholder").badges[0]
    site.changed(BadgeStateChange(badge=issued, state=BadgeState.STOLEN))
    site.take(site.scan("barrack-in", "keyholder", offline_verdict=Verdict.GRANTED))
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)


def test_who_was_let_in_elsewhere_by_a_gate_that_was_alone_waits_for_company_no_more():
    site = RuledSite({"armoury": {"two_persons": {"seconds": 60}}})
    site.denied("armoury-in", "sergeant", Reason.NO_ACCOMPANIMENT)
    site.recorded(site.scan("shed-in", "sergeant", offline_verdict=Verdict.GRANTED))
    site.enrol("other")
    assert not site.ask("armoury-in", "other").granted


# -- doors ------------------------------------------------------------------------------------------------------------

LOCK = {"interlock": [{"id": "lock", "access_points": ["barrack-in", "armoury-in"]}]}


def test_a_gate_says_of_its_own_doors_only_that_they_are_shut():
    site = RuledSite(**LOCK)
    site.recorded(site.passage("armoury-in", PassageOutcome.FORCED))
    site.denied("barrack-in", "sergeant", Reason.INTERLOCK)
    site.take(site.status("shed-reader", StatusKind.CLOSED_AGAIN, access_point=AccessPointId("armoury-in")))
    site.denied("barrack-in", "sergeant", Reason.INTERLOCK)


def test_a_gate_says_of_its_own_doors_only_that_nobody_opened_them():
    site = RuledSite(**LOCK)
    site.granted("armoury-in", "sergeant")
    site.enrol("other")
    site.denied("barrack-in", "other", Reason.INTERLOCK)
    site.take(site.passage("armoury-in", NOT_TAKEN, gate="shed-reader"))
    site.denied("barrack-in", "other", Reason.INTERLOCK)


# -- first person -----------------------------------------------------------------------------------------------------


def test_two_first_persons_who_both_turn_back_have_opened_nothing():
    site = RuledSite(FIRST)
    site.enrol("one", "keyholder")
    site.enrol("two", "keyholder")
    first = site.granted("barrack-in", "one")
    second = site.granted("corridor", "two")
    site.advance(seconds=5)
    site.turned_back("barrack-in", first)
    site.turned_back("corridor", second)
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)


def test_a_first_person_who_turns_back_after_a_takeover_has_opened_nothing():
    site = RuledSite(FIRST)
    site.enrol("one", "keyholder")
    scan = site.granted("barrack-in", "one")
    site.restart()
    site.turned_back("barrack-in", scan)
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)


# -- escort -----------------------------------------------------------------------------------------------------------

ESCORT = {"barrack": {"escort": {"by": ["army/escort"], "seconds": 60, "most": 1}}}


def test_a_host_who_badges_twice_brings_no_more_guests_than_he_may():
    site = RuledSite(ESCORT)
    site.enrol("host", "escort")
    for name in ("first", "second"):
        site.enrol(name, kind=VISITOR)
        site.denied("barrack-in", name, Reason.NO_ESCORT)
        site.advance(seconds=5)
        site.ask("barrack-in", "host")
    assert [site.where("first"), site.where("second")] == ["barrack", None]


def test_a_visitor_is_nobodys_host_though_a_registration_names_him():
    site = RuledSite(ESCORT)
    site.enrol("host", "escort")
    site.enrol("first", kind=VISITOR)
    site.enrol("second", kind=VISITOR, host=HolderId("first"))
    site.walk("barrack-in", "host")
    site.walk("barrack-in", "first")
    site.advance(seconds=1)
    assert site.where("first") == "barrack"
    assert not site.ask("barrack-in", "second").granted


def test_another_tenants_registration_makes_nobody_a_host_who_is_then_held_in():
    site = RuledSite({"yard": {"escort": {"by": ["army/escort"], "seconds": 60, "most": 2}}})
    site.enrol("guest", tenant="school", kind=VISITOR, host=HolderId("sergeant"))
    site.walk("front-in", "sergeant")
    site.advance(seconds=10)
    site.ask("front-in", "guest")
    assert site.ask("front-out", "sergeant").granted


def direct(document: dict[str, Any]) -> dict[str, Any]:
    """A door from outside straight into the barrack."""
    names = {"en": "back", "nl": "achter"}
    document["access_point"].append(
        {
            "id": "back-in",
            "gate": "inner",
            "from": "outside",
            "to": "barrack",
            "direction": "in",
            "name": names,
        }
    )
    return document


WIDE = {"kinds": ["visitor", "contractor"], "by": ["army/escort"], "seconds": 60, "most": 1}
NARROW = {"kinds": ["visitor"], "by": ["army/escort"], "seconds": 60, "most": 1}


def test_the_inner_zones_escort_does_not_switch_off_that_of_the_zone_around_it():
    site = RuledSite()
    site.write(direct(document_with({"yard": {"escort": WIDE}, "barrack": {"escort": NARROW}})))
    site.enrol("worker", kind=HolderKind.CONTRACTOR)
    assert not site.ask("front-in", "worker").granted
    assert not site.ask("back-in", "worker").granted


ALERT = {"alert": [{"state": "tense", "escort": True}], "rules": {"escort": WIDE}}


def test_a_zones_own_escort_does_not_switch_off_what_the_alert_state_demands_everywhere():
    site = RuledSite({"barrack": {"escort": NARROW}}, **ALERT)
    site.flow.alert = 1
    site.enrol("worker", kind=HolderKind.CONTRACTOR)
    assert Reason.NO_ESCORT in site.ask("front-in", "worker").reasons
    assert not site.ask("barrack-in", "worker").granted


def test_an_escort_rule_more_lets_nobody_in_and_one_less_is_no_change_that_only_takes():
    before, after = policy_with(**ALERT), policy_with({"barrack": {"escort": NARROW}}, **ALERT)
    assert not policy_gains(before, after)
    assert policy_gains(after, before)


def test_one_person_does_not_let_contractors_in_at_an_alert_by_adding_an_escort_rule():
    site = RuledSite(**ALERT)
    site.flow.alert = 1
    site.enrol("worker", kind=HolderKind.CONTRACTOR)
    site.denied("barrack-in", "worker", Reason.NO_ESCORT)
    document = sign_policy(
        document_with({"barrack": {"escort": NARROW}}, **ALERT), site=SITE, key=key_of("army signing")
    )
    outcome = site.supervise(PolicyChange(document=document), by="admin").outcome
    assert outcome.code == PROPOSED or not site.ask("barrack-in", "worker").granted


# -- occupancy --------------------------------------------------------------------------------------------------------


def test_an_exempt_host_brings_no_more_people_in_than_there_is_room_for():
    site = RuledSite(
        {
            "barrack": {
                "occupancy": {"most": 1, "exempt": ["army/escort"]},
                "escort": {"by": ["army/escort"], "seconds": 60, "most": 2},
            }
        }
    )
    site.enrol("host", "escort")
    for name in ("first", "second"):
        site.enrol(name, kind=VISITOR)
        site.denied("barrack-in", name, Reason.NO_ESCORT)
    site.advance(seconds=1)
    site.ask("barrack-in", "host")
    inside = [name for name in ("first", "second") if site.where(name) == "barrack"]
    assert len(inside) <= 1


def test_an_exempt_person_takes_nobody_out_who_leaves_another_alone():
    site = RuledSite(
        {
            "barrack": {
                "occupancy": {"least": 2, "exempt": ["army/escort"]},
                "two_persons": {"seconds": 60, "leaving": True},
            }
        }
    )
    site.enrol("officer", "escort")
    site.enrol("one")
    site.enrol("two")
    assert not site.ask("barrack-in", "one").granted
    assert site.ask("barrack-in", "two").granted
    site.advance(seconds=1)
    assert not site.ask("barrack-out", "one").granted
    site.advance(seconds=1)
    site.ask("barrack-out", "officer")
    left = [name for name in ("one", "two") if site.where(name) == "barrack"]
    assert len(left) != 1


# -- a guard's word ---------------------------------------------------------------------------------------------------


def test_a_guards_yes_that_comes_after_the_time_out_opens_nothing():
    site = RuledSite(GUARD)
    found = site.waiting()
    site.advance(minutes=10)
    done = site.supervise(GuardChange(entry=found.receipt.seq, yes=True))
    assert done.settled is None or not done.settled.decision.granted


def test_a_token_whose_issuer_key_was_revoked_while_the_guard_looked_opens_nothing():
    """The registration is by the new key, the badge by the old one, which the trust list revokes meanwhile."""

    def listing(state: KeyState, version: int) -> Any:
        made = listed()
        army = made.tenants[TenantId("army")]
        since = made.issued if state is KeyState.REVOKED else None
        old = trusted("army issuer", use=Use.ISSUER, owner="army", state=state, since=since)
        new = trusted("army issuer 2", use=Use.ISSUER, owner="army")
        tenants = dict(made.tenants) | {TenantId("army"): replace(army, issuers=(old, new))}
        services = (*made.services,)
        return signed_trust(replace(made, tenants=tenants, version=version, services=services))

    site = RuledSite(GUARD)
    site.changed(TrustChange(document=listing(KeyState.ACTIVE, 2)))
    holder = replace(site.holders["sergeant"], version=2)
    site.flow.register.put_holder(
        HolderRecord(id=holder.id, document=register_holder(holder, by="army issuer 2")),
        tenant=holder.tenant,
        badges=holder.badges,
    )
    found = site.waiting()
    site.changed(TrustChange(document=listing(KeyState.REVOKED, 3)))
    site.advance(seconds=1)
    assert Reason.BADGE_FORGED in site.ask("barrack-in", "sergeant").reasons
    assert not site.answer(found, yes=True).granted


def test_a_gate_that_was_struck_off_while_the_guard_looked_is_answered_no_grant():
    site = RuledSite(GUARD)
    found = site.waiting()
    made = listed()
    gates = {gate: key for gate, key in made.gates.items() if gate != "inner"}
    site.changed(TrustChange(document=signed_trust(replace(made, gates=gates, version=2))))
    assert not site.answer(found, yes=True).granted


def test_a_pin_that_was_changed_while_the_guard_looked_is_not_right_any_more():
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}, "pin": "always"}})
    site.enrol("owner", pin=PIN_RECORD)
    found = site.waiting("owner", sealed_pin=site.sealed("barrack-in", PIN))
    holder = replace(site.holders["owner"], version=2, pin=None)
    site.changed(HolderChange(holder=holder.id, document=register_holder(holder), badges=()))
    assert not site.answer(found, yes=True).granted


@pytest.mark.parametrize("taken", [False, True])
def test_a_guards_yes_to_one_face_does_not_open_for_another_whose_the_badge_became_meanwhile(*, taken: bool):
    """A badge does not become another's, at once or in two steps: the guard's yes is to nobody but alice."""
    site = RuledSite(GUARD)
    alice, bob = site.enrol("alice"), site.enrol("bob")
    found = site.waiting("alice")
    moved = replace(bob, version=2, badges=(*bob.badges, *alice.badges))
    assert registered(site, moved) == "badge-held"
    if taken:
        assert registered(site, replace(alice, version=2, badges=())) == APPLIED
        assert registered(site, moved) == "badge-held"
    settled = site.supervise(GuardChange(entry=found.receipt.seq, yes=True)).settled
    assert settled is not None
    assert settled.decision.granted is not taken
    assert settled.drafts[0].person == (NOBODY if taken else alice.id)
    assert (site.where("alice"), site.where("bob")) == (None if taken else "barrack", None)


def test_who_passes_in_company_where_a_guard_looks_at_faces_was_looked_at_too():
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}, "two_persons": {"seconds": 60}}})
    site.enrol("impostor")
    site.denied("barrack-in", "impostor", Reason.NO_ACCOMPANIMENT)
    found = site.waiting("sergeant")
    site.answer(found, yes=True)
    (shown,) = [draft.personal for draft in site.drafts if draft.kind is Kind.ACCESS_WAITING]
    assert (shown["holder"], shown["party"]) == ("sergeant", ["impostor"])
    assert site.where("impostor") == "barrack"


def test_nobody_comes_along_on_a_guards_word_who_was_not_there_when_he_was_asked():
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}, "occupancy": {"least": 2, "seconds": 60}}})
    site.enrol("impostor")
    site.denied("barrack-in", "private", Reason.LOWER_OCCUPANCY)
    found = site.waiting("sergeant")
    site.waiting("impostor")
    site.answer(found, yes=True)
    assert (site.where("private"), site.where("impostor")) == ("barrack", None)


# -- the register -----------------------------------------------------------------------------------------------------


def reloaded(site: RuledSite, order: list[str]) -> Register:
    """The register as an engine that takes over makes it of the rows: badges, then holders (in no order)."""
    register, before = Register(), site.flow.register
    for badge, record in before._badges.items():
        register.put_badge(
            record, tenant=before.tenant_of_badge(badge), card=None, holder=before.issued_to(badge)
        )
    for name in order:
        record = before._holders[HolderId(name)]
        register.put_holder(record, tenant=before.tenant_of_holder(record.id), badges=before._held[record.id])
    return register


def test_a_badge_that_was_taken_from_its_second_holder_is_not_the_firsts_again_after_a_takeover():
    """Nobody is its second holder, also after it was taken from the first; and so nothing comes back."""
    site = RuledSite()
    alice, bob = site.enrol("alice"), site.enrol("bob")
    both = replace(bob, version=2, badges=(*bob.badges, *alice.badges))
    assert registered(site, both) == "badge-held"
    assert registered(site, replace(alice, version=2, badges=())) == APPLIED
    assert registered(site, both) == "badge-held"
    assert registered(site, replace(bob, version=3)) == APPLIED
    for order in (["alice", "bob"], ["bob", "alice"]):
        site.flow.register = reloaded(site, order)
        site.restart()
        site.advance(seconds=1)
        assert not site.ask("front-in", "alice").granted
        assert registered(site, replace(both, version=4)) == "badge-held"


def test_a_badge_that_two_registrations_name_belongs_to_the_same_one_after_a_takeover():
    """The second registration is declined: the badge is the first one's, in whatever order the rows come."""
    site = RuledSite()
    alice, bob = site.enrol("alice"), site.enrol("bob")
    both = replace(bob, version=2, badges=(*bob.badges, *alice.badges))
    assert registered(site, both) == "badge-held"
    assert site.ask("front-in", "alice").granted
    for order in (["alice", "bob"], ["bob", "alice"]):
        site.flow.register = reloaded(site, order)
        site.restart()
        site.advance(seconds=1)
        assert site.tap("front-out", "alice").receipt.holder == alice.id
        assert site.ask("front-in", "alice").granted


def test_a_retired_issuer_key_registers_nobody_new():
    site = RuledSite()
    made = listed()
    army = made.tenants[TenantId("army")]
    old = trusted("army issuer", use=Use.ISSUER, owner="army", state=KeyState.VERIFY_ONLY)
    new = trusted("army issuer 2", use=Use.ISSUER, owner="army")
    tenants = dict(made.tenants) | {TenantId("army"): replace(army, issuers=(old, new))}
    site.changed(TrustChange(document=signed_trust(replace(made, tenants=tenants, version=2))))
    higher = replace(site.holders["private"], version=2, clearance=5)
    done = site.supervise(HolderChange(holder=higher.id, document=register_holder(higher), badges=()))
    assert done.outcome.code != APPLIED


def test_a_tenant_does_not_take_the_names_of_the_hosts_operators_alone():
    site = RuledSite()
    squat = account("general", "school", [Role.TENANT_ADMIN], revoked=True)
    document = signed_account(squat, site=SITE, key=key_of("school signing"))
    site.supervise(OperatorChange(operator=squat.id, document=document), by="school")
    real = account("general", "army", [Role.GUARD], key="another")
    document = signed_account(real, site=SITE, key=key_of("army signing"))
    outcome = site.supervise(OperatorChange(operator=real.id, document=document)).outcome
    assert outcome.code == PROPOSED, outcome


def test_a_grant_that_was_proposed_before_an_operator_was_revoked_does_not_bring_him_back():
    site = RuledSite()
    grant = account("guard", "army", [Role.GUARD, Role.SECURITY_OFFICER], version=3)
    document = signed_account(grant, site=SITE, key=key_of("army signing"))
    change_id = site.new_change_id()
    proposal = site.change(OperatorChange(operator=grant.id, document=document), change_id=change_id)
    assert site.supervise(proposal, filed_as=change_id).outcome.code == PROPOSED
    gone = account("guard", "army", [Role.GUARD], version=2, revoked=True)
    document = signed_account(gone, site=SITE, key=key_of("army signing"))
    assert site.supervise(OperatorChange(operator=gone.id, document=document)).outcome.code == APPLIED
    outcome = site.supervise(ApprovalChange(digest=digest_of(proposal)), by="colonel").outcome
    assert outcome.code != APPLIED, outcome


def test_a_host_leaves_his_guests_alone_by_no_door_that_leads_further_in():
    site = RuledSite({"school-house": {"escort": {"by": ["army/escort"], "seconds": 60, "most": 2}}})
    site.enrol("host", "escort")
    site.enrol("guest", kind=VISITOR)
    site.walk("school-in", "host")
    site.walk("school-in", "guest")
    site.denied("school-out", "host", Reason.VISITORS_INSIDE)
    assert not site.ask("corridor", "host").granted


def test_a_host_who_badges_at_two_doors_brings_no_more_guests_than_he_may():
    site = RuledSite(ESCORT)
    site.enrol("host", "escort")
    for name in ("first", "second"):
        site.enrol(name, kind=VISITOR)
    site.walk("barrack-in", "host")
    site.walk("corridor", "host")
    site.ask("barrack-in", "first")
    site.ask("corridor", "second")
    assert [site.where("first"), site.where("second")] == ["barrack", None]


def test_a_pin_that_was_changed_between_verification_and_taking_is_not_right_any_more():
    site = RuledSite({"barrack": {"pin": "always"}})
    site.enrol("owner", pin=PIN_RECORD)
    sent = site.authentic(site.scan("barrack-in", "owner", sealed_pin=site.sealed("barrack-in", PIN)))
    presented = site.flow.verify(sent, beacons=site.beacons)
    holder = replace(site.holders["owner"], version=2, pin=None)
    site.changed(HolderChange(holder=holder.id, document=register_holder(holder), badges=()))
    assert not site.flow.take(sent, presented, now=site.now).decision.granted


def test_a_second_badge_gives_no_second_set_of_tries_at_one_pin():
    site = RuledSite({"barrack": {"pin": "always"}}, rules={"pin": {"tries": 2, "for_minutes": 15}})
    owner = site.enrol("owner", pin=PIN_RECORD)
    spare = issue("spare", "army")
    both = replace(owner, badges=(*owner.badges, spare.badge.id))
    site.enter("spare", spare, None)
    site.enter("owner", site.badges["owner"], both)
    for _ in range(2):
        site.advance(seconds=1)
        assert not site.ask("barrack-in", "owner", pin="1111").granted
    assert Reason.MAX_ATTEMPTS in site.ask("barrack-in", "owner", pin=PIN).reasons
    site.advance(seconds=1)
    assert not site.ask("barrack-in", "spare", pin=PIN).granted


def test_what_the_host_has_stopped_a_tenant_does_not_let_go_on_alone():
    site = RuledSite()
    badge = site.badges["teacher"].badge.id
    site.changed(BadgeStateChange(badge=badge, state=BadgeState.SUSPENDED))
    assert not site.ask("front-in", "teacher").granted
    site.supervise(BadgeStateChange(badge=badge, state=BadgeState.ACTIVE), by="school")
    site.advance(seconds=1)
    assert not site.ask("front-in", "teacher").granted


def test_a_door_whose_contact_saw_it_open_counts_as_open_until_it_is_seen_closed():
    site = RuledSite(**LOCK)
    scan = site.granted("armoury-in", "sergeant")
    site.advance(seconds=1)
    site.recorded(site.passage("armoury-in", TAKEN, scan=scan))
    site.enrol("other")
    site.advance(seconds=8)
    site.denied("barrack-in", "other", Reason.INTERLOCK)


def test_an_out_door_into_another_zone_asks_for_that_zones_level():
    """Direction `out` from the shed straight into the armoury."""
    names = {"en": "hatch", "nl": "luik"}
    document = document_with()
    document["access_point"].append(
        {"id": "hatch", "gate": "inner", "from": "shed", "to": "armoury", "direction": "out", "name": names}
    )
    site = RuledSite()
    site.write(document)
    site.enrol("low", clearance=0)
    assert not site.ask("hatch", "low").granted


def test_a_door_that_closed_before_it_was_released_again_is_not_shut_by_the_news():
    site = RuledSite(**LOCK)
    scan = site.granted("armoury-in", "sergeant")
    site.recorded(site.passage("armoury-in", TAKEN, scan=scan))
    closed = site.status("inner", StatusKind.CLOSED_AGAIN, access_point=AccessPointId("armoury-in"))
    site.granted("armoury-in", "sergeant")
    site.recorded(closed)
    site.enrol("other")
    site.denied("barrack-in", "other", Reason.INTERLOCK)


def test_a_passage_that_is_told_after_the_closing_leaves_the_door_shut():
    site = RuledSite(**LOCK)
    scan = site.granted("armoury-in", "sergeant")
    passage = site.passage("armoury-in", TAKEN, scan=scan)
    site.recorded(site.status("inner", StatusKind.CLOSED_AGAIN, access_point=AccessPointId("armoury-in")))
    site.recorded(passage)
    assert site.where("sergeant") == "armoury"
    site.enrol("other")
    site.granted("barrack-in", "other")


def test_two_grants_that_are_both_not_taken_leave_the_holder_where_he_was():
    site = RuledSite()
    first = site.granted("school-in", "sergeant")
    site.advance(seconds=1)
    second = site.granted("barrack-in", "sergeant")
    site.turned_back("school-in", first)
    site.turned_back("barrack-in", second)
    assert site.where("sergeant") not in {"school-house", "barrack"}
