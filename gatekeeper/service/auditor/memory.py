"""What an auditor's tool remembers of a log, outside of everything that the log's keeper can reach.

    FOLDER/<origin>/keys                    verifier keys of the log, a line each: the one that is believed, then former ones
    FOLDER/<origin>/NNNNNNNNNNNN.checkpoint  signed notes that were found valid, by the size of their tree

INVARIANT: what is kept of one origin is one history: a note is kept only when a bundle of it was valid and was consistent
with the newest note kept before it that is not larger. So a bundle that is consistent with the largest note not larger than
its own is consistent with all smaller ones.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatekeeper.service.auditor.findings import CannotCheckError, Seen
from gatekeeper.service.files import write_whole
from gatekeeper.transparency import Refused, Verifier, open_checkpoint, parse_verifier

__all__ = ["KEPT", "Memory", "Remembered"]

KEPT: Final = 32
_SUFFIX: Final = ".checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is known of a log: the key that is believed, former ones, and checkpoints by rising size."""

    keys: tuple[Verifier, ...] = ()
    checkpoints: tuple[Seen, ...] = ()

    def newest_up_to(self, size: int) -> Seen | None:
        """The largest checkpoint of a tree that is not larger than this."""
        return next((one for one in reversed(self.checkpoints) if one.size <= size), None)


class Memory:
    """A folder with what is remembered of logs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, origin: str) -> Remembered:
        """What is known of a log; nothing at the first time. Raises CannotCheckError when it cannot be understood."""
        place = self._folder / origin
        keys = _keys(place / "keys")
        notes = sorted(place.glob(f"*{_SUFFIX}")) if keys else []
        return Remembered(keys=keys, checkpoints=tuple(_checkpoint(note, origin, keys) for note in notes))

    def keep(self, origin: str, *, key: Verifier, size: int, note: bytes | None) -> None:
        """Remember the key to believe, and a note that was found valid; the oldest notes make room.

        A key that was believed before is a former one then: it counts for notes that are kept, and for no bundle.
        """
        place = self._folder / origin
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = dict.fromkeys((key, *_keys(place / "keys")))
        write_whole(place / "keys", "".join(f"{one.key()}\n" for one in keys).encode())
        if note is not None:
            write_whole(place / f"{size:012}{_SUFFIX}", note)
            for old in sorted(place.glob(f"*{_SUFFIX}"))[:-KEPT]:
                old.unlink()


def _keys(file: Path) -> tuple[Verifier, ...]:
    if not file.exists():
        return ()
    keys = [parse_verifier(line) for line in file.read_bytes().decode(errors="replace").splitlines()]
    known = tuple(key for key in keys if isinstance(key, Verifier))
    if not known or len(known) != len(keys):
        raise CannotCheckError(f"{file} holds something else than keys: mend it, or move it away.")
    return known


def _checkpoint(file: Path, origin: str, keys: tuple[Verifier, ...]) -> Seen:
    opened = open_checkpoint(file.read_bytes(), keys)
    if isinstance(opened, Refused) or opened.checkpoint.origin != origin:
        raise CannotCheckError(f"{file} is no checkpoint of {origin}: mend it, or move it away.")
    return Seen(size=opened.checkpoint.size, root=opened.checkpoint.root, where=str(file))
