"""Bytes of a foreign gate: every fault is found by itself, whatever else is wrong, and nothing that comes breaks the reader."""

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from devices.conformance.reading import read
from gatekeeper import cose
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import ByCard, ClockQuality, Hello, Scan, Status, StatusKind, Verdict

TOPIC = "gk/v1/hall/foreign/hello"
JOURNAL_TOPIC = "gk/v1/hall/foreign/journal"
KEY = cose.SigningKey.generate()
RECORD = KEY.record(use="gate", owner="foreign")
HELLO = Hello(
    boot=BootId(b"the boot"),
    sequence=1,
    gate_at=None,
    clock=ClockQuality.NONE,
    agent="a gate",
    policy=None,
    checkpoint=None,
)


def faults(wire: bytes) -> dict[str, str]:
    return {fault.requirement: fault.seen for fault in read(wire, topic=TOPIC, record=RECORD).faults}


def signed(
    *, typ: str = "application/pacs-hello+cose", aad: str = TOPIC, key: cose.SigningKey = KEY
) -> bytes:
    return cose.sign(HELLO.payload(), key=key, typ=typ, external_aad=aad.encode())


def test_what_is_right_has_no_fault_and_says_what_it_says():
    reading = read(signed(), topic=TOPIC, record=RECORD)
    assert (reading.message, reading.faults) == (HELLO, ())
    assert (reading.boot, reading.number) == (b"the boot", 1)


def test_every_fault_is_told_with_what_was_seen():
    assert faults(signed(aad="")) == {
        "GK-G-014": f"it verifies with nothing as external AAD, not with {TOPIC}"
    }
    assert faults(signed(aad="elsewhere")) == {"GK-G-014": "it does not verify"}
    assert faults(signed(typ="application/pacs-scan+cose")) == {
        "GK-G-012": "'application/pacs-scan+cose' instead of 'application/pacs-hello+cose'"
    }
    assert faults(signed(key=cose.SigningKey.generate())).keys() == {"GK-G-013", "GK-G-014"}


def test_several_faults_are_all_told():
    assert faults(signed(typ="hello", aad="")).keys() == {"GK-G-012", "GK-G-014"}


def test_a_signature_in_der_is_told_by_its_length():
    protected, _, payload, _ = cose.decode(signed()[1:])
    wire = b"\xd2" + cose.encode([protected, {}, payload, b"\x30" * 71])
    assert faults(wire) == {"GK-G-014": "a signature of 71 bytes: r || s is 64, or 96 on P-384"}


def test_what_is_no_sign1_or_too_long_is_told_as_that_alone():
    untagged = signed()[1:]
    for wire in (untagged, b"", b"junk", cbor2.dumps(cbor2.CBORTag(18, [1, 2, 3, 4])), cbor2.dumps(7)):
        assert faults(wire).keys() == {"GK-G-010"}, wire
    assert faults(signed() + bytes(8192)) == {"GK-G-016": f"{len(signed()) + 8192} bytes"}


def test_what_is_spelt_otherwise_is_read_all_the_same():
    protected, _, payload, signature = cose.decode(signed()[1:])
    loose = b"\xd2\x98\x04" + b"".join(cose.encode(part) for part in (protected, {}, payload, signature))
    reading = read(loose, topic=TOPIC, record=RECORD)
    assert reading.message == HELLO
    assert [fault.requirement for fault in reading.faults] == ["GK-G-011"]


def in_a_journal(message: Status | Scan, *, typ: str) -> dict[str, str]:
    wire = cose.sign(message.payload(), key=KEY, typ=typ, external_aad=JOURNAL_TOPIC.encode())
    reading = read(wire, topic=JOURNAL_TOPIC, record=RECORD)
    return {fault.requirement: fault.seen for fault in reading.faults}


def scan(offline_verdict: Verdict | None) -> Scan:
    return Scan(
        boot=BootId(b"journal1"),
        sequence=7,
        gate_at=None,
        clock=ClockQuality.NONE,
        access_point=AccessPointId("door"),
        credential=ByCard(Card(CardTechnology.MIFARE, bytes(4))),
        beacon=bytes(16),
        proof=None,
        round_trip=None,
        offline_verdict=offline_verdict,
        offline_policy=bytes(32) if offline_verdict is not None else None,
        sealed_pin=None,
    )


def test_a_journal_holds_three_kinds_each_with_its_typ_and_of_scans_those_decided_alone():
    status = Status(
        boot=BootId(b"journal1"),
        sequence=6,
        gate_at=None,
        clock=ClockQuality.NONE,
        kind=StatusKind.TAMPER,
        access_point=None,
    )
    assert in_a_journal(status, typ="application/pacs-status+cose") == {}
    assert in_a_journal(status, typ="application/pacs-scan+cose").keys() == {"GK-G-012"}
    assert in_a_journal(scan(Verdict.GRANTED), typ="application/pacs-scan+cose") == {}
    assert in_a_journal(scan(None), typ="application/pacs-scan+cose") == {
        "GK-G-015": "a scan in a journal without field 10"
    }


@given(st.binary(max_size=200))
def test_nothing_that_comes_breaks_the_reader(octets: bytes):
    for wire in (octets, b"\xd2\x84" + octets, b"\xd2\x84\x43\xa1\x01\x26\xa0" + octets):
        read(wire, topic=TOPIC, record=RECORD)
