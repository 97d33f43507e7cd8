"""`gatekeeper audit`: prove that the log is whole, or say what is wrong with it.

Exit 0 when everything that was looked at is as it must be, 1 when it is not, 3 when it cannot be looked at.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.options import Data, Dsn, JsonOutput, Site, VaultDsn, quiet_settings, run
from gatekeeper.cli.talk import json_line, progress, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.core.trust import Trust, TrustRefused, read_trust
from gatekeeper.model.ids import SiteId
from gatekeeper.ports import LedgerUnavailableError
from gatekeeper.service.verification import Report, SavedCheckpoint, verify_log
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.transparency import Refused, open_checkpoint

__all__ = ["app", "verify_site"]

app = typer.Typer(no_args_is_help=True, help="Prove that the log is whole.")

_INVALID, _CANNOT_CHECK = 1, 3


@app.callback()
def _group() -> None:
    """Keep `verify` a sub-command while it is the only one."""


@app.command()
def verify(
    remember: Annotated[
        Path | None,
        typer.Option(
            help="File with the checkpoint seen last time; demanded to fit, and renewed when all is well."
        ),
    ] = None,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Re-hash every stored body, rebuild every tree, and compare with the signed checkpoints and a saved one."""
    settings = quiet_settings(data=data, site=site, dsn=dsn, vault_dsn=vault_dsn)
    try:
        report = run(verify_site(settings, the_site(settings), remember=remember, bar=not json_output))
    except (LedgerUnavailableError, SettingError) as error:
        say(f"Cannot check: {error}")
        raise typer.Exit(_CANNOT_CHECK) from error
    if json_output:
        json_line(report_document(report))
    else:
        _tell(report)
    raise typer.Exit(0 if report.valid else _INVALID)


def report_document(report: Report) -> dict[str, object]:
    """A report as JSON."""
    return {
        "valid": report.valid,
        "entries": report.entries,
        "root": report.root.hex(),
        "trees": report.trees,
        "checkpoints": report.checkpoints,
        "personal_parts_opened": report.personal_opened,
        "problems": report.problems,
        "not_checked": report.unchecked,
    }


def _tell(report: Report) -> None:
    for problem in report.problems[:20]:
        say(f"INVALID: {problem}")
    if len(report.problems) > 20:
        say(f"INVALID: and {len(report.problems) - 20} more")
    for thing in report.unchecked:
        say(f"Not checked: {thing}.")
    verdict = "Valid" if report.valid else "INVALID"
    say(
        f"{verdict}: {report.entries} entries, {report.trees} trees rebuilt, {report.checkpoints} signed checkpoints, "
        f"{report.personal_opened} personal parts opened; root {report.root.hex()}."
    )


async def verify_site(settings: Settings, site: SiteId, *, remember: Path | None, bar: bool) -> Report:
    """Verify a site's log in its database. Raises SettingError when that cannot be begun."""
    anchor = site_folder(settings, site).read_anchor()
    remembered = remember.read_bytes() if remember is not None and remember.exists() else None  # noqa: ASYNC240 - one small file
    async with databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        document = await reading.document(site, "trust")
        trust = read_trust(document, anchor=anchor, not_below=0) if document is not None else None
        if trust is None or isinstance(trust, TrustRefused):
            raise SettingError("there is no trust list that the site's roots signed")
        claimed = await reading.claimed(site)
        keys = await PostgresKeyVault(vault_dsn).keys(site)
        size, _ = claimed.heads.get(SITE_TREE, (0, b""))
        with progress("verifying", size) if bar else nullcontext() as told:
            report = await verify_log(
                site,
                reading.entries(site, since=0, until=size),
                claimed=claimed,
                saved=_saved(remembered, site, trust),
                verifiers=tree_verifiers(site, trust, trees=claimed.heads),
                keys=keys,
                progress=told,
            )
        if report.valid and remember is not None:
            newest = await reading.newest_checkpoint(site, tree=SITE_TREE)
            if newest is not None:
                remember.write_bytes(newest.note)  # noqa: ASYNC240 - one small file
    return report


def _saved(note: bytes | None, site: SiteId, trust: Trust) -> list[SavedCheckpoint]:
    if note is None:
        return []
    verifiers = tree_verifiers(site, trust, trees=[SITE_TREE])[SITE_TREE]
    opened = open_checkpoint(note, verifiers)
    if isinstance(opened, Refused):
        raise SettingError(f"the remembered checkpoint is none of this log: {opened.code.sentence}")
    return [SavedCheckpoint(size=opened.checkpoint.size, root=opened.checkpoint.root)]
