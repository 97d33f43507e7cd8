"""What who verifies remembers of logs, outside of everything that their keeper can reach: for bundles and databases alike.

    FOLDER/<origin>/keys                     verifier keys of the log, a line each: the one that is believed, then former ones
    FOLDER/<origin>/NNNNNNNNNNNN.checkpoint  signed notes that were found valid, by the size of their tree

Each file is there whole or not at all, and the keys before the notes that they verify. What cannot be understood is never
taken for nothing; names that begin with a dot are what a killed process left.

INVARIANT: what is kept of one origin is one history: a note is kept only when a bundle of it, or the log itself, was valid and
was consistent with the newest note kept before it that is not larger. So whatever is consistent with the largest note not
larger than its own is consistent with all smaller ones.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatekeeper.service.auditor.findings import CannotCheckError, Seen
from gatekeeper.service.files import write_whole
from gatekeeper.transparency import Refused, SignatureType, Verifier, open_checkpoint, parse_verifier

__all__ = ["KEPT", "Memory", "Remembered"]

KEPT: Final = 32
_KEYS: Final = "keys"
_NOTE: Final = re.compile(r"([0-9]{12,19})\.checkpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is known of a log: the key that is believed, former ones, and checkpoints by rising size."""

    keys: tuple[Verifier, ...] = ()
    checkpoints: tuple[Seen, ...] = ()

    @property
    def size(self) -> int:
        """That of the largest checkpoint."""
        return self.checkpoints[-1].size if self.checkpoints else 0

    def newest_up_to(self, size: int) -> Seen | None:
        """The largest checkpoint of a tree that is not larger than this."""
        return next((one for one in reversed(self.checkpoints) if one.size <= size), None)


class Memory:
    """A folder with what is remembered of logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def origins(self, above: str) -> list[str]:
        """The logs of which anything is remembered, of those whose origin begins with this name and a slash."""
        places = {file.parent for file in (self.folder / above).rglob("*") if not file.is_dir()}
        return sorted(place.relative_to(self.folder).as_posix() for place in places)

    def recall(self, origin: str) -> Remembered:
        """What is known of a log; nothing at the first time. Raises CannotCheckError when it cannot be understood."""
        place = self.folder / origin
        keys, notes = _keys(place / _KEYS, origin), _notes(place)
        if notes and not keys:
            raise _not_understood(place, "holds checkpoints without the keys of their log")
        return Remembered(keys=keys, checkpoints=tuple(_checkpoint(note, origin, keys) for note in notes))

    def keep(self, origin: str, *, key: Verifier, size: int, note: bytes | None) -> None:
        """Remember the key to believe, and a note that was found valid; the oldest notes make room.

        A key that was believed before is a former one then: it counts for notes that are kept, and for no bundle.
        """
        place = self.folder / origin
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = dict.fromkeys((key, *_keys(place / _KEYS, origin)))
        write_whole(place / _KEYS, "".join(f"{one.key()}\n" for one in keys).encode())
        if note is not None:
            write_whole(place / _name(size), note)
            for old in _notes(place)[:-KEPT]:
                old.unlink()


def _keys(file: Path, origin: str) -> tuple[Verifier, ...]:
    """The keys in a file, in the one spelling that `keep` writes; none when there is no file."""
    if not file.exists():
        return ()
    lines = file.read_bytes().decode(errors="replace").split("\n")
    keys = [parse_verifier(line) for line in lines[:-1]]
    known = tuple(key for key in keys if isinstance(key, Verifier) and _is_of(key, origin))
    if lines[-1] or not known or len({key.key_id for key in known}) != len(keys):
        raise _not_understood(file, f"holds something else than keys of {origin}")
    return known


def _is_of(key: Verifier, origin: str) -> bool:
    return (key.name, key.type) == (origin, SignatureType.ED25519)


def _notes(place: Path) -> list[Path]:
    """The files of notes, by rising size."""
    if not place.exists():
        return []
    if not place.is_dir():
        raise _not_understood(place, "is no folder")
    notes = []
    for file in place.iterdir():
        if file.is_dir() or file.name == _KEYS or file.name.startswith("."):
            continue
        if _NOTE.fullmatch(file.name) is None:
            raise _not_understood(file, "is no checkpoint by its name")
        notes.append(file)
    return sorted(notes, key=lambda file: int(file.stem))


def _checkpoint(file: Path, origin: str, keys: tuple[Verifier, ...]) -> Seen:
    opened = open_checkpoint(file.read_bytes(), keys)
    if isinstance(opened, Refused):
        raise _not_understood(file, f"is no checkpoint of {origin}")
    if file.name != _name(opened.checkpoint.size):
        raise _not_understood(file, f"is a checkpoint of {opened.checkpoint.size} entries")
    return Seen(size=opened.checkpoint.size, root=opened.checkpoint.root, where=str(file))


def _name(size: int) -> str:
    return f"{size:012}.checkpoint"


def _not_understood(place: Path, why: str) -> CannotCheckError:
    return CannotCheckError(f"{place} {why}: mend it, or move it away.")
