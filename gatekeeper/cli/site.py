"""`gatekeeper site`: found a site from its file, and put a changed file in force."""

import asyncio
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.changes import submit
from gatekeeper.cli.options import Data, Dsn, Site, VaultDsn, quiet_settings, run
from gatekeeper.cli.talk import progress, say
from gatekeeper.config import Settings
from gatekeeper.core.change import PolicyChange
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.model.ids import SiteId
from gatekeeper.model.site_file import SiteFileError, read_site
from gatekeeper.service.administration.ceremony import Founding, found_site
from gatekeeper.service.administration.folder import POLICY, SiteFolder, refuse_used, signing_of
from gatekeeper.service.administration.opening import open_site
from gatekeeper.service.administration.plan import must_be_tables, read_plan

__all__ = ["app", "found", "read_file"]

app = typer.Typer(no_args_is_help=True, help="Found a site, or change it.")
File = Annotated[Path, typer.Argument(help="The site file (TOML).")]


@app.command()
def init(file: File, data: Data = None, dsn: Dsn = None, vault_dsn: VaultDsn = None) -> None:
    """Hold the ceremony for a site file: keys, agreements, trust list, gates, people; and open its log."""
    settings = quiet_settings(data=data, dsn=dsn, vault_dsn=vault_dsn)
    site = run(found(settings, file))
    say(
        f"{site} is founded. Its keys are in {site_folder(settings, site).root}; move the root keys elsewhere."
    )


@app.command()
def apply(
    file: File, data: Data = None, site: Site = None, dsn: Dsn = None, vault_dsn: VaultDsn = None
) -> None:
    """Sign a changed site file as the host and hand it to the engine, which puts it in force at once."""
    settings = quiet_settings(data=data, site=site, dsn=dsn, vault_dsn=vault_dsn)
    which = the_site(settings)
    folder = site_folder(settings, which)
    content = read_file(file)
    must_be_tables(content)
    written = read_site(content)
    if written.site != which:
        raise SiteFileError([f"the file describes {written.site}, not {which}"])
    host = folder.read_anchor().host
    document = sign_policy(content, site=which, key=folder.read_key(signing_of(host)))
    submit(settings, which, PolicyChange(document=document), tenant=host)
    # The folder holds what is in force, and not what was asked for.
    if run(_policy_in_force(settings, which)) == document:
        folder.write(POLICY, document)
    else:
        say(f"{folder.root / POLICY} stays as it is until this policy is in force.")


def read_file(file: Path) -> dict[str, Any]:
    """Read a site file. Raises SiteFileError with a sentence."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise SiteFileError([f"there is no file {file}"]) from None
    except IsADirectoryError:
        raise SiteFileError([f"{file} is a folder; name the site file in it"]) from None
    except OSError as error:
        raise SiteFileError([f"{file} cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteFileError([f"{file} is no TOML: {error}"]) from None


async def found(settings: Settings, file: Path) -> SiteId:
    """Found the site of a file and open it in the database."""
    document = read_file(file)
    site = read_plan(
        document, now=datetime.now(UTC)
    ).written.site  # all that is wrong with it, before anything begins
    folder = site_folder(settings, site)
    refuse_used(folder.root)
    async with databases(settings) as (dsn, vault_dsn):
        founding = await asyncio.to_thread(_ceremony, document, folder)
        ledger = PostgresLedger(dsn)
        try:
            await open_site(founding, ledger=ledger, vault=PostgresKeyVault(vault_dsn), now=datetime.now(UTC))
        except BaseException:
            folder.discard()
            raise
        finally:
            await ledger.close()
    return site


async def _policy_in_force(settings: Settings, site: SiteId) -> bytes | None:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        return await reading.document(site, "policy")


def _ceremony(document: dict[str, Any], folder: SiteFolder) -> Founding:
    with progress("ceremony", None) as bar:
        return found_site(document, folder, now=datetime.now(UTC), progress=lambda _, done, of: bar(done, of))
