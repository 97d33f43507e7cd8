"""Who alters the log is found out: what a superuser of the database can do to it, done, and the log verified.

A sound log of 300 entries in three trees, with two checkpoints of each; then one tampering, and what must be said of it.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.core.audit import NOBODY, canonical_json
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import HolderId
from gatekeeper.service.auditor import Seen
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.service.verification import Brought, Report, verify_log
from gatekeeper.transparency import (
    Checkpoint,
    SignatureType,
    Signer,
    Verifier,
    sign_checkpoint,
)
from tests.drill.hand import rebuild
from tests.support.fort import ARMY, KEYS, NOW, PUPIL, SCHOOL, SERGEANT, TREES, Fort

pytestmark = pytest.mark.integration

ALONE = "that others saw the same log: no witness has cosigned it"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"a log key for tests").digest())
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"somebody else's key").digest())


@dataclass(frozen=True)
class Log:
    """A log, and the checkpoints of its site's tree as somebody saw them when they were new."""

    fort: Fort
    seen: Mapping[int, Seen]

    async def run(self, sql: str, *arguments: Any) -> list[Any]:
        return await self.fort.run(sql, *arguments)

    def note(self, tree: str, size: int, root: bytes, *, key: Ed25519PrivateKey = LOG_KEY) -> bytes:
        origin = checkpoint_origin(self.fort.site, tree)
        signer = Signer(name=origin, private_key=key)
        return sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), [signer])

    async def verified(
        self,
        *,
        seen: Sequence[int] = (),
        keys: Mapping[HolderId, bytes] | None = KEYS,
        progress: Any = None,
        before_reading: Callable[[], Awaitable[None]] | None = None,
    ) -> Report:
        async with PostgresReading.opened(self.fort.dsn) as reading:
            claimed = await reading.claimed(self.fort.site)
            if before_reading is not None:
                await before_reading()
            size, _ = claimed.heads.get("site", (0, b""))
            return await verify_log(
                self.fort.site,
                reading.filed_entries(self.fort.site, until=size),
                claimed=claimed,
                verifiers={tree: [self._verifier(tree)] for tree in TREES},
                keys=keys,
                brought=Brought(given={"site": [self.seen[size] for size in seen]}),
                progress=progress,
            )

    def _verifier(self, tree: str) -> Verifier:
        return Verifier(
            name=checkpoint_origin(self.fort.site, tree),
            type=SignatureType.ED25519,
            public_key=LOG_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
        )


@pytest.fixture
async def log(postgres_server: EmbeddedPostgres) -> AsyncIterator[Log]:
    async with Fort.opened(postgres_server) as fort:
        log = Log(fort, {})
        seen = {}
        for entries, person, tenants in (
            (100, SERGEANT, (ARMY, SCHOOL)),
            (160, None, (SCHOOL,)),
            (40, PUPIL, (SCHOOL, ARMY)),
        ):
            await fort.commit(fort.pen.write(entries, person=person, tenants=tenants))
            if fort.pen.size in (100, 300):
                for name, tree in fort.pen.trees.items():
                    note = log.note(name, tree.size, tree.root())
                    await fort.ledger.checkpoint(
                        fort.site, tree=name, size=tree.size, root=tree.root(), note=note, at=NOW
                    )
                site = fort.pen.trees["site"]
                seen[site.size] = Seen(size=site.size, root=site.root(), where="memory")
        yield replace(log, seen=seen)


# -- a sound log ------------------------------------------------------------------------------------------------------


async def test_a_sound_log_is_valid_and_everything_was_looked_at(log: Log):
    report = await log.verified(seen=[100, 300])
    assert report.problems == []
    assert report.unchecked == [ALONE]
    assert report.valid
    assert (report.entries, report.trees, report.checkpoints, report.personal_opened) == (300, 3, 6, 140)
    assert report.root == log.fort.pen.trees["site"].root()
    assert report.consistent_with == [log.seen[100], log.seen[300]]
    assert {tree: newest.size for tree, newest in report.newest.items()} == {
        "site": 300,
        "tenant:army": 140,
        "tenant:school": 300,
    }, "what may be remembered is the newest that was held to the bodies"
    assert report.newest["site"].root == report.root


