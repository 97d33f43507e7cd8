"""Settings: where they come from, and what stops the start with a sentence."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.app import running
from gatekeeper.config import SettingError, Settings

LOG, VAULT = "postgresql://db/log", "postgresql://db/vault"
AT_GATES = {"GATEKEEPER_BROKER": "mqtts://broker", "GATEKEEPER_BROKER_CERTIFICATE": "service.pem"}


def test_nothing_need_be_set():
    settings = Settings.read({})
    assert settings == Settings()
    assert (settings.data, settings.dsn, settings.broker) == (Path(".gatekeeper"), "", "")
    assert settings.http_host == "127.0.0.1", "nothing is served to the network unless somebody says so"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("GATEKEEPER_DATA", "/srv/gatekeeper", "data", Path("/srv/gatekeeper")),
        ("GATEKEEPER_SITE", "fort", "site", "fort"),
        ("GATEKEEPER_BROKER", "mqtt://broker:1883", "broker", "mqtt://broker:1883"),
        ("GATEKEEPER_BROKER_PASSWORD_FILE", "/run/secret", "broker_password_file", Path("/run/secret")),
        ("GATEKEEPER_HTTP_PORT", "0", "http_port", 0),
        ("GATEKEEPER_GATE_RATE", "0.5", "gate_rate", 0.5),
        ("GATEKEEPER_GATE_BURST", "1", "gate_burst", 1.0),
        ("GATEKEEPER_WITNESSES", "/etc/policy", "witnesses", Path("/etc/policy")),
        ("GATEKEEPER_WITNESS_INTERVAL", "60", "witness_interval", 60.0),
        ("GATEKEEPER_TSA", "https://tsa.example/tsr", "tsa", "https://tsa.example/tsr"),
        ("GATEKEEPER_ENROLMENT_URL", "https://desk:8443", "enrolment_url", "https://desk:8443"),
        ("GATEKEEPER_CERTIFICATE_HOURS", "24", "certificate_hours", 24.0),
        ("GATEKEEPER_TSA_INTERVAL", "60", "tsa_interval", 60.0),
        ("GATEKEEPER_ONVIF", "true", "onvif", True),
        ("GATEKEEPER_ONVIF", "false", "onvif", False),
        ("GATEKEEPER_ONVIF_PASSWORD_FILE", "/run/secret", "onvif_password_file", Path("/run/secret")),
        ("GATEKEEPER_LOG_LEVEL", "warning", "log_level", "warning"),
        ("GATEKEEPER_MOSQUITTO", "/usr/sbin/mosquitto", "mosquitto", Path("/usr/sbin/mosquitto")),
    ],
)
def test_the_environment_is_read_as_what_the_setting_is(variable: str, text: str, name: str, value: Any):
    found = getattr(Settings.read({variable: text}), name)
    assert (found, type(found)) == (value, type(value))


def test_the_command_line_wins_over_the_environment_and_the_environment_over_the_default():
    environment = {
        "GATEKEEPER_SITE": "castle",
        "GATEKEEPER_HTTP_PORT": "9000",
        "GATEKEEPER_LOG_LEVEL": "error",
    }
    settings = Settings.read(environment, site="fort", http_port=0, log_level=None)
    assert (settings.site, settings.http_port, settings.log_level) == ("fort", 0, "error")
    assert settings.prefix == "gk"


def test_the_process_environment_is_read_when_no_other_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GATEKEEPER_SITE", "fort")
    assert Settings.read().site == "fort"


@pytest.mark.parametrize(
    "variable", ["GATEKEEPER_HTTP_PRT", "GATEKEEPER_", "GATEKEEPER_DSN_", "GATEKEEPER_VECTOR"]
)
def test_a_misspelt_setting_stops_the_start_with_all_that_there_are(variable: str):
    with pytest.raises(SettingError) as refused:
        Settings.read({variable: "1"})
    assert str(refused.value).startswith(f"{variable} is no setting; the settings are broker, ")
    assert all(item.name in str(refused.value) for item in fields(Settings))


@pytest.mark.parametrize(
    "variable", ["PATH", "GATEKEEPERS_SITE", "NOT_GATEKEEPER_SITE", "GATEKEEPER_VECTORS"]
)
def test_what_is_not_ours_in_the_environment_is_left_alone(variable: str):
    assert Settings.read({variable: "whatever"}) == Settings()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"GATEKEEPER_HTTP_PORT": "http"}, "GATEKEEPER_HTTP_PORT is no number."),
        ({"GATEKEEPER_HTTP_PORT": ""}, "GATEKEEPER_HTTP_PORT is no number."),
        ({"GATEKEEPER_HTTP_PORT": "80.5"}, "GATEKEEPER_HTTP_PORT is no number."),
        ({"GATEKEEPER_HTTP_PORT": "-1"}, "http_port is a number from 0 to 65535."),
        ({"GATEKEEPER_HTTP_PORT": "65536"}, "http_port is a number from 0 to 65535."),
        ({"GATEKEEPER_GATE_RATE": "fast"}, "GATEKEEPER_GATE_RATE is no number."),
        ({"GATEKEEPER_GATE_RATE": "0"}, "gate_rate is above 0"),
        ({"GATEKEEPER_GATE_RATE": "-5"}, "gate_rate is above 0"),
        ({"GATEKEEPER_GATE_BURST": "0.9"}, "gate_burst is 1 or more"),
        ({"GATEKEEPER_WITNESS_INTERVAL": "9.9"}, "witness_interval is a number of seconds from 10 to 60."),
        ({"GATEKEEPER_WITNESS_INTERVAL": "61"}, "witness_interval is a number of seconds from 10 to 60."),
        ({"GATEKEEPER_WITNESS_INTERVAL": "nan"}, "witness_interval is a number of seconds from 10 to 60."),
        ({"GATEKEEPER_LOG_LEVEL": "loud"}, "log_level is one of debug, info, warning, error, not 'loud'."),
        ({"GATEKEEPER_LOG_LEVEL": "INFO"}, "log_level is one of debug, info, warning, error, not 'INFO'."),
        ({"GATEKEEPER_ONVIF": "yes"}, "GATEKEEPER_ONVIF is true or false."),
        ({"GATEKEEPER_ONVIF": "True"}, "GATEKEEPER_ONVIF is true or false."),
        ({"GATEKEEPER_ONVIF": ""}, "GATEKEEPER_ONVIF is true or false."),
        ({"GATEKEEPER_PREFIX": "a/b"}, "prefix is one level of a topic"),
        ({"GATEKEEPER_PREFIX": ""}, "prefix is one level of a topic"),
        ({"GATEKEEPER_HOMEASSISTANT": "homeassistant"}, "homeassistant discovers what onvif tells"),
        (
            {"GATEKEEPER_ONVIF": "true", "GATEKEEPER_HOMEASSISTANT": "a/b"},
            "homeassistant is one level of a topic",
        ),
        ({"GATEKEEPER_ONVIF": "true", "GATEKEEPER_HOMEASSISTANT": "gk"}, "two levels of topics"),
        ({"GATEKEEPER_TSA": "tsa.example"}, "tsa is a URL as http[s]://"),
        ({"GATEKEEPER_TSA": "ftp://tsa.example"}, "tsa is a URL as http[s]://"),
        ({"GATEKEEPER_TSA": "http://"}, "tsa is a URL as http[s]://"),
        ({"GATEKEEPER_TSA": "http://me:secret@tsa.example"}, "without user or password in it"),
        ({"GATEKEEPER_TSA": "http://tsa.example:70000"}, "tsa is a URL as http[s]://"),
        ({"GATEKEEPER_TSA": "http://[::1"}, "tsa is a URL as http[s]://"),
        ({"GATEKEEPER_TSA_INTERVAL": "59"}, "tsa_interval is a number of seconds, 60 or more."),
        ({"GATEKEEPER_TSA_INTERVAL": "inf"}, "tsa_interval is a number of seconds, 60 or more."),
        ({"GATEKEEPER_TSA_INTERVAL": "nan"}, "tsa_interval is a number of seconds, 60 or more."),
        ({"GATEKEEPER_ENROLMENT_URL": "desk.example"}, "enrolment_url is a URL as https://host:port"),
        ({"GATEKEEPER_ENROLMENT_URL": "http://desk.example:8443"}, "enrolment_url is a URL as https://"),
        ({"GATEKEEPER_ENROLMENT_URL": "https://desk.example"}, "enrolment_url is a URL as https://host:port"),
        ({"GATEKEEPER_ENROLMENT_URL": "https://desk.example:8443/enrol"}, "and nothing behind it."),
        ({"GATEKEEPER_ENROLMENT_URL": "https://me@desk.example:8443"}, "enrolment_url is a URL as https://"),
        ({"GATEKEEPER_CERTIFICATE_HOURS": "0.5"}, "certificate_hours is a number of hours from 1 to 2160."),
        ({"GATEKEEPER_CERTIFICATE_HOURS": "2161"}, "certificate_hours is a number of hours from 1 to 2160."),
        ({"GATEKEEPER_CERTIFICATE_HOURS": "nan"}, "certificate_hours is a number of hours from 1 to 2160."),
        (
            {"GATEKEEPER_BROKER_CERTIFICATE": "a.pem"},
            "broker_certificate is for a broker that is reached as mqtts",
        ),
        (
            {"GATEKEEPER_ONVIF_CERTIFICATE": "a.pem"},
            "onvif_certificate is for a broker that is reached as mqtts",
        ),
        (
            {"GATEKEEPER_ONVIF_AUTHORITY": "ca.pem"},
            "onvif_authority is for a broker that is reached as mqtts",
        ),
        (
            {**AT_GATES, "GATEKEEPER_ONVIF_CERTIFICATE": "service.pem"},
            "with broker_certificate the two sessions would evict each other",
        ),
        ({"GATEKEEPER_DSN": LOG}, "dsn and vault_dsn go together"),
        ({"GATEKEEPER_VAULT_DSN": VAULT}, "dsn and vault_dsn go together"),
        ({"GATEKEEPER_DSN": LOG, "GATEKEEPER_VAULT_DSN": LOG}, "names the same database as dsn"),
    ],
    ids=str,
)
def test_a_bad_value_stops_the_start_with_a_sentence(environment: dict[str, str], sentence: str):
    with pytest.raises(SettingError) as refused:
        Settings.read(environment)
    assert sentence in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"http_port": 65536}, "http_port"),
        ({"log_level": "loud"}, "log_level"),
        ({"dsn": LOG}, "go together"),
    ],
)
def test_a_bad_value_on_the_command_line_stops_the_start_as_well(given: dict[str, Any], sentence: str):
    with pytest.raises(SettingError, match=sentence):
        Settings.read({}, **given)


def test_a_password_in_an_address_is_not_repeated_in_a_refusal():
    environment = {"GATEKEEPER_DSN": "postgresql://clerk:hunter2@db/log"}
    with pytest.raises(SettingError) as refused:
        Settings.read(environment)
    assert "hunter2" not in str(refused.value)


def test_nothing_is_told_outward_unless_somebody_says_so():
    assert (Settings().onvif, Settings().homeassistant) == (False, "")
    told = Settings.read({"GATEKEEPER_ONVIF": "true", "GATEKEEPER_HOMEASSISTANT": "homeassistant"})
    assert (told.onvif, told.homeassistant) == (True, "homeassistant")


def test_two_databases_of_one_server_are_two_databases():
    settings = Settings.read({"GATEKEEPER_DSN": LOG, "GATEKEEPER_VAULT_DSN": VAULT})
    assert (settings.dsn, settings.vault_dsn) == (LOG, VAULT)


def test_every_setting_says_what_it_means():
    for item in fields(Settings):
        description = item.metadata["description"]
        assert description[0].isupper() or description.startswith("debug"), item.name
        assert description.endswith("."), item.name


@pytest.mark.parametrize("name", ["GATEKEEPER_GATE_RATE", "GATEKEEPER_GATE_BURST"])
@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_an_allowance_that_is_no_finite_number_stops_the_start(name: str, text: str):
    with pytest.raises(SettingError):
        Settings.read({name: text})


@pytest.mark.parametrize("prefix", ["", "a/b", "+", "#", "gk\0", "g k"])
def test_a_prefix_that_is_no_topic_level_stops_the_start(prefix: str):
    with pytest.raises(SettingError):
        Settings.read({}, prefix=prefix)


@pytest.mark.parametrize(
    ("log", "vault"),
    [
        ("postgresql://db/log", "postgresql://db:5432/log"),
        ("postgresql://a@localhost/log", "postgresql://b@127.0.0.1/log"),
        ("postgresql:///log?host=/run/pg", "postgresql:///log?host=/run/pg"),
    ],
)
def test_one_database_under_two_spellings_is_one_database(log: str, vault: str):
    with pytest.raises(SettingError, match="same database"):
        Settings.read({}, dsn=log, vault_dsn=vault)


def test_an_address_that_is_none_is_left_to_the_database_to_refuse():
    settings = Settings.read({}, dsn="postgresql://[::1", vault_dsn="postgresql://vault/vault")
    assert settings.dsn == "postgresql://[::1"


WITH_NO_PID = '{"pid": 100000000000000000000, "premises": {"dsn": "a", "vault_dsn": "b", "broker": "c"}}'


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"pid": 1}', '{"pid": "x", "premises": {}}', WITH_NO_PID]
)
def test_a_note_of_what_is_running_that_cannot_be_read_is_told_in_a_sentence(text: str, tmp_path: Path):
    (tmp_path / "running.json").write_text(text)
    with pytest.raises(SettingError, match="cannot be read"):
        running(Settings.read({}, data=tmp_path))
