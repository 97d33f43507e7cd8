"""gatekeeper-device: what it writes, what it prints, and what it refuses."""

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from devices.certificate import key_pem
from devices.cli import options_of_run
from devices.cli.commands import app
from devices.link import BrokerUrl, BrokerUrlError, GateLink
from gatekeeper import cose
from gatekeeper.core.certificates import Authority, authority_certificate, to_pem
from gatekeeper.core.enrolment import EnrolmentRequest, fingerprint, read_enrolment
from gatekeeper.model.ids import GateId, SiteId
from tests.unit.devices.folders import gate_file, gate_folder
from tests.unit.devices.ground import GATE, IN, SITE, Service


def certified(site: SiteId, gate: GateId) -> bytes:
    """The tls.pem of a gate, by an authority of its own."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    authority = Authority(
        site=site, key=key, certificate=authority_certificate(site, key=key, serial=1, now=now)
    )
    made = authority.for_gate(gate, key.public_key(), serial=7, now=now, life=timedelta(days=1))
    return key_pem(key) + to_pem(made)


def device(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_enrolling_makes_a_key_that_only_its_owner_reads_and_a_request_that_proves_it(tmp_path: Path):
    out = tmp_path / "new"
    result = device("enrol", "--site", SITE, "--gate", GATE, "--out", str(out))
    assert result.exit_code == 0, result.stderr
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in out.iterdir()}
    assert modes == dict.fromkeys(("key.pem", "tls-key.pem", "request.cose", "request.csr"), 0o600)
    request = read_enrolment((out / "request.cose").read_bytes())
    assert isinstance(request, EnrolmentRequest)
    assert (request.site, request.gate) == (SITE, GATE)
    key = cose.SigningKey.from_pem((out / "key.pem").read_bytes())
    assert request.record.public_der == key.public_der
    assert result.stdout == request.fingerprint + "\n"


def test_no_key_is_written_over_another(tmp_path: Path):
    device("enrol", "--site", SITE, "--gate", GATE, "--out", str(tmp_path))
    before = (tmp_path / "key.pem").read_bytes()
    result = device("enrol", "--site", SITE, "--gate", GATE, "--out", str(tmp_path))
    assert result.exit_code == 1
    assert "no key is written over another" in result.stderr
    assert (tmp_path / "key.pem").read_bytes() == before


def test_a_name_that_could_widen_a_topic_is_refused(tmp_path: Path):
    result = device("enrol", "--site", SITE, "--gate", "main/gate", "--out", str(tmp_path / "new"))
    assert result.exit_code == 1
    assert "is no name" in result.stderr
    assert not (tmp_path / "new").exists()


def refusal(*arguments: str) -> str:
    result = device("enrol", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr


def carried(folder: Path, gate: str = GATE, site: str = SITE) -> Path:
    """What `gatekeeper gate enroll --out` writes, but for the authority."""
    folder.mkdir()
    (folder / "gate.json").write_text(json.dumps(gate_file(GateId(gate), site=site)))
    (folder / "anchor.json").write_text(Service({}).anchor.to_json())
    return folder


def test_a_gate_s_folder_says_who_asks(tmp_path: Path):
    out = carried(tmp_path / "new")
    result = device("enrol", "--out", str(out))
    assert result.exit_code == 0, result.stderr
    request = read_enrolment((out / "request.cose").read_bytes())
    assert isinstance(request, EnrolmentRequest)
    assert (request.site, request.gate) == (SITE, GATE)


def test_nobody_asks_who_has_no_name(tmp_path: Path):
    said = refusal("--out", str(tmp_path / "new"))
    assert said.startswith("Say --site and --gate, or carry gate.json into ")
    assert "gatekeeper gate enroll GATE --out FOLDER" in said
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("named", "code"),
    [
        (("--gate", "armoury"), "enrolment-other-gate"),
        (("--gate", GATE, "--site", "elsewhere"), "enrolment-other-site"),
    ],
)
@pytest.mark.parametrize("url", [(), ("--url", "https://desk.example")])
def test_nobody_asks_in_another_s_name_in_a_gate_s_folder(
    tmp_path: Path, named: tuple[str, ...], code: str, url: tuple[str, ...]
):
    out = carried(tmp_path / "new")
    said = refusal("--out", str(out), *named, *url)
    assert said.startswith(f"Refused: {code}. ")
    assert "gate.json is of " in said
    assert not (out / "key.pem").exists()


def test_a_key_that_has_asked_in_one_name_asks_in_no_other(tmp_path: Path):
    out = tmp_path / "new"
    assert device("enrol", "--site", SITE, "--gate", GATE, "--out", str(out)).exit_code == 0
    before = (out / "request.cose").read_bytes()
    said = refusal("--site", SITE, "--gate", "armoury", "--out", str(out))
    assert said.startswith("Refused: enrolment-other-gate. ")
    assert "request.cose is of " in said
    said = refusal("--site", "elsewhere", "--gate", GATE, "--out", str(out))
    assert said.startswith("Refused: enrolment-other-site. ")
    assert (out / "request.cose").read_bytes() == before


def test_a_gate_with_a_certificate_asks_in_no_other_s_name(tmp_path: Path):
    (tmp_path / "tls.pem").write_bytes(certified(SITE, GATE))
    said = refusal("--site", SITE, "--gate", "armoury", "--out", str(tmp_path))
    assert said.startswith("Refused: enrolment-other-gate. ")
    assert "tls.pem is of another gate" in said


def test_an_anchor_of_another_site_is_refused(tmp_path: Path):
    out = carried(tmp_path / "new")
    (out / "gate.json").unlink()
    said = refusal("--site", "elsewhere", "--gate", GATE, "--out", str(out))
    assert said.startswith("Refused: enrolment-other-site. ")
    assert "anchor.json is of " in said


def test_what_is_missing_is_said_at_once_and_who_writes_it(tmp_path: Path):
    named = ("--site", SITE, "--gate", GATE, "--url", "https://desk.example")
    said = refusal(*named, "--out", str(tmp_path / "new"))
    assert all(str(tmp_path / "new" / name) in said for name in ("gate.json", "anchor.json", "ca.pem"))
    assert f"gatekeeper gate enroll {GATE} --out FOLDER" in said
    assert not (tmp_path / "new").exists()
    said = refusal(*named, "--out", str(carried(tmp_path / "carried")))
    assert said.startswith(f"{tmp_path / 'carried' / 'ca.pem'} is not here. ")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"site": "A", "gate": "front"}', b"[" * 9000])
def test_a_gate_file_that_names_nobody_is_said(tmp_path: Path, content: bytes):
    (tmp_path / "gate.json").write_bytes(content)
    assert "gate.json" in refusal("--site", SITE, "--gate", GATE, "--out", str(tmp_path))
    assert not (tmp_path / "key.pem").exists()


def test_a_folder_in_order_shows_the_fingerprint_of_its_key(tmp_path: Path):
    key = cose.SigningKey.generate()
    result = device("check", "--folder", str(gate_folder(tmp_path, Service({GATE: key}), key)))
    assert result.exit_code == 0, result.stderr
    assert result.stdout == fingerprint(key.public_der) + "\n"


def test_a_folder_of_a_bridge_is_said_to_be_one(tmp_path: Path):
    key = cose.SigningKey.generate()
    written = gate_file(bridge={"kind": "tasmota", "topic": "tele/shed/SENSOR", "access_point": IN})
    result = device("check", "--folder", str(gate_folder(tmp_path, Service({GATE: key}), key, written)))
    assert result.exit_code == 0, result.stderr
    assert f"It is a bridge, at {IN}." in result.stderr


def test_that_hardware_is_simulated_is_said_loudly(tmp_path: Path):
    key = cose.SigningKey.generate()
    points = [{"id": IN, "direction": "in", "hardware": "simulated"}]
    folder = gate_folder(tmp_path, Service({GATE: key}), key, gate_file(access_points=points))
    result = device("check", "--folder", str(folder))
    assert result.exit_code == 0, result.stderr
    assert f"SIMULATED HARDWARE: {GATE} HOLDS NO REAL DOOR." in result.stderr
    assert f"{IN}: SIMULATED, moved by lines on standard input" in result.stderr
    assert "can be opened" not in result.stderr


@pytest.mark.parametrize("command", [["check"], ["run", "--broker", "mqtt://127.0.0.1"]])
def test_a_folder_not_in_order_is_said_in_one_sentence(tmp_path: Path, command: list[str]):
    result = device(*command, "--folder", str(tmp_path))
    assert result.exit_code == 1
    assert "gate.json cannot be read" in result.stderr
    assert result.stdout == ""


def test_a_broker_that_cannot_be_is_said(tmp_path: Path):
    key = cose.SigningKey.generate()
    folder = gate_folder(tmp_path, Service({GATE: key}), key)
    result = device("run", "--folder", str(folder), "--broker", "http://broker")
    assert result.exit_code == 1
    assert "must begin with mqtt://" in result.stderr


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mqtt://broker", BrokerUrl("broker", 1883, encrypted=False)),
        ("mqtts://broker/", BrokerUrl("broker", 8883, encrypted=True)),
        ("mqtt://127.0.0.1:20000", BrokerUrl("127.0.0.1", 20000, encrypted=False)),
        ("mqtt://[::1]:1", BrokerUrl("::1", 1, encrypted=False)),
    ],
)
def test_a_brokers_url_names_host_and_port(url: str, found: BrokerUrl):
    assert BrokerUrl.parse(url) == found
    assert BrokerUrl.parse(str(found)) == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "http://broker",
        "mqtt://",
        "mqtt://broker:port",
        "mqtt://broker:70000",
        "mqtt://broker/x",
    ],
)
def test_a_brokers_url_that_is_none_is_refused(url: str):
    with pytest.raises(BrokerUrlError):
        BrokerUrl.parse(url)


def test_a_password_has_no_place_in_a_url_and_is_in_no_repr():
    with pytest.raises(BrokerUrlError, match="Leave user and password out") as refused:
        BrokerUrl.parse("mqtt://gate:secret@broker")
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(GateLink("mqtt://broker", gate=GATE, password="secret"))


PLAIN = {
    "as it is": ["--folder", "here", "--broker", "mqtt://broker"],
    "another order": ["--broker", "mqtt://broker", "--folder", "here"],
    "with all": ["--folder=/gate", "--broker=mqtts://b", "--authority", "ca.pem", "--desk", "https://desk"],
}


@pytest.mark.parametrize("arguments", PLAIN.values(), ids=PLAIN)
def test_a_plain_run_is_read_as_the_command_reads_it(arguments: list[str]):
    command: Any = typer.main.get_command(app)
    read = command.commands["run"].make_context("run", list(arguments)).params
    assert options_of_run(["run", *arguments]) == {name: value for name, value in read.items() if value}


ELSE = {
    "nothing": [],
    "another command": ["check", "--folder", "here"],
    "its help": ["run", "--help"],
    "no broker": ["run", "--folder", "here"],
    "no value": ["run", "--folder", "here", "--broker"],
    "an option for a value": ["run", "--folder", "--broker", "mqtt://broker", "--desk"],
    "a word too many": ["run", "--folder", "here", "--broker", "mqtt://broker", "there"],
    "an option twice": ["run", "--folder", "here", "--folder", "there", "--broker", "mqtt://broker"],
    "an option that is none": ["run", "--folder", "here", "--broker", "mqtt://broker", "--fast", "yes"],
}


@pytest.mark.parametrize("arguments", ELSE.values(), ids=ELSE)
def test_every_other_line_is_left_to_who_explains_it(arguments: list[str]):
    assert options_of_run(arguments) is None


def test_a_gate_that_runs_has_nothing_in_memory_that_only_reads_command_lines(tmp_path: Path):
    program = (
        "import sys\n"
        "from devices.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, *sorted({'typer', 'pydantic', 'rich'} & sys.modules.keys()))\n"
    )
    command = [
        sys.executable,
        "-c",
        program,
        "run",
        "--folder",
        str(tmp_path),
        "--broker",
        "mqtt://127.0.0.1",
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (told.stdout, "gate.json cannot be read" in told.stderr) == ("1\n", True)
