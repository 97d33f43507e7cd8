"""`gatekeeper audit prove` and `check-proof`: one entry, carried away, is proven to somebody who has only a public key."""

import hashlib
import json
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper.transparency import Cosigner, Refused, parse_note, parse_verifier, with_cosignatures
from tests.integration.cli_hold import Hold
from tests.support.commands import Said

pytestmark = pytest.mark.integration

WITNESS = Cosigner(name="witness.example", private_key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture
def grown(hold: Hold) -> Hold:
    hold.grow(600)
    return hold


def _prove(hold: Hold, seq: int, out: Path, *words: object) -> Said:
    return hold("audit", "prove", seq, "--site", hold.site, "--out", out, *words)


def _check(hold: Hold, proof: Path, *words: object) -> Said:
    return hold.say("audit", "check-proof", proof, *words)


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    return tmp_path / "passage.tlog-proof"


@pytest.fixture
def key(grown: Hold, proof: Path) -> str:
    """The proof of entry 300 is written; this is the log's key."""
    return str(_prove(grown, 300, proof, "--json").document["key"])


# -- a proof that is one ----------------------------------------------------------------------------------------------


def _root_of(proof: str, entry: bytes) -> tuple[int, int, bytes]:
    """Index, size and root by the proof and the checkpoint in it, worked out by RFC 9162 and nothing of ours."""
    head, _, checkpoint = proof.partition("\n\n")
    header, index_line, *hashes = head.split("\n")
    assert header == "c2sp.org/tlog-proof@v1"
    index, size = int(index_line.removeprefix("index ")), int(checkpoint.split("\n")[1])
    node, last, found = index, size - 1, hashlib.sha256(b"\0" + entry).digest()
    for sibling in map(b64decode, hashes):
        if node % 2 or node == last:
            found = hashlib.sha256(b"\1" + sibling + found).digest()
            while node and not node % 2:
                node, last = node // 2, last // 2
        else:
            found = hashlib.sha256(b"\1" + found + sibling).digest()
        node, last = node // 2, last // 2
    assert b64decode(checkpoint.split("\n")[2]) == found
    return index, size, found


@pytest.mark.parametrize("seq", [0, 9, 255, 256, 300, 609])
def test_an_entry_is_proven_in_the_sites_tree(seq: int, grown: Hold, proof: Path):
    said = _prove(grown, seq, proof, "--json")
    entry = proof.with_suffix(".entry.json")
    assert (said.code, said.err) == (0, "")
    assert said.document == {
        "proof": str(proof),
        "entry": str(entry),
        "index": seq,
        "key": said.document["key"],
    }
    assert (
        entry.read_bytes()
        == grown.run("SELECT body FROM entry WHERE site_id = $1 AND seq = $2", seq)[0]["body"]
    )
    index, size, root = _root_of(proof.read_text(), entry.read_bytes())
    assert (index, size) == (seq, 610)
    checked = _check(grown, proof, "--key", said.document["key"], "--json")
    assert checked.code == 0
    assert checked.document == {
        "valid": True,
        "site": grown.site,
        "entry": seq,
        "origin": f"gatekeeper/{grown.site}/site",
        "index": seq,
        "size": 610,
        "root": root.hex(),
        "witnesses": [],
        "not_checked": [
            "what of the entry is personal: it is not in it",
            "that others saw the same log: no --policy asks for witnesses",
        ],
    }


def test_an_entry_is_proven_in_the_tree_of_a_tenant_with_the_key_of_the_site(
    grown: Hold, proof: Path, key: str
):
    proof = proof.with_name("other.tlog-proof")
    said = _prove(grown, 609, proof, "--tenant", "army", "--json")
    index, size, _ = _root_of(proof.read_text(), proof.with_suffix(".entry.json").read_bytes())
    assert (index, size) == (604, 605)
    assert said.document["index"] == 604
    checked = _check(grown, proof, "--key", key, "--json")
    assert (checked.code, checked.document["origin"]) == (0, f"gatekeeper/{grown.site}/tenant/army")


def test_a_person_is_told_what_was_written_and_what_it_proves(grown: Hold, proof: Path):
    said = _prove(grown, 300, proof)
    first, second = said.err.splitlines()
    assert first == f"Entry 300 is proven by {proof}, with {proof.with_suffix('.entry.json')} beside it."
    key = second.removeprefix("Whoever checks it needs the log's key from somebody whom he trusts: ")
    assert not isinstance(parse_verifier(key), Refused)
    checked = _check(grown, proof, "--key", key)
    assert (checked.code, checked.out) == (0, "")
    assert checked.err.splitlines()[-1].startswith(
        f"Valid: entry 300 of {grown.site} is in gatekeeper/{grown.site}/site at 300, under the signed checkpoint of 610 entries; root "
    )


def test_a_witness_that_a_policy_asks_for_is_named(grown: Hold, proof: Path, key: str, tmp_path: Path):
    policy = tmp_path / "policy"
    policy.write_text(f"log {key}\nwitness first {WITNESS.verifier.key()}\nquorum first\n")
    alone = _check(grown, proof, "--policy", policy)
    assert (alone.code, alone.err.splitlines()[0][:9]) == (1, "INVALID: ")
    head, _, note = proof.read_bytes().partition(b"\n\n")
    read = parse_note(note)
    assert not isinstance(read, Refused)
    proof.write_bytes(
        head + b"\n\n" + with_cosignatures(note, [WITNESS.cosign(read.text, time=1_800_000_000)])
    )
    witnessed = _check(grown, proof, "--policy", policy, "--json")
    assert (witnessed.code, witnessed.document["witnesses"]) == (
        0,
        [{"name": "witness.example", "algorithm": "Ed25519", "at": "2027-01-15T08:00:00Z"}],
    )
    assert witnessed.document["not_checked"] == ["what of the entry is personal: it is not in it"]


def _cosign(hold: Hold, size: int) -> None:
    """A witness cosigns the checkpoint of the site's tree at a size."""
    (row,) = hold.run("SELECT note FROM checkpoint WHERE site_id = $1 AND tree = 'site' AND size = $2", size)
    note = parse_note(row["note"])
    assert not isinstance(note, Refused)
    line = WITNESS.cosign(note.text, time=1_800_000_000)
    hold.run(
        "INSERT INTO cosignature (site_id, tree, size, name, key_id, signature, at) VALUES ($1, 'site', $2, $3, $4, $5, now())",
        size,
        line.name,
        line.key_id,
        line.signature,
    )


def test_a_proof_is_made_for_a_checkpoint_that_witnesses_have_cosigned(grown: Hold, proof: Path):
    _cosign(grown, 10)
    _prove(grown, 9, proof)
    head, size, _ = _root_of(proof.read_text(), proof.with_suffix(".entry.json").read_bytes())
    assert (head, size) == (9, 10)
    assert "witness.example" in proof.read_text()


def test_a_proof_that_no_witness_comes_to_cosign_is_made_all_the_same(grown: Hold, proof: Path):
    _cosign(grown, 10)
    assert _prove(grown, 300, proof, "--wait", 0).code == 0
    assert "witness.example" not in proof.read_text()


# -- what is none -----------------------------------------------------------------------------------------------------


def _sentence(said: Said) -> str:
    assert (said.code, said.out) == (1, "")
    (line,) = said.err.splitlines()
    assert line.startswith("INVALID: ")
    return line.removeprefix("INVALID: ")


def test_an_entry_that_was_altered_is_not_proven(grown: Hold, proof: Path, key: str):
    entry = proof.with_suffix(".entry.json")
    entry.write_bytes(entry.read_bytes().replace(b"front", b"frond"))
    assert "root" in _sentence(_check(grown, proof, "--key", key))


def test_another_entry_is_not_proven(grown: Hold, proof: Path, key: str, tmp_path: Path):
    other = tmp_path / "other.tlog-proof"
    _prove(grown, 301, other)
    assert _sentence(_check(grown, proof, "--key", key, "--entry", other.with_suffix(".entry.json")))


def test_no_bit_of_a_proof_can_be_another(grown: Hold, proof: Path, key: str):
    whole = proof.read_bytes()
    for at in range(0, len(whole), 7):
        proof.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert _check(grown, proof, "--key", key).code == 1, at


def test_a_log_that_somebody_else_signs_is_not_believed(grown: Hold, proof: Path, key: str):
    name, _, _ = key.partition("+")
    stranger = parse_verifier(key)
    assert not isinstance(stranger, Refused)
    other = type(stranger)(
        name=name, type=stranger.type, public_key=Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    )
    assert _sentence(_check(grown, proof, "--key", other.key())) == "No known key signed the note."


def test_an_entry_proven_elsewhere_than_it_says_is_not_believed(grown: Hold, proof: Path, key: str):
    """A log whose keeper has put the same bytes at another place too."""
    body = grown.run("SELECT body FROM entry WHERE site_id = $1 AND seq = 300")[0]["body"]
    document = json.loads(body)
    assert document["trees"]["site"] == document["seq"] == 300
    moved = body.replace(b'"seq":300', b'"seq":301').replace(b'"site":300', b'"site":301')
    assert moved != body
    grown.run("UPDATE entry SET body = $2 WHERE site_id = $1 AND seq = 300", moved)
    said = _prove(grown, 300, proof.with_name("other.tlog-proof"))
    assert (said.code, said.out) == (1, "")


def test_a_proof_is_no_bundle_and_not_said_to_be_a_bad_one(grown: Hold, proof: Path, key: str):
    said = grown.say("audit", "verify", proof)
    assert (said.code, said.err) == (
        3,
        f"Cannot check: {proof} is the proof of one entry: gatekeeper audit check-proof checks it.\n",
    )


# -- what cannot be done ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "No key of the log is given: --key, or a --policy that names it."),
        (("--key", "nonsense"), "--key: "),
        (("--policy", "/nowhere/policy"), "/nowhere/policy: No such file or directory."),
        (("--entry", "/nowhere/entry"), "/nowhere/entry: No such file or directory."),
    ],
)
def test_what_cannot_be_checked_is_not_invalid(
    words: tuple[str, ...], sentence: str, grown: Hold, proof: Path, key: str
):
    said = _check(grown, proof, *words)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith(f"Cannot check: {sentence}")


