"""Project Wycheproof's hostile signatures (C2SP/wycheproof), every one through our only verification path."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.cose import Algorithm, KeyRecord, KeyRefusedError, verify_signature
from gatekeeper.cose.curves import ED25519, P256, P384, Curve

VECTORS = os.environ.get("GATEKEEPER_VECTORS")

pytestmark = pytest.mark.skipif(VECTORS is None, reason="GATEKEEPER_VECTORS names no folder with vectors")

FILES = [
    ("ed25519_test.json", ED25519, Algorithm.ED25519, 151),
    ("ed25519_test.json", ED25519, Algorithm.EDDSA, 151),
    ("ecdsa_secp256r1_sha256_p1363_test.json", P256, Algorithm.ESP256, 262),
    ("ecdsa_secp256r1_sha256_p1363_test.json", P256, Algorithm.ES256, 262),
    ("ecdsa_secp384r1_sha384_p1363_test.json", P384, Algorithm.ESP384, 280),
]


def public_der(public_key: dict[str, Any], curve: Curve) -> bytes:
    """Build a SubjectPublicKeyInfo from the vector's own numbers."""
    if "pk" in public_key:
        return curve.public_der(bytes.fromhex(public_key["pk"]))
    size = curve.point_bytes // 2
    x, y = (int(public_key[name], 16).to_bytes(size, "big") for name in ("wx", "wy"))
    return curve.public_der(x + y)


def verifies(key: bytes, algorithm: Algorithm, test: dict[str, Any]) -> bool:
    try:
        record = KeyRecord.of(key, algorithm=algorithm, use="vector", owner="wycheproof")
    except KeyRefusedError:
        return False
    return verify_signature(record, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))


def cases(name: str, curve: Curve) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for group in json.loads((Path(str(VECTORS)) / "wycheproof" / name).read_text())["testGroups"]:
        key = public_der(group["publicKey"], curve)
        assert key.hex() == group["publicKeyDer"]
        for test in group["tests"]:
            yield key, test


@pytest.mark.parametrize(("name", "curve", "algorithm", "number"), FILES)
def test_valid_signatures_verify_and_invalid_ones_are_refused(
    name: str, curve: Curve, algorithm: Algorithm, number: int
):
    wrong = {
        test["tcId"]: test["comment"]
        for key, test in cases(name, curve)
        if test["result"] != "acceptable" and verifies(key, algorithm, test) != (test["result"] == "valid")
    }
    assert wrong == {}
    assert len(list(cases(name, curve))) == number
