"""All that goes up, in its two streams, until the service has answered it.

    scan, hello          the boot's stream: sent at once, or not at all; in memory
    passage, status,     the journal: on disk, then published, in order; after a restart too
    scan decided alone

What the journal does not take - its disk is full or broken, or too much waits - goes up in the boot's stream, from memory,
as long as that has room; nothing that depends on its being on disk happens. That it is so is told there, once, when it begins.

Published while there is a link, and again with growing patience until it is answered. Nothing of the journal is published
before the hello was answered: it says how far the journal was written, and must not come after what was written later. It
decides nothing.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, assert_never

from devices.core.belief import Ignored
from devices.core.events import (
    Append,
    CancelTimer,
    Effect,
    Publish,
    Settle,
    StartTimer,
    Timer,
    TimerKind,
)
from devices.core.journal import Entry, Journal, Past, Pending
from devices.core.outbox import Outbox, Sent
from devices.core.tally import Tally
from gatekeeper.core.scan import UpwardMessage
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import Hello

__all__ = ["Upstream"]

_KEPT, _JOURNAL = Timer(TimerKind.KEPT), Timer(TimerKind.JOURNAL)


class Upstream:
    """One gate's way up. `do` takes its effects; `full` is called when the journal begins to take nothing more."""

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
    ) -> None:
        self.journal: Final = journal
        self._outbox: Final = outbox
        self._resend: Final = resend
        self._resend_most: Final = resend_most
        self._tally: Final = tally
        self._do: Final = do
        self._tell_full: Final = full

        self._linked = False
        self._full = False
        self._greeting: Sent | None = None
        self._patience = {_KEPT: resend, _JOURNAL: resend}

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
            self._do(Append(number=entry.number, wire=entry.wire))

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

    # -- what the service says ----------------------------------------------------------------------------------------

    def asked(self, digest: bytes) -> Sent | Entry | Ignored:
        """What an answer is for, or why it is for nothing."""
        sent = self._outbox.unanswered(digest)
        return self.journal.find(digest) if sent is Ignored.ANSWER_UNKNOWN else sent

    def settle(self, sent: Sent, *, later: Ignored) -> None:
        """Expect no answer to a message any more; `later` is what one will be that comes all the same."""
        self._outbox.settle(sent, later=later)

    def recorded(self, recorded: Sent | Entry, digest: bytes, *, at: float) -> None:
        """The service has written a message down."""
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
                settled = self.journal.answered(digest)
                if settled is not None:
                    journal, number = settled
                    self._do(Settle(journal=journal, number=number))
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
        self._patience[timer] = min(2 * self._patience[timer], self._resend_most)
        left = self._outbox.kept if timer == _KEPT else self.journal.unanswered
        self._wait(timer, begins=bool(left))

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
