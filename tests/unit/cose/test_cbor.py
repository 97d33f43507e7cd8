"""Deterministic CBOR: what is written, and every way in which bytes are refused."""

import pytest

from gatekeeper.cose import DEFAULT, Bounds, Refusal, Refused, decode, encode

BOTH_WAYS = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (255, "18ff"),
    (256, "190100"),
    (65535, "19ffff"),
    (65536, "1a00010000"),
    (2**32, "1b0000000100000000"),
    (2**64 - 1, "1bffffffffffffffff"),
    (-1, "20"),
    (-25, "3818"),
    (-(2**64), "3bffffffffffffffff"),
    (b"", "40"),
    (b"\x01\x02", "420102"),
    ("", "60"),
    ("é", "62c3a9"),
    ([], "80"),
    ([1, [2, []]], "8201820280"),
    ({}, "a0"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    ({10: 0, 100: 1, -1: 2, "z": 3, "aa": 4}, "a50a001864012002617a0362616104"),  # RFC 8949, 4.2.1
]


@pytest.mark.parametrize(("value", "encoded"), BOTH_WAYS)
def test_a_value_has_one_encoding_and_reads_back(value: object, encoded: str):
    assert encode(value).hex() == encoded
    assert decode(bytes.fromhex(encoded)) == value


def test_map_keys_are_in_bytewise_order_and_not_shorter_first():
    # RFC 7049 would put the shorter -1 (20) before 256 (190100).
    assert encode({-1: 0, 256: 0}).hex() == "a2190100002000"
    assert decode(bytes.fromhex("a2200019010000")) == Refused(code=Refusal.CBOR_NOT_DETERMINISTIC)


def test_the_order_of_insertion_does_not_show():
    assert encode({1: "a", "b": 2, -1: 3}) == encode({-1: 3, "b": 2, 1: "a"})


@pytest.mark.parametrize(
    "value", [1.5, {1, 2}, bytearray(b"x"), object(), {True: 1}, {b"k": 1}, {None: 1}, [1.0]]
)
def test_a_type_without_a_deterministic_encoding_is_a_type_error(value: object):
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, "\ud800"])
def test_a_value_that_does_not_fit_is_a_value_error(value: object):
    with pytest.raises(ValueError):
        encode(value)


REFUSED = [
    ("", Refusal.CBOR_TRUNCATED, "nothing"),
    ("18", Refusal.CBOR_TRUNCATED, "head without argument"),
    ("1b00000000000000", Refusal.CBOR_TRUNCATED, "head with part of its argument"),
    ("4201", Refusal.CBOR_TRUNCATED, "byte string"),
    ("616161", Refusal.CBOR_TRAILING_BYTES, "text"),
    ("6261", Refusal.CBOR_TRUNCATED, "text"),
    ("8201", Refusal.CBOR_TRUNCATED, "array"),
    ("a101", Refusal.CBOR_TRUNCATED, "map without its value"),
    ("5bffffffffffffffff", Refusal.CBOR_TRUNCATED, "byte string of 16 EiB"),
    ("7bffffffffffffffff", Refusal.CBOR_TRUNCATED, "text of 16 EiB"),
    ("9bffffffffffffffff", Refusal.CBOR_TOO_MANY_ITEMS, "array of 2^64 items"),
    ("bbffffffffffffffff", Refusal.CBOR_TOO_MANY_ITEMS, "map of 2^64 pairs"),
    ("0000", Refusal.CBOR_TRAILING_BYTES, "two items"),
    ("8000", Refusal.CBOR_TRAILING_BYTES, "bytes after an array"),
    ("5f4101ff", Refusal.CBOR_NOT_DETERMINISTIC, "indefinite byte string"),
    ("7f6161ff", Refusal.CBOR_NOT_DETERMINISTIC, "indefinite text"),
    ("9f01ff", Refusal.CBOR_NOT_DETERMINISTIC, "indefinite array"),
    ("bf0102ff", Refusal.CBOR_NOT_DETERMINISTIC, "indefinite map"),
    ("1f", Refusal.CBOR_MALFORMED, "indefinite integer"),
    ("3f", Refusal.CBOR_MALFORMED, "indefinite negative integer"),
    ("1c", Refusal.CBOR_MALFORMED, "reserved argument"),
    ("9e", Refusal.CBOR_MALFORMED, "reserved argument of an array"),
    ("1817", Refusal.CBOR_NOT_DETERMINISTIC, "23 in two bytes"),
    ("1900ff", Refusal.CBOR_NOT_DETERMINISTIC, "255 in three bytes"),
    ("1a0000ffff", Refusal.CBOR_NOT_DETERMINISTIC, "65535 in five bytes"),
    ("1b00000000ffffffff", Refusal.CBOR_NOT_DETERMINISTIC, "32 bits in nine bytes"),
    ("3800", Refusal.CBOR_NOT_DETERMINISTIC, "-1 in two bytes"),
    ("580161", Refusal.CBOR_NOT_DETERMINISTIC, "length in two bytes"),
    ("b8010102", Refusal.CBOR_NOT_DETERMINISTIC, "number of pairs in two bytes"),
    ("a202000100", Refusal.CBOR_NOT_DETERMINISTIC, "unsorted integers"),
    ("a2616200616100", Refusal.CBOR_NOT_DETERMINISTIC, "unsorted text"),
    ("a220000100", Refusal.CBOR_NOT_DETERMINISTIC, "negative before positive"),
    ("a201000100", Refusal.CBOR_DUPLICATE_KEY, "integer twice"),
    ("a2616100616100", Refusal.CBOR_DUPLICATE_KEY, "text twice"),
    ("a20100f500", Refusal.CBOR_TYPE_NOT_ALLOWED, "1 and true as keys"),
    ("a1f600", Refusal.CBOR_TYPE_NOT_ALLOWED, "null as key"),
    ("a1410000", Refusal.CBOR_TYPE_NOT_ALLOWED, "bytes as key"),
    ("a1800000", Refusal.CBOR_TYPE_NOT_ALLOWED, "array as key"),
    ("c249010000000000000000", Refusal.CBOR_TYPE_NOT_ALLOWED, "bignum"),
    ("c4821b7fffffffffffffff01", Refusal.CBOR_TYPE_NOT_ALLOWED, "decimal bomb"),
    ("c4821a3b9aca0001", Refusal.CBOR_TYPE_NOT_ALLOWED, "decimal bomb of nine bytes"),
    ("d28443a10126a0f640", Refusal.CBOR_TYPE_NOT_ALLOWED, "tag 18"),
    ("d81c00", Refusal.CBOR_TYPE_NOT_ALLOWED, "shared reference"),
    ("f93c00", Refusal.CBOR_TYPE_NOT_ALLOWED, "half float"),
    ("fa3f800000", Refusal.CBOR_TYPE_NOT_ALLOWED, "float"),
    ("fb3ff0000000000000", Refusal.CBOR_TYPE_NOT_ALLOWED, "double"),
    ("f7", Refusal.CBOR_TYPE_NOT_ALLOWED, "undefined"),
    ("e0", Refusal.CBOR_TYPE_NOT_ALLOWED, "simple value 0"),
    ("f814", Refusal.CBOR_TYPE_NOT_ALLOWED, "false in two bytes"),
    ("ff", Refusal.CBOR_TYPE_NOT_ALLOWED, "break"),
    ("61ff", Refusal.CBOR_TEXT, "text that is not UTF-8"),
    ("63eda080", Refusal.CBOR_TEXT, "surrogate in UTF-8"),
    ("62c0af", Refusal.CBOR_TEXT, "overlong UTF-8"),
    ("a161ff00", Refusal.CBOR_TEXT, "key that is not UTF-8"),
]


