"""`gatekeeper holder photo`: the picture that a guard compares a face with.

The tenant signs the picture's SHA-256 in the holder's registration; the picture itself is kept sealed under the person's
own key. It is put down before the registration is handed in, and shown only when a registration in force names it.
"""

from pathlib import Path
from typing import Annotated

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases
from gatekeeper.cli.options import JsonOutput, by_an_operator, run
from gatekeeper.cli.people.desk import OpenDesk, TenantOption, at_desk, conclude, hand_in, is_made, paper_of
from gatekeeper.cli.people.people import HolderArgument
from gatekeeper.cli.people.people_files import app
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError, Settings
from gatekeeper.model.ids import HolderId
from gatekeeper.service.administration.photos import digest_of_photo, read_photo, seal_photo

__all__ = ["app"]

Picture = Annotated[
    Path | None, typer.Argument(metavar="PICTURE", help="A JPEG or PNG file of 256 kB at most.")
]


@app.command("photo")
@by_an_operator
def holder_photo(
    holder: HolderArgument,
    picture: Picture = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the photo away; no other is given.")] = False,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Give somebody a photo, or another one: a guard sees it who must say whether it is them."""
    if (picture is None) is not remove:
        raise SettingError(f"Say: gatekeeper holder photo {holder} PICTURE, or --remove.")
    photo = None if picture is None else read_photo(picture.read_bytes())
    with at_desk(settings, tenant=tenant, about=holder, changes=True) as at:
        who = at.person(holder).holder.id
        digest = None if photo is None else digest_of_photo(photo)
        registration = at.desk.register_photo(who, digest)
        if photo is not None:
            run(_put_down(at, who, photo))
        (outcome,) = hand_in(at, [paper_of(registration)])
        if is_made(outcome):
            run(_tidy(at, who, digest))
            if not json_output:
                say(f"{at.called(who)} has {'no photo any more' if photo is None else 'a photo'}.")
        document = {"holder": who, "version": registration.holder.version, "photo": photo is not None}
        conclude(outcome, document, json_output=json_output)


async def _put_down(at: OpenDesk, holder: HolderId, photo: bytes) -> None:
    async with databases(at.settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        keys = await PostgresKeyVault(vault_dsn).ensure(at.site, [holder])
        sealed = seal_photo(photo, key=keys[holder], site=at.site, holder=holder)
        await reading.put_photo(at.site, holder, digest_of_photo(photo), sealed)


async def _tidy(at: OpenDesk, holder: HolderId, digest: bytes | None) -> None:
    """Forget the photos that no registration names any more."""
    async with databases(at.settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        await reading.drop_photos(at.site, holder, but=digest)
