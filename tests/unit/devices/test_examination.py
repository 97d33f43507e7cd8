"""The shell of an examination: what it says when something is missing, and who stands at the gate."""

import asyncio
import io
import json
import os
import shlex
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devices.cli.commands import app
from devices.conformance.findings import Finding, Ledger, Outcome, exit_code
from devices.conformance.report import Report
from devices.conformance.script import Ask, Do, Reply
from devices.examination.asking import DriverError, Person, Program
from devices.examination.folder import ExaminationFolder, FolderError
from gatekeeper import cose
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.model.ids import GateId, SiteId
from tests.support.waiting import eventually

SITE, GATE = SiteId("conformance"), GateId("foreign")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOBODY = "mqtt://127.0.0.1:1"
LOOK = Ask(do=Do.LOOK, sentence="Was it released?")
OPEN = Ask(do=Do.OPEN, sentence="Open the door.")


def asked(folder: Path, *more: str, gate: str = GATE, broker: str = NOBODY) -> tuple[int, str, str]:
    command = ["conformance", "--broker", broker, "--gate", gate, "--folder", str(folder), *more]
    result = CliRunner().invoke(app, command)
    return result.exit_code, result.stdout, result.stderr


def requested(folder: Path, *, site: SiteId = SITE, gate: GateId = GATE) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "request.cose"
    path.write_bytes(enrolment_request(site=site, gate=gate, key=cose.SigningKey.generate()))
    return path


# -- the command ------------------------------------------------------------------------------------------------------


def test_without_a_request_it_makes_the_anchor_and_says_what_to_do(tmp_path: Path):
    code, _, said = asked(tmp_path / "out")
    assert code == 3
    assert "There is no enrolment request" in said
    assert "conformance" in said
    assert (tmp_path / "out" / "anchor.json").exists()


@pytest.mark.parametrize(
    ("site", "gate", "why"),
    [
        (SITE, GateId("another"), "it is of another at conformance"),
        (SiteId("fort"), GATE, "it is of foreign at fort"),
    ],
)
def test_a_request_of_somebody_else_fails_and_is_told(tmp_path: Path, site: SiteId, gate: GateId, why: str):
    requested(tmp_path, site=site, gate=gate)
    code, shown, _ = asked(tmp_path, "--json")
    (found,) = json.loads(shown)["findings"]
    assert code == 1
    assert (found["id"], found["found"]) == ("GK-G-002", "FAIL")
    assert why in found["seen"]
    assert json.loads((tmp_path / "report.json").read_text())["found"] == "FAIL"


def test_a_request_that_is_none_fails_with_the_code_of_the_contract(tmp_path: Path):
    (tmp_path / "request.cose").write_bytes(b"junk")
    code, shown, _ = asked(tmp_path)
    assert code == 1
    assert "enrolment-structure" in shown


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--only", "GK-G-999"], "GK-G-999: there is no such requirement"),
        (["--only", "GK-G-001"], "GK-G-001: there is no such requirement"),
        (["--site", "A fort"], "is no name"),
        (["--password-file", "/nowhere"], "cannot be read"),
        ([], "There is no broker at mqtt://127.0.0.1:1"),
    ],
)
def test_what_cannot_be_examined_is_said_and_judged_by_nobody(tmp_path: Path, more: list[str], why: str):
    requested(tmp_path)
    code, shown, said = asked(tmp_path, *more)
    assert (code, shown) == (3, "")
    assert why in said


def test_a_brokers_url_with_a_password_in_it_is_refused_and_not_repeated(tmp_path: Path):
    code, _, said = asked(tmp_path, broker="mqtt://me:secret@broker")
    assert code == 3
    assert "secret" not in said


# -- the folder -------------------------------------------------------------------------------------------------------


