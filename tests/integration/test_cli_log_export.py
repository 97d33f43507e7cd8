"""`gatekeeper audit export`: the log says who exports it first, then a bundle is written, and the verifier believes it."""

import asyncio
import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.adapters.tsa import HttpTimestampAuthority
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.core.retention import Due, draft_of_expiry
from gatekeeper.core.supervise import Writes
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.ids import TenantId
from gatekeeper.model.retention import Kept
from gatekeeper.ports import Batch
from gatekeeper.service.administration.folder import signing_of
from gatekeeper.service.engine.sealing import Sealer
from gatekeeper.transparency import Tree
from tests.integration.people_site import Registry, in_pocket, served_site
from tests.support.commands import Said
from tests.support.exports import leaves_of, members_of
from tests.support.site_files import SMALL
from tests.support.sites import ground
from tests.support.timestamping import served_authority

pytestmark = pytest.mark.integration

REASON = "yearly review"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("log-exports"), postgres_server, broker) as registry:
        yield registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.zip"


def export(registry: Registry, file: Path, *words: object, tenant: str = "school") -> Said:
    return registry("audit", "export", "--tenant", tenant, "--reason", REASON, "--out", file, *words)


def manifest_of(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(members_of(file)["manifest.json"])
    return document


def verified(registry: Registry, file: Path, *words: object) -> Said:
    assert registry.say is not None
    return registry.say("audit", "verify", file, "--memory", file.parent / "memory", *words)


def test_an_export_is_an_entry_first_and_then_a_bundle_that_proves_itself(registry: Registry, file: Path):
    before = registry.log_size()
    said = export(registry, file)
    assert (said.code, said.out) == (0, ""), said
    members = members_of(file)
    entry, manifest = json.loads(members["export.json"]), manifest_of(file)
    assert (entry["kind"], entry["seq"], entry["reason"], entry["tree"]) == (
        "log.exported",
        before,
        REASON,
        "tenant:school",
    )
    assert manifest["export"]["seq"] == before
    assert manifest["within"] == manifest["range"] == [0, manifest["size"]]
    assert (
        len(leaves_of(members))
        == manifest["size"]
        == manifest["counts"]["entries"]
        == manifest["counts"]["rows"]
    )
    assert f"gatekeeper audit verify {file} checks it, anywhere." in said.err
    checked = verified(registry, file)
    assert checked.code == 0, checked


def test_a_later_export_proves_that_the_log_grew_from_an_earlier_one(registry: Registry, file: Path):
    assert export(registry, file).code == 0
    assert verified(registry, file).code == 0
    later = file.with_name("later.zip")
    assert export(registry, later, "--from", "2026-01-01").code == 0
    proofs = json.loads(members_of(later)["proofs.json"])
    assert manifest_of(file)["size"] in {one["size"] for one in proofs["consistency"]}
    assert verified(registry, later).code == 0


def test_what_a_bundle_showed_is_demanded_of_the_database(registry: Registry, file: Path):
    assert export(registry, file).code == 0
    assert verified(registry, file).code == 0
    said = registry("audit", "verify", "--memory", file.parent / "memory", "--json")
    assert said.code == 0, said
    size = manifest_of(file)["size"]
    assert [one["size"] for one in said.document["consistent_with"] if "tenant/school" in one["where"]] == [
        size
    ]


def test_what_the_database_showed_is_demanded_of_a_bundle_which_proves_it(
    registry: Registry, file: Path, tmp_path: Path
):
    assert registry("audit", "verify").code == 0
    (kept,) = (tmp_path / "state").rglob("tenant/school/*.checkpoint")
    assert export(registry, file).code == 0
    assert int(kept.stem) in {
        one["size"] for one in json.loads(members_of(file)["proofs.json"])["consistency"]
    }
    assert registry.say is not None
    said = registry.say("audit", "verify", file)
    assert said.code == 0, said
    assert f"One with the checkpoint of {int(kept.stem)} entries in {kept}." in said.err


def test_a_checkpoint_that_an_auditor_has_is_proved_to_be_the_beginning(
    registry: Registry, file: Path, tmp_path: Path
):
    ((note, size),) = registry.run(
        "SELECT note, size FROM checkpoint WHERE site_id = $1 AND tree = 'tenant:school' ORDER BY size LIMIT 1"
    )
    seen = tmp_path / "seen"
    seen.write_bytes(note)
    assert export(registry, file, "--seen", seen).code == 0
    assert size in {one["size"] for one in json.loads(members_of(file)["proofs.json"])["consistency"]}


def test_personal_parts_take_a_second_person(registry: Registry, file: Path):
    said = export(registry, file, "--openings", "--json")
    assert (said.code, said.document["outcome"]) == (0, "proposed"), said
    assert not file.exists()
    agreed = registry("proposal", "approve", said.document["proposal"], "--operator", "officer")
    assert agreed.code == 0, agreed
    (seq,) = next(
        row
        for row in registry.run(
            "SELECT seq FROM entry WHERE site_id = $1 AND kind = 'log.exported' ORDER BY seq DESC LIMIT 1"
        )
    )
    assert f"by audit export with --approved {seq}." in agreed.err
    written = registry("audit", "export", "--approved", seq, "--out", file, "--json")
    assert (written.code, written.document["outcome"], written.document["entry"]) == (0, "written", seq), (
        written
    )
    manifest = manifest_of(file)
    assert manifest["export"]["approved_by"] == "officer"
    assert manifest["counts"]["openings"] == manifest["counts"]["personal"] > 0
    assert verified(registry, file).code == 0


def test_one_door_and_one_outcome_are_given_and_the_rest_is_withheld(
    registry: Registry, file: Path, tmp_path: Path
):
    issued = tmp_path / "badge.bin"
    registry.done("badge", "issue", "h-00001", "--out", issued)
    registry.scan(in_pocket(issued))
    said = export(registry, file, "--door", "front-in", "--decision", "granted", tenant="army")
    assert said.code == 0, said
    manifest, lines = manifest_of(file), leaves_of(members_of(file))
    shown = [json.loads(line) for line in lines if isinstance(line, bytes)]
    assert {(one["access_point"], one["kind"]) for one in shown} == {("front-in", "access.granted")}
    assert manifest["counts"]["withheld"] == manifest["size"] - len(shown) > 0
    checked = verified(registry, file)
    assert checked.code == 0, checked
    assert "NOT proved" in checked.err


def test_a_door_that_the_site_never_had_is_refused_before_anything_is_signed(registry: Registry, file: Path):
    before = registry.log_size()
    said = export(registry, file, "--door", "front-in", "--door", "nowhere", "--door", "elsewhere")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "Refused: export-door-unknown. The site has no such access point, and no policy of it ever had (elsewhere, nowhere).\n"
    )
    told = export(registry, file, "--door", "nowhere", "--json")
    assert (told.code, told.document) == (1, {"outcome": "export-door-unknown", "detail": "nowhere"})
    assert (registry.log_size(), file.exists()) == (before, False)


