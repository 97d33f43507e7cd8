"""What a command needs, imported where it is installed, and named where it is not."""

from importlib import import_module
from types import ModuleType

import typer

from gatekeeper.cli.talk import say

__all__ = ["loaded"]

_MISUSED = 2


def loaded(module: str, what: str) -> ModuleType:
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
