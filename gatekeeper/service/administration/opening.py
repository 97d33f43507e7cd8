"""Opening a founded site: its documents, people and badges go into the database with the first entries of its log.

All in one commit, under the site's first epoch, so that a site is open or it is not.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, Kind, tenant_tree
from gatekeeper.core.operators import OperatorRecord, read_operator
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.trust import Trust, TrustRefused, read_trust
from gatekeeper.core.writes import Writes
from gatekeeper.model.ids import HolderId
from gatekeeper.model.policy import Policy
from gatekeeper.ports import Batch, KeyVault, Ledger
from gatekeeper.service.administration.ceremony import Founding
from gatekeeper.service.engine.sealing import Sealer
from gatekeeper.service.sealed import seal_name

__all__ = ["SiteNotOpenedError", "open_site"]


class SiteNotOpenedError(Exception):
    """The site cannot be opened in this database; the message says why."""


async def open_site(founding: Founding, *, ledger: Ledger, vault: KeyVault, now: datetime) -> int:
    """Open a site; give the size of its log. Raises SiteNotOpenedError when the database holds it already."""
    site = founding.anchor.site
    trust, policy = _believe(founding)
    keys = await vault.ensure(site, [NOBODY, *(holder.record.id for holder in founding.holders)])
    await ledger.found(site)
    epoch = await ledger.claim(site, owner="ceremony")
    # An opening that failed half-way has claimed the site and written nothing: it may be tried again.
    if epoch is None or await ledger.size(site):
        raise SiteNotOpenedError(f"The database holds a site {site} already; its log is never begun anew.")
    trees = [SITE_TREE, *(tenant_tree(tenant) for tenant in policy.tenants)]
    await ledger.open_trees(site, trees)
    sealer = Sealer(site, trees={}, keys=keys)
    for tree in trees:
        sealer.open_tree(tree)
    sealed = sealer.seal(_drafts(founding, trust, policy, now))
    batch = Batch(
        entries=sealed.entries,
        tiles=sealed.tiles,
        heads=sealed.heads,
        moved=(),
        receipts=(),
        writes=_writes(founding, keys),
    )
    await ledger.commit(site, epoch=epoch, batch=batch)
    return len(sealed.entries)


def _believe(founding: Founding) -> tuple[Trust, Policy]:
    trust = read_trust(founding.trust, anchor=founding.anchor, not_below=0)
    if isinstance(trust, TrustRefused):
        raise SiteNotOpenedError(f"The trust list is not believed: {trust.code.sentence}")
    policy = compile_from(founding.policy, trust=trust)
    if isinstance(policy, PolicyRefused):
        raise SiteNotOpenedError(f"The policy is not believed: {policy.code.sentence}")
    return trust, policy


def _drafts(founding: Founding, trust: Trust, policy: Policy, now: datetime) -> list[Draft]:
    founded = Draft(
        kind=Kind.SITE_FOUNDED,
        at=now,
        seq=0,
        tenants=(),
        public={
            "roots": [hashlib.sha256(root).hexdigest() for root in founding.anchor.roots],
            "threshold": founding.anchor.threshold,
            "trust": trust.version,
            "policy": policy.version.hex(),
            "operators": [_operator(record, trust) for record in founding.operators],
        },
        person=None,
        personal=None,
    )
    registered = [
        Draft(
            kind=Kind.HOLDER_REGISTERED,
            at=now,
            seq=number,
            tenants=(holder.tenant,),
            public={
                "tenant": holder.tenant,
                "version": 1,
                "badges": len(holder.badges),
                "by": founding.anchor.host,
            },
            person=holder.record.id,
            personal={"holder": holder.record.id, "badges": list(holder.badges)},
        )
        for number, holder in enumerate(founding.holders, 1)
    ]
    return [founded, *registered]


def _operator(record: OperatorRecord, trust: Trust) -> dict[str, Any]:
    """Who may change the site from the start. Raises SiteNotOpenedError for one whom no tenant signed."""
    operator = read_operator(record.document, trust=trust)
    if operator is None or (operator.id, operator.tenant) != (record.id, record.tenant):
        raise SiteNotOpenedError(f"The operator {record.id} is not believed.")
    return {
        "operator": operator.id,
        "tenant": operator.tenant,
        "roles": sorted(operator.roles),
        "key": hashlib.sha256(operator.key.public_der).hexdigest(),
    }


def _writes(founding: Founding, keys: Mapping[HolderId, bytes]) -> Writes:
    site = founding.anchor.site
    sealed = {
        holder: seal_name(name, key=keys[holder], site=site, holder=holder)
        for holder, name in founding.names.items()
    }
    return Writes(
        alert=0,
        documents=[("trust", 0, founding.trust), ("policy", 0, founding.policy)],
        holders=[replace(one, name=sealed.get(one.record.id, b"")) for one in founding.holders],
        badges=list(founding.badges),
        operators=list(founding.operators),
    )
