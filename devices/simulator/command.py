"""`gatekeeper-device simulate`: let the people of an example site walk, and say what the gates saw."""

import asyncio
import json
import math
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from devices.link import BrokerUrlError
from devices.settings import SettingsError
from devices.simulator.barracks import Barracks
from devices.simulator.course import Pace
from devices.simulator.faults import Faults, FaultsError
from devices.simulator.served import served_site

__all__ = ["read_time", "report_table", "simulate"]

_REFRESH_SECONDS = 0.5
_NO_EVACUATION = "none"
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_NOT_KEPT = 1


def simulate(
    data: Annotated[
        Path,
        typer.Option(
            envvar="GATEKEEPER_DATA",
            help="Data folder of the service that runs on this machine: what is not named is found there.",
        ),
    ] = Path(".gatekeeper"),
    site: Annotated[
        str | None,
        typer.Option(envvar="GATEKEEPER_SITE", help="Which site, when the data folder holds several."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="The site's folder, with gates/, people.json and policy.cose.")
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(help="mqtt:// or mqtts://host[:port]; each gate logs in with its own name."),
    ] = None,
    readers: Annotated[
        str | None, typer.Option(help="mqtt://host[:port] where stock readers publish.")
    ] = None,
    people: Annotated[int, typer.Option(min=1, help="How many of the site's people walk.")] = 200,
    speed: Annotated[
        float, typer.Option(help="Simulated seconds in a second; 0: as fast as the site answers.")
    ] = 60,
    seconds: Annotated[float | None, typer.Option(help="End by itself after so many seconds.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="End by itself after so many simulated days.")
    ] = None,
    begins: Annotated[str, typer.Option("--from", help="When the first day begins, as in 07:30.")] = "07:30",
    evacuation: Annotated[
        str, typer.Option(help="When everybody must leave for 40 minutes, each day; or none.")
    ] = "15:20",
    faults: Annotated[
        str,
        typer.Option(
            help="What goes wrong between gates and broker, as in "
            "loss=1%,delay=200ms,repeat=2%,reorder=1%,forge=0.5%,skew=1h,power-cut=2/h (cuts: each gate, simulated hours)."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Another seed, other days.")] = 1,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Let people walk through real gates with real badges, until stopped.

    Beside `gatekeeper serve` it needs no further word: it finds the example site that is served there.
    The day is the simulator's, the hours of the policy are those of the service's clock: at night offices refuse, whatever the
    simulated day says. A gate lets twenty people a second through, however fast the day is: an evacuation of 500 people takes half a
    minute. Exit 1: a promise was not kept (a door open without a grant, a message lost or recorded twice), or nobody could walk.
    """
    if seconds is not None and not 0 < seconds < math.inf:
        raise typer.BadParameter("--seconds: more than 0.")
    if not 0 <= speed < math.inf:
        raise typer.BadParameter("--speed: 0 or more.")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        pace = Pace(
            speed=speed,
            begins=read_time(begins),
            days=days,
            evacuation=None if evacuation == _NO_EVACUATION else read_time(evacuation),
        )
        where = served_site(data, site=site, folder=folder, broker=broker, readers=readers)
        barracks = Barracks(
            where.folder,
            broker=where.broker,
            readers=where.readers,
            seed=seed,
            pace=pace,
            faults=Faults.parse(faults),
        )
    except (SettingsError, BrokerUrlError, FaultsError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename} cannot be read: {error.strerror}.")
    if people > barracks.size:
        typer.echo(f"The site has {barracks.size} people; all of them walk.", err=True)
    try:
        asyncio.run(_until_stopped(barracks, people, seconds, quiet=json_output))
    except SettingsError as error:
        _fail(str(error))
    report = barracks.report()
    if json_output:
        typer.echo(json.dumps(report))
    else:
        Console().print(report_table(report))
    if not barracks.has_begun:
        _fail("Nobody walked: the service was not heard at every gate before this was to end.")
    if not report["promises"]["kept"]:
        for sentence in report["promises"]["broken"]:
            typer.echo(sentence, err=True)
        raise typer.Exit(_NOT_KEPT)


def read_time(text: str) -> timedelta:
    """Read a time of day. Raises `typer.BadParameter`."""
    read = _TIME.fullmatch(text)
    if read is None:
        raise typer.BadParameter(f"{text!r} is no time of day: write it as 07:30.")
    return timedelta(hours=int(read[1]), minutes=int(read[2]))


def report_table(report: Mapping[str, Any]) -> Table:
    """A report, or the counts of one under way, as lines for people."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    promises = report["promises"]
    kept = (
        f"{promises['openings']} openings, {promises['opened_without_grant']} without a grant; "
        f"{promises['let_in_without_right']} let in without a right; {promises['recorded']} messages recorded, "
        f"{promises['recorded_twice']} twice, {promises['unrecorded']} not yet, {promises['lost_with_power']} lost with the power"
    )
    for name, text in (
        ("people", f"{report['people']}, {report['inside']} of them on the ground"),
        ("simulated", report["clock"]),
        ("scans", f"{report['scans']}, {report['granted']} granted, {sum(report['denied'].values())} denied"),
        ("denied", _counted(report["denied"])),
        ("unanswered", f"{report['unanswered']}; without service {report['no_service']}"),
        ("answered after", _latency(report.get("latency_ms"))),
        ("passages", _counted(report["passages"])),
        ("people did", _counted(report["manners"])),
        ("faults", _counted(report["faults"])),
        ("evacuations", _evacuations(report.get("evacuations", ()))),
        ("promises", kept),
    ):
        if text:
            table.add_row(name, text)
    return table


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _latency(latency: Mapping[str, Any] | None) -> str:
    if latency is None or latency["p50"] is None:
        return ""
    return f"{latency['p50']} ms (p50), {latency['p99']} ms (p99)"


def _evacuations(evacuations: Any) -> str:
    return "; ".join(
        f"{one['at']}: {one['inside']} inside, {one['left_inside']} at the end" for one in evacuations
    )


async def _until_stopped(barracks: Barracks, people: int, seconds: float | None, *, quiet: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(
        signal.SIG_UNBLOCK, [signal.SIGINT]
    )  # whoever started us may have kept it back until now
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    screen = Console(stderr=True)
    with ExitStack() as stack:
        living = asyncio.create_task(barracks.live(people=people, stop=stop), name="barracks")
        if not quiet and screen.is_terminal:
            live = stack.enter_context(
                Live(console=screen, auto_refresh=False, transient=True, redirect_stdout=False)
            )
            while not living.done():
                live.update(report_table(barracks.counts()), refresh=True)
                await asyncio.wait({living}, timeout=_REFRESH_SECONDS)
        await living


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
