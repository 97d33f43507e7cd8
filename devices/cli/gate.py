"""What `gatekeeper-device` does with the folder of one gate: check it, print its newest checkpoint, be the gate."""

from pathlib import Path
from typing import Annotated

import typer

from devices.bridges.settings import bridged
from devices.checkpoint_file import memory_document
from devices.hardware.fitting import opened
from devices.hardware.ports import HardwareError
from devices.holdings import told
from devices.running import REFUSED, fail, run_gate, say, say_hardware, settings_in
from devices.settings import GateSettings
from gatekeeper.core.enrolment import fingerprint
from gatekeeper.core.log_keys import log_verifiers
from gatekeeper.model.trees import SITE_TREE

__all__ = ["check", "checkpoint", "run"]

Folder = Annotated[
    Path, typer.Option(help="The gate's folder: gate.json, key.pem, anchor.json, trust.cose ...")
]


def check(folder: Folder) -> None:
    """Say whether a gate's folder is in order, what it may decide alone, which hardware it has and whether that can be opened, and which key it holds.

    Exit 1: something is not.
    """
    settings = settings_in(folder)
    say(
        f"{settings.gate} at {settings.site} is in order, with version {settings.trust.version} of the trust list."
    )
    if settings.bridge is not None:
        say(f"It is a bridge, at {', '.join(sorted(bridged(settings.bridge)))}.")
    if not log_verifiers(settings.trust, SITE_TREE):
        say("Its trust list names no key that signs the log: it will remember no checkpoint.")
    for sentence in told(settings):
        say(sentence)
    typer.echo(fingerprint(settings.key.public_der))
    _check_hardware(settings)


def checkpoint(
    folder: Folder,
    json_output: Annotated[
        bool,
        typer.Option("--json", help="All that is remembered, as JSON: older ones and contradictions too."),
    ] = False,
) -> None:
    """Print the newest checkpoint that this gate remembers, as the log signed it, for `gatekeeper audit verify --checkpoint`.

    Exit 1: it remembers none.
    """
    settings = settings_in(folder)
    memory = settings.checkpoints
    if memory.contradictions:
        say(
            f"ALARM: {settings.gate} was shown a log that contradicts what it remembers "
            f"({len(memory.contradictions)} times): it was rolled back, or it has two faces. --json has the evidence."
        )
    if json_output:
        typer.echo(memory_document(memory), nl=False)
    elif memory.newest is None:
        fail(f"{settings.gate} remembers no checkpoint yet: it has heard none that the log's key signed.")
    else:
        typer.echo(memory.newest.note, nl=False)
        say(f"{memory.newest.size} entries, the newest of {memory.newest.at:%Y-%m-%d %H:%M:%S} UTC.")


def run(
    folder: Folder,
    broker: Annotated[
        str, typer.Option(help="mqtt:// or mqtts://host[:port]; the gate logs in with its own name.")
    ],
    authority: Annotated[
        Path | None, typer.Option(help="The certificates that the broker's must come from (PEM).")
    ] = None,
    desk: Annotated[
        str | None,
        typer.Option(
            help="https://host:port, where its certificate is renewed; its authority is --authority."
        ),
    ] = None,
) -> None:
    """Be this gate until stopped (SIGINT or SIGTERM), with the hardware and the bridge that gate.json gives it.

    Exit 1: it cannot start, or its hardware failed. Exit 75: an operator has it start anew. A service manager starts it anew.
    """
    run_gate(folder=folder, broker=broker, authority=authority, desk=desk)


def _check_hardware(settings: GateSettings) -> None:
    say_hardware(settings)
    closed = False
    for access_point, point in settings.hardware.items():
        if settings.is_simulated:
            continue  # there is nothing to open, and the word would be taken for the door's
        try:
            with opened({access_point: point}):
                say(f"{access_point}: can be opened.")
        except HardwareError as error:
            closed = True
            say(f"{access_point}: cannot be opened: {error}.")
    if closed:
        raise typer.Exit(REFUSED)