def test_an_entry_that_no_checkpoint_covers_cannot_be_proven_yet(grown: Hold, proof: Path):
    grown.run("DELETE FROM checkpoint WHERE site_id = $1 AND size > 10")
    said = _prove(grown, 300, proof, "--wait", 0)
    assert said.code == 1
    assert said.err.startswith("No signed checkpoint covers entry 300 yet: ")
    assert not proof.exists()


@pytest.mark.parametrize(
    ("tamper", "sentence"),
    [
        ("DELETE FROM tile WHERE site_id = $1", "Tile 0/1 of site cannot be made: audit fsck says why."),
        (
            "UPDATE entry SET body = replace(convert_from(body, 'UTF8'), 'front', 'frond')::bytea WHERE site_id = $1 AND seq = 300",
            "The log does not bear out its checkpoint: ",
        ),
        ("UPDATE entry SET body = 'nothing' WHERE site_id = $1 AND seq = 300", "Entry 300 is none: "),
        (
            "UPDATE checkpoint SET note = 'trust me' WHERE site_id = $1",
            "The log's newest checkpoint is not believed: ",
        ),
    ],
)
def test_a_log_that_does_not_bear_itself_out_proves_nothing(
    tamper: str, sentence: str, grown: Hold, proof: Path
):
    grown.run(tamper)
    said = _prove(grown, 300, proof)
    assert said.code == 1
    assert said.err.startswith(sentence)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("seq", "words", "sentence"),
    [
        (610, (), "holds no entry 610, or no more its body."),
        (300, ("--tenant", "school"), "Entry 300 is not in tenant:school: it concerns others."),
        (300, ("--tenant", "nobody"), "has no tree tenant:nobody."),
        (300, ("--tenant", "NO NAME"), "has no tree tenant:NO NAME."),
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(
    seq: int, words: tuple[str, ...], sentence: str, grown: Hold, proof: Path
):
    said = _prove(grown, seq, proof, *words)
    assert said.code == 2
    assert said.err.endswith(f"{sentence}\n")


def test_a_proof_bears_the_ending_of_proofs(grown: Hold, tmp_path: Path):
    said = _prove(grown, 300, tmp_path / "proof.txt")
    assert (said.code, said.err) == (2, "A proof is a file that ends with .tlog-proof, not proof.txt.\n")
