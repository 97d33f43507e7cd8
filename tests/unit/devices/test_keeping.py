"""What is not a scan is kept, in order and with the same bytes, until the service has recorded it."""

from datetime import timedelta

from devices.core.events import (
    CancelTimer,
    ContactClosed,
    ContactOpened,
    LinkDown,
    LinkUp,
    Publish,
    Show,
    Signal,
    Started,
    StartTimer,
    TamperCleared,
    TamperOpened,
    Timer,
    TimerFired,
    TimerKind,
)
from devices.core.outbox import MOST_WAITING
from gatekeeper.model.messages import Hello, Scan, Status, Verdict
from tests.unit.devices.ground import BOOT, IN, OUT, PLAIN, Talk, only

KEPT = Timer(TimerKind.KEPT)


def waits(effects: list) -> list[timedelta]:
    return [effect.after for effect in only(StartTimer, effects) if effect.timer == KEPT]


def sequences(talk: Talk) -> list[int]:
    return [message.sequence for message in talk.messages()]


def test_a_kept_message_is_sent_again_with_patience_until_it_is_recorded():
    talk = Talk.ready()
    effects = talk.happens(TamperOpened(None))
    (sent,) = only(Publish, effects)
    assert waits(effects) == [timedelta(seconds=0.3)]
    pauses = []
    for _ in range(7):
        effects = talk.fires(TimerKind.KEPT, None)
        assert only(Publish, effects) == [sent]
        pauses += [pause.total_seconds() for pause in waits(effects)]
    assert pauses == [0.6, 1.2, 2.4, 4.8, 5.0, 5.0, 5.0]
    effects = talk.hears(talk.service.answer(sent.payload, Verdict.RECORDED))
    assert effects == [CancelTimer(timer=KEPT)]
    assert talk.happens(TimerFired(KEPT)) == []


def test_a_recorded_message_restores_patience_for_the_next():
    talk = Talk.ready()
    talk.happens(TamperOpened(None))
    for _ in range(4):
        talk.fires(TimerKind.KEPT, None)
    first = talk.published[-1]
    talk.happens(TamperCleared(None))
    effects = talk.hears(talk.service.answer(first.payload, Verdict.RECORDED))
    assert waits(effects) == [timedelta(seconds=0.3)]


def test_a_receipt_that_comes_twice_is_counted_and_changes_nothing():
    talk = Talk.ready()
    talk.happens(TamperOpened(None))
    receipt = talk.service.answer(talk.published[-1].payload, Verdict.RECORDED)
    talk.hears(receipt)
    assert talk.hears(receipt) == []
    assert talk.ignored() == {"answer-repeated": 1}


def test_messages_of_all_channels_share_one_sequence_without_gaps():
    talk = Talk.ready()
    for access_point in (IN, OUT, PLAIN):
        talk.scans(access_point)
        talk.happens(TamperOpened(access_point))
    talk.fires(TimerKind.DEADLINE, IN)
    talk.fires(TimerKind.RESEND, OUT)
    talk.fires(TimerKind.KEPT, None)
    assert sequences(talk) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {message.boot for message in talk.messages()} == {BOOT}


def test_what_happened_without_a_link_goes_out_in_order_when_it_is_back():
    talk = Talk()
    talk.happens(Started())
    for access_point in (IN, OUT, PLAIN):
        assert only(Publish, talk.happens(TamperOpened(access_point))) == []
    talk.happens(LinkUp())
    assert [type(message) for message in talk.messages()] == [Hello, Status, Status, Status]
    assert [message.access_point for message in talk.messages()[1:]] == [IN, OUT, PLAIN]
    assert sequences(talk) == [1, 2, 3, 4]


def test_a_lost_link_stops_sending_and_the_same_bytes_go_out_when_it_is_back():
    talk = Talk.ready()
    talk.happens(TamperOpened(None))
    sent = talk.published[-1]
    assert talk.happens(LinkDown()) == [CancelTimer(timer=KEPT)]
    assert only(Publish, talk.happens(TimerFired(KEPT))) == []
    assert only(Publish, talk.happens(LinkUp())) == [sent]


def test_no_number_leaves_the_oldest_unanswered_message_outside_the_services_window():
    talk = Talk.ready()
    for _ in range(200):
        talk.happens(TamperCleared(None))
    assert max(sequences(talk)) == 1 + 32
    for access_point in (IN, OUT, PLAIN):
        talk.hears(talk.service.answer(talk.scans(access_point), Verdict.DENIED))
    refusals = 0
    while not refusals:
        effects = talk.presents(PLAIN)
        if only(Publish, effects):
            talk.hears(talk.service.answer(only(Publish, effects)[0].payload, Verdict.DENIED))
        else:
            assert effects == [Show(access_point=PLAIN, signal=Signal.NO_SERVICE)]
            refusals += 1
    oldest = 2
    assert max(sequences(talk)) - oldest < 64
    talk.recorded()
    assert sum(isinstance(message, Status) for message in talk.messages()) == 200
    assert sorted(sequences(talk)) == list(range(1, max(sequences(talk)) + 1))
    talk.scans(PLAIN)


def test_numbers_rise_in_the_order_of_what_happened():
    talk = Talk.ready()
    for turn in range(100):
        talk.happens(TamperOpened(None) if turn % 2 else TamperCleared(None))
    talk.recorded()
    kinds = [message.kind for message in talk.messages() if isinstance(message, Status)]
    assert kinds == [kinds[0], kinds[1]] * 50
    assert sequences(talk) == sorted(sequences(talk))


def test_more_than_the_memory_holds_is_counted_as_lost():
    talk = Talk()
    talk.happens(Started())
    for _ in range(MOST_WAITING + 3):
        talk.happens(TamperOpened(None))
    assert talk.controller.tally.lost == 3
    talk.happens(LinkUp())
    talk.recorded()
    assert sequences(talk) == list(range(1, MOST_WAITING + 2))


def test_a_scan_is_never_kept_longer_than_its_deadline():
    talk = Talk.ready()
    talk.scans()
    talk.fires(TimerKind.DEADLINE)
    again = only(Publish, talk.happens(LinkUp()))
    assert not any(isinstance(talk.service.read(sent), Scan) for sent in again)


def test_what_a_gate_has_felt_at_an_interlocked_door_is_numbered_before_the_next_scan_there():
    talk = Talk.ready(interlocked={IN})
    for _ in range(20):
        talk.happens(ContactOpened(OUT))
        talk.happens(ContactClosed(OUT))
    talk.happens(ContactOpened(IN))
    talk.happens(ContactClosed(IN))
    assert [sent for sent in talk.presents(IN) if isinstance(sent, Publish)] == []
    talk.recorded()
    told = [one for one in talk.messages() if isinstance(one, Status) and one.access_point == IN]
    (scan,) = [talk.service.read(sent) for sent in talk.presents(IN) if isinstance(sent, Publish)]
    assert told
    assert all(one.sequence < scan.sequence for one in told)
