"""What is wrong with a site file: a sentence for each problem, with file and line, all of them at once."""

import pytest

from tests.support.rules_site_file import FILE, WRITTEN, line_of, problems_of, spoiled

ZONE_KEYS = "id, name, parent, owner, level, assurance, anti_passback, rules"
SCHOOL = '[[tenant]]\nid = "school"'
STATES = '["calm", "tense"]'


def test_a_file_with_one_of_everything_has_no_problem():
    assert problems_of(WRITTEN) == []


@pytest.mark.parametrize(
    ("before", "after", "at", "problem"),
    [
        # -- the file and the site
        ("[site]\n", "colour = 1\n[site]\n", "colour", "the file, colour: unknown key 'colour'; the keys here are site, "),
        ('host = "army"', 'hots = "army"', "hots", "site, hots: unknown key 'hots'; the keys here are id, name, "),
        ('time_zone = "Europe/Amsterdam"', 'time_zone = "Europe/Assen"', "time_zone", "site, time_zone: 'Europe/Assen' is no time zone such as Europe/Amsterdam"),
        ('id = "fort"', 'id = "The Fort"', 'id = "The Fort"', "site, id: 'The Fort' is no name: 1 to 32 of a-z, 0-9 and -"),
        ('name = { en = "Fort", nl = "Fort" }', 'name = "Fort"', 'name = "Fort"', "site, name: a name is written { en = ..., nl = ... }"),
        ('host = "army"', 'host = "navy"', 'host = "navy"', "site: there is no tenant 'navy'"),
        ('outside = "outside"', 'outside = "meadow"', "outside = ", "site: there is no zone 'meadow'"),
        (STATES, '["calm", "tense", "calm"]', "alert_states", "site, alert_states: a list of different names is wanted, calmest first"),
        # -- tenants
        ("[tenant.agreement]\n", "[tenant.agreements]\n", SCHOOL, "tenant school, agreements: unknown key 'agreements'; the keys here are id, name, agreement"),
        ("ceiling = 2", "ceiling = 6", "ceiling = 6", "tenant school, agreement, ceiling: 6 is no whole number from 0 to 5"),
        ("until = 2027-01-01T00:00:00Z", "until = 2025-01-01T00:00:00Z", "until = 2025-01-01T00:00:00Z", "tenant school, agreement, until: the agreement ends before it begins"),
        ('zones = ["yard"]\nfrom', 'zones = ["park"]\nfrom', 'zones = ["park"]', "tenant school agreement: there is no zone 'park'"),
        # -- zones
        ("level = 3\n", 'level = "high"\n', 'level = "high"', "zone vault, level: 'high' is no whole number from 0 to 5"),
        ("level = 3\n", "lvel = 3\n", "lvel", f"zone vault, lvel: unknown key 'lvel'; the keys here are {ZONE_KEYS}"),
        ("level = 3\n", "", '[[zone]]\nid = "vault"', "zone vault: level is missing"),
        ('parent = "yard"', 'parent = "park"', "parent", "zone vault: there is no zone 'park'"),
        ('parent = "yard"\nowner = "army"', 'parent = "yard"\nowner = "navy"', 'owner = "navy"', "zone vault: there is no tenant 'navy'"),
        ('parent = "yard"', 'parent = "vault"', "parent", "zone vault: its parents lead in a circle"),
        # -- doors
        ('gate = "front"\nfrom = "outside"', 'gate = "back"\nfrom = "outside"', 'gate = "back"', "access_point front-in: there is no gate 'back'"),
        ('from = "outside"', 'from = "meadow"', 'from = "meadow"', "access_point front-in: there is no zone 'meadow'"),
        ('from = "yard"\nto = "vault"', 'from = "vault"\nto = "vault"', 'to = "vault"', "access_point vault-in: it leads from a zone to the same zone"),
        ("unlock_seconds = 9", "unlock_seconds = 99", "unlock_seconds = 99", "access_point vault-in, unlock_seconds: 99 is no whole number from 0 to 60"),
        # -- calendars and schedules
        ("date = 2026-12-25", 'date = "christmas"', "days = [{ date", "calendar holidays, days 1, date: a date is wanted, such as 2026-12-25"),
        ('from = "07:30"', 'from = "7:30"', 'windows = [{ days = ["mon", "tue", "wed", "thu", "fri"], from', "schedule working-hours, windows 1, from: '7:30' is no time of day such as 07:30"),
        ('from = "07:30", until = "17:00"', 'from = "17:00", until = "07:30"', 'windows = [{ days = ["mon", "tue", "wed", "thu", "fri"], from', "schedule working-hours, windows 1, from: a window begins before it ends, within one day"),
        ('"sat", "sun"]', '"sat", "son"]', '"sat", "son"]', "schedule always, windows 1, days: 'son' is none of mon, tue, wed, thu, fri, sat, sun"),
        ('calendar = "holidays"\n', "", "on_special_days", "schedule working-hours, on_special_days: calendar and on_special_days go together"),
        ('calendar = "holidays"', 'calendar = "feasts"', "calendar = ", "schedule working-hours, calendar: there is no calendar 'feasts'"),
        ('windows = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", until = "24:00" }]', "windows = []", "windows = []", "schedule always, windows: it is never open: give it windows"),
        # -- profiles and vetoes
        ('id = "pupil"\ntenant = "school"', 'id = "pupil"\ntenant = "navy"', 'tenant = "navy"', "profile pupil: there is no tenant 'navy'"),
        ('access_point = "front-in", ', 'access_point = "back-in", ', "grants = [{ access_point", "profile pupil: there is no access_point 'back-in'"),
        ('access_point = "front-in", ', 'zone = "park", ', 'grants = [{ zone = "park"', "profile pupil: there is no zone 'park'"),
        ('access_point = "front-in", ', 'zone = "yard", access_point = "front-in", ', 'grants = [{ zone = "yard", access_point', "profile pupil, grants 1, zone: a grant names a zone or an access point, and one of them only"),
        ('access_point = "front-in", ', 'zone = "vault", ', 'grants = [{ zone = "vault"', "profile pupil: vault has level 3, above the ceiling 2 of the agreement"),
        ('schedule = "working-hours"', 'schedule = "evenings"', "grants = [{ access_point", "profile pupil: there is no schedule 'evenings'"),
        ('highest_alert = "calm"', 'highest_alert = "grave"', "grants = [{ access_point", "profile pupil, grants 1, highest_alert: 'grave' is none of calm, tense"),
        ('[[veto]]\ntenant = "school"', '[[veto]]\ntenant = "army"', 'tenant = "army"\nzone', "veto 1: the host does not veto itself"),
        ('zone = "vault"\nwhy', 'zone = "attic"\nwhy', 'zone = "attic"', "veto 1: there is no zone 'attic'"),
        # -- what the site demands
        ('state = "tense"', 'state = "grave"', 'state = "grave"', "alert 1, state: 'grave' is none of calm, tense"),
        ("pin = true", 'pin = "yes"', 'pin = "yes"', "alert 1, pin: true or false is wanted, and not 'yes'"),
        ('access_points = ["front-in", "vault-in"]', 'access_points = ["front-in"]', "access_points", "interlock sluice, access_points: an interlock joins two access points or more"),
        ('access_points = ["front-in", "vault-in"]', 'access_points = ["front-in", "attic-in"]', "access_points", "interlock sluice: there is no access_point 'attic-in'"),
        ('between = ["front-in", "vault-out"]', 'between = ["front-in", "front-in"]', "between", "travel 1, between: two different access points are wanted"),
        ('between = ["front-in", "vault-out"]', 'between = ["front-in", "attic-out"]', "between", "travel 1: there is no access_point 'attic-out'"),
        ("seconds = 45", "seconds = 0", "seconds = 0", "travel 1, seconds: 0 is no whole number from 1 to 86400"),
        ("until = 2026-06-05T00:00:00Z", "until = 2026-05-05T00:00:00Z", "until = 2026-05-05T00:00:00Z", "event exercise, until: the event ends before it begins"),
        ("until = 2026-06-05T00:00:00Z", "until = 2026-06-05T00:00:00", "until = 2026-06-05T00:00:00", "event exercise, until: an instant with its time zone is wanted, such as 2026-01-01T00:00:00Z"),
        ('zones = ["vault"]', 'zones = ["attic"]', 'zones = ["attic"]', "event exercise: there is no zone 'attic'"),
        ('guests = ["h-00001"]', 'guests = ["Jan Jansen"]', "guests", "event exercise, guests: 'Jan Jansen' is no name: 1 to 32 of a-z, 0-9 and -"),
        ("until = 2026-09-15T00:00:00Z", "until = 2026-08-15T00:00:00Z", "until = 2026-08-15T00:00:00Z", "call_up autumn, until: the call-up ends before it begins"),
        ('id = "autumn"\nprofiles = ["army/soldier"]', 'id = "autumn"\nprofiles = []', "profiles = []", "call_up autumn, profiles: a call-up names the profiles that it calls up"),
        ('id = "autumn"\nprofiles = ["army/soldier"]', 'id = "autumn"\nprofiles = ["army/sailor"]', 'profiles = ["army/sailor"]', "call_up autumn: there is no profile 'sailor' of tenant 'army'"),
        ("failures = 5", "failures = 1", "lock_out", "rules, lock_out, failures: 1 is no whole number from 2 to 100"),
        ("tries = 4", "tires = 4", "pin = { tires", "rules, pin, tires: unknown key 'tires'; the keys here are tries, for_minutes"),
        ('shadow = ["denied-impossible-travel"]', 'shadow = ["denied-deny-all"]', 'shadow = ["denied-deny-all"]', "rules, shadow: 'denied-deny-all' is no rule that could be only reported; those are "),
        ('escort = { by = ["army/soldier"]', 'escort = { by = ["army/sailor"]', 'escort = { by = ["army/sailor"]', "rules: there is no profile 'sailor' of tenant 'army'"),
    ],
)  # fmt: skip
def test_a_problem_is_told_where_it_stands(before: str, after: str, at: str, problem: str):
    text = spoiled((before, after))
    expected = f"{FILE}:{line_of(text, at)}: {problem}"
    assert any(told.startswith(expected) for told in problems_of(text)), problems_of(text)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("passback_minutes = 10\n", "", 'anti_passback = "timed" and passback_minutes go together'),
        ("passback_forgotten_hours = 12", "passback_forgotten_hours = 0", "0 is no whole number from 1 to 720"),
        ('unexpected_location = "soft"', 'unexpected_locations = "soft"', "unknown key 'unexpected_locations'; the keys here are passback_minutes, "),
        ("most = 50, ", "", "occupancy names most, or least, or both"),
        ("most = 50, ", "most = 1, least = 2, ", "least 2 is above most 1"),
        ("most = 50, ", "most = 50, mots = 1, ", "unknown key 'mots'; the keys here are most, least, seconds, enforcement, exempt"),
        ("least = 2, seconds = 15", "least = 3, seconds = 15", "3 is no whole number from 2 to 2"),
        ("least = 2, seconds = 15", "least = 2, seconds = 301", "301 is no whole number from 1 to 300"),
        ("driver = { seconds = 30 }", "driver = { seconds = 0 }", "0 is no whole number from 1 to 300"),
        ("driver = { seconds = 30 }", "driver = 30", "a table is wanted, such as { key = value }"),
        ("one_in = 20", "one_in = 0", "0 is no whole number from 1 to 1000000"),
        ('["army/soldier", "army/keyholder"], leaving', '["army/soldier"], leaving', 'differ = "role" needs two profiles or more to tell apart'),
        ("leaving = true", 'leaving = "yes"', "true or false is wanted, and not 'yes'"),
        ('["army/soldier", "army/keyholder"], leaving', '["soldier", "army/keyholder"], leaving', "'soldier' names no profile: write tenant/profile"),
        ('kinds = ["visitor", "contractor"]', 'kinds = ["visiter"]', "'visiter' is none of staff, contractor, visitor, reservist, vehicle"),
        ("seconds = 60, most = 3", "seconds = 60, most = 0", "0 is no whole number from 1 to 100"),
        ("seconds = 60, most = 3", "seconds = 60", "most is missing"),
        ('first_person = { profiles = ["army/keyholder"]', "first_person = { profiles = []", "without a profile nobody could ever be the first"),
        ("hours = 8", "hours = 25", "25 is no whole number from 1 to 24"),
        ('pin = "working-hours"', "pin = true", "true is no name: 1 to 32 of a-z, 0-9 and -"),
        ("guard_check = { seconds = 30 }", "guard_check = { seconds = 61 }", "61 is no whole number from 1 to 60"),
        ('certificates = ["arms"]', 'certificates = ["Arms"]', "'Arms' is no name: 1 to 32 of a-z, 0-9 and -"),
        ('shadow = ["denied-first-person"]', 'shadow = ["denied-first"]', "'denied-first' is no rule that could be only reported; those are "),
        ('pin = "working-hours"', 'pin = "evenings"', "there is no schedule 'evenings'"),
        ('exempt = ["army/soldier"]', 'exempt = ["army/sailor"]', "there is no profile 'sailor' of tenant 'army'"),
        ('"army/keyholder"], leaving', '"army/sailor"], leaving', "there is no profile 'sailor' of tenant 'army'"),
        ('by = ["army/keyholder"]', 'by = ["army/sailor"]', "there is no profile 'sailor' of tenant 'army'"),
        ('first_person = { profiles = ["army/keyholder"]', 'first_person = { profiles = ["army/sailor"]', "there is no profile 'sailor' of tenant 'army'"),
    ],
)  # fmt: skip
def test_a_problem_with_a_zones_rules_names_the_zone_and_a_line_of_it(before: str, after: str, problem: str):
    text = spoiled((before, after))
    zone = "yard" if text.index(after) < text.index('id = "vault"') else "vault"
    (found,) = problems_of(text)
    where, told = found.split(": ", 1)
    first = line_of(text, f'id = "{zone}"') - 1
    last = line_of(text, '[[zone]]\nid = "vault"' if zone == "yard" else "[[gate]]")
    assert where.startswith(f"{FILE}:")
    assert first <= int(where.removeprefix(f"{FILE}:")) < last
    assert told.startswith(f"zone {zone}")
    assert told.split(": ", 1)[1].startswith(problem)


