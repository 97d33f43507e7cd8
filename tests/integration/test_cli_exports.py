"""Exports from the command line: proposed by one, approved by another, then written; and refused in every other way."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.core.audit import canonical_json, timestamp
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, served_site

pytestmark = pytest.mark.integration

NAME = "Wilhelmina van Oranje"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("exports"), postgres_server, broker) as registry:
        yield registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


def last_entry(registry: Registry) -> dict[str, Any]:
    ((body,),) = registry.run("SELECT body FROM entry WHERE site_id = $1 ORDER BY seq DESC LIMIT 1")
    entry: dict[str, Any] = json.loads(body)
    return entry


def newest_proposal(registry: Registry) -> dict[str, Any]:
    waiting: list[dict[str, Any]] = registry("proposal", "list", "--json").document["proposals"]
    return waiting[-1]


@pytest.mark.parametrize(("command", "what"), [("holder", "holders"), ("badge", "badges")])
def test_one_proposes_another_agrees_and_then_the_file_is_written(
    command: str, what: str, registry: Registry, file: Path
):
    before = registry.log_size()
    words = (command, "export", "--tenant", "school", "--reason", "yearly review", "--out", file)
    said = registry(*words)
    waiting = newest_proposal(registry)
    number = waiting["proposal"][:8]
    assert (said.code, said.out) == (0, "")
    assert said.err == (
        f"Proposed; entry {before} of the log. Nothing is written before another of the host's people has said, "
        f"within 24 hours, gatekeeper proposal approve {number}; then this command with --approved ENTRY, "
        "the entry people.exported that it makes, writes the file.\n"
    )
    assert waiting["gives"] == [f"all {what} of school in a file: yearly review"]
    assert not file.exists()

    said = registry("proposal", "approve", number, "--operator", "officer")
    assert said.code == 0, said
    assert said.err.splitlines() == [
        f"school-admin proposes, in entry {before}: export (all {what} of school in a file: yearly review).",
        f"For 24 hours the file may be written, by the same command with --approved {before + 2}.",
        f"Done; entry {before + 1} of the log.",
    ]
    assert registry.kinds(before) == ["proposal.made", "proposal.approved", "people.exported"]
    entry = last_entry(registry)
    told = {name: entry[name] for name in ("tenant", "what", "reason", "by", "author", "approved_by")}
    assert told == {
        "tenant": "school",
        "what": what,
        "reason": "yearly review",
        "by": "school",
        "author": "school-admin",
        "approved_by": "officer",
    }
    assert entry["trees"].keys() == {"site", "tenant:school"}
    assert "personal" not in entry

    said = registry(*words, "--approved", entry["seq"])
    assert (said.code, said.out) == (0, "")
    assert said.err.endswith(f" of school in {file}.\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes().startswith(b"holder,")
    assert registry.log_size() == before + 3, "to write the file signs nothing more"


def test_a_program_is_told_the_same_as_json(registry: Registry, file: Path):
    words = ("holder", "export", "--tenant", "school", "--out", file, "--json")
    proposed = registry(*words, "--reason", " audit ").document
    seq = registry.log_size() - 1
    assert {**proposed, "proposal": None} == {
        "tenant": "school",
        "what": "holders",
        "reason": "audit",
        "proposal": None,
        "outcome": "proposed",
        "detail": "all holders of school in a file: audit",
        "entry": seq,
    }
    registry.done("proposal", "approve", proposed["proposal"], "--operator", "officer")
    said = registry(*words, "--approved", seq + 2)
    count = len(file.read_text("utf-8").splitlines()) - 1
    assert count > 0
    assert (said.code, said.document) == (
        0,
        {
            "tenant": "school",
            "what": "holders",
            "reason": "audit",
            "outcome": "written",
            "entry": seq + 2,
            "file": str(file),
            "count": count,
            "left_out": 0,
        },
    )
    file.unlink()
    refused = registry(*words, "--approved", seq)
    assert (refused.code, refused.document["outcome"]) == (1, "export-not-approved")
    refused = registry(*words, "--reason", "audit", "--operator", "club-admin")
    assert (refused.code, refused.document["outcome"]) == (1, "change-not-yours")


def test_an_approval_is_for_one_list_of_one_tenant_and_one_reason(registry: Registry, file: Path):
    seq = registry.approved("holder", "school")
    for words, why in (
        (
            ("badge", "export", "--tenant", "school"),
            "export-other-list. The entry approves an export of badges where holders are asked for, or the other way round.",
        ),
        (
            ("holder", "export", "--tenant", "club"),
            "export-other-tenant. The entry approves an export of another tenant.",
        ),
        (
            ("holder", "export", "--tenant", "school", "--reason", "curiosity"),
            "export-other-reason. The export was approved for another reason (for a test).",
        ),
    ):
        said = registry(*words, "--out", file, "--approved", seq)
        assert (said.code, said.out, said.err) == (1, "", f"Refused: {why} Nothing was written.\n")
    assert not file.exists()


def test_an_entry_that_approves_nothing_is_refused(registry: Registry, file: Path):
    seq = registry.approved("holder", "school")
    for entry, why in (
        (seq - 1, f"export-not-approved. The entry approves no export: name the entry people.exported ({seq - 1} is proposal.approved)."),
        (seq + 1, f"export-no-entry. The log holds no such entry ({seq + 1})."),
        (1 << 80, f"export-no-entry. The log holds no such entry ({1 << 80})."),
    ):  # fmt: skip
        said = registry("holder", "export", "--tenant", "school", "--out", file, "--approved", entry)
        assert (said.code, said.err) == (1, f"Refused: {why} Nothing was written.\n")
    assert not file.exists()


def test_a_row_beyond_the_head_of_the_log_approves_nothing(registry: Registry, file: Path):
    registry.approved("holder", "school")
    body, size = last_entry(registry), registry.log_size()
    forged = {**body, "seq": size, "trees": {"site": size, "tenant:school": size}}
    registry.run(
        "INSERT INTO entry (site_id, seq, at, kind, body) VALUES ($1, $2, now(), 'people.exported', $3)",
        size,
        canonical_json(forged),
    )
    try:
        said = registry("holder", "export", "--tenant", "school", "--out", file, "--approved", size)
    finally:
        registry.run("DELETE FROM entry WHERE site_id = $1 AND seq = $2", size)
    assert (said.code, file.exists()) == (1, False)
    assert said.err.startswith("Refused: export-no-entry.")


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"at": timestamp(datetime.now(UTC) - timedelta(hours=25))}, "export-too-old"),
        ({"approved_by": "school-admin"}, "export-altered"),
        ({"seq": 0}, "export-altered"),
        ({"kind": "badge.changed"}, "export-not-approved"),
    ],
)
def test_what_counts_is_the_body_and_nothing_that_a_row_says_beside_it(
    spoilt: dict[str, Any], code: str, registry: Registry, file: Path
):
    seq, body = registry.approved("holder", "school"), canonical_json(last_entry(registry))
    other = canonical_json({**json.loads(body), **spoilt})
    registry.run("UPDATE entry SET body = $3 WHERE site_id = $1 AND seq = $2 RETURNING 1", seq, other)
    try:
        said = registry("holder", "export", "--tenant", "school", "--out", file, "--approved", seq)
    finally:
        registry.run("UPDATE entry SET body = $3 WHERE site_id = $1 AND seq = $2 RETURNING 1", seq, body)
    assert (said.code, file.exists()) == (1, False)
    assert said.err.startswith(f"Refused: {code}. ")


@pytest.mark.parametrize("command", ["holder", "badge"])
def test_without_a_reason_or_an_approval_nothing_is_proposed_or_written(
    command: str, registry: Registry, file: Path
):
    before = registry.log_size()
    said = registry(command, "export", "--tenant", "school", "--out", file)
    assert (said.code, said.out, said.err) == (
        2,
        "",
        "An export takes two people: say why with --reason, and once another has approved it, --approved ENTRY.\n",
    )
    for reason in ("", " ", "two\nlines", "x" * 201):
        said = registry(command, "export", "--tenant", "school", "--out", file, "--reason", reason)
        assert (said.code, said.err) == (2, "--reason: write one line of 1 to 200 characters.\n")
    said = registry(command, "export", "--tenant", "school", "--approved", 1, "--json")
    assert (said.code, said.err) == (
        2,
        "--json tells of the file that was written: say with --out where to.\n",
    )
    assert registry(command, "export", "--tenant", "school", "--approved", "-1").code == 2
    assert (registry.log_size(), file.exists()) == (before, False)


def test_who_may_not_export_a_tenants_people_is_refused(registry: Registry, file: Path):
    before = registry.log_size()
    for operator, code in (
        ("club-admin", "change-not-yours"),
        ("army-admin", "change-not-yours"),
        ("officer", "change-role"),
    ):
        said = registry(
            *("holder", "export", "--tenant", "school", "--reason", "audit", "--out", file),
            *("--operator", operator),
        )
        assert (said.code, said.err.startswith(f"Refused: {code}. ")) == (1, True), said
    assert (registry.log_size(), file.exists()) == (before, False)


def test_the_tenant_does_not_agree_to_its_own_export(registry: Registry):
    said = registry("holder", "export", "--tenant", "school", "--reason", "audit", "--json").document
    refused = registry("proposal", "approve", said["proposal"], "--operator", "school-admin")
    assert (refused.code, "proposal-own" in refused.err) == (1, True)
    refused = registry("proposal", "approve", said["proposal"], "--operator", "club-admin")
    assert (refused.code, "change-role" in refused.err) == (1, True)
    registry.done("proposal", "withdraw", said["proposal"])
    assert "people.exported" not in registry.kinds(said["entry"])


def test_an_export_that_no_engine_has_seen_is_proposed_when_one_has(registry: Registry):
    before = registry.log_size()
    with registry.unserved():
        said = registry("holder", "export", "--tenant", "school", "--reason", "while nobody is there")
        assert (said.code, said.err) == (
            4,
            "It waits, and is NOT in force: no engine runs this site now. An engine makes it when one does.\n",
        )
    registry.wait_until(lambda: "proposal.made" in registry.kinds(before))
    registry.done("proposal", "withdraw", newest_proposal(registry)["proposal"])


def test_no_name_and_no_holder_stands_in_what_is_signed_and_logged_of_an_export(
    registry: Registry, file: Path
):
    registry.done("holder", "add", NAME, "--kind", "staff", "--clearance", 1, "--id", "p-secret", "--tenant", "school")  # fmt: skip
    before, changes = registry.log_size(), _changes(registry)
    seq = registry.approved("holder", "school")
    registry.done("holder", "export", "--tenant", "school", "--out", file, "--approved", seq)
    assert NAME in file.read_text("utf-8")
    rows = registry.run("SELECT body FROM entry WHERE site_id = $1 AND seq >= $2", before)
    said = [bytes(row["body"]) for row in rows] + _changes(registry)[len(changes) :]
    assert len(said) == 5
    assert not [one for one in said if NAME.encode() in one or b"p-secret" in one]


def test_the_log_of_all_that_is_whole(registry: Registry):
    said = registry("audit", "verify", "--json")
    assert (said.code, said.document["problems"]) == (0, [])


def _changes(registry: Registry) -> list[bytes]:
    rows = registry.run("SELECT document FROM change WHERE site_id = $1 ORDER BY arrival")
    return [bytes(row["document"]) for row in rows]
