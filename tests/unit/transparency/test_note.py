import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import (
    Cosigner,
    Note,
    NoteSignature,
    OpenedNote,
    Refusal,
    Refused,
    SignatureType,
    Signer,
    VerifiedSignature,
    Verifier,
    format_note,
    open_note,
    parse_note,
    parse_verifier,
    sign_note,
)

# The example of golang.org/x/mod/sumdb/note, from which C2SP signed-note descends.
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCH_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
ENOCH_LINE = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

PETER = Signer(name="PeterNeumann", private_key=Ed25519PrivateKey.from_private_bytes(PETER_SEED))
NOTE = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()
WITNESS = Cosigner(
    name="witness.example/w1", private_key=Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
)

MANY_LINES = "".join(f"— n{n} AAAAAAA=\n" for n in range(101))

# Ed25519's curve: -x^2 + y^2 = 1 + D x^2 y^2 over the field of P elements.
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def verifier(key: str) -> Verifier:
    parsed = parse_verifier(key)
    assert isinstance(parsed, Verifier)
    return parsed


def test_the_published_example_is_signed_byte_for_byte():
    assert PETER.verifier.key() == PETER_KEY
    assert sign_note(TEXT, [PETER]) == f"{TEXT}\n{PETER_LINE}".encode()


def test_the_published_example_is_believed_for_each_key_that_is_known():
    peter, enoch = verifier(PETER_KEY), verifier(ENOCH_KEY)
    by_peter, by_enoch = (VerifiedSignature(verifier=key, time=None) for key in (peter, enoch))
    assert open_note(NOTE, [peter]) == OpenedNote(text=TEXT, signatures=(by_peter,))
    assert open_note(NOTE, [enoch]) == OpenedNote(text=TEXT, signatures=(by_enoch,))
    assert open_note(NOTE, [enoch, peter, enoch]) == OpenedNote(text=TEXT, signatures=(by_peter, by_enoch))


def test_a_note_that_only_strangers_signed_is_refused():
    assert open_note(NOTE, []) == Refused(code=Refusal.NOTE_UNKNOWN_KEYS)
    assert open_note(NOTE, [verifier(GO_SUM_KEY)]) == Refused(code=Refusal.NOTE_UNKNOWN_KEYS)


def test_a_key_that_shares_only_the_name_or_only_the_id_is_a_stranger():
    peter = verifier(PETER_KEY)
    namesake = Verifier(name=peter.name, type=peter.type, public_key=verifier(ENOCH_KEY).public_key)
    assert open_note(NOTE, [namesake]) == Refused(code=Refusal.NOTE_UNKNOWN_KEYS)
    renamed = NOTE.replace(b"PeterNeumann", b"CarmenSandiego")
    assert open_note(renamed, [peter]) == Refused(code=Refusal.NOTE_UNKNOWN_KEYS)


def test_one_bad_signature_of_a_known_key_refuses_the_whole_note():
    changed = NOTE.replace(b"answer", b"ansver")
    assert open_note(changed, [verifier(PETER_KEY)]) == Refused(
        code=Refusal.NOTE_SIGNATURE, detail="PeterNeumann"
    )
    half_bad = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE.replace('rwz+eBz', 'rwz+eBx')}".encode()
    known = [verifier(PETER_KEY), verifier(ENOCH_KEY)]
    assert open_note(half_bad, known) == Refused(code=Refusal.NOTE_SIGNATURE, detail="EnochRoot")
    assert isinstance(open_note(half_bad, known[:1]), OpenedNote)


@pytest.mark.parametrize("length", [1, 63, 65, 72])
def test_a_signature_of_another_length_is_a_bad_one(length: int):
    signature = NoteSignature(
        name=PETER.name, key_id=PETER.verifier.key_id, signature=(PETER.sign(TEXT).signature * 2)[:length]
    )
    note = format_note(Note(text=TEXT, signatures=(signature,)))
    assert open_note(note, [PETER.verifier]) == Refused(code=Refusal.NOTE_SIGNATURE, detail=PETER.name)


