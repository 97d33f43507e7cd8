"""The decision once more: slow, plain, and written from what the rules say, not from how they are done.

It reads a site as it was written and compiles nothing: zones are walked to the top for every question, schedules are asked
of the wall clock, and every demand is looked up in the zones that the way leads into or out of. Speed does not matter here,
only that one can see it is right.

    answer(written, agreements, facts, request, now) -> Answered
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gatekeeper.core.facts import Facts, Request
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Agreement
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.reasons import Reason
from tests.support.rules_reference_place import InPlace, is_open, lies_in, up

__all__ = ["ORDER", "Answered", "answer"]

ORDER = (
    # what the reader shows, first before last: what is wrong with the place, the badge, the person, the tenant, ...
    Reason.DENY_ALL,
    Reason.UNKNOWN_CREDENTIAL,
    Reason.BADGE_SUSPENDED,
    Reason.BADGE_LOST,
    Reason.BADGE_STOLEN,
    Reason.REVOKED,
    Reason.NOT_YET_ACTIVE,
    Reason.EXPIRED,
    Reason.SUPERSEDED,
    Reason.TRUSTED_TIME,
    Reason.LOCKOUT,
    Reason.MAX_USES,
    Reason.INACTIVITY,
    Reason.HOLDER_UNPROVEN,
    Reason.BADGE_UNASSIGNED,
    Reason.HOLDER_INACTIVE,
    Reason.HOST_VETO,
    Reason.TENANT_SUSPENDED,
    Reason.NO_AGREEMENT,
    Reason.AGREEMENT_CEILING,
    Reason.AGREEMENT_ZONE,
    Reason.BADGE_LIFE,
    Reason.TENANT_EXCLUDED,
    Reason.CLEARANCE,
    Reason.BADGE_CEILING,
    Reason.ASSURANCE,
    Reason.CERTIFICATE,
    Reason.NOT_CALLED_UP,
    Reason.NO_ACCESS_RIGHTS,
    Reason.OUT_OF_TIME_RANGE,
    Reason.THREAT_LEVEL,
    Reason.PIN_WRONG,
    Reason.MAX_ATTEMPTS,
    Reason.PIN_MISSING,
    Reason.PASSBACK,
    Reason.UNEXPECTED_LOCATION,
    Reason.IMPOSSIBLE_TRAVEL,
    Reason.INTERLOCK,
    Reason.UPPER_OCCUPANCY,
    Reason.LOWER_OCCUPANCY,
    Reason.FIRST_PERSON,
    Reason.INCORRECT_ACCOMPANIMENT,
    Reason.NO_ACCOMPANIMENT,
    Reason.NO_ESCORT,
    Reason.VISITORS_INSIDE,
    Reason.NO_DRIVER,
    Reason.VERIFICATION_FAILED,
    Reason.VERIFICATION_TIMEOUT,
)
_STATES = {
    "suspended": Reason.BADGE_SUSPENDED,
    "lost": Reason.BADGE_LOST,
    "stolen": Reason.BADGE_STOLEN,
    "revoked": Reason.REVOKED,
}
_PINS = {"wrong": Reason.PIN_WRONG, "blocked": Reason.MAX_ATTEMPTS}
_GUARDS = {"no": Reason.VERIFICATION_FAILED, "silence": Reason.VERIFICATION_TIMEOUT}


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a decision should be. Sets where order says nothing."""

    granted: bool
    shown: Reason
    reasons: frozenset[Reason]
    shadow: frozenset[Reason]
    party: frozenset[str]
    host: str | None
    guests: frozenset[str]
    waits: timedelta | None


def answer(
    written: SitePolicy, agreements: Mapping[Any, Agreement], facts: Facts, request: Request, now: datetime
) -> Answered:
    """Ask everything."""
    for point in written.access_points:
        if point.id == request.access_point and point.gate == request.gate:
            return _Asked(written, agreements, facts, request, now, point).answer()
    reasons = (*facts.findings, Reason.UNKNOWN_ACCESS_POINT)
    return _no(reasons, frozenset(), next(reason for reason in reasons if reason.denies))


def _no(reasons: Any, shadow: frozenset[Reason], shown: Reason) -> Answered:
    return Answered(
        granted=False,
        shown=shown,
        reasons=frozenset(reasons),
        shadow=shadow,
        party=frozenset(),
        host=None,
        guests=frozenset(),
        waits=None,
    )


# -- one request ------------------------------------------------------------------------------------------------------


