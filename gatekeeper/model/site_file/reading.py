"""Reading strictly: every value demanded in its form, every problem kept with its place, nothing guessed.

A file is mended in one go, so a problem does not stop the reading of what stands beside it, and one mistake is told once.
A problem reads `file:line: table, key: what is wrong`, where the file is known.

INVARIANT: what could not be read stands as None, or as less of a list, in what is made of it, whatever its type says;
nothing that was made leaves this package before `Reading.raise_if_wrong` found nothing wrong.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from gatekeeper.model.site_file.lines import Lines, Place

__all__ = ["Reading", "SiteFileError", "Table", "is_read", "only", "tables_of"]

_T = TypeVar("_T")
_U = TypeVar("_U")
_A_TABLE = "a table is wanted, such as { key = value }"


class SiteFileError(Exception):
    """A site file that gives no policy; `problems` says everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        """Keep all problems; the message lists them one a line."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Reading:
    """One pass over a file; collects problems with their places."""

    def __init__(self, document: object, lines: Lines | None) -> None:
        """Begin to read; what is no table at all is refused at once."""
        if not isinstance(document, Mapping):
            raise SiteFileError([f"the file: {_A_TABLE}"])
        self.document: Mapping[str, Any] = document
        self._lines = lines
        self._told: dict[str, int] = {}

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong so far, each once, from the top of the file down where its lines are known."""
        return sorted(self._told, key=self._told.__getitem__)

    def problem(self, said: str, what: str, place: Place, key: str = "") -> None:
        """Keep a problem."""
        if self._lines is None:
            self._told[f"{said}: {what}"] = 0
        else:
            line = self._lines.line(place, key)
            self._told[f"{self._lines.pointing(place, key)}: {said}: {what}"] = line

    def one(self, name: str) -> "Table | None":
        """The table of a name, if it is there."""
        source = self.document.get(name)
        if isinstance(source, Mapping):
            return Table(self, name, (name,), source)
        if name in self.document:
            self.problem(name, f"a table is wanted, written [{name}]", (name,))
        return None

    def each(self, *path: str) -> Iterator["Table"]:
        """The tables of a list, each with what to call it and where it stands."""
        said = " ".join(path)
        found = tables_of(self.document, *path)
        if found is None or not all(isinstance(source, Mapping) for source in found):
            self.problem(said, f"tables are wanted, each written [[{'.'.join(path)}]]", path)
        for number, source in enumerate(found or (), 1):
            place: Place = (*path, number)
            if not isinstance(source, Mapping):
                continue
            name = source.get("id")
            yield Table(self, f"{said} {name if isinstance(name, str) else number}", place, source)

    def raise_if_wrong(self) -> None:
        """Raise SiteFileError with everything that was kept."""
        if self._told:
            raise SiteFileError(self.problems)


def tables_of(document: Mapping[str, Any], *path: str) -> list[Any] | None:
    """What stands in a list of tables, or None when it is no list."""
    within: Any = document
    for name in path[:-1]:
        within = within.get(name, {})
        if not isinstance(within, Mapping):
            return []
    found = within.get(path[-1], [])
    return list(found) if isinstance(found, list | tuple) else None


def is_read(value: object) -> bool:
    """Whether a value could be read, whatever its type says."""
    return value is not None


