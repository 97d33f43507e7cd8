"""Running a tool to its end: what it printed, or what it complained of. Short runs only; servers are children."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["complaint_of", "output_of"]


def output_of(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> str:
    """Give what the tool printed; nothing when it is not there."""
    try:
        return _run(command, environment, None).stdout
    except OSError:
        return ""


def complaint_of(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str | None:
    """Run the tool; give what it complained of when it failed, None when it did its work."""
    done = _run(command, environment, folder)
    return (done.stderr.strip() or f"exit status {done.returncode}") if done.returncode else None


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None, folder: Path | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - programs of our choice, no shell
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
