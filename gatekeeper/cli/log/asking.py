"""What an export of the log has asked for, kept beside its file until there is a plan: a stopped one asks no second time.

    FILE.partial.asked    a line of JSON: the signed change (Base64), and what it asks

It is there before the change is handed in. The same command hands the same change in again, which is one change, and goes
on from what became of it.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from gatekeeper.cli.host.signing import Signed
from gatekeeper.cli.new_files import write
from gatekeeper.config import SettingError
from gatekeeper.core.change import LogExportChange
from gatekeeper.service.files import named

__all__ = ["Asking"]

_OPTIONS = {
    "tree": "--tenant",
    "since": "--from",
    "until": "--to",
    "doors": "--door",
    "decisions": "--decision",
    "holder": "--holder",
    "openings": "--openings",
    "reason": "--reason",
}


@dataclass(frozen=True, slots=True)
class Asking:
    """A change that was signed for a file, and what it asks."""

    signed: Signed
    asks: Mapping[str, Any]

    @classmethod
    def kept(cls, file: Path) -> Self | None:
        """What was asked for a file; None where nothing is. Raises SettingError for what cannot be read."""
        place = _place(file)
        if not place.exists():
            return None
        with named(place):
            content = place.read_bytes()
        try:
            written = orjson.loads(content)
            change, document = (base64.b64decode(written[name]) for name in ("change", "document"))
            return cls(Signed(change=change, document=document), dict(written["asks"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SettingError(f"{place} does not say what was asked: remove it, and begin anew.") from error

    @classmethod
    def keep(cls, file: Path, signed: Signed, change: LogExportChange) -> Self:
        """Keep what is about to be asked. Raises SettingError or OSError where there is no place for it."""
        asks = _asks(change)
        document = {
            "change": base64.b64encode(signed.change).decode(),
            "document": base64.b64encode(signed.document).decode(),
            "asks": asks,
        }
        with named(file):
            write(_place(file), orjson.dumps(document) + b"\n")
        return cls(signed, asks)

    @staticmethod
    def is_kept(file: Path) -> bool:
        """Whether something was asked for a file that has no plan yet."""
        return os.path.lexists(_place(file))

    @staticmethod
    def drop(file: Path) -> None:
        """Forget what was asked: there is a plan, or nothing comes of it."""
        _place(file).unlink(missing_ok=True)

    def differing(self, change: LogExportChange) -> Sequence[str]:
        """The options by which something else is asked now."""
        now = _asks(change)
        return [option for name, option in _OPTIONS.items() if self.asks.get(name) != now[name]]


def _asks(change: LogExportChange) -> dict[str, Any]:
    """What a change asks, as it is read back."""
    asks: dict[str, Any] = orjson.loads(orjson.dumps(asdict(change)))
    return asks


def _place(file: Path) -> Path:
    return file.with_name(f"{file.name}.partial.asked")
