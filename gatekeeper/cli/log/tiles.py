"""`gatekeeper audit tiles`: a tree of the log as files, for any reader of C2SP tlog-tiles.

Exit 0 when the folder holds all that the newest checkpoint covers, 1 when the log or the folder does not bear it out.
"""

from pathlib import Path
from typing import Annotated

import typer

from gatekeeper.adapters.postgres import PostgresReading, PostgresStoredTrees
from gatekeeper.app import the_site
from gatekeeper.cli.host.believed import trust_of_the_log
from gatekeeper.cli.host.signing import hand_in, signer_for
from gatekeeper.cli.host.waiting import waits
from gatekeeper.cli.new_files import see_folder
from gatekeeper.cli.options import JsonOutput, by_an_operator, looking_databases, run
from gatekeeper.cli.people.desk import refusal
from gatekeeper.cli.talk import json_line, progress, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.core.change import LogExportChange
from gatekeeper.core.change_content import is_reason
from gatekeeper.core.supervise import APPLIED
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.service.publication import Publishing, Renewed, TileFolder, TileFolderError
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.service.words import counted

__all__ = ["tiles"]

_NO = 1


@by_an_operator
def tiles(
    out: Annotated[Path, typer.Option(help="Folder to fill; one filled before gets only what is new.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="The tree of this tenant.")] = None,
    site_tree: Annotated[bool, typer.Option("--site-tree", help="The tree of the whole site.")] = False,
    entries: Annotated[
        bool, typer.Option("--entries", help="With the entries, which is an export: the log says so first.")
    ] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Why the entries are taken out, in one line; it stays in the log."),
    ] = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Write a tree as a folder of checkpoint and tiles, with --entries also bundles, that any reader of tlog-tiles checks.

    Of entries it holds what is not personal. Exit 1 when the log does not bear out its newest checkpoint, or when the log
    does not allow that its entries are taken out.
    """
    if (tenant is None) != site_tree:
        raise SettingError("Say which tree: --tenant TENANT, or --site-tree for the whole site's.")
    if entries != (reason is not None) or not (reason is None or is_reason(reason.strip())):
        raise SettingError(
            "To take entries out say --entries and why, with --reason: one line of 1 to 200 characters, which names nobody."
        )
    about = None if tenant is None else TenantId(tenant)
    see_folder(out)
    tree = SITE_TREE if about is None else tenant_tree(about)
    why = None if reason is None else reason.strip()
    try:
        renewed = run(_renew(settings, tree, about, why, out))
    except TileFolderError as error:
        say(str(error))
        raise typer.Exit(_NO) from error
    _tell(renewed, tree, out, json_output=json_output)


async def _renew(
    settings: Settings, tree: str, tenant: TenantId | None, reason: str | None, out: Path
) -> Renewed:
    site = the_site(settings)
    async with looking_databases(settings) as (dsn, _), PostgresStoredTrees.opened(dsn) as stored:
        async with PostgresReading.opened(dsn) as reading:
            trust = await trust_of_the_log(settings, site, reading)
            verifiers = tree_verifiers(site, trust, trees=[tree]).get(tree)
            if verifiers is None or tree not in await stored.heads(site):
                raise SettingError(f"The log of {site} has no tree {tree}.")
            if reason is not None:
                await _say_why(settings, site, reading, tree, tenant, reason)
        folder = TileFolder(
            out,
            site=site,
            tree=tree,
            stored=stored,
            verifiers=verifiers,
            publishing=Publishing.TILES if reason is None else Publishing.ENTRIES,
        )
        with progress("writing tiles", None) as told:
            return await folder.renew(told)


async def _say_why(
    settings: Settings,
    site: SiteId,
    reading: PostgresReading,
    tree: str,
    tenant: TenantId | None,
    reason: str,
) -> None:
    """Let the log say who takes its entries out. Raises TileFolderError when it refuses; exits 4 when that waits."""
    change = LogExportChange(
        tree=tree, since=None, until=None, doors=(), decisions=(), holder=None, openings=False, reason=reason
    )
    signer = await signer_for(reading, settings, site, change, tenant=tenant)
    outcome = (await hand_in(reading, signer, change)).outcome
    if outcome is None:
        say("Nothing is written before the log says who takes it out: when it does, say the same again.")
        raise waits()
    if outcome.code != APPLIED:
        raise TileFolderError(refusal(outcome))


def _tell(renewed: Renewed, tree: str, out: Path, *, json_output: bool) -> None:
    if json_output:
        json_line(
            {
                "tree": tree,
                "size": renewed.size,
                "added": renewed.added,
                "left_out": renewed.bundles_left_out,
            }
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
