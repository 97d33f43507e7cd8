"""An entry of the log as lines to read: its fields in words, times by the site's clock, what is empty left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from gatekeeper.core.audit import instant
from gatekeeper.model.badges import Assurance
from gatekeeper.model.reasons import Reason
from gatekeeper.service.administration.instants import show_time

__all__ = ["Line", "Wording"]

_REASONS: Final = {reason.code: reason for reason in Reason}
_PLUMBING: Final = frozenset({"v", "seq", "site", "kind", "at", "reason", "reasons", "shadow"})
_SEALED: Final = frozenset({"salt", "scan", "facts", "holder", "badge"})
_FIRST: Final = (
    *("name", "id", "access_point", "from", "to", "tenant", "kind", "profiles", "clearance"),
    *("badge_state", "ceiling", "not_before", "since", "expires", "until", "whereabouts", "alert"),
)
_LAST: Final = ("boot", "sequence", "message", "scan", "trees", "nonce", "personal", "policy")
_SECONDS: Final = frozenset({"not_before", "expires", "issued", "since", "until", "certificates"})
"""What facts hold as seconds since 1970."""
_LABELS: Final[Mapping[str, str]] = {
    "id": "number",
    "holder": "number",
    "gate_at": "at by the gate's clock",
    "nonce": "nonce of the entry",
    "personal": "hash of the personal part",
    "message": "hash of the message",
    "policy": "hash of the policy",
    "scan": "hash of the scan",
    "trees": "index in the trees",
    "not_before": "valid from",
    "expires": "valid until",
    "since": "since",
    "ceiling": "highest level",
    "kind": "kind",
    "badge_state": "state",
    "holder_unproven": "registration not proven",
    "alert": "alert state",
    "max_uses": "uses at most",
    "duress": "cries for help",
    "requires_trusted_time": "needs a gate with the right time",
    "whereabouts": "zone they were in",
    "last_point": "last access point",
    "last_at": "last let through",
    "past": "before",
    "draw": "number drawn for a search",
    "crowds": "people in the zone",
    "company": "in company of",
    "guard": "a guard's word",
    "factor": "PIN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: how deep it stands, what it is about, and what that is; a heading of what follows has no value."""

    depth: int
    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a site's entries are put in words: its clock, and the alert states of the policy that an entry names."""

    zone: ZoneInfo
    alert_states: Sequence[str]

    def reasons(self, body: Mapping[str, Any]) -> list[Line]:
        """Every rule that failed, and those that only report."""
        failed = [(code, code) for code in body.get("reasons", ())]
        reported = [(code, f"{code} (only reported)") for code in body.get("shadow", ())]
        return [Line(depth=0, label=label, value=self._sentence(code)) for code, label in failed + reported]

    def in_the_open(self, body: Mapping[str, Any]) -> list[Line]:
        """What an entry says to everybody who has it."""
        left_out = _PLUMBING if "reasons" in body else _PLUMBING - {"reason"}
        return list(self._fields({key: value for key, value in body.items() if key not in left_out}, 0))

    def who(self, personal: Mapping[str, Any], *, name: str | None) -> list[Line]:
        """Who it was, as registered then."""
        facts = personal.get("facts", {})
        others = {key: value for key, value in personal.items() if key not in _SEALED}
        holder = facts.get("holder") or {"id": personal.get("holder")}
        return list(self._fields({"name": name, **holder, **others}, 0))

    def badge(self, personal: Mapping[str, Any]) -> list[Line]:
        """The badge, as it was then."""
        facts = personal.get("facts", {})
        badge = facts.get("badge") or {"id": personal.get("badge")}
        return list(self._fields({**badge, "badge_state": facts.get("badge_state")}, 0))

    def known(self, personal: Mapping[str, Any]) -> list[Line]:
        """What else was known when it was decided."""
        facts = personal.get("facts", {})
        rest = {key: value for key, value in facts.items() if key not in {"badge", "badge_state", "holder"}}
        return list(self._fields(rest, 0))

    def _fields(self, fields: Mapping[str, Any], depth: int) -> Iterator[Line]:
        for key, value in sorted(fields.items(), key=lambda field: _place(field[0])):
            if value is not None and value not in ("", [], {}):
                yield from self._field(
                    _LABELS.get(key, key.replace("_", " ")), self._plain(key, value), depth
                )

    def _field(self, label: str, value: Any, depth: int) -> Iterator[Line]:
        match value:
            case dict():
                yield Line(depth=depth, label=label, value="")
                yield from self._fields(value, depth + 1)
            case list() if all(isinstance(one, str) and " " not in one for one in value):
                yield Line(depth=depth, label=label, value=", ".join(map(_printable, value)))
            case list():
                for one in value:
                    yield from self._field(label, one, depth)
            case _:
                yield Line(depth=depth, label=label, value=_printable(str(value)))

    def _plain(self, key: str, value: Any) -> Any:
        """A value without the spelling that machines need."""
        match value:
            case bool():
                return "yes" if value else "no"
            case int() if key == "alert" and value < len(self.alert_states):
                return self.alert_states[value]
            case int() if key == "assurance":
                return f"{value} ({Assurance(value).name.lower().replace('_', '-')})"
            case int() if key in _SECONDS:
                return show_time(datetime.fromtimestamp(value, UTC), self.zone)
            case dict() if key in _SECONDS:
                return {name: self._plain("until", until) for name, until in value.items()}
            case str():
                return self._time_or_text(value)
            case list():
                return [self._plain(key, one) for one in value]
            case _:
                return value

    def _time_or_text(self, text: str) -> str:
        try:
            return show_time(instant(text), self.zone)
        except ValueError:
            return text

    def _sentence(self, code: str) -> str:
        reason = _REASONS.get(code)
        return "" if reason is None else reason.english


def _place(key: str) -> tuple[int, int]:
    """Where a field stands among its like: what a person asks for first, what only a program compares last."""
    if key in _FIRST:
        return 0, _FIRST.index(key)
    return (2, _LAST.index(key)) if key in _LAST else (1, 0)


def _printable(text: str) -> str:
    """What a stranger wrote, without what would move a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