def test_a_tenant_that_has_no_log_is_refused_before_anything_is_signed(registry: Registry, file: Path):
    before = registry.log_size()
    said = export(registry, file, tenant="nobody")
    assert (said.code, said.err) == (
        1,
        "Refused: export-tree-unknown. The log has no such tree: the site has no such tenant (tenant:nobody).\n",
    )
    assert registry.log_size() == before


def test_a_door_that_a_former_policy_had_may_be_asked_for(registry: Registry, file: Path):
    with former_policy(registry, had="old-in"):
        assert export(registry, file, "--door", "old-in", "--door", "front-in").code == 0
        assert export(registry, file.with_name("other.zip"), "--door", "older-in").code == 1
    assert manifest_of(file)["doors"] == ["front-in", "old-in"]
    assert verified(registry, file).code == 0


def test_where_a_former_policy_is_not_believed_any_more_a_door_may_be_asked_for_and_that_is_told(
    registry: Registry, file: Path
):
    stranger = cose.SigningKey.generate(cose.Algorithm.ESP256)
    with former_policy(registry, had="old-in", key=stranger):
        said = export(registry, file, "--door", "old-in")
    assert said.code == 0, said
    assert said.err.startswith("The site has no access point old-in now; whether it had cannot be said: ")


@contextmanager
def former_policy(registry: Registry, *, had: str, key: cose.SigningKey | None = None) -> Iterator[None]:
    """Let a policy have been in force that had this access point, signed by the host if by nobody else."""
    text = SMALL.replace('id = "fort"', f'id = "{registry.site}"', 1).replace("side-in", had)
    key = key or registry.folder.read_key(signing_of(TenantId("army")))
    document = sign_policy(tomllib.loads(text), site=registry.site, key=key)
    registry.run("INSERT INTO document (site_id, kind, seq, content) VALUES ($1, 'policy', -1, $2)", document)
    try:
        yield
    finally:
        registry.run("DELETE FROM document WHERE site_id = $1 AND seq = -1")