def test_the_site_stays_the_same_over_runs_and_its_keys_are_its_owners_alone(tmp_path: Path):
    first = ExaminationFolder(tmp_path, site=SITE)
    request = first.request_of(GATE, requested(tmp_path).read_bytes())
    assert first.admit(request, at=NOON)
    badges = first.badges(at=NOON)
    again = ExaminationFolder(tmp_path, site=SITE)
    assert not again.admit(request, at=NOON)
    assert again.badges(at=datetime.now(UTC)) == badges
    assert {key.kid for key in again.keys.values()} == {key.kid for key in first.keys.values()}
    secrets = [*(tmp_path / "keys").iterdir(), tmp_path / "badges.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_another_key_of_the_gate_makes_another_list(tmp_path: Path):
    place = ExaminationFolder(tmp_path, site=SITE)
    for _ in range(2):
        assert place.admit(place.request_of(GATE, requested(tmp_path).read_bytes()), at=NOON)


def test_badges_that_somebody_spoilt_are_named(tmp_path: Path):
    place = ExaminationFolder(tmp_path, site=SITE)
    place.badges(at=NOON)
    (tmp_path / "badges.json").write_text("{}")
    with pytest.raises(FolderError, match=r"badges\.json"):
        place.badges(at=NOON)


# -- whoever stands at the gate ---------------------------------------------------------------------------------------


def program(lines: str) -> Program:
    """A program that reads a line and writes what is given, for as long as there is something."""
    body = f"import sys\nfor answer in {lines!r}.splitlines():\n    sys.stdin.readline()\n    print(answer, flush=True)\n"
    return Program(shlex.join([sys.executable, "-c", body]))


async def test_a_program_does_what_it_reads_and_says_what_it_saw():
    async with program(
        '{"number": 1, "done": true}\n{"number": 2, "done": true, "released": false}'
    ) as driver:
        assert await driver.obey(OPEN) == Reply(done=True)
        assert await driver.obey(LOOK) == Reply(done=True, released=False)


async def test_a_program_that_cannot_writes_nonsense_or_ends_does_nothing():
    async with program('{"number": 1, "done": false}\nnonsense\n{"done": "yes"}') as driver:
        assert [await driver.obey(OPEN) for _ in range(4)] == [Reply(done=False)] * 4


async def test_what_a_program_writes_beside_its_answers_is_told_once(capsys: pytest.CaptureFixture[str]):
    async with program('a line of a log \x1b[2J\nanother\n{"number": 3, "done": true}') as driver:
        assert [await driver.obey(OPEN) for _ in range(3)] == [Reply(done=False)] * 2 + [Reply(done=True)]
    told = capsys.readouterr().err
    assert told.count("The driver wrote what is no answer: a line of a log ?[2J") == 1
    assert "another" not in told


async def test_a_reply_to_a_question_of_before_is_no_reply_to_this_one():
    async with program('{"number": 9, "done": true}') as driver:
        assert await driver.obey(OPEN) == Reply(done=False)


async def test_a_program_that_is_not_there_is_told():
    with pytest.raises(DriverError, match="cannot be started"):
        async with Program("/nowhere/driver"):
            pass


class Terminal:
    """What a person has seen so far, and what they type into."""

    def __init__(self, capsys: pytest.CaptureFixture[str], typing: io.FileIO) -> None:
        self._capsys = capsys
        self._seen = ""
        self.typing = typing

    def told(self) -> str:
        self._seen += self._capsys.readouterr().err
        return self._seen


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as typed, io.FileIO(write_end, "w") as typing:
        monkeypatch.setattr(sys, "stdin", typed)
        yield Terminal(capsys, typing)


async def test_a_person_answers_with_enter_and_is_told_how(terminal: Terminal):
    person = Person()

    async def answered(question: Ask, line: bytes) -> Reply:
        before = len(terminal.told())
        answering = asyncio.create_task(person.obey(question))
        await eventually(lambda: len(terminal.told()) > before)
        terminal.typing.write(line)
        return await answering

    assert await answered(OPEN, b"\n") == Reply(done=True)
    assert await answered(OPEN, b"cannot\n") == Reply(done=False)
    assert await answered(LOOK, b"y\n") == Reply(done=True, released=True)
    assert await answered(LOOK, b"no\n") == Reply(done=True, released=False)
    assert await answered(LOOK, b"?\n") == Reply(done=False)
    assert "Open the door. [Enter when it is done, or 'cannot']" in terminal.told()
    terminal.typing.close()
    for _ in range(3):
        assert await person.obey(OPEN) == Reply(done=False)


async def test_a_person_is_told_that_what_was_wanted_was_noticed(terminal: Terminal):
    asking = asyncio.create_task(Person().obey(OPEN))
    await eventually(lambda: bool(terminal.told()))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert terminal.told().endswith("- noticed.\n")
    terminal.typing.close()


# -- findings and the report ------------------------------------------------------------------------------------------


def finding(requirement: str, outcome: Outcome) -> Finding:
    return Finding(id=requirement, outcome=outcome, asked="a badge", seen="a scan")


def test_what_failed_once_has_failed():
    ledger = Ledger()
    for outcome in (Outcome.NOT_JUDGED, Outcome.PASSED, Outcome.FAILED, Outcome.PASSED, Outcome.NOT_JUDGED):
        ledger.note("GK-G-050", outcome, asked="a badge", seen=outcome.value)
    assert ledger.of("GK-G-050") is Outcome.FAILED
    with pytest.raises(KeyError):
        ledger.note("GK-G-999", Outcome.PASSED, asked="", seen="")


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({}, 3),
        ({"GK-G-050": Outcome.PASSED}, 0),
        ({"GK-G-050": Outcome.PASSED, "GK-G-120": Outcome.NOT_JUDGED}, 0),
        ({"GK-G-050": Outcome.NOT_JUDGED}, 3),
        ({"GK-G-050": Outcome.NOT_JUDGED, "GK-G-120": Outcome.FAILED}, 1),
    ],
)
def test_the_exit_status_says_what_was_found(found: dict[str, Outcome], code: int):
    assert exit_code({name: finding(name, outcome) for name, outcome in found.items()}) == code


def test_what_a_gate_calls_itself_moves_no_cursor():
    report = Report(
        tool="tool 1",
        site=SITE,
        gate=GATE,
        agent="gate\x1b[2J",
        at=NOON,
        findings={"GK-G-050": finding("GK-G-050", Outcome.PASSED)},
    )
    assert "\x1b" not in report.table()
    assert "GK-G-050  a badge  pass   a scan" in report.table()
    assert "foreign (gate?[2J) at 2026-03-02 12:00:00 UTC, by tool 1" in report.table()
    assert json.loads(report.document())["agent"] == "gate\x1b[2J"
