"""Times at a command, typed and shown: by the clock of the site that they are about, as its policy in force says."""

from datetime import datetime, timezone, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.cli.host.believed import policy_in_force
from gatekeeper.cli.host.signing import believed
from gatekeeper.cli.talk import local_zone, zone_name
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import SiteId
from gatekeeper.service.administration.folder import SiteFolderError
from gatekeeper.service.administration.instants import read_instant

__all__ = [
    "FromOption",
    "ToOption",
    "clock_named",
    "clock_shown",
    "clock_watched",
    "instant_typed",
    "site_clock",
    "span_typed",
]

FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="From when, by the site's clock: 2026-11-01, or 1-11-2026 (day first), or 2026-11-01T08:00.",
    ),
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Until when, written as --from is; a day counts whole.")
]


async def site_clock(reading: PostgresReading, site: SiteId, *, trust: Trust) -> ZoneInfo:
    """The time zone of a site. Raises SettingError when its policy is not to be believed."""
    return ZoneInfo((await policy_in_force(reading, site, trust=trust)).time_zone)


async def clock_shown(reading: PostgresReading, settings: Settings, site: SiteId) -> ZoneInfo:
    """The time zone in which a site's times are shown. Raises SettingError."""
    trust, _ = await believed(reading, settings, site)
    return await site_clock(reading, site, trust=trust)


async def clock_watched(reading: PostgresReading, settings: Settings, site: SiteId) -> tzinfo:
    """The time zone of a site, or where its folder is not at hand or not to be believed that of the person's own clock."""
    try:
        return await clock_shown(reading, settings, site)
    except (SettingError, SiteFolderError, OSError):
        return local_zone()


def clock_named(zone: tzinfo) -> str:
    """By which clock times are shown, for a sentence about them."""
    match zone:
        case ZoneInfo():
            return f"by the clock of {zone.key}"
        case timezone():
            return f"by the clock of this machine, {zone_name(zone)}"
        case _:
            raise TypeError("a time zone without a name")


def instant_typed(option: str, text: str, zone: ZoneInfo, *, ends: bool) -> datetime:
    """What stands behind an option; a time alone is of today. Raises SettingError with what to write instead."""
    try:
        return read_instant(text, zone, ends=ends, today=datetime.now(zone).date())
    except ValueError as error:
        raise SettingError(f"{option}: {error}.") from None


def span_typed(
    since: str | None, until: str | None, zone: ZoneInfo
) -> tuple[datetime | None, datetime | None]:
    """From when and until when, as `--from` and `--to` say; None for no bound. Raises SettingError for what is no span."""
    begins = None if since is None else instant_typed("--from", since, zone, ends=False)
    ends = None if until is None else instant_typed("--to", until, zone, ends=True)
    if begins is not None and ends is not None and begins >= ends:
        raise SettingError("--from is not before --to.")
    return begins, ends
