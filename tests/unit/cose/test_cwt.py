"""CWT claims: numbers, types, and the key of the holder."""

import pytest

from gatekeeper.cose import (
    Algorithm,
    KeyRecord,
    KeyRefusedError,
    Refusal,
    Refused,
    SigningKey,
    confirmation_key,
    decode,
    encode,
    read_claims,
    read_confirmation,
)
from gatekeeper.cose.cwt import AUD, CNF, CTI, EXP, IAT, ISS, NBF, STATUS, SUB

P256_KEY = SigningKey.generate(Algorithm.ESP256)
ED25519_KEY = SigningKey.generate(Algorithm.ED25519)
CLAIMS = {
    ISS: "t:school",
    AUD: "site:assen",
    EXP: 1_800_000_000,
    NBF: 1_700_000_000,
    IAT: 1_700_000_000,
    CTI: bytes(16),
    CNF: confirmation_key(P256_KEY.public_der),
    STATUS: {"status_list": {"idx": 0, "uri": "s"}},
    -65537: {1: 1},
}


def test_the_claim_numbers_are_those_of_the_registry():
    assert (ISS, SUB, AUD, EXP, NBF, IAT, CTI, CNF, STATUS) == (1, 2, 3, 4, 5, 6, 7, 8, 65535)


def test_claims_of_the_right_types_are_read_as_they_are():
    assert read_claims(encode(CLAIMS)) == CLAIMS
    assert read_claims(encode({})) == {}


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (ISS, b"t:school"),
        (SUB, 1),
        (AUD, ["site:assen"]),
        (EXP, "1800000000"),
        (EXP, -1),
        (EXP, True),
        (EXP, None),
        (EXP, 253_402_300_800),  # the year 10000: no datetime holds it
        (EXP, 2**64 - 1),
        (NBF, b""),
        (IAT, []),
        (CTI, bytes(15)),
        (CTI, bytes(17)),
        (CTI, "0123456789abcdef"),
        (CNF, b""),
        (STATUS, 5),
    ],
)
def test_a_claim_of_the_wrong_type_is_refused_by_its_number(number: int, value: object):
    claims = encode({**CLAIMS, number: value})
    assert read_claims(claims) == Refused(code=Refusal.CWT_CLAIMS, detail=f"claim {number}")


@pytest.mark.parametrize("last", [0, 253_402_300_799])
def test_the_first_and_the_last_second_are_dates(last: int):
    assert read_claims(encode({EXP: last})) == {EXP: last}


@pytest.mark.parametrize("claims", [[], 1, b"", None, {"iss": "t:school"}, {1: "t:school", "x": 1}])
def test_claims_that_are_no_map_of_numbers_are_refused(claims: object):
    refused = read_claims(encode(claims))
    assert isinstance(refused, Refused)
    assert refused.code is Refusal.CWT_CLAIMS


def test_claims_that_are_not_deterministic_are_refused():
    assert read_claims(bytes.fromhex("a2041a6553f100041a6b49d200")) == Refused(
        code=Refusal.CBOR_DUPLICATE_KEY
    )
    assert read_claims(bytes.fromhex("a104fb41d954fc40000000")) == Refused(code=Refusal.CBOR_TYPE_NOT_ALLOWED)


@pytest.mark.parametrize("key", [P256_KEY, ED25519_KEY])
def test_a_holders_key_travels_in_the_confirmation(key: SigningKey):
    claim = decode(encode(confirmation_key(key.public_der)))
    assert read_confirmation(claim, use="proof", owner="badge") == key.record(use="proof", owner="badge")


def test_a_confirmation_is_spelt_as_rfc_8747_says():
    point = P256_KEY.public_der[-64:]
    assert confirmation_key(P256_KEY.public_der) == {1: {1: 2, -1: 1, -2: point[:32], -3: point[32:]}}
    assert confirmation_key(ED25519_KEY.public_der) == {1: {1: 1, -1: 6, -2: ED25519_KEY.public_der[-32:]}}


def test_only_p256_and_ed25519_confirm():
    with pytest.raises(KeyRefusedError):
        confirmation_key(SigningKey.generate(Algorithm.ESP384).public_der)


X, Y = P256_KEY.public_der[-64:-32], P256_KEY.public_der[-32:]
EC2 = {1: 2, -1: 1, -2: X, -3: Y}
OKP = {1: 1, -1: 6, -2: ED25519_KEY.public_der[-32:]}


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (None, Refusal.CWT_CLAIMS),
        ({}, Refusal.CWT_CLAIMS),
        ({1: {}}, Refusal.CWT_CLAIMS),
        ({3: b"kid"}, Refusal.CWT_CLAIMS),
        ({1: EC2, 3: b"kid"}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, 3: -9}}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, 2: b"kid"}}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, -4: bytes(32)}}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, 1: 1}}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, -1: 8}}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, -1: True}}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, -3: True}}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, -2: X[:31], -3: X[31:] + Y}}, Refusal.CWT_CLAIMS),
        ({1: {**EC2, -2: X[1:]}}, Refusal.KEY_FORM),
        ({1: {**EC2, -2: bytes(32)}}, Refusal.KEY_OFF_CURVE),
        ({1: {**OKP, 1: True}}, Refusal.CWT_CLAIMS),
        ({1: {**OKP, -1: 7}}, Refusal.CWT_CLAIMS),
        ({1: {**OKP, -2: bytes(33)}}, Refusal.KEY_FORM),
        ({1: {**OKP, -2: bytes(32)}}, Refusal.KEY_SMALL_ORDER),
        ({1: {**OKP, -2: (2).to_bytes(32, "little")}}, Refusal.KEY_OFF_CURVE),
    ],
)
def test_a_confirmation_that_is_not_exactly_a_good_key_is_refused(claim: object, code: Refusal):
    assert read_confirmation(claim, use="proof", owner="badge") == Refused(code=code, detail="claim 8")


def test_a_confirmed_key_is_of_the_use_and_owner_the_caller_says():
    record = read_confirmation({1: EC2}, use="proof", owner="badge 7")
    assert isinstance(record, KeyRecord)
    assert (record.use, record.owner, record.algorithm) == ("proof", "badge 7", Algorithm.ESP256)
