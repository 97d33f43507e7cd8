"""In company: two persons, visitors with their host, a vehicle with its driver, nobody before the first person."""

from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import RuledSite

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
