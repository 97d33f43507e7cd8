"""A card becomes a scan: what the gate asks of the badge and of the service, and how often."""

import hashlib
from datetime import timedelta

import pytest

from devices.core.events import (
    AskProof,
    BeaconReceived,
    CancelTimer,
    LinkDown,
    LinkUp,
    Lock,
    ProofGiven,
    Publish,
    Show,
    Signal,
    StartTimer,
    Timer,
    TimerKind,
    Unlock,
    WallTime,
)
from gatekeeper import cose
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import (
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    Credential,
    Hello,
    JournalEnd,
    Passage,
    PassageOutcome,
    Scan,
    Verdict,
    proof_digest_input,
)
from gatekeeper.model.topics import Channel
from tests.unit.devices.ground import (
    BOOT,
    CARD,
    GATE,
    IN,
    JOURNAL,
    NO_RIGHTS,
    NOON,
    OUT,
    SITE,
    Talk,
    bearer,
    only,
    topic,
)


def signals(effects: list) -> list[Signal]:
    return [shown.signal for shown in only(Show, effects)]


def test_the_first_message_is_a_hello_with_sequence_one():
    talk = Talk()
    assert talk.happens(talk.started) == []
    effects = talk.happens(LinkUp())
    (hello,) = only(Publish, effects)
    assert (hello.topic, hello.qos) == (topic(Channel.HELLO), 1)
    assert talk.service.read(hello) == Hello(
        boot=BOOT,
        sequence=1,
        gate_at=None,
        clock=ClockQuality.NONE,
        agent="test",
        policy=None,
        checkpoint=None,
        journal=JournalEnd(JOURNAL, 0),
    )


def test_a_controller_is_started_once_and_first():
    talk = Talk()
    with pytest.raises(ValueError, match="started once"):
        talk.happens(LinkUp())
    talk.happens(talk.started)
    with pytest.raises(ValueError, match="started once"):
        talk.happens(talk.started)


def test_a_card_number_is_asked_about_at_once():
    talk = Talk.ready()
    effects = talk.presents()
    (sent,) = only(Publish, effects)
    assert sent.topic == topic(Channel.SCAN)
    scan = talk.service.read(sent)
    assert isinstance(scan, Scan)
    assert (scan.access_point, scan.credential, scan.proof, scan.offline_verdict) == (IN, CARD, None, None)
    assert effects == [
        sent,
        StartTimer(timer=Timer(TimerKind.RESEND, IN), after=timedelta(milliseconds=300)),
        StartTimer(timer=Timer(TimerKind.DEADLINE, IN), after=timedelta(seconds=5)),
    ]


def test_a_bearer_token_is_asked_about_at_once():
    talk = Talk.ready()
    token = bearer(talk.service)
    (sent,) = only(Publish, talk.presents(credential=token))
    scan = talk.service.read(sent)
    assert isinstance(scan, Scan)
    assert (scan.credential, scan.proof) == (token, None)


def test_a_token_that_is_no_badge_is_left_to_the_service_to_refuse():
    talk = Talk.ready()
    for junk in (b"\x00", cose.sign_detached(b"", key=talk.key, typ="application/pacs-cred+cwt")):
        scan = talk.scans(credential=ByToken(junk))
        talk.hears(talk.service.answer(scan, Verdict.DENIED))


@pytest.mark.parametrize("access_point", [IN, OUT])
def test_a_badge_with_a_key_proves_that_it_is_here_now(access_point: AccessPointId):
    talk = Talk.ready()
    badge_key = cose.SigningKey.generate()
    token = ByToken(talk.service.token(badge_key=badge_key))
    effects = talk.presents(access_point, token)
    (asked,) = only(AskProof, effects)
    assert effects == [
        asked,
        StartTimer(timer=Timer(TimerKind.PROOF, access_point), after=timedelta(seconds=2)),
    ]

    talk.passes(0.125)
    effects = talk.happens(ProofGiven(access_point=access_point, signature=badge_key.sign(asked.digest)))
    assert effects[0] == CancelTimer(timer=Timer(TimerKind.PROOF, access_point))
    (sent,) = only(Publish, effects)
    scan = talk.service.read(sent)
    assert isinstance(scan, Scan)
    assert scan.proof is not None
    assert scan.round_trip == timedelta(milliseconds=125)
    signed = proof_digest_input(
        site=SITE,
        gate=GATE,
        direction={IN: "in", OUT: "out"}[access_point],
        beacon=scan.beacon,
        gate_random=scan.proof.gate_random,
    )
    record = badge_key.record(use="badge", owner="any")
    assert cose.verify_signature(record, hashlib.sha256(signed).digest(), scan.proof.signature)


