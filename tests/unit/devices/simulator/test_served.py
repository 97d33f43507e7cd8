"""Which site people walk on when nobody names one."""

import json
import os
from pathlib import Path

import pytest

from devices.settings import SettingsError
from devices.simulator.served import ServedSite, served_site
from gatekeeper.running import Premises, announced

THERE = Premises(
    dsn="postgresql:///log", vault_dsn="postgresql:///vault", broker="mqtt://a", readers="mqtt://b"
)


def _site(data: Path, name: str) -> Path:
    folder = data / "sites" / name
    folder.mkdir(parents=True)
    (folder / "people.json").write_text("[]")
    return folder


def _served(data: Path, **named: str | Path) -> ServedSite:
    return served_site(data, **{"site": None, "folder": None, "broker": None, "readers": None, **named})  # type: ignore[arg-type]


def test_beside_a_service_nothing_needs_to_be_named(tmp_path: Path):
    folder = _site(tmp_path, "fort")
    _site(tmp_path, ".other.ceremony")
    (tmp_path / "sites" / "real").mkdir()
    with announced(tmp_path, THERE):
        assert _served(tmp_path) == ServedSite(folder=folder, broker="mqtt://a", readers="mqtt://b")


def test_what_is_named_is_not_looked_up(tmp_path: Path):
    named = ServedSite(folder=tmp_path / "far", broker="mqtt://c", readers="mqtt://d")
    assert _served(tmp_path, folder=named.folder, broker="mqtt://c", readers="mqtt://d") == named
    _site(tmp_path, "fort")
    with announced(tmp_path, THERE):
        assert _served(tmp_path, broker="mqtt://c").broker == "mqtt://c"
        assert _served(tmp_path, broker="mqtt://c").readers == "mqtt://b"


def test_of_two_sites_one_is_named(tmp_path: Path):
    _site(tmp_path, "camp")
    fort = _site(tmp_path, "fort")
    with announced(tmp_path, THERE):
        with pytest.raises(SettingsError, match=r"Name the site with --site: .* holds camp, fort"):
            _served(tmp_path)
        assert _served(tmp_path, site="fort").folder == fort
        with pytest.raises(SettingsError, match="keep is no example site"):
            _served(tmp_path, site="keep")


def test_without_a_service_or_a_site_it_says_what_to_do(tmp_path: Path):
    with pytest.raises(SettingsError, match="holds no example site"):
        _served(tmp_path)
    _site(tmp_path, "fort")
    with pytest.raises(SettingsError, match=r"No service runs on .*: start `gatekeeper serve`, or name"):
        _served(tmp_path)


def test_a_service_that_ended_without_a_word_is_not_believed_to_run(tmp_path: Path):
    _site(tmp_path, "fort")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    note = {
        "pid": child,
        "premises": {"dsn": "", "vault_dsn": "", "broker": "mqtt://a", "readers": "mqtt://b"},
    }
    (tmp_path / "running.json").write_text(json.dumps(note))
    with pytest.raises(SettingsError, match="No service runs"):
        _served(tmp_path)
    (tmp_path / "running.json").write_text("{")
    with pytest.raises(SettingsError, match=r"running\.json cannot be read"):
        _served(tmp_path)
