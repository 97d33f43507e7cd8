"""`gatekeeper watch` and the live feed: where it begins, what a line says, and how it waits for a database that is away."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.cli import talk
from gatekeeper.cli.host.feed import Feed, FeedLine, Screen
from gatekeeper.cli.people.names import Names
from gatekeeper.cli.talk import zone_name
from gatekeeper.core.audit import FORGOTTEN, NOBODY, Kind
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import AccessPointId, SiteId
from gatekeeper.model.messages import StatusKind
from gatekeeper.service.sealed import seal_name
from tests.integration.cli_hold import Hold
from tests.support.commands import said_next
from tests.support.databases import temporary_database
from tests.support.fort import SERGEANT, Fort
from tests.support.proxy import FaultProxy
from tests.support.sites import SmallSite
from tests.support.transcripts import entry

pytestmark = pytest.mark.integration

CEST = timezone(timedelta(hours=2), "CEST")
NOON = datetime.now(CEST).replace(hour=12, minute=0, second=0, microsecond=0)  # of today, by that clock


@pytest.fixture
async def vault_dsn(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    async with temporary_database(postgres_server) as dsn:
        await PostgresKeyVault(dsn).migrate()
        yield dsn


def _feed(dsn: str, site: SiteId, *, vault_dsn: str = "", persons_from: int = 0) -> Feed:
    return Feed(dsn, site, names=Names(vault_dsn, site), persons_from=persons_from)


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as fort:
        yield fort


# -- where it begins --------------------------------------------------------------------------------------------------


def test_a_site_that_the_database_does_not_hold_is_not_watched(hold: Hold):
    said = hold("watch", "--site", "nosuch")
    assert (said.code, said.out, said.err) == (2, "", "The database holds no site nosuch.\n")


def test_a_cursor_beyond_the_end_is_said_to_be_there(hold: Hold):
    said = hold("watch", "--site", hold.site, "--since", 11)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"The log of {hold.site} ends before entry 10: 11 is beyond it.\n"


def test_a_cursor_before_the_beginning_is_misuse(hold: Hold):
    assert hold("watch", "--since", -1).code == 2


def test_a_database_that_is_away_at_the_start_is_not_waited_for(hold: Hold):
    said = hold.say("watch", "--data", hold.data, "--dsn", "postgresql://127.0.0.1:1/log")
    assert (said.code, said.err) == (2, "The database does not answer.\n")


@pytest.mark.parametrize("words", [("presence",), ("watch", "--since", 11)])
def test_who_only_looks_needs_no_vault_and_is_told_that_it_holds_the_names(
    words: tuple[Any, ...], hold: Hold, monkeypatch: pytest.MonkeyPatch
):
    given = hold.say(*words, "--data", hold.data, "--dsn", hold.dsn)
    monkeypatch.setenv("GATEKEEPER_DSN", hold.dsn)
    named = hold.say(*words, "--data", hold.data)
    assert given == named
    assert ("Names are sealed: give --vault-dsn" in given.err) is (words[0] == "presence")
    assert hold.site in given.err or "2 people" in given.out


# -- what a line says -------------------------------------------------------------------------------------------------


def _line(kind: str, *, name: str | None = None, at: datetime = NOON, **entry: Any) -> FeedLine:
    body = {"kind": kind, **entry} if entry else {}
    return FeedLine(seq=1234, at=at, kind=kind, entry=body, holder=None, name=name)


LINES: dict[str, tuple[FeedLine, str]] = {
    "a grant": (
        _line(
            "access.granted",
            name="Thijs van den Bosch",
            reason="granted",
            reasons=["granted"],
            **{"from": "outside", "to": "gate-zone"},
        ),
        "  1234 12:00:00 access.granted    Thijs van den Bosch  outside -> gate-zone",
    ),
    "a denial with its reasons": (
        _line(
            "access.denied",
            name="Ümit",
            reason="denied-level",
            reasons=["denied-level", "denied-alert"],
            **{"from": "yard", "to": "shed"},
        ),
        "  1234 12:00:00 access.denied     Ümit                 yard -> shed denied-level (also denied-alert)",
    ),
    "a change of alert": (
        _line("alert.changed", **{"from": "calm", "to": "tense"}),
        "  1234 12:00:00 alert.changed     -                    calm -> tense",
    ),
    "a policy, by what tells it from another": (
        _line("policy.changed", **{"from": "a1" * 32, "to": "b2" * 32}),
        "  1234 12:00:00 policy.changed    -                    a1a1a1a1a1a1a1a1... -> b2b2b2b2b2b2b2b2...",
    ),
    "a trust list": (
        _line("trust.changed", **{"from": 1, "to": 2}),
        "  1234 12:00:00 trust.changed     -                    1 -> 2",
    ),
    "a lockdown": (
        _line("lockdown.changed", scope="zone:yard", on=True),
        "  1234 12:00:00 lockdown.changed  -                    zone:yard on",
    ),
    "a release": (
        _line("lockdown.changed", scope="site", on=False),
        "  1234 12:00:00 lockdown.changed  -                    site off",
    ),
    "a gate": (
        _line("gate.status", gate="front", status="online"),
        "  1234 12:00:00 gate.status       -                    front online",
    ),
    "a gate that speaks of a door": (
        _line("gate.status", gate="front", status="exit_requested", **{"from": "yard", "to": "outside"}),
        "  1234 12:00:00 gate.status       -                    yard -> outside exit-requested",
    ),
    "tampering": (
        _line("gate.status", gate="front", status="tamper", **{"from": "outside", "to": "yard"}),
        "  1234 12:00:00 gate.status       -                    ALARM outside -> yard tamper",
    ),
    "a forced door": (
        _line("passage.forced", alarm=True, **{"from": "outside", "to": "yard"}),
        "  1234 12:00:00 passage.forced    -                    ALARM outside -> yard",
    ),
    "a door that is held open, in a log of before": (
        _line("passage.held-open", **{"from": "outside", "to": "yard"}),
        "  1234 12:00:00 passage.held-open -                    ALARM outside -> yard",
    ),
    "a revoked badge": (
        _line("access.denied", alarm=True, reason="denied-level", **{"from": "outside", "to": "yard"}),
        "  1234 12:00:00 access.denied     -                    ALARM outside -> yard denied-level",
    ),
    "what was told hours later": (
        _line(
            "access.offline-granted",
            gate_at="2026-06-03T01:30:00.000000Z",
            clock="synchronised",
            at=datetime(2026, 6, 3, 9, 29, 27, tzinfo=UTC),
            **{"from": "outside", "to": "yard"},
        ),
        (
            "2026-06-03 +02:00\n"
            "  1234 03:30:00 access.offline-granted -                    outside -> yard (told 11:29:27)"
        ),
    ),
    "what was told on another day, by a clock that nobody set": (
        _line(
            "passage.forced",
            alarm=True,
            gate_at="2026-06-02T21:30:00.000000Z",
            clock="free_running",
            at=datetime(2026, 6, 3, 9, 29, 27, tzinfo=UTC),
            **{"from": "outside", "to": "yard"},
        ),
        (
            "2026-06-03 +02:00\n"
            "  1234 23:30:00 passage.forced    -                    ALARM outside -> yard "
            "(on 2026-06-02 +02:00, by the gate's own clock, told 11:29:27)"
        ),
    ),
    "what was told at once": (
        _line(
            "passage.taken",
            gate_at="2026-06-03T09:29:22.000000Z",
            clock="free_running",
            at=datetime(2026, 6, 3, 9, 29, 27, tzinfo=UTC),
            **{"from": "outside", "to": "yard"},
        ),
        "2026-06-03 +02:00\n  1234 11:29:22 passage.taken     -                    outside -> yard",
    ),
    "an entry that cannot be read": (
        _line("access.granted"),
        "  1234 12:00:00 access.granted    -",
    ),
    "letters that would move the screen": (
        _line("gate.hello\x1b[2J", name="a\nb\x07", gate="\x9bfront"),
        "  1234 12:00:00 gate.hello?[2J    a?b?                 ?front",
    ),
}


@pytest.mark.parametrize(("line", "text"), LINES.values(), ids=LINES)
def test_a_line_says_when_who_where_and_why(line: FeedLine, text: str, capsys: pytest.CaptureFixture[str]):
    Screen(CEST).show(line)
    assert capsys.readouterr().out == text + "\n"


def test_on_a_narrow_screen_the_reasons_stand_below(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(talk.data, "width", 100)
    reasons = ["denied-out-of-time-range", "denied-threat-level"]
    Screen(CEST).show(
        _line(
            "access.denied",
            name="W" * 40,
            reason=reasons[0],
            reasons=reasons,
            **{"from": "outside", "to": "gate-zone"},
        )
    )
    assert capsys.readouterr().out.splitlines() == [
        "  1234 12:00:00 access.denied     WWWWWWWWWWWWWWWWWWWW outside -> gate-zone",
        "                denied-out-of-time-range (also denied-threat-level)",
    ]


def test_a_plain_denial_of_the_longest_reason_fits_a_hundred_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(talk.data, "width", 100)
    reason = "denied-out-of-time-range"
    Screen(CEST).show(
        _line(
            "access.denied",
            name="W" * 40,
            reason=reason,
            reasons=[reason],
            **{"from": "outside", "to": "gate-zone"},
        )
    )
    (line,) = capsys.readouterr().out.splitlines()
    assert len(line) == 100


def test_another_day_is_said_once(capsys: pytest.CaptureFixture[str]):
    """Midnight is that of the zone in which times are shown."""
    screen = Screen(CEST)
    last = datetime(2026, 6, 3, 21, 59, 59, tzinfo=UTC)
    for second in range(3):
        screen.show(_line("gate.hello", at=last + timedelta(seconds=second), gate="front"))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "gate" not in line] == ["2026-06-03 +02:00", "2026-06-04 +02:00"]
    assert [line[7:15] for line in lines if "gate" in line] == ["23:59:59", "00:00:00", "00:00:01"]


@pytest.mark.parametrize("kind", StatusKind)
def test_every_status_is_told_by_its_name_and_marked_where_it_is_an_alarm(
    kind: StatusKind, capsys: pytest.CaptureFixture[str]
):
    site = SmallSite()
    recorded = site.recorded(site.status("front", kind, access_point=AccessPointId("front-in")))
    public = dict(entry(recorded).public)
    Screen(CEST).show(_line("gate.status", **public))
    told = capsys.readouterr().out.rstrip("\n")
    assert told.endswith(f" outside -> yard {kind.name.lower().replace('_', '-')}")
    assert (" ALARM " in told) is bool(recorded.alarms)


def test_an_alarm_stands_out_in_colour_too(monkeypatch: pytest.MonkeyPatch):
    drawn = io.StringIO()
    monkeypatch.setattr(
        "gatekeeper.cli.host.feed.out",
        Console(file=drawn, force_terminal=True, color_system="standard", width=200, highlight=False),
    )
    for status in ("online", "tamper"):
        Screen(CEST).show(_line("gate.status", gate="front", status=status))
    plain, alarm = drawn.getvalue().splitlines()
    assert ("\x1b[" in plain, alarm.startswith("\x1b[1;31m")) == (False, True)


def test_where_the_clock_goes_back_the_hour_that_comes_twice_is_told_apart(
    capsys: pytest.CaptureFixture[str],
):
    screen = Screen(ZoneInfo("Europe/Amsterdam"))
    for hour in (0, 1):
        at = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        screen.show(_line("gate.hello", at=at, gate="front"))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "gate" not in line] == ["2026-10-25 +02:00", "2026-10-25 +01:00"]
    assert [line[7:15] for line in lines if "gate" in line] == ["02:30:00", "02:30:00"]


def test_a_watch_speaks_the_time_of_its_site_wherever_it_is_looked_at(hold: Hold):
    for folder, clock in ((hold.data, "Europe/Amsterdam"), (hold.data / "none", "this machine, NZ")):
        with _watching(hold, folder) as told:
            assert told.startswith(f"{hold.site}: from entry 10 on; times are by the clock of {clock}"), told


@contextmanager
def _watching(hold: Hold, folder: Path) -> Iterator[str]:
    """A watch on a machine of New Zealand, by the first thing that it says."""
    words = ("watch", "--site", hold.site, "--data", folder, "--dsn", hold.dsn, "--vault-dsn", hold.vault_dsn)
    command = [sys.executable, "-c", "from gatekeeper.cli import main; main()", *map(str, words)]
    environment = os.environ | {"TZ": "Pacific/Auckland"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            yield process.stderr.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        (CEST, "CEST (UTC+02:00)"),
        (timezone.utc, "UTC"),  # noqa: UP017 - the same, spelt as the function gets it
        (timezone(timedelta(hours=-3, minutes=-30), "NST"), "NST (UTC-03:30)"),
        (timezone(timedelta(hours=5), "+05"), "+05 (UTC+05:00)"),
        (timezone(timedelta(hours=5)), "UTC+05:00"),
    ],
)
def test_a_time_zone_is_named_so_that_nobody_mistakes_it(zone: timezone, name: str):
    assert zone_name(zone) == name


def test_a_table_stays_whole_on_a_narrow_screen(
    hold: Hold, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    hold.rename_all("Wim van der " * 9)
    wide = hold("presence").out.splitlines()
    monkeypatch.setattr(talk.data, "width", 100)
    narrow = hold("presence").out.splitlines()
    assert max(map(len, wide)) > 100 >= max(map(len, narrow))
    assert len(wide) == len(narrow)
    for line, cut in zip(wide[1:-1], narrow[1:-1], strict=True):
        assert line.split()[0] == cut.split()[0]
        assert line.split()[-4:] == cut.split()[-4:], "when, and how sure that is, is told in full"
        assert "…" in cut


# -- as it grows ------------------------------------------------------------------------------------------------------


async def _next(lines: AsyncIterator[FeedLine], count: int) -> list[FeedLine]:
    async with asyncio.timeout(20):
        return [await anext(lines) for _ in range(count)]


async def test_entries_come_as_they_are_committed_with_the_names_of_their_people(fort: Fort, vault_dsn: str):
    await fort.commit(fort.pen.write(2, person=SERGEANT, kind=Kind.ACCESS_GRANTED))
    keys = await PostgresKeyVault(vault_dsn).ensure(fort.site, [SERGEANT])
    await fort.run(
        "INSERT INTO holder (site_id, holder, tenant, name, document, badges)"
        " VALUES ($1, 'sergeant', 'army', $2, '', '{}')",
        seal_name("Wim Visser", key=keys[SERGEANT], site=fort.site, holder=SERGEANT),
    )
    feed = _feed(fort.dsn, fort.site, vault_dsn=vault_dsn, persons_from=1)
    lines = feed.lines(since=1, stop=asyncio.Event())
    (first,) = await _next(lines, 1)
    assert (first.seq, first.kind, first.holder, first.name) == (1, "access.granted", SERGEANT, "Wim Visser")
    assert first.document() == {
        "seq": 1,
        "entry": first.entry,
        "happened": first.entry["at"],
        "happened_by": "log",
        "alarm": False,
        "holder": "sergeant",
        "name": "Wim Visser",
    }
    await fort.commit(fort.pen.write(1))
    (later,) = await _next(lines, 1)
    assert (later.seq, later.name) == (2, None)
    await lines.aclose()  # type: ignore[attr-defined]


async def test_of_what_is_past_a_feed_does_not_tell_whom_it_was_about(fort: Fort):
    await fort.commit(fort.pen.write(3, person=SERGEANT, kind=Kind.ACCESS_GRANTED))
    lines = _feed(fort.dsn, fort.site, persons_from=2).lines(since=0, stop=asyncio.Event())
    assert [line.holder for line in await _next(lines, 3)] == [None, None, SERGEANT]
    await lines.aclose()  # type: ignore[attr-defined]


async def test_of_nobody_and_of_who_was_forgotten_a_feed_tells_nothing(fort: Fort):
    await fort.commit(fort.pen.write(2, person=SERGEANT, kind=Kind.ACCESS_GRANTED))
    for seq, person in enumerate((NOBODY, FORGOTTEN)):
        await fort.run("UPDATE personal SET person = $2 WHERE site_id = $1 AND seq = $3", person, seq)
    lines = _feed(fort.dsn, fort.site).lines(since=0, stop=asyncio.Event())
    assert [line.holder for line in await _next(lines, 2)] == [None, None]
    await lines.aclose()  # type: ignore[attr-defined]


async def test_an_entry_that_was_altered_ends_no_watch(fort: Fort):
    await fort.commit(fort.pen.write(3))
    await fort.run("UPDATE entry SET body = '\\xff' WHERE site_id = $1 AND seq = 1")
    await fort.run("UPDATE entry SET body = '[]' WHERE site_id = $1 AND seq = 2")
    lines = _feed(fort.dsn, fort.site).lines(since=0, stop=asyncio.Event())
    told = await _next(lines, 3)
    assert [bool(line.entry) for line in told] == [True, False, False]
    await lines.aclose()  # type: ignore[attr-defined]


# -- when the database is away ----------------------------------------------------------------------------------------


async def test_a_watch_goes_on_after_its_database_was_away_and_misses_nothing(
    fort: Fort, database_proxy: FaultProxy, capsys: pytest.CaptureFixture[str]
):
    await fort.commit(fort.pen.write(2))
    stop = asyncio.Event()
    lines = _feed(database_proxy.dsn(fort.dsn), fort.site).lines(since=0, stop=stop)
    assert [line.seq for line in await _next(lines, 2)] == [0, 1]
    waiting = asyncio.ensure_future(anext(lines))
    database_proxy.refuse()
    database_proxy.cut()
    await fort.commit(fort.pen.write(2))
    told = await said_next(capsys)
    await database_proxy.accept()
    async with asyncio.timeout(20):
        assert (await waiting).seq == 2
        assert (await anext(lines)).seq == 3
    waiting = asyncio.ensure_future(anext(lines, None))
    back = await said_next(capsys)
    stop.set()
    assert await waiting is None
    assert told == "The database does not answer. Waiting for it; Ctrl-C ends.\n"
    assert back == "The database is back.\n"


async def test_a_watch_does_not_hammer_at_a_database_that_is_away_and_tells_of_it_once(
    capsys: pytest.CaptureFixture[str],
):
    knocks: list[float] = []
    three = asyncio.Event()
    stop = asyncio.Event()

    def knock(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        knocks.append(asyncio.get_running_loop().time())
        writer.transport.abort()
        if len(knocks) == 3:
            three.set()

    async with await asyncio.start_server(knock, "127.0.0.1", 0) as away:
        port = away.sockets[0].getsockname()[1]
        feed = _feed(f"postgresql://u@127.0.0.1:{port}/x?sslmode=disable", SiteId("fort"))
        watching = asyncio.ensure_future(anext(feed.lines(since=0, stop=stop), None))
        async with asyncio.timeout(20):
            await three.wait()
        stop.set()
        assert await watching is None
    first, second, third = knocks
    assert second - first >= 0.25
    assert third - second >= 0.5
    assert capsys.readouterr().err == "The database does not answer. Waiting for it; Ctrl-C ends.\n"


async def test_a_watch_that_waits_for_its_database_ends_when_told_to(
    capsys: pytest.CaptureFixture[str],
):
    stop = asyncio.Event()
    feed = _feed("postgresql://127.0.0.1:1/x", SiteId("fort"))
    watching = asyncio.ensure_future(anext(feed.lines(since=0, stop=stop), None))
    assert await said_next(capsys)
    stop.set()
    async with asyncio.timeout(5):
        assert await watching is None
