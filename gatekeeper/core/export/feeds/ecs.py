"""Entries in the Elastic Common Schema, version 8.17: one JSON object each.

Field names are the schema's; what it has no name for stands under `gatekeeper`. `event.category` and `event.type` have only
values that the schema allows (https://www.elastic.co/docs/reference/ecs).
"""

from typing import Any, Final

import orjson

from gatekeeper.core.audit import timestamp
from gatekeeper.core.export.feeds.classes import Weight, class_of, message_of, weight_of
from gatekeeper.core.export.feeds.entries import PublicEntry

__all__ = ["ecs"]

_VERSION: Final = "8.17.0"
_OURS: Final = ("access_point", "from", "to", "status", "why", "by", "approved_by", "scope", "on", "policy")
_NUMBERS: Final = ("assurance", "grant", "count")
_LISTS: Final = ("reasons", "shadow")


def ecs(entry: PublicEntry, program: str) -> bytes:
    """The record of an entry; `program` is this program's version."""
    happened = entry.happened
    return orjson.dumps(
        _filled(
            {
                "@timestamp": timestamp(happened.at),
                "ecs": {"version": _VERSION},
                "message": message_of(entry),
                "labels": {"rendering": "lossy"},
                "tags": ["lossy-rendering"],
                "event": _event(entry),
                "observer": {
                    "vendor": "Gatekeeper",
                    "product": "Gatekeeper",
                    "version": program,
                    "type": "access-control",
                    "name": entry.told("gate"),
                },
                "organization": {"id": entry.told("tenant")},
                "user": {"name": entry.told("author"), "domain": entry.told("by")},
                "gatekeeper": {
                    "site": entry.site,
                    "clock": happened.clock.value,
                    **{name: entry.told(name) for name in _OURS},
                    **{name: entry.number(name) for name in _NUMBERS},
                    **{name: entry.listed(name) for name in _LISTS},
                },
            }
        )
    )


def _event(entry: PublicEntry) -> dict[str, Any]:
    seen, weight = class_of(entry), weight_of(entry)
    return {
        "kind": "alert" if weight is Weight.ALARM else "event",
        "category": [] if seen.category is None else [seen.category],
        "type": list(seen.types),
        "outcome": seen.outcome,
        "action": entry.kind or "entry.altered",
        "reason": entry.told("reason"),
        "severity": weight.severity,
        "created": entry.at,
        "id": entry.id,
        "sequence": entry.seq,
        "hash": entry.leaf,
        "module": "gatekeeper",
        "dataset": "gatekeeper.log",
        "provider": "gatekeeper",
    }


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what is not said."""
    told = {name: _filled(one) if isinstance(one, dict) else one for name, one in document.items()}
    return {name: one for name, one in told.items() if one not in (None, [], {})}
