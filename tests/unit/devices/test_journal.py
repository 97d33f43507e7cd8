"""What depends on an entry happens when it is on disk; what the disk does not take is told, and nothing old makes room."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from devices.core.events import (
    Append,
    Appended,
    AppendFailed,
    BeaconReceived,
    BeginJournal,
    ContactClosed,
    ContactOpened,
    JournalBegun,
    JournalSettled,
    LinkUp,
    Publish,
    Settle,
    Started,
    TamperCleared,
    TamperOpened,
    Timer,
    TimerFired,
    TimerKind,
)
from devices.core.journal import Entry, Journal, JournalBounds, JournalFound
from devices.journal_port import MemoryJournal
from gatekeeper import cose
from gatekeeper.core.scan import read_upward
from gatekeeper.core.trust import Use
from gatekeeper.model.fields import MOST
from gatekeeper.model.ids import BootId
from gatekeeper.model.messages import ClockQuality, Hello, JournalEnd, Status, StatusKind, Verdict
from gatekeeper.model.topics import Channel
from tests.unit.devices.ground import BOOT, GATE, IN, JOURNAL, NOON, OUT, Talk, only, topic

FORMER = BootId(b"journal0")
KEY = cose.SigningKey.generate()
RING = cose.key_ring([KEY.record(use=Use.GATE, owner=GATE)])
STATUS = Status(
    boot=BOOT, sequence=0, gate_at=None, clock=ClockQuality.NONE, kind=StatusKind.TAMPER, access_point=IN
)


def said(talk: Talk) -> list[tuple[StatusKind, BootId]]:
    return [(one.kind, one.boot) for one in talk.messages() if isinstance(one, Status)]


class Kept:
    """A journal with a disk, and what became of what was written into it."""

    def __init__(self, disk: MemoryJournal | None = None, *, bounds: JournalBounds | None = None) -> None:
        self.journal = Journal(topic=topic(Channel.JOURNAL), key=KEY, bounds=bounds or JournalBounds())
        self.disk = disk or MemoryJournal(JOURNAL)
        self.journal.begin(self.disk.found)
        self.then: list[int] = []
        self.otherwise = 0
        self._written: list[Append] = []

    def write(self) -> Entry | None:
        def otherwise() -> None:
            self.otherwise += 1

        entry = self.journal.write(
            STATUS, then=lambda entry: self.then.append(entry.number), otherwise=otherwise
        )
        if entry is not None:
            self._written.append(
                Append(number=entry.number, wire=entry.wire, access_point=entry.access_point)
            )
        return entry

    def writes(self, count: int) -> None:
        for _ in range(count):
            entry = self.write()
            assert entry is not None
            self.appended(entry.number)

    def appended(self, number: int) -> None:
        self.disk.append([one for one in self._written if one.number <= number])
        self._written = [one for one in self._written if one.number > number]
        for pending in self.journal.appended(number):
            pending.then(pending.entry)

    def reads(self) -> None:
        while reads := list(self.journal.reads()):
            for read in reads:
                self.journal.read(read.journal, self.disk.read(read.journal, read.after, read.most))

    def sends(self) -> list[int]:
        return [entry.number for entry in self.sends_entries()]

    def sends_entries(self) -> list[Entry]:
        self.reads()
        return list(self.journal.send())

    def answers(self, *numbers: int) -> list[tuple[BootId, int]]:
        found = []
        for entry in self.journal.unanswered:
            if entry.number in numbers:
                settled = self.journal.answered(hashlib.sha256(entry.wire).digest())
                found += [settled] if settled is not None else []
        return found


# -- on disk first ----------------------------------------------------------------------------------------------------


def test_an_entry_is_published_when_it_is_on_disk_and_not_before():
    talk = Talk.ready()
    talk.disk_is_quick = False
    (append,) = talk.happens(TamperOpened(None))
    assert isinstance(append, Append)
    (sent,) = only(Publish, talk.happens(Appended(1)))
    assert (sent.topic, sent.payload) == (topic(Channel.JOURNAL), append.wire)


def test_one_word_of_the_disk_is_for_all_before_it():
    kept = Kept()
    for _ in range(3):
        kept.write()
    kept.appended(2)
    assert (kept.then, kept.sends()) == ([1, 2], [1, 2])
    kept.appended(3)
    assert (kept.then, kept.sends()) == ([1, 2, 3], [3])


def test_an_entry_is_the_journals_own_signed_for_its_topic():
    entry = Kept().write()
    assert entry is not None
    read = read_upward(Channel.JOURNAL, entry.wire, keys=RING, topic=topic(Channel.JOURNAL))
    assert read == (GATE, replace(STATUS, boot=JOURNAL, sequence=1))


def test_nothing_of_the_journal_goes_before_the_hello_is_answered():
    found = Kept()
    found.writes(3)
    talk = Talk(disk=found.disk)
    talk.happens(talk.started)
    (hello,) = only(Publish, talk.happens(LinkUp()))
    read = talk.service.read(hello)
    assert isinstance(read, Hello)
    assert read.journal == JournalEnd(JOURNAL, 3)
    sent = only(Publish, talk.hears(talk.service.answer(hello.payload, Verdict.RECORDED)))
    assert [one.topic for one in sent] == [topic(Channel.JOURNAL)] * 3


# -- what the disk does not take --------------------------------------------------------------------------------------


def test_what_the_disk_does_not_take_has_no_number_and_nothing_that_depends_on_it_happens():
    kept = Kept()
    kept.writes(1)
    for _ in range(3):
        kept.write()
    kept.appended(2)
    for pending in kept.journal.failed(3):
        pending.otherwise()
    assert (kept.then, kept.otherwise, kept.sends()) == ([1, 2], 2, [1, 2])
    again = kept.write()
    assert again is not None
    assert again.number == 3


def test_a_full_disk_is_told_once_in_the_boots_stream_and_what_it_does_not_take_goes_up_from_memory():
    talk = Talk.ready()
    talk.disk_is_quick = False
    for number, place in enumerate((IN, OUT, None)):
        talk.happens(TamperOpened(place))
        talk.happens(AppendFailed(1))
        assert len(said(talk)) == number + 2
    assert said(talk) == [(StatusKind.JOURNAL_FULL, BOOT), *[(StatusKind.TAMPER, BOOT)] * 3]
    talk.disk_is_quick = True
    talk.happens(TamperOpened(None))
    assert said(talk)[-1] == (StatusKind.TAMPER, JOURNAL)
    talk.disk_is_quick = False
    talk.happens(TamperOpened(None))
    talk.happens(AppendFailed(2))
    assert said(talk).count((StatusKind.JOURNAL_FULL, BOOT)) == 2
    assert talk.controller.tally.lost == 0


def test_what_neither_disk_nor_memory_takes_is_counted():
    talk = Talk(bounds=JournalBounds(entries=10))
    talk.happens(talk.started)
    for _ in range(10 + 4096 + 7):
        talk.happens(TamperOpened(None))
    assert talk.controller.tally.lost == 8  # and the word that it is full has a place in memory too
    talk.happens(LinkUp())
    talk.recorded()
    assert said(talk).count((StatusKind.TAMPER, JOURNAL)) == 10
    assert said(talk).count((StatusKind.TAMPER, BOOT)) == 4095


@pytest.mark.parametrize("bounds", [JournalBounds(entries=5), JournalBounds(octets=5 * 180)])
def test_at_its_bound_it_is_full_until_the_service_has_answered(bounds: JournalBounds):
    kept = Kept(bounds=bounds)
    while kept.write() is not None:
        pass
    last = kept.journal.end.written or len(kept.journal._pending)
    kept.appended(last)
    assert kept.sends() == list(range(1, last + 1))
    assert kept.write() is None
    kept.answers(2)
    entry = kept.write()
    assert entry is not None
    assert entry.number == last + 1


def test_a_journal_whose_numbers_are_used_up_takes_nothing_more():
    kept = Kept()
    kept.journal.begin(JournalFound(id=JOURNAL, settled=MOST - 3, written=MOST - 3))
    assert [entry and entry.number for entry in (kept.write(), kept.write(), kept.write())] == [
        MOST - 2,
        MOST - 1,
        None,
    ]


# -- as far as the service's window -----------------------------------------------------------------------------------


def test_after_a_power_cut_nothing_is_sent_again_that_the_service_does_not_know_any_more():
    kept = Kept()
    kept.writes(300)
    noted, highest = 0, 0
    while sent := kept.sends():
        highest = max(sent)
        assert highest - noted <= 64
        said_now = kept.answers(*sent)
        for journal, number in said_now:
            noted = number
            kept.journal.settled(journal, number)
    assert highest == 300


def test_a_disk_that_does_not_note_what_is_answered_stops_the_sending_and_no_earlier():
    kept = Kept()
    kept.writes(300)
    while sent := kept.sends():
        kept.answers(*sent)
    kept.journal.settled(JOURNAL, 20)
    assert kept.sends()


def test_what_is_answered_is_noted_in_sixteens():
    kept = Kept()
    kept.writes(40)
    sent = kept.sends()
    assert kept.answers(*sent) == [(JOURNAL, 16), (JOURNAL, 32)]


def test_an_answer_out_of_order_settles_nothing_before_it():
    kept = Kept()
    kept.writes(32)
    kept.sends()
    assert kept.answers(*range(2, 33)) == []
    assert kept.answers(1) == [(JOURNAL, 32)]


# -- former journals --------------------------------------------------------------------------------------------------


def left(count: int, *, first: int = 5) -> MemoryJournal:
    """A disk on which so many entries of a former journal are left."""
    former = Kept(MemoryJournal(FORMER))
    former.writes(first - 1 + count)
    former.disk.settle(FORMER, first - 1)
    former.disk.begin_anew(FORMER, "it is damaged")
    return former.disk


def test_what_is_left_of_a_former_journal_goes_up_beside_the_present_one_under_its_own_numbers():
    kept = Kept(left(10))
    kept.writes(2)
    present = kept.disk.found.id
    assert [(one.journal, one.number) for one in kept.sends_entries()] == [
        *[(FORMER, number) for number in range(5, 13)],
        (present, 1),
        (present, 2),
    ]


def test_a_former_journal_that_is_not_answered_holds_up_nothing():
    kept = Kept(left(20))
    kept.writes(200)
    highest = 0
    while sent := [entry for entry in kept.sends_entries() if entry.journal != FORMER]:
        highest = sent[-1].number
        for entry in sent:
            settled = kept.journal.answered(hashlib.sha256(entry.wire).digest())
            if settled is not None:
                kept.journal.settled(*settled)
    assert highest == 200
    assert {entry.journal for entry in kept.journal.unanswered} == {FORMER}


def test_the_end_of_a_former_journal_is_noted_at_once():
    kept = Kept(left(2))
    kept.sends()
    assert kept.answers(5, 6) == [(FORMER, 5), (FORMER, 6)]


def test_a_damaged_journal_is_told_in_the_new_one():
    talk = Talk()
    talk.started = Started(JournalFound(id=JOURNAL, damaged=True))
    talk.happens(talk.started)
    talk.happens(LinkUp())
    talk.recorded()
    assert said(talk) == [(StatusKind.JOURNAL_DAMAGED, JOURNAL)]


# -- what the service refuses ---------------------------------------------------------------------------------------------


class Refusing:
    """A service that answers all but what it refuses, and that without a word."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.refused: set[bytes] = set()
        self.answered = 0

    def answers(self) -> None:
        """Answer what was published since, also again."""
        while self.answered < len(self.talk.published):
            wire = self.talk.published[self.answered].payload
            self.answered += 1
            if wire not in self.refused:
                self.talk.hears(self.talk.service.answer(wire, Verdict.RECORDED))

    def is_of_a_journal(self, sent: Publish) -> bool:
        """Whether a message is of a journal, and not of the boot's stream."""
        return self.talk.service.read(sent).boot != BOOT

    def waits_until_nothing_waits(self, *, most: int) -> int:
        """Let the gate send again what is not answered; gives how often it did."""
        for times in range(most):
            if not self.talk.controller._up.journal.unanswered:
                return times
            self.talk.fires(TimerKind.JOURNAL, None)
            self.answers()
        raise AssertionError("it is stuck")


