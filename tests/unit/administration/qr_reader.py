"""Reads a QR code out of the image that was written: ISO/IEC 18004, error correction M, whose codewords are all sound.

It takes nothing from the program that draws them: modules are sampled from the pixels, unmasked, put in order and read.
"""

import re
import struct
import zlib
from itertools import pairwise

__all__ = ["Matrix", "read_png", "read_svg", "text_of"]

Matrix = list[list[bool]]

_QUIET = 4
_ECC = [
    10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26,
    26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28,
]  # fmt: skip
_BLOCKS = [
    1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16,
    17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49,
]  # fmt: skip
_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_MASKS = [
    lambda i, j: (i + j) % 2,
    lambda i, _: i % 2,
    lambda _, j: j % 3,
    lambda i, j: (i + j) % 3,
    lambda i, j: (i // 2 + j // 3) % 2,
    lambda i, j: i * j % 2 + i * j % 3,
    lambda i, j: (i * j % 2 + i * j % 3) % 2,
    lambda i, j: ((i + j) % 2 + i * j % 3) % 2,
]


def read_png(image: bytes) -> Matrix:
    """The modules of a QR code in a PNG of black and white."""
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, width, height, scale = 8, b"", 0, 0, 0
    while at < len(image):
        length, kind = struct.unpack_from(">I4s", image, at)
        chunk = image[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunk)
            assert (depth, colour, width) == (1, 0, height)
        data += chunk if kind == b"IDAT" else b""
        at += 12 + length
    raw, stride = zlib.decompress(data), (width + 7) // 8 + 1
    rows = _unfiltered([raw[start : start + stride] for start in range(0, len(raw), stride)])
    dark = [[not row[x // 8] >> 7 - x % 8 & 1 for x in range(width)] for row in rows]
    margin = next(y for y, row in enumerate(dark) if any(row))
    scale = margin // _QUIET
    size = width // scale - 2 * _QUIET
    middle = [(_QUIET + n) * scale + scale // 2 for n in range(size)]
    return [[dark[y][x] for x in middle] for y in middle]


def _unfiltered(rows: list[bytes]) -> list[bytes]:
    """Rows of a PNG, each with its filter before it: none, or what changed from the row above."""
    found: list[bytes] = []
    for row in rows:
        assert row[0] in {0, 2}
        above = found[-1] if row[0] == 2 else bytes(len(row) - 1)
        found.append(bytes((one + other) & 255 for one, other in zip(row[1:], above, strict=True)))
    return found


def read_svg(image: bytes) -> Matrix:
    """The modules of a QR code in an SVG of one path of horizontal strokes."""
    text = image.decode()
    (path,) = re.findall(r'<path[^>]* d="([^"]+)"', text)
    found = re.search(r'<svg[^>]* width="(\d+)"', text)
    scale = re.search(r"scale\((\d+)\)", text)
    assert found
    assert scale
    size = int(found[1]) // int(scale[1]) - 2 * _QUIET
    matrix = [[False] * size for _ in range(size)]
    x = y = 0.0
    for command, numbers in re.findall(r"([MmhH])([^MmhH]*)", path):
        values = [float(one) for one in re.findall(r"-?\d*\.?\d+", numbers)]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            assert command == "h"
            for n in range(int(values[0])):
                matrix[int(y - 0.5) - _QUIET][int(x) + n - _QUIET] = True
            x += values[0]
    return matrix


def text_of(matrix: Matrix) -> str:
    """What a QR code says, in its alphanumeric mode."""
    size = len(matrix)
    version = (size - 17) // 4
    assert size == 17 + 4 * version
    data = _data(_codewords(matrix, version), version)
    bits = "".join(f"{byte:08b}" for byte in data)
    assert bits[:4] == "0010", "alphanumeric"
    count = 9 if version < 10 else 11 if version < 27 else 13
    length, at, text = int(bits[4 : 4 + count], 2), 4 + count, ""
    while len(text) < length:
        pair = length - len(text) >= 2
        width = 11 if pair else 6
        number = int(bits[at : at + width], 2)
        text += _ALPHANUMERIC[number // 45] + _ALPHANUMERIC[number % 45] if pair else _ALPHANUMERIC[number]
        at += width
    return text


def _format(matrix: Matrix) -> int:
    places = [(8, 0), (8, 1), (8, 2), (8, 3), (8, 4), (8, 5), (8, 7), (8, 8), (7, 8), (5, 8)]
    bits = "".join(str(int(matrix[y][x])) for y, x in places)
    level, mask = (int(bits[:5], 2) ^ 0b10101) >> 3, (int(bits[:5], 2) ^ 0b10101) & 7
    assert level == 0, "error correction M"
    return mask


def _alignments(version: int) -> list[int]:
    if version == 1:
        return []
    count = version // 7 + 2
    step = 26 if version == 32 else (version * 4 + count * 2 + 1) // (count * 2 - 2) * 2
    return [6, *sorted(version * 4 + 10 - step * n for n in range(count - 1))]


def _function_modules(version: int) -> set[tuple[int, int]]:
    size = 17 + 4 * version
    corners = [(0, 0), (0, size - 8), (size - 8, 0)]
    taken = {(y + j, x + i) for y, x in corners for j in range(9) for i in range(9)}
    taken |= {(6, n) for n in range(size)} | {(n, 6) for n in range(size)}
    taken |= {(8, n) for n in range(size - 8, size)} | {(n, 8) for n in range(size - 8, size)}
    centres = _alignments(version)
    last = centres[-1] if centres else 0
    for y in centres:
        for x in centres:
            if (y, x) not in {(6, 6), (6, last), (last, 6)}:
                taken |= {(y + j, x + i) for j in range(-2, 3) for i in range(-2, 3)}
    if version >= 7:
        far = range(size - 11, size - 8)
        taken |= {(y, x) for y in range(6) for x in far} | {(y, x) for y in far for x in range(6)}
    return taken


def _codewords(matrix: Matrix, version: int) -> bytes:
    size, mask, taken = len(matrix), _MASKS[_format(matrix)], _function_modules(version)
    bits, upward = "", True
    right = size - 1
    while right > 0:
        right -= right == 6
        for y in range(size - 1, -1, -1) if upward else range(size):
            for x in (right, right - 1):
                if (y, x) not in taken:
                    bits += str(int(matrix[y][x] ^ (mask(y, x) == 0)))
        right, upward = right - 2, not upward
    whole = len(bits) // 8
    return bytes(int(bits[at : at + 8], 2) for at in range(0, whole * 8, 8))


def _data(codewords: bytes, version: int) -> bytes:
    blocks, ecc = _BLOCKS[version - 1], _ECC[version - 1]
    short = len(codewords) // blocks - ecc
    longer = len(codewords) % blocks
    lengths = [short] * (blocks - longer) + [short + 1] * longer
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    parts = [bytearray() for _ in lengths]
    stream = iter(codewords[: starts[-1]])
    for place in range(short + 1):
        for part, length in zip(parts, lengths, strict=True):
            if place < length:
                part.append(next(stream))
    assert all(len(part) == end - begin for part, (begin, end) in zip(parts, pairwise(starts), strict=True))
    return b"".join(parts)
