"""`gatekeeper audit verify`: valid, INVALID or cannot check, each with its exit code and its sentence."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.cose import SigningKey
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.administration.folder import LOG_KEY, SiteFolder
from gatekeeper.service.auditor import Memory
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.transparency import Checkpoint, Refused, Signer, parse_note, sign_checkpoint
from tests.integration.cli_hold import Hold
from tests.support.checkpoints import WITNESS
from tests.support.commands import Said

pytestmark = pytest.mark.integration


# -- is the log whole -------------------------------------------------------------------------------------------------


def test_a_log_that_is_whole_is_valid(hold: Hold):
    said = hold.verify("--json")
    assert (said.code, said.err) == (0, "")
    document = said.document
    assert document | {"root": "", "not_checked": []} == {
        "valid": True,
        "entries": 10,
        "deleted": 0,
        "root": "",
        "trees": 3,
        "checkpoints": 1,
        "personal_parts_opened": 9,
        "problems": [],
        "findings": [],
        "consistent_with": [],
        "cosigned": [],
        "stamped": [],
        "not_checked": [],
    }
    assert document["not_checked"] == [
        "that others saw the same log: no witness has cosigned it",
        "that the log was not rewritten whole: no checkpoint of it was seen before",
    ]


def test_the_verdict_for_a_person_is_a_sentence(hold: Hold):
    said = hold.verify()
    assert said.code == 0
    assert (
        "Valid: 10 entries, 3 trees rebuilt, 1 signed checkpoint, 9 personal parts opened; root " in said.err
    )
    assert "Not checked: that the log was not rewritten whole" in said.err


def _alter(hold: Hold) -> None:
    hold.run("UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = 3")


def test_a_log_that_was_altered_is_invalid_with_what_is_wrong(hold: Hold):
    _alter(hold)
    said = hold.verify()
    assert said.code == 1
    assert "INVALID: entry 3 is not in its canonical form" in said.err
    assert said.err.splitlines()[-1].startswith("INVALID: 10 entries")
    document = hold.verify("--json")
    assert (document.code, document.document["valid"]) == (1, False)


def test_a_log_full_of_problems_shows_some_to_a_person_and_all_to_a_program(hold: Hold):
    hold.run("DELETE FROM entry WHERE site_id = $1 AND seq = 0")
    hold.run("UPDATE entry SET kind = 'altered', tenant = NULL, tenant_index = NULL WHERE site_id = $1")
    said, told = hold.verify(), hold.verify("--json")
    problems = told.document["problems"]
    assert len(problems) > 20
    assert said.err.count("INVALID: ") == 22
    assert f"INVALID: and {len(problems) - 20} more; --json tells them all" in said.err


# -- who else vouches for it ------------------------------------------------------------------------------------------


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """The policy of who believes one witness."""
    file = tmp_path / "policy"
    file.write_text(f"witness one {WITNESS.verifier.key()}\nquorum one\n")
    return file


def _cosigned(hold: Hold) -> Hold:
    """Every tree is signed at its end, and a witness has cosigned that."""
    hold.grow(1)
    for row in hold.run("SELECT tree, size, note FROM checkpoint WHERE site_id = $1"):
        note = parse_note(row["note"])
        assert not isinstance(note, Refused)
        line = WITNESS.cosign(note.text, time=1_800_000_000)
        hold.run(
            "INSERT INTO cosignature (site_id, tree, size, name, key_id, signature, at) VALUES ($1, $2, $3, $4, $5, $6, now())",
            *(row["tree"], row["size"], line.name, line.key_id, line.signature),
        )
    return hold


def test_a_person_is_told_up_to_where_witnesses_have_cosigned_each_tree(hold: Hold, policy: Path):
    said = _cosigned(hold).verify("--policy", policy)
    assert said.code == 0
    told = [line for line in said.err.splitlines() if line.startswith("Cosigned: ")]
    assert told == [
        f"Cosigned: {tree} up to {size} entries, by witness.example (Ed25519) at 2027-01-15T08:00:00Z."
        for tree, size in (("site", 11), ("tenant:army", 6), ("tenant:school", 4))
    ]


def test_a_program_is_told_who_cosigned_and_with_which_code_it_is_wrong(hold: Hold, policy: Path):
    said = _cosigned(hold).verify("--policy", policy, "--json")
    assert (said.code, said.document["findings"]) == (0, [])
    assert said.document["cosigned"][0] == {
        "tree": "site",
        "size": 11,
        "witnesses": [{"name": "witness.example", "algorithm": "Ed25519", "at": "2027-01-15T08:00:00Z"}],
    }
    hold.run("DELETE FROM cosignature WHERE site_id = $1 AND tree = 'site'")
    said = hold.verify("--policy", policy, "--json")
    assert (said.code, said.document["valid"]) == (1, False)
    assert said.document["findings"] == [
        {
            "code": "witness-policy",
            "sentence": "Fewer witnesses than the policy asks for have cosigned the checkpoint.",
            "member": None,
            "line": None,
            "index": None,
            "detail": "no checkpoint of site that is kept has the quorum",
        }
    ]
    assert said.document["problems"] == ["no checkpoint of site that is kept has the quorum [witness-policy]"]


def test_a_policy_that_is_none_or_is_not_there_is_no_verdict(hold: Hold, policy: Path):
    policy.write_text("quorum nobody\n")
    assert _sentence(hold.verify("--policy", policy)).startswith(f"{policy} is no policy: ")
    policy.unlink()
    assert _sentence(hold.verify("--policy", policy)) == f"{policy}: No such file or directory."


# -- against what was seen before -------------------------------------------------------------------------------------


def _kept(hold: Hold, place: Path, tree: str = "site") -> list[int]:
    """The sizes of the checkpoints of a tree that a folder remembers."""
    folder = place / "gatekeeper" / hold.site / tree
    return sorted(int(file.stem) for file in folder.glob("*.checkpoint"))


def test_a_checkpoint_is_remembered_and_demanded_the_next_time(hold: Hold, tmp_path: Path):
    assert hold.verify("--memory", tmp_path / "memory").code == 0
    assert _kept(hold, tmp_path / "memory") == [10]
    again = hold.verify("--memory", tmp_path / "memory", "--json")
    assert again.code == 0
    assert again.document["not_checked"] == ["that others saw the same log: no witness has cosigned it"]
    (one,) = again.document["consistent_with"]
    assert (one["size"], one["root"]) == (10, again.document["root"])


def test_it_is_remembered_at_home_unless_another_place_is_named_or_none(hold: Hold, tmp_path: Path):
    home = tmp_path / "state" / "gatekeeper" / "checkpoints"
    hold.verify("--no-memory")
    assert not home.exists()
    hold.verify()
    assert _kept(hold, home) == [10]
    assert "seen before" not in hold.verify("--no-memory").err.replace(
        "no checkpoint of it was seen before", ""
    )
    assert "One with 1 checkpoint seen before." in hold.verify().err


def test_every_tree_is_remembered_as_far_as_its_checkpoints_reach(hold: Hold, tmp_path: Path):
    memory = tmp_path / "memory"
    hold.verify("--memory", memory)
    hold.grow(5)
    said = hold.verify("--memory", memory)
    assert said.err.splitlines()[-1] == (
        f"Remembered in {memory}: site at 15 entries, tenant:army at 10 entries, tenant:school at 4 entries."
    )
    assert [_kept(hold, memory, tree) for tree in ("site", "tenant/army", "tenant/school")] == [
        [10, 15],
        [10],
        [4],
    ]


def test_a_log_that_lost_what_was_remembered_is_invalid_and_the_memory_is_kept(hold: Hold, tmp_path: Path):
    hold.verify()
    hold.run("DELETE FROM checkpoint WHERE site_id = $1")
    hold.run("DELETE FROM entry WHERE site_id = $1")
    hold.run("DELETE FROM personal WHERE site_id = $1")
    hold.run("DELETE FROM tree_head WHERE site_id = $1")
    assert hold.verify("--no-memory").code == 0, "a log without a memory can be emptied whole"
    said = hold.verify()
    assert said.code == 1
    file = tmp_path / "state/gatekeeper/checkpoints/gatekeeper" / hold.site / "site/000000000010.checkpoint"
    assert (
        f"INVALID: the checkpoint of site at 10 entries in {file} is beyond the end of the log [checkpoint-fork]"
        in said.err
    )
    assert file.exists()


def test_a_tree_that_vanished_is_missed_by_who_remembers_it(hold: Hold):
    hold.grow(5)
    hold.verify()
    for table in ("checkpoint", "entry", "personal", "tree_head"):
        hold.run(f"DELETE FROM {table} WHERE site_id = $1")
    details = [one["detail"] for one in hold.verify("--json").document["findings"]]
    assert any(detail.startswith("the checkpoint of tenant:school at 4 entries in ") for detail in details)


def test_nothing_is_remembered_of_a_log_that_is_invalid(hold: Hold, tmp_path: Path):
    _alter(hold)
    said = hold.verify("--memory", tmp_path / "memory")
    assert (said.code, "emembered" in said.err) == (1, False)
    assert not (tmp_path / "memory").exists()


def test_what_is_done_with_the_memory_is_said_after_the_verdict(hold: Hold, tmp_path: Path):
    memory = tmp_path / "memory"
    first, again = (hold.verify("--memory", memory).err.splitlines()[-2:] for _ in range(2))
    assert [line.partition(":")[0] for line in first] == ["Valid", f"Remembered in {memory}"]
    assert again[1] == "What was remembered stays: the log holds no newer checkpoint."


def test_where_there_is_nothing_to_remember_that_is_said(hold: Hold, tmp_path: Path):
    hold.run("DELETE FROM checkpoint WHERE site_id = $1")
    said = hold.verify("--memory", tmp_path / "memory")
    assert said.code == 0
    assert said.err.endswith("There is nothing to remember: the log holds no signed checkpoint yet.\n")
    assert "Not checked: who wrote the log: it holds no signed checkpoint.\n" in said.err
    assert not (tmp_path / "memory").exists()


def test_a_newer_memory_is_not_given_up_for_what_the_database_has_left(hold: Hold, tmp_path: Path):
    memory = tmp_path / "memory"
    hold.verify("--memory", memory)
    hold.run("DELETE FROM checkpoint WHERE site_id = $1")
    said = hold.verify("--memory", memory)
    assert said.code == 0
    assert said.err.endswith("What was remembered stays: the log holds no newer checkpoint.\n")
    assert _kept(hold, memory) == [10]


def test_a_memory_that_was_altered_is_no_memory_and_no_verdict(hold: Hold, tmp_path: Path):
    """Who may write the file but has not the log's key gets nowhere."""
    hold.verify()
    file = tmp_path / "state/gatekeeper/checkpoints/gatekeeper" / hold.site / "site/000000000010.checkpoint"
    file.write_bytes(_forged(hold))
    assert _sentence(hold.verify()) == (
        f"{file} is no checkpoint of gatekeeper/{hold.site}/site: mend it, or move it away."
    )


