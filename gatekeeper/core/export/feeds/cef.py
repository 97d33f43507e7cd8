r"""Entries in ArcSight's Common Event Format, version 0.

    CEF:0|Gatekeeper|Gatekeeper|VERSION|KIND|NAME|SEVERITY|key=value key=value ...

In the header `\` and `|` have a backslash before them, in a value `\` and `=`; an end of line in a value is `\n` or `\r`, and
the header has none. Other control characters have no spelling: U+FFFD stands for each, so that a record is one line
to whatever reads lines. Keys are the format's own; what it has none for goes into its custom strings and numbers.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from gatekeeper.core.export.feeds.classes import class_of, message_of, weight_of
from gatekeeper.core.export.feeds.entries import PublicEntry

__all__ = ["cef", "cef_header", "cef_value"]

_CONTROL: Final = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_IN_HEADER: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HEADER: Final = str.maketrans({"\\": "\\\\", "|": "\\|"})
_VALUE: Final = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ABSENT: Final = "\ufffd"


def cef(entry: PublicEntry, program: str) -> bytes:
    """The record of an entry; `program` is this program's version."""
    kind = entry.kind or "entry.altered"
    severity = str(weight_of(entry).severity)
    header = ("Gatekeeper", "Gatekeeper", program, kind, class_of(entry).name, severity)
    head = "|".join(["CEF:0", *map(cef_header, header)])
    said = " ".join(f"{key}={cef_value(value)}" for key, value in _extension(entry).items() if value)
    return f"{head}|{said}".encode()


def cef_header(text: str) -> str:
    """A field of the header, as it is spelled there."""
    return _CONTROL_IN_HEADER.sub(_ABSENT, text).translate(_HEADER)


def cef_value(text: str) -> str:
    """A value of the extension, as it is spelled there."""
    return _CONTROL.sub(_ABSENT, text).translate(_VALUE)


def _extension(entry: PublicEntry) -> dict[str, str | None]:
    seen = class_of(entry)
    return {
        "rt": _milliseconds(entry.instant),
        "start": _milliseconds(entry.happened.at),
        "externalId": str(entry.seq),
        "deviceFacility": entry.site,
        "deviceExternalId": entry.told("gate"),
        "cat": seen.category,
        "outcome": seen.outcome,
        "reason": entry.told("reason"),
        "suser": entry.told("author"),
        "sntdom": entry.told("by"),
        "msg": message_of(entry),
        **_labelled("cs1", "accessPoint", entry.told("access_point")),
        **_labelled("cs2", "from", entry.told("from")),
        **_labelled("cs3", "to", entry.told("to")),
        **_labelled("cs4", "tenant", entry.told("tenant")),
        **_labelled("cs5", "reasons", " ".join(entry.listed("reasons"))),
        **_labelled("cs6", "leafHash", entry.leaf),
        **_labelled("cn1", "assurance", _number(entry, "assurance")),
        **_labelled("cn2", "grant", _number(entry, "grant")),
        **_labelled("flexString1", "rendering", "lossy"),
        **_labelled("flexString2", "approvedBy", entry.told("approved_by")),
    }


def _labelled(key: str, label: str, value: str | None) -> dict[str, str | None]:
    return {f"{key}Label": label, key: value} if value else {}


def _number(entry: PublicEntry, name: str) -> str | None:
    found = entry.number(name)
    return None if found is None else str(found)


def _milliseconds(at: datetime) -> str:
    """Since 1970, which is how the format tells a time without a zone of its own; what is finer is cut off."""
    return str((at - _EPOCH) // timedelta(milliseconds=1))
