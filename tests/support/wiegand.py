"""What a Wiegand reader sends, built the other way round than the product reads it: from strings of bits."""

__all__ = ["frame_bits", "key_bits", "spelled"]

_HALVES = {24: 11, 26: 12, 32: 15, 34: 16, 37: 18}


def frame_bits(length: int, number: int) -> str:
    """The pulses of a card with parity, first to last."""
    data = f"{number:0{length - 2}b}"
    half = _HALVES[length]
    even = data[:half].count("1") % 2
    odd = 1 - data[-half:].count("1") % 2
    return f"{even}{data}{odd}"


def key_bits(key: str, *, length: int) -> str:
    """The pulses of a key."""
    low = f"{'0123456789*#'.index(key):04b}"
    return low if length == 4 else low.translate(str.maketrans("01", "10")) + low


def spelled(length: int, number: int) -> bytes:
    """How schemas/README.md spells the number of a card."""
    bits = f"{number:0{length - 2}b}"
    if length == 34:
        bits = frame_bits(length, number)[0] + bits
    return int(bits, 2).to_bytes(-(-length // 8), "big")
