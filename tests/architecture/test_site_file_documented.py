"""Every key that a site file may hold is documented, and no other: a key that nobody can look up is no rule."""

import ast
import re
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).parents[2]
READERS = sorted((ROOT / "gatekeeper/model/site_file").glob("*.py"))
PAGE = ROOT / "schemas/site-file.md"
WORDS = {"en", "nl"}  # of names, told once


def _keys_read() -> set[str]:
    found: set[str] = set()
    for file in READERS:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _is_only(node):
                found |= {argument.value for argument in node.args if _is_text(argument)}
    return found


def _is_only(call: ast.Call) -> bool:
    """Whether this is a reader's `table.only(key, ...)`: the keys that a table may have."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "only"


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


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
        node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == "_zone_rules"
    )
    asked = next(node for node in ast.walk(reader) if isinstance(node, ast.Call) and _is_only(node))
    assert rows == {ast.literal_eval(argument) for argument in asked.args}
