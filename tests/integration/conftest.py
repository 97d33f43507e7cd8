"""A site on databases of its own for every command that needs one, and the command line to a site that is served."""

from pathlib import Path

import pytest

from gatekeeper.embedded import EmbeddedPostgres
from tests.integration.cli_hold import Hold, found_hold, made_databases
from tests.integration.people_site import Registry, saying


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test remembers of a log, no other test recalls."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def hold_databases(postgres_server: EmbeddedPostgres) -> tuple[str, str]:
    """The addresses of the database of the holds and of the one of their vaults; each hold has a site of its own there."""
    return made_databases(postgres_server)


@pytest.fixture
def hold(
    hold_databases: tuple[str, str],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Hold:
    """A small site, founded and opened, and the command line to speak of it."""
    return found_hold(hold_databases, capfd, tmp_path, monkeypatch)


@pytest.fixture
def registry(served: Registry, capfd: pytest.CaptureFixture[str]) -> Registry:
    """The command line to the site that a module has `served`, with what it says in this test."""
    served.say = saying(capfd)
    return served
