"""Lines of a bundle have one spelling each, and an entry is never taken for one of them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.export import (
    GAP_STARTS,
    Absent,
    Gap,
    Opening,
    gap_line,
    opening_line,
    read_gap,
    read_opening,
)
from gatekeeper.transparency import subtrees_of

HASH = bytes(range(32))
SPELLED = base64.b64encode(HASH).decode()


@given(why=st.sampled_from(Absent), start=st.integers(0, 2**40), width=st.integers(1, 2**40))
def test_a_gap_is_read_as_it_was_written(why: Absent, start: int, width: int):
    hashes = [HASH] * len(subtrees_of(start, start + width))
    line = gap_line(why, start, start + width, hashes)
    assert line.startswith(GAP_STARTS)
    assert line.startswith(b'{"%b":[' % why.encode())
    assert read_gap(line) == Gap(why, start, start + width, hashes)


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
        '{"expired":[4,8],"hashes":["%s","%s"]}',
        '{"gone":[4,8],"hashes":["%s"]}',
    ],
)
def test_any_other_spelling_is_read_as_nothing(line: str):
    assert read_gap(line.replace("%s", SPELLED).encode()) is None


def test_a_hash_with_stray_bits_is_read_as_nothing():
    good = gap_line(Absent.WITHHELD, 4, 8, [HASH])
    assert read_gap(good) is not None
    assert read_gap(good.replace(SPELLED.encode(), SPELLED[:-2].encode() + b"9=")) is None


@given(index=st.integers(0, 2**62), plaintext=st.binary(max_size=40).filter(lambda it: b"\n" not in it))
def test_an_opening_is_read_byte_for_byte(index: int, plaintext: bytes):
    assert read_opening(opening_line(index, plaintext)) == Opening(index, plaintext)


@pytest.mark.parametrize(
    "line", [b'{"index":01,"opening":{}}', b'{"index":1,"opening":{}} ', b'{"opening":{},"index":1}', b""]
)
def test_an_opening_in_another_spelling_is_none(line: bytes):
    assert read_opening(line) is None
