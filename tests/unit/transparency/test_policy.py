import re
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import (
    Checkpoint,
    Cosigner,
    MlDsaCosigner,
    OpenedCheckpoint,
    Policy,
    PolicyGroup,
    PolicyLog,
    PolicyWitness,
    Refusal,
    Refused,
    SignatureType,
    Signer,
    VerifiedSignature,
    Verifier,
    parse_policy,
    sign_checkpoint,
    with_cosignatures,
)

LOG = Signer(name="example.com/log", private_key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
OTHER_LOG = Signer(name="example.com/other", private_key=Ed25519PrivateKey.from_private_bytes(b"o" * 32))
COSIGNERS = [
    Cosigner(name=f"w{n}.example", private_key=Ed25519PrivateKey.from_private_bytes(bytes([n + 1]) * 32))
    for n in range(6)
]
X1, X2, X3, Y1, Y2, Y3 = (cosigner.verifier for cosigner in COSIGNERS)
QUANTUM = MlDsaCosigner(name="w0.example", private_key=MLDSA44PrivateKey.from_seed_bytes(b"q" * 32))

# The example of the specification, with keys.
EXAMPLE = f"""
log {LOG.verifier.key()}

witness X1 {X1.key()}
witness X2 {X2.key()}
witness X3 {X3.key()}
group X-witnesses 2 X1 X2 X3

witness Y1 {Y1.key()}
witness Y2 {Y2.key()}
witness Y3 {Y3.key()}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
NOTE = sign_checkpoint(Checkpoint(origin=LOG.name, size=7, root=bytes(32)), [LOG])
TEXT = NOTE.decode().partition("\n\n")[0] + "\n"


def policy(text: str) -> Policy:
    parsed = parse_policy(text.encode())
    assert isinstance(parsed, Policy), parsed
    return parsed


def cosigned_by(*verifiers: Verifier) -> Sequence[VerifiedSignature]:
    return [VerifiedSignature(verifier=verifier, time=1) for verifier in verifiers]


def test_the_example_of_the_specification_is_read():
    read = policy(EXAMPLE)
    assert read.logs == (PolicyLog(verifier=LOG.verifier, url=None),)
    assert read.witnesses[0] == PolicyWitness(name="X1", verifier=X1, url=None)
    assert len(read.witnesses) == 6
    assert read.groups == (
        PolicyGroup(name="X-witnesses", threshold=2, members=("X1", "X2", "X3")),
        PolicyGroup(name="Y-witnesses", threshold=1, members=("Y1", "Y2", "Y3")),
        PolicyGroup(name="X-and-Y", threshold=2, members=("X-witnesses", "Y-witnesses")),
    )
    assert read.quorum == "X-and-Y"


@pytest.mark.parametrize(
    ("cosigned", "enough"),
    [
        ((X1, X2, Y1), True),
        ((X1, X3, Y3), True),
        ((X1, X2, X3, Y1, Y2, Y3), True),
        ((X1, Y1, Y2, Y3), False),
        ((X1, X2, X3), False),
        ((Y1, Y2, Y3), False),
        ((X1, X1, Y1), False),
        ((), False),
    ],
)
def test_the_example_asks_for_two_of_one_side_and_one_of_the_other(
    cosigned: tuple[Verifier, ...],
    enough: bool,  # noqa: FBT001 - it is met, or it is not
):
    assert policy(EXAMPLE).satisfied(cosigned_by(*cosigned)) is enough


def test_the_key_counts_and_not_its_name():
    namesake = Verifier(name=X1.name, type=X1.type, public_key=Y1.public_key)
    single = policy(f"witness one {X1.key()}\nquorum one\n")
    assert single.satisfied(cosigned_by(X1))
    assert not single.satisfied(cosigned_by(namesake))
    assert not single.satisfied(cosigned_by(QUANTUM.verifier))


def test_quorum_none_asks_for_nobody():
    assert policy("quorum none\n").satisfied([])


def test_an_address_may_follow_a_key_and_white_space_and_comments_say_nothing():
    read = policy(
        f"# who watches\n\t \n  log\t {LOG.verifier.key()}  https://log.example/ \n"
        f"\t#witness\nwitness ü {X1.key()} http://w.example:8000/é\nquorum ü\n"
    )
    assert read.logs[0].url == "https://log.example/"
    assert read.witnesses[0].url == "http://w.example:8000/é"


def test_names_are_compared_octet_by_octet():
    kelvin, raw = "\u212a".encode(), b"\xff\xfe"
    one, other = X1.key().encode(), X2.key().encode()
    text = b"witness K %b\nwitness %b %b\ngroup %b all K %b\nquorum %b\n" % (
        one, kelvin, other, raw, kelvin, raw,
    )  # fmt: skip
    parsed = parse_policy(text)
    assert isinstance(parsed, Policy)
    assert parsed.satisfied(cosigned_by(X1, X2))
    assert not parsed.satisfied(cosigned_by(X1))


def test_a_witness_may_have_a_key_of_each_kind():
    both = policy(
        f"witness now {X1.key()}\nwitness later {QUANTUM.verifier.key()}\ngroup w all now later\nquorum w\n"
    )
    assert both.satisfied(cosigned_by(X1, QUANTUM.verifier))
    assert not both.satisfied(cosigned_by(X1))


TWINS = [
    Verifier(name="x", type=SignatureType.ED25519, public_key=number.to_bytes(32, "little"))
    for number in (66342, 99552)  # of one key id, found by trying: key ids are short
]
WITNESS = f"witness a {X1.key()}\n"


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("", Refusal.POLICY_STRUCTURE, ""),
        ("quorum none", Refusal.POLICY_STRUCTURE, ""),
        ("quorum none\r\n", Refusal.POLICY_STRUCTURE, ""),
        ("quorum none\x00\n", Refusal.POLICY_STRUCTURE, ""),
        ("quorum none\x0b\n", Refusal.POLICY_STRUCTURE, ""),
        ("quorum none\x7f\n", Refusal.POLICY_STRUCTURE, ""),
        ("\n", Refusal.POLICY_QUORUM, ""),
        (WITNESS, Refusal.POLICY_QUORUM, ""),
        ("quorum none\nquorum none\n", Refusal.POLICY_QUORUM, "line 2"),
        ("quorum\n", Refusal.POLICY_LINE, "line 1"),
        ("quorum none none\n", Refusal.POLICY_LINE, "line 1"),
        ("Quorum none\n", Refusal.POLICY_LINE, "line 1"),
        ("quorum\u00a0none\n", Refusal.POLICY_LINE, "line 1"),
        ("origin x\n", Refusal.POLICY_LINE, "line 1"),
        ("log\n", Refusal.POLICY_LINE, "line 1"),
        (f"log {LOG.verifier.key()} https://a https://b\n", Refusal.POLICY_LINE, "line 1"),
        (f"witness {X1.key()}\n", Refusal.POLICY_LINE, "line 1"),
        (f"witness a {X1.key()} https://a https://b\n", Refusal.POLICY_LINE, "line 1"),
        (WITNESS + "group g all\n", Refusal.POLICY_LINE, "line 2"),
        ("log example.com/log\n", Refusal.KEY_FORM, "line 1"),
        (f"log {LOG.verifier.key()}=\n", Refusal.KEY_FORM, "line 1"),
        (f"witness a {X1.key().replace('example', 'exemple')}\n", Refusal.KEY_ID, "line 1"),
        (f"log {X1.key()}\n", Refusal.POLICY_KEY_TYPE, "line 1"),
        (f"log {QUANTUM.verifier.key()}\n", Refusal.POLICY_KEY_TYPE, "line 1"),
        (f"witness a {LOG.verifier.key()}\n", Refusal.POLICY_KEY_TYPE, "line 1"),
        (f"log {LOG.verifier.key()}\n" * 2, Refusal.POLICY_DUPLICATE_KEY, "line 2"),
        (
            f"{WITNESS}witness b {Verifier(name='b', type=X1.type, public_key=X1.public_key).key()}\n",
            Refusal.POLICY_DUPLICATE_KEY,
            "line 2",
        ),
        (f"log {TWINS[0].key()}\nlog {TWINS[1].key()}\n", Refusal.POLICY_DUPLICATE_KEY, "line 2"),
        (f"{WITNESS}witness a {X2.key()}\n", Refusal.POLICY_NAME, "line 2"),
        (f"witness none {X1.key()}\n", Refusal.POLICY_NAME, "line 1"),
        (WITNESS + "group a all a\n", Refusal.POLICY_NAME, "line 2"),
        (WITNESS + "group none all a\n", Refusal.POLICY_NAME, "line 2"),
        ("quorum a\n" + WITNESS, Refusal.POLICY_MEMBER, "line 1"),
        ("group g all a\n" + WITNESS, Refusal.POLICY_MEMBER, "line 1"),
        (WITNESS + "group g all g\n", Refusal.POLICY_MEMBER, "line 2"),
        (WITNESS + "group g all none\n", Refusal.POLICY_MEMBER, "line 2"),
        (WITNESS + "group g 1 a a\n", Refusal.POLICY_MEMBER, "line 2"),
        (WITNESS + "group g all a\ngroup h all a\n", Refusal.POLICY_MEMBER, "line 3"),
        (WITNESS + "group g 0 a\n", Refusal.POLICY_THRESHOLD, "line 2"),
        (WITNESS + "group g 2 a\n", Refusal.POLICY_THRESHOLD, "line 2"),
        (WITNESS + "group g 01 a\n", Refusal.POLICY_THRESHOLD, "line 2"),
        (WITNESS + "group g +1 a\n", Refusal.POLICY_THRESHOLD, "line 2"),
        (WITNESS + "group g \u0661 a\n", Refusal.POLICY_THRESHOLD, "line 2"),
        (WITNESS + "group g most a\n", Refusal.POLICY_THRESHOLD, "line 2"),
        ("#" * 1_000_000 + "\n", Refusal.POLICY_OVERSIZED, ""),
    ],
)
def test_a_policy_that_could_be_read_two_ways_is_refused(text: str, code: Refusal, detail: str):
    assert parse_policy(text.encode()) == Refused(code=code, detail=detail)


def test_a_checkpoint_is_believed_once_the_quorum_has_cosigned():
    two_of = policy(
        f"log {LOG.verifier.key()}\nwitness a {X1.key()}\nwitness b {X2.key()}\ngroup g all a b\nquorum g\n"
    )
    cosigned = with_cosignatures(NOTE, [one.cosign(TEXT, time=9) for one in COSIGNERS[:2]])
    opened = two_of.open_checkpoint(cosigned)
    assert isinstance(opened, OpenedCheckpoint)
    assert [(it.verifier.name, it.time) for it in opened.cosignatures] == [
        ("w0.example", 9),
        ("w1.example", 9),
    ]
    by_one = with_cosignatures(NOTE, [COSIGNERS[0].cosign(TEXT, time=9)])
    assert two_of.open_checkpoint(by_one) == Refused(code=Refusal.POLICY_UNSATISFIED)
    assert two_of.open_checkpoint(NOTE) == Refused(code=Refusal.POLICY_UNSATISFIED)


def test_a_checkpoint_of_no_log_of_the_policy_is_refused_however_many_cosigned():
    other = sign_checkpoint(Checkpoint(origin=OTHER_LOG.name, size=7, root=bytes(32)), [OTHER_LOG])
    text = other.decode().partition("\n\n")[0] + "\n"
    cosigned = with_cosignatures(other, [COSIGNERS[0].cosign(text, time=9)])
    one = policy(f"log {LOG.verifier.key()}\nwitness a {X1.key()}\nquorum a\n")
    assert one.open_checkpoint(cosigned) == Refused(code=Refusal.CHECKPOINT_ORIGIN)
    assert isinstance(one.open_checkpoint(cosigned, logs=[OTHER_LOG.verifier]), OpenedCheckpoint)


SHAPES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=3)


@given(shapes=SHAPES, cosigned=st.sets(st.integers(0, 5)))
def test_a_quorum_is_met_exactly_when_its_definition_says_so(
    shapes: list[tuple[int, int]], cosigned: set[int]
):
    lines = [f"witness w{n} {one.verifier.key()}" for n, one in enumerate(COSIGNERS)]
    free = [f"w{n}" for n in range(6)]
    meanings: dict[str, tuple[int, list[str]]] = {}
    for number, (threshold, count) in enumerate(shapes):
        members, free = free[:count], free[count:]
        least = min(threshold, len(members))
        if not members:
            break
        meanings[f"g{number}"] = (least, members)
        lines.append(f"group g{number} {least} {' '.join(members)}")
        free.append(f"g{number}")
    quorum = free[-1] if free else f"g{len(meanings) - 1}"
    read = policy("\n".join([*lines, f"quorum {quorum}", ""]))

    def witnessed(name: str) -> bool:
        if name in meanings:
            least, members = meanings[name]
            return sum(map(witnessed, members)) >= least
        return int(re.sub("[^0-9]", "", name)) in cosigned

    assert read.satisfied(cosigned_by(*(COSIGNERS[n].verifier for n in cosigned))) is witnessed(quorum)


@given(text=st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_whatever_is_in_a_policy_file_reading_it_ends_in_a_policy_or_a_refusal(text: bytes):
    assert isinstance(parse_policy(text), Policy | Refused)
