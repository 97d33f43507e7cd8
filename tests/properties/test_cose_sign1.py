"""What holds of signed messages for all payloads and all damage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.cose import (
    Algorithm,
    Refused,
    SigningKey,
    Verified,
    cosign,
    key_ring,
    sign,
    verify,
    verify_cosigned,
)

TYP = "application/example"
KEYS = {algorithm: SigningKey.generate(algorithm) for algorithm in Algorithm}
RING = key_ring(key.record(use="scan", owner="gate") for key in KEYS.values())


def believe(message: bytes, aad: bytes = b"topic") -> Verified | Refused:
    return verify(message, keys=RING, typ=TYP, use="scan", external_aad=aad)


def flipped(message: bytes, bit: int) -> bytes:
    return (int.from_bytes(message, "big") ^ 1 << bit).to_bytes(len(message), "big")


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_message_with_any_single_bit_changed_is_refused(algorithm: Algorithm):
    message = sign(b"payload", key=KEYS[algorithm], typ=TYP, external_aad=b"topic")
    believed = [
        bit for bit in range(8 * len(message)) if not isinstance(believe(flipped(message, bit)), Refused)
    ]
    assert believed == []
    assert isinstance(believe(message), Verified)


def test_a_document_with_any_single_bit_changed_is_refused():
    keys = [KEYS[Algorithm.ESP256], KEYS[Algorithm.ED25519]]
    document = cosign(b"terms", keys=keys, typ=TYP)
    believed = [
        bit
        for bit in range(8 * len(document))
        if not isinstance(verify_cosigned(flipped(document, bit), keys=RING, typ=TYP, uses={"scan"}), Refused)
    ]
    assert believed == []


@given(payload=st.binary(max_size=500), aad=st.binary(max_size=60), algorithm=st.sampled_from(Algorithm))
def test_every_payload_is_believed_where_it_belongs_and_nowhere_else(
    payload: bytes, aad: bytes, algorithm: Algorithm
):
    message = sign(payload, key=KEYS[algorithm], typ=TYP, external_aad=aad)
    believed = believe(message, aad)
    assert isinstance(believed, Verified)
    assert (believed.payload, believed.key.algorithm) == (payload, algorithm)
    assert isinstance(believe(message, aad + b"\x00"), Refused)


@given(st.binary(max_size=300))
def test_strange_bytes_are_refused_and_never_raise(message: bytes):
    assert isinstance(believe(message), Refused)
    assert isinstance(believe(b"\xd2" + message), Refused)
    assert isinstance(verify_cosigned(message, keys=RING, typ=TYP, uses={"scan"}), Refused)


@given(st.data())
def test_a_message_cut_and_pasted_from_two_is_refused(data: st.DataObject):
    one, two = (
        sign(
            data.draw(st.binary(min_size=20, max_size=20)),
            key=KEYS[Algorithm.ESP256],
            typ=TYP,
            external_aad=b"topic",
        )
        for _ in range(2)
    )
    at = data.draw(st.integers(1, len(one) - 1))
    pasted = one[:at] + two[at:]
    assert pasted in {one, two} or isinstance(believe(pasted), Refused)
