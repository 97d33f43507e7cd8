"""Effective rights: what somebody may open, whatever the hour and the company; and what a change gives and takes."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.core.effective import (
    Changed,
    Outlook,
    Rights,
    Subject,
    differences,
    rights_of,
    rights_of_all,
    subjects,
)
from gatekeeper.model.badges import Assurance, Badge
from gatekeeper.model.ids import AccessPointId, BadgeId, HolderId, ProfileId
from gatekeeper.model.people import Holder, HolderKind, PinRecord
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import SECOND, document_with, policy_with
from tests.support.sites import BADGES, NOON, compiled, ground

CALM, TENSE, GRAVE = range(3)
PIN = PinRecord(salt=bytes(16), digest=bytes(32), duress=None)


def person(who: str, *, badge: Mapping[str, Any] | None = None, **changes: Any) -> tuple[Holder, Badge, int]:
    return (
        replace(ground().holders[who], **changes),
        replace(BADGES[who].badge, **(badge or {})),
        1,
    )


def subject(who: str, **changes: Any) -> Subject:
    return subjects([person(who, **changes)], [])[0]


def opens(policy: Policy, who: str, **changes: Any) -> dict[str, set[int]]:
    """The doors that somebody may open, and in which alert states."""
    found: dict[str, set[int]] = {}
    for point, alert in rights_of(Outlook(policy, NOON), subject(who, **changes)):
        found.setdefault(point, set()).add(alert)
    return found


def planned(before: Policy, after: Policy, people: Iterable[tuple[Holder, Badge, int]]) -> list[Changed]:
    return differences(before, after, subjects(people, [before, after]), now=NOON)


def policy_of(document: Mapping[str, Any]) -> Policy:
    return compiled(document, trust=ground().trust)[1]


def changed(
    access_point: str,
    *holders: str,
    gained: Iterable[int] = (),
    lost: Iterable[int] = (),
    other_hours: Iterable[int] = (),
) -> Changed:
    return Changed(
        access_point=AccessPointId(access_point),
        gained=frozenset(gained),
        lost=frozenset(lost),
        other_hours=frozenset(other_hours),
        holders=tuple(map(HolderId, holders)),
    )


# -- rights -----------------------------------------------------------------------------------------------------------


def test_rights_are_what_profiles_agreement_veto_and_levels_leave_in_each_alert_state():
    everywhere, until_tense, calm = {CALM, TENSE, GRAVE}, {CALM, TENSE}, {CALM}
    assert opens(policy_with(), "teacher") == {
        "front-in": until_tense, "front-out": everywhere, "shed-in": until_tense, "shed-out": everywhere,
        "school-in": until_tense, "school-out": everywhere, "barrack-in": until_tense, "barrack-out": everywhere,
        "corridor": until_tense,
    }  # fmt: skip
    assert opens(policy_with(), "pupil") == {
        "front-in": until_tense, "front-out": everywhere, "shed-in": calm, "shed-out": everywhere,
        "school-in": calm, "school-out": everywhere,
    }  # fmt: skip


@pytest.mark.parametrize("now", [NOON, datetime(2026, 6, 3, 23, tzinfo=UTC)])
def test_rights_do_not_depend_on_the_hour(now: datetime):
    rights = rights_of(Outlook(policy_with(), now), subject("pupil"))
    assert set(rights) == set(rights_of(Outlook(policy_with(), NOON), subject("pupil")))


def test_hours_are_those_of_the_schedules_and_none_on_the_way_out():
    def hours(rights: Rights, point: str) -> Any:
        return rights[AccessPointId(point), CALM]

    outlook = Outlook(policy_with(), NOON)
    pupil, teacher = (rights_of(outlook, subject(who)) for who in ("pupil", "teacher"))
    assert hours(pupil, "front-in") != hours(teacher, "front-in")
    assert hours(pupil, "front-out") == hours(teacher, "front-out")


@pytest.mark.parametrize(
    "rules",
    [
        {"two_persons": {"seconds": 20}},
        {"escort": {"seconds": 20, "most": 1, "kinds": ["staff"], "by": ["army/escort"]}},
        {"first_person": {"profiles": ["army/keyholder"], "hours": 8}},
        {"driver": {"seconds": 20}},
        {"occupancy": {"least": 2}},
        {"occupancy": {"most": 1}},
        {"guard_check": {"seconds": 20}},
        {"search": {"one_in": 1}},
        {"certificates": ["fire"], "shadow": ["denied-certificate"]},
    ],
)
def test_what_can_be_mended_at_the_door_takes_no_right(rules: dict[str, Any]):
    assert opens(policy_with({"barrack": rules}), "private") == opens(policy_with(), "private")


@pytest.mark.parametrize(
    "rules",
    [
        {"certificates": ["fire"]},
        {"level": 3},
        {"assurance": 3},
        {"two_persons": {"seconds": 20, "profiles": ["army/keyholder"]}},
        {"pin": "always"},
    ],
)
def test_what_cannot_be_mended_at_the_door_takes_the_right_to_come_in(rules: dict[str, Any]):
    lacking = opens(policy_with({"barrack": rules}), "private")
    assert set(opens(policy_with(), "private")) - set(lacking) >= {"barrack-in", "corridor"}
    assert "front-in" in lacking


def test_whoever_has_a_pin_may_come_in_where_one_is_asked():
    policy = policy_with({"barrack": {"pin": "always"}, "armoury": {"assurance": 3}})
    assert {"barrack-in", "armoury-in"} <= set(opens(policy, "sergeant", pin=PIN))
    assert {"barrack-in", "armoury-in"}.isdisjoint(opens(policy, "sergeant"))
    bearer = {"assurance": Assurance.BEARER}
    assert "armoury-in" not in opens(policy, "sergeant", pin=PIN, badge=bearer)


def test_where_only_an_alert_state_asks_for_a_pin_whoever_has_none_loses_the_right_in_that_state():
    policy = policy_with(alert=[{"state": "tense", "pin": True}])
    assert opens(policy, "sergeant")["front-in"] == {CALM}
    assert opens(policy, "sergeant")["front-out"] == {CALM, TENSE, GRAVE}
    assert opens(policy, "sergeant", pin=PIN)["front-in"] == {CALM, TENSE, GRAVE}


def test_an_alert_state_that_keeps_a_tenant_out_leaves_it_the_way_home():
    policy = policy_with(alert=[{"state": "tense", "excluded": ["school"]}])
    assert opens(policy, "teacher")["front-in"] == {CALM}
    assert opens(policy, "teacher")["front-out"] == {CALM, TENSE, GRAVE}


# -- what a change does -----------------------------------------------------------------------------------------------

TEACHER, PUPIL, SERGEANT, PRIVATE = map(person, ("teacher", "pupil", "sergeant", "private"))
EVERYBODY = [TEACHER, PUPIL, SERGEANT, PRIVATE]


def test_the_same_site_changes_nothing():
    assert planned(policy_with(), policy_with(), EVERYBODY) == []


def test_a_veto_takes_every_door_of_the_zone_and_nothing_else():
    veto = {"tenant": "school", "zone": "school-house", "why": {"en": "Rebuilding", "nl": "Verbouwing"}}
    document = document_with()
    document["veto"].append(veto)
    assert planned(policy_with(), policy_of(document), EVERYBODY) == [
        changed("school-in", "teacher", lost={CALM, TENSE}),
        changed("school-in", "pupil", lost={CALM}),
        changed("school-out", "pupil", "teacher", lost={CALM, TENSE, GRAVE}),
    ]


def test_a_grant_gives_its_door_in_its_alert_states():
    document = document_with()
    grant = {"access_point": "shed-in", "schedule": "always", "highest_alert": "tense"}
    document["profile"][1]["grants"].append(grant)
    assert planned(policy_with(), policy_of(document), EVERYBODY) == [
        changed("shed-in", "pupil", gained={TENSE})
    ]
    assert planned(policy_of(document), policy_with(), EVERYBODY) == [
        changed("shed-in", "pupil", lost={TENSE})
    ]


def test_other_hours_are_said_where_somebody_comes_in_and_not_where_they_leave():
    document = document_with()
    document["schedule"][1]["windows"][0]["from"] = "09:00"
    assert planned(policy_with(), policy_of(document), EVERYBODY) == [
        changed("front-in", "pupil", other_hours={CALM, TENSE}),
        changed("school-in", "pupil", other_hours={CALM}),
    ]


def test_a_schedule_by_another_name_changes_nothing():
    document = document_with()
    text = {"lessons": "teaching-hours"}
    document["schedule"][1]["id"] = text["lessons"]
    for profile in document["profile"]:
        profile["grants"] = [
            grant | {"schedule": text.get(grant["schedule"], grant["schedule"])}
            for grant in profile["grants"]
        ]
    assert planned(policy_with(), policy_of(document), EVERYBODY) == []


def test_a_higher_level_takes_the_right_from_whoever_is_not_cleared_for_it():
    assert planned(policy_with(), policy_with({"barrack": {"level": 3}}), EVERYBODY) == [
        changed(point, "private", lost={CALM, TENSE, GRAVE})
        for point in ("barrack-in", "barrack-out", "corridor")
    ]


def test_guests_of_an_event_gain_its_zones_and_nobody_else_does():
    event = {
        "id": "exercise", "name": {"en": "Exercise", "nl": "Oefening"}, "zones": ["school-house"],
        "from": datetime(2026, 6, 4, tzinfo=UTC), "until": datetime(2026, 6, 6, tzinfo=UTC),
        "guests": ["pupil", "stranger"], "highest_alert": "grave",
    }  # fmt: skip
    without = deepcopy(document_with())
    without["profile"][1]["grants"] = []
    pupils = [PUPIL, person("pupil", id=HolderId("another-pupil"))]
    assert planned(policy_of(without), policy_of(without | {"event": [event]}), pupils) == [
        changed("school-in", "pupil", gained={CALM, TENSE, GRAVE}),
        changed("school-out", "pupil", gained={CALM, TENSE, GRAVE}),
    ]


def test_an_event_that_is_over_gives_nothing():
    over = {
        "id": "exercise", "name": {"en": "Exercise", "nl": "Oefening"}, "zones": ["school-house"],
        "from": NOON - timedelta(days=1), "until": NOON, "guests": ["sergeant"], "highest_alert": "grave",
    }  # fmt: skip
    without = document_with()
    without["profile"][0]["grants"] = []
    policy = policy_of(without | {"event": [over]})
    assert rights_of(Outlook(policy, NOON), subject("sergeant")).keys() == {
        (AccessPointId("school-out"), alert) for alert in (CALM, TENSE, GRAVE)
    }
    assert (AccessPointId("school-in"), CALM) in rights_of(
        Outlook(policy, NOON - SECOND), subject("sergeant")
    )


# -- call-ups and rules on trial ---------------------------------------------------------------------------------------

MEMBER = person("member")
SUMMER = (datetime(2026, 6, 10, tzinfo=UTC), datetime(2026, 6, 20, tzinfo=UTC))
SUMMER_LASTS = SUMMER[1] - SUMMER[0]
INTO_THE_SHED = Changed(
    access_point=AccessPointId("shed-in"),
    gained=frozenset(),
    lost=frozenset(),
    other_hours=frozenset(),
    holders=(HolderId("member"),),
)


def call_up(since: datetime, until: datetime, *profiles: str) -> dict[str, Any]:
    return {"id": f"until-{until:%d}", "profiles": list(profiles), "from": since, "until": until}


def at_the_shed(before: Policy, after: Policy, *people: tuple[Holder, Badge, int]) -> list[Changed]:
    """What a change does to who comes into the shed."""
    found = planned(before, after, people or [MEMBER])
    return [one for one in found if one.access_point == INTO_THE_SHED.access_point]


def test_a_call_up_limits_the_hours_of_the_reservists_it_calls_and_takes_the_right_of_all_others():
    states = opens(policy_with(), "member")["shed-in"]
    summer = policy_with(call_up=[call_up(*SUMMER, "club/member")])
    assert opens(summer, "member")["shed-in"] == states
    assert at_the_shed(policy_with(), summer) == [replace(INTO_THE_SHED, other_hours=frozenset(states))]
    for nobody in (
        [call_up(*SUMMER, "army/soldier")],
        [call_up(NOON - 2 * SUMMER_LASTS, NOON, "club/member")],
    ):
        without = policy_with(call_up=nobody)
        assert at_the_shed(policy_with(), without) == [replace(INTO_THE_SHED, lost=frozenset(states))]
        assert at_the_shed(without, summer) == [replace(INTO_THE_SHED, gained=frozenset(states))]
        assert opens(without, "member")["shed-out"] == opens(policy_with(), "member")["shed-out"]


def test_a_longer_call_up_is_other_hours_and_the_same_days_called_up_twice_are_not():
    once = policy_with(call_up=[call_up(*SUMMER, "club/member")])
    half = SUMMER[0] + SUMMER_LASTS / 2
    halves = policy_with(
        call_up=[call_up(SUMMER[0], half, "club/member"), call_up(half, SUMMER[1], "club/member")]
    )
    longer = policy_with(call_up=[call_up(SUMMER[0], SUMMER[1] + SUMMER_LASTS, "club/member")])
    assert at_the_shed(once, halves) == []
    assert [bool(one.other_hours) for one in at_the_shed(once, longer)] == [True]


def test_call_ups_are_nothing_to_whoever_is_no_reservist():
    staff = person("member", kind=HolderKind.STAFF)
    assert at_the_shed(policy_with(), policy_with(call_up=[call_up(*SUMMER, "army/soldier")]), staff) == []


def test_a_call_up_that_is_only_reported_takes_nothing():
    tried = policy_with(
        call_up=[call_up(*SUMMER, "army/soldier")], rules={"shadow": [Reason.NOT_CALLED_UP.code]}
    )
    assert at_the_shed(policy_with(), tried) == []


def test_hours_that_are_only_reported_are_all_hours_and_enforcing_them_is_told():
    tried = policy_with(rules={"shadow": [Reason.OUT_OF_TIME_RANGE.code]})
    assert planned(tried, policy_with(), [PUPIL]) == [
        changed("front-in", "pupil", other_hours={CALM, TENSE}),
        changed("school-in", "pupil", other_hours={CALM}),
    ]
    assert planned(tried, policy_with(rules={"shadow": [Reason.OUT_OF_TIME_RANGE.code]}), [PUPIL]) == []


def test_other_windows_under_hours_that_are_only_reported_change_nothing():
    rules = {"shadow": [Reason.OUT_OF_TIME_RANGE.code]}
    document = document_with(rules=rules)
    document["schedule"][1]["windows"][0]["from"] = "09:00"
    assert planned(policy_with(rules=rules), policy_of(document), EVERYBODY) == []


def test_an_alert_state_that_is_only_reported_keeps_nobody_out():
    tried = policy_with(rules={"shadow": [Reason.THREAT_LEVEL.code]})
    assert opens(tried, "pupil")["front-in"] == {CALM, TENSE, GRAVE}
    assert planned(tried, policy_with(), [PUPIL])[0] == changed("front-in", "pupil", lost={GRAVE})


def test_a_pin_at_some_hours_leaves_the_others_to_whoever_has_none():
    asked = policy_with({"school-house": {"pin": "lessons"}})
    assert planned(policy_with(), asked, [TEACHER]) == [
        changed("school-in", "teacher", other_hours={CALM, TENSE})
    ]
    assert planned(policy_with(), asked, [PUPIL]) == [changed("school-in", "pupil", lost={CALM})]
    assert planned(policy_with(), asked, [person("pupil", pin=PIN)]) == []


def test_the_same_windows_in_another_time_zone_are_other_hours():
    document = document_with()
    document["site"]["time_zone"] = "Europe/London"
    assert {one.access_point for one in planned(policy_with(), policy_of(document), [PUPIL])} == {
        "front-in",
        "school-in",
    }


def test_a_holder_with_two_badges_loses_to_an_alert_state_what_neither_opens():
    policy = policy_with(alert=[{"state": "tense", "assurance": 2}])
    weak = person("sergeant", badge={"id": BadgeId("ab" * 16), "assurance": Assurance.BEARER})
    ((holders, rights),) = rights_of_all(Outlook(policy, NOON), subjects([SERGEANT, weak], [policy]))
    assert list(holders) == ["sergeant"]
    assert {alert for point, alert in rights if point == "front-in"} == {CALM, TENSE, GRAVE}


def test_a_holder_with_two_badges_is_named_once_and_keeps_what_either_opens():
    low = person("sergeant", badge={"id": BadgeId("ab" * 16), "ceiling": 1})
    before, after = policy_with(), policy_with({"yard": {"level": 2}})
    both = planned(before, after, [SERGEANT, low])
    assert both == []
    without_profile = document_with()
    without_profile["profile"][0]["grants"] = []
    twice = planned(
        before, policy_of(without_profile), [SERGEANT, person("sergeant", badge={"id": BadgeId("cd" * 16)})]
    )
    assert {one.holders for one in twice} == {(HolderId("sergeant"),)}


def test_holders_who_are_alike_are_one_question_and_all_are_named():
    people = [person("private", id=HolderId(f"private-{number}")) for number in range(50)]
    alike = subjects(people, [policy_with()])
    assert len(alike) == 1
    lost = planned(policy_with(), policy_with({"barrack": {"certificates": ["fire"]}}), people)
    assert [(one.access_point, len(one.holders)) for one in lost] == [("barrack-in", 50), ("corridor", 50)]


@pytest.mark.parametrize(
    "other",
    [
        {"clearance": 1},
        {"profiles": (ProfileId("keyholder"),)},
        {"certificates": (("fire", NOON),)},
        {"pin": PIN},
        {"until": NOON},
        {"badge": {"ceiling": 1}},
        {"badge": {"epoch": 0}},
        {"badge": {"expires": NOON}},
        {"badge": {"tenant": "school"}},
        {"badge": {"assurance": Assurance.BEARER}},
    ],
)
def test_holders_who_differ_in_what_a_rule_asks_are_asked_apart(other: dict[str, Any]):
    people = [person("private"), person("private", **{"id": HolderId("other"), **other})]
    assert len(subjects(people, [policy_with()])) == 2


FIRE = {"barrack": {"certificates": ["fire"]}}
NO_BARRACK = {"barrack": {"level": 5}}
LIFE = timedelta(days=365)
"""How long the school's badges may live."""


