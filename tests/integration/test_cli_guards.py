"""A guard's look: who waits, under which name, with which photo; and the word that opens, or does not."""

import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devices.agent import Outcome
from devices.core.events import Signal
from devices.hardware.simulated import SimulatedBadge
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.reasons import Reason
from tests.integration.people_site import OUT, Registry, served_site

pytestmark = pytest.mark.integration

FACE, OTHER_FACE = b"\xff\xd8\xff\xe0 Anna, as she looks", b"\x89PNG\r\n\x1a\n another"

_ESCORT = {"by": ["army/soldier"], "seconds": 60, "most": 1}


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("guards")
    with served_site(
        folder, postgres_server, broker, yard={"rules": {"guard_check": {"seconds": 60}, "escort": _ESCORT}}
    ) as registry:
        yield registry


@pytest.fixture
def gate() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


class Visit:
    """Somebody with a badge, who shows it at the gate and waits."""

    def __init__(self, registry: Registry, folder: Path, gate: ThreadPoolExecutor) -> None:
        self.registry, self.folder, self.gate = registry, folder, gate
        self.holder, self.badge = self.somebody("Anna de Vries", "staff")

    def somebody(self, name: str, kind: str, *words: object) -> tuple[str, SimulatedBadge]:
        """A person of the school, and a badge of theirs."""
        holder = self.registry.done("holder", "add", name, "--kind", kind, "--clearance", 2, "--profiles", "pupil", "--tenant", "school", *words)  # fmt: skip
        file = self.folder / f"{holder}.json"
        self.registry.done("badge", "issue", holder, "--assurance", 1, "--out", file)
        return holder, SimulatedBadge.bearer(base64.b64decode(json.loads(file.read_text())["token"]))

    def asks(self) -> tuple[Future[Outcome], int]:
        """Show the badge; give what will come of it, and the entry under which it waits."""
        asked = self.gate.submit(self.registry.scan, self.badge)
        self.registry.wait_until(lambda: bool(self.waiting()), within=20)
        (row,) = self.waiting()
        return asked, row["entry"]

    def waiting(self, *words: object) -> list[Mapping[str, Any]]:
        said = self.registry("verify", "--json", *words)
        assert said.code == 0, said
        found: list[Mapping[str, Any]] = said.document["waiting"]
        return found

    def photo(self, folder: Path, picture: bytes) -> str:
        file = folder / "picture"
        file.write_bytes(picture)
        return self.registry.done("holder", "photo", self.holder, file, "--json")


@pytest.fixture
def visit(registry: Registry, tmp_path: Path, gate: ThreadPoolExecutor) -> Visit:
    return Visit(registry, tmp_path, gate)


def test_a_guard_sees_name_and_photo_and_his_yes_opens(registry: Registry, visit: Visit, tmp_path: Path):
    before = registry.log_size()
    document = json.loads(visit.photo(tmp_path, FACE))
    assert (document["photo"], document["outcome"], document["entry"]) == (True, "applied", before)
    asked, entry = visit.asks()
    (shown,) = visit.waiting("--photos", tmp_path / "faces")
    assert (shown["name"], shown["holder"], shown["tenant"]) == ("Anna de Vries", visit.holder, "school")
    assert Path(shown["photo"]) == tmp_path / "faces" / f"{entry}.jpg"
    assert Path(shown["photo"]).read_bytes() == FACE
    assert Path(shown["photo"]).stat().st_mode & 0o077 == 0
    Path(shown["photo"]).write_bytes(OTHER_FACE)
    assert visit.waiting("--photos", tmp_path / "faces")[0]["photo"] is None, "nothing is written over"
    assert Path(shown["photo"]).read_bytes() == OTHER_FACE
    assert registry("verify", entry, "yes").code == 0
    assert asked.result(20).granted
    assert visit.waiting() == []
    assert registry.scan(visit.badge, OUT).granted


