"""Every key that a site file may hold is documented, and no other: a key that nobody can look up is no rule."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
READERS = sorted((ROOT / "gatekeeper/model/site_file").glob("*.py"))
PAGE = ROOT / "schemas/site-file.md"
WORDS = {"en", "nl"}  # of names, told once


def _keys_read() -> set[str]:
    found: set[str] = set()
    for file in READERS:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "only":
                found |= {
                    argument.value
                    for argument in node.args[1:]
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                }
    return found


def test_every_key_of_a_site_file_is_documented():
    documented = set(re.findall(r"`\[*([a-z_]+)\]*(?: = [^`]*)?`", PAGE.read_text("utf-8")))
    documented |= set(re.findall(r"\[\[?([a-z_.]+)\]?\]", PAGE.read_text("utf-8")))
    keys = _keys_read()
    assert len(keys) > 60
    assert keys <= documented | WORDS


def test_the_rules_of_a_zone_are_those_of_the_table_and_no_other():
    table = PAGE.read_text("utf-8").split("## What zones demand")[1].split("## What alert states")[0]
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE))
    source = ast.parse((ROOT / "gatekeeper/model/site_file/rules.py").read_text("utf-8"))
    reader = next(
        node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == "read_zone_rules"
    )
    asked = next(
        node for node in ast.walk(reader) if isinstance(node, ast.Call) and ast.unparse(node.func) == "only"
    )
    assert rows == {ast.literal_eval(argument) for argument in asked.args[1:]}
