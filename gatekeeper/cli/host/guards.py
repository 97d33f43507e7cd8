"""`gatekeeper verify`: who waits for a guard's word, with name and photo, and the word itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.postgres.reading import RegistrationRow, WaitingRow
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.host.changes import for_the_site
from gatekeeper.cli.new_files import fill, make_folder
from gatekeeper.cli.options import JsonOutput, by_an_operator, run
from gatekeeper.cli.people.names import Names
from gatekeeper.cli.talk import data as out
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import GuardChange
from gatekeeper.core.register import read_holder
from gatekeeper.core.trust import Trust, TrustRefused, read_trust
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.model.messages import LONGEST_WAIT
from gatekeeper.service.administration.photos import PhotoError, open_photo, suffix_of
from gatekeeper.service.engine.sealing import open_personal
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
        make_folder(photos)
    waiting = run(_waiting(settings, photos))
    if entry is not None:
        waiting = [one for one in waiting if one.row.seq == entry]
        if not waiting:
            raise SettingError(f"No scan waits under entry {entry}: it was answered, or its time is over.")
    _show(waiting, json_output=json_output)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Face:
    """Somebody whom a guard is to know again: their photo's file, or why there is none."""

    holder: HolderId
    registered: RegistrationRow | None
    name: str
    photo: Path | None = None
    why_none: str = "see --photos"

    @property
    def tenant(self) -> str:
        return self.registered.tenant if self.registered is not None else "-"

    def document(self) -> dict[str, Any]:
        photo = None if self.photo is None else str(self.photo)
        return {"holder": self.holder, "name": self.name, "tenant": self.tenant, "photo": photo}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A scan that waits: whoever showed the badge first, and those who would pass along."""

    row: WaitingRow
    faces: list[_Face]

    @property
    def access_point(self) -> str:
        return str(json.loads(self.row.body)["access_point"])


async def _waiting(settings: Settings, folder: Path | None) -> list[_Waiting]:
    site = the_site(settings)
    async with databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        rows = await reading.waiting(site, since=datetime.now(UTC) - _FORGOTTEN)
        if not rows:
            return []
        desk = await _Desk.of(settings, site, reading, vault_dsn)
        return [await desk.waiting(row, folder) for row in rows]


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where names and photos come from: signed registrations, sealed pictures, and the persons' keys."""

    site: SiteId
    reading: PostgresReading
    vault: PostgresKeyVault
    names: Names
    trust: Trust

    @classmethod
    async def of(cls, settings: Settings, site: SiteId, reading: PostgresReading, vault_dsn: str) -> "_Desk":
        anchor = site_folder(settings, site).read_anchor()
        trust = read_trust(await reading.document(site, "trust") or b"", anchor=anchor, not_below=0)
        if isinstance(trust, TrustRefused):
            raise SettingError(f"The trust list is not believed: {trust.code.sentence}")
        return cls(site, reading, PostgresKeyVault(vault_dsn), Names(vault_dsn, site), trust)

    async def waiting(self, row: WaitingRow, folder: Path | None) -> _Waiting:
        """Whose faces are to be looked at, with the photos written into a folder."""
        who = [row.holder, *await self._party(row)]
        registered = await self.reading.registrations(self.site, who)
        names = await self.names.open({one: row.name for one, row in registered.items()})
        faces = [_Face(holder=one, registered=registered.get(one), name=names.get(one, "-")) for one in who]
        if folder is not None:
            files = [str(row.seq), *(f"{row.seq}-{place}" for place in range(1, len(faces)))]
            faces = [await self._shown(face, folder, file) for face, file in zip(faces, files, strict=True)]
        return _Waiting(row, faces)

    async def _party(self, row: WaitingRow) -> list[HolderId]:
        """Who else would pass on this guard's yes."""
        key = await self._key(row.holder)
        if row.personal is None or key is None:
            return []
        personal = json.loads(open_personal(row.personal, key=key, site=self.site, seq=row.seq))
        return [HolderId(holder) for holder in personal.get("party", ())]

    async def _shown(self, face: _Face, folder: Path, name: str) -> _Face:
        """Write somebody's photo into a folder."""
        try:
            picture = await self._photo(face)
        except PhotoError as error:
            return replace(face, why_none=str(error))
        if picture is None:
            return replace(face, why_none="none is registered")
        file = folder / f"{name}{suffix_of(picture)}"
        try:
            fill(folder, {file.name: picture})
        except SettingError as error:
            return replace(face, why_none=str(error))
        return replace(face, photo=file, why_none="")

    async def _photo(self, face: _Face) -> bytes | None:
        holder = None if face.registered is None else read_holder(face.registered.document, trust=self.trust)
        if holder is None or holder.photo is None:
            return None
        sealed = await self.reading.photo(self.site, holder.id, holder.photo)
        key = await self._key(holder.id)
        if sealed is None or key is None:
            raise PhotoError("The photo that the tenant signed is not kept here.")
        return open_photo(sealed, key=key, site=self.site, holder=holder.id, digest=holder.photo)

    async def _key(self, holder: HolderId) -> bytes | None:
        return (await self.vault.keys_of(self.site, [holder])).get(holder)


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
                shown(face.name),
                face.holder,
                face.tenant,
                one.access_point,
                f"{(now - one.row.issued).total_seconds():.0f} s",
                str(face.photo) if face.photo is not None else face.why_none,
            )
            for one in waiting
            for face in one.faces
        ],
        yielding=("name", "tenant"),
    )
    people = sum(len(one.faces) for one in waiting)
    together = "" if people == len(waiting) else " One word is for all under an entry: look at each."
    out.print(
        f"{counted(people, 'person', 'people')}; say: gatekeeper verify ENTRY yes, or no.{together}",
        style="dim",
    )


def _document(one: _Waiting) -> dict[str, Any]:
    first, *others = one.faces
    return {
        "entry": one.row.seq,
        **first.document(),
        "with": [face.document() for face in others],
        "access_point": one.access_point,
        "gate": one.row.gate,
        "since": one.row.issued.isoformat(),
    }
