"""A card proves its badge's key, or nothing."""

import hashlib
import secrets
from collections.abc import Callable

import pytest

from devices.core.credential import asks_for_proof
from devices.hardware.card_format import OK, PKOC_APPLICATION, ndef_of
from devices.hardware.key_bound import CardBadge, NoBadge, Transport, read_card_badge, reader_name
from devices.hardware.software_card import SoftwareCard
from gatekeeper import cose
from gatekeeper.model.messages import ByToken
from tests.support.cards import SilentCard, Through
from tests.unit.devices.ground import GATE, SITE, Service

SERVICE = Service({GATE: cose.SigningKey.generate()})
KEY = cose.SigningKey.generate()
TOKEN = SERVICE.token(badge_key=KEY)
BEARER = SERVICE.token(badge_key=None)
NAME = reader_name(SITE, GATE)
DIGEST = hashlib.sha256(b"what the badge must sign").digest()
AUTHENTICATE = b"\x80\x80"


async def badge_on(card: Transport) -> CardBadge:
    badge = await read_card_badge(card, reader=NAME)
    assert isinstance(badge, CardBadge)
    return badge


@pytest.mark.parametrize("most_read", [15, 59, 0xFB, 0x400])
async def test_a_card_gives_its_token_and_proves_its_key(most_read: int):
    badge = await badge_on(SoftwareCard(TOKEN, KEY, most_read=most_read))
    assert badge.credential == ByToken(TOKEN)
    assert asks_for_proof(badge.credential)
    signature = await badge.prove(DIGEST)
    assert signature is not None
    assert cose.verify_signature(KEY.record(use="badge", owner="x"), DIGEST, signature)
    assert badge.pin is None


async def test_every_proof_is_made_anew():
    badge = await badge_on(SoftwareCard(TOKEN, KEY))
    other = hashlib.sha256(b"another scan").digest()
    signature = await badge.prove(other)
    assert signature is not None
    assert signature != await badge.prove(DIGEST)


async def test_a_bearer_token_on_a_card_has_nothing_to_prove():
    badge = await badge_on(SoftwareCard(BEARER, KEY))
    assert not asks_for_proof(badge.credential)
    assert await badge.prove(DIGEST) is None


async def test_another_key_than_the_tokens_proves_nothing():
    assert await (await badge_on(SoftwareCard(TOKEN, cose.SigningKey.generate()))).prove(DIGEST) is None


async def test_a_token_of_an_ed25519_badge_is_proved_by_no_pkoc_card():
    key = cose.SigningKey.generate(cose.Algorithm.ED25519)
    badge = await badge_on(SoftwareCard(SERVICE.token(badge_key=key), KEY))
    assert await badge.prove(DIGEST) is None


async def test_a_card_that_signs_sixteen_bytes_only_proves_nothing():
    assert await (await badge_on(SoftwareCard(TOKEN, KEY, signs_up_to=16))).prove(DIGEST) is None


def spoiled(command: bytes, answer: bytes) -> bytes:
    return answer[:-3] + bytes([answer[-3] ^ 1]) + OK if command[:2] == AUTHENTICATE else answer


def cut(command: bytes, answer: bytes) -> bytes:
    return answer[:-10] + OK if command[:2] == AUTHENTICATE else answer


def naming_another_key(command: bytes, answer: bytes) -> bytes:
    return answer[:3] + bytes(64) + answer[67:] if command[:2] == AUTHENTICATE else answer


def refusing(command: bytes, answer: bytes) -> bytes:
    return b"\x69\x85" if command[:2] == AUTHENTICATE else answer


def gone(command: bytes, answer: bytes) -> bytes | None:
    return None if command[:2] == AUTHENTICATE else answer


def without_pkoc(command: bytes, answer: bytes) -> bytes:
    return b"\x6a\x82" if PKOC_APPLICATION in command else answer


def of_another_version(command: bytes, answer: bytes) -> bytes:
    return b"\x5c\x02\x02\x00" + OK if PKOC_APPLICATION in command else answer


@pytest.mark.parametrize(
    "hand", [spoiled, cut, naming_another_key, refusing, gone, without_pkoc, of_another_version]
)
async def test_a_card_that_answers_wrongly_proves_nothing(hand: Callable[[bytes, bytes], bytes | None]):
    badge = await badge_on(Through(SoftwareCard(TOKEN, KEY), hand))
    assert await badge.prove(DIGEST) is None


async def test_a_former_proof_proves_nothing_now():
    kept: list[bytes] = []

    def repeating(command: bytes, answer: bytes) -> bytes:
        if command[:2] != AUTHENTICATE:
            return answer
        kept.append(answer)
        return kept[0]

    badge = await badge_on(Through(SoftwareCard(TOKEN, KEY), repeating))
    assert await badge.prove(DIGEST) is not None
    assert await badge.prove(hashlib.sha256(b"the next scan").digest()) is None


async def test_a_slow_card_proves_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("devices.hardware.key_bound._PROVING", 0.01)
    monkeypatch.setattr("devices.hardware.key_bound._READING", 0.01)
    assert await CardBadge(TOKEN, SilentCard(), NAME).prove(DIGEST) is None
    assert await read_card_badge(SilentCard(), reader=NAME) is NoBadge.SLOW


async def test_a_card_that_goes_while_it_is_read_is_no_badge():
    card = SoftwareCard(TOKEN, KEY)
    badge = await badge_on(card)
    card.is_there = False
    assert await badge.prove(DIGEST) is None
    assert await read_card_badge(card, reader=NAME) is NoBadge.GONE


async def test_a_stock_pkoc_card_without_our_token_is_no_badge():
    assert await read_card_badge(SoftwareCard(None, KEY), reader=NAME) is NoBadge.FOREIGN


async def test_a_card_with_another_record_is_no_badge():
    def other(command: bytes, answer: bytes) -> bytes:
        return answer.replace(b"pacs-cred", b"pacs-lunch") if command[:2] == b"\x00\xb0" else answer

    assert await read_card_badge(Through(SoftwareCard(TOKEN, KEY), other), reader=NAME) in {
        NoBadge.FOREIGN,
        NoBadge.MALFORMED,
    }


@pytest.mark.parametrize("answer", [b"", OK, b"\x6a\x82", bytes(14) + OK, secrets.token_bytes(15) + OK])
async def test_a_file_that_is_none_is_no_badge(answer: bytes):
    def hand(command: bytes, said: bytes) -> bytes:
        return answer if command[:2] == b"\x00\xb0" else said

    assert await read_card_badge(Through(SoftwareCard(TOKEN, KEY), hand), reader=NAME) is NoBadge.MALFORMED


async def test_a_token_is_in_no_repr():
    badge = await badge_on(SoftwareCard(TOKEN, KEY))
    assert repr(TOKEN)[2:40] not in repr(badge)
    assert len(ndef_of(TOKEN)) > len(TOKEN)


def test_a_reader_is_named_by_its_site_and_gate():
    assert len(NAME) == 32
    assert NAME[:16] == reader_name(SITE, "other")[:16]
    assert reader_name(SITE, "other") != NAME
