"""The answer of a witness to one request.

read -> authenticate -> weigh against the latest -> store (if it still is the latest) -> cosign
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from gatekeeper.ports import Clock, Dispute, WitnessStore
from gatekeeper.transparency import (
    Authentic,
    Cosigner,
    Latest,
    MlDsaCosigner,
    Refusal,
    Rejected,
    authenticate,
    parse_add_checkpoint,
    weigh,
)

__all__ = ["Cosigned", "Witness"]

_INNOCENT: Final = frozenset({Refusal.WITNESS_CONFLICT, Refusal.PROOF_LENGTH, Refusal.PROOF_HASH_WIDTH})
"""What an honest log may be told: it did not know where the witness is, or sent a proof of another length."""

_log = structlog.get_logger("gatekeeper.witness")


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The lines to add to a checkpoint's note."""

    lines: str


class Witness:
    """One witness: one name, one key or more, one memory."""

    def __init__(
        self, *, cosigners: Sequence[Cosigner | MlDsaCosigner], store: WitnessStore, clock: Clock
    ) -> None:
        self._cosigners = cosigners
        self._store = store
        self._clock = clock

    async def add_checkpoint(self, body: bytes) -> Cosigned | Rejected:
        """Answer a request (C2SP tlog-witness, add-checkpoint). Raises WitnessStoreError; then nothing is cosigned."""
        request = parse_add_checkpoint(body)
        if isinstance(request, Rejected):
            return request
        authentic = authenticate(request, logs=await self._store.logs())
        if isinstance(authentic, Rejected):
            return authentic
        while True:
            latest = await self._store.latest(authentic.checkpoint.origin)
            outcome = await self._decide(authentic, latest)
            if outcome is not None:
                return outcome

    async def _decide(self, authentic: Authentic, latest: Latest | None) -> Cosigned | Rejected | None:
        """Answer a request that is weighed against `latest`; None when that was not the latest any more."""
        accepted = weigh(authentic, latest)
        if isinstance(accepted, Rejected):
            await self._remember_dispute(authentic, accepted)
            return accepted
        now = self._clock.now()
        # INVARIANT: nothing is cosigned before it is stored, nor unless it took the place of what it was weighed against.
        if not await self._store.advance(accepted, after=latest, at=now):
            return None
        time = int(now.timestamp())
        text = accepted.checkpoint.text()
        return Cosigned("".join(one.cosign(text, time=time).line() for one in self._cosigners))

    async def _remember_dispute(self, authentic: Authentic, rejected: Rejected) -> None:
        if rejected.code in _INNOCENT:
            return
        origin, size = authentic.checkpoint.origin, authentic.checkpoint.size
        _log.warning("a log was not shown to go on", origin=origin, size=size, code=rejected.code)
        dispute = Dispute(at=self._clock.now(), code=rejected.code, size=size, note=authentic.request.note)
        await self._store.keep_dispute(origin, dispute)
