"""What a zone, an alert state and the site demand of who passes: the rules as the host wrote them, as values.

    zone      level, assurance (see `places.Zone`), and of these whatever it names:
              anti-passback, unexpected location, occupancy, two persons, escort, first person, PIN, guard's check,
              certificates, search, offline
    alert     for every zone: a higher assurance, a PIN, an escort, tenants that stay out
    site      interlocks, travelling times, events with their guests, call-ups, lock-out, inactivity, what is only reported

A rule that is not named is not asked. `Enforcement.REPORTED` is shadow mode: the rule is asked and reported, and does not
deny. What they mean when a scan comes is in `gatekeeper.core.rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from gatekeeper.model.ids import AccessPointId, HolderId, ProfileId, ScheduleId, TenantId, ZoneId
from gatekeeper.model.people import HolderKind, Names

__all__ = [
    "NO_RULES",
    "AlertDemands",
    "AntiPassback",
    "CallUp",
    "Differ",
    "Enforcement",
    "Escort",
    "Event",
    "FirstPerson",
    "GuardCheck",
    "Interlock",
    "LockOut",
    "Occupancy",
    "Offline",
    "Passback",
    "PinLimit",
    "ProfileRef",
    "Search",
    "SecondFactor",
    "SiteRules",
    "Travel",
    "TwoPersons",
    "Unseen",
    "ZoneRules",
]


ProfileRef: TypeAlias = tuple[TenantId, ProfileId]
"""A profile by its full name: another tenant's profile of the same name is another profile."""


class Enforcement(StrEnum):
    """What a failing rule does."""

    DENIED = "hard"
    REPORTED = "soft"


class AntiPassback(StrEnum):
    """What happens when somebody enters a zone that they are in already."""

    NONE = "none"
    SOFT = "soft"
    HARD = "hard"
    TIMED = "timed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passback:
    """Nobody enters a zone twice without leaving it.

    `within`: for TIMED, how long after entering the same person is refused; `forgotten`: after so long in the zone the
    site no longer believes that they are there. An operator can forgive at once.
    """

    mode: AntiPassback
    within: timedelta | None = None
    forgotten: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """How many people a zone holds, all that lies inside counted. `exempt` profiles neither count nor are refused.

    `least` forbids being alone: nobody enters or leaves when fewer than `least`, but some, would then be inside; two who
    badge within the window do it together.
    """

    most: int | None
    least: int | None
    within: timedelta
    enforcement: Enforcement
    exempt: frozenset[ProfileRef]


class Differ(StrEnum):
    """In what two persons must differ."""

    HOLDER = "holder"
    TENANT = "tenant"
    ROLE = "role"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPersons:
    """Two different holders badge within a window; the second opens for both.

    `profiles`: one of these is needed to count (empty: any). ROLE: they share none of these profiles.
    """

    within: timedelta
    differ: Differ
    profiles: frozenset[ProfileRef]
    leaving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Escort:
    """Holders of these kinds enter with a host only: one who may escort and badges here within a window, before or after.

    `profiles`: who may escort; `most`: how many one host brings; a host does not leave before those he brought.
    """

    kinds: frozenset[HolderKind]
    profiles: frozenset[ProfileRef]
    within: timedelta
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPerson:
    """Nobody enters before one with these profiles has; that holds for `lasting`."""

    profiles: frozenset[ProfileRef]
    lasting: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """A PIN is asked: always, or while a schedule is open."""

    schedule: ScheduleId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardCheck:
    """A grant waits for a guard who compares the face with the photo; without a word within the limit it is a denial."""

    limit: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One in so many who enter is selected to be searched, by a draw that nobody can steer and everybody can check."""

    one_in: int


class Unseen(StrEnum):
    """What a gate that is alone makes of a rule which asks what it cannot know: how full a zone is, where somebody was seen."""

    REFUSED = "refuse"
    ACCEPTED = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """For how long a gate may decide alone who enters, since the service last confirmed what it decides from."""

    longest: timedelta
    unseen: Unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneRules:
    """What a zone demands beside level and assurance."""

    passback: Passback = Passback(mode=AntiPassback.NONE)
    unexpected_location: Enforcement | None = None
    occupancy: Occupancy | None = None
    two_persons: TwoPersons | None = None
    escort: Escort | None = None
    first_person: FirstPerson | None = None
    second_factor: SecondFactor | None = None
    guard_check: GuardCheck | None = None
    certificates: frozenset[str] = frozenset()
    search: Search | None = None
    driver: timedelta | None = None
    """A vehicle and its driver badge within this window, in either order."""
    offline: Offline | None = None
    """None: without the service nobody is let in."""
    shadow: frozenset[str] = frozenset()
    """Codes of reasons that are reported here and do not deny."""


NO_RULES = ZoneRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDemands:
    """What an alert state demands everywhere; each state demands what those below it do, and this."""

    assurance: int = 0
    second_factor: bool = False
    escort: bool = False
    excluded: frozenset[TenantId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interlock:
    """Of the doors of these access points one at most is open at a time (a man-trap, a lock for vehicles)."""

    id: str
    access_points: frozenset[AccessPointId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """Nobody gets from one access point to another in less than this, either way."""

    between: frozenset[AccessPointId]
    least: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A temporary event: who is on the guest list may enter these zones while it lasts, as if a profile said so."""

    id: str
    names: Names
    zones: frozenset[ZoneId]
    since: datetime
    until: datetime
    guests: frozenset[HolderId]
    highest_alert: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUp:
    """Reservists with one of these profiles are called up for a while; at other times they have no access."""

    id: str
    profiles: frozenset[ProfileRef]
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOut:
    """A badge that is refused so often within a while is refused for a while, whatever it asks."""

    failures: int
    within: timedelta
    lasting: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PinLimit:
    """After so many wrong PINs in a row, a badge's PIN is not looked at for a while."""

    tries: int = 5
    blocked: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRules:
    """What holds everywhere on a site."""

    alerts: Mapping[str, AlertDemands] = field(default_factory=dict)
    interlocks: tuple[Interlock, ...] = ()
    travels: tuple[Travel, ...] = ()
    events: tuple[Event, ...] = ()
    call_ups: tuple[CallUp, ...] = ()
    escort: Escort | None = None
    """Who may escort, where an alert state and not a zone asks for it."""
    lock_out: LockOut | None = None
    pin: PinLimit = PinLimit()
    inactivity: timedelta | None = None
    shadow: frozenset[str] = frozenset()
