"""A site out of its stored state: the flow that goes on where the last commit ended, believed only as far as it is signed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gatekeeper.core.audit import SITE_TREE, read_body
from gatekeeper.core.flow import Flow
from gatekeeper.core.operators import Operators
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.proposals import Proposals
from gatekeeper.core.register import Register
from gatekeeper.core.trust import Anchor, TrustRefused, read_trust
from gatekeeper.model.ids import SiteId
from gatekeeper.ports import Loaded
from gatekeeper.transparency import EdgeError, Tree

__all__ = ["SiteUnusableError", "flow_of", "trees_of"]


class SiteUnusableError(Exception):
    """What is stored of the site is not to be believed; nothing is decided. The message says what and why."""


def flow_of(loaded: Loaded, *, anchor: Anchor) -> Flow:
    """Make the flow of a stored site. Raises SiteUnusableError when its trust list or policy is not believed."""
    trust = read_trust(loaded.trust, anchor=anchor, not_below=0)
    if isinstance(trust, TrustRefused):
        raise SiteUnusableError(f"The trust list is not believed: {trust.code.sentence} {trust.detail}")
    policy = compile_from(loaded.policy, trust=trust)
    if isinstance(policy, PolicyRefused):
        raise SiteUnusableError(f"The policy is not believed: {policy.code.sentence} {policy.detail}")
    register = Register()
    for badge in loaded.badges:
        register.put_badge(badge.record, tenant=badge.tenant, card=badge.card, holder=badge.holder)
    for holder in loaded.holders:
        register.put_holder(holder.record, tenant=holder.tenant, badges=holder.badges)
    flow = Flow(
        policy=policy,
        policy_source=loaded.policy,
        trust=trust,
        register=register,
        next_seq=loaded.edges[SITE_TREE][0],
    )
    flow.operators, flow.proposals = Operators(loaded.operators), Proposals(loaded.proposals)
    flow.alert, flow.lockdowns, flow.suspended = loaded.alert, loaded.lockdowns, loaded.suspended
    flow.holds, flow.erased = loaded.holds, loaded.erased
    flow.memory.restore(loaded.presences, loaded.usage, loaded.opened, register=register, trust=trust)
    # An engine that was killed has perhaps not let go of all yet: a passage that claims their grant is nobody's.
    receipts = [replace(one, holder=None) if one.holder in loaded.erased else one for one in loaded.receipts]
    flow.sequences.restore(receipts, loaded.closed_boots)
    for entry in _words(loaded, trust.site):
        flow.sequences.recall(entry)
    return flow


def _words(loaded: Loaded, site: SiteId) -> Iterator[Mapping[str, Any]]:
    """What gates said that is kept nowhere but in the log; a body that is not in the spelling of an entry says nothing."""
    for seq, _, body in (*loaded.lockdown_entries, *loaded.given_up):
        entry = read_body(body, site=site, seq=seq)
        if entry is not None:
            yield entry


def trees_of(loaded: Loaded) -> Mapping[str, Tree]:
    """The trees of a stored log, to be gone on with. Raises SiteUnusableError when one does not end as its head says.

    INVARIANT: an engine signs no tree that somebody altered while there was none: what it takes over leads to the head that
    the last commit left.
    """
    return {name: _tree(loaded, name) for name in loaded.edges}


def _tree(loaded: Loaded, name: str) -> Tree:
    size, edge = loaded.edges[name]
    try:
        tree = Tree.resume(size, edge)
    except EdgeError:
        tree = None
    if tree is None or tree.root() != loaded.roots.get(name):
        raise SiteUnusableError(
            f"The end of the log's tree {name} is not what its head says: somebody altered it, or it is damaged. Nothing is added "
            "to it and no door opens: gatekeeper audit verify says where, SECURITY.md what to do."
        )
    return tree
