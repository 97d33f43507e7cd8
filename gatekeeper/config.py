"""The settings of the service: what they are called, what they mean, and where they come from.

A setting comes from the command line, else from the environment (`GATEKEEPER_` and the name in capitals), else from its
default. A `GATEKEEPER_` variable that is no setting stops the process: a misspelt setting must not silently be none.
No setting's default opens a door. README lists them all (a test holds the two together).
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["SettingError", "Settings"]

_PREFIX = "GATEKEEPER_"
_NOT_SETTINGS = frozenset({"GATEKEEPER_VECTORS"})
_TOPIC_LEVEL = re.compile(r"[A-Za-z0-9_-]{1,32}")
_POSTGRES_PORT = 5432
_LEVELS = ("debug", "info", "warning", "error")
_PUBLISHED = ("nothing", "tiles", "entries")


class SettingError(Exception):
    """A setting that is not understood; the message says which and what would be."""


def setting(default: Any, description: str) -> Any:
    """A setting with its default and what it means."""
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set."""

    data: Path = setting(Path(".gatekeeper"), "Folder for keys, and for the embedded broker and database.")
    site: str = setting("", "Which site; may be left out when the data folder holds one only.")
    operator: str = setting("", "Who signs changes; may be left out when only one operator's key here may.")
    dsn: str = setting("", "PostgreSQL of the log, as a URL; empty starts the embedded one.")
    vault_dsn: str = setting(
        "",
        "PostgreSQL of the persons' keys, apart from the log; empty uses a database beside the embedded one.",
    )
    broker: str = setting(
        "", "MQTT broker, as mqtt://host:port or mqtts://...; empty starts the embedded one."
    )
    broker_username: str = setting("", "User name at the broker; empty means service.<site>.")
    broker_password_file: Path | None = setting(
        None, "File with the password at the broker; without it the site folder's own."
    )
    broker_authority: Path | None = setting(
        None, "Certificates that the broker's must come from (PEM); without it those of the system."
    )
    broker_certificate: Path | None = setting(
        None, "The service's certificate and key at the broker, in one file (PEM); then it has no password."
    )
    enrolment_url: str = setting(
        "", "Where gates reach the enrolment desk, as https://host:port; empty: there is none."
    )
    enrolment_host: str = setting("127.0.0.1", "Address at which the enrolment desk listens.")
    certificate_hours: float = setting(
        168.0, "Hours that a gate's certificate lasts, 1 to 2160; it is renewed at two thirds."
    )
    prefix: str = setting("gk", "First level of all topics.")
    http_host: str = setting("127.0.0.1", "Where metrics, health and the published log are served.")
    http_port: int = setting(8080, "Port of metrics, health and the published log; 0 takes a free one.")
    publish: str = setting(
        "tiles",
        "What of the log is served below /log: nothing, tiles (hashes and checkpoints) or entries (bodies too).",
    )
    watch_rate: float = setting(
        2000.0, "Entries a second that are compared with their hashes again and again; 0: none."
    )
    witnesses: Path | None = setting(
        None, "File with the policy (C2SP tlog-policy) of the witnesses that are asked to cosign the log."
    )
    witness_interval: float = setting(15.0, "Seconds between two questions to the witnesses, 10 to 60.")
    tsa: str = setting(
        "", "Time-stamping authority (RFC 3161) for checkpoints, as http[s]://...; empty asks none."
    )
    tsa_interval: float = setting(
        3600.0, "Seconds between two time stamps of a tree that grows, 60 at least."
    )
    onvif: bool = setting(
        False,  # noqa: FBT003 - a setting is named where it is given
        "Whether events and states are told over MQTT in ONVIF's words (true or false).",
    )
    onvif_broker: str = setting("", "Broker for what is told in ONVIF's words; empty is the gates' own.")
    onvif_username: str = setting("", "User name there; empty means outward.<site>.")
    onvif_password_file: Path | None = setting(
        None, "File with the password there; the embedded broker needs none."
    )
    onvif_authority: Path | None = setting(
        None,
        "Certificates that the broker's there must come from (PEM); without it broker_authority at the gates' own broker, "
        "at another those of the system.",
    )
    onvif_certificate: Path | None = setting(
        None,
        "The certificate and key there of who tells, in one file (PEM), apart from the service's; then there is no password.",
    )
    homeassistant: str = setting(
        "", "Prefix under which a Home Assistant discovers the doors, mostly homeassistant; empty tells none."
    )
    gate_rate: float = setting(50.0, "Messages a second that one gate may send, on average.")
    gate_burst: float = setting(200.0, "Messages that one gate may send at once.")
    log_level: str = setting("info", "debug, info, warning or error.")
    postgres_binaries: Path | None = setting(
        None, "Folder of PostgreSQL's programs for the embedded database."
    )
    mosquitto: Path | None = setting(None, "Mosquitto's program for the embedded broker.")

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, **given: Any) -> "Settings":
        """Read the settings; `given` (from the command line) wins where it is not None. Raises SettingError."""
        source = os.environ if environment is None else environment
        known = {item.name: item for item in fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in source.items():
            if not variable.startswith(_PREFIX) or variable in _NOT_SETTINGS:
                continue
            name = variable.removeprefix(_PREFIX).lower()
            if name not in known:
                raise SettingError(f"{variable} is no setting; the settings are {', '.join(sorted(known))}.")
            values[name] = _parse(name, text, known[name].type)
        values |= {name: value for name, value in given.items() if value is not None}
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        if self.log_level not in _LEVELS:
            raise SettingError(f"log_level is one of {', '.join(_LEVELS)}, not {self.log_level!r}.")
        if self.publish not in _PUBLISHED:
            raise SettingError(f"publish is one of {', '.join(_PUBLISHED)}, not {self.publish!r}.")
        if not 0 <= self.watch_rate < math.inf:
            raise SettingError("watch_rate is 0 or more, and finite.")
        if not 0 <= self.http_port <= 65535:
            raise SettingError("http_port is a number from 0 to 65535.")
        if not 10 <= self.witness_interval <= 60:
            raise SettingError("witness_interval is a number of seconds from 10 to 60.")
        if not (0 < self.gate_rate < math.inf and 1 <= self.gate_burst < math.inf):
            raise SettingError(
                "gate_rate is above 0 and gate_burst is 1 or more, both finite; else no gate could scan, or any could flood."
            )
        self._check_identity()
        if self.tsa and not _is_http_url(self.tsa):
            raise SettingError("tsa is a URL as http[s]://host[:port]/path, without user or password in it.")
        if not 60 <= self.tsa_interval < math.inf:
            raise SettingError("tsa_interval is a number of seconds, 60 or more.")
        self._check_outward()
        self._check_topics()
        if bool(self.dsn) != bool(self.vault_dsn):
            raise SettingError(
                "dsn and vault_dsn go together: the persons' keys never share a database with the log."
            )
        if self.dsn and _same_database(self.dsn, self.vault_dsn):
            raise SettingError(
                "vault_dsn names the same database as dsn; the persons' keys need one of their own."
            )

    def _check_identity(self) -> None:
        if self.enrolment_url and not _is_desk_url(self.enrolment_url):
            raise SettingError("enrolment_url is a URL as https://host:port, and nothing behind it.")
        if not 1 <= self.certificate_hours <= 2160:
            raise SettingError("certificate_hours is a number of hours from 1 to 2160.")
        if self.broker_certificate is not None and not self.broker.startswith("mqtts://"):
            raise SettingError("broker_certificate is for a broker that is reached as mqtts://host:port.")

    def _check_outward(self) -> None:
        where = self.onvif_broker or self.broker
        for name in ("onvif_authority", "onvif_certificate"):
            if getattr(self, name) is not None and not where.startswith("mqtts://"):
                raise SettingError(f"{name} is for a broker that is reached as mqtts://host:port.")
        if self.onvif_certificate is not None and self.onvif_certificate == self.broker_certificate:
            raise SettingError(
                "onvif_certificate is one of its own: with broker_certificate the two sessions would evict each other."
            )

    def _check_topics(self) -> None:
        for name in ("prefix", "homeassistant"):
            if not _TOPIC_LEVEL.fullmatch(getattr(self, name) or self.prefix):
                raise SettingError(
                    f"{name} is one level of a topic: 1 to 32 of letters, digits, '-' and '_'."
                )
        if self.homeassistant and not self.onvif:
            raise SettingError("homeassistant discovers what onvif tells: set onvif to true.")
        if self.homeassistant == self.prefix:
            raise SettingError(
                "homeassistant and prefix are two levels of topics: the first is Home Assistant's."
            )


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and parts.port != 0
        )
    except ValueError:
        return False


def _is_desk_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "https"
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and parts.port not in {None, 0}
            and not (parts.path.strip("/") or parts.query or parts.fragment)
        )
    except ValueError:
        return False


def _same_database(one: str, other: str) -> bool:
    """Whether two addresses mean one database, as far as their spelling shows."""
    return _spelled(one) == _spelled(other)


def _spelled(dsn: str) -> tuple[object, ...]:
    try:
        parts = urlsplit(dsn)
        port = parts.port or _POSTGRES_PORT
    except ValueError:
        return (dsn,)
    return (
        (parts.hostname or "localhost").replace("127.0.0.1", "localhost"),
        port,
        parts.path,
        sorted(parse_qsl(parts.query)),
    )


def _parse(name: str, text: str, kind: Any) -> Any:
    if kind is bool:
        if text not in {"true", "false"}:
            raise SettingError(f"{_PREFIX}{name.upper()} is true or false.")
        return text == "true"
    try:
        if kind in (int, float):
            return kind(text)
    except ValueError:
        raise SettingError(f"{_PREFIX}{name.upper()} is no number.") from None
    return Path(text) if kind in (Path, Path | None) else text
