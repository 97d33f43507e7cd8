"""Which entries a filter gives: by access point, by what was decided, by one holder.

A filter is a choice of what to show, never of what is proved: what it leaves out stands in the bundle as hashes. Which
entries are about a holder only the personal parts say, so whoever filters by one has opened them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gatekeeper.core.log_export import KINDS_AT_DOOR, AtDoor
from gatekeeper.model.ids import HolderId

__all__ = ["EVERYTHING", "Selection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A filter; empty is everything. What is named under several heads must fit them all."""

    doors: tuple[str, ...] = ()
    decisions: tuple[AtDoor, ...] = ()
    holder: HolderId | None = None

    def __post_init__(self) -> None:
        """Let no filter exist in two spellings."""
        for names in (self.doors, self.decisions):
            if list(names) != sorted(set(names)):
                raise ValueError("The names of a filter rise, each once.")

    def __bool__(self) -> bool:
        return self != EVERYTHING

    def gives(self, body: Mapping[str, Any], opening: Mapping[str, Any] | None) -> bool:
        """Whether an entry is given; `opening` is its personal part where that can be read."""
        if self.doors and body.get("access_point") not in self.doors:
            return False
        if self.decisions and not any(body.get("kind") in KINDS_AT_DOOR[one] for one in self.decisions):
            return False
        return self.holder is None or (opening is not None and opening.get("holder") == self.holder)


EVERYTHING: Final = Selection()
