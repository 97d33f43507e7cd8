import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import (
    Checkpoint,
    Cosigner,
    OpenedCheckpoint,
    Policy,
    Refusal,
    Refused,
    Signer,
    TlogProof,
    format_tlog_proof,
    leaf_hash,
    parse_policy,
    parse_tlog_proof,
    sign_checkpoint,
    verify_tlog_proof,
    with_cosignatures,
)
from tests.unit.transparency.oracle import leaves, naive_inclusion, naive_root

LOG = Signer(name="example.com/fancylog", private_key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
WITNESS = Cosigner(name="witness1.example", private_key=Ed25519PrivateKey.from_private_bytes(b"w" * 32))
LEAVES = leaves(13)
CHECKPOINT = Checkpoint(origin=LOG.name, size=13, root=naive_root(LEAVES))
SIGNED = sign_checkpoint(CHECKPOINT, [LOG])
COSIGNED = with_cosignatures(SIGNED, [WITNESS.cosign(CHECKPOINT.text(), time=1_800_000_000)])
INDEX = 6
PROOF = TlogProof(index=INDEX, hashes=tuple(naive_inclusion(INDEX, LEAVES)), checkpoint=COSIGNED)
FILE = format_tlog_proof(PROOF)
FIRST = base64.b64encode(PROOF.hashes[0]).decode()


def policy(quorum: str) -> Policy:
    text = f"log {LOG.verifier.key()}\nwitness w {WITNESS.verifier.key()}\nquorum {quorum}\n"
    parsed = parse_policy(text.encode())
    assert isinstance(parsed, Policy)
    return parsed


def test_a_proof_is_written_as_the_specification_draws_it():
    hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in PROOF.hashes)
    assert f"c2sp.org/tlog-proof@v1\nindex 6\n{hashes}\n".encode() + COSIGNED == FILE
    with_extra = TlogProof(index=0, hashes=(), checkpoint=SIGNED, extra=b"age-v1.2.1")
    assert format_tlog_proof(with_extra) == (
        b"c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMQ==\nindex 0\n\n" + SIGNED
    )


def test_a_proof_is_believed_of_its_entry_and_of_no_other():
    logs = [LOG.verifier]
    opened = verify_tlog_proof(PROOF, leaf=LEAVES[INDEX], logs=logs)
    assert isinstance(opened, OpenedCheckpoint)
    assert opened.checkpoint == CHECKPOINT
    for leaf in [*LEAVES[:INDEX], *LEAVES[INDEX + 1 :], leaf_hash(b"never logged")]:
        assert verify_tlog_proof(PROOF, leaf=leaf, logs=logs) == Refused(code=Refusal.PROOF_ROOT)


def test_a_proof_of_a_log_that_nobody_named_is_refused():
    assert verify_tlog_proof(PROOF, leaf=LEAVES[INDEX]) == Refused(code=Refusal.NOTE_UNKNOWN_KEYS)
    assert verify_tlog_proof(PROOF, leaf=LEAVES[INDEX], logs=[WITNESS.verifier]) == Refused(
        code=Refusal.CHECKPOINT_ORIGIN
    )


def test_a_policy_says_who_must_have_cosigned():
    unwitnessed = TlogProof(index=INDEX, hashes=PROOF.hashes, checkpoint=SIGNED)
    leaf = LEAVES[INDEX]
    assert isinstance(verify_tlog_proof(PROOF, leaf=leaf, policy=policy("w")), OpenedCheckpoint)
    assert isinstance(verify_tlog_proof(unwitnessed, leaf=leaf, policy=policy("none")), OpenedCheckpoint)
    assert verify_tlog_proof(unwitnessed, leaf=leaf, policy=policy("w")) == Refused(
        code=Refusal.POLICY_UNSATISFIED
    )


@pytest.mark.parametrize("index", range(13))
def test_every_entry_can_be_proved(index: int):
    proof = TlogProof(index=index, hashes=tuple(naive_inclusion(index, LEAVES)), checkpoint=SIGNED)
    read = parse_tlog_proof(format_tlog_proof(proof))
    assert read == proof
    assert isinstance(read, TlogProof)
    assert isinstance(verify_tlog_proof(read, leaf=LEAVES[index], logs=[LOG.verifier]), OpenedCheckpoint)


