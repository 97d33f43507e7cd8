import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import (
    EMPTY_ROOT,
    Checkpoint,
    Cosigner,
    Note,
    OpenedCheckpoint,
    Refusal,
    Refused,
    Signer,
    format_note,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    sign_note,
)

ORIGIN = "example.com/behind-the-sofa"
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
TEXT = f"{ORIGIN}\n20852163\n{ROOT}\n"

LOG = Signer(name=ORIGIN, private_key=Ed25519PrivateKey.from_private_bytes(b"l" * 32))
OTHER = Signer(name="example.com/other", private_key=Ed25519PrivateKey.from_private_bytes(b"o" * 32))
WITNESS = Cosigner(name="witness.example.com/w1", private_key=Ed25519PrivateKey.from_private_bytes(b"w" * 32))


def checkpoint(text: str = TEXT) -> Checkpoint:
    parsed = parse_checkpoint(text)
    assert isinstance(parsed, Checkpoint)
    return parsed


def test_the_checkpoint_that_the_specification_shows_is_read_and_written_alike():
    shown = checkpoint()
    assert (shown.origin, shown.size, len(shown.root), shown.extensions) == (ORIGIN, 20852163, 32, ())
    assert shown.text() == TEXT


def test_extension_lines_are_kept():
    assert checkpoint(TEXT + "one\n two\n").extensions == ("one", " two")


def test_the_empty_log_has_size_zero():
    assert Checkpoint(origin="o", size=0, root=EMPTY_ROOT).text() == (
        "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Refusal.CHECKPOINT_STRUCTURE),
        (TEXT[:-1], Refusal.CHECKPOINT_STRUCTURE),
        (f"{ORIGIN}\n20852163\n", Refusal.CHECKPOINT_STRUCTURE),
        (f"\n20852163\n{ROOT}\n", Refusal.CHECKPOINT_STRUCTURE),
        (f"{TEXT}\n", Refusal.CHECKPOINT_STRUCTURE),
        (f"{TEXT}one\n\ntwo\n", Refusal.CHECKPOINT_STRUCTURE),
        (f"{TEXT}one", Refusal.CHECKPOINT_STRUCTURE),
        (TEXT.replace("\n", "\r\n"), Refusal.CHECKPOINT_STRUCTURE),
        (TEXT.replace("example", "exa\tmple"), Refusal.CHECKPOINT_STRUCTURE),
        (TEXT.replace("20852163", "020852163"), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", "00"), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", "-1"), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", "+1"), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", " 1"), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", "1_0"), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", "0x10"), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", "\u0663"), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", str(2**63)), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("20852163", "9" * 5000), Refusal.CHECKPOINT_SIZE),
        (TEXT.replace("q2I=", "q2J="), Refusal.CHECKPOINT_ROOT),
        (TEXT.replace("q2I=", "q2I"), Refusal.CHECKPOINT_ROOT),
        (TEXT.replace("CsUYapGG", "CsUYapG"), Refusal.CHECKPOINT_ROOT),
        (TEXT.replace("CsUYapGG", ""), Refusal.CHECKPOINT_ROOT),
        (TEXT.replace("CsUYapGG", "CsUYapGGAAAA"), Refusal.CHECKPOINT_ROOT),
        (TEXT.replace("CsUYapGG", "CsUYapG-"), Refusal.CHECKPOINT_ROOT),
        (TEXT.replace(ROOT, f"{ROOT} "), Refusal.CHECKPOINT_ROOT),
    ],
)
def test_a_checkpoint_in_any_other_form_is_refused(text: str, code: Refusal):
    assert parse_checkpoint(text) == Refused(code=code)


