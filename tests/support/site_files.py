"""A small site for tests, and the example site; both as read from TOML."""

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatekeeper.core.operators import Operators
from gatekeeper.core.trust import Trust
from gatekeeper.cose import SigningKey
from gatekeeper.model.ids import TenantId
from gatekeeper.service.administration.ceremony import Founding
from gatekeeper.service.administration.folder import SiteFolder, issuer_of, signing_of
from gatekeeper.service.administration.operators import FIRST_KEYS

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EXAMPLE = Path("deploy/examples/johan-willem-friso/site.toml")

SMALL = """
[site]
id = "fort"
name = { en = "Fort", nl = "Fort" }
time_zone = "Europe/Amsterdam"
host = "army"
outside = "outside"
alert_states = ["calm", "tense"]

[[tenant]]
id = "army"
name = { en = "Army", nl = "Leger" }

[[tenant]]
id = "school"
name = { en = "School", nl = "School" }
agreement = { ceiling = 2, zones = ["yard"], from = 2026-01-01T00:00:00Z, until = 2027-01-01T00:00:00Z, badge_days = 90 }

[[tenant]]
id = "club"
name = { en = "Club", nl = "Club" }
agreement = { ceiling = 1, zones = ["yard"], from = 2026-01-01T00:00:00Z, until = 2026-07-01T00:00:00Z, badge_days = 90 }

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
anti_passback = "soft"

[[gate]]
id = "front"
name = { en = "Front gate", nl = "Voorpoort" }

[[gate]]
id = "side-reader"
name = { en = "Side reader", nl = "Zijlezer" }

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
id = "side-in"
gate = "side-reader"
from = "outside"
to = "yard"
direction = "in"
name = { en = "Side", nl = "Zij" }

[[calendar]]
id = "holidays"
days = [{ date = 2026-12-25, name = { en = "Christmas", nl = "Kerst" } }]

[[schedule]]
id = "always"
name = { en = "Always", nl = "Altijd" }
windows = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", until = "24:00" }]

[[profile]]
id = "soldier"
tenant = "army"
name = { en = "Soldier", nl = "Soldaat" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "tense" }]

[[profile]]
id = "pupil"
tenant = "school"
name = { en = "Pupil", nl = "Leerling" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "calm" }]

[population]
seed = 7

[[population.group]]
tenant = "army"
kind = "staff"
count = 2
clearance = 5
assurance = 2
profiles = ["soldier"]
routine = "guard"
home = "yard"

[[population.group]]
tenant = "school"
kind = "visitor"
count = 2
clearance = 4
assurance = 1
profiles = ["pupil"]
routine = "student"
home = "yard"

[[population.group]]
tenant = "school"
kind = "vehicle"
count = 2
clearance = 1
assurance = 0
profiles = ["pupil"]
routine = "student"
home = "yard"

[[bridge]]
kind = "tasmota"
gate = "side-reader"
topic = "tele/side/SENSOR"
access_point = "side-in"
"""


def small_site() -> dict[str, Any]:
    return tomllib.loads(SMALL)


def example_site() -> dict[str, Any]:
    return tomllib.loads(EXAMPLE.read_text())


@dataclass(frozen=True)
class Site:
    """A founded site and its folder."""

    folder: SiteFolder
    founding: Founding
    trust: Trust

    def signing(self, tenant: str) -> SigningKey:
        return self.folder.read_key(signing_of(TenantId(tenant)))

    def issuer(self, tenant: str) -> SigningKey:
        return self.folder.read_key(issuer_of(TenantId(tenant)))

    def operator(self, name: str) -> SigningKey:
        """The key of one of the first operators: admin, officer, or an administrator like school-admin."""
        return self.folder.read_key(f"{FIRST_KEYS}/{name}.pem")

    @property
    def operators(self) -> Operators:
        return Operators(self.founding.operators)
