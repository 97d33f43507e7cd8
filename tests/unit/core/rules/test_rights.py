"""The right to be here: lockdown, level, assurance, and a profile that leads here now, in this alert state."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.model.badges import Assurance
from gatekeeper.model.ids import HolderId
from gatekeeper.model.reasons import Reason
from gatekeeper.model.site_file import SiteFileError, read_site
from tests.support.rules_site import TICK, at_noon, decided, document_with, policy_with, reasons
from tests.support.sites import NOON

NIGHT = datetime(2026, 6, 3, 20, tzinfo=UTC)  # ten in the evening


def test_hours_on_trial_do_not_silence_the_alert_state():
    """The pupil's profile is for lessons, and to tense at most; at night it leads nowhere in a grave state either."""
    policy = policy_with(rules={"shadow": [Reason.OUT_OF_TIME_RANGE.code]})
    tense = decided(policy, "front-in", at_noon("pupil", alert=1), now=NIGHT)
    assert (tense.granted, tense.shadow) == (True, (Reason.OUT_OF_TIME_RANGE,))
    grave = decided(policy, "front-in", at_noon("pupil", alert=2), now=NIGHT)
    assert (grave.granted, grave.reasons) == (False, (Reason.THREAT_LEVEL,))


def test_hours_and_alert_state_are_both_reported():
    at_night = decided(policy_with(), "front-in", at_noon("pupil", alert=2), now=NIGHT)
    assert at_night.reasons == (Reason.OUT_OF_TIME_RANGE, Reason.THREAT_LEVEL)
    at_noon_ = decided(policy_with(), "front-in", at_noon("pupil", alert=2), now=NOON)
    assert at_noon_.reasons == (Reason.THREAT_LEVEL,)


# -- events -----------------------------------------------------------------------------------------------------------

EVENING = NOON + timedelta(hours=10)


def exercise(**changes: Any) -> dict[str, Any]:
    event = {
        "id": "exercise", "name": {"en": "Exercise", "nl": "Oefening"}, "zones": ["yard"], "guests": ["pupil"],
        "from": NOON, "until": EVENING, "highest_alert": "tense",
    }  # fmt: skip
    return event | changes


@pytest.mark.parametrize(
    ("now", "granted"), [(NOON, True), (NOON - TICK, False), (EVENING - TICK, True), (EVENING, False)]
)
def test_a_guest_comes_in_while_the_event_lasts(now: datetime, *, granted: bool):
    """The pupil's own profile does not lead into the barrack."""
    policy = policy_with({"barrack": {"level": 1, "assurance": 1}}, event=[exercise()])
    made = decided(policy, "barrack-in", at_noon("pupil"), now=now)
    assert made.reasons == (() if granted else (Reason.OUT_OF_TIME_RANGE,))
    assert decided(policy, "barrack-out", at_noon("pupil"), now=now).granted


def test_an_event_has_its_own_highest_alert_state():
    policy = policy_with({"barrack": {"level": 1, "assurance": 1}}, event=[exercise()])
    assert reasons(policy, "barrack-in", at_noon("pupil", alert=1)) == []
    assert reasons(policy, "barrack-in", at_noon("pupil", alert=2)) == [Reason.THREAT_LEVEL]


def test_an_event_invites_its_guests_and_to_its_zones_only():
    policy = policy_with({"barrack": {"level": 1, "assurance": 1}}, event=[exercise(zones=["barrack"])])
    assert decided(policy, "barrack-in", at_noon("pupil")).granted
    stranger = at_noon("pupil", holder=replace(at_noon("pupil").holder, id=HolderId("another-pupil")))
    assert reasons(policy, "barrack-in", stranger) == [Reason.NO_ACCESS_RIGHTS]
    elsewhere = policy_with({"barrack": {"level": 1, "assurance": 1}}, event=[exercise(zones=["shed"])])
    assert reasons(elsewhere, "barrack-in", at_noon("pupil")) == [Reason.NO_ACCESS_RIGHTS]


def test_a_guest_without_a_badge_is_refused_for_that_and_not_for_the_hour():
    policy = policy_with(event=[exercise()])
    facts = at_noon("pupil", badge=None, badge_state=None)
    assert reasons(policy, "school-in", facts, now=EVENING) == [Reason.UNKNOWN_CREDENTIAL]


def test_an_invitation_lifts_no_level_and_no_veto():
    policy = policy_with(event=[exercise()])
    made = reasons(policy, "armoury-in", at_noon("pupil"))
    assert {Reason.HOST_VETO, Reason.AGREEMENT_CEILING, Reason.CLEARANCE, Reason.ASSURANCE} <= set(made)
    assert Reason.NO_ACCESS_RIGHTS not in made


def test_a_profile_leads_here_also_outside_an_event_that_invites():
    policy = policy_with(event=[exercise(**{"from": EVENING, "until": EVENING + timedelta(days=1)})])
    assert decided(policy, "front-in", at_noon("pupil")).granted


# -- trial ------------------------------------------------------------------------------------------------------------


def test_a_rule_on_trial_reports_and_does_not_deny_and_others_still_do():
    policy = policy_with({"barrack": {"shadow": ["denied-clearance"]}})
    low = at_noon("pupil", assurance=Assurance.KEY_BOUND)
    made = decided(policy, "barrack-in", replace(low, holder=replace(low.holder, clearance=0)))
    assert (made.granted, made.shadow) == (False, (Reason.CLEARANCE,))
    assert made.reasons == (Reason.NO_ACCESS_RIGHTS,)


@pytest.mark.parametrize(
    "reason", [reason for reason in Reason if reason.denies and not reason.may_be_shadowed]
)
def test_what_proves_a_badge_and_the_absence_of_any_right_cannot_be_put_on_trial(reason: Reason):
    with pytest.raises(SiteFileError, match="no rule that could be only reported"):
        read_site(document_with({"barrack": {"shadow": [reason.code]}}))
