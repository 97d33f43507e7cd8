"""`gatekeeper demo`: the example barracks, whole and alive, on embedded servers.

Founds the example site when the data folder holds none, runs it, lets the simulated people walk in a process of their
own, and shows the feed. At the end it compares what the gates saw with what the log holds: every opening must have its
entry, whatever a gate was told is recorded must stand where it was told, once, and the log must verify.

Hours are those of the wall's clock, also in a simulated day. There is no setting that puts the service's clock elsewhere:
a log whose times are not true would be worth nothing. Who wants doors to open at night has the example founded with
its hours always open, which is a policy like any other.
"""

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import site_folder
from gatekeeper.cli.compared import compare
from gatekeeper.cli.host.feed import Feed, Screen
from gatekeeper.cli.host.site import found, read_file
from gatekeeper.cli.host.site_clock import clock_named, clock_shown
from gatekeeper.cli.log.audit import verify_site
from gatekeeper.cli.options import Data, run
from gatekeeper.cli.people.names import Names
from gatekeeper.cli.serve import accepted, served, stop_signal
from gatekeeper.cli.talk import json_line, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.model.ids import SiteId
from gatekeeper.model.site_file import read_bridges, read_population, read_site
from gatekeeper.observe.logging import configure
from gatekeeper.running import Premises
from gatekeeper.service.administration.folder import PEOPLE
from gatekeeper.service.auditor import Known

__all__ = ["demo", "with_open_hours"]

_SITE_FILE = "johan-willem-friso/site.toml"
_LAST_WORDS_SECONDS = 60
_MOST_PEOPLE = 20_000
_ALWAYS = {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "until": "24:00"}
# Told to stop while it starts, it stops in order once it has started: `simulate` lets the signal through.
_SIMULATOR = (
    "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]); "
    "from devices.cli import main; sys.exit(main())"
)


