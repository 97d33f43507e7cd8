"""Settings and metrics that nobody documented fail here, and so do promises without a test and commands that are none."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import typer

from gatekeeper.cli import app
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


def test_every_promise_names_a_test_that_is_there():
    promises = (ROOT / "README.md").read_text().split("## Promises")[1].split("## Settings")[0]
    numbered = re.split(r"^\d+\. ", promises, flags=re.MULTILINE)[1:]
    assert len(numbered) == 8
    for promise in numbered:
        links = re.findall(r"\]\((tests/[a-z_/]+\.py)\)", promise)
        assert links, promise
        for link in links:
            assert "def test_" in (ROOT / link).read_text() or "TestCase" in (ROOT / link).read_text(), link


def test_every_command_of_the_readme_is_one():
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    lines = [
        shlex.split(line, comments=True)[1:] for line in blocks.splitlines() if line.startswith("gatekeeper ")
    ]
    assert len(lines) > 8
    for words in lines:
        assert _is_command(typer.main.get_command(app), words), words


def test_no_text_tells_to_install_the_package_of_that_name_from_the_public_index():
    """That package is somebody else's."""
    texts = [
        path
        for place in ("gatekeeper", "devices", "schemas", "deploy")
        for path in (ROOT / place).rglob("*")
        if path.suffix in {".py", ".md", ".txt", ".toml", ".service"}
    ]
    assert len(texts) > 300
    for path in (*texts, *ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"):
        assert not re.search(r"install\s+(-\S+\s+)*['\"]?gatekeeper\b", path.read_text()), path


def _is_command(command: object, words: list[str]) -> bool:
    """Whether words lead to a command; what follows the command is its own business."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return True
    return bool(words) and words[0] in inner and _is_command(inner[words[0]], words[1:])
