"""JSON documents in the one spelling of the log."""

from typing import Any

import orjson

from gatekeeper.core.audit import canonical_json

__all__ = ["canonical_object"]


def canonical_object(document: bytes) -> dict[str, Any] | None:
    """Read an object in its canonical form; None for anything else, also for one that repeats a key."""
    try:
        found = orjson.loads(document)
        return found if type(found) is dict and canonical_json(found) == document else None
    except (ValueError, TypeError):
        return None
