"""COSE_Sign1: one shape is believed, and every departure from it is refused by name."""

from collections.abc import Callable

import pytest

from gatekeeper.cose import (
    Algorithm,
    Bounds,
    KeyRing,
    Parsed,
    Refusal,
    Refused,
    SigningKey,
    Verified,
    encode,
    key_ring,
    parse,
    sign,
    sign_detached,
    verify,
    verify_detached,
)

TYP = "application/example"
AAD = b"site/gate/scan"
KEY = SigningKey.generate(Algorithm.ESP256)
RING = key_ring([KEY.record(use="scan", owner="gate")])


def believe(message: bytes, *, keys: KeyRing = RING, typ: str = TYP, use: str = "scan", aad: bytes = AAD):
    return verify(message, keys=keys, typ=typ, use=use, external_aad=aad)


def signed(
    header: object,
    *,
    unprotected: object = None,
    payload: object = b"payload",
    key: SigningKey = KEY,
    spell: Callable[[object], bytes] = encode,
) -> bytes:
    """Sign truly, but over any header: only the shape is wrong."""
    protected = spell(header) if not isinstance(header, bytes) else header
    signature = key.sign(encode(["Signature1", protected, AAD, payload]))
    return b"\xd2" + encode([protected, {} if unprotected is None else unprotected, payload, signature])


HEADER = {1: KEY.algorithm, 4: KEY.kid, 16: TYP}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_what_is_signed_is_believed(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    record = key.record(use="scan", owner="gate")
    message = sign(b"payload", key=key, typ=TYP, external_aad=AAD)
    assert believe(message, keys=key_ring([record])) == Verified(payload=b"payload", key=record)


def test_a_message_has_exactly_the_bytes_of_the_design():
    message = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    protected = bytes.fromhex("a3012804" + "48") + KEY.kid + b"\x10\x73" + TYP.encode()
    signature = KEY.sign(b"\x84\x6aSignature1" + b"\x58\x22" + protected + b"\x4e" + AAD + b"\x47payload")
    assert message == b"\xd2\x84\x58\x22" + protected + b"\xa0\x47payload\x58\x40" + signature
    assert message == signed(HEADER)


def test_an_empty_payload_and_no_external_data_are_fine():
    message = sign(b"", key=KEY, typ=TYP)
    assert isinstance(believe(message, aad=b""), Verified)
    assert believe(message) == Refused(code=Refusal.COSE_SIGNATURE)


def test_a_message_for_another_topic_is_refused():
    message = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    assert believe(message, aad=b"site/other/scan") == Refused(code=Refusal.COSE_SIGNATURE)


def test_a_message_of_another_type_is_refused():
    message = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    assert believe(message, typ="application/other") == Refused(code=Refusal.COSE_TYPE)


def test_a_key_meant_for_something_else_is_refused():
    message = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    assert believe(message, use="decision") == Refused(code=Refusal.COSE_KEY_USE)


def test_a_key_nobody_knows_is_refused():
    message = sign(b"payload", key=SigningKey.generate(), typ=TYP, external_aad=AAD)
    assert believe(message) == Refused(code=Refusal.COSE_UNKNOWN_KEY)


def test_the_algorithm_must_be_the_one_of_the_key_record():
    # -7 and -9 are the same computation, so this signature would verify: only the record's word counts.
    for number in (Algorithm.ES256, Algorithm.ESP384, Algorithm.EDDSA, 0, 5, -47):
        assert believe(signed({**HEADER, 1: number})) == Refused(code=Refusal.COSE_ALGORITHM)


def test_a_payload_cannot_be_moved_to_another_message():
    one, two = (sign(payload, key=KEY, typ=TYP, external_aad=AAD) for payload in (b"payload 1", b"payload 2"))
    swapped = one.replace(b"payload 1", b"payload 2")
    assert swapped not in {one, two}
    assert believe(swapped) == Refused(code=Refusal.COSE_SIGNATURE)


def test_another_key_of_the_ring_cannot_be_named_instead():
    other = SigningKey.generate()
    ring = key_ring([*RING.values(), other.record(use="scan", owner="another gate")])
    message = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD).replace(KEY.kid, other.kid)
    assert believe(message, keys=ring) == Refused(code=Refusal.COSE_SIGNATURE)


@pytest.mark.parametrize(
    "header",
    [
        {4: KEY.kid, 16: TYP},
        {1: KEY.algorithm, 16: TYP},
        {1: KEY.algorithm, 4: KEY.kid},
        {},
        b"",
        [],
        KEY.kid,
        {**HEADER, 2: [16]},
        {**HEADER, 3: "application/cwt"},
        {**HEADER, 5: bytes(16)},
        {**HEADER, "x": 1},
        {**HEADER, 4: KEY.kid.hex()},
        {**HEADER, 4: 12345678},
        {**HEADER, 1: "ESP256"},
        {**HEADER, 1: None},
        {**HEADER, 16: 61},
        {**HEADER, 16: TYP.encode()},
        {**HEADER, 16: TYP * 10},
        {**HEADER, 1: [[]]},
        encode(HEADER) + b"\x00",
        encode(HEADER)[:-1],
        b"\xa3\x38\x00" + encode(HEADER)[2:],
        b"\xbf" + encode(HEADER)[1:] + b"\xff",
        b"\xa4\x01\x28" + encode(HEADER)[1:],
        b"\xa3\x04\x48" + KEY.kid + b"\x01\x28\x10\x73" + TYP.encode(),
    ],
)
def test_a_header_that_is_not_exactly_algorithm_kid_and_type_is_refused(header: object):
    refused = believe(signed(header))
    assert isinstance(refused, Refused)
    assert refused.code is Refusal.COSE_HEADER


