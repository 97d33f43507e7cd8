"""JSON as the devices behind bridges write it, read strictly: one object, each name once, no number that is none. Pure.

Everything that is wrong raises ValueError; what it says is for developers, for a device's text goes into no log.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

__all__ = ["Member", "members", "read_object"]

_SPACE: Final = " \t\r\n"


class Member(NamedTuple):
    """A name's value, and the text of it as it stands."""

    value: Any
    text: str


def read_object(payload: bytes) -> dict[str, Any]:
    """Read the one object that a payload is. Raises ValueError."""
    try:
        written = json.loads(payload.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    match written:
        case dict():
            return written
        case _:
            raise ValueError("not an object")


def members(payload: bytes) -> dict[str, Member]:
    """Read an object whose values' very text matters, because something is signed over it. Raises ValueError.

    `json` tells what a value is, and not where it stands: so the outermost object is read here, and each value by `json`.
    """
    text = payload.decode("utf-8")
    found: dict[str, Member] = {}
    at = _expect(text, 0, "{")
    while True:
        name, at = _value(text, at)
        if not isinstance(name, str) or name in found:
            raise ValueError("not a name, or a name that stands twice")
        start = _past_space(text, _expect(text, at, ":"))
        value, at = _value(text, start)
        found[name] = Member(value, text[start:at])
        at = _past_space(text, at)
        if text[at : at + 1] == "}":
            break
        at = _expect(text, at, ",")
    if _past_space(text, at + 1) != len(text):
        raise ValueError("something stands behind the object")
    return found


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, _past_space(text, at))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _expect(text: str, at: int, character: str) -> int:
    at = _past_space(text, at)
    if text[at : at + 1] != character:
        raise ValueError(f"not a {character}")
    return at + 1


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    written = dict(pairs)
    if len(written) != len(pairs):
        raise ValueError("a name stands twice")
    return written


def _refuse(_constant: str) -> Any:
    raise ValueError("not a number")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)
