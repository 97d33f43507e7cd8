"""What a ceremony is to make: a site file read to the end, with its policy, its bridges and its people.

Every problem of the file is found before the first key is made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatekeeper.core.policy_document import MAX_POLICY_BYTES
from gatekeeper.model.ids import GateId
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.site_file import (
    Bridge,
    Lines,
    Population,
    SiteFileError,
    policy_document,
    read_bridges,
    read_population,
    read_site_file,
)
from gatekeeper.service.administration.population import Person, generate

__all__ = ["Plan", "read_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A site to be founded."""

    document: Mapping[str, Any]
    written: SitePolicy
    bridges: Mapping[GateId, Bridge]
    people: tuple[Person, ...]

    @property
    def is_example(self) -> bool:
        """Whether its people are invented: nobody's badge is at stake, and no gate's key."""
        return bool(self.people)


def read_plan(
    document: Mapping[str, Any], *, now: datetime, lines: Lines | None = None, people: int | None = None
) -> Plan:
    """Read a site file for founding. Raises `SiteFileError` with every problem; `lines` says where each stands.

    `people` is how many the site shall have, when that is more than its file has. Raises ValueError when it is less.
    """
    written = read_site_file(document, lines=lines)
    population = read_population(document, lines=lines)
    problems = list(_ended(population, written, now, lines))
    if len(policy_document(document)) > MAX_POLICY_BYTES:
        problems.append(f"the file: its policy is over {MAX_POLICY_BYTES} bytes")
    if problems:
        raise SiteFileError(problems)
    return Plan(
        document=document,
        written=written,
        bridges={bridge.gate: bridge for bridge in read_bridges(document, lines=lines)},
        people=generate(population, people=people),
    )


def _ended(population: Population, written: SitePolicy, now: datetime, lines: Lines | None) -> Iterator[str]:
    """People whose tenant can issue no badges any more."""
    agreements = {tenant.id: tenant.agreement for tenant in written.tenants}
    for number, group in enumerate(population.groups, 1):
        agreement = agreements[group.tenant]
        if agreement is not None and agreement.until <= now:
            at = f"{lines.pointing(('population', 'group', number), 'tenant')}: " if lines is not None else ""
            yield f"{at}population group {number}: the agreement of {group.tenant} has ended, so it issues no badges"