def test_a_log_with_another_key_than_the_one_remembered_is_invalid(hold: Hold, tmp_path: Path):
    hold.verify()
    keys = tmp_path / "state/gatekeeper/checkpoints/gatekeeper" / hold.site / "site/keys"
    stranger = Signer(name=f"gatekeeper/{hold.site}/site", private_key=Ed25519PrivateKey.generate())
    next(keys.parent.glob("*.checkpoint")).unlink()
    keys.write_text(f"{stranger.verifier.key()}\n")
    said = hold.verify()
    assert said.code == 1
    assert (
        f"INVALID: site is signed with another key than the one that is known, {stranger.verifier.key()}; "
        "a site that was founded anew has another log [checkpoint-key]\n"
    ) in said.err
    assert f"The other key is remembered in {keys.parent.parent}." in said.err
    assert "--memory FOLDER, or --no-memory" in said.err
    assert hold.verify("--no-memory").code == 0
    assert hold.verify("--no-memory", "--key", stranger.verifier.key()).code == 1
    own = hold.say("audit", "keys", "--data", hold.data, "--site", hold.site).out.splitlines()[0]
    assert hold.verify("--key", own).code == 0, "a key that is pinned takes the place of the one remembered"
    assert hold.verify().code == 0


def test_a_database_that_is_not_what_a_bundle_showed_is_invalid(hold: Hold, tmp_path: Path):
    """Whoever has the log's key can show an auditor another tree than the database holds."""
    hold.grow(5)
    key = load_pem_private_key(
        SiteFolder(hold.data / "sites" / hold.site).read_secret(LOG_KEY), password=None
    )
    assert isinstance(key, Ed25519PrivateKey)
    signer = Signer(name=checkpoint_origin(hold.site, "tenant:school"), private_key=key)
    shown = sign_checkpoint(Checkpoint(origin=signer.name, size=3, root=bytes(32)), [signer])
    Memory(tmp_path / "memory").keep(signer.name, key=signer.verifier, size=3, note=shown)
    said = hold.verify("--memory", tmp_path / "memory", "--json")
    assert said.code == 1
    (finding,) = said.document["findings"]
    assert finding["code"] == "checkpoint-fork"
    assert finding["detail"].startswith("the checkpoint of tenant:school at 3 entries in ")
    assert _kept(hold, tmp_path / "memory", "tenant/school") == [3]


