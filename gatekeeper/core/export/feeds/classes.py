"""What each kind of entry is to a system that watches for incidents, and how grave it is.

Categories and types are those of the Elastic Common Schema, and of its types only what it expects of the category. It
has no category for doors: where none fits there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from gatekeeper.core.audit import Kind
from gatekeeper.core.export.feeds.entries import PublicEntry

__all__ = [
    "ANOTHER",
    "CLASSES",
    "UNREADABLE",
    "Class",
    "Weight",
    "class_of",
    "is_alarm",
    "message_of",
    "weight_of",
]


class Weight(Enum):
    """How grave an entry is: CEF's severity of 0 to 10, and syslog's of 7 down to 0 (RFC 5424, section 6.2.1)."""

    ROUTINE = (1, 6)
    NOTABLE = (4, 5)
    WARNING = (7, 4)
    ALARM = (10, 1)

    def __init__(self, severity: int, syslog: int) -> None:
        self.severity = severity
        self.syslog = syslog


@dataclass(frozen=True, slots=True)
class Class:
    """What a kind of entry is: in words, by category and types, with what outcome (None where it has none), how grave."""

    name: str
    category: str | None
    types: tuple[str, ...]
    outcome: str | None
    weight: Weight


_ROUTINE, _NOTABLE, _WARNING, _ALARM = Weight

CLASSES: Final[Mapping[str, Class]] = {
    kind.value: Class(*row)
    for kind, row in {
        Kind.SITE_FOUNDED: ("Site founded", "configuration", ("creation",), "success", _NOTABLE),
        Kind.ENGINE_STARTED: ("Engine started", "process", ("start",), "success", _ROUTINE),
        Kind.ACCESS_GRANTED: ("Access granted", "authentication", ("info",), "success", _ROUTINE),
        Kind.ACCESS_DENIED: ("Access denied", "authentication", ("info",), "failure", _NOTABLE),
        Kind.ACCESS_WAITING: ("Access waits for a guard", "authentication", ("info",), "unknown", _ROUTINE),
        Kind.ACCESS_ACCOMPANIED: ("Passed in company", "authentication", ("info",), "success", _ROUTINE),
        Kind.OFFLINE_GRANTED: ("Granted by a gate alone", "authentication", ("info",), "success", _NOTABLE),
        Kind.OFFLINE_DENIED: ("Denied by a gate alone", "authentication", ("info",), "failure", _NOTABLE),
        Kind.PASSAGE_TAKEN: ("Passage taken", None, ("access",), "success", _ROUTINE),
        Kind.PASSAGE_NOT_TAKEN: ("Passage not taken", None, ("info",), None, _ROUTINE),
        Kind.PASSAGE_FORCED: ("Door forced", "intrusion_detection", ("info",), None, _ALARM),
        Kind.PASSAGE_HELD_OPEN: ("Door held open", "intrusion_detection", ("info",), None, _ALARM),
        Kind.PASSAGE_EXITED: ("Left by the exit button", None, ("access",), None, _ROUTINE),
        Kind.DOOR_COMMANDED: ("Door opened from afar", "configuration", ("access",), "success", _WARNING),
        Kind.GATE_COMMANDED: ("Gate started anew from afar", "host", ("change",), "success", _NOTABLE),
        Kind.COMMAND_UNSENT: ("Command to a gate not sent", "host", ("info",), "failure", _WARNING),
        Kind.SEARCH_SEED: ("Seed of the day's searches", None, ("info",), None, _ROUTINE),
        Kind.GATE_HELLO: ("Gate started", "host", ("start",), "success", _ROUTINE),
        Kind.GATE_STATUS: ("Gate reports itself", "host", ("info",), None, _ROUTINE),
        Kind.GATE_GAP: ("Messages of a gate never came", "host", ("info",), None, _WARNING),
        Kind.GATE_ASKED: ("Gate asks for its place", "iam", ("info",), None, _NOTABLE),
        Kind.GATE_CERTIFIED: ("Gate certified", "iam", ("change",), "success", _ROUTINE),
        Kind.GATE_SILENT: ("Gate is silent", "host", ("info",), None, _ALARM),
        Kind.GATE_HEARD: ("Gate is heard again", "host", ("info",), None, _NOTABLE),
        Kind.GATE_CONFLICT: ("Gate says two things at once", "intrusion_detection", ("info",), None, _ALARM),
        Kind.BADGE_CHANGED: ("Badge changed", "iam", ("change",), "success", _NOTABLE),
        Kind.HOLDER_REGISTERED: ("Holder registered", "iam", ("user", "change"), "success", _ROUTINE),
        Kind.ALERT_CHANGED: ("Alert state changed", "configuration", ("change",), "success", _WARNING),
        Kind.LOCKDOWN_CHANGED: ("Lockdown changed", "configuration", ("change",), "success", _WARNING),
        Kind.TENANT_SUSPENDED: ("Tenant suspended", "iam", ("group", "change"), "success", _WARNING),
        Kind.TENANT_REINSTATED: ("Tenant reinstated", "iam", ("group", "change"), "success", _NOTABLE),
        Kind.GUARD_ANSWERED: ("A guard answered", "authentication", ("info",), None, _ROUTINE),
        Kind.PRESENCE_FORGIVEN: ("Whereabouts forgiven", "iam", ("user", "change"), "success", _NOTABLE),
        Kind.POLICY_CHANGED: ("Policy changed", "configuration", ("change",), "success", _NOTABLE),
        Kind.TRUST_CHANGED: ("Trust list changed", "configuration", ("change",), "success", _NOTABLE),
        Kind.OPERATOR_CHANGED: ("Operator changed", "iam", ("admin", "change"), "success", _NOTABLE),
        Kind.PROPOSAL_MADE: ("Change proposed", "configuration", ("info",), None, _NOTABLE),
        Kind.PROPOSAL_APPROVED: ("Proposal approved", "configuration", ("info",), "success", _NOTABLE),
        Kind.PROPOSAL_WITHDRAWN: ("Proposal withdrawn", "configuration", ("info",), None, _ROUTINE),
        Kind.PROPOSAL_EXPIRED: ("Proposal expired", "configuration", ("info",), None, _ROUTINE),
        Kind.PEOPLE_EXPORTED: ("People or badges exported", "database", ("access",), "success", _WARNING),
        Kind.LOG_EXPORTED: ("Log exported", "database", ("access",), "success", _NOTABLE),
        Kind.PERSON_LOOKED_UP: ("Movements looked up", "database", ("access",), "success", _NOTABLE),
        Kind.PERSON_ERASED: ("Person forgotten", "iam", ("user", "deletion"), "success", _NOTABLE),
        Kind.HOLD_PLACED: ("Legal hold placed", "configuration", ("creation",), "success", _NOTABLE),
        Kind.HOLD_LIFTED: ("Legal hold lifted", "configuration", ("deletion",), "success", _NOTABLE),
        Kind.DATA_EXPIRED: ("Data over its period let go", "database", ("change",), "success", _NOTABLE),
        Kind.LOG_MISMATCH: ("Log and its hashes differ", "intrusion_detection", ("info",), None, _ALARM),
    }.items()
}
"""By kind."""

UNREADABLE: Final = Class("Entry that was altered", "intrusion_detection", ("info",), None, Weight.ALARM)
"""What stands in the log in the place of an entry and is none."""

ANOTHER: Final = Class("Entry of another kind", None, ("info",), None, Weight.NOTABLE)
"""An entry of a kind that this program does not know: a newer one wrote it."""

_REPORTS: Final = {"tamper": Weight.ALARM, "offline": Weight.WARNING}


def class_of(entry: PublicEntry) -> Class:
    """What an entry is."""
    return UNREADABLE if entry.kind is None else CLASSES.get(entry.kind, ANOTHER)


def weight_of(entry: PublicEntry) -> Weight:
    """How grave an entry is: what the log calls an alarm is one, whatever its kind."""
    return Weight.ALARM if is_alarm(entry.kind, entry.body) else _weight(entry.kind, entry.body)


def is_alarm(kind: str | None, body: Mapping[str, Any]) -> bool:
    """Whether somebody must look at an entry at once; of logs of before also where they did not call it an alarm."""
    return body.get("alarm") is True or _weight(kind, body) is Weight.ALARM


def _weight(kind: str | None, body: Mapping[str, Any]) -> Weight:
    seen = UNREADABLE if kind is None else CLASSES.get(kind, ANOTHER)
    return _REPORTS.get(str(body.get("status")), seen.weight) if kind == Kind.GATE_STATUS else seen.weight


def message_of(entry: PublicEntry) -> str:
    """An entry in one sentence for a person who watches."""
    said = class_of(entry).name
    if entry.where is not None:
        said += f" at {entry.where}"
    more = entry.told("reason") or entry.told("status")
    if more in {None, "granted"}:
        return said
    why = entry.told("why")
    return f"{said}: {more}" if why is None else f"{said}: {more}, {why}"
