"""What happened at the gate goes up in order and with the same bytes, until the service has recorded it."""

from datetime import timedelta

from devices.core.events import (
    CancelTimer,
    ContactClosed,
    ContactOpened,
    LinkDown,
    LinkUp,
    Publish,
    ReaderLost,
    Show,
    Signal,
    StartTimer,
    TamperCleared,
    TamperOpened,
    Timer,
    TimerFired,
    TimerKind,
)
from gatekeeper.model.ids import BootId
from gatekeeper.model.messages import Hello, Scan, Status, Verdict
from gatekeeper.model.topics import Channel
from tests.unit.devices.ground import BOOT, IN, JOURNAL, OUT, PLAIN, Talk, only, topic

KEPT = Timer(TimerKind.JOURNAL)


def waits(effects: list) -> list[timedelta]:
    return [effect.after for effect in only(StartTimer, effects) if effect.timer == KEPT]


def sequences(talk: Talk, stream: BootId) -> list[int]:
    return [message.sequence for message in talk.messages() if message.boot == stream]


def test_a_kept_message_is_sent_again_with_patience_until_it_is_recorded():
    talk = Talk.ready()
    effects = talk.happens(TamperOpened(None))
    (sent,) = only(Publish, effects)
    assert waits(effects) == [timedelta(seconds=0.3)]
    pauses = []
    for _ in range(7):
        effects = talk.fires(TimerKind.JOURNAL, None)
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
        talk.fires(TimerKind.JOURNAL, None)
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


def test_the_two_streams_have_a_sequence_each_without_gaps():
    talk = Talk.ready()
    for access_point in (IN, OUT, PLAIN):
        talk.scans(access_point)
        talk.happens(TamperOpened(access_point))
    talk.fires(TimerKind.DEADLINE, IN)
    talk.fires(TimerKind.RESEND, OUT)
    talk.fires(TimerKind.JOURNAL, None)
    assert sequences(talk, BOOT) == [1, 2, 3, 4]
    assert sequences(talk, JOURNAL) == [1, 2, 3, 4, 5]
    streams = {(sent.topic, talk.service.read(sent).boot) for sent in talk.published}
    assert streams == {
        (topic(Channel.HELLO), BOOT),
        (topic(Channel.SCAN), BOOT),
        (topic(Channel.JOURNAL), JOURNAL),
    }


def test_what_happened_without_a_link_goes_out_in_order_when_it_is_back():
    talk = Talk()
    talk.happens(talk.started)
    for access_point in (IN, OUT, PLAIN):
        assert only(Publish, talk.happens(TamperOpened(access_point))) == []
    talk.happens(LinkUp())
    assert [type(message) for message in talk.messages()] == [Hello]
    talk.recorded()
    assert [type(message) for message in talk.messages()] == [Hello, Status, Status, Status]
    assert [message.access_point for message in talk.messages()[1:]] == [IN, OUT, PLAIN]
    assert sequences(talk, JOURNAL) == [1, 2, 3]


def test_a_lost_link_stops_sending_and_the_same_bytes_go_out_when_it_is_back():
    talk = Talk.ready()
    talk.happens(TamperOpened(None))
    sent = talk.published[-1]
    assert CancelTimer(timer=KEPT) in talk.happens(LinkDown())
    assert only(Publish, talk.happens(TimerFired(KEPT))) == []
    assert only(Publish, talk.happens(LinkUp())) == [sent]


def test_no_more_is_sent_than_the_services_window_holds_and_a_scan_is_not_kept_waiting_by_it():
    talk = Talk.ready()
    for _ in range(200):
        talk.happens(TamperCleared(None))
    assert sequences(talk, JOURNAL) == list(range(1, 33))
    for _ in range(100):
        talk.hears(talk.service.answer(talk.scans(PLAIN), Verdict.DENIED))
    talk.recorded()
    assert sequences(talk, JOURNAL) == list(range(1, 201))


def test_numbers_rise_in_the_order_of_what_happened():
    talk = Talk.ready()
    for turn in range(100):
        talk.happens(TamperOpened(None) if turn % 2 else TamperCleared(None))
    talk.recorded()
    kinds = [message.kind for message in talk.messages() if isinstance(message, Status)]
    assert kinds == [kinds[0], kinds[1]] * 50
    assert sequences(talk, JOURNAL) == list(range(1, 101))


def test_a_scan_is_never_kept_longer_than_its_deadline():
    talk = Talk.ready()
    talk.scans()
    talk.fires(TimerKind.DEADLINE)
    again = only(Publish, talk.happens(LinkUp()))
    assert topic(Channel.SCAN) not in {sent.topic for sent in again}


# -- at a door of an interlock ------------------------------------------------------------------------------------------


def felt(talk: Talk) -> None:
    """Somebody breaks the door open, and shuts it: two words of it are on their way."""
    talk.happens(ContactOpened(IN))
    talk.happens(ContactClosed(IN))


def test_a_card_at_an_interlocked_door_is_held_until_all_that_was_said_of_the_door_is_answered():
    talk = Talk.ready(interlocked={IN})
    felt(talk)
    assert only(Publish, talk.presents(IN)) == []
    forced, closed = talk.published[-2:]
    assert only(Publish, talk.hears(talk.service.answer(forced.payload, Verdict.RECORDED))) == []
    (scan,) = only(Publish, talk.hears(talk.service.answer(closed.payload, Verdict.RECORDED)))
    assert isinstance(talk.service.read(scan), Scan)
    talk.hears(talk.service.answer(scan.payload))
    assert len(talk.controller.tally.unlocks) == 1


def test_a_word_that_is_not_on_disk_yet_holds_a_card_too():
    talk = Talk.ready(interlocked={IN})
    talk.disk_is_quick = False
    felt(talk)
    assert only(Publish, talk.presents(IN)) == []
    assert isinstance(talk.messages()[-1], Hello)


def test_one_card_is_held_and_not_for_long():
    talk = Talk.ready(interlocked={IN})
    felt(talk)
    talk.presents(IN)
    assert only(Show, talk.presents(IN)) == [Show(access_point=IN, signal=Signal.BUSY)]
    assert talk.fires(TimerKind.HELD_CARD) == [Show(access_point=IN, signal=Signal.NO_SERVICE)]
    talk.recorded()
    assert not any(isinstance(message, Scan) for message in talk.messages())


def test_other_doors_hold_no_card():
    talk = Talk.ready(interlocked={IN})
    felt(talk)
    talk.scans(OUT)
    talk.happens(ReaderLost(OUT))
    talk.happens(TimerFired(Timer(TimerKind.DEADLINE, OUT)))
    talk.scans(OUT)
