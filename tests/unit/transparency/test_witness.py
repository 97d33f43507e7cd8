import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import (
    EMPTY_ROOT,
    Accepted,
    AddCheckpoint,
    Authentic,
    Checkpoint,
    Cosigner,
    Latest,
    MlDsaCosigner,
    NoteSignature,
    Refusal,
    Refused,
    Rejected,
    Signer,
    authenticate,
    format_add_checkpoint,
    parse_add_checkpoint,
    parse_known_size,
    read_cosignatures,
    sign_checkpoint,
    sign_note,
    weigh,
    with_cosignatures,
)
from tests.unit.transparency.oracle import leaves, naive_consistency, naive_root

LOG = Signer(name="example.com/behind-the-sofa", private_key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
SECOND_KEY = Signer(name=LOG.name, private_key=Ed25519PrivateKey.from_private_bytes(b"2" * 32))
THIEF = Signer(name=LOG.name, private_key=Ed25519PrivateKey.from_private_bytes(b"t" * 32))
OTHER = Signer(name="example.com/other", private_key=Ed25519PrivateKey.from_private_bytes(b"o" * 32))
LOGS = {LOG.name: [LOG.verifier, SECOND_KEY.verifier], OTHER.name: [OTHER.verifier]}
ED = Cosigner(name="witness.example/w1", private_key=Ed25519PrivateKey.from_private_bytes(b"w" * 32))
PQ = MlDsaCosigner(name="witness.example/w1", private_key=MLDSA44PrivateKey.from_seed_bytes(b"w" * 32))
LEAVES = leaves(40)
FORKED = [*LEAVES[:10], *leaves(80)[40:70]]


def checkpoint(size: int, *, tree: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(origin=LOG.name, size=size, root=naive_root(tree[:size]))


def asked(old: int, new: int, *, tree: list[bytes] = LEAVES, signer: Signer = LOG) -> AddCheckpoint:
    proof = naive_consistency(old, tree[:new]) if 0 < old <= new else []
    return AddCheckpoint(
        old_size=old, proof=tuple(proof), note=sign_checkpoint(checkpoint(new, tree=tree), [signer])
    )


def latest(size: int, *, tree: list[bytes] = LEAVES) -> Latest | None:
    return Latest(size=size, root=naive_root(tree[:size])) if size else None


def answer(request: AddCheckpoint, known: Latest | None) -> Accepted | Rejected:
    authentic = authenticate(request, logs=LOGS)
    return weigh(authentic, known) if isinstance(authentic, Authentic) else authentic


# The example of the specification.
SHOWN = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""
SHOWN_ANSWER = """— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
"""


def test_the_request_that_the_specification_shows_is_read_and_written_alike():
    read = parse_add_checkpoint(SHOWN.encode())
    assert isinstance(read, AddCheckpoint)
    assert (read.old_size, len(read.proof)) == (20852014, 4)
    assert format_add_checkpoint(read) == SHOWN.encode()


def test_the_answer_that_the_specification_shows_is_of_keys_unknown_here():
    shown = Checkpoint(origin=LOG.name, size=1, root=bytes(32))
    assert read_cosignatures(SHOWN_ANSWER.encode(), checkpoint=shown, verifiers=[ED.verifier]) == Refused(
        code=Refusal.NOTE_UNKNOWN_KEYS
    )


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (SHOWN, "", Refusal.WITNESS_STRUCTURE),
        (SHOWN, "old 1\n", Refusal.WITNESS_STRUCTURE),
        (SHOWN, "\n" + SHOWN, Refusal.WITNESS_OLD_SIZE),
        ("old 20852014\n", "", Refusal.WITNESS_OLD_SIZE),
        ("old 2", "old 02", Refusal.WITNESS_OLD_SIZE),
        ("old 2", "old  2", Refusal.WITNESS_OLD_SIZE),
        ("old 2", "old -2", Refusal.WITNESS_OLD_SIZE),
        ("old 2", "Old 2", Refusal.WITNESS_OLD_SIZE),
        ("old 2", "old2", Refusal.WITNESS_OLD_SIZE),
        ("old 20852014", "old 20852014 ", Refusal.WITNESS_OLD_SIZE),
        ("old 20852014", "old 20852014\r", Refusal.WITNESS_OLD_SIZE),
        ("old 20852014", f"old {2**63}", Refusal.WITNESS_OLD_SIZE),
        ("old 20852014", "old \uff12", Refusal.WITNESS_STRUCTURE),
        ("old 20852014", "old 1\nold 20852014", Refusal.WITNESS_PROOF_LINE),
        ("pkaw=", "pkaw", Refusal.WITNESS_PROOF_LINE),
        ("pkaw=", "pkax=", Refusal.WITNESS_PROOF_LINE),
        ("pkaw=", "pkaw= ", Refusal.WITNESS_PROOF_LINE),
        ("pkaw=", "pkaw=\r", Refusal.WITNESS_PROOF_LINE),
        ("PlRN", "PlR-", Refusal.WITNESS_PROOF_LINE),
        ("PlRN", "", Refusal.WITNESS_PROOF_LINE),
        ("PlRN", "PlRNPlRN", Refusal.WITNESS_PROOF_LINE),
        ("old 20852014\n", "old 20852014\n" + (base64.b64encode(bytes(32)).decode() + "\n") * 60, Refusal.WITNESS_PROOF_LINE),
        ("Kj/0=\n\n", "Kj/0=\n\n\n", Refusal.CHECKPOINT_STRUCTURE),
        ("\n20852163\n", "\n020852163\n", Refusal.CHECKPOINT_SIZE),
        ("xq2I=\n\n", "xq2J=\n\n", Refusal.CHECKPOINT_ROOT),
        ("— example", "- example", Refusal.NOTE_SIGNATURE_LINE),
        ("— example", "example", Refusal.NOTE_SIGNATURE_LINE),
        ("cTOAYQ8=", "cTOAYQ9=", Refusal.NOTE_BASE64),
        ("cTOAYQ8=\n", "cTOAYQ8=\r\n", Refusal.NOTE_CONTROL_CHARACTER),
        ("qbSzm9Q=\n", "qbSzm9Q=", Refusal.NOTE_STRUCTURE),
        (SHOWN, SHOWN + SHOWN.splitlines(keepends=True)[-1], Refusal.NOTE_DUPLICATE_SIGNATURE),
        (SHOWN, SHOWN + "x" * 131_072, Refusal.WITNESS_OVERSIZED),
    ],
)  # fmt: skip
def test_a_request_in_any_other_form_is_malformed(old: str, new: str, code: Refusal):
    assert old in SHOWN
    rejected = parse_add_checkpoint(SHOWN.replace(old, new, 1).encode())
    assert isinstance(rejected, Rejected), rejected
    assert (rejected.status, rejected.code) == (400, code)


