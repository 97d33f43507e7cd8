"""Checkpoints of the log from outside of the bundle: what an auditor saw before, a gate holds, or a witness keeps.

The log of a bundle must be one with each of them. Of a smaller tree that is known when its root follows from the entries of
the bundle, or when a proof in the bundle leads from its root. Of an equal one its root says it. Of a larger one the bundle
can say nothing.
"""

from collections.abc import Mapping, Sequence

from gatekeeper.core.export import Manifest, Proofs
from gatekeeper.service.auditor.findings import Fault, Report, Seen, fault, refusal
from gatekeeper.service.words import counted
from gatekeeper.transparency import Refused, verify_consistency

__all__ = ["hold_proofs", "hold_seen"]


def hold_proofs(manifest: Manifest, proofs: Proofs) -> None:
    """See that every consistency proof of a bundle leads from what it names to the checkpoint."""
    for earlier in proofs.consistency:
        refused = verify_consistency(
            old_size=earlier.size,
            new_size=manifest.size,
            old_root=earlier.root,
            new_root=manifest.root,
            proof=earlier.hashes,
        )
        if isinstance(refused, Refused):
            raise refusal(refused, member="proofs.json", detail=f"consistency of {earlier.size}")


def hold_seen(
    seen: Sequence[Seen], *, manifest: Manifest, proofs: Proofs, roots: Mapping[int, bytes], report: Report
) -> list[Seen]:
    """Hold checkpoints against a bundle whose own proofs were found to be sound; give those that it says nothing of.

    `roots` are those that follow from the entries. Raises `Found` when one contradicts.
    """
    known = {earlier.size: earlier.root for earlier in proofs.consistency}
    known |= {**roots, manifest.size: manifest.root}
    open_ones = []
    for one in seen:
        root = known.get(one.size)
        if root is None:
            open_ones.append(one)
        elif root == one.root:
            report.consistent_with.append(one)
        else:
            raise fault(
                Fault.CHECKPOINT_FORK,
                member="checkpoint",
                detail=f"at {counted(one.size, 'entry', 'entries')} {one.where} has another root",
            )
    return open_ones
