"""The policy is what the host signed, spelled in one way."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.policy_document import (
    MAX_POLICY_BYTES,
    POLICY_TYPE,
    PolicyRefusal,
    PolicyRefused,
    WrittenPolicy,
    compile_from,
    read_policy,
    sign_policy,
)
from gatekeeper.model.policy import Policy
from gatekeeper.model.site_file import policy_document, read_site
from tests.support.site_files import Site, small_site

Respell = Callable[[bytes], bytes]


def signed(
    site: Site, payload: bytes, *, by: str = "army", typ: str = POLICY_TYPE, aad: bytes = b"fort"
) -> bytes:
    return cose.sign(payload, key=site.signing(by), typ=typ, external_aad=aad)


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_what_the_host_signed_is_read_as_it_was_written(standing_fort: Site):
    policy = read_policy(standing_fort.founding.policy, trust=standing_fort.trust)
    assert policy == WrittenPolicy(written=read_site(small_site()), payload=policy_document(small_site()))


def test_the_compiled_policy_has_the_agreements_of_the_trust_list_not_of_the_file(standing_fort: Site):
    greedy = small_site()
    greedy["tenant"][1]["agreement"]["ceiling"] = 5
    document = sign_policy(greedy, site=standing_fort.trust.site, key=standing_fort.signing("army"))
    policy = compile_from(document, trust=standing_fort.trust)
    assert isinstance(policy, Policy)
    assert policy.tenants["school"].agreement.ceiling == 2


def test_the_version_names_policy_and_trust_list(standing_fort: Site):
    first = compile_from(standing_fort.founding.policy, trust=standing_fort.trust)
    again = compile_from(standing_fort.founding.policy, trust=standing_fort.trust)
    other = small_site()
    other["site"]["alert_states"] = ["calm", "tense", "worse"]
    second = compile_from(
        sign_policy(other, site=standing_fort.trust.site, key=standing_fort.signing("army")),
        trust=standing_fort.trust,
    )
    assert first.version == again.version != second.version


def test_the_order_of_a_files_keys_does_not_show(standing_fort: Site):
    backwards = dict(reversed(small_site().items()))
    assert (
        sign_policy(backwards, site=standing_fort.trust.site, key=standing_fort.signing("army"))
        == standing_fort.founding.policy
    )


def test_a_tenants_signature_makes_no_policy(standing_fort: Site):
    document = signed(standing_fort, policy_document(small_site()), by="school")
    assert read_policy(document, trust=standing_fort.trust) == PolicyRefused(
        code=PolicyRefusal.NOT_HOST, detail="school"
    )


@pytest.mark.parametrize("wrong", [{"typ": "application/other"}, {"aad": b"other-site"}])
def test_a_signature_for_something_else_makes_no_policy(standing_fort: Site, wrong: dict[str, Any]):
    document = signed(standing_fort, policy_document(small_site()), **wrong)
    refused = read_policy(document, trust=standing_fort.trust)
    assert refused.code is PolicyRefusal.SIGNATURE


def test_a_strangers_signature_makes_no_policy(standing_fort: Site):
    document = sign_policy(small_site(), site=standing_fort.trust.site, key=cose.SigningKey.generate())
    assert compile_from(document, trust=standing_fort.trust) == PolicyRefused(
        code=PolicyRefusal.SIGNATURE, detail=cose.Refusal.COSE_UNKNOWN_KEY
    )


def test_one_altered_byte_is_found(standing_fort: Site):
    document = bytearray(standing_fort.founding.policy)
    document[len(document) // 2] ^= 1
    assert read_policy(bytes(document), trust=standing_fort.trust).code is PolicyRefusal.SIGNATURE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: b'{"site":{},' + text[1:],
        lambda text: text.replace(b'"host":"army"', b'"host":"school","host":"army"'),
    ],
)
def test_a_key_that_stands_twice_is_refused(standing_fort: Site, spoil: Respell):
    document = signed(standing_fort, spoil(policy_document(small_site())))
    assert read_policy(document, trust=standing_fort.trust).code is PolicyRefusal.DUPLICATE_KEY


@pytest.mark.parametrize(
    "respell",
    [
        lambda text: json.dumps(json.loads(text)).encode(),
        lambda text: text + b"\n",
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.decode().encode("utf-16"),
        lambda text: text.replace(b"Fort", b"\\u0046ort"),
        lambda text: text.replace(b'"level":0', b'"level":-0'),
        lambda text: text.replace(b'"level":1', b'"level":1e0'),
        lambda text: canonical({**json.loads(text), "bridge": []}),
        lambda _text: b"[]",
        lambda _text: b"7",
    ],
)
def test_another_spelling_of_the_same_policy_is_refused(standing_fort: Site, respell: Respell):
    document = signed(standing_fort, respell(policy_document(small_site())))
    assert read_policy(document, trust=standing_fort.trust).code is PolicyRefusal.NOT_CANONICAL


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"\xff", b'{"site":NaN}', b'{"site":"\\ud800"}', b'{"site":' + b"[" * 100_000, b"{}"],
)
def test_what_describes_no_site_is_refused(standing_fort: Site, payload: bytes):
    refused = read_policy(signed(standing_fort, payload), trust=standing_fort.trust)
    assert refused.code is PolicyRefusal.MALFORMED
    assert refused.code.sentence


@pytest.mark.parametrize(("key", "value"), [("id", "castle"), ("host", "school")])
def test_a_policy_for_another_site_or_host_is_refused(standing_fort: Site, key: str, value: str):
    other = small_site()
    other["site"][key] = value
    if key == "host":
        del other["tenant"][1]["agreement"]
        other["tenant"][0]["agreement"] = small_site()["tenant"][1]["agreement"]
    document = signed(standing_fort, policy_document(other))
    assert read_policy(document, trust=standing_fort.trust).code is PolicyRefusal.OTHER_SITE


def test_a_policy_may_be_a_megabyte_long_and_no_longer(standing_fort: Site):
    large = small_site()
    days = large["calendar"][0]["days"]
    names = {"en": "x" * 200, "nl": "y" * 200}
    days += [{"date": f"2{year:03}-01-01", "name": names} for year in range(1000)]
    days += [{"date": f"2{year:03}-01-02", "name": names} for year in range(1000)]
    assert len(policy_document(large)) > 800_000
    key = standing_fort.signing("army")
    document = sign_policy(large, site=standing_fort.trust.site, key=key)
    assert isinstance(read_policy(document, trust=standing_fort.trust), WrittenPolicy)

    days += [{"date": f"2{year:03}-01-03", "name": names} for year in range(1000)]
    with pytest.raises(ValueError, match=str(MAX_POLICY_BYTES)):
        sign_policy(large, site=standing_fort.trust.site, key=key)
    document = signed(standing_fort, policy_document(large))
    assert read_policy(document, trust=standing_fort.trust) == PolicyRefused(
        code=PolicyRefusal.SIGNATURE, detail=cose.Refusal.CBOR_OVERSIZED
    )