@pytest.mark.parametrize(
    "wrong",
    [
        {"old_size": -1},
        {"old_size": 2**63},
        {"proof": (bytes(31),)},
        {"proof": (bytes(32),) * 64},
        {"note": b""},
        {"note": sign_note("hello\n", [LOG])},
    ],
)
def test_a_request_that_could_not_be_read_back_cannot_be_made(wrong: dict[str, object]):
    right = {"old_size": 1, "proof": (), "note": sign_checkpoint(checkpoint(3), [LOG])}
    with pytest.raises(ValueError, match=r"decimal|hashes|checkpoint"):
        AddCheckpoint(**(right | wrong))  # type: ignore[arg-type]


@given(
    old=st.integers(0, 2**63 - 1),
    proof=st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
)
def test_every_request_is_read_as_it_was_written(old: int, proof: tuple[bytes, ...]):
    request = AddCheckpoint(old_size=old, proof=proof, note=sign_checkpoint(checkpoint(7), [LOG]))
    assert parse_add_checkpoint(format_add_checkpoint(request)) == request


@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_is_read_is_written_alike(body: bytes):
    read = parse_add_checkpoint(body)
    if isinstance(read, AddCheckpoint):
        assert format_add_checkpoint(read) == body


def test_a_log_that_grew_is_accepted_at_every_pair_of_sizes():
    for new in range(20):
        for old in range(new + 1):
            request = asked(old, new)
            assert answer(request, latest(old)) == Accepted(checkpoint=checkpoint(new), note=request.note)


