"""`gatekeeper site`: found a site from its file, and put a changed file in force."""

import asyncio
import shutil
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.host.changes import submit
from gatekeeper.cli.host.planned import show_policy_plan
from gatekeeper.cli.host.waiting import WAITS
from gatekeeper.cli.options import (
    Data,
    Dsn,
    JsonOutput,
    VaultDsn,
    at_a_site,
    by_an_operator,
    quiet_settings,
    run,
)
from gatekeeper.cli.talk import progress, say
from gatekeeper.config import Settings
from gatekeeper.core.change import PolicyChange
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.model.ids import SiteId
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.site_file import Lines, SiteFileError, read_site, read_site_file
from gatekeeper.service.administration.ceremony import Founding, found_site
from gatekeeper.service.administration.folder import POLICY, SiteFolder, refuse_used, signing_of
from gatekeeper.service.administration.opening import open_site
from gatekeeper.service.administration.operators import carry_away, keys_of_operators, refuse_used_keys
from gatekeeper.service.administration.plan import read_plan
from gatekeeper.service.administration.trust_list import read_current_trust

__all__ = ["app", "found", "read_file"]

app = typer.Typer(no_args_is_help=True, help="Found a site, or change it.")
File = Annotated[Path, typer.Argument(help="The site file (TOML).")]


@app.command()
def init(
    file: File,
    gate_keys: Annotated[
        bool | None,
        typer.Option(
            "--gate-keys/--no-gate-keys",
            help="Make the gates' keys here, or leave that to each gate; else only for an example, with invented people.",
        ),
    ] = None,
    data: Data = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Hold the ceremony for a site file: keys, agreements, trust list, gates, people; and open its log."""
    settings = quiet_settings(data=data, dsn=dsn, vault_dsn=vault_dsn)
    site = run(found(settings, file, gate_keys=gate_keys))
    say(
        f"{site} is founded. Its keys are in {site_folder(settings, site).root}; move the root keys elsewhere."
    )
    say(
        f"The first operators' keys are in {keys_of_operators(settings.data, site).root}: give each to another person."
    )
    say(_about_gates(site_folder(settings, site)))


def _about_gates(folder: SiteFolder) -> str:
    if read_current_trust(folder).listing.gates:
        return (
            f"The keys of its gates were made here, in {folder.root / 'gates'}: whoever has read one can be that gate. At a real "
            "site each gate makes its own (--no-gate-keys)."
        )
    return "Its gates make their own keys: gatekeeper ca init, then gatekeeper gate enroll GATE --out FOLDER for each."


@app.command()
@by_an_operator
def apply(
    file: File,
    *,
    settings: Settings,
) -> None:
    """Sign a changed site file as the host and hand it to the engine: in force at once, or when a second person agrees."""
    which = the_site(settings)
    folder = site_folder(settings, which)
    _written(file, which)
    key = folder.read_key(signing_of(folder.read_anchor().host))
    document = sign_policy(read_file(file), site=which, key=key)
    stays = f"{folder.root / POLICY} stays as it is until this policy is in force."
    try:
        submit(settings, which, PolicyChange(document=document))
    except typer.Exit as ends:
        if ends.exit_code == WAITS:
            say(stays)
        raise
    # The folder holds what is in force, and not what was asked for.
    if run(_policy_in_force(settings, which)) == document:
        folder.write(POLICY, document)
    else:
        say(stays)


@app.command()
@at_a_site
def plan(
    file: File,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Say who would gain and who would lose what if a changed site file were applied; nothing is changed."""
    which = the_site(settings)
    show_policy_plan(settings, which, _written(file, which), json_output)


def _written(file: Path, site: SiteId) -> SitePolicy:
    written = read_site(read_file(file))
    if written.site != site:
        raise SiteFileError([f"{file}: it describes {written.site}, not {site}"])
    return written


def read_file(file: Path) -> dict[str, Any]:
    """Read a site file and check it. Raises SiteFileError with every problem, each with its line."""
    document, lines = _parsed(file)
    read_site_file(document, lines=lines)
    return document


def _parsed(file: Path) -> tuple[dict[str, Any], Lines]:
    try:
        text = file.read_text("utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise SiteFileError([f"there is no file {file}"]) from None
    except IsADirectoryError:
        raise SiteFileError([f"{file} is a folder; name the site file in it"]) from None
    except OSError as error:
        raise SiteFileError([f"{file} cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteFileError([f"{file} is no TOML: {error}"]) from None
    return document, Lines.of(text, file=str(file))


async def found(
    settings: Settings,
    file: Path,
    *,
    people: int | None = None,
    gate_keys: bool | None = None,
    amended: Callable[[dict[str, Any]], dict[str, Any]] = lambda document: document,
) -> SiteId:
    """Found the site of a file and open it in the database.

    `people` is how many an example shall have, when that is more than its file has; `gate_keys`, whether the gates' keys are
    made here (see `found_site`); `amended` changes what the file says.
    """
    document, lines = _parsed(file)
    document = amended(document)
    site = read_plan(document, now=datetime.now(UTC), lines=lines).written.site
    folder, keys = site_folder(settings, site), keys_of_operators(settings.data, site)
    refuse_used(folder.root)
    refuse_used_keys(keys)
    async with databases(settings) as (dsn, vault_dsn):
        founding = await asyncio.to_thread(_ceremony, document, folder, people, gate_keys)
        try:
            carry_away(folder, keys)
            await _open(founding, dsn, vault_dsn, keys)
        except BaseException:
            folder.discard()
            raise
    return site


async def _open(founding: Founding, dsn: str, vault_dsn: str, keys: SiteFolder) -> None:
    ledger = PostgresLedger(dsn)
    try:
        await open_site(founding, ledger=ledger, vault=PostgresKeyVault(vault_dsn), now=datetime.now(UTC))
    except BaseException:
        shutil.rmtree(keys.root)
        raise
    finally:
        await ledger.close()


async def _policy_in_force(settings: Settings, site: SiteId) -> bytes | None:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        return await reading.document(site, "policy")


def _ceremony(
    document: dict[str, Any], folder: SiteFolder, people: int | None, gate_keys: bool | None
) -> Founding:
    with progress("ceremony", None) as bar:
        return found_site(
            document,
            folder,
            now=datetime.now(UTC),
            people=people,
            gate_keys=gate_keys,
            progress=lambda _, done, of: bar(done, of),
        )
