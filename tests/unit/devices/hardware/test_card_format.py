"""What a card answers is read to the letter, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.hardware.card_format import (
    Capabilities,
    answered,
    authenticate,
    ndef_of,
    read_capabilities,
    read_length,
    read_pkoc_proof,
    read_versions,
    select_application,
    token_in,
)

TOKENS = st.binary(min_size=1, max_size=1024)
CONTAINER = bytes.fromhex("000F20003B00340406E10404000000")
PROOF = b"\x5a\x41\x04" + bytes(64) + b"\x9e\x40" + bytes(64)


def test_the_commands_are_those_of_the_specifications():
    assert select_application(bytes.fromhex("A000000898000001")).hex() == "00a4040008a00000089800000100"
    assert select_application(bytes.fromhex("D2760000850101")).hex() == "00a4040007d276000085010100"
    command = authenticate(bytes(32), version=b"\x01\x01", reader=b"\1" * 32)
    assert command.hex() == "8080000148" + "5c020101" + "4c20" + "00" * 32 + "4d20" + "01" * 32 + "00"


@pytest.mark.parametrize(("digest", "reader"), [(bytes(31), bytes(32)), (bytes(32), bytes(16))])
def test_nothing_else_is_asked_to_be_signed(digest: bytes, reader: bytes):
    with pytest.raises(ValueError, match="32 bytes"):
        authenticate(digest, version=b"\x01\x01", reader=reader)


@given(TOKENS)
def test_a_token_comes_out_of_its_record_as_it_went_in(token: bytes):
    assert token_in(ndef_of(token)) == token


@given(TOKENS, st.data())
def test_a_record_that_is_shortened_or_lengthened_carries_nothing(token: bytes, data: st.DataObject):
    message = ndef_of(token)
    assert token_in(message[: data.draw(st.integers(0, len(message) - 1))]) is None
    assert token_in(message + b"\0") is None


@given(TOKENS, st.data())
def test_a_record_with_another_head_carries_nothing(token: bytes, data: st.DataObject):
    message = bytearray(ndef_of(token))
    place = data.draw(st.integers(0, len(message) - len(token) - 1))
    message[place] ^= data.draw(st.integers(1, 255))
    assert token_in(bytes(message)) is None


@given(st.binary(max_size=64))
def test_a_strangers_bytes_are_read_without_fear(content: bytes):
    assert token_in(content) is None
    answered(content)
    read_capabilities(content)
    read_versions(content)
    read_pkoc_proof(content)


@pytest.mark.parametrize(
    "response", [b"", b"\x90", b"\x6a\x82", b"\x00\x90", b"\x90\x00\x00", bytes(257) + b"\x90\x00"]
)
def test_only_9000_says_yes(response: bytes):
    assert answered(response) is None


def test_the_container_of_the_specification_is_read():
    assert read_capabilities(CONTAINER) == Capabilities(file=0xE104, size=0x0400, most_read=0x3B)


@pytest.mark.parametrize(
    "changed",
    [
        CONTAINER[:-1],
        CONTAINER + b"\0",
        CONTAINER[:2] + b"\x30" + CONTAINER[3:],
        CONTAINER[:3] + b"\x00\x0e" + CONTAINER[5:],
        CONTAINER[:7] + b"\x05" + CONTAINER[8:],
        CONTAINER[:9] + b"\xe1\x03" + CONTAINER[11:],
        CONTAINER[:13] + b"\xff" + CONTAINER[14:],
    ],
)
def test_a_container_that_differs_is_none(changed: bytes):
    assert read_capabilities(changed) is None


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0", b"\x04\x00", b"\xff\xff", b"\0\0\x01"])
def test_a_message_longer_than_its_file_or_than_any_badge_is_none(content: bytes):
    assert read_length(content, capabilities=Capabilities(file=0xE104, size=0x0400, most_read=0x3B)) is None
    if len(content) == 2:
        assert read_length(content, capabilities=Capabilities(file=0xE104, size=2, most_read=0x3B)) is None


@pytest.mark.parametrize(
    ("content", "version"),
    [
        ("5c020101", "0101"),
        ("5c020100", "0100"),
        ("5c0201005c020101", "0101"),
        ("0000 7f0101 5c020100", "0100"),
        ("5c020200", None),
        ("5c0201", None),
        ("5c0201015c", None),
        ("", None),
    ],
)
def test_the_newest_version_that_both_speak_is_taken(content: str, version: str | None):
    assert read_versions(bytes.fromhex(content)) == (bytes.fromhex(version) if version else None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        PROOF[:67],
        PROOF[:-1],
        PROOF + b"\x5a",
        PROOF + PROOF[:67],
        b"\x5a\x41\x02" + PROOF[3:],
        PROOF.replace(b"\x9e\x40", b"\x9e\x3f")[:-1],
        PROOF + b"\x01\x81\x01\x00",
    ],
)
def test_a_proof_that_is_not_one_key_and_one_signature_is_none(content: bytes):
    assert read_pkoc_proof(content) is None


def test_unknown_tags_are_skipped():
    assert read_pkoc_proof(b"\x01\x01\xff" + PROOF + b"\x02\x00") == (bytes(64), bytes(64))
