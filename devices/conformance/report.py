"""The findings of an examination, for a person and for a program; and what is left to be judged by hand."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devices.conformance.findings import Finding, Outcome, exit_code
from devices.conformance.requirements import REQUIREMENTS

__all__ = ["Report"]

_WORDS = {0: "pass", 1: "FAIL", 3: "could not be judged"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Who was examined by what and when, and what was found. `agent` is None when the gate never said hello."""

    tool: str
    site: str
    gate: str
    agent: str | None
    at: datetime
    findings: Mapping[str, Finding]

    @property
    def exit_code(self) -> int:
        """0 when all passed, 1 when one failed, 3 when one of the core could not be judged."""
        return exit_code(self.findings)

    def table(self) -> str:
        """For a person: id, what was asked, what was found, what was seen."""
        rows = [
            (found.id, found.asked, found.outcome.value, _for_a_terminal(found.seen))
            for found in self.findings.values()
        ]
        titles = ("id", "asked", "found", "seen")
        widths = [max(len(row[at]) for row in (titles, *rows)) for at in range(3)]
        lines = [_line(row, widths) for row in (titles, *rows)]
        counts = {
            outcome: sum(one.outcome is outcome for one in self.findings.values()) for outcome in Outcome
        }
        counted = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items())
        by_hand = ", ".join(one.id for one in REQUIREMENTS.values() if one.by_hand)
        return "\n".join(
            [
                *lines,
                "",
                f"{self.gate} ({_for_a_terminal(self.agent or 'silent')}) at {self.at:%Y-%m-%d %H:%M:%S} UTC, by {self.tool}",
                f"{counted}: {_WORDS[self.exit_code]}",
                f"by hand: {by_hand}",
                "",
            ]
        )

    def document(self) -> str:
        """For a program."""
        document: dict[str, Any] = {
            "tool": self.tool,
            "site": self.site,
            "gate": self.gate,
            "agent": self.agent,
            "at": self.at.isoformat(),
            "found": _WORDS[self.exit_code],
            "findings": [
                {
                    "id": found.id,
                    "part": REQUIREMENTS[found.id].part.value,
                    "requirement": REQUIREMENTS[found.id].sentence,
                    "asked": found.asked,
                    "found": found.outcome.value,
                    "seen": found.seen,
                }
                for found in self.findings.values()
            ],
            "by_hand": [
                {"id": one.id, "requirement": one.sentence} for one in REQUIREMENTS.values() if one.by_hand
            ],
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _line(row: tuple[str, str, str, str], widths: list[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*cells, row[3]]).rstrip()


def _for_a_terminal(text: str) -> str:
    """What a gate says of itself moves no cursor."""
    return "".join(character if character.isprintable() else "?" for character in text)
