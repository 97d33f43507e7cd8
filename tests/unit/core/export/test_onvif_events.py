"""An entry in ONVIF's events: one table by kind, one by reason; and what is told of nobody."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gatekeeper.core.audit import Kind, canonical_json, timestamp
from gatekeeper.core.export.feeds import PublicEntry, read_public
from gatekeeper.core.export.onvif import (
    Topic,
    configuration_events,
    events_of,
    presence_topic,
    state_filters,
    topic_prefix,
)
from gatekeeper.model.ids import AccessPointId, SiteId
from gatekeeper.model.reasons import OnvifReason, Reason
from tests.contract.vector_site import fresh_flow

SITE = SiteId("fort")
AT = datetime(2026, 6, 3, 12, 30, 1, 250_000, tzinfo=UTC)


def entry(kind: str, **fields: Any) -> PublicEntry:
    fields = {"access_point": "front-in", "gate": "front"} | fields
    body = {"v": 1, "site": SITE, "seq": 41, "at": timestamp(AT), "kind": kind, **fields}
    found = read_public(
        SITE, 41, AT, canonical_json({name: one for name, one in body.items() if one is not None})
    )
    assert found.kind == kind
    return found


POINTS = fresh_flow().policy.points


def said(kind: str, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(event.topic.value, dict(event.data)) for event in events_of(entry(kind, **fields), POINTS)]


OWN = {"CredentialToken": "entry-41"}


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("access.granted", {"reasons": ["granted"]}, [("AccessControl/AccessGranted/Credential", OWN)]),
        ("access.accompanied", {"grant": 40}, [("AccessControl/AccessGranted/Credential", OWN)]),
        ("access.offline-granted", {}, [("AccessControl/AccessGranted/Credential", OWN)]),
        (
            "access.offline-denied",
            {},
            [("AccessControl/Denied/Credential", {**OWN, "Reason": "Other"})],
        ),
        ("access.waiting", {"reasons": []}, [("AccessControl/Request/Credential", OWN)]),
        (
            "passage.taken",
            {"grant": 39},
            [("AccessControl/AccessTaken/Credential", {"CredentialToken": "entry-39"})],
        ),
        ("passage.taken", {}, [("AccessControl/AccessTaken/Anonymous", {})]),
        (
            "passage.not-taken",
            {"grant": 39},
            [("AccessControl/AccessNotTaken/Credential", {"CredentialToken": "entry-39"})],
        ),
        ("passage.not-taken", {"scan": "00"}, []),
        ("gate.status", {"status": "exit_requested"}, [("AccessControl/AccessGranted/Anonymous", {})]),
        (
            "gate.status",
            {"status": "opened", "command": "00"},
            [("AccessControl/AccessGranted/Anonymous", {"External": True})],
        ),
        (
            "gate.status",
            {"status": "opened_itself"},
            [("AccessControl/AccessGranted/Anonymous", {"External": True})],
        ),
        ("gate.status", {"status": "closed_again"}, []),
        ("passage.forced", {}, []),
        ("passage.held-open", {}, []),
    ],
)
def test_what_a_kind_of_entry_is(kind: str, fields: dict[str, Any], expected: list[Any]):
    assert said(kind, **fields) == expected


def test_every_other_kind_is_no_event():
    at_doors = {kind for kind in Kind if kind.startswith(("access.", "passage.")) or kind is Kind.GATE_STATUS}
    for kind in set(Kind) - at_doors:
        assert said(kind, reason="granted", reasons=["duress"]) == [], kind


REASONS = {
    "CredentialNotFound": "denied-unknown-credential",
    "CredentialNotEnabled": "denied-authentication-factor-lost denied-authentication-factor-stolen"
    " denied-authentication-factor-disabled denied-credential-manual-disable denied-credential-max-uses"
    " denied-credential-inactivity denied-credential-disabled denied-lockout",
    "CredentialNotActive": "denied-credential-not-yet-active denied-holder-inactive",
    "CredentialExpired": "denied-credential-expired",
    "InvalidPIN": "denied-max-attempts denied-pin-missing denied-pin-wrong",
    "NotPermittedAtThisTime": "denied-out-of-time-range denied-first-person denied-not-called-up",
    "Unauthorized": "denied-incorrect-authentication-factor denied-no-access-rights denied-threat-level denied-passback"
    " denied-unexpected-location-usage denied-lower-occupancy-limit denied-upper-occupancy-limit"
    " denied-authentication-factor-error denied-credential-unassigned denied-no-accompaniment"
    " denied-incorrect-accompaniment denied-verification-failed denied-no-agreement denied-agreement-ceiling"
    " denied-agreement-zone denied-host-veto denied-clearance denied-badge-ceiling denied-assurance"
    " denied-holder-unproven denied-badge-life denied-impossible-travel denied-no-escort denied-visitors-inside"
    " denied-certificate denied-tenant-suspended denied-tenant-excluded denied-no-driver",
    "Other": "denied-deny-all denied-authentication-factor-timeout denied-verification-timeout"
    " denied-unknown-access-point denied-untrusted-time denied-interlock",
}
"""ONVIF's words (Access Control Service, "Access denied"), and the reasons of the log that each stands for."""


def test_every_reason_that_denies_has_one_word_of_onvif_s():
    """A new reason fails here until somebody has chosen its word."""
    chosen = {code: word for word, codes in REASONS.items() for code in codes.split()}
    assert chosen == {reason.code: reason.onvif.value for reason in Reason if reason.denies}
    assert set(REASONS) == set(OnvifReason) - {OnvifReason.GRANTED}


