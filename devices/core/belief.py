"""Which of the bytes that come down count: answers for this gate, and beacons that are new.

The broker is not trusted. Bytes count when a decision key of the trust list signed them for the very topic they belong
to; everything else gets a code, is counted, and changes nothing. Whether an answer still finds its question is for the
controller, which knows what it asked.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from gatekeeper import cose
from gatekeeper.core.trust import Use
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.model.messages import (
    BEACON_TYPE,
    DECISION_TYPE,
    Answer,
    Beacon,
    MessageMalformed,
)

__all__ = ["BEACON_PERIODS", "Beacons", "Ignored", "read_answer"]

BEACON_PERIODS: Final = 3


class Ignored(StrEnum):
    """Why something that came down changed nothing."""

    ANSWER_FORGED = "answer-forged"
    ANSWER_MALFORMED = "answer-malformed"
    ANSWER_FOREIGN = "answer-foreign"
    ANSWER_UNKNOWN = "answer-unknown"
    ANSWER_REPEATED = "answer-repeated"
    ANSWER_LATE = "answer-late"
    ANSWER_MISPLACED = "answer-misplaced"
    BEACON_FORGED = "beacon-forged"
    BEACON_MALFORMED = "beacon-malformed"
    BEACON_FOREIGN = "beacon-foreign"
    BEACON_REPEATED = "beacon-repeated"
    BEACON_OLD = "beacon-old"
    CHECKPOINT_FORGED = "checkpoint-forged"
    CHECKPOINT_MALFORMED = "checkpoint-malformed"
    CHECKPOINT_FOREIGN = "checkpoint-foreign"
    CHECKPOINT_UNSIGNED = "checkpoint-unsigned"
    CHECKPOINT_REPEATED = "checkpoint-repeated"
    CHECKPOINT_OLD = "checkpoint-old"
    CHECKPOINT_TOLD = "checkpoint-told"
    COMMAND_FORGED = "command-forged"
    COMMAND_MALFORMED = "command-malformed"
    COMMAND_FOREIGN = "command-foreign"
    COMMAND_OTHER_BOOT = "command-other-boot"
    COMMAND_REPEATED = "command-repeated"
    COMMAND_UNTIMED = "command-untimed"
    COMMAND_OVERTAKEN = "command-overtaken"
    COMMAND_LATE = "command-late"
    COMMAND_MISPLACED = "command-misplaced"
    COMMAND_PREVENTED = "command-prevented"
    LOCKDOWN_MISPLACED = "lockdown-misplaced"
    SNAPSHOT_FORGED = "snapshot-forged"
    SNAPSHOT_MALFORMED = "snapshot-malformed"
    SNAPSHOT_FOREIGN = "snapshot-foreign"
    SNAPSHOT_OLD = "snapshot-old"
    SNAPSHOT_EXPIRED = "snapshot-expired"
    SNAPSHOT_REPEATED = "snapshot-repeated"
    SNAPSHOT_CLEARED = "snapshot-cleared"
    STANDING_FORGED = "standing-forged"
    STANDING_MALFORMED = "standing-malformed"
    STANDING_FOREIGN = "standing-foreign"
    STANDING_OLD = "standing-old"
    STANDING_REPEATED = "standing-repeated"
    STANDING_CLEARED = "standing-cleared"
    TRUST_FORGED = "trust-forged"
    TRUST_OLD = "trust-old"
    TRUST_REPEATED = "trust-repeated"
    TRUST_CLEARED = "trust-cleared"


def read_answer(wire: bytes, *, gate: GateId, topic: str, keys: cose.KeyRing) -> Answer | Ignored:
    """Believe an answer that the service signed for this gate's decision topic."""
    verified = cose.verify(wire, keys=keys, typ=DECISION_TYPE, use=Use.DECISION, external_aad=topic.encode())
    if isinstance(verified, cose.Refused):
        return Ignored.ANSWER_FORGED
    answer = Answer.read(verified.payload)
    if isinstance(answer, MessageMalformed):
        return Ignored.ANSWER_MALFORMED
    # INVARIANT: what was decided for another gate says nothing here.
    return answer if answer.gate == gate else Ignored.ANSWER_FOREIGN


@dataclass(slots=True)
class Beacons:
    """The newest beacon of the site, and since when we have it on our own clock.

    INVARIANT: it never goes back, and the same beacon again does not make it younger; so a broker that repeats old
    ones only makes the gate fall silent.
    """

    site: SiteId
    topic: str
    keys: cose.KeyRing
    newest: Beacon | None = None
    since: float = 0.0

    def take(self, wire: bytes, *, at: float) -> Ignored | None:
        """Take a beacon, or say why not."""
        verified = cose.verify(
            wire, keys=self.keys, typ=BEACON_TYPE, use=Use.DECISION, external_aad=self.topic.encode()
        )
        if isinstance(verified, cose.Refused):
            return Ignored.BEACON_FORGED
        beacon = Beacon.read(verified.payload)
        if isinstance(beacon, MessageMalformed):
            return Ignored.BEACON_MALFORMED
        if beacon.site != self.site:
            return Ignored.BEACON_FOREIGN
        if self.newest is not None and beacon.issued <= self.newest.issued:
            return Ignored.BEACON_REPEATED if beacon == self.newest else Ignored.BEACON_OLD
        self.newest, self.since = beacon, at
        return None

    def fresh(self, *, at: float) -> bytes | None:
        """The value a scan made now must carry; None when the service was not heard for three periods."""
        if self.newest is None or timedelta(seconds=at - self.since) > BEACON_PERIODS * self.newest.period:
            return None
        return self.newest.value
