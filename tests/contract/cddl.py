"""schemas/cddl/gatekeeper.cddl, read three ways: as a judge of values, as a source of values, and by pycddl.

pycddl reads the file as RFC 8610 and must allow whatever is valid. It is not trusted with a no (0.6.4): it mixes up the keys
of alternatives that are maps, lets an empty map hold anything, and finds a regular expression anywhere in a text. So `allows`
judges by itself; it knows the part of CDDL that the file uses, and raises on anything else. `schema` spells out for pycddl
what it gets wrong even for valid values: anchors, numbers of a group, names as keys of a table, CBOR within an array,
ranges that begin below zero, one of several words, several times, and an item that may be nil behind a list.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cbor2
import pycddl
from hypothesis import strategies as st

from gatekeeper.cose import Bounds, Refused, decode, encode
from tests.contract.cddl_grammar import (
    Array,
    Choice,
    Control,
    Entry,
    Group,
    Literal,
    Map,
    Named,
    Reader,
    Span,
    Tagged,
    Word,
)

FILE = Path(__file__).parents[2] / "schemas" / "cddl" / "gatekeeper.cddl"
ROOMY = Bounds(max_bytes=1 << 24, max_depth=16, max_items=1 << 20)
WORD = 1 << 64
LONGEST = 2048  # bytes that are drawn at most; longer ones have tests of their own
PRELUDE = ("any", "bool", "bytes", "int", "nil", "tstr", "uint")


@cache
def text() -> str:
    return FILE.read_text("utf-8")


@cache
def rules() -> Mapping[str, tuple[tuple[str, ...], Any]]:
    return Reader(text()).rules()


def names_of(group: str) -> dict[str, int]:
    """The values that a group of named values holds, by name."""
    _, found = rules()[group]
    return {entry.key.value: entry.of.value for entry in found.entries}


def keys_of(rule: str) -> dict[int, bool]:
    """The keys of a map by number, and whether each must be there."""
    found = _resolve(Word(rule))
    assert isinstance(found, Map)
    return {entry.key.value: entry.least == 1 for entry in _flat(found.entries)}


def names_in(node: Any) -> Iterator[str]:
    """Every rule, parameter or word of the prelude that a rule's body names."""
    match node:
        case Word(name=name, given=given):
            yield name
            for one in given:
                yield from names_in(one)
        case Named(group=group):
            yield group
        case Choice(among=among):
            for one in among:
                yield from names_in(one)
        case Control(of=of, by=by):
            yield from (*names_in(of), *names_in(by))
        case Tagged(of=of):
            yield from names_in(of)
        case Array(entries=entries) | Map(entries=entries) | Group(entries=entries):
            for entry in entries:
                yield from (*names_in(entry.key), *names_in(entry.of))
        case _:
            pass


def _resolve(node: Any) -> Any:
    """Follow names to what they stand for, with their parameters filled in."""
    while isinstance(node, Word) and node.name not in PRELUDE:
        parameters, body = rules()[node.name]
        node = _filled(body, dict(zip(parameters, node.given, strict=True)))
    return node


def _filled(node: Any, given: Mapping[str, Any]) -> Any:
    if not given:
        return node
    match node:
        case Word(name=name, given=inner):
            return given.get(name) or Word(name, tuple(_filled(one, given) for one in inner))
        case Control(of=of, name=name, by=by):
            return Control(_filled(of, given), name, _filled(by, given))
        case Tagged(tag=tag, of=of):
            return Tagged(tag, _filled(of, given))
        case Choice(among=among):
            return Choice(tuple(_filled(one, given) for one in among))
        case Array(entries=entries) | Map(entries=entries) | Group(entries=entries):
            filled = [Entry(one.least, one.most, one.key, _filled(one.of, given)) for one in entries]
            return type(node)(tuple(filled))
        case _:
            return node


def _flat(entries: Sequence[Entry]) -> Iterator[Entry]:
    """The entries of a map, with the groups among them read in their places."""
    for entry in entries:
        of = _resolve(entry.of) if entry.key is None else None
        if isinstance(of, Group):
            yield from _flat(of.entries)
        else:
            yield entry


# -- as a judge -------------------------------------------------------------------------------------------------------


