"""Messages as JSON that a person can read, and back: what the vectors call `fields`; and CBOR in diagnostic notation.

Bytes are hexadecimal (a signed note is text), times and durations whole milliseconds, enumerations the words of the CDDL, what is absent is absent.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, TypeAlias

from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import BootId
from gatekeeper.model.messages import (
    Answer,
    Beacon,
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    Command,
    CommandKind,
    Credential,
    Hello,
    JournalEnd,
    Link,
    LogCheckpoint,
    Passage,
    PassageOutcome,
    Proof,
    Scan,
    Status,
    StatusKind,
    Verdict,
)

Message: TypeAlias = Scan | Passage | Status | Hello | Link | Answer | Command | Beacon | LogCheckpoint
Out: TypeAlias = Callable[[Any], Any]

_EPOCH = datetime.fromtimestamp(0, UTC)
_MS = timedelta(milliseconds=1)


def _word(value: IntEnum) -> str:
    return value.name.lower().replace("_", "-")


def _enum(kind: type[IntEnum]) -> tuple[Out, Out]:
    return _word, lambda text: kind[text.upper().replace("-", "_")]


def _credential_out(value: Credential) -> dict[str, Any]:
    match value:
        case ByToken(token):
            return {"token": token.hex()}
        case ByDigest(digest):
            return {"digest": digest.hex()}
        case ByCard(card):
            return {"card": {"technology": _word(card.technology), "number": card.number.hex()}}


def _credential_in(value: Mapping[str, Any]) -> Credential:
    match value:
        case {"token": str(token)}:
            return ByToken(bytes.fromhex(token))
        case {"digest": str(digest)}:
            return ByDigest(bytes.fromhex(digest))
        case {"card": {"technology": str(technology), "number": str(number)}}:
            return ByCard(Card(CardTechnology[technology.upper()], bytes.fromhex(number)))
        case _:
            raise ValueError(value)


_AS_IT_IS: tuple[Out, Out] = (lambda value: value, lambda value: value)
_HEX: tuple[Out, Out] = (bytes.hex, bytes.fromhex)
_MOMENT: tuple[Out, Out] = (lambda at: (at - _EPOCH) // _MS, lambda ms: _EPOCH + ms * _MS)
_DURATION: tuple[Out, Out] = (lambda duration: duration // _MS, lambda ms: ms * _MS)
_TEXT: tuple[Out, Out] = (bytes.decode, str.encode)
_VERDICT = _enum(Verdict)
_UPWARD: Mapping[str, tuple[Out, Out]] = {
    "boot": _HEX,
    "sequence": _AS_IT_IS,
    "gate_at": _MOMENT,
    "clock": _enum(ClockQuality),
}
_FORMS: Mapping[type[Any], Mapping[str, tuple[Out, Out]]] = {
    Scan: {
        **_UPWARD,
        "access_point": _AS_IT_IS,
        "credential": (_credential_out, _credential_in),
        "beacon": _HEX,
        "proof": (
            lambda proof: {"gate_random": proof.gate_random.hex(), "signature": proof.signature.hex()},
            lambda proof: Proof(
                gate_random=bytes.fromhex(proof["gate_random"]), signature=bytes.fromhex(proof["signature"])
            ),
        ),
        "round_trip": _DURATION,
        "offline_verdict": _VERDICT,
        "offline_policy": _HEX,
        "sealed_pin": _HEX,
    },
    Passage: {**_UPWARD, "access_point": _AS_IT_IS, "outcome": _enum(PassageOutcome), "scan": _HEX},
    Status: {
        **_UPWARD,
        "kind": _enum(StatusKind),
        "access_point": _AS_IT_IS,
        "why": _AS_IT_IS,
        "count": _AS_IT_IS,
    },
    Hello: {
        **_UPWARD,
        "agent": _AS_IT_IS,
        "policy": _HEX,
        "checkpoint": _HEX,
        "journal": (
            lambda end: {"journal": end.journal.hex(), "written": end.written},
            lambda end: JournalEnd(journal=BootId(bytes.fromhex(end["journal"])), written=end["written"]),
        ),
    },
    Link: {
        "boot": _HEX,
        "connection": _AS_IT_IS,
        "up": _AS_IT_IS,
        "snapshot": _HEX,
        "beacon": _HEX,
    },
    Answer: {
        "message": _HEX,
        "gate": _AS_IT_IS,
        "verdict": _VERDICT,
        "reason": _AS_IT_IS,
        "issued": _MOMENT,
        "valid": _DURATION,
        "unlock": _DURATION,
        "policy": _HEX,
        "entry": _AS_IT_IS,
    },
    Command: {
        "boot": _HEX,
        "sequence": _AS_IT_IS,
        "gate": _AS_IT_IS,
        "kind": _enum(CommandKind),
        "access_point": _AS_IT_IS,
        "issued": _MOMENT,
        "valid": _DURATION,
        "operator": _AS_IT_IS,
        "second": _AS_IT_IS,
        "entry": _AS_IT_IS,
        "unlock": _DURATION,
    },
    Beacon: {"site": _AS_IT_IS, "value": _HEX, "issued": _MOMENT, "period": _DURATION},
    LogCheckpoint: {"site": _AS_IT_IS, "note": _TEXT, "at": _MOMENT},
}
RULES: Mapping[type[Any], str] = {
    Scan: "scan",
    Passage: "passage",
    Status: "status",
    Hello: "hello",
    Link: "link",
    Answer: "decision",
    Command: "command",
    Beacon: "beacon",
    LogCheckpoint: "checkpoint",
}
MODELS: Mapping[str, type[Any]] = {rule: model for model, rule in RULES.items()}


def fields_of(message: Message) -> dict[str, Any]:
    """What a message says, as JSON."""
    form = _FORMS[type(message)]
    values = {name: getattr(message, name) for name in form}
    return {name: form[name][0](value) for name, value in values.items() if value is not None}


def message_of(rule: str, fields: Mapping[str, Any]) -> Message:
    """The message that says what the fields say."""
    form = _FORMS[MODELS[rule]]
    assert fields.keys() <= form.keys(), fields.keys() - form.keys()
    given = {name: into(fields[name]) if name in fields else None for name, (_, into) in form.items()}
    message: Message = MODELS[rule](**given)
    return message


def diagnostic(value: Any) -> str:
    """Decoded CBOR in diagnostic notation (RFC 8949, 8)."""
    match value:
        case bytes():
            return f"h'{value.hex()}'"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case list():
            return f"[{', '.join(map(diagnostic, value))}]"
        case dict():
            pairs = (f"{diagnostic(key)}: {diagnostic(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            return str(value)