def test_two_keys_that_no_signature_could_tell_apart_are_a_mistake():
    one, other = (
        Verifier(name="x", type=SignatureType.ED25519, public_key=number.to_bytes(32, "little"))
        for number in (66342, 99552)  # found by trying: key ids are short
    )
    assert one.key_id == other.key_id
    with pytest.raises(ValueError, match="share"):
        open_note(NOTE, [one, other])
    assert open_note(NOTE, [one, one]) == Refused(code=Refusal.NOTE_UNKNOWN_KEYS)


def test_a_key_that_is_no_point_on_the_curve_believes_nothing():
    off_curve = Verifier(name="x", type=SignatureType.ED25519, public_key=(2).to_bytes(32, "little"))
    assert off_curve.verify(TEXT, bytes(64)) == Refused(code=Refusal.NOTE_SIGNATURE, detail="x")


def replaced(old: str, new: str) -> bytes:
    note = NOTE.decode()
    assert old in note
    return note.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("note", "code"),
    [
        (b"", Refusal.NOTE_STRUCTURE),
        (b"\n", Refusal.NOTE_STRUCTURE),
        (b"\n\n", Refusal.NOTE_STRUCTURE),
        (TEXT.encode(), Refusal.NOTE_STRUCTURE),
        (f"{TEXT}\n".encode(), Refusal.NOTE_STRUCTURE),
        (NOTE[:-1], Refusal.NOTE_STRUCTURE),
        (NOTE + b"\n", Refusal.NOTE_STRUCTURE),
        (f"{TEXT}{PETER_LINE}".encode(), Refusal.NOTE_STRUCTURE),
        (NOTE + b"Unexpected line.\n", Refusal.NOTE_SIGNATURE_LINE),
        (replaced("— Peter", "- Peter"), Refusal.NOTE_SIGNATURE_LINE),
        (replaced("— Peter", "\N{EN DASH} Peter"), Refusal.NOTE_SIGNATURE_LINE),
        (replaced("— Peter", "Peter"), Refusal.NOTE_SIGNATURE_LINE),
        (replaced("— Peter", "—Peter"), Refusal.NOTE_SIGNATURE_LINE),
        (replaced("— Peter", " — Peter"), Refusal.NOTE_SIGNATURE_LINE),
        (replaced("Neumann x08go", "Neumann"), Refusal.NOTE_SIGNATURE_LINE),
        (replaced("— Peter", "—  Peter"), Refusal.NOTE_KEY_NAME),
        (replaced("PeterNeumann", "Peter Neumann"), Refusal.NOTE_BASE64),
        (replaced("PeterNeumann", "Peter+Neumann"), Refusal.NOTE_KEY_NAME),
        (replaced("PeterNeumann", "Peter\N{NO-BREAK SPACE}Neumann"), Refusal.NOTE_KEY_NAME),
        (replaced("PeterNeumann", "Peter\N{LINE SEPARATOR}Neumann"), Refusal.NOTE_KEY_NAME),
        (replaced("PeterNeumann", "Peter\x85Neumann"), Refusal.NOTE_KEY_NAME),
        (replaced("wJnAM=\n", "wJnAM\n"), Refusal.NOTE_BASE64),
        (replaced("wJnAM=\n", "wJnAM==\n"), Refusal.NOTE_BASE64),
        (replaced("wJnAM=\n", "wJnAN=\n"), Refusal.NOTE_BASE64),
        (replaced("wJnAM=\n", "wJnAM= \n"), Refusal.NOTE_BASE64),
        (replaced("x08go/ZJ", "x08go_ZJ"), Refusal.NOTE_BASE64),
        (replaced("x08go/ZJ", "x08go/é"), Refusal.NOTE_BASE64),
        (f"{TEXT}\n— PeterNeumann x08gow==\n".encode(), Refusal.NOTE_BASE64),
        (f"{TEXT}\n— PeterNeumann x08g\n".encode(), Refusal.NOTE_BASE64),
        (NOTE.replace(b"\n", b"\r\n"), Refusal.NOTE_CONTROL_CHARACTER),
        (NOTE.replace(b"\n", b"\r\n", 1), Refusal.NOTE_CONTROL_CHARACTER),
        (b"\x00" + NOTE, Refusal.NOTE_CONTROL_CHARACTER),
        (b"\t" + NOTE, Refusal.NOTE_CONTROL_CHARACTER),
        (b"\x1f" + NOTE, Refusal.NOTE_CONTROL_CHARACTER),
        (replaced("PeterNeumann", "Peter\x1cNeumann"), Refusal.NOTE_CONTROL_CHARACTER),
        (b"\xff" + NOTE, Refusal.NOTE_UTF8),
        (b"\xed\xa0\x80" + NOTE, Refusal.NOTE_UTF8),
        (NOTE + PETER_LINE.encode(), Refusal.NOTE_DUPLICATE_SIGNATURE),
        (NOTE + f"{ENOCH_LINE[:60]}ABCD{ENOCH_LINE[60:]}".encode(), Refusal.NOTE_DUPLICATE_SIGNATURE),
        (b"x" * 1_000_001, Refusal.NOTE_OVERSIZED),
        (f"{TEXT}\n{MANY_LINES}".encode(), Refusal.NOTE_TOO_MANY_SIGNATURES),
    ],
)
def test_a_note_in_any_but_the_canonical_form_is_refused(note: bytes, code: Refusal):
    parsed = parse_note(note)
    assert isinstance(parsed, Refused)
    assert parsed.code is code
    assert open_note(note, [verifier(PETER_KEY)]) == parsed


