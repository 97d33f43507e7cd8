"""What the embedded servers do with files: programs found, folders owned, passwords hashed. No server runs."""

import base64
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gatekeeper.embedded import EmbeddedServerError, Role
from gatekeeper.embedded.broker import EmbeddedBroker, free_port
from gatekeeper.embedded.ground import Account, Claim, place, private_folder, reaches
from gatekeeper.embedded.mosquitto_program import find_mosquitto, libraries_beside
from gatekeeper.service.identity.passwords import password_hash

OURSELVES = Account(uid=os.geteuid(), gid=os.getegid())
STRANGER = Account(uid=65_533, gid=65_533)


def test_a_password_is_hashed_as_mosquitto_passwd_does() -> None:
    assert password_hash("p", salt=base64.b64decode("RH466vxEMQpvqnQ8"), iterations=101) == (
        "$7$101$RH466vxEMQpvqnQ8$9xJlU8y8Gn6vsCLwspf+dxPkm29tnQ1K7gSNnigxa8iUrc1f9rGe4c9V8hMKjH3IQLqVffdCoHUKhU9P7rfUEA=="
    )


def test_each_hash_has_a_salt_of_its_own() -> None:
    first, second = password_hash("p"), password_hash("p")
    assert first != second
    _, kind, iterations, salt, derived = first.split("$")
    assert kind == "7"
    assert base64.b64decode(derived) == hashlib.pbkdf2_hmac(
        "sha512", b"p", base64.b64decode(salt), int(iterations)
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 33,
        "Gate",
        "gate/a",
        "gate+",
        "#",
        "gate\nuser root",
        "gate:x",
        "a b",
        "service-a.b",
        "integrator-.a",
    ],
)
async def test_a_name_that_could_widen_rights_is_no_login(name: str, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="no name for a login"):
        await EmbeddedBroker(tmp_path).admit(name, "p")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("service.assen", "gate"),
        ("service.one", "bridge"),
        ("gate-a", "service"),
        ("outward.assen", "gate"),
        ("outward.assen", "service"),
        ("service.assen", "integrator"),
        ("gate-a", "outward"),
        ("integrator-late.assen", "outward"),
        ("integrator-late.assen", "service"),
    ],
)
async def test_who_is_of_a_site_is_named_so_and_nobody_else_is(name: str, role: Role, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="who is of a site, and nobody else, is named after it"):
        await EmbeddedBroker(tmp_path).admit(name, "p", role=role)


def test_a_broker_that_never_ran_has_no_address(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="start it first"):
        _ = EmbeddedBroker(tmp_path).url


async def test_a_program_named_by_a_setting_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="name the path of the program"):
        await find_mosquitto(tmp_path / "absent", unpack_to=tmp_path)


async def test_an_earlier_unpacking_is_used_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mosquitto-unpacked" / "usr" / "sbin" / "mosquitto"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setattr("gatekeeper.embedded.mosquitto_program._SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await find_mosquitto(None, unpack_to=tmp_path) == program


async def test_a_broker_that_cannot_be_had_is_a_sentence_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dnf").write_text("#!/bin/sh\n")
    (tmp_path / "dnf").chmod(0o755)
    monkeypatch.setattr("gatekeeper.embedded.mosquitto_program._SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match="sudo dnf install mosquitto"):
        await find_mosquitto(None, unpack_to=tmp_path)


def test_an_unpacked_program_finds_the_libraries_unpacked_with_it(tmp_path: Path) -> None:
    libraries = tmp_path / "usr" / "lib" / "x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    (libraries / "libcjson.so.1").touch()
    assert libraries_beside(tmp_path / "usr/sbin/mosquitto") == {"LD_LIBRARY_PATH": str(libraries)}


@pytest.mark.parametrize("program", ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/mosquitto"])
def test_a_program_of_the_system_gets_no_libraries_of_ours(program: str) -> None:
    assert libraries_beside(Path(program)) == {}


def test_a_folder_is_reached_only_through_open_ones(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert reaches(OURSELVES, closed / "file")
    assert not reaches(STRANGER, closed / "file")


def test_a_private_folder_is_closed_again_when_somebody_opened_it(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "own", OURSELVES)
    folder.chmod(0o755)
    private_folder(folder, OURSELVES)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_folder_of_ours_is_not_used(tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    (tmp_path / "elsewhere").mkdir()
    if kind == "link":
        other.symlink_to(tmp_path / "elsewhere")
    else:
        other.touch()
    with pytest.raises(EmbeddedServerError, match="remove it, or choose another"):
        private_folder(other, OURSELVES)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "own", STRANGER)
    with pytest.raises(EmbeddedServerError, match="remove it, or choose another"):
        private_folder(folder, OURSELVES)


def test_a_file_is_placed_whole_and_follows_no_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("untouched")
    (tmp_path / "passwords.new").symlink_to(target)
    place(tmp_path / "passwords", "secret", OURSELVES)
    assert (tmp_path / "passwords").read_text() == "secret"
    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o600
    assert target.read_text() == "untouched"


def test_one_claim_at_a_time(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "lock")
    with pytest.raises(EmbeddedServerError, match="in use by another"):
        Claim(tmp_path / "lock")
    claim.release()
    Claim(tmp_path / "lock").release()


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 32_768:
        pytest.skip("this system gives outgoing connections more ports than Linux does by default")
    assert all(free_port() < lowest for _ in range(20))


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_debian_packages_are_unpacked_into_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real unpacking, with a package built here and an `apt-get` that hands it out: no network."""
    from gatekeeper.embedded.mosquitto_program import unpack_mosquitto

    tree = tmp_path / "package"
    program = tree / "usr/sbin/mosquitto"
    program.parent.mkdir(parents=True)
    shutil.copy("/bin/true", program)
    (tree / "DEBIAN").mkdir(mode=0o755)
    (tree / "DEBIAN/control").write_text(
        "Package: mosquitto\nVersion: 1\nArchitecture: all\nMaintainer: us <us@example.org>\nDescription: a test\n"
    )
    subprocess.run(["dpkg-deb", "-b", tree, tmp_path / "mosquitto.deb"], check=True, capture_output=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-get").write_text(
        f'#!/bin/sh\n[ "$1" = download ] && cp {tmp_path}/mosquitto.deb . || true\n'
    )
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)

    unpacked = unpack_mosquitto(tmp_path / "data")

    assert unpacked == tmp_path / "data/mosquitto-unpacked/usr/sbin/mosquitto"
    assert subprocess.run([unpacked], check=False).returncode == 0
    assert not list(unpacked.parents[2].glob("*.deb"))
    assert unpacked == unpack_mosquitto(tmp_path / "data"), "a second time replaces the first"