def test_a_journal_that_is_refused_is_followed_by_a_new_one_and_what_was_refused_is_told_there():
    talk = Talk.ready()
    service = Refusing(talk)
    (tampered,) = only(Publish, talk.happens(TamperOpened(IN)))
    service.refused.add(tampered.payload)
    talk.happens(TamperCleared(IN))
    service.answers()
    service.waits_until_nothing_waits(most=40)
    (begun,) = only(BeginJournal, talk.did)
    assert begun.instead_of == JOURNAL
    new = talk.disk.found.id
    journal = [message for message in said(talk) if message[1] != BOOT]
    assert journal == [
        (StatusKind.TAMPER, JOURNAL),
        (StatusKind.TAMPER_CLEARED, JOURNAL),
        (StatusKind.JOURNAL_DAMAGED, new),
        (StatusKind.TAMPER, new),
    ]
    assert (talk.disk.found.former, talk.controller.tally.lost) == ((), 0)
    assert not talk.controller._up.speaks_of(IN)


def test_a_service_that_refuses_every_journal_is_not_asked_without_end():
    talk = Talk.ready()
    service = Refusing(talk)
    talk.happens(TamperOpened(IN))
    for _ in range(60):
        fresh = talk.published[service.answered :]
        service.refused |= {sent.payload for sent in fresh if service.is_of_a_journal(sent)}
        service.answers()
        talk.fires(TimerKind.JOURNAL, None)
    assert len(only(BeginJournal, talk.did)) == 1
    # Two journals, and for each of their oldest entries as many as it takes to know.
    assert said(talk).count((StatusKind.ONLINE, BOOT)) <= 24