def test_a_hundred_signatures_and_a_million_bytes_are_read():
    lines = "".join(f"— n{n} AAAAAAA=\n" for n in range(100))
    text = "x" * (1_000_000 - len(lines.encode()) - 2) + "\n"
    note = f"{text}\n{lines}".encode()
    assert len(note) == 1_000_000
    parsed = parse_note(note)
    assert isinstance(parsed, Note)
    assert len(parsed.signatures) == 100


def test_the_text_ends_at_the_last_blank_line():
    text = "one\n\n— not a signature\n\nfour\n"
    opened = open_note(sign_note(text, [PETER]), [PETER.verifier])
    assert isinstance(opened, OpenedNote)
    assert opened.text == text


@pytest.mark.parametrize("text", ["", "no newline", "carriage\r\nreturn\n", "\ud800\n"])
def test_a_text_that_could_not_be_read_back_is_not_signed(text: str):
    with pytest.raises(ValueError, match=r"not a note|surrogates"):
        sign_note(text, [PETER])


def test_a_note_without_signers_or_with_one_twice_is_not_written():
    for signers in ([], [PETER, PETER]):
        with pytest.raises(ValueError, match="not a note"):
            sign_note(TEXT, signers)


@pytest.mark.parametrize("key", [PETER_KEY, ENOCH_KEY, GO_SUM_KEY, WITNESS.verifier.key()])
def test_a_verifier_key_is_read_and_written_alike(key: str):
    assert verifier(key).key() == key


