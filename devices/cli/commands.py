"""The commands of `gatekeeper-device`: what one does at a gate. Data goes to stdout, talk to stderr.

    enrol   make the gate's keys here, and ask for its place at the site: over the network with a code, or by hand
    check   whether a gate's folder is in order
    checkpoint  the newest checkpoint of the log that the gate remembers, for an auditor to take along
    run     be the gate
    simulate  let the people of an example site walk
    conformance  examine a gate of another maker

It makes no site and no trust list, but for a throw-away one to examine with; those come from the site, by hand.

A command's modules are imported when it is asked for: a gate that runs has little memory, and no use for a simulator's.
"""

import typer

from gatekeeper.on_demand import Where, group_of

__all__ = ["app"]

_COMMANDS = {
    "enrol": Where(
        module="devices.enrolling",
        attribute="enrol",
        help="Make this gate's keys here and ask for its place at the site, which two people grant after comparing the fingerprint.",
    ),
    "check": Where(
        module="devices.cli.gate",
        attribute="check",
        help="Say whether a gate's folder is in order, what it may decide alone, which hardware it has and whether that can be opened, and which key it holds.",
    ),
    "checkpoint": Where(
        module="devices.cli.gate",
        attribute="checkpoint",
        help="Print the newest checkpoint that this gate remembers, as the log signed it, for `gatekeeper audit verify --checkpoint`.",
    ),
    "run": Where(
        module="devices.cli.gate",
        attribute="run",
        help="Be this gate until stopped (SIGINT or SIGTERM), with the hardware and the bridge that gate.json gives it.",
    ),
    "simulate": Where(
        module="devices.simulator.command",
        attribute="simulate",
        help="Let people walk through real gates with real badges, until stopped.",
    ),
    "conformance": Where(
        module="devices.examination.command",
        attribute="conformance",
        help="Play the service for one foreign gate, and judge what it does by schemas/MAKERS.md.",
    ),
}

app = typer.Typer(
    cls=group_of(_COMMANDS),
    name="gatekeeper-device",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def gatekeeper_device() -> None:
    """What one does at a gate."""
