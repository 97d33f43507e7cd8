"""A site file is read strictly: every problem with its place and its sentence, and a file with one gives no policy."""

import json
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.model.people import Names
from gatekeeper.model.places import Direction
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.rules import AntiPassback, Passback
from gatekeeper.model.schedule import Window
from gatekeeper.model.site_file import (
    SiteFileError,
    policy_document,
    read_bridges,
    read_population,
    read_site,
)
from tests.support.sites import site_document

EXAMPLE = Path("deploy/examples/johan-willem-friso/site.toml")
Spoil = Callable[[dict[str, Any]], object]


def problems(document: Any) -> list[str]:
    with pytest.raises(SiteFileError) as refused:
        read_site(document)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


def spoilt(spoil: Spoil) -> dict[str, Any]:
    document = site_document()
    spoil(document)
    return document


def named(document: dict[str, Any], table: str, name: str) -> dict[str, Any]:
    return next(row for row in document[table] if row["id"] == name)


# -- what is read -----------------------------------------------------------------------------------------------------


@pytest.fixture
def policy() -> SitePolicy:
    return read_site(site_document())


def test_a_file_is_read_as_it_is_written(policy: SitePolicy):
    assert (policy.site, policy.host, policy.outside) == ("fort", "army", "outside")
    assert policy.names == Names(en="Fort", nl="Fort")
    assert (policy.time_zone, policy.alert_states) == ("Europe/Amsterdam", ("calm", "tense", "grave"))
    assert [tenant.id for tenant in policy.tenants if tenant.is_host] == ["army"]
    assert [len(part) for part in (policy.zones, policy.gates, policy.access_points)] == [6, 3, 11]
    assert [len(part) for part in (policy.schedules, policy.profiles, policy.vetoes)] == [2, 4, 1]


def test_an_agreement_a_zone_and_an_access_point_have_what_was_written(policy: SitePolicy):
    agreement = next(tenant.agreement for tenant in policy.tenants if tenant.id == "club")
    assert agreement is not None
    assert (agreement.tenant, agreement.ceiling, agreement.zones) == ("club", 1, {"shed", "barrack"})
    assert (agreement.since, agreement.until) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 7, 1, tzinfo=UTC),
    )
    assert agreement.badge_life == timedelta(days=100)
    armoury = next(zone for zone in policy.zones if zone.id == "armoury")
    assert (armoury.parent, armoury.owner, armoury.level, armoury.assurance) == ("barrack", "army", 4, 2)
    assert armoury.rules.passback == Passback(mode=AntiPassback.HARD)
    door = next(point for point in policy.access_points if point.id == "armoury-out")
    assert (door.source, door.target, door.gate) == ("armoury", "barrack", "inner")
    assert (door.direction, door.unlock) == (Direction.OUT, timedelta(seconds=4))


def test_a_door_may_have_its_own_unlock_time_and_a_site_five_seconds_when_it_says_nothing():
    document = site_document()
    del document["site"]["unlock_seconds"]
    named(document, "access_point", "front-in")["unlock_seconds"] = 9
    unlock = {point.id: point.unlock.total_seconds() for point in read_site(document).access_points}
    assert (unlock["front-in"], unlock["front-out"]) == (9, 5)


def test_profiles_count_alert_states_by_their_place_in_the_list(policy: SitePolicy):
    pupil = next(profile for profile in policy.profiles if profile.id == "pupil")
    assert [(grant.zone or grant.access_point, grant.highest_alert) for grant in pupil.grants] == [
        ("front-in", 1),
        ("front-out", 1),
        ("school-house", 0),
        ("shed", 0),
    ]


def test_a_schedule_takes_the_days_of_its_calendar(policy: SitePolicy):
    always, lessons = policy.schedules
    assert (always.special_days, always.special) == (frozenset(), ())
    assert lessons.special_days == {date(2026, 4, 27), date(2026, 12, 25)}
    assert lessons.week == ((Window(480, 1020),),) * 5 + ((), ())