def test_a_guard_sees_the_faces_of_all_who_would_pass_on_his_yes(
    registry: Registry, visit: Visit, tmp_path: Path
):
    visit.photo(tmp_path, FACE)
    guest, badge = visit.somebody("Bo Bakker", "visitor", "--host", visit.holder)
    assert registry.scan(badge).reason == Reason.NO_ESCORT.bacnet
    asked, entry = visit.asks()
    (shown,) = visit.waiting("--photos", tmp_path / "faces")
    assert (shown["name"], Path(shown["photo"]).read_bytes()) == ("Anna de Vries", FACE)
    assert shown["with"] == [{"holder": guest, "name": "Bo Bakker", "tenant": "school", "photo": None}]
    said = " ".join(registry("verify", entry).out.split())
    assert "Bo Bakker" in said
    assert "2 people" in said
    registry.done("verify", entry, "yes")
    assert asked.result(20).granted
    there = registry.run("SELECT holder FROM presence WHERE site_id = $1 AND zone = 'yard'")
    assert {row["holder"] for row in there} == {visit.holder, guest}
    assert registry.scan(badge, OUT).granted
    assert registry.scan(visit.badge, OUT).granted


def test_a_guards_no_denies(registry: Registry, visit: Visit):
    asked, entry = visit.asks()
    table = registry("verify", entry)
    assert "Anna de Vries" in table.out
    assert registry("verify", entry, "no").code == 0
    outcome = asked.result(20)
    assert (outcome.signal, outcome.reason) == (Signal.DENIED, Reason.VERIFICATION_FAILED.bacnet)
    again = registry("verify", entry)
    assert (again.code, again.err) == (
        2,
        f"No scan waits under entry {entry}: it was answered, or its time is over.\n",
    )


def test_where_nobody_waits_that_is_said(registry: Registry):
    assert registry("verify").err == "Nobody waits for a guard's word.\n"
    said = registry("verify", 1, "perhaps")
    assert (said.code, said.err) == (2, "Say: gatekeeper verify 1 yes, or no.\n")


def test_a_new_photo_takes_the_place_of_the_old_and_none_is_kept_that_nobody_names(
    registry: Registry, visit: Visit, tmp_path: Path
):
    kept = "SELECT sealed FROM holder_photo WHERE site_id = $1 AND holder = $2"
    for picture in (FACE, OTHER_FACE):
        visit.photo(tmp_path, picture)
        assert len(registry.run(kept, visit.holder)) == 1
    registry.done("holder", "photo", visit.holder, "--remove", "--json")
    assert registry.run(kept, visit.holder) == []


def test_a_change_of_something_else_keeps_the_photo(registry: Registry, visit: Visit, tmp_path: Path):
    visit.photo(tmp_path, FACE)
    registry.done("holder", "change", visit.holder, "--name", "Anna Jansen", "--json")
    asked, entry = visit.asks()
    (shown,) = visit.waiting("--photos", tmp_path / "faces")
    assert (shown["name"], Path(shown["photo"]).read_bytes()) == ("Anna Jansen", FACE)
    registry.done("verify", entry, "no")
    assert not asked.result(20).granted


def test_a_face_put_into_the_database_is_not_shown(registry: Registry, visit: Visit, tmp_path: Path):
    visit.photo(tmp_path, FACE)
    registry.run(
        "UPDATE holder_photo SET sealed = decode(repeat('00', 64), 'hex') WHERE site_id = $1 AND holder = $2",
        visit.holder,
    )
    asked, entry = visit.asks()
    (shown,) = visit.waiting("--photos", tmp_path / "faces")
    assert shown["photo"] is None
    said = registry("verify", entry, "--photos", tmp_path / "faces")
    assert "cannot be opened" in " ".join(said.out.split())
    registry.done("verify", entry, "no")
    assert not asked.result(20).granted


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Say: gatekeeper holder photo {holder} PICTURE, or --remove.\n"),
        (("{file}", "--remove"), "Say: gatekeeper holder photo {holder} PICTURE, or --remove.\n"),
        (("{file}",), "The picture is neither a JPEG nor a PNG.\n"),
        (("{file}.jpg",), "{file}.jpg: No such file or directory.\n"),
    ],
)
def test_what_is_no_photo_is_told(
    words: tuple[str, ...], sentence: str, registry: Registry, visit: Visit, tmp_path: Path
):
    file = tmp_path / "letter"
    file.write_bytes(b"Dear guard")
    given = [word.format(file=file) for word in words]
    said = registry("holder", "photo", visit.holder, *given)
    assert (said.code, said.err) == (2, sentence.format(holder=visit.holder, file=file))
