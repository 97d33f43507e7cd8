"""`gatekeeper audit feed`: whose entries, from where on, to whom; and that nothing is lost when something breaks."""

import asyncio
import json
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.adapters.syslog import CollectorAddress, CollectorLink
from gatekeeper.cli.log import log_feed
from gatekeeper.core.audit import Kind
from gatekeeper.core.export.feeds import Format
from gatekeeper.embedded import EmbeddedPostgres
from tests.integration.cli_hold import Hold
from tests.support.certificates import throw_away_certificate
from tests.support.collectors import DatagramCollector, StreamCollector
from tests.support.commands import said_next
from tests.support.feed_readers import read_cef, read_syslog
from tests.support.fort import ARMY, PUPIL, SCHOOL, SERGEANT, Fort
from tests.support.proxy import FaultProxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

SAYS = "{site}: from entry {since} on, as a lossy rendering: audit export proves, a feed does not.\n"


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as fort:
        yield fort


def seqs(out: str) -> list[int]:
    """Which entries lines of ECS render."""
    return [json.loads(line)["event"]["sequence"] for line in out.splitlines()]


def feed(hold: Hold, *words: object) -> Any:
    return hold("audit", "feed", "--format", "ecs", "--site", hold.site, *words)


# -- which entries ----------------------------------------------------------------------------------------------------


def test_every_entry_is_told_once_and_in_order(hold: Hold):
    said = feed(hold)
    assert (said.code, said.err) == (0, SAYS.format(site=hold.site, since=0))
    assert seqs(said.out) == list(range(10))
    bodies = [
        json.loads(row["body"]) for row in hold.run("SELECT body FROM entry WHERE site_id = $1 ORDER BY seq")
    ]
    assert [json.loads(line)["event"]["action"] for line in said.out.splitlines()] == [
        body["kind"] for body in bodies
    ]


@pytest.mark.parametrize("spelling", Format)
def test_each_format_is_spelled_on_stdout(spelling: Format, hold: Hold):
    said = hold("audit", "feed", "--format", spelling.value, "--site", hold.site, "--since", 9)
    (line,) = said.out.splitlines()
    if spelling is Format.CEF:
        assert read_cef(line).extension["externalId"] == "9"
    else:
        assert f"{hold.site}/9" in {json.loads(line).get("id"), json.loads(line).get("event", {}).get("id")}


def test_it_begins_where_it_is_told_to_and_not_beyond_the_end(hold: Hold):
    assert seqs(feed(hold, "--since", 8).out) == [8, 9]
    assert feed(hold, "--since", 10).out == ""
    beyond = feed(hold, "--since", 11)
    assert (beyond.code, beyond.out) == (2, "")
    assert beyond.err == f"The log of {hold.site} ends before entry 10: 11 is beyond it.\n"


