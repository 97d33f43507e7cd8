"""Ways over the ground: which access points lead a person from one zone to another, the shortest first."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping

from gatekeeper.model.ids import AccessPointId, ZoneId
from gatekeeper.model.policy import Point

__all__ = ["allowed_points", "route"]


def route(points: Iterable[Point], *, start: ZoneId, goal: ZoneId) -> tuple[Point, ...] | None:
    """The shortest way from zone to zone through these access points; None when there is none."""
    doors: dict[ZoneId, list[Point]] = {}
    for point in points:
        doors.setdefault(point.source, []).append(point)
    came_by: dict[ZoneId, Point | None] = {start: None}
    waiting = deque([start])
    while waiting:
        zone = waiting.popleft()
        if zone == goal:
            return _walk_back(came_by, goal)
        for point in doors.get(zone, ()):
            if point.target not in came_by:
                came_by[point.target] = point
                waiting.append(point.target)
    return None


def _walk_back(came_by: Mapping[ZoneId, Point | None], goal: ZoneId) -> tuple[Point, ...]:
    way: list[Point] = []
    step = came_by[goal]
    while step is not None:
        way.append(step)
        step = came_by[step.source]
    return tuple(reversed(way))


def allowed_points(
    points: Mapping[AccessPointId, Point], *, stock: Collection[AccessPointId], bare: bool
) -> list[Point]:
    """The access points whose readers understand a person's badge: stock readers know only bare cards, and only they."""
    return [point for point in points.values() if (point.id in stock) == bare]
