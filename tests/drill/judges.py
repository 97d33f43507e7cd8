"""Who looks at the log after an attack, and what he finds.

An export is made by the honest exporter from what the database holds now, and checked by the honest verifier: knowing only
the log's public key, with one checkpoint remembered from an earlier export, and demanding a witness's cosignature.
The log in its database is verified alone, with what is remembered, and demanding the witness's cosignatures.

A bundle that is found valid is held against what was true: only where it says something else was the attack not caught.
"""

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatekeeper.adapters.postgres import PostgresLeaves, PostgresReading, PostgresStoredTrees
from gatekeeper.core.audit import SITE_TREE, Kind
from gatekeeper.core.export import Dialect
from gatekeeper.core.log_export import LogExport, read_log_export
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.auditor import Known, Memory, Report, verify_bundle
from gatekeeper.service.engine.loading import SiteUnusableError
from gatekeeper.service.export.partial import Partial
from gatekeeper.service.export.planning import Form, Plan, SignedTree, plan_document, plan_of
from gatekeeper.service.export.source import MissingEntriesError
from gatekeeper.service.export.writing import write_bundle
from gatekeeper.service.publication import TreeTiles
from gatekeeper.service.verification import verify_log
from gatekeeper.service.verification.brought import bring
from gatekeeper.transparency import MissingTileError, Refused, open_checkpoint
from gatekeeper.transparency.signed_checkpoint import read_checkpoint
from tests.drill.attacks import Attack
from tests.drill.ground import TREE, Ground, ask_witness, ground
from tests.support.checkpoints import verifier_of
from tests.support.exports import leaves_of, members_of, opened_with
from tests.support.fort import KEYS, NOW, TREES

__all__ = ["NOT_CAUGHT", "Outcome", "judged"]

NOT_CAUGHT: Final = "**not caught**"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What each judge said, in the order of the table's columns."""

    alone: str
    remembered: str
    witnessed: str
    database: str
    recalled: str
    cosigned: str


class _NoBundleError(Exception):
    """The exporter makes no bundle; the message is why, in two or three words."""


async def judged(server: EmbeddedPostgres, attack: Attack | None) -> Outcome:
    """Do an attack on a log of its own, and ask every judge. Without one it is the sound log that is judged."""
    async with ground(server) as sound:
        attacked, stopped = sound, ""
        try:
            if attack is not None:
                attacked = await attack(sound)
        except SiteUnusableError:
            stopped = "the engine does not start"
        with tempfile.TemporaryDirectory() as folder:
            memory = _memory(attacked, Path(folder) / "memory")
            exported = await _of_export(attacked, Path(folder), memory, stopped=stopped)
            await ask_witness(attacked.fort, attacked.witness)
            return Outcome(
                **exported,
                database=await _of_database(attacked, Known()),
                recalled=await _of_database(attacked, Known(memory=memory)),
                cosigned=await _of_database(attacked, Known(policy=attacked.witness.policy)),
            )


def _memory(attacked: Ground, folder: Path) -> Memory:
    """What an auditor's tool remembers of the exported tree and of the site's."""
    memory = Memory(folder)
    for tree, note in attacked.seen.items():
        seen = read_checkpoint(note)
        assert not isinstance(seen, Refused)
        memory.keep(seen.origin, key=verifier_of(attacked.fort.site, tree), size=seen.size, note=note)
    return memory


# -- an export --------------------------------------------------------------------------------------------------------


async def _of_export(attacked: Ground, folder: Path, memory: Memory, *, stopped: str) -> dict[str, str]:
    key = verifier_of(attacked.fort.site, TREE)
    remembered = memory.recall(key.name)
    known = {
        "alone": Known(key=key),
        "remembered": Known(key=key, memory=memory),
        "witnessed": Known(key=key, policy=attacked.witness.policy),
    }
    try:
        if not stopped:
            await _export(attacked, folder / "log.zip", earlier=[remembered.size])
    except _NoBundleError as error:
        stopped = str(error)
    if stopped:
        return dict.fromkeys(known, f"no bundle: {stopped}")
    return {
        name: _said(attacked, folder / "log.zip", verify_bundle(folder / "log.zip", known=one))
        for name, one in known.items()
    }


