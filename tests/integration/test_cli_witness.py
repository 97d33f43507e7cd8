"""`gatekeeper witness`: what an operator types, and what a mistake is answered with."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.witness_store import SqliteWitnessStore
from gatekeeper.service.witnessing import Witness, WitnessFolder
from gatekeeper.transparency import SignatureType, Verifier, format_add_checkpoint, parse_verifier
from tests.support.commands import Said, gatekeeper
from tests.support.logs import WatchableLog, forked, honest
from tests.unit.transparency.test_policy import TWINS

pytestmark = pytest.mark.integration

LOG, FORK = honest(), forked()
ORIGIN = LOG.signer.name
KEY = LOG.signer.verifier.key()
Say = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "witness"


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str], folder: Path) -> Say:
    return lambda *words: gatekeeper(capfd, "witness", *words, "--data", folder)


@pytest.fixture
def made(say: Say) -> Said:
    return say("init", "--name", "witness.example/w1", "--post-quantum")


def ask(folder: Path, *requests: tuple[WatchableLog, int, int]) -> None:
    """Let logs ask for cosignatures."""

    async def asked() -> None:
        home = WitnessFolder(folder)
        async with SqliteWitnessStore.opened(home.store) as store:
            witness = Witness(cosigners=home.cosigners(), store=store, clock=SystemClock())
            for log, old, new in requests:
                await witness.add_checkpoint(format_add_checkpoint(log.request(old, new)))

    asyncio.run(asked())


def test_init_prints_the_keys_to_believe_and_show_prints_them_again(made: Said, say: Say, folder: Path):
    assert made.code == 0
    keys = [parse_verifier(line) for line in made.out.splitlines()]
    assert [(one.name, one.type) for one in keys if isinstance(one, Verifier)] == [
        ("witness.example/w1", SignatureType.COSIGNATURE_V1),
        ("witness.example/w1", SignatureType.COSIGNATURE_ML_DSA_44),
    ]
    assert say("show", "--keys").out == made.out
    for place in ("ed25519.pem", "ml-dsa-44.pem"):
        assert (folder / "keys" / place).stat().st_mode & 0o777 == 0o600


def test_without_post_quantum_there_is_one_key(say: Say, folder: Path):
    assert len(say("init", "--name", "w.example").out.splitlines()) == 1
    assert not (folder / "keys" / "ml-dsa-44.pem").exists()


def test_a_second_init_changes_nothing(made: Said, say: Say, folder: Path):
    said = say("init", "--name", "another.example")
    assert (said.code, said.out) == (2, "")
    assert said.err == f"{folder} holds a witness already: its name and keys stay as they are.\n"
    assert say("show", "--keys").out == made.out


@pytest.mark.parametrize("name", ["", "two words", "a+b", "x" * 256])
def test_a_name_that_no_note_can_carry_is_refused_before_anything_is_made(name: str, say: Say, folder: Path):
    said = say("init", "--name", name)
    assert said.code == 2
    assert said.err.startswith("A witness is named like a URL without its scheme")
    assert not folder.exists()


@pytest.mark.parametrize(
    "words", [("show",), ("serve", "--port", 0), ("admit", KEY), ("dismiss", KEY), ("show", "--keys")]
)
def test_where_no_witness_is_every_command_says_so(words: tuple[object, ...], say: Say, folder: Path):
    said = say(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"{folder} holds no witness yet: gatekeeper witness init --name NAME.\n"
    assert not folder.exists()


def test_a_log_is_watched_once_admitted_and_until_dismissed(made: Said, say: Say):
    assert say("admit", KEY).err == f"{ORIGIN} is watched.\n"
    assert say("admit", KEY).err == f"{ORIGIN} is watched already by this key.\n"
    assert say("show", "--json").document == [
        {"origin": ORIGIN, "keys": 1, "size": None, "root": None, "at": None, "disputes": 0}
    ]
    assert say("dismiss", KEY).code == 0
    again = say("dismiss", KEY)
    assert (again.code, again.err) == (1, f"{ORIGIN} was not watched by this key.\n")
    assert say("show", "--json").document == []


@pytest.mark.parametrize("command", ["admit", "dismiss"])
def test_a_key_that_is_none_of_a_log_is_refused(command: str, made: Said, say: Say):
    said = say(command, "nonsense")
    assert said.code == 2
    assert said.err == (
        "'nonsense' is no verifier key. The verifier key is not name, key id and base64 joined by plus signs.\n"
    )
    said = say(command, made.out.splitlines()[0])
    assert (said.code, said.err) == (
        2,
        "The key of witness.example/w1 is a witness' and not a log's.\n",
    )


def test_of_several_keys_one_that_is_none_keeps_all_from_being_admitted(made: Said, say: Say):
    assert say("admit", KEY, "nonsense").code == 2
    assert say("show", "--json").document == []


def test_two_keys_that_no_signature_could_tell_apart_are_not_both_admitted(made: Said, say: Say):
    one, other = (twin.key() for twin in TWINS)
    assert say("admit", one, other).code == 2
    assert say("admit", one).code == 0
    said = say("admit", other)
    assert (said.code, said.err) == (2, "Another key of x has the same key id; the log needs a new one.\n")
    assert [log["keys"] for log in say("show", "--json").document] == [1]


def test_show_tells_what_is_cosigned_and_what_is_disputed(made: Said, say: Say, folder: Path):
    say("admit", KEY)
    before = datetime.now(UTC)
    ask(folder, (LOG, 0, 20), (FORK, 20, 20), (FORK, 20, 30))
    said = say("show")
    assert said.out.split()[:9] == [
        "log",
        "keys",
        "size",
        "cosigned",
        "disputes",
        ORIGIN,
        "1",
        "20",
        said.out.split()[8],
    ]
    assert said.err == f"1 log signed what was not shown to go on from what was cosigned: {ORIGIN}.\n"
    (document,) = say("show", "--json").document
    assert (document["size"], document["root"], document["disputes"]) == (20, LOG.root(20).hex(), 2)
    assert datetime.fromisoformat(document["at"]) >= before


def test_show_of_one_log_gives_the_checkpoint_to_hold_it_to(made: Said, say: Say, folder: Path):
    say("admit", KEY)
    none = say("show", ORIGIN)
    assert (none.code, none.out) == (1, "")
    assert none.err == f"No checkpoint of {ORIGIN} has been cosigned.\n"
    ask(folder, (LOG, 0, 20))
    assert say("show", ORIGIN).out.encode() == LOG.note(20)


def test_a_key_that_others_can_read_cosigns_nothing(made: Said, say: Say, folder: Path):
    (folder / "keys" / "ed25519.pem").chmod(0o644)
    said = say("serve", "--port", 0)
    assert said.code == 2
    assert "can be reached by others than its owner" in said.err


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("keys/ed25519.pem", "{folder}/keys/ed25519.pem is no private key of Ed25519.\n"),
        ("keys/ml-dsa-44.pem", "{folder}/keys/ml-dsa-44.pem is no private key of ML-DSA-44.\n"),
        ("witness.json", "{folder}/witness.json does not tell the name of the witness.\n"),
    ],
)
def test_a_file_that_is_damaged_is_named(place: str, sentence: str, made: Said, say: Say, folder: Path):
    (folder / place).write_text("[]")
    said = say("serve", "--port", 0)
    assert (said.code, said.err) == (2, sentence.format(folder=folder))


def test_a_memory_that_is_damaged_is_told(made: Said, say: Say, folder: Path):
    say("admit", KEY)
    with sqlite3.connect(folder / "witness.sqlite") as connection:
        connection.execute("UPDATE log_key SET key = 'nonsense'")
    connection.close()
    (folder / "witness.sqlite").write_bytes(b"no database" * 1000)
    for left in folder.glob("witness.sqlite-*"):
        left.unlink()
    said = say("show")
    assert said.code == 2
    assert "The store of the witness" in said.err
