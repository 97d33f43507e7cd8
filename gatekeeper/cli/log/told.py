"""How a verdict on a bundle, a proof, or the log in its database is told."""

from datetime import UTC, datetime
from typing import Any, Final

import typer

from gatekeeper.cli.talk import json_line, say
from gatekeeper.service.auditor import Finding, Memory, Seen
from gatekeeper.service.words import shown
from gatekeeper.transparency import VerifiedSignature

__all__ = [
    "CANNOT_CHECK",
    "cannot_check",
    "finding_document",
    "instant",
    "other_key_known",
    "seen_document",
    "witness_document",
    "witness_words",
]

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


def witness_document(one: VerifiedSignature) -> dict[str, Any]:
    """A cosignature as JSON."""
    return {
        "name": one.verifier.name,
        "algorithm": one.verifier.type.algorithm,
        "at": instant(one.time or 0),
    }


def witness_words(one: VerifiedSignature) -> str:
    """A cosignature for a person: a witness may have a key of each algorithm."""
    return f"{shown(one.verifier.name)} ({one.verifier.type.algorithm}) at {instant(one.time or 0)}"


def other_key_known(memory: Memory, origin: str) -> str:
    """What who finds a log signed with another key than the remembered one can do."""
    return (
        f"The other key is remembered in {memory.folder / origin}. Was the log's key renewed? Then --key and the new one, as "
        "the site publishes it, takes its place. Was a site founded anew under this name, or is it another? Then give it a "
        "memory of its own: --memory FOLDER, or --no-memory."
    )
