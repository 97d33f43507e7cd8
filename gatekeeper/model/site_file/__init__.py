"""The site file: one description of a site, read strictly. `site` is the policy, `rules` its rules, `check` holds it together."""

from gatekeeper.model.site_file.lines import Lines
from gatekeeper.model.site_file.population import (
    Bridge,
    Population,
    PopulationGroup,
    read_bridges,
    read_population,
)
from gatekeeper.model.site_file.reading import SiteFileError
from gatekeeper.model.site_file.site import policy_document, read_site, read_site_file

__all__ = [
    "Bridge",
    "Lines",
    "Population",
    "PopulationGroup",
    "SiteFileError",
    "policy_document",
    "read_bridges",
    "read_population",
    "read_site",
    "read_site_file",
]
