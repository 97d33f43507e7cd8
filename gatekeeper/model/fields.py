"""Fields of decoded CBOR, read strictly: each in its exact type and range, or a ValueError or TypeError.

CBOR's true is no number here, a number no text, and a time one that a calendar has. Who reads a signed document catches
`WRONG` around it, and refuses the document: whoever signed it, what it says is data.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from gatekeeper.model.ids import is_name

__all__ = [
    "HIGHEST_LEVEL",
    "MOST",
    "UINT",
    "WRONG",
    "blob",
    "duration",
    "each",
    "exactly",
    "milliseconds",
    "moment",
    "name",
    "octets",
    "second",
    "text",
    "typed",
    "whole",
]

WRONG: Final = (KeyError, ValueError, TypeError, IndexError, OverflowError)
MOST: Final = 1 << 53
UINT: Final = (1 << 64) - 1
HIGHEST_LEVEL: Final = 5
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LAST_SECOND: Final = 253_402_300_799  # the year 9999
_DAY_MS: Final = 86_400_000
_T = TypeVar("_T")
_U = TypeVar("_U")


def typed(value: object, kind: type[_T]) -> _T:
    """A value of exactly this type."""
    if type(value) is not kind:
        raise TypeError(f"not {kind.__name__}")
    return value


def whole(value: object, most: int = MOST, *, least: int = 0) -> int:
    """A whole number within bounds."""
    number = typed(value, int)
    if not least <= number <= most:
        raise ValueError("number out of range")
    return number


def octets(value: object, length: int) -> bytes:
    """So many bytes."""
    found = typed(value, bytes)
    if len(found) != length:
        raise ValueError(f"not {length} bytes")
    return found


def blob(value: object, most: int, *, least: int = 0) -> bytes:
    """Bytes, and not too many."""
    found = typed(value, bytes)
    if not least <= len(found) <= most:
        raise ValueError(f"not {least} to {most} bytes")
    return found


def text(value: object, most: int) -> str:
    """A text with something in it, and not too much."""
    found = typed(value, str)
    if not 0 < len(found) <= most:
        raise ValueError("text length")
    return found


def name(value: object) -> str:
    """A name, as things are named here."""
    found = typed(value, str)
    if not is_name(found):
        raise ValueError("not a name")
    return found


def each(value: object, read: Callable[[object], _U]) -> tuple[_U, ...]:
    """A list, each item read."""
    return tuple(read(item) for item in typed(value, list))


def exactly(value: object, count: int) -> list[object]:
    """A list of so many items."""
    found = typed(value, list)
    if len(found) != count:
        raise ValueError(f"not {count} items")
    return found


def second(value: object) -> datetime:
    """An instant in whole seconds since 1970; of a date that a calendar has."""
    return _EPOCH + timedelta(seconds=whole(value, _LAST_SECOND, least=-62_135_596_800))


def moment(value: object) -> datetime:
    """An instant in whole milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=whole(value, _LAST_SECOND * 1000))


def milliseconds(at: datetime) -> int:
    """An instant as `moment` reads it."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def duration(value: object) -> timedelta:
    """A duration in milliseconds, a day at most."""
    return timedelta(milliseconds=whole(value, _DAY_MS))
