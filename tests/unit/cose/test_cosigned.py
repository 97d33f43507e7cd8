"""Documents with several signers: all signatures hold, each key once, in one order."""

import pytest

from gatekeeper.cose import (
    Algorithm,
    Cosigned,
    Refusal,
    Refused,
    SigningKey,
    add_signature,
    cosign,
    encode,
    key_ring,
    sign,
    sign_detached,
    verify_cosigned,
)

TYP = "application/agreement"
HOST, TENANT, THIRD = sorted(
    map(SigningKey.generate, (Algorithm.ESP256, Algorithm.ED25519, Algorithm.ESP384)), key=lambda key: key.kid
)
USES = {"host", "tenant"}
RING = key_ring(
    [
        HOST.record(use="host", owner="army"),
        TENANT.record(use="tenant", owner="school"),
        THIRD.record(use="scan", owner="gate"),
    ]
)


def believe(document: bytes, typ: str = TYP, uses: set[str] = USES):
    return verify_cosigned(document, keys=RING, typ=typ, uses=uses, external_aad=b"site")


def signature(key: SigningKey, payload: bytes = b"terms", typ: str = TYP) -> bytes:
    return sign_detached(payload, key=key, typ=typ, external_aad=b"site")


def test_a_document_names_all_who_signed_it():
    document = cosign(b"terms", keys=[TENANT, HOST], typ=TYP, external_aad=b"site")
    assert document == encode([b"terms", [signature(HOST), signature(TENANT)]])
    assert believe(document) == Cosigned(
        payload=b"terms", signers=frozenset({RING[HOST.kid], RING[TENANT.kid]})
    )


def test_the_order_of_signing_does_not_show():
    documents = [cosign(b"terms", keys=[HOST, TENANT], typ=TYP, external_aad=b"site")]
    for first, second in ((HOST, TENANT), (TENANT, HOST)):
        alone = cosign(b"terms", keys=[first], typ=TYP, external_aad=b"site")
        added = add_signature(alone, key=second, typ=TYP, external_aad=b"site")
        assert isinstance(added, bytes)
        documents.append(added)
    assert len(set(documents)) == 1


def test_whether_the_signers_suffice_is_left_to_the_caller():
    document = cosign(b"terms", keys=[TENANT], typ=TYP, external_aad=b"site")
    believed = believe(document)
    assert isinstance(believed, Cosigned)
    assert {key.owner for key in believed.signers} == {"school"}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", Refusal.CBOR_TRUNCATED),
        (encode([b"terms", []]), Refusal.COSIGNED_STRUCTURE),
        (encode([b"terms"]), Refusal.COSIGNED_STRUCTURE),
        (encode([b"terms", [signature(HOST)], None]), Refusal.COSIGNED_STRUCTURE),
        (encode(["terms", [signature(HOST)]]), Refusal.COSIGNED_STRUCTURE),
        (encode([b"terms", signature(HOST)]), Refusal.COSIGNED_STRUCTURE),
        (encode([b"terms", [signature(HOST), None]]), Refusal.COSIGNED_STRUCTURE),
        (encode({0: b"terms", 1: [signature(HOST)]}), Refusal.COSIGNED_STRUCTURE),
        (encode([b"terms", [signature(HOST), signature(HOST)]]), Refusal.COSIGNED_ORDER),
        (encode([b"terms", [signature(TENANT), signature(HOST)]]), Refusal.COSIGNED_ORDER),
        (encode([b"terms", [b"\x00"]]), Refusal.COSE_TAG),
        (
            encode([b"terms", [sign(b"terms", key=HOST, typ=TYP, external_aad=b"site")]]),
            Refusal.COSE_STRUCTURE,
        ),
        (encode([b"other", [signature(HOST), signature(TENANT)]]), Refusal.COSE_SIGNATURE),
        (encode([b"terms", [signature(HOST), signature(TENANT, b"other")]]), Refusal.COSE_SIGNATURE),
        (encode([b"terms", [signature(HOST), signature(TENANT, typ="other")]]), Refusal.COSE_TYPE),
        (encode([b"terms", [signature(HOST), signature(THIRD)]]), Refusal.COSE_KEY_USE),
        (encode([b"terms", [signature(SigningKey.generate())]]), Refusal.COSE_UNKNOWN_KEY),
    ],
)
def test_a_document_with_anything_wrong_is_refused_whole(document: bytes, code: Refusal):
    refused = believe(document)
    assert isinstance(refused, Refused)
    assert refused.code is code


def test_a_document_for_another_purpose_is_refused():
    document = cosign(b"terms", keys=[HOST, TENANT], typ=TYP, external_aad=b"site")
    assert believe(document, typ="application/other") == Refused(code=Refusal.COSE_TYPE)
    assert believe(document, uses={"host"}) == Refused(code=Refusal.COSE_KEY_USE)
    elsewhere = verify_cosigned(document, keys=RING, typ=TYP, uses=USES, external_aad=b"elsewhere")
    assert elsewhere == Refused(code=Refusal.COSE_SIGNATURE)


def test_nobody_signs_twice():
    document = cosign(b"terms", keys=[HOST], typ=TYP, external_aad=b"site")
    again = add_signature(document, key=HOST, typ=TYP, external_aad=b"site")
    assert isinstance(again, Refused)
    assert again.code is Refusal.COSIGNED_ORDER
    for keys in ([], [HOST, HOST]):
        with pytest.raises(ValueError):
            cosign(b"terms", keys=keys, typ=TYP)


def test_a_malformed_document_is_not_signed():
    assert add_signature(b"\x80", key=HOST, typ=TYP) == Refused(code=Refusal.COSIGNED_STRUCTURE)
