"""In company: two persons, visitors with their host, a vehicle with its driver, nobody before the first person."""

from gatekeeper.core.change import AlertChange
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import RuledSite, at_noon, decided, document_with
from tests.support.sites import compiled, ground

ESCORTED = {"seconds": 60, "most": 1, "by": ["army/escort"]}


# -- rules beside one another -----------------------------------------------------------------------------------------


def test_a_visitor_without_a_host_is_not_brought_in_as_somebodys_second_person():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 20}, "escort": ESCORTED}})
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.denied("barrack-in", "visitor", Reason.NO_ACCOMPANIMENT, Reason.NO_ESCORT)
    site.denied("barrack-in", "private", Reason.NO_ESCORT)
    assert site.where("visitor") is None
    decision = site.ask("barrack-in", "host")
    assert {one.holder for one in decision.party} == {"visitor", "private"}
    assert decision.guests == {"visitor"}
    assert site.flow.whereabouts["visitor"].host == "host"


def test_a_visitor_without_a_host_is_no_company_for_one_who_would_be_alone():
    site = RuledSite({"barrack": {"occupancy": {"least": 2}, "escort": ESCORTED}})
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.denied("barrack-in", "visitor", Reason.LOWER_OCCUPANCY, Reason.NO_ESCORT)
    site.denied("barrack-in", "private", Reason.NO_ESCORT)


def test_a_host_brings_no_more_than_he_may_also_when_a_second_person_is_among_them():
    """The latest is his guest, and the one before would be his second person: that is one visitor too many."""
    pairs = {"seconds": 20, "differ": "tenant"}
    site = RuledSite({"barrack": {"two_persons": pairs, "escort": ESCORTED}})
    site.enrol("pupil-anna", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("uncle", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.denied("barrack-in", "pupil-anna", Reason.NO_ACCOMPANIMENT, Reason.NO_ESCORT)
    site.denied("barrack-in", "uncle", Reason.NO_ESCORT)
    site.denied("barrack-in", "host", Reason.NO_ESCORT)


def test_a_host_whom_the_alert_state_asks_for_leaves_after_the_visitors_too():
    site = RuledSite(alert=[{"state": "tense", "escort": True}], rules={"escort": ESCORTED})
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.changed(AlertChange(state="tense"))
    site.granted("front-in", "host")
    assert site.ask("front-in", "visitor").host == "host"
    site.denied("front-out", "host", Reason.VISITORS_INSIDE)
    site.granted("front-out", "visitor")
    site.granted("front-out", "host")


OPENED_BY_A_KEYHOLDER = {"profiles": ["army/keyholder"], "hours": 8}


def test_a_zone_for_two_is_opened_by_two_of_whom_one_may_open_it():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 20}, "first_person": OPENED_BY_A_KEYHOLDER}})
    site.enrol("keyholder", "keyholder")
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT, Reason.FIRST_PERSON)
    site.denied("barrack-in", "keyholder", Reason.NO_ACCOMPANIMENT)
    assert {one.holder for one in site.ask("barrack-in", "private").party} == {"keyholder"}
    assert site.opened == {"barrack": site.now}


def test_a_visitor_opens_a_zone_for_nobody_else():
    escort = {"seconds": 60, "most": 1, "by": ["army/escort"]}
    first = {"profiles": ["school/caretaker"], "hours": 8}
    site = RuledSite({"barrack": {"escort": escort, "first_person": first}})
    site.enrol("caretaker", "caretaker", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.denied("barrack-in", "caretaker", Reason.NO_ESCORT)
    site.denied("barrack-in", "host", Reason.FIRST_PERSON)
    assert site.opened == {}


def test_a_zones_rule_for_two_persons_is_not_hidden_by_that_of_a_zone_within():
    """One way into two zones, each with its rule; what is on trial in one does not silence the other."""
    door = {
        "id": "back-in", "gate": "inner", "from": "outside", "to": "barrack", "direction": "in",
        "name": {"en": "Back door", "nl": "Achterdeur"},
    }  # fmt: skip
    document = document_with(
        {
            "yard": {"two_persons": {"seconds": 20, "profiles": ["army/keyholder"]}},
            "barrack": {"two_persons": {"seconds": 20}},
        },
        rules={"shadow": ["denied-no-accompaniment"]},
    )
    document["access_point"].append(door)
    policy = compiled(document, trust=ground().trust)[1]
    made = decided(policy, "back-in", at_noon())
    assert (made.granted, made.reasons) == (False, (Reason.INCORRECT_ACCOMPANIMENT,))
    assert made.shadow == (Reason.NO_ACCOMPANIMENT,)


def test_a_hosts_second_person_takes_no_visitors_place():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}, "escort": ESCORTED}})
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.granted("barrack-in", "host")
    site.denied("barrack-in", "sergeant", Reason.NO_ACCOMPANIMENT)
    assert site.ask("barrack-in", "visitor").host == "host"


def test_who_waited_under_a_former_policy_badges_again_under_the_new_one():
    rules = {"barrack": {"two_persons": {"seconds": 20}}}
    site = RuledSite(rules)
    site.enrol("teacher-anna", tenant="school")
    site.denied("barrack-in", "teacher-anna", Reason.NO_ACCOMPANIMENT)
    vetoed = {"tenant": "school", "zone": "barrack", "why": {"en": "Exercise", "nl": "Oefening"}}
    site.write(document_with(rules, veto=[vetoed]))
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    assert site.where("teacher-anna") is None
