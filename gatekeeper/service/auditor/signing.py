"""The checkpoint of a bundle: that it is the manifest's, that the log signed it, and who cosigned it.

Whose key the log's is, who verifies says: with a key that was pinned, or with the one remembered. Only at the first time, and
when none was pinned, is the key believed that the bundle itself names, and the report says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gatekeeper.core.export import Manifest
from gatekeeper.service.auditor.findings import CannotCheckError, Fault, Report, Seen, fault, refusal
from gatekeeper.service.auditor.memory import Remembered
from gatekeeper.service.auditor.vouching import (
    not_asked_for,
    open_cosigned,
    read_given,
    see_given,
    trusted_key,
    why_unsigned,
)
from gatekeeper.service.words import shown
from gatekeeper.transparency import (
    Note,
    Policy,
    Refused,
    SignatureType,
    Verifier,
    parse_checkpoint,
    parse_note,
    parse_verifier,
)

__all__ = ["LogKey", "checkpoint_of", "given_notes", "hold_checkpoint", "log_key"]

_MEMBER = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKey:
    """The key of a log, and whether the bundle itself is all that says so."""

    verifier: Verifier
    first_seen: bool


def checkpoint_of(note: bytes, manifest: Manifest) -> Note:
    """Read the checkpoint and see that it is the manifest's. Raises `Found`."""
    parsed = parse_note(note)
    if isinstance(parsed, Refused):
        raise refusal(parsed, member=_MEMBER)
    checkpoint = parse_checkpoint(parsed.text)
    if isinstance(checkpoint, Refused):
        raise refusal(checkpoint, member=_MEMBER)
    says = (checkpoint.origin, checkpoint.size, checkpoint.root)
    if says != (manifest.origin, manifest.size, manifest.root) or checkpoint.extensions:
        raise fault(Fault.CHECKPOINT_OTHER, member=_MEMBER)
    return parsed


def log_key(
    manifest: Manifest, *, pinned: Verifier | None, policy: Policy | None, remembered: Remembered
) -> LogKey | None:
    """The key to believe; None when nobody names one.

    Raises `Found` when the bundle names another, CannotCheckError for a key of another site.
    """
    trusted = trusted_key(manifest.site, manifest.origin, pinned=pinned, policy=policy, remembered=remembered)
    named = _named(manifest)
    if trusted is None:
        return None if named is None else LogKey(verifier=named, first_seen=True)
    if named is not None and named != trusted:
        raise fault(Fault.CHECKPOINT_KEY, member="manifest.json", detail=f"known is {trusted.key()}")
    return LogKey(verifier=trusted, first_seen=False)


def hold_checkpoint(
    note: bytes, parsed: Note, key: LogKey | None, *, policy: Policy | None, report: Report
) -> None:
    """See that the log signed the checkpoint, and that enough witnesses did. Raises `Found`."""
    if key is None:
        report.unchecked.append(
            "that the log signed the checkpoint: its key is not known; give it with --key, as the site publishes it"
        )
        if policy is not None:
            report.lacking.append(
                "The policy names no key of this log, so that nobody can be held to have cosigned it: give --key, too."
            )
        return
    opened = open_cosigned(note, [key.verifier], policy=policy)
    if isinstance(opened, Refused):
        if why_unsigned(opened) is Fault.CHECKPOINT_KEY:
            raise fault(Fault.CHECKPOINT_KEY, member=_MEMBER, detail=f"known is {key.verifier.key()}")
        raise refusal(opened, member=_MEMBER)
    report.key = key.verifier
    if key.first_seen:
        report.unchecked.append(
            f"whose key signed the checkpoint: only the bundle itself says that it is the log's; compare with what the "
            f"site publishes: {key.verifier.key()}"
        )
    report.witnesses = opened.cosignatures
    if policy is not None and not policy.satisfied(opened.cosignatures):
        raise fault(Fault.WITNESS_POLICY, member=_MEMBER)
    others = sum(one.name != key.verifier.name for one in parsed.signatures)
    report.unchecked += not_asked_for(policy, cosignatures=others)


def given_notes(notes: Sequence[tuple[str, bytes]], manifest: Manifest, report: Report) -> list[Seen]:
    """Checkpoints that who verifies has from elsewhere. Raises CannotCheckError for what is none of this log."""
    seen = []
    for where, note in notes:
        checkpoint = read_given(where, note)
        if checkpoint.origin != manifest.origin:
            raise CannotCheckError(
                f"{where} is a checkpoint of {shown(checkpoint.origin)}; the bundle is of {manifest.origin}."
            )
        if report.key is None:
            report.unchecked.append(f"who signed {where}: the log's key is not known")
            seen.append(Seen(size=checkpoint.size, root=checkpoint.root, where=where))
        else:
            seen.append(see_given(where, note, [report.key]))
    return seen


def _named(manifest: Manifest) -> Verifier | None:
    if manifest.key is None:
        return None
    key = parse_verifier(manifest.key)
    if isinstance(key, Refused) or (key.name, key.type) != (manifest.origin, SignatureType.ED25519):
        raise fault(Fault.MANIFEST_FORM, member="manifest.json", detail="key")
    return key
