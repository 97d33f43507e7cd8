"""Lines of a bundle have one spelling each, and an entry is never taken for one of them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.export import (
    WITHHELD_START,
    Opening,
    Withheld,
    opening_line,
    read_opening,
    read_withheld,
    withheld_line,
)
from gatekeeper.transparency import subtrees_of

HASH = bytes(range(32))
SPELLED = base64.b64encode(HASH).decode()


@given(start=st.integers(0, 2**40), width=st.integers(1, 2**40))
def test_what_is_withheld_is_read_as_it_was_written(start: int, width: int):
    hashes = [HASH] * len(subtrees_of(start, start + width))
    line = withheld_line(start, start + width, hashes)
    assert line.startswith(WITHHELD_START)
    assert read_withheld(line) == Withheld(start, start + width, hashes)


@pytest.mark.parametrize(
    "line",
    [
        '{"withheld":[4,4],"hashes":["%s"]}',
        '{"withheld":[5,4],"hashes":["%s"]}',
        '{"withheld":[04,8],"hashes":["%s"]}',
        '{"withheld":[-4,8],"hashes":["%s"]}',
        '{"withheld":[4,8], "hashes":["%s"]}',
        '{"withheld":[4,8],"hashes":["%s","%s"]}',
        '{"withheld":[4,8],"hashes":[]}',
        '{"withheld":[4,8],"hashes":["%s",]}',
        '{"withheld":[4,8],"hashes":["%s"]}\r',
        '{"withheld":[4,8],"hashes":["%s"],"more":1}',
        '{"hashes":["%s"],"withheld":[4,8]}',
    ],
)
def test_any_other_spelling_is_read_as_nothing(line: str):
    assert read_withheld(line.replace("%s", SPELLED).encode()) is None


def test_a_hash_with_stray_bits_is_read_as_nothing():
    good = withheld_line(4, 8, [HASH])
    assert read_withheld(good) is not None
    assert read_withheld(good.replace(SPELLED.encode(), SPELLED[:-2].encode() + b"9=")) is None


@given(index=st.integers(0, 2**62), plaintext=st.binary(max_size=40).filter(lambda it: b"\n" not in it))
def test_an_opening_is_read_byte_for_byte(index: int, plaintext: bytes):
    assert read_opening(opening_line(index, plaintext)) == Opening(index, plaintext)


@pytest.mark.parametrize(
    "line", [b'{"index":01,"opening":{}}', b'{"index":1,"opening":{}} ', b'{"opening":{},"index":1}', b""]
)
def test_an_opening_in_another_spelling_is_none(line: bytes):
    assert read_opening(line) is None
