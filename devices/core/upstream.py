"""All that goes up, in its two streams, until the service has answered it.

    scan, hello          the boot's stream: sent at once, or not at all; in memory
    passage, status,     the journal: on disk, then published, in order; after a restart too
    scan decided alone

What the journal does not take - its disk is full or broken, or too much waits - goes up in the boot's stream, from memory,
as long as that has room; nothing that depends on its being on disk happens. That it is so is told there, once, when it begins.
Of who was refused neither takes more from four fifths on: they are counted, and what happens at the doors still finds room.

Published while there is a link, and again with growing patience until it is answered. Nothing of the journal is published
before the hello was answered: it says how far the journal was written, and must not come after what was written later. It
decides nothing.

The service refuses an entry without a word when it has something else under that number, or had it long ago: a disk lost what
was sent, or an old one was put back. Then it answers other messages, and never this one. So a journal whose oldest entry
stays unanswered, over and over while others are answered, is taken for refused: a new one begins, and what was not answered
goes up beside it. What is refused even there is told again under a new number: rather twice than never.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, assert_never

from devices.core.belief import Ignored
from devices.core.events import (
    Append,
    BeginJournal,
    CancelTimer,
    Effect,
    Publish,
    ReadEntries,
    Settle,
    StartTimer,
    Timer,
    TimerKind,
)
from devices.core.journal import Entry, Journal, JournalFound, Past, Pending, message_of
from devices.core.outbox import Outbox, Sent
from devices.core.tally import Tally
from gatekeeper.core.scan import UpwardMessage
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import Hello, Scan

__all__ = ["Upstream"]

_KEPT, _JOURNAL = Timer(TimerKind.KEPT), Timer(TimerKind.JOURNAL)
_ASKED_AFTER, _REFUSED_AFTER = 8, 8


class _Unanswered:
    """How often the oldest entry of a line was sent again, and how often the service answered others meanwhile."""

    def __init__(self) -> None:
        self._oldest: tuple[BootId, int] | None = None
        self._heard = False
        self.times = 0
        self.passed_over = 0

    @property
    def is_refused(self) -> bool:
        """Whether the service will not answer it any more."""
        return self.passed_over >= _REFUSED_AFTER

    @property
    def is_doubtful(self) -> bool:
        """Whether it is unanswered for long, and it shows only by an answer to something else whether the service is there."""
        return self.times >= _ASKED_AFTER and not self.is_refused

    def heard(self) -> None:
        """The service has answered something."""
        self._heard = True

    def sent_again(self, oldest: Entry | None) -> None:
        """All that is unanswered was sent once more."""
        known, self._oldest = self._oldest, (oldest.journal, oldest.number) if oldest is not None else None
        if self._oldest is None or self._oldest != known:
            self.times = self.passed_over = 0
        else:
            self.times += 1
            self.passed_over += self._heard
        self._heard = False


class Upstream:
    """One gate's way up.

    `do` takes its effects; `full` is called when the journal begins to take nothing more, `ask` to have the service answer
    something in the boot's stream.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        journal: Journal,
        resend: timedelta,
        resend_most: timedelta,
        tally: Tally,
        do: Callable[[Effect], None],
        full: Callable[[], None],
        ask: Callable[[], None],
    ) -> None:
        self.journal: Final = journal
        self._outbox: Final = outbox
        self._resend: Final = resend
        self._resend_most: Final = resend_most
        self._tally: Final = tally
        self._do: Final = do
        self._tell_full: Final = full
        self._ask: Final = ask

        self._linked = False
        self._full = False
        self._greeting: Sent | None = None
        self._patience = {_KEPT: resend, _JOURNAL: resend}

        # What the service does not answer. Another journal is begun once, and again only after an entry of it was answered.
        self._present, self._former = _Unanswered(), _Unanswered()
        self._may_begin = True
        self._is_taken = False
        self._retold: bytes | None = None

    @property
    def boot(self) -> BootId:
        """The id of the boot's stream."""
        return self._outbox.boot

    @property
    def has_room_for_scan(self) -> bool:
        """Whether a scan made now would be answered."""
        return self._outbox.has_room_for_scan

    @property
    def keeps_more(self) -> bool:
        """Whether something that is no scan waits in the boot's stream for its answer."""
        return bool(self._outbox.kept)

    def speaks_of(self, access_point: AccessPointId) -> bool:
        """Whether the service has not answered all yet that was said of an access point, but for scans."""
        return self.journal.speaks_of(access_point) or self._outbox.speaks_of(access_point)

    # -- what is said -------------------------------------------------------------------------------------------------

    def send(self, message: UpwardMessage, *, at: float) -> Sent:
        """Send a message in the boot's stream, at once."""
        sent = self._outbox.send(message, at=at)
        self.publish(sent)
        return sent

    def greet(self, hello: Hello, *, at: float) -> None:
        """Send the first message; the journal waits until it is answered."""
        self._greeting = self.send(hello, at=at)

    def publish(self, sent: Sent) -> None:
        """Publish what was sent before, once more; without a link nothing happens."""
        if self._linked:
            self._do(Publish(topic=sent.topic, payload=sent.wire, qos=1))

    def tell(self, message: Past, *, at: float) -> None:
        """Write a message into the journal; one that it does not take goes up from memory."""
        self.write(message, then=_nothing_more, otherwise=lambda: self.keep(message, at=at))

    def tell_refused(self, scan: Scan, *, at: float, count: Callable[[], None]) -> None:
        """Write down who was refused, while there is room for that: in the journal, else in memory. Else it is to be counted."""

        def keep() -> None:
            if self._outbox.has_room_for_refusal:
                self.keep(scan, at=at)
            else:
                count()

        if self.journal.has_room_for_refusal:
            self.write(scan, then=_nothing_more, otherwise=keep)
        else:
            count()

    def write(self, message: Past, *, then: Callable[[Entry], None], otherwise: Callable[[], None]) -> None:
        """Write a message into the journal, and nowhere else; then do what depends on it.

        INVARIANT: `then` is called after the entry is on disk, and only then; `otherwise` is called when it will never be.
        One of the two is called, once, by this step or a later one - or none, when the power goes first.
        """
        entry = self.journal.write(message, then=then, otherwise=otherwise)
        if entry is None:
            self._takes_no_more()
            otherwise()
        else:
            append = Append(number=entry.number, wire=entry.wire, access_point=entry.access_point)
            self._do(append)

    def keep(self, message: UpwardMessage, *, at: float) -> None:
        """Send a message in the boot's stream, when it has its turn; when too many wait it is lost, and counted."""
        if not self._outbox.keep(message):
            self._tally.lost += 1
        self._send_waiting(at=at)

    # -- what the disk says -------------------------------------------------------------------------------------------

    def appended(self, number: int) -> None:
        """Entries are on disk: what depends on them happens, and they are forwarded."""
        for pending in self.journal.appended(number):
            self._full = False
            pending.then(pending.entry)
        self._forward()

    def failed(self, number: int) -> None:
        """Entries are not on disk: nothing that depends on them happens."""
        failed: list[Pending] = self.journal.failed(number)
        if failed:
            self._takes_no_more()
        for pending in failed:
            pending.otherwise()

    def settled(self, journal: BootId, number: int) -> None:
        """The disk knows how far a journal is answered: more may be sent."""
        self.journal.settled(journal, number)
        self._forward()

    def read(self, journal: BootId, entries: Sequence[Entry]) -> None:
        """Entries came from the disk, that are next."""
        self.journal.read(journal, entries)
        self._forward()

    def begun(self, found: JournalFound) -> None:
        """A new journal was begun: what was on its way into the one before goes up from memory."""
        failed = self.journal.failed(0)
        self.journal.begin(found)
        self._present, self._former = _Unanswered(), _Unanswered()
        self._is_taken = False
        self._retold = None
        for pending in failed:
            pending.otherwise()
        self._patient_again(_JOURNAL)
        self._forward()

    # -- what the service says ----------------------------------------------------------------------------------------

    def asked(self, digest: bytes) -> Sent | Entry | Ignored:
        """What an answer is for, or why it is for nothing."""
        sent = self._outbox.unanswered(digest)
        return self.journal.find(digest) if sent is Ignored.ANSWER_UNKNOWN else sent

    def settle(self, sent: Sent) -> None:
        """The service has answered a scan, and no other answer to it counts."""
        self._outbox.settle(sent, later=Ignored.ANSWER_REPEATED)
        self._heard()

    def give_up(self, sent: Sent) -> None:
        """Expect no answer to a scan any more: nobody has answered it, so nothing was heard of the service."""
        self._outbox.settle(sent, later=Ignored.ANSWER_LATE)

    def give_over(self, sent: Sent) -> None:
        """Go on sending a scan for which nobody waits any more, until it is answered."""
        idle = not self._outbox.kept
        self._outbox.give_over(sent)
        self._wait(_KEPT, begins=idle)

    def is_given_over(self, sent: Sent) -> bool:
        """Whether nobody waits for the answer to a scan."""
        return self._outbox.is_given_over(sent)

    def recorded(self, recorded: Sent | Entry, digest: bytes, *, at: float) -> None:
        """The service has written a message down."""
        self._heard()
        match recorded:
            case Sent():
                self._outbox.settle(recorded, later=Ignored.ANSWER_REPEATED)
                self._patient_again(_KEPT)
                self._send_waiting(at=at)
                self._wait(_KEPT, begins=bool(self._outbox.kept))
                if recorded is self._greeting:
                    self._greeting = None
                    self._forward()
            case Entry():
                if recorded.journal == self.journal.end.journal:
                    self._may_begin = self._is_taken = True
                self._answered(digest)
                self._patient_again(_JOURNAL)
                self._forward()
                self._wait(_JOURNAL, begins=bool(self.journal.unanswered))
            case _:
                assert_never(recorded)

    # -- the link and time --------------------------------------------------------------------------------------------

    def link(self, *, up: bool, at: float) -> None:
        """The link came, or went. What is not answered is published again, in order, before anything new."""
        self._linked = up
        self._patient_again(_KEPT)
        self._patient_again(_JOURNAL)
        if not up:
            return
        self._publish_kept()
        self._publish_journal()
        self._send_waiting(at=at)
        self._forward()
        self._wait(_KEPT, begins=bool(self._outbox.kept))
        self._wait(_JOURNAL, begins=bool(self.journal.unanswered))

    def again(self, kind: TimerKind) -> None:
        """Something was not answered for a while: publish it again, and be more patient."""
        timer = Timer(kind)
        if timer == _KEPT:
            self._tally.repeats += self._publish_kept()
        else:
            self._tally.repeats += self._publish_journal()
            self._judge()
        self._patience[timer] = min(2 * self._patience[timer], self._resend_most)
        left = self._outbox.kept if timer == _KEPT else self.journal.unanswered
        self._wait(timer, begins=bool(left))

    # -- what is refused ----------------------------------------------------------------------------------------------

    def _heard(self) -> None:
        self._present.heard()
        self._former.heard()

    def _judge(self) -> None:
        """See whether what was sent again and again is refused, and do about it what can be done."""
        present, former = self.journal.oldest, self.journal.oldest_former
        self._present.sent_again(present)
        self._former.sent_again(former)
        if self._present.is_refused and self._may_begin:
            self._may_begin = False
            self._do(BeginJournal(instead_of=self.journal.end.journal))
        elif self._former.is_refused and self._is_taken and former is not None:
            self._tell_again(former)
        elif (self._present.is_doubtful or self._former.is_doubtful) and not self._outbox.kept:
            # Asked until it shows, and no more: each question is an entry of the site's log.
            self._ask()

    def _tell_again(self, refused: Entry) -> None:
        digest = hashlib.sha256(refused.wire).digest()
        if digest == self._retold:
            return
        self._retold = digest

        # INVARIANT: what is refused is let go only after it is on disk under its new number.
        def is_told(_entry: Entry) -> None:
            if self.journal.find(digest) == refused:
                self._answered(digest)

        def is_not_told() -> None:
            self._retold = None

        self.write(message_of(refused), then=is_told, otherwise=is_not_told)

    def _answered(self, digest: bytes) -> None:
        settled = self.journal.answered(digest)
        if settled is not None:
            journal, number = settled
            self._do(Settle(journal=journal, number=number))

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _takes_no_more(self) -> None:
        if not self._full:
            self._full = True
            self._tell_full()

    def _send_waiting(self, *, at: float) -> None:
        if not self._linked:
            return
        idle = not self._outbox.kept
        for sent in self._outbox.send_waiting(at=at):
            self.publish(sent)
        self._wait(_KEPT, begins=idle and bool(self._outbox.kept))

    def _forward(self) -> None:
        """Publish what is on disk and was not sent yet, as far as the service has room."""
        if not self._linked or self._greeting is not None:
            return
        idle = not self.journal.unanswered
        for entry in self.journal.send():
            self._publish_entry(entry)
        for read in self.journal.reads():
            self._do(ReadEntries(journal=read.journal, after=read.after, most=read.most))
        self._wait(_JOURNAL, begins=idle and bool(self.journal.unanswered))

    def _publish_kept(self) -> int:
        for sent in self._outbox.kept:
            self.publish(sent)
        return len(self._outbox.kept)

    def _publish_journal(self) -> int:
        for entry in self.journal.unanswered:
            self._publish_entry(entry)
        return len(self.journal.unanswered)

    def _publish_entry(self, entry: Entry) -> None:
        if self._linked:
            self._do(Publish(topic=self.journal.topic, payload=entry.wire, qos=1))

    def _wait(self, timer: Timer, *, begins: bool) -> None:
        if begins:
            self._do(StartTimer(timer=timer, after=self._patience[timer]))

    def _patient_again(self, timer: Timer) -> None:
        self._patience[timer] = self._resend
        self._do(CancelTimer(timer=timer))


def _nothing_more(_entry: Entry) -> None:
    """Nothing depends on it."""