@pytest.mark.parametrize(
    ("spelled", "table"), [("rfc4180", b"index,"), ("excel-nl", b"\xef\xbb\xbf"), ("none", None)]
)
def test_the_table_is_spelled_as_one_option_says_or_there_is_none(
    registry: Registry, file: Path, spelled: str, table: bytes | None
):
    assert export(registry, file, "--csv", spelled).code == 0
    tables = [content for name, content in members_of(file).items() if name.startswith("csv/")]
    assert manifest_of(file)["csv"] == (None if table is None else spelled)
    assert [content.startswith(table) for content in tables if table is not None] == [True] * (
        table is not None
    )
    assert bool(tables) is (table is not None)


def test_what_expired_is_told_and_the_checkpoint_covers_the_entry_that_tells_of_it(
    registry: Registry, file: Path
):
    with registry.unserved():
        count, told = asyncio.run(let_go(registry))
    said = registry("audit", "export", "--site-tree", "--reason", REASON, "--out", file, "--json")
    assert (said.code, said.document["outcome"], said.document["expired"]) == (0, "written", count), said
    assert manifest_of(file)["expired"] == {"entries": count, "told_by": [told, told]}
    checked = verified(registry, file, "--json")
    assert (checked.code, checked.document["expired"]) == (0, count), checked
    assert any("data.expired from" in one for one in checked.document["proves"])
    later = file.with_name("later.zip")
    said = registry("audit", "export", "--site-tree", "--reason", REASON, "--out", later)
    assert f" of site, {count} expired, proved under" in said.err
    assert f" withheld, {count} expired, " in verified(registry, later).err


async def let_go(registry: Registry) -> tuple[int, int]:
    """Let the first entries of the log go, as an engine does; give how many, and the entry that tells of it."""
    ledger = PostgresLedger(registry.settings.dsn)
    try:
        epoch = await ledger.claim(registry.site, owner="the test")
        assert epoch is not None
        loaded = await ledger.load(registry.site, epoch=epoch)
        trees = {name: Tree.resume(size, edge) for name, (size, edge) in loaded.edges.items()}
        sealer = Sealer(registry.site, trees=trees, keys={})
        now = datetime.now(UTC)
        due = Due(kind=Kept.ENTRIES, tenant=None, before=now)
        doomed = await ledger.doomed(registry.site, due, since=0, most=100)
        assert doomed is not None
        seq = sealer.size
        sealed = sealer.seal([draft_of_expiry(doomed.expired, ground().policy, at=now, seq=seq)])
        parts: dict[str, Any] = {"entries": sealed.entries, "tiles": sealed.tiles, "heads": sealed.heads}
        batch = Batch(**parts, moved=(), receipts=(), writes=Writes(), doomed=doomed)
        await ledger.commit(registry.site, epoch=epoch, batch=batch)
        return doomed.expired.count, seq
    finally:
        await ledger.close()


