"""What is typed at a keypad, until it belongs to a badge. Pure.

A PIN goes with a badge in either order:

    1 2 3 4 [#]  badge        typed first: it goes with the next badge, if that comes within ten seconds of the last key
    badge  1 2 3 4 #          typed after: the service has denied the badge for want of a PIN, and `#` presents it again

`*` forgets what was typed. Only a badge that was just denied for want of a PIN is presented again, once, and within twenty
seconds: else whoever comes after could type against somebody else's badge. A key-bound badge must still be at the reader, for it
proves itself anew.

Whether what was typed is a PIN is not asked here; the service alone can tell, and the gate seals it unread.
"""

from typing import Final, Generic, TypeVar

from devices.hardware.wiegand_format import Key

__all__ = ["Keypad"]

_FRESH: Final = 10.0
_PATIENCE: Final = 20.0
_MOST_DIGITS: Final = 8
_B = TypeVar("_B")


class Keypad(Generic[_B]):
    """The keys of one reader. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._typed = ""
        self._typed_at = 0.0
        self._last: _B | None = None
        self._asked: _B | None = None
        self._asked_at = 0.0

    def badge(self, badge: _B, *, at: float) -> str | None:
        """A badge is read: what was typed for it, or None."""
        pin = self._take(at)
        self._last, self._asked = badge, None
        return pin

    def asks_for_pin(self, *, at: float) -> None:
        """The badge that was read last is denied for want of a PIN."""
        self._asked, self._asked_at, self._last = self._last, at, None

    def answered(self) -> None:
        """The badge that was read last is answered otherwise."""
        self._last = self._asked = None

    def key(self, key: Key, *, at: float) -> tuple[_B, str] | None:
        """A key is pressed: the badge to present again with what was typed, when this completes it."""
        if at - self._typed_at > _FRESH:
            self._typed = ""
        self._typed_at = at
        if key is Key.STAR:
            self._typed = ""
        elif key is Key.HASH:
            return self._again(at)
        elif len(self._typed) <= _MOST_DIGITS:  # one more than a PIN has: too long stays wrong
            self._typed += key.value
        return None

    def _again(self, at: float) -> tuple[_B, str] | None:
        asked = self._asked
        if asked is None or at - self._asked_at > _PATIENCE:
            return None
        pin = self._take(at)
        if pin is None:
            return None
        self._last, self._asked = asked, None
        return asked, pin

    def _take(self, at: float) -> str | None:
        typed, self._typed = self._typed, ""
        return typed if typed and at - self._typed_at <= _FRESH else None