@pytest.mark.parametrize(("old", "new", "known"), [(3, 7, 5), (3, 7, 0), (0, 7, 3), (7, 7, 9), (3, 7, 9)])
def test_who_does_not_know_where_the_witness_is_learns_it(old: int, new: int, known: int):
    assert answer(asked(old, new), latest(known)) == Rejected(
        status=409, code=Refusal.WITNESS_CONFLICT, known_size=known
    )


def test_a_roll_back_is_refused_whatever_old_size_it_claims():
    for old in range(8):
        rejected = answer(asked(old, 7), latest(9))
        assert rejected == Rejected(status=409, code=Refusal.WITNESS_CONFLICT, known_size=9)
    rejected = answer(asked(9, 7), latest(9))
    assert rejected == Rejected(status=400, code=Refusal.WITNESS_OLD_SIZE_ABOVE)


def test_a_fork_of_the_same_size_is_refused_and_named_one():
    assert answer(asked(20, 20, tree=FORKED), latest(20)) == Rejected(
        status=409, code=Refusal.WITNESS_FORK, known_size=20
    )
    lie = AddCheckpoint(
        old_size=0,
        proof=(),
        note=sign_checkpoint(Checkpoint(origin=LOG.name, size=0, root=bytes(32)), [LOG]),
    )
    assert answer(lie, None) == Rejected(status=409, code=Refusal.WITNESS_FORK, known_size=0)


def test_a_fork_of_another_size_is_refused_for_want_of_a_proof():
    assert answer(asked(20, 30, tree=FORKED), latest(20)) == Rejected(status=422, code=Refusal.PROOF_OLD_ROOT)


def test_a_proof_that_is_not_asked_for_is_refused():
    for old, new in [(0, 7), (7, 7)]:
        request = AddCheckpoint(old_size=old, proof=(bytes(32),), note=asked(old, new).note)
        assert answer(request, latest(old)) == Rejected(status=422, code=Refusal.PROOF_LENGTH)
    missing = AddCheckpoint(old_size=3, proof=(), note=asked(3, 7).note)
    assert answer(missing, latest(3)) == Rejected(status=422, code=Refusal.PROOF_LENGTH)


def test_an_empty_log_is_cosigned_and_grows():
    empty = Latest(size=0, root=EMPTY_ROOT)
    assert isinstance(answer(asked(0, 0), None), Accepted)
    assert isinstance(answer(asked(0, 0), empty), Accepted)
    assert isinstance(answer(asked(0, 5), empty), Accepted)


def test_a_log_that_nobody_admitted_is_not_found():
    stranger = Signer(name="example.com/stranger", private_key=LOG.private_key)
    request = AddCheckpoint(
        old_size=0,
        proof=(),
        note=sign_checkpoint(Checkpoint(origin=stranger.name, size=1, root=bytes(32)), [stranger]),
    )
    assert answer(request, None) == Rejected(
        status=404, code=Refusal.WITNESS_UNKNOWN_LOG, detail=stranger.name
    )


def test_nobody_but_the_log_speaks_for_it():
    forbidden = answer(asked(0, 7, signer=THIEF), None)
    assert forbidden == Rejected(status=403, code=Refusal.NOTE_UNKNOWN_KEYS)
    text = checkpoint(7).text()
    by_other = AddCheckpoint(old_size=0, proof=(), note=sign_note(text, [OTHER]))
    assert answer(by_other, None) == Rejected(status=403, code=Refusal.NOTE_UNKNOWN_KEYS)


def test_any_one_of_the_keys_of_a_log_does():
    assert isinstance(answer(asked(0, 7, signer=SECOND_KEY), None), Accepted)


