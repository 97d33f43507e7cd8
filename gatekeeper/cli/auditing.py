"""`gatekeeper audit`: prove that the log is whole. Each command is imported when it is called."""

import typer

from gatekeeper.cli.on_demand import Where, group_of

__all__ = ["app"]

_COMMANDS = {
    "verify": Where(
        module="gatekeeper.cli.verdict",
        attribute="verify",
        help="Verify a bundle offline, or re-hash every stored body, rebuild every tree, and compare with what was "
        "signed and seen.",
    ),
}

app = typer.Typer(cls=group_of(_COMMANDS), no_args_is_help=True, help="Prove that the log is whole.")


@app.callback()
def _group() -> None:
    """Make a group of what is imported later."""