async def test_an_empty_log_is_valid(postgres_server: EmbeddedPostgres):
    async with Fort.opened(postgres_server) as fort:
        report = await Log(fort, {}).verified()
    assert (report.valid, report.entries) == (True, 0)


async def test_what_could_not_be_looked_at_is_said(log: Log):
    report = await log.verified(keys=None)
    assert report.valid
    assert report.personal_opened == 0
    assert [what.partition(":")[0] for what in report.unchecked] == [
        ALONE.partition(":")[0],
        "that the log was not rewritten whole",
        "that personal parts match their commitments",
    ]


async def test_a_forgotten_person_leaves_every_proof_standing(log: Log):
    report = await log.verified(seen=[300], keys={SERGEANT: KEYS[SERGEANT], NOBODY: KEYS[NOBODY]})
    assert report.problems == []
    assert report.personal_opened == 100
    assert report.unchecked == [
        ALONE,
        "40 personal parts without a key, of 1 person forgotten or never known",
    ]


async def test_somebody_invented_is_not_taken_for_somebody_forgotten_in_silence(log: Log):
    await log.run(
        "UPDATE personal SET sealed = $2, person = 'nobody-knows' WHERE site_id = $1 AND seq = 7", bytes(60)
    )
    report = await log.verified(seen=[300])
    assert report.valid, "nothing tells the two apart"
    assert report.unchecked == [ALONE, "1 personal part without a key, of 1 person forgotten or never known"]


async def test_entries_that_no_checkpoint_covers_are_said_to_be_nobodys_word(log: Log):
    await log.fort.commit(log.fort.pen.write(5))
    report = await log.verified(seen=[300])
    assert report.unchecked == [
        ALONE,
        "who wrote the entries from 300 on: the newest signed checkpoint ends before them",
    ]
    await log.run("DELETE FROM checkpoint WHERE site_id = $1")
    assert (await log.verified(seen=[300])).unchecked == [
        ALONE,
        "who wrote the log: it holds no signed checkpoint",
    ]


async def test_a_log_that_grows_while_it_is_verified_is_valid(log: Log):
    """What came after the instant that is verified is neither beyond the head nor out of place."""
    grown = log.fort.pen.write(50, person=SERGEANT)

    async def grow() -> None:
        await log.fort.commit(grown)

    report = await log.verified(before_reading=grow)
    assert (report.problems, report.entries) == ([], 300)


async def test_a_checkpoint_signed_while_the_log_was_verified_is_not_said_to_be_borne_out(log: Log):
    async def grow() -> None:
        await log.fort.commit(log.fort.pen.write(50))
        tree = log.fort.pen.trees["site"]
        note = log.note("site", tree.size, tree.root())
        await log.fort.ledger.checkpoint(
            log.fort.site, tree="site", size=tree.size, root=tree.root(), note=note, at=NOW
        )

    assert (await log.verified(before_reading=grow)).newest["site"].size == 300
    assert (await log.verified()).newest["site"].size == 350


async def test_of_a_log_without_signed_checkpoints_there_is_none_to_remember(log: Log):
    await log.run("DELETE FROM checkpoint WHERE site_id = $1")
    assert (await log.verified(seen=[300])).newest == {}


async def test_progress_is_told_entry_by_entry(log: Log):
    told: list[int] = []
    await log.verified(progress=told.append)
    assert told == list(range(1, 301))


# -- a log that was tampered with -------------------------------------------------------------------------------------


def _sql(sql: str, *arguments: Any) -> Callable[[Log], Awaitable[object]]:
    return lambda log: log.run(sql, *arguments)


async def _rewrite(log: Log, seq: int, /, **fields: Any) -> None:
    """Another body in the place of an entry, canonical as any."""
    rows = await log.run("SELECT body FROM entry WHERE site_id = $1 AND seq = $2", seq)
    body = canonical_json({**json.loads(rows[0]["body"]), **fields})
    await log.run("UPDATE entry SET body = $3 WHERE site_id = $1 AND seq = $2", seq, body)


