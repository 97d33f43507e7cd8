"""The people of the big site, and what they ask at its doors in three months: seeded, signed, and read back from the register.

20,000 holders with 1 to 5 profiles each, as their post has it: people of one post have the same profiles, and everybody
has dates, a badge and a state of their own. Most of what they ask is granted; the rest is everything that a day brings.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from gatekeeper import cose
from gatekeeper.core.decide import Facts, Request
from gatekeeper.core.register import HOLDER_TYPE, HolderRecord, Register, holder_payload
from gatekeeper.core.trust import Trust
from gatekeeper.model.badges import BADGE_TYPE, Assurance, Badge, BadgeRecord, BadgeState, claims_of
from gatekeeper.model.ids import BadgeId, HolderId, ProfileId, TenantId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import Point, Policy
from tests.benchmarks.big_site import ALERTS, CIVIL, HOST, PROFILES, SITE
from tests.support.sites import key_of

__all__ = [
    "BEGIN",
    "DAYS",
    "Ask",
    "Crowd",
    "Person",
    "Record",
    "asked",
    "own_doors",
    "read_crowd",
    "registered",
    "signed_records",
]

BEGIN: Final = datetime(2027, 3, 1, tzinfo=UTC)
DAYS: Final = 92  # with the night of 28 March, Easter, King's Day and a school holiday in them
_SEED: Final = 7
_POSTS: Final = 12
_SHARES: Final = (6, 5, *[1] * 10)
_STATES: Final = (BadgeState.SUSPENDED, BadgeState.LOST, BadgeState.STOLEN, BadgeState.REVOKED)


Person: TypeAlias = tuple[Holder, Badge, int]


@dataclass(frozen=True, slots=True)
class Post:
    """What people of one post have in common."""

    tenant: TenantId
    profiles: tuple[ProfileId, ...]
    clearance: int
    kind: HolderKind
    assurance: Assurance


@dataclass(frozen=True, slots=True)
class Record:
    """A badge and its holder as they are stored."""

    tenant: TenantId
    badge: BadgeRecord
    holder: HolderRecord


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody who is registered; `people` are holder, badge and the epoch that badges must have."""

    register: Register
    people: Sequence[Person]

    def state(self, badge: Badge) -> BadgeState:
        state = self.register.state(badge.id)
        assert state is not None
        return state


@dataclass(frozen=True, slots=True)
class Ask:
    """One request with all that `decide` is given."""

    facts: Facts
    request: Request
    now: datetime


def posts() -> list[Post]:
    """Twelve posts for each tenant."""
    dice = random.Random(_SEED)
    found = []
    for tenant in (HOST, *CIVIL):
        for number in range(_POSTS):
            others = dice.sample(PROFILES[1:], number % 5)
            bearer = tenant != HOST and number in {0, 5}
            found.append(
                Post(
                    tenant=tenant,
                    profiles=tuple(map(ProfileId, ("entry", *others))),
                    clearance=5 if "laboratory" in others else dice.choice((3, 3, 4, 2)),
                    kind=HolderKind.VISITOR if bearer else HolderKind.STAFF,
                    assurance=Assurance.BEARER if bearer else Assurance.KEY_BOUND,
                )
            )
    return found


def signed_records(holders: int) -> Iterator[Record]:
    """So many holders with a badge each, signed by their tenants."""
    dice = random.Random(_SEED)
    known = posts()
    for number, tenant in enumerate(dice.choices((HOST, *CIVIL), weights=_SHARES, k=holders)):
        post = dice.choice([post for post in known if post.tenant == tenant])
        badge, holder = _somebody(number, post, dice)
        state = dice.choice(_STATES) if dice.random() < 0.02 else BadgeState.ACTIVE
        key = key_of(f"{tenant} issuer")
        token = cose.sign(cose.encode(claims_of(badge)), key=key, typ=BADGE_TYPE)
        registration = cose.sign(
            holder_payload(holder, site=SITE), key=key, typ=HOLDER_TYPE, external_aad=SITE.encode()
        )
        yield Record(
            tenant,
            BadgeRecord(id=badge.id, token=token, state=state),
            HolderRecord(id=holder.id, document=registration),
        )


