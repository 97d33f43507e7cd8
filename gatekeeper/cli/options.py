"""Options that many commands share, and the settings that they make."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from gatekeeper.app import databases
from gatekeeper.config import Settings
from gatekeeper.observe.logging import configure

__all__ = [
    "Broker",
    "Data",
    "Dsn",
    "JsonOutput",
    "Operator",
    "Site",
    "UnusedVaultDsn",
    "VaultDsn",
    "in_order",
    "log_database",
    "looking_settings",
    "quiet_settings",
    "run",
]

_T = TypeVar("_T")

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder for keys and embedded servers; else .gatekeeper.")
]
Site = Annotated[str | None, typer.Option("--site", help="Which site, when the folder holds several.")]
Operator = Annotated[
    str | None, typer.Option("--operator", help="Who signs; else the only one whose key here may.")
]
Dsn = Annotated[str | None, typer.Option("--dsn", help="PostgreSQL of the log; without it the embedded one.")]
VaultDsn = Annotated[str | None, typer.Option("--vault-dsn", help="PostgreSQL of the persons' keys.")]
UnusedVaultDsn = Annotated[
    str | None,
    typer.Option("--vault-dsn", hidden=True, help="Not needed: nothing that is personal is opened here."),
]
Broker = Annotated[str | None, typer.Option("--broker", help="MQTT broker; without it the embedded one.")]
JsonOutput = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


def quiet_settings(**given: Any) -> Settings:
    """The settings of a command that answers and ends: warnings only, unless set otherwise."""
    return _quiet(Settings.read(**given))


def looking_settings(*, dsn: str | None, **given: Any) -> Settings:
    """The settings of a command that only looks at the log: it needs its database, and no vault."""
    environment = dict(os.environ)
    environment.pop("GATEKEEPER_VAULT_DSN", None)
    named = environment.pop("GATEKEEPER_DSN", "")
    return replace(_quiet(Settings.read(environment, **given)), dsn=named if dsn is None else dsn)


@asynccontextmanager
async def log_database(settings: Settings) -> AsyncIterator[str]:
    """The log's database, for who looks at it: a named one as it is, else a running service's or the embedded one."""
    if settings.dsn:
        yield settings.dsn
    else:
        async with databases(settings) as (dsn, _):
            yield dsn


def in_order(app: typer.Typer, *names: str) -> None:
    """Let the help list an app's commands in this order, whichever module they come from."""
    app.registered_commands.sort(key=lambda command: names.index(command.name or ""))


def _quiet(settings: Settings) -> Settings:
    configure(level="warning" if settings.log_level == "info" else settings.log_level, pretty=True)
    return settings


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a command's work on the faster loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
