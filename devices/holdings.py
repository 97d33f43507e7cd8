"""What a gate's folder lets it decide alone, in sentences for whoever looks after it.

It is told from the folder, as the gate would believe it at its next start: what is not believed is said, and counts for nothing. Whether the
clock is right, and who stands there, is asked by the gate alone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from devices.core.knowledge import Knowledge
from devices.core.standby import Held
from devices.policy_files import read_held
from devices.settings import GateSettings
from gatekeeper.model.snapshot import Snapshot

__all__ = ["told"]


def told(settings: GateSettings) -> Iterator[str]:
    """What is held of snapshot and standing: which, of how many badges, and until when each access point could be decided."""
    knowledge = Knowledge(gate=settings.gate, trust=settings.trust, prefix=settings.prefix)
    held = read_held(settings.policy_folder) if settings.policy_folder is not None else Held()
    for what, wire, take in (
        ("snapshot.cose", held.snapshot, knowledge.take_snapshot),
        ("standing.cose", held.standing, knowledge.take_standing),
        ("confirming.cose", held.confirming, knowledge.take_confirming),
        ("lockdown.cose", held.lockdown, knowledge.take_lockdown),
    ):
        refused = take(wire) if wire is not None else None
        if refused is not None:
            yield f"{what} counts for nothing: {refused.value}."
    snapshot, standing = knowledge.snapshot, knowledge.standing
    if snapshot is None or standing is None:
        yield "It holds no snapshot and standing that it believes: alone it lets nobody in."
        return
    yield (
        f"It holds version {snapshot.version} of its snapshot, of {_utc(snapshot.issued)}: {_count(len(snapshot), 'badge')} "
        f"({_count(len(snapshot.cards), 'card')} among them), made for alert state {snapshot.alert}."
    )
    yield (
        f"The service was last heard {_utc(standing.issued)}: alert state {standing.alert}, "
        f"{_count(len(standing.lockdowns), 'lockdown')}, {_count(len(standing.suspended), 'suspended tenant')}."
    )
    if standing.trust > settings.trust.version:
        yield f"The site counts on version {standing.trust} of the trust list, which is not here: alone it lets nobody in."
    elif knowledge.is_locked_down:
        yield "It was ordered to lock down, and no standing of later is here: alone it lets nobody in."
    elif knowledge.confirmed is None:
        yield "The standing does not name this snapshot: alone it lets nobody in."
    elif standing.alert > snapshot.alert:
        yield "The snapshot was made for a calmer state: alone it lets nobody in."
    else:
        yield from _by_access_point(settings, snapshot, standing.lockdowns, knowledge.confirmed)


def _by_access_point(
    settings: GateSettings, snapshot: Snapshot, lockdowns: frozenset[str], confirmed: datetime
) -> Iterator[str]:
    for door in settings.doorways:
        point = snapshot.points.get(door.id)
        if point is None:
            yield f"{door.id}: is not to be decided alone."
        elif not point.scopes.isdisjoint(lockdowns):
            yield f"{door.id}: is locked down."
        else:
            until = min(confirmed + point.longest, datetime.fromtimestamp(snapshot.until, UTC))
            yield f"{door.id}: can be decided alone until {_utc(until)}."


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"