def test_a_service_that_is_away_refuses_nothing():
    talk = Talk.ready()
    talk.happens(TamperOpened(IN))
    for _ in range(100):
        talk.fires(TimerKind.JOURNAL, None)
    assert only(BeginJournal, talk.did) == []
    assert said(talk).count((StatusKind.ONLINE, BOOT)) == 1


def test_scans_that_nobody_answers_are_no_word_of_the_service():
    talk = Talk.ready()
    for second in range(0, 240, 6):
        # What the service says to all goes on: it is no answer to this gate.
        talk.happens(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=second + 1))))
        talk.scans()
        talk.fires(TimerKind.DEADLINE)
        talk.passes(1)
        talk.happens(TimerFired(Timer(TimerKind.JOURNAL)))
    assert talk.controller.tally.given_up == 40
    assert only(BeginJournal, talk.did) == []
    assert StatusKind.JOURNAL_DAMAGED not in [kind for kind, _ in said(talk)]


def test_a_service_that_takes_nothing_of_any_journal_has_one_new_one_begun_and_no_more():
    talk = Talk.ready()
    service = Refusing(talk)
    for _ in range(100):
        talk.happens(TamperOpened(IN))
        service.refused |= {sent.payload for sent in talk.published if sent.topic == topic(Channel.JOURNAL)}
        service.answers()
        talk.fires(TimerKind.JOURNAL, None)
        service.refused |= {sent.payload for sent in talk.published if sent.topic == topic(Channel.JOURNAL)}
        service.answers()
    assert len(only(BeginJournal, talk.did)) == 1
    assert talk.controller.tally.lost == 0


