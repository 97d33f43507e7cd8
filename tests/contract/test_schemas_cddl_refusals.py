"""What the CDDL forbids the code refuses: every specimen damaged in every way, on the way that it would really take."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.model.topics import Channel
from tests.contract import cddl, readers, specimens, vector_site

HOWS = ("missing", "unknown", "type", "range", "bool")
EXAMPLES = specimens.payloads()
WHOLE = tuple(
    rule for rule, (_, body) in cddl.rules().items() if rule.endswith(("-message", "-document", "-token"))
)


def refusal(rule: str, value: Any) -> str | None:
    """The code's word on a value; a reader that raises has said nothing that counts."""
    try:
        return readers.refusal(rule, cose.encode(value))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a defect of the reader
        return f"raised {type(error).__name__}"


def decoded(payload: bytes) -> Any:
    return cose.decode(payload, bounds=cddl.ROOMY)


# -- what the file forbids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("rule", readers.PAYLOADS)
def test_what_the_file_forbids_is_refused(rule: str, how: str):
    seen = 0
    wrong = []
    for name, (obeyed, payload) in EXAMPLES.items():
        if obeyed != rule:
            continue
        for damage in specimens.damaged(decoded(payload)):
            if damage.how != how or cddl.allows(rule, damage.value):
                continue
            seen += 1
            said = refusal(rule, damage.value)
            if said is None or said.startswith("raised"):
                wrong.append((name, damage.where, said))
    assert seen
    assert wrong == []


@pytest.mark.parametrize("rule", readers.PAYLOADS)
def test_whatever_is_signed_no_reader_raises(rule: str):
    raised = [
        (name, damage.where, said)
        for name, (obeyed, payload) in EXAMPLES.items()
        if obeyed == rule
        for damage in specimens.damaged(decoded(payload))
        if (said := refusal(rule, damage.value)) is not None and said.startswith("raised")
    ]
    assert raised == []


ACROSS_FIELDS = {
    ("agreement", "range", 7),  # a life that no calendar holds
    ("change", "range", 6),  # it would end before it begins
    ("badge-claims", "missing", 65535),  # a long life asks for a status
    ("badge-claims", "range", 4),  # it would end before it begins
    ("enrolment", "range", 4),  # bytes that are no key
    ("operator", "range", 4),
    ("snapshot", "range", 6),  # it would end before it begins
    ("snapshot", "missing", 8),  # somebody refers to it
    ("snapshot", "missing", 9),
    ("snapshot", "missing", 10),
    ("snapshot", "missing", 11),
    ("snapshot", "range", 10),  # hours that do not rise
    ("snapshot", "unknown", 10),  # or half a stretch
    ("snapshot", "range", 11),  # a reference that leads nowhere
    ("snapshot", "range", 12),  # rows that are not whole, or do not rise
    ("snapshot", "range", 13),  # so too of cards
    ("snapshot", "range", 14),  # tokens of no card
    ("status-list", "range", 65533),  # bytes that are no zlib
    ("operator", "range", 6),  # it would end before it begins
    ("trust", "missing", 6),  # without the host no agreement has its signatures
    ("trust", "range", 6),  # bytes that are no key, or no agreement
    ("trust", "range", 7),
    ("trust", "range", 8),
}
"""What CDDL allows and the code refuses all the same, because it asks more than one field or what bytes mean."""


@pytest.mark.parametrize("rule", readers.PAYLOADS)
def test_what_the_file_allows_of_the_damaged_is_read_but_for_what_only_code_can_ask(rule: str):
    seen, refused = 0, set[tuple[str, str, Any]]()
    for obeyed, payload in EXAMPLES.values():
        if obeyed != rule:
            continue
        for damage in specimens.damaged(decoded(payload)):
            if cddl.allows(rule, damage.value):
                seen += 1
                assert cddl.pycddl_allows(rule, damage.value), damage
                if refusal(rule, damage.value) is not None:
                    refused.add((rule, damage.how, damage.where[0]))
    assert seen
    assert refused == {one for one in ACROSS_FIELDS if one[0] == rule}


