"""Feeds for systems that watch for incidents: entries in the words of others (`schemas/feeds.md`).

    entries    an entry as a feed may tell of it        classes        what each kind of entry is to them, and how grave
    ecs        Elastic Common Schema, JSON              cef            ArcSight's Common Event Format
    cloudevents  CloudEvents 1.0, JSON                  syslog         any of them as a message of RFC 5424

Every rendering is lossy and says so: it proves nothing, and names no holder, for it is made of public bodies alone. What
is sent is to be found again in the log by its `seq` and its leaf's hash, and is proved by an export of the log.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from gatekeeper.core.export.feeds.cef import cef
from gatekeeper.core.export.feeds.classes import (
    ANOTHER,
    CLASSES,
    UNREADABLE,
    Class,
    Weight,
    is_alarm,
    weight_of,
)
from gatekeeper.core.export.feeds.cloudevents import cloudevent
from gatekeeper.core.export.feeds.ecs import ecs
from gatekeeper.core.export.feeds.entries import PublicEntry, read_public
from gatekeeper.core.export.feeds.syslog import octet_counted, syslog_message

__all__ = [
    "ANOTHER",
    "CLASSES",
    "UNREADABLE",
    "Class",
    "Format",
    "PublicEntry",
    "Weight",
    "is_alarm",
    "octet_counted",
    "read_public",
    "record_of",
    "syslog_message",
    "weight_of",
]


class Format(StrEnum):
    """In whose words a feed speaks."""

    ECS = "ecs"
    CEF = "cef"
    CLOUDEVENTS = "cloudevents"


_RENDERERS: Final[Mapping[Format, Callable[[PublicEntry, str], bytes]]] = {
    Format.ECS: ecs,
    Format.CEF: cef,
    Format.CLOUDEVENTS: cloudevent,
}


def record_of(spelling: Format, entry: PublicEntry, *, program: str) -> bytes:
    """The record of an entry, on one line and without its end; `program` is this program's version."""
    return _RENDERERS[spelling](entry, program)