def _rewritten(seq: int, /, **fields: Any) -> Callable[[Log], Awaitable[object]]:
    return lambda log: _rewrite(log, seq, **fields)


async def _insert_in_the_middle(log: Log) -> None:
    await log.run(
        "INSERT INTO entry (site_id, seq, at, kind, body)"
        " SELECT site_id, seq, at + interval '1 microsecond', kind, body FROM entry WHERE site_id = $1 AND seq = 42"
    )


async def _append_one(log: Log) -> None:
    """One more at the end, and the head moved behind it."""
    await log.run(
        "INSERT INTO entry (site_id, seq, at, kind, body)"
        " SELECT site_id, 300, at, kind, body FROM entry WHERE site_id = $1 AND seq = 299"
    )
    await log.run("UPDATE tree_head SET size = 301 WHERE site_id = $1 AND tree = 'site'")


_SWAP_BODIES = """
    UPDATE entry SET body = other.body FROM entry AS other
    WHERE entry.site_id = $1 AND other.site_id = $1 AND (entry.seq, other.seq) IN ((120, 121), (121, 120))
"""
_SWAP_PERSONAL_PARTS = """
    UPDATE personal SET sealed = other.sealed FROM personal AS other
    WHERE personal.site_id = $1 AND other.site_id = $1 AND (personal.seq, other.seq) IN ((7, 8), (8, 7))
"""
_MOVE_PERSONAL_PART = """
    UPDATE personal SET sealed = other.sealed, person = other.person FROM personal AS other
    WHERE personal.site_id = $1 AND other.site_id = $1 AND personal.seq = 7 AND other.seq = 270
"""

