"""All that a site knows of one person, for that person: to read, and for a machine (GDPR, articles 15 and 20).

What stands in another's sealed part (whose guest one was, with whom one waited) is theirs, and is not opened for this; of
others in one's own entries only the number is told. Whether a badge or a PIN cries for help is not written where whoever
forces somebody could read it.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gatekeeper.core.audit import Kind, timestamp
from gatekeeper.core.happened import Happened, happened
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.model.reasons import Reason

__all__ = ["LOOKED_AT", "OwnData", "PersonEntry", "is_movement"]

LOOKED_AT: Final = frozenset({Kind.PERSON_LOOKED_UP.value, Kind.LOG_EXPORTED.value})
"""Entries that say that somebody looked at where a person was."""
_MOVEMENTS: Final = ("access.", "passage.")
_NOT_TOLD: Final = frozenset({"v", "nonce", "site", "personal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonEntry:
    """An entry that is about a person, with what is personal of it in the clear."""

    seq: int
    at: datetime
    kind: str
    body: Mapping[str, Any]
    personal: Mapping[str, Any]

    @property
    def happened(self) -> Happened:
        """When what it tells of happened, which may be long before it was logged."""
        return happened(self.body, logged=self.at)

    def document(self) -> dict[str, Any]:
        """The entry as JSON; without what only proves it, and with when it happened, and by whose clock."""
        said = {key: value for key, value in self.body.items() if key not in _NOT_TOLD}
        known = {key: value for key, value in self.personal.items() if key != "salt"}
        then = self.happened
        return {**said, "happened": timestamp(then.at), "happened_by": then.clock.value, "personal": known}


def is_movement(kind: str) -> bool:
    """Whether a kind of entry says where somebody was, or wanted to be."""
    return kind.startswith(_MOVEMENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnData:
    """What a site knows of a person, as of an instant; `entry` says that it was looked up for this."""

    site: SiteId
    holder: HolderId
    made_at: datetime
    entry: int
    registration: Mapping[str, Any]
    badges: Sequence[Mapping[str, Any]]
    whereabouts: Mapping[str, Any] | None
    photo: bytes | None
    entries: Sequence[PersonEntry]

    @property
    def movements(self) -> Iterable[PersonEntry]:
        """Where they were, and wanted to be."""
        return (entry for entry in self.entries if is_movement(entry.kind))

    @property
    def lookings(self) -> Iterable[PersonEntry]:
        """Who looked at that, and what for."""
        return (entry for entry in self.entries if entry.kind in LOOKED_AT)

    @property
    def others(self) -> Iterable[PersonEntry]:
        """What else the log says of them."""
        told = (entry for entry in self.entries if not is_movement(entry.kind))
        return (entry for entry in told if entry.kind not in LOOKED_AT)

    def document(self) -> dict[str, Any]:
        """All of it for a machine."""
        picture = None if self.photo is None else base64.b64encode(self.photo).decode()
        return {
            "format": "gatekeeper-own-data/1",
            "site": self.site,
            "holder": self.holder,
            "made_at": self.made_at,
            "looked_up_in_entry": self.entry,
            "registration": self.registration,
            "badges": list(self.badges),
            "whereabouts": self.whereabouts,
            "photo_base64": picture,
            "movements": [_quiet(entry.document()) for entry in self.movements],
            "looked_at_by": [entry.document() for entry in self.lookings],
            "other_entries": [entry.document() for entry in self.others],
        }


def _quiet(document: Mapping[str, Any]) -> dict[str, Any]:
    """A movement without what says that somebody cried for help, and of others no more than how many they were.

    Nor does it hold the scan: the badge itself is in it, and whoever reads the file could use it. Its hash is in `message`.
    """
    told = {key: value for key, value in document.items() if key != "alarm"}
    if "reasons" in told:
        told["reasons"] = _without_duress(told["reasons"])
    shadow = _without_duress(told.pop("shadow", ()))
    if shadow:  # a list with nothing in it would say that something was taken out
        told["shadow"] = shadow
    personal = {key: value for key, value in told["personal"].items() if key != "scan"}
    told["personal"] = _counted(personal, "party")
    match told["personal"]:
        case {"facts": dict(facts)}:
            kept = {
                part: {key: value for key, value in facts[part].items() if key not in {"duress", "factor"}}
                for part in ("badge", "past")
                if facts.get(part)
            }
            if "past" in kept:
                kept["past"] = _counted(kept["past"], "company", "visitors")
            told["personal"] = {**told["personal"], "facts": {**facts, **kept}}
    return told


def _without_duress(codes: Iterable[str]) -> list[str]:
    return [code for code in codes if code != Reason.DURESS.code]


def _counted(fields: Mapping[str, Any], *others: str) -> dict[str, Any]:
    """The fields, with the number of the people in some of them in their place."""
    return {key: len(value) if key in others else value for key, value in fields.items()}
