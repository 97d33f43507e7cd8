"""A change of engine on a small site: what is not committed is lost, and what is makes the next flow."""

from gatekeeper.core.flow import Flow
from gatekeeper.core.sequences import SEQUENCE_WINDOW, Receipt
from gatekeeper.model.ids import BootId, GateId
from tests.support.sites import SmallSite

__all__ = ["fail_over"]

_KEPT_BOOTS = 4


def fail_over(site: SmallSite) -> Flow:
    """Throw a site's flow away and go on with another, made of what the former committed; give the former.

    As a ledger loads it: the last receipts of each gate's four newest boots and journals, in the order of their entries. The
    register, which no message changes, stays. What gates said that is nowhere but in the log is read back from it.
    """
    former = site.flow
    boots: dict[tuple[GateId, bool], list[BootId]] = {}
    for receipt in site.receipts:
        known = boots.setdefault((receipt.gate, receipt.journal), [])
        if receipt.boot not in known:
            known.append(receipt.boot)
    site.flow = Flow(
        policy=former.policy,
        policy_source=former.policy_source,
        trust=former.trust,
        register=former.register,
        next_seq=site.first_seq + len(site.drafts),
    )
    site.flow.alert, site.flow.lockdowns = former.alert, former.lockdowns
    site.flow.holds, site.flow.erased = former.holds, former.erased
    site.flow.operators, site.flow.proposals = former.operators, former.proposals
    site.flow.memory.restore(
        site.presences.values(), {}, {}, register=site.flow.register, trust=site.flow.trust
    )
    live = [(gate, boot) for (gate, _), known in boots.items() for boot in known[-_KEPT_BOOTS:]]
    closed = [(gate, boot) for (gate, _), known in boots.items() for boot in known[:-_KEPT_BOOTS]]
    receipts = [receipt for gate, boot in live for receipt in _newest(site, gate, boot)]
    site.flow.sequences.restore(sorted(receipts, key=lambda receipt: receipt.seq), closed)
    for draft in site.drafts:
        site.flow.sequences.recall({"kind": draft.kind.value, **draft.public})
    return former


def _newest(site: SmallSite, gate: GateId, boot: BootId) -> list[Receipt]:
    of_boot = [receipt for receipt in site.receipts if (receipt.gate, receipt.boot) == (gate, boot)]
    return sorted(of_boot, key=lambda receipt: -receipt.sequence)[:SEQUENCE_WINDOW]
