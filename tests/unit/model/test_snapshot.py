"""What a gate holds to decide alone: written and read back, and every mistake in it refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import BadgeId
from gatekeeper.model.messages import MessageMalformed
from gatekeeper.model.snapshot import (
    ROW_BYTES,
    SNAPSHOT_BOUNDS,
    STANDING_BOUNDS,
    KnownCards,
    Snapshot,
    Standing,
)
from tests.contract.left_alone import snapshots, standing
from tests.contract.vector_site import FRONT, SHED_READER, people

SNAPSHOT, WITH_CARD = snapshots()[FRONT], snapshots()[SHED_READER]
ROW = b"\x11" * 16 + bytes(8)


def test_everybody_who_has_a_right_is_found_and_nobody_else():
    named = {person.badge.id: person.badge.tenant for person in people().values()}
    found = {badge: SNAPSHOT.find(badge) for badge in named}
    assert len(SNAPSHOT) == 4
    assert {badge for badge, right in found.items() if right is None} == {people()["van"].badge.id}
    assert all(right is None or right[1].tenant == named[badge] for badge, right in found.items())
    numbers = [right[0] for right in found.values() if right is not None]
    assert len(set(numbers)) == 4
    for outside in ("00" * 16, "ff" * 16):
        assert SNAPSHOT.find(BadgeId(outside)) is None


def test_in_an_empty_snapshot_nobody_is_found():
    assert replace(SNAPSHOT, rows=b"").find(BadgeId("00" * 16)) is None


@pytest.mark.parametrize("snapshot", [SNAPSHOT, WITH_CARD], ids=["badges", "card"])
def test_a_snapshot_is_read_back(snapshot: Snapshot):
    assert Snapshot.read(snapshot.payload()) == snapshot


def test_neither_rows_nor_tokens_are_in_what_is_printed():
    assert "rows" not in repr(WITH_CARD)
    assert "cards" not in repr(WITH_CARD)
    assert "statuses" not in repr(standing())


def _fields(payload: bytes) -> dict[int, Any]:
    found = cose.decode(payload, bounds=SNAPSHOT_BOUNDS)
    assert isinstance(found, dict)
    return found


def _point(at: int, value: Any) -> Callable[[Mapping[int, Any]], dict[int, Any]]:
    """One item of the first access point changed."""

    def changed(fields: Mapping[int, Any]) -> dict[int, Any]:
        first, *others = fields[8]
        return {8: [[*first[:at], value, *first[at + 1 :]], *others]}

    return changed


MISTAKES: Mapping[str, Callable[[Mapping[int, Any]], dict[int, Any]]] = {
    "another version": lambda _: {0: 2},
    "a version that is true": lambda _: {0: True},
    "a site that is none": lambda _: {1: "Vector Fort"},
    "a gate that is none": lambda _: {2: ""},
    "a negative version": lambda _: {3: -1},
    "issued in no year": lambda _: {4: 1 << 60},
    "an end before the beginning": lambda fields: {6: fields[5]},
    "an end in the year 10000": lambda _: {6: 253_402_300_800},
    "an alert state beyond 255": lambda _: {7: 256},
    "points in a map": lambda _: {8: {}},
    "a point twice": lambda fields: {8: [fields[8][0], fields[8][0]]},
    "a point with too little": lambda fields: {8: [fields[8][0][:5], fields[8][1]]},
    "a point with too much": lambda fields: {8: [[*fields[8][0], 0], fields[8][1]]},
    "alone for more than a week": _point(1, 604_801),
    "open for more than a minute": _point(2, 60_001),
    "a scope without a name": _point(3, [""]),
    "a target in capitals": _point(4, "Yard"),
    "a passback of one item": _point(5, [None]),
    "a passback of more than a week": _point(5, [604_801, ["yard"]]),
    "a passback zone that is a number": _point(5, [None, [7]]),
    "a tenant that is none": lambda _: {9: ["Army", "school"]},
    "no tenants": lambda _: {9: []},
    "hours of half a stretch": lambda fields: {10: [[*fields[10][0], 253_402_300_799], fields[10][1]]},
    "hours that stand still": lambda fields: {10: [[5, 5], fields[10][1]]},
    "hours that fall": lambda fields: {10: [[5, 9, 7, 20], fields[10][1]]},
    "no hours": lambda _: {10: []},
    "a class of no tenant": lambda fields: {11: [[2, fields[11][0][1]], fields[11][1]]},
    "a class with a point twice": lambda fields: {11: [[0, [[0, 0], [0, 1]]], fields[11][1]]},
    "a class with a point that is not there": lambda fields: {11: [[0, [[2, 0]]], fields[11][1]]},
    "a class with hours that are not there": lambda fields: {11: [[0, [[0, 2]]], fields[11][1]]},
    "a class that refers below zero": lambda fields: {11: [[-1, []], fields[11][1]]},
    "a row that is not whole": lambda _: {12: ROW[:-1]},
    "rows of one badge": lambda _: {12: ROW * 2},
    "rows that fall": lambda _: {12: b"\x22" + ROW[1:] + ROW},
    "a row of no class": lambda _: {12: ROW[:-1] + b"\x02"},
    "rows in a list": lambda _: {12: [ROW]},
    "a key too many": lambda _: {15: 0},
}


@pytest.mark.parametrize("changes", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_snapshot_makes_it_none(changes: Callable[[Mapping[int, Any]], dict[int, Any]]):
    fields = _fields(SNAPSHOT.payload())
    assert isinstance(Snapshot.read(cose.encode(fields)), Snapshot)
    assert isinstance(Snapshot.read(cose.encode({**fields, **changes(fields)})), MessageMalformed)


def card_row(
    number: bytes = b"card", end: int = 5, *, technology: int = 0, length: int | None = None
) -> bytes:
    """The row of a card, as it may be written."""
    says = len(number) if length is None else length
    return bytes((technology, says)) + number.ljust(16, b"\0") + end.to_bytes(4, "big")


CARDS: Mapping[str, tuple[Any, Any]] = {
    "half a row": (card_row()[:-1], b"token"),
    "a card twice": (card_row() + card_row(end=10), b"tokenother"),
    "cards that fall": (card_row(b"dear") + card_row(b"card", 10), b"tokenother"),
    "a card of no technology": (card_row(technology=2), b"token"),
    "a card without a number": (card_row(b""), b"token"),
    "a number of 17 bytes": (card_row(b"card", length=17), b"token"),
    "a number that is longer than it says": (card_row(b"card", length=3), b"token"),
    "a card without a token": (card_row(end=0), b""),
    "a token that is too long": (card_row(end=1025), bytes(1025)),
    "a token that ends before it begins": (card_row() + card_row(b"dear", 4), b"token"),
    "a token that goes on after the end": (card_row(end=6), b"token"),
    "a token that is nobody's": (card_row(), b"token and more"),
    "tokens without cards": (b"", b"token"),
    "cards in a list": ([card_row()], b"token"),
    "tokens in a list": (card_row(), [b"token"]),
}


@pytest.mark.parametrize(("rows", "tokens"), CARDS.values(), ids=CARDS)
def test_a_mistake_in_its_cards_makes_a_snapshot_none(rows: Any, tokens: Any):
    fields = _fields(SNAPSHOT.payload())
    assert isinstance(Snapshot.read(cose.encode({**fields, 13: card_row(), 14: b"token"})), Snapshot)
    assert isinstance(Snapshot.read(cose.encode({**fields, 13: rows, 14: tokens})), MessageMalformed)


CARD_NUMBERS = st.builds(Card, st.sampled_from(CardTechnology), st.binary(min_size=1, max_size=16))


@given(st.dictionaries(CARD_NUMBERS, st.binary(min_size=1, max_size=1024), max_size=12), CARD_NUMBERS)
def test_every_card_leads_to_its_own_token_and_no_other_number_to_any(known: dict[Card, bytes], other: Card):
    cards = KnownCards.of(known)
    assert len(cards) == len(known)
    assert {card: cards.token_of(card) for card in (*known, other)} == {other: None} | known
    read = Snapshot.read(replace(SNAPSHOT, cards=cards).payload())
    assert isinstance(read, Snapshot)
    assert read.cards == cards


def test_a_number_that_differs_in_a_zero_at_its_end_is_another_card():
    one, other = (Card(CardTechnology.MIFARE, number) for number in (b"\x01", b"\x01\0"))
    cards = KnownCards.of({one: b"token of one", other: b"of the other"})
    assert (cards.token_of(one), cards.token_of(other)) == (b"token of one", b"of the other")


@pytest.mark.parametrize("missing", range(15))
def test_a_snapshot_without_one_of_its_fields_is_none(missing: int):
    fields = _fields(SNAPSHOT.payload())
    del fields[missing]
    assert isinstance(Snapshot.read(cose.encode(fields)), MessageMalformed)


STANDING_MISTAKES: Mapping[str, dict[int, Any]] = {
    "another version": {0: 2},
    "a site that is none": {1: ""},
    "a negative version": {2: -1},
    "issued in no year": {3: 1 << 60},
    "an alert state that is a word": {4: "calm"},
    "lockdowns in a text": {5: "site"},
    "a lockdown of no scope": {5: [""]},
    "a lockdown of 65 characters": {5: ["a" * 65]},
    "a suspended tenant that is none": {6: ["School"]},
    "status lists in a list": {7: []},
    "a status list of no tenant": {7: {"": b"list"}},
    "a status list that is empty": {7: {"army": b""}},
    "a trust list that is true": {8: True},
    "a gate that is none": {9: {"Front": 1}},
    "a gate of no version": {9: {"front": None}},
    "a key too many": {10: 0},
}


@pytest.mark.parametrize("changes", STANDING_MISTAKES.values(), ids=STANDING_MISTAKES)
def test_a_mistake_in_a_standing_makes_it_none(changes: dict[int, Any]):
    fields = cose.decode(standing().payload(), bounds=STANDING_BOUNDS)
    assert isinstance(fields, dict)
    assert Standing.read(cose.encode(fields)) == standing()
    assert isinstance(Standing.read(cose.encode({**fields, **changes})), MessageMalformed)


@pytest.mark.parametrize("octets", [b"", b"\xa0", b"\x80", b"\xff", bytes(100)])
def test_what_is_no_map_of_ours_is_neither(octets: bytes):
    assert isinstance(Snapshot.read(octets), MessageMalformed)
    assert isinstance(Standing.read(octets), MessageMalformed)


def test_a_row_is_as_long_as_the_contract_says():
    assert ROW_BYTES == len(ROW) == 24