TAMPERINGS: dict[str, tuple[Callable[[Log], Awaitable[object]], str]] = {
    "a body altered by one letter": (_rewritten(42, gate="frond"), "tile 0/0 of site is missing or altered"),
    "a body altered in the last, incomplete tile": (
        _rewritten(290, gate="frond"),
        "the head of site at 300 entries has another root than the bodies",
    ),
    "a body back-dated": (_rewritten(42, at="2020-01-01T00:00:00.000000Z"), "tile 0/0 of site"),
    "a body spelt otherwise": (
        _sql("UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = 42"),
        "entry 42 is not in its canonical form",
    ),
    "a body that is none": (
        _sql("UPDATE entry SET body = '\\xff00' WHERE site_id = $1 AND seq = 42"),
        "entry 42 is no JSON",
    ),
    "a body of another site": (_rewritten(42, site="castle"), "entry 42 belongs to another site"),
    "an entry filed as something else": (
        _sql("UPDATE entry SET kind = 'access.granted' WHERE site_id = $1 AND seq = 42"),
        "entry 42 is filed as access.granted, but says gate.status",
    ),
    "an entry deleted": (
        _sql("DELETE FROM entry WHERE site_id = $1 AND seq = 120"),
        "stands where entry 120 belongs",
    ),
    "the last entry deleted": (
        _sql("DELETE FROM entry WHERE site_id = $1 AND seq = 299"),
        "the bodies make 299",
    ),
    "all entries deleted": (_sql("DELETE FROM entry WHERE site_id = $1"), "the bodies make 0"),
    "two entries swapped": (_sql(_SWAP_BODIES), "entry 120 says of itself that it is entry 121"),
    "an entry once more in the middle": (_insert_in_the_middle, "stands where entry 43 belongs"),
    "an entry once more at the end": (_append_one, "entry 300 says of itself that it is entry 299"),
    "an entry beyond the head": (
        _sql(
            "INSERT INTO entry (site_id, seq, at, kind, body) SELECT site_id, 300, at, kind, body FROM entry"
            " WHERE site_id = $1 AND seq = 299"
        ),
        "1 entry lies beyond the head of the log, or twice in one place",
    ),
    "an entry filed at another time": (
        _sql("UPDATE entry SET at = at - interval '1 year' WHERE site_id = $1 AND seq = 120"),
        "entry 120 is filed as ",
    ),
    "an entry filed under another tenant": (
        _sql("UPDATE entry SET tenant = 'army', tenant_index = 141 WHERE site_id = $1 AND seq = 120"),
        "entry 120 is filed in site 120, tenant:army 141, but says site 120, tenant:school 120",
    ),
    "an entry filed at another place of its tenant": (
        _sql("UPDATE entry SET tenant_index = 7 WHERE site_id = $1 AND seq = 120"),
        "entry 120 is filed in site 120, tenant:school 7, but says site 120, tenant:school 120",
    ),
    "an entry not filed under the other tenant it concerns": (
        _sql("UPDATE entry SET owner = NULL, owner_index = NULL WHERE site_id = $1 AND seq = 42"),
        "entry 42 is filed in site 42, tenant:army 42, but says site 42, tenant:army 42, tenant:school 42",
    ),
    "an entry whose number is spelt as a word": (
        _rewritten(1, seq=True),
        "entry 1 says of itself that it is entry true",
    ),
    "an entry whose places are no numbers": (
        _rewritten(42, trees={"site": 42, "tenant:army": [], "tenant:school": None}),
        "entry 42 claims place something else of tenant:army, which is at 42",
    ),
    "an entry that would write on the reader's screen": (
        _rewritten(42, trees={"site": 42, "tenant:army": 42, "tenant:school": 42, "\x1b[2J\n" + "x" * 99: 0}),
        "but says ?[2J?xxxxxxxxxxxxx",
    ),
    "a body with half a character": (
        _sql(
            """UPDATE entry SET body = convert_to('{"a":"\\ud800"}', 'UTF8') WHERE site_id = $1 AND seq = 42"""
        ),
        "entry 42 is no JSON",
    ),
    "a body with a number beyond all bounds": (
        _sql(
            "UPDATE entry SET body = convert_to('{\"a\":99999999999999999999999}', 'UTF8') WHERE site_id = $1 AND seq = 42"
        ),
        "entry 42 is not in its canonical form",
    ),
    "a body as deep as a well": (
        _sql(
            "UPDATE entry SET body = convert_to(repeat('[', 100000), 'UTF8') WHERE site_id = $1 AND seq = 42"
        ),
        "entry 42 is no JSON",
    ),
    "a body that nests deeper than it could be written again": (
        _sql(
            "UPDATE entry SET body = convert_to('{\"a\":' || repeat('[', 900) || repeat(']', 900) || '}', 'UTF8')"
            " WHERE site_id = $1 AND seq = 42"
        ),
        "entry 42 is not in its canonical form",
    ),
    "a body that is a list": (
        _sql("UPDATE entry SET body = '[]' WHERE site_id = $1 AND seq = 42"),
        "entry 42 is not in its canonical form",
    ),
    "an entry that claims another place": (
        _rewritten(42, trees={"site": 42, "tenant:army": 41, "tenant:school": 42}),
        "entry 42 claims place 41 of tenant:army, which is at 42",
    ),
    "an entry taken out of a tenant's tree": (
        _rewritten(42, trees={"site": 42, "tenant:school": 42}),
        "claims place 43 of tenant:army, which is at 42",
    ),
    "an entry without a place in the site's tree": (
        _rewritten(42, trees={"tenant:army": 42, "tenant:school": 42}),
        "entry 42 does not name its place in the site's tree",
    ),
    "personal parts swapped": (
        _sql(_SWAP_PERSONAL_PARTS),
        "the personal part of entry 7 is altered or another's",
    ),
    "a personal part of somebody else": (
        _sql(_MOVE_PERSONAL_PART),
        "the personal part of entry 7 is altered",
    ),
    "a personal part altered": (
        _sql("UPDATE personal SET sealed = set_byte(sealed, 20, 0) WHERE site_id = $1 AND seq IN (7, 8, 9)"),
        "is altered or another's",
    ),
    "a personal part deleted": (
        _sql("DELETE FROM personal WHERE site_id = $1 AND seq = 7"),
        "entry 7 and its personal part do not go together",
    ),
    "a personal part made up": (
        _sql(
            "INSERT INTO personal SELECT site_id, 120, at, person, sealed FROM personal WHERE site_id = $1 AND seq = 7"
        ),
        "entry 120 and its personal part do not go together",
    ),
    "a personal part emptied": (
        _sql("UPDATE personal SET sealed = '' WHERE site_id = $1 AND seq = 7"),
        "the personal part of entry 7 is altered: it is too short to be one",
    ),
    "a personal part under the name of nobody known": (
        _sql(
            "UPDATE personal SET sealed = 'rubbish', person = 'nobody-knows' WHERE site_id = $1 AND seq = 7"
        ),
        "the personal part of entry 7 is altered: it is too short to be one",
    ),
    "a personal part of no entry": (
        _sql(
            "INSERT INTO personal SELECT site_id, 300, at, person, sealed FROM personal WHERE site_id = $1 AND seq = 7"
        ),
        "1 personal part belongs to no entry of the log",
    ),
    "a tile too many": (
        _sql(
            "INSERT INTO tile SELECT site_id, tree, level, 7, hashes FROM tile WHERE site_id = $1 AND tree = 'site'"
        ),
        "tile 0/7 of site belongs to no full part of that tree",
    ),
    "a tile of a tree that is not there": (
        _sql(
            "INSERT INTO tile SELECT site_id, 'tenant:ghost', level, index, hashes FROM tile"
            " WHERE site_id = $1 AND tree = 'site'"
        ),
        "tile 0/0 of tenant:ghost belongs to no full part of that tree",
    ),
    "a tile altered": (
        _sql(
            "UPDATE tile SET hashes = set_byte(hashes, 8191, 255 - get_byte(hashes, 8191)) WHERE site_id = $1"
        ),
        "tile 0/0 of tenant:school is missing or altered",
    ),
    "a tile deleted": (
        _sql("DELETE FROM tile WHERE site_id = $1 AND tree = 'site'"),
        "tile 0/0 of site is missing or altered",
    ),
    "a head's root altered": (
        _sql("UPDATE tree_head SET root = $2 WHERE site_id = $1 AND tree = 'tenant:army'", bytes(32)),
        "the head of tenant:army at 140 entries has another root than the bodies",
    ),
    "a head moved back": (
        _sql("UPDATE tree_head SET size = 260 WHERE site_id = $1 AND tree = 'site'"),
        "the signed checkpoint of site at 300 entries is beyond the end of the log",
    ),
    "the site's head deleted": (
        _sql("DELETE FROM tree_head WHERE site_id = $1 AND tree = 'site'"),
        "is beyond the end of the log",
    ),
    "a tenant's head deleted": (
        _sql("DELETE FROM tree_head WHERE site_id = $1 AND tree = 'tenant:army'"),
        "the head of tenant:army is missing; the bodies make 140 entries",
    ),
    "a head of a tree that is not there": (
        _sql(
            "INSERT INTO tree_head SELECT site_id, 'tenant:ghost', size, root FROM tree_head WHERE site_id = $1 AND tree = 'site'"
        ),
        "the head of tenant:ghost says 300 entries; the bodies make 0",
    ),
    "a checkpoint of nothing under another root": (
        _sql(
            "INSERT INTO checkpoint SELECT site_id, tree, 0, root, note, at FROM checkpoint"
            " WHERE site_id = $1 AND tree = 'site' AND size = 100"
        ),
        "the signed checkpoint of site at 0 entries has another root",
    ),
    "a checkpoint of another root": (
        _sql(
            "UPDATE checkpoint SET root = $2 WHERE site_id = $1 AND tree = 'site' AND size = 100", bytes(32)
        ),
        "the checkpoint of site at 100 says something else than its row",
    ),
    "a checkpoint that is no note": (
        _sql("UPDATE checkpoint SET note = 'trust me' WHERE site_id = $1 AND tree = 'site' AND size = 100"),
        "the checkpoint of site at 100 is not signed by the log's key",
    ),
    "a checkpoint of another tree": (
        _sql(
            "UPDATE checkpoint SET note = other.note FROM checkpoint AS other WHERE checkpoint.site_id = $1"
            " AND other.site_id = $1 AND (checkpoint.tree, other.tree) = ('site', 'tenant:army')"
            " AND checkpoint.size = 100 AND other.size = 100"
        ),
        "the checkpoint of site at 100 is not signed by the log's key",
    ),
}


