"""Where things stand in a site file: the line of a table and of a key in it, so that a problem can be pointed at.

It reads no values and is no TOML parser: it looks for lines that begin a table, a key, or an inline table in a list, as
people write them. What it does not find has the line of what is around it.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias

__all__ = ["Lines", "Place"]

Place: TypeAlias = tuple[str | int, ...]
"""A table: ("zone", 3) is the third [[zone]], ("tenant", 2, "agreement") what the second [[tenant]] agreed to, and
("profile", 1, "grants", 2) the second table in a list."""

_NAMES: Final = r"""["']?[A-Za-z0-9_-]+["']?(?:\s*\.\s*["']?[A-Za-z0-9_-]+["']?)*"""
_TABLE: Final = re.compile(rf"\s*(\[\[?)\s*({_NAMES})\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(rf"\s*({_NAMES})\s*=")
_TOKEN: Final = re.compile(
    r'"""|' + r"'''|" + r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'|#.*|[\[\]{}]"
)  # strings, comments, brackets
_LONG: Final = ('"""', "'''")


@dataclass(slots=True)
class Lines:
    """The lines of one file by table and key."""

    file: str
    _known: dict[tuple[Place, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, *, file: str) -> "Lines":
        """Look through a file's text."""
        lines = cls(file)
        counted = Counter[Place]()
        table: Place = ()
        value = _Value(())
        for number, line in enumerate(text.split("\n"), 1):
            if value.goes_on:
                lines._items(value, line, number)
            elif (header := _TABLE.match(line)) is not None:
                table = _place(_parts(header[2]), header[1] == "[[", counted)
                lines._known.setdefault((table, ""), number)
            elif (key := _KEY.match(line)) is not None:
                *inner, name = _parts(key[1])
                for depth, part in enumerate(inner):
                    lines._known.setdefault(((*table, *inner[:depth]), part), number)
                lines._known.setdefault(((*table, *inner), name), number)
                value = _Value((*table, *inner, name))
                lines._items(value, line[key.end() :], number)
        return lines

    def _items(self, value: "_Value", line: str, number: int) -> None:
        for item in value.take(line):
            self._known.setdefault(((*value.place, item), ""), number)

    def pointing(self, place: Place, key: str = "") -> str:
        """`file:line`, as near as it is known."""
        line = self.line(place, key)
        return f"{self.file}:{line}" if line else self.file

    def line(self, place: Place, key: str = "") -> int:
        """The number of a line, as near as it is known; 0 when nothing is."""
        at, name = place, key
        while True:
            line = self._known.get((at, name)) or self._known.get((at, ""))
            if line is not None or not at:
                return line or 0
            at, name = at[:-1], str(at[-1])


@dataclass(slots=True)
class _Value:
    """A value that may go on over further lines."""

    place: Place
    _open: int = 0
    _items: int = 0
    _long: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether the next line belongs to it."""
        return self._open > 0 or self._long != ""

    def take(self, line: str) -> list[int]:
        """Read a line of it; the numbers of the tables that begin there."""
        begun: list[int] = []
        at = 0
        while at < len(line):
            if self._long:
                end = line.find(self._long, at)
                at = len(line) if end < 0 else end + 3
                self._long = self._long if end < 0 else ""
                continue
            mark = _TOKEN.search(line, at)
            if mark is None:
                break
            at = mark.end()
            self._see(mark[0], begun)
        return begun

    def _see(self, mark: str, begun: list[int]) -> None:
        if mark in _LONG:
            self._long = mark
        elif mark in "[{":
            if mark == "{" and self._open == 1:
                self._items += 1
                begun.append(self._items)
            self._open += 1
        elif mark in "]}":
            self._open -= 1


def _parts(names: str) -> list[str]:
    return [name.strip().strip("\"'") for name in names.split(".")]


def _place(names: list[str], repeated: bool, counted: Counter[Place]) -> Place:  # noqa: FBT001 - as the file has it
    """The table that a header opens; a table inside a repeated one belongs to its latest."""
    place: Place = ()
    for number, name in enumerate(names, 1):
        place = (*place, name)
        if repeated and number == len(names):
            counted[place] += 1
        if place in counted:
            place = (*place, counted[place])
    return place
