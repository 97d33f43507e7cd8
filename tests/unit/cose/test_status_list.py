"""Token Status Lists: what is packed is read, and bytes that would inflate too far, or say more than a list, are none."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.cose.status_list import (
    INVALID,
    MAX_STATUS_BYTES,
    MOST_STATUSES,
    SUSPENDED,
    VALID,
    StatusList,
    read_status_list,
)

URI = "site:fort/t:army"
ROOMY = cose.Bounds(max_bytes=1 << 21, max_depth=4, max_items=64)


def claims(packed: bytes = bytes(4), **changes: object) -> bytes:
    """The claims of a list, with something else in them."""
    whole = {2: URI, 6: 1000, 65533: {"bits": 4, "lst": zlib.compress(packed)}}
    return cose.encode({**whole, **{int(key.removeprefix("c")): value for key, value in changes.items()}})


@given(st.dictionaries(st.integers(0, 3000), st.integers(0, 15), max_size=60))
def test_what_is_packed_is_read(statuses: dict[int, int]):
    listed = read_status_list(StatusList.of(URI, statuses, issued=1000).payload())
    assert isinstance(listed, StatusList)
    assert {index: listed.status(index) for index in statuses} == statuses
    assert (listed.uri, listed.issued) == (URI, 1000)
    highest = max(statuses, default=-1)
    assert {listed.status(index) for index in range(highest) if index not in statuses} <= {VALID}
    assert listed.status(highest + 2) is None


def test_the_lower_four_bits_of_a_byte_are_of_the_first_token():
    listed = StatusList.of(URI, {0: INVALID, 1: SUSPENDED, 2: 0x0B}, issued=0)
    assert listed.packed == bytes([0x21, 0x0B])


@pytest.mark.parametrize("index", [-1, MOST_STATUSES])
def test_an_index_beyond_any_list_is_packed_in_none(index: int):
    with pytest.raises(ValueError, match="two million"):
        StatusList.of(URI, {index: VALID}, issued=0)


def test_a_list_may_be_so_large_and_no_larger():
    bomb = zlib.compress(bytes(64 << 20), 9)
    assert len(bomb) < 70_000
    full = read_status_list(claims(bytes(MAX_STATUS_BYTES)), bounds=ROOMY)
    assert isinstance(full, StatusList)
    assert full.status(MOST_STATUSES - 1) == VALID
    for packed in (zlib.compress(bytes(MAX_STATUS_BYTES + 1)), bomb):
        refused = read_status_list(claims(c65533={"bits": 4, "lst": packed}), bounds=ROOMY)
        assert refused == cose.Refused(code=cose.Refusal.CWT_CLAIMS, detail="status list")


def _listed(lst: object, bits: object = 4, **more: object) -> dict[str, object]:
    return {"bits": bits, "lst": lst, **more}


WRONG = {
    "two bits": {"c65533": _listed(zlib.compress(b"1"), bits=2)},
    "true bits": {"c65533": _listed(zlib.compress(b"1"), bits=True)},
    "no bits": {"c65533": {"lst": zlib.compress(b"1")}},
    "a list that says more": {"c65533": _listed(zlib.compress(b"1"), aggregation_uri="https://example")},
    "bytes behind it": {"c65533": _listed(zlib.compress(b"1") + b"2")},
    "two streams": {"c65533": _listed(zlib.compress(b"1") * 2)},
    "half a stream": {"c65533": _listed(zlib.compress(b"123456")[:-1])},
    "no zlib": {"c65533": _listed(b"status")},
    "raw deflate": {"c65533": _listed(zlib.compress(b"1")[2:-4])},
    "nothing": {"c65533": _listed(b"")},
    "text": {"c65533": _listed("status")},
    "no list": {"c65533": None},
    "a URI in bytes": {"c2": URI.encode()},
    "a time that is text": {"c6": "now"},
    "a claim too many": {"c7": b"an id"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_claims_that_are_no_list_of_ours_are_refused(changes: dict[str, object]):
    assert isinstance(read_status_list(claims(**changes)), cose.Refused)


def test_a_list_that_is_longer_than_its_reader_allows_is_refused():
    refused = read_status_list(claims(), bounds=cose.Bounds(max_bytes=16, max_depth=4, max_items=64))
    assert isinstance(refused, cose.Refused)
    assert refused.code is cose.Refusal.CBOR_OVERSIZED
