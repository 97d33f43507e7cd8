"""An entry as a feed may tell of it: its public body, held to the one spelling in which the log writes bodies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gatekeeper.core.audit import canonical_json, timestamp
from gatekeeper.core.happened import Happened, happened
from gatekeeper.model.ids import SiteId
from gatekeeper.transparency import leaf_hash

__all__ = ["PublicEntry", "read_public"]

_KIND: Final = re.compile(r"[a-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicEntry:
    """An entry without anything personal. `document` are its bytes; `kind` is None when they are no entry of this place."""

    site: SiteId
    seq: int
    at: str
    kind: str | None
    document: bytes
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What names the entry, in this log and no other."""
        return f"{self.site}/{self.seq}"

    @property
    def leaf(self) -> str:
        """The hash of the leaf that its bytes are, in hex."""
        return leaf_hash(self.document).hex()

    @property
    def instant(self) -> datetime:
        """When it was committed."""
        return datetime.fromisoformat(self.at)

    @property
    def happened(self) -> Happened:
        """When what it tells of happened, which may be long before."""
        return happened(self.body, logged=self.instant)

    def told(self, name: str) -> str | None:
        """What the body says under a name, as text; None for nothing."""
        return _text(self.body.get(name))

    def number(self, name: str) -> int | None:
        """The number that the body says under a name."""
        found = self.body.get(name)
        return found if type(found) is int else None

    def listed(self, name: str) -> list[str]:
        """The words that the body lists under a name."""
        found = self.body.get(name)
        return [one for one in found if type(one) is str] if isinstance(found, list) else []

    @property
    def where(self) -> str | None:
        """The access point it speaks of, else the gate."""
        return self.told("access_point") or self.told("gate")


def read_public(site: SiteId, seq: int, at: datetime, document: bytes) -> PublicEntry:
    """Read an entry as it is stored under this number. What was altered into something else has no kind and no body."""
    body = _body(document)
    if body is None or body.get("site") != site or body.get("seq") != seq or not _is_timed(body):
        return PublicEntry(site=site, seq=seq, at=timestamp(at), kind=None, document=document)
    return PublicEntry(site=site, seq=seq, at=body["at"], kind=body["kind"], document=document, body=body)


def _body(document: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(document)
        return body if isinstance(body, dict) and canonical_json(body) == document else None
    except (ValueError, TypeError):
        return None


def _is_timed(body: Mapping[str, Any]) -> bool:
    kind, at = body.get("kind"), body.get("at")
    if type(kind) is not str or type(at) is not str or not _KIND.fullmatch(kind):
        return False
    try:
        return timestamp(datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)) == at
    except ValueError:
        return False


def _text(found: Any) -> str | None:
    match found:
        case bool():
            return "yes" if found else "no"
        case int():
            return str(found)
        case str():
            return found or None
        case _:
            return None
