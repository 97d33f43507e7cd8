"""The settings that options make, and what commands run on."""

import asyncio
import functools
import inspect
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import typer
import uvloop

from gatekeeper.app import databases
from gatekeeper.cli.asked import Broker, Data, Dsn, JsonOutput, Operator, Site, VaultDsn
from gatekeeper.config import Settings
from gatekeeper.observe.logging import configure

__all__ = [
    "Broker",
    "Data",
    "Dsn",
    "JsonOutput",
    "Operator",
    "Site",
    "VaultDsn",
    "in_order",
    "looking_databases",
    "looking_settings",
    "quiet_settings",
    "run",
]

_T = TypeVar("_T")

_PLACE: Mapping[str, Any] = {"data": Data, "site": Site, "dsn": Dsn, "vault_dsn": VaultDsn}


def at_a_site(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which site and where its databases are; it gets the `settings` they make."""
    return _with_options(command, _PLACE)


def by_an_operator(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that hands a change in, and the option that says who signs."""
    return _with_options(command, {**_PLACE, "operator": Operator})


def _with_options(command: Callable[..., None], options: Mapping[str, Any]) -> Callable[..., None]:
    own = inspect.signature(command)
    asked = [one for name, one in own.parameters.items() if name != "settings"]
    further = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]

    @functools.wraps(command)
    def told(**given: Any) -> None:
        settings = quiet_settings(**{name: given.pop(name) for name in options})
        command(**given, settings=settings)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in asked] + further
    told.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    told.__annotations__ = {one.name: one.annotation for one in parameters}
    return told


def quiet_settings(**given: Any) -> Settings:
    """The settings of a command that answers and ends: warnings only, unless set otherwise."""
    return _quiet(Settings.read(**given))


def looking_settings(*, dsn: str | None, vault_dsn: str | None, **given: Any) -> Settings:
    """The settings of a command that only looks at the log: it needs its database, and a vault for names only."""
    environment = dict(os.environ)
    vault = environment.pop("GATEKEEPER_VAULT_DSN", "")
    named = environment.pop("GATEKEEPER_DSN", "")
    return replace(
        _quiet(Settings.read(environment, **given)),
        dsn=named if dsn is None else dsn,
        vault_dsn=vault if vault_dsn is None else vault_dsn,
    )


@asynccontextmanager
async def looking_databases(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    """The databases for who looks at the log: named ones as they are, else a running service's or the embedded ones."""
    if settings.dsn:
        yield settings.dsn, settings.vault_dsn
    else:
        async with databases(settings) as there:
            yield there


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
