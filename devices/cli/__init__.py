"""`gatekeeper-device`: what one does at a gate. Data goes to stdout, talk to stderr.

    enrol   make the gate's keys here, and ask for its place at the site: over the network with a code, or by hand
    check   whether a gate's folder is in order
    checkpoint  the newest checkpoint of the log that the gate remembers, for an auditor to take along
    run     be the gate
    simulate  let the people of an example site walk
    conformance  examine a gate of another maker

It makes no site and no trust list, but for a throw-away one to examine with; those come from the site, by hand.

A command's modules are imported when it is asked for: a gate that runs has little memory, and no use for a simulator's.
"""

import sys
from importlib import import_module
from typing import Final, cast

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["app", "main"]

_STANDS_IN: Final = {
    "enrol": "devices.enrolling",
    "check": "devices.cli.gate",
    "checkpoint": "devices.cli.gate",
    "run": "devices.cli.gate",
    "simulate": "devices.simulator.command",
    "conformance": "devices.examination.command",
}
"""The commands, and the module in which each is the function of its name."""


class _Commands(TyperGroup):
    """Commands that are imported when they are asked for."""

    def list_commands(self, ctx: object) -> list[str]:  # type: ignore[explicit-override] # noqa: ARG002 - the framework's
        return list(_STANDS_IN)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | None:  # type: ignore[explicit-override] # noqa: ARG002 - the framework's
        if cmd_name not in _STANDS_IN:
            return None
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(cmd_name)(getattr(import_module(_STANDS_IN[cmd_name]), cmd_name))
        return cast("TyperCommand", typer.main.get_command(alone))


app = typer.Typer(
    cls=_Commands,
    name="gatekeeper-device",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def gatekeeper_device() -> None:
    """What one does at a gate."""


def main() -> None:
    """Run the command line."""
    _import_structlog()
    app()


def _import_structlog() -> None:
    """Let structlog find no rich, which it takes along for tracebacks in colour: 4 MB that no gate has a use for."""
    sys.modules["rich"] = None  # type: ignore[assignment]
    import_module("structlog")
    del sys.modules["rich"]
