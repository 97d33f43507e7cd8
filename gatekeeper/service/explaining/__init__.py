"""Explaining decisions, by the same pure function that decides at the gate.

May somebody enter (`may`), does the log hold what would be decided again (`replay`), what would a change give and take
(`planning`).
"""

from gatekeeper.service.explaining.may import Answer, may
from gatekeeper.service.explaining.planning import PlannedChange, plan_alert, plan_policy
from gatekeeper.service.explaining.replay import Replayed, ReplayReport, policy_at, replay
from gatekeeper.service.explaining.wording import Line, Wording

__all__ = [
    "Answer",
    "Line",
    "PlannedChange",
    "ReplayReport",
    "Replayed",
    "Wording",
    "may",
    "plan_alert",
    "plan_policy",
    "policy_at",
    "replay",
]