def allows(rule: str | Any, value: Any) -> bool:
    """Whether a rule allows a decoded value; a tagged one is a `cbor2.CBORTag`."""
    node = _resolve(Word(rule) if isinstance(rule, str) else rule)
    match node:
        case Word(name=name):
            return _is_of_prelude(name, value)
        case Literal(value=wanted):
            return type(value) is type(wanted) and value == wanted
        case Span(least=least, most=most):
            return type(value) is int and least <= value <= most
        case Named(group=group):
            return type(value) is int and value in names_of(group).values()
        case Choice(among=among):
            return any(allows(one, value) for one in among)
        case Tagged(tag=tag, of=of):
            return isinstance(value, cbor2.CBORTag) and value.tag == tag and allows(of, value.value)
        case Control(of=of, name=name, by=by):
            return allows(of, value) and _controls(name, by, value)
        case Array(entries=entries):
            return isinstance(value, list) and _array_allows(entries, value)
        case Map(entries=entries):
            return isinstance(value, dict) and _map_allows(tuple(_flat(entries)), value)
        case _:
            raise TypeError(f"a value cannot be held against {node}")


def _is_of_prelude(name: str, value: Any) -> bool:
    return {
        "any": True,
        "bool": isinstance(value, bool),
        "bytes": isinstance(value, bytes),
        "int": type(value) is int,
        "nil": value is None,
        "tstr": isinstance(value, str),
        "uint": type(value) is int and value >= 0,
    }[name]


def _controls(name: str, by: Any, value: Any) -> bool:
    match name, by:
        case ".size", Literal(value=size):
            return len(value) == size
        case ".size", Span(least=least, most=most):
            return least <= len(value) <= most
        case ".regexp", Literal(value=pattern):
            return re.fullmatch(str(pattern), value) is not None
        case ".cbor", _:
            content = _decoded(value)
            return not isinstance(content, Refused) and allows(by, content)
        case _:
            raise TypeError(f"{name} is not used in this file")


def _decoded(value: bytes) -> Any:
    return tagged(value) if value.startswith(b"\xd2") else decode(value, bounds=ROOMY)


def tagged(message: bytes) -> Any:
    """A COSE_Sign1, decoded; our own reader knows no tags, so its tag is put around by hand."""
    inner = decode(message[1:], bounds=ROOMY)
    return inner if isinstance(inner, Refused) else cbor_tag(inner)


def cbor_tag(parts: Any) -> cbor2.CBORTag:
    return cbor2.CBORTag(18, parts)


def _array_allows(entries: Sequence[Entry], value: list[Any]) -> bool:
    at = 0
    for entry in entries:
        taken = 0
        most = len(value) if entry.most is None else entry.most
        while taken < most and at < len(value) and allows(entry.of, value[at]):
            taken, at = taken + 1, at + 1
        if taken < entry.least:
            return False
    return at == len(value)


def _map_allows(entries: Sequence[Entry], value: dict[Any, Any]) -> bool:
    left = {(type(key), key): item for key, item in value.items()}
    for entry in entries:
        if isinstance(entry.key, Literal):
            known = (type(entry.key.value), entry.key.value)
            if known in left:
                if not allows(entry.of, left.pop(known)):
                    return False
            elif entry.least:
                return False
        else:
            fitting = [
                one for one, item in left.items() if allows(entry.key, one[1]) and allows(entry.of, item)
            ]
            for one in fitting:
                del left[one]
    return not left


# -- as a source ------------------------------------------------------------------------------------------------------


def values(rule: str | Any) -> st.SearchStrategy[Any]:
    """Every value that a rule allows, in time."""
    node = _resolve(Word(rule) if isinstance(rule, str) else rule)
    match node:
        case Choice(among=among):
            return st.one_of([values(one) for one in among])
        case Control():
            return _controlled(node)
        case Tagged(tag=tag, of=of):
            return values(of).map(lambda value: cbor2.CBORTag(tag, value))
        case Array(entries=entries):
            return st.tuples(*map(_items, entries)).map(lambda parts: [one for part in parts for one in part])
        case Map(entries=entries):
            return _maps(tuple(_flat(entries)))
        case _:
            return _plain(node)


def _plain(node: Any) -> st.SearchStrategy[Any]:
    match node:
        case Word(name=name):
            return _PRELUDE[name]
        case Literal(value=value):
            return st.just(value)
        case Span(least=least, most=most):
            return edged(least, most)
        case Named(group=group):
            return st.sampled_from(sorted(names_of(group).values()))
        case _:
            raise TypeError(f"no values can be made of {node}")


