"""What holds of deterministic CBOR for all values and all bytes."""

import cbor2
from hypothesis import example, given
from hypothesis import strategies as st

from gatekeeper.cose import Bounds, Refused, decode, encode

ROOMY = Bounds(max_bytes=1 << 20, max_depth=64, max_items=1 << 16)

integers = st.integers(min_value=-(2**64), max_value=2**64 - 1)
edges = st.sampled_from([23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, -24, -25, -256, -257])
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
keys = integers | edges | text
values = st.recursive(
    integers | edges | text | st.binary(max_size=300) | st.booleans() | st.none(),
    lambda items: st.lists(items, max_size=30) | st.dictionaries(keys, items, max_size=30),
    max_leaves=40,
)


def same(left: object, right: object) -> bool:
    """Compare types too: to Python `1` and `True` are equal."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


@given(values)
def test_what_is_written_is_read_back(value: object):
    assert same(decode(encode(value), bounds=ROOMY), value)


@given(values)
def test_another_implementation_reads_what_we_write(value: object):
    assert same(cbor2.loads(encode(value)), value)


@given(st.dictionaries(keys, st.none(), max_size=40))
def test_keys_are_written_in_the_bytewise_order_of_their_encodings(value: dict[int | str, None]):
    encoded = [cbor2.dumps(key) for key in cbor2.loads(encode(value))]
    assert encoded == sorted(encoded)


@given(st.binary(max_size=200))
@example(b"\xa2\x01\x00\xf5\x00")
@example(b"\xc4\x82\x1a\x3b\x9a\xca\x00\x01")
def test_reading_never_raises_and_what_is_read_has_no_other_encoding(data: bytes):
    value = decode(data)
    assert isinstance(value, Refused) or encode(value) == data


@given(values, st.data())
def test_a_changed_byte_is_refused_or_means_something_else(value: object, data: st.DataObject):
    encoded = encode(value)
    at = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:at] + bytes((encoded[at] ^ data.draw(st.integers(1, 255)),)) + encoded[at + 1 :]
    again = decode(changed, bounds=ROOMY)
    assert isinstance(again, Refused) or not same(again, value)


@given(values, st.integers(1, 1000))
def test_the_start_of_an_item_is_refused(value: object, cut: int):
    encoded = encode(value)
    assert isinstance(decode(encoded[:-cut], bounds=ROOMY), Refused)
