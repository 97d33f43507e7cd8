"""The journal on disk: what was confirmed is there, what was not written is not believed, and damage loses nothing else."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from devices.core.events import Append
from devices.core.journal import Entry, Journal, JournalBounds, JournalFound
from devices.core.journal_format import RECORDS, SLOTS, record, settled_slot, start_of
from devices.journal_file import JOURNAL, JournalFile, JournalInUseError
from devices.journal_port import JournalDamagedError
from gatekeeper import cose
from gatekeeper.model.fields import MOST
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import ClockQuality, Status, StatusKind
from gatekeeper.model.topics import Channel
from tests.unit.devices.ground import BOOT, GATE, IN, OTHER_GATE, topic

KEY, STRANGER = cose.SigningKey.generate(), cose.SigningKey.generate()
ID = BootId(b"journal1")
STATUS = Status(
    boot=BOOT, sequence=0, gate_at=None, clock=ClockQuality.NONE, kind=StatusKind.TAMPER, access_point=IN
)


def append_of(entry: Entry) -> Append:
    return Append(number=entry.number, wire=entry.wire, access_point=entry.access_point)


@dataclass(frozen=True)
class InFolder:
    """What is in a folder: what a start finds, and all that is read of it."""

    id: BootId
    settled: int
    written: int
    damaged: bool
    entries: tuple[Entry, ...]
    former: tuple[Entry, ...]


def entries_of(file: JournalFile, journal: BootId | None = None) -> list[Entry]:
    """All that a gate would send of a journal, the present one if none is named."""
    journal = journal or file.found.id
    begins = {one.id: one.settled for one in (file.found, *file.found.former)}
    entries: list[Entry] = []
    while more := file.read(journal, entries[-1].number if entries else begins[journal], 7):
        entries += more
    return entries


class Pen:
    """Writes entries as a gate does, and into its file."""

    def __init__(self, file: JournalFile, *, key: cose.SigningKey = KEY) -> None:
        self.file = file
        self.journal = Journal(topic=topic(Channel.JOURNAL), key=key, bounds=JournalBounds())
        self.journal.begin(file.found)

    def entry(self) -> Entry:
        entry = self.journal.write(STATUS, then=lambda _entry: None, otherwise=lambda: None)
        assert entry is not None
        return entry

    def writes(self, *batches: int) -> list[Entry]:
        written = []
        for size in batches:
            batch = [self.entry() for _ in range(size)]
            self.file.append([append_of(one) for one in batch])
            written += batch
        return written


def opened(folder: Path, *, gate: GateId = GATE, key: cose.SigningKey = KEY) -> JournalFile:
    return JournalFile.open(folder, gate=gate, key=key, topic=topic(Channel.JOURNAL, gate))


def found(folder: Path, **who: object) -> InFolder:
    """What is in a folder; a look that changes it only as every start does."""
    file = opened(folder, **who)  # type: ignore[arg-type]
    at_start = file.found
    there = InFolder(
        at_start.id,
        at_start.settled,
        at_start.written,
        at_start.damaged,
        tuple(entries_of(file)),
        tuple(entry for one in at_start.former for entry in entries_of(file, one.id)),
    )
    assert at_start.octets == sum(len(entry.wire) for entry in there.entries)
    assert sum(one.octets for one in at_start.former) == sum(len(entry.wire) for entry in there.former)
    assert sum(one.entries for one in at_start.former) == len(there.former)
    file.close()
    return there


@pytest.fixture
def small(tmp_path: Path) -> tuple[bytes, list[Entry]]:
    """A journal of four entries, of which one is answered; as bytes, and what is in it."""
    (tmp_path / "made").mkdir()
    file = opened(tmp_path / "made")
    entries = Pen(file).writes(1, 2, 1)
    file.settle(file.found.id, 1)
    file.close()
    return (tmp_path / "made" / JOURNAL).read_bytes(), entries


def put(folder: Path, content: bytes) -> Path:
    for old in folder.iterdir() if folder.exists() else ():
        old.unlink()
    folder.mkdir(exist_ok=True)
    (folder / JOURNAL).write_bytes(content)
    return folder


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"journal.lock"}


# -- what was confirmed is there --------------------------------------------------------------------------------------


def test_a_new_journal_is_empty_and_is_the_same_at_the_next_start(tmp_path: Path):
    first = found(tmp_path)
    assert (first.settled, first.written, first.entries, first.former, first.damaged) == (0, 0, (), (), False)
    assert found(tmp_path).id == first.id
    assert (tmp_path / JOURNAL).stat().st_mode & 0o077 == 0


def test_what_was_appended_is_found_in_order_with_the_same_bytes(tmp_path: Path):
    file = opened(tmp_path)
    entries = Pen(file).writes(1, 3, 2)
    file.close()
    again = found(tmp_path)
    assert (again.id, again.written, list(again.entries)) == (file.found.id, 6, entries)


def test_what_is_answered_is_not_found_again_and_numbers_go_on(tmp_path: Path):
    for last in (3, 6, 9):
        file = opened(tmp_path)
        Pen(file).writes(3)
        file.settle(file.found.id, last)
        file.close()
        again = found(tmp_path)
        assert (again.settled, again.written, again.entries) == (last, last, ())


def test_two_agents_at_once_do_not_start(tmp_path: Path):
    file = opened(tmp_path)
    with pytest.raises(JournalInUseError, match="another agent"):
        opened(tmp_path)
    file.close()
    opened(tmp_path).close()


# -- what the power cut off, at every byte ----------------------------------------------------------------------------


def test_a_journal_torn_at_every_byte_holds_exactly_what_was_whole(
    tmp_path: Path, small: tuple[bytes, list[Entry]]
):
    content, entries = small
    ends = [RECORDS]
    for entry in entries:
        ends.append(ends[-1] + len(record(entry.number, entry.wire, settled=0)))
    assert ends[-1] == len(content)
    for end in range(RECORDS, len(content)):
        folder = put(tmp_path / "torn", content[:end])
        whole = sum(one <= end for one in ends) - 1
        again = found(folder)
        assert [one.wire for one in again.entries] == [one.wire for one in entries[1:whole]]
        assert (again.damaged, again.written, files(folder)) == (False, max(whole, 1), {JOURNAL})


@pytest.mark.parametrize("tail", [b"\0" * 300, b"\xf3GKJ", os.urandom(5000)])
def test_a_tail_that_is_no_entry_is_cut_off_and_the_next_entry_takes_its_place(
    tail: bytes, tmp_path: Path, small: tuple[bytes, list[Entry]]
):
    content, entries = small
    folder = put(tmp_path / "torn", content + tail)
    file = opened(folder)
    assert entries_of(file) == entries[1:]
    (more,) = Pen(file).writes(1)
    file.close()
    assert more.number == 5
    assert list(found(folder).entries) == [*entries[1:], more]


def test_a_journal_torn_within_its_head_is_kept_as_evidence(tmp_path: Path, small: tuple[bytes, list[Entry]]):
    content, _ = small
    for end in range(0, RECORDS, 61):
        folder = put(tmp_path / "torn", content[:end])
        again = found(folder)
        assert (again.damaged, again.written) == (True, 0)
        assert (folder / "journal.damaged-1").read_bytes() == content[:end]


# -- damage, at every bit ---------------------------------------------------------------------------------------------


def test_a_bit_that_flips_anywhere_adds_nothing_and_loses_no_other_entry(
    tmp_path: Path, small: tuple[bytes, list[Entry]]
):
    content, entries = small
    unsettled = {entry.wire: entry for entry in entries[1:]}
    starts = [RECORDS]
    for entry in entries:
        starts.append(starts[-1] + len(record(entry.number, entry.wire, settled=0)))
    written = [*range(65), 100, *range(SLOTS[0], SLOTS[0] + 32), *range(SLOTS[1], SLOTS[1] + 32)]
    for at in (*written, *range(RECORDS, len(content))):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        folder = put(tmp_path / "flipped", bytes(flipped))
        again = found(folder)
        left = {entry.wire for entry in (*again.former, *again.entries)}
        # Only the newest note of what is answered may be gone: then the first is there again, and the service knows it.
        assert left <= unsettled.keys() | {entries[0].wire}
        hit = next((n for n, start in enumerate(starts[:-1]) if start <= at < starts[n + 1]), None)
        gone = unsettled.keys() - left
        assert gone <= ({entries[hit].wire} if hit is not None else set())
        if again.damaged:
            assert again.id != entries[0].journal
            assert (folder / "journal.damaged-1").read_bytes() == bytes(flipped)
        else:
            assert hit in {None, 3}, "damage was not seen"


def test_what_is_left_of_a_damaged_journal_is_there_until_it_is_answered(
    tmp_path: Path, small: tuple[bytes, list[Entry]]
):
    content, entries = small
    flipped = bytearray(content)
    flipped[RECORDS + 400] ^= 1
    folder = put(tmp_path / "flipped", bytes(flipped))
    assert len(found(folder).former) == 2
    file = opened(folder)
    (left,) = file.found.former
    assert (file.found.damaged, [one.number for one in entries_of(file, left.id)]) == (False, [2, 4])
    Pen(file).writes(2)
    file.settle(entries[0].journal, 2)
    file.close()
    file = opened(folder)
    (left,) = file.found.former
    assert [one.number for one in entries_of(file, left.id)] == [4]
    file.settle(entries[0].journal, 4)
    file.close()
    again = found(folder)
    assert (again.former, len(again.entries)) == ((), 2)
    assert files(folder) == {JOURNAL, "journal.damaged-1"}


# -- what is not this gate's own --------------------------------------------------------------------------------------


def test_another_gates_journal_is_moved_aside_and_nothing_of_it_is_told(
    tmp_path: Path, small: tuple[bytes, list[Entry]]
):
    content, _ = small
    folder = put(tmp_path / "other", content)
    again = found(folder, gate=OTHER_GATE)
    assert (again.damaged, again.former, again.entries) == (True, (), ())
    assert (folder / "journal.damaged-1").read_bytes() == content


def test_an_entry_that_another_key_signed_is_not_believed(tmp_path: Path):
    file = opened(tmp_path)
    Pen(file).writes(2)
    stranger = Pen(file, key=STRANGER)
    stranger.journal._next = 3
    stranger.writes(1)
    file.close()
    again = found(tmp_path)
    # No power cut leaves a whole record with another's signature: somebody did.
    assert (again.damaged, again.entries, len(again.former)) == (True, (), 2)


@pytest.mark.parametrize("batch", [1, 3])
def test_an_entry_that_another_key_signed_is_found_out_before_it_is_sent(tmp_path: Path, batch: int):
    file = opened(tmp_path)
    pen = Pen(file)
    own = pen.writes(2)
    stranger = Pen(file, key=STRANGER)
    stranger.journal._next = 3
    stranger.writes(1)
    pen.journal._next = 4
    own += pen.writes(2)
    file.close()
    file = opened(tmp_path)
    former = file.found.id
    assert not file.found.damaged
    with pytest.raises(JournalDamagedError, match="did not sign"):
        file.read(former, 3 - batch, batch)
    begun = file.begin_anew(former, "it holds what this gate did not sign")
    assert (begun.damaged, begun.id != former, begun.written) == (True, True, 0)
    assert [(one.id, one.entries) for one in begun.former] == [(former, 4)]
    assert list(file.read(former, 0, 9)) == own
    file.close()
    assert list(found(tmp_path).former) == own
    assert (tmp_path / "journal.damaged-1").exists()


# -- a journal that cannot go on ------------------------------------------------------------------------------------------


def test_a_journal_that_is_taken_no_more_goes_up_beside_the_new_one(tmp_path: Path):
    file = opened(tmp_path)
    entries = Pen(file).writes(5)
    before = file.found.id
    file.settle(before, 2)
    begun = file.begin_anew(before, "the service takes no more of it")
    assert (begun.settled, begun.written, begun.octets, begun.damaged) == (0, 0, 0, True)
    assert list(file.read(before, 2, 64)) == entries[2:]
    file.append([Append(number=1, wire=b"anything", access_point=None)])
    file.settle(before, 5)
    assert files(tmp_path) == {JOURNAL}
    file.close()


def test_a_new_journal_that_the_disk_does_not_take_is_begun_when_it_does_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = opened(tmp_path)
    entries = Pen(file).writes(5)
    before = file.found.id

    def fails(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        for _ in range(2):
            with pytest.raises(OSError, match="no room"):
                file.begin_anew(before, "the service takes no more of it")
        with pytest.raises(OSError, match="broken"):
            file.append([Append(number=6, wire=b"anything", access_point=None)])
        with pytest.raises(OSError, match="given up"):
            file.settle(before, 3)
    begun = file.begin_anew(before, "the service takes no more of it")
    assert [(one.id, one.entries) for one in begun.former] == [(before, 5)]
    assert list(file.read(before, 0, 64)) == entries
    file.close()
    assert list(found(tmp_path).former) == entries


def test_a_former_journal_that_is_damaged_on_disk_meanwhile_loses_only_what_is_damaged(tmp_path: Path):
    file = opened(tmp_path)
    entries = Pen(file).writes(5)
    before = file.found.id
    present = file.begin_anew(before, "the service takes no more of it").id
    path = tmp_path / f"journal.former-{before.hex()}"
    content = bytearray(path.read_bytes())
    content[RECORDS + 60] ^= 1
    path.write_bytes(content)
    with pytest.raises(JournalDamagedError, match="as it was written"):
        file.read(before, 0, 64)
    begun = file.begin_anew(before, "a record is not as it was written")
    assert (begun.id, begun.damaged) == (present, True)
    assert list(file.read(before, 0, 64)) == entries[1:]
    file.close()


def made(*numbers: int, settled: int = 0) -> bytes:
    """A journal with entries of these numbers."""
    pen = Journal(topic=topic(Channel.JOURNAL), key=KEY, bounds=JournalBounds())
    content = start_of(GATE, ID, settled=settled)
    for number in numbers:
        pen.begin(JournalFound(id=ID, settled=number - 1, written=number - 1))
        entry = pen.write(STATUS, then=lambda _entry: None, otherwise=lambda: None)
        assert entry is not None
        content += record(number, entry.wire, settled=settled)
    return content


@pytest.mark.parametrize("numbers", [(1, 3), (2, 1), (1, 1), (2, 3)])
def test_numbers_that_do_not_follow_are_damage_and_what_is_there_is_told(
    numbers: tuple[int, ...], tmp_path: Path
):
    folder = put(tmp_path / "odd", made(*numbers))
    again = found(folder)
    assert again.damaged
    assert [one.number for one in again.former] == sorted(set(numbers))


def test_a_journal_whose_numbers_are_used_up_goes_up_and_a_new_one_is_begun(tmp_path: Path):
    last = MOST - 1
    folder = put(tmp_path / "full", made(last - 1, last, settled=last - 2))
    again = found(folder)
    assert (again.damaged, again.id != ID, again.written) == (False, True, 0)
    assert [one.number for one in again.former] == [last - 1, last]


# -- space ------------------------------------------------------------------------------------------------------------


def test_space_is_given_back_when_all_is_answered_and_when_most_is(tmp_path: Path):
    file = opened(tmp_path)
    pen = Pen(file)
    pen.writes(*[100] * 4)
    size = (tmp_path / JOURNAL).stat().st_size
    assert size > 64 << 10
    file.settle(file.found.id, 399)
    assert (tmp_path / JOURNAL).stat().st_size == size
    file.settle(file.found.id, 400)
    assert (tmp_path / JOURNAL).stat().st_size == RECORDS
    pen.writes(*[500] * 20)
    file.settle(file.found.id, 9000)
    assert (tmp_path / JOURNAL).stat().st_size < (1 << 20)
    rest = pen.writes(3)
    file.close()
    again = found(tmp_path)
    assert (again.settled, again.written, list(again.entries[-3:])) == (9000, 10_403, rest)
    assert [one.number for one in again.entries] == list(range(9001, 10_404))


def test_the_note_of_what_is_answered_is_written_in_turns(tmp_path: Path):
    file = opened(tmp_path)
    Pen(file).writes(4)
    for number in (1, 2, 3):
        file.settle(file.found.id, number)
    file.close()
    content = bytearray((tmp_path / JOURNAL).read_bytes())
    content[SLOTS[1] : SLOTS[1] + 32] = settled_slot(4, turn=5)[:20] + bytes(
        12
    )  # the power went in its midst
    (tmp_path / JOURNAL).write_bytes(content)
    assert found(tmp_path).settled == 2


def test_a_disk_that_fails_takes_nothing_and_the_number_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = opened(tmp_path)
    pen = Pen(file)
    kept = pen.writes(2)
    entry = pen.entry()

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fails)
        with pytest.raises(OSError, match="no"):
            file.append([append_of(entry)])
        # What cannot even be taken back is used no more.
        with pytest.raises(OSError, match="broken"):
            file.append([append_of(entry)])
    file.close()
    assert list(found(tmp_path).entries) == kept
