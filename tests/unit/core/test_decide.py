"""Every reason, reached the whole way from signed bytes; and the rules about rights at their edges."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatekeeper.core.change import AlertChange, LockdownChange, SuspensionChange
from gatekeeper.core.decide import Decision, Facts, Request, decide
from gatekeeper.core.facts import GuardsWord
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.supervise import APPLIED
from gatekeeper.model.badges import Assurance, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, GateId, HolderId, ProfileId, TenantId, ZoneId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.reasons import MessageRefusal, OnvifReason, Reason
from tests.support.rules_site import PIN_RECORD, RuledSite, document_with
from tests.support.sites import (
    BADGES,
    NOON,
    Issued,
    SmallSite,
    beacon_number,
    compiled,
    ground,
    issue,
    register_holder,
    site_document,
)

LAST_YEAR = beacon_number(1)


def holder_of(name: str, issued: Issued, **changes: object) -> Holder:
    made = replace(ground().holders["sergeant"], id=HolderId(name), badges=(issued.badge.id,), **changes)
    return replace(made, tenant=issued.badge.tenant)


def newcomer(site: SmallSite, *, holder: dict[str, object] | None = None, **badge: object) -> Decision:
    issued = issue("newcomer", "army", **badge)
    site.enter("newcomer", issued, holder_of("newcomer", issued, **(holder or {})))
    return decision(site, "front-in", "newcomer")


def decision(site: SmallSite, access_point: str, who: str | Issued | Card, **changes: object) -> Decision:
    made = site.tap(access_point, who, **changes).decision
    assert made is not None
    return made


def in_state(state: BadgeState) -> Callable[[SmallSite], Decision]:
    def tapped(site: SmallSite) -> Decision:
        site.flow.register.set_state(BADGES["sergeant"].badge.id, state)
        return decision(site, "front-in", "sergeant")

    return tapped


def at(moment: datetime, access_point: str, who: str) -> Callable[[SmallSite], Decision]:
    def tapped(site: SmallSite) -> Decision:
        site.now = moment
        return decision(site, access_point, who)

    return tapped


def twice(access_point: str, *before: str) -> Callable[[SmallSite], Decision]:
    def tapped(site: SmallSite) -> Decision:
        for earlier in (*before, access_point):
            site.walk(earlier, "sergeant")
        return decision(site, access_point, "sergeant")

    return tapped


def locked_down(site: SmallSite) -> Decision:
    assert site.supervise(LockdownChange(scope="site", on=True)).outcome.code == APPLIED
    return decision(site, "front-in", "sergeant")


def alarmed(site: SmallSite) -> Decision:
    assert site.supervise(AlertChange(state="grave")).outcome.code == APPLIED
    return decision(site, "front-in", "teacher")


def forged(site: SmallSite) -> Decision:
    return decision(site, "front-in", issue("forger", "army", by="school issuer"))


def unassigned(site: SmallSite) -> Decision:
    site.enter("stray", issue("stray", "army"))
    return decision(site, "front-in", "stray")


def unproven(site: SmallSite) -> Decision:
    document = register_holder(site.holders["sergeant"], by="school issuer")
    record = HolderRecord(id=HolderId("sergeant"), document=document)
    site.flow.register.put_holder(record, tenant=ground().anchor.host, badges=[BADGES["sergeant"].badge.id])
    return decision(site, "front-in", "sergeant")


def long_lived(site: SmallSite) -> Decision:
    """The club may make badges for 100 days: this one is good for a second longer."""
    starts = datetime(2026, 5, 1, tzinfo=UTC)
    ends = starts + timedelta(days=100, seconds=1)
    issued = issue("veteran", "club", not_before=starts, expires=ends)
    site.enter("veteran", issued, holder_of("veteran", issued, profiles=(ProfileId("member"),)))
    return decision(site, "shed-in", "veteran")


# -- what a zone, an alert state or the site demands beside rights ------------------------------------------------------


def ruled(
    zones: dict[str, dict[str, object]],
    *before: tuple[str, str],
    then: tuple[str, str],
    state: str | None = None,
    **tables: object,
) -> Callable[[RuledSite], Decision]:
    """Under such rules, what somebody gets after others (or they themselves) have badged."""

    def tapped(site: RuledSite) -> Decision:
        site.write(document_with(zones, **tables))
        if state is not None:
            site.changed(AlertChange(state=state))
        for access_point, who in before:
            site.tap(access_point, who)
        return site.ask(*then)

    return tapped


def used_up(site: RuledSite) -> Decision:
    assert newcomer(site, max_uses=1).granted
    return decision(site, "shed-in", "newcomer")


def suspended(site: RuledSite) -> Decision:
    site.changed(SuspensionChange(tenant=TenantId("school"), on=True))
    return decision(site, "shed-in", "teacher")


def typed(*pins: str) -> Callable[[RuledSite], Decision]:
    def tapped(site: RuledSite) -> Decision:
        site.write(
            document_with({"barrack": {"pin": "always"}}, rules={"pin": {"tries": 2, "for_minutes": 9}})
        )
        site.enrol("typist", pin=PIN_RECORD)
        return [site.ask("barrack-in", "typist", pin=pin) for pin in pins][-1]

    return tapped


def looked_at(word: GuardsWord | None) -> Callable[[RuledSite], Decision]:
    def tapped(site: RuledSite) -> Decision:
        site.write(document_with({"barrack": {"guard_check": {"seconds": 20}}}))
        waiting = site.tap("barrack-in", "sergeant")
        if word is None:
            assert waiting.decision is not None
            return waiting.decision
        settled = site.flow.settle(waiting.receipt.seq, word, now=site.now)
        assert settled is not None
        assert settled.decision is not None
        return settled.decision

    return tapped


def escorted(*before: tuple[str, str], then: tuple[str, str]) -> Callable[[RuledSite], Decision]:
    def tapped(site: RuledSite) -> Decision:
        site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
        site.enrol("host", "escort")
        escort = {"seconds": 60, "most": 2, "by": ["army/escort"]}
        return ruled({"barrack": {"escort": escort}}, *before, then=then)(site)

    return tapped


def not_called_up(site: RuledSite) -> Decision:
    site.enrol("reservist", kind=HolderKind.RESERVIST)
    call = {
        "id": "autumn",
        "profiles": ["army/soldier"],
        "from": "2026-09-01T00:00:00Z",
        "until": "2026-09-15T00:00:00Z",
    }
    return ruled({}, then=("front-in", "reservist"), call_up=[call])(site)


PAIRS = {"barrack": {"two_persons": {"seconds": 20, "differ": "tenant"}}}
LOCK = [{"id": "lock", "access_points": ["barrack-in", "armoury-in"]}]
LOCK_OUT = {"lock_out": {"failures": 2, "minutes": 5, "for_minutes": 15}}
FAR_APART = [{"between": ["front-in", "barrack-in"], "seconds": 60}]
OPENED_FIRST = {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}

NOWHERE = {Reason.BADGE_UNASSIGNED, Reason.NO_ACCESS_RIGHTS}
CASES: dict[Reason, tuple[Callable[[SmallSite], Decision], set[Reason]]] = {
    Reason.GRANTED: (lambda site: decision(site, "front-in", "sergeant"), set()),
    Reason.PASSBACK_DETECTED: (twice("front-in"), {Reason.PASSBACK_DETECTED}),
    Reason.DENY_ALL: (locked_down, {Reason.DENY_ALL}),
    Reason.UNKNOWN_CREDENTIAL: (
        lambda site: decision(site, "front-in", Card(CardTechnology.WIEGAND, b"\1")),
        {Reason.UNKNOWN_CREDENTIAL},
    ),
    Reason.STALE_PROOF: (
        lambda site: decision(
            site,
            "front-in",
            "sergeant",
            beacon=LAST_YEAR,
            proof=site.prove("front-in", BADGES["sergeant"].key, beacon=LAST_YEAR),
        ),
        {Reason.STALE_PROOF},
    ),
    Reason.WRONG_PROOF: (
        lambda site: decision(site, "front-in", "sergeant", proof=None),
        {Reason.WRONG_PROOF},
    ),
    Reason.NO_ACCESS_RIGHTS: (
        lambda site: newcomer(site, holder={"profiles": ()}),
        {Reason.NO_ACCESS_RIGHTS},
    ),
    Reason.OUT_OF_TIME_RANGE: (
        at(datetime(2026, 6, 3, 20, tzinfo=UTC), "front-in", "pupil"),
        {Reason.OUT_OF_TIME_RANGE},
    ),
    Reason.THREAT_LEVEL: (alarmed, {Reason.THREAT_LEVEL}),
    Reason.PASSBACK: (twice("barrack-in", "front-in"), {Reason.PASSBACK}),
    Reason.BADGE_LOST: (in_state(BadgeState.LOST), {Reason.BADGE_LOST}),
    Reason.BADGE_STOLEN: (in_state(BadgeState.STOLEN), {Reason.BADGE_STOLEN}),
    Reason.BADGE_SUSPENDED: (in_state(BadgeState.SUSPENDED), {Reason.BADGE_SUSPENDED}),
    Reason.BADGE_FORGED: (forged, {Reason.BADGE_FORGED}),
    Reason.BADGE_UNASSIGNED: (unassigned, NOWHERE),
    Reason.NOT_YET_ACTIVE: (
        lambda site: newcomer(site, not_before=NOON + timedelta(seconds=1)),
        {Reason.NOT_YET_ACTIVE},
    ),
    Reason.EXPIRED: (at(datetime(2026, 8, 1, tzinfo=UTC), "front-in", "sergeant"), {Reason.EXPIRED}),
    Reason.REVOKED: (in_state(BadgeState.REVOKED), {Reason.REVOKED}),
    Reason.SUPERSEDED: (lambda site: newcomer(site, epoch=0), {Reason.SUPERSEDED}),
    Reason.NO_AGREEMENT: (
        at(datetime(2026, 7, 1, tzinfo=UTC), "shed-in", "member"),
        {Reason.NO_AGREEMENT},
    ),
    Reason.AGREEMENT_CEILING: (
        lambda site: decision(site, "barrack-in", "member"),
        {Reason.AGREEMENT_CEILING},
    ),
    Reason.AGREEMENT_ZONE: (lambda site: decision(site, "front-in", "member"), {Reason.AGREEMENT_ZONE}),
    Reason.HOST_VETO: (
        lambda site: decision(site, "armoury-in", "teacher"),
        {Reason.HOST_VETO, Reason.AGREEMENT_CEILING},
    ),
    Reason.CLEARANCE: (lambda site: decision(site, "armoury-in", "private"), {Reason.CLEARANCE}),
    Reason.BADGE_CEILING: (lambda site: newcomer(site, ceiling=0), {Reason.BADGE_CEILING}),
    Reason.ASSURANCE: (
        lambda site: decision(site, "barrack-in", "pupil"),
        {Reason.ASSURANCE, Reason.CLEARANCE, Reason.NO_ACCESS_RIGHTS},
    ),
    Reason.HOLDER_INACTIVE: (
        lambda site: newcomer(site, holder={"until": NOON}),
        {Reason.HOLDER_INACTIVE},
    ),
    Reason.HOLDER_UNPROVEN: (unproven, {Reason.HOLDER_UNPROVEN, Reason.NO_ACCESS_RIGHTS}),
    Reason.UNKNOWN_ACCESS_POINT: (
        lambda site: decision(site, "back-door", "sergeant"),
        {Reason.UNKNOWN_ACCESS_POINT},
    ),
    Reason.BADGE_LIFE: (long_lived, {Reason.BADGE_LIFE}),
    Reason.TRUSTED_TIME: (
        lambda site: newcomer(site, requires_trusted_time=True),
        {Reason.TRUSTED_TIME},
    ),
    Reason.DURESS: (lambda site: newcomer(site, duress=True), {Reason.DURESS}),
    Reason.VERIFICATION_REQUIRED: (looked_at(None), {Reason.VERIFICATION_REQUIRED}),
    Reason.VERIFICATION_FAILED: (looked_at(GuardsWord.NO), {Reason.VERIFICATION_FAILED}),
    Reason.VERIFICATION_TIMEOUT: (looked_at(GuardsWord.SILENCE), {Reason.VERIFICATION_TIMEOUT}),
    Reason.UNEXPECTED_LOCATION: (
        ruled(
            {"barrack": {"unexpected_location": "hard"}},
            ("shed-in", "sergeant"),
            then=("barrack-in", "sergeant"),
        ),
        {Reason.UNEXPECTED_LOCATION},
    ),
    Reason.PIN_MISSING: (
        ruled({"barrack": {"pin": "always"}}, then=("barrack-in", "sergeant")),
        {Reason.PIN_MISSING},
    ),
    Reason.PIN_WRONG: (typed("1111"), {Reason.PIN_WRONG}),
    Reason.MAX_ATTEMPTS: (typed("1111", "1111", "1111"), {Reason.MAX_ATTEMPTS}),
    Reason.LOWER_OCCUPANCY: (
        ruled({"barrack": {"occupancy": {"least": 2}}}, then=("barrack-in", "sergeant")),
        {Reason.LOWER_OCCUPANCY},
    ),
    Reason.UPPER_OCCUPANCY: (
        ruled(
            {"barrack": {"occupancy": {"most": 1}}},
            ("barrack-in", "private"),
            then=("barrack-in", "sergeant"),
        ),
        {Reason.UPPER_OCCUPANCY},
    ),
    Reason.MAX_USES: (used_up, {Reason.MAX_USES}),
    Reason.INACTIVITY: (
        ruled({}, then=("front-in", "sergeant"), rules={"inactivity_days": 30}),
        {Reason.INACTIVITY},
    ),
    Reason.NO_ACCOMPANIMENT: (ruled(PAIRS, then=("barrack-in", "sergeant")), {Reason.NO_ACCOMPANIMENT}),
    Reason.INCORRECT_ACCOMPANIMENT: (
        ruled(PAIRS, ("barrack-in", "private"), then=("barrack-in", "sergeant")),
        {Reason.INCORRECT_ACCOMPANIMENT},
    ),
    Reason.LOCKOUT: (
        ruled({}, *[("armoury-in", "private")] * 2, then=("front-in", "private"), rules=LOCK_OUT),
        {Reason.LOCKOUT},
    ),
    Reason.IMPOSSIBLE_TRAVEL: (
        ruled({}, ("front-in", "sergeant"), then=("barrack-in", "sergeant"), travel=FAR_APART),
        {Reason.IMPOSSIBLE_TRAVEL},
    ),
    Reason.NO_ESCORT: (escorted(then=("barrack-in", "visitor")), {Reason.NO_ESCORT}),
    Reason.VISITORS_INSIDE: (
        escorted(("barrack-in", "host"), ("barrack-in", "visitor"), then=("barrack-out", "host")),
        {Reason.VISITORS_INSIDE},
    ),
    Reason.FIRST_PERSON: (
        ruled({"barrack": OPENED_FIRST}, then=("barrack-in", "sergeant")),
        {Reason.FIRST_PERSON},
    ),
    Reason.INTERLOCK: (
        ruled({}, ("barrack-in", "sergeant"), then=("armoury-in", "sergeant"), interlock=LOCK),
        {Reason.INTERLOCK},
    ),
    Reason.CERTIFICATE: (
        ruled({"barrack": {"certificates": ["fire"]}}, then=("barrack-in", "sergeant")),
        {Reason.CERTIFICATE},
    ),
    Reason.TENANT_SUSPENDED: (suspended, {Reason.TENANT_SUSPENDED}),
    Reason.TENANT_EXCLUDED: (
        ruled(
            {},
            then=("front-in", "teacher"),
            state="tense",
            alert=[{"state": "tense", "excluded": ["school"]}],
        ),
        {Reason.TENANT_EXCLUDED},
    ),
    Reason.NOT_CALLED_UP: (not_called_up, {Reason.NOT_CALLED_UP}),
    Reason.NO_DRIVER: (
        ruled({"barrack": {"driver": {"seconds": 20}}}, then=("barrack-in", "sergeant")),
        {Reason.NO_DRIVER},
    ),
    Reason.SEARCH_SELECTED: (
        ruled({"barrack": {"search": {"one_in": 1}}}, then=("barrack-in", "sergeant")),
        {Reason.SEARCH_SELECTED},
    ),
}


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_reached_by_signed_bytes_and_no_rule_beside_it_fails(reason: Reason):
    tap, expected = CASES[reason]
    site = RuledSite()
    site.write(site_document())
    made = tap(site)
    assert set(made.reasons) == expected
    assert len(made.reasons) == len(expected)
    assert (made.granted or made.waits is not None) is not any(one.denies for one in expected)
    assert made.granted is (made.unlock is not None)
    assert made.policy == site.flow.policy.version


def test_numbers_and_codes_of_reasons_are_unique_and_found_again():
    assert len({reason.bacnet for reason in Reason}) == len(Reason)
    assert len({reason.code for reason in Reason}) == len(Reason)
    assert all(Reason.of_number(reason.bacnet) is reason for reason in Reason)
    assert Reason.of_number(0) is None


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("granted", 1),
        ("passback-detected", 3),
        ("denied-deny-all", 128),
        ("denied-unknown-credential", 129),
        ("denied-authentication-factor-timeout", 131),
        ("denied-incorrect-authentication-factor", 132),
        ("denied-no-access-rights", 135),
        ("denied-out-of-time-range", 136),
        ("denied-threat-level", 137),
        ("denied-passback", 138),
        ("denied-authentication-factor-lost", 143),
        ("denied-authentication-factor-stolen", 144),
        ("denied-authentication-factor-disabled", 147),
        ("denied-authentication-factor-error", 148),
        ("denied-credential-unassigned", 149),
        ("denied-credential-not-yet-active", 151),
        ("denied-credential-expired", 152),
        ("denied-credential-manual-disable", 153),
        ("denied-credential-disabled", 158),
        ("duress", 4),
        ("verification-required", 15),
        ("denied-unexpected-location-usage", 139),
        ("denied-max-attempts", 140),
        ("denied-lower-occupancy-limit", 141),
        ("denied-upper-occupancy-limit", 142),
        ("denied-credential-max-uses", 156),
        ("denied-credential-inactivity", 157),
        ("denied-no-accompaniment", 159),
        ("denied-incorrect-accompaniment", 160),
        ("denied-lockout", 161),
        ("denied-verification-failed", 162),
        ("denied-verification-timeout", 163),
    ],
)
def test_reasons_that_bacnet_names_have_its_numbers(code: str, number: int):
    assert {reason.bacnet: reason.code for reason in Reason}[number] == code


def test_our_own_reasons_stand_where_bacnet_leaves_room():
    bacnet = {reason for reason in Reason if reason.bacnet < 512}
    assert len(bacnet) == 32
    assert all(512 <= reason.bacnet <= 65535 for reason in set(Reason) - bacnet)


def test_no_denial_is_shown_to_integrators_as_a_grant():
    for reason in set(Reason) - {Reason.VERIFICATION_REQUIRED}:
        assert (reason.onvif is OnvifReason.GRANTED) is not reason.denies
        assert reason.denies is reason.code.startswith("denied-")


def test_a_wait_for_a_guard_is_shown_to_integrators_neither_as_a_denial_nor_as_a_grant():
    assert Reason.VERIFICATION_REQUIRED.onvif is OnvifReason.OTHER
    assert not Reason.VERIFICATION_REQUIRED.denies


@pytest.mark.parametrize(
    ("reason", "onvif"),
    [
        (Reason.UNKNOWN_CREDENTIAL, "CredentialNotFound"),
        (Reason.EXPIRED, "CredentialExpired"),
        (Reason.NOT_YET_ACTIVE, "CredentialNotActive"),
        (Reason.REVOKED, "CredentialNotEnabled"),
        (Reason.BADGE_LOST, "CredentialNotEnabled"),
        (Reason.OUT_OF_TIME_RANGE, "NotPermittedAtThisTime"),
        (Reason.NO_ACCESS_RIGHTS, "Unauthorized"),
        (Reason.DENY_ALL, "Other"),
    ],
)
def test_reasons_have_onvifs_word(reason: Reason, onvif: str):
    assert reason.onvif.value == onvif


def test_every_code_has_a_sentence_of_its_own_in_both_languages():
    for language in ("english", "dutch"):
        sentences = [getattr(reason, language) for reason in Reason]
        assert len(set(sentences)) == len(sentences)
        assert all(sentence.endswith(".") for sentence in sentences)
    assert len({refusal.sentence for refusal in MessageRefusal}) == len(MessageRefusal)


# -- edges ------------------------------------------------------------------------------------------------------------


def facts(who: str, **changes: object) -> Facts:
    badge = BADGES[who].badge
    made = Facts(
        badge=badge,
        badge_state=BadgeState.ACTIVE,
        assurance=badge.assurance,
        findings=(),
        holder=ground().holders[who],
        holder_unproven=False,
        epoch=1,
        whereabouts=None,
        alert=0,
        lockdowns=frozenset(),
    )
    return replace(made, **changes)


def ask(access_point: str, given: Facts, *, now: datetime = NOON, **request: object) -> Decision:
    policy = ground().policy
    point = policy.points[AccessPointId(access_point)]
    asked = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.NONE)
    return decide(policy, given, replace(asked, **request), now)


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("change", "now", "expected"),
    [
        ("badge", datetime(2026, 5, 1, tzinfo=UTC), []),
        ("badge", datetime(2026, 5, 1, tzinfo=UTC) - SECOND, [Reason.NOT_YET_ACTIVE]),
        ("badge", datetime(2026, 8, 1, tzinfo=UTC) - timedelta(microseconds=1), []),
        ("badge", datetime(2026, 8, 1, tzinfo=UTC), [Reason.EXPIRED]),
        ("holder", datetime(2026, 6, 1, tzinfo=UTC), []),
        ("holder", datetime(2026, 6, 1, tzinfo=UTC) - SECOND, [Reason.HOLDER_INACTIVE]),
        ("holder", datetime(2026, 7, 1, tzinfo=UTC) - SECOND, []),
        ("holder", datetime(2026, 7, 1, tzinfo=UTC), [Reason.HOLDER_INACTIVE]),
    ],
)
def test_dates_are_half_open(change: str, now: datetime, expected: list[Reason]):
    given = facts("sergeant")
    if change == "holder":
        since, until = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
        given = replace(given, holder=replace(given.holder, since=since, until=until))
    assert list(ask("front-in", given, now=now).reasons) == expected


@pytest.mark.parametrize(
    ("now", "in_force"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC) - SECOND, False),
        (datetime(2026, 1, 1, tzinfo=UTC), True),
        (datetime(2026, 7, 1, tzinfo=UTC) - SECOND, True),
        (datetime(2026, 7, 1, tzinfo=UTC), False),
    ],
)
def test_an_agreement_is_in_force_from_its_first_to_before_its_last_instant(now: datetime, in_force: bool):  # noqa: FBT001
    reasons = ask("shed-in", facts("member"), now=now).reasons
    assert (Reason.NO_AGREEMENT not in reasons) is in_force


def test_the_host_needs_no_agreement_and_has_no_ceiling():
    assert ask("armoury-in", facts("sergeant")).granted


@pytest.mark.parametrize(("ceiling", "granted"), [(1, False), (2, True), (3, True)])
def test_the_lowest_of_badge_and_clearance_counts(ceiling: int, granted: bool):  # noqa: FBT001
    given = facts("sergeant")
    low_badge = replace(given, badge=replace(given.badge, ceiling=ceiling))
    low_person = replace(given, holder=replace(given.holder, clearance=ceiling))
    assert ask("barrack-in", low_badge).granted is granted
    assert ask("barrack-in", low_person).granted is granted


@pytest.mark.parametrize("assurance", Assurance)
def test_assurance_is_enough_from_the_zones_own_on(assurance: Assurance):
    assert ask("front-in", facts("sergeant", assurance=assurance)).granted is (assurance >= Assurance.BEARER)
    assert ask("barrack-in", facts("sergeant", assurance=assurance)).granted is (assurance >= 2)


@pytest.mark.parametrize(
    ("scope", "closed"),
    [
        ("site", {"front-in", "front-out", "barrack-in", "armoury-in", "shed-in", "school-in"}),
        ("zone:yard", {"front-in", "front-out", "barrack-in", "armoury-in", "shed-in", "school-in"}),
        ("zone:barrack", {"barrack-in", "armoury-in"}),
        ("zone:armoury", {"armoury-in"}),
        ("zone:outside", set()),
        ("gate:front", {"front-in", "front-out"}),
        ("gate:inner", {"barrack-in", "armoury-in", "school-in"}),
        ("gate:shed-reader", {"shed-in"}),
        ("zone:front", set()),
        ("gate:yard", set()),
    ],
)
def test_a_lockdown_closes_its_scope_and_what_lies_inside(scope: str, closed: set[str]):
    doors = {"front-in", "front-out", "barrack-in", "armoury-in", "shed-in", "school-in"}
    given = facts("sergeant", lockdowns=frozenset({scope}))
    assert {door for door in doors if ask(door, given).reasons == (Reason.DENY_ALL,)} == closed
    assert {door for door in doors if not ask(door, given).granted} == closed


@pytest.mark.parametrize(
    ("access_point", "here", "expected"),
    [
        # In: whoever is inside already, at any depth, has come in before.
        ("front-in", None, None),
        ("front-in", "outside", None),
        ("front-in", "yard", Reason.PASSBACK_DETECTED),
        ("front-in", "armoury", Reason.PASSBACK_DETECTED),
        ("barrack-in", "yard", None),
        ("barrack-in", "school-house", None),
        ("barrack-in", "barrack", Reason.PASSBACK),
        ("barrack-in", "armoury", Reason.PASSBACK),
        ("armoury-in", "barrack", None),
        ("armoury-in", "armoury", Reason.PASSBACK),
        # From a sibling: being there is no reason, being in the target is.
        ("corridor", "school-house", None),
        ("corridor", "yard", None),
        ("corridor", "barrack", Reason.PASSBACK),
        ("corridor", "armoury", Reason.PASSBACK),
        # Out: whoever is outside it already, in the zone around or beside, has gone before.
        ("barrack-out", "barrack", None),
        ("barrack-out", "armoury", None),
        ("barrack-out", "yard", Reason.PASSBACK),
        ("barrack-out", "school-house", Reason.PASSBACK),
        ("armoury-out", "armoury", None),
        ("armoury-out", "barrack", Reason.PASSBACK),
        ("front-out", "yard", None),
        ("front-out", "barrack", None),
        ("front-out", "outside", Reason.PASSBACK_DETECTED),
        # No anti-passback, no memory.
        ("school-in", "school-house", None),
        ("shed-out", "yard", None),
    ],
)
def test_anti_passback(access_point: str, here: str | None, expected: Reason | None):
    given = facts("sergeant", whereabouts=None if here is None else ZoneId(here))
    made = ask(access_point, given)
    assert list(made.reasons) == ([] if expected is None else [expected])
    assert made.granted is (expected is not Reason.PASSBACK)


def test_a_soft_passback_is_granted_and_said():
    made = ask("front-in", facts("sergeant", whereabouts=ZoneId("yard")))
    assert (made.granted, made.reason, made.reasons) == (True, Reason.GRANTED, (Reason.PASSBACK_DETECTED,))


NIGHT = datetime(2026, 6, 3, 20, tzinfo=UTC)  # ten in the evening


@pytest.mark.parametrize(
    ("access_point", "now", "alert", "expected"),
    [
        ("front-in", NOON, 0, set()),
        ("front-in", NOON, 1, set()),
        ("front-in", NOON, 2, {Reason.THREAT_LEVEL}),
        ("front-in", NIGHT, 0, {Reason.OUT_OF_TIME_RANGE}),
        ("front-in", NIGHT, 2, {Reason.OUT_OF_TIME_RANGE, Reason.THREAT_LEVEL}),
        ("front-out", NIGHT, 0, set()),
        ("front-out", NIGHT, 2, set()),
        ("school-in", NOON, 1, {Reason.THREAT_LEVEL}),
        ("school-out", NOON, 2, set()),
        ("barrack-out", NOON, 0, {Reason.NO_ACCESS_RIGHTS}),
        ("corridor", NOON, 0, {Reason.NO_ACCESS_RIGHTS}),
        ("shed-in", NIGHT, 0, set()),
    ],
)
def test_profiles_count_by_zone_access_point_time_and_alert_state_and_hold_nobody_in(
    access_point: str, now: datetime, alert: int, expected: set[Reason]
):
    reasons = set(ask(access_point, facts("pupil", alert=alert), now=now).reasons)
    of_profiles = {Reason.NO_ACCESS_RIGHTS, Reason.OUT_OF_TIME_RANGE, Reason.THREAT_LEVEL}
    assert reasons & of_profiles == expected


def test_one_profile_may_give_the_time_and_another_the_alert_state_but_not_one_of_each():
    """Open now only up to calm, open at grave only at night: at noon in a grave state neither opens."""
    document = site_document()
    document["schedule"].append(
        {
            "id": "nights",
            "name": {"en": "Nights", "nl": "Nachten"},
            "windows": [{"days": ["wed"], "from": "20:00", "until": "24:00"}],
        }
    )
    document["profile"][0]["grants"] = [
        {"zone": "yard", "schedule": "lessons", "highest_alert": "calm"},
        {"zone": "yard", "schedule": "nights", "highest_alert": "grave"},
    ]
    _, policy = compiled(document, trust=ground().trust)
    asked = Request(access_point=AccessPointId("front-in"), gate=GateId("front"), clock=ClockQuality.NONE)

    def reasons(now: datetime, alert: int) -> list[Reason]:
        return list(decide(policy, facts("sergeant", alert=alert), asked, now).reasons)

    assert reasons(NOON, 0) == []
    assert reasons(NOON, 2) == [Reason.THREAT_LEVEL]
    assert reasons(NIGHT, 2) == []
    assert reasons(NIGHT + timedelta(hours=3), 0) == [Reason.OUT_OF_TIME_RANGE]


def test_leaving_is_asked_everything_but_time_and_alert_state():
    made = ask("barrack-out", facts("pupil", badge_state=BadgeState.STOLEN, lockdowns=frozenset({"site"})))
    assert {Reason.DENY_ALL, Reason.BADGE_STOLEN, Reason.CLEARANCE, Reason.ASSURANCE} <= set(made.reasons)


def test_everything_that_is_wrong_is_reported_and_the_first_rule_is_shown():
    given = facts(
        "teacher",
        badge_state=BadgeState.LOST,
        assurance=Assurance.BEARER,
        epoch=2,
        alert=2,
        whereabouts=ZoneId("armoury"),
        lockdowns=frozenset({"zone:yard"}),
    )
    given = replace(
        given,
        badge=replace(given.badge, ceiling=1, requires_trusted_time=True, expires=NOON),
        holder=replace(given.holder, clearance=1, until=NOON),
    )
    made = ask("armoury-in", given)
    assert made.reason is Reason.DENY_ALL
    assert set(made.reasons) == {
        Reason.DENY_ALL,
        Reason.BADGE_LOST,
        Reason.EXPIRED,
        Reason.SUPERSEDED,
        Reason.TRUSTED_TIME,
        Reason.HOLDER_INACTIVE,
        Reason.HOST_VETO,
        Reason.AGREEMENT_CEILING,
        Reason.CLEARANCE,
        Reason.BADGE_CEILING,
        Reason.ASSURANCE,
        Reason.THREAT_LEVEL,
        Reason.PASSBACK,
    }


def test_the_hosts_veto_is_shown_before_what_the_tenant_lacks():
    reasons = ask("armoury-in", facts("teacher")).reasons
    assert reasons[0] is Reason.HOST_VETO


@pytest.mark.parametrize("clock", ClockQuality)
def test_a_badge_may_demand_a_gate_that_knows_the_time(clock: ClockQuality):
    given = facts("sergeant")
    given = replace(given, badge=replace(given.badge, requires_trusted_time=True))
    assert ask("front-in", given, clock=clock).granted is (clock is ClockQuality.SYNCHRONISED)


def test_an_access_point_of_another_gate_is_unknown_here():
    made = ask("barrack-in", facts("sergeant"), gate=GateId("front"))
    assert made.reasons == (Reason.UNKNOWN_ACCESS_POINT,)
    assert not made.granted


def test_a_holder_of_another_tenant_than_the_badge_has_no_rights():
    made = ask("front-in", facts("sergeant", holder=ground().holders["teacher"]))
    assert set(made.reasons) == {Reason.HOLDER_UNPROVEN, Reason.NO_ACCESS_RIGHTS}


def test_a_holder_whom_nobody_signed_has_no_rights():
    made = ask("front-in", facts("sergeant", holder=None, holder_unproven=True))
    assert set(made.reasons) == {Reason.HOLDER_UNPROVEN, Reason.NO_ACCESS_RIGHTS}


def test_a_badge_may_live_exactly_as_long_as_the_agreement_gives():
    badge = facts("member").badge
    exactly = replace(badge, expires=badge.not_before + timedelta(days=100))
    assert Reason.BADGE_LIFE not in ask("shed-in", facts("member", badge=exactly)).reasons


def test_a_tenant_that_the_policy_does_not_know_has_no_agreement():
    given = facts("sergeant")
    stranger = replace(given.badge, tenant="guest")
    made = ask("front-in", replace(given, badge=stranger, holder=replace(given.holder, tenant="guest")))
    assert set(made.reasons) == {Reason.NO_AGREEMENT, Reason.NO_ACCESS_RIGHTS}


@pytest.mark.parametrize("findings", [(), (Reason.GRANTED,), (Reason.PASSBACK_DETECTED,)])
def test_without_a_badge_nothing_opens_whatever_was_found(findings: tuple[Reason, ...]):
    nobody = facts("sergeant", badge=None, badge_state=None, holder=None, findings=findings)
    made = ask("shed-in", nobody)
    assert not made.granted
    assert Reason.UNKNOWN_CREDENTIAL in made.reasons


def test_a_badge_that_was_never_entered_in_the_register_is_unknown():
    assert ask("front-in", facts("sergeant", badge_state=None)).reasons == (Reason.UNKNOWN_CREDENTIAL,)


def test_an_epoch_withdraws_what_is_older_and_nothing_else():
    assert ask("front-in", facts("sergeant", epoch=1)).granted
    assert ask("front-in", facts("sergeant", epoch=2)).reasons == (Reason.SUPERSEDED,)
    assert ask("front-in", facts("sergeant", epoch=0)).granted


# -- folded -----------------------------------------------------------------------------------------------------------


def test_a_scan_that_asks_for_nothing_but_rights_is_decided_once_and_then_looked_up():
    first, again = ask("front-in", facts("sergeant")), ask("front-in", facts("sergeant"))
    assert first is again


def test_a_badge_that_is_revoked_is_decided_anew_at_once():
    assert ask("shed-in", facts("private")).granted
    assert ask("shed-in", facts("private", badge_state=BadgeState.REVOKED)).reasons == (Reason.REVOKED,)
    assert ask("shed-in", facts("private")).granted


def test_a_registration_that_is_replaced_is_decided_anew_at_once():
    given = facts("private")
    assert ask("shed-in", given).granted
    without = replace(given, holder=replace(given.holder, profiles=()))
    assert ask("shed-in", without).reasons == (Reason.NO_ACCESS_RIGHTS,)


@pytest.mark.parametrize("now", [datetime(2026, 6, 3, 15, tzinfo=UTC), datetime(2026, 6, 3, 6, tzinfo=UTC)])
def test_a_folded_decision_turns_at_the_edge_of_a_window(now: datetime):
    """Lessons are from eight to five: they begin at the first and end at the last, not an instant later or before."""
    before, after = (
        ask("front-in", facts("pupil"), now=now + step) for step in (-timedelta.resolution, timedelta())
    )
    assert before.granted is not after.granted
    assert ask("front-in", facts("pupil"), now=now - timedelta.resolution) is before
