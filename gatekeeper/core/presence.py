"""Who is where: a fold over what happened, with how sure we are of each.

    granted    a door was released for them; nobody saw them pass
    taken      the door's contact saw the passage
    forced     the door opened without a grant while they were the last known there
    operator   a person said so

A grant moves a holder at once, because the next scan must see it (a badge handed back over the fence); when the gate
reports that nobody passed, the holder is where they badged: before that door. They are there since they badged, however
late the gate tells.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gatekeeper.model.ids import AccessPointId, HolderId, ZoneId

__all__ = ["Presence", "Quality", "confirmed", "granted", "put_back"]


class Quality(StrEnum):
    """How we know where somebody is."""

    GRANTED = "granted"
    TAKEN = "taken"
    FORCED = "forced"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One holder's whereabouts; `seq` is the log entry that says so."""

    holder: HolderId
    zone: ZoneId
    since: datetime
    quality: Quality
    access_point: AccessPointId | None
    seq: int
    host: HolderId | None = None
    """Who brought a visitor in, and answers for them until they are outside."""
    came_with: HolderId | None = None
    """Whose visitor they were where a grant took them from."""


def granted(
    before: Presence | None,
    *,
    holder: HolderId,
    target: ZoneId,
    access_point: AccessPointId,
    at: datetime,
    seq: int,
    outside: ZoneId,
    host: HolderId | None = None,
) -> Presence:
    """A door was released for a holder; `host` is with whom a visitor comes in, and stays their host further inside."""
    came_with = before.host if before is not None and before.zone != outside else None
    return Presence(
        holder=holder,
        zone=target,
        since=at,
        quality=Quality.GRANTED,
        access_point=access_point,
        seq=seq,
        host=host if host is not None or target == outside else came_with,
        came_with=came_with,
    )


def confirmed(before: Presence | None, *, grant: int, seq: int) -> Presence | None:
    """The contact saw the passage of grant `grant`; None when the holder has moved on since."""
    if before is None or before.seq != grant:
        return None
    return Presence(
        holder=before.holder,
        zone=before.zone,
        since=before.since,
        quality=Quality.TAKEN,
        access_point=before.access_point,
        seq=seq,
        host=before.host,
    )


def put_back(before: Presence | None, *, grant: int, source: ZoneId, seq: int) -> Presence | None:
    """Nobody passed on grant `grant`, at a door out of `source`; None when the holder has moved on since."""
    if before is None or before.seq != grant:
        return None
    return Presence(
        holder=before.holder,
        zone=source,
        since=before.since,
        quality=Quality.TAKEN,
        access_point=before.access_point,
        seq=seq,
        host=before.came_with,
    )