@pytest.mark.parametrize(
    ("again", "problem"),
    [
        ('[[tenant]]\nid = "school"\nname = { en = "S", nl = "S" }\nagreement = { ceiling = 5, zones = [], from = 2026-01-01T00:00:00Z, until = 2027-01-01T00:00:00Z, badge_days = 1 }', "tenant school: it stands here twice"),
        ('[[gate]]\nid = "front"\nname = { en = "F", nl = "V" }', "gate front: it stands here twice"),
        ('[[calendar]]\nid = "holidays"\ndays = []', "calendar holidays: it stands here twice"),
        ('[[interlock]]\nid = "sluice"\naccess_points = ["front-in", "vault-out"]', "interlock sluice: it stands here twice"),
        ('[[call_up]]\nid = "autumn"\nprofiles = ["army/soldier"]\nfrom = 2026-09-01T00:00:00Z\nuntil = 2026-09-15T00:00:00Z', "call_up autumn: it stands here twice"),
        ('[[profile]]\nid = "pupil"\ntenant = "school"\nname = { en = "P", nl = "L" }\ngrants = []', "profile school pupil: it stands here twice"),
    ],
)  # fmt: skip
def test_a_name_stands_once(again: str, problem: str):
    (found,) = problems_of(f"{WRITTEN}\n{again}\n")
    assert found.startswith(f"{FILE}:")
    assert found.endswith(problem)


