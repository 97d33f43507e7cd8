"""What a gate says of what happened: passages and statuses, into the journal; and the few words that do not wait for it.

How they go up, and when again, is `upstream`'s; what is said seldom is `seldom`'s.
"""

from datetime import timedelta
from typing import Any, Final, TypeAlias, assert_never

from devices.core.belief import Ignored
from devices.core.events import Appended, AppendFailed, EntriesRead, JournalBegun, JournalSettled, TimerKind
from devices.core.journal import Journal
from devices.core.lane import Lane, Limits
from devices.core.outbox import Outbox
from devices.core.seldom import OPENINGS, REFUSALS, Pace, Seldom, Word
from devices.core.turn import Turn
from devices.core.upstream import Upstream
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import ClockQuality, Passage, PassageOutcome, Status, StatusKind

__all__ = ["Telling"]

_DiskSays: TypeAlias = Appended | AppendFailed | JournalSettled | EntriesRead | JournalBegun


class Telling:
    """One gate's words. `up` is their way up, and that of scans."""

    def __init__(self, *, turn: Turn, outbox: Outbox, journal: Journal, limits: Limits) -> None:
        self._turn: Final = turn
        self._seldom: Final = Seldom()
        self.up: Final = Upstream(
            outbox=outbox,
            journal=journal,
            resend=limits.resend,
            resend_most=limits.resend_most,
            tally=turn.tally,
            do=turn.do,
            full=self._journal_full,
            ask=self.ask_for_answer,
        )

    def stamp(self) -> dict[str, Any]:
        """What every message carries; its number is given when it is sent."""
        return {
            "boot": self.up.boot,
            "sequence": 0,
            "gate_at": self._turn.wall.at if self._turn.wall is not None else None,
            "clock": self._turn.wall.quality if self._turn.wall is not None else ClockQuality.NONE,
        }

    def report(self, lane: Lane, outcome: PassageOutcome, *, scan: bytes | None) -> None:
        """Tell how a passage at an access point ended."""
        passage = Passage(**self.stamp(), access_point=lane.doorway.id, outcome=outcome, scan=scan)
        self.up.tell(passage, at=self._turn.at)

    def tell(
        self, kind: StatusKind, access_point: AccessPointId | None, *, command: bytes | None = None
    ) -> None:
        """Tell what is the case at an access point, or at the whole gate."""
        status = Status(**self.stamp(), kind=kind, access_point=access_point, command=command)
        self.up.tell(status, at=self._turn.at)

    def tell_refusal(self, kind: StatusKind, why: Ignored, *, command: bytes | None = None) -> bool:
        """Tell what was refused, and why: each cause at once, then once an hour for all since. Whether it was told now."""
        return self._tell_seldom(Word(kind=kind, why=why), REFUSALS, command=command)

    def tell_bypass(self, access_point: AccessPointId) -> None:
        """Tell that a device has opened a door by itself: each time, and in a flood once a minute for all since."""
        self._tell_seldom(Word(kind=StatusKind.OPENED_ITSELF, access_point=access_point), OPENINGS)

    def tell_unwritten(self, access_point: AccessPointId) -> None:
        """Tell that somebody was refused of whom nothing more is written: at once, then once an hour for all since."""
        self._tell_seldom(Word(kind=StatusKind.JOURNAL_FULL, access_point=access_point), REFUSALS)

    def tell_held_back(self) -> None:
        """Tell what was held back for long enough."""
        for word, command, count in self._seldom.over(at=self._turn.at):
            self._say(word, count, command=command)
        self._await_held_back()

    def _tell_seldom(self, word: Word, pace: Pace, *, command: bytes | None = None) -> bool:
        due = self._seldom.next_due
        count = self._seldom.take(word, pace=pace, at=self._turn.at, command=command)
        if count:
            self._say(word, count, command=command)
        if self._seldom.next_due != due:
            self._await_held_back()
        return count > 0

    def _say(self, word: Word, count: int, *, command: bytes | None) -> None:
        status = Status(
            **self.stamp(),
            kind=word.kind,
            access_point=word.access_point,
            command=command,
            why=word.why.value if word.why is not None else None,
            count=count if count > 1 else None,
        )
        self.up.tell(status, at=self._turn.at)

    def _await_held_back(self) -> None:
        due = self._seldom.next_due
        if due is None:
            self._turn.cancel(None, TimerKind.HELD_BACK)
        else:
            self._turn.start(
                None, TimerKind.HELD_BACK, max(timedelta(), timedelta(seconds=due - self._turn.at))
            )

    def ask_for_answer(self) -> None:
        """Tell what needs no telling: the answer to it tells that the service is there, and its time."""
        online = Status(**self.stamp(), kind=StatusKind.ONLINE, access_point=None)
        self.up.keep(online, at=self._turn.at)

    def _journal_full(self) -> None:
        """The journal takes nothing more: the one word that must not wait for room in it."""
        full = Status(**self.stamp(), kind=StatusKind.JOURNAL_FULL, access_point=None)
        self.up.keep(full, at=self._turn.at)

    def hear_disk(self, event: _DiskSays) -> None:
        """Take what the disk says of the journal."""
        match event:
            case Appended(number):
                self.up.appended(number)
            case AppendFailed(number):
                self.up.failed(number)
            case JournalSettled(journal, number):
                self.up.settled(journal, number)
            case EntriesRead(journal, entries):
                self.up.read(journal, entries)
            case JournalBegun(found):
                self.up.begun(found)
                self.tell(StatusKind.JOURNAL_DAMAGED, None)
            case _:
                assert_never(event)
