"""`gatekeeper audit tiles`: a tree of the log as files, for any reader of C2SP tlog-tiles.

Exit 0 when the folder holds all that the newest checkpoint covers, 1 when the log or the folder does not bear it out.
"""

from pathlib import Path
from typing import Annotated

import typer

from gatekeeper.adapters.postgres import PostgresReading, PostgresStoredTrees
from gatekeeper.app import the_site
from gatekeeper.cli.believed import trust_of_the_log
from gatekeeper.cli.options import (
    Data,
    Dsn,
    JsonOutput,
    Site,
    UnusedVaultDsn,
    log_database,
    looking_settings,
    run,
)
from gatekeeper.cli.talk import json_line, progress, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.model.ids import TenantId
from gatekeeper.service.publication import Renewed, TileFolder, TileFolderError
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.service.words import counted

__all__ = ["tiles"]

_NO = 1

OfTenant = Annotated[str | None, typer.Option("--tenant", help="The tree of this tenant.")]
SiteTree = Annotated[bool, typer.Option("--site-tree", help="The tree of the whole site.")]


def tiles(
    out: Annotated[Path, typer.Option(help="Folder to fill; one filled before gets only what is new.")],
    tenant: OfTenant = None,
    site_tree: SiteTree = False,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: UnusedVaultDsn = None,  # noqa: ARG001 - the same options do for every command
) -> None:
    """Write a tree as a folder of checkpoint, tiles and entry bundles that any reader of tlog-tiles checks.

    The entries are there without what is personal. Exit 1 when the log does not bear out its newest checkpoint.
    """
    if (tenant is None) != site_tree:
        raise SettingError("Say which tree: --tenant TENANT, or --site-tree for the whole site's.")
    settings = looking_settings(dsn=dsn, data=data, site=site)
    tree = SITE_TREE if tenant is None else tenant_tree(TenantId(tenant))
    try:
        renewed = run(_renew(settings, tree, out))
    except TileFolderError as error:
        say(str(error))
        raise typer.Exit(_NO) from error
    if json_output:
        json_line(
            {"tree": tree, "size": renewed.size, "added": renewed.added, "left_out": renewed.bundles_left_out}
        )
        return
    say(
        f"{out} holds {counted(renewed.size, 'entry', 'entries')} of {tree} under its newest checkpoint,"
        f" {renewed.added} of them new."
    )
    if renewed.bundles_left_out:
        left_out = counted(renewed.bundles_left_out, "bundle")
        say(
            f"{left_out} of entries that are not all kept any more: their hashes are there, their bodies are not."
        )


async def _renew(settings: Settings, tree: str, out: Path) -> Renewed:
    site = the_site(settings)
    async with log_database(settings) as dsn, PostgresStoredTrees.opened(dsn) as stored:
        async with PostgresReading.opened(dsn) as reading:
            trust = await trust_of_the_log(settings, site, reading)
        verifiers = tree_verifiers(site, trust, trees=[tree]).get(tree)
        if verifiers is None or tree not in await stored.heads(site):
            raise SettingError(f"The log of {site} has no tree {tree}.")
        folder = TileFolder(out, site=site, tree=tree, stored=stored, verifiers=verifiers)
        with progress("writing tiles", None) as told:
            return await folder.renew(told)
