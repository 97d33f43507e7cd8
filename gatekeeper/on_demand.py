"""Groups of commands that are imported when one of them is called, and not before.

Who checks a bundle needs no database driver and no web server, neither installed nor loaded, and a gate that runs has no
memory to spare for a simulator. So a group knows of its commands where they are and what its help says of them in one sentence (a test holds that against the command itself).
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

__all__ = ["Load", "Where", "group_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a command or a group of them is: a module's attribute, and the first sentences of its help."""

    module: str
    attribute: str
    help: str


Load: TypeAlias = Callable[[str, str], ModuleType]
"""Imports a module, the first argument, for what the second names."""


def _load(module: str, what: str) -> ModuleType:
    del what
    return import_module(module)


def group_of(commands: Mapping[str, Where], *, load: Load = _load) -> type[TyperGroup]:
    """The class of a group with these commands, for `typer.Typer(cls=...)`; those registered as usual follow after."""

    class OnDemand(_OnDemand):
        table = commands
        loader = staticmethod(load)

    return OnDemand


class _OnDemand(TyperGroup):
    """A group whose help names commands that are not imported, and whose call imports the one that is called."""

    table: Mapping[str, Where]
    loader: Load

    def __init__(self, *, commands: Any = None, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.table, commands or {}, self.loader)

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

    def __init__(self, table: Mapping[str, Where], registered: Mapping[str, Any], load: Load) -> None:
        self._found: dict[str, Any] = {**dict.fromkeys(table), **registered}
        self._table = table
        self._load = load

    @override
    def __getitem__(self, name: str) -> Any:
        if self._found[name] is None:
            self._found[name] = _imported(name, self._table[name], self._load)
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


def _imported(name: str, where: Where, load: Load) -> Any:
    found = getattr(load(where.module, name), where.attribute)
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