@pytest.mark.parametrize("signature", [None, b"", b"too short", bytes(65)])
def test_a_badge_that_proves_nothing_is_reported_without_proof(signature: bytes | None):
    talk = Talk.ready()
    talk.presents(credential=ByToken(talk.service.token(badge_key=cose.SigningKey.generate())))
    (sent,) = only(Publish, talk.happens(ProofGiven(access_point=IN, signature=signature)))
    scan = talk.service.read(sent)
    assert isinstance(scan, Scan)
    assert scan.proof is None


def test_a_badge_that_goes_away_is_reported_without_proof():
    talk = Talk.ready()
    talk.presents(credential=ByToken(talk.service.token(badge_key=cose.SigningKey.generate())))
    (sent,) = only(Publish, talk.fires(TimerKind.PROOF))
    assert isinstance(talk.service.read(sent), Scan)
    assert talk.happens(ProofGiven(access_point=IN, signature=bytes(64))) == []


def test_a_proof_nobody_asked_for_changes_nothing():
    talk = Talk.ready()
    assert talk.happens(ProofGiven(access_point=IN, signature=bytes(64))) == []


def test_a_scan_is_sent_again_with_the_same_bytes_until_it_is_answered():
    talk = Talk.ready()
    scan = talk.scans()
    for _ in range(3):
        effects = talk.fires(TimerKind.RESEND)
        assert effects == [
            Publish(topic=topic(Channel.SCAN), payload=scan, qos=1),
            StartTimer(timer=Timer(TimerKind.RESEND, IN), after=timedelta(milliseconds=300)),
        ]
    effects = talk.hears(talk.service.answer(scan, Verdict.DENIED))
    assert CancelTimer(timer=Timer(TimerKind.RESEND, IN)) in effects
    assert CancelTimer(timer=Timer(TimerKind.DEADLINE, IN)) in effects
    assert talk.controller.tally.repeats == 3


def test_a_scan_without_an_answer_is_given_up_and_told_not_taken_and_who_was_denied_is_written_down():
    talk = Talk.ready()
    scan = talk.scans()
    (asked,) = [sent for sent in talk.messages() if isinstance(sent, Scan)]
    effects = talk.fires(TimerKind.DEADLINE)
    assert signals(effects) == [Signal.DENIED]
    past, passage = (talk.service.read(sent) for sent in only(Publish, effects))
    assert isinstance(past, Scan)
    assert (past.offline_verdict, past.credential) == (Verdict.DENIED, asked.credential)
    assert isinstance(passage, Passage)
    assert (passage.outcome, passage.access_point) == (PassageOutcome.NOT_TAKEN, IN)
    assert passage.scan == hashlib.sha256(scan).digest()
    assert talk.controller.tally.given_up == 1
    assert only(Publish, talk.fires(TimerKind.RESEND)) == []
    assert talk.scans() != scan


def test_a_scan_that_a_guard_was_asked_about_is_in_the_log_already():
    talk = Talk.ready()
    scan = talk.scans()
    talk.hears(talk.service.answer(scan, Verdict.WAITING, valid=timedelta(seconds=30)))
    (sent,) = only(Publish, talk.fires(TimerKind.DEADLINE))
    assert isinstance(talk.service.read(sent), Passage)


def test_a_second_card_waits_for_the_answer_to_the_first():
    talk = Talk.ready()
    scan = talk.scans()
    assert talk.presents() == [Show(access_point=IN, signal=Signal.BUSY)]
    talk.scans(OUT)
    talk.hears(talk.service.answer(scan, Verdict.DENIED))
    talk.scans()


def test_a_second_card_waits_while_a_badge_proves_its_key():
    talk = Talk.ready()
    talk.presents(credential=ByToken(talk.service.token(badge_key=cose.SigningKey.generate())))
    assert signals(talk.presents()) == [Signal.BUSY]


@pytest.mark.parametrize(
    "credential",
    [
        ByToken(b""),
        ByToken(bytes(1025)),
        ByCard(Card(CardTechnology.MIFARE, b"")),
        ByCard(Card(CardTechnology.MIFARE, bytes(17))),
        ByDigest(bytes(31)),
    ],
)
def test_what_fits_no_scan_is_denied_at_the_gate(credential: Credential):
    talk = Talk.ready()
    assert talk.presents(credential=credential) == [Show(access_point=IN, signal=Signal.DENIED)]


def test_without_a_beacon_there_is_no_service():
    talk = Talk()
    talk.happens(talk.started)
    talk.happens(LinkUp())
    assert signals(talk.presents()) == [Signal.NO_SERVICE]
    assert not talk.controller.has_service(at=talk.at)


