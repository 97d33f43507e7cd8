"""The way of a card: the badge is asked for its proof, the service for its answer, and the answer is taken while it counts.

    card -> (held) -> (proof) -> scan, sent again -> answer: let in, denied, or patience
                                                  -> nobody answers: given up, or decided alone (see `deciding`)

That an answer is the service's, and which scan it is for, the controller has found before it calls `take_answer`.
"""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Final

from devices.core.belief import Beacons, Ignored
from devices.core.credential import asks_for_proof, fits_a_scan
from devices.core.deciding import Deciding
from devices.core.doors import Doors
from devices.core.events import AskProof, CardPresented, Signal, TimerKind
from devices.core.lane import Asked, Lane, Limits
from devices.core.outbox import Sent
from devices.core.standby import NO_BEACON, Standby
from devices.core.telling import Telling
from devices.core.turn import Turn
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.messages import Answer, PassageOutcome, Proof, Scan, Verdict, proof_digest_input

__all__ = ["Asking"]


class Asking:
    """What one gate asks badges and the service. `tampered` names where readers are not asked; None is everywhere."""

    def __init__(
        self,
        *,
        gate: GateId,
        turn: Turn,
        telling: Telling,
        lanes: Mapping[AccessPointId, Lane],
        doors: Doors,
        deciding: Deciding,
        beacons: Beacons,
        standby: Standby,
        limits: Limits,
    ) -> None:
        self._gate: Final = gate
        self._turn: Final = turn
        self._telling: Final = telling
        self._up: Final = telling.up
        self._lanes: Final = lanes
        self._doors: Final = doors
        self._deciding: Final = deciding
        self._beacons: Final = beacons
        self._standby: Final = standby
        self._limits: Final = limits
        self.tampered: Final[set[AccessPointId | None]] = set()

    # -- the badge ----------------------------------------------------------------------------------------------------

    def take_card(self, lane: Lane, card: CardPresented) -> None:
        """Take a card, hold it, or show why not."""
        beacon = self._beacons.fresh(at=self._turn.at)
        if not self.tampered.isdisjoint({None, lane.doorway.id}):
            self._turn.tally.tampered += 1
            self._turn.show(lane, Signal.TAMPERED)
        elif not lane.takes_cards:
            self._turn.tally.busy += 1
            self._turn.show(lane, Signal.BUSY)
        elif not fits_a_scan(card.credential):
            self._turn.show(lane, Signal.DENIED)
        elif beacon is None or not self._up.has_room_for_scan:
            self._ask_alone(lane, card)
        elif lane.doorway.interlocked and self._up.speaks_of(lane.doorway.id):
            lane.held = card
            self._turn.start(lane, TimerKind.HELD_CARD, self._limits.held_card)
        else:
            self._ask(lane, card, beacon=beacon, alone=False)

    def _ask_alone(self, lane: Lane, card: CardPresented) -> None:
        """Nobody is there to answer: look at the badge all the same, where the gate may decide."""
        if not self._standby.may_decide(lane.doorway.id):
            self._turn.no_service(lane)
            return
        newest = self._beacons.newest
        self._ask(lane, card, beacon=newest.value if newest is not None else NO_BEACON, alone=True)

    def _ask(self, lane: Lane, card: CardPresented, *, beacon: bytes, alone: bool) -> None:
        """Ask a badge that has a key for its proof; what any other gave is all there is to ask with."""
        asked = Asked(
            credential=card.credential,
            beacon=beacon,
            gate_random=card.gate_random,
            sealed_pin=card.sealed_pin,
            since=self._turn.at,
            alone=alone,
        )
        if asks_for_proof(card.credential):
            self._ask_proof(lane, asked)
        else:
            self._scan(lane, asked, proof=None, round_trip=None)

    def take_held_cards(self) -> None:
        """Ask about the cards that waited until the service had answered all that was said of their door."""
        for lane in self._lanes.values():
            card = lane.held
            if card is not None and not self._up.speaks_of(lane.doorway.id):
                lane.held = None
                self._turn.cancel(lane, TimerKind.HELD_CARD)
                self.take_card(lane, card)

    def let_go_of_card(self, lane: Lane) -> None:
        """A held card waited for too long."""
        if lane.held is not None:
            lane.held = None
            self._turn.no_service(lane)

    def _ask_proof(self, lane: Lane, asked: Asked) -> None:
        lane.asked = asked
        signed = proof_digest_input(
            site=self._standby.trust.site,
            gate=self._gate,
            direction=lane.doorway.direction.value,
            beacon=asked.beacon,
            gate_random=asked.gate_random,
        )
        self._turn.do(AskProof(access_point=lane.doorway.id, digest=sha256(signed).digest()))
        self._turn.start(lane, TimerKind.PROOF, self._limits.proof)

    def take_proof(self, lane: Lane, signature: bytes | None) -> None:
        """Send the scan with whatever the badge gave: one that proved nothing is denied, and stands in the log."""
        asked, lane.asked = lane.asked, None
        if asked is None:
            return
        self._turn.cancel(lane, TimerKind.PROOF)
        if signature is None or len(signature) not in _SIGNATURE_BYTES:
            self._scan(lane, asked, proof=None, round_trip=None)
            return
        proof = Proof(gate_random=asked.gate_random, signature=signature)
        self._scan(lane, asked, proof=proof, round_trip=timedelta(seconds=self._turn.at - asked.since))

    # -- the question -------------------------------------------------------------------------------------------------

    def _scan(self, lane: Lane, asked: Asked, *, proof: Proof | None, round_trip: timedelta | None) -> None:
        scan = Scan(
            **self._telling.stamp(),
            access_point=lane.doorway.id,
            credential=asked.credential,
            beacon=asked.beacon,
            proof=proof,
            round_trip=round_trip,
            offline_verdict=None,
            offline_policy=None,
            sealed_pin=asked.sealed_pin,
        )
        if asked.alone:
            self._deciding.answer(lane, scan)
            return
        lane.scan = self._up.send(scan, at=self._turn.at)
        lane.patience = None
        self._turn.tally.scans += 1
        self._turn.start(lane, TimerKind.RESEND, self._limits.resend)
        self._turn.start(lane, TimerKind.DEADLINE, self._limits.deadline)
        if self._standby.may_decide(lane.doorway.id):
            self._turn.start(lane, TimerKind.ALONE, self._limits.alone)

    def scan_again(self, lane: Lane) -> None:
        """Nobody has answered yet: send the same bytes once more."""
        if lane.scan is not None:
            self._turn.tally.repeats += 1
            self._up.publish(lane.scan)
            self._turn.start(lane, TimerKind.RESEND, self._limits.resend)

    def link_is_back(self) -> None:
        """Send every scan under way once more."""
        for lane in self._lanes.values():
            if lane.scan is not None:
                self._up.publish(lane.scan)

    def give_up(self, lane: Lane) -> None:
        """Nobody was let in on this scan, whatever the service may have answered."""
        sent = lane.scan
        if sent is None:
            return
        self._turn.tally.given_up += 1
        answered = lane.patience is not None
        self._up.give_up(sent)
        self._let_go_of_scan(lane)
        self._turn.show(lane, Signal.DENIED)
        if isinstance(sent.message, Scan) and not answered:
            # INVARIANT: who cuts the wire first leaves a trace of every badge that is tried after it.
            self._deciding.write_denied(sent.message)
        self._telling.report(lane, PassageOutcome.NOT_TAKEN, scan=sent.digest)

    def decide_instead(self, lane: Lane) -> None:
        """The service does not answer: let in whom the gate may let in, and go on waiting for anybody else."""
        sent = lane.scan
        if sent is None or lane.patience is not None or not isinstance(sent.message, Scan):
            return
        decision = self._deciding.decide(lane, sent.message)
        if decision.granted:
            self._let_go_of_scan(lane)
            self._up.give_over(sent)
            # Whatever the service may answer yet, nobody passes on it.
            self._telling.report(lane, PassageOutcome.NOT_TAKEN, scan=sent.digest)
            self._deciding.let_in(lane, sent.message, decision)

    # -- the answer ---------------------------------------------------------------------------------------------------

    def take_answer(self, lane: Lane, sent: Sent, answer: Answer) -> None:
        """Take what the service says to a scan under way."""
        waited = timedelta(seconds=self._turn.at - sent.since)
        match answer:
            case Answer(verdict=Verdict.DENIED):
                self._turn.tally.denied += 1
                signal = Signal.DENIED
                self._settle_scan(lane, sent)
            case Answer(verdict=Verdict.WAITING):
                self._be_patient(lane, answer, waited)
                return
            case Answer(verdict=Verdict.GRANTED, unlock=timedelta() as unlock):
                # INVARIANT: a grant counts while it is valid, since the scan was first sent, on the monotonic clock.
                limit = min(answer.valid, self._limits.deadline) if lane.patience is None else lane.patience
                if not timedelta() <= waited < limit:
                    self._turn.ignore(Ignored.ANSWER_LATE)
                    return
                self._turn.tally.granted += 1
                self._settle_scan(lane, sent)
                signal = self._let_in(lane, sent, answer, unlock)
            case _:
                self._turn.ignore(Ignored.ANSWER_MISPLACED)
                return
        self._turn.tally.latencies.append(waited)
        self._turn.show(lane, signal, reason=answer.reason, entry=answer.entry, waited=waited)

    def _be_patient(self, lane: Lane, answer: Answer, waited: timedelta) -> None:
        """Keep a scan for as long as a guard may take, counted from when it was first sent; asked once, and in time."""
        if lane.patience is not None:
            return
        if not timedelta() <= waited < self._limits.deadline:
            self._turn.ignore(Ignored.ANSWER_LATE)
            return
        lane.patience = answer.valid
        self._turn.start(lane, TimerKind.DEADLINE, max(answer.valid - waited, timedelta()))
        self._turn.show(lane, Signal.WAITING, reason=answer.reason, entry=answer.entry, waited=waited)

    def _let_in(self, lane: Lane, sent: Sent, answer: Answer, unlock: timedelta) -> Signal:
        self._standby.inside.forget()
        if self._doors.release(lane, sent.digest, unlock=unlock, entry=answer.entry):
            return Signal.GRANTED
        return Signal.LOCKDOWN if lane.is_locked_down else Signal.BUSY

    def _settle_scan(self, lane: Lane, sent: Sent) -> None:
        # INVARIANT: a scan is answered once; the next answer to it finds no question.
        self._up.settle(sent)
        self._let_go_of_scan(lane)

    def _let_go_of_scan(self, lane: Lane) -> None:
        lane.scan = None
        self._turn.cancel(lane, TimerKind.RESEND)
        self._turn.cancel(lane, TimerKind.DEADLINE)
        if self._standby.may_decide(lane.doorway.id):
            self._turn.cancel(lane, TimerKind.ALONE)


_SIGNATURE_BYTES: Final = (64, 96)