def key_of(name: str, typed: bytes) -> str:
    key_id = sha256(name.encode() + b"\n" + typed).hexdigest()[:8]
    return f"{name}+{key_id}+{base64.b64encode(typed).decode()}"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", Refusal.KEY_FORM),
        ("PeterNeumann", Refusal.KEY_FORM),
        ("PeterNeumann+c74f20a3", Refusal.KEY_TYPE),
        ("PeterNeumann+c74f20a3+", Refusal.KEY_TYPE),
        (PETER_KEY.replace("c74f20a3", "C74F20A3"), Refusal.KEY_FORM),
        (PETER_KEY.replace("c74f20a3", "c74f20a"), Refusal.KEY_FORM),
        (PETER_KEY.replace("Neumann", " Neumann"), Refusal.KEY_FORM),
        (PETER_KEY + "=", Refusal.KEY_FORM),
        (PETER_KEY + "\n", Refusal.KEY_FORM),
        (PETER_KEY.replace("c74f20a3", "c74f20a4"), Refusal.KEY_ID),
        (PETER_KEY.replace("Neumann", "Newman"), Refusal.KEY_ID),
        (key_of("x", b"\x02" + bytes(32)), Refusal.KEY_TYPE),
        (key_of("x", b"\x01" + b"k" * 31), Refusal.KEY_WEAK),
        (key_of("x", b"\x01" + b"k" * 33), Refusal.KEY_WEAK),
        (key_of("x", b"\x04" + bytes(32)), Refusal.KEY_WEAK),
    ],
)
def test_a_verifier_key_in_any_other_form_is_refused(key: str, code: Refusal):
    assert parse_verifier(key) == Refused(code=code)


def test_the_keys_that_anyone_can_sign_for_are_the_eight_points_of_small_order():
    identity = (0, 1)
    torsion = _point(2707385501144840649318225287225658788936804267575313519463743609750303402022)
    multiples = [identity]
    while (following := _added(multiples[-1], torsion)) != identity:
        multiples.append(following)
    assert len(multiples) == 8
    for x, y in multiples:
        encoded = (y | (x & 1) << 255).to_bytes(32, "little")
        assert parse_verifier(key_of("x", b"\x01" + encoded)) == Refused(code=Refusal.KEY_WEAK)
        with pytest.raises(ValueError, match="anyone could sign"):
            Verifier(name="x", type=SignatureType.ED25519, public_key=encoded)


@pytest.mark.parametrize("y", [P, P + 1, P + 18])
@pytest.mark.parametrize("sign", [0, 1])
def test_a_key_that_is_not_canonical_is_refused(y: int, sign: int):
    encoded = (y | sign << 255).to_bytes(32, "little")
    assert parse_verifier(key_of("x", b"\x01" + encoded)) == Refused(code=Refusal.KEY_WEAK)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "a\x00b"])
def test_a_key_name_that_no_note_can_carry_cannot_be_given(name: str):
    with pytest.raises(ValueError, match="key name"):
        Verifier(name=name, type=SignatureType.ED25519, public_key=verifier(PETER_KEY).public_key)


def test_a_cosignature_is_a_time_and_a_signature_over_it_and_the_text():
    cosignature = WITNESS.cosign(TEXT, time=1679315147)
    stamp, signature = cosignature.signature[:8], cosignature.signature[8:]
    assert int.from_bytes(stamp, "big") == 1679315147
    message = b"cosignature/v1\ntime 1679315147\n" + TEXT.encode()
    WITNESS.private_key.public_key().verify(signature, message)
    public_key = WITNESS.private_key.public_key().public_bytes_raw()
    assert cosignature.key_id == sha256(b"witness.example/w1\n\x04" + public_key).digest()[:4]


def test_the_cosignature_that_the_specification_shows_is_of_the_time_it_shows():
    line = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    parsed = parse_note(f"text\n\n{line}".encode())
    assert isinstance(parsed, Note)
    (signature,) = parsed.signatures
    assert (signature.name, signature.line(), len(signature.signature)) == (
        "witness.example.com/w1",
        line,
        72,
    )
    assert int.from_bytes(signature.signature[:8], "big") == 1679315147


def test_a_cosigned_note_tells_who_saw_it_when():
    note = format_note(Note(text=TEXT, signatures=(PETER.sign(TEXT), WITNESS.cosign(TEXT, time=5))))
    assert open_note(note, [WITNESS.verifier, PETER.verifier]) == OpenedNote(
        text=TEXT,
        signatures=(
            VerifiedSignature(verifier=PETER.verifier, time=None),
            VerifiedSignature(verifier=WITNESS.verifier, time=5),
        ),
    )


