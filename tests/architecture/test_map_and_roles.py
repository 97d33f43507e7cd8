"""What the documents say of modules and of roles is so: every module of the map is there, and every role may what it says."""

import re
from pathlib import Path

import pytest

from gatekeeper.core.operators import HOST_ROLES, WORDS, Deed, Role

ROOT = Path(__file__).parents[2]


def _modules(line: str) -> list[str]:
    """The modules that a line of the map names: `core/flow, decide, rules/` are three of core."""
    names = [name.strip() for name in re.split(r"  +", line.strip())[0].split(",")]
    inner = line.startswith(" ")
    folder = names[0].rpartition("/")[0]
    paths = [name if "/" in name.rstrip("/") or not folder else f"{folder}/{name}" for name in names]
    return [f"gatekeeper/{path}" if inner else path for path in paths]


def test_every_module_of_the_map_is_there():
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    drawn = text.split("## Bird's eye")[1].split("```")[1].strip("\n")
    named = [module for line in drawn.splitlines() for module in _modules(line)]
    assert len(named) > 30
    for module in named:
        place = ROOT / module
        assert place.is_dir() or place.is_file() or place.with_suffix(".py").is_file(), module


def _rows() -> dict[str, tuple[str, str]]:
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.split("## Operators")[1].split("| role | of | may |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {role: (of, may) for role, of, may in rows}


def test_every_role_is_told():
    assert _rows().keys() == {role.value for role in Role}


@pytest.mark.parametrize("role", Role)
def test_a_role_may_what_the_readme_says_and_bold_takes_two(role: Role):
    of, may = _rows()[role.value]
    assert (of == "host") == (role in HOST_ROLES)
    told = {deed.strip() for deed in may.split(";") if deed.strip()}
    so = {
        f"**{deed.value}**" if word.second else deed.value
        for deed, word in WORDS.items()
        if role in word.host | word.own
    }
    assert told == so


def test_a_second_person_is_whom_the_readme_says():
    assert {word.second for word in WORDS.values()} == {
        frozenset(),
        frozenset({Role.SECURITY_OFFICER, Role.SITE_ADMIN}),
    }
    assert WORDS.keys() == set(Deed)