def _said(attacked: Ground, file: Path, report: Report) -> str:
    if report.finding is not None:
        return f"INVALID: `{report.finding.code}`"
    if report.lacking:
        return "cannot check"
    closed = report.counts.personal - report.counts.openings
    return _held(attacked, leaves_of(members_of(file)), f"true, {closed} parts closed" if closed else "true")


def _held(attacked: Ground, bodies: Sequence[bytes], true: str = "true") -> str:
    """What is to be said of a log that was found valid: whether it is the one that was committed, gone on or not."""
    return true if bodies[: len(attacked.bodies)] == attacked.bodies else NOT_CAUGHT


async def _export(attacked: Ground, file: Path, *, earlier: Collection[int]) -> None:
    """As `gatekeeper audit export` does."""
    fort = attacked.fort
    try:
        async with (
            PostgresStoredTrees.opened(fort.dsn) as stored,
            PostgresLeaves.opened(fort.dsn, fort.site) as leaves,
        ):
            plan = await _plan(attacked, leaves, TreeTiles(fort.site, stored), earlier)
            with Partial.begun(file, plan_document(plan)) as partial:
                await write_bundle(partial, plan, leaves, opener=opened_with(fort))
    except MissingEntriesError as error:
        raise _NoBundleError("entries missing or twice") from error
    except MissingTileError as error:
        raise _NoBundleError("tile missing") from error


async def _plan(attacked: Ground, leaves: PostgresLeaves, tiles: TreeTiles, earlier: Collection[int]) -> Plan:
    export, body, index = await _allowed(attacked)
    return await plan_of(
        export,
        body,
        site=attacked.fort.site,
        signed=await _signed(attacked, tiles, above=index),
        form=Form(csv=Dialect.RFC4180),
        leaves=leaves,
        tiles=tiles,
        gone=await leaves.gone(TREE),
        earlier=earlier,
        program="gatekeeper",
        now=NOW,
    )


async def _allowed(attacked: Ground) -> tuple[LogExport, bytes, int]:
    """The newest entry that allows an export."""
    rows = await attacked.run(
        "SELECT seq, body, tenant_index FROM entry WHERE site_id = $1 AND kind = $2 ORDER BY seq DESC LIMIT 1",
        Kind.LOG_EXPORTED,
    )
    export = read_log_export(rows[0]["body"], site=attacked.fort.site, seq=rows[0]["seq"]) if rows else None
    if export is None:
        raise _NoBundleError("no entry allows it")
    return export, rows[0]["body"], rows[0]["tenant_index"]


async def _signed(attacked: Ground, tiles: TreeTiles, *, above: int) -> SignedTree:
    """The newest checkpoint, when it covers that entry and the log signed it; cosigned, when the witness will."""
    key = verifier_of(attacked.fort.site, TREE)
    rows = await attacked.run(
        "SELECT note FROM checkpoint WHERE site_id = $1 AND tree = $2 AND size > $3 ORDER BY size DESC LIMIT 1",
        *(TREE, above),
    )
    opened = open_checkpoint(rows[0]["note"], [key]) if rows else None
    if opened is None or isinstance(opened, Refused):
        raise _NoBundleError("no signed checkpoint")
    note = await attacked.witness.cosign(TREE, rows[0]["note"], tiles)
    return SignedTree(note=note, checkpoint=opened.checkpoint, key=key.key())


# -- the database -----------------------------------------------------------------------------------------------------


async def _of_database(attacked: Ground, known: Known) -> str:
    site = attacked.fort.site
    verifiers = {tree: [verifier_of(site, tree)] for tree in TREES}
    async with PostgresReading.opened(attacked.fort.dsn) as reading:
        claimed = await reading.claimed(site)
        report = await verify_log(
            site,
            reading.filed_entries(site, until=claimed.heads.get(SITE_TREE, (0, b""))[0]),
            claimed=claimed,
            verifiers=verifiers,
            keys=KEYS,
            brought=bring(known, site=site, verifiers=verifiers.__getitem__),
        )
    if not report.valid:
        return "INVALID"
    rows = await attacked.run(
        "SELECT body FROM entry WHERE site_id = $1 AND body LIKE $2 ORDER BY seq", f'%"{TREE}":%'.encode()
    )
    if known.policy is not None and report.cosigned[SITE_TREE].size < report.entries:
        return f"says: cosigned up to {report.cosigned[SITE_TREE].size} only"
    return _held(attacked, [row["body"] for row in rows])
