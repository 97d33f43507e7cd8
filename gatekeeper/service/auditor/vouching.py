"""Whose word on a checkpoint counts, be it a bundle's or one in a database: the log's key, and who cosigned.

Whose key the log's is, who verifies says: with a key that was pinned, in a policy, or by what is remembered. Checkpoints from
elsewhere must be the log's own.
"""

from collections.abc import Sequence
from typing import Final

from gatekeeper.service.auditor.findings import CannotCheckError, Fault, Seen
from gatekeeper.service.auditor.memory import Remembered
from gatekeeper.service.words import counted
from gatekeeper.transparency import (
    Checkpoint,
    OpenedCheckpoint,
    Policy,
    Refusal,
    Refused,
    Verifier,
    open_checkpoint,
    read_checkpoint,
)

__all__ = [
    "NEVER_SEEN",
    "not_asked_for",
    "open_cosigned",
    "read_given",
    "see_given",
    "trusted_key",
    "why_unsigned",
]

NEVER_SEEN: Final = "that the log was not rewritten whole: no checkpoint of it was seen before"

_NOT_THE_LOGS: Final = frozenset({Refusal.NOTE_UNKNOWN_KEYS, Refusal.CHECKPOINT_ORIGIN})


def trusted_key(
    site: str, origin: str, *, pinned: Verifier | None, policy: Policy | None, remembered: Remembered
) -> Verifier | None:
    """The key of a log that who verifies trusts; None at the first time, when nothing names one.

    One key signs all trees of a site, each under its own name. Raises CannotCheckError when what was pinned is another site's.
    """
    prefix = f"gatekeeper/{site}/"
    if pinned is not None and not pinned.name.startswith(prefix):
        raise CannotCheckError(f"The key given is of {pinned.name}; the log is {origin}.")
    named = pinned or (None if policy is None else _in_policy(policy, origin, prefix))
    if named is None:
        return next(iter(remembered.keys), None)
    return Verifier(name=origin, type=named.type, public_key=named.public_key)


def _in_policy(policy: Policy, origin: str, prefix: str) -> Verifier | None:
    """The key that a policy names for a log, or for another tree of its site."""
    keys = [log.verifier for log in policy.logs if log.verifier.name.startswith(prefix)]
    own = [key for key in keys if key.name == origin]
    return next(iter(own or keys), None)


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


def read_given(where: str, note: bytes) -> Checkpoint:
    """Read a checkpoint from elsewhere without believing it. Raises CannotCheckError when it is none."""
    checkpoint = read_checkpoint(note)
    if isinstance(checkpoint, Refused):
        raise CannotCheckError(f"{where} is no checkpoint: {checkpoint.code.sentence}")
    return checkpoint


def see_given(where: str, note: bytes, keys: Sequence[Verifier]) -> Seen:
    """Believe a checkpoint from elsewhere that one of these keys of its log signed. Raises CannotCheckError otherwise."""
    opened = open_checkpoint(note, keys)
    if isinstance(opened, Refused):
        raise CannotCheckError(f"{where} is not signed by the log: {opened.code.sentence}")
    return Seen(size=opened.checkpoint.size, root=opened.checkpoint.root, where=where)
