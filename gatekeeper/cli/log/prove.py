"""`gatekeeper audit prove`: the proof of one entry in one file, with the entry beside it, to be checked anywhere.

Exit 0 when both files are written, 1 when the log cannot prove the entry.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import orjson
import typer

from gatekeeper.adapters.postgres import PostgresReading, PostgresStoredTrees
from gatekeeper.app import the_site
from gatekeeper.cli.host.believed import trust_of_the_log
from gatekeeper.cli.new_files import see_new, write_all
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
from gatekeeper.cli.talk import json_line, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.service.publication.proving import UnprovenError, proof_of
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.transparency import TlogProof, Verifier, format_tlog_proof

__all__ = ["prove"]

_NO = 1
_LOOK_EVERY_SECONDS = 0.25
_SUFFIX = ".tlog-proof"


def prove(
    seq: Annotated[int, typer.Argument(metavar="SEQ", min=0, help="The entry, by its number in the log.")],
    out: Annotated[Path, typer.Option(help="The proof, FILE.tlog-proof; the entry goes to FILE.entry.json.")],
    tenant: Annotated[
        str | None, typer.Option(help="In the tree of this tenant, without it in the site's.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a checkpoint that covers the entry.")
    ] = 20.0,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Write the proof that an entry is in the log, as C2SP tlog-proof, and the entry beside it.

    gatekeeper audit check-proof checks both, offline. Exit 1: the log cannot prove it.
    """
    if out.suffix != _SUFFIX:
        raise SettingError(f"A proof is a file that ends with {_SUFFIX}, not {out.name}.")
    entry = out.with_suffix(".entry.json")
    see_new(out, entry)
    settings = looking_settings(dsn=dsn, vault_dsn=vault_dsn, data=data, site=site)
    tree = SITE_TREE if tenant is None else tenant_tree(TenantId(tenant))
    try:
        body, proof, key = run(_prove(settings, seq, tree, wait))
    except UnprovenError as error:
        say(str(error))
        raise typer.Exit(_NO) from error
    write_all({entry: body, out: format_tlog_proof(proof)})
    if json_output:
        json_line({"proof": str(out), "entry": str(entry), "index": proof.index, "key": key.key()})
    else:
        say(f"Entry {seq} is proven by {out}, with {entry} beside it.")
        say(f"Whoever checks it needs the log's key from somebody whom he trusts: {key.key()}")


async def _prove(settings: Settings, seq: int, tree: str, wait: float) -> tuple[bytes, TlogProof, Verifier]:
    site = the_site(settings)
    async with (
        looking_databases(settings) as (dsn, _),
        PostgresStoredTrees.opened(dsn) as stored,
        PostgresReading.opened(dsn) as reading,
    ):
        trust = await trust_of_the_log(settings, site, reading)
        verifiers = tree_verifiers(site, trust, trees=[tree]).get(tree)
        if not verifiers or tree not in await stored.heads(site):
            raise SettingError(f"The log of {site} has no tree {tree}.")
        body = await _body(reading, site, seq)
        index = _place(body, seq, tree)
        for left in range(int(wait / _LOOK_EVERY_SECONDS), -1, -1):
            proof = await proof_of(body, index, site=site, tree=tree, stored=stored, verifiers=verifiers)
            cosigned = await stored.cosigned_checkpoint(site, tree)
            # Where witnesses are at work one of theirs is worth waiting for.
            if proof is not None and (not left or cosigned is None or cosigned.size > index):
                return body, proof, verifiers[0]
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    raise UnprovenError(
        f"No signed checkpoint covers entry {seq} yet: an engine signs one within a second (gatekeeper serve)."
    )


async def _body(reading: PostgresReading, site: SiteId, seq: int) -> bytes:
    async for entry in reading.entries(site, since=seq, until=seq + 1):
        return entry.body
    raise SettingError(f"The log of {site} holds no entry {seq}, or no more its body.")


def _place(body: bytes, seq: int, tree: str) -> int:
    """Where an entry says that it is in a tree."""
    try:
        index = orjson.loads(body)["trees"].get(tree)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnprovenError(f"Entry {seq} is none: gatekeeper audit verify says what is wrong.") from None
    if index is None:
        raise SettingError(f"Entry {seq} is not in {tree}: it concerns others.")
    return int(index)
