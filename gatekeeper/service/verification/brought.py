"""What who verifies a log brings along for its trees, from a memory and from elsewhere; and what is remembered afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gatekeeper.model.ids import SiteId
from gatekeeper.model.trees import checkpoint_origin, tree_of
from gatekeeper.service.auditor import CannotCheckError, Fault, Known, Memory, Remembered, Seen
from gatekeeper.service.auditor.stamping import CheckStamp
from gatekeeper.service.auditor.vouching import read_given, see_given, trusted_key
from gatekeeper.service.verification.claims import Report
from gatekeeper.service.words import shown
from gatekeeper.transparency import Policy, Verifier

__all__ = ["Brought", "bring", "hold_keys", "remember"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A key, whom to believe of witnesses and authorities, and what is remembered and given of checkpoints, by tree."""

    key: Verifier | None = None
    policy: Policy | None = None
    stamp: CheckStamp | None = None
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    given: Mapping[str, Sequence[Seen]] = field(default_factory=dict)

    @property
    def trees(self) -> set[str]:
        """The trees of which anything was seen before."""
        return {*self.remembered, *self.given}

    def seen(self, tree: str) -> list[Seen]:
        """The checkpoints of a tree that were seen before."""
        remembered = self.remembered.get(tree, Remembered()).checkpoints
        return [*remembered, *self.given.get(tree, ())]


def bring(known: Known, *, site: SiteId, verifiers: Callable[[str], Sequence[Verifier]]) -> Brought:
    """Bring what is known for the trees of one site, whose checkpoints these verifiers sign.

    Raises CannotCheckError for a memory that cannot be understood, and for a checkpoint that is none of this log.
    """
    given: dict[str, list[Seen]] = {}
    for where, note in known.notes:
        checkpoint = read_given(where, note)
        tree = tree_of(site, checkpoint.origin)
        if tree is None:
            raise CannotCheckError(
                f"{where} is a checkpoint of {shown(checkpoint.origin)}; the log is of {site}."
            )
        given.setdefault(tree, []).append(see_given(where, note, verifiers(tree)))
    return Brought(
        key=known.key,
        policy=known.policy,
        stamp=known.stamp,
        remembered={} if known.memory is None else _recalled(known.memory, site),
        given=given,
    )


def _recalled(memory: Memory, site: SiteId) -> Mapping[str, Remembered]:
    recalled = {}
    for origin in memory.origins(f"gatekeeper/{site}"):
        tree = tree_of(site, origin)
        if tree is None:
            raise CannotCheckError(f"{memory.folder / origin} is of no tree of {site}: move it away.")
        recalled[tree] = memory.recall(origin)
    return recalled


def hold_keys(
    site: SiteId, brought: Brought, verifiers: Mapping[str, Sequence[Verifier]], report: Report
) -> None:
    """See that each tree is signed with the key that who verifies trusts, where something names one."""
    for tree, signing in sorted(verifiers.items()):
        trusted = trusted_key(
            site,
            checkpoint_origin(site, tree),
            pinned=brought.key,
            policy=brought.policy,
            remembered=brought.remembered.get(tree, Remembered()),
        )
        if trusted is not None and trusted not in signing:
            report.found(
                Fault.CHECKPOINT_KEY,
                f"{shown(tree)} is signed with another key than the one that is known, {trusted.key()}; a site that was founded"
                " anew has another log",
            )


def remember(memory: Memory, site: SiteId, brought: Brought, report: Report) -> Mapping[str, int]:
    """Remember the newest checkpoint of each tree of a valid log, never an older one; their sizes, by tree."""
    kept = {}
    for tree, newest in sorted(report.newest.items()):
        if newest.size > brought.remembered.get(tree, Remembered()).size:
            memory.keep(checkpoint_origin(site, tree), key=newest.key, size=newest.size, note=newest.note)
            kept[tree] = newest.size
    return kept
