"""What stands in the QR code of a bearer badge: its token, as text that a QR code holds in few modules.

    GK1:<Base45 of the token>        RFC 9285; the alphabet is that of a QR code's alphanumeric mode (ISO/IEC 18004)

Eight and a quarter bits of code for a byte of token, where Base64 in byte mode would take ten and two thirds; all of it
can be typed by a desk scanner that plays keyboard, and survives capitals. Who holds the text holds the badge.
"""

from typing import Final

__all__ = ["pass_text", "read_pass_text"]

_BEGINS: Final = "GK1:"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_MOST: Final = 2048
"""Characters: a token of the greatest length has 1540."""


def pass_text(token: bytes) -> str:
    """The text of a badge's QR code."""
    return _BEGINS + _base45(token)


def read_pass_text(text: str) -> bytes:
    """Read the token out of a QR code's text. Raises ValueError for what is no badge of ours."""
    if not text.startswith(_BEGINS) or len(text) > _MOST:
        raise ValueError("this is not the text of a badge")
    return _read_base45(text.removeprefix(_BEGINS))


def _base45(content: bytes) -> str:
    written = []
    for at in range(0, len(content), 2):
        pair = content[at : at + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            number, digit = divmod(number, 45)
            written.append(_ALPHABET[digit])
    return "".join(written)


def _read_base45(text: str) -> bytes:
    read = bytearray()
    for at in range(0, len(text), 3):
        group = text[at : at + 3]
        if len(group) == 1:
            raise ValueError("the text of the badge is cut off")
        try:
            number = sum(_VALUES[character] * 45**place for place, character in enumerate(group))
            read += number.to_bytes(len(group) - 1, "big")
        except (KeyError, OverflowError):
            raise ValueError("this is not the text of a badge") from None
    return bytes(read)
