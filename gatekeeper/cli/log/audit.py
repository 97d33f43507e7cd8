"""`gatekeeper audit verify` of the log in its database: prove that it is whole, or say what is wrong with it.

Exit 0 when everything that was looked at is as it must be, 1 when it is not, and 3 when it cannot be looked at, for
whatever reason: no fault of ours or of the databases is ever taken for a log that was altered.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.faults import sentence_of
from gatekeeper.cli.host.believed import trust_of_the_log
from gatekeeper.cli.log.told import (
    cannot_check,
    finding_document,
    other_key_known,
    seen_document,
    witness_document,
    witness_words,
)
from gatekeeper.cli.options import quiet_settings, run
from gatekeeper.cli.talk import json_line, progress, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.core.log_keys import log_verifiers
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import LedgerUnavailableError
from gatekeeper.service.auditor import CannotCheckError, Fault, Known, Memory
from gatekeeper.service.verification import Brought, Claimed, Report, verify_log
from gatekeeper.service.verification.brought import bring as bring_along
from gatekeeper.service.verification.brought import remember
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.service.verification.periods import periods_of
from gatekeeper.service.words import counted, shown

__all__ = ["verify_database", "verify_site"]

_INVALID = 1
_TOLD = 20


def verify_database(
    *,
    bring: Callable[[], Known],
    json_output: bool,
    data: Path | None,
    site: str | None,
    dsn: str | None,
    vault_dsn: str | None,
) -> NoReturn:
    """Verify the log in its database, say what was found, and end the command."""
    try:
        settings = quiet_settings(data=data, site=site, dsn=dsn, vault_dsn=vault_dsn)
        named, known = the_site(settings), bring()
        report, brought = run(verify_site(settings, named, known=known, bar=not json_output))
        if json_output:
            json_line(report_document(report))
        else:
            _tell(report)
            _tell_other_key(report, known, brought, named)
        if known.memory is not None and report.valid:
            remembered = _remembered(known.memory, named, brought, report)
            if not json_output:
                say(remembered)
    except CannotCheckError as error:
        raise cannot_check(str(error), json_output=json_output) from error
    except Exception as error:
        # Not even a defect of ours may end with the code that says INVALID.
        raise cannot_check(
            sentence_of(error) or f"{type(error).__name__}: {error}", json_output=json_output
        ) from error
    raise typer.Exit(0 if report.valid else _INVALID)


def report_document(report: Report) -> dict[str, object]:
    """A report as JSON."""
    return {
        "valid": report.valid,
        "entries": report.entries,
        "deleted": report.deleted,
        "root": report.root.hex(),
        "trees": report.trees,
        "checkpoints": report.checkpoints,
        "personal_parts_opened": report.personal_opened,
        "problems": report.problems,
        "findings": [finding_document(finding) for finding in report.findings],
        "consistent_with": [seen_document(one) for one in report.consistent_with],
        "cosigned": [
            {
                "tree": tree,
                "size": cosigned.size,
                "witnesses": [witness_document(one) for one in cosigned.witnesses],
            }
            for tree, cosigned in report.cosigned.items()
        ],
        "stamped": [{"tree": tree, "size": size, "at": at} for tree, (size, at) in report.stamped.items()],
        "not_checked": report.unchecked,
    }


def _tell(report: Report) -> None:
    for problem in report.problems[:_TOLD]:
        say(f"INVALID: {problem}")
    if len(report.problems) > _TOLD:
        say(f"INVALID: and {len(report.problems) - _TOLD} more; --json tells them all")
    if report.consistent_with:
        say(f"One with {counted(len(report.consistent_with), 'checkpoint')} seen before.")
    for tree, cosigned in report.cosigned.items():
        by = ", ".join(map(witness_words, cosigned.witnesses))
        say(f"Cosigned: {shown(tree)} up to {counted(cosigned.size, 'entry', 'entries')}, by {by}.")
    for tree, (size, at) in report.stamped.items():
        say(f"Stamped: {shown(tree)} at {counted(size, 'entry', 'entries')}, at {at.isoformat()}.")
    for thing in report.unchecked:
        say(f"Not checked: {thing}.")
    verdict = "Valid" if report.valid else "INVALID"
    say(
        f"{verdict}: {counted(report.entries, 'entry', 'entries')}, {counted(report.trees, 'tree')} rebuilt, "
        f"{counted(report.checkpoints, 'signed checkpoint')}, "
        f"{counted(report.personal_opened, 'personal part')} opened; root {report.root.hex()}."
    )


def _tell_other_key(report: Report, known: Known, brought: Brought, site: SiteId) -> None:
    differs = any(finding.code is Fault.CHECKPOINT_KEY for finding in report.findings)
    recalled = any(one.keys for one in brought.remembered.values())
    if differs and recalled and known.key is None and known.memory is not None:
        say(other_key_known(known.memory, f"gatekeeper/{site}"))


def _remembered(memory: Memory, site: SiteId, brought: Brought, report: Report) -> str:
    """Remember the newest checkpoints of a valid log; what to say of it."""
    kept = remember(memory, site, brought, report)
    if kept:
        trees = ", ".join(
            f"{shown(tree)} at {counted(size, 'entry', 'entries')}" for tree, size in kept.items()
        )
        return f"Remembered in {memory.folder}: {trees}."
    if report.newest or brought.remembered:
        return "What was remembered stays: the log holds no newer checkpoint."
    return "There is nothing to remember: the log holds no signed checkpoint yet."


async def verify_site(settings: Settings, site: SiteId, *, known: Known, bar: bool) -> tuple[Report, Brought]:
    """Verify a site's log in its database against what is known of it; what was found, and what it was held against.

    Raises what `sentence_of` tells when that cannot be begun, and CannotCheckError.
    """
    async with _databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        trust = await trust_of_the_log(settings, site, reading)
        brought = bring_along(known, site=site, verifiers=lambda tree: log_verifiers(trust, tree))
        keys = await _keys(vault_dsn, site)
        while True:
            claimed = await reading.claimed(site)
            size, _ = claimed.heads.get(SITE_TREE, (0, b""))
            with progress("verifying", claimed.entries) if bar else nullcontext() as told:
                report = await verify_log(
                    site,
                    reading.filed_entries(site, until=size),
                    claimed=claimed,
                    verifiers=tree_verifiers(
                        site, trust, trees={*brought.trees, *(tree for tree, *_ in claimed.checkpoints)}
                    ),
                    keys=keys,
                    periods=periods_of(
                        await reading.documents(site), anchor=site_folder(settings, site).read_anchor()
                    ),
                    brought=brought,
                    progress=told,
                )
            # What went meanwhile is told by an entry that was not asked for: it is looked at anew, and is no fault.
            if report.valid or await reading.newest_expiry(site) == _newest(claimed):
                return report, brought


def _newest(claimed: Claimed) -> int | None:
    return claimed.expiries[-1][0] if claimed.expiries else None


@asynccontextmanager
async def _databases(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    """Named databases as they are, for who verifies alters nothing; else a running service's or the embedded ones."""
    if settings.dsn:
        yield settings.dsn, settings.vault_dsn
    else:
        async with databases(settings) as both:
            yield both


async def _keys(vault_dsn: str, site: SiteId) -> Mapping[HolderId, bytes]:
    try:
        return await PostgresKeyVault(vault_dsn).keys(site)
    except LedgerUnavailableError as error:
        raise SettingError(f"The persons' keys cannot be read. {error}") from error
