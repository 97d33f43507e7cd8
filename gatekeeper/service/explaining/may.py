"""May a holder pass an access point: the decision that a scan with the holder's badge would get, without the scan.

The badge is taken to prove all it can; what a person adds at the door (a PIN, company) is not there, and the answer says so.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from gatekeeper.core.decide import Decision, decide
from gatekeeper.core.facts import Request
from gatekeeper.core.flow import Flow
from gatekeeper.core.verify import Presented
from gatekeeper.model.badges import Assurance, Badge
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, HolderId
from gatekeeper.model.messages import ClockQuality

__all__ = ["Answer", "may"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one badge of the holder would get; `badge` is None for a holder without a badge."""

    badge: BadgeId | None
    decision: Decision


def may(
    flow: Flow, holder: HolderId, access_point: AccessPointId, *, at: datetime, alert: int | None
) -> list[Answer]:
    """Ask for every badge of a holder, the best answer first. `alert` asks for another alert state than the site's."""
    answers = [
        Answer(badge=badge.id, decision=_ask(flow, badge, access_point, at=at, alert=alert))
        for badge in flow.badges_of(holder)
    ]
    if not answers:
        answers = [Answer(badge=None, decision=_ask(flow, None, access_point, at=at, alert=alert))]
    return sorted(answers, key=lambda answer: (not answer.decision.granted, len(answer.decision.reasons)))


def _ask(
    flow: Flow, badge: Badge | None, access_point: AccessPointId, *, at: datetime, alert: int | None
) -> Decision:
    assurance = badge.assurance if badge is not None else Assurance.CARD_NUMBER
    presented = Presented(badge=badge, assurance=assurance, findings=())
    facts = flow.facts(presented, access_point=access_point, draw=None, now=at)
    if alert is not None:
        facts = replace(facts, alert=alert)
    point = flow.policy.points.get(access_point)
    gate = point.gate if point is not None else GateId("")
    request = Request(access_point=access_point, gate=gate, clock=ClockQuality.SYNCHRONISED)
    return decide(flow.policy, facts, request, at)
