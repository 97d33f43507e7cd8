"""The grammar of schemas/cddl/gatekeeper.cddl: as much of RFC 8610 as that file uses, and an error for anything else."""

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Word:
    """A rule by name, with what its parameters stand for."""

    name: str
    given: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Literal:
    value: int | str


@dataclass(frozen=True)
class Span:
    least: int
    most: int


@dataclass(frozen=True)
class Control:
    of: Any
    name: str
    by: Any


@dataclass(frozen=True)
class Choice:
    among: tuple[Any, ...]


@dataclass(frozen=True)
class Tagged:
    tag: int
    of: Any


@dataclass(frozen=True)
class Named:
    """`&group`: any of the values that a group names."""

    group: str


@dataclass(frozen=True)
class Entry:
    """One line of a group; without a key it is an item of an array, or in a map a group to read in its place."""

    least: int
    most: int | None
    key: Any
    of: Any


@dataclass(frozen=True)
class Array:
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Map:
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Group:
    entries: tuple[Entry, ...]


_TOKENS = re.compile(
    r'\s+|;[^\n]*|(?P<token>"[^"]*"|#6\.\d+|-?\d+|\.\.|\.[a-z]+|=>|[A-Za-z][A-Za-z0-9_-]*|[][(){}<>=:,/?*+&])'
)


class Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at = 0
        while at < len(text):
            found = _TOKENS.match(text, at)
            if found is None:
                raise ValueError(f"not CDDL as this file writes it: {text[at : at + 40]!r}")
            if found["token"] is not None:
                self._tokens.append(found["token"])
            at = found.end()
        self._at = 0

    def rules(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        rules = {}
        while self._at < len(self._tokens):
            name = self._next()
            parameters = self._list("<", ">", self._next) if self._sees("<") else ()
            self._must("=")
            assert name not in rules, f"{name} is written twice"
            rules[name] = (parameters, self._group() if self._begins_group() else self._type())
        return rules

    # -- tokens -------------------------------------------------------------------------------------------------------

    def _sees(self, *tokens: str) -> bool:
        return tuple(self._tokens[self._at : self._at + len(tokens)]) == tokens

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _took(self, token: str) -> bool:
        if self._sees(token):
            self._at += 1
            return True
        return False

    def _must(self, token: str) -> None:
        assert self._took(token), f"{token} expected at {self._tokens[self._at : self._at + 6]}"

    def _list(self, begin: str, end: str, one: Any) -> tuple[Any, ...]:
        self._must(begin)
        items = []
        while not self._took(end):
            items.append(one())
            self._took(",")
        return tuple(items)

    # -- grammar ------------------------------------------------------------------------------------------------------

    def _begins_group(self) -> bool:
        return self._sees("(") and (
            self._tokens[self._at + 2] in {":", ","} or self._tokens[self._at + 1] == "?"
        )

    def _group(self) -> Group:
        return Group(self._list("(", ")", self._entry))

    def _entry(self) -> Entry:
        least, most = self._occurrence()
        following = self._tokens[self._at + 1]
        if following == ":":
            word = self._next()
            self._must(":")
            key = Literal(int(word)) if re.fullmatch(r"-?\d+", word) else Literal(word.strip('"'))
            return Entry(least, most, key, self._type())
        of = self._type()
        return Entry(least, most, of, self._type()) if self._took("=>") else Entry(least, most, None, of)

    def _occurrence(self) -> tuple[int, int | None]:
        for mark, bounds in (("?", (0, 1)), ("*", (0, None)), ("+", (1, None))):
            if self._took(mark):
                return bounds
        if self._tokens[self._at].isdigit() and self._tokens[self._at + 1] == "*":
            least, _, most = int(self._next()), self._next(), int(self._next())
            return least, most
        return 1, 1

    def _type(self) -> Any:
        among = [self._controlled()]
        while self._took("/"):
            among.append(self._controlled())
        return among[0] if len(among) == 1 else Choice(tuple(among))

    def _controlled(self) -> Any:
        of = self._plain()
        if self._took(".."):
            return Span(of.value, self._plain().value)
        if self._tokens[self._at : self._at + 1] and self._tokens[self._at].startswith("."):
            return Control(of, self._next(), self._plain())
        return of

    def _plain(self) -> Any:
        if self._sees("{"):
            return Map(self._list("{", "}", self._entry))
        if self._sees("["):
            return Array(self._list("[", "]", self._entry))
        if self._took("("):
            of = self._type()
            self._must(")")
            return of
        if self._took("&"):
            return Named(self._next())
        word = self._next()
        if word.startswith("#6."):
            self._must("(")
            tagged = Tagged(int(word.removeprefix("#6.")), self._type())
            self._must(")")
            return tagged
        if word.startswith('"'):
            return Literal(word.strip('"'))
        if re.fullmatch(r"-?\d+", word):
            return Literal(int(word))
        if word == "true":
            return Literal(value=True)
        return Word(word, self._list("<", ">", self._plain) if self._sees("<") else ())
