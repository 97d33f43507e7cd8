"""`gatekeeper privacy` on a served site: looked up with a purpose, handed what is theirs, forgotten by two, and for good."""

import asyncio
import base64
import json
import re
import secrets
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from devices.settings import read_gate_folder
from gatekeeper import cose
from gatekeeper.core.audit import instant
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.ids import BootId
from gatekeeper.model.messages import SCAN_TYPE, ByToken, ClockQuality, Scan, Verdict
from gatekeeper.model.reasons import Reason
from gatekeeper.model.topics import Channel, gate_topic
from gatekeeper.service.administration.instants import show_time
from tests.integration.people_site import IN, OUT, Registry, served_site
from tests.integration.test_people_registry import in_pocket
from tests.support.mqtt import mqtt_client

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("privacy"), postgres_server, broker) as registry:
        yield registry


def walker(registry: Registry, folder: Path, name: str) -> str:
    """Somebody new of the school who has walked in and out; their id."""
    holder = registry.done("holder", "add", name, "--kind", "staff", "--clearance", 2, "--profiles", "pupil", "--tenant", "school")  # fmt: skip
    file = folder / f"{holder}.json"
    registry.done("badge", "issue", holder, "--assurance", 2, "--out", file)
    badge = in_pocket(file)
    assert registry.scan(badge).granted
    registry.scan(badge, OUT)
    return holder


def last_entry(registry: Registry, kind: str) -> dict[str, object]:
    (row,) = registry.run(
        "SELECT body FROM entry WHERE site_id = $1 AND kind = $2 ORDER BY seq DESC LIMIT 1", kind
    )
    body: dict[str, object] = json.loads(row["body"])
    return body


def looked_up(registry: Registry, since: int) -> int:
    """How often the log says that somebody was looked up; what a gate tells meanwhile is none of it."""
    return registry.kinds(since).count("person.looked-up")


def test_where_somebody_was_is_shown_when_the_log_says_what_for(registry: Registry, tmp_path: Path):
    holder = walker(registry, tmp_path, "Anna Tiemersma")
    before = registry.log_size()
    refused = registry("privacy", "movements", holder)
    assert (refused.code, refused.out) == (2, "")
    assert looked_up(registry, before) == 0
    assert refused.err.startswith("--purpose: write in one line")
    said = registry("privacy", "movements", holder, "--purpose", "complaint 12", "--json")
    assert said.code == 0, said
    assert [one["kind"] for one in said.document["movements"]][:2] == ["access.granted", "passage.taken"]
    assert {one["personal"]["holder"] for one in said.document["movements"]} == {holder}
    assert looked_up(registry, before) == 1
    entry = last_entry(registry, "person.looked-up")
    assert (entry["purpose"], entry["author"], entry["seq"]) == (
        *("complaint 12", "school-admin", said.document["looked_up_in_entry"]),
    )
    assert holder not in json.dumps(entry)
    table = registry("privacy", "movements", holder, "--purpose", "again", "--to", "2020-01-01")
    assert (table.code, table.out.split()) == (
        0,
        ["entry", "happened", "told", "by", "the", "clock", "what", "where", "why"],
    )


def told_late(registry: Registry, folder: Path, name: str, then: datetime) -> str:
    """Somebody new of the school whom the gate let in alone, and told of only now; their id."""
    holder = registry.done("holder", "add", name, "--kind", "staff", "--clearance", 2, "--profiles", "pupil", "--tenant", "school")  # fmt: skip
    file = folder / f"{holder}.json"
    registry.done("badge", "issue", holder, "--assurance", 1, "--out", file)
    before = registry.log_size()
    asyncio.run(_tell(registry, base64.b64decode(json.loads(file.read_text())["token"]), then))
    registry.wait_until(lambda: "access.offline-granted" in registry.kinds(before))
    return holder


async def _tell(registry: Registry, token: bytes, then: datetime) -> None:
    settings = read_gate_folder(registry.folder.root / "gates" / "front")
    scan = Scan(
        boot=BootId(secrets.token_bytes(8)),
        sequence=1,
        gate_at=then,
        clock=ClockQuality.FREE_RUNNING,
        access_point=IN,
        credential=ByToken(token),
        beacon=bytes(16),
        proof=None,
        round_trip=None,
        offline_verdict=Verdict.GRANTED,
        offline_policy=None,
    )
    topic = gate_topic(settings.site, settings.gate, Channel.JOURNAL, prefix=settings.prefix)
    wire = cose.sign(scan.payload(), key=settings.key, typ=SCAN_TYPE, external_aad=topic.encode())
    port = urlsplit(registry.broker.url).port
    assert port is not None
    async with mqtt_client(port, settings.gate, settings.password, client_id=settings.gate) as client:
        await client.publish(topic, wire)


