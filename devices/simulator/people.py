"""Who lives at an example site, with what they have in their pockets: the file that the ceremony wrote."""

import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from devices.hardware.simulated import SimulatedBadge
from devices.settings import SettingsError
from devices.simulator.days import Ground, Inhabitant
from devices.simulator.routes import route
from gatekeeper import cose
from gatekeeper.model.ids import HolderId, ProfileId, TenantId, ZoneId
from gatekeeper.model.policy import Point, Policy

__all__ = ["SimulatedPerson", "ground_of", "read_people"]

_MESS: Final = ZoneId("mess")
_TRAINING: Final = ZoneId("barracks-quarter")
_RESERVIST: Final = "reservist"
_VISITOR: Final = "visitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPerson:
    """A person of the example site with the badge in their pocket. `card` is (technology, number) of a bare card."""

    lives: Inhabitant
    tenant: TenantId
    profiles: tuple[ProfileId, ...]
    badge: SimulatedBadge | None
    card: tuple[str, bytes] | None

    @property
    def holder(self) -> HolderId:
        """Who it is."""
        return self.lives.holder

    def shown_at(self, point: Point) -> SimulatedBadge | None:
        """What they show to a reader: the PIN is typed where one is asked."""
        if self.badge is None or point.pin_always or point.pin_schedules:
            return self.badge
        return self.badge if self.badge.pin is None else replace(self.badge, pin=None)


def read_people(path: Path) -> list[SimulatedPerson]:
    """Read the people that the ceremony made for an example site. Raises `SettingsError` for what it did not make."""
    try:
        return [_person(written) for written in json.loads(path.read_text("utf-8"))]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} holds no people as a ceremony of this version writes them: found the site anew."
        ) from error


def _person(written: Mapping[str, Any]) -> SimulatedPerson:
    badge = written["badge"]
    token = b64decode(badge["token"])
    card = badge["card"]
    held: SimulatedBadge | None = None
    if badge["key"] is not None:
        key = cose.SigningKey.from_pem(badge["key"].encode())
        held = replace(SimulatedBadge.key_bound(token, key), pin=written["pin"])
    elif card is None:
        held = SimulatedBadge.bearer(token)
    return SimulatedPerson(
        lives=Inhabitant(
            holder=HolderId(written["holder"]),
            routine=written["routine"],
            home=ZoneId(written["home"]),
            is_reservist=written["kind"] == _RESERVIST,
            host=written["host"] if written["kind"] == _VISITOR else None,
        ),
        tenant=TenantId(written["tenant"]),
        profiles=tuple(written["profiles"]),
        badge=held,
        card=None if card is None else (card["technology"], bytes.fromhex(card["number"])),
    )


def ground_of(policy: Policy, people: Iterable[SimulatedPerson]) -> Ground:
    """What of a site, as its signed policy says, makes the days of these people."""
    people = list(people)
    events = [event for point in policy.points.values() for event in point.events]
    homes = {person.lives.home for person in people}
    return Ground(
        outside=policy.outside,
        zones=tuple(sorted(policy.zones)),
        mess=_MESS if _MESS in policy.zones else None,
        training=_TRAINING if _TRAINING in policy.zones else None,
        exercise=min((zone for event in events for zone in event.zones), default=None),
        guests=frozenset().union(*(event.guests for event in events)),
        hosts=frozenset(
            person.lives.host
            for person in people
            if person.lives.host is not None and person.lives.routine == _VISITOR
        ),
        receptions=MappingProxyType({home: _reception(policy, home) for home in homes}),
    )


def _reception(policy: Policy, home: ZoneId) -> ZoneId:
    """The first zone behind the outermost door on the way to a home zone."""
    way = route(policy.points.values(), start=policy.outside, goal=home)
    return way[0].target if way else policy.outside