def replaced(old: str, new: str) -> bytes:
    file = FILE.decode()
    assert old in file
    return file.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", Refusal.TLOG_PROOF_STRUCTURE),
        (b"c2sp.org/tlog-proof@v1\nindex 6\n", Refusal.TLOG_PROOF_STRUCTURE),
        (replaced("index 6", "index \uff16"), Refusal.TLOG_PROOF_STRUCTURE),
        (b"\n" + FILE, Refusal.TLOG_PROOF_HEADER),
        (replaced("@v1", "@v2"), Refusal.TLOG_PROOF_HEADER),
        (replaced("@v1", "@v1 "), Refusal.TLOG_PROOF_HEADER),
        (FILE.replace(b"\n", b"\r\n", 1), Refusal.TLOG_PROOF_HEADER),
        (replaced("index 6\n", ""), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6\n", "index\n"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "index 06"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "index +6"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "index -6"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "index  6"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "index 6 "), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "index 6\r"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "Index 6"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", f"index {2**63}"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "extra aGVsbG8=\nextra aGVsbG8=\nindex 6"), Refusal.TLOG_PROOF_INDEX),
        (replaced("index 6", "extra \nindex 6"), Refusal.TLOG_PROOF_EXTRA),
        (replaced("index 6", "extra aGVsbG8\nindex 6"), Refusal.TLOG_PROOF_EXTRA),
        (replaced("index 6", "extra aGVsbG9=\nindex 6"), Refusal.TLOG_PROOF_EXTRA),
        (replaced("index 6", "extra a-_h\nindex 6"), Refusal.TLOG_PROOF_EXTRA),
        (replaced("index 6", "index 6\nextra aGVsbG8="), Refusal.TLOG_PROOF_HASH),
        (replaced("index 6", "index 6\nindex 6"), Refusal.TLOG_PROOF_HASH),
        (replaced(FIRST, FIRST[:-1]), Refusal.TLOG_PROOF_HASH),
        (replaced(FIRST, f"{FIRST} "), Refusal.TLOG_PROOF_HASH),
        (replaced(FIRST, f"{FIRST}\r"), Refusal.TLOG_PROOF_HASH),
        (replaced(FIRST, base64.b64encode(bytes(31)).decode()), Refusal.TLOG_PROOF_HASH),
        (replaced(FIRST, base64.b64encode(bytes(33)).decode()), Refusal.TLOG_PROOF_HASH),
        (replaced(FIRST, "\n".join([FIRST] * 61)), Refusal.TLOG_PROOF_HASH),
        (replaced("\n\n", "\n\n\n"), Refusal.CHECKPOINT_STRUCTURE),
        (replaced("\n13\n", "\n013\n"), Refusal.CHECKPOINT_SIZE),
        (replaced("— example", "- example"), Refusal.NOTE_SIGNATURE_LINE),
        (FILE[:-1], Refusal.NOTE_STRUCTURE),
        (FILE + b"\n", Refusal.NOTE_STRUCTURE),
        (FILE + FILE.splitlines(keepends=True)[-1], Refusal.NOTE_DUPLICATE_SIGNATURE),
        (b"c2sp.org/tlog-proof@v1\n" + b"x" * 2_000_000, Refusal.TLOG_PROOF_OVERSIZED),
    ],
)
def test_a_proof_in_any_other_form_is_refused(file: bytes, code: Refusal):
    parsed = parse_tlog_proof(file)
    assert isinstance(parsed, Refused), parsed
    assert parsed.code is code


@pytest.mark.parametrize(
    "wrong",
    [
        {"index": -1},
        {"index": 2**63},
        {"hashes": (bytes(31),)},
        {"hashes": (bytes(32),) * 64},
        {"checkpoint": b"no note"},
        {"checkpoint": SIGNED.replace(b"\n13\n", b"\n013\n")},
    ],
)
def test_a_proof_that_could_not_be_read_back_cannot_be_made(wrong: dict[str, object]):
    right = {"index": INDEX, "hashes": PROOF.hashes, "checkpoint": COSIGNED}
    with pytest.raises(ValueError, match=r"index|hashes|checkpoint"):
        TlogProof(**(right | wrong))  # type: ignore[arg-type]


@given(
    index=st.integers(0, 2**63 - 1),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
    extra=st.binary(max_size=40),
)
def test_every_proof_is_read_as_it_was_written(index: int, hashes: tuple[bytes, ...], extra: bytes):
    proof = TlogProof(index=index, hashes=hashes, checkpoint=COSIGNED, extra=extra)
    assert parse_tlog_proof(format_tlog_proof(proof)) == proof


@given(at=st.integers(0, len(FILE) - 1), what=st.integers(0, 255))
def test_whatever_is_read_is_written_alike(at: int, what: int):
    changed = FILE[:at] + bytes([what]) + FILE[at + 1 :]
    parsed = parse_tlog_proof(changed)
    if isinstance(parsed, TlogProof):
        assert format_tlog_proof(parsed) == changed


def test_no_changed_bit_leaves_a_proof_believed_by_a_policy_that_asks_for_the_witness():
    asked = policy("w")
    for bit in range(len(FILE) * 8):
        changed = bytearray(FILE)
        changed[bit // 8] ^= 1 << bit % 8
        parsed = parse_tlog_proof(bytes(changed))
        if isinstance(parsed, TlogProof):
            parsed_as = verify_tlog_proof(parsed, leaf=LEAVES[INDEX], policy=asked)
            assert isinstance(parsed_as, Refused), f"bit {bit} made no difference"
