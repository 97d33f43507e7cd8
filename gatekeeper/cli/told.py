"""How a verdict on a bundle, a proof, or the log in its database is told."""

from datetime import UTC, datetime
from typing import Any

from gatekeeper.service.auditor import Finding, Seen

__all__ = ["finding_document", "instant", "seen_document"]


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
