"""Whoever shows cards to a gate that is alone fills its journal to four fifths and no further: they are counted, and doors find room."""

from datetime import timedelta

import pytest

from devices.core.events import (
    Append,
    AppendFailed,
    ContactOpened,
    LinkUp,
    Signal,
    TamperOpened,
    TimerKind,
)
from devices.core.journal import JournalBounds
from devices.core.outbox import MOST_WAITING
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import Passage, PassageOutcome, Scan, Status, StatusKind, Verdict
from tests.unit.devices.ground import BOOT, CARD, IN, JOURNAL, OUT, only
from tests.unit.devices.solitude import Lonely

HUNDRED = JournalBounds(entries=100)


def shown(talk: Lonely, times: int, at: AccessPointId = IN) -> None:
    """Somebody holds an emulator to a reader, and is refused each time."""
    for _ in range(times):
        assert talk.shows(CARD, at) is Signal.DENIED
        talk.passes(1)


def disk_takes_nothing(talk: Lonely) -> None:
    """The disk is full: it takes nothing of what was to be written lately."""
    failed = 0
    while len(appends := only(Append, talk.did)) > failed:
        talk.happens(AppendFailed(appends[failed].number))
        failed += 1
    talk.did.clear()


def linked(talk: Lonely) -> None:
    """The link is back, and all that waits goes up and is recorded."""
    talk.happens(LinkUp())
    answered: set[bytes] = set()
    while fresh := [sent for sent in talk.published if sent.payload not in answered]:
        for sent in fresh:
            answered.add(sent.payload)
            talk.hears(talk.service.answer(sent.payload, Verdict.RECORDED))


def written(talk: Lonely) -> list[Scan]:
    return [one for one in talk.messages() if isinstance(one, Scan)]


def full(talk: Lonely) -> list[tuple[BootId, AccessPointId | None, int | None]]:
    """What was told of a full journal: in which stream, of which access point, for how many."""
    said = [one for one in talk.messages() if isinstance(one, Status)]
    return [(one.boot, one.access_point, one.count) for one in said if one.kind is StatusKind.JOURNAL_FULL]


@pytest.mark.parametrize(
    "bounds", [HUNDRED, JournalBounds(octets=80 << 10)], ids=["by its entries", "by its octets"]
)
def test_refused_cards_leave_a_fifth_of_the_journal_to_the_doors_and_none_goes_uncounted(
    bounds: JournalBounds,
):
    talk = Lonely.left(bounds=bounds)
    shown(talk, 600)
    talk.happens(ContactOpened(OUT))
    assert talk.shows() is Signal.GRANTED
    talk.happens(TamperOpened(None))
    talk.fires(TimerKind.HELD_BACK, None)
    linked(talk)
    refused = [scan for scan in written(talk) if scan.offline_verdict is Verdict.DENIED]
    assert 0 < len(refused) < 600
    assert sum(len(one.wire) for one in only(Append, talk.did)[: len(refused)]) <= bounds.octets * 0.81
    assert len(refused) <= bounds.entries * 0.8
    assert full(talk) == [(JOURNAL, IN, None), (JOURNAL, IN, 600 - len(refused) - 1)]
    assert [scan.offline_verdict for scan in written(talk)][-1] is Verdict.GRANTED
    assert [one.outcome for one in talk.messages() if isinstance(one, Passage)] == [PassageOutcome.FORCED]
    assert {one.boot for one in talk.messages() if isinstance(one, Passage | Scan)} == {JOURNAL}
    assert talk.controller.tally.lost == 0


def test_each_access_point_is_told_of_at_once_and_a_flood_costs_one_word_an_hour():
    talk = Lonely.left(bounds=HUNDRED)
    shown(talk, 90)
    shown(talk, 5, OUT)
    assert len(only(Append, talk.did)) == 80 + 2
    for _ in range(3):
        talk.fires(TimerKind.HELD_BACK, None)
        shown(talk, 50)
        shown(talk, 50, OUT)
    assert len(only(Append, talk.did)) <= 80 + 2 + 3 * 2
    talk.passes(timedelta(hours=1).total_seconds())
    talk.fires(TimerKind.HELD_BACK, None)
    linked(talk)
    told = full(talk)
    assert {(boot, point) for boot, point, _ in told} == {(JOURNAL, IN), (JOURNAL, OUT)}
    assert sum(count or 1 for _, _, count in told) == 90 + 5 + 300 - 80


def test_when_the_service_has_answered_refusals_are_written_again():
    talk = Lonely.left(bounds=HUNDRED)
    shown(talk, 85)
    linked(talk)
    assert len(written(talk)) == 80
    talk.did.clear()
    shown(talk, 3)
    assert len(only(Append, talk.did)) == 3


def test_what_waits_in_memory_beside_a_full_disk_leaves_the_doors_a_fifth_too():
    talk = Lonely.left()
    talk.disk_is_quick = False
    room = MOST_WAITING * 4 // 5
    for _ in range(room + 50):
        shown(talk, 1)
        disk_takes_nothing(talk)
    talk.happens(TamperOpened(OUT))
    disk_takes_nothing(talk)
    assert talk.controller.tally.lost == 0
    linked(talk)
    assert {scan.boot for scan in written(talk)} == {BOOT}
    assert room - 2 <= len(written(talk)) <= room + 1
    assert full(talk) == [(BOOT, None, None), (BOOT, IN, None)]
    assert [one.access_point for one in talk.messages() if isinstance(one, Status)][-1] == OUT
