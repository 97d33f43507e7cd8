"""Which access points a site has, or had: an export may ask for one that is gone, for its passages are in the log."""

from collections.abc import Iterable

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.cli.talk import say
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import AccessPointId, SiteId

__all__ = ["doors_never_had"]


async def doors_never_had(
    reading: PostgresReading, site: SiteId, doors: Iterable[AccessPointId], *, trust: Trust
) -> frozenset[AccessPointId]:
    """Those of some access points that no policy of the site ever had, read from the newest back until all are found.

    A former policy that is not believed any more may have had them: then none is left, and that is told.
    """
    unknown, unread = frozenset(doors), 0
    async for document in reading.policies(site):
        if not unknown:
            break
        policy = read_policy(document, trust=trust)
        if isinstance(policy, PolicyRefused):
            unread += 1
        else:
            unknown -= {point.id for point in policy.written.access_points}
    if unknown and unread:
        say(
            f"The site has no access point {', '.join(sorted(unknown))} now; whether it had cannot be said: a former policy "
            "is not believed any more."
        )
        return frozenset()
    return unknown
