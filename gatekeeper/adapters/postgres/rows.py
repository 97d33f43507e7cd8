"""Rows of tables that both the ledger and the reading side read, as the values that they are."""

from typing import Any

from gatekeeper.core.operators import OperatorRecord
from gatekeeper.core.proposals import Proposal

__all__ = ["operator_of", "proposal_of"]


def operator_of(row: Any) -> OperatorRecord:
    """An operator as stored."""
    return OperatorRecord(id=row["operator"], tenant=row["tenant"], document=row["document"])


def proposal_of(row: Any) -> Proposal:
    """A proposal that waits."""
    return Proposal(**{**row, "gives": tuple(row["gives"])})
