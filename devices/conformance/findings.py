"""What an examination finds of each requirement: it passed, it failed, or nothing that was seen decides it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from devices.conformance.requirements import REQUIREMENTS, Part

__all__ = ["Finding", "Ledger", "Outcome", "exit_code", "some"]


class Outcome(StrEnum):
    """What was found."""

    PASSED = "pass"
    FAILED = "FAIL"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one requirement: what was asked of the gate, and what was seen."""

    id: str
    outcome: Outcome
    asked: str
    seen: str


class Ledger:
    """The findings of one examination."""

    def __init__(self) -> None:
        self._found: dict[str, Finding] = {}

    def note(self, requirement: str, outcome: Outcome, *, asked: str, seen: str) -> None:
        """Write a finding down. Raises KeyError for an id that stands in no document."""
        # INVARIANT: what failed once has failed; what is not judged gives way to what is.
        before = self._found.get(REQUIREMENTS[requirement].id)
        if before is None or _WEIGHT[outcome] > _WEIGHT[before.outcome]:
            self._found[requirement] = Finding(id=requirement, outcome=outcome, asked=asked, seen=seen)

    def of(self, requirement: str) -> Outcome | None:
        """What was found of one, so far."""
        found = self._found.get(requirement)
        return found.outcome if found is not None else None

    def all(self) -> Mapping[str, Finding]:
        """Every finding by its id, in their order."""
        return {requirement: self._found[requirement] for requirement in sorted(self._found)}


_WEIGHT = {Outcome.NOT_JUDGED: 0, Outcome.PASSED: 1, Outcome.FAILED: 2}


def exit_code(findings: Mapping[str, Finding]) -> int:
    """0 when all passed, 1 when one failed, 3 when one of the core could not be judged."""
    outcomes = {finding.outcome for finding in findings.values()}
    if Outcome.FAILED in outcomes:
        return 1
    undecided = [found for found in findings.values() if found.outcome is Outcome.NOT_JUDGED]
    core = any(REQUIREMENTS[found.id].part is Part.CORE for found in undecided)
    return 3 if core or not findings else 0


def some(seen: Sequence[str]) -> str:
    """The first of what was seen, and how much more."""
    more = f", and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
    return "; ".join(seen[:_SHOWN]) + more


_SHOWN: Final = 3