def test_pages_join_without_a_seam(hold: Hold, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gatekeeper.adapters.postgres.reading._PAGE", 3)
    assert seqs(feed(hold).out) == list(range(10))


async def test_a_tenant_is_told_of_its_tree_alone(fort: Fort, capfdbinary: pytest.CaptureFixture[bytes]):
    """Of what its own people do, and of others in its zones; the army's entry in no zone of the school's is not the school's."""
    await fort.commit(fort.pen.write(1, tenants=(SCHOOL,), person=PUPIL))
    await fort.commit(fort.pen.write(1, tenants=(ARMY,), person=SERGEANT))
    await fort.commit(fort.pen.write(1, tenants=(ARMY, SCHOOL), person=SERGEANT))
    await fort.commit(fort.pen.write(1, tenants=()))
    told = {}
    for tenant in (SCHOOL, ARMY, None):
        await log_feed._once(fort.dsn, feeding(fort, tenant=tenant), 0, asyncio.Event())
        told[tenant] = seqs(capfdbinary.readouterr().out.decode())
    assert told == {SCHOOL: [0, 2], ARMY: [1, 2], None: [0, 1, 2, 3]}


def test_a_tenant_that_is_none_is_told_so(hold: Hold):
    said = feed(hold, "--tenant", "nosuch")
    assert (said.code, said.out) == (2, "")
    assert said.err == f"The log of {hold.site} has no tree of a tenant nosuch.\n"


def test_nothing_personal_is_read_and_no_vault_is_needed(hold: Hold):
    before = feed(hold).out
    hold.run("DELETE FROM personal WHERE site_id = $1")
    after = hold.say(
        "audit", "feed", "--format", "ecs", "--data", hold.data, "--site", hold.site, "--dsn", hold.dsn
    )
    assert (after.code, after.out) == (0, before)


def test_an_entry_that_was_altered_is_an_alarm_and_ends_no_feed(hold: Hold):
    hold.run("UPDATE entry SET body = '\\xff' WHERE site_id = $1 AND seq = 4")
    said = feed(hold)
    assert seqs(said.out) == list(range(10))
    altered = json.loads(said.out.splitlines()[4])["event"]
    assert (altered["action"], altered["kind"], altered["severity"]) == ("entry.altered", "alert", 10)


# -- what was sent ----------------------------------------------------------------------------------------------------


def test_what_was_sent_is_remembered_and_the_next_run_goes_on(hold: Hold, tmp_path: Path):
    state = tmp_path / "sent.json"
    assert seqs(feed(hold, "--since", 6, "--state", state).out) == [6, 7, 8, 9]
    assert state.read_text() == f'{{"since":10,"site":"{hold.site}","tenant":null}}\n'
    again = feed(hold, "--since", 6, "--state", state)
    assert (again.out, again.err) == ("", SAYS.format(site=hold.site, since=10))


def test_what_was_not_taken_is_not_remembered(hold: Hold, tmp_path: Path):
    state = tmp_path / "sent.json"
    said = feed(hold, "--state", state, "--syslog", "tcp://127.0.0.1:1")
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("The collector tcp://127.0.0.1:1 does not take the feed: Connection refused.\n")
    assert not state.exists()


@pytest.mark.parametrize(
    "content",
    [
        "", "{}", "[]", "12", '{"since":3}', '{"since":-1,"site":"SITE","tenant":null}', '{"since":3,"site":"other","tenant":null}\n',
        '{"since":3,"site":"SITE","tenant":"army"}\n', '{"since":true,"site":"SITE","tenant":null}\n',
        '{"site":"SITE","since":3,"tenant":null}\n', '{"since":3,"site":"SITE","tenant":null}',
    ],
)  # fmt: skip
def test_a_state_of_something_else_begins_nothing(content: str, hold: Hold, tmp_path: Path):
    state = tmp_path / "sent.json"
    state.write_text(content.replace("SITE", hold.site))
    said = feed(hold, "--state", state)
    assert (said.code, said.out) == (2, "")
    assert f"{state} does not say what was sent of {hold.site}" in said.err
    assert state.read_text() == content.replace("SITE", hold.site)


def test_a_state_ahead_of_the_log_is_no_place_to_go_on(hold: Hold, tmp_path: Path):
    """The log is shorter than what was sent of it: it was rolled back, and somebody must look."""
    state = tmp_path / "sent.json"
    state.write_text(f'{{"since":99,"site":"{hold.site}","tenant":null}}\n')
    assert "99 is beyond it" in feed(hold, "--state", state).err


def test_a_state_in_no_folder_is_told_before_anything_is_sent(hold: Hold, tmp_path: Path):
    said = feed(hold, "--state", tmp_path / "no" / "sent.json")
    assert (said.code, said.out) == (2, "")
    assert said.err == f"There is no folder {tmp_path / 'no'} in which to remember what was sent.\n"


# -- to a collector ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["tcp", "tls", "udp"])
def test_a_collector_hears_every_entry(way: str, hold: Hold, tmp_path: Path):
    with _listening(way, tmp_path) as (collector, words):
        said = hold(
            "audit", "feed", "--format", "cef", "--site", hold.site, "--enterprise", 32473,
            "--syslog", collector.url, *words,
        )  # fmt: skip
        assert (said.code, said.out) == (0, "")
        heard = [read_syslog(message) for message in collector.wait_for(10)]
    assert {message.hostname for message in heard} == {hold.site}
    assert [message.elements["gatekeeper@32473"]["seq"] for message in heard] == list(map(str, range(10)))
    for message in heard:
        record = read_cef(message.message.decode())
        assert record.header[4] == message.message_id
        assert record.extension["cs6"] == message.elements["gatekeeper@32473"]["leaf"]


@contextmanager
def _listening(way: str, folder: Path) -> Iterator[tuple[Any, list[object]]]:
    """A collector, and the options by which it is believed."""
    if way == "udp":
        with DatagramCollector() as collector:
            yield collector, []
        return
    tls = None
    if way == "tls":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*throw_away_certificate(folder))
    with StreamCollector(tls=tls) as streams:
        yield streams, ["--ca", folder / "certificate.pem"] if tls else []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--syslog", "logs.example"],
            "A collector is named as tcp://host:port, tls://host:port or udp://host:port.",
        ),
        (
            ["--ca", "x"],
            "--ca, --certificate and --key are for a collector that is named as tls://host:port.",
        ),
        (
            ["--syslog", "tcp://x:1", "--key", "x"],
            "--ca, --certificate and --key are for a collector that is named as tls://host:port.",
        ),
        (["--syslog", "tls://x:1", "--key", "x"], "--key belongs to a --certificate."),
    ],
)
def test_options_that_do_not_go_together_are_told(words: list[str], sentence: str, hold: Hold):
    said = feed(hold, *words)
    assert (said.code, said.out, said.err) == (2, "", f"{sentence}\n")