def test_the_newest_stamped_checkpoint_comes_along_with_the_proof_that_the_log_grew_from_it(
    registry: Registry, file: Path, tmp_path: Path
):
    ((note, size),) = registry.run(
        "SELECT note, size FROM checkpoint WHERE site_id = $1 AND tree = 'tenant:school' ORDER BY size LIMIT 1"
    )
    with served_authority(tmp_path / "tsa") as authority:
        text = note.partition(b"\n\n")[0] + b"\n"
        token = asyncio.run(HttpTimestampAuthority(authority.url).stamp(text))
    registry.run(
        "INSERT INTO timestamp_token (site_id, tree, size, reply, at) VALUES ($1, 'tenant:school', $2, $3, now())",
        *(size, token),
    )
    assert export(registry, file, "--csv", "excel-nl").code == 0
    members = members_of(file)
    assert (members["stamped-checkpoint"], members["timestamp.tsr"]) == (note, token)
    assert size in {one["size"] for one in json.loads(members["proofs.json"])["consistency"]}
    checked = verified(registry, file, "--tsa-roots", authority.roots, "--json")
    assert (checked.code, checked.document["stamped_size"]) == (0, size), checked
    assert size < checked.document["size"]


def test_a_stamp_over_what_the_log_s_key_did_not_sign_is_left_out_and_told(registry: Registry, file: Path):
    assert export(registry, file.with_name("first.zip"), tenant="club").code == 0
    registry.run(
        "UPDATE checkpoint SET note = 'trust me' WHERE site_id = $1 AND tree = 'tenant:club' AND size = 1"
    )
    registry.run(
        "INSERT INTO timestamp_token (site_id, tree, size, reply, at) VALUES ($1, 'tenant:club', 1, 'token', now())"
    )
    said = export(registry, file, tenant="club")
    assert said.code == 0, said
    assert "The time stamp of 1 entry is left out: the log's key did not sign what it is over." in said.err
    assert "timestamp.tsr" not in members_of(file)


def test_a_checkpoint_of_another_log_or_beyond_this_one_is_refused_before_anything_is_signed(
    registry: Registry, file: Path, tmp_path: Path
):
    before, seen = registry.log_size(), tmp_path / "seen"
    ((note,),) = registry.run(
        "SELECT note FROM checkpoint WHERE site_id = $1 AND tree = 'site' ORDER BY size LIMIT 1"
    )
    seen.write_bytes(note)
    said = export(registry, file, "--seen", seen, "--json")
    assert (said.code, said.document) == (
        1,
        {"outcome": "export-seen-other", "detail": f"gatekeeper/{registry.site}/site"},
    )
    origin, _, rest = note.split(b"\n", 2)
    seen.write_bytes(b"\n".join([origin, b"999999", rest]))
    said = registry(
        "audit", "export", "--site-tree", "--reason", REASON, "--out", file, "--seen", seen, "--json"
    )
    assert (said.code, said.document["outcome"]) == (1, "export-seen-ahead")
    assert said.document["detail"].startswith("999999 of ")
    assert (registry.log_size(), file.exists()) == (before, False)


def test_a_holder_who_is_nobody_or_of_another_tenant_is_unknown(registry: Registry, file: Path):
    before = registry.log_size()
    nobody = export(registry, file, "--holder", "nobody", "--json")
    assert (nobody.code, nobody.document) == (1, {"outcome": "export-holder-unknown", "detail": "nobody"})
    other = export(registry, file, "--holder", "h-00001", "--operator", "school-admin")
    assert (other.code, other.err) == (
        1,
        "Refused: export-holder-unknown. The site has no such holder, or not one whom this operator may ask about (h-00001).\n",
    )
    assert registry.log_size() == before


def test_an_export_that_no_engine_has_seen_waits_and_goes_on_with_the_same_command(
    registry: Registry, file: Path
):
    before = registry.log_size()
    with registry.unserved():
        said = export(registry, file)
        assert (said.code, said.err.splitlines()) == (
            4,
            [
                "Nothing is written before the log says who exports it: when an engine runs, the same command goes on.",
                "It waits, and is NOT in force: no engine runs this site now. An engine makes it when one does.",
            ],
        )
    said = export(registry, file)
    assert said.code == 0, said
    assert registry.kinds(before).count("log.exported") == 1
