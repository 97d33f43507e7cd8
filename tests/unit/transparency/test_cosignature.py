"""ML-DSA-44 cosignatures, against the structure of the specification written down a second time."""

import base64
import struct
from functools import cache
from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import (
    Checkpoint,
    Cosigner,
    MlDsaCosigner,
    NoteSignature,
    OpenedCheckpoint,
    Refusal,
    Refused,
    SignatureType,
    Signer,
    VerifiedSignature,
    Verifier,
    open_checkpoint,
    parse_verifier,
    sign_checkpoint,
    with_cosignatures,
)

LOG = Signer(name="example.com/log", private_key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
WITNESS = MlDsaCosigner(
    name="witness.example/w1", private_key=MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
)
CHECKPOINT = Checkpoint(origin=LOG.name, size=20852163, root=bytes(range(32)), extensions=("one",))
TEXT = CHECKPOINT.text()
TIME = 1_679_315_147
REFUSED = Refused(code=Refusal.NOTE_SIGNATURE, detail=WITNESS.name)


def structure(name: bytes, time: int, origin: bytes, size: int, root: bytes) -> bytes:
    """cosigned_message of tlog-cosignature, as RFC 8446, section 3, serialises it."""
    layout = f">12sB{len(name)}sQB{len(origin)}sQQ32s"
    return struct.pack(
        layout, b"subtree/v1\n\x00", len(name), name, time, len(origin), origin, 0, size, root
    )  # fmt: skip


@cache
def cosignature() -> NoteSignature:
    return WITNESS.cosign(TEXT, time=TIME)


def test_an_ml_dsa_cosignature_is_a_time_and_a_signature_over_the_structure_of_the_specification():
    signature = cosignature().signature
    assert len(signature) == 8 + 2420
    assert int.from_bytes(signature[:8], "big") == TIME
    message = structure(b"witness.example/w1", TIME, b"example.com/log", 20852163, bytes(range(32)))
    WITNESS.private_key.public_key().verify(signature[8:], message)
    with pytest.raises(InvalidSignature):
        WITNESS.private_key.public_key().verify(signature[8:], message + b"\0")
    assert WITNESS.verifier.verify(TEXT, signature) == VerifiedSignature(verifier=WITNESS.verifier, time=TIME)


def test_its_key_is_known_by_the_type_six():
    public_key = WITNESS.private_key.public_key().public_bytes_raw()
    assert len(public_key) == 1312
    assert cosignature().key_id == sha256(b"witness.example/w1\n\x06" + public_key).digest()[:4]
    assert parse_verifier(WITNESS.verifier.key()) == WITNESS.verifier
    assert WITNESS.verifier.type is SignatureType.COSIGNATURE_ML_DSA_44


def test_it_vouches_for_the_tree_and_not_for_the_extension_lines():
    others = Checkpoint(origin=LOG.name, size=20852163, root=bytes(range(32)), extensions=("two",))
    assert isinstance(WITNESS.verifier.verify(others.text(), cosignature().signature), VerifiedSignature)


@pytest.mark.parametrize(
    "text",
    [
        Checkpoint(origin="example.com/lob", size=20852163, root=bytes(range(32))).text(),
        Checkpoint(origin=LOG.name, size=20852164, root=bytes(range(32))).text(),
        Checkpoint(origin=LOG.name, size=20852163, root=bytes(32)).text(),
        TEXT.replace("\n2", "\n02"),
        TEXT + "\n",
        "hello\n",
        "",
    ],
)
def test_it_is_of_this_tree_and_no_other(text: str):
    assert WITNESS.verifier.verify(text, cosignature().signature) == REFUSED


def test_it_names_its_cosigner():
    renamed = Verifier(
        name="witness.example/w2",
        type=SignatureType.COSIGNATURE_ML_DSA_44,
        public_key=WITNESS.verifier.public_key,
    )
    assert renamed.verify(TEXT, cosignature().signature) == Refused(
        code=Refusal.NOTE_SIGNATURE, detail="witness.example/w2"
    )


@given(at=st.integers(0, 8 + 2420 - 1), bit=st.integers(0, 7))
def test_no_changed_bit_of_it_is_believed(at: int, bit: int):
    changed = bytearray(cosignature().signature)
    changed[at] ^= 1 << bit
    assert WITNESS.verifier.verify(TEXT, bytes(changed)) == REFUSED


@pytest.mark.parametrize("length", [0, 7, 8, 72, 2420, 2427, 2429])
def test_a_cosignature_of_another_length_is_a_bad_one(length: int):
    assert WITNESS.verifier.verify(TEXT, (cosignature().signature * 2)[:length]) == REFUSED


def test_a_cosignature_beyond_the_last_time_is_neither_made_nor_believed():
    for time in (-1, 2**63):
        with pytest.raises(ValueError, match="time"):
            WITNESS.cosign(TEXT, time=time)
    message = structure(WITNESS.name.encode(), 2**63, LOG.name.encode(), 20852163, bytes(range(32)))
    signature = (2**63).to_bytes(8, "big") + WITNESS.private_key.sign(message)
    assert WITNESS.verifier.verify(TEXT, signature) == REFUSED


def test_what_the_structure_cannot_hold_is_not_cosigned():
    longest = "é" * 127 + "o"
    for name, origin, fits in [
        (longest, longest, True),
        (longest + "o", longest, False),
        (longest, longest + "o", False),
    ]:
        cosigner = MlDsaCosigner(name=name, private_key=WITNESS.private_key)
        text = Checkpoint(origin=origin, size=1, root=bytes(32)).text()
        if fits:
            signature = cosigner.cosign(text, time=1).signature
            assert isinstance(cosigner.verifier.verify(text, signature), VerifiedSignature)
        else:
            with pytest.raises(ValueError, match="255 bytes"):
                cosigner.cosign(text, time=1)
    with pytest.raises(ValueError, match="checkpoints only"):
        WITNESS.cosign("hello\n", time=1)


def key_of(typed: bytes) -> str:
    key_id = sha256(WITNESS.name.encode() + b"\n" + typed).hexdigest()[:8]
    return f"{WITNESS.name}+{key_id}+{base64.b64encode(typed).decode()}"


@pytest.mark.parametrize(
    "public_key",
    [b"", b"k" * 32, b"k" * 1311, b"k" * 1313, b"k" * 32 + bytes(1280)],
)
def test_a_key_of_another_length_or_that_anyone_can_sign_for_is_refused(public_key: bytes):
    assert parse_verifier(key_of(b"\x06" + public_key)) == Refused(code=Refusal.KEY_WEAK)
    with pytest.raises(ValueError, match="anyone could sign"):
        Verifier(name="x", type=SignatureType.COSIGNATURE_ML_DSA_44, public_key=public_key)


def test_the_key_of_one_kind_is_none_of_the_other():
    assert parse_verifier(key_of(b"\x04" + WITNESS.verifier.public_key)) == Refused(code=Refusal.KEY_WEAK)


def test_a_checkpoint_bears_the_cosignatures_of_both_kinds():
    now = Cosigner(name=WITNESS.name, private_key=Ed25519PrivateKey.from_private_bytes(b"w" * 32))
    note = with_cosignatures(sign_checkpoint(CHECKPOINT, [LOG]), [now.cosign(TEXT, time=5), cosignature()])
    opened = open_checkpoint(note, [LOG.verifier, now.verifier, WITNESS.verifier])
    assert isinstance(opened, OpenedCheckpoint)
    assert [(one.verifier.type, one.time) for one in opened.cosignatures] == [
        (SignatureType.COSIGNATURE_V1, 5),
        (SignatureType.COSIGNATURE_ML_DSA_44, TIME),
    ]
    assert open_checkpoint(note, [WITNESS.verifier]) == Refused(code=Refusal.CHECKPOINT_ORIGIN)


def test_a_line_that_is_there_already_is_not_added_and_nothing_is_added_to_no_note():
    note = sign_checkpoint(CHECKPOINT, [LOG])
    cosigned = with_cosignatures(note, [cosignature()])
    with pytest.raises(ValueError, match="not a note"):
        with_cosignatures(cosigned, [cosignature()])
    with pytest.raises(ValueError, match="signature lines"):
        with_cosignatures(b"hello", [cosignature()])
    assert with_cosignatures(note, []) == note
