"""Simulated hardware: what is typed is a badge, a hand, a switch; what is no line moves nothing."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from devices.core.events import Signal
from devices.hardware.by_hand import Hand, Held, LineError, Moved, Turned, read_line
from devices.hardware.ports import Fittings
from devices.hardware.settings import MARK
from gatekeeper import cose
from gatekeeper.model.card_numbers import wiegand_card
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import ByCard, ByToken
from tests.support.waiting import eventually

IN, OUT = AccessPointId("main-in"), AccessPointId("main-out")
TOKEN = b"a token"


def badge_file(folder: Path, key: cose.SigningKey | None) -> Path:
    """A badge as `gatekeeper badge issue --out` writes it."""
    pem = None if key is None else key.to_pem().decode()
    content = {
        "id": "00",
        "assurance": 2,
        "token": base64.b64encode(TOKEN).decode(),
        "key": pem,
        "card": None,
    }
    (folder / "badge.json").write_text(json.dumps(content))
    return folder / "badge.json"


async def test_a_badge_proves_its_key_and_brings_what_was_typed(tmp_path: Path):
    key = cose.SigningKey.generate()
    held = read_line(f"{IN} badge {badge_file(tmp_path, key)} 123456\n")
    assert isinstance(held, Held)
    assert (held.access_point, held.badge.credential, held.badge.pin) == (IN, ByToken(TOKEN), "123456")
    proof = await held.badge.prove(bytes(32))
    assert proof is not None
    assert len(proof) == 64


async def test_a_bearer_badge_proves_nothing(tmp_path: Path):
    held = read_line(f"{IN} badge {badge_file(tmp_path, None)}")
    assert isinstance(held, Held)
    assert (held.badge.pin, await held.badge.prove(bytes(32))) == (None, None)


def test_a_line_is_a_card_a_hand_or_a_switch():
    held = read_line(f"{IN} card wiegand:4302741608/34")
    assert isinstance(held, Held)
    assert held.badge.credential == ByCard(wiegand_card(4302741608, 34))
    assert read_line(f"  {IN}   open ") == Moved(IN, is_open=True)
    assert read_line(f"{OUT} close") == Moved(OUT, is_open=False)
    for switch in ("exit", "tamper", "fire"):
        turned = read_line(f"{IN} {switch} on")
        assert isinstance(turned, Turned)
        assert (turned.switch, turned.on) == (switch, True)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "main-in",
        "main-in release",
        "main-in open now",
        "main-in fire",
        "main-in fire maybe",
        "main-in card 118,41064",
        "main-in card",
        "main-in badge /nowhere/badge.json",
        "main-in badge / 1 2",
        "main-in badge .",
        "\0 badge \0",
    ],
)
def test_what_is_no_line_is_told(line: str):
    with pytest.raises(LineError):
        read_line(line)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"token": "!", "key": null}', b'{"token": "", "key": "PEM"}', b"[" * 9000]
)
def test_a_file_that_is_no_badge_is_told(tmp_path: Path, content: bytes):
    (tmp_path / "badge.json").write_bytes(content)
    with pytest.raises(LineError, match="is no badge"):
        read_line(f"{IN} badge {tmp_path / 'badge.json'}")


class Typing:
    """A hand at a pipe, and what it says."""

    def __init__(self) -> None:
        source, self._pipe = os.pipe()
        self.said: list[str] = []
        self.hand = Hand(source=source, say=self.said.append)

    def types(self, words: bytes) -> None:
        os.write(self._pipe, words)

    def ends(self) -> None:
        os.close(self._pipe)


@pytest.fixture
async def typing() -> AsyncIterator[Typing]:
    made = Typing()
    yield made
    made.ends()


async def test_what_is_typed_moves_the_door_that_it_names_and_what_it_does_is_said(typing: Typing):
    doors: dict[AccessPointId, Fittings] = {
        name: typing.hand.fit(name, has_contact=name == IN) for name in (IN, OUT)
    }
    inner, outer = doors[IN], doors[OUT]
    assert inner.contact is not None
    assert outer.contact is None
    assert inner.request_to_exit is not None
    presented, moves, exits = (
        inner.reader.badges(),
        inner.contact.changes(),
        inner.request_to_exit.changes(),
    )
    assert (await anext(moves), await anext(exits)) == (False, False)
    typing.types(
        b"main-in open\nmain-in exit on\nmain-in card mifare:BA839D07\nnowhere open\n\nmain-in jump\n"
    )
    async with asyncio.timeout(10):
        badge = await anext(presented)
        assert (await anext(moves), await anext(exits)) == (True, True)
        assert isinstance(badge.credential, ByCard)
        await eventually(lambda: len(typing.said) == 2)
    assert typing.said[0] == f"{MARK}: nowhere is none of main-in, main-out."
    assert typing.said[1].startswith(f"{MARK}: write ACCESS_POINT and ")
    inner.strike.release(timedelta(seconds=5))
    inner.display.show(Signal.GRANTED, reason=None, entry=7)
    inner.strike.secure()
    outer.display.show(Signal.DENIED, reason=12, entry=8)
    assert typing.said[2:] == [
        f"{MARK} main-in: strike released for 5 s",
        f"{MARK} main-in: granted (entry 7)",
        f"{MARK} main-in: strike holds",
        f"{MARK} main-out: denied (reason 12) (entry 8)",
    ]


async def test_who_types_faster_than_the_gate_sees_is_told(typing: Typing):
    typing.hand.fit(IN, has_contact=True)
    for _ in range(16):
        typing.hand.take("main-in open")
    assert typing.said == []
    typing.hand.take("main-in open")
    assert typing.said == [f"{MARK}: too much at once: wait until the gate has seen it."]
