"""What an auditor's tool remembers: keys, and one history of each log."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gatekeeper.service.auditor import CannotCheckError, Fault, Known, Memory, Report, Seen, verify_bundle
from gatekeeper.service.auditor.memory import KEPT
from gatekeeper.transparency import Verifier, parse_verifier
from tests.support.bundles import ORIGIN, OTHER_KEY, Asked, Made, bundle_of, checkpoint_of, log_of, written
from tests.support.checkpoints import WITNESS

LOG = log_of(40)
MADE = bundle_of(LOG, Asked(within=(20, 30), seen=(10,)))


def key_of(made: Made) -> Verifier:
    key = parse_verifier(made.key)
    assert isinstance(key, Verifier)
    return key


KEY = key_of(MADE)


def checked(made: Made, memory: Memory, folder: Path, *, key: Verifier | None = None) -> Report:
    return verify_bundle(written(made, folder), known=Known(memory=memory, key=key))


def remembering(folder: Path, *sizes: int) -> Memory:
    memory = Memory(folder / "memory")
    for size in sizes:
        memory.keep(ORIGIN, key=KEY, size=size, note=checkpoint_of(LOG, size))
    return memory


def test_what_was_kept_is_recalled_by_rising_size(tmp_path: Path):
    recalled = remembering(tmp_path, 12, 9, 30).recall(ORIGIN)
    assert recalled.keys == (KEY,)
    assert [one.size for one in recalled.checkpoints] == [9, 12, 30]
    newest = recalled.newest_up_to(29)
    assert isinstance(newest, Seen)
    assert newest.size == 12
    assert recalled.newest_up_to(8) is None


def test_nothing_is_known_of_a_log_that_was_never_seen(tmp_path: Path):
    recalled = remembering(tmp_path, 12).recall("gatekeeper/castle/site")
    assert (recalled.keys, recalled.checkpoints) == ((), ())


def test_the_oldest_make_room(tmp_path: Path):
    sizes = [*range(1, KEPT + 6)]
    recalled = remembering(tmp_path, *sizes).recall(ORIGIN)
    assert [one.size for one in recalled.checkpoints] == sizes[-KEPT:]


@pytest.mark.parametrize("name", ["keys", "000000000012.checkpoint"])
def test_a_memory_that_was_altered_is_not_taken_for_none(tmp_path: Path, name: str):
    memory = remembering(tmp_path, 12)
    file = tmp_path / "memory" / ORIGIN / name
    for content in (b"", file.read_bytes()[:-9], b"\xff" * 10):
        before = file.read_bytes()
        file.write_bytes(content)
        with pytest.raises(CannotCheckError, match=name):
            memory.recall(ORIGIN)
        file.write_bytes(before)


def _renamed(place: Path) -> None:
    (place / "000000000012.checkpoint").rename(place / "000000000013.checkpoint")


def _doubled(place: Path) -> None:
    (place / "keys").write_text((place / "keys").read_text() * 2)


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "the keys are gone": (lambda place: (place / "keys").unlink(), "holds checkpoints without the keys"),
    "a note goes by another size": (_renamed, "000000000013.checkpoint is a checkpoint of 12 entries"),
    "a file is none of ours": (
        lambda place: (place / "notes.txt").write_text("x"),
        "notes.txt is no checkpoint by its name",
    ),
    "a key stands there twice": (_doubled, "holds something else than keys"),
    "a key is of another log": (
        lambda place: (place / "keys").write_text(
            f"{key_of(bundle_of(LOG, Asked(within=(20, 30)))).key()}x\n"
        ),
        "holds something else than keys",
    ),
    "a key is of a witness": (
        lambda place: (place / "keys").write_text(f"{WITNESS.verifier.key()}\n"),
        "holds something else than keys",
    ),
    "a line has no end": (
        lambda place: (place / "keys").write_text(KEY.key()),
        "holds something else than keys",
    ),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILED.values(), ids=SPOILED)
def test_a_memory_that_is_not_as_it_was_written_is_not_understood(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
):
    memory = remembering(tmp_path, 12)
    spoil(tmp_path / "memory" / ORIGIN)
    with pytest.raises(CannotCheckError, match=re.escape(said)):
        memory.recall(ORIGIN)


def test_what_a_killed_process_left_is_no_part_of_the_memory(tmp_path: Path):
    memory = remembering(tmp_path, 12)
    (tmp_path / "memory" / ORIGIN / ".000000000013.checkpoint.1a2b3c4d").write_text("half a no")
    assert [one.size for one in memory.recall(ORIGIN).checkpoints] == [12]


def test_the_logs_of_a_site_are_found_and_no_others(tmp_path: Path):
    memory = remembering(tmp_path, 12)
    assert memory.origins("gatekeeper/fort") == [ORIGIN]
    assert memory.origins("gatekeeper/for") == []
    assert Memory(tmp_path / "nowhere").origins("gatekeeper/fort") == []


def test_a_bundle_is_one_history_with_what_it_proves_of_the_newest_before_it(tmp_path: Path):
    for sizes in ((10,), (5, 10), (25,), (10, 25), (5, 30)):
        report = checked(MADE, remembering(tmp_path / str(sizes), *sizes), tmp_path)
        assert (report.finding, report.lacking, report.fit_to_remember) == (None, [], True), sizes
        assert sizes[-1] in [one.size for one in report.consistent_with]


def test_a_bundle_that_does_not_lead_from_the_newest_before_it_cannot_be_called_valid(tmp_path: Path):
    report = checked(MADE, remembering(tmp_path, 10, 15), tmp_path)
    assert (report.finding, report.valid, report.fit_to_remember) == (None, False, False)
    (lacking,) = report.lacking
    assert "from the checkpoint of 15 entries" in lacking
    assert "--seen" in lacking


def test_an_older_one_that_contradicts_is_a_fork_all_the_same(tmp_path: Path):
    memory = remembering(tmp_path, 25)
    forged = checkpoint_of(log_of(40, more="rewritten"), 22)
    memory.keep(ORIGIN, key=KEY, size=22, note=forged)
    report = checked(MADE, memory, tmp_path)
    assert report.finding is not None
    assert report.finding.code == Fault.CHECKPOINT_FORK


def test_the_same_size_must_have_the_same_root(tmp_path: Path):
    memory = remembering(tmp_path)
    memory.keep(ORIGIN, key=KEY, size=41, note=MADE.note)
    assert checked(MADE, memory, tmp_path).fit_to_remember
    other = bundle_of(log_of(40, more="rewritten"), Asked(within=(20, 30)))
    report = checked(other, memory, tmp_path)
    assert report.finding is not None
    assert report.finding.code == Fault.CHECKPOINT_FORK


def test_beside_a_newer_one_a_bundle_is_valid_and_not_remembered(tmp_path: Path):
    memory = remembering(tmp_path, 10)
    longer = log_of(60)
    memory.keep(ORIGIN, key=KEY, size=50, note=checkpoint_of(longer, 50))
    report = checked(MADE, memory, tmp_path)
    assert (report.finding, report.lacking, report.fit_to_remember) == (None, [], False)
    assert any("at 50 entries" in said for said in report.unchecked)


def test_another_key_than_the_remembered_one_is_invalid_unless_it_is_pinned(tmp_path: Path):
    memory = remembering(tmp_path, 25)
    other = bundle_of(LOG, Asked(within=(20, 30), key=OTHER_KEY))
    report = checked(other, memory, tmp_path)
    assert report.finding is not None
    assert report.finding.code == Fault.CHECKPOINT_KEY
    pinned = checked(other, memory, tmp_path, key=key_of(other))
    assert (pinned.finding, pinned.key) == (None, key_of(other))
    memory.keep(ORIGIN, key=key_of(other), size=41, note=pinned.note)
    assert checked(other, memory, tmp_path).finding is None
    former = checked(MADE, memory, tmp_path)
    assert former.finding is not None
    assert former.finding.code == Fault.CHECKPOINT_KEY
    assert [one.size for one in memory.recall(ORIGIN).checkpoints] == [25, 41]