def test_every_day_of_the_week_has_its_word():
    document = site_document()
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    for number, day in enumerate(days):
        document["schedule"][0]["windows"] = [{"days": [day], "from": "00:00", "until": "00:01"}]
        week = read_site(document).schedules[0].week
        assert [len(windows) for windows in week] == [int(number == one) for one in range(7)]


def test_the_example_site_is_read_without_a_problem():
    document = tomllib.loads(EXAMPLE.read_text("utf-8"))
    read = read_site(document)
    assert len(read.tenants) == 7
    assert sum(group.count for group in read_population(document).groups) == 500
    assert read_bridges(document)


def test_what_the_host_signs_reads_back_as_the_file():
    """Dates and moments become text in JSON; the policy is the same."""
    for document in (site_document(), tomllib.loads(EXAMPLE.read_text("utf-8"))):
        assert read_site(json.loads(policy_document(document))) == read_site(document)


def test_what_the_host_signs_has_one_spelling_and_no_people_or_bridges_in_it():
    document = site_document()
    plain = policy_document(document)
    assert policy_document(dict(reversed(document.items()))) == plain
    assert policy_document({**document, "population": {"seed": 1}, "bridge": []}) == plain
    assert policy_document(json.loads(plain)) == plain
    assert b'"from":"2026-01-01T00:00:00Z"' in plain
    assert b'"date":"2026-04-27"' in plain
    assert not any(space in plain for space in (b", ", b": ", b"\n"))


def test_a_moment_is_the_same_in_every_time_zone_it_is_written_in():
    document = site_document()
    named(document, "tenant", "club")["agreement"]["from"] = "2026-01-01T01:00:00+01:00"
    assert read_site(document) == read_site(site_document())


# -- what is refused, with its place and its sentence -----------------------------------------------------------------


def zone(which: str, /, **values: Any) -> Spoil:
    return row("zone", which, **values)


def row(table: str, which: str, /, **values: Any) -> Spoil:
    return lambda document: named(document, table, which).update(values)


def without(table: str, name: str, key: str) -> Spoil:
    return lambda document: named(document, table, name).pop(key)


def site(**values: Any) -> Spoil:
    return lambda document: document["site"].update(values)


def window(**values: Any) -> Spoil:
    return lambda document: document["schedule"][0]["windows"][0].update(values)


def grant(**values: Any) -> Spoil:
    return lambda document: document["profile"][0]["grants"][0].update(values)


def agreement(**values: Any) -> Spoil:
    return lambda document: named(document, "tenant", "school")["agreement"].update(values)


NAMES = "a name is written { en = ..., nl = ... }"
KEYS = {
    "zone": "id, name, parent, owner, level, assurance, anti_passback, rules",
    "gate": "id, name",
    "agreement": "ceiling, zones, from, until, badge_days",
    "window": "days, from, until",
    "grant": "zone, access_point, schedule, highest_alert",
}