class _Asked(InPlace):
    """One request; each method asks one thing and yields the reasons that it gives."""

    def answer(self) -> Answered:
        found = [*self.facts.findings]
        for asks in (
            self.lockdown, self.badge_itself, self.badge_in_time, self.registration, self.tenancy, self.rights, self.pin,
            self.being_inside, self.location, self.travel, self.doors, self.crowd, self.lonely,
            self.first_person, self.pair, self.escort, self.vehicle, self.signals, self.guard,
        ):  # fmt: skip
            found += asks()
        shadowed = self.written.rules.shadow | self.zone.rules.shadow
        from_rules = found[len(self.facts.findings) :]
        kept = {reason for reason in from_rules if not (reason.denies and reason.code in shadowed)}
        shadow = frozenset(self.reported | (set(from_rules) - kept))
        kept |= set(self.facts.findings)
        denying = [reason for reason in kept if reason.denies]
        if denying:
            return _no(kept, shadow, self.shown(denying))
        return self.yes(kept, shadow)

    def shown(self, denying: list[Reason]) -> Reason:
        for finding in self.facts.findings:
            if finding.denies:
                return finding
        return min(denying, key=ORDER.index)

    def yes(self, kept: set[Reason], shadow: frozenset[Reason]) -> Answered:
        limits = [zone.rules.guard_check.limit for zone in self.into if zone.rules.guard_check is not None]
        if limits and self.past.guard.value == "not-asked":
            asked = _no(kept | {Reason.VERIFICATION_REQUIRED}, shadow, Reason.VERIFICATION_REQUIRED)
            along = frozenset(one.holder for one in self.party())
            return Answered(**{**_fields(asked), "waits": min(limits), "party": along})
        host = self.host()
        return Answered(
            granted=True,
            shown=Reason.GRANTED,
            reasons=frozenset(kept),
            shadow=shadow,
            party=frozenset(one.holder for one in self.party()),
            host=None if host is None else host.holder,
            guests=frozenset(one.holder for one in self.led()),
            waits=None,
        )

    # -- place, badge, holder ------------------------------------------------------------------------------------------

    def lockdown(self) -> Iterator[Reason]:
        scopes = {"site", f"gate:{self.point.gate}"}
        scopes |= {f"zone:{zone.id}" for zone in up(self.written, self.zone.id)}
        if scopes & self.facts.lockdowns:
            yield Reason.DENY_ALL

    def badge_itself(self) -> Iterator[Reason]:
        badge, now, past = self.badge, self.now, self.past
        if badge is None:
            if not any(finding.denies for finding in self.facts.findings):
                yield Reason.UNKNOWN_CREDENTIAL
        elif self.facts.badge_state is None:
            yield Reason.UNKNOWN_CREDENTIAL
        if self.facts.badge_state is not None and self.facts.badge_state.value in _STATES:
            yield _STATES[self.facts.badge_state.value]
        if past.locked_until is not None and past.locked_until > now:
            yield Reason.LOCKOUT

    def badge_in_time(self) -> Iterator[Reason]:
        badge, now, past = self.badge, self.now, self.past
        if badge is None:
            return
        if badge.not_before > now:
            yield Reason.NOT_YET_ACTIVE
        if badge.expires <= now:
            yield Reason.EXPIRED
        if self.facts.epoch > badge.epoch:
            yield Reason.SUPERSEDED
        if badge.requires_trusted_time and self.request.clock is not ClockQuality.SYNCHRONISED:
            yield Reason.TRUSTED_TIME
        if badge.max_uses is not None and badge.max_uses <= past.uses:
            yield Reason.MAX_USES
        idle = self.written.rules.inactivity
        if idle is not None and (past.last_used or badge.not_before) + idle <= now:
            yield Reason.INACTIVITY

    def registration(self) -> Iterator[Reason]:
        holder = self.holder
        if self.badge is not None:
            if self.facts.holder_unproven or (holder is not None and holder.tenant != self.badge.tenant):
                yield Reason.HOLDER_UNPROVEN
            elif holder is None:
                yield Reason.BADGE_UNASSIGNED
        if holder is None:
            return
        if holder.since > self.now or holder.until <= self.now:
            yield Reason.HOLDER_INACTIVE
        for zone in self.into:
            for wanted in zone.rules.certificates:
                if not any(name == wanted and self.now < until for name, until in holder.certificates):
                    yield Reason.CERTIFICATE
        calls = self.written.rules.call_ups
        if holder.kind.value == "reservist" and calls and not self.out:
            called = [call for call in calls if call.since <= self.now < call.until]
            if not any(role in call.profiles for call in called for role in self.roles()):
                yield Reason.NOT_CALLED_UP

    # -- the tenant ----------------------------------------------------------------------------------------------------

    def tenancy(self) -> Iterator[Reason]:
        badge = self.badge
        if badge is None:
            return
        tenant = badge.tenant
        around = {zone.id for zone in up(self.written, self.zone.id)}
        known = next((one for one in self.written.tenants if one.id == tenant), None)
        if known is not None and any(
            veto.tenant == tenant and veto.zone in around for veto in self.written.vetoes
        ):
            yield Reason.HOST_VETO
        if tenant in self.facts.suspended and not self.out:
            yield Reason.TENANT_SUSPENDED
        if not self.out and any(tenant in demands.excluded for demands in self.demands()):
            yield Reason.TENANT_EXCLUDED
        if known is not None and known.is_host:
            return
        agreement = self.agreements.get(tenant) if known is not None else None
        if agreement is None or not agreement.since <= self.now < agreement.until:
            yield Reason.NO_AGREEMENT
        if agreement is not None and self.zone.level > agreement.ceiling:
            yield Reason.AGREEMENT_CEILING
        if known is not None and (agreement is None or not agreement.zones & around):
            yield Reason.AGREEMENT_ZONE
        if agreement is not None and badge.expires - badge.not_before > agreement.badge_life:
            yield Reason.BADGE_LIFE

    # -- rights --------------------------------------------------------------------------------------------------------

    def rights(self) -> Iterator[Reason]:
        badge, holder = self.badge, self.holder
        if holder is not None and self.zone.level > holder.clearance:
            yield Reason.CLEARANCE
        if badge is None:
            return
        if self.zone.level > badge.ceiling:
            yield Reason.BADGE_CEILING
        wanted = [self.zone.assurance]
        if not self.out:
            wanted += [demands.assurance for demands in self.demands()]
        if self.facts.assurance < max(wanted):
            yield Reason.ASSURANCE
        yield from self.ways_in()

    def ways_in(self) -> Iterator[Reason]:
        """Profiles and guest lists: a way at all; one that is open now; one that this alert state leaves open."""
        ways = [*self.grants(), *self.invitations()]
        if not ways:
            yield Reason.NO_ACCESS_RIGHTS
            return
        if self.out:
            return
        open_now = [highest for counts, highest in ways if counts]
        if not open_now:
            yield Reason.OUT_OF_TIME_RANGE
        if self.facts.alert > max(open_now or [highest for _, highest in ways]):
            yield Reason.THREAT_LEVEL

    def grants(self) -> Iterator[tuple[bool, int]]:
        for profile in self.written.profiles:
            if (profile.tenant, profile.id) not in self.roles():
                continue
            for grant in profile.grants:
                by_zone = grant.zone is not None and lies_in(self.written, self.zone.id, grant.zone)
                if by_zone or grant.access_point == self.point.id:
                    yield is_open(self.written, grant.schedule, self.now), grant.highest_alert

    def invitations(self) -> Iterator[tuple[bool, int]]:
        for event in self.written.rules.events:
            here = any(lies_in(self.written, self.zone.id, zone) for zone in event.zones)
            if here and self.holder is not None and self.holder.id in event.guests:
                yield event.since <= self.now < event.until, event.highest_alert

    def pin(self) -> Iterator[Reason]:
        if self.badge is None:
            return
        said = self.past.factor.value
        if said in _PINS:
            yield _PINS[said]
        if said != "none" or self.out:
            return
        asked = [zone.rules.second_factor for zone in self.into if zone.rules.second_factor is not None]
        by_zone = any(
            rule.schedule is None or is_open(self.written, rule.schedule, self.now) for rule in asked
        )
        if by_zone or any(demands.second_factor for demands in self.demands()):
            yield Reason.PIN_MISSING

    # -- what a person adds --------------------------------------------------------------------------------------------

    def signals(self) -> Iterator[Reason]:
        if self.past.factor.value == "duress" or (self.badge is not None and self.badge.duress):
            yield Reason.DURESS
        drawn = self.past.draw
        for zone in self.into:
            if drawn is not None and zone.rules.search is not None and drawn % zone.rules.search.one_in == 0:
                yield Reason.SEARCH_SELECTED

    def guard(self) -> Iterator[Reason]:
        if self.past.guard.value in _GUARDS:
            yield _GUARDS[self.past.guard.value]


def _fields(answered: Answered) -> dict[str, Any]:
    return {name: getattr(answered, name) for name in answered.__dataclass_fields__}