def test_what_a_gate_told_hours_later_is_found_and_shown_by_when_it_happened(
    registry: Registry, tmp_path: Path
):
    zone = ZoneInfo("Europe/Amsterdam")
    then = datetime.now(zone).replace(hour=12, minute=34, second=56, microsecond=0) - timedelta(days=3)
    holder = told_late(registry, tmp_path, "Femke Wiarda", then)
    entry = last_entry(registry, "access.offline-granted")
    day, today = f"{then:%Y-%m-%d}", f"{datetime.now(zone):%Y-%m-%d}"
    on_that_day = ("privacy", "movements", holder, "--purpose", "complaint 16", "--from", day, "--to", day)
    (found,) = registry(*on_that_day, "--json").document["movements"]
    assert (found["seq"], found["at"], found["happened"], found["happened_by"]) == (
        *(entry["seq"], entry["at"], entry["gate_at"], "free-running"),
    )
    read = registry.done(*on_that_day)
    assert f"{then:%Y-%m-%d 12:34:56}" in read
    assert show_time(instant(str(entry["at"])), zone) in read
    assert "free-running" in read
    since = registry("privacy", "movements", holder, "--purpose", "complaint 16", "--from", today, "--json")
    assert since.document["movements"] == []
    told = registry.done("why", entry["seq"])
    assert f"It happened at {then:%Y-%m-%d} 12:34:56" in told
    assert "by the gate's free-running clock." in told
    page = tmp_path / "own.html"
    registry.done("privacy", "export", holder, "--out", page, "--purpose", "asked for it")
    (own,) = json.loads(page.with_suffix(".json").read_bytes())["movements"]
    assert own["happened"] == entry["gate_at"]
    for when in (then, instant(str(entry["at"])).astimezone(zone)):
        assert f"{when:%Y-%m-%d %H:%M:%S}</time>" in page.read_text("utf-8")


def test_a_span_that_is_none_is_refused_before_it_is_a_look_up(registry: Registry):
    before = registry.log_size()
    for begins, ends in (("2026-11-29", "2026-11-28"), ("2-12-2026", "2026-12-01T08:00")):
        said = registry("privacy", "movements", "h-00003", "--purpose", "why", "--from", begins, "--to", ends)
        assert (said.code, said.out, said.err) == (2, "", "--from is not before --to.\n")
    assert looked_up(registry, before) == 0


def test_nobody_is_looked_up_who_is_not_there_or_by_who_may_not(registry: Registry, tmp_path: Path):
    holder = walker(registry, tmp_path, "Bo Wiersma")
    before = registry.log_size()
    nobody = registry("privacy", "movements", "h-nobody", "--purpose", "why")
    assert (nobody.code, nobody.err) == (
        2,
        "The site has no holder h-nobody: there never was one, or they were forgotten.\n",
    )
    other = registry("privacy", "movements", holder, "--purpose", "why", "--operator", "club-admin")
    assert other.code == 1
    assert other.err.startswith("Refused: change-not-yours.")
    assert (nobody.out, other.out) == ("", "")
    assert looked_up(registry, before) == 0


def test_an_entry_tells_who_it_was_for_a_purpose_and_not_without(registry: Registry, tmp_path: Path):
    holder = walker(registry, tmp_path, "Carla Hoekstra")
    (row,) = registry.run(
        "SELECT seq FROM personal JOIN entry USING (site_id, seq, at)"
        " WHERE site_id = $1 AND person = $2 AND kind = 'access.granted' LIMIT 1",
        holder,
    )
    before = registry.log_size()
    closed = registry("why", row["seq"])
    assert closed.code == 0
    assert holder not in closed.out
    assert "is shown with --purpose" in closed.out
    assert registry("why", row["seq"], "--json").document["personal"] is None
    assert looked_up(registry, before) == 0
    opened = registry("why", row["seq"], "--purpose", "complaint 14", "--json")
    assert opened.document["personal"]["holder"] == holder
    assert looked_up(registry, before) == 1
    about_nobody = registry("why", 0, "--purpose", "nobody is in it")
    assert about_nobody.code == 0
    assert "was known" not in about_nobody.out
    assert looked_up(registry, before) == 1
    read = registry("why", row["seq"], "--purpose", "complaint 14").out
    assert "  name: Carla Hoekstra\n" in read
    assert "\nwhat was known\n  " in read
    assert not re.search(r"[{}\[\]]|\b(False|True|None)\b", read)