def test_no_changed_bit_of_a_checkpoint_is_cosigned():
    request = asked(3, 7)
    for bit in range(len(request.note) * 8):
        changed = bytearray(request.note)
        changed[bit // 8] ^= 1 << bit % 8
        body = format_add_checkpoint(request)[: -len(request.note)] + bytes(changed)
        read = parse_add_checkpoint(body)
        outcome = read if isinstance(read, Rejected) else answer(read, latest(3))
        assert isinstance(outcome, Rejected), f"bit {bit} made no difference"
        assert outcome.status in {400, 403, 404}


@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 7), (6, 7), (8, 40)])
def test_no_changed_bit_of_a_proof_is_cosigned(old: int, new: int):
    request = asked(old, new)
    for at, one in enumerate(request.proof):
        for bit in range(256):
            changed = (int.from_bytes(one) ^ (1 << bit)).to_bytes(32)
            altered = AddCheckpoint(
                old_size=old,
                proof=(*request.proof[:at], changed, *request.proof[at + 1 :]),
                note=request.note,
            )
            rejected = answer(altered, latest(old))
            assert isinstance(rejected, Rejected)
            assert rejected.status == 422


SEEN = checkpoint(7)
LINES = [one.cosign(SEEN.text(), time=5) for one in (ED, PQ)]
ANSWER = "".join(line.line() for line in LINES)


def believed(body: str) -> tuple[NoteSignature, ...] | Refused:
    return read_cosignatures(body.encode(), checkpoint=SEEN, verifiers=[ED.verifier, PQ.verifier])


def test_an_answer_gives_the_lines_of_the_keys_that_are_known():
    assert believed(ANSWER) == tuple(LINES)
    stranger = Cosigner(name="w2.example", private_key=LOG.private_key).cosign(SEEN.text(), time=5)
    assert believed(stranger.line() + ANSWER) == tuple(LINES)
    cosigned = with_cosignatures(sign_checkpoint(SEEN, [LOG]), LINES)
    assert cosigned == sign_checkpoint(SEEN, [LOG]) + ANSWER.encode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", Refusal.NOTE_STRUCTURE),
        ("\n", Refusal.NOTE_STRUCTURE),
        (ANSWER[:-1], Refusal.NOTE_STRUCTURE),
        (ANSWER + "\n", Refusal.NOTE_STRUCTURE),
        ("\n" + ANSWER, Refusal.NOTE_STRUCTURE),
        ("more\n\n" + ANSWER, Refusal.NOTE_STRUCTURE),
        (ANSWER.replace("—", "-"), Refusal.NOTE_SIGNATURE_LINE),
        (ANSWER.replace("\n", "\r\n"), Refusal.NOTE_CONTROL_CHARACTER),
        (ANSWER + LINES[0].line(), Refusal.NOTE_DUPLICATE_SIGNATURE),
        (ED.cosign(checkpoint(8).text(), time=5).line(), Refusal.NOTE_SIGNATURE),
        (LINES[0].line() + PQ.cosign(checkpoint(8).text(), time=5).line(), Refusal.NOTE_SIGNATURE),
        ("<html>It works!</html>\n", Refusal.NOTE_SIGNATURE_LINE),
        ("x" * 1_000_001, Refusal.NOTE_STRUCTURE),
    ],
)
def test_an_answer_that_is_not_the_witness_own_is_refused(body: str, code: Refusal):
    refused = believed(body)
    assert isinstance(refused, Refused), refused
    assert refused.code is code


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (b"0\n", 0),
        (b"20852163\n", 20852163),
        (b"20852163", None),
        (b"020\n", None),
        (b"-1\n", None),
        (b"1\r\n", None),
        (b"1\n\n", None),
        (b"\n", None),
        (b"", None),
        (b"\xff\n", None),
        (b"9" * 30 + b"\n", None),
    ],
)
def test_a_conflict_tells_a_size_in_one_form_only(body: bytes, size: int | None):
    assert parse_known_size(body) == size
