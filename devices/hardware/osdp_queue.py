"""What waits to be sent to one OSDP reader, as dictionaries of libosdp. Pure.

    output (a strike)    in the order in which it was said, before all else
    lamp, buzzer, other  the newest of each kind: what was to be shown before it is not any more

INVARIANT: no lamp and no buzzer keeps a strike's command from being sent. What makes room for a strike's command is an older
one of the same output, which the newer undoes: so the last word on an output, to hold above all, is never lost.
"""

from collections import deque
from collections.abc import Hashable
from typing import Any, Final, TypeAlias

from devices.hardware.osdp_format import LED, OUTPUT

__all__ = ["MOST_FOR_AN_OUTPUT", "CommandQueue"]

MOST_FOR_AN_OUTPUT: Final = 16
_Command: TypeAlias = dict[str, Any]


class CommandQueue:
    """Commands of one reader until the library takes them."""

    def __init__(self) -> None:
        self._outputs: Final[dict[int, deque[_Command]]] = {}
        self._others: Final[dict[Hashable, _Command]] = {}

    def put(self, command: _Command) -> None:
        """Have a command wait."""
        if command["command"] == OUTPUT:
            waiting = self._outputs.setdefault(command["output_no"], deque(maxlen=MOST_FOR_AN_OUTPUT))
            waiting.append(command)
            return
        kind = _kind(command)
        # To the end: a lamp that is lit for a while is lit after the one that stays, or the reader shows the other.
        self._others.pop(kind, None)
        self._others[kind] = command

    @property
    def first(self) -> _Command | None:
        """What is to be sent next; None when nothing waits."""
        outputs = next((waiting[0] for waiting in self._outputs.values() if waiting), None)
        return outputs or next(iter(self._others.values()), None)

    def took(self, command: _Command) -> None:
        """The library has taken the first."""
        if command["command"] == OUTPUT:
            self._outputs[command["output_no"]].popleft()
        else:
            del self._others[_kind(command)]

    def clear(self) -> None:
        """The reader is not there: nothing waits for it."""
        self._outputs.clear()
        self._others.clear()


def _kind(command: _Command) -> Hashable:
    """What a newer command stands for instead: a lamp lit for a while is another matter than what it falls back to."""
    if command["command"] == LED:
        return LED, command["reader"], command["led_number"], command["temporary"]
    return command["command"], command.get("reader"), command.get("type")
