"""`gatekeeper-device`: what one does at a gate. Data goes to stdout, talk to stderr.

    enrol   make the gate's keys here, and ask for its place at the site: over the network with a code, or by hand
    check   whether a gate's folder is in order
    checkpoint  the newest checkpoint of the log that the gate remembers, for an auditor to take along
    run     be the gate
    simulate  let the people of an example site walk

It makes no site and no trust list; those come from the site, by hand.
"""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from devices.agent import GateAgent
from devices.app import gate_on, make_link
from devices.certificate import read_certificate
from devices.checkpoint_file import memory_document
from devices.enrolling import enrol
from devices.link import BrokerUrlError, GateLink
from devices.logs import log_to_stderr
from devices.renewal import CertificateRenewal
from devices.settings import GateSettings, SettingsError, read_gate_folder
from devices.simulator.command import simulate
from devices.site_desk import DeskUrlError, SiteDesk
from gatekeeper.core.enrolment import fingerprint
from gatekeeper.core.log_keys import log_verifiers
from gatekeeper.model.trees import SITE_TREE

__all__ = ["app", "main"]

app = typer.Typer(
    name="gatekeeper-device",
    help="What one does at a gate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("enrol")(enrol)
app.command("simulate")(simulate)
_REFUSED = 1

Folder = Annotated[
    Path, typer.Option(help="The gate's folder: gate.json, key.pem, anchor.json, trust.cose ...")
]


@app.command()
def check(folder: Folder) -> None:
    """Say whether a gate's folder is in order, and which key it holds."""
    settings = _settings(folder)
    _say(
        f"{settings.gate} at {settings.site} is in order, with version {settings.trust.version} of the trust list."
    )
    if not log_verifiers(settings.trust, SITE_TREE):
        _say("Its trust list names no key that signs the log: it will remember no checkpoint.")
    typer.echo(fingerprint(settings.key.public_der))


@app.command()
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
    settings = _settings(folder)
    memory = settings.checkpoints
    if memory.contradictions:
        _say(
            f"ALARM: {settings.gate} was shown a log that contradicts what it remembers "
            f"({len(memory.contradictions)} times): it was rolled back, or it has two faces. --json has the evidence."
        )
    if json_output:
        typer.echo(memory_document(memory), nl=False)
    elif memory.newest is None:
        _fail(f"{settings.gate} remembers no checkpoint yet: it has heard none that the log's key signed.")
    else:
        typer.echo(memory.newest.note, nl=False)
        _say(f"{memory.newest.size} entries, the newest of {memory.newest.at:%Y-%m-%d %H:%M:%S} UTC.")


@app.command()
def run(
    folder: Folder,
    broker: Annotated[str, typer.Option(help="mqtt[s]://host[:port]; the gate logs in with its own name.")],
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
    """Be this gate until stopped (SIGINT or SIGTERM); a bridge, when gate.json has one."""
    log_to_stderr()
    settings = _settings(folder)
    try:
        link = make_link(settings, broker=broker, authority=authority)
        renewal = _renewal(settings, link, folder, desk=desk, authority=authority)
    except (BrokerUrlError, DeskUrlError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{authority} cannot be used: {error.strerror or error}.")
    gate = gate_on(link, settings)
    _say(f"{settings.gate} at {settings.site} is running. Stop it with Ctrl-C.")
    if settings.bridge is None:
        _say("No hardware is fitted to it in this version: it reports and listens, and opens nothing.")
    asyncio.run(_until_stopped(gate, renewal))


def main() -> None:
    """Run the command line."""
    app()


async def _until_stopped(gate: GateAgent, renewal: CertificateRenewal | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with gate, asyncio.TaskGroup() as tasks:
        renewing = None if renewal is None else tasks.create_task(renewal.run(), name="renewal")
        await stop.wait()
        if renewing is not None:
            renewing.cancel()


def _renewal(
    settings: GateSettings, link: GateLink, folder: Path, *, desk: str | None, authority: Path | None
) -> CertificateRenewal | None:
    if settings.certificate is None:
        if desk is not None:
            _fail(f"{settings.gate} has no certificate to renew: enrol it first.")
        return None
    if desk is None or authority is None:
        ends = read_certificate(settings.certificate).not_valid_after_utc
        _say(
            f"Its certificate ends on {ends:%Y-%m-%d at %H:%M} UTC, and nobody renews it: run it with --desk and --authority."
        )
        return None
    return CertificateRenewal(settings, link, SiteDesk(desk, authority=authority), folder=folder)


def _settings(folder: Path) -> GateSettings:
    try:
        return read_gate_folder(folder)
    except SettingsError as error:
        _fail(str(error))


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _fail(sentence: str) -> NoReturn:
    _say(sentence)
    raise typer.Exit(_REFUSED)
