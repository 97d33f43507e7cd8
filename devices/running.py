"""Being one gate until it is stopped: what `gatekeeper-device run` does, however its command line was read.

It talks to stderr, and ends the process with `SystemExit`. What only some gates need - a certificate and its renewal - is imported where one has
it: the others have no memory to spare for it.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from devices.agent import GateAgent
from devices.app import gate_on, make_link, opened_hardware
from devices.bridges.settings import bridged
from devices.hardware.fitting import described
from devices.hardware.ports import HardwareError
from devices.hardware.settings import MARK
from devices.journal_file import JournalInUseError
from devices.link import BrokerUrlError, GateLink
from devices.logs import log_to_stderr
from devices.memory import give_back_at_once
from devices.settings import GateSettings, SettingsError, read_gate_folder

if TYPE_CHECKING:
    from devices.renewal import CertificateRenewal

__all__ = ["REFUSED", "RESTART", "fail", "failed_hardware", "run_gate", "say", "say_hardware", "settings_in"]

REFUSED: Final = 1
RESTART: Final = 75
"""What a gate exits with when the service has it start anew (EX_TEMPFAIL of sysexits.h: do it again)."""


def run_gate(*, folder: Path, broker: str, authority: Path | None = None, desk: str | None = None) -> None:
    """Be the gate of a folder until stopped (SIGINT or SIGTERM); the options are those of the command.

    Raises SystemExit: 1 when it cannot start or its hardware failed, 75 when an operator has it start anew.
    """
    log_to_stderr()
    give_back_at_once()
    settings = settings_in(folder)
    try:
        link = make_link(settings, broker=broker, authority=authority)
        renewal = _renewal(settings, link, folder, desk=desk, authority=authority)
    except BrokerUrlError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{authority} cannot be used: {error.strerror or error}.")
    try:
        with opened_hardware(settings) as fittings:
            gate = gate_on(link, settings, fittings=fittings)
            say(f"{settings.gate} at {settings.site} is running. Stop it with Ctrl-C.")
            say_hardware(settings)
            starts_anew = asyncio.run(_until_stopped(gate, renewal))
    except JournalInUseError as error:
        fail(str(error))
    except HardwareError as error:
        fail(f"Its hardware failed: {error}.")
    except ExceptionGroup as group:
        broken = failed_hardware(group)
        if broken is None:
            raise
        fail(f"Its hardware failed: {broken}.")
    if starts_anew:
        say(f"{settings.gate} ends because an operator has it start anew.")
        raise SystemExit(RESTART)


async def _until_stopped(gate: GateAgent, renewal: "CertificateRenewal | None") -> bool:
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
) -> "CertificateRenewal | None":
    if settings.certificate is None:
        if desk is not None:
            fail(f"{settings.gate} has no certificate to renew: enrol it first.")
        return None
    # Only a gate with a certificate needs these: X.509 and HTTPS take 1 MB.
    from devices.certificate import read_certificate  # noqa: PLC0415
    from devices.renewal import CertificateRenewal  # noqa: PLC0415
    from devices.site_desk import DeskUrlError, SiteDesk  # noqa: PLC0415

    if desk is None or authority is None:
        ends = read_certificate(settings.certificate).not_valid_after_utc
        say(
            f"Its certificate ends on {ends:%Y-%m-%d at %H:%M} UTC, and nobody renews it: run it with --desk and --authority."
        )
        return None
    try:
        return CertificateRenewal(settings, link, SiteDesk(desk, authority=authority), folder=folder)
    except DeskUrlError as error:
        fail(str(error))


def failed_hardware(group: ExceptionGroup) -> Exception | None:
    """The first failure of hardware, when nothing else failed with it; else None: a defect keeps its traceback."""
    broken, others = group.split(HardwareError)
    first: Exception | None = broken
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first if others is None else None


def say_hardware(settings: GateSettings) -> None:
    """Say what is fitted to each access point, and loudly when it is nothing real."""
    if settings.is_simulated:
        say(
            f"{MARK} HARDWARE: {settings.gate} HOLDS NO REAL DOOR. It is for trying a gate out; what it tells the site is in the "
            "site's log for good, and its start says that it was simulated."
        )
    for access_point, point in settings.hardware.items():
        say(f"{access_point}: {described(point)}.")
    by_bridge = bridged(settings.bridge) if settings.bridge is not None else frozenset()
    for door in settings.doorways:
        if door.id not in settings.hardware.keys() | by_bridge:
            say(f"{door.id}: no hardware is named in gate.json, so it reads nothing and opens nothing.")


def settings_in(folder: Path) -> GateSettings:
    """What a gate's folder says; what is wrong with it is said, and ends the process."""
    try:
        return read_gate_folder(folder)
    except SettingsError as error:
        fail(str(error))


def say(sentence: str) -> None:
    """Say something to whoever started the program."""
    print(sentence, file=sys.stderr)  # noqa: T201 - talk goes to stderr


def fail(sentence: str) -> NoReturn:
    """Say what is wrong, and end the process."""
    say(sentence)
    raise SystemExit(REFUSED)
