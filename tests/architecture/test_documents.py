"""Settings and metrics that nobody documented fail here."""

import re
from dataclasses import fields
from pathlib import Path

from gatekeeper.config import Settings
from gatekeeper.observe.metrics import REGISTRY

ROOT = Path(__file__).parents[2]


def test_the_readme_lists_every_setting_and_no_other():
    table = (ROOT / "README.md").read_text().split("## Settings")[1].split("## Develop")[0]
    listed = set(re.findall(r"^\| ([a-z_]+) \|", table, re.MULTILINE)) - {"name"}
    assert listed == {item.name for item in fields(Settings)}


def test_the_architecture_lists_every_metric_and_no_other():
    table = (ROOT / "ARCHITECTURE.md").read_text().split("## Metrics")[1].split("## Dependencies")[0]
    listed = set(re.findall(r"^\| (gatekeeper_[a-z_]+)", table, re.MULTILINE))
    known = {family.name + ("_total" if family.type == "counter" else "") for family in REGISTRY.collect()}
    assert listed == known
