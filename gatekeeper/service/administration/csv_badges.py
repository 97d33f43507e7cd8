"""A tenant's badges as a CSV file: cards and bearer badges to be issued, and all badges as they stand.

    holder,badge,state,assurance,card,from,until,max_uses
    h-00017,,,0,mifare:BA839D07,,2027-08-31,
    h-00017,a59c1b...,active,1,,2026-09-01,2027-08-31,3

    column      what stands in it                                       when it is empty
    holder      whose it is: somebody who is registered                 (is not left empty)
    badge       the id of a badge that there is                         a new one is issued
    state       active, suspended, lost, stolen or revoked              says nothing
    assurance   0 a bare card's number, 1 a bearer (QR)                 0 with a card, else 1
    card        mifare:BA839D07, or wiegand:4302741608/34               no card
    from        since when, see `instants`                              from now on
    until       until when                                              as long as may be
    max_uses    how often it may be used                                without limit

A line with a badge's id changes nothing: it must say what is so. So a file that was exported can be completed with new
lines and be imported. The id of a new badge follows from its line: the same line twice is one badge, also when the import
was interrupted. A badge with a key is not issued from a file, for its key goes into the badge and nowhere else.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from gatekeeper import cose
from gatekeeper.model.badges import Assurance, BadgeState, Card
from gatekeeper.model.card_numbers import read_card_number, write_card_number
from gatekeeper.model.ids import BadgeId, HolderId
from gatekeeper.service.administration.csv_file import (
    Columns,
    LineProblem,
    in_order,
    read_lines,
    secret_number,
    write_lines,
)
from gatekeeper.service.administration.directory import KnownBadge, PeopleError, particulars_of
from gatekeeper.service.administration.instants import read_instant, write_instant
from gatekeeper.service.administration.particulars import Problem, read_holder_id
from gatekeeper.service.administration.people import BadgeOrder, Desk

__all__ = ["BADGES", "BadgeLine", "BadgePlan", "badge_change_id", "plan_badges", "read_uses", "write_badges"]

BADGES: Final = Columns(
    ("holder", "badge", "state", "assurance", "card", "from", "until", "max_uses"),
    needed="holder",
    says="whose a badge is",
)
_MOST_AT_ONCE: Final = 32  # new badges in one registration
_MOST_USES: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeLine:
    """One line of a file: a badge to be issued, or, without an order, one that is there already."""

    line: int
    holder: HolderId
    badge: BadgeId
    order: BadgeOrder | None


@dataclass(frozen=True, slots=True)
class BadgePlan:
    """What a file would do. With one problem nothing of it is done."""

    lines: tuple[BadgeLine, ...]
    problems: tuple[LineProblem, ...]

    @property
    def new(self) -> Mapping[HolderId, tuple[BadgeLine, ...]]:
        """Lines of badges to be issued, by whose they are: each holder's are one change."""
        found: dict[HolderId, tuple[BadgeLine, ...]] = {}
        for line in self.lines:
            if line.order is not None:
                found[line.holder] = (*found.get(line.holder, ()), line)
        return found

    @property
    def unchanged(self) -> tuple[BadgeLine, ...]:
        """Lines of badges that are there."""
        return tuple(line for line in self.lines if line.order is None)


def plan_badges(content: bytes, desk: Desk, *, waiting: Container[str], now: datetime) -> BadgePlan:
    """Read a file and hold it against what there is; every problem of every line is found.

    `waiting` are people of whom a change was handed in that no engine has looked at.
    """
    written, problems = read_lines(content, BADGES)
    reading = _Reading(desk, waiting, now)
    lines = []
    for number, cells in written:
        found = reading.line(number, cells)
        if isinstance(found, BadgeLine):
            lines.append(found)
        else:
            problems += [LineProblem(number, problem) for problem in found]
    return BadgePlan(tuple(lines), in_order(problems))


def badge_change_id(lines: tuple[BadgeLine, ...], version: int, key: cose.SigningKey, attempt: int) -> bytes:
    """The id of the change that gives somebody these badges: the same for the same lines on the same registration."""
    says = [lines[0].holder, version, [line.badge for line in lines], attempt]
    return secret_number(says, key=key, purpose="badge import")


def write_badges(desk: Desk, *, excel: bool) -> bytes:
    """Write every badge of a tenant, as `plan_badges` reads it; `excel`: as Dutch Excel opens it."""
    by_holder = desk.directory.badges_by_holder()
    badges = [badge for _, held in sorted(by_holder.items()) for badge in held]
    return write_lines(BADGES, (_written(badge, desk.zone) for badge in badges), excel=excel)


