"""Where things stand in a site file: the line of a table and of a key in it, so that a problem can be pointed at.

It reads no values and is no TOML parser: it looks for lines that begin a table or a key, as people write them. What it
does not find has the line of what is around it.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias

__all__ = ["Lines", "Place"]

Place: TypeAlias = tuple[str | int, ...]
"""A table: ("zone", 3) is the third [[zone]], ("tenant", 2, "agreement") what the second [[tenant]] agreed to."""

_TABLE: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


@dataclass(slots=True)
class Lines:
    """The lines of one file by table and key."""

    file: str
    _known: dict[tuple[Place, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, *, file: str) -> "Lines":
        """Look through a file's text."""
        lines = cls(file)
        counted = Counter[str]()
        place: Place = ()
        for number, line in enumerate(text.splitlines(), 1):
            if (table := _TABLE.match(line)) is not None:
                names = table[1].split(".")
                if line.lstrip().startswith("[["):
                    counted[table[1]] += 1
                place = _place(names, counted)
                lines._known.setdefault((place, ""), number)
            elif (key := _KEY.match(line)) is not None:
                lines._known.setdefault((place, key[1]), number)
        return lines

    def pointing(self, place: Place, key: str = "") -> str:
        """`file:line`, as near as it is known."""
        for at, name in (
            (place, key),
            (place, ""),
            (place[:2], str(place[2]) if len(place) > 2 else ""),
            (place[:2], ""),
        ):
            line = self._known.get((at, name))
            if line is not None:
                return f"{self.file}:{line}"
        return self.file


def _place(names: list[str], counted: Counter[str]) -> Place:
    """The table that a header opens; a table inside a repeated one belongs to its latest."""
    head, rest = names[0], names[1:]
    if head not in counted:
        return tuple(names)
    inner = ".".join(names)
    if rest and inner in counted:  # [[population.group]]
        return (*names, counted[inner])
    return (head, counted[head], *rest)