def test_two_tenants_may_each_have_a_profile_of_the_same_name():
    again = '[[profile]]\nid = "pupil"\ntenant = "army"\nname = { en = "P", nl = "L" }\ngrants = []'
    assert problems_of(f"{WRITTEN}\n{again}\n") == []


def test_zones_in_a_circle_are_all_told():
    text = spoiled(
        (
            'id = "yard"\nname = { en = "Yard", nl = "Plein" }\n',
            'id = "yard"\nname = { en = "Yard", nl = "Plein" }\nparent = "vault"\n',
        )
    )
    assert problems_of(text) == [
        f"{FILE}:{line_of(text, line)}: zone {zone}: its parents lead in a circle"
        for zone, line in (("yard", 'parent = "vault"'), ("vault", 'parent = "yard"'))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("door", "problem"),
    [
        ('[[access_point]]\nid = "vault-out"\ngate = "front"\nfrom = "vault"\nto = "yard"\ndirection = "out"\nname = { en = "Out", nl = "Uit" }\n', "zone vault: no access point leads out"),
        ('[[access_point]]\nid = "vault-in"\ngate = "front"\nfrom = "yard"\nto = "vault"\ndirection = "in"\nunlock_seconds = 9\nname = { en = "In", nl = "In" }\n', "zone vault: no access point leads in"),
    ],
)  # fmt: skip
def test_a_zone_that_can_be_entered_can_be_left_and_the_other_way_round(door: str, problem: str):
    text = spoiled(
        (door, ""),
        ('[[interlock]]\nid = "sluice"\naccess_points = ["front-in", "vault-in"]\n', ""),
        ('[[travel]]\nbetween = ["front-in", "vault-out"]\nseconds = 45\n', ""),
    )
    assert problems_of(text) == [
        f"{FILE}:{line_of(text, '[[zone]]' + chr(10) + 'id = ' + chr(34) + 'vault')}: {problem}"
    ]


