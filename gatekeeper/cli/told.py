"""How a verdict on a bundle, a proof, or the log in its database is told."""

from datetime import UTC, datetime
from typing import Any, Final

import typer

from gatekeeper.cli.talk import json_line, say
from gatekeeper.service.auditor import Finding, Seen

__all__ = ["CANNOT_CHECK", "cannot_check", "finding_document", "instant", "seen_document"]


CANNOT_CHECK: Final = 3


def cannot_check(why: str, *, json_output: bool) -> typer.Exit:
    """Say why something could not be looked at, as JSON too; the exit to raise."""
    if json_output:
        json_line({"verdict": "cannot check", "lacking": [why]})
    say(f"Cannot check: {why}")
    return typer.Exit(CANNOT_CHECK)


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "code": finding.code.value,
        "sentence": finding.code.sentence,
        "member": finding.member or None,
        "line": finding.line,
        "index": finding.index,
        "detail": finding.detail or None,
    }


def instant(seconds: int) -> str:
    """A time that a witness said, in seconds since the Epoch; as it is when no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"


def seen_document(seen: Seen) -> dict[str, Any]:
    """A checkpoint from elsewhere as JSON."""
    return {"size": seen.size, "root": seen.root.hex(), "where": seen.where}
