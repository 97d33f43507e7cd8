"""Examined over a real broker: the product's own agent keeps every requirement, and so do a stranger's gates of what they have.

An examination takes minutes, for times are part of the contract. So several are made at once, of gates that are alike, and
each judges a part; together they judge everything.
"""

import asyncio
import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devices.conformance.examination import Examination
from devices.conformance.findings import Finding, Outcome
from devices.conformance.requirements import REQUIREMENTS, Part
from devices.conformance.throughout import THROUGHOUT
from devices.conformance.trials import TRIALS
from devices.examination.folder import ExaminationFolder
from devices.examination.run import Arrivals, Run
from devices.examination.session import BrokerRefusedError, ExaminerSession
from devices.link import BrokerUrl
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.ids import GateId, SiteId
from tests.integration.examined_agent import PASSWORD, AgentAtTheGate
from tests.support.proxy import to_broker

pytestmark = pytest.mark.integration

JUDGED = {one.id for one in REQUIREMENTS.values() if not one.by_hand}
PARTS = (
    {5, 6, 7, 13, 14, 26},
    {3, 25},
    {9, 24},
    {1, 23, 29, 30},
    {2, 10, 20, 21, 22},
    {4, 19, 27, 28},
    {8, 11, 12, 15, 16, 17, 18, 31},
)
"""The trials of each examination by their place; the first is always made."""
PARTS_PLAIN = (
    {3, 5, 6, 7, 9, 13, 14},
    {1, 2, 8, 10, 11, 12, 15, 16, 17, 18, 29, 31},
    {4, 19, 27, 28},
)
PARTS_ALONE = ({23, 26}, {24, 25}, {19, 20, 21, 22, 30})
PLAIN, ALONE = "tests.contract.foreign_gate", "tests.contract.foreign_gate_alone"


def only(part: set[int]) -> list[str]:
    """What a part judges, and what every examination does."""
    return sorted({"GK-G-002", *THROUGHOUT, *(name for place in {0, *part} for name in TRIALS[place].judges)})


@dataclass(frozen=True, slots=True)
class Strangers:
    """What was reported of the stranger's gates: of the plain one, and of the one that decides alone."""

    plain: list[dict[str, Any]]
    alone: list[dict[str, Any]]


