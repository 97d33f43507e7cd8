"""What a running service tells the other programs on its machine: where its outside things are.

    <data>/running.json   {"pid": ..., "premises": {...}}    0600, from when a service has started until it ends

A service that ended without a word leaves the file behind; its number is nobody's then, and the file says nothing.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

__all__ = ["Premises", "RunningUnreadableError", "announced", "running"]

_RUNNING: Final = "running.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """Where the outside things are. `readers` is where stock readers talk to the embedded broker."""

    dsn: str
    vault_dsn: str
    broker: str
    readers: str
    http: str = ""


class RunningUnreadableError(Exception):
    """What a service left cannot be read; the message says which file and what to do."""


def running(folder: Path) -> Premises | None:
    """What a service of this data folder says it runs on; None when none is running. Raises `RunningUnreadableError`."""
    path = folder / _RUNNING
    try:
        document = json.loads(path.read_text())
        return Premises(**document["premises"]) if _lives(document["pid"]) else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OverflowError):
        raise RunningUnreadableError(
            f"{path} cannot be read; remove it when no service runs on this folder."
        ) from None


@contextmanager
def announced(folder: Path, where: Premises) -> Iterator[None]:
    """Say where everything is for as long as the block lasts."""
    path = folder / _RUNNING
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"pid": os.getpid(), "premises": asdict(where)}, file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
