"""Times at a command, typed and shown: by the clock of the site that they are about, as its policy in force says."""

from datetime import datetime
from zoneinfo import ZoneInfo

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.cli.signing import believed
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import SiteId
from gatekeeper.service.administration.instants import read_instant

__all__ = ["clock_shown", "instant_typed", "site_clock"]


async def site_clock(reading: PostgresReading, site: SiteId, *, trust: Trust) -> ZoneInfo:
    """The time zone of a site. Raises SettingError when its policy is not to be believed."""
    policy = read_policy(await reading.document(site, "policy") or b"", trust=trust)
    if isinstance(policy, PolicyRefused):
        raise SettingError(f"The policy is not believed: {policy.code.sentence}")
    return ZoneInfo(policy.written.time_zone)


async def clock_shown(reading: PostgresReading, settings: Settings, site: SiteId) -> ZoneInfo:
    """The time zone in which a site's times are shown. Raises SettingError."""
    trust, _ = await believed(reading, settings, site)
    return await site_clock(reading, site, trust=trust)


def instant_typed(option: str, text: str, zone: ZoneInfo, *, ends: bool) -> datetime:
    """What stands behind an option; a time alone is of today. Raises SettingError with what to write instead."""
    try:
        return read_instant(text, zone, ends=ends, today=datetime.now(zone).date())
    except ValueError as error:
        raise SettingError(f"{option}: {error}.") from None
