"""Bytes of a foreign gate: what they say, read as leniently as can be, and every requirement that they break.

The service would refuse the first fault and say nothing. Whoever builds a gate wants to know all of them, and what comes
after: so each is looked for by itself, and a message that can be understood at all is answered.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import cbor2

from gatekeeper import cose
from gatekeeper.model.messages import (
    HELLO_TYPE,
    MAX_MESSAGE_BYTES,
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    Hello,
    MessageMalformed,
    Passage,
    Scan,
    Status,
)
from gatekeeper.model.topics import Channel

__all__ = ["CHANNELS", "UNREAD", "Fault", "Message", "Reading", "read"]

Message: TypeAlias = Scan | Passage | Status | Hello
_SIGN1_TAG: Final = 18
_HEADERS: Final = {1, 4, 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How what travels on a channel is typed and read."""

    typ: str
    model: type[Message]


_SCAN, _PASSAGE, _STATUS, _HELLO = (
    _Form(typ=SCAN_TYPE, model=Scan),
    _Form(typ=PASSAGE_TYPE, model=Passage),
    _Form(typ=STATUS_TYPE, model=Status),
    _Form(typ=HELLO_TYPE, model=Hello),
)
CHANNELS: Final[Mapping[str, tuple[_Form, ...]]] = {
    Channel.SCAN.value: (_SCAN,),
    Channel.PASSAGE.value: (_PASSAGE,),
    Channel.STATUS.value: (_STATUS,),
    Channel.HELLO.value: (_HELLO,),
    Channel.JOURNAL.value: (_PASSAGE, _STATUS, _SCAN),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A requirement that these bytes break, and how."""

    requirement: str
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What bytes say, None when nobody can tell; and their faults. Boot and number are known of some that say nothing else."""

    digest: bytes
    message: Message | None
    boot: bytes | None
    number: int | None
    faults: tuple[Fault, ...]


UNREAD: Final = Reading(digest=b"", message=None, boot=None, number=None, faults=())
"""Of what travels on no channel that is known."""


def read(wire: bytes, *, topic: str, record: cose.KeyRecord) -> Reading:
    """Read bytes that came on one of the `CHANNELS`, of the gate that enrolled this key."""
    digest = hashlib.sha256(wire).digest()
    channel = topic.rsplit("/", maxsplit=1)[-1]
    if len(wire) > MAX_MESSAGE_BYTES:
        fault = Fault(requirement="GK-G-016", seen=f"{len(wire)} bytes")
        return Reading(digest=digest, message=None, boot=None, number=None, faults=(fault,))
    parts = _parts(wire)
    if parts is None:
        fault = Fault(
            requirement="GK-G-010", seen=f"no tagged COSE_Sign1 of four parts: {wire[:24].hex()}..."
        )
        return Reading(digest=digest, message=None, boot=None, number=None, faults=(fault,))
    fields = _loads(parts.payload)
    form = _form(fields, parts.header.get(16), CHANNELS[channel])
    found = {
        "GK-G-010": _shape(parts),
        "GK-G-011": _spelling(wire, parts),
        "GK-G-012": _typ(parts, form),
        "GK-G-013": _key(parts, record),
        "GK-G-014": _signature(parts, topic, record),
    }
    message = _message(fields, form)
    if channel == Channel.JOURNAL and isinstance(message, Scan) and message.offline_verdict is None:
        message = MessageMalformed("a scan in a journal without field 10")
    if isinstance(message, MessageMalformed):
        found["GK-G-015"] = message.detail
    boot, number = _numbered(fields)
    return Reading(
        digest=digest,
        message=None if isinstance(message, MessageMalformed) else message,
        boot=boot,
        number=number,
        faults=tuple(Fault(requirement=name, seen=seen) for name, seen in found.items() if seen is not None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    protected: bytes
    header: Mapping[Any, Any]
    unprotected: Mapping[Any, Any]
    payload: bytes
    signature: bytes


def _parts(wire: bytes) -> _Parts | None:
    tagged = _loads(wire)
    if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != _SIGN1_TAG:
        return None
    match tagged.value:
        case [bytes() as protected, Mapping() as unprotected, bytes() as payload, bytes() as signature]:
            header = _loads(protected)
        case _:
            return None
    return _Parts(
        protected=protected,
        header=header if isinstance(header, dict) else {},
        unprotected=unprotected,
        payload=payload,
        signature=signature,
    )


def _shape(parts: _Parts) -> str | None:
    if parts.unprotected:
        return f"the unprotected map holds {sorted(map(str, parts.unprotected))}"
    if set(parts.header) != _HEADERS:
        return f"the protected header holds {sorted(map(str, parts.header))}, not 1, 4 and 16"
    return None


def _spelling(wire: bytes, parts: _Parts) -> str | None:
    for name, octets in (("envelope", wire[1:]), ("header", parts.protected), ("payload", parts.payload)):
        spelt = cose.decode(octets)
        if isinstance(spelt, cose.Refused):
            return f"{name}: {spelt.code} ({octets[:24].hex()}...)"
    return None


def _typ(parts: _Parts, form: _Form) -> str | None:
    typ = parts.header.get(16)
    return None if typ == form.typ else f"{typ!r} instead of {form.typ!r}"


def _key(parts: _Parts, record: cose.KeyRecord) -> str | None:
    said = (parts.header.get(4), parts.header.get(1))
    if said == (record.kid, int(record.algorithm)):
        return None
    kid = said[0].hex() if isinstance(said[0], bytes) else said[0]
    return f"kid {kid}, alg {said[1]} instead of {record.kid.hex()}, {int(record.algorithm)}"


def _signature(parts: _Parts, topic: str, record: cose.KeyRecord) -> str | None:
    def fits(aad: str) -> bool:
        signed = cose.encode(["Signature1", parts.protected, aad.encode(), parts.payload])
        return cose.verify_signature(record, signed, parts.signature)

    if fits(topic):
        return None
    if len(parts.signature) not in {64, 96}:
        return f"a signature of {len(parts.signature)} bytes: r || s is 64, or 96 on P-384"
    return next(
        (f"it verifies with {what} as external AAD, not with {topic}" for aad, what in _GUESSES if fits(aad)),
        "it does not verify",
    )


_GUESSES: Final = (("", "nothing"),)


def _form(fields: Any, typ: Any, forms: tuple[_Form, ...]) -> _Form:
    """How to read what may be of several forms: as its typ says, else as what it can be read as."""
    first = sorted(forms, key=lambda form: form.typ != typ)
    readable = (form for form in first if not isinstance(_message(fields, form), MessageMalformed))
    return next(readable, first[0])


def _message(fields: Any, form: _Form) -> Message | MessageMalformed:
    """Read the fields of a payload as if it were spelt well."""
    if not isinstance(fields, Mapping):
        return MessageMalformed("not a map")
    try:
        spelt = cose.encode(fields)
    except (TypeError, ValueError) as error:
        return MessageMalformed(str(error))
    return form.model.read(spelt)


def _numbered(fields: Any) -> tuple[bytes | None, int | None]:
    """Boot and number, also of a payload that is not to the letter."""
    match fields:
        case {1: bytes() as boot, 2: int() as number}:
            return boot, number
        case _:
            return None, None


def _loads(octets: bytes) -> Any:
    try:
        return cbor2.loads(octets)
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError):
        return None
