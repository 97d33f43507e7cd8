"""Sealed bytes open for the key and the purpose they were sealed for, and for nothing else."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatekeeper import cose

INFO = b"pacs-pin-v1\0fort\0front\0front-in"


@pytest.fixture(scope="module")
def pair() -> tuple[cose.SealKey, bytes]:
    key = cose.SigningKey.generate()
    return cose.SealKey.from_pem(key.to_pem()), key.public_der


def test_what_was_sealed_opens_for_its_key_and_purpose(pair: tuple[cose.SealKey, bytes]):
    key, public = pair
    sealed = cose.seal(b"1234", public_der=public, info=INFO)
    assert key.open(sealed, info=INFO) == b"1234"
    assert len(sealed) == len(b"1234") + cose.SEALED_OVERHEAD
    assert b"1234" not in sealed


def test_the_same_twice_is_sealed_otherwise(pair: tuple[cose.SealKey, bytes]):
    assert cose.seal(b"1234", public_der=pair[1], info=INFO) != cose.seal(
        b"1234", public_der=pair[1], info=INFO
    )


def test_another_key_and_another_purpose_open_nothing(pair: tuple[cose.SealKey, bytes]):
    key, public = pair
    sealed = cose.seal(b"1234", public_der=public, info=INFO)
    other = cose.SealKey.from_pem(cose.SigningKey.generate().to_pem())
    assert other.open(sealed, info=INFO) is None
    assert key.open(sealed, info=INFO + b"-out") is None


def test_no_altered_bit_opens(pair: tuple[cose.SealKey, bytes]):
    key, public = pair
    sealed = cose.seal(b"1234", public_der=public, info=INFO)
    for place in range(len(sealed)):
        altered = bytes((*sealed[:place], sealed[place] ^ 1, *sealed[place + 1 :]))
        assert key.open(altered, info=INFO) is None, place
    for cut in range(len(sealed)):
        assert key.open(sealed[:cut], info=INFO) is None, cut


def test_only_a_p256_key_seals_and_opens():
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(cose.KeyRefusedError):
        cose.SealKey.from_pem(pem)
    with pytest.raises(cose.KeyRefusedError):
        cose.SealKey.from_pem(b"no key")
    ed25519 = cose.SigningKey.generate(cose.Algorithm.ED25519)
    with pytest.raises(cose.KeyRefusedError):
        cose.seal(b"1234", public_der=ed25519.public_der, info=INFO)


def test_a_seal_key_never_shows_itself(pair: tuple[cose.SealKey, bytes]):
    assert "PRIVATE" not in repr(pair[0])
    assert not hasattr(pair[0], "__dict__")
