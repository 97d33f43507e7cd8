"""Badges: the claims of each class as they are written and read, and what is no badge whoever signed it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.model.badges import (
    MAX_TOKEN_BYTES,
    Assurance,
    Badge,
    Card,
    CardTechnology,
    ClaimsRefused,
    claims_of,
    read_badge,
)
from gatekeeper.model.people import HolderKind
from tests.support.sites import BADGES, issue

KEY_BOUND, BEARER, NUMBER = BADGES["sergeant"].badge, BADGES["pupil"].badge, BADGES["van"].badge
PRIVATE = -65537


def written(badge: Badge) -> bytes:
    return cose.encode(claims_of(badge))


def altered(badge: Badge, change: Callable[[dict[int, Any]], object]) -> bytes:
    claims = claims_of(badge)
    change(claims)
    return cose.encode(claims)


@pytest.mark.parametrize(
    "badge",
    [
        KEY_BOUND,
        BEARER,
        NUMBER,
        replace(KEY_BOUND, assurance=Assurance.KEY_BOUND_AND_VERIFIED, requires_trusted_time=True),
        replace(KEY_BOUND, epoch=0, ceiling=0, status_index=0),
        replace(KEY_BOUND, expires=KEY_BOUND.not_before + timedelta(days=1), status_index=None),
        replace(NUMBER, card=Card(CardTechnology.WIEGAND, bytes(16))),
        *(replace(BEARER, kind=kind) for kind in HolderKind),
    ],
)
def test_a_badge_is_read_as_it_was_written(badge: Badge):
    assert read_badge(written(badge)) == badge


def test_every_token_fits_its_bound():
    largest = issue("x" * 32, "a" * 32, by="army issuer", epoch=(1 << 64) - 1, status_index=(1 << 64) - 1)
    assert len(largest.token) <= MAX_TOKEN_BYTES


def test_the_numbers_on_a_badge_stay_what_they_are():
    assert [(int(one), one.name) for one in Assurance] == list(
        enumerate(["CARD_NUMBER", "BEARER", "KEY_BOUND", "KEY_BOUND_AND_VERIFIED"])
    )
    assert MAX_TOKEN_BYTES == 1024


def test_no_name_no_subject_and_no_right_stand_on_a_badge():
    for badge in (KEY_BOUND, BEARER, NUMBER):
        assert set(claims_of(badge)) <= {1, 3, 4, 5, 6, 7, 8, 65535, PRIVATE}
        assert set(claims_of(badge)[PRIVATE]) <= {1, 2, 3, 4, 5, 6, 7}


def test_a_badges_key_is_its_own():
    read = read_badge(written(KEY_BOUND))
    assert isinstance(read, Badge)
    assert read.confirmation is not None
    assert (read.confirmation.use, read.confirmation.owner) == ("badge", KEY_BOUND.id)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x80", b"\xa0", b"\x01"])
def test_bytes_that_are_no_claims_are_refused(payload: bytes):
    assert isinstance(read_badge(payload), ClaimsRefused)


CHANGES: dict[str, Callable[[dict[int, Any]], object]] = {
    **{f"without claim {claim}": lambda claims, claim=claim: claims.pop(claim) for claim in (1, 3, 4, 5, 6, 7, PRIVATE)},
    "without a status though good for months": lambda claims: claims.pop(65535),
    "a subject": lambda claims: claims.update({2: "Jan"}),
    "an unknown claim": lambda claims: claims.update({99: 0}),
    "an unknown private field": lambda claims: claims[PRIVATE].update({8: 0}),
    "an issuer of another form": lambda claims: claims.update({1: "army"}),
    "an audience of another form": lambda claims: claims.update({3: "fort"}),
    "an end before its beginning": lambda claims: claims.update({4: claims[5] - 1}),
    "an end at its beginning": lambda claims: claims.update({4: claims[5]}),
    "a date in text": lambda claims: claims.update({4: "2026"}),
    "a date beyond the calendar": lambda claims: claims.update({4: 1 << 62}),
    "a short id": lambda claims: claims.update({7: bytes(15)}),
    "a long id": lambda claims: claims.update({7: bytes(17)}),
    "a status without its place": lambda claims: claims.update({65535: {"status_list": {"uri": "x"}}}),
    "a status that says more": lambda claims: claims[65535].update({"more": 1}),
    "a status place that is no number": lambda claims: claims[65535]["status_list"].update({"idx": True}),
    "a negative status place": lambda claims: claims[65535]["status_list"].update({"idx": -1}),
    **{f"without field {number}": lambda claims, number=number: claims[PRIVATE].pop(number) for number in range(1, 7)},
    "another version": lambda claims: claims[PRIVATE].update({1: 2}),
    "a version that is true": lambda claims: claims[PRIVATE].update({1: True}),
    "a ceiling of six": lambda claims: claims[PRIVATE].update({2: 6}),
    "a ceiling below zero": lambda claims: claims[PRIVATE].update({2: -1}),
    "an assurance of four": lambda claims: claims[PRIVATE].update({3: 4}),
    "an unknown kind": lambda claims: claims[PRIVATE].update({4: len(HolderKind)}),
    "a kind that is true": lambda claims: claims[PRIVATE].update({4: True}),
    "a negative epoch": lambda claims: claims[PRIVATE].update({5: -1}),
    "trusted time in numbers": lambda claims: claims[PRIVATE].update({6: 1}),
    "no private map": lambda claims: claims.update({PRIVATE: []}),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_badge_with_one_wrong_claim_is_none(what: str):
    for badge in (KEY_BOUND, BEARER, NUMBER):
        assert isinstance(read_badge(altered(badge, CHANGES[what])), ClaimsRefused), badge.assurance


@pytest.mark.parametrize(
    ("badge", "change"),
    [
        (KEY_BOUND, lambda claims: claims.pop(8)),
        (KEY_BOUND, lambda claims: claims[PRIVATE].update({3: 1})),
        (BEARER, lambda claims: claims[PRIVATE].update({3: 2})),
        (BEARER, lambda claims: claims.update({8: claims_of(KEY_BOUND)[8]})),
        (BEARER, lambda claims: claims[PRIVATE].update({3: 0})),
        (BEARER, lambda claims: claims[PRIVATE].update({7: [0, b"card"]})),
        (NUMBER, lambda claims: claims[PRIVATE].pop(7)),
        (NUMBER, lambda claims: claims[PRIVATE].update({3: 1})),
        (NUMBER, lambda claims: claims[PRIVATE].update({3: 2})),
    ],
)
def test_a_key_is_bound_from_assurance_2_and_a_number_stands_at_0_and_only_there(
    badge: Badge, change: Callable[[dict[int, Any]], object]
):
    assert isinstance(read_badge(altered(badge, change)), ClaimsRefused)


@pytest.mark.parametrize(
    "card",
    [
        [],
        [0],
        [0, b""],
        [0, bytes(17)],
        [2, b"x"],
        [-1, b"x"],
        [True, b"x"],
        [0, "x"],
        [0, b"x", 1],
        b"x",
        None,
    ],
)
def test_what_is_no_card_number_is_refused(card: object):
    payload = altered(NUMBER, lambda claims: claims[PRIVATE].update({7: card}))
    assert isinstance(read_badge(payload), ClaimsRefused)


@pytest.mark.parametrize(
    "confirmation",
    [
        {},
        {1: {}},
        {1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}},
        {1: {1: 1, -1: 6, -2: bytes(32)}},
        {2: b"x"},
    ],
)
def test_a_key_that_may_not_be_used_makes_no_badge(confirmation: object):
    payload = altered(KEY_BOUND, lambda claims: claims.update({8: confirmation}))
    assert isinstance(read_badge(payload), ClaimsRefused)


def test_a_day_needs_no_status_and_a_second_more_does():
    day = replace(KEY_BOUND, expires=KEY_BOUND.not_before + timedelta(days=1), status_index=None)
    assert isinstance(read_badge(written(day)), Badge)
    longer = replace(day, expires=day.expires + timedelta(seconds=1))
    assert isinstance(read_badge(written(longer)), ClaimsRefused)
