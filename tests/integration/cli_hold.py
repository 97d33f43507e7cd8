"""A small site of a test's own on named databases, and the command line to try on it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.core.audit import SITE_TREE, Draft, Kind
from gatekeeper.core.supervise import Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import HolderId, SiteId, TenantId
from gatekeeper.ports import Batch
from gatekeeper.service.administration.ceremony import found_site
from gatekeeper.service.administration.folder import LOG_KEY, SiteFolder
from gatekeeper.service.administration.opening import open_site
from gatekeeper.service.administration.operators import carry_away, keys_of_operators
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.service.engine.sealing import Sealer
from gatekeeper.service.sealed import open_name, seal_name
from gatekeeper.transparency import Checkpoint, Signer, Tree, sign_checkpoint
from tests.support.commands import Said, gatekeeper
from tests.support.fort import presence, site_database
from tests.support.site_files import NOW, small_site

__all__ = ["GUARD", "STUDENT", "Hold", "found_hold", "made_databases"]

GUARD, STUDENT = HolderId("h-00001"), HolderId("h-00003")
_NUMBERS = count(1)


@dataclass(frozen=True)
class Hold:
    """A founded and opened site: 7 entries of its founding, 3 of people who moved, and a checkpoint."""

    data: Path
    site: SiteId
    dsn: str
    vault_dsn: str
    say: Callable[..., Said]

    def __call__(self, *words: object, data: Path | None = None) -> Said:
        """Run a command on it."""
        where = ("--data", data or self.data, "--dsn", self.dsn, "--vault-dsn", self.vault_dsn)
        return self.say(*words, *where)

    def verify(self, *words: object) -> Said:
        return self("audit", "verify", "--site", self.site, *words)

    def grow(self, entries: int) -> None:
        """Let so many entries more be committed, and every tree be signed as it stands then."""
        asyncio.run(_grown(self, entries))

    def run(self, sql: str, *arguments: Any) -> list[Any]:
        """What a superuser can do to the rows of this site, `$1`."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.dsn)
            try:
                return await connection.fetch(sql, self.site, *arguments)
            finally:
                await connection.close()

        return asyncio.run(run())

    def named(self, holder: HolderId) -> str:
        """What the directory calls somebody."""
        sealed = self.run("SELECT name FROM holder WHERE site_id = $1 AND holder = $2", holder)[0]["name"]
        return open_name(sealed, key=self._keys().get(holder), site=self.site, holder=holder)

    def rename_all(self, name: str) -> None:
        """Call everybody so."""
        keys = self._keys()
        for (holder,) in self.run("SELECT holder FROM holder WHERE site_id = $1"):
            sealed = seal_name(name, key=keys[holder], site=self.site, holder=holder)
            self.run("UPDATE holder SET name = $3 WHERE site_id = $1 AND holder = $2", holder, sealed)

    def _keys(self) -> Mapping[HolderId, bytes]:
        return asyncio.run(PostgresKeyVault(self.vault_dsn).keys(self.site))


def made_databases(server: EmbeddedPostgres) -> tuple[str, str]:
    """The addresses of a database for sites and of one for their vaults, shared by all holds."""

    async def made() -> tuple[str, str]:
        await server.ensure_database("vaults_of_tests")
        vault_dsn = server.dsn("vaults_of_tests")
        await PostgresKeyVault(vault_dsn).migrate()
        return await site_database(server), vault_dsn

    return asyncio.run(made())


def found_hold(
    databases: tuple[str, str],
    capfd: pytest.CaptureFixture[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Hold:
    """Found and open a site whose keys are in `folder`, with nothing set in the environment."""
    for name in ("SITE", "DATA", "DSN", "VAULT_DSN", "BROKER"):
        monkeypatch.delenv(f"GATEKEEPER_{name}", raising=False)
    site = SiteId(f"hold-{next(_NUMBERS)}")
    hold = Hold(folder / "data", site, *databases, say=lambda *words: gatekeeper(capfd, *words))
    asyncio.run(_opened(hold))
    return hold


async def _opened(hold: Hold) -> None:
    folder = SiteFolder(hold.data / "sites" / hold.site)
    document = small_site()
    document["site"]["id"] = hold.site
    founding = found_site(document, folder, now=NOW)
    carry_away(folder, keys_of_operators(hold.data, hold.site))
    ledger, vault = PostgresLedger(hold.dsn), PostgresKeyVault(hold.vault_dsn)
    try:
        await open_site(founding, ledger=ledger, vault=vault, now=datetime.now(UTC))
        loaded = await ledger.load(hold.site, epoch=1)
        trees = {name: Tree.resume(size, edge) for name, (size, edge) in loaded.edges.items()}
        sealer = Sealer(hold.site, trees=trees, keys=await vault.keys(hold.site))
        sealed = sealer.seal([_granted(sealer.size + number) for number in range(3)])
        moved = [presence(GUARD, "yard", seq=7), presence(STUDENT, "outside", seq=8)]
        batch = Batch(
            entries=sealed.entries,
            tiles=sealed.tiles,
            heads=sealed.heads,
            moved=moved,
            receipts=(),
            writes=Writes(),
        )
        await ledger.commit(hold.site, epoch=1, batch=batch)
        await _sign(hold.site, folder, ledger, SITE_TREE, sealed.trees[SITE_TREE])
    finally:
        await ledger.close()


async def _grown(hold: Hold, entries: int) -> None:
    ledger, vault = PostgresLedger(hold.dsn), PostgresKeyVault(hold.vault_dsn)
    try:
        epoch = await ledger.claim(hold.site, owner="the test")
        assert epoch is not None
        loaded = await ledger.load(hold.site, epoch=epoch)
        trees = {name: Tree.resume(size, edge) for name, (size, edge) in loaded.edges.items()}
        sealer = Sealer(hold.site, trees=trees, keys=await vault.keys(hold.site))
        sealed = sealer.seal([_granted(sealer.size + number) for number in range(entries)])
        batch = Batch(
            entries=sealed.entries,
            tiles=sealed.tiles,
            heads=sealed.heads,
            moved=(),
            receipts=(),
            writes=Writes(),
        )
        await ledger.commit(hold.site, epoch=epoch, batch=batch)
        folder = SiteFolder(hold.data / "sites" / hold.site)
        for name, tree in {**trees, **sealed.trees}.items():
            if tree.size:
                await _sign(hold.site, folder, ledger, name, tree)
    finally:
        await ledger.close()


def _granted(seq: int) -> Draft:
    return Draft(
        kind=Kind.ACCESS_GRANTED,
        at=datetime.now(UTC),
        seq=seq,
        tenants=(TenantId("army"),),
        public={"gate": "front"},
        person=GUARD,
        personal={"holder": GUARD},
    )


async def _sign(site: SiteId, folder: SiteFolder, ledger: PostgresLedger, name: str, tree: Tree) -> None:
    key = load_pem_private_key(folder.read_secret(LOG_KEY), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    origin = checkpoint_origin(site, name)
    checkpoint = Checkpoint(origin=origin, size=tree.size, root=tree.root())
    note = sign_checkpoint(checkpoint, [Signer(name=origin, private_key=key)])
    await ledger.checkpoint(
        site, tree=name, size=tree.size, root=tree.root(), note=note, at=datetime.now(UTC)
    )
