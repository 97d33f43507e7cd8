"""Generated people, histories and instants: all that can be asked of a generated site.

`situations(world)` draws who asks, where, when, and what happened before, with up to two things that are wrong (`Wrong`);
everything else is in order, so that much is granted and every rule has its say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from hypothesis import strategies as st

from gatekeeper.core.facts import NO_PAST, Companion, Factor, Facts, GuardsWord, Past, Request
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import BadgeId, GateId, ProfileId, TenantId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import SITE_SCOPE, gate_scope, zone_scope
from gatekeeper.model.reasons import Reason
from tests.support.rules_worlds import (
    ALERTS,
    CERTIFICATES,
    FAR_AHEAD,
    HOLDERS,
    HOURS,
    LONG_AGO,
    PROFILES,
    ROLES,
    SITE,
    SPANS,
    TENANTS,
    TICK,
    WINDOWS,
    Rule,
    World,
    local_instants,
    one_or_two,
    some,
)

__all__ = ["Situation", "Wrong", "badges", "holders", "situations"]

_OF_COMPANY = frozenset(
    {Rule.OCCUPANCY, Rule.PAIRS, Rule.ESCORT, Rule.DRIVER, Rule.FIRST_PERSON, Rule.ALERTS}
)


class Wrong(Enum):
    """What may be wrong with a request."""

    BADGE_UNKNOWN = auto()
    BADGE_STATE = auto()
    BADGE_DATES = auto()
    BADGE_CEILING = auto()
    BADGE_EPOCH = auto()
    BADGE_USES = auto()
    CLOCK = auto()
    ASSURANCE = auto()
    FINDINGS = auto()
    HOLDER_UNKNOWN = auto()
    HOLDER_OTHERS = auto()
    HOLDER_DATES = auto()
    CLEARANCE = auto()
    PROFILES = auto()
    STRANGER = auto()
    LOCKDOWN = auto()
    SUSPENDED = auto()
    LOCKED_OUT = auto()
    FACTOR = auto()
    GUARD = auto()
    GATE = auto()
    DURESS = auto()


@dataclass(frozen=True)
class Situation:
    """One request and what is known at that instant."""

    facts: Facts
    request: Request
    now: datetime


# -- people -----------------------------------------------------------------------------------------------------------


@st.composite
def _dates(draw: st.DrawFn, *, drawn: bool) -> tuple[datetime, datetime]:
    if not drawn:
        return LONG_AGO, FAR_AHEAD
    since, until = draw(SPANS)
    return draw(st.sampled_from([(since, until), (LONG_AGO, until), (since, FAR_AHEAD)]))


@st.composite
def badges(draw: st.DrawFn, tenant: TenantId, wrong: frozenset[Wrong]) -> Badge:
    """A badge of a tenant."""
    since, until = draw(_dates(drawn=Wrong.BADGE_DATES in wrong))
    return Badge(
        id=BadgeId(f"{draw(st.integers(0, 3)):032x}"),
        site=SITE,
        tenant=tenant,
        not_before=since,
        expires=until,
        issued=since,
        ceiling=draw(st.integers(0, 4)) if Wrong.BADGE_CEILING in wrong else 5,
        assurance=Assurance.KEY_BOUND,
        kind=HolderKind.STAFF,
        epoch=draw(st.integers(0, 2)) if Wrong.BADGE_EPOCH in wrong else 1,
        requires_trusted_time=Wrong.CLOCK in wrong,
        confirmation=None,
        card=None,
        status_index=None,
        max_uses=draw(st.integers(1, 2)) if Wrong.BADGE_USES in wrong else None,
        duress=Wrong.DURESS in wrong,
    )


@st.composite
def holders(draw: st.DrawFn, tenant: TenantId, wrong: frozenset[Wrong], has: frozenset[Rule]) -> Holder:
    """A person of a tenant."""
    since, until = draw(_dates(drawn=Wrong.HOLDER_DATES in wrong))
    names = [ProfileId(profile) for profile in (*PROFILES, "unknown")]
    held = draw(some(CERTIFICATES)) if Rule.CERTIFICATES in has else frozenset()
    return Holder(
        id=draw(st.sampled_from(HOLDERS)),
        tenant=tenant,
        kind=draw(st.sampled_from(HolderKind)),
        clearance=draw(st.integers(0, 4)) if Wrong.CLEARANCE in wrong else 5,
        profiles=tuple(sorted(draw(some(names) if Wrong.PROFILES in wrong else one_or_two(names[:2])))),
        badges=(),
        since=since,
        until=until,
        version=1,
        certificates=tuple((name, draw(st.just(FAR_AHEAD) | local_instants())) for name in sorted(held)),
        host=draw(st.none() | st.sampled_from(HOLDERS)) if Rule.ESCORT in has or Rule.ALERTS in has else None,
    )


# -- what happened before ----------------------------------------------------------------------------------------------

_LENGTHS = (*WINDOWS, *HOURS, timedelta(hours=12), timedelta(minutes=15), timedelta(days=30))


@st.composite
def ages(draw: st.DrawFn, lengths: Sequence[timedelta] = _LENGTHS) -> timedelta:
    """How long ago: about as long as some rule's duration."""
    length = draw(st.sampled_from(lengths))
    return draw(st.sampled_from([length / 2, length - TICK, length, length + TICK, timedelta(), length * 2]))


