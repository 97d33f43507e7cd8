"""What the service answers: the decision on its way to the gate.

A signed answer is made before the commit, because it is stored with the entry, and leaves the house after it
(promise 1). Whoever asks the same again gets the same bytes, as long as they are valid.
"""

from datetime import datetime

from gatekeeper import cose
from gatekeeper.core.decide import Decision
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.model.messages import ANSWER_VALIDITY, DECISION_TYPE, Answer, Verdict
from gatekeeper.model.topics import Channel, gate_topic

__all__ = ["answer_of", "recorded", "sign_answer", "still_valid"]


def answer_of(decision: Decision, *, message: bytes, gate: GateId, issued: datetime, entry: int) -> Answer:
    """Answer a scan."""
    return Answer(
        message=message,
        gate=gate,
        verdict=_verdict(decision),
        reason=decision.reason.bacnet,
        issued=issued,
        valid=ANSWER_VALIDITY if decision.waits is None else decision.waits,
        unlock=decision.unlock,
        policy=decision.policy,
        entry=entry,
    )


def _verdict(decision: Decision) -> Verdict:
    if decision.waits is not None:
        return Verdict.WAITING
    return Verdict.GRANTED if decision.granted else Verdict.DENIED


def recorded(*, message: bytes, gate: GateId, issued: datetime, policy: bytes, entry: int) -> Answer:
    """Answer anything else: it stands in the log and need not be sent again."""
    return Answer(
        message=message,
        gate=gate,
        verdict=Verdict.RECORDED,
        reason=0,
        issued=issued,
        valid=ANSWER_VALIDITY,
        unlock=None,
        policy=policy,
        entry=entry,
    )


def sign_answer(answer: Answer, *, site: SiteId, key: cose.SigningKey, prefix: str) -> tuple[str, bytes]:
    """Sign an answer for the one topic it may travel on; give topic and bytes."""
    topic = gate_topic(site, answer.gate, Channel.DECISION, prefix=prefix)
    return topic, cose.sign(answer.payload(), key=key, typ=DECISION_TYPE, external_aad=topic.encode())


def still_valid(*, verdict: Verdict, issued: datetime, now: datetime) -> bool:
    """Whether a stored answer may still be sent. A grant ages; a receipt does not, it opens nothing."""
    return verdict is not Verdict.GRANTED or now < issued + ANSWER_VALIDITY
