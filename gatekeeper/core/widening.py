"""What a new policy or trust list gives that the one in force does not: found by comparing what they demand, part by part.

It is asked whether one person may put it in force, so it leans to one side: what cannot be shown to give nothing more is
said to give more. No holder is looked at. A profile that leads further is further whether anybody has it or not, because
its tenant may give it to somebody tomorrow; and a large site is compared in milliseconds, between two scans. What a
change gives to whom today is for `effective` to say, before it is signed.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from gatekeeper.core.enrolment import fingerprint
from gatekeeper.core.trust import KeyState, TenantTrust, Trust, TrustedKey, Use
from gatekeeper.model.ids import ProfileId, TenantId, ZoneId
from gatekeeper.model.people import Agreement
from gatekeeper.model.policy import Opening, Point, Policy
from gatekeeper.model.retention import TENANTS_OWN, Kept
from gatekeeper.model.rules import (
    AlertDemands,
    AntiPassback,
    Enforcement,
    Offline,
    Passback,
    SiteRules,
    Unseen,
    ZoneRules,
)
from gatekeeper.model.schedule import Schedule, Window

__all__ = ["policy_gains", "trust_gains"]


def policy_gains(before: Policy, after: Policy) -> tuple[str, ...]:
    """What a policy gives that the one before it does not, in words; empty when it only takes."""
    return tuple(
        dict.fromkeys(
            [
                *_site_gains(before, after),
                *_tenant_gains(before, after),
                *_zone_gains(before, after),
                *_point_gains(before, after),
                *_profile_gains(before, after),
                *_alert_gains(before.demands, after),
                *_rule_gains(before.rules, after.rules),
                *_kept_otherwise(before, after),
            ]
        )
    )


# -- the site, its tenants and zones ------------------------------------------------------------------------------------


def _site_gains(before: Policy, after: Policy) -> Iterator[str]:
    if (before.host, before.outside, before.alert_states) != (after.host, after.outside, after.alert_states):
        yield "host, outside or alert states are others"
    if before.timetable.time_zone.key != after.timetable.time_zone.key:
        yield "the time zone is another"


def _tenant_gains(before: Policy, after: Policy) -> Iterator[str]:
    for tenant, rights in after.tenants.items():
        former = before.tenants.get(tenant)
        if former is None:
            yield f"{tenant} is a tenant"
            continue
        for zone in sorted(former.vetoed & after.zones.keys() - rights.vetoed):
            yield f"{tenant} is not vetoed in {zone}"
        if not rights.is_host:
            for zone in sorted(rights.zones - former.zones):
                yield f"{zone} lies in what was agreed with {tenant}"


def _zone_gains(before: Policy, after: Policy) -> Iterator[str]:
    for name, zone in after.zones.items():
        former = before.zones.get(name)
        if former is None:
            continue
        if zone.parent != former.parent:
            yield f"{name} lies elsewhere"
        if zone.level < former.level:
            yield f"{name} is of level {zone.level}, not {former.level}"
        if zone.assurance < former.assurance:
            yield f"{name} asks for assurance {zone.assurance}, not {former.assurance}"


# -- access points ------------------------------------------------------------------------------------------------------


def _point_gains(before: Policy, after: Policy) -> Iterator[str]:
    for name, point in after.points.items():
        former = before.points.get(name)
        if former is None:
            yield f"{name} is an access point"
        elif _way(point) != _way(former):
            yield f"{name} leads elsewhere"
        else:
            for less in _asked_less(point, former, before, after):
                yield f"{name}: {less}"


def _way(point: Point) -> tuple[object, ...]:
    return (point.gate, point.source, point.target, point.leaving)


def _asked_less(point: Point, former: Point, before: Policy, after: Policy) -> Iterator[str]:
    """What an access point that leads where it did does not ask any more."""
    if not former.scopes <= point.scopes:
        yield "fewer lockdowns close it"
    if point.unlock > former.unlock:
        yield "it stays unlocked for longer"
    if not former.passback_zones & after.zones.keys() <= point.passback_zones or _laxer(
        point.passback, former.passback
    ):
        yield "anti-passback is laxer"
    for zone, less in (
        *_zones_ask_less(point.entered, former.entered),
        *_zones_ask_less(point.left, former.left),
    ):
        yield f"{zone} does not ask for the same {less}"
    if not _pins_kept(point, former, before, after):
        yield "a PIN is asked at fewer times"
    if not point.shadow <= former.shadow:
        yield f"only reported: {', '.join(sorted(point.shadow - former.shadow))}"
    if not former.interlocked & after.points.keys() <= point.interlocked:
        yield "it is interlocked with fewer doors"
    none = timedelta(0)
    if any(
        least > point.travels.get(other, none)
        for other, least in former.travels.items()
        if other in after.points
    ):
        yield "one may come here sooner"
    if not set(point.events) <= set(former.events):
        yield "an event leads here"


def _laxer(passback: Passback, former: Passback) -> bool:
    stricter = {AntiPassback.NONE: set(AntiPassback), AntiPassback.SOFT: {AntiPassback.HARD}}
    same_memory = (passback.within, passback.forgotten) == (former.within, former.forgotten)
    if passback == former or former.mode is AntiPassback.NONE:
        return False
    return not same_memory or passback.mode not in stricter.get(former.mode, set())


def _zones_ask_less(
    zones: Iterable[tuple[ZoneId, ZoneRules]], former: Iterable[tuple[ZoneId, ZoneRules]]
) -> Iterator[tuple[ZoneId, str]]:
    now = dict(zones)
    for zone, before in former:
        after = now.get(zone, ZoneRules())
        for name in _DEMANDS:
            was, will = getattr(before, name), getattr(after, name)
            if was is not None and will != was and (was, will) not in _STRICTER:
                yield zone, name.replace("_", " ")
        if not before.certificates <= after.certificates:
            yield zone, "certificates"
        if _more_alone(after.offline, before.offline):
            yield zone, "word of the service"


def _more_alone(offline: Offline | None, former: Offline | None) -> bool:
    """Whether a gate may decide alone for longer, or more of what it cannot know."""
    if offline is None or offline == former:
        return False
    return former is None or offline.longest > former.longest or offline.unseen is Unseen.ACCEPTED


_DEMANDS = (
    "unexpected_location", "occupancy", "two_persons", "escort", "first_person", "guard_check", "search", "driver",
)  # fmt: skip
"""Demands that a zone makes or does not make; anti-passback, PIN, certificates and shadow mode are compared by themselves."""
_STRICTER = {(Enforcement.REPORTED, Enforcement.DENIED)}


def _pins_kept(point: Point, former: Point, before: Policy, after: Policy) -> bool:
    if point.pin_always:
        return True
    asked = _schedules(after, point.pin_schedules)
    return not former.pin_always and all(
        any(_within(old, new) for new in asked) for old in _schedules(before, former.pin_schedules)
    )


def _schedules(policy: Policy, bits: int) -> list[Schedule]:
    return [one for one in policy.timetable.schedules if policy.timetable.bit(one.id) & bits]


# -- profiles and their hours -------------------------------------------------------------------------------------------


def _profile_gains(before: Policy, after: Policy) -> Iterator[str]:
    earlier = {before.timetable.bit(one.id): one for one in before.timetable.schedules}
    later = {after.timetable.bit(one.id): one for one in after.timetable.schedules}
    covered: dict[tuple[int, int], bool] = {}

    def within(new: Opening, old: Opening) -> bool:
        pair = new.schedule, old.schedule
        if pair not in covered:
            covered[pair] = _within(later[new.schedule], earlier[old.schedule])
        return new.highest_alert <= old.highest_alert and covered[pair]

    for (tenant, profile), openings in after.profiles.items():
        former = before.profiles.get((tenant, profile), {})
        further = [
            point
            for point, ways in openings.items()
            if not all(any(within(new, old) for old in former.get(point, ())) for new in ways)
        ]
        if further:
            yield _leads_further(tenant, profile, len(further))


def _leads_further(tenant: TenantId, profile: ProfileId, points: int) -> str:
    return f"{tenant}/{profile} leads further at {points} access point{'s' if points > 1 else ''}"


def _within(new: Schedule, old: Schedule) -> bool:
    """Whether one schedule is open only when the other is, on any day."""
    weeks = all(_all_inside(day, other) for day, other in zip(new.week, old.week, strict=True))
    special = new.special_days | old.special_days
    return weeks and all(_all_inside(new.windows_on(day), old.windows_on(day)) for day in special)


def _all_inside(windows: Iterable[Window], others: Iterable[Window]) -> bool:
    held = tuple(others)
    return all(
        any(one.since <= window.since and window.until <= one.until for one in held) for window in windows
    )


# -- alert states and what holds everywhere -----------------------------------------------------------------------------


def _alert_gains(before: tuple[AlertDemands, ...], after: Policy) -> Iterator[str]:
    for name, was, will in zip(after.alert_states, before, after.demands, strict=False):
        less = (
            will.assurance < was.assurance
            or (was.second_factor and not will.second_factor)
            or (was.escort and not will.escort)
            or not was.excluded & after.tenants.keys() <= will.excluded
        )
        if less:
            yield f"the alert state {name} demands less"


def _rule_gains(before: SiteRules, after: SiteRules) -> Iterator[str]:
    if before.call_ups and not (after.call_ups and set(after.call_ups) <= set(before.call_ups)):
        yield "reservists are called up at other times"
    if after.escort != before.escort:
        yield "others may escort"
    if before.lock_out is not None and after.lock_out != before.lock_out:
        yield "the lock-out after failures is another"
    if after.pin.tries > before.pin.tries or after.pin.blocked < before.pin.blocked:
        yield "a PIN may be tried more often"
    if before.inactivity is not None and (after.inactivity is None or after.inactivity > before.inactivity):
        yield "badges may lie unused for longer"


def _kept_otherwise(before: Policy, after: Policy) -> Iterator[str]:
    """Periods that are others, either way: kept for longer gives more of people away, and what is gone sooner is gone for good.

    INVARIANT: nobody shortens the life of evidence alone.
    """
    for kind in Kept:
        was, will = before.retention.site[kind], after.retention.site[kind]
        if was != will:
            yield f"{kind.value} kept for {will.days} days, not {was.days}"
    for tenant in sorted(before.tenants.keys() & after.tenants.keys()):
        for kind in TENANTS_OWN:
            was, will = (one.retention.period(kind, tenant) for one in (before, after))
            if was != will:
                yield f"{tenant}: {kind.value} kept for {will.days} days, not {was.days}"


# -- trust lists --------------------------------------------------------------------------------------------------------


def trust_gains(before: Trust, after: Trust) -> tuple[str, ...]:
    """What a trust list gives that the one before it does not, in words.

    Of a gate's key the fingerprint stands in them: who approves compares it with the one that the gate shows.
    """
    found = []
    for tenant, listed in after.listing.tenants.items():
        former = before.listing.tenants.get(tenant)
        if former is None:
            found.append(f"{tenant} is a tenant")
            continue
        found += [f"{tenant}: {gain}" for gain in _key_gains(listed, former)]
        found += [
            f"{tenant}: {gain}"
            for gain in _agreement_gains(after.agreements.get(tenant), before.agreements.get(tenant))
        ]
    gates = before.listing.gates
    found += [
        f"{'another' if gate in gates else 'a'} key of gate {gate}: {fingerprint(key.record.public_der)}"
        for gate, key in after.listing.gates.items()
        if _counts_more(key, {one.record.kid: one for one in (gates.get(gate),) if one is not None})
    ]
    for use in Use:
        known = {key.record.kid: key for of, key in before.listing.services if of is use}
        found += [
            f"a key of the service for {use.value}"
            for of, key in after.listing.services
            if of is use and _counts_more(key, known)
        ]
    return tuple(found)


def _key_gains(listed: TenantTrust, former: TenantTrust) -> Iterator[str]:
    if _counts_more(listed.signing, {former.signing.record.kid: former.signing}):
        yield "another signing key"
    issuers: Mapping[bytes, TrustedKey] = {key.record.kid: key for key in former.issuers}
    if any(_counts_more(key, issuers) for key in listed.issuers):
        yield "another issuer key"
    if listed.epoch < former.epoch:
        yield "withdrawn badges return"


def _counts_more(key: TrustedKey, before: Mapping[bytes, TrustedKey]) -> bool:
    """Whether a key signs more than it did: it is new, or its state, or its end, is a better one."""
    former = before.get(key.record.kid)
    if former is None:
        return key.state is not KeyState.REVOKED or key.revoked_from is not None
    if key.state is not former.state:
        return key.state < former.state
    if key.state is not KeyState.REVOKED or key.revoked_from is None:
        return False
    return former.revoked_from is None or key.revoked_from > former.revoked_from


def _agreement_gains(agreement: Agreement | None, former: Agreement | None) -> Iterator[str]:
    if agreement is None:
        return
    if former is None:
        yield "an agreement"
        return
    if agreement.ceiling > former.ceiling:
        yield f"a ceiling of {agreement.ceiling}, not {former.ceiling}"
    for zone in sorted(agreement.zones - former.zones):
        yield f"{zone} is agreed"
    if agreement.since < former.since or agreement.until > former.until:
        yield "the agreement lasts longer"
    if agreement.badge_life > former.badge_life:
        yield "badges live longer"
