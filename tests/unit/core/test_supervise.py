"""Changes to a running site, of alert state, lockdown and badges; each refused one with its code, changing nothing."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import Kind, timestamp
from gatekeeper.core.change import (
    AlertChange,
    BadgeStateChange,
    ChangeContent,
    LockdownChange,
    PolicyChange,
    SuspensionChange,
    TrustChange,
)
from gatekeeper.model.badges import BadgeState, Card, CardTechnology
from gatekeeper.model.ids import BadgeId, TenantId
from gatekeeper.model.reasons import Reason
from tests.support.changes import agreed, made, reason, refused
from tests.support.sites import (
    BADGES,
    SmallSite,
)

ARMY, SCHOOL = TenantId("army"), TenantId("school")
NEW_CARD = Card(CardTechnology.WIEGAND, b"\xde\xad")


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


# -- every change -----------------------------------------------------------------------------------------------------


def test_the_entry_of_a_change_says_who_wrote_it_and_when(site: SmallSite):
    signed_at = site.now - timedelta(minutes=5)
    done = made(site, AlertChange(state="tense"), at=signed_at, filed_as=bytes(range(16)))
    assert done.draft.kind is Kind.ALERT_CHANGED
    assert done.draft.public == {
        "from": "calm",
        "to": "tense",
        "change": bytes(range(16)).hex(),
        "by": "army",
        "author": "army",
        "signed_at": timestamp(signed_at),
    }
    assert (done.draft.tenants, done.draft.person, done.draft.personal) == ((), None, None)


@pytest.mark.parametrize("hours", [24, -24])
def test_a_change_is_fresh_for_a_day(hours: int, site: SmallSite):
    content = AlertChange(state="tense")
    beyond = timedelta(hours=hours) + timedelta(seconds=1 if hours > 0 else -1)
    assert refused(site, content, at=site.now - beyond) == "change-stale"
    made(site, content, at=site.now - timedelta(hours=hours))


def test_a_change_counts_under_its_own_id_only(site: SmallSite):
    content = AlertChange(state="tense")
    assert refused(site, content, change_id=bytes(16), filed_as=bytes(range(16))) == "change-malformed"


@pytest.mark.parametrize("document", [b"", b"\xff", b"\xd2\x84"])
def test_bytes_that_are_no_change_are_refused(document: bytes, site: SmallSite):
    assert refused(site, document) == "change-signature"


def test_an_altered_change_is_refused(site: SmallSite):
    document = site.change(AlertChange(state="grave"))
    assert refused(site, document[:-1] + bytes([document[-1] ^ 1])) == "change-signature"


def test_a_change_by_nobody_known_is_refused(site: SmallSite):
    assert refused(site, AlertChange(state="grave"), by="navy") == "change-signature"


@pytest.mark.parametrize(
    "content",
    [
        AlertChange(state="calm"),
        LockdownChange(scope="site", on=False),
        PolicyChange(document=b""),
        TrustChange(document=b""),
        BadgeStateChange(badge=BADGES["sergeant"].badge.id, state=BadgeState.ACTIVE),
        BadgeStateChange(badge=BADGES["member"].badge.id, state=BadgeState.ACTIVE),
    ],
    ids=lambda content: type(content).__name__,
)
def test_what_is_the_hosts_to_say_no_tenant_says(content: ChangeContent, site: SmallSite):
    assert refused(site, content, by="school") == "change-not-yours"


def test_ids_of_changes_are_the_callers_and_stand_in_every_outcome(site: SmallSite):
    filed = hashlib.sha256(b"a change").digest()[:16]
    done = site.supervise(b"nonsense", filed_as=filed)
    assert done.outcome.change == filed


def test_changes_are_numbered_between_the_scans_they_stand_between(site: SmallSite):
    site.tap("front-in", "sergeant")
    made(site, AlertChange(state="tense"))
    assert refused(site, AlertChange(state="unheard-of")) == "alert-unknown"
    site.tap("front-out", "sergeant")
    made(site, AlertChange(state="calm"))
    assert [draft.seq for draft in site.drafts] == [0, 1, 2, 3]


# -- alert state and lockdown -----------------------------------------------------------------------------------------


def test_the_alert_state_goes_up_and_down_and_counts_from_the_next_scan_on(site: SmallSite):
    assert reason(site, "front-in", "teacher") is Reason.GRANTED
    made(site, AlertChange(state="grave"))
    assert (site.flow.alert, site.writes.alert) == (2, 2)
    assert reason(site, "front-in", "teacher") is Reason.THREAT_LEVEL
    made(site, AlertChange(state="calm"))
    assert (site.flow.alert, site.writes.alert) == (0, 0)
    assert reason(site, "front-in", "teacher") is Reason.GRANTED


def test_going_back_to_the_calmest_state_is_something_to_write(site: SmallSite):
    assert not site.writes
    made(site, AlertChange(state="calm"))
    assert replace(site.writes, outcomes=[])


def test_a_lockdown_holds_until_it_is_released_and_no_other_release_ends_it(site: SmallSite):
    for scope in ("zone:yard", "gate:front"):
        done = made(site, LockdownChange(scope=scope, on=True))
        assert (done.draft.kind, done.draft.public["scope"], done.draft.public["on"]) == (
            Kind.LOCKDOWN_CHANGED,
            scope,
            True,
        )
    agreed(site, LockdownChange(scope="zone:yard", on=False))
    agreed(site, LockdownChange(scope="site", on=False))
    assert site.flow.lockdowns == site.writes.lockdowns == {"gate:front"}
    assert reason(site, "front-in", "sergeant") is Reason.DENY_ALL
    assert reason(site, "school-in", "sergeant") is Reason.GRANTED
    agreed(site, LockdownChange(scope="gate:front", on=False))
    assert site.writes.lockdowns == frozenset()
    assert replace(site.writes, outcomes=[])
    assert reason(site, "front-in", "sergeant") is Reason.GRANTED


@pytest.mark.parametrize("scope", ["zone:moon", "gate:moon", "zone:front", "gate:yard"])
def test_a_lockdown_of_nothing_is_refused_so_that_nobody_trusts_it(scope: str, site: SmallSite):
    assert refused(site, LockdownChange(scope=scope, on=True)) == "scope-unknown"
    assert refused(site, LockdownChange(scope=scope, on=False)) == "scope-unknown"


def test_a_lockdown_of_what_the_site_has_lost_since_can_be_released_once_and_not_said_again(site: SmallSite):
    made(site, LockdownChange(scope="gate:front", on=True))
    gates = {name: gate for name, gate in site.flow.policy.gates.items() if name != "front"}
    site.flow.policy = replace(site.flow.policy, gates=gates)
    assert refused(site, LockdownChange(scope="gate:front", on=True)) == "scope-unknown"
    agreed(site, LockdownChange(scope="gate:front", on=False))
    assert site.flow.lockdowns == frozenset()
    assert refused(site, LockdownChange(scope="gate:front", on=False)) == "scope-unknown"


# -- badges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "state", "expected"),
    [
        *(
            (by, state, expected)
            for by in ("army", "school")
            for state, expected in (
                (BadgeState.SUSPENDED, Reason.BADGE_SUSPENDED),
                (BadgeState.LOST, Reason.BADGE_LOST),
                (BadgeState.STOLEN, Reason.BADGE_STOLEN),
                (BadgeState.REVOKED, Reason.REVOKED),
            )
        ),
        ("school", BadgeState.ACTIVE, Reason.GRANTED),
    ],
)
def test_a_badge_is_what_its_tenant_or_the_host_said_last(
    by: str, state: BadgeState, expected: Reason, site: SmallSite
):
    badge = BADGES["teacher"].badge.id
    done = made(site, BadgeStateChange(badge=badge, state=state), by=by)
    assert done.draft.kind is Kind.BADGE_CHANGED
    assert done.draft.tenants == ("school",)
    public = done.draft.public
    assert (public["tenant"], public["from"], public["to"]) == ("school", "active", state.value)
    assert (done.draft.person, done.draft.personal) == ("teacher", {"badge": badge, "holder": "teacher"})
    stopped_by = frozenset() if state is BadgeState.ACTIVE else frozenset({by})
    stopped_at = None if state is BadgeState.ACTIVE else site.now
    assert site.writes.badge_states == [(badge, state, stopped_by, stopped_at)]
    assert reason(site, "front-in", "teacher") is expected


TEACHERS = BADGES["teacher"].badge.id
SUSPENDED, LOST, STOLEN = BadgeState.SUSPENDED, BadgeState.LOST, BadgeState.STOLEN


def said(state: BadgeState) -> BadgeStateChange:
    return BadgeStateChange(badge=TEACHERS, state=state)


@pytest.mark.parametrize("stopped", [SUSPENDED, LOST, STOLEN])
def test_what_the_host_has_stopped_the_host_lets_go_and_not_the_tenant(stopped: BadgeState, site: SmallSite):
    made(site, said(stopped))
    lighter = [
        state for state in BadgeState if list(BadgeState).index(state) < list(BadgeState).index(stopped)
    ]
    for state in lighter:
        assert refused(site, said(state), by="school") == "change-role"
        assert refused(site, said(state), by="guard") == "change-role"
        assert refused(site, said(state), by="club") == "change-not-yours"
    done = made(site, said(BadgeState.ACTIVE), by="officer")
    assert (done.draft.public["from"], done.draft.public["to"]) == (stopped.value, "active")
    assert site.writes.badge_states[-1] == (TEACHERS, BadgeState.ACTIVE, frozenset(), None)
    made(site, said(SUSPENDED), by="school")
    made(site, said(BadgeState.ACTIVE), by="school")


@pytest.mark.parametrize("first", ["school", "army"])
def test_what_both_have_stopped_is_active_when_both_have_let_it_go(first: str, site: SmallSite):
    for by, state in {"school": [("school", SUSPENDED), ("army", LOST)]}.get(
        first, [("army", SUSPENDED), ("school", LOST)]
    ):
        made(site, said(state), by=by)
    stopped_at = site.flow.register.stopped_at(TEACHERS)
    assert refused(site, said(BadgeState.ACTIVE), by="school") == "change-role"
    done = made(site, said(BadgeState.ACTIVE), by="army")
    assert (done.draft.public["from"], done.draft.public["to"]) == ("lost", "lost")
    assert site.writes.badge_states[-1] == (TEACHERS, LOST, {"school"}, stopped_at)
    assert reason(site, "front-in", "teacher") is Reason.BADGE_LOST
    assert refused(site, said(BadgeState.ACTIVE), by="army") == "change-not-yours"
    made(site, said(BadgeState.ACTIVE), by="school")
    assert reason(site, "front-in", "teacher") is Reason.GRANTED


def test_the_tenant_says_more_of_what_the_host_has_stopped_and_revokes_it(site: SmallSite):
    made(site, said(SUSPENDED))
    made(site, said(STOLEN), by="school")
    made(site, said(BadgeState.REVOKED), by="school")
    assert refused(site, said(BadgeState.ACTIVE), by="school") == "badge-revoked"


def test_a_badge_of_which_nobody_knows_who_stopped_it_is_its_tenants_to_reinstate(site: SmallSite):
    site.flow.register.set_state(TEACHERS, SUSPENDED)
    assert refused(site, said(BadgeState.ACTIVE)) == "change-not-yours"
    made(site, said(BadgeState.ACTIVE), by="school")


def test_the_host_stops_anybodys_badge_and_gives_back_its_own_only(site: SmallSite):
    teachers, sergeants = BADGES["teacher"].badge.id, BADGES["sergeant"].badge.id
    assert refused(site, BadgeStateChange(badge=teachers, state=BadgeState.ACTIVE)) == "change-not-yours"
    made(site, BadgeStateChange(badge=sergeants, state=BadgeState.SUSPENDED))
    made(site, BadgeStateChange(badge=sergeants, state=BadgeState.ACTIVE))
    assert reason(site, "front-in", "sergeant") is Reason.GRANTED


def test_a_revoked_badge_counts_from_the_next_scan_on_also_one_that_was_verified_before(site: SmallSite):
    scan = site.authentic(site.scan("front-in", "sergeant"))
    verified = site.flow.verify(scan, beacons=site.beacons)
    made(site, BadgeStateChange(badge=BADGES["sergeant"].badge.id, state=BadgeState.REVOKED))
    taken = site.flow.take(scan, verified, now=site.now)
    assert taken.decision.reasons == (Reason.REVOKED,)


@pytest.mark.parametrize("state", [state for state in BadgeState if state is not BadgeState.REVOKED])
def test_a_revoked_badge_is_revoked_for_good(state: BadgeState, site: SmallSite):
    badge = BADGES["teacher"].badge.id
    made(site, BadgeStateChange(badge=badge, state=BadgeState.REVOKED), by="school")
    for by in ("school", "army"):
        code = refused(site, BadgeStateChange(badge=badge, state=state), by=by)
        assert code == (
            "badge-revoked" if by == "school" or state is not BadgeState.ACTIVE else "change-not-yours"
        )
    made(site, BadgeStateChange(badge=badge, state=BadgeState.REVOKED), by="school")
    assert reason(site, "front-in", "teacher") is Reason.REVOKED


def test_a_badge_that_the_site_does_not_have_is_refused(site: SmallSite):
    content = BadgeStateChange(badge=BadgeId("ab" * 16), state=BadgeState.REVOKED)
    assert refused(site, content) == "badge-unknown"
    assert refused(site, content, by="school") == "change-not-yours"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (AlertChange(state="tense"), "the alert state goes from calm to tense"),
        (AlertChange(state="calm"), "the alert state is calm already"),
        (LockdownChange(scope="zone:shed", on=True), "zone:shed is locked down"),
        (SuspensionChange(tenant=TenantId("school"), on=True), "school is suspended"),
        (SuspensionChange(tenant=TenantId("school"), on=False), "school is reinstated already"),
    ],
)
def test_who_asked_for_a_change_is_told_what_is_the_case_now(site: SmallSite, content: Any, said: str):
    assert site.supervise(content).outcome.detail == said


def test_a_lockdown_that_is_said_again_is_told_to_be_there_already(site: SmallSite):
    made(site, LockdownChange(scope="site", on=True))
    again = site.supervise(LockdownChange(scope="site", on=True))
    assert again.outcome.detail == "site is locked down already"