@st.composite
def companions(draw: st.DrawFn, now: datetime) -> Companion:
    """Somebody who asked here just now."""
    tenant = TenantId(draw(st.sampled_from(TENANTS)))
    return Companion(
        holder=draw(st.sampled_from(HOLDERS)),
        tenant=tenant,
        kind=draw(st.sampled_from(HolderKind)),
        roles=draw(one_or_two([role for role in ROLES if role[0] == tenant])),
        host=draw(st.none() | st.sampled_from(HOLDERS)),
        at=now - draw(ages(WINDOWS)),
        waiting=draw(st.sampled_from([True, True, False])),
        brought=draw(st.integers(0, 2)),
    )


def _remembered(world: World, now: datetime) -> dict[Rule, dict[str, st.SearchStrategy[Any]]]:
    """What a rule has the site remember."""
    zones = [zone.id for zone in world.written.zones]
    points = [point.id for point in world.written.access_points]
    before = ages().map(lambda age: now - age)
    factors = {"factor": st.sampled_from(Factor)}
    return {
        Rule.PASSBACK: {"since": st.none() | before},
        Rule.TRAVEL: {"last_point": st.sampled_from(points), "last_at": before},
        Rule.INACTIVITY: {"last_used": st.none() | before},
        Rule.OCCUPANCY: {"crowds": st.fixed_dictionaries({zone: st.integers(0, 3) for zone in zones})},
        Rule.INTERLOCK: {"open_doors": some(points)},
        Rule.FIRST_PERSON: {
            "opened": st.dictionaries(
                st.sampled_from(zones), ages(HOURS).map(lambda age: now - age), max_size=3
            )
        },
        Rule.ESCORT: {"visitors": some(HOLDERS), "brought": st.integers(0, 2)},
        Rule.SEARCH: {"draw": st.none() | st.integers(0, 6)},
        Rule.PIN: factors,
        Rule.ALERTS: factors,
        Rule.GUARD: {"guard": st.sampled_from(GuardsWord), "asked": st.none() | before},
    }


_LOCKS = (-TICK, timedelta(), TICK, timedelta(minutes=15))


@st.composite
def pasts(draw: st.DrawFn, world: World, now: datetime, wrong: frozenset[Wrong]) -> Past:
    """What the site remembers, as far as it has rules that ask."""
    drawn: dict[str, st.SearchStrategy[Any]] = {}
    for rule, remembers in _remembered(world, now).items():
        drawn |= remembers if rule in world.rules else {}
    if _OF_COMPANY & world.rules:
        late = st.lists(companions(now), max_size=3)
        drawn["company"] = late.map(
            lambda found: tuple(sorted({one.holder: one for one in found}.values(), key=_at))
        )
    if Wrong.FACTOR in wrong:
        drawn["factor"] = st.sampled_from(Factor)
    if Wrong.GUARD in wrong:
        drawn["guard"] = st.sampled_from(GuardsWord)
    if Wrong.BADGE_USES in wrong:
        drawn["uses"] = st.integers(0, 2)
    if Wrong.LOCKED_OUT in wrong:
        drawn["locked_until"] = st.sampled_from([now + lock for lock in _LOCKS])
    return Past(**{name: draw(strategy) for name, strategy in drawn.items()})


