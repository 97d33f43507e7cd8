"""An engine that takes over asks the next question with the same facts, whatever happened before.

Company and open doors are a matter of seconds and are not committed: the site of these days has no rules about them.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.change import ForgivenessChange
from gatekeeper.core.decide import asks_the_past
from gatekeeper.core.facts import Facts
from gatekeeper.core.flow import Flow
from gatekeeper.core.verify import Presented
from gatekeeper.model.ids import AccessPointId, HolderId
from gatekeeper.model.messages import PassageOutcome
from gatekeeper.model.people import HolderKind
from tests.support.rules_site import RuledSite
from tests.support.sites import Sent

FEW = settings(max_examples=40, deadline=None)
PEOPLE = ("private", "sergeant", "teacher", "guest", "keyholder", "visitor")
DOORS = (
    "front-in",
    "front-out",
    "barrack-in",
    "barrack-out",
    "armoury-in",
    "armoury-out",
    "shed-in",
    "shed-out",
)
RULES = {
    "yard": {"anti_passback": "timed", "passback_minutes": 10, "unexpected_location": "soft"},
    "barrack": {
        "anti_passback": "hard",
        "passback_forgotten_hours": 1,
        "occupancy": {"most": 2, "exempt": ["army/keyholder"]},
        "first_person": {"profiles": ["army/keyholder"], "hours": 2},
    },
    "armoury": {"escort": {"seconds": 60, "most": 2, "by": ["army/soldier"]}},
}
TABLES = {
    "rules": {"lock_out": {"failures": 3, "minutes": 30, "for_minutes": 20}, "inactivity_days": 60},
    "travel": [{"between": ["front-in", "barrack-in"], "seconds": 60}],
}


def day(site: RuledSite) -> None:
    site.enrol("guest", badge={"max_uses": 4})
    site.enrol("keyholder", "keyholder")
    site.enrol("visitor", "caretaker", tenant="school", kind=HolderKind.VISITOR)


def asked(flow: Flow, site: RuledSite, who: str, door: str) -> Facts:
    """What a decision would know, but for the company at the door."""
    badge = site.badges[who].badge
    presented = Presented(badge=badge, assurance=badge.assurance, findings=())
    facts = flow.facts(presented, access_point=AccessPointId(door), draw=None, now=site.now)
    point = flow.policy.points[AccessPointId(door)]
    return (
        replace(facts, past=replace(facts.past, company=())) if asks_the_past(flow.policy, point) else facts
    )


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("badge"), st.sampled_from(PEOPLE), st.sampled_from(DOORS)),
        st.tuples(st.just("badge"), st.sampled_from(PEOPLE), st.sampled_from(DOORS)),
        st.tuples(st.just("door"), st.sampled_from(list(PassageOutcome)[:2]), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 60, 600, 1200, 3600]), st.none()),
        st.tuples(st.just("forgive"), st.sampled_from(PEOPLE), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none()),
    ),
    max_size=25,
)


def happens(site: RuledSite, step: tuple[Any, ...], scans: list[tuple[str, Sent]]) -> None:
    match step:
        case ("badge", who, door):
            scan = site.scan(door, who)
            site.recorded(scan)
            scans.append((door, scan))
        case ("door", outcome, which) if scans:
            door, scan = scans[which % len(scans)]
            site.recorded(site.passage(door, outcome, scan=scan))
        case ("wait", seconds, None):
            site.advance(seconds=seconds)
        case ("forgive", who, None):
            site.supervise(ForgivenessChange(holder=HolderId(who)))
        case ("restart", None, None):
            site.restart()


@FEW
@given(_STEPS)
def test_an_engine_that_takes_over_knows_what_the_former_knew(steps: list[tuple[Any, ...]]):
    site = RuledSite(RULES, **TABLES)
    day(site)
    scans: list[tuple[str, Sent]] = []
    for step in steps:
        happens(site, step, scans)
    other = site.restored()
    for who in PEOPLE:
        for door in DOORS:
            assert asked(other, site, who, door) == asked(site.flow, site, who, door)
    assert other.next_seq == site.flow.next_seq
    site.now += timedelta(seconds=1)
    for grant in {receipt.seq for receipt in site.receipts}:
        assert other.memory.on_grant(grant) == site.flow.memory.on_grant(grant)