@pytest.mark.parametrize(
    ("name", "field", "most"),
    [
        ("decision-granted", 6, 5000),
        ("decision-denied", 6, 5000),
        ("decision-recorded", 6, 5000),
        ("decision-waiting", 6, 60_000),
        ("decision-granted", 7, 86_400_000),
        ("scan-by-token", 9, 86_400_000),
        ("beacon", 4, 86_400_000),
    ],
)
def test_a_duration_may_be_so_long_and_no_longer(name: str, field: int, most: int):
    rule, payload = EXAMPLES[name]
    for length, allowed in ((0, True), (most, True), (most + 1, False), (-1, False)):
        value = decoded(payload) | {field: length}
        assert cddl.allows(rule, value) is allowed
        assert (refusal(rule, value) is None) is allowed


# -- the envelope -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", WHOLE)
@settings(max_examples=25)
@given(st.data())
def test_what_a_whole_message_may_be_is_parsed(rule: str, data: st.DataObject):
    value = data.draw(cddl.values(rule))
    assert cddl.allows(rule, value)
    assert cddl.pycddl_allows(rule, value)
    _, body = cddl.rules()[rule]
    message = cddl.written(value)
    if isinstance(body, cddl.Word) and body.name == "signed":
        parsed = cose.parse(message, typ=body.given[0].value, bounds=cddl.ROOMY)
        assert isinstance(parsed, cose.Parsed)
        assert cose.Algorithm(parsed.algorithm)


def test_a_signed_message_is_a_whole_message_of_its_rule():
    topic = readers.topic_of(Channel.SCAN)
    _, payload = EXAMPLES["scan-by-token"]
    message = readers.signed(payload, key="front", typ=readers.PAYLOADS["scan"][0], aad=topic)
    value = cddl.tagged(message)
    assert cddl.allows("scan-message", value)
    assert not cddl.allows("passage-message", value)
    assert cddl.allows("trust-document", decoded(vector_site.trust_document()))
    assert cddl.allows("agreement-document", decoded(vector_site.agreement_document()))
    assert cddl.allows("policy-document", cddl.tagged(vector_site.policy_document()))


@pytest.mark.parametrize("how", HOWS)
def test_an_envelope_that_the_file_forbids_is_refused(how: str):
    topic = readers.topic_of(Channel.SCAN)
    typ = readers.PAYLOADS["scan"][0]
    _, payload = EXAMPLES["scan-by-card"]
    message = readers.signed(payload, key="front", typ=typ, aad=topic)
    protected, unprotected, carried, signature = decoded(message[1:])
    whole = [decoded(protected), unprotected, carried, signature]
    seen = 0
    for damage in specimens.damaged(whole):
        if damage.how != how or not isinstance(damage.value, list):
            continue
        parts = damage.value
        if parts and isinstance(parts[0], dict):
            parts = [cose.encode(parts[0]), *parts[1:]]
        if cddl.allows("scan-message", cddl.cbor_tag(parts)):
            continue
        seen += 1
        found = cose.verify(
            b"\xd2" + cose.encode(parts),
            keys=vector_site.trust().gates,
            typ=typ,
            use="gate",
            external_aad=topic.encode(),
        )
        assert isinstance(found, cose.Refused), damage
    assert seen


def test_a_cosigned_document_has_one_signature_at_least_and_nothing_else():
    payload, signatures = decoded(vector_site.agreement_document())
    for wrong in (
        [payload, []],
        [payload],
        [payload, signatures, 0],
        [None, signatures],
        [payload, [b"", *signatures]],
    ):
        assert not cddl.allows("agreement-document", wrong)
        found = cose.verify_cosigned(
            cose.encode(wrong),
            keys=vector_site.trust().tenants,
            typ=readers.PAYLOADS["agreement"][0],
            uses={"tenant"},
            external_aad=vector_site.SITE.encode(),
        )
        assert isinstance(found, cose.Refused), wrong