def registered(records: Iterable[Record]) -> Register:
    """A register with everybody in it, and nothing read yet."""
    register = Register()
    for record in records:
        register.put_badge(record.badge, tenant=record.tenant, card=None)
        register.put_holder(record.holder, tenant=record.tenant, badges=[record.badge.id])
    return register


def read_crowd(register: Register, trust: Trust) -> Crowd:
    """Read everybody as a scan does: signatures, claims, dates."""
    people = []
    for badge in register.badges(trust=trust):
        holder = register.holder_of(badge.id, trust=trust)
        assert isinstance(holder, Holder)
        people.append((holder, badge, trust.epoch(badge.tenant)))
    return Crowd(register, people)


def _somebody(number: int, post: Post, dice: random.Random) -> tuple[Badge, Holder]:
    issued = BEGIN - timedelta(days=dice.randrange(1, 270), hours=dice.randrange(24))
    life = timedelta(days=366 if dice.random() < 0.01 else dice.randrange(330, 365))
    badge_id = BadgeId(f"{dice.getrandbits(128):032x}")
    key = cose.SigningKey.generate() if post.assurance is Assurance.KEY_BOUND else None
    badge = Badge(
        id=badge_id, site=SITE, tenant=post.tenant, not_before=issued, expires=issued + life, issued=issued,
        ceiling=min(post.clearance, 4 if dice.random() < 0.1 else 5), assurance=post.assurance, kind=post.kind, epoch=1,
        requires_trusted_time=False, confirmation=key.record(use="badge", owner=badge_id) if key else None,
        card=None, status_index=number,
    )  # fmt: skip
    holder = Holder(
        id=HolderId(f"holder-{number}"), tenant=post.tenant, kind=post.kind,
        clearance=1 if dice.random() < 0.02 else post.clearance, profiles=post.profiles, badges=(badge_id,),
        since=issued, until=issued + timedelta(days=dice.randrange(300, 3000)), version=1,
    )  # fmt: skip
    return badge, holder


# -- what they ask ----------------------------------------------------------------------------------------------------


def asked(crowd: Crowd, policy: Policy, *, requests: int) -> list[Ask]:
    """So many requests in no order: by day at one's own doors, and now and then at night, elsewhere, or under alert."""
    dice = random.Random(_SEED)
    doors = list(policy.points.values())
    days = [BEGIN + timedelta(days=day) for day in range(DAYS) if day % 7 < 5 or day % 11 == 0]
    found = []
    for alert in dice.choices(range(len(ALERTS)), weights=(88, 7, 3, 2), k=requests):
        person = dice.choice(crowd.people)
        point = dice.choice(_own(policy, person[0]) if dice.random() < 0.97 else doors)
        hour = dice.choice(range(7, 15) if dice.random() < 0.95 else range(24))
        now = dice.choice(days) + timedelta(hours=hour, seconds=dice.randrange(3600))
        found.append(_ask(crowd, person, point, alert, now))
    return found


def own_doors(crowd: Crowd, policy: Policy, *, each: int) -> Iterator[Ask]:
    """Everybody on a Monday morning, at so many of his own doors."""
    for person in crowd.people:
        for point in list({point.id: point for point in _own(policy, person[0])}.values())[:each]:
            yield _ask(crowd, person, point, 0, BEGIN + timedelta(hours=9))


def _own(policy: Policy, holder: Holder) -> list[Point]:
    return [
        policy.points[point]
        for profile in holder.profiles
        for point in policy.profiles[holder.tenant, profile]
    ]


def _ask(crowd: Crowd, person: Person, point: Point, alert: int, now: datetime) -> Ask:
    holder, badge, epoch = person
    return Ask(
        facts=Facts(
            badge=badge, badge_state=crowd.state(badge), assurance=badge.assurance, findings=(), holder=holder,
            holder_unproven=False, epoch=epoch, whereabouts=point.source, alert=alert, lockdowns=frozenset(),
        ),
        request=Request(access_point=point.id, gate=point.gate, clock=ClockQuality.SYNCHRONISED),
        now=now,
    )  # fmt: skip