def test_a_beacon_older_than_three_periods_on_our_own_clock_is_no_service():
    talk = Talk.ready()
    talk.passes(30)
    scan = talk.scans()
    talk.hears(talk.service.answer(scan, Verdict.DENIED))
    talk.passes(0.001)
    assert signals(talk.presents()) == [Signal.NO_SERVICE]
    assert talk.controller.tally.no_service == 1
    talk.happens(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=30))))
    talk.scans()


def test_the_same_beacon_again_does_not_become_young():
    talk = Talk.ready()
    talk.passes(31)
    talk.happens(BeaconReceived(talk.service.beacon()))
    assert signals(talk.presents()) == [Signal.NO_SERVICE]
    assert talk.ignored() == {"beacon-repeated": 1}


def test_an_older_beacon_never_replaces_a_newer_one():
    talk = Talk.ready()
    newer, older = (talk.service.beacon(issued=NOON + timedelta(seconds=after)) for after in (20, 10))
    talk.happens(BeaconReceived(newer))
    talk.passes(25)
    talk.happens(BeaconReceived(older))
    assert talk.ignored() == {"beacon-old": 1}
    (sent,) = only(Publish, talk.presents())
    scan = talk.service.read(sent)
    assert isinstance(scan, Scan)
    assert scan.beacon == hashlib.sha256((NOON + timedelta(seconds=20)).isoformat().encode()).digest()[:16]
    talk.hears(talk.service.answer(sent.payload, Verdict.DENIED))
    talk.passes(6)
    assert signals(talk.presents()) == [Signal.NO_SERVICE]


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"key": cose.SigningKey.generate()}, "beacon-forged"),
        ({"aad": "gk/v1/assen/other/beacon"}, "beacon-forged"),
        ({"typ": "application/pacs-decision+cose"}, "beacon-forged"),
        ({"site": "elsewhere"}, "beacon-foreign"),
    ],
)
def test_a_beacon_that_the_service_did_not_sign_for_this_site_is_ignored(terms: dict, why: str):
    talk = Talk()
    talk.happens(talk.started)
    talk.happens(BeaconReceived(talk.service.beacon(**terms)))
    assert talk.ignored() == {why: 1}
    assert not talk.controller.has_service(at=talk.at)


def test_bytes_that_are_no_beacon_are_ignored():
    talk = Talk()
    talk.happens(talk.started)
    signed = cose.sign(
        b"\xa0",
        key=talk.service.decision,
        typ="application/pacs-beacon+cose",
        external_aad=b"gk/v1/assen/beacon",
    )
    for wire in (b"", b"\xff" * 100, signed):
        talk.happens(BeaconReceived(wire))
    assert talk.ignored() == {"beacon-forged": 2, "beacon-malformed": 1}


def test_a_scan_made_while_the_link_is_away_goes_out_when_it_is_back():
    talk = Talk.ready()
    talk.happens(LinkDown())
    assert only(Publish, talk.presents()) == []
    assert only(Publish, talk.fires(TimerKind.RESEND)) == []
    (sent,) = only(Publish, talk.happens(LinkUp()))
    assert isinstance(talk.service.read(sent), Scan)
    # Its validity counts from the card, not from the link.
    talk.passes(4.8)
    assert only(Unlock, talk.hears(talk.service.answer(sent.payload))) == []
    assert talk.ignored() == {"answer-late": 1}


def test_a_gate_says_what_its_wall_clock_is_worth():
    talk = Talk.ready()
    talk.wall = WallTime(NOON, ClockQuality.SYNCHRONISED)
    (sent,) = only(Publish, talk.presents())
    scan = talk.service.read(sent)
    assert (scan.gate_at, scan.clock) == (NOON, ClockQuality.SYNCHRONISED)


def test_a_denied_scan_shows_its_reason_and_moves_nothing():
    talk = Talk.ready()
    scan = talk.scans()
    talk.passes(0.02)
    effects = talk.hears(talk.service.answer(scan, Verdict.DENIED))
    (shown,) = only(Show, effects)
    assert (shown.signal, shown.reason) == (Signal.DENIED, NO_RIGHTS)
    assert shown.waited is not None
    assert shown.waited == pytest.approx(timedelta(seconds=0.02), abs=timedelta(microseconds=1))
    assert only(Unlock, effects) == only(Lock, effects) == []


def test_an_access_point_of_another_gate_is_an_error_of_the_shell():
    talk = Talk.ready()
    with pytest.raises(KeyError):
        talk.presents("elsewhere")