REFUSED: list[tuple[Spoil, str]] = [
    # Keys.
    (zone("yard", colour="green"), f"zone yard, colour: unknown key 'colour'; the keys here are {KEYS['zone']}"),
    (row("gate", "front", level=1), f"gate front, level: unknown key 'level'; the keys here are {KEYS['gate']}"),
    (agreement(why="x"), f"tenant school, agreement, why: unknown key 'why'; the keys here are {KEYS['agreement']}"),
    (window(zone="x"), f"schedule always, windows 1, zone: unknown key 'zone'; the keys here are {KEYS['window']}"),
    (grant(level=3), f"profile soldier, grants 1, level: unknown key 'level'; the keys here are {KEYS['grant']}"),
    (without("zone", "yard", "level"), "zone yard: level is missing"),
    (without("zone", "yard", "owner"), "zone yard: owner is missing"),
    (without("zone", "yard", "anti_passback"), "zone yard: anti_passback is missing"),
    (without("access_point", "front-in", "direction"), "access_point front-in: direction is missing"),
    (without("profile", "pupil", "grants"), "profile pupil: grants is missing"),
    *(
        (lambda document, table=table: document[table][0].update(odd=1), f"{place}, odd: unknown key 'odd'; the keys here are {keys}")
        for table, place, keys in (
            ("tenant", "tenant army", "id, name, agreement, retention"),
            ("access_point", "access_point front-in", "id, name, gate, from, to, direction, unlock_seconds"),
            ("calendar", "calendar holidays", "id, days"),
            ("schedule", "schedule always", "id, name, windows, calendar, on_special_days"),
            ("profile", "profile soldier", "id, tenant, name, grants"),
            ("veto", "veto 1", "tenant, zone, why"),
        )
    ),
    (site(odd=1), "site, odd: unknown key 'odd'; the keys here are id, name, time_zone, host, outside, alert_states, unlock_seconds"),
    # Names and numbers.
    (lambda document: document["gate"][0].update(id="Front"), "gate Front, id: 'Front' is no name: 1 to 32 of a-z, 0-9 and -"),
    (lambda document: document["gate"][0].pop("id"), "gate 1: id is missing"),
    (row("gate", "front", name="Front"), f"gate front, name: {NAMES}"),
    (row("gate", "front", name={"en": "Front"}), f"gate front, name: {NAMES}"),
    (row("gate", "front", name={"en": "Front", "nl": "Voor", "de": "Vorne"}), f"gate front, name: {NAMES}"),
    (row("gate", "front", name={"en": "Front", "nl": ""}), "gate front, name: a text of 1 to 200 characters is wanted"),
    (zone("yard", level=6), "zone yard, level: 6 is no whole number from 0 to 5"),
    (zone("yard", level=-1), "zone yard, level: -1 is no whole number from 0 to 5"),
    (zone("yard", level=True), "zone yard, level: true is no whole number from 0 to 5"),
    (zone("yard", level="1"), "zone yard, level: '1' is no whole number from 0 to 5"),
    (zone("yard", assurance=4), "zone yard, assurance: 4 is no whole number from 0 to 3"),
    (zone("yard", anti_passback="maybe"), "zone yard, anti_passback: 'maybe' is none of none, soft, hard, timed"),
    (row("access_point", "front-in", direction="up"), "access_point front-in, direction: 'up' is none of in, out"),
    (row("access_point", "front-in", unlock_seconds=61), "access_point front-in, unlock_seconds: 61 is no whole number from 0 to 60"),
    # The site itself.
    (site(time_zone="Europe"), "site, time_zone: 'Europe' is no time zone such as Europe/Amsterdam"),
    (site(time_zone="A" * 300), f"site, time_zone: {'A' * 300!r} is no time zone such as Europe/Amsterdam"),
    (site(time_zone="Europe/Assen"), "site, time_zone: 'Europe/Assen' is no time zone such as Europe/Amsterdam"),
    (site(time_zone="../zone"), "site, time_zone: '../zone' is no time zone such as Europe/Amsterdam"),
    (site(alert_states=[]), "site, alert_states: a list of different names is wanted, calmest first"),
    (site(alert_states=["calm", "calm"]), "site, alert_states: a list of different names is wanted, calmest first"),
    (site(unlock_seconds=61), "site, unlock_seconds: 61 is no whole number from 0 to 60"),
    (site(id="The Fort"), "site, id: 'The Fort' is no name: 1 to 32 of a-z, 0-9 and -"),
    (lambda document: document.pop("site"), "the file: site is missing"),
    (lambda document: document.update(zones=[]), "the file, zones: unknown key 'zones'; the keys here are site, tenant, zone, gate, access_point, calendar, schedule, profile, veto, retention, alert, interlock, travel, event, call_up, rules, population, bridge"),
    # Tenants and agreements.
    (without("tenant", "school", "agreement"), "tenant school: agreement is missing: only the host goes without"),
    (row("tenant", "army", agreement={}), "tenant army, agreement: the host has no agreement: it is the one who makes them"),
    (agreement(until="2026-01-01T00:00:00Z"), "tenant school, agreement, until: the agreement ends before it begins"),
    (agreement(until="2026-01-01T00:00:00"), "tenant school, agreement, until: an instant with its time zone is wanted, such as 2026-01-01T00:00:00Z"),
    (agreement(until=date(2026, 1, 1)), "tenant school, agreement, until: an instant with its time zone is wanted, such as 2026-01-01T00:00:00Z"),
    (agreement(ceiling=6), "tenant school, agreement, ceiling: 6 is no whole number from 0 to 5"),
    # Calendars, schedules, profiles.
    (lambda document: document["calendar"][0]["days"][0].update(date="2026-02-30"), "calendar holidays, days 1, date: a date is wanted, such as 2026-12-25"),
    (lambda document: document["calendar"][0]["days"][0].update(date=datetime(2026, 1, 1, tzinfo=UTC)), "calendar holidays, days 1, date: a date is wanted, such as 2026-12-25"),
    (lambda document: document["calendar"][0]["days"][0].update(day="x"), "calendar holidays, days 1, day: unknown key 'day'; the keys here are date, name"),
    (window(**{"from": "24:00"}), "schedule always, windows 1, from: a window begins before it ends, within one day"),
    (window(**{"from": "22:00", "until": "06:00"}), "schedule always, windows 1, from: a window begins before it ends, within one day"),
    (window(until="24:01"), "schedule always, windows 1, from: a window begins before it ends, within one day"),
    (window(until="7:30"), "schedule always, windows 1, until: '7:30' is no time of day such as 07:30"),
    (window(until="07:60"), "schedule always, windows 1, until: '07:60' is no time of day such as 07:30"),
    (window(until=" 7:30"), "schedule always, windows 1, until: ' 7:30' is no time of day such as 07:30"),
    (window(until=730), "schedule always, windows 1, until: 730 is no time of day such as 07:30"),
    (window(days=["Monday"]), "schedule always, windows 1, days: 'Monday' is none of mon, tue, wed, thu, fri, sat, sun"),
    (without("schedule", "lessons", "on_special_days"), "schedule lessons, calendar: calendar and on_special_days go together"),
    (without("schedule", "lessons", "calendar"), "schedule lessons, on_special_days: calendar and on_special_days go together"),
    (row("schedule", "lessons", calendar="feasts"), "schedule lessons, calendar: there is no calendar 'feasts'"),
    (grant(access_point="front-in"), "profile soldier, grants 1, zone: a grant names a zone or an access point, and one of them only"),
    (lambda document: document["profile"][0]["grants"][0].pop("zone"), "profile soldier, grants 1, zone: a grant names a zone or an access point, and one of them only"),
    (grant(highest_alert="dire"), "profile soldier, grants 1, highest_alert: 'dire' is none of calm, tense, grave"),
    (grant(highest_alert=2), "profile soldier, grants 1, highest_alert: 2 is none of calm, tense, grave"),
    # What is referred to must be there.
    (site(host="navy"), "site: there is no tenant 'navy'"),
    (site(outside="moon"), "site: there is no zone 'moon'"),
    (agreement(zones=["moon"]), "tenant school agreement: there is no zone 'moon'"),
    (zone("shed", parent="moon"), "zone shed: there is no zone 'moon'"),
    (zone("shed", owner="navy"), "zone shed: there is no tenant 'navy'"),
    (row("access_point", "front-in", gate="back"), "access_point front-in: there is no gate 'back'"),
    (row("access_point", "front-in", to="moon"), "access_point front-in: there is no zone 'moon'"),
    (row("access_point", "front-in", **{"from": "moon"}), "access_point front-in: there is no zone 'moon'"),
    (row("access_point", "front-in", to="outside"), "access_point front-in: it leads from a zone to the same zone"),
    (grant(zone="moon"), "profile soldier: there is no zone 'moon'"),
    (grant(schedule="nights"), "profile soldier: there is no schedule 'nights'"),
    (lambda document: document["profile"][1]["grants"][0].update(access_point="hatch"), "profile pupil: there is no access_point 'hatch'"),
    (row("profile", "soldier", tenant="navy"), "profile soldier: there is no tenant 'navy'"),
    (lambda document: document["veto"][0].update(tenant="navy"), "veto 1: there is no tenant 'navy'"),
    (lambda document: document["veto"][0].update(zone="moon"), "veto 1: there is no zone 'moon'"),
    (lambda document: document["veto"][0].update(tenant="army"), "veto 1: the host does not veto itself"),
    # And be there once.
    *(
        (lambda document, table=table: document[table].append(document[table][0]), f"{table} {name}: it stands here twice")
        for table, name in (
            ("tenant", "army"),
            ("zone", "outside"),
            ("gate", "front"),
            ("access_point", "front-in"),
            ("schedule", "always"),
            ("profile", "army soldier"),
        )
    ),
    (zone("yard", parent="yard"), "zone yard: its parents lead in a circle"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "sentence"), REFUSED, ids=[sentence[:60] for _, sentence in REFUSED])