@pytest.mark.parametrize(
    ("origin", "size", "root", "extensions"),
    [
        ("", 1, bytes(32), ()),
        ("two\nlines", 1, bytes(32), ()),
        ("o", -1, bytes(32), ()),
        ("o", 2**63, bytes(32), ()),
        ("o", 1, bytes(31), ()),
        ("o", 1, bytes(32), ("",)),
        ("o", 1, bytes(32), ("two\nlines",)),
    ],
)
def test_a_checkpoint_that_could_not_be_read_back_cannot_be_made(
    origin: str, size: int, root: bytes, extensions: tuple[str, ...]
):
    with pytest.raises(ValueError, match=r"checkpoint|tree size|root"):
        Checkpoint(origin=origin, size=size, root=root, extensions=extensions)


def test_what_the_log_signed_is_believed():
    opened = open_checkpoint(sign_checkpoint(checkpoint(), [LOG]), [LOG.verifier])
    assert isinstance(opened, OpenedCheckpoint)
    assert (opened.checkpoint, opened.cosignatures) == (checkpoint(), ())


def test_a_witness_is_heard_beside_the_log_but_not_alone():
    text = checkpoint().text()
    note = format_note(Note(text=text, signatures=(LOG.sign(text), WITNESS.cosign(text, time=1_800_000_000))))
    opened = open_checkpoint(note, [LOG.verifier, WITNESS.verifier])
    assert isinstance(opened, OpenedCheckpoint)
    assert [(it.verifier.name, it.time) for it in opened.cosignatures] == [(WITNESS.name, 1_800_000_000)]
    assert open_checkpoint(note, [WITNESS.verifier]) == Refused(code=Refusal.CHECKPOINT_ORIGIN)


def test_one_log_cannot_speak_for_another():
    forged = sign_note(TEXT, [OTHER])
    assert open_checkpoint(forged, [LOG.verifier, OTHER.verifier]) == Refused(code=Refusal.CHECKPOINT_ORIGIN)
    with pytest.raises(ValueError, match=f"Only keys named {ORIGIN}"):
        sign_checkpoint(checkpoint(), [OTHER])
    with pytest.raises(ValueError, match=f"Only keys named {ORIGIN}"):
        sign_checkpoint(checkpoint(), [LOG, OTHER])


def test_a_cosigner_named_as_the_log_is_not_the_log():
    namesake = Cosigner(name=ORIGIN, private_key=LOG.private_key)
    note = format_note(Note(text=TEXT, signatures=(namesake.cosign(TEXT, time=1),)))
    assert open_checkpoint(note, [namesake.verifier]) == Refused(code=Refusal.CHECKPOINT_ORIGIN)


def test_a_signed_note_that_is_no_checkpoint_is_refused():
    assert open_checkpoint(sign_note("hello\n", [LOG]), [LOG.verifier]) == Refused(
        code=Refusal.CHECKPOINT_STRUCTURE
    )
    assert open_checkpoint(b"hello", [LOG.verifier]) == Refused(code=Refusal.NOTE_STRUCTURE)
    stranger = sign_checkpoint(checkpoint(), [LOG])
    assert open_checkpoint(stranger, [OTHER.verifier]) == Refused(code=Refusal.NOTE_UNKNOWN_KEYS)


LINES = st.text(st.characters(codec="utf-8", min_codepoint=0x20), min_size=1)


@given(
    origin=LINES,
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    extensions=st.lists(LINES, max_size=3).map(tuple),
)
def test_every_checkpoint_is_read_as_it_was_written(
    origin: str, size: int, root: bytes, extensions: tuple[str, ...]
):
    written = Checkpoint(origin=origin, size=size, root=root, extensions=extensions)
    assert parse_checkpoint(written.text()) == written


@given(text=st.text() | st.from_regex(r"[a-z]*\n[0-9]{0,3}\n[A-Za-z0-9+/]{43}=\n[a-z]*\n?", fullmatch=True))
def test_every_text_that_is_read_is_written_alike(text: str):
    parsed = parse_checkpoint(text)
    if isinstance(parsed, Checkpoint):
        assert parsed.text() == text