@pytest.mark.parametrize(
    "reason", [reason for reason in Reason if reason.denies], ids=lambda reason: reason.code
)
def test_a_denial_has_the_word_of_its_reason(reason: Reason):
    told = said("access.denied", reason=reason.code, reasons=[reason.code])
    if reason is Reason.UNKNOWN_CREDENTIAL:
        assert told == [("AccessControl/Denied/CredentialNotFound/Card", {"Card": ""})]
        return
    topic, items = told[-1]
    assert topic == "AccessControl/Denied/Credential"
    assert items["Reason"] == reason.onvif.value
    assert items["CredentialToken"] == "entry-41"
    assert ("External" in items) is (reason is Reason.VERIFICATION_FAILED)
    timeout = [("AccessControl/Request/Timeout", {})] if reason is Reason.VERIFICATION_TIMEOUT else []
    assert told[:-1] == timeout


@pytest.mark.parametrize("reason", [None, "denied-by-a-newer-program", "granted", "duress"])
def test_a_denial_for_no_reason_that_denies_is_for_another(reason: str | None):
    assert said("access.denied", reason=reason) == [
        ("AccessControl/Denied/Credential", {**OWN, "Reason": "Other"})
    ]


@pytest.mark.parametrize("kind", ["access.granted", "access.waiting", "access.denied"])
def test_duress_is_told_beside_once_when_it_is_an_alarm(kind: str):
    duress = ("AccessControl/Duress", {**OWN, "Reason": "duress"})
    told = said(kind, reason="granted", reasons=["granted", "duress"], alarm=True)
    assert (len(told), told[-1]) == (2, duress)
    assert duress not in said(kind, reason="granted", reasons=["granted", "duress"]), (
        "it was told when it waited"
    )
    assert duress not in said(kind, reason="granted", reasons=["granted"], alarm=True), "a stolen badge's"


@pytest.mark.parametrize("point", [None, "", "elsewhere", "front-in/", "+", "#", 7, ["front-in"]])
def test_of_an_access_point_that_the_site_does_not_have_nothing_is_told(point: Any):
    assert said("access.granted", access_point=point, reasons=[]) == []


@pytest.mark.parametrize("kind", ["access.granted", "access.denied", "passage.taken", "access.accompanied"])
@pytest.mark.parametrize("gate", [None, "inner", "nobody"])
def test_what_a_gate_says_of_anothers_door_is_not_told(kind: str, gate: str | None):
    assert said(kind, gate=gate, reasons=[]) == []
    assert said(kind, access_point="house-in", reasons=[]) == []
    assert said(kind, reasons=[]) != []


def test_the_payload_is_onvif_s_json_and_the_topic_names_the_source():
    (event,) = events_of(entry("access.denied", reason="denied-pin-wrong"), POINTS)
    assert event.address(topic_prefix(SITE, prefix="gk")) == (
        "gk/fort/onvif-ej/AccessControl/Denied/Credential/&front-in"
    )
    assert event.payload() == (
        b'{"UtcTime":"2026-06-03T12:30:01.250000Z","Source":{"AccessPointToken":"front-in"},'
        b'"Data":{"CredentialToken":"entry-41","Reason":"InvalidPIN"}}'
    )


def test_an_event_without_items_has_no_data():
    (event,) = events_of(entry("passage.taken"), POINTS)
    assert json.loads(event.payload()).keys() == {"UtcTime", "Source"}


def test_topics_name_their_source_as_onvif_does():
    doors = {topic for topic in Topic if topic.source == "DoorToken"}
    assert doors == {topic for topic in Topic if topic.startswith(("Door/", "Configuration/Door/"))}
    assert {topic.source for topic in set(Topic) - doors} == {"AccessPointToken"}


def test_states_are_subscribed_to_and_nothing_else():
    filters = state_filters(topic_prefix(SITE, prefix="gk"))
    states = {topic for topic in Topic if topic.is_state}
    assert filters == [f"gk/fort/onvif-ej/{topic}/+" for topic in Topic if topic in states]
    assert states == {topic for topic in Topic if topic.startswith(("Door/State/", "AccessPoint/State/"))}
    assert presence_topic(SITE, prefix="gk") == "gk/fort/outward"


def test_doors_that_came_that_are_otherwise_and_that_went_are_told_and_those_that_stay_are_not():
    points = POINTS
    stays, changes, goes, *_ = points
    before = {name: points[name] for name in (stays, changes, goes)}
    after = {
        stays: points[stays],
        changes: replace(points[changes], level=points[changes].level + 1),
        AccessPointId("new"): replace(points[goes], id=AccessPointId("new")),
    }
    told = [
        (event.topic.value, event.token, event.at) for event in configuration_events(before, after, at="now")
    ]
    assert told == [
        (f"Configuration/{what}/{how}", token, "now")
        for token, how in ((changes, "Changed"), (goes, "Removed"), ("new", "Changed"))
        for what in ("AccessPoint", "Door")
    ]
    assert list(configuration_events(points, points, at="now")) == []


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("access.offline-granted", {}), ("passage.taken", {"grant": 40}), ("gate.status", {"status": "opened"})],
)
def test_what_a_gate_tells_hours_later_has_the_time_of_then(kind: str, fields: dict[str, Any]):
    told = {"gate_at": "2026-06-03T04:30:00.000000Z", "clock": "free_running", **fields}
    (event,) = events_of(entry(kind, **told), POINTS)
    assert json.loads(event.payload())["UtcTime"] == "2026-06-03T04:30:00.000000Z"
    (event,) = events_of(entry(kind, **{**told, "clock": "none"}), POINTS)
    assert json.loads(event.payload())["UtcTime"] == timestamp(AT)
