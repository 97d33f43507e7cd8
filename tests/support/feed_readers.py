"""What reads feeds as a stranger would: by the rules of the formats, and with nothing of the code that writes them."""

import re
from dataclasses import dataclass

__all__ = ["Cef", "Syslog", "frames", "read_cef", "read_syslog"]


@dataclass(frozen=True)
class Cef:
    """A record of the Common Event Format, its escapes undone."""

    header: list[str]
    extension: dict[str, str]


@dataclass(frozen=True)
class Syslog:
    """A message of RFC 5424, its escapes undone."""

    priority: int
    version: str
    timestamp: str
    hostname: str
    app_name: str
    process: str
    message_id: str
    elements: dict[str, dict[str, str]]
    message: bytes


def read_cef(text: str) -> Cef:
    """Read a record letter by letter: seven fields that end at a bare pipe, then pairs that begin at a bare equals sign."""
    fields, at = [""], 0
    while len(fields) < 8:
        letter = text[at]
        if letter == "\\":
            at += 1
            assert text[at] in "\\|", "only these two are escaped in a header"
            fields[-1] += text[at]
        elif letter == "|":
            fields.append("")
        else:
            fields[-1] += letter
        at += 1
    return Cef(fields[:7], _pairs(text[at:]))


def _pairs(text: str) -> dict[str, str]:
    """The pairs of an extension; a key is the word before an equals sign that has no backslash."""
    bare = [at for at, letter in enumerate(text) if letter == "=" and _backslashes_before(text, at) % 2 == 0]
    begins = [text.rfind(" ", 0, at) + 1 for at in bare]
    found = {}
    for begin, equals, behind in zip(begins, bare, [*begins[1:], len(text) + 1], strict=True):
        key = text[begin:equals]
        assert re.fullmatch(r"\w+", key), key
        assert key not in found, key
        found[key] = _unescaped(text[equals + 1 : behind - 1])
    return found


def _backslashes_before(text: str, at: int) -> int:
    return at - len(text[:at].rstrip("\\"))


def _unescaped(value: str) -> str:
    plain, letters = "", iter(value)
    for letter in letters:
        if letter == "\\":
            plain += {"\\": "\\", "=": "=", "n": "\n", "r": "\r"}[next(letters)]
        else:
            assert letter not in "=\r\n"
            plain += letter
    return plain


def read_syslog(message: bytes) -> Syslog:
    """Read a message by the grammar of RFC 5424, section 6."""
    found = re.match(
        rb"<(\d{1,3})>(1) (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) ", message
    )
    assert found, message
    head = [one.decode() for one in found.groups()]
    elements, rest = _elements(message[found.end() :])
    assert rest[:1] == b" "
    return Syslog(int(head[0]), *head[1:], elements, rest[1:])


def _elements(rest: bytes) -> tuple[dict[str, dict[str, str]], bytes]:
    elements: dict[str, dict[str, str]] = {}
    while rest.startswith(b"["):
        name = re.match(rb"\[([!#-<>-\\^-~]{1,32})", rest)
        assert name, rest
        parameters: dict[str, str] = {}
        rest = rest[name.end() :]
        while rest.startswith(b" "):
            key = re.match(rb' ([!#-<>-\\^-~]{1,32})="', rest)
            assert key, rest
            value, rest = _value(rest[key.end() :])
            parameters[key[1].decode()] = value
        assert rest[:1] == b"]", rest
        rest = rest[1:]
        elements[name[1].decode()] = parameters
    return elements, rest


def _value(rest: bytes) -> tuple[str, bytes]:
    plain, at = bytearray(), 0
    while rest[at : at + 1] != b'"':
        assert rest[at : at + 1] != b"]", "it must be escaped"
        at += rest[at : at + 1] == b"\\" and rest[at + 1 : at + 2] in {b'"', b"\\", b"]"}
        plain += rest[at : at + 1]
        at += 1
    return plain.decode(), rest[at + 1 :]


def frames(stream: bytes) -> list[bytes]:
    """The messages of a stream that counts octets (RFC 6587, section 3.4.1); one that is not whole is left out."""
    found = []
    while (head := re.match(rb"([1-9]\d*) ", stream)) and len(stream) >= head.end() + int(head[1]):
        found.append(stream[head.end() : head.end() + int(head[1])])
        stream = stream[head.end() + int(head[1]) :]
    assert not stream or re.match(rb"[1-9]\d*( |$)", stream), stream[:40]
    return found
