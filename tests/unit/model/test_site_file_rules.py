"""The rules of a site file as values: every key means one thing, and what is not named is not asked."""

import json
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from gatekeeper.model.people import HolderKind
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import (
    NO_RULES,
    AlertDemands,
    AntiPassback,
    Differ,
    Enforcement,
    Escort,
    FirstPerson,
    GuardCheck,
    LockOut,
    Occupancy,
    Offline,
    Passback,
    PinLimit,
    Search,
    SecondFactor,
    SiteRules,
    TwoPersons,
    Unseen,
    ZoneRules,
)
from gatekeeper.model.schedule import Window
from gatekeeper.model.site_file import (
    Lines,
    SiteFileError,
    policy_document,
    read_bridges,
    read_population,
    read_site,
    read_site_file,
)
from tests.support.rules_site_file import WRITTEN, read, spoiled

EXAMPLE = Path("deploy/examples/johan-willem-friso/site.toml")
SOLDIER, KEYHOLDER = ("army", "soldier"), ("army", "keyholder")


def rules_of(policy: SitePolicy, zone: str) -> ZoneRules:
    return next(one.rules for one in policy.zones if one.id == zone)


def test_every_rule_of_a_zone_is_read():
    policy = read(WRITTEN)
    assert rules_of(policy, "yard") == ZoneRules(
        passback=Passback(
            mode=AntiPassback.TIMED, within=timedelta(minutes=10), forgotten=timedelta(hours=12)
        ),
        unexpected_location=Enforcement.REPORTED,
        occupancy=Occupancy(
            most=50,
            least=None,
            within=timedelta(seconds=20),
            enforcement=Enforcement.DENIED,
            exempt=frozenset({SOLDIER}),
        ),
        driver=timedelta(seconds=30),
        search=Search(one_in=20),
        offline=Offline(longest=timedelta(hours=4), unseen=Unseen.ACCEPTED),
    )
    assert rules_of(policy, "vault") == ZoneRules(
        passback=Passback(mode=AntiPassback.HARD),
        occupancy=Occupancy(
            most=None,
            least=2,
            within=timedelta(seconds=15),
            enforcement=Enforcement.REPORTED,
            exempt=frozenset(),
        ),
        two_persons=TwoPersons(
            within=timedelta(seconds=20),
            differ=Differ.ROLE,
            profiles=frozenset({SOLDIER, KEYHOLDER}),
            leaving=True,
        ),
        escort=Escort(
            kinds=frozenset({HolderKind.VISITOR, HolderKind.CONTRACTOR}),
            profiles=frozenset({KEYHOLDER}),
            within=timedelta(seconds=60),
            most=3,
        ),
        first_person=FirstPerson(profiles=frozenset({KEYHOLDER}), lasting=timedelta(hours=8)),
        second_factor=SecondFactor(schedule="working-hours"),
        guard_check=GuardCheck(limit=timedelta(seconds=30)),
        certificates=frozenset({"arms"}),
        shadow=frozenset({Reason.FIRST_PERSON.code}),
    )
    assert rules_of(policy, "outside") == NO_RULES


def test_every_rule_of_the_site_is_read():
    rules = read(WRITTEN).rules
    assert rules.alerts == {
        "tense": AlertDemands(assurance=2, second_factor=True, escort=True, excluded=frozenset({"school"}))
    }
    assert [(one.id, one.access_points) for one in rules.interlocks] == [("sluice", {"front-in", "vault-in"})]
    assert [(one.between, one.least) for one in rules.travels] == [
        ({"front-in", "vault-out"}, timedelta(seconds=45))
    ]
    (event,) = rules.events
    assert (event.id, event.zones, event.guests, event.highest_alert) == (
        "exercise",
        {"vault"},
        {"h-00001"},
        1,
    )
    assert (event.since, event.until) == (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 5, tzinfo=UTC))
    (call_up,) = rules.call_ups
    assert (call_up.id, call_up.profiles, call_up.since) == (
        "autumn", {SOLDIER}, datetime(2026, 9, 1, tzinfo=UTC),
    )  # fmt: skip
    assert rules.escort == Escort(
        kinds=frozenset({HolderKind.VISITOR}),
        profiles=frozenset({SOLDIER}),
        within=timedelta(seconds=30),
        most=5,
    )
    assert rules.lock_out == LockOut(failures=5, within=timedelta(minutes=10), lasting=timedelta(minutes=30))
    assert rules.pin == PinLimit(tries=4, blocked=timedelta(minutes=20))
    assert rules.inactivity == timedelta(days=90)
    assert rules.shadow == {Reason.IMPOSSIBLE_TRAVEL.code}


