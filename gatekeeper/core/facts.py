"""What a decision knows beside the policy: the request, the badge and its holder, the site now, and what happened before.

Facts are values and are kept with the entry, so that every decision can be made again from what the log holds. `Past` is
what the site remembers, as far as the access point asks for it: what no rule there asks for stays empty, and costs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, GateId, HolderId, TenantId, ZoneId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import ProfileRef

__all__ = ["NO_PAST", "Companion", "Factor", "Facts", "GuardsWord", "Past", "Request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: to pass this access point, at this gate, whose clock is so good."""

    access_point: AccessPointId
    gate: GateId
    clock: ClockQuality


class Factor(StrEnum):
    """What came of the second factor (the PIN that was typed)."""

    NONE = "none"
    RIGHT = "right"
    DURESS = "duress"
    WRONG = "wrong"
    BLOCKED = "blocked"


class GuardsWord(StrEnum):
    """What came of asking a guard to compare face and photo."""

    NOT_ASKED = "not-asked"
    YES = "yes"
    NO = "no"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """Somebody who asked at the same access point just before: `waiting` for company, or let in.

    `brought` is how many visitors they have brought into the zones that one comes into here, and that are still inside.
    """

    holder: HolderId
    tenant: TenantId
    kind: HolderKind
    roles: frozenset[ProfileRef]
    host: HolderId | None
    at: datetime
    waiting: bool
    brought: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the site remembers of holder, badge and place. Times are when things were committed."""

    # The holder: since when in the zone of `Facts.whereabouts`, and where and when last let through.
    since: datetime | None = None
    last_point: AccessPointId | None = None
    last_at: datetime | None = None
    visitors: frozenset[HolderId] = frozenset()
    """Visitors that this holder brought into a zone that would be left now, and that are still inside."""
    brought: int = 0
    """How many visitors this holder brought into the zones that would be entered now, and that are still inside."""

    # The badge.
    uses: int = 0
    last_used: datetime | None = None
    locked_until: datetime | None = None
    factor: Factor = Factor.NONE

    # The place.
    crowds: Mapping[ZoneId, int] = field(default_factory=dict)
    """People who count, in each zone with a limit that would be entered or left, whoever asks now not included."""
    company: tuple[Companion, ...] = ()
    opened: Mapping[ZoneId, datetime] = field(default_factory=dict)
    open_doors: frozenset[AccessPointId] = frozenset()
    draw: int | None = None
    """A number that nobody could choose or foresee, for selecting who is searched."""
    guard: GuardsWord = GuardsWord.NOT_ASKED
    asked: datetime | None = None
    """When whoever waits for a guard's word asked: windows for company are measured from then, however long a guard looks."""


NO_PAST = Past()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a decision knows besides the policy, as it was at that instant."""

    # The badge, as verified.
    badge: Badge | None
    badge_state: BadgeState | None
    assurance: Assurance
    findings: tuple[Reason, ...]

    # Its holder.
    holder: Holder | None
    holder_unproven: bool
    epoch: int
    whereabouts: ZoneId | None

    # The site.
    alert: int
    lockdowns: frozenset[str]
    suspended: frozenset[TenantId] = frozenset()

    # What happened before.
    past: Past = NO_PAST