def test_what_was_on_its_way_to_a_disk_that_begins_anew_goes_up_from_memory():
    talk = Talk.ready()
    talk.disk_is_quick = False
    talk.happens(TamperOpened(None))
    talk.happens(JournalBegun(talk.disk.begin_anew(JOURNAL, "it is damaged")))
    talk.disk_is_quick = True
    assert said(talk) == [(StatusKind.TAMPER, BOOT)]
    talk.happens(TamperCleared(None))
    assert said(talk)[-1] == (StatusKind.TAMPER_CLEARED, talk.disk.found.id)


# -- the disk is read when its turn comes ---------------------------------------------------------------------------------


def test_what_waits_on_disk_is_all_sent_in_order_and_little_of_it_is_in_memory():
    before = Kept()
    before.writes(1000)
    kept = Kept(before.disk)
    kept.writes(500)
    sent: list[int] = []
    while more := kept.sends():
        sent += more
        assert len(kept.journal._present.waiting) <= 128
        for settled in kept.answers(*more):
            kept.journal.settled(*settled)
    assert sent == list(range(1, 1501))
    assert (kept.journal._entries, kept.journal._octets) == (0, 0)


def test_until_all_that_was_found_is_read_any_door_may_have_been_spoken_of():
    before = Kept()
    before.writes(100)
    kept = Kept(before.disk)
    assert kept.journal.speaks_of(OUT)
    while more := kept.sends():
        for settled in kept.answers(*more):
            kept.journal.settled(*settled)
    assert not kept.journal.speaks_of(OUT)


# -- the whole gate ---------------------------------------------------------------------------------------------------


def test_a_gate_notes_what_is_answered_and_goes_on_when_that_is_on_disk():
    talk = Talk.ready()
    talk.disk_is_quick = False
    for number in range(1, 101):
        talk.happens(TamperOpened(None))
        talk.happens(Appended(number))
    done: list = []
    for sent in talk.published[1:33]:
        done += talk.hears(talk.service.answer(sent.payload, Verdict.RECORDED))
    noted = [settle.number for settle in only(Settle, done)]
    assert (noted[0], noted[-1], noted) == (16, 32, sorted(set(noted)))
    numbers = [talk.service.read(sent).sequence for sent in only(Publish, done)]
    assert numbers == list(range(33, 57))
    assert [
        talk.service.read(one).sequence for one in only(Publish, talk.happens(JournalSettled(JOURNAL, 16)))
    ]


def test_a_passage_survives_in_order_with_the_scan_it_belongs_to():
    talk = Talk.ready()
    scan = talk.granted()
    talk.happens(ContactOpened(IN))
    talk.happens(ContactClosed(IN))
    passage = talk.messages()[-1]
    assert (passage.boot, passage.scan) == (JOURNAL, hashlib.sha256(scan).digest())
    talk.fires(TimerKind.JOURNAL, None)
    assert talk.published[-1] == talk.published[-2]