def read_uses(text: str) -> int:
    """Read how often a badge may be used. Raises ValueError with what to write instead."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _MOST_USES):
        raise ValueError(f'"{text}" is no number of uses: write a whole number from 1, or nothing')
    return int(text)


def _written(known: KnownBadge, zone: ZoneInfo) -> dict[str, str]:
    badge = known.badge
    return {
        "holder": str(known.holder),
        "badge": str(badge.id),
        "state": known.state.value,
        "assurance": str(int(badge.assurance)),
        "card": "" if badge.card is None else write_card_number(badge.card),
        "from": write_instant(badge.not_before, zone, ends=False),
        "until": write_instant(badge.expires, zone, ends=True),
        "max_uses": "" if badge.max_uses is None else str(badge.max_uses),
    }


# -- cells --------------------------------------------------------------------------------------------------------------


def _state(text: str, _: ZoneInfo) -> BadgeState:
    states = [state.value for state in BadgeState]
    if text.lower() not in states:
        raise ValueError(f'"{text}" is no state: write one of {", ".join(states)}, or nothing')
    return BadgeState(text.lower())


def _assurance(text: str, _: ZoneInfo) -> Assurance:
    if text not in {"0", "1", "2", "3"}:
        raise ValueError(f'"{text}" is no assurance: write 0 for a bare card, or 1 for a bearer (QR)')
    return Assurance(int(text))


_CELLS: Final[Mapping[str, Any]] = {
    "state": _state,
    "assurance": _assurance,
    "card": lambda text, _: read_card_number(text),
    "from": lambda text, zone: read_instant(text, zone, ends=False),
    "until": lambda text, zone: read_instant(text, zone, ends=True),
    "max_uses": lambda text, _: read_uses(text),
}


def _read(cells: Mapping[str, str], zone: ZoneInfo) -> tuple[dict[str, Any], list[Problem]]:
    """What the cells say that are not empty, and what is wrong with the others."""
    says, problems = {}, []
    for column, read in _CELLS.items():
        text = cells.get(column, "").strip()
        try:
            if text:
                says[column] = read(text, zone)
        except ValueError as error:
            problems.append(Problem(column, str(error)))
    return says, problems


def _so(known: KnownBadge) -> dict[str, Any]:
    """What is so of a badge, by column."""
    badge = known.badge
    return {
        "state": known.state,
        "assurance": badge.assurance,
        "card": badge.card,
        "from": badge.not_before,
        "until": badge.expires,
        "max_uses": badge.max_uses,
    }


class _Reading:
    """Reads one line after another, and remembers what the lines before it took."""

    def __init__(self, desk: Desk, waiting: Container[str], now: datetime) -> None:
        self._desk = desk
        self._waiting = waiting
        self._now = now
        self._badges: dict[BadgeId, int] = {}
        self._cards: dict[Card, int] = {}
        self._counts: dict[HolderId, int] = {}

    def line(self, number: int, cells: Mapping[str, str]) -> BadgeLine | list[Problem]:
        says, problems = _read(cells, self._desk.zone)
        holder = self._holder(cells["holder"])
        if isinstance(holder, Problem):
            return [holder, *problems]
        if problems:
            return problems
        named = cells.get("badge", "").strip().lower()
        found = self._known(number, holder, named, says) if named else self._new(number, holder, says)
        return [found] if isinstance(found, Problem) else found

    def _holder(self, text: str) -> HolderId | Problem:
        directory = self._desk.directory
        try:
            holder = read_holder_id(text)
        except ValueError as error:
            return Problem("holder", str(error))
        if directory.find(holder) is None:
            return Problem(
                "holder", f"{directory.tenant} has no holder {holder}: register them first (holder import)"
            )
        if holder in self._waiting:
            what = f"a change of {holder} was handed in and waits for an engine: start one (gatekeeper serve), then go on"
            return Problem("holder", what)
        return holder

    def _known(
        self, number: int, holder: HolderId, named: str, says: Mapping[str, Any]
    ) -> BadgeLine | Problem:
        desk = self._desk
        try:
            known = desk.directory.badge(BadgeId(named))
        except PeopleError:
            return Problem("badge", f"{desk.tenant} has no badge {named}: leave it empty to issue one")
        if known.holder != holder:
            return Problem("holder", f"badge {named} is of {known.holder}: a file gives no badge to another")
        earlier = self._badges.setdefault(known.badge.id, number)
        if earlier != number:
            return Problem("badge", f"{named} stands in line {earlier} already: keep one of the two")
        written, so = _written(known, desk.zone), _so(known)
        for column, said in says.items():
            if said == so[column]:
                continue
            is_so = f"is {written[column] or 'empty'} for badge {named}"
            if column == "state":
                return Problem(
                    column, f"{is_so}: say it with gatekeeper badge suspend, lost, stolen, revoke, reinstate"
                )
            return Problem(column, f"{is_so}, and a badge is never changed: write that, or nothing")
        return BadgeLine(line=number, holder=holder, badge=known.badge.id, order=None)

    def _new(self, number: int, holder: HolderId, says: Mapping[str, Any]) -> BadgeLine | Problem:
        order = BadgeOrder(
            assurance=says.get("assurance", Assurance.CARD_NUMBER if "card" in says else Assurance.BEARER),
            card=says.get("card"),
            since=says.get("from"),
            until=says.get("until"),
            max_uses=says.get("max_uses"),
        )
        badge = self._id(holder, order)
        problem = _unfit(order, says) or self._twice(number, badge, order)
        if problem is not None:
            return problem
        there = self._there(holder, badge, order)
        if isinstance(there, Problem):
            return there
        if there is not None:
            return BadgeLine(line=number, holder=holder, badge=there, order=None)
        order = replace(order, id=badge)
        problem = self._refused(holder, order)
        return problem or BadgeLine(line=number, holder=holder, badge=badge, order=order)

    def _id(self, holder: HolderId, order: BadgeOrder) -> BadgeId:
        says = [
            holder,
            int(order.assurance),
            None if order.card is None else write_card_number(order.card),
            None if order.since is None else int(order.since.timestamp()),
            None if order.until is None else int(order.until.timestamp()),
            order.max_uses,
        ]
        return BadgeId(secret_number(says, key=self._desk.issuer.key, purpose="badge of a line").hex())

    def _twice(self, number: int, badge: BadgeId, order: BadgeOrder) -> Problem | None:
        earlier = self._badges.setdefault(badge, number)
        if earlier != number:
            return Problem("the line", f"says what line {earlier} says already: keep one of the two")
        earlier = number if order.card is None else self._cards.setdefault(order.card, number)
        if earlier != number:
            return Problem("card", f"stands in line {earlier} already: a card is one badge's only")
        return None

    def _there(self, holder: HolderId, badge: BadgeId, order: BadgeOrder) -> BadgeId | Problem | None:
        """The badge that a line asks for, where there is one."""
        directory = self._desk.directory
        answers = None if order.card is None else directory.badge_of_card(order.card)
        known: KnownBadge | None
        try:
            known = directory.badge(badge)
        except PeopleError:
            known = answers
        if known is None or known.holder != holder:
            return None
        over = known.state is BadgeState.REVOKED or not known.held or known.badge.expires <= self._now
        if not over:
            return known.badge.id
        if known.badge.id != badge:
            return None
        return Problem(
            "the line",
            f"asks for badge {badge}, which was issued and is over: take the line out, or give another end",
        )

    def _refused(self, holder: HolderId, order: BadgeOrder) -> Problem | None:
        desk = self._desk
        count = self._counts[holder] = self._counts.get(holder, 0) + 1
        if count > _MOST_AT_ONCE:
            return Problem("holder", f"{holder} gets more than {_MOST_AT_ONCE} badges: import them in parts")
        if order.card is not None and not desk.directory.card_is_free(order.card, now=self._now):
            return Problem("card", desk.who_has(order.card))
        registered = desk.directory.get(holder)
        try:
            desk.issue(order, to=particulars_of(registered), status_index=0, now=self._now)
        except PeopleError as error:
            return Problem("the line", str(error).removesuffix("."))
        return None


def _unfit(order: BadgeOrder, says: Mapping[str, Any]) -> Problem | None:
    """What of an order does not fit together."""
    if says.get("state", BadgeState.ACTIVE) is not BadgeState.ACTIVE:
        return Problem("state", "a new badge is active: write nothing")
    if order.assurance >= Assurance.KEY_BOUND:
        return Problem(
            "assurance", "a badge with a key is issued by itself: gatekeeper badge issue HOLDER --out FILE"
        )
    if order.assurance is Assurance.CARD_NUMBER and order.card is None:
        return Problem("card", "is empty: a bare card is known by its number, mifare:BA839D07")
    if order.assurance is not Assurance.CARD_NUMBER and order.card is not None:
        return Problem("assurance", "a card's number is assurance 0, and no more")
    return None
