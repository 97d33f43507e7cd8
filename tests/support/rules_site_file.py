"""A site file with one of everything, as a person writes it: to be spoiled line by line, and to be read whole."""

import tomllib

from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.site_file import Lines, SiteFileError, read_site_file

__all__ = ["FILE", "WRITTEN", "line_of", "problems_of", "read", "spoiled"]

FILE = "site.toml"

WRITTEN = """\
[site]
id = "fort"
name = { en = "Fort", nl = "Fort" }
time_zone = "Europe/Amsterdam"
host = "army"
outside = "outside"
alert_states = ["calm", "tense"]
unlock_seconds = 4

[[tenant]]
id = "army"
name = { en = "Army", nl = "Leger" }

[[tenant]]
id = "school"
name = { en = "School", nl = "School" }
[tenant.agreement]
ceiling = 2
zones = ["yard"]
from = 2026-01-01T00:00:00Z
until = 2027-01-01T00:00:00Z
badge_days = 90

[[zone]]
id = "outside"
name = { en = "Outside", nl = "Buiten" }
owner = "army"
level = 0
assurance = 0
anti_passback = "none"

[[zone]]
id = "yard"
name = { en = "Yard", nl = "Plein" }
owner = "army"
level = 1
assurance = 1
anti_passback = "timed"
[zone.rules]
passback_minutes = 10
passback_forgotten_hours = 12
unexpected_location = "soft"
occupancy = { most = 50, exempt = ["army/soldier"] }
driver = { seconds = 30 }
search = { one_in = 20 }
offline = { hours = 4, unseen = "accept" }

[[zone]]
id = "vault"
name = { en = "Vault", nl = "Kluis" }
parent = "yard"
owner = "army"
level = 3
assurance = 2
anti_passback = "hard"
[zone.rules]
occupancy = { least = 2, seconds = 15, enforcement = "soft" }
two_persons = { seconds = 20, differ = "role", profiles = ["army/soldier", "army/keyholder"], leaving = true }
escort = { kinds = ["visitor", "contractor"], by = ["army/keyholder"], seconds = 60, most = 3 }
first_person = { profiles = ["army/keyholder"], hours = 8 }
pin = "working-hours"
guard_check = { seconds = 30 }
certificates = ["arms"]
shadow = ["denied-first-person"]

[[gate]]
id = "front"
name = { en = "Front gate", nl = "Voorpoort" }

[[access_point]]
id = "front-in"
gate = "front"
from = "outside"
to = "yard"
direction = "in"
name = { en = "In", nl = "In" }

[[access_point]]
id = "front-out"
gate = "front"
from = "yard"
to = "outside"
direction = "out"
name = { en = "Out", nl = "Uit" }

[[access_point]]
id = "vault-in"
gate = "front"
from = "yard"
to = "vault"
direction = "in"
unlock_seconds = 9
name = { en = "In", nl = "In" }

[[access_point]]
id = "vault-out"
gate = "front"
from = "vault"
to = "yard"
direction = "out"
name = { en = "Out", nl = "Uit" }

[[calendar]]
id = "holidays"
days = [{ date = 2026-12-25, name = { en = "Christmas", nl = "Kerst" } }]

[[schedule]]
id = "always"
name = { en = "Always", nl = "Altijd" }
windows = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", until = "24:00" }]

[[schedule]]
id = "working-hours"
name = { en = "Working hours", nl = "Werktijd" }
windows = [{ days = ["mon", "tue", "wed", "thu", "fri"], from = "07:30", until = "17:00" }]
calendar = "holidays"
on_special_days = [{ from = "10:00", until = "12:00" }]

[[profile]]
id = "soldier"
tenant = "army"
name = { en = "Soldier", nl = "Soldaat" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "tense" }]

[[profile]]
id = "keyholder"
tenant = "army"
name = { en = "Keyholder", nl = "Sleutelhouder" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "tense" }]

[[profile]]
id = "pupil"
tenant = "school"
name = { en = "Pupil", nl = "Leerling" }
grants = [{ access_point = "front-in", schedule = "working-hours", highest_alert = "calm" }]

[[veto]]
tenant = "school"
zone = "vault"
why = { en = "Weapons", nl = "Wapens" }

[[alert]]
state = "tense"
assurance = 2
pin = true
escort = true
excluded = ["school"]

[[interlock]]
id = "sluice"
access_points = ["front-in", "vault-in"]

[[travel]]
between = ["front-in", "vault-out"]
seconds = 45

[[event]]
id = "exercise"
name = { en = "Exercise", nl = "Oefening" }
zones = ["vault"]
from = 2026-06-01T00:00:00Z
until = 2026-06-05T00:00:00Z
guests = ["h-00001"]
highest_alert = "tense"

[[call_up]]
id = "autumn"
profiles = ["army/soldier"]
from = 2026-09-01T00:00:00Z
until = 2026-09-15T00:00:00Z

[rules]
escort = { by = ["army/soldier"], seconds = 30, most = 5 }
lock_out = { failures = 5, minutes = 10, for_minutes = 30 }
pin = { tries = 4, for_minutes = 20 }
inactivity_days = 90
shadow = ["denied-impossible-travel"]
"""


def read(text: str) -> SitePolicy:
    """Read a file as a person's."""
    return read_site_file(tomllib.loads(text), lines=Lines.of(text, file=FILE))


def problems_of(text: str) -> list[str]:
    """What is wrong with a file; nothing when it can be read."""
    try:
        read(text)
    except SiteFileError as error:
        return error.problems
    return []


def spoiled(*changes: tuple[str, str]) -> str:
    """The file with pieces of it replaced; each piece stands there once."""
    text = WRITTEN
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def line_of(text: str, piece: str) -> int:
    """The number of the line on which a piece of the text begins."""
    assert text.count(piece) == 1, piece
    return text[: text.index(piece)].count("\n") + 1
