"""`gatekeeper audit timestamps`: what a time-stamping authority said of the log's checkpoints, to take along and to check.

Exit 0 when every stamp that was looked at is believed, 1 when one is not, and 3 when none can be looked at.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.x509 import Certificate, load_pem_x509_certificates

from gatekeeper.adapters.postgres import PostgresReading, TimestampRow
from gatekeeper.app import the_site
from gatekeeper.cli.new_files import fill, make_folder
from gatekeeper.cli.options import (
    Data,
    Dsn,
    JsonOutput,
    Site,
    VaultDsn,
    looking_databases,
    looking_settings,
    run,
)
from gatekeeper.cli.talk import json_line, local, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.service.auditor.timestamps import TimestampRefusal, TimestampRefused, verify_timestamp
from gatekeeper.service.words import counted
from gatekeeper.transparency import Note, parse_note

__all__ = ["timestamps"]

_REFUSED, _CANNOT_CHECK = 1, 3


def timestamps(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write each stamp (.tsr) and the text it is over (.txt) into, for openssl."
        ),
    ] = None,
    roots: Annotated[
        Path | None,
        typer.Option(help="Root certificates of authorities that are believed (PEM): check each."),
    ] = None,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Show the time stamps of the log's checkpoints (RFC 3161); with --roots check each, and say when it was made.

    Exit 0: every one is believed. Exit 1: one is not. Exit 3: it could not be checked.
    """
    believed = [] if roots is None else _certificates(roots)
    settings = looking_settings(dsn=dsn, vault_dsn=vault_dsn, data=data, site=site)
    stamps = run(_stamps(settings))
    if out is not None and stamps:
        _write(stamps, out)
    found = [None if roots is None else _checked(stamp, believed) for stamp in stamps]
    if json_output:
        json_line([_document(stamp, one) for stamp, one in zip(stamps, found, strict=True)])
    else:
        _show(stamps, found)
    refused = [one for one in found if isinstance(one, TimestampRefused)]
    if any(one.code is TimestampRefusal.UNCHECKED for one in refused):
        say(f"Cannot check: {TimestampRefusal.UNCHECKED.sentence}")
        raise typer.Exit(_CANNOT_CHECK)
    if refused:
        say(f"{counted(len(refused), 'time stamp')} of {len(stamps)} not believed.")
        raise typer.Exit(_REFUSED)


async def _stamps(settings: Settings) -> Sequence[TimestampRow]:
    site = the_site(settings)
    async with looking_databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        return await reading.timestamps(site)


def _certificates(path: Path) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingError(f"{path} holds no certificate (PEM).") from error


def _text_of(stamp: TimestampRow) -> bytes | None:
    """The text that a stamp should be over; None when its checkpoint is gone, or is no note."""
    parsed = None if stamp.note is None else parse_note(stamp.note)
    return parsed.text.encode() if isinstance(parsed, Note) else None


def _checked(stamp: TimestampRow, roots: Sequence[Certificate]) -> datetime | TimestampRefused:
    text = _text_of(stamp)
    if text is None:
        return TimestampRefused(code=TimestampRefusal.OTHER_TEXT, detail="the checkpoint is gone")
    return verify_timestamp(stamp.reply, text, roots=roots)


def _write(stamps: Sequence[TimestampRow], folder: Path) -> None:
    make_folder(folder)
    contents: dict[str, bytes] = {}
    for stamp in stamps:
        name = f"{stamp.tree.replace(':', '-')}-{stamp.size}"
        contents[f"{name}.tsr"] = stamp.reply
        text = _text_of(stamp)
        if text is not None:
            contents[f"{name}.txt"] = text
    fill(folder, contents)
    say(
        f"{counted(len(stamps), 'time stamp')} in {folder}. To check one with openssl: "
        "openssl ts -verify -in NAME.tsr -data NAME.txt -CAfile ROOTS.pem"
    )


def _document(stamp: TimestampRow, found: datetime | TimestampRefused | None) -> dict[str, object]:
    return {
        "tree": stamp.tree,
        "size": stamp.size,
        "asked": stamp.at,
        "stamped": found if isinstance(found, datetime) else None,
        "refused": found.code if isinstance(found, TimestampRefused) else None,
    }


def _show(stamps: Sequence[TimestampRow], found: Sequence[datetime | TimestampRefused | None]) -> None:
    if not stamps:
        say("The log has no time stamps: the setting tsa names an authority that makes them.")
        return
    table(
        ("tree", "size", "asked", "stamped"),
        [
            (stamp.tree, stamp.size, local(stamp.at), _said(one))
            for stamp, one in zip(stamps, found, strict=True)
        ],
    )


def _said(found: datetime | TimestampRefused | None) -> str:
    match found:
        case None:
            return "not checked"
        case TimestampRefused(code=code):
            return code.value
        case _:
            return local(found)
