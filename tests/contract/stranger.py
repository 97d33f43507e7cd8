"""A gate by a stranger: what somebody writes who has `schemas/` alone, a library for CBOR and one for signatures.

It imports nothing of Gatekeeper, and a test sees to that. Where it and the product differ, the contract does not say enough.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    ECDSA,
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

ESP256, ED25519, ESP384 = -9, -19, -51
_ECDSA = {ESP256: (SECP256R1(), SHA256(), 32), ESP384: (SECP384R1(), SHA384(), 48)}
_WORDS: Mapping[str, tuple[str, ...]] = {
    "clock": ("none", "free-running", "synchronised"),
    "technology": ("mifare", "wiegand"),
    "outcome": ("taken", "not-taken", "forced", "held-open", "exited"),
    "kind": (
        "online",
        "offline",
        "tamper",
        "tamper-cleared",
        "closed-again",
        "log-rolled-back",
        "policy-refused",
        "clock-doubted",
        "journal-full",
        "journal-damaged",
        "locked-down",
        "released",
        "exit-requested",
        "fire",
        "fire-cleared",
        "restarting",
        "opened",
        "command-refused",
    ),
    "command": ("open", "lock-down", "release", "reboot"),
    "verdict": ("denied", "granted", "recorded", "waiting"),
}


class PrivateKey:
    """A key out of keys.json."""

    def __init__(self, algorithm: int, secret: bytes) -> None:
        self.algorithm = algorithm
        self._private: EllipticCurvePrivateKey | Ed25519PrivateKey
        if algorithm == ED25519:
            self._private = Ed25519PrivateKey.from_private_bytes(secret)
        else:
            self._private = derive_private_key(int.from_bytes(secret, "big"), _ECDSA[algorithm][0])
        self.spki = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.kid = hashlib.sha256(self.spki).digest()[:8]

    def sign(self, data: bytes) -> bytes:
        """Sign: r || s, or what Ed25519 gives."""
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(data)
        _, digest, size = _ECDSA[self.algorithm]
        r, s = decode_dss_signature(self._private.sign(data, ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def verifies(algorithm: int, spki: bytes, signature: bytes, data: bytes) -> bool:
    """Whether a signature is that key's."""
    key = load_der_public_key(spki)
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
            return True
        assert isinstance(key, EllipticCurvePublicKey)
        _, digest, size = _ECDSA[algorithm]
        r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
        key.verify(encode_dss_signature(r, s), data, ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def protected_header(key: PrivateKey, typ: str) -> bytes:
    """The header that is signed."""
    return _encoded({1: key.algorithm, 4: key.kid, 16: typ})


def to_be_signed(protected: bytes, topic: str, payload: bytes) -> bytes:
    """What is signed for a topic."""
    return _encoded(["Signature1", protected, topic.encode(), payload])


def message(payload: bytes, *, key: PrivateKey, typ: str, topic: str) -> bytes:
    """A signed message."""
    protected = protected_header(key, typ)
    signature = key.sign(to_be_signed(protected, topic, payload))
    return _encoded(cbor2.CBORTag(18, [protected, {}, payload, signature]))


def opened(wire: bytes, *, algorithm: int, spki: bytes, typ: str, topic: str) -> dict[int, Any] | None:
    """The payload of a message that this key signed for this topic, or None."""
    protected, unprotected, payload, signature = cbor2.loads(wire).value
    kid = hashlib.sha256(spki).digest()[:8]
    if cbor2.loads(protected) != {1: algorithm, 4: kid, 16: typ} or unprotected != {}:
        return None
    if not verifies(algorithm, spki, signature, to_be_signed(protected, topic, payload)):
        return None
    fields: dict[int, Any] = cbor2.loads(payload)
    return fields


def what_a_badge_signs(site: str, gate: str, direction: str, beacon: bytes, gate_random: bytes) -> bytes:
    """The 32 bytes that a badge is given."""
    whole = b"\0".join(
        [b"pacs-pop-v1", site.encode(), gate.encode(), direction.encode(), beacon + gate_random]
    )
    return hashlib.sha256(whole).digest()


def sealed_pin(
    typed: str, *, spki: bytes, site: str, gate: str, access_point: str, ephemeral: bytes
) -> bytes:
    """A PIN for the site's seal key (RFC 9180, base mode); `ephemeral` is a scalar that a gate draws anew for each."""
    key = derive_private_key(int.from_bytes(ephemeral, "big"), SECP256R1())
    receiver = load_der_public_key(spki)
    assert isinstance(receiver, EllipticCurvePublicKey)
    enc, theirs = (
        one.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        for one in (key.public_key(), receiver)
    )
    kem, hpke = b"KEM\0\x10", b"HPKE\0\x10\0\x01\0\x01"
    secret = _expanded(
        _extracted(b"", b"eae_prk", key.exchange(ECDH(), receiver), kem),
        b"shared_secret",
        enc + theirs,
        32,
        kem,
    )
    info = b"\0".join([b"pacs-pin-v1", site.encode(), gate.encode(), access_point.encode()])
    context = b"\0" + _extracted(b"", b"psk_id_hash", b"", hpke) + _extracted(b"", b"info_hash", info, hpke)
    secret = _extracted(secret, b"secret", b"", hpke)
    aead = AESGCM(_expanded(secret, b"key", context, 16, hpke))
    return enc + aead.encrypt(
        _expanded(secret, b"base_nonce", context, 12, hpke), typed.encode().ljust(8, b"\0"), b""
    )


def _extracted(salt: bytes, label: bytes, ikm: bytes, suite: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, "sha256")


def _expanded(secret: bytes, label: bytes, info: bytes, length: int, suite: bytes) -> bytes:
    """HKDF-Expand of one block or less."""
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(secret, labelled + b"\x01", "sha256")[:length]


def payload_of(rule: str, fields: Mapping[str, Any]) -> bytes:
    """A payload out of the fields that a vector describes it by."""
    return _encoded(_PAYLOADS[rule](fields))


def _encoded(value: Any) -> bytes:
    return cbor2.dumps(value, canonical=True)


def _hex(fields: Mapping[str, Any], name: str) -> bytes | None:
    return bytes.fromhex(fields[name]) if name in fields else None


def _word(fields: Mapping[str, Any], name: str) -> int:
    return _WORDS[name].index(fields[name])


def _without_none(numbered: dict[int, Any]) -> dict[int, Any]:
    return {key: value for key, value in numbered.items() if value is not None}


def _upward(fields: Mapping[str, Any]) -> dict[int, Any]:
    return {
        0: 1,
        1: _hex(fields, "boot"),
        2: fields["sequence"],
        3: fields.get("gate_at"),
        4: _word(fields, "clock"),
    }


def _credential(credential: Mapping[str, Any]) -> list[Any]:
    if "card" in credential:
        card = credential["card"]
        return [0, _word(card, "technology"), bytes.fromhex(card["number"])]
    kind = "token" if "token" in credential else "digest"
    return [("token", "digest").index(kind) + 1, bytes.fromhex(credential[kind])]


def _scan(fields: Mapping[str, Any]) -> dict[int, Any]:
    proof = fields.get("proof")
    alone = fields.get("offline_verdict")
    return _without_none(
        _upward(fields)
        | {
            5: fields["access_point"],
            6: _credential(fields["credential"]),
            7: _hex(fields, "beacon"),
            8: proof and [_hex(proof, "gate_random"), _hex(proof, "signature")],
            9: fields.get("round_trip"),
            10: None if alone is None else _WORDS["verdict"].index(alone),
            11: _hex(fields, "offline_policy"),
            12: _hex(fields, "sealed_pin"),
        }
    )


def _passage(fields: Mapping[str, Any]) -> dict[int, Any]:
    return _without_none(
        _upward(fields) | {5: fields["access_point"], 6: _word(fields, "outcome"), 7: _hex(fields, "scan")}
    )


def _status(fields: Mapping[str, Any]) -> dict[int, Any]:
    return _without_none(_upward(fields) | {5: _word(fields, "kind"), 6: fields.get("access_point")})


def _hello(fields: Mapping[str, Any]) -> dict[int, Any]:
    end = fields.get("journal")
    journal = None if end is None else [bytes.fromhex(end["journal"]), end["written"]]
    return _without_none(
        _upward(fields)
        | {5: fields["agent"], 6: _hex(fields, "policy"), 7: _hex(fields, "checkpoint"), 8: journal}
    )


def _link(fields: Mapping[str, Any]) -> dict[int, Any]:
    return _without_none(
        {
            0: 1,
            1: _hex(fields, "boot"),
            2: fields["connection"],
            3: int(fields["up"]),
            4: _hex(fields, "snapshot"),
            5: _hex(fields, "beacon"),
        }
    )


def _decision(fields: Mapping[str, Any]) -> dict[int, Any]:
    return _without_none(
        {
            0: 1,
            1: _hex(fields, "message"),
            2: fields["gate"],
            3: _word(fields, "verdict"),
            4: fields["reason"],
            5: fields["issued"],
            6: fields["valid"],
            7: fields.get("unlock"),
            8: _hex(fields, "policy"),
            9: fields["entry"],
        }
    )


def _command(fields: Mapping[str, Any]) -> dict[int, Any]:
    return _without_none(
        {
            0: 1,
            1: _hex(fields, "boot"),
            2: fields["sequence"],
            3: fields["gate"],
            4: _WORDS["command"].index(fields["kind"]),
            5: fields.get("access_point"),
            6: fields["issued"],
            7: fields["valid"],
            8: fields["operator"],
            9: fields.get("second"),
            10: fields["entry"],
            11: fields.get("unlock"),
        }
    )


def _beacon(fields: Mapping[str, Any]) -> dict[int, Any]:
    return {0: 1, 1: fields["site"], 2: _hex(fields, "value"), 3: fields["issued"], 4: fields["period"]}


def _checkpoint(fields: Mapping[str, Any]) -> dict[int, Any]:
    return {0: 1, 1: fields["site"], 2: fields["note"].encode(), 3: fields["at"]}


_PAYLOADS = {
    "scan": _scan,
    "passage": _passage,
    "status": _status,
    "hello": _hello,
    "link": _link,
    "decision": _decision,
    "command": _command,
    "beacon": _beacon,
    "checkpoint": _checkpoint,
}
