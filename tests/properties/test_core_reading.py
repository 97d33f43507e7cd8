"""Whoever signed it, what a document says is data: no reader raises, whatever stands in the fields.

Every document of a good site is taken apart, one to three of its fields are put wrong with anything that CBOR can say, and
it is signed again with the very keys that count. A reader may believe it or refuse it; an exception would be an engine
that stops, and stops again after its restart.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.core.change import CHANGE_TYPE, BadgeIssue, HolderChange, PolicyChange, sign_change
from gatekeeper.core.operators import OPERATOR_USE
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.core.register import HOLDER_TYPE, holder_payload, read_holder
from gatekeeper.core.scan import authenticate
from gatekeeper.core.trust import AGREEMENT_TYPE, TRUST_TYPE, agreement_payload, read_trust, trust_payload
from gatekeeper.cose import cbor
from gatekeeper.model.badges import BADGE_TYPE, claims_of
from gatekeeper.model.messages import PassageOutcome
from gatekeeper.model.site_file import policy_document
from gatekeeper.model.topics import PREFIX
from tests.support.operators import operator_key
from tests.support.sites import BADGES, SITE, SmallSite, ground, key_of, listed, signed_trust, site_document

WIDE = cbor.Bounds(max_bytes=1_000_000, max_depth=16, max_items=100_000)
NUMBERS = st.one_of(
    st.integers(-3, 30),
    st.sampled_from([1 << 31, 1 << 53, 1 << 62, (1 << 64) - 1, -(1 << 62), -(1 << 64), 253_402_300_800]),
)
PLAIN = st.one_of(
    NUMBERS,
    st.booleans(),
    st.none(),
    st.binary(max_size=20),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(["army", "school", "yard", "front", b"0123456789abcdef", bytes(32)]),
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(NUMBERS, st.text("abc", max_size=3)), inner, max_size=4),
    ),
    max_leaves=6,
)


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document at which something stands."""
    inside: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        inside = [place for key, item in value.items() for place in places(item, (*at, key))]
    elif isinstance(value, list):
        inside = [place for number, item in enumerate(value) for place in places(item, (*at, number))]
    return [at, *inside]


def put(document: Any, place: tuple[Any, ...], value: object) -> Any:
    """The document with something else at a place; the document itself when that place has gone."""
    if not place:
        return value
    inner = document
    try:
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
    except (TypeError, KeyError, IndexError):
        pass
    return document


def standing(document: Any, place: tuple[Any, ...]) -> Any:
    """What stands at a place."""
    for step in place:
        document = document[step]
    return document


def like(value: object) -> st.SearchStrategy[Any]:
    """Something else of the same kind, which a reader may well believe."""
    match value:
        case bool():
            return st.just(not value)
        case int():
            return st.one_of(NUMBERS, st.sampled_from([value - 1, value + 1]))
        case bytes():
            return st.binary(min_size=len(value), max_size=len(value))
        case str():
            return st.sampled_from(
                ["army", "school", "club", "yard", "shed", "front-out", "x" * 32, value + "-"]
            )
        case list():
            return st.sampled_from([value[:-1], value[1:], [*value, *value[:1]], value[::-1]])
        case _:
            return ANYTHING


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> bytes:
    made = deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(document)))
        made = put(made, place, deepcopy(draw(st.one_of(like(standing(document, place)), ANYTHING))))
    return cbor.encode(made)


def decoded(payload: bytes) -> Any:
    return cbor.decode(payload, bounds=WIDE)


# -- messages ---------------------------------------------------------------------------------------------------------


def _messages() -> dict[str, Any]:
    site = SmallSite()
    sent = [
        site.scan("front-in", "sergeant"),
        site.passage("front-in", PassageOutcome.TAKEN, scan=site.scan("front-in", "private")),
        site.status("front"),
        site.hello("front", policy=bytes(32), checkpoint=b"note"),
    ]
    return {one.topic: decoded(one.message.payload()) for one in sent}


MESSAGES = _messages()


@pytest.mark.parametrize("topic", MESSAGES)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_what_a_gate_signs_is_read_or_refused_and_what_is_read_is_taken(topic: str, data: st.DataObject):
    site = SmallSite()
    payload = data.draw(spoilt(MESSAGES[topic]))
    typ = f"application/pacs-{topic.rpartition('/')[2]}+cose"
    wire = cose.sign(payload, key=key_of("front"), typ=typ, external_aad=topic.encode())
    found = authenticate(topic, wire, trust=site.flow.trust, prefix=PREFIX)
    event(type(found).__name__)
    if hasattr(found, "message"):
        assert found.message.payload() == payload, "what was read is not all that was signed"
        assert site.flow.take(found, site.flow.verify(found, beacons=()), now=site.now)


