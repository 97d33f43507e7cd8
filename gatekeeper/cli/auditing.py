"""`gatekeeper audit`: prove that the log is whole. Each command is imported when it is called."""

import typer

from gatekeeper.cli.on_demand import Where, group_of

__all__ = ["app"]

_COMMANDS = {
    "export": Where(
        module="gatekeeper.cli.log_export",
        attribute="export",
        help="Write a tree of the log, or a part of it, as a bundle that proves itself.",
    ),
    "verify": Where(
        module="gatekeeper.cli.verdict",
        attribute="verify",
        help="Verify a bundle offline, or re-hash every stored body, rebuild every tree, and compare with what was "
        "signed and seen.",
    ),
    "tiles": Where(
        module="gatekeeper.cli.tiles",
        attribute="tiles",
        help="Write a tree as a folder of checkpoint, tiles and entry bundles that any reader of tlog-tiles checks.",
    ),
}

app = typer.Typer(cls=group_of(_COMMANDS), no_args_is_help=True, help="Prove that the log is whole.")


@app.callback()
def _group() -> None:
    """Make a group of what is imported later."""
