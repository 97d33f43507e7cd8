"""A group's arrival list as a CSV file: each line is a visitor with a host, an end, and a pass.

    name,host,until
    Piet Puk,h-00017,2026-09-01T17:00

    column      what stands in it                                       when it is empty
    name        the visitor's name                                      (is not left empty)
    visitor     their id                                                one is made of the line
    host        the holder who receives them                            as it was said for all
    from        since when, see `instants`                              as it was said for all, else from now on
    until       until when                                              as it was said for all
    profiles    names of the tenant's profiles, spaces between          as it was said for all
    clearance   a level, 0 to 5                                         as it was said for all, else 1
    max_uses    how often the pass may be used                          as it was said for all, else without limit

What was not said for all stands in the line. The id of a visitor follows from the line, and the pass's from the visitor: the
same list twice is one visit, also when the import was interrupted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gatekeeper import cose
from gatekeeper.model.badges import Assurance
from gatekeeper.model.ids import BadgeId, HolderId
from gatekeeper.model.people import HolderKind
from gatekeeper.service.administration.csv_badges import read_uses
from gatekeeper.service.administration.csv_file import (
    Columns,
    LineProblem,
    in_order,
    read_lines,
    secret_number,
)
from gatekeeper.service.administration.directory import PeopleError, particulars_of
from gatekeeper.service.administration.particulars import (
    Particulars,
    Problem,
    changed_columns,
    read_holder_id,
    read_particulars,
)
from gatekeeper.service.administration.people import BadgeOrder, Desk, holder_id_of

__all__ = ["VISITORS", "VisitorLine", "VisitorPlan", "plan_visitors", "visitor_change_id"]

VISITORS: Final = Columns(
    ("name", "visitor", "host", "from", "until", "profiles", "clearance", "max_uses"),
    needed="name",
    says="who comes",
)
_LOWEST: Final = {"clearance": "1"}
_NEEDED: Final = {
    "host": "is missing: name who receives them, here or with --host",
    "until": "is missing: a visit has an end, here or with --until",
    "profiles": "is missing: say where they may come, here or with --profiles",
}
_SAID: Final[tuple[str, ...]] = ("name", "clearance", "profiles", "from", "until", "host")


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorLine:
    """One line of a list; without an order the visitor is registered already."""

    line: int
    visitor: HolderId
    badge: BadgeId
    wanted: Particulars
    order: BadgeOrder | None


@dataclass(frozen=True, slots=True)
class VisitorPlan:
    """What a list would do. With one problem nothing of it is done."""

    lines: tuple[VisitorLine, ...]
    problems: tuple[LineProblem, ...]

    @property
    def new(self) -> tuple[VisitorLine, ...]:
        """Lines of visitors who are not registered yet."""
        return tuple(line for line in self.lines if line.order is not None)

    @property
    def unchanged(self) -> tuple[VisitorLine, ...]:
        """Lines of visitors who are registered as they say."""
        return tuple(line for line in self.lines if line.order is None)


def plan_visitors(content: bytes, desk: Desk, *, usual: Mapping[str, str], now: datetime) -> VisitorPlan:
    """Read a list and hold it against what is registered; every problem of every line is found.

    `usual` is what was said for all, by column.
    """
    written, problems = read_lines(content, VISITORS)
    reading = _Reading(desk, usual, now)
    lines = []
    for number, cells in written:
        found = reading.line(number, cells)
        if isinstance(found, VisitorLine):
            lines.append(found)
        else:
            problems += [LineProblem(number, problem) for problem in found]
    return VisitorPlan(tuple(lines), in_order(problems))


def visitor_change_id(line: VisitorLine, *, key: cose.SigningKey, attempt: int) -> bytes:
    """The id of the change that registers a visitor: the same for the same line."""
    return secret_number([line.visitor, attempt], key=key, purpose="visitor import")


class _Reading:
    """Reads one line after another, and remembers who came before."""

    def __init__(self, desk: Desk, usual: Mapping[str, str], now: datetime) -> None:
        self._desk = desk
        self._usual = usual
        self._now = now
        self._seen: dict[HolderId, int] = {}

    def line(self, number: int, cells: Mapping[str, str]) -> VisitorLine | list[Problem]:
        filled = {column: text for column, text in cells.items() if text.strip()}
        said = {**_LOWEST, **self._usual, **filled, "name": cells["name"]}
        problems = [
            Problem(column, what) for column, what in _NEEDED.items() if not said.get(column, "").strip()
        ]
        visitor, uses = _visitor(said, self._desk, problems), _uses(said, problems)
        if visitor is not None and self._seen.setdefault(visitor, number) != number:
            what = (
                f"says what line {self._seen[visitor]} says: keep one, or give them ids in the column visitor"
            )
            problems.append(Problem("the line", what))
        known = None if visitor is None else self._desk.directory.find(visitor)
        former = None if known is None else particulars_of(known)
        written = {column: said[column] for column in _SAID if column in said}
        written["kind"] = HolderKind.VISITOR.value
        reading = read_particulars(written, former=former, zone=self._desk.zone)
        if visitor is None:
            return [*problems, *reading.problems]
        problems += self._desk.problems(visitor, reading, now=self._now)
        if problems:
            return problems
        wanted = reading.particulars
        if former is None:
            return self._new(number, visitor, wanted, uses)
        changed = changed_columns(former, wanted)
        if changed:
            what = (
                f"{visitor} is registered with another {changed[0]}: change it with gatekeeper holder change"
            )
            return [Problem("visitor", what)]
        badge = self._pass(visitor)
        return VisitorLine(line=number, visitor=visitor, badge=badge, wanted=wanted, order=None)

    def _new(
        self, number: int, visitor: HolderId, wanted: Particulars, uses: int | None
    ) -> VisitorLine | list[Problem]:
        desk = self._desk
        badge = self._pass(visitor)
        order = BadgeOrder(assurance=Assurance.BEARER, max_uses=uses, id=badge)
        try:
            desk.issue(order, to=wanted, status_index=0, now=self._now)
        except PeopleError as error:
            return [Problem("the line", str(error).removesuffix("."))]
        return VisitorLine(line=number, visitor=visitor, badge=badge, wanted=wanted, order=order)

    def _pass(self, visitor: HolderId) -> BadgeId:
        return BadgeId(secret_number([visitor], key=self._desk.issuer.key, purpose="visitor pass").hex())


def _visitor(said: Mapping[str, str], desk: Desk, problems: list[Problem]) -> HolderId | None:
    named = said.get("visitor", "")
    if not named:
        says = [said.get(column, "").strip() for column in (*_SAID, "max_uses")]
        return holder_id_of("v", secret_number(says, key=desk.issuer.key, purpose="visitor of a line"))
    try:
        return read_holder_id(named)
    except ValueError as error:
        problems.append(Problem("visitor", str(error)))
        return None


def _uses(said: Mapping[str, str], problems: list[Problem]) -> int | None:
    text = said.get("max_uses", "").strip()
    try:
        return read_uses(text) if text else None
    except ValueError as error:
        problems.append(Problem("max_uses", str(error)))
        return None