# -- badges and registrations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["sergeant", "pupil", "van"])
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_what_an_issuer_signs_as_a_badge_is_decided_on(who: str, data: st.DataObject):
    """From the token to the answer: a badge that reads strangely is denied or believed, and stops nobody."""
    site, issued = SmallSite(), BADGES[who]
    claims = data.draw(spoilt(decoded(cose.encode(claims_of(issued.badge)))))
    token = cose.sign(claims, key=key_of(f"{issued.badge.tenant} issuer"), typ=BADGE_TYPE)
    sent = site.scan("front-in", "pupil")
    scan = site.scan("front-in", "pupil", credential=type(sent.message.credential)(token[:1024]))
    taken = site.recorded(scan)
    event(taken.decision.reason.code)


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_what_an_issuer_signs_as_a_registration_is_decided_on(data: st.DataObject):
    site = SmallSite()
    payload = data.draw(spoilt(decoded(holder_payload(site.holders["sergeant"], site=SITE))))
    document = cose.sign(payload, key=key_of("army issuer"), typ=HOLDER_TYPE, external_aad=SITE.encode())
    holder = read_holder(document, trust=site.flow.trust)
    event("believed" if holder is not None else "refused")
    if holder is not None:
        assert holder_payload(holder, site=SITE) == payload, "what was read is not all that was signed"
    content = HolderChange(holder=site.holders["sergeant"].id, document=document, badges=())
    assert site.supervise(content).outcome.code
    assert site.tap("barrack-in", "sergeant").answer


# -- changes ----------------------------------------------------------------------------------------------------------


def _change() -> Any:
    site = SmallSite()
    issued, holder = BADGES["van"], site.holders["van"]
    content = HolderChange(
        holder=holder.id,
        document=ground().registrations["van"],
        badges=(BadgeIssue(badge=issued.badge.id, token=issued.token, card=issued.badge.card),),
    )
    signed = sign_change(
        content, site=SITE, change_id=bytes(16), author="school", at=site.now, key=operator_key("school")
    )
    verified = cose.verify(
        signed,
        keys=site.flow.operators.ring(trust=site.flow.trust),
        typ=CHANGE_TYPE,
        use=OPERATOR_USE,
        external_aad=SITE.encode(),
    )
    assert isinstance(verified, cose.Verified)
    return decoded(verified.payload)


CHANGE = _change()


@given(
    data=st.data(),
    kind=st.sampled_from(["holder", "badge-state", "alert", "lockdown", "suspension", "policy", "trust"]),
)
@settings(max_examples=400, deadline=None)
def test_what_a_tenant_signs_as_a_change_is_made_or_refused(data: st.DataObject, kind: str):
    site = SmallSite()
    payload = data.draw(spoilt({**CHANGE, 3: kind}))
    document = cose.sign(payload, key=operator_key("school"), typ=CHANGE_TYPE, external_aad=SITE.encode())
    done = site.supervise(document, filed_as=bytes(16))
    event(str(done.outcome.code))
    assert (done.draft is not None) is (done.outcome.code == "applied")


# -- policies ---------------------------------------------------------------------------------------------------------

POLICY = json.loads(policy_document(site_document()))
WRITTEN = st.one_of(
    st.integers(-3, 30),
    st.booleans(),
    st.none(),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        [
            "army",
            "yard",
            "always",
            "front-in",
            "calm",
            "07:30",
            "24:00",
            "2026-12-25",
            "9999-12-31T23:59:59Z",
            "",
        ]
    ),
)
JSON = st.recursive(
    WRITTEN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "name", "en", "nl", "from", "until", "days", "zone"]), inner),
    ),
    max_leaves=5,
)


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_what_the_host_signs_as_a_policy_is_compiled_or_refused_and_decides(data: st.DataObject):
    document = deepcopy(POLICY)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(places(POLICY)))
        document = put(document, place, data.draw(st.one_of(WRITTEN, JSON)))
    if not isinstance(document, dict):
        return
    site = SmallSite()
    content = PolicyChange(document=sign_policy(document, site=SITE, key=key_of("army signing")))
    event(str(site.supervise(content).outcome.code))
    for door in ("front-in", "armoury-out"):
        assert site.tap(door, "teacher").decision.reasons is not None


# -- trust lists and agreements ---------------------------------------------------------------------------------------

TRUST = decoded(trust_payload(listed()))
AGREEMENT = decoded(agreement_payload(ground().trust.agreements["school"], site=SITE))


def believed(document: bytes) -> str:
    return type(read_trust(document, anchor=ground().anchor, not_below=0)).__name__


def by_roots(payload: bytes) -> bytes:
    keys = [key_of("root 1"), key_of("root 2")]
    return cose.cosign(payload, keys=keys, typ=TRUST_TYPE, external_aad=SITE.encode())


def by_both(payload: bytes) -> bytes:
    keys = [key_of("army signing"), key_of("school signing")]
    document = cose.cosign(payload, keys=keys, typ=AGREEMENT_TYPE, external_aad=SITE.encode())
    altered = deepcopy(TRUST)
    altered[6]["school"][2] = document
    return by_roots(cbor.encode(altered))


@pytest.mark.parametrize(
    ("good", "sign"), [(TRUST, by_roots), (AGREEMENT, by_both)], ids=["list", "agreement"]
)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_what_the_roots_sign_is_believed_or_refused(
    good: Any, sign: Callable[[bytes], bytes], data: st.DataObject
):
    event(believed(sign(data.draw(spoilt(good)))))


def test_what_is_not_spoilt_is_believed():
    """Or the properties above would hold of readers that refuse everything."""
    assert believed(by_roots(cbor.encode(TRUST))) == "Trust"
    assert believed(by_both(cbor.encode(AGREEMENT))) == "Trust"
    assert believed(signed_trust(listed())) == "Trust"
    site = SmallSite()
    document = cose.sign(
        cbor.encode(CHANGE), key=operator_key("school"), typ=CHANGE_TYPE, external_aad=SITE.encode()
    )
    assert site.supervise(document, filed_as=bytes(16)).outcome.code == "registration-old"
