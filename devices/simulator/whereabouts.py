"""Where the people of the simulator are, kept from one run to the next: the site's log remembers them too.

Beside it stands who is astray: elsewhere than where they were last seen by a badge, so that the site cannot know.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from gatekeeper.model.ids import HolderId, ZoneId

__all__ = ["Whereabouts"]


class Whereabouts:
    """Zones by holder; who was never seen is outside."""

    def __init__(self, file: Path, *, outside: ZoneId) -> None:
        self._file = file
        self._outside = outside
        self._zones: dict[HolderId, ZoneId] = _read(file)
        self._believed: dict[HolderId, ZoneId] = _read(self._astray_file)

    def __getitem__(self, holder: HolderId) -> ZoneId:
        return self._zones.get(holder, self._outside)

    @property
    def astray(self) -> Mapping[HolderId, ZoneId]:
        """Where the site must believe those to be who are elsewhere."""
        return self._believed

    def pass_by_badge(self, holder: HolderId, zone: ZoneId) -> None:
        """Somebody went where a gate let them."""
        self._zones[holder] = zone
        self._believed.pop(holder, None)

    def slip_by(self, holder: HolderId, zone: ZoneId) -> None:
        """Somebody went where no gate knows of."""
        believed = self._believed.get(holder, self[holder])
        self._zones[holder] = zone
        self._believed[holder] = believed
        if believed == zone:
            del self._believed[holder]

    def keep(self) -> None:
        """Write down where everybody is."""
        _write(self._file, self._zones)
        _write(self._astray_file, self._believed)

    @property
    def _astray_file(self) -> Path:
        return self._file.with_name("astray.json")


def _write(file: Path, zones: Mapping[HolderId, ZoneId]) -> None:
    aside = file.with_name(f".{file.name}.new")
    aside.write_text(json.dumps(zones, sort_keys=True, indent=1) + "\n")
    aside.replace(file)


def _read(file: Path) -> dict[HolderId, ZoneId]:
    """Read a former run's file; one that is none is as good as no former run."""
    try:
        written = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    zones = written if isinstance(written, dict) else {}
    return {HolderId(holder): ZoneId(zone) for holder, zone in zones.items() if isinstance(zone, str)}
