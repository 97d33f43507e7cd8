"""What a reader told that presented nothing: counted by why, and said in the gate's log for whoever installs it.

The first of each kind is said, then the tenth, the hundredth and so on: a wire that hums fills no log. What was read is never
said.
"""

from collections import Counter
from enum import StrEnum
from typing import Final

import structlog

__all__ = ["Misreads"]


class Misreads(Counter[StrEnum]):
    """The counts of one reader; `reader` is how the log calls it."""

    def __init__(self, **reader: str | int) -> None:
        super().__init__()
        self._log: Final = structlog.get_logger().bind(**reader)

    def note(self, why: StrEnum) -> None:
        """Count one."""
        self[why] += 1
        times = self[why]
        if str(times).strip("0") == "1":
            self._log.info("read, and no badge", why=why.value, times=times)
