"""Payloads: each message written and read back, and every other map refused by a value."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.cose import cbor
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, BootId, GateId, OperatorId, SiteId
from gatekeeper.model.messages import (
    ANSWER_VALIDITY,
    Answer,
    Beacon,
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    Command,
    CommandKind,
    Hello,
    LogCheckpoint,
    MessageMalformed,
    Passage,
    PassageOutcome,
    Proof,
    Scan,
    Status,
    StatusKind,
    Verdict,
    proof_digest_input,
)

AT = datetime(2026, 6, 3, 10, 0, 0, 123_000, tzinfo=UTC)
UPWARD: dict[str, Any] = {
    "boot": BootId(b"12345678"),
    "sequence": 7,
    "gate_at": AT,
    "clock": ClockQuality.FREE_RUNNING,
}
SCAN = Scan(
    **UPWARD,
    access_point=AccessPointId("front-in"),
    credential=ByToken(b"token"),
    beacon=bytes(16),
    proof=Proof(gate_random=bytes(16), signature=bytes(64)),
    round_trip=timedelta(milliseconds=17),
    offline_verdict=Verdict.GRANTED,
    offline_policy=bytes(32),
)
PASSAGE = Passage(
    **UPWARD, access_point=AccessPointId("front-in"), outcome=PassageOutcome.TAKEN, scan=bytes(32)
)
STATUS = Status(**UPWARD, kind=StatusKind.TAMPER, access_point=AccessPointId("front-in"))
REFUSED = Status(
    **UPWARD,
    kind=StatusKind.COMMAND_REFUSED,
    access_point=None,
    command=bytes(32),
    why="command-forged",
    count=2,
)
HELLO = Hello(**UPWARD, agent="gatekeeper-device/0.1", policy=bytes(32), checkpoint=b"note")
ANSWER = Answer(
    message=bytes(32),
    gate=GateId("front"),
    verdict=Verdict.GRANTED,
    reason=1,
    issued=AT,
    valid=ANSWER_VALIDITY,
    unlock=timedelta(seconds=4),
    policy=bytes(32),
    entry=99,
)
BEACON = Beacon(site=SiteId("fort"), value=bytes(16), issued=AT, period=timedelta(seconds=10))
CHECKPOINT = LogCheckpoint(site=SiteId("fort"), note=b"a note", at=AT)
COMMAND = Command(
    boot=BootId(b"12345678"),
    sequence=7,
    gate=GateId("front"),
    kind=CommandKind.OPEN,
    access_point=AccessPointId("front-in"),
    issued=AT,
    valid=timedelta(seconds=10),
    operator=OperatorId("officer"),
    second=OperatorId("admin"),
    entry=99,
    unlock=timedelta(seconds=4),
)
MESSAGES = [SCAN, PASSAGE, STATUS, HELLO, ANSWER, BEACON, CHECKPOINT, COMMAND]

VARIANTS = [
    *MESSAGES,
    *(replace(SCAN, credential=credential) for credential in (
        ByToken(b"\0"),
        ByToken(bytes(1024)),
        ByDigest(bytes(32)),
        ByCard(Card(CardTechnology.MIFARE, b"\0")),
        ByCard(Card(CardTechnology.WIEGAND, bytes(16))),
    )),
    replace(SCAN, proof=None, round_trip=None, offline_verdict=None, offline_policy=None, gate_at=None),
    replace(SCAN, proof=Proof(gate_random=bytes(16), signature=bytes(96))),
    replace(SCAN, offline_verdict=Verdict.DENIED, offline_policy=None),
    replace(SCAN, sequence=1, round_trip=timedelta(0)),
    replace(SCAN, sequence=1 << 53, round_trip=timedelta(days=1)),
    *(replace(PASSAGE, outcome=outcome, scan=None) for outcome in PassageOutcome),
    *(replace(STATUS, kind=kind, access_point=None) for kind in StatusKind),
    REFUSED,
    replace(REFUSED, kind=StatusKind.POLICY_REFUSED, count=None),
    replace(STATUS, kind=StatusKind.OPENED_ITSELF, count=1 << 53),
    replace(STATUS, kind=StatusKind.JOURNAL_FULL, count=2),
    *(replace(HELLO, clock=clock, policy=None, checkpoint=None, agent="x" * 64) for clock in ClockQuality),
    replace(HELLO, checkpoint=bytes(2048)),
    replace(HELLO, gate_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    replace(ANSWER, verdict=Verdict.DENIED, unlock=None, reason=65535),
    replace(ANSWER, verdict=Verdict.RECORDED, unlock=None, reason=0, valid=timedelta(0), entry=0),
]  # fmt: skip


@pytest.mark.parametrize("message", VARIANTS, ids=lambda message: type(message).__name__)
def test_a_message_is_read_as_it_was_written_and_written_as_it_was_read(message: Any):
    payload = message.payload()
    read = type(message).read(payload)
    assert read == message
    assert read.payload() == payload


def test_a_time_is_carried_to_the_millisecond():
    finer = replace(STATUS, gate_at=AT + timedelta(microseconds=999))
    assert Status.read(finer.payload()) == STATUS


def kind_of(message: Any) -> str:
    return type(message).__name__


@pytest.mark.parametrize("message", MESSAGES, ids=kind_of)
@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x80", b"\x01", b"\xf6", b"\xa0\x00"])
def test_what_is_no_map_is_refused(message: Any, payload: bytes):
    assert isinstance(type(message).read(payload), MessageMalformed)


OPTIONAL = {
    Scan: {3, 8, 9, 10, 11},
    Passage: {3, 7},
    Status: {3, 6},
    Hello: {3, 6, 7},
    Answer: set(),
    Beacon: set(),
    LogCheckpoint: set(),
    Command: {9},
}


@pytest.mark.parametrize("message", MESSAGES, ids=kind_of)
def test_a_message_lacks_none_of_its_fields_and_has_no_other(message: Any):
    read = type(message).read
    fields = cbor.decode(message.payload())
    for left in fields:
        rest = {key: value for key, value in fields.items() if key != left}
        found = read(cbor.encode(rest))
        assert isinstance(found, MessageMalformed) is (left not in OPTIONAL[type(message)]), left
    for more in (-1, 13, 99, "0"):
        assert read(cbor.encode({**fields, more: 0})) == MessageMalformed("an unknown field")


@pytest.mark.parametrize("message", MESSAGES, ids=kind_of)
@pytest.mark.parametrize("version", [0, 2, -1, True, "1", None, b"\1"])
def test_a_version_that_is_not_known_is_refused(message: Any, version: object):
    fields = cbor.decode(message.payload())
    assert type(message).read(cbor.encode({**fields, 0: version})) == MessageMalformed("an unknown version")


SPOILT: list[tuple[Any, int, list[object]]] = [
    *((message, 1, [b"1234567", b"123456789", "12345678", 12345678]) for message in MESSAGES[:4]),
    *((message, 2, [0, -1, (1 << 53) + 1, "7", True, None]) for message in MESSAGES[:4]),
    *((message, 3, [-1, "now", 253_402_300_800_000, True]) for message in MESSAGES[:4]),
    *((message, 4, [-1, 3, "2", None, True]) for message in MESSAGES[:4]),
    (SCAN, 5, ["", "Front", b"front", "a" * 33, None]),
    (SCAN, 6, [
        [], [1], [1, b""], [1, bytes(1025)], [1, "token"], [1, b"token", b""], [True, b"token"],
        [2, bytes(31)], [2, bytes(33)], [3, bytes(32)], [-1, b"x"],
        [0, 0], [0, 2, b"x"], [0, -1, b"x"], [0, 0, b""], [0, 0, bytes(17)], [0, True, b"x"], [False, 0, b"x"],
        [0, 0, "x"], b"token", {1: b"token"}, None,
    ]),
    (SCAN, 7, [bytes(15), bytes(17), b"", None, "0" * 16]),
    (SCAN, 8, [[], [bytes(16)], [bytes(15), bytes(64)], [bytes(16), bytes(63)], [bytes(16), bytes(64), 0], [bytes(64), bytes(16)], b"", None]),
    (SCAN, 9, [-1, 86_400_001, "17", True]),
    (SCAN, 10, [2, -1, True, None]),
    (SCAN, 11, [bytes(31), b"", None]),
    (SCAN, 12, [bytes(88), bytes(90), b"", "2580", None]),
    (PASSAGE, 5, ["", None]),
    (PASSAGE, 6, [5, -1, True, "taken"]),
    (PASSAGE, 7, [bytes(31), None]),
    (STATUS, 5, [len(StatusKind), -1, True]),
    (STATUS, 6, ["Front In", None]),
    (STATUS, 8, ["command-forged"]),
    (STATUS, 9, [2]),
    (replace(STATUS, kind=StatusKind.OPENED_ITSELF), 8, ["command-forged"]),
    (replace(STATUS, kind=StatusKind.JOURNAL_FULL), 8, ["command-forged"]),
    (replace(STATUS, kind=StatusKind.JOURNAL_FULL), 9, [0, 1, (1 << 53) + 1]),
    (REFUSED, 8, ["", "Command forged", "a" * 33, b"command-forged", None]),
    (REFUSED, 9, [0, 1, (1 << 53) + 1, "2", True, None]),
    (HELLO, 5, ["", "x" * 65, b"x", None]),
    (HELLO, 6, [bytes(31), None]),
    (HELLO, 7, [bytes(2049), "note", None]),
    (ANSWER, 1, [bytes(31), None]),
    (ANSWER, 2, ["Front", None]),
    (ANSWER, 3, [3, 0, 2, -1, True]),
    (ANSWER, 4, [-1, 65_536, True]),
    (ANSWER, 5, [-1, 253_402_300_800_000]),
    (ANSWER, 6, [-1, 5001, True]),
    (ANSWER, 7, [-1, 86_400_001, None]),
    (ANSWER, 8, [bytes(31), None]),
    (ANSWER, 9, [-1, True, None]),
    (BEACON, 1, ["The Fort", None]),
    (BEACON, 2, [bytes(15), None]),
    (BEACON, 3, [-1, None]),
    (BEACON, 4, [-1, 86_400_001]),
    (CHECKPOINT, 1, ["The Fort", None]),
    (CHECKPOINT, 2, [b"", bytes(2049), "a note", None]),
    (CHECKPOINT, 3, [-1, None]),
    (COMMAND, 1, [bytes(7), None]),
    (COMMAND, 2, [0, -1, True, None]),
    (COMMAND, 3, ["Front", None]),
    (COMMAND, 4, [4, 1, 2, 3, -1, True]),
    (COMMAND, 5, ["Front In", None]),
    (COMMAND, 6, [-1, 253_402_300_800_000]),
    (COMMAND, 7, [-1, 10_001, True]),
    (COMMAND, 8, ["The Officer", None]),
    (COMMAND, 9, ["The Admin", None]),
    (COMMAND, 10, [-1, True, None]),
    (COMMAND, 11, [-1, 86_400_001, None]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [(message, field, value) for message, field, values in SPOILT for value in values],
)
def test_a_field_of_another_type_or_out_of_range_is_refused(message: Any, field: int, value: object):
    fields = cbor.decode(message.payload())
    found = type(message).read(cbor.encode({**fields, field: value}))
    assert isinstance(found, MessageMalformed)
    assert found.detail


def test_an_unlock_time_stands_in_a_grant_and_only_there():
    fields = cbor.decode(ANSWER.payload())
    without = {key: value for key, value in fields.items() if key != 7}
    for verdict in (Verdict.DENIED, Verdict.RECORDED):
        assert isinstance(Answer.read(cbor.encode({**without, 3: int(verdict)})), Answer)
        assert isinstance(Answer.read(cbor.encode({**fields, 3: int(verdict)})), MessageMalformed)
    assert isinstance(Answer.read(cbor.encode(without)), MessageMalformed)


def test_what_opens_names_its_door_and_how_long_and_nothing_else_does():
    fields = cbor.decode(COMMAND.payload())
    for missing in (5, 11):
        without = {key: value for key, value in fields.items() if key != missing}
        assert isinstance(Command.read(cbor.encode(without)), MessageMalformed)
    for kind in (CommandKind.LOCK_DOWN, CommandKind.RELEASE, CommandKind.REBOOT):
        whole = replace(COMMAND, kind=kind, unlock=None, access_point=None, second=None)
        assert Command.read(whole.payload()) == whole
        assert isinstance(Command.read(replace(COMMAND, kind=kind).payload()), MessageMalformed)
    rebooting = replace(COMMAND, kind=CommandKind.REBOOT, unlock=None)
    assert isinstance(Command.read(rebooting.payload()), MessageMalformed)


@pytest.mark.parametrize("message", MESSAGES, ids=kind_of)
def test_a_cut_payload_is_refused(message: Any):
    payload = message.payload()
    for length in range(len(payload)):
        assert isinstance(type(message).read(payload[:length]), MessageMalformed), length


def test_another_spelling_of_the_same_message_is_refused():
    payload = STATUS.payload()
    fields = cbor.decode(payload)
    indefinite = b"\xbf" + payload[1:] + b"\xff"
    longer = payload.replace(cbor.encode({0: 1})[1:], b"\x00\x18\x01", 1)
    backwards = bytes([0xA0 + len(fields)]) + b"".join(
        cbor.encode(key) + cbor.encode(fields[key]) for key in reversed(fields)
    )
    for spelled in (indefinite, longer, backwards, payload + b"\0"):
        assert isinstance(Status.read(spelled), MessageMalformed)


def test_what_a_badge_signs_names_site_gate_direction_beacon_and_the_gates_chance():
    made = proof_digest_input(
        site=SiteId("fort"),
        gate=GateId("front"),
        direction="in",
        beacon=b"b" * 16,
        gate_random=b"r" * 16,
    )
    assert made == b"pacs-pop-v1\0fort\0front\0in\0" + b"b" * 16 + b"r" * 16


def test_the_numbers_on_the_wire_stay_what_they_are():
    assert [int(verdict) for verdict in (Verdict.DENIED, Verdict.GRANTED, Verdict.RECORDED)] == [0, 1, 2]
    for numbers, names in (
        (PassageOutcome, ["TAKEN", "NOT_TAKEN", "FORCED", "HELD_OPEN", "EXITED"]),
        (CommandKind, ["OPEN", "LOCK_DOWN", "RELEASE", "REBOOT"]),
        (ClockQuality, ["NONE", "FREE_RUNNING", "SYNCHRONISED"]),
        (
            StatusKind,
            [
                "ONLINE",
                "OFFLINE",
                "TAMPER",
                "TAMPER_CLEARED",
                "CLOSED_AGAIN",
                "LOG_ROLLED_BACK",
                "POLICY_REFUSED",
                "CLOCK_DOUBTED",
                "JOURNAL_FULL",
                "JOURNAL_DAMAGED",
                "LOCKED_DOWN",
                "RELEASED",
                "EXIT_REQUESTED",
                "FIRE",
                "FIRE_CLEARED",
                "RESTARTING",
                "OPENED",
                "COMMAND_REFUSED",
                "OPENED_ITSELF",
                "CLOCK_BELIEVED",
            ],
        ),
    ):
        assert [(int(one), one.name) for one in numbers] == list(enumerate(names))
    assert [int(card) for card in (CardTechnology.MIFARE, CardTechnology.WIEGAND)] == [0, 1]
