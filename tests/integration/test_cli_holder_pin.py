"""A PIN from the registrar's hands to the gate: typed twice, kept as a hash, asked at a real gate, found nowhere."""

import base64
import io
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from devices.hardware.simulated import SimulatedBadge
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.reasons import Reason
from tests.integration.people_site import OUT, Registry, Say, served_site
from tests.support.commands import Said

pytestmark = pytest.mark.integration

PIN, DURESS, OTHER = "25801470", "08520741", "9173"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("pins")
    with served_site(folder, postgres_server, broker, yard={"rules": {"pin": "always"}}) as registry:
        yield registry


@pytest.fixture
def piped(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Say:
    """`holder pin` with these lines on its stdin."""

    def said(holder: str, lines: str, *words: object) -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        return registry("holder", "pin", holder, *words)

    return said


def teacher(registry: Registry) -> str:
    return registry.done("holder", "add", "Anna de Vries", "--kind", "staff", "--clearance", 2, "--profiles", "pupil", "--tenant", "school")  # fmt: skip


def badge_of(registry: Registry, holder: str, folder: Path) -> SimulatedBadge:
    file = folder / f"{holder}.json"
    registry.done("badge", "issue", holder, "--assurance", 1, "--out", file)
    return SimulatedBadge.bearer(base64.b64decode(json.loads(file.read_text())["token"]))


def test_a_pin_that_was_set_opens_where_a_zone_demands_one_and_no_other_does(
    registry: Registry, piped: Say, tmp_path: Path
):
    holder = teacher(registry)
    badge = badge_of(registry, holder, tmp_path)
    assert registry.scan(replace(badge, pin=PIN)).reason == Reason.PIN_WRONG.bacnet, "there is none yet"
    before = registry.log_size()
    said = piped(holder, f"{PIN}\n")
    assert (said.code, said.out) == (0, "")
    assert said.err == f"Anna de Vries ({holder}) has a PIN.\nDone; entry {before} of the log.\n"
    assert registry.kinds(before) == ["holder.registered"]
    assert (registry.shown(holder)["pin"], registry.shown(holder)["name"]) == (True, "Anna de Vries")
    assert registry.scan(badge).reason == Reason.PIN_MISSING.bacnet
    assert registry.scan(replace(badge, pin=OTHER)).reason == Reason.PIN_WRONG.bacnet
    assert registry.scan(replace(badge, pin=PIN)).granted
    assert registry.scan(badge, OUT).granted


def test_a_new_pin_ends_the_old_one_and_a_removed_one_opens_nothing(
    registry: Registry, piped: Say, tmp_path: Path
):
    holder = teacher(registry)
    badge = badge_of(registry, holder, tmp_path)
    assert piped(holder, f"{PIN}\n").code == 0
    assert piped(holder, f"{OTHER}\r\n").code == 0
    assert registry.scan(replace(badge, pin=PIN)).reason == Reason.PIN_WRONG.bacnet
    assert registry.scan(replace(badge, pin=OTHER)).granted
    assert registry.scan(badge, OUT).granted
    said = registry("holder", "pin", holder, "--remove", "--json")
    assert said.document == {
        "holder": holder,
        "version": 5,
        "pin": False,
        "outcome": "applied",
        "detail": "",
        "entry": registry.log_size() - 1,
    }
    assert registry.scan(replace(badge, pin=OTHER)).reason == Reason.PIN_WRONG.bacnet
    again = registry("holder", "pin", holder, "--remove")
    assert (again.code, again.err) == (0, f"Nothing to change: Anna de Vries ({holder}) has no PIN.\n")


def test_the_pin_that_cries_for_help_opens_and_cries(registry: Registry, piped: Say, tmp_path: Path):
    holder = teacher(registry)
    badge = badge_of(registry, holder, tmp_path)
    assert piped(holder, f"{PIN}\n{DURESS}\n", "--duress").code == 0
    before = registry.log_size()
    assert registry.scan(replace(badge, pin=DURESS)).granted
    (cried,) = registry.run(
        "SELECT body FROM entry WHERE site_id = $1 AND seq >= $2 AND kind = 'access.granted'", before
    )
    assert Reason.DURESS.code in json.loads(cried["body"])["reasons"]


def test_a_pin_stands_in_no_row_that_the_site_keeps(registry: Registry, piped: Say):
    holder = teacher(registry)
    assert piped(holder, f"{PIN}\n{DURESS}\n", "--duress").code == 0
    for table, column in [("change", "document"), ("holder", "document"), ("entry", "body")]:
        rows = registry.run(f"SELECT {column} AS kept FROM {table} WHERE site_id = $1")
        assert rows
        kept = b"".join(bytes(row["kept"]) for row in rows)
        assert PIN.encode() not in kept
        assert DURESS.encode() not in kept


def test_a_change_of_something_else_keeps_the_pin(registry: Registry, piped: Say, tmp_path: Path):
    holder = teacher(registry)
    assert piped(holder, f"{PIN}\n").code == 0
    registry.done("holder", "change", holder, "--clearance", 1)
    badge = badge_of(registry, holder, tmp_path)
    assert registry.scan(replace(badge, pin=PIN)).granted


@pytest.mark.parametrize(
    ("lines", "words", "sentence"),
    [
        ("\n", (), "The PIN is 4 to 8 digits, and nothing else."),
        ("123\n", (), "The PIN is 4 to 8 digits, and nothing else."),
        ("258014709\n", (), "The PIN is 4 to 8 digits, and nothing else."),
        (" 2580\n", (), "The PIN is 4 to 8 digits, and nothing else."),
        ("٢٥٨٠\n", (), "The PIN is 4 to 8 digits, and nothing else."),
        ("7777\n", (), "The PIN is one that everybody tries: one digit again and again, or digits in a row."),
        ("7890\n", (), "The PIN is one that everybody tries: one digit again and again, or digits in a row."),
        ("", (), "Stdin ends before the PIN: write it on line 1."),
        (f"{PIN}\n", ("--duress",), "Stdin ends before the PIN that cries for help: write it on line 2."),
        (f"{PIN}\n\n", ("--duress",), "The PIN that cries for help is 4 to 8 digits, and nothing else."),
        (f"{PIN}\n{PIN}\n", ("--duress",), "The PIN that cries for help must be another than the first."),
        (f"{PIN}\n{DURESS}\n", (), "There are more lines than PINs on stdin: say --duress where the second is the one that cries for help."),
        (f"{PIN}\n{DURESS}\n{OTHER}\n", ("--duress",), "There are more lines than PINs on stdin."),
        ("", ("--duress", "--remove"), "Say --remove, or --duress: who has no PIN has none that cries for help."),
    ],
)  # fmt: skip
def test_what_will_not_do_is_told_without_repeating_it_and_nothing_is_done(
    lines: str, words: tuple[str, ...], sentence: str, registry: Registry, piped: Say
):
    before = registry.log_size()
    said = piped("h-00003", lines, *words)
    assert (said.code, said.out, said.err) == (2, "", f"{sentence}\n")
    assert registry.log_size() == before


def test_nobody_types_a_pin_for_somebody_who_is_not_there(registry: Registry, piped: Say):
    assert piped("h-99999", f"{PIN}\n").err == "The site has no badge and no holder h-99999.\n"


def test_at_a_terminal_a_pin_is_typed_twice_and_not_shown(registry: Registry):
    holder = teacher(registry)
    screen = _at_a_terminal(registry, holder, [PIN, OTHER, "12", PIN, PIN, DURESS, DURESS], "--duress")
    assert screen.count("The two are not alike: type it again.") == 1
    assert screen.count("The PIN is 4 to 8 digits, and nothing else.") == 1
    assert screen.count("Once more:") == 3
    assert f"Anna de Vries ({holder}) has a PIN." in screen
    assert not [pin for pin in (PIN, OTHER, DURESS) if pin in screen]
    assert registry.shown(holder)["pin"]


def _at_a_terminal(registry: Registry, holder: str, answers: list[str], *words: str) -> str:
    """Type an answer at each question; what the screen has shown in the end."""
    outer, inner = pty.openpty()
    command = ["from gatekeeper.cli import main; main()", "holder", "pin", holder, *words]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", *command, *map(str, registry.where)],
        stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("GATEKEEPER_")},
    ) as asking, closing(os.fdopen(outer, "rb", 0)) as screen:  # fmt: skip
        os.close(inner)
        shown, asked = b"", 0
        while chunk := _read(screen):
            shown += chunk
            if answers and len(shown) > asked and shown.endswith(b": "):
                assert not termios.tcgetattr(screen)[3] & termios.ECHO, "what is typed would be shown"
                os.write(outer, answers.pop(0).encode() + b"\n")
                asked = len(shown)
        assert asking.wait(30) == 0, shown
    assert not answers
    return shown.decode()


def _read(screen: io.FileIO) -> bytes:
    try:
        return screen.read(4096) or b""
    except OSError:  # the other end is closed
        return b""
