"""What a site remembers: as much as is asked, as long as it counts, and over a restart what was committed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gatekeeper.core.facts import NO_PAST, Factor, Past
from gatekeeper.core.memory import NEVER_USED
from gatekeeper.core.policy_document import compile_from
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.trust import Trust, Use, read_trust
from gatekeeper.core.verify import Presented
from gatekeeper.model.ids import AccessPointId, HolderId, TenantId
from gatekeeper.model.messages import LONGEST_WAIT, ClockQuality, PassageOutcome, Verdict
from gatekeeper.model.people import HolderKind
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import RuledSite, document_with
from tests.support.sites import ground, issue, listed, register_holder, signed_trust, trusted


def past(site: RuledSite, access_point: str, who: str, *, factor: Factor = Factor.NONE) -> Past:
    badge = site.badges[who].badge
    presented = Presented(badge=badge, assurance=badge.assurance, findings=(), factor=factor)
    return site.flow.facts(presented, access_point=AccessPointId(access_point), draw=7, now=site.now).past


# -- what is asked ----------------------------------------------------------------------------------------------------


def test_where_no_rule_asks_for_the_past_there_is_none():
    site = RuledSite({"barrack": {"occupancy": {"most": 5}}})
    site.granted("front-in", "private")
    assert past(site, "front-in", "private") is NO_PAST
    assert past(site, "barrack-in", "private") != NO_PAST


def test_a_badge_of_which_something_is_known_brings_its_past_to_any_door():
    site = RuledSite(rules={"lock_out": {"failures": 2, "minutes": 5, "for_minutes": 15}})
    site.enrol("guest", badge={"max_uses": 9})
    site.granted("front-in", "guest")
    assert past(site, "front-in", "guest").uses == 1
    assert past(site, "front-in", "private", factor=Factor.WRONG).factor is Factor.WRONG
    for _ in range(2):
        site.denied("armoury-in", "private", Reason.CLEARANCE)
    assert past(site, "front-in", "private").locked_until == site.now + timedelta(minutes=15)
    site.advance(minutes=15)
    assert past(site, "front-in", "private") is NO_PAST


def test_a_site_that_limits_counts_or_locks_nothing_keeps_no_usage():
    site = RuledSite()
    outcome = site.tap("front-in", "private")
    assert outcome.remembered.usage == ()
    assert site.flow.memory.usage == {}


@pytest.mark.parametrize(
    "tables",
    [{"rules": {"inactivity_days": 90}}, {"travel": [{"between": ["front-in", "shed-in"], "seconds": 9}]}],
)
def test_a_site_that_asks_for_the_last_use_keeps_it_with_the_entry(tables: dict[str, object]):
    site = RuledSite(**tables)
    outcome = site.tap("front-in", "private")
    badge = site.badges["private"].badge.id
    ((named, usage),) = outcome.remembered.usage
    assert (named, usage.uses, usage.last_at, usage.last_point) == (badge, 1, site.now, "front-in")


def test_crowds_count_whoever_is_inside_but_for_the_one_who_asks():
    site = RuledSite({"yard": {"occupancy": {"most": 9}}, "barrack": {"occupancy": {"most": 9}}})
    site.granted("barrack-in", "private")
    site.granted("front-in", "sergeant")
    assert past(site, "front-in", "teacher").crowds == {"yard": 2}
    assert past(site, "front-in", "private").crowds == {"yard": 1}
    assert past(site, "barrack-out", "private").crowds == {"barrack": 0}


def test_the_draw_is_given_where_somebody_is_searched():
    site = RuledSite({"barrack": {"search": {"one_in": 3}, "occupancy": {"most": 9}}})
    assert past(site, "barrack-in", "private").draw == 7
    assert past(site, "barrack-out", "private").draw is None


# -- how long ---------------------------------------------------------------------------------------------------------


def test_company_is_forgotten_after_the_longest_window_of_a_rule_here_and_a_guards_time():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 300}, "occupancy": {"least": 2, "seconds": 20}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT, Reason.LOWER_OCCUPANCY)
    site.now += timedelta(seconds=300) + LONGEST_WAIT
    assert [one.holder for one in past(site, "barrack-in", "sergeant").company] == ["private"]
    site.advance(microseconds=1)
    assert past(site, "barrack-in", "sergeant").company == ()


def test_who_asks_again_waits_once_and_the_latest_is_last():
    an_hour = {"escort": {"seconds": 3600, "most": 1, "by": ["army/escort"]}}
    site = RuledSite({"barrack": {"two_persons": {"seconds": 300, "differ": "tenant"}}}, rules=an_hour)
    site.enrol("pupil-anna", tenant="school")
    site.denied("barrack-in", "teacher", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=400)
    site.denied("barrack-in", "pupil-anna", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=400)
    site.denied("barrack-in", "teacher", Reason.NO_ACCOMPANIMENT)
    waiting = past(site, "barrack-in", "sergeant").company
    assert [(one.holder, site.now - one.at) for one in waiting] == [
        ("pupil-anna", timedelta(seconds=400)),
        ("teacher", timedelta()),
    ]


def test_where_no_host_is_asked_whoever_was_let_in_is_nobodys_company():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 300}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.granted("barrack-in", "sergeant")
    assert past(site, "barrack-in", "teacher").company == ()


def test_a_host_is_company_as_one_who_was_let_in_and_has_brought_so_many():
    site = RuledSite({"barrack": {"escort": {"seconds": 60, "most": 2, "by": ["army/escort"]}}})
    site.enrol("host", "escort")
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.granted("barrack-in", "host")
    site.granted("barrack-in", "visitor")
    assert past(site, "barrack-in", "teacher").company == ()
    site.enrol("another", tenant="school", kind=HolderKind.VISITOR)
    (host,) = past(site, "barrack-in", "another").company
    assert (host.holder, host.waiting, host.brought) == ("host", False, 1)


ESCORTED = {"escort": {"seconds": 60, "most": 1, "by": ["army/escort"]}}


def escorted(*visitors: str, **badge: object) -> RuledSite:
    site = RuledSite({"barrack": ESCORTED})
    site.enrol("host", "escort")
    for visitor in visitors:
        site.enrol(visitor, tenant="school", kind=HolderKind.VISITOR, badge=badge)
    return site


def test_of_those_who_wait_only_whoever_comes_along_has_used_their_badge():
    site = escorted("earlier", "later", max_uses=1)
    for visitor in ("earlier", "later"):
        site.denied("barrack-in", visitor, Reason.NO_ESCORT)
    outcome = site.tap("barrack-in", "host")
    assert [badge for badge, _ in outcome.remembered.usage] == [site.badges["later"].badge.id]


def test_a_host_who_badges_again_at_a_door_is_full_of_those_he_brought_by_another():
    site = escorted("first", "second")
    site.granted("barrack-in", "host")
    site.granted("corridor", "host")
    site.granted("corridor", "first")
    site.granted("barrack-in", "host")
    site.denied("barrack-in", "second", Reason.NO_ESCORT)


def test_a_host_who_came_in_by_one_door_too_may_still_bring_a_visitor_by_the_other():
    site = escorted("first")
    site.granted("barrack-in", "host")
    site.granted("corridor", "host")
    assert site.ask("barrack-in", "first").host == "host"


def test_a_visitor_who_badges_again_takes_no_second_place_with_the_host():
    site = escorted("visitor")
    for who in ("host", "visitor"):
        site.granted("barrack-in", who)
    assert site.ask("barrack-in", "visitor").host == "host"


def test_nobody_answers_for_visitors_with_a_badge_that_is_nobodys():
    site = escorted()
    site.enter("stray", issue("stray", "army"))
    assert past(site, "barrack-out", "stray").visitors == frozenset()
    assert Reason.VISITORS_INSIDE not in site.ask("barrack-out", "stray").reasons


KEYHOLDERS = {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}
BACK_DOOR = {
    "id": "back-in", "gate": "inner", "from": "outside", "to": "barrack", "direction": "in",
    "name": {"en": "Back door", "nl": "Achterdeur"},
}  # fmt: skip


def test_a_zone_is_open_since_the_last_who_came_in_also_when_an_earlier_one_is_told_of_later():
    site = RuledSite({"barrack": KEYHOLDERS})
    for who in ("keyholder", "earlier"):
        site.enrol(who, "keyholder")
    site.granted("barrack-in", "keyholder")
    told = {"gate_at": site.now - timedelta(hours=5), "clock": ClockQuality.SYNCHRONISED}
    site.tap("barrack-in", "earlier", offline_verdict=Verdict.GRANTED, **told)
    assert past(site, "barrack-in", "private").opened == {"barrack": site.now}


@pytest.mark.parametrize("zones", [["barrack"], ["yard"], ["yard", "barrack"]])
def test_who_comes_into_two_zones_at_once_opens_each_that_waits_for_them(zones: list[str]):
    document = document_with(dict.fromkeys(zones, KEYHOLDERS))
    document["access_point"].append(BACK_DOOR)
    site = RuledSite()
    site.write(document)
    site.enrol("keyholder", "keyholder")
    outcome = site.tap("back-in", "keyholder")
    opened = {zone for (zone, grant), _ in outcome.remembered.opened if grant == outcome.receipt.seq}
    assert opened == set(zones)


def test_who_came_in_so_long_ago_that_the_zone_is_shut_again_is_forgotten_when_the_next_one_comes():
    site = RuledSite({"barrack": KEYHOLDERS, "armoury": KEYHOLDERS})
    for who in ("keyholder", "elsewhere", "next"):
        site.enrol(who, "keyholder")
    before = site.tap("barrack-in", "keyholder").receipt.seq
    elsewhere = site.tap("armoury-in", "elsewhere").receipt.seq
    site.advance(hours=8)
    outcome = site.tap("barrack-in", "next")
    now = ("barrack", outcome.receipt.seq)
    assert outcome.remembered.opened == ((("barrack", before), None), (now, site.now))
    assert set(site.openings) == {("armoury", elsewhere), now}


def test_of_two_uses_at_one_instant_the_later_one_is_the_last():
    site = RuledSite(travel=[{"between": ["front-in", "barrack-in"], "seconds": 9}])
    site.granted("front-in", "private")
    ((_, usage),) = site.tap("shed-in", "private").remembered.usage
    assert (usage.last_at, usage.last_point) == (site.now, "shed-in")


def test_whoever_is_let_through_after_a_lock_out_has_none_on_record():
    site = RuledSite(rules={"lock_out": {"failures": 2, "minutes": 5, "for_minutes": 15}})
    for _ in range(2):
        site.denied("armoury-in", "private", Reason.CLEARANCE)
    site.advance(minutes=15)
    ((_, usage),) = site.tap("front-in", "private").remembered.usage
    assert (usage.locked_until, usage.failures, usage.uses) == (None, (), 1)


def test_what_a_site_remembers_is_counted_under_the_trust_list_that_is_believed_now():
    """An escort registered by an issuer who is new in the list does not count, also when the door saw them pass."""
    site = RuledSite({"barrack": {"occupancy": {"most": 1, "exempt": ["army/escort"]}}})
    army = listed().tenants[TenantId("army")]
    second = trusted("army second issuer", use=Use.ISSUER, owner="army")
    tenants = {**listed().tenants, TenantId("army"): replace(army, issuers=(*army.issuers, second))}
    later = read_trust(signed_trust(listed(version=2, tenants=tenants)), anchor=ground().anchor, not_below=2)
    assert isinstance(later, Trust)
    policy = compile_from(site.flow.policy_source, trust=later)
    assert isinstance(policy, Policy)
    site.flow.adopt(policy, source=site.flow.policy_source, trust=later)
    escort = site.enrol("escort", "escort")
    document = register_holder(escort, by="army second issuer")
    record = HolderRecord(id=escort.id, document=document)
    site.flow.register.put_holder(record, tenant=escort.tenant, badges=escort.badges)
    site.walk("barrack-in", "escort")
    site.granted("barrack-in", "private")


# -- what was committed -----------------------------------------------------------------------------------------------


def test_an_engine_that_takes_over_remembers_places_uses_and_opened_zones_and_no_company():
    rules = {
        "barrack": {
            "anti_passback": "hard",
            "first_person": {"profiles": ["army/keyholder"], "hours": 8},
            "occupancy": {"most": 9},
        },
        "armoury": {"two_persons": {"seconds": 60}},
    }
    site = RuledSite(rules, rules={"inactivity_days": 9})
    site.enrol("keyholder", "keyholder", badge={"not_before": site.now - timedelta(days=1)})
    site.enrol("armourer", "armourer", badge={"not_before": site.now - timedelta(days=1)})
    site.granted("barrack-in", "keyholder")
    site.denied("armoury-in", "keyholder", Reason.NO_ACCOMPANIMENT)
    before = site.flow.memory
    site.restart()
    after = site.flow.memory
    assert (after.whereabouts, after.usage, after.openings) == (
        before.whereabouts,
        before.usage,
        before.openings,
    )
    assert past(site, "barrack-in", "armourer").crowds == {"barrack": 1}
    assert past(site, "armoury-in", "armourer").company == ()


def test_a_zone_that_the_site_no_longer_has_holds_nobody_up():
    site = RuledSite({"school-house": {"occupancy": {"most": 9}}})
    site.granted("school-in", "private")
    document, gone = document_with(), "school-house"
    document["zone"] = [zone for zone in document["zone"] if zone["id"] != gone]
    document["access_point"] = [
        point for point in document["access_point"] if gone not in {point["from"], point["to"]}
    ]
    for profile in document["profile"]:
        profile["grants"] = [grant for grant in profile["grants"] if grant.get("zone") != gone]
    site.write(document)
    assert site.where("private") == gone
    site.granted("front-out", "private")
    assert site.where("private") == "outside"


def test_nobody_is_forgiven_twice_and_nobody_unknown():
    memory = RuledSite().flow.memory
    assert not memory.forgive(HolderId("private"))
    site = RuledSite()
    site.granted("front-in", "private")
    assert site.flow.memory.forgive(HolderId("private"))
    assert not site.flow.memory.forgive(HolderId("private"))


def test_a_grant_holds_those_who_passed_on_it_until_they_move():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    scan = site.scan("barrack-in", "sergeant")
    seq = site.recorded(scan).receipt.seq
    assert site.flow.memory.on_grant(seq) == ("private", "sergeant")
    site.granted("barrack-out", "sergeant")
    assert site.flow.memory.on_grant(seq) == ("private",)
    site.recorded(site.passage("barrack-in", PassageOutcome.TAKEN, scan=scan))
    assert site.flow.memory.on_grant(seq) == ()


def test_usage_that_nothing_happened_to_is_the_usage_of_a_new_badge():
    assert NEVER_USED.uses == 0
    assert NEVER_USED.failures == ()
    assert NEVER_USED.locked_until is NEVER_USED.last_at is None
