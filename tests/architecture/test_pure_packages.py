"""Pure packages import only what is on this list: no I/O, no clock, no chance."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STANDARD = {
    "array", "base64", "binascii", "bisect", "collections", "collections.abc", "contextlib", "dataclasses", "difflib", "datetime",
    "enum", "functools", "hashlib", "hmac", "ipaddress", "itertools", "json", "math", "operator", "re", "struct", "types", "typing",
    "zlib", "zoneinfo",
}  # fmt: skip
FOREIGN = {"cbor2", "cryptography", "orjson", "typing_extensions"}
PACKAGES = {
    "gatekeeper/cose": {"gatekeeper.cose"},
    "gatekeeper/transparency": {"gatekeeper.transparency"},
    "gatekeeper/model": {"gatekeeper.model", "gatekeeper.cose"},
    "gatekeeper/core": {"gatekeeper.core", "gatekeeper.model", "gatekeeper.cose", "gatekeeper.transparency"},
    "devices/conformance": {
        "devices.conformance",
        "gatekeeper.core",
        "gatekeeper.model",
        "gatekeeper.cose",
        "gatekeeper.transparency",
    },
    "devices/core": {
        "devices.core",
        "gatekeeper.core",
        "gatekeeper.model",
        "gatekeeper.cose",
        "gatekeeper.transparency",
    },
}
FORMATS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [
        *(ROOT / "devices").glob("*/*_format.py"),
        ROOT / "devices/hardware/keypad.py",
        *(ROOT / "devices/bridges" / f"{name}.py" for name in ("strict_json", "overheard", "repeats")),
    ]
)
CLOCKS = {"now", "utcnow", "today"}


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "gatekeeper":
            yield from (f"gatekeeper.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def _allowed(module: str, own: set[str]) -> bool:
    within = any(module == package or module.startswith(package + ".") for package in own)
    return within or module in STANDARD or module.split(".", maxsplit=1)[0] in FOREIGN


@pytest.mark.parametrize("package", PACKAGES)
def test_a_pure_package_imports_only_what_is_allowed_and_asks_no_clock(package: str):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        tree = ast.parse(file.read_text("utf-8"))
        foreign = {module for module in _imports(tree) if not _allowed(module, PACKAGES[package])}
        assert not foreign, f"{file} imports {foreign}"
        _assert_asks_nothing(file, tree)


def _assert_asks_nothing(file: Path, tree: ast.AST) -> None:
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    clocks = [node.attr for node in called if isinstance(node, ast.Attribute) and node.attr in CLOCKS]
    opened = [
        node.id for node in called if isinstance(node, ast.Name) and node.id in {"open", "print", "input"}
    ]
    assert not clocks + opened, f"{file} calls {clocks + opened}"


def test_what_reads_the_bytes_of_hardware_and_bridges_does_no_input_and_no_output():
    assert len(FORMATS) > 4
    for name in FORMATS:
        tree = ast.parse((ROOT / name).read_text("utf-8"))
        _assert_asks_nothing(ROOT / name, tree)
        foreign = {
            module
            for module in _imports(tree)
            if module not in STANDARD
            and not module.startswith(("devices.core.", "gatekeeper.model."))
            and f"{module.replace('.', '/')}.py" not in FORMATS
        }
        assert not foreign, f"{name} imports {foreign}"


SERVER_ONLY = (
    "alembic",
    "asyncpg",
    "fastapi",
    "httpx",
    "orjson",
    "prometheus_client",
    "segno",
    "sqlalchemy",
    "uvicorn",
    "uvloop",
)


def test_a_gate_starts_without_anything_that_only_the_server_installs():
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({SERVER_ONLY!r}))\n"
        "import devices.agent, devices.app, devices.cli.gate, devices.running, devices.enrolling, devices.bridges.tasmota, devices.simulator.command\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_what_the_server_installs_alone_is_what_the_gate_is_held_to():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][
        "server"
    ]
    names = {re.split(r"[\[><=;~ ]", requirement)[0].replace("-", "_") for requirement in extras}
    assert names == set(SERVER_ONLY)
