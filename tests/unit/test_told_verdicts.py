"""How a verdict is told: of a witness with two keys each cosignature is another."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from gatekeeper.cli.log.told import witness_document, witness_words
from gatekeeper.transparency import Cosigner, MlDsaCosigner, VerifiedSignature

NAME = "witness.example/fort"
NOW = Cosigner(name=NAME, private_key=Ed25519PrivateKey.generate())
LATER = MlDsaCosigner(name=NAME, private_key=MLDSA44PrivateKey.generate())


def test_the_two_keys_of_a_witness_are_told_apart():
    both = [VerifiedSignature(verifier=one.verifier, time=1_800_000_000) for one in (NOW, LATER)]
    assert [witness_words(one) for one in both] == [
        "witness.example/fort (Ed25519) at 2027-01-15T08:00:00Z",
        "witness.example/fort (ML-DSA-44) at 2027-01-15T08:00:00Z",
    ]
    assert [witness_document(one)["algorithm"] for one in both] == ["Ed25519", "ML-DSA-44"]