def test_a_problem_is_told_with_its_place(spoil: Spoil, sentence: str):
    assert sentence in problems(spoilt(spoil))


def test_a_host_that_is_no_tenant_is_told_where_it_is_named_and_not_at_every_tenant():
    assert problems(spoilt(site(host="navy"))) == ["site: there is no tenant 'navy'"]


def test_a_circle_of_zones_is_told_for_every_zone_that_hangs_in_it():
    found = problems(spoilt(zone("yard", parent="armoury")))
    assert found == [
        f"zone {name}: its parents lead in a circle"
        for name in ("yard", "shed", "school-house", "barrack", "armoury")
    ]


def test_problems_of_all_tables_come_back_at_once_in_the_order_of_the_file():
    document = site_document()
    for spoil in (
        agreement(ceiling=9),
        zone("shed", level=9),
        zone("yard", colour="green"),
        row("gate", "inner", name=""),
        row("access_point", "barrack-in", direction="up"),
        window(until="25:00"),
        grant(highest_alert="dire"),
        lambda document: document["veto"][0].pop("why"),
    ):
        spoil(document)
    assert [problem.partition(":")[0] for problem in problems(document)] == [
        "tenant school, agreement, ceiling",
        "zone yard, colour",
        "zone shed, level",
        "gate inner, name",
        "access_point barrack-in, direction",
        "schedule always, windows 1, from",
        "profile soldier, grants 1, highest_alert",
        "veto 1",
    ]


def test_names_that_lead_nowhere_come_back_all_at_once():
    document = site_document()
    for spoil in (
        site(outside="moon"),
        zone("shed", owner="navy"),
        grant(schedule="nights"),
        zone("yard", parent="sea"),
    ):
        spoil(document)
    assert problems(document) == [
        "site: there is no zone 'moon'",
        "zone yard: there is no zone 'sea'",
        "zone shed: there is no tenant 'navy'",
        "profile soldier: there is no schedule 'nights'",
    ]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "site",
        7,
        {},
        {"site": None},
        {"site": []},
        {"site": "fort"},
        *({**site_document(), table: value} for table in ("zone", "tenant", "schedule", "veto") for value in (7, "x", [7], [[]], {"id": "x"})),
        *({**site_document(), "site": {**site_document()["site"], key: value}} for key in site_document()["site"] for value in (None, 7.5, [], {}, b"x")),
    ],
)  # fmt: skip
def test_what_is_no_site_file_is_refused_and_never_crashes(document: Any):
    assert problems(document)


def test_a_value_that_json_cannot_write_is_refused():
    document = site_document()
    document["gate"][0]["name"]["en"] = b"bytes"
    with pytest.raises(SiteFileError, match="a site file holds no bytes"):
        policy_document(document)
