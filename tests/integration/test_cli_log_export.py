"""`gatekeeper audit export`: the log says who exports it first, then a bundle is written, and the verifier believes it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, in_pocket, served_site
from tests.support.commands import Said
from tests.support.exports import leaves_of, members_of

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