@pytest.mark.parametrize("length", [1, 7, 8, 64, 71, 73])
def test_a_cosignature_of_another_length_is_a_bad_one(length: int):
    whole = WITNESS.cosign(TEXT, time=0)
    signature = NoteSignature(name=whole.name, key_id=whole.key_id, signature=(whole.signature * 2)[:length])
    note = format_note(Note(text=TEXT, signatures=(signature,)))
    assert open_note(note, [WITNESS.verifier]) == Refused(code=Refusal.NOTE_SIGNATURE, detail=WITNESS.name)


def test_a_cosignature_with_another_time_is_a_bad_one():
    whole = WITNESS.cosign(TEXT, time=5)
    later = NoteSignature(
        name=whole.name, key_id=whole.key_id, signature=(6).to_bytes(8, "big") + whole.signature[8:]
    )
    note = format_note(Note(text=TEXT, signatures=(later,)))
    assert open_note(note, [WITNESS.verifier]) == Refused(code=Refusal.NOTE_SIGNATURE, detail=WITNESS.name)


def test_a_cosignature_beyond_the_last_time_is_neither_made_nor_believed():
    beyond = 2**63
    for time in (-1, beyond):
        with pytest.raises(ValueError, match="time"):
            WITNESS.cosign(TEXT, time=time)
    signed = WITNESS.private_key.sign(f"cosignature/v1\ntime {beyond}\n{TEXT}".encode())
    signature = NoteSignature(
        name=WITNESS.name, key_id=WITNESS.verifier.key_id, signature=beyond.to_bytes(8, "big") + signed
    )
    note = format_note(Note(text=TEXT, signatures=(signature,)))
    assert open_note(note, [WITNESS.verifier]) == Refused(code=Refusal.NOTE_SIGNATURE, detail=WITNESS.name)


def test_the_same_key_does_not_pass_for_another_type():
    as_signer = Signer(name=WITNESS.name, private_key=WITNESS.private_key)
    assert as_signer.verifier.key_id != WITNESS.verifier.key_id
    note = sign_note(TEXT, [as_signer])
    assert open_note(note, [WITNESS.verifier]) == Refused(code=Refusal.NOTE_UNKNOWN_KEYS)


NAMES = st.text(st.characters(codec="utf-8", min_codepoint=0x21), min_size=1, max_size=20).filter(
    lambda name: "+" not in name and not any(map(str.isspace, name))
)
TEXTS = st.text(st.characters(codec="utf-8", min_codepoint=0x20) | st.just("\n")).map(
    lambda text: text + "\n"
)


@given(
    text=TEXTS,
    names=st.lists(NAMES, min_size=1, max_size=5, unique=True),
    seed=st.binary(min_size=32, max_size=32),
)
def test_what_is_signed_is_what_is_opened(text: str, names: list[str], seed: bytes):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    signers = [Signer(name=name, private_key=key) for name in names]
    opened = open_note(sign_note(text, signers), [signer.verifier for signer in signers])
    assert isinstance(opened, OpenedNote)
    assert opened.text == text
    assert [signature.verifier.name for signature in opened.signatures] == names


@given(note=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_is_read_is_written_alike(note: bytes):
    parsed = parse_note(note)
    if isinstance(parsed, Note):
        assert format_note(parsed) == note


@given(at=st.integers(0, len(NOTE) - 1), bit=st.integers(0, 7))
def test_no_changed_bit_leaves_a_different_text_believed(at: int, bit: int):
    changed = bytearray(NOTE)
    changed[at] ^= 1 << bit
    opened = open_note(bytes(changed), [verifier(PETER_KEY)])
    assert isinstance(opened, Refused) or opened.text == TEXT


def _point(y: int) -> tuple[int, int]:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    assert root * root % P == square
    return root, y


def _added(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y