@pytest.mark.parametrize("unprotected", [{4: KEY.kid}, {1: -9}, {"x": None}, {-1: []}])
def test_a_header_that_nobody_signed_is_refused(unprotected: object):
    refused = believe(signed(HEADER, unprotected=unprotected))
    assert isinstance(refused, Refused)
    assert refused.code is Refusal.COSE_HEADER


def test_a_header_moved_out_of_protection_is_refused():
    refused = believe(signed({1: KEY.algorithm, 16: TYP}, unprotected={4: KEY.kid}))
    assert isinstance(refused, Refused)
    assert refused.code is Refusal.COSE_HEADER


def test_a_message_under_another_tag_or_none_is_refused():
    body = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)[1:]
    for start in (b"", b"\xd1", b"\xd8\x62", b"\xd8\x12", b"\xd8\x3d\xd2", b"\xd9\xd9\xf7\xd2", b"\x00"):
        assert believe(start + body) == Refused(code=Refusal.COSE_TAG)
    assert believe(b"\xd2\xd2" + body) == Refused(code=Refusal.CBOR_TYPE_NOT_ALLOWED)
    assert believe(b"") == Refused(code=Refusal.COSE_TAG)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        {},
        0,
        b"",
        [b"", {}, b""],
        [b"", {}, b"", b"", b""],
        [b"", [], b"", b""],
        [b"", b"", b"", b""],
        [{}, {}, b"", b""],
        [b"", {}, "", b""],
        [b"", {}, b"", None],
        [b"", {}, b"", [[b"", {}, b""]]],
        [b"", None, b"", b""],
    ],
)
def test_a_message_of_another_structure_is_refused(parts: object):
    assert believe(b"\xd2" + encode(parts)) == Refused(code=Refusal.COSE_STRUCTURE)


def test_a_message_that_is_not_deterministic_cbor_is_refused():
    message = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    assert believe(message + b"\x00") == Refused(code=Refusal.CBOR_TRAILING_BYTES)
    assert believe(b"\xd2\x98\x04" + message[2:]) == Refused(code=Refusal.CBOR_NOT_DETERMINISTIC)
    assert believe(b"\xd2\x9f" + message[2:] + b"\xff") == Refused(code=Refusal.CBOR_NOT_DETERMINISTIC)
    long_payload = message.replace(b"\xa0\x47payload", b"\xa0\x58\x07payload")
    assert believe(long_payload) == Refused(code=Refusal.CBOR_NOT_DETERMINISTIC)


def test_the_start_of_a_message_is_refused():
    message = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    assert all(isinstance(believe(message[:kept]), Refused) for kept in range(len(message)))


def test_a_message_longer_than_its_bound_is_refused_before_it_is_read():
    message = sign(bytes(300), key=KEY, typ=TYP)
    fits = Bounds(max_bytes=len(message), max_depth=2, max_items=5)
    tight = Bounds(max_bytes=len(message) - 1, max_depth=2, max_items=5)
    assert isinstance(verify(message, keys=RING, typ=TYP, use="scan", bounds=fits), Verified)
    assert verify(message, keys=RING, typ=TYP, use="scan", bounds=tight) == Refused(
        code=Refusal.CBOR_OVERSIZED
    )


def test_a_detached_payload_is_believed_with_its_message_only():
    message = sign_detached(b"payload", key=KEY, typ=TYP, external_aad=AAD)

    def believe_detached(payload: bytes, message: bytes = message, use: str = "scan"):
        return verify_detached(message, payload, keys=RING, typ=TYP, use=use, external_aad=AAD)

    assert believe_detached(b"payload") == Verified(payload=b"payload", key=RING[KEY.kid])
    assert believe_detached(b"another") == Refused(code=Refusal.COSE_SIGNATURE)
    assert believe_detached(b"payload", use="decision") == Refused(code=Refusal.COSE_KEY_USE)
    assert believe_detached(b"payload", b"\xd1") == Refused(code=Refusal.COSE_TAG)


def test_an_attached_and_a_detached_message_are_not_taken_for_each_other():
    attached = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    detached = sign_detached(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    as_attached = believe(detached)
    as_detached = verify_detached(attached, b"payload", keys=RING, typ=TYP, use="scan", external_aad=AAD)
    for refused in (as_attached, as_detached):
        assert isinstance(refused, Refused)
        assert refused.code is Refusal.COSE_STRUCTURE


def test_a_message_can_be_looked_at_before_it_is_believed():
    message = sign(b"payload", key=KEY, typ=TYP, external_aad=AAD)
    parsed = parse(message, typ=TYP)
    assert isinstance(parsed, Parsed)
    assert (parsed.kid, parsed.payload, parsed.algorithm, parsed.typ) == (
        KEY.kid,
        b"payload",
        KEY.algorithm,
        TYP,
    )


def test_a_refusal_says_nothing_of_what_the_message_holds():
    secret = "hunter2"
    for message in (
        signed({**HEADER, secret: secret}),
        signed(HEADER, unprotected={secret: secret}),
        sign(secret.encode(), key=SigningKey.generate(), typ=secret),
        sign(secret.encode(), key=KEY, typ=secret),
    ):
        refused = believe(message)
        assert isinstance(refused, Refused)
        assert secret not in repr(refused)
