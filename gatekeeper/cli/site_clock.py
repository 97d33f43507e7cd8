"""Times as they are typed at a command: read by the clock of the site that they are about, by its policy in force."""

from datetime import datetime
from zoneinfo import ZoneInfo

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.config import SettingError
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import SiteId
from gatekeeper.service.administration.instants import read_instant

__all__ = ["instant_typed", "site_clock"]


async def site_clock(reading: PostgresReading, site: SiteId, *, trust: Trust) -> ZoneInfo:
    """The time zone of a site. Raises SettingError when its policy is not to be believed."""
    policy = read_policy(await reading.document(site, "policy") or b"", trust=trust)
    if isinstance(policy, PolicyRefused):
        raise SettingError(f"The policy is not believed: {policy.code.sentence}")
    return ZoneInfo(policy.written.time_zone)


def instant_typed(option: str, text: str, zone: ZoneInfo, *, ends: bool) -> datetime:
    """What stands behind an option; a time alone is of today. Raises SettingError with what to write instead."""
    try:
        return read_instant(text, zone, ends=ends, today=datetime.now(zone).date())
    except ValueError as error:
        raise SettingError(f"{option}: {error}.") from None
