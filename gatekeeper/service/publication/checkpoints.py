"""Which checkpoint of a tree is shown to others: one that witnesses have cosigned, where there is one that is fresh enough.

Engines sign every second and witnesses cosign every quarter of a minute, so the newest checkpoint is hardly ever cosigned.
Who follows a log by a policy believes no other. When the witnesses are away for long, the log's own word must do.
"""

from datetime import timedelta
from typing import Final

from gatekeeper.model.ids import SiteId
from gatekeeper.ports import StoredCheckpoint, StoredTrees

__all__ = ["checkpoint_to_show"]

_LATE: Final = timedelta(minutes=10)


async def checkpoint_to_show(
    stored: StoredTrees, site: SiteId, tree: str, *, least: int = 0
) -> StoredCheckpoint | None:
    """The last cosigned checkpoint of a tree that covers `least` entries, unless it is late; else the newest one."""
    newest = await stored.newest_checkpoint(site, tree)
    cosigned = await stored.cosigned_checkpoint(site, tree)
    if newest is None or cosigned is None or cosigned.size < least:
        return newest
    return newest if newest.at - cosigned.at > _LATE else cosigned
