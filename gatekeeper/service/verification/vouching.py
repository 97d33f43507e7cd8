"""Who else vouches for a log's checkpoints: the cosignatures of witnesses and the time stamps that the database keeps.

They are held against what who verifies brings: a policy that says whom to believe and how many, and the roots of authorities.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.service.auditor import Fault
from gatekeeper.service.auditor.stamping import CheckStamp
from gatekeeper.service.auditor.vouching import not_asked_for, open_cosigned
from gatekeeper.service.verification.claims import Claimed, Cosigned, Report, SignedHead
from gatekeeper.service.words import counted, shown
from gatekeeper.transparency import Note, Policy, Refused, VerifiedSignature, Verifier, parse_note

__all__ = ["Cosignatures", "hold_stamps"]


class Cosignatures:
    """The cosignatures of signed checkpoints, those that verify; a bad one becomes a problem of the report."""

    def __init__(
        self,
        claimed: Claimed,
        *,
        signed: Mapping[tuple[str, int], SignedHead],
        verifiers: Mapping[str, Sequence[Verifier]],
        policy: Policy | None,
        report: Report,
    ) -> None:
        self._policy = policy
        self._report = report
        self._kept = sum(len(lines) for lines in claimed.cosignatures.values())
        self._verified: dict[str, list[tuple[int, VerifiedSignature]]] = {}
        for (tree, size), lines in claimed.cosignatures.items():
            if (tree, size) not in signed:
                continue
            note = signed[tree, size].note + "".join(line.line() for line in lines).encode()
            opened = open_cosigned(note, verifiers.get(tree, ()), policy=policy)
            if isinstance(opened, Refused):
                by = f" by {shown(opened.detail)}" if opened.detail else ""
                report.found(opened.code, f"a cosignature{by} of {shown(tree)} at {size} entries is none")
                continue
            self._verified.setdefault(tree, []).extend((size, one) for one in opened.cosignatures)

    def finish(self, sizes: Mapping[str, int], borne_out: Collection[tuple[str, int]]) -> None:
        """Say of each tree up to where it is cosigned, by those of its checkpoints that the bodies bear out.

        `sizes` are those of the trees as the bodies make them. The site's tree must be cosigned even when it is empty.
        """
        trees = sorted({SITE_TREE, *(tree for tree, size in sizes.items() if size)})
        for tree in trees:
            verified = [one for one in self._verified.get(tree, ()) if (tree, one[0]) in borne_out]
            reached = None if self._policy is None else _reached(self._policy, verified)
            if reached is not None:
                self._report.cosigned[tree] = reached
            elif self._asks_for_witnesses:
                self._report.found(
                    Fault.WITNESS_POLICY, f"no checkpoint of {shown(tree)} that is kept has the quorum"
                )
        self._report.unchecked += not_asked_for(self._policy, cosignatures=self._kept)
        if self._asks_for_witnesses:
            self._report.unchecked += self._younger(sizes)

    @property
    def _asks_for_witnesses(self) -> bool:
        return self._policy is not None and self._policy.quorum is not None

    def _younger(self, sizes: Mapping[str, int]) -> Iterator[str]:
        """What is younger than what the quorum has cosigned."""
        younger = [
            f"{shown(tree)} from {reached.size} on"
            for tree, reached in self._report.cosigned.items()
            if reached.size < sizes.get(tree, 0)
        ]
        if younger:
            yield f"that others saw the newest entries: the quorum has not cosigned {', '.join(younger)}"


def _reached(policy: Policy, verified: Sequence[tuple[int, VerifiedSignature]]) -> Cosigned | None:
    """The largest size that the quorum vouches for, and who does; None when there is none.

    Who cosigned a larger tree vouches for a smaller one, too, for the bodies bear out both. So witnesses that were asked at
    different sizes make a quorum at the smallest of them.
    """
    furthest: dict[Verifier, tuple[int, int]] = {}
    for size, one in verified:
        furthest[one.verifier] = max((size, one.time or 0), furthest.get(one.verifier, (0, 0)))
    for reached in sorted({size for size, _ in furthest.values()}, reverse=True):
        by = {verifier: at for verifier, (size, at) in furthest.items() if size >= reached}
        cosigned = [VerifiedSignature(verifier=one, time=at) for one, at in by.items()]
        if policy.satisfied(cosigned):
            cosigned.sort(key=lambda one: (one.verifier.name, one.verifier.type))
            return Cosigned(size=reached, witnesses=tuple(cosigned))
    return None


def hold_stamps(claimed: Claimed, stamp: CheckStamp | None, report: Report) -> None:
    """See that every time stamp is one of the checkpoint that it is kept for. Raises what `stamp` raises."""
    if stamp is None:
        if claimed.stamps:
            stamps = counted(len(claimed.stamps), "time stamp")
            report.unchecked.append(f"{stamps}: no --tsa-roots says whom to believe")
        return
    if not claimed.stamps:
        report.unchecked.append("when its checkpoints were there: no time stamp is kept")
    for tree, size, reply, note in claimed.stamps:
        parsed = None if note is None else parse_note(note)
        at = stamp(parsed.text.encode(), reply) if isinstance(parsed, Note) else "The checkpoint is gone."
        if isinstance(at, datetime):
            report.stamped[tree] = (size, at)
        else:
            report.found(
                Fault.TIMESTAMP,
                f"the time stamp of {shown(tree)} at {size} entries is none: {at.rstrip('.')}",
            )