def test_what_is_not_named_is_not_asked():
    without = WRITTEN[: WRITTEN.index("[[alert]]")]
    zone = without.index("[zone.rules]\npassback_minutes")
    yard = without[:zone].replace('"timed"', '"soft"') + without[without.index('[[zone]]\nid = "vault"') :]
    policy = read(yard)
    assert policy.rules == SiteRules()
    assert rules_of(policy, "yard") == ZoneRules(passback=Passback(mode=AntiPassback.SOFT))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('pin = "working-hours"', 'pin = "always"', SecondFactor(schedule=None)),
        ('pin = "working-hours"\n', "", None),
    ],
)
def test_a_pin_is_asked_always_or_by_the_clock_or_never(
    before: str, after: str, expected: SecondFactor | None
):
    assert rules_of(read(spoiled((before, after))), "vault").second_factor == expected


def test_two_persons_and_an_escort_have_defaults_that_ask_for_more_and_not_for_less():
    text = spoiled(
        (', differ = "role", profiles = ["army/soldier", "army/keyholder"], leaving = true', ""),
        ('kinds = ["visitor", "contractor"], by = ["army/keyholder"], ', ""),
    )
    vault = rules_of(read(text), "vault")
    assert vault.two_persons == TwoPersons(
        within=timedelta(seconds=20), differ=Differ.HOLDER, profiles=frozenset(), leaving=False
    )
    assert vault.escort == Escort(
        kinds=frozenset({HolderKind.VISITOR}), profiles=frozenset(), within=timedelta(seconds=60), most=3
    )


def test_schedules_have_windows_by_weekday_and_others_on_special_days():
    schedules = {schedule.id: schedule for schedule in read(WRITTEN).schedules}
    working, always = schedules["working-hours"], schedules["always"]
    assert working.week == ((Window(450, 1020),),) * 5 + ((),) * 2
    assert (working.special_days, working.special) == ({date(2026, 12, 25)}, (Window(600, 720),))
    assert always.week == ((Window(0, 1440),),) * 7
    assert always.special_days == frozenset()


# -- what is signed ---------------------------------------------------------------------------------------------------


def test_what_the_host_signs_is_read_as_the_file_was():
    document = tomllib.loads(WRITTEN)
    signed = policy_document(document)
    assert read_site(json.loads(signed)) == read(WRITTEN)
    assert policy_document(json.loads(signed)) == signed


def test_a_signed_policy_may_say_what_a_person_never_means():
    """A grant above an agreement's ceiling, a zone that nobody can leave: refused in a file, no error in what is signed."""
    text = spoiled(('access_point = "front-in", schedule', 'zone = "vault", schedule'))
    assert read_site(tomllib.loads(text)).site == "fort"
    with pytest.raises(SiteFileError, match="above the ceiling"):
        read(text)


# -- the example ------------------------------------------------------------------------------------------------------


def test_the_example_is_read_with_its_people_its_bridges_and_rules():
    text = EXAMPLE.read_text()
    document, lines = tomllib.loads(text), Lines.of(text, file="site.toml")
    policy = read_site_file(document, lines=lines)
    people, bridges = read_population(document, lines=lines), read_bridges(document, lines=lines)
    profiles = {(profile.tenant, profile.id) for profile in policy.profiles}
    assert all((group.tenant, profile) in profiles for group in people.groups for profile in group.profiles)
    assert {bridge.access_point for bridge in bridges} <= {point.id for point in policy.access_points}
    assert any(zone.rules != ZoneRules(passback=zone.rules.passback) for zone in policy.zones)