@pytest.fixture(scope="module")
def own(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """What was found of our own gates."""
    return asyncio.run(examine_own(broker, tmp_path_factory.mktemp("own")))


@pytest.fixture(scope="module")
def strangers(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Strangers:
    """All examinations of the stranger's gates."""
    return asyncio.run(examine_strangers(broker, tmp_path_factory.mktemp("strangers")))


async def examine_own(broker: EmbeddedBroker, folder: Path) -> list[Finding]:
    async with asyncio.TaskGroup() as group:
        examinations = [
            group.create_task(examined_agent(broker, folder, number, only(part)))
            for number, part in enumerate(PARTS)
        ]
    return [finding for one in examinations for finding in one.result()]


async def examine_strangers(broker: EmbeddedBroker, folder: Path) -> Strangers:
    async with asyncio.TaskGroup() as group:
        plain = [
            group.create_task(examined_stranger(broker, folder, f"plain-{number}", PLAIN, only(part)))
            for number, part in enumerate(PARTS_PLAIN)
        ]
        alone = [
            group.create_task(
                examined_stranger(broker, folder, f"alone-{number}", ALONE, only(part), "--alone")
            )
            for number, part in enumerate(PARTS_ALONE)
        ]
    return Strangers([one.result() for one in plain], [one.result() for one in alone])


def test_the_parts_are_all_trials():
    all_of_them = set(range(1, len(TRIALS)))
    assert sorted(place for part in PARTS for place in part) == sorted(all_of_them)
    assert {place for part in (*PARTS_PLAIN, *PARTS_ALONE) for place in part} == all_of_them


def test_our_own_agent_keeps_everything_that_is_judged(own: list[Finding]):
    assert [one for one in own if one.outcome is not Outcome.PASSED] == []
    assert {one.id for one in own} == JUDGED


def test_a_strangers_gate_keeps_the_core_and_what_its_door_can_show(strangers: Strangers):
    found = found_in(strangers.plain)
    assert found["pass"] == of_part(Part.CORE, Part.CONTACT)
    assert found["not judged"] == JUDGED - found["pass"] - of_part(Part.ALONE)


def test_a_strangers_gate_that_decides_alone_keeps_all_of_that(strangers: Strangers):
    found = found_in(strangers.alone)
    assert found["pass"] >= {"GK-G-160", *of_part(Part.ALONE)}
    assert found["not judged"] == {"GK-G-086"}  # no door of an interlock


def of_part(*parts: Part) -> set[str]:
    return {name for name in JUDGED if REQUIREMENTS[name].part in parts}


def found_in(reports: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The requirements by what was found of them, when nothing failed."""
    assert {report["agent"] for report in reports} == {"stranger's gate 1"}
    assert {report["found"] for report in reports} == {"pass"}
    outcomes = {"pass": set[str](), "not judged": set[str]()}
    for report in reports:
        for one in report["findings"]:
            outcomes[one["found"]].add(one["id"])
    return outcomes


async def examined_agent(
    broker: EmbeddedBroker, folder: Path, number: int, asked: list[str]
) -> list[Finding]:
    gate, examiner = GateId(f"own-{number}"), f"service.own-{number}"
    await broker.admit(gate, PASSWORD, role="gate")
    await broker.admit(examiner, PASSWORD, role="service")
    site = SiteId(f"site-of-{gate}")
    place = ExaminationFolder(folder / gate, site=site)
    arrivals = Arrivals()
    session = ExaminerSession(
        BrokerUrl.parse(broker.url),
        below=f"gk/v1/{site}/{gate}",
        probe=f"gk/v1/{site}/beacon",
        arrived=arrivals.arrived,
        login=examiner,
        password=PASSWORD,
    )
    async with to_broker(broker.url) as proxy, session:
        driver = AgentAtTheGate(place, folder / f"{gate}-own", gate, proxy)
        examination = Examination(driver.question, at=asyncio.get_running_loop().time(), only=asked)
        run = Run(examination, session=session, driver=driver, arrivals=arrivals, tell=lambda _trial: None)
        try:
            await run.to_its_end()
        finally:
            await driver.end()
    assert examination.agent is not None
    return list(examination.ledger.all().values())


async def examined_stranger(
    broker: EmbeddedBroker, within: Path, gate: str, module: str, asked: list[str], *more: str
) -> dict[str, Any]:
    folder, examiner = within / gate, f"service.{gate}"
    await broker.admit(gate, PASSWORD, role="gate")
    await broker.admit(examiner, PASSWORD, role="service")
    password = written_password(folder)
    foreign = [sys.executable, "-m", module]
    own, site, name = folder / "own", folder / "site", f"site-of-{gate}"
    await ended([*foreign, "enrol", "--site", name, "--gate", gate, "--own", str(own)])
    driver = [*foreign, "run", "--gate", gate, "--own", str(own), "--site-folder", str(site)]
    driver += ["--broker", broker.url, "--password-file", str(password), "--held", "0.5"]
    command = [sys.executable, "-c", "from devices.cli import main; main()", "conformance"]
    command += ["--broker", broker.url, "--gate", gate, "--folder", str(site), "--site", name, "--json"]
    command += ["--request", str(own / "request.cose"), "--held", "0.5", "--period", "0.3", *more]
    command += ["--login", examiner, "--password-file", str(password), "--driver", shlex.join(driver)]
    for requirement in asked:
        command += ["--only", requirement]
    report: dict[str, Any] = json.loads(await ended(command))
    assert json.loads((site / "report.json").read_text()) == report
    return report


def written_password(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


async def test_whoever_may_not_speak_for_the_service_is_told_so(broker: EmbeddedBroker):
    gate = GateId("no-examiner")
    await broker.admit(gate, PASSWORD, role="gate")
    session = ExaminerSession(
        BrokerUrl.parse(broker.url),
        below=f"gk/v1/fort/{gate}",
        probe="gk/v1/fort/beacon",
        arrived=Arrivals().arrived,
        login=gate,
        password=PASSWORD,
    )
    with pytest.raises(BrokerRefusedError, match=r"does not let gk/v1/fort/beacon be written"):
        async with session:
            pass


async def ended(command: list[str]) -> bytes:
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output