def test_a_format_is_asked_for(hold: Hold):
    assert hold("audit", "feed").code == 2
    assert hold("audit", "feed", "--format", "leef").code == 2


# -- as it grows ------------------------------------------------------------------------------------------------------


def feeding(
    fort: Fort, *, url: str | None = None, state: Path | None = None, tenant: Any = None
) -> log_feed._Feeding:
    """What `gatekeeper audit feed` makes of its options."""
    sink: Any = log_feed._Lines(Format.ECS)
    if url is not None:
        sink = log_feed._Messages(Format.ECS, CollectorLink(CollectorAddress.parse(url)), None)
    memory = None if state is None else log_feed._Memory(state, fort.site, tenant)
    return log_feed._Feeding(site=fort.site, tenant=tenant, memory=memory, sink=sink)


def heard(collector: StreamCollector) -> list[int]:
    return [
        json.loads(read_syslog(message).message.removeprefix(b"\xef\xbb\xbf"))["event"]["sequence"]
        for message in collector.messages
    ]


async def test_a_feed_goes_on_as_the_log_grows_and_over_an_outage_of_its_collector(
    fort: Fort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    state, stop = tmp_path / "sent.json", asyncio.Event()

    def kept() -> int:
        return int(json.loads(state.read_text())["since"]) if state.exists() else 0

    await fort.commit(fort.pen.write(3))
    with StreamCollector() as collector:
        async with FaultProxy(("127.0.0.1", collector.port)) as proxy:
            told = feeding(fort, url=f"tcp://127.0.0.1:{proxy.port}", state=state)
            following = asyncio.create_task(log_feed._follow(fort.dsn, told, 0, stop))
            await eventually(lambda: kept() == 3 and heard(collector) == [0, 1, 2])
            await fort.commit(fort.pen.write(2))
            await eventually(lambda: kept() == 5 and heard(collector) == [0, 1, 2, 3, 4])
            proxy.refuse()
            proxy.cut()
            await fort.commit(fort.pen.write(2))
            said = await said_next(capsys)
            assert said.endswith("does not take the feed: Connection refused. Waiting for it; Ctrl-C ends.\n")
            assert kept() == 5
            await proxy.accept()
            await eventually(lambda: kept() == 7)
            await eventually(lambda: heard(collector)[5:] == [5, 6])
            assert await said_next(capsys) == "The collector is back.\n"
            stop.set()
            await following
            told.sink.close()


async def test_a_feed_that_waits_for_its_collector_ends_when_told_to(
    fort: Fort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    await fort.commit(fort.pen.write(1))
    stop, state = asyncio.Event(), tmp_path / "sent.json"
    told = feeding(fort, url="tcp://127.0.0.1:1", state=state)
    following = asyncio.create_task(log_feed._follow(fort.dsn, told, 0, stop))
    await said_next(capsys)
    stop.set()
    async with asyncio.timeout(20):
        await following
    assert not state.exists()


async def test_a_feed_that_is_told_to_end_reads_no_further(
    fort: Fort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatekeeper.adapters.postgres.reading._PAGE", 2)
    await fort.commit(fort.pen.write(6))
    stop, state = asyncio.Event(), tmp_path / "sent.json"

    class Ending(log_feed._Lines):
        """The first page that it is told is the last."""

        told = 0

        async def send(self, entries: Any) -> None:
            self.told += len(entries)
            stop.set()

    sink = Ending(Format.ECS)
    memory = log_feed._Memory(state, fort.site, None)
    told = log_feed._Feeding(site=fort.site, tenant=None, memory=memory, sink=sink)
    await log_feed._follow(fort.dsn, told, 0, stop)
    assert sink.told == json.loads(state.read_text())["since"] == 2


async def test_a_tenant_of_whom_nothing_is_told_gets_further_nevertheless(fort: Fort, tmp_path: Path):
    """Else every look would read again all that happened since its last entry."""
    state, stop = tmp_path / "sent.json", asyncio.Event()
    await fort.commit(fort.pen.write(5, tenants=(ARMY,)))
    following = asyncio.create_task(
        log_feed._follow(fort.dsn, feeding(fort, state=state, tenant=SCHOOL), 0, stop)
    )
    await eventually(lambda: state.exists() and json.loads(state.read_text())["since"] == 5)
    stop.set()
    await following


async def test_a_feed_that_is_killed_repeats_at_the_most_and_loses_nothing(fort: Fort, tmp_path: Path):
    state = tmp_path / "sent.json"
    await fort.commit(fort.pen.write(4, kind=Kind.GATE_HELLO))
    with _process(fort, state, tmp_path) as process:
        assert process.stdout is not None
        first = await asyncio.to_thread(process.stdout.readline)
        process.kill()
        rest, _ = await asyncio.to_thread(process.communicate)
    told = seqs((first + rest[: rest.rfind(b"\n") + 1]).decode())
    assert told == list(range(len(told)))
    await fort.commit(fort.pen.write(4, kind=Kind.GATE_HELLO))
    with _process(fort, state, tmp_path) as process:
        await eventually(lambda: state.exists() and json.loads(state.read_text())["since"] == 8, within=30)
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0
    again = seqs(out.decode())
    assert again == list(range(again[0], 8))
    assert {*told, *again} == set(range(8))


async def test_who_stops_reading_is_told_of_and_the_rest_is_not_remembered(fort: Fort, tmp_path: Path):
    """It is no fault of the database, and what nobody read comes again."""
    state = tmp_path / "sent.json"
    await fort.commit(fort.pen.write(2000))
    with _process(fort, state, tmp_path, follow=False) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        await asyncio.to_thread(process.stdout.readline)
        process.stdout.close()
        said = await asyncio.to_thread(process.stderr.read)
        await asyncio.to_thread(process.wait)
    assert process.returncode == 2
    assert said.decode() == (
        SAYS.format(site=fort.site, since=0)
        + "Whoever read the feed is gone; what is not remembered comes again.\n"
    )
    assert not state.exists()


@contextmanager
def _process(
    fort: Fort, state: Path, folder: Path, *, follow: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """The feed as an operator runs it."""
    words = ["audit", "feed", "--format", "ecs", "--state", state, *(["--follow"] if follow else [])]
    where = ["--data", folder, "--site", fort.site, "--dsn", fort.dsn]
    program = "from gatekeeper.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words), *map(str, where)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what a buffer here had read ahead would be lost to `communicate`
    ) as process:
        try:
            yield process
        finally:
            process.kill()
