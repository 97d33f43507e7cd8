"""The rules: small pure functions, each with one reason, none of which knows of another.

    badge     is it known, in force, not revoked, not used up           holder    registered, certified, called up, not idle
    tenancy   agreement, veto, suspension, exclusion                    rights    level, assurance, profile, schedule, alert
    place     anti-passback, location, travel, occupancy, interlock     company   two persons, escort, driver, first person
    factor    PIN, duress, guard's check, search

A rule gives its reason when it fails (or has something to report) and None when it is content. `RULES` is their order: the
first that denies is what the reader shows. They are asked about a `Case`: facts and policy, with what several rules need
worked out once.
"""

from gatekeeper.core.rules import badge, company, factor, holder, place, rights, tenancy
from gatekeeper.core.rules.case import Case, Reported, Rule, case_of
from gatekeeper.core.rules.company import WAITS_FOR_COMPANY, guests_of, host_of, party_of

__all__ = [
    "RULES",
    "WAITS_FOR_COMPANY",
    "Case",
    "Reported",
    "Rule",
    "case_of",
    "guests_of",
    "host_of",
    "party_of",
]

RULES: tuple[Rule, ...] = (
    rights.lockdown,
    badge.known,
    badge.state,
    badge.begun,
    badge.expired,
    badge.epoch,
    badge.trusted_time,
    badge.locked_out,
    badge.uses,
    badge.inactivity,
    holder.registered,
    holder.active,
    tenancy.host_veto,
    tenancy.suspended,
    tenancy.agreement_in_force,
    tenancy.agreement_ceiling,
    tenancy.agreement_zone,
    tenancy.badge_life,
    tenancy.excluded,
    rights.clearance,
    rights.badge_ceiling,
    rights.assurance,
    holder.certificates,
    holder.called_up,
    rights.access,
    rights.hours,
    rights.alert_state,
    factor.pin,
    place.passback,
    place.unexpected_location,
    place.impossible_travel,
    place.interlock,
    place.upper_occupancy,
    place.lower_occupancy,
    company.first_person,
    company.right_persons,
    company.two_persons,
    company.escort,
    company.visitors_inside,
    company.driver,
    factor.duress,
    factor.search,
    factor.guard,
)
