"""schemas/MAKERS.md: what it requires is what the examination judges, id by id, and what it points to is there."""

import ast
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import typer

from devices.cli.commands import app
from devices.conformance import trials
from devices.conformance.requirements import REQUIREMENTS, Part
from devices.conformance.script import Do
from devices.conformance.throughout import THROUGHOUT
from devices.conformance.trials import TRIALS
from tests.contract import foreign_gate, foreign_gate_alone, stranger_alone

SCHEMAS = Path(__file__).parents[2] / "schemas"
ENROLMENT = "GK-G-002"


@cache
def text(name: str = "MAKERS.md") -> str:
    return (SCHEMAS / name).read_text("utf-8")


def rows(first: str) -> list[list[str]]:
    (table,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text(), re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def judged_by(requirement: str) -> str:
    if REQUIREMENTS[requirement].by_hand:
        return "by hand"
    if requirement == ENROLMENT:
        return "the enrolment request"
    if requirement in THROUGHOUT:
        return "the whole conversation"
    return "; ".join(trial.asks for trial in TRIALS if requirement in trial.judges)


def test_the_checklist_is_what_the_examination_judges_and_who_judges_it():
    assert rows("id") == [
        [f"`{one.id}`", one.part.value, one.sentence, judged_by(one.id)] for one in REQUIREMENTS.values()
    ]


def test_every_requirement_is_judged_by_trials_or_by_hand_and_never_by_both():
    tried = THROUGHOUT.union({ENROLMENT}, *(trial.judges for trial in TRIALS))
    by_hand = {one.id for one in REQUIREMENTS.values() if one.by_hand}
    assert tried & by_hand == set()
    assert tried | by_hand == REQUIREMENTS.keys()


def test_what_the_trials_find_stands_in_what_they_say_they_judge():
    for file in Path(trials.__file__).parent.glob("*.py"):
        found = {
            node.value
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.Constant) and re.fullmatch(r"GK-G-\d{3}", str(node.value))
        }
        assert found <= REQUIREMENTS.keys(), file
        assert found.isdisjoint({one.id for one in REQUIREMENTS.values() if one.by_hand}), file


def test_every_requirement_belongs_to_a_step():
    steps = text().split("## In the order in which one builds it")[1].split("## The examination")[0]
    named: set[int] = set()
    for first, last in re.findall(r"`GK-G-(\d{3})`(?: to `GK-G-(\d{3})`)?", steps):
        named |= set(range(int(first), int(last or first) + 1))
    assert {int(one.id[-3:]) for one in REQUIREMENTS.values()} <= named


def test_parts_are_those_of_the_table():
    assert {row[1] for row in rows("id")} == set(Part)


def test_who_does_not_decide_alone_is_told_which_requirements_are_not_asked():
    alone = sorted(one.id for one in REQUIREMENTS.values() if one.part is Part.ALONE)
    assert {name for trial in TRIALS if trial.needs_alone for name in trial.judges} == set(alone)
    assert "of any other gate only `GK-G-160` is judged" in re.sub(r"\s+", " ", text())
    assert REQUIREMENTS["GK-G-160"].part is Part.CORE


def test_what_a_driver_can_be_asked_for_is_listed():
    assert [row[0] for row in rows("do")] == [f"`{do.value}`" for do in Do]


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([a-zA-Z-]*\.md)?(?:#([a-z-]+))?\)", text())
    assert len(links) > 15
    for file, anchor in links:
        titles = re.findall(r"^#+ (.+)$", text(file or "MAKERS.md"), re.MULTILINE)
        anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, (file, anchor)


def test_what_is_named_of_the_vectors_is_in_them():
    for path in re.findall(r"`(vectors/[a-z-]+\.json)`", text()):
        assert (SCHEMAS / path).exists(), path
    session = json.loads(text("vectors/session.json"))
    names = {session["checkpoint"]["name"]} | {
        step["up"]["name"] for step in session["steps"] if "up" in step
    }
    assert {"hello-of-front", "scan-bearer", "checkpoint"} <= names
    for name in ("hello-of-front", "scan-bearer", "checkpoint"):
        assert f"`{name}`" in text()


def test_options_of_the_command_are_its_own():
    command = typer.main.get_command(app).commands["conformance"]  # type: ignore[attr-defined]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    named = set(re.findall(r"--[a-z][a-z-]+", text()))
    assert named <= known
    assert len(named) > 10


def test_no_sentence_of_the_contract_is_said_twice():
    def sentences(name: str) -> set[str]:
        flat = re.sub(r"\s+", " ", text(name))
        return {one.strip() for one in re.split(r"(?<=[.:;|])\s", flat) if len(one.split()) > 6}

    assert sentences("MAKERS.md") & sentences("README.md") == set()


@pytest.mark.parametrize(
    ("gate", "others"),
    [
        (foreign_gate, {"tests.contract.stranger"}),
        (
            foreign_gate_alone,
            {"tests.contract." + name for name in ("stranger", "foreign_gate", "stranger_alone")},
        ),
        (stranger_alone, {"tests.contract.stranger"}),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_the_strangers_gates_know_nothing_of_the_product(gate: ModuleType, others: set[str]):
    tree = ast.parse(Path(str(gate.__file__)).read_text("utf-8"))
    imported = {
        f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not [name for name in imported if name.split(".")[0] in {"gatekeeper", "devices"}]
    ours = [name for name in imported if name.startswith("tests")]
    assert {
        next((one for one in others if f"{name}.".startswith(f"{one}.")), name) for name in ours
    } == others
