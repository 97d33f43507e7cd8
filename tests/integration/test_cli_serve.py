"""`gatekeeper serve`: what keeps it from serving is told in a sentence, at once and before it says that it serves."""

import socket
from pathlib import Path

import pytest

from tests.integration.cli_hold import Hold

pytestmark = pytest.mark.integration

NO_BROKER = "mqtt://127.0.0.1:1"


def test_a_database_that_does_not_hold_the_site_is_not_served(hold: Hold):
    for table in ("document", "tree_head", "holder", "badge", "operator"):
        hold.run(f"DELETE FROM {table} WHERE site_id = $1")
    hold.run("DELETE FROM site WHERE site_id = $1")
    said = hold("serve", "--broker", NO_BROKER, "--http-port", 0)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"The database holds no site {hold.site}; gatekeeper site init founds it.\n"


def test_a_site_whose_opening_failed_half_way_is_not_served(hold: Hold):
    hold.run("DELETE FROM document WHERE site_id = $1")
    assert hold("serve", "--broker", NO_BROKER, "--http-port", 0).err.startswith(
        "The database holds no site "
    )


def test_a_site_without_keys_is_not_served(hold: Hold):
    said = hold("serve", "--site", "nosuch", "--broker", NO_BROKER)
    assert (said.code, said.err) == (
        2,
        f"{hold.data / 'sites' / 'nosuch'} holds no site: the keys with which nosuch is served are missing.\n",
    )


@pytest.mark.parametrize("key", ["decision.pem", "log.pem"])
def test_a_key_that_is_none_is_told_before_anything_is_started(key: str, hold: Hold):
    path = hold.data / "sites" / hold.site / "keys" / key
    path.write_text("no key")
    said = hold.say("serve", "--data", hold.data)
    assert (said.code, said.err) == (2, f"{path} is no private key of a known form.\n")
    assert {place.name for place in hold.data.iterdir()} == {"operators", "sites"}, "no server was started"


def test_a_port_that_is_taken_is_told_before_anything_is_started(hold: Hold):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = hold.say("serve", "--data", hold.data, "--http-port", port)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"Metrics and health cannot be served at 127.0.0.1:{port}: Address already in use.\n"
    assert {place.name for place in hold.data.iterdir()} == {"operators", "sites"}, "no server was started"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "{setting} cannot be read: {file}: No such file or directory.\n"),
        (b"\xff\xfe", "{setting} is no text: {file}.\n"),
    ],
    ids=["missing", "no text"],
)
@pytest.mark.parametrize("setting", ["broker_password_file", "onvif_password_file"])
def test_a_password_file_that_cannot_be_read_is_told_before_anything_is_started(
    setting: str,
    content: bytes | None,
    sentence: str,
    hold: Hold,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(f"GATEKEEPER_{setting.upper()}", str(file))
    said = hold.say("serve", "--data", hold.data, "--http-port", 0)
    assert (said.code, said.out, said.err) == (2, "", sentence.format(setting=setting, file=file))
    assert {place.name for place in hold.data.iterdir()} == {"operators", "sites"}, "no server was started"


@pytest.mark.parametrize("url", ["nonsense", "http://broker", "mqtt://user:secret@broker/path"])
def test_an_address_for_outward_events_that_is_none_is_told_before_anything_is_started(
    url: str, hold: Hold, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GATEKEEPER_ONVIF", "true")
    monkeypatch.setenv("GATEKEEPER_ONVIF_BROKER", url)
    said = hold.say("serve", "--data", hold.data, "--http-port", 0)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("onvif_broker cannot be used. The broker's URL ")
    assert "secret" not in said.err
    assert {place.name for place in hold.data.iterdir()} == {"operators", "sites"}, "no server was started"


def test_a_certificate_that_would_evict_the_engine_tells_nothing_outward(
    hold: Hold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for setting, value in (("ONVIF", "true"), ("BROKER", "mqtts://127.0.0.1:1")):
        monkeypatch.setenv(f"GATEKEEPER_{setting}", value)
    hold.say("ca", "init", "--data", hold.data)
    own, copied = tmp_path / "service.pem", tmp_path / "copied.pem"
    hold.say("ca", "service", "--out", own, "--data", hold.data)
    monkeypatch.setenv("GATEKEEPER_BROKER_CERTIFICATE", str(own))
    said = hold.say("serve", "--data", hold.data, "--http-port", 0)
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("set onvif_certificate (gatekeeper ca outward makes one).\n")
    copied.write_bytes(own.read_bytes())
    (tmp_path / "nothing.pem").write_text("no certificate")
    for file, sentence in (
        (copied, "onvif_certificate is the service's own"),
        (tmp_path / "nothing.pem", "onvif_certificate holds no certificate"),
        (tmp_path / "none.pem", "onvif_certificate cannot be read"),
    ):
        monkeypatch.setenv("GATEKEEPER_ONVIF_CERTIFICATE", str(file))
        said = hold.say("serve", "--data", hold.data, "--http-port", 0)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f"{sentence}: {file}")
    assert {place.name for place in hold.data.iterdir()} == {"operators", "sites"}, "no server was started"


def test_a_service_that_the_broker_did_not_accept_never_says_that_it_serves(hold: Hold):
    said = hold("serve", "--broker", NO_BROKER, "--http-port", 0)
    assert said.code == 2
    assert "metrics and health http" not in said.err
    assert said.err.splitlines()[-1].startswith(
        "The MQTT broker mqtt://127.0.0.1:1 could not be reached within 10 s"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "witnesses cannot be read: {file}: No such file or directory.\n"),
        (
            "quorum a\n",
            "{file}: The policy of witnesses is refused: A name is not defined above, or is a member of a group already. (line 1)\n",
        ),
        (
            "quorum none\n",
            "{file}: The policy of witnesses gives the URL of at least one witness, and at most 64 keys.\n",
        ),
    ],
    ids=["missing", "no policy", "of nobody"],
)
def test_a_policy_of_witnesses_that_cannot_be_followed_is_told_before_anything_is_started(
    content: str | None, sentence: str, hold: Hold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "policy"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("GATEKEEPER_WITNESSES", str(file))
    said = hold.say("serve", "--data", hold.data, "--http-port", 0)
    assert (said.code, said.out, said.err) == (2, "", sentence.format(file=file))
    assert {place.name for place in hold.data.iterdir()} == {"operators", "sites"}, "no server was started"
