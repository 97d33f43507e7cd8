"""Where the people of the simulator are, kept from one run to the next: the site's log remembers them too."""

import json
from pathlib import Path

from gatekeeper.model.ids import HolderId, ZoneId

__all__ = ["Whereabouts"]


class Whereabouts:
    """Zones by holder; who was never seen is outside."""

    def __init__(self, file: Path, *, outside: ZoneId) -> None:
        self._file = file
        self._outside = outside
        self._zones: dict[HolderId, ZoneId] = _read(file)

    def __getitem__(self, holder: HolderId) -> ZoneId:
        return self._zones.get(holder, self._outside)

    def __setitem__(self, holder: HolderId, zone: ZoneId) -> None:
        self._zones[holder] = zone

    def keep(self) -> None:
        """Write down where everybody is."""
        aside = self._file.with_name(f".{self._file.name}.new")
        aside.write_text(json.dumps(self._zones, sort_keys=True, indent=1) + "\n")
        aside.replace(self._file)


def _read(file: Path) -> dict[HolderId, ZoneId]:
    """Read a former run's file; one that is none is as good as no former run."""
    try:
        written = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    zones = written if isinstance(written, dict) else {}
    return {HolderId(holder): ZoneId(zone) for holder, zone in zones.items() if isinstance(zone, str)}