@pytest.mark.parametrize(
    ("who", "at", "beyond", "rules"),
    [
        ("private", {"badge": {"not_before": NOON}}, {"badge": {"not_before": NOON + SECOND}}, NO_BARRACK),
        ("private", {"badge": {"expires": NOON}}, {"badge": {"expires": NOON + SECOND}}, NO_BARRACK),
        ("private", {"badge": {"epoch": 1}}, {"badge": {"epoch": 0}}, NO_BARRACK),
        ("private", {"since": NOON}, {"since": NOON + SECOND}, NO_BARRACK),
        ("private", {"until": NOON}, {"until": NOON + SECOND}, NO_BARRACK),
        (
            "private",
            {"certificates": (("fire", NOON),)},
            {"certificates": (("fire", NOON + SECOND),)},
            FIRE,
        ),
        (
            "teacher",
            {"badge": {"not_before": NOON, "expires": NOON + LIFE}},
            {"badge": {"not_before": NOON, "expires": NOON + LIFE + SECOND}},
            NO_BARRACK,
        ),
    ],
)
def test_who_is_at_a_bound_and_who_is_beyond_it_are_told_apart(
    who: str, at: dict[str, Any], beyond: dict[str, Any], rules: dict[str, Any]
):
    people = [person(who, **at), person(who, **{"id": HolderId("other"), **beyond})]
    before, after = policy_with(), policy_with(rules)

    def named(*asked: tuple[Holder, Badge, int]) -> set[tuple[AccessPointId, HolderId]]:
        return {(one.access_point, holder) for one in planned(before, after, asked) for holder in one.holders}

    apart = named(people[0]) | named(people[1])
    assert named(*people) == named(*reversed(people)) == apart
    assert len({holder for _, holder in apart}) == 1


def test_people_whose_dates_differ_and_say_the_same_today_are_all_named():
    people = [
        person("private", id=HolderId(f"private-{day}"), until=NOON + timedelta(days=day)) for day in (1, 2)
    ]
    assert {one.holders for one in planned(policy_with(), policy_with(FIRE), people)} == {
        (HolderId("private-1"), HolderId("private-2"))
    }