@pytest.mark.parametrize(("encoded", "code", "what"), REFUSED)
def test_malformed_bytes_are_refused_by_a_stable_code(encoded: str, code: Refusal, what: str):
    assert decode(bytes.fromhex(encoded)) == Refused(code=code), what


@pytest.mark.parametrize(
    ("encoded", "code", "what"), [case for case in REFUSED if case[1] != "cbor-trailing-bytes"]
)
def test_malformed_bytes_are_refused_inside_a_container_too(encoded: str, code: Refusal, what: str):
    assert decode(b"\x81" + bytes.fromhex(encoded)) == Refused(code=code), what
    assert decode(b"\xa1\x01" + bytes.fromhex(encoded)) == Refused(code=code), what


def test_bounds_are_inclusive_and_one_more_is_refused():
    bounds = Bounds(max_bytes=8, max_depth=2, max_items=4)
    assert decode(b"\x47" + bytes(7), bounds=bounds) == bytes(7)
    assert decode(b"\x48" + bytes(8), bounds=bounds) == Refused(code=Refusal.CBOR_OVERSIZED)
    assert decode(b"\x81\x81\x00", bounds=bounds) == [[0]]
    assert decode(b"\x81\x81\x80", bounds=bounds) == Refused(code=Refusal.CBOR_TOO_DEEP)
    assert decode(b"\x83\x00\x00\x00", bounds=bounds) == [0, 0, 0]
    assert decode(b"\x84\x00\x00\x00\x00", bounds=bounds) == Refused(code=Refusal.CBOR_TOO_MANY_ITEMS)
    assert decode(b"\xa1\x00\x00", bounds=bounds) == {0: 0}
    assert decode(b"\xa2\x00\x00\x01\x00", bounds=bounds) == Refused(code=Refusal.CBOR_TOO_MANY_ITEMS)


def test_items_are_counted_over_all_containers():
    bounds = Bounds(max_bytes=99, max_depth=9, max_items=5)
    assert decode(bytes.fromhex("8281008100"), bounds=bounds) == [[0], [0]]
    assert decode(bytes.fromhex("82820000820000"), bounds=bounds) == Refused(code=Refusal.CBOR_TOO_MANY_ITEMS)


def test_the_default_refuses_what_no_gate_sends():
    assert decode(b"\x81" * DEFAULT.max_depth + b"\x80") == Refused(code=Refusal.CBOR_TOO_DEEP)
    assert decode(bytes(DEFAULT.max_bytes + 1)) == Refused(code=Refusal.CBOR_OVERSIZED)
    assert isinstance(decode(b"\x81" * (DEFAULT.max_depth - 1) + b"\x80"), list)
