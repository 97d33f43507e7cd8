"""Examined over a real broker: the product's own agent keeps every requirement, and so does a stranger's gate of what it has.

An examination takes most of a minute, for times are part of the contract. So four are made at once, of four gates that are alike, and
each judges a quarter; together they judge everything.
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
QUARTERS = (
    {3, 7, 8, 18},
    {5, 9, 12, 19, 20, 21},
    {1, 2, 6, 10, 11},
    {4, 13, 14, 15, 16, 17, 22},
)
"""The trials of each examination by their place; the first is always made."""


def only(quarter: set[int]) -> list[str]:
    """What a quarter judges, and what every examination does."""
    return sorted(
        {"GK-G-002", *THROUGHOUT, *(name for place in {0, *quarter} for name in TRIALS[place].judges)}
    )


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found of our own gates, and what was reported of the stranger's."""

    own: list[Finding]
    reports: list[dict[str, Any]]


@pytest.fixture(scope="module")
def examined(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Examined:
    """All examinations, at once."""
    return asyncio.run(examine_all(broker, tmp_path_factory.mktemp("conformance")))


async def examine_all(broker: EmbeddedBroker, folder: Path) -> Examined:
    async with asyncio.TaskGroup() as group:
        own = [
            group.create_task(examined_agent(broker, folder, number, only(quarter)))
            for number, quarter in enumerate(QUARTERS)
        ]
        strangers = [
            group.create_task(examined_stranger(broker, folder / str(number), number, only(quarter)))
            for number, quarter in enumerate(QUARTERS)
        ]
    found = [finding for one in own for finding in one.result()]
    return Examined(found, [one.result() for one in strangers])


def test_the_quarters_are_all_trials():
    assert sorted(place for quarter in QUARTERS for place in quarter) == list(range(1, len(TRIALS)))


def test_our_own_agent_keeps_everything_that_is_judged(examined: Examined):
    assert [one for one in examined.own if one.outcome is not Outcome.PASSED] == []
    assert {one.id for one in examined.own} == JUDGED


def test_a_strangers_gate_keeps_the_core_and_what_its_door_can_show(examined: Examined):
    assert {report["agent"] for report in examined.reports} == {"stranger's gate 1"}
    assert {report["found"] for report in examined.reports} == {"pass"}
    found = {(one["id"], one["found"]) for report in examined.reports for one in report["findings"]}
    has = {Part.CORE, Part.CONTACT}
    assert {name for name, outcome in found if outcome == "pass"} == {
        name for name in JUDGED if REQUIREMENTS[name].part in has
    }
    assert {name for name, outcome in found if outcome == "not judged"} == {
        name for name in JUDGED if REQUIREMENTS[name].part not in has
    }


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
    broker: EmbeddedBroker, folder: Path, number: int, asked: list[str]
) -> dict[str, Any]:
    gate, examiner = f"stranger-{number}", f"service.stranger-{number}"
    await broker.admit(gate, PASSWORD, role="gate")
    await broker.admit(examiner, PASSWORD, role="service")
    password = written_password(folder)
    foreign = [sys.executable, "-m", "tests.contract.foreign_gate"]
    own, site, name = folder / "own", folder / "site", f"site-of-{gate}"
    await ended([*foreign, "enrol", "--site", name, "--gate", gate, "--own", str(own)])
    driver = [*foreign, "run", "--gate", gate, "--own", str(own), "--site-folder", str(site)]
    driver += ["--broker", broker.url, "--password-file", str(password), "--held", "0.5"]
    command = [sys.executable, "-c", "from devices.cli import main; main()", "conformance"]
    command += ["--broker", broker.url, "--gate", gate, "--folder", str(site), "--site", name, "--json"]
    command += ["--request", str(own / "request.cose"), "--held", "0.5", "--period", "0.3"]
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
