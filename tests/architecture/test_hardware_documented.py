"""The settings of hardware stand in its README, those and no other, and its example is read as it stands."""

import json
import re
from pathlib import Path

from devices.hardware.key_bound import NoBadge
from devices.hardware.osdp_format import Unread
from devices.hardware.settings import PIECES, read_hardware, refuse_twice
from devices.hardware.wiegand_format import FORMATS, NoCard, format_named
from gatekeeper.model.ids import AccessPointId

ROOT = Path(__file__).parents[2]
README = (ROOT / "devices/hardware/README.md").read_text()
SETTINGS = README.split("## Settings")[1].split("## Cards that are numbers")[0]


def test_the_readme_lists_every_setting_and_no_other():
    listed = {}
    for section in SETTINGS.split("\n### ")[1:]:
        name, _, table = section.partition("\n")
        listed[name] = set(re.findall(r"^\| ([a-z_0-9]+) \|", table, re.MULTILINE)) - (
            {"name"} if name != "pcsc" else set()
        )
    assert listed == {piece: set(names) for piece, names in PIECES.items()}


def test_the_example_of_the_readme_is_read():
    (example,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    points = {
        AccessPointId(point["id"]): read_hardware(
            point["hardware"],
            has_contact=point.get("contact", True),
            read_secret=lambda _name: b"000102030405060708090a0b0c0d0e0f",
        )
        for point in json.loads(example)["access_points"]
    }
    refuse_twice(points)
    assert len(points) == 2


def test_every_reason_why_something_read_is_no_badge_is_documented():
    cards = README.split("## Cards that are numbers")[1].split("## Wiegand and lines")[0]
    listed = re.findall(r"^\| ([a-z-]+) \|", cards, re.MULTILINE)
    assert [code for code in listed if code != "why"] == [*NoCard, *Unread, *NoBadge]


def test_every_format_of_the_readme_is_one():
    cards = README.split("## Cards that are numbers")[1].split("\n## ")[0]
    named = set(re.findall(r"`((?:raw-|uid-)?\d+)`", cards))
    assert set(FORMATS) <= named
    assert all(format_named(name) is not None for name in named)
