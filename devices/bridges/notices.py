"""What a bridge noticed, counted by its code and said in the gate's log once.

A device that sends rubbish ten times a second fills no log. What it sends is said nowhere: it may hold a number or a name.
"""

from collections import Counter
from typing import Final

import structlog

from devices.bridges.overheard import Overheard

__all__ = ["Notices"]

_ROUTINE: Final = frozenset({Overheard.OTHER, Overheard.REPEATED})
"""What every healthy device does all day."""


class Notices:
    """What one bridge has noticed since it started."""

    def __init__(self, kind: str) -> None:
        self._log = structlog.get_logger().bind(bridge=kind)
        #: how often each thing was noticed
        self.counted: Counter[Overheard] = Counter()

    def notice(self, what: Overheard) -> None:
        """Count it; the first time it is worth a word, say it."""
        self.counted[what] += 1
        if self.counted[what] == 1 and what not in _ROUTINE:
            self._log.warning("a device behind the bridge", noticed=what.value)
