"""A policy is believed as its host signed it: one spelling of one JSON object, of any size that a site may have."""

import pytest

from gatekeeper import cose
from gatekeeper.core.policy_document import (
    POLICY_TYPE,
    PolicyRefusal,
    PolicyRefused,
    WrittenPolicy,
    read_policy,
    sign_policy,
)
from gatekeeper.core.trust import Trust
from gatekeeper.model.site_file import policy_document
from tests.support.sites import HOST, SITE, ground, key_of, site_document


def trust() -> Trust:
    return ground().trust


def signed(payload: bytes, *, by: str = HOST) -> bytes:
    return cose.sign(payload, key=key_of(f"{by} signing"), typ=POLICY_TYPE, external_aad=SITE.encode())


def refused(document: bytes) -> PolicyRefused:
    found = read_policy(document, trust=trust())
    assert isinstance(found, PolicyRefused), found
    return found


GOOD = policy_document(site_document())


def test_what_the_host_signed_is_believed_to_the_byte():
    found = read_policy(signed(GOOD), trust=trust())
    assert isinstance(found, WrittenPolicy)
    assert (found.payload, found.written.site, found.written.host) == (GOOD, SITE, HOST)


def test_a_large_site_is_believed_too():
    document = site_document()
    shed = next(zone for zone in document["zone"] if zone["id"] == "shed")
    document["zone"] += [{**shed, "id": f"shed-{number}"} for number in range(1000)]
    found = read_policy(sign_policy(document, site=SITE, key=key_of(f"{HOST} signing")), trust=trust())
    assert isinstance(found, WrittenPolicy)
    assert len(found.payload) > 100_000


@pytest.mark.parametrize(
    ("payload", "code", "detail"),
    [
        (GOOD[:-1] + b',"site":{}}', PolicyRefusal.DUPLICATE_KEY, "site"),
        (b'{"a":1,"b":{"c":1,"c":1}}', PolicyRefusal.DUPLICATE_KEY, "c"),
        (GOOD + b"\n", PolicyRefusal.NOT_CANONICAL, ""),
        (b"[]", PolicyRefusal.NOT_CANONICAL, ""),
        (b"1", PolicyRefusal.NOT_CANONICAL, ""),
        (b'"site"', PolicyRefusal.NOT_CANONICAL, ""),
        (b'{"a":NaN}', PolicyRefusal.MALFORMED, "ValueError"),
        (b'{"a":-Infinity}', PolicyRefusal.MALFORMED, "ValueError"),
        (b"", PolicyRefusal.MALFORMED, "JSONDecodeError"),
        (b"\xff", PolicyRefusal.MALFORMED, "UnicodeDecodeError"),
    ],
)
def test_what_is_no_canonical_object_is_refused(payload: bytes, code: PolicyRefusal, detail: str):
    assert refused(signed(payload)) == PolicyRefused(code=code, detail=detail)


def test_a_refusal_says_where_it_failed():
    assert refused(signed(GOOD, by="school")) == PolicyRefused(code=PolicyRefusal.NOT_HOST, detail="school")
    assert refused(signed(GOOD)[:-1]).code is PolicyRefusal.SIGNATURE
    assert refused(signed(GOOD)[:-1]).detail
    document = site_document()
    document["zone"][0]["level"] = 9
    assert "level" in refused(signed(policy_document(document))).detail
    elsewhere = site_document()
    elsewhere["site"]["id"] = "castle"
    assert refused(signed(policy_document(elsewhere))) == PolicyRefused(
        code=PolicyRefusal.OTHER_SITE, detail=f"castle, {HOST}"
    )
