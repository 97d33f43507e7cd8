"""`gatekeeper-device conformance`: examine a foreign gate against the contract of schemas/, in the service's place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from devices.conformance.examination import Examination
from devices.conformance.findings import Finding, Outcome
from devices.conformance.report import Report
from devices.conformance.requirements import REQUIREMENTS
from devices.conformance.site import Question
from devices.examination.asking import Driver, DriverError, Person, Program
from devices.examination.folder import ExaminationFolder, FolderError, RequestRefusedError
from devices.examination.run import Arrivals, Run
from devices.examination.session import BrokerRefusedError, ExaminerSession
from devices.link import BrokerUrl, BrokerUrlError
from gatekeeper.core.enrolment import EnrolmentRequest
from gatekeeper.model.ids import AccessPointId, GateId, SiteId, is_name
from gatekeeper.model.places import Direction
from gatekeeper.model.topics import PREFIX, beacon_topic

__all__ = ["conformance"]

_UNDECIDED = 3
_ENROLMENT = "GK-G-002"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broker:
    url: BrokerUrl
    login: str | None
    password: str | None
    authority: Path | None


def conformance(
    broker: Annotated[
        str, typer.Option(help="mqtt:// or mqtts://host[:port] of a broker that the gate uses, too.")
    ],
    gate: Annotated[str, typer.Option(help="The gate's name.")],
    folder: Annotated[Path, typer.Option(help="Where the throw-away site and the report are kept.")],
    request: Annotated[
        Path | None, typer.Option(help="The gate's enrolment request; FOLDER/request.cose otherwise.")
    ] = None,
    site: Annotated[str, typer.Option(help="The name of the throw-away site.")] = "conformance",
    prefix: Annotated[str, typer.Option(help="The first level of its topics.")] = PREFIX,
    access_point: Annotated[str, typer.Option(help="The access point that is examined.")] = "door",
    direction: Annotated[Direction, typer.Option(help="Where it leads.")] = Direction.IN,
    contact: Annotated[bool, typer.Option(help="Whether its door has a contact.")] = True,
    interlocked: Annotated[bool, typer.Option(help="Whether its door is one of an interlock.")] = False,
    alone: Annotated[bool, typer.Option(help="Whether it decides by itself while nobody answers.")] = False,
    held: Annotated[
        float, typer.Option(min=0.5, max=60, help="Seconds after which the gate takes it for held open.")
    ] = 5.0,
    period: Annotated[
        float, typer.Option(min=0.2, max=10, help="Seconds between beacons when they fall silent.")
    ] = 2.0,
    driver: Annotated[
        str | None, typer.Option(help="A program that does at the gate what a person is asked to do.")
    ] = None,
    login: Annotated[str | None, typer.Option(help="The name to log in with at the broker.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="A file with the password of that name, in one line.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(help="The certificates that the broker's must come from (PEM).")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Judge this requirement only; can be given again.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Play the service for one foreign gate, and judge what it does by schemas/MAKERS.md.

    Exit 0: everything that was judged passed. 1: something failed. 3: something of the core could not be judged.
    """
    for name in (gate, site, prefix, access_point):
        if not is_name(name):
            _fail(f"{name!r} is no name: use 1 to 32 of a-z, 0-9 and '-'.")
    unknown = [name for name in only or () if name not in REQUIREMENTS or REQUIREMENTS[name].by_hand]
    if unknown:
        _fail(
            f"{', '.join(unknown)}: there is no such requirement that is judged here. See schemas/MAKERS.md."
        )
    try:
        reached = _Broker(
            url=BrokerUrl.parse(broker), login=login, password=_password(password_file), authority=authority
        )
        place = ExaminationFolder(folder, site=SiteId(site))
        admitted = _admitted(place, GateId(gate), request)
        question = Question(
            site=SiteId(site),
            gate=GateId(gate),
            prefix=prefix,
            access_point=AccessPointId(access_point),
            direction=direction,
            has_contact=contact,
            interlocked=interlocked,
            held=timedelta(seconds=held),
            period=timedelta(seconds=period),
            started=datetime.now(UTC),
            decides_alone=alone,
            record=admitted.record,
            keys=place.keys,
            badges=place.badges(at=datetime.now(UTC)),
        )
        report = asyncio.run(_examined(question, reached, driver, only or []))
    except RequestRefusedError as error:
        report = _refused(SiteId(site), GateId(gate), str(error))
    except (BrokerUrlError, BrokerRefusedError, FolderError, DriverError) as error:
        _fail(str(error))
    (folder / "report.json").write_text(report.document())
    (folder / "report.txt").write_text(report.table())
    typer.echo(report.document() if json_output else report.table(), nl=False)
    raise typer.Exit(report.exit_code)


def _admitted(place: ExaminationFolder, gate: GateId, request: Path | None) -> EnrolmentRequest:
    path = request or place.request_path
    try:
        document = path.read_bytes()
    except OSError:
        _fail(
            f"There is no enrolment request at {path}. Have {gate} make its key and a request for the site "
            f"'{place.site}', put it there, and give the gate {place.path / 'anchor.json'}; then run this again."
        )
    admitted = place.request_of(gate, document)
    if place.admit(admitted, at=datetime.now(UTC)):
        _say(f"{gate} is admitted: give it {place.path / 'anchor.json'} and {place.path / 'trust.cose'}.")
    _say(f"Its key is {admitted.fingerprint}; the badges to present are in {place.path / 'badges.json'}.")
    return admitted


async def _examined(question: Question, broker: _Broker, driver: str | None, only: list[str]) -> Report:
    arrivals = Arrivals()
    session = ExaminerSession(
        broker.url,
        below=f"{question.prefix}/v1/{question.site}/{question.gate}",
        probe=beacon_topic(question.site, prefix=question.prefix),
        arrived=arrivals.arrived,
        login=broker.login,
        password=broker.password,
        authority=broker.authority,
    )
    async with session, _driver(driver) as at_the_gate:
        loop = asyncio.get_running_loop()
        examination = Examination(question, at=loop.time(), only=only)
        run = Run(examination, session=session, driver=at_the_gate, arrivals=arrivals, tell=_say)
        await run.to_its_end()
    return Report(
        tool=_tool(),
        site=question.site,
        gate=question.gate,
        agent=examination.agent,
        at=question.started,
        findings=examination.findings,
    )


@asynccontextmanager
async def _driver(command: str | None) -> AsyncIterator[Driver]:
    if command is None:
        yield Person()
    else:
        async with Program(command) as program:
            yield program


def _refused(site: SiteId, gate: GateId, why: str) -> Report:
    finding = Finding(id=_ENROLMENT, outcome=Outcome.FAILED, asked="the enrolment request", seen=why)
    return Report(
        tool=_tool(), site=site, gate=gate, agent=None, at=datetime.now(UTC), findings={_ENROLMENT: finding}
    )


def _tool() -> str:
    return f"gatekeeper-device {version('gatekeeper')}"


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"{path} cannot be read as a password's file: {error}.") from error


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _fail(sentence: str) -> NoReturn:
    _say(sentence)
    raise typer.Exit(_UNDECIDED)
