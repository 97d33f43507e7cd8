"""Deterministic CBOR (RFC 8949, 4.2.1): one value has one encoding, and only that encoding is read.

    uint, nint (64 bits)   bstr   tstr (UTF-8)   array   map (keys uint, nint or tstr)   false true null

Nothing else exists here: no tags, no floats, no other simple values, no indefinite lengths. `decode` walks the heads of
all items before a parser builds any value, so that eight bytes cannot become a gigabyte and `{1: a, true: b}` cannot
collapse in a dict. What the values mean is not asked here; the tag of COSE_Sign1 is the business of `sign1`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cbor2

from gatekeeper.cose.refusal import Refusal, Refused

__all__ = ["DEFAULT", "Bounds", "decode", "encode", "encode_bytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a sender may make us do: bytes in all, nested containers, items of any kind (keys count)."""

    max_bytes: int
    max_depth: int
    max_items: int


DEFAULT: Final = Bounds(max_bytes=8192, max_depth=8, max_items=512)


def encode(value: object) -> bytes:
    """Encode deterministically (RFC 8949, 4.2.1): shortest heads, map keys in the bytewise order of their encodings.

    Raise TypeError for a value of a type outside the module's list, ValueError for an integer beyond 64 bits or text
    that UTF-8 cannot carry.
    """
    match value:
        case bytes():
            encoded = encode_bytes(value)
        case str():
            text = value.encode()
            encoded = _head(3, len(text)) + text
        case None | bool():
            encoded = _SIMPLE[value]
        case int():
            encoded = _head(0, value) if value >= 0 else _head(1, -1 - value)
        case list() | tuple():
            encoded = _head(4, len(value)) + b"".join([encode(item) for item in value])
        case dict() | Mapping():
            pairs = sorted([(_encode_key(key), encode(item)) for key, item in value.items()])
            encoded = _head(5, len(pairs)) + b"".join([part for pair in pairs for part in pair])
        case _:
            raise TypeError(f"{type(value).__name__} has no deterministic encoding here")
    return encoded


def encode_bytes(value: bytes) -> bytes:
    """Encode a byte string, as `encode` does: what signatures are made of, and nearly all of their cost."""
    return _head(2, len(value)) + value


def decode(data: bytes, *, bounds: Bounds = DEFAULT) -> Any | Refused:
    """Read one deterministically encoded item that fills `data`: int, bytes, str, list, dict, bool or None."""
    fault = _walk(data, bounds)
    if fault is not None:
        return Refused(code=fault)
    try:
        value = cbor2.loads(
            data, max_depth=bounds.max_depth + 1, allow_indefinite=False, allow_duplicate_keys=False
        )
    except cbor2.CBORDecodeError:
        return Refused(code=Refusal.CBOR_TEXT)  # all the walk has left to cbor2 to find
    # INVARIANT: a value is written back to the very bytes it was read from. (A dict keeps the order of the wire, which
    # the walk has checked; so this does not sort.)
    if cbor2.dumps(value) != data:
        return Refused(code=Refusal.CBOR_NOT_DETERMINISTIC)
    return value


_BYTES: Final = tuple(bytes((byte,)) for byte in range(256))
_SIMPLE: Final = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return _BYTES[major << 5 | argument]
    for info, size in (24, 1), (25, 2), (26, 4), (27, 8):
        if argument < 1 << 8 * size:
            return _BYTES[major << 5 | info] + argument.to_bytes(size, "big")
    raise ValueError("an integer or a length beyond 64 bits has no deterministic encoding here")


def _encode_key(key: object) -> bytes:
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise TypeError(f"{type(key).__name__} is no key of a map here")
    return encode(key)


def _initial_byte(initial: int) -> int | Refusal:
    """Return how many bytes of argument follow this initial byte, or why no item may start with it (RFC 8949, 3)."""
    major, info = initial >> 5, initial & 31
    if major == 6 or (major == 7 and info not in (20, 21, 22)):
        return Refusal.CBOR_TYPE_NOT_ALLOWED
    if info < 24:
        return 0
    if info < 28:
        return 1 << info - 24
    indefinite = info == 31 and major in (2, 3, 4, 5)
    return Refusal.CBOR_NOT_DETERMINISTIC if indefinite else Refusal.CBOR_MALFORMED


_INITIAL_BYTES: Final = tuple(_initial_byte(initial) for initial in range(256))
_LEAST: Final = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}  # below this a shorter head would do
_STRINGS: Final = (2, 3)
_CONTAINERS: Final = (4, 5)
_KEYS: Final = (0, 1, 3)


def _walk(data: bytes, bounds: Bounds) -> Refusal | None:  # noqa: C901, PLR0911, PLR0912 - one pass in one loop, read from top to bottom
    """Check every head, length, bound and key order without building a value; None when all is well."""
    size = len(data)
    if size > bounds.max_bytes:
        return Refusal.CBOR_OVERSIZED
    # The innermost open container: how many of its items are to come, and in a map the last key (an array has None).
    # In a map an even number to come means that the next item is a key.
    to_come, last_key = 1, None
    enclosing: list[tuple[int, bytes | None]] = []
    position, announced = 0, 1
    while True:
        while not to_come:
            if not enclosing:
                return None if position == size else Refusal.CBOR_TRAILING_BYTES
            to_come, last_key = enclosing.pop()
        if position == size:
            return Refusal.CBOR_TRUNCATED
        start, initial = position, data[position]
        width = _INITIAL_BYTES[initial]
        if isinstance(width, Refusal):
            return width
        major, argument = initial >> 5, initial & 31
        position += 1 + width
        if width:
            argument = int.from_bytes(data[start + 1 : position], "big")
            if position <= size and argument < _LEAST[width]:
                return Refusal.CBOR_NOT_DETERMINISTIC
        if major in _STRINGS:
            position += argument
        if position > size:
            return Refusal.CBOR_TRUNCATED
        if last_key is not None and not to_come & 1:
            if major not in _KEYS:
                return Refusal.CBOR_TYPE_NOT_ALLOWED
            key = data[start:position]
            if key <= last_key:
                return Refusal.CBOR_DUPLICATE_KEY if key == last_key else Refusal.CBOR_NOT_DETERMINISTIC
            last_key = key
        to_come -= 1
        if major in _CONTAINERS:
            children = argument if major == 4 else 2 * argument
            announced += children
            if announced > bounds.max_items:
                return Refusal.CBOR_TOO_MANY_ITEMS
            if len(enclosing) == bounds.max_depth:
                return Refusal.CBOR_TOO_DEEP
            enclosing.append((to_come, last_key))
            to_come, last_key = children, None if major == 4 else b""
