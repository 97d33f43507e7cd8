"""Commands on named databases, in which each test has a small site of its own: who is where, and is the log whole."""

import asyncio
import json
from collections.abc import Callable
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
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.service.engine.sealing import Sealer
from gatekeeper.transparency import Checkpoint, Signer, Tree, sign_checkpoint
from tests.unit.administration.example import _SMALL, NOW, small_site
from tests.unit.service.commands import Said, gatekeeper
from tests.unit.service.ground import presence, site_database

pytestmark = pytest.mark.integration

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
        return str(self.run("SELECT name FROM holder WHERE site_id = $1 AND holder = $2", holder)[0]["name"])


@pytest.fixture(scope="module")
def databases(postgres_server: EmbeddedPostgres) -> tuple[str, str]:
    async def made() -> tuple[str, str]:
        await postgres_server.ensure_database("vaults_of_tests")
        vault_dsn = postgres_server.dsn("vaults_of_tests")
        await PostgresKeyVault(vault_dsn).migrate()
        return await site_database(postgres_server), vault_dsn

    return asyncio.run(made())


@pytest.fixture
def hold(
    databases: tuple[str, str],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Hold:
    for name in ("SITE", "DATA", "DSN", "VAULT_DSN", "BROKER"):
        monkeypatch.delenv(f"GATEKEEPER_{name}", raising=False)
    site = SiteId(f"hold-{next(_NUMBERS)}")
    hold = Hold(tmp_path / "data", site, *databases, say=lambda *words: gatekeeper(capfd, *words))
    asyncio.run(_opened(hold))
    return hold


async def _opened(hold: Hold) -> None:
    folder = SiteFolder(hold.data / "sites" / hold.site)
    document = small_site()
    document["site"]["id"] = hold.site
    founding = found_site(document, folder, now=NOW)
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
        await _sign(hold.site, folder, ledger, sealed.trees[SITE_TREE])
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


async def _sign(site: SiteId, folder: SiteFolder, ledger: PostgresLedger, tree: Tree) -> None:
    key = load_pem_private_key(folder.read_secret(LOG_KEY), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    origin = checkpoint_origin(site, SITE_TREE)
    checkpoint = Checkpoint(origin=origin, size=tree.size, root=tree.root())
    note = sign_checkpoint(checkpoint, [Signer(name=origin, private_key=key)])
    await ledger.checkpoint(
        site, tree=SITE_TREE, size=tree.size, root=tree.root(), note=note, at=datetime.now(UTC)
    )


# -- who is where -----------------------------------------------------------------------------------------------------


def test_presence_tells_who_is_where_and_how_sure_that_is(hold: Hold):
    said = hold("presence", "--json")
    assert (said.code, said.err) == (0, "")
    document = said.document
    assert (document["site"], document["cursor"]) == (hold.site, 10)
    here = {one["holder"]: one for one in document["present"]}
    assert here.keys() == {GUARD, STUDENT}
    assert here[GUARD] == {
        "holder": GUARD,
        "name": hold.named(GUARD),
        "tenant": "army",
        "zone": "yard",
        "since": here[GUARD]["since"],
        "quality": "granted",
        "seq": 7,
    }
    assert datetime.fromisoformat(here[GUARD]["since"]).tzinfo is not None


def test_presence_of_a_zone_is_of_that_zone_and_what_lies_in_it(hold: Hold):
    for zone, people in (("yard", [GUARD]), ("outside", [STUDENT])):
        present = hold("presence", "--json", "--zone", zone).document["present"]
        assert [one["holder"] for one in present] == people


def test_presence_as_a_table_has_a_line_a_person_and_says_how_fresh_it_is(hold: Hold):
    said = hold("presence")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].split() == ["zone", "name", "holder", "tenant", "since", "how", "sure"]
    assert any(hold.named(GUARD) in line and "yard" in line and "granted" in line for line in lines)
    assert lines[-1] == "2 people; as of entry 10."


def test_a_zone_that_the_site_does_not_have_is_answered_with_those_it_has(hold: Hold):
    said = hold("presence", "--zone", "moon")
    assert (said.code, said.out) == (2, "")
    assert said.err == "The site has no zone moon; it has outside, yard.\n"


@pytest.mark.parametrize("name", ["h-99999", "f" * 32, "../keys", "'; DROP TABLE badge; --"])
def test_a_badge_that_the_site_does_not_have_is_said_to_be_none(name: str, hold: Hold):
    said = hold("badge", "revoke", name)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"The site has no badge and no holder {name}.\n"


def test_a_site_that_the_database_does_not_hold_is_said_to_be_none(hold: Hold):
    said = hold("presence", "--site", "nowhere")
    assert (said.code, said.err) == (2, "The database holds no site nowhere.\n")


def test_a_policy_that_the_host_did_not_sign_is_not_believed(hold: Hold):
    hold.run("UPDATE document SET content = set_byte(content, 500, 7) WHERE site_id = $1 AND kind = 'policy'")
    said = hold("presence")
    assert said.code == 2
    assert said.err.startswith("The policy is not believed: ")


# -- founding ---------------------------------------------------------------------------------------------------------


def test_a_database_that_holds_the_site_already_is_not_begun_anew_and_no_key_is_left(
    hold: Hold, tmp_path: Path
):
    file, other = tmp_path / "site.toml", tmp_path / "other"
    file.write_text(_SMALL.replace('id = "fort"', f'id = "{hold.site}"', 1))
    said = hold("site", "init", file, data=other)
    assert said.code == 2
    assert said.err.strip() == f"The database holds a site {hold.site} already; its log is never begun anew."
    assert not list(other.glob("sites/*"))


@pytest.mark.parametrize(
    ("wrong", "sentences"),
    [
        (
            {'home = "yard"': 'home = "moon"'},
            [f"population group {n}: there is no zone 'moon'" for n in (1, 2, 3)],
        ),
        (
            {'access_point = "side-in"': 'access_point = "front-in"'},
            ["bridge 1: side-reader has no access point 'front-in'"],
        ),
        (
            {'profiles = ["soldier"]': 'profiles = ["pupil"]'},
            ["population group 1: army has no profile 'pupil'"],
        ),
    ],
    ids=["no home", "no bridge", "no profile"],
)
def test_people_and_bridges_that_do_not_fit_the_site_are_all_named_and_nothing_is_founded(
    wrong: dict[str, str], sentences: list[str], hold: Hold, tmp_path: Path
):
    file, other = tmp_path / "site.toml", tmp_path / "other"
    text = _SMALL
    for before, after in wrong.items():
        text = text.replace(before, after)
    file.write_text(text)
    said = hold("site", "init", file, data=other)
    assert said.code == 2
    assert [line for line in said.err.splitlines() if line] == sentences
    assert not list(other.glob("sites/*"))


# -- is the log whole -------------------------------------------------------------------------------------------------


def test_a_log_that_is_whole_is_valid(hold: Hold):
    said = hold.verify("--json")
    assert (said.code, said.err) == (0, "")
    document = said.document
    assert document | {"root": "", "not_checked": []} == {
        "valid": True,
        "entries": 10,
        "root": "",
        "trees": 3,
        "checkpoints": 1,
        "personal_parts_opened": 9,
        "problems": [],
        "not_checked": [],
    }
    assert document["not_checked"] == [
        "that the log was not rewritten whole: no checkpoint saved earlier was given"
    ]


def test_the_verdict_for_a_person_is_a_sentence(hold: Hold):
    said = hold.verify()
    assert said.code == 0
    assert (
        "Valid: 10 entries, 3 trees rebuilt, 1 signed checkpoints, 9 personal parts opened; root " in said.err
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
    said, told = hold.verify(), hold.verify("--json")
    problems = told.document["problems"]
    assert len(problems) > 20
    assert said.err.count("INVALID: ") == 22
    assert f"INVALID: and {len(problems) - 20} more" in said.err


# -- against a checkpoint that was remembered -------------------------------------------------------------------------


def test_a_checkpoint_is_remembered_and_demanded_the_next_time(hold: Hold, tmp_path: Path):
    remembered = tmp_path / "checkpoint.txt"
    assert hold.verify("--remember", remembered).code == 0
    assert remembered.read_text().startswith(f"gatekeeper/{hold.site}/site\n10\n")
    again = hold.verify("--remember", remembered, "--json")
    assert (again.code, again.document["not_checked"]) == (0, [])


def test_a_log_that_lost_what_was_remembered_is_invalid_and_the_memory_is_kept(hold: Hold, tmp_path: Path):
    remembered = tmp_path / "checkpoint.txt"
    hold.verify("--remember", remembered)
    before = remembered.read_bytes()
    hold.run("DELETE FROM checkpoint WHERE site_id = $1")
    hold.run("DELETE FROM entry WHERE site_id = $1")
    hold.run("DELETE FROM personal WHERE site_id = $1")
    hold.run("DELETE FROM tree_head WHERE site_id = $1")
    assert hold.verify().code == 0, "a log without a memory can be emptied whole"
    said = hold.verify("--remember", remembered)
    assert said.code == 1
    assert (
        "INVALID: the checkpoint saved earlier of site at 10 entries is beyond the end of the log" in said.err
    )
    assert remembered.read_bytes() == before


def test_nothing_is_remembered_of_a_log_that_is_invalid(hold: Hold, tmp_path: Path):
    _alter(hold)
    assert hold.verify("--remember", tmp_path / "checkpoint.txt").code == 1
    assert not (tmp_path / "checkpoint.txt").exists()


def test_the_checkpoint_of_another_log_is_no_memory_of_this_one(hold: Hold, tmp_path: Path):
    remembered = tmp_path / "checkpoint.txt"
    hold.verify("--remember", remembered)
    text = remembered.read_text()
    for other in (
        text.replace(f"/{hold.site}/", "/castle/"),
        "no note at all",
        "",
        text.replace("\n10\n", "\n9\n"),
    ):
        remembered.write_text(other)
        said = hold.verify("--remember", remembered)
        assert said.code == 3, other
        assert said.err.strip().startswith("Cannot check: the remembered checkpoint is none of this log: ")
        assert remembered.read_text() == other


def test_a_trust_list_that_the_roots_did_not_sign_makes_the_log_uncheckable(hold: Hold):
    hold.run("UPDATE document SET content = set_byte(content, 500, 7) WHERE site_id = $1 AND kind = 'trust'")
    said = hold.verify()
    assert said.code == 3
    assert said.err.strip() == "Cannot check: there is no trust list that the site's roots signed"


def test_a_log_that_is_not_there_is_uncheckable_not_invalid(hold: Hold):
    hold.run("DELETE FROM document WHERE site_id = $1")
    assert hold.verify().code == 3


def test_what_is_said_in_json_is_one_line_and_all_of_it(hold: Hold):
    for said in (hold("presence", "--json"), hold.verify("--json")):
        assert said.out.count("\n") == 1
        assert json.loads(said.out)