def test_somebody_is_handed_all_that_is_known_of_them(registry: Registry, tmp_path: Path):
    holder = walker(registry, tmp_path, "Daan <b>Posthumus</b>")
    registry.done("privacy", "movements", holder, "--purpose", "complaint 15")
    page = tmp_path / "own.html"
    said = registry("privacy", "export", holder, "--out", page, "--purpose", "asked for it", "--json")
    assert said.code == 0, said
    machine = page.with_suffix(".json")
    assert [stat.S_IMODE(file.stat().st_mode) for file in (page, machine)] == [0o600, 0o600]
    own = json.loads(machine.read_bytes())
    assert own["registration"]["name"] == "Daan <b>Posthumus</b>"
    (badge,) = own["badges"]
    assert (badge["standing"], badge["uses"] >= 0, "duress" in badge) == ("active", True, False)
    assert [one["kind"] for one in own["movements"]][:2] == ["access.granted", "passage.taken"]
    assert [one["purpose"] for one in own["looked_at_by"]] == ["complaint 15", "asked for it"]
    assert {one["kind"] for one in own["other_entries"]} == {"holder.registered"}
    assert own["looked_up_in_entry"] == said.document["entry"]
    text = page.read_text("utf-8")
    assert "Daan &lt;b&gt;Posthumus" in text, "what somebody is called is no markup"
    for words in ("Who looked at that", "Wie dat heeft ingezien", "complaint 15", "Passen"):
        assert words in text
    assert not re.findall(r"(?:src|href)=(?!\"data:)", text), "nothing is fetched from anywhere"
    assert registry("privacy", "export", holder, "--out", tmp_path / "own.txt", "--purpose", "x").code == 2


def forgotten(registry: Registry, holder: str) -> str:
    """Have somebody forgotten by two; give what the second was told."""
    said = registry("privacy", "erase", holder, "--reason", "left the school")
    assert said.code == 0, said
    (digest,) = re.findall(r"proposal approve ([0-9a-f]{8})", said.err)
    agreed = registry("proposal", "approve", digest, "--operator", "officer")
    assert agreed.code == 0, agreed
    return agreed.err


def test_somebody_is_forgotten_by_two_and_for_good(registry: Registry, tmp_path: Path):
    holder = walker(registry, tmp_path, "Els Dijkema")
    badge = in_pocket(tmp_path / f"{holder}.json")
    told = forgotten(registry, holder)
    assert f"It is about {holder}." in told
    assert "Forgotten: their key is destroyed" in told
    outcome = registry.scan(badge)
    assert (outcome.granted, outcome.reason) == (False, Reason.UNKNOWN_CREDENTIAL.bacnet)
    for words in (
        ("privacy", "movements", holder, "--purpose", "why"),
        ("privacy", "erase", holder, "--reason", "again"),
        ("holder", "show", holder),
    ):
        assert registry(*words).code == 2
    again = registry("holder", "add", "Els Dijkema", "--id", holder, "--kind", "staff", "--clearance", 2, "--profiles", "pupil", "--tenant", "school")  # fmt: skip
    assert (again.code, again.out) == (2, "")
    assert "was forgotten, for good" in again.err
    assert holder not in registry("presence", "--json").out
    verified = registry("audit", "verify")
    assert verified.code == 0, verified


def test_an_engine_that_is_killed_while_it_forgets_is_followed_by_one_that_does(
    registry: Registry, tmp_path: Path
):
    holder = walker(registry, tmp_path, "Femke Alserda")
    said = registry("privacy", "erase", holder, "--reason", "left the school")
    (digest,) = re.findall(r"proposal approve ([0-9a-f]{8})", said.err)
    assert registry.engine is not None
    with registry.unserved():
        # Handed in, and not made: the engine that makes it is killed at once.
        assert registry("proposal", "approve", digest, "--operator", "officer").code == 4
    registry.engine.kill()
    registry.engine.wait()
    registry.start()
    done = "SELECT done FROM erased_person WHERE site_id = $1 AND holder = $2"
    registry.wait_until(lambda: [tuple(row) for row in registry.run(done, holder)] == [(True,)])
    assert registry("audit", "verify").code == 0


def test_what_is_held_is_kept_until_two_lift_it(registry: Registry, tmp_path: Path):
    holder = walker(registry, tmp_path, "Gijs Noordhof")
    held = registry("hold", "place", f"holder:{holder}", "--reason", "case 7")
    assert held.code == 0, held
    assert [one["scope"] for one in registry("hold", "list", "--json").document["holds"]] == [
        f"holder:{holder}"
    ]
    kept = registry("privacy", "erase", holder, "--reason", "left")
    assert kept.code == 1
    assert kept.err.startswith("Refused: holder-held.")
    lifting = registry("hold", "lift", f"holder:{holder}", "--reason", "closed")
    (digest,) = re.findall(r"proposal approve ([0-9a-f]{8})", lifting.err)
    assert registry("proposal", "approve", digest, "--operator", "admin").code == 0
    assert registry("hold", "list", "--json").document["holds"] == []
    assert registry("hold", "place", "zone:yard", "--reason", "case").code == 2
