"""From bytes on a topic to an authentic message: each refusal by its code, and in the order of their cost."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.scan import Authentic, Rejected, authenticate
from gatekeeper.core.trust import KeyState, Trust, read_trust
from gatekeeper.cose import cbor
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import (
    HELLO_TYPE,
    MAX_MESSAGE_BYTES,
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    PassageOutcome,
)
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import Channel, gate_topic
from tests.support.sites import SITE, Sent, SmallSite, ground, key_of, listed, signed_trust

FRONT = GateId("front")
SCANS = gate_topic(SITE, FRONT, Channel.SCAN)


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def heard(topic: str, wire: bytes, *, trust: Trust | None = None, prefix: str = "gk") -> Authentic | Rejected:
    return authenticate(topic, wire, trust=trust or ground().trust, prefix=prefix)


def code_of(topic: str, wire: bytes, **context: Any) -> str:
    found = heard(topic, wire, **context)
    assert isinstance(found, Rejected)
    return found.code.value


def signed(
    payload: bytes, *, by: str = "front", typ: str = SCAN_TYPE, topic: str = SCANS, aad: str | None = None
) -> bytes:
    return cose.sign(payload, key=key_of(by), typ=typ, external_aad=(aad or topic).encode())


def trust_with(gate: str, **key: Any) -> Trust:
    gates = dict(listed().gates)
    gates[GateId(gate)] = replace(gates[GateId(gate)], **key)
    believed = read_trust(signed_trust(listed(gates=gates)), anchor=ground().anchor, not_below=0)
    assert isinstance(believed, Trust)
    return believed


# -- what is believed -------------------------------------------------------------------------------------------------


def every_kind(site: SmallSite) -> list[Sent]:
    return [
        site.scan("front-in", "sergeant"),
        site.passage("front-in", PassageOutcome.FORCED),
        site.status("front"),
        site.hello("front"),
    ]


def test_each_kind_of_message_is_believed_as_it_was_signed(site: SmallSite):
    for sent in every_kind(site):
        assert heard(sent.topic, sent.wire) == Authentic(
            FRONT, sent.message, hashlib.sha256(sent.wire).digest(), sent.wire
        )


def test_a_site_may_have_another_prefix_and_hears_nothing_on_the_usual_one(site: SmallSite):
    topic = gate_topic(SITE, FRONT, Channel.SCAN, prefix="north")
    wire = signed(site.scan("front-in", "sergeant").message.payload(), topic=topic)
    assert isinstance(heard(topic, wire, prefix="north"), Authentic)
    assert code_of(topic, wire) == "topic-unknown"


# -- topics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "gk",
        "gk/v1/fort/front",
        "gk/v1/fort/front/scan/more",
        "/gk/v1/fort/front/scan",
        "gk/v2/fort/front/scan",
        "gk/v1/castle/front/scan",
        "gk/v1/fort/Front/scan",
        "gk/v1/fort//scan",
        "gk/v1/fort/+/scan",
        "gk/v1/fort/front/scan\n",
        "gk/v1/fort/beacon",
        "gk/v1/fort/front/laugh",
        *(f"gk/v1/fort/front/{down}" for down in ("decision", "command", "policy")),
    ],
)
def test_a_topic_that_belongs_to_no_gate_of_the_site_is_refused(topic: str, site: SmallSite):
    scan = site.scan("front-in", "sergeant").message
    assert heard(topic, signed(scan.payload(), topic=topic)) == Rejected(MessageRefusal.TOPIC, "", None)


def test_what_the_service_says_downward_is_no_message_upward():
    topic = gate_topic(SITE, FRONT, Channel.DECISION)
    assert code_of(topic, signed(b"\xa0", by="decision", topic=topic)) == "topic-unknown"


# -- bounds come before anything is read ------------------------------------------------------------------------------


@pytest.mark.parametrize("filler", [b"\xff", b"\x9b", b"\x81", b"\xd2"])
def test_what_is_too_long_is_refused_by_its_length_alone(filler: bytes):
    assert MAX_MESSAGE_BYTES == 8192
    found = heard(SCANS, filler * (MAX_MESSAGE_BYTES + 1))
    assert found == Rejected(MessageRefusal.OVERSIZED, "8193 bytes", FRONT)
    assert code_of(SCANS, filler * MAX_MESSAGE_BYTES) != "message-oversized"


def test_an_oversized_message_is_refused_even_when_its_signature_is_good():
    assert code_of(SCANS, signed(bytes(MAX_MESSAGE_BYTES))) == "message-oversized"


def test_an_unknown_topic_is_named_before_the_length():
    assert code_of("gk/v1/fort/beacon", bytes(MAX_MESSAGE_BYTES + 1)) == "topic-unknown"


def test_an_unknown_gate_is_refused_before_anything_is_parsed():
    topic = gate_topic(SITE, GateId("cellar"), Channel.SCAN)
    assert heard(topic, b"\xff") == Rejected(MessageRefusal.UNKNOWN_GATE, "", GateId("cellar"))


# -- signatures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", [b"", b"\xff", b"{}", b"\x84\x40\xa0\x40\x40", b"\xd2", b"\xd2\x80"])
def test_bytes_that_are_no_signed_message_get_the_code_of_the_signature_check(wire: bytes):
    assert code_of(SCANS, wire).startswith(("cose-", "cbor-"))


def test_every_altered_byte_is_found(site: SmallSite):
    sent = site.scan("front-in", "sergeant")
    for at in range(len(sent.wire)):
        altered = sent.wire[:at] + bytes([sent.wire[at] ^ 1]) + sent.wire[at + 1 :]
        assert isinstance(heard(sent.topic, altered), Rejected), f"byte {at}"


@pytest.mark.parametrize("length", [1, 10, 100, -65, -1])
def test_a_cut_message_is_found(length: int, site: SmallSite):
    sent = site.scan("front-in", "sergeant")
    assert code_of(sent.topic, sent.wire[:length]).startswith(("cose-", "cbor-"))


def test_a_strangers_key_is_unknown(site: SmallSite):
    scan = site.scan("front-in", "sergeant").message
    assert code_of(SCANS, signed(scan.payload(), by="stranger")) == "cose-unknown-key"


@pytest.mark.parametrize("signer", ["army signing", "army issuer", "decision", "root 1"])
def test_keys_that_are_for_something_else_sign_no_message(signer: str, site: SmallSite):
    scan = site.scan("front-in", "sergeant").message
    assert code_of(SCANS, signed(scan.payload(), by=signer)) == "cose-unknown-key"


def test_another_gate_cannot_speak_on_this_gates_topic(site: SmallSite):
    scan = site.scan("front-in", "sergeant").message
    wire = signed(scan.payload(), by="inner")
    assert heard(SCANS, wire) == Rejected(MessageRefusal.FOREIGN_GATE, "", FRONT)


def test_of_a_message_that_is_not_signed_as_it_must_be_the_gate_of_its_topic_is_told(site: SmallSite):
    sent = site.scan("front-in", "sergeant")
    refused = heard(SCANS, sent.wire[:-1] + bytes([sent.wire[-1] ^ 1]))
    assert isinstance(refused, Rejected)
    assert refused.gate == FRONT


def test_a_message_moved_to_another_topic_does_not_verify(site: SmallSite):
    sent = site.scan("barrack-in", "sergeant")
    assert sent.topic == gate_topic(SITE, GateId("inner"), Channel.SCAN)
    for gate, channel in (("front", Channel.SCAN), ("inner", Channel.PASSAGE)):
        moved = gate_topic(SITE, GateId(gate), channel)
        assert code_of(moved, sent.wire).startswith("cose-")


@pytest.mark.parametrize(
    ("channel", "typ"),
    [
        (Channel.SCAN, PASSAGE_TYPE),
        (Channel.PASSAGE, SCAN_TYPE),
        (Channel.STATUS, HELLO_TYPE),
        (Channel.HELLO, STATUS_TYPE),
    ],
)
def test_a_type_belongs_on_its_own_channel(channel: Channel, typ: str):
    topic = gate_topic(SITE, FRONT, channel)
    assert code_of(topic, signed(b"\xa0", typ=typ, topic=topic)) == "cose-type"


@pytest.mark.parametrize(
    ("state", "code"), [(KeyState.VERIFY_ONLY, "cose-unknown-key"), (KeyState.REVOKED, "gate-revoked")]
)
def test_a_gate_whose_key_is_withdrawn_is_heard_no_more(state: KeyState, code: str, site: SmallSite):
    sent = site.scan("front-in", "sergeant")
    assert isinstance(heard(sent.topic, sent.wire), Authentic)
    assert code_of(sent.topic, sent.wire, trust=trust_with("front", state=state)) == code


def test_nothing_that_is_said_in_the_name_of_a_revoked_gate_is_read(site: SmallSite):
    topic = site.scan("front-in", "sergeant").topic
    revoked = trust_with("front", state=KeyState.REVOKED)
    assert code_of(topic, b"", trust=revoked) == "gate-revoked"
    assert code_of(topic, b"", trust=trust_with("front", state=KeyState.ACTIVE)) != "gate-revoked"


# -- content ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"\xa0", b"\x80", cbor.encode({0: 2}), cbor.encode({0: 1, 1: bytes(8)})]
)
@pytest.mark.parametrize("channel", ["scan", "passage", "status", "hello"])
def test_a_good_signature_over_no_message_is_malformed(channel: str, payload: bytes):
    topic = gate_topic(SITE, FRONT, Channel(channel))
    found = heard(topic, signed(payload, typ=f"application/pacs-{channel}+cose", topic=topic))
    assert isinstance(found, Rejected)
    assert (found.code, found.gate) == (MessageRefusal.MALFORMED, FRONT)
    assert found.detail


def test_the_content_of_an_unsigned_message_is_never_reached(site: SmallSite):
    """A stranger with malformed content is told of his key, not of his content."""
    assert code_of(SCANS, signed(b"\xff", by="stranger")) == "cose-unknown-key"
    assert code_of(SCANS, signed(b"\xff", by="inner")) == "gate-foreign"
