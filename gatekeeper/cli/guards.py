"""`gatekeeper verify`: who waits for a guard's word, with name and photo, and the word itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.postgres.reading import WaitingRow
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.changes import for_the_site
from gatekeeper.cli.options import JsonOutput, by_an_operator, run
from gatekeeper.cli.talk import data as out
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import GuardChange
from gatekeeper.core.register import read_holder
from gatekeeper.core.trust import Trust, TrustRefused, read_trust
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.model.messages import LONGEST_WAIT
from gatekeeper.service.administration.photos import PhotoError, open_photo, suffix_of
from gatekeeper.service.words import counted, shown

__all__ = ["verify"]

_FORGOTTEN = LONGEST_WAIT + timedelta(seconds=1)


@by_an_operator
def verify(
    entry: Annotated[
        int | None, typer.Argument(help="The entry of the scan that waits; without it all are shown that do.")
    ] = None,
    word: Annotated[str | None, typer.Argument(metavar="[yes|no]", help="The guard's word.")] = None,
    photos: Annotated[
        Path | None, typer.Option("--photos", help="A folder to write the photos of those who wait into.")
    ] = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Show who waits for a guard's word, or say it: yes, it is the badge's holder, or no."""
    if entry is not None and word in {"yes", "no"}:
        for_the_site(settings, GuardChange(entry=entry, yes=word == "yes"))
        return
    if word is not None:
        raise SettingError(f"Say: gatekeeper verify {entry} yes, or no.")
    if photos is not None:
        photos.mkdir(mode=0o700, parents=True, exist_ok=True)
    waiting = run(_waiting(settings, photos))
    if entry is not None:
        waiting = [one for one in waiting if one.row.seq == entry]
        if not waiting:
            raise SettingError(f"No scan waits under entry {entry}: it was answered, or its time is over.")
    _show(waiting, json_output=json_output)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Somebody who waits: their photo's file, or why there is none."""

    row: WaitingRow
    photo: Path | None
    why_none: str

    @property
    def access_point(self) -> str:
        return str(json.loads(self.row.body)["access_point"])


async def _waiting(settings: Settings, folder: Path | None) -> list[_Waiting]:
    site = the_site(settings)
    async with databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        rows = await reading.waiting(site, since=datetime.now(UTC) - _FORGOTTEN)
        if not rows or folder is None:
            return [_Waiting(row, None, "see --photos") for row in rows]
        photos = await _Photos.of(settings, site, reading, vault_dsn)
        return [await photos.written(row, folder) for row in rows]


@dataclass(frozen=True, slots=True)
class _Photos:
    """Where photos come from: signed registrations, sealed pictures, and the persons' keys."""

    site: SiteId
    reading: PostgresReading
    vault: PostgresKeyVault
    trust: Trust

    @classmethod
    async def of(
        cls, settings: Settings, site: SiteId, reading: PostgresReading, vault_dsn: str
    ) -> "_Photos":
        anchor = site_folder(settings, site).read_anchor()
        trust = read_trust(await reading.document(site, "trust") or b"", anchor=anchor, not_below=0)
        if isinstance(trust, TrustRefused):
            raise SettingError(f"The trust list is not believed: {trust.code.sentence}")
        return cls(site, reading, PostgresKeyVault(vault_dsn), trust)

    async def written(self, row: WaitingRow, folder: Path) -> _Waiting:
        """Write somebody's photo into a folder."""
        try:
            picture = await self._photo(row)
        except PhotoError as error:
            return _Waiting(row, None, str(error))
        if picture is None:
            return _Waiting(row, None, "none is registered")
        file = folder / f"{row.seq}{suffix_of(picture)}"
        file.touch(mode=0o600)
        file.write_bytes(picture)
        return _Waiting(row, file, "")

    async def _photo(self, row: WaitingRow) -> bytes | None:
        holder = None if row.document is None else read_holder(row.document, trust=self.trust)
        if holder is None or holder.photo is None:
            return None
        sealed = await self.reading.photo(self.site, holder.id, holder.photo)
        key = (await self._keys(holder.id)).get(holder.id)
        if sealed is None or key is None:
            raise PhotoError("The photo that the tenant signed is not kept here.")
        return open_photo(sealed, key=key, site=self.site, holder=holder.id, digest=holder.photo)

    async def _keys(self, holder: HolderId) -> dict[HolderId, bytes]:
        return dict(await self.vault.keys_of(self.site, [holder]))


def _show(waiting: Sequence[_Waiting], *, json_output: bool) -> None:
    if json_output:
        json_line({"waiting": [_document(one) for one in waiting]})
        return
    if not waiting:
        say("Nobody waits for a guard's word.")
        return
    now = datetime.now(UTC)
    table(
        ("entry", "name", "holder", "tenant", "at", "waits", "photo"),
        [
            (
                one.row.seq,
                shown(one.row.name or "-"),
                one.row.holder or "-",
                one.row.tenant or "-",
                one.access_point,
                f"{(now - one.row.issued).total_seconds():.0f} s",
                str(one.photo) if one.photo is not None else one.why_none,
            )
            for one in waiting
        ],
        yielding=("name", "tenant"),
    )
    out.print(
        f"{counted(len(waiting), 'person', 'people')}; say: gatekeeper verify ENTRY yes, or no.", style="dim"
    )


def _document(one: _Waiting) -> dict[str, Any]:
    row = one.row
    return {
        "entry": row.seq,
        "holder": row.holder,
        "name": row.name,
        "tenant": row.tenant,
        "access_point": one.access_point,
        "gate": row.gate,
        "since": row.issued.isoformat(),
        "photo": None if one.photo is None else str(one.photo),
    }
