"""The right to be here: lockdown, level, assurance, and a profile that leads here now, in this alert state."""

from datetime import UTC, datetime

from gatekeeper.model.reasons import Reason
from tests.support.rules_site import at_noon, decided, policy_with
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