def _at(one: Companion) -> datetime:
    return one.at


def _instants(world: World, badge: Badge | None, holder: Holder | None) -> list[datetime]:
    """The instants at which something begins or ends to count."""
    found: set[datetime] = set()
    if badge is not None:
        found |= {badge.not_before, badge.expires}
    if holder is not None:
        found |= {holder.since, holder.until, *(until for _, until in holder.certificates)}
    found |= {at for event in world.written.rules.events for at in (event.since, event.until)}
    found |= {at for call in world.written.rules.call_ups for at in (call.since, call.until)}
    found |= {at for one in world.agreements.values() for at in (one.since, one.until)}
    return sorted(found - {LONG_AGO, FAR_AHEAD})


_SCOPES = (SITE_SCOPE, gate_scope("gate-0"), zone_scope("zone-1"), zone_scope("zone-2"))
_NUDGES = (timedelta(), timedelta(), -TICK, TICK, timedelta(seconds=17))
_FINDINGS = (Reason.STALE_PROOF, Reason.WRONG_PROOF, Reason.BADGE_FORGED)


@st.composite
def situations(draw: st.DrawFn, world: World, *, remembered: bool = True, most_wrong: int = 2) -> Situation:
    """Any request on a site; without `remembered` nothing happened before."""
    wrong = frozenset(draw(st.lists(st.sampled_from(Wrong), max_size=most_wrong)))
    tenant = TenantId("stranger" if Wrong.STRANGER in wrong else draw(st.sampled_from(TENANTS)))
    badge = None if Wrong.BADGE_UNKNOWN in wrong else draw(badges(tenant, wrong))
    whose = TenantId(draw(st.sampled_from(TENANTS)) if Wrong.HOLDER_OTHERS in wrong else tenant)
    nobody = badge is None or Wrong.HOLDER_UNKNOWN in wrong
    person = None if nobody else draw(holders(whose, wrong, world.rules))
    edges = _instants(world, badge, person)
    now = draw(local_instants() if not edges or draw(st.booleans()) else st.sampled_from(edges))
    now += draw(st.sampled_from(_NUDGES))
    point = draw(st.sampled_from(world.written.access_points))
    states = (
        st.sampled_from([None, *BadgeState]) if Wrong.BADGE_STATE in wrong else st.just(BadgeState.ACTIVE)
    )
    facts = Facts(
        badge=badge,
        badge_state=draw(states) if badge is not None else None,
        assurance=draw(st.sampled_from(Assurance)) if Wrong.ASSURANCE in wrong else Assurance.KEY_BOUND,
        findings=draw(some(_FINDINGS).map(tuple)) if Wrong.FINDINGS in wrong else (),
        holder=person,
        holder_unproven=badge is not None and person is None and draw(st.booleans()),
        epoch=1,
        whereabouts=draw(st.none() | st.sampled_from([zone.id for zone in world.written.zones])),
        alert=draw(st.integers(0, len(ALERTS) - 1)),
        lockdowns=draw(some(_SCOPES)) if Wrong.LOCKDOWN in wrong else frozenset(),
        suspended=draw(some([*map(TenantId, TENANTS)])) if Wrong.SUSPENDED in wrong else frozenset(),
        past=draw(pasts(world, now, wrong)) if remembered else NO_PAST,
    )
    gate = GateId("gate-9") if Wrong.GATE in wrong else point.gate
    clock = draw(st.sampled_from(ClockQuality)) if Wrong.CLOCK in wrong else ClockQuality.NONE
    return Situation(facts, Request(access_point=point.id, gate=gate, clock=clock), now)
