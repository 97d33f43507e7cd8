"""Whose word on a checkpoint counts, be it a bundle's or one in a database: the log's key, and who cosigned.

Whose key the log's is, who verifies says: with a key that was pinned, in a policy, or by what is remembered.
"""

from collections.abc import Sequence
from typing import Final

from gatekeeper.service.auditor.findings import CannotCheckError, Fault
from gatekeeper.service.words import counted
from gatekeeper.transparency import (
    OpenedCheckpoint,
    Policy,
    Refusal,
    Refused,
    Verifier,
    open_checkpoint,
)

__all__ = ["named_key", "not_asked_for", "open_cosigned", "why_unsigned"]

_NOT_THE_LOGS: Final = frozenset({Refusal.NOTE_UNKNOWN_KEYS, Refusal.CHECKPOINT_ORIGIN})


def named_key(site: str, origin: str, *, pinned: Verifier | None, policy: Policy | None) -> Verifier | None:
    """The key of a log that who verifies names; None when nothing does. One key signs all trees of a site, each under its name.

    Raises CannotCheckError when the key that was pinned is another site's.
    """
    prefix = f"gatekeeper/{site}/"
    if pinned is not None and not pinned.name.startswith(prefix):
        raise CannotCheckError(f"The key given is of {pinned.name}; the log is {origin}.")
    named = pinned
    if named is None and policy is not None:
        keys = [log.verifier for log in policy.logs if log.verifier.name.startswith(prefix)]
        own = [key for key in keys if key.name == origin]
        named = next(iter(own or keys), None)
    return None if named is None else Verifier(name=origin, type=named.type, public_key=named.public_key)


def open_cosigned(
    note: bytes, keys: Sequence[Verifier], *, policy: Policy | None
) -> OpenedCheckpoint | Refused:
    """Believe a checkpoint that one of these keys of its log signed, and of witnesses those that a policy names."""
    witnesses = () if policy is None else [one.verifier for one in policy.witnesses]
    return open_checkpoint(note, [*keys, *witnesses])


def why_unsigned(refused: Refused) -> Fault | Refusal:
    """What to call it that a checkpoint is not believed."""
    return Fault.CHECKPOINT_KEY if refused.code in _NOT_THE_LOGS else refused.code


def not_asked_for(policy: Policy | None, *, cosignatures: int) -> list[str]:
    """What of witnesses stays unchecked where no policy asks for them; `cosignatures` are those that are there."""
    if policy is not None and policy.quorum is not None:
        return []
    if not cosignatures:
        return ["that others saw the same log: no witness has cosigned it"]
    return [f"{counted(cosignatures, 'cosignature')} of witnesses: no --policy says whom to believe"]