class Table:
    """A table of the file, read key by key; what is wrong is told at its key, and the reading goes on."""

    def __init__(self, reading: Reading, said: str, place: Place, source: Mapping[str, Any]) -> None:
        self._reading = reading
        self._source = source
        self._unknown: list[str] = []
        self._wrong: set[str] = set()
        self.said = said
        self.place = place

    def __contains__(self, key: str) -> bool:
        return key in self._source

    @property
    def is_sound(self) -> bool:
        """Whether nothing was wrong so far, in this table itself."""
        return not self._wrong

    def __iter__(self) -> Iterator[str]:
        return iter(self._source)

    def unknown(self, key: str, what: str) -> None:
        """Tell of a key that there is not."""
        self._unknown.append(key)
        self.problem(key, what)

    def problem(self, key: str, what: str) -> None:
        """Tell what is wrong at a key."""
        self._wrong.add(key)
        self._reading.problem(f"{self.said}, {key}", what, self.place, key)

    def missing(self, key: str, why: str = "") -> None:
        """Tell that a key is missing, unless it is there and misspelt: that is told already."""
        self._wrong.add(key)
        if not any(_is_misspelt(key, unknown) for unknown in self._unknown):
            self._reading.problem(self.said, f"{key} is missing{why}", self.place)

    def demand(self, holds: Callable[[], bool], what: str, *keys: str) -> None:
        """Tell what does not go together, at the first of some keys; when one of them is wrong, that was told already."""
        if self._wrong.isdisjoint(keys) and not holds():
            self.problem(keys[0], what)

    def read(self, key: str, form: Callable[[Any], _T]) -> _T:
        """The value of a key."""
        if key not in self._source:
            self.missing(key)
            return cast("_T", None)
        try:
            return form(self._source[key])
        except ValueError as error:
            self.problem(key, str(error))
            return cast("_T", None)

    def maybe(self, key: str, form: Callable[[Any], _T], otherwise: _U) -> _T | _U:
        """The value of a key that may be missing."""
        return self.read(key, form) if key in self._source else otherwise

    def each(self, key: str, form: Callable[[Any], _T]) -> tuple[_T, ...]:
        """The values of a list; a text is no list of its letters."""
        found: list[_T] = []
        for value in self._list(key):
            try:
                found.append(form(value))
            except ValueError as error:
                self.problem(key, str(error))
        return tuple(found)

    def maybe_each(self, key: str, form: Callable[[Any], _T]) -> tuple[_T, ...]:
        """The values of a list that may be missing."""
        return self.each(key, form) if key in self._source else ()

    def inner(self, key: str, read: Callable[["Table"], _T]) -> _T | None:
        """What a table inside this one says."""
        source = self._source.get(key)
        if isinstance(source, Mapping):
            return read(Table(self._reading, f"{self.said}, {key}", (*self.place, key), source))
        if key in self._source:
            self.problem(key, _A_TABLE)
        else:
            self.missing(key)
        return None

    def maybe_inner(self, key: str, read: Callable[["Table"], _T]) -> _T | None:
        """What a table inside this one says, which may be missing."""
        return self.inner(key, read) if key in self._source else None

    def inner_each(self, key: str, read: Callable[["Table"], _T]) -> tuple[_T, ...]:
        """What the tables of a list inside this one say."""
        found: list[_T] = []
        for number, source in enumerate(self._list(key), 1):
            if isinstance(source, Mapping):
                place: Place = (*self.place, key, number)
                found.append(read(Table(self._reading, f"{self.said}, {key} {number}", place, source)))
            else:
                self.problem(key, f"{number} is no table, such as {{ key = value }}")
        return tuple(found)

    def maybe_inner_each(self, key: str, read: Callable[["Table"], _T]) -> tuple[_T, ...]:
        """What the tables of a list inside this one say, which may be missing."""
        return self.inner_each(key, read) if key in self._source else ()

    def _list(self, key: str) -> list[Any]:
        if key not in self._source:
            self.missing(key)
            return []
        value = self._source[key]
        if not isinstance(value, list | tuple):
            self.problem(key, "a list is wanted, written [ ... ]")
            return []
        return list(value)


def only(table: Table, *keys: str) -> None:
    """Refuse a table with any other key: a misspelt rule must not silently be no rule."""
    for key in table:
        if key not in keys:
            table.unknown(key, f"unknown key {key!r}; the keys here are {', '.join(keys)}")


def _is_misspelt(key: str, unknown: str) -> bool:
    """Whether a key is likely to be another with two letters wrong at most, in whatever order."""
    wanted, written = Counter(key), Counter(unknown)
    return ((wanted - written) + (written - wanted)).total() <= 2