def _controlled(node: Control) -> st.SearchStrategy[Any]:
    match node:
        case Control(of=Word("bytes"), name=".size", by=by):
            size = by if isinstance(by, Span) else Span(by.value, by.value)
            return edged(size.least, min(size.most, LONGEST)).flatmap(
                lambda length: st.binary(min_size=min(length, 300), max_size=min(length, 300)).map(
                    lambda octets: octets.ljust(length, b"\0")
                )
            )
        case Control(of=Word("bytes"), name=".cbor", by=by):
            return values(by).map(written)
        case Control(of=Word("tstr"), name=".regexp", by=by):
            return _texts(by.value)
        case _:
            raise TypeError(f"no values can be made of {node}")


@cache
def _texts(pattern: str) -> st.SearchStrategy[str]:
    """Texts of a pattern, made ready once: a class that is all but a few characters holds a million of them."""
    return st.from_regex(pattern, fullmatch=True).filter(_is_text)


def edged(least: int, most: int) -> st.SearchStrategy[int]:
    """Numbers of a range, its ends as often as all the others."""
    return st.sampled_from([least, most]) | st.integers(least, most)


def written(value: Any) -> bytes:
    """A value as deterministic CBOR, a tagged one too."""
    return b"\xd2" + encode(value.value) if isinstance(value, cbor2.CBORTag) else encode(value)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _items(entry: Entry) -> st.SearchStrategy[list[Any]]:
    return st.lists(values(entry.of), min_size=entry.least, max_size=min(entry.most or 4, 4))


def _maps(entries: Sequence[Entry]) -> st.SearchStrategy[dict[Any, Any]]:
    fixed = [entry for entry in entries if isinstance(entry.key, Literal)]
    required = {entry.key.value: values(entry.of) for entry in fixed if entry.least}
    optional = {entry.key.value: values(entry.of) for entry in fixed if not entry.least}
    tables = [
        st.dictionaries(values(entry.key), values(entry.of), max_size=3)
        for entry in entries
        if not isinstance(entry.key, Literal)
    ]
    parts = [st.fixed_dictionaries(required, optional=optional), *tables]
    return st.tuples(*parts).map(lambda found: {key: one for part in found for key, one in part.items()})


_PRELUDE: Mapping[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "bytes": st.binary(max_size=64),
    "int": st.integers(-62_135_596_800, 253_402_300_799),
    "nil": st.none(),
    "tstr": st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    "uint": st.integers(0, WORD - 1),
}


# -- by pycddl --------------------------------------------------------------------------------------------------------


@cache
def schema(rule: str) -> pycddl.Schema:
    """The file for pycddl, which begins at the first rule: see the top for what it needs told."""
    enumerated = sorted(set(re.findall(r"&([a-z-]+)", text())))
    numbers = [f"number-of-{name} = {' / '.join(map(str, names_of(name).values()))}" for name in enumerated]
    whole = "\n".join([text().replace("&", "number-of-"), *numbers])
    whole = re.sub(r'\.regexp "([^"]*)"', r'.regexp "^(?:\1)$"', whole)
    whole = whole.replace("* name =>", "* tstr =>")
    whole = whole.replace("[+ role]", "[+ tstr]").replace("[0*8 at-door]", "[0*8 tstr]")
    whole = whole.replace("  local-passback,\n", "  any,\n")
    whole = re.sub(r"= -\d+\.\.\d+", "= int", whole)
    whole = re.sub(r"bytes \.cbor [a-z-]+(<[^>]*>)?", "bytes", whole)
    return pycddl.Schema(f"begin = {rule}\n{whole}")


def pycddl_allows(rule: str, value: Any) -> bool:
    """Whether pycddl allows a value that we allow; of alternatives it is asked about the one that is meant."""
    _, body = rules()[rule]
    if isinstance(body, Choice) and all(isinstance(one, Word) for one in body.among):
        meant = next(one for one in body.among if allows(one, value))
        return meant.name in PRELUDE or pycddl_allows(meant.name, value)
    try:
        schema(rule).validate_cbor(written(value))
    except pycddl.ValidationError:
        return False
    return True
