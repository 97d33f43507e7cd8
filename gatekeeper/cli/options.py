"""Options that many commands share, and the settings that they make."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from gatekeeper.config import Settings
from gatekeeper.observe.logging import configure

__all__ = ["Broker", "Data", "Dsn", "JsonOutput", "Operator", "Site", "VaultDsn", "quiet_settings", "run"]

_T = TypeVar("_T")

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder for keys and embedded servers [.gatekeeper].")
]
Site = Annotated[str | None, typer.Option("--site", help="Which site, when the folder holds several.")]
Operator = Annotated[
    str | None, typer.Option("--operator", help="Who signs [the only one whose key here may].")
]
Dsn = Annotated[str | None, typer.Option("--dsn", help="PostgreSQL of the log; without it the embedded one.")]
VaultDsn = Annotated[str | None, typer.Option("--vault-dsn", help="PostgreSQL of the persons' keys.")]
Broker = Annotated[str | None, typer.Option("--broker", help="MQTT broker; without it the embedded one.")]
JsonOutput = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


def quiet_settings(**given: Any) -> Settings:
    """The settings of a command that answers and ends: warnings only, unless set otherwise."""
    settings = Settings.read(**given)
    configure(level="warning" if settings.log_level == "info" else settings.log_level, pretty=True)
    return settings


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a command's work on the faster loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
