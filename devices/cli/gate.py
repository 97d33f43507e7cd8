"""What `gatekeeper-device` does with the folder of one gate: check it, print its newest checkpoint, be the gate."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from devices.agent import GateAgent
from devices.app import gate_on, make_link, opened_hardware
from devices.bridges.settings import bridged
from devices.certificate import read_certificate
from devices.checkpoint_file import memory_document
from devices.hardware.fitting import described, opened
from devices.hardware.ports import HardwareError
from devices.holdings import told
from devices.journal_file import JournalInUseError
from devices.link import BrokerUrlError, GateLink
from devices.logs import log_to_stderr
from devices.renewal import CertificateRenewal
from devices.settings import GateSettings, SettingsError, read_gate_folder
from devices.site_desk import DeskUrlError, SiteDesk
from gatekeeper.core.enrolment import fingerprint
from gatekeeper.core.log_keys import log_verifiers
from gatekeeper.model.trees import SITE_TREE

__all__ = ["RESTART", "check", "checkpoint", "failed_hardware", "run"]

_REFUSED = 1
RESTART = 75
"""What `run` exits with when the service has the gate start anew (EX_TEMPFAIL of sysexits.h: do it again)."""

Folder = Annotated[
    Path, typer.Option(help="The gate's folder: gate.json, key.pem, anchor.json, trust.cose ...")
]


def check(folder: Folder) -> None:
    """Say whether a gate's folder is in order, what it may decide alone, which hardware it has and whether that can be opened, and which key it holds.

    Exit 1: something is not.
    """
    settings = _settings(folder)
    _say(
        f"{settings.gate} at {settings.site} is in order, with version {settings.trust.version} of the trust list."
    )
    if settings.bridge is not None:
        _say(f"It is a bridge, at {', '.join(sorted(bridged(settings.bridge)))}.")
    if not log_verifiers(settings.trust, SITE_TREE):
        _say("Its trust list names no key that signs the log: it will remember no checkpoint.")
    for sentence in told(settings):
        _say(sentence)
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
    log_to_stderr()
    settings = _settings(folder)
    try:
        link = make_link(settings, broker=broker, authority=authority)
        renewal = _renewal(settings, link, folder, desk=desk, authority=authority)
    except (BrokerUrlError, DeskUrlError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{authority} cannot be used: {error.strerror or error}.")
    try:
        with opened_hardware(settings) as fittings:
            gate = gate_on(link, settings, fittings=fittings)
            _say(f"{settings.gate} at {settings.site} is running. Stop it with Ctrl-C.")
            _say_hardware(settings)
            starts_anew = asyncio.run(_until_stopped(gate, renewal))
    except JournalInUseError as error:
        _fail(str(error))
    except HardwareError as error:
        _fail(f"Its hardware failed: {error}.")
    except ExceptionGroup as group:
        broken = failed_hardware(group)
        if broken is None:
            raise
        _fail(f"Its hardware failed: {broken}.")
    if starts_anew:
        _say(f"{settings.gate} ends because an operator has it start anew.")
        raise typer.Exit(RESTART)


async def _until_stopped(gate: GateAgent, renewal: CertificateRenewal | None) -> bool:
    """Be a gate until it is stopped, or told to start anew; whether it was the latter."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with gate, asyncio.TaskGroup() as tasks:
        ends = [
            tasks.create_task(stop.wait(), name="stop"),
            tasks.create_task(gate.restart_asked(), name="restart"),
        ]
        renewing = None if renewal is None else tasks.create_task(renewal.run(), name="renewal")
        done, others = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (*others, *([] if renewing is None else [renewing])):
            task.cancel()
    return ends[1] in done


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


def failed_hardware(group: ExceptionGroup) -> Exception | None:
    """The first failure of hardware, when nothing else failed with it; else None: a defect keeps its traceback."""
    broken, others = group.split(HardwareError)
    first: Exception | None = broken
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first if others is None else None


def _say_hardware(settings: GateSettings) -> None:
    if settings.is_simulated:
        _say(
            f"SIMULATED HARDWARE: {settings.gate} HOLDS NO REAL DOOR. It is for trying a gate out; what it tells the site is in the "
            "site's log for good, and its start says that it was simulated."
        )
    for access_point, point in settings.hardware.items():
        _say(f"{access_point}: {described(point)}.")
    by_bridge = bridged(settings.bridge) if settings.bridge is not None else frozenset()
    for door in settings.doorways:
        if door.id not in settings.hardware.keys() | by_bridge:
            _say(f"{door.id}: no hardware is named in gate.json, so it reads nothing and opens nothing.")


def _check_hardware(settings: GateSettings) -> None:
    _say_hardware(settings)
    closed = False
    for access_point, point in settings.hardware.items():
        if settings.is_simulated:
            continue  # there is nothing to open, and the word would be taken for the door's
        try:
            with opened({access_point: point}):
                _say(f"{access_point}: can be opened.")
        except HardwareError as error:
            closed = True
            _say(f"{access_point}: cannot be opened: {error}.")
    if closed:
        raise typer.Exit(_REFUSED)


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
