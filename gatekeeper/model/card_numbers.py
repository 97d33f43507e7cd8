"""Numbers of bare cards as people write them, and as stock readers show them. A number is a claim, and proves nothing."""

import re
from typing import Final, assert_never

from gatekeeper.model.badges import Card, CardTechnology

__all__ = ["read_card_number", "wiegand_card", "write_card_number"]

_MIFARE: Final = re.compile(r"mifare:((?:[0-9A-Fa-f]{2}[: -]?){1,16})")
_WIEGAND: Final = re.compile(r"wiegand:(\d{1,38})/(\d{1,3})")
_LONGEST_CARD: Final = 16


def read_card_number(text: str) -> Card:
    """Read a card number: `mifare:BA839D07`, or `wiegand:4302741608/34` with its bits, as stock readers show them.

    Raises ValueError with what to write instead.
    """
    written = text.strip()
    if found := _MIFARE.fullmatch(written):
        return Card(CardTechnology.MIFARE, bytes.fromhex(re.sub("[: -]", "", found[1])))
    if found := _WIEGAND.fullmatch(written):
        number, bits = int(found[1]), int(found[2])
        if 0 < bits <= 8 * _LONGEST_CARD and number < 1 << bits:
            return wiegand_card(number, bits)
    raise ValueError(
        f'"{text}" is no card number: write mifare:BA839D07, or wiegand:4302741608/34 (number and bits)'
    )


def write_card_number(card: Card) -> str:
    """Write a card number so that it is read back."""
    match card.technology:
        case CardTechnology.MIFARE:
            return f"mifare:{card.number.hex().upper()}"
        case CardTechnology.WIEGAND:
            return f"wiegand:{int.from_bytes(card.number, 'big')}/{8 * len(card.number)}"
        case _:
            assert_never(card.technology)


def wiegand_card(number: int, bits: int) -> Card:
    """A Wiegand number as a card: all its bits, big-endian, in whole bytes."""
    return Card(CardTechnology.WIEGAND, number.to_bytes((bits + 7) // 8, "big"))
