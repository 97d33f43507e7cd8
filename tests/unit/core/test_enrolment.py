"""A gate's request to belong to a site is believed from the holder of its key, and from nobody else."""

import hashlib
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.enrolment import (
    ENROLMENT_TYPE,
    EnrolmentRefusal,
    EnrolmentRefused,
    EnrolmentRequest,
    enrolment_request,
    fingerprint,
    read_enrolment,
)
from gatekeeper.cose import cbor
from gatekeeper.model.ids import GateId, SiteId

SITE, GATE = SiteId("assen"), GateId("main-gate")
KEY, OTHER = cose.SigningKey.generate(), cose.SigningKey.generate()


def signed(
    fields: Any, *, key: cose.SigningKey = KEY, typ: str = ENROLMENT_TYPE, aad: bytes = b"assen"
) -> bytes:
    return cose.sign(cbor.encode(fields), key=key, typ=typ, external_aad=aad)


def fields(**changes: Any) -> dict[int, Any]:
    written = {0: 1, 1: SITE, 2: GATE, 3: int(KEY.algorithm), 4: KEY.public_der}
    return written | {int(name.removeprefix("f")): value for name, value in changes.items()}


@pytest.mark.parametrize("algorithm", [cose.Algorithm.ESP256, cose.Algorithm.ED25519, cose.Algorithm.ESP384])
def test_the_holder_of_a_key_is_believed(algorithm: cose.Algorithm):
    key = cose.SigningKey.generate(algorithm)
    request = read_enrolment(enrolment_request(site=SITE, gate=GATE, key=key))
    assert request == EnrolmentRequest(site=SITE, gate=GATE, record=key.record(use="gate", owner=GATE))
    assert request.fingerprint == fingerprint(key.public_der)


def test_a_request_says_which_tls_key_is_the_same_gate_s():
    request = read_enrolment(enrolment_request(site=SITE, gate=GATE, key=KEY, tls=b"the TLS key"))
    assert isinstance(request, EnrolmentRequest)
    assert request.tls == hashlib.sha256(b"the TLS key").digest()


def test_a_fingerprint_is_the_whole_hash_in_groups_of_four():
    shown = fingerprint(KEY.public_der)
    assert shown.replace(" ", "") == hashlib.sha256(KEY.public_der).hexdigest()
    assert {len(group) for group in shown.split(" ")} == {4}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", EnrolmentRefusal.STRUCTURE),
        (signed(fields(), typ="application/pacs-scan+cose"), EnrolmentRefusal.STRUCTURE),
        (cose.sign_detached(b"\xa0", key=KEY, typ=ENROLMENT_TYPE), EnrolmentRefusal.MALFORMED),
        (signed([]), EnrolmentRefusal.MALFORMED),
        (signed(fields(f0=2)), EnrolmentRefusal.MALFORMED),
        (signed(fields(f0=3)), EnrolmentRefusal.MALFORMED),
        (signed(fields(f5=bytes(32))), EnrolmentRefusal.MALFORMED),
        (signed(fields(f0=True)), EnrolmentRefusal.MALFORMED),
        (signed(fields(f1="Assen")), EnrolmentRefusal.MALFORMED),
        (signed(fields(f2="main/gate")), EnrolmentRefusal.MALFORMED),
        (signed(fields(f3=-1)), EnrolmentRefusal.MALFORMED),
        (signed(fields(f4="key")), EnrolmentRefusal.MALFORMED),
        (signed(fields(f0=2, f5=None)), EnrolmentRefusal.MALFORMED),
        (signed(fields(f0=2, f5=bytes(31))), EnrolmentRefusal.MALFORMED),
        (signed(fields(f0=2, f5=bytes(33))), EnrolmentRefusal.MALFORMED),
        (signed(fields(f0=2, f5="a" * 32)), EnrolmentRefusal.MALFORMED),
        (signed(fields(f0=2, f5=bytes(32), f6=bytes(32))), EnrolmentRefusal.MALFORMED),
        (signed(fields(f4=b"key")), EnrolmentRefusal.KEY),
        (signed(fields(f3=int(cose.Algorithm.ED25519))), EnrolmentRefusal.KEY),
        (signed(fields(), key=OTHER), EnrolmentRefusal.PROOF),
        (signed(fields(f4=OTHER.public_der)), EnrolmentRefusal.PROOF),
        (signed(fields(), aad=b"elsewhere"), EnrolmentRefusal.PROOF),
        (signed(fields(f1="elsewhere")), EnrolmentRefusal.PROOF),
    ],
)
def test_a_request_with_anything_wrong_is_refused(document: bytes, code: EnrolmentRefusal):
    refused = read_enrolment(document)
    assert isinstance(refused, EnrolmentRefused)
    assert refused.code is code
    assert refused.code.sentence
    assert refused.detail, "and where it failed"


def test_a_request_with_one_bit_changed_is_refused():
    document = enrolment_request(site=SITE, gate=GATE, key=KEY)
    for at in range(len(document)):
        changed = document[:at] + bytes([document[at] ^ 1]) + document[at + 1 :]
        assert isinstance(read_enrolment(changed), EnrolmentRefused), at
