"""Which site people walk on: the one that is named, else the example site that a service on this machine serves.

--folder --broker --readers                     as they are named
<data>/sites/*/people.json, <data>/running.json else what `gatekeeper serve` left there
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devices.settings import SettingsError
from gatekeeper.running import RunningUnreadableError, running

__all__ = ["PEOPLE", "ServedSite", "served_site"]

PEOPLE: Final = "people.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSite:
    """The folder of a site, and the brokers (URLs) of its gates and of its stock readers."""

    folder: Path
    broker: str
    readers: str


def served_site(
    data: Path, *, site: str | None, folder: Path | None, broker: str | None, readers: str | None
) -> ServedSite:
    """Where people are to walk; what is None is looked up in a data folder. Raises `SettingsError`."""
    found = folder or _example_site(data, site)
    if broker is None or readers is None:
        try:
            there = running(data)
        except RunningUnreadableError as error:
            raise SettingsError(str(error)) from None
        if there is None:
            raise SettingsError(
                f"No service runs on {data}: start `gatekeeper serve`, or name --broker and --readers."
            )
        broker, readers = broker or there.broker, readers or there.readers
    return ServedSite(folder=found, broker=broker, readers=readers)


def _example_site(data: Path, site: str | None) -> Path:
    sites = data / "sites"
    peopled = sorted(file.parent.name for file in sites.glob(f"[!.]*/{PEOPLE}"))
    if site is not None:
        if site not in peopled:
            raise SettingsError(f"{sites / site} is no example site: it holds no {PEOPLE}.")
        return sites / site
    if not peopled:
        raise SettingsError(
            f"{data} holds no example site with people in it (gatekeeper site init FILE founds one)."
        )
    if len(peopled) > 1:
        raise SettingsError(
            f"Name the site with --site: {data} holds {', '.join(peopled)}, each with people of its own."
        )
    return sites / peopled[0]