def demo(
    seconds: Annotated[float | None, typer.Option(help="End by itself after so many seconds.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="No feed; one JSON object at the end.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Print commands to try by hand, and go on.")] = False,
    people: Annotated[
        int,
        typer.Option(
            help="How many people walk, 1 to 20000; more than 500 have a site founded that has them."
        ),
    ] = 200,
    speed: Annotated[
        float, typer.Option(help="Simulated seconds in a second; 0: as fast as the site answers.")
    ] = 60,
    days: Annotated[
        int | None, typer.Option(min=1, help="End by itself after so many simulated days.")
    ] = None,
    faults: Annotated[
        str,
        typer.Option(help="What goes wrong, as in loss=1%,power-cut=2/h (see gatekeeper-device simulate)."),
    ] = "",
    seed: Annotated[int, typer.Option(help="Another seed, other days.")] = 1,
    open_hours: Annotated[
        bool,
        typer.Option(
            "--open-hours", help="Found the example with its hours always open: a day also at night."
        ),
    ] = False,
    data: Data = None,
) -> None:
    """Run the example barracks with simulated people, until stopped."""
    walk = _Walk(people=people, speed=speed, days=days, faults=faults, seed=seed)
    _see_that_it_can_be(seconds, walk)
    settings = Settings.read(data=data, http_port=0)
    configure(level="warning", pretty=not json_output)
    document = run(
        _demo(settings, seconds, json_output=json_output, keep=keep, walk=walk, open_hours=open_hours)
    )
    if json_output:
        json_line(document)
    else:
        _tell(document)
    wrong = any(document[count] for count in ("opened_without_entry", "recorded_elsewhere", "recorded_twice"))
    if wrong or not document["promises"]["kept"] or not document["verification"]["valid"]:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """What the simulated people are to do."""

    people: int
    speed: float
    days: int | None
    faults: str
    seed: int


def _see_that_it_can_be(seconds: float | None, walk: _Walk) -> None:
    """See that what was asked for is possible. Raises SettingError."""
    if seconds is not None and not 0 < seconds < math.inf:
        raise SettingError("--seconds: more than 0.")
    if not 0 <= walk.speed < math.inf:
        raise SettingError("--speed: 0 or more.")
    if not 1 <= walk.people <= _MOST_PEOPLE:
        raise SettingError(f"--people: 1 to {_MOST_PEOPLE}.")


def _found_as_asked(settings: Settings, site: SiteId, walk: _Walk, *, open_hours: bool) -> None:
    """See that the site that is there is the one that was asked for. Raises SettingError."""
    folder = site_folder(settings, site)
    there = len(json.loads(folder.read(PEOPLE)))
    if walk.people > there:
        raise SettingError(
            f"{settings.data} holds the site with {there} people: name another folder with --data to found one with {walk.people}."
        )
    if open_hours:
        say("The site is there already: its hours stay as they are.")


def with_open_hours(document: dict[str, Any]) -> dict[str, Any]:
    """The site file with every schedule open at all hours."""
    schedules = [
        {key: schedule[key] for key in ("id", "name") if key in schedule} | {"windows": [_ALWAYS]}
        for schedule in document["schedule"]
    ]
    return {**document, "schedule": schedules}


async def _demo(
    settings: Settings,
    seconds: float | None,
    *,
    json_output: bool,
    keep: bool,
    walk: _Walk,
    open_hours: bool,
) -> dict[str, Any]:
    file = _example()
    document = read_file(file)
    site, size = read_site(document).site, sum(one.count for one in read_population(document).groups)
    settings = Settings.read(data=settings.data, site=site, http_port=0)
    if site_folder(settings, site).holds_site():
        _found_as_asked(settings, site, walk, open_hours=open_hours)
    else:
        say("Founding the example site: keys, agreements, gates, people.")
        await found(
            settings,
            file,
            people=max(walk.people, size),
            amended=with_open_hours if open_hours else lambda same: same,
        )
    stop = stop_signal()
    async with served(settings, site) as there:
        await accepted(stop)
        async with PostgresReading.opened(there.dsn) as reading:
            begun = await reading.size(site)
            clock = await clock_shown(reading, settings, site)
        say(f"{site} is open: metrics and health at {there.http}; times are {clock_named(clock)}")
        if keep:
            _print_commands(settings, there, file)
        simulator = await _simulator(settings, site, there, walk)
        showing = asyncio.create_task(
            _show(there, site, begun, stop, None if json_output else Screen(clock)), name="feed"
        )
        # Read from the start: what a simulator has to say at its end is more than a pipe holds.
        heard = asyncio.create_task(simulator.communicate(), name="simulator")
        await _until_over(heard, stop, seconds)
        seen = await _end(simulator, heard)
        stop.set()
        await showing
        async with PostgresReading.opened(there.dsn) as reading:
            return await _compare(settings, site, reading, seen, begun)


def _example() -> Path:
    """The example site: beside the package when installed, in `deploy/` in a checkout."""
    root = Path(str(files("gatekeeper")))
    installed = root / "examples" / _SITE_FILE
    return installed if installed.exists() else root.parent / "deploy" / "examples" / _SITE_FILE


async def _simulator(
    settings: Settings, site: SiteId, where: Premises, walk: _Walk
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _SIMULATOR,
        "simulate",
        "--folder",
        str(site_folder(settings, site).root),
        "--broker",
        where.broker,
        "--readers",
        where.readers,
        "--people",
        str(walk.people),
        "--speed",
        str(walk.speed),
        "--faults",
        walk.faults,
        "--seed",
        str(walk.seed),
        *(("--days", str(walk.days)) if walk.days is not None else ()),
        "--json",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )


async def _until_over(
    heard: asyncio.Task[tuple[bytes, bytes]], stop: asyncio.Event, seconds: float | None
) -> None:
    """Wait until told to stop, until the time is over, or until nobody walks any more."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, heard}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


async def _end(
    simulator: asyncio.subprocess.Process, heard: asyncio.Task[tuple[bytes, bytes]]
) -> Mapping[str, Any]:
    """Let the simulated people come to rest, and hear what their gates saw."""
    if not heard.done():
        with suppress(ProcessLookupError):
            simulator.send_signal(signal.SIGINT)
    async with asyncio.timeout(_LAST_WORDS_SECONDS):
        out, _ = await heard
    if not out:
        raise SettingError("The simulated people could not walk; what they said stands above.")
    seen: Mapping[str, Any] = json.loads(out.splitlines()[-1])
    return seen


async def _show(
    where: Premises, site: SiteId, since: int, stop: asyncio.Event, screen: Screen | None
) -> None:
    feed = Feed(where.dsn, site, names=Names(where.vault_dsn, site), persons_from=since)
    async for line in feed.lines(since=since, stop=stop):
        if screen is not None:
            screen.show(line)


async def _compare(
    settings: Settings, site: SiteId, reading: PostgresReading, seen: Mapping[str, Any], begun: int
) -> dict[str, Any]:
    """Hold what the gates saw against what the log holds."""
    # What a gate's journal had told before, and not heard to be recorded, it tells again: it stands in an earlier entry.
    since = min([begun, *(entry for entry, _ in seen["recorded"])])
    compared = await compare(seen, reading.entries(site, since=since))
    report, _ = await verify_site(settings, site, known=Known(), bar=False)
    checkpoint = await reading.newest_checkpoint(site, tree=SITE_TREE)
    return {
        "scans": seen["scans"],
        "granted": seen["granted"],
        "denied": seen["denied"],
        "unanswered": seen["unanswered"],
        "passages": seen["passages"],
        "people": seen["people"],
        "simulated": seen["clock"],
        "people_did": seen["manners"],
        "astray": len(seen["astray"]),
        "evacuations": seen["evacuations"],
        "faults": seen["faults"],
        "promises": seen["promises"],
        "recorded_elsewhere": compared.recorded_elsewhere,
        "recorded_twice": compared.recorded_twice,
        "entries": compared.entries - (begun - since),
        "dead_letters": sum((await reading.dead_letters(site)).values()),
        "opened": len(seen["openings"]),
        "opened_without_entry": compared.opened_without_entry,
        "decision_latency_ms": seen["latency_ms"],
        "checkpoint": None
        if checkpoint is None
        else {"size": checkpoint.size, "root": checkpoint.root.hex()},
        "verification": {"valid": report.valid, "entries": report.entries, "problems": report.problems[:20]},
    }


def _print_commands(settings: Settings, where: Premises, file: Path) -> None:
    """Commands to try by hand while the demo runs; they work as printed."""
    port = where.readers.rpartition(":")[2]
    reader = next(bridge for bridge in read_bridges(read_file(file)) if bridge.kind == "tasmota")
    payload = '{"Time":"2021-01-23T13:10:50","RC522":{"UID":"BA839D07","Data":"","Type":"MIFARE 1KB"}}'
    gatekeeper = Path(sys.argv[0])
    data = settings.data
    for line in (
        "A stock Tasmota reader shows a card:",
        f"  mosquitto_pub -h 127.0.0.1 -p {port} -t {reader.topic} -m '{payload}'",
        "Who is where, what happens, is the log whole:",
        f"  {gatekeeper} presence --data {data}",
        f"  {gatekeeper} watch --data {data}",
        f"  {gatekeeper} audit verify --no-memory --data {data}",
        "Change something and see the next scan feel it:",
        f"  {gatekeeper} alert set charlie --data {data}",
        f"  {gatekeeper} lockdown on zone:campus --data {data}",
        f"  {gatekeeper} lockdown off zone:campus --data {data}",
        f"  {gatekeeper} badge revoke h-00001 --data {data}",
        "Metrics and health:",
        f"  curl -s {where.http}/metrics",
        f"  curl -s {where.http}/health/ready",
    ):
        say(line)


def _tell(document: Mapping[str, Any]) -> None:
    latency = document["decision_latency_ms"]
    say(
        f"{document['scans']} scans, {document['granted']} granted, {sum(document['denied'].values())} denied; "
        f"{document['entries']} entries. A gate had its answer after {latency['p50']} ms (p50), {latency['p99']} ms (p99)."
    )
    proof = document["verification"]
    say(
        f"{document['opened']} doors opened, {document['opened_without_entry']} of them without an entry; "
        f"{document['recorded_elsewhere']} messages are not where gates were told, {document['recorded_twice']} are there twice; "
        f"the log is {'valid' if proof['valid'] else 'INVALID'}."
    )
