"""schemas/pass-text.md: its rules, examples and counterexamples are the code's, and a stranger's ten lines read the same."""

import json
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gatekeeper.cli.people.passes import qr_code
from gatekeeper.model.badges import MAX_TOKEN_BYTES
from gatekeeper.service.administration import pass_text as code
from gatekeeper.service.administration.directory import claimed_badge
from gatekeeper.service.administration.pass_text import pass_text, read_pass_text
from tests.unit.administration.qr_reader import read_svg, text_of

SCHEMAS = Path(__file__).parents[2] / "schemas"
PAGE = (SCHEMAS / "pass-text.md").read_text("utf-8")
PUPIL = json.loads((SCHEMAS / "vectors/documents.json").read_text())["people"]["pupil"]
EXAMPLES = re.findall(r"^\| `([0-9a-f]+)` \| `(GK1:[^`]+)` \|$", PAGE, re.MULTILINE)


def by_a_stranger(text: str) -> bytes:
    """The page, read by somebody who knows nothing else."""
    values = {symbol: value for value, symbol in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")}
    assert text.startswith("GK1:")
    read = b""
    for place in range(4, len(text), 3):
        group = text[place : place + 3]
        number = sum(values[symbol] * 45**power for power, symbol in enumerate(group))
        read += number.to_bytes(len(group) - 1, "big")
    return read


def example() -> str:
    """The text of the last block: every line is a hundred characters, what a line begins or ends with included."""
    (block,) = re.findall(r"```\n(.*)\n```\n", PAGE, re.DOTALL)
    lines = block.split("\n")
    assert {len(line) for line in lines[:-1]} == {100}
    return "".join(lines)


def test_the_rules_of_the_page_are_those_of_the_code():
    rules = dict(re.findall(r"^\| ([a-z][^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE))
    assert rules == {
        "rule": "value",
        "begins with": f"`{code._BEGINS}`",
        "bytes of a token, at most": str(MAX_TOKEN_BYTES),
        "characters of a text, at most": str(code._MOST),
        "characters of the longest token's text": str(len(pass_text(bytes(MAX_TOKEN_BYTES)))),
        "a QR code's error correction": "M",
        "bytes": "pass text",
    }


def test_a_code_is_drawn_as_the_page_says():
    token = bytes.fromhex(PUPIL["token"]["message"])
    badge = claimed_badge(token)
    assert badge is not None
    image = qr_code(badge, token, Path("pass.svg"), zone=ZoneInfo("UTC"))
    assert text_of(read_svg(image)) == example(), "read with error correction M"


@pytest.mark.parametrize(("octets", "text"), EXAMPLES)
def test_every_example_is_one(octets: str, text: str):
    assert pass_text(bytes.fromhex(octets)) == text
    assert read_pass_text(text) == by_a_stranger(text) == bytes.fromhex(octets)


def test_there_are_examples():
    assert len(EXAMPLES) == 4


def test_what_the_page_calls_none_is_none():
    (line,) = re.findall(r"^These are none: (.+)\.$", PAGE, re.MULTILINE)
    texts = re.findall(r"`([^`]+)`", line)
    assert len(texts) == 6
    for text in texts:
        with pytest.raises(ValueError, match="text of"):
            read_pass_text(text)


def test_the_long_example_is_the_token_of_the_vectors_and_reads_as_one():
    token = bytes.fromhex(PUPIL["token"]["message"])
    assert example() == pass_text(token)
    assert by_a_stranger(example()) == token
