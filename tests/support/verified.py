"""A fort's log, signed and verified as who looks at it from outside does."""

from collections.abc import Mapping, Sequence

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.model.ids import HolderId
from gatekeeper.model.retention import Retention
from gatekeeper.service.auditor import Seen
from gatekeeper.service.auditor.stamping import CheckStamp
from gatekeeper.service.verification import Brought, Report, verify_log
from gatekeeper.transparency import Policy
from tests.support import checkpoints
from tests.support.checkpoints import verifier_of
from tests.support.fort import KEYS, TREES, Fort

__all__ = ["sign_heads", "verified"]


async def sign_heads(fort: Fort) -> Seen:
    """Sign where every tree stands; give the checkpoint of the site's."""
    await checkpoints.sign_heads(fort)
    site = fort.pen.trees[SITE_TREE]
    return Seen(size=site.size, root=site.root(), where="memory")


async def verified(
    fort: Fort,
    *,
    seen: Sequence[Seen] = (),
    keys: Mapping[HolderId, bytes] | None = KEYS,
    periods: Mapping[str, Retention] | None = None,
    policy: Policy | None = None,
    stamp: CheckStamp | None = None,
) -> Report:
    """What who verifies the log finds."""
    verifiers = {tree: [verifier_of(fort.site, tree)] for tree in TREES}
    async with PostgresReading.opened(fort.dsn) as reading:
        claimed = await reading.claimed(fort.site)
        size, _ = claimed.heads.get(SITE_TREE, (0, b""))
        entries = reading.filed_entries(fort.site, until=size)
        return await verify_log(
            fort.site,
            entries,
            claimed=claimed,
            verifiers=verifiers,
            keys=keys,
            periods=periods,
            brought=Brought(policy=policy, stamp=stamp, given={SITE_TREE: seen} if seen else {}),
        )