def test_the_key_of_another_site_is_no_key_of_this_log(hold: Hold):
    stranger = Signer(name="gatekeeper/castle/site", private_key=Ed25519PrivateKey.generate())
    assert _sentence(hold.verify("--key", stranger.verifier.key())) == (
        f"The key given is of gatekeeper/castle/site; the log is gatekeeper/{hold.site}/site."
    )


def test_a_memory_of_what_can_be_no_tree_of_the_site_is_not_passed_over(hold: Hold, tmp_path: Path):
    stray = tmp_path / "memory" / "gatekeeper" / hold.site / "elsewhere"
    stray.mkdir(parents=True)
    (stray / "keys").write_text("anything")
    said = hold.verify("--memory", tmp_path / "memory")
    assert _sentence(said) == f"{stray} is of no tree of {hold.site}: move it away."


def test_a_place_where_nothing_can_be_remembered_is_said_to_be_none(hold: Hold, tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    said = hold.verify("--memory", tmp_path / "file")
    assert said.code == 3
    assert said.err.splitlines()[-1].startswith(f"Cannot check: {tmp_path / 'file'}")


# -- a checkpoint from elsewhere --------------------------------------------------------------------------------------


def _forged(hold: Hold) -> bytes:
    """A checkpoint of the site's tree under a key that is not the log's."""
    origin = checkpoint_origin(hold.site, SITE_TREE)
    checkpoint = Checkpoint(origin=origin, size=10, root=bytes(32))
    return sign_checkpoint(checkpoint, [Signer(name=origin, private_key=Ed25519PrivateKey.generate())])


def test_a_checkpoint_from_elsewhere_is_demanded_of_the_log(hold: Hold, tmp_path: Path):
    note = tmp_path / "note"
    (row,) = hold.run("SELECT note FROM checkpoint WHERE site_id = $1")
    note.write_bytes(row["note"])
    said = hold.verify("--no-memory", "--checkpoint", note, "--json")
    assert (said.code, [one["where"] for one in said.document["consistent_with"]]) == (0, [str(note)])
    hold.grow(5)
    assert hold.verify("--no-memory", "--checkpoint", note).code == 0
    hold.run("DELETE FROM entry WHERE site_id = $1 AND seq >= 9")
    hold.run("DELETE FROM checkpoint WHERE site_id = $1")
    said = hold.verify("--no-memory", "--checkpoint", note)
    assert said.code == 1
    assert f"the checkpoint of site at 10 entries in {note} is beyond the end of the log" in said.err


def test_a_checkpoint_of_another_log_says_nothing_of_this_one(hold: Hold, tmp_path: Path):
    note = tmp_path / "note"
    (row,) = hold.run("SELECT note FROM checkpoint WHERE site_id = $1")
    text = row["note"].decode()
    for other, why in (
        (
            text.replace(f"/{hold.site}/", "/castle/"),
            f"is a checkpoint of gatekeeper/castle/site; the log is of {hold.site}.",
        ),
        ("no note at all", "is no checkpoint: "),
        ("", "is no checkpoint: "),
        (text.replace("\n10\n", "\n9\n"), "is not signed by the log: "),
        (_forged(hold).decode(), "is not signed by the log: No known key signed the note."),
    ):
        note.write_text(other)
        assert _sentence(hold.verify("--checkpoint", note)).startswith(f"{note} {why}"), other
    note.unlink()
    assert _sentence(hold.verify("--checkpoint", note)) == f"{note}: No such file or directory."


def test_a_trust_list_that_the_roots_did_not_sign_makes_the_log_uncheckable(hold: Hold):
    hold.run("UPDATE document SET content = set_byte(content, 500, 7) WHERE site_id = $1 AND kind = 'trust'")
    said = hold.verify()
    assert said.code == 3
    assert said.err == (
        "Cannot check: The trust list is not believed: "
        "A signature on the trust list does not verify with the site's roots.\n"
    )


# -- what cannot be checked is not INVALID ---------------------------------------------------------------------------


def _sentence(said: Said) -> str:
    """Why a log could not be checked: exit 3, nothing on stdout, one sentence and no traceback."""
    assert (said.code, said.out) == (3, "")
    (line,) = said.err.splitlines()
    assert line.startswith("Cannot check: ")
    return line.removeprefix("Cannot check: ")


def test_a_log_that_is_not_there_is_uncheckable_not_invalid(hold: Hold):
    hold.run("DELETE FROM document WHERE site_id = $1")
    assert _sentence(hold.verify()) == f"The database holds no site {hold.site}."


NOWHERE = ("postgresql://127.0.0.1:1/log", "postgresql://127.0.0.1:1/vault")


@pytest.mark.parametrize(
    ("dsn", "vault_dsn", "sentence"),
    [
        (*NOWHERE, "The database does not answer."),
        ("nonsense", "rubbish", "The database cannot be used: its address is not one of PostgreSQL."),
        ("postgresql://127.0.0.1:http/x", "rubbish", "The database cannot be used"),
        (None, NOWHERE[1], "The persons' keys cannot be read. "),
        (None, "nonsense", "The persons' keys cannot be read. "),
        (NOWHERE[0], None, "The database does not answer."),
        ("", "", "dsn and vault_dsn go together"),
        (NOWHERE[0], NOWHERE[0], "vault_dsn names the same database as dsn"),
    ],
)
def test_databases_that_cannot_be_asked_are_told_of_in_a_sentence(
    dsn: str | None, vault_dsn: str | None, sentence: str, hold: Hold
):
    where = ["--dsn", hold.dsn if dsn is None else dsn]
    if vault_dsn != "":
        where += ["--vault-dsn", hold.vault_dsn if vault_dsn is None else vault_dsn]
    else:
        where = ["--dsn", hold.dsn]
    said = hold.say("audit", "verify", "--data", hold.data, "--site", hold.site, *where)
    assert _sentence(said).startswith(sentence)


def test_a_database_that_is_another_programs_cannot_be_checked(hold: Hold, postgres_server: EmbeddedPostgres):
    dsn = postgres_server.dsn("postgres")
    said = hold.say("audit", "verify", "--data", hold.data, "--dsn", dsn, "--vault-dsn", hold.vault_dsn)
    assert _sentence(said).startswith("The database cannot be read: relation ")


def test_a_vault_that_is_another_programs_cannot_be_read(hold: Hold, postgres_server: EmbeddedPostgres):
    dsn = postgres_server.dsn("postgres")
    said = hold.say("audit", "verify", "--data", hold.data, "--dsn", hold.dsn, "--vault-dsn", dsn)
    assert "person_key" in _sentence(said)


def test_who_verifies_alters_no_table(hold: Hold, postgres_server: EmbeddedPostgres):
    """Not even to bring it to the newest form: an auditor's role may only read."""
    dsn = postgres_server.dsn("postgres")
    hold.say("audit", "verify", "--data", hold.data, "--dsn", dsn, "--vault-dsn", hold.vault_dsn)
    assert "alembic_version" not in asyncio.run(_tables(dsn))


async def _tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return {row["relname"] for row in await connection.fetch("SELECT relname FROM pg_class")}
    finally:
        await connection.close()


ANCHORS: dict[str, Callable[[Path], object]] = {
    "none": lambda anchor: anchor.unlink(),
    "not JSON": lambda anchor: anchor.write_bytes(b"\xff{"),
    "JSON of something else": lambda anchor: anchor.write_text("[]"),
    "without roots": lambda anchor: anchor.write_text(
        '{"site": "a", "host": "b", "threshold": 1, "roots": []}'
    ),
    "a folder": lambda anchor: (anchor.unlink(), anchor.mkdir()),
}


@pytest.mark.parametrize("spoil", ANCHORS.values(), ids=ANCHORS)
def test_without_the_anchor_of_its_trust_a_log_cannot_be_checked(spoil: Callable[[Path], object], hold: Hold):
    anchor = hold.data / "sites" / hold.site / "anchor.json"
    spoil(anchor)
    assert str(anchor) in _sentence(hold.verify())


def test_the_anchor_of_another_site_is_no_anchor_of_this_one(hold: Hold):
    anchor = hold.data / "sites" / hold.site / "anchor.json"
    anchor.write_text(anchor.read_text().replace(hold.site, "castle"))
    assert _sentence(hold.verify()) == f"The folder of {hold.site} holds the trust anchor of castle."


def test_roots_of_another_ceremony_do_not_vouch_for_this_log(hold: Hold):
    anchor = hold.data / "sites" / hold.site / "anchor.json"
    document = json.loads(anchor.read_text())
    strangers = [SigningKey.generate().public_der for _ in document["roots"]]
    anchor.write_text(json.dumps({**document, "roots": [b64encode(root).decode() for root in strangers]}))
    assert _sentence(hold.verify()).startswith("The trust list is not believed: ")


@pytest.mark.parametrize("site", ["nowhere", "NOT A NAME", "../..", ""])
def test_a_site_without_a_folder_cannot_be_checked(site: str, hold: Hold):
    said = hold("audit", "verify", "--site", site, data=hold.data / "empty")
    _sentence(said)


def test_a_misspelt_setting_is_no_verdict(hold: Hold, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GATEKEEPER_STIE", "fort")
    assert _sentence(hold.verify()).startswith("GATEKEEPER_STIE is no setting")


def test_a_note_of_what_is_running_that_cannot_be_read_is_no_verdict(hold: Hold):
    (hold.data / "running.json").write_text("{")
    said = hold.say("audit", "verify", "--data", hold.data)
    assert "running.json cannot be read" in _sentence(said)


def test_what_nobody_foresaw_is_no_verdict_either(hold: Hold, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> None:
        raise ArithmeticError("the driver has a fault of its own")

    monkeypatch.setattr(asyncpg, "connect", broken)
    assert _sentence(hold.verify()) == "ArithmeticError: the driver has a fault of its own"
