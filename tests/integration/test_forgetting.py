"""Somebody is forgotten and stays forgotten: whoever is killed between two steps, whichever database comes back from a backup.

Engines are taken to a step and dropped there, as kill -9 would; the next one is a new object on the same two databases.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading, migrate_site_database
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.core.audit import FORGOTTEN, SITE_TREE
from gatekeeper.core.change import (
    ApprovalChange,
    ChangeContent,
    ErasureChange,
    HolderChange,
    LookUpChange,
    sign_change,
)
from gatekeeper.core.proposals import digest_of
from gatekeeper.core.register import holder_payload
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import HolderId
from gatekeeper.service.administration.opening import open_site
from gatekeeper.service.engine import Engine
from gatekeeper.service.sealed import open_names, seal_name
from gatekeeper.service.verification import Report, verify_log
from tests.contract import an_engine
from tests.contract.entry_schemas import faults
from tests.contract.vector_site import FOUNDED, FRONT, NOON, SITE, key_of, people, sign_holder
from tests.contract.whole_log import founding
from tests.support.databases import temporary_database

pytestmark = pytest.mark.integration

PUPIL = people()["pupil"].holder.id
SERGEANT = people()["sergeant"].holder.id
NAMES = {PUPIL: "Pim Groothuis", SERGEANT: "Saskia Vermeulen"}
ERASURE = ErasureChange(holder=PUPIL, reason="left the school")
_NUMBERS = count(1)


class _Noon:
    """The time, which stands still."""

    def now(self) -> datetime:
        return NOON


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Two databases, and the server that they are on."""

    server: EmbeddedPostgres
    dsn: str
    vault_dsn: str

    @property
    def vault(self) -> PostgresKeyVault:
        return PostgresKeyVault(self.vault_dsn)

    @asynccontextmanager
    async def engine(self) -> AsyncIterator["Site"]:
        """An engine that has taken the site over; dropped at the end of the block, wherever it is."""
        ledger = PostgresLedger(self.dsn)
        engine = an_engine.engine(ledger, self.vault)
        engine._parts = replace(engine._parts, clock=_Noon())
        try:
            engine._epoch = await engine._claim()
            await engine._take_over()
            await engine._begin()
            yield Site(ground=self, engine=engine, ledger=ledger)
        finally:
            await ledger.close()

    @asynccontextmanager
    async def backup(self, dsn: str) -> AsyncIterator[str]:
        """A database as it is now."""
        async with temporary_database(self.server, urlsplit(dsn).path.removeprefix("/")) as copy:
            yield copy

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *arguments)]
        finally:
            await connection.close()

    async def verified(self) -> Report:
        """What an auditor with the vault's keys finds, and nothing may be wrong."""
        async with PostgresReading.opened(self.dsn) as reading:
            claimed = await reading.claimed(SITE)
            report = await verify_log(
                SITE,
                reading.filed_entries(SITE, until=claimed.heads[SITE_TREE][0]),
                claimed=claimed,
                verifiers={},
                keys=await self.vault.keys(SITE),
            )
        assert report.problems == []
        return report

    async def entries(self, kind: str) -> list[Mapping[str, Any]]:
        async with PostgresReading.opened(self.dsn) as reading:
            bodies = [json.loads(entry.body) async for entry in reading.entries(SITE, since=0)]
        found = [body for body in bodies if body["kind"] == kind]
        for body in found:
            assert faults("entry", body) == []
        return found


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site that an engine owns."""

    ground: Ground
    engine: Engine
    ledger: PostgresLedger

    async def says(self, content: ChangeContent, *, by: str = "officer", name: bytes | None = None) -> str:
        """Hand a change in and let the engine make it; give its outcome."""
        change_id = next(_NUMBERS).to_bytes(16, "big")
        document = sign_change(
            content, site=SITE, change_id=change_id, author=by, at=NOON, key=key_of(f"operator-{by}")
        )
        async with PostgresReading.opened(self.ground.dsn) as reading:
            await reading.submit(SITE, change=change_id, document=document, name=name)
            self.engine._changes = list(await self.ledger.changes(SITE))
            await self.engine._supervise()
            outcome = await reading.outcome(SITE, change_id)
        assert outcome is not None
        if outcome.code == "proposed":
            return await self.says(ApprovalChange(digest=digest_of(document)), by="deputy")
        return outcome.code

    async def forgets(self) -> None:
        """What the engine does beside the way of a scan, to its end."""
        await self.engine._forgetting.finish()


@pytest.fixture
async def ground(postgres_server: EmbeddedPostgres) -> AsyncIterator[Ground]:
    async with temporary_database(postgres_server) as dsn, temporary_database(postgres_server) as vault_dsn:
        await migrate_site_database(dsn)
        there = Ground(server=postgres_server, dsn=dsn, vault_dsn=vault_dsn)
        await there.vault.migrate()
        ledger = PostgresLedger(dsn)
        named = replace(founding(), names=NAMES)
        await open_site(named, ledger=ledger, vault=there.vault, now=FOUNDED)
        await ledger.close()
        yield there


async def names_of(ground: Ground) -> dict[HolderId, str]:
    """What somebody with both databases can read of names."""
    async with PostgresReading.opened(ground.dsn) as reading:
        sealed = await reading.names(SITE, [PUPIL, SERGEANT])
    return open_names(sealed, keys=await ground.vault.keys(SITE), site=SITE)


async def is_forgotten(ground: Ground) -> bool:
    """Whether nothing of the pupil is left but the word that there was one; everything of others must be."""
    assert await names_of(ground) == {SERGEANT: NAMES[SERGEANT]}
    filed = await ground.rows("SELECT count(*) FROM personal WHERE person = $1", PUPIL)
    held = await ground.rows("SELECT count(*) FROM holder WHERE holder = $1", PUPIL)
    done = await ground.rows("SELECT done FROM erased_person WHERE holder = $1", PUPIL)
    gone = PUPIL in await ground.vault.destroyed(SITE) and PUPIL not in await ground.vault.keys(SITE)
    return gone and filed == held == [(0,)] and done == [(True,)]


async def test_who_is_forgotten_has_no_key_no_name_no_row_and_every_proof_stands(ground: Ground):
    before = await ground.verified()
    assert await names_of(ground) == NAMES
    async with ground.engine() as site:
        assert await site.says(ERASURE, by="registrar") == "applied"
        await site.forgets()
        assert await is_forgotten(ground)
        assert await site.says(LookUpChange(holder=SERGEANT, purpose="goes on")) == "applied"
    after = await ground.verified()
    assert after.entries > before.entries
    assert [entry["reason"] for entry in await ground.entries("person.erased")] == ["left the school"]
    sealed = await ground.rows("SELECT count(*) FROM personal WHERE person = $1", FORGOTTEN)
    assert sealed[0][0] >= 2, "their registration, and the word that they were forgotten: nobody opens either"


async def test_no_name_stands_in_the_database_as_it_is(ground: Ground):
    async with ground.engine() as site:
        renewed = replace(people()["sergeant"].holder, version=2)
        document = sign_holder(holder_payload(renewed, site=SITE), tenant="army")
        keys = await ground.vault.keys(SITE)
        name = seal_name("Sandra Vermeulen", key=keys[SERGEANT], site=SITE, holder=SERGEANT)
        change = HolderChange(holder=SERGEANT, document=document, badges=())
        assert await site.says(change, by="officer", name=name) == "applied"
    assert (await names_of(ground))[SERGEANT] == "Sandra Vermeulen"
    tables = await ground.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    for (table,) in tables:
        told = repr(await ground.rows(f'SELECT * FROM "{table}"'))
        assert not [one for one in ("Groothuis", "Vermeulen") if one in told], table


async def _killed_after_the_commit(site: Site) -> None:
    del site


async def _killed_among_the_rows(site: Site) -> None:
    assert await site.ledger.let_go(SITE, PUPIL, most=1) == 1


async def _killed_before_the_key(site: Site) -> None:
    await site.ledger.let_go(SITE, PUPIL, most=1000)


async def _killed_before_it_was_said(site: Site) -> None:
    await site.ledger.let_go(SITE, PUPIL, most=1000)
    await site.ground.vault.destroy(SITE, [PUPIL])


@pytest.mark.parametrize(
    "until",
    [
        _killed_after_the_commit,
        _killed_among_the_rows,
        _killed_before_the_key,
        _killed_before_it_was_said,
    ],
)
async def test_what_a_killed_engine_has_begun_the_next_one_brings_to_its_end(ground: Ground, until: Any):
    async with ground.engine() as site:
        assert await site.says(ERASURE, by="registrar") == "applied"
        await until(site)
    assert not await is_forgotten(ground)
    async with ground.engine() as site:
        assert site.engine._erased.is_set(), "it goes to work by itself"
        await site.forgets()
    assert await is_forgotten(ground)
    assert len(await ground.entries("person.erased")) == 1
    await ground.verified()


async def test_a_receipt_that_still_names_them_names_nobody_to_the_next_engine(ground: Ground):
    async with ground.engine() as site:
        assert await site.says(ERASURE, by="registrar") == "applied"
    await ground.rows(
        "INSERT INTO receipt (site_id, gate, boot, sequence, digest, seq, verdict, issued, holder, answer)"
        " VALUES ($1, 'front', $2, 1, $3, 1, 1, now(), $4, '')",
        *(SITE, bytes(8), bytes(32), PUPIL),
    )
    await ground.rows(
        "INSERT INTO gate_boot (site_id, gate, boot, first_seq) VALUES ($1, 'front', $2, 1)", SITE, bytes(8)
    )
    async with ground.engine() as site:
        grant = site.engine._flow.sequences.grant_of(bytes(32), FRONT)
    assert grant is not None
    assert grant.holder is None


async def test_an_engine_that_runs_forgets_by_itself(ground: Ground):
    async with ground.engine() as site:
        assert await site.says(ERASURE, by="registrar") == "applied"
        assert site.engine._erased.is_set()
        assert not site.engine._recorder.sealer.knows(PUPIL), "nothing more is written under the key"
        assert site.engine._recorder.sealer.knows(SERGEANT)


async def test_who_comes_back_with_yesterdays_log_is_forgotten_again_and_every_proof_stands(ground: Ground):
    async with ground.backup(ground.dsn) as yesterday:
        async with ground.engine() as site:
            assert await site.says(ERASURE, by="registrar") == "applied"
            await site.forgets()
        restored = replace(ground, dsn=yesterday)
        assert await restored.rows("SELECT count(*) FROM holder WHERE holder = $1", PUPIL) == [(1,)]
        assert await names_of(restored) == {SERGEANT: NAMES[SERGEANT]}, "not even before an engine starts"
        await restored.verified()
        async with restored.engine() as site:
            assert site.engine._flow.register.tenant_of_holder(PUPIL) is None
            await site.forgets()
            again = replace(people()["pupil"].holder, version=9)
            document = sign_holder(holder_payload(again, site=SITE), tenant="school")
            change = HolderChange(holder=PUPIL, document=document, badges=())
            assert await site.says(change, by="registrar") == "holder-erased"
        assert await is_forgotten(restored)
        (entry,) = await restored.entries("person.erased")
        assert (entry["again"], entry["tenant"]) == (True, "school")
        await restored.verified()
        async with restored.engine():
            pass
        assert len(await restored.entries("person.erased")) == 1, "once is enough"


async def test_a_key_that_comes_back_with_yesterdays_vault_is_destroyed_again(ground: Ground):
    async with ground.backup(ground.vault_dsn) as yesterday:
        async with ground.engine() as site:
            assert await site.says(ERASURE, by="registrar") == "applied"
            await site.forgets()
        restored = replace(ground, vault_dsn=yesterday)
        assert PUPIL in await restored.vault.keys(SITE)
        async with restored.engine() as site:
            assert not site.engine._recorder.sealer.knows(PUPIL)
        assert await is_forgotten(restored)
        assert SERGEANT in await restored.vault.keys(SITE)


@pytest.mark.parametrize(
    "names",
    ["no entry", "an entry of another kind", "the entry by which another was forgotten"],
)
async def test_a_row_alone_destroys_nobodys_key(ground: Ground, names: str):
    async with ground.engine() as site:
        assert await site.says(ERASURE, by="registrar") == "applied"
        await site.forgets()
    ((erased,),) = await ground.rows("SELECT seq FROM erased_person")
    seq = {"no entry": 10_000, "an entry of another kind": 1}.get(names, erased)
    await ground.rows(
        "INSERT INTO erased_person (site_id, holder, seq) VALUES ($1, $2, $3)", SITE, SERGEANT, seq
    )
    async with ground.engine() as site:
        await site.forgets()
    assert SERGEANT in await ground.vault.keys(SITE)
    assert (await names_of(ground))[SERGEANT] == NAMES[SERGEANT]
    assert await ground.rows("SELECT done FROM erased_person WHERE holder = $1", SERGEANT) == [(False,)]


async def test_no_key_is_made_for_who_was_forgotten(ground: Ground):
    await ground.vault.destroy(SITE, [PUPIL])
    assert await ground.vault.ensure(SITE, [PUPIL, SERGEANT]) == {
        SERGEANT: (await ground.vault.keys(SITE))[SERGEANT]
    }


async def test_names_that_a_former_version_kept_as_they_are_are_sealed_when_an_engine_starts(ground: Ground):
    await ground.rows("UPDATE holder SET plain_name = 'Saskia S.', name = '' WHERE holder = $1", SERGEANT)
    await ground.rows("UPDATE holder SET plain_name = 'Pim P.' WHERE holder = $1", PUPIL)
    async with ground.engine():
        pass
    assert await names_of(ground) == {SERGEANT: "Saskia S.", PUPIL: NAMES[PUPIL]}, "what is said since stays"
    assert await ground.rows("SELECT count(*) FROM holder WHERE plain_name IS NOT NULL") == [(0,)]
