"""The help of every command is shown as it is written, and says something of every option."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from rich.text import Text
from typer.core import TyperGroup

from devices.cli.commands import app as device
from gatekeeper.cli import app


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*path, name))
    else:
        yield " ".join(path), command


PROGRAMS = {"gatekeeper": typer.main.get_command(app), "gatekeeper-device": typer.main.get_command(device)}
COMMANDS = {name: one for program, group in PROGRAMS.items() for name, one in _commands(group, (program,))}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_of_a_help_is_taken_for_markup(name: str):
    command = COMMANDS[name]
    helps = [command.help or "", *(getattr(param, "help", None) or "" for param in command.params)]
    for said in helps:
        assert Text.from_markup(said).plain == said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name: str):
    command = COMMANDS[name]
    silent = [param.name for param in command.params if not (getattr(param, "help", None) or "").strip()]
    assert (silent, bool(command.help)) == ([], True)


def _groups(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        yield " ".join(path), command
        for name, inner in command.commands.items():
            yield from _groups(inner, (*path, name))


GROUPS = {name: one for program, group in PROGRAMS.items() for name, one in _groups(group, (program,))}


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_says_of_a_command_what_the_command_says_of_itself(name: str):
    group = GROUPS[name]
    context = typer.Context(group, info_name=name)
    said = {inner: group.get_command(context, inner).get_short_help_str(500) for inner in group.commands}
    assert said == {inner: command.get_short_help_str(500) for inner, command in group.commands.items()}
    assert group.list_commands(context) == list(group.commands)


def test_there_are_commands_to_ask_about():
    assert {"gatekeeper holder pin", "gatekeeper site init", "gatekeeper-device run"} <= COMMANDS.keys()
