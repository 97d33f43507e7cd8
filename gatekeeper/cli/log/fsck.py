"""`gatekeeper audit fsck`: tiles and heads made again from the bodies, what differs from those that are stored, and mending it.

Exit 0 when nothing is wrong, or what was is mended; 1 when something is wrong; 3 when it cannot be looked at.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gatekeeper.adapters.postgres import PostgresMending, PostgresReading, SiteOwnedError
from gatekeeper.app import the_site
from gatekeeper.cli.faults import sentence_of
from gatekeeper.cli.host.believed import trust_of_the_log
from gatekeeper.cli.log.told import cannot_check
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
from gatekeeper.cli.talk import json_line, progress, say, table
from gatekeeper.config import Settings
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.model.ids import SiteId
from gatekeeper.service.verification import Claimed, Report, WrongHead, WrongTile, verify_log
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.service.verification.mending import mendable_problems, objections, until
from gatekeeper.service.words import counted, shown

__all__ = ["fsck"]

_WRONG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What was found, why it may not be mended, and whether it was."""

    report: Report
    claimed: Claimed
    objections: Sequence[str]
    is_mended: bool = False

    @property
    def others(self) -> int:
        """How many problems are no tiles and no heads."""
        return len(self.report.problems) - mendable_problems(self.report)


def fsck(
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what differs anew; no engine may own the site meanwhile.")
    ] = False,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Make tiles and heads again from the bodies and say what differs; with --repair write it anew.

    Exit 0: nothing is wrong, or it is mended. Exit 1: something is wrong. Exit 3: it could not be looked at.
    """
    try:
        settings = looking_settings(dsn=dsn, vault_dsn=vault_dsn, data=data, site=site)
        looked = run(_look(settings, the_site(settings), repair=repair, bar=not json_output))
        if json_output:
            json_line(_document(looked))
        else:
            _tell(looked, repair=repair)
    except Exception as error:
        # Not even a defect of ours may end with the code that says that something is wrong with the log.
        sentence = str(error) if isinstance(error, SiteOwnedError) else sentence_of(error)
        raise cannot_check(sentence or f"{type(error).__name__}: {error}", json_output=json_output) from error
    raise typer.Exit(0 if looked.is_mended or not looked.report.problems else _WRONG)


async def _look(settings: Settings, site: SiteId, *, repair: bool, bar: bool) -> _Looked:
    async with looking_databases(settings) as (dsn, _):
        if not repair:
            return await _rebuilt(settings, site, dsn, bar=bar)
        async with PostgresMending.holding(dsn, site) as mending:
            looked = await _rebuilt(settings, site, dsn, bar=bar)
            report = looked.report
            if looked.objections or not report.problems:
                return looked
            await mending.write(report.wrong_tiles, report.wrong_heads)
        return _Looked(report=report, claimed=looked.claimed, objections=(), is_mended=True)


async def _rebuilt(settings: Settings, site: SiteId, dsn: str, *, bar: bool) -> _Looked:
    async with PostgresReading.opened(dsn) as reading:
        trust = await trust_of_the_log(settings, site, reading)
        while True:
            claimed = await reading.claimed(site)
            with progress("rebuilding", claimed.entries) if bar else nullcontext() as told:
                report = await verify_log(
                    site,
                    reading.filed_entries(site, until=until(claimed, SITE_TREE)),
                    claimed=claimed,
                    verifiers=tree_verifiers(site, trust, trees={tree for tree, *_ in claimed.checkpoints}),
                    keys=None,
                    progress=told,
                )
            # What went meanwhile is told by an entry that was not asked for: it is looked at anew, and is no fault.
            newest = claimed.expiries[-1][0] if claimed.expiries else None
            if not report.problems or await reading.newest_expiry(site) == newest:
                return _Looked(report=report, claimed=claimed, objections=objections(report, claimed))


# -- what is said -------------------------------------------------------------------------------------------------------


def _document(looked: _Looked) -> dict[str, Any]:
    report = looked.report
    return {
        "sound": not report.problems,
        "repaired": looked.is_mended,
        "entries": report.entries,
        "trees": report.trees,
        "differences": [
            {"tree": tree, "what": what, "level": level, "index": index, "is": state}
            for tree, what, level, index, state in _differences(looked)
        ],
        "other_problems": looked.others,
        "objections": list(looked.objections),
    }


def _differences(looked: _Looked) -> list[tuple[str, str, int | None, int, str]]:
    report, claimed = looked.report, looked.claimed
    tiles = [(*_place(tile), _state(tile, claimed)) for tile in report.wrong_tiles]
    heads = [(head.tree, "head", None, head.size, _state(head, claimed)) for head in report.wrong_heads]
    return [*tiles, *heads]


def _place(tile: WrongTile) -> tuple[str, str, int, int]:
    return (tile.tree, "tile", tile.level, tile.index)


def _state(wrong: WrongTile | WrongHead, claimed: Claimed) -> str:
    match wrong:
        case WrongTile(hashes=None) | WrongHead(root=None):
            return "too much"
        case WrongTile(tree=tree, level=level, index=index):
            return "altered" if (tree, level, index) in claimed.tiles else "missing"
        case WrongHead(tree=tree):
            return "altered" if tree in claimed.heads else "missing"


def _tell(looked: _Looked, *, repair: bool) -> None:
    report = looked.report
    if differences := _differences(looked):
        rows = [
            (shown(tree), what, "-" if level is None else level, index, state)
            for tree, what, level, index, state in differences
        ]
        table(("tree", "what", "level", "index", "is"), rows)
    if looked.others:
        others = counted(looked.others, "other problem")
        say(f"{others}, which tiles and heads are not the cause of: gatekeeper audit verify tells.")
    size = f"{counted(report.entries, 'entry', 'entries')}, {counted(report.trees, 'tree')} made again"
    if not report.problems:
        say(f"Nothing differs: {size}.")
    elif looked.is_mended:
        say(f"Mended: {_amounts(report)} written anew. {size}.")
    else:
        say(f"{_amounts(report)} not as the bodies make them. {size}.")
        for objection in looked.objections:
            say(f"{'Not mended' if repair else 'Cannot be mended'}: {objection}.")
        if not looked.objections and not repair:
            say("gatekeeper audit fsck --repair writes them anew, while no engine owns the site.")


def _amounts(report: Report) -> str:
    return f"{counted(len(report.wrong_tiles), 'tile')} and {counted(len(report.wrong_heads), 'head')}"
