"""Deciding again what the log holds: the same answer, and whatever was altered is a difference."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import Draft, canonical_json, facts_document, seal_body, seal_personal
from gatekeeper.core.facts import NO_PAST, Factor, Facts, GuardsWord, Past
from gatekeeper.core.replay import DECIDED, Difference, recollect, redecide
from gatekeeper.model.fields import UINT
from gatekeeper.model.ids import AccessPointId, HolderId, TenantId, ZoneId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import HolderKind
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import (
    DURESS_PIN,
    PIN,
    PIN_RECORD,
    RuledSite,
    at_noon,
    companion,
    document_with,
)
from tests.support.sites import BADGES, NOON, SITE

Entry = tuple[dict[str, Any], dict[str, Any]]


def stored(draft: Draft) -> Entry:
    """An entry as the log gives it back: body and personal part, read from their bytes."""
    personal = seal_personal(draft, salt=bytes(16))
    assert personal is not None
    body = seal_body(draft, site=SITE, trees={"site": draft.seq}, nonce=bytes(16), personal=personal)
    return json.loads(body), json.loads(personal)


def differing(policy: Policy, entry: Entry) -> list[str]:
    """What differs when it is decided again."""
    body, personal = entry
    return [one.what for one in redecide(policy, recollect(body, personal, site=SITE), body)]


RULES = {
    "yard": {"anti_passback": "soft", "occupancy": {"most": 3, "enforcement": "soft"}},
    "barrack": {
        "anti_passback": "timed", "passback_minutes": 10, "two_persons": {"seconds": 30}, "search": {"one_in": 2},
        "first_person": {"profiles": ["army/keyholder"], "hours": 8}, "shadow": ["denied-first-person"],
    },
    "armoury": {"pin": "always", "guard_check": {"seconds": 30}, "certificates": ["arms"]},
    "shed": {"escort": {"seconds": 60, "most": 1, "by": ["army/escort"]}, "unexpected_location": "hard"},
    "school-house": {"driver": {"seconds": 60}},
}  # fmt: skip
TABLES = {
    "rules": {"lock_out": {"failures": 4, "minutes": 5, "for_minutes": 15}, "inactivity_days": 60},
    "interlock": [{"id": "sluice", "access_points": ["barrack-in", "armoury-in"]}],
    "travel": [{"between": ["front-in", "shed-in"], "seconds": 20}],
}


def a_day() -> RuledSite:
    """Everything that can happen on a site with all rules, in a row."""
    site = RuledSite(RULES, **TABLES)
    site.enrol("host", "escort")
    site.enrol("guest", "caretaker", tenant="school", kind=HolderKind.VISITOR, badge={"max_uses": 2})
    site.enrol("truck", kind=HolderKind.VEHICLE)
    site.enrol("armourer", certificates=(("arms", site.now + timedelta(days=1)),), pin=PIN_RECORD)
    site.enrol("forced", badge={"duress": True})
    for door, who in (
        ("front-in", "host"), ("front-in", "host"), ("front-in", "guest"), ("shed-in", "guest"), ("shed-in", "host"),
        ("front-in", "forced"), ("front-in", "truck"), ("school-in", "truck"), ("school-in", "private"),
        ("barrack-in", "sergeant"), ("barrack-in", "armourer"), ("armoury-in", "armourer"), ("corridor", "teacher"),
    ):  # fmt: skip
        site.tap(door, who)
        site.advance(seconds=7, microseconds=3)
    site.advance(minutes=1)
    for pin in ("1111", PIN, DURESS_PIN):
        waiting = site.tap("armoury-in", "armourer", sealed_pin=site.sealed("armoury-in", pin))
    settled = site.flow.settle(waiting.receipt.seq, GuardsWord.NO, now=site.now)
    assert settled is not None
    site.drafts += settled.drafts
    for _ in range(5):
        site.tap("armoury-in", "private")
    site.tap("front-in", "sergeant", clock=ClockQuality.SYNCHRONISED)
    site.tap("front-in", "sergeant", proof=None)
    site.tap("back-door", "sergeant")
    return site


def test_a_day_with_every_rule_is_decided_again_as_it_was():
    site = a_day()
    decided = [draft for draft in site.drafts if draft.kind.value in DECIDED]
    assert [differing(site.flow.policy, stored(draft)) for draft in decided] == [[]] * len(decided)
    told = {code for draft in decided for code in (*draft.public["reasons"], *draft.public.get("shadow", ()))}
    assert told >= {
        reason.code
        for reason in (
            Reason.PASSBACK_DETECTED, Reason.UPPER_OCCUPANCY, Reason.NO_ESCORT, Reason.NO_DRIVER, Reason.DURESS,
            Reason.NO_ACCOMPANIMENT, Reason.FIRST_PERSON, Reason.PIN_MISSING, Reason.PIN_WRONG, Reason.CERTIFICATE,
            Reason.VERIFICATION_REQUIRED, Reason.VERIFICATION_FAILED, Reason.LOCKOUT, Reason.WRONG_PROOF,
            Reason.UNKNOWN_ACCESS_POINT, Reason.INTERLOCK, Reason.IMPOSSIBLE_TRAVEL,
        )
    }  # fmt: skip


def test_what_came_to_pass_without_a_decision_is_none():
    site = a_day()
    others = {draft.kind.value for draft in site.drafts} - DECIDED
    assert others == {"access.accompanied", "search.seed"}


# -- altered ----------------------------------------------------------------------------------------------------------


def a_denial() -> tuple[RuledSite, Entry]:
    """The private, who is not cleared for the armoury; the policy asks for more."""
    site = RuledSite({"armoury": {"occupancy": {"most": 1}, "shadow": ["denied-upper-occupancy-limit"]}})
    site.granted("armoury-in", "sergeant")
    return site, stored(site.tap("armoury-in", "private").drafts[0])


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("kind", "access.granted", ["kind"]),
        ("kind", "access.waiting", ["kind"]),
        ("reason", Reason.DENY_ALL.code, ["reason"]),
        ("reasons", [], ["reasons"]),
        ("reasons", [Reason.CLEARANCE.code, Reason.DENY_ALL.code], ["reasons"]),
        ("shadow", [], ["shadow"]),
        ("policy", "00" * 32, ["policy"]),
        ("access_point", "barrack-in", ["kind", "shadow", "reason", "reasons"]),
        ("access_point", "no-such-door", ["shadow", "reason", "reasons"]),
        ("gate", "front", ["shadow", "reason", "reasons"]),
        ("at", "2026-09-01T00:00:00.000000Z", ["reason", "reasons"]),
    ],
)
def test_an_altered_body_is_a_difference(field: str, value: object, what: list[str]):
    site, (body, personal) = a_denial()
    assert differing(site.flow.policy, (body, personal)) == []
    assert differing(site.flow.policy, (body | {field: value}, personal)) == what


def test_shadow_reasons_that_were_taken_out_are_a_difference():
    site, (body, personal) = a_denial()
    del body["shadow"]
    assert differing(site.flow.policy, (body, personal)) == ["shadow"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("badge_state",), "revoked"),
        (("badge_state",), None),
        (("badge",), None),
        (("badge", "ceiling"), 0),
        (("badge", "expires"), 0),
        (("badge", "duress"), True),
        (("badge", "epoch"), 0),
        (("holder",), None),
        (("holder", "clearance"), 5),
        (("holder", "until"), 0),
        (("holder", "profiles"), []),
        (("holder", "tenant"), "school"),
        (("findings",), [Reason.STALE_PROOF.code]),
        (("assurance",), 0),
        (("lockdowns",), ["site"]),
        (("suspended",), ["army"]),
        (("past", "crowds", "armoury"), 0),
        (("past", "locked_until"), "2026-12-01T00:00:00.000000Z"),
        (("past", "factor"), "wrong"),
        (("past", "guard"), "no"),
        (("past",), {}),
    ],
)
def test_altered_facts_are_a_difference(path: tuple[str, ...], value: object):
    site, (body, personal) = a_denial()
    at = personal["facts"]
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    assert differing(site.flow.policy, (body, personal)) != []


def test_a_difference_says_what_the_log_holds_and_what_is_decided():
    site, (body, personal) = a_denial()
    asked = recollect(body, personal, site=SITE)
    altered = body | {"reason": Reason.DENY_ALL.code}
    assert redecide(site.flow.policy, asked, altered) == [
        Difference(what="reason", logged=Reason.DENY_ALL.code, decided=Reason.CLEARANCE.code)
    ]
    version = site.flow.policy.version.hex()
    assert redecide(site.flow.policy, asked, body | {"policy": "00" * 32}) == [
        Difference(what="policy", logged="00" * 32, decided=version)
    ]


def test_another_policy_is_a_difference_and_nothing_is_decided_under_it():
    site, entry = a_denial()
    site.write(document_with())
    assert differing(site.flow.policy, entry) == ["policy"]


# -- not to be read ---------------------------------------------------------------------------------------------------


def without(*path: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def spoil(body: dict[str, Any], personal: dict[str, Any]) -> None:
        at: Any = {"body": body, "personal": personal}
        for name in path[:-1]:
            at = at[name]
        del at[path[-1]]

    return spoil


def having(value: object, *path: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def spoil(body: dict[str, Any], personal: dict[str, Any]) -> None:
        at: Any = {"body": body, "personal": personal}
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        without("body", "at"),
        without("body", "gate"),
        without("personal", "scan"),
        without("personal", "facts"),
        without("personal", "facts", "alert"),
        without("personal", "facts", "badge", "expires"),
        without("personal", "facts", "holder", "clearance"),
        having("2026-06-03T10:00:00", "body", "at"),
        having("noon", "body", "at"),
        having("", "personal", "scan"),
        having("AAAA", "personal", "scan"),
        having("no-such-reason", "personal", "facts", "findings"),
        having(["no-such-reason"], "personal", "facts", "findings"),
        having("mislaid", "personal", "facts", "badge_state"),
        having(9, "personal", "facts", "assurance"),
        having("pilot", "personal", "facts", "holder", "kind"),
        having("maybe", "personal", "facts", "past", "guard"),
        having("2026-06-03", "personal", "facts", "past", "since"),
        having([{}], "personal", "facts", "past", "company"),
        having("nothing", "personal", "facts"),
        having("nothing", "personal", "facts", "past"),
        having([], "personal", "facts", "badge"),
        having("1", "personal", "facts", "epoch"),
        having(1.5, "personal", "facts", "alert"),
        having("site", "personal", "facts", "lockdowns"),
        having("no", "personal", "facts", "holder_unproven"),
        having("5", "personal", "facts", "holder", "clearance"),
        having(9, "personal", "facts", "holder", "clearance"),
        having(1 << 64, "personal", "facts", "holder", "version"),
        having(1 << 64, "personal", "facts", "epoch"),
        having(1 << 64, "personal", "facts", "badge", "epoch"),
        having(1 << 64, "personal", "facts", "badge", "max_uses"),
        having(1 << 64, "personal", "facts", "past", "draw"),
        having(9, "personal", "facts", "badge", "ceiling"),
        having(1 << 60, "personal", "facts", "badge", "expires"),
        having({"armoury": "1"}, "personal", "facts", "past", "crowds"),
        having(5, "personal", "facts", "whereabouts"),
    ],
)
def test_what_cannot_be_read_is_said_and_never_guessed(
    spoil: Callable[[dict[str, Any], dict[str, Any]], None],
):
    _, (body, personal) = a_denial()
    spoil(body, personal)
    with pytest.raises((KeyError, TypeError, ValueError)):
        recollect(body, personal, site=SITE)


def test_a_passage_is_no_scan_to_decide_again():
    site, (body, personal) = a_denial()
    wire = site.hello("inner").wire
    personal["scan"] = wire.hex()
    with pytest.raises(ValueError, match="no scan"):
        recollect(body, personal, site=SITE)


def test_the_gates_clock_is_read_from_the_signed_scan():
    site = RuledSite()
    site.enrol("careful", badge={"requires_trusted_time": True})
    for clock, told in ((ClockQuality.SYNCHRONISED, []), (ClockQuality.NONE, [Reason.TRUSTED_TIME.code])):
        entry = stored(site.tap("front-in", "careful", clock=clock).drafts[0])
        assert entry[0]["reasons"] == told
        assert differing(site.flow.policy, entry) == []


def test_a_badge_is_recollected_as_far_as_rules_look_at_it():
    site = RuledSite()
    body, personal = stored(site.tap("front-in", "sergeant").drafts[0])
    badge = recollect(body, personal, site=SITE).facts.badge
    issued = BADGES["sergeant"].badge
    assert badge is not None
    assert (badge.id, badge.tenant, badge.expires, badge.ceiling) == (
        issued.id,
        issued.tenant,
        issued.expires,
        5,
    )
    assert (badge.confirmation, badge.card) == (None, None)


# -- kept and read again ----------------------------------------------------------------------------------------------

EVERYTHING = Past(
    since=NOON - timedelta(minutes=1),
    last_point=AccessPointId("front-in"),
    last_at=NOON - timedelta(minutes=2),
    visitors=frozenset({HolderId("first"), HolderId("second")}),
    brought=3,
    uses=4,
    last_used=NOON - timedelta(minutes=5),
    locked_until=NOON + timedelta(minutes=6),
    factor=Factor.DURESS,
    crowds={ZoneId("yard"): 7, ZoneId("shed"): 0},
    company=(
        companion("host", "army/escort", "army/soldier", waiting=False, brought=2),
        companion("guest", kind=HolderKind.VISITOR, host=HolderId("host")),
    ),
    opened={ZoneId("barrack"): NOON - timedelta(hours=8)},
    open_doors=frozenset({AccessPointId("barrack-in"), AccessPointId("armoury-in")}),
    draw=(1 << 53) - 1,
    guard=GuardsWord.SILENCE,
    asked=NOON - timedelta(seconds=9),
)


def read_again(facts: Facts) -> Facts:
    """The facts that the log gives back of these."""
    body, personal = a_denial()[1]
    kept = json.loads(canonical_json(facts_document(facts)))
    return recollect(body, personal | {"facts": kept}, site=SITE).facts


@pytest.mark.parametrize("past", [EVERYTHING, Past(draw=0)])
def test_all_that_was_known_of_the_past_is_read_again(past: Past):
    assert read_again(at_noon(past=past)).past == past


def test_all_that_was_the_case_is_read_again():
    known = at_noon("teacher")
    assert known.badge is not None
    assert known.holder is not None
    certified = (("arms", NOON), ("fire", NOON + timedelta(days=1)))
    facts = replace(
        known,
        holder=replace(known.holder, certificates=certified, host=HolderId("private"), version=UINT),
        holder_unproven=True,
        epoch=UINT,
        badge=replace(known.badge, epoch=UINT, max_uses=UINT),
        whereabouts=ZoneId("yard"),
        alert=2,
        lockdowns=frozenset({"site", "zone:yard"}),
        suspended=frozenset({TenantId("school"), TenantId("club")}),
        findings=(Reason.STALE_PROOF, Reason.WRONG_PROOF),
    )
    again = read_again(facts)
    assert replace(again, badge=None, holder=None) == replace(facts, badge=None, holder=None)
    assert again.badge is not None
    assert (again.badge.epoch, again.badge.max_uses) == (UINT, UINT)
    assert facts.holder is not None
    assert again.holder == replace(facts.holder, badges=(), pin=None)


@pytest.mark.parametrize(
    "path",
    [
        ("suspended",),
        ("past",),
        ("badge", "max_uses"),
        ("badge", "duress"),
        ("holder", "certificates"),
        ("holder", "host"),
    ],
)
def test_an_entry_from_before_a_fact_was_kept_is_read_as_if_there_was_nothing_of_it(path: tuple[str, ...]):
    _, (body, personal) = a_denial()
    whole = recollect(body, personal, site=SITE)
    without("personal", "facts", *path)(body, personal)
    assert recollect(body, personal, site=SITE) == (
        replace(whole, facts=replace(whole.facts, past=NO_PAST)) if path == ("past",) else whole
    )
