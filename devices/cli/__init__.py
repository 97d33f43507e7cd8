"""`gatekeeper-device`, as it is called: a gate that runs is started without what only reads command lines.

    run with its options as they stand in a unit file   `devices.running`, at once
    every other command, and every line that is wrong   `devices.cli.commands`, by Typer, which says what is wrong

Typer brings pydantic and keeps it: 9 MB for four options, at a gate that runs for years and has little memory. What is read
here is what Typer would read (a test holds that); all else is left to it.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

__all__ = ["main", "options_of_run"]

_RUN: Final[Mapping[str, type[Path | str]]] = {
    "--folder": Path,
    "--broker": str,
    "--authority": Path,
    "--desk": str,
}
_REQUIRED: Final = frozenset({"--folder", "--broker"})
_WITHOUT: Final = ("rich", "greenlet")


def main() -> None:
    """Run the command line."""
    _import_structlog()
    options = options_of_run(sys.argv[1:])
    if options is None:
        import_module("devices.cli.commands").app()
    else:
        import_module("devices.running").run_gate(**options)


def options_of_run(arguments: list[str]) -> dict[str, Path | str] | None:
    """The options of `run` where each is there once, as `--name value` or `--name=value`; None for every other line."""
    if arguments[:1] != ["run"]:
        return None
    words = [part for word in arguments[1:] for part in (word.split("=", 1) if word[:2] == "--" else [word])]
    names, values = words[::2], words[1::2]
    is_plain = len(names) == len(values) == len(set(names)) and not any(value[:1] == "-" for value in values)
    if not is_plain or not _REQUIRED <= set(names) <= _RUN.keys():
        return None
    return {name[2:]: _RUN[name](value) for name, value in zip(names, values, strict=True)}


def _import_structlog() -> None:
    """Let structlog find neither rich nor greenlet, which it takes along where they are: 5 MB that no gate has a use for."""
    hidden = dict.fromkeys(name for name in _WITHOUT if name not in sys.modules)
    sys.modules.update(hidden)  # type: ignore[arg-type]
    import_module("structlog")
    for name in hidden:
        del sys.modules[name]
