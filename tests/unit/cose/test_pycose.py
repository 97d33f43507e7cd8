"""pycose as an oracle: another reading of RFC 9052 agrees with ours, where the shapes allow it."""

import cbor2
import pytest
from pycose.headers import KID
from pycose.headers import Algorithm as AlgorithmHeader
from pycose.keys import EC2Key, OKPKey
from pycose.messages import Sign1Message

from gatekeeper.cose import (
    Algorithm,
    Refusal,
    Refused,
    SigningKey,
    Verified,
    key_ring,
    sign,
    sign_detached,
    verify,
    verify_detached,
)

TYP = "application/example"
AAD = b"site/gate/scan"
NAMES = {Algorithm.ES256: "ES256", Algorithm.EDDSA: "EDDSA"}
both = pytest.mark.parametrize("algorithm", NAMES)


def oracle_key(key: SigningKey) -> EC2Key | OKPKey:
    """Hand the key over as numbers, the private one included."""
    if key.algorithm is Algorithm.EDDSA:
        return OKPKey(crv="ED25519", x=key.public_der[-32:], d=key._private.private_bytes_raw())
    d = key._private.private_numbers().private_value.to_bytes(32, "big")
    return EC2Key(crv="P_256", x=key.public_der[-64:-32], y=key.public_der[-32:], d=d)


def oracle_message(
    key: SigningKey, *, typ: str | None = TYP, payload: bytes | None = b"payload"
) -> Sign1Message:
    header = {AlgorithmHeader: NAMES[key.algorithm], KID: key.kid} | ({16: typ} if typ else {})
    return Sign1Message(phdr=header, payload=payload, external_aad=AAD, key=oracle_key(key))


def oracle_reads(message: bytes, key: SigningKey) -> Sign1Message:
    """Give the oracle the parts: its own `decode` expects lists where cbor2 6 gives tuples."""
    read = Sign1Message.from_cose_obj(
        cbor2.loads(message.removeprefix(b"\xd2")), allow_unknown_attributes=True
    )
    read.key, read.external_aad = oracle_key(key), AAD
    return read


def believe(message: bytes, key: SigningKey) -> Verified | Refused:
    ring = key_ring([key.record(use="scan", owner="gate")])
    return verify(message, keys=ring, typ=TYP, use="scan", external_aad=AAD)


@both
def test_the_oracle_verifies_what_we_sign(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    message = oracle_reads(sign(b"payload", key=key, typ=TYP, external_aad=AAD), key)
    assert message.verify_signature()
    assert (message.payload, message.get_attr(KID)) == (b"payload", key.kid)
    message.external_aad = b"elsewhere"
    assert not message.verify_signature()


@both
def test_we_verify_what_the_oracle_signs_in_our_shape(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    message = oracle_message(key).encode()
    believed = believe(message, key)
    assert isinstance(believed, Verified)
    assert believed.payload == b"payload"


@both
def test_we_refuse_what_the_oracle_signs_in_another_shape(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    refused = believe(oracle_message(key, typ=None).encode(), key)
    assert isinstance(refused, Refused)
    assert refused.code is Refusal.COSE_HEADER
    assert believe(oracle_message(key).encode(tag=False), key) == Refused(code=Refusal.COSE_TAG)


def test_ed25519_signatures_are_the_same_to_the_byte():
    key = SigningKey.generate(Algorithm.EDDSA)
    assert oracle_message(key).encode() == sign(b"payload", key=key, typ=TYP, external_aad=AAD)


@both
def test_detached_payloads_are_understood_alike(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    ours = oracle_reads(sign_detached(b"payload", key=key, typ=TYP, external_aad=AAD), key)
    assert ours.verify_signature(detached_payload=b"payload")
    assert not ours.verify_signature(detached_payload=b"another")
    theirs = oracle_message(key, payload=None).encode(detached_payload=b"payload")
    ring = key_ring([key.record(use="scan", owner="gate")])
    believed = verify_detached(theirs, b"payload", keys=ring, typ=TYP, use="scan", external_aad=AAD)
    assert isinstance(believed, Verified)
