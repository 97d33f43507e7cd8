"""Random small worlds for properties of the decision: zones, doors, tenants and rights, and people before the doors.

Most of what is made fits together, so that doors do open; any piece of it may be the one that does not. A world is made
by a `Random` that Hypothesis seeds and prints: fast enough for thousands, and the same again from the same seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from gatekeeper.core.decide import Decision, Facts, Request, decide
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import (
    AccessPointId,
    BadgeId,
    GateId,
    HolderId,
    ProfileId,
    ScheduleId,
    SiteId,
    TenantId,
    ZoneId,
)
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Agreement, Holder, HolderKind, Names, Tenant, Veto
from gatekeeper.model.places import AccessPoint, Direction, Gate, Zone
from gatekeeper.model.policy import Grant, Policy, Profile, SitePolicy, compile_policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import AntiPassback, Passback, SiteRules, ZoneRules
from gatekeeper.model.schedule import Schedule, Window

__all__ = ["ALERTS", "HOST", "TENANTS", "Case", "World", "any_scope", "cases"]

HOST = TenantId("host")
TENANTS = (HOST, TenantId("left"), TenantId("right"))
GUEST = TenantId("guest")
PROFILES = (ProfileId("day"), ProfileId("night"))
GATES = (GateId("north"), GateId("south"))
ALERTS = ("calm", "tense", "grave", "dire")
SPRING, AUTUMN = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
BADGE = BadgeId("ab" * 16)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A site as it is written, with the agreements that were signed."""

    written: SitePolicy
    agreements: Mapping[TenantId, Agreement]

    def compiled(self) -> Policy:
        """The policy that decides."""
        return compile_policy(self.written, agreements=self.agreements, sources=(b"a world",))

    def rewritten(self, **changes: object) -> "World":
        """The same world with other words in its site file."""
        return replace(self, written=replace(self.written, **changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Somebody before a door of a world, at an instant."""

    world: World
    facts: Facts
    request: Request
    now: datetime

    def decide(self, policy: Policy | None = None, **facts: object) -> Decision:
        """Decide it; under another policy, or with other facts."""
        return decide(policy or self.world.compiled(), replace(self.facts, **facts), self.request, self.now)


def cases() -> st.SearchStrategy[Case]:
    """Cases of which a good part is granted."""
    return st.randoms(use_true_random=True).map(_case)


def any_scope(world: World, chance: Random) -> str:
    """Anything that a lockdown may be of."""
    zones = [f"zone:{zone.id}" for zone in world.written.zones]
    return chance.choice(["site", *zones, *(f"gate:{gate}" for gate in GATES), "zone:elsewhere"])


def _case(chance: Random) -> Case:
    world = _world(chance)
    door = chance.choice(world.written.access_points)
    return Case(
        world=world,
        facts=_facts(chance, world),
        request=Request(
            access_point=_mostly(chance, door.id, lambda: AccessPointId("hatch")),
            gate=_mostly(chance, door.gate, lambda: chance.choice(GATES)),
            clock=chance.choice(list(ClockQuality)),
        ),
        now=_mostly(chance, _between(chance, SPRING, AUTUMN), lambda: _any_time(chance)),
    )


def _mostly(chance: Random, usual: _T, rare: Callable[[], _T]) -> _T:
    """The usual, fifteen times out of sixteen."""
    return usual if chance.random() < 15 / 16 else rare()


def _between(chance: Random, since: datetime, until: datetime) -> datetime:
    return since + (until - since) * chance.random()


def _any_time(chance: Random) -> datetime:
    """Some instant of two centuries, or the first or last of the usual ones."""
    far = _between(chance, datetime(1930, 1, 1, tzinfo=UTC), datetime(2130, 1, 1, tzinfo=UTC))
    return chance.choice([far, SPRING, AUTUMN, AUTUMN - timedelta(microseconds=1)])


def _names(name: str) -> Names:
    return Names(en=name, nl=name)


# -- worlds -----------------------------------------------------------------------------------------------------------


def _world(chance: Random) -> World:
    zones = _zones(chance)
    doors = _doors(chance, zones)
    return World(
        written=SitePolicy(
            site=SiteId("world"),
            names=_names("world"),
            time_zone=chance.choice(["Europe/Amsterdam", "Australia/Lord_Howe", "Asia/Kathmandu"]),
            host=HOST,
            outside=zones[0].id,
            alert_states=ALERTS,
            tenants=tuple(
                Tenant(id=tenant, names=_names(tenant), is_host=tenant == HOST, agreement=None)
                for tenant in TENANTS
            ),
            zones=zones,
            gates=tuple(Gate(id=gate, names=_names(gate)) for gate in GATES),
            access_points=doors,
            calendars=(),
            schedules=(_schedule(chance, "office"), _always()),
            profiles=tuple(
                Profile(id=name, tenant=tenant, names=_names(name), grants=_grants(chance, zones, doors))
                for tenant in TENANTS
                for name in PROFILES
            ),
            vetoes=_vetoes(chance, zones),
            rules=SiteRules(),
        ),
        agreements={
            tenant: _agreement(chance, tenant, zones) for tenant in TENANTS[1:] if chance.random() < 0.9
        },
    )


def _zones(chance: Random) -> tuple[Zone, ...]:
    """The world outside, and one to five zones beside and inside each other."""
    zones: list[Zone] = []
    for number in range(chance.randint(2, 6)):
        inner = number > 1 and chance.random() < 0.7
        zones.append(
            Zone(
                id=ZoneId(f"zone-{number}"),
                names=_names("zone"),
                parent=chance.choice(zones[1:]).id if inner else None,
                owner=chance.choice(TENANTS),
                level=chance.randint(0, 3),
                assurance=chance.randint(0, 2),
                rules=ZoneRules(passback=_passback(chance)),
            )
        )
    return tuple(zones)


def _passback(chance: Random) -> Passback:
    mode = chance.choice(list(AntiPassback))
    return Passback(mode=mode, within=timedelta(minutes=10) if mode is AntiPassback.TIMED else None)


def _doors(chance: Random, zones: tuple[Zone, ...]) -> tuple[AccessPoint, ...]:
    """A way in and a way out of every zone, from what is around it; and one between any two."""
    ways = [(zone.parent or zones[0].id, zone.id, way) for zone in zones[1:] for way in Direction]
    one, other = chance.sample([zone.id for zone in zones], 2)
    ways.append((one, other, chance.choice(list(Direction))))
    return tuple(
        AccessPoint(
            id=AccessPointId(f"door-{number}"),
            names=_names("door"),
            gate=chance.choice(GATES),
            source=outer if way is Direction.IN else inner,
            target=inner if way is Direction.IN else outer,
            direction=way,
            unlock=timedelta(seconds=chance.randint(0, 60)),
        )
        for number, (outer, inner, way) in enumerate(ways)
    )


def _always() -> Schedule:
    name = ScheduleId("always")
    week = ((Window(0, 1440),),) * 7
    return Schedule(id=name, names=_names(name), week=week, special_days=frozenset(), special=())


def _schedule(chance: Random, name: str) -> Schedule:
    def windows() -> tuple[Window, ...]:
        hours = [(chance.randint(0, 12), chance.randint(13, 24)) for _ in range(chance.randint(0, 2))]
        return tuple(Window(since * 60, until * 60) for since, until in hours)

    days = frozenset(_between(chance, SPRING, AUTUMN).date() for _ in range(40))
    week = tuple(windows() for _ in range(7))
    return Schedule(id=ScheduleId(name), names=_names(name), week=week, special_days=days, special=windows())


def _grants(chance: Random, zones: tuple[Zone, ...], doors: tuple[AccessPoint, ...]) -> tuple[Grant, ...]:
    grants = []
    for _ in range(chance.randint(0, 6)):
        to_zone = chance.random() < 0.7
        grants.append(
            Grant(
                zone=chance.choice(zones).id if to_zone else None,
                access_point=None if to_zone else chance.choice(doors).id,
                schedule=ScheduleId(chance.choice(["always", "office"])),
                highest_alert=chance.randrange(len(ALERTS)),
            )
        )
    return tuple(grants)


def _vetoes(chance: Random, zones: tuple[Zone, ...]) -> tuple[Veto, ...]:
    zone, tenant = chance.choice(zones).id, chance.choice(TENANTS[1:])
    return (Veto(tenant=tenant, zone=zone, why=_names("why")),) if chance.random() < 0.2 else ()


def _agreement(chance: Random, tenant: TenantId, zones: tuple[Zone, ...]) -> Agreement:
    everywhere = [zone.id for zone in zones]
    return Agreement(
        tenant=tenant,
        ceiling=_mostly(chance, 4, lambda: chance.randint(0, 5)),
        zones=frozenset(_mostly(chance, everywhere, lambda: chance.sample(everywhere, 1))),
        since=SPRING,
        until=_mostly(chance, AUTUMN, lambda: _any_time(chance)),
        badge_life=timedelta(days=_mostly(chance, 400, lambda: chance.randint(0, 400))),
    )


# -- people before doors ----------------------------------------------------------------------------------------------


def _facts(chance: Random, world: World) -> Facts:
    """Somebody who mostly may, and what is found about them."""
    tenant = chance.choice(TENANTS)
    zones = [zone.id for zone in world.written.zones]
    return Facts(
        badge=_mostly(chance, _badge(chance, tenant), lambda: None),
        badge_state=_mostly(chance, BadgeState.ACTIVE, lambda: chance.choice([None, *BadgeState])),
        assurance=_mostly(chance, Assurance.KEY_BOUND, lambda: chance.choice(list(Assurance))),
        findings=_mostly(chance, (), lambda: tuple(chance.choices(list(Reason), k=2))),
        holder=_mostly(chance, _holder(chance, tenant), lambda: None),
        holder_unproven=_mostly(chance, usual=False, rare=lambda: True),
        epoch=_mostly(chance, 1, lambda: chance.randint(0, 3)),
        whereabouts=chance.choice([None, ZoneId("elsewhere"), *zones]),
        alert=chance.choice([0, 0, 1, 2, 3]),
        lockdowns=_mostly(
            chance, frozenset[str](), lambda: frozenset({any_scope(world, chance), any_scope(world, chance)})
        ),
    )


def _badge(chance: Random, tenant: TenantId) -> Badge:
    begins = _mostly(chance, SPRING, lambda: _any_time(chance))
    return Badge(
        id=BADGE,
        site=SiteId("world"),
        tenant=_mostly(chance, tenant, lambda: chance.choice([*TENANTS, GUEST])),
        not_before=begins,
        expires=_mostly(chance, AUTUMN, lambda: _any_time(chance)),
        issued=begins,
        ceiling=_mostly(chance, 5, lambda: chance.randint(0, 5)),
        assurance=Assurance.KEY_BOUND,
        kind=chance.choice(list(HolderKind)),
        epoch=_mostly(chance, 1, lambda: chance.randint(0, 3)),
        requires_trusted_time=_mostly(chance, usual=False, rare=lambda: True),
        confirmation=None,
        card=None,
        status_index=None,
    )


def _holder(chance: Random, tenant: TenantId) -> Holder:
    return Holder(
        id=HolderId("somebody"),
        tenant=_mostly(chance, tenant, lambda: chance.choice([*TENANTS, GUEST])),
        kind=chance.choice(list(HolderKind)),
        clearance=_mostly(chance, 5, lambda: chance.randint(0, 5)),
        profiles=_mostly(
            chance, PROFILES, lambda: tuple(chance.choices([*PROFILES, ProfileId("gone")], k=2))
        ),
        badges=(BADGE,),
        since=_mostly(chance, SPRING, lambda: _any_time(chance)),
        until=_mostly(chance, AUTUMN, lambda: _any_time(chance)),
        version=1,
    )