@pytest.mark.parametrize(("tamper", "said"), TAMPERINGS.values(), ids=TAMPERINGS)
async def test_who_tampers_is_found_out(tamper: Callable[[Log], Awaitable[object]], said: str, log: Log):
    await tamper(log)
    report = await log.verified()
    assert not report.valid
    assert any(said in problem for problem in report.problems), report.problems


async def test_a_checkpoint_signed_by_another_key_is_not_believed(log: Log):
    root = log.fort.pen.trees["site"].root()
    forged = log.note("site", 300, root, key=OTHER_KEY)
    await log.run(
        "UPDATE checkpoint SET note = $2 WHERE site_id = $1 AND tree = 'site' AND size = 300", forged
    )
    report = await log.verified()
    assert report.problems == [
        "the checkpoint of site at 300 is not signed by the log's key [checkpoint-key]"
    ]


async def test_a_log_rewritten_whole_contradicts_the_checkpoints_that_were_signed(log: Log):
    await _rewrite(log, 42, gate="another")
    await rebuild(log.fort)
    report = await log.verified()
    assert (
        "the signed checkpoint of site at 100 entries has another root: the log was rewritten [checkpoint-fork]"
        in report.problems
    )
    assert not any("tile" in problem or "head" in problem for problem in report.problems)


