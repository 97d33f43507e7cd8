"""`gatekeeper-device simulate`: let the people of an example site walk, and say what the gates saw."""

import asyncio
import json
import math
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import structlog
import typer

from devices.settings import SettingsError
from devices.simulator.barracks import Barracks

__all__ = ["simulate"]


def simulate(
    folder: Annotated[
        Path, typer.Option(help="The site's folder, with gates/, people.json and policy.cose.")
    ],
    broker: Annotated[str, typer.Option(help="mqtt[s]://host[:port]; each gate logs in with its own name.")],
    readers: Annotated[str, typer.Option(help="mqtt://host[:port] where stock readers publish.")],
    people: Annotated[int, typer.Option(min=1, help="How many people walk.")] = 200,
    speed: Annotated[float, typer.Option(help="Simulated seconds in a second.")] = 60,
    seconds: Annotated[float | None, typer.Option(help="End by itself after so many seconds.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other days.")] = 1,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Let people walk through real gates with real badges, until stopped."""
    for option, value in (("--seconds", seconds), ("--speed", speed)):
        if value is not None and not 0 < value < math.inf:
            raise typer.BadParameter(f"{option}: more than 0.")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        barracks = Barracks(folder, broker=broker, readers=readers, speed=speed, seed=seed)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    asyncio.run(_until_stopped(barracks, people, seconds))
    report = barracks.report()
    if json_output:
        typer.echo(json.dumps(report))
    else:
        typer.echo(
            f"{report['scans']} scans, {report['granted']} granted, {sum(report['denied'].values())} denied"
        )


async def _until_stopped(barracks: Barracks, people: int, seconds: float | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    living = asyncio.create_task(barracks.live(people=people), name="barracks")
    stopped = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({living, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    living.cancel()
    with suppress(asyncio.CancelledError):
        await living
