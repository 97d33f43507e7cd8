"""Refusals are part of the contract: codes are stable, sentences are for people."""

import re

import pytest

from gatekeeper.cose import Refusal

CODES = """
cbor-oversized cbor-truncated cbor-trailing-bytes cbor-too-deep cbor-too-many-items cbor-malformed
cbor-type-not-allowed cbor-not-deterministic cbor-duplicate-key cbor-text
cose-tag cose-structure cose-header cose-type cose-unknown-key cose-key-use cose-algorithm cose-signature
cosigned-structure cosigned-order cwt-claims key-form key-off-curve key-small-order key-id-clash
"""


def test_no_code_has_changed():
    assert [str(refusal) for refusal in Refusal] == CODES.split()


@pytest.mark.parametrize("refusal", Refusal)
def test_a_code_has_a_sentence_of_its_own(refusal: Refusal):
    assert re.fullmatch(r"[A-Z].+\w\.", refusal.sentence)
    assert [other for other in Refusal if other.sentence == refusal.sentence] == [refusal]
    assert Refusal(refusal.value) is refusal