@pytest.mark.parametrize("seen", [100, 300])
async def test_a_log_rewritten_with_its_checkpoints_is_found_out_by_an_old_one(seen: int, log: Log):
    """The database alone cannot tell; memory outside it can."""
    await _rewrite(log, 42, gate="another")
    await rebuild(log.fort)
    await log.run("DELETE FROM checkpoint WHERE site_id = $1")
    unwarned = await log.verified()
    assert unwarned.valid
    assert any("rewritten whole" in thing for thing in unwarned.unchecked)
    warned = await log.verified(seen=[seen])
    assert warned.problems == [
        f"the checkpoint of site at {seen} entries in memory has another root: the log was rewritten [checkpoint-fork]"
    ]


async def test_a_log_truncated_with_all_that_points_to_it_is_found_out_by_an_old_checkpoint(log: Log):
    for table in ("entry", "personal"):
        await log.run(f"DELETE FROM {table} WHERE site_id = $1 AND seq >= 250")
    await log.run("DELETE FROM checkpoint WHERE site_id = $1 AND size > 100")
    await rebuild(log.fort)
    assert (await log.verified(seen=[100])).valid, "what was seen at 100 still stands"
    report = await log.verified(seen=[300])
    assert report.problems == [
        "the checkpoint of site at 300 entries in memory is beyond the end of the log [checkpoint-fork]"
    ]


async def test_a_person_who_was_not_there_cannot_be_put_into_an_entry(log: Log):
    """Under the right key and in the right place, but not what the leaf committed to."""
    _, forged = log.fort.pen.sealer.encrypt(SERGEANT, b'{"holder":"pupil"}', 7, bytes(12))
    await log.run("UPDATE personal SET sealed = $2 WHERE site_id = $1 AND seq = 7", forged)
    report = await log.verified()
    assert report.problems == ["the personal part of entry 7 is not the one committed to"]


async def test_every_problem_is_told_not_only_the_first(log: Log):
    for seq in (10, 20, 30):
        await log.run("UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = $2", seq)
    await log.run("DELETE FROM checkpoint WHERE site_id = $1")
    report = await log.verified()
    assert [problem for problem in report.problems if "canonical" in problem] == [
        f"entry {seq} is not in its canonical form" for seq in (10, 20, 30)
    ]