def test_everything_that_is_wrong_is_told_at_once_each_with_its_line():
    changes = [
        ('host = "army"', 'host = "navy"', "host", "site: there is no tenant 'navy'"),
        ("ceiling = 2", "ceiling = 7", "ceiling = 7", "tenant school, agreement, ceiling: 7 is no whole number from 0 to 5"),
        ("level = 3\n", "lvel = 3\n", "lvel", f"zone vault, lvel: unknown key 'lvel'; the keys here are {ZONE_KEYS}"),
        ('gate = "front"\nfrom = "outside"', 'gate = "back"\nfrom = "outside"', 'gate = "back"', "access_point front-in: there is no gate 'back'"),
        ('"sat", "sun"]', '"sat", "son"]', '"sat", "son"]', "schedule always, windows 1, days: 'son' is none of mon, tue, wed, thu, fri, sat, sun"),
        ('schedule = "working-hours"', 'schedule = "evenings"', "grants = [{ access_point", "profile pupil: there is no schedule 'evenings'"),
        ("seconds = 45", "seconds = 0", "seconds = 0", "travel 1, seconds: 0 is no whole number from 1 to 86400"),
        ("inactivity_days = 90", "shadows = 90", "shadows", "rules, shadows: unknown key 'shadows'; the keys here are lock_out, pin, inactivity_days, escort, shadow"),
    ]  # fmt: skip
    text = spoiled(*[(before, after) for before, after, _, _ in changes])
    told = problems_of(text)
    for _, _, at, problem in changes:
        assert f"{FILE}:{line_of(text, at)}: {problem}" in told


def test_a_table_that_cannot_be_read_is_told_once_and_not_at_everything_that_names_it():
    assert len(problems_of(spoiled(("level = 3\n", "level = 9\n")))) == 1
    assert len(problems_of(spoiled(('"sat", "sun"]', '"sat", "son"]')))) == 1


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('excluded = ["school"]', 'excluded = ["navy"]', "alert tense: there is no tenant 'navy'"),
        ('escort = { by = ["army/soldier"], seconds = 30, most = 5 }\n', "", "alert tense: it asks for an escort, and [rules] names none"),
    ],
)  # fmt: skip
def test_what_an_alert_state_demands_fits_the_site(before: str, after: str, problem: str):
    (told,) = problems_of(spoiled((before, after)))
    assert told.startswith(FILE)
    assert told.endswith(problem)
