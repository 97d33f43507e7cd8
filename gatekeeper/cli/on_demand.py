"""Groups of commands that are imported when one of them is called, and not before.

Who checks a bundle needs no database driver and no web server, neither installed nor loaded. So a group knows of its
commands where they are and what its help says of them in one sentence (a test holds that against the command itself).
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from gatekeeper.cli.talk import say

__all__ = ["Where", "group_of", "loaded"]

_MISUSED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a command or a group of them is: a module's attribute, and the first sentences of its help."""

    module: str
    attribute: str
    help: str


def group_of(commands: Mapping[str, Where]) -> type[TyperGroup]:
    """The class of a group with these commands, for `typer.Typer(cls=...)`; those registered as usual follow after."""

    class OnDemand(_OnDemand):
        table = commands

    return OnDemand


class _OnDemand(TyperGroup):
    """A group whose help names commands that are not imported, and whose call imports the one that is called."""

    table: Mapping[str, Where]

    def __init__(self, *, commands: Any = None, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.table, commands or {})

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in order."""
        return list(self.commands)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What a help needs of a command, or the command itself where it is at hand."""
        where = self.table.get(cmd_name)
        return (
            super().get_command(ctx, cmd_name)
            if where is None
            else TyperCommand(name=cmd_name, help=where.help)
        )

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is called, imported now."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found if name is None else self.commands[name], rest


class _Commands(MutableMapping[str, Any]):
    """The commands of a group by name; each is imported when it is looked up."""

    def __init__(self, table: Mapping[str, Where], registered: Mapping[str, Any]) -> None:
        self._found: dict[str, Any] = {**dict.fromkeys(table), **registered}
        self._table = table

    @override
    def __getitem__(self, name: str) -> Any:
        if self._found[name] is None:
            self._found[name] = _imported(name, self._table[name])
        return self._found[name]

    @override
    def __setitem__(self, name: str, command: Any) -> None:
        self._found[name] = command

    @override
    def __delitem__(self, name: str) -> None:
        del self._found[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    @override
    def __len__(self) -> int:
        return len(self._found)


def _imported(name: str, where: Where) -> Any:
    found = getattr(loaded(where.module, name), where.attribute)
    around = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    around.callback()(_around)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, help=where.help)
    else:
        around.command(name)(found)
    group: Any = typer.main.get_command(around)
    return group.commands[name]


def _around() -> None:
    """Make a group even of a single command."""


def loaded(module: str, what: str) -> Any:
    """Import what a command needs. Where only an extra is installed, a missing package is no defect: `what` needs it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package in {"", "gatekeeper"}:
            raise
        say(
            f"{what} needs the package {package}, which is not installed: pip install '.[server]' in the folder of "
            "Gatekeeper's source."
        )
        raise typer.Exit(_MISUSED) from missing
