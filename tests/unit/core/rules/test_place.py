"""Where people are: nobody twice, nobody from nowhere, nobody too soon; no zone too full, nobody alone."""

from dataclasses import replace
from datetime import timedelta

from gatekeeper.core.facts import Past
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import at_noon, companion, policy_with, reasons

ALERTS = [{"state": "tense", "escort": True}]
HOSTED = {"seconds": 60, "most": 1, "by": ["army/soldier"]}


def test_who_would_be_alone_is_no_less_alone_because_a_higher_alert_state_brings_a_visitor():
    """He waits for longer than the two of the zone may: in a calm state he is no company, and in a tense one neither."""
    policy = policy_with(
        {"barrack": {"occupancy": {"least": 2, "seconds": 20}}}, alert=ALERTS, rules={"escort": HOSTED}
    )
    visitor = companion("guest", "school/pupil", ago=timedelta(seconds=30), kind=HolderKind.VISITOR)
    facts = at_noon(past=Past(company=(visitor,)))
    assert reasons(policy, "barrack-in", facts) == [Reason.LOWER_OCCUPANCY]
    assert reasons(policy, "barrack-in", replace(facts, alert=1)) == [Reason.LOWER_OCCUPANCY]
    lately = replace(facts, past=Past(company=(replace(visitor, at=visitor.at + timedelta(seconds=10)),)))
    assert (
        reasons(policy, "barrack-in", lately) == reasons(policy, "barrack-in", replace(lately, alert=1)) == []
    )
