"""A registrar's day: people, badges and visitors of a served site, each told what became of it."""

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from devices.hardware.simulated import SimulatedBadge
from gatekeeper import cose
from gatekeeper.cli.people.badges import _issue, _tell_replaced
from gatekeeper.cli.people.desk import at_desk
from gatekeeper.cli.people.passes import BadgeFiles
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.badges import Assurance
from gatekeeper.model.ids import GateId
from gatekeeper.model.reasons import Reason
from gatekeeper.service.administration.folder import TRUST, SiteFolder
from gatekeeper.service.administration.pass_text import pass_text, read_pass_text
from gatekeeper.service.administration.people import BadgeOrder
from tests.integration.people_site import OUT, Registry, in_pocket, served_site
from tests.unit.administration.qr_reader import Matrix, read_png, read_svg, text_of

pytestmark = pytest.mark.integration

SOLDIER, PUPIL = "h-00001", "h-00003"
ASSEN = ZoneInfo("Europe/Amsterdam")
NEXT_MONTH = (datetime.now(ASSEN) + timedelta(days=30)).strftime("%Y-%m-%d")


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("registry"), postgres_server, broker) as registry:
        yield registry


def teacher(registry: Registry, *words: object, name: str = "Anna de Vries") -> str:
    """Somebody new of the school; their id."""
    return registry.done("holder", "add", name, "--kind", "staff", "--clearance", 2, "--profiles", "pupil", "--tenant", "school", *words)  # fmt: skip


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


# -- holders ------------------------------------------------------------------------------------------------------------


def test_who_is_added_is_registered_and_told_in_two_sentences(registry: Registry):
    said = registry("holder", "add", "Anna de Vries", "--kind", "staff", "--clearance", 2, "--profiles", "pupil",
                    "--until", NEXT_MONTH, "--certificate", "first-aid=2031-01-31", "--tenant", "school")  # fmt: skip
    holder = said.out.strip()
    notes, who, done, *more = said.err.splitlines()
    assert notes == "No zone asks for the certificate first-aid; they ask for none."
    assert who == f"Anna de Vries ({holder}) of school, version 1."
    assert (done, more) == (f"Done; entry {registry.log_size() - 1} of the log.", [])
    shown = registry.shown(holder)
    assert shown | {"from": "", "until": "", "zone": None} == {
        "holder": holder,
        "tenant": "school",
        "name": "Anna de Vries",
        "kind": "staff",
        "clearance": 2,
        "profiles": ["pupil"],
        "from": "",
        "until": "",
        "certificates": {"first-aid": "2031-01-31T23:00:00Z"},
        "host": None,
        "version": 1,
        "pin": False,
        "zone": None,
        "badges": [],
    }
    local = datetime.fromisoformat(shown["until"]).astimezone(ASSEN)
    assert (local - timedelta(seconds=1)).strftime("%Y-%m-%d") == NEXT_MONTH, "that day included"


def test_a_registrar_who_errs_hears_everything_at_once_and_nothing_is_done(registry: Registry):
    before = registry.log_size()
    said = registry("holder", "add", " ", "--kind", "stuff", "--clearance", "high", "--profiles", "soldier", "--until", "2031-02-30",
                    "--host", SOLDIER, "--tenant", "school")  # fmt: skip
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines() == [
        "name: is empty: write the name.",
        'kind: "stuff" is no kind: write one of staff, contractor, visitor, reservist, vehicle.',
        'clearance: "high" is no level: write a whole number from 0 to 5.',
        'until: "2031-02-30" does not exist: no calendar or clock shows it.',
        'profiles: school has no profile "soldier"; it has guest, pupil.',
        f"host: school has no holder {SOLDIER}: name one of its people.",
    ]
    assert registry.log_size() == before


def test_what_is_changed_rises_a_version_and_the_rest_stays(registry: Registry):
    holder = teacher(registry, "--certificate", "first-aid=2031-01-31", "--id", "p-4711")
    assert holder == "p-4711"
    before = registry.shown(holder)
    registry.done("holder", "change", holder, "--add-profile", "guest", "--certificate", "crane=2030-06-30")
    after = registry.shown(holder)
    assert after | {"version": 1, "profiles": ["pupil"], "certificates": before["certificates"]} == before
    assert (after["version"], after["profiles"], sorted(after["certificates"])) == (2, ["pupil", "guest"], ["crane", "first-aid"])  # fmt: skip
    registry.done("holder", "change", holder, "--drop-profile", "pupil", "--drop-certificate", "first-aid", "--name", "Anna Smit")  # fmt: skip
    last = registry.shown(holder)
    assert (last["version"], last["profiles"], sorted(last["certificates"])) == (3, ["guest"], ["crane"])
    assert (last["name"], last["until"]) == ("Anna Smit", before["until"])


def test_what_is_said_already_is_not_said_again(registry: Registry):
    holder, before = teacher(registry), registry.log_size()
    said = registry("holder", "change", holder, "--clearance", 2, "--profiles", "pupil", "--until", "")
    assert (said.code, said.out) == (0, "")
    assert said.err == f"Nothing to change: that is what school says of Anna de Vries ({holder}) already.\n"
    assert registry("holder", "change", holder, "--clearance", 2, "--json").document["outcome"] == "unchanged"
    assert (registry.log_size(), registry.shown(holder)["version"]) == (before, 1)


def test_an_id_is_given_once(registry: Registry):
    teacher(registry, "--id", "p-twice")
    said = registry("holder", "add", "Bo", "--kind", "staff", "--clearance", 1, "--id", "p-twice", "--tenant", "school")  # fmt: skip
    assert said.code == 2
    assert said.err == "school has a holder p-twice already: change it (holder change p-twice ...).\n"


def test_a_tenants_list_is_its_own_and_tells_who_has_what(registry: Registry):
    holder = teacher(registry, name="Zoë 't Hart")
    document = registry("holder", "list", "--tenant", "school", "--json").document
    people = {one["holder"]: one for one in document["holders"]}
    assert {PUPIL, holder} <= people.keys()
    assert {one["tenant"] for one in people.values()} == {"school"}
    assert (people[holder]["name"], document["not_believed"]) == ("Zoë 't Hart", [])
    said = registry("holder", "list", "--tenant", "school", "--kind", "staff")
    (line,) = (line for line in said.out.splitlines() if holder in line)
    assert line.split()[:7] == [holder, "Zoë", "'t", "Hart", "staff", "2", "pupil"]
    assert PUPIL not in said.out
    assert said.err.endswith("people of school.\n")


def test_without_a_tenant_a_list_asks_for_one(registry: Registry):
    said = registry("holder", "list")
    assert (said.code, said.err) == (2, "Name the tenant with --tenant: army, club, school.\n")
    said = registry("holder", "list", "--tenant", "navy")
    assert (said.code, said.err) == (2, "The site has no tenant navy; it has army, club, school.\n")


# -- badges -------------------------------------------------------------------------------------------------------------


def test_a_badge_with_a_key_opens_and_its_key_is_in_the_file_and_nowhere_else(
    registry: Registry, tmp_path: Path
):
    holder, file = teacher(registry), tmp_path / "anna.json"
    said = registry("badge", "issue", holder, "--out", file)
    badge = said.out.strip()
    assert (len(badge), mode(file)) == (32, 0o600)
    written = json.loads(file.read_text())
    assert "PRIVATE KEY" not in said.out + said.err
    key = load_pem_private_key(written["key"].encode(), password=None)
    assert isinstance(key, EllipticCurvePrivateKey)
    numbers = key.private_numbers()
    private, public = (n.to_bytes(32, "big") for n in (numbers.private_value, numbers.public_numbers.x))
    issued = "SELECT 1 FROM badge WHERE site_id = $1 AND position($2 in token) > 0"
    handed_in = "SELECT 1 FROM change WHERE site_id = $1 AND position($2 in document) > 0"
    assert registry.run(issued, public)
    assert not registry.run(issued, private)
    assert not registry.run(handed_in, private)
    assert not registry.run(handed_in, public), "a change about a person is let go when it is made"
    assert registry.states(holder) == {badge: "active"}
    outcome = registry.scan(in_pocket(file))
    assert outcome.granted
    assert registry.scan(in_pocket(file), OUT).granted


def test_without_a_place_for_its_key_a_badge_is_not_issued(registry: Registry, tmp_path: Path):
    holder, before = teacher(registry), registry.log_size()
    said = registry("badge", "issue", holder)
    assert (said.code, said.out) == (2, "")
    assert said.err == "This badge has a private key of its own: say with --out FILE where that goes.\n"
    there = tmp_path / "there.json"
    there.write_text("somebody else's key")
    said = registry("badge", "issue", holder, "--out", there)
    assert (said.code, said.err) == (
        2,
        f"{there} exists, and nothing is written over it: name another, or remove it.\n",
    )
    assert (there.read_text(), registry.log_size()) == ("somebody else's key", before)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--assurance", 0), "A bare card is known by its number: say it with --card mifare:BA839D07."),
        (("--assurance", 2, "--card", "mifare:00"), "A card's number is assurance 0, and no more: leave out --assurance, or --card."),
        (("--assurance", 2, "--qr", "a.svg"), "A QR code carries a bearer badge: leave out --qr, or say --assurance 1."),
        (("--card", "mifare:00", "--out", "a"), "A bare card holds nothing but its number: leave out --out."),
        (("--card", "BA839D07"), '"BA839D07" is no card number: write mifare:BA839D07, or wiegand:4302741608/34 (number and bits).'),
        (("--qr", "pass.pdf"), "pass.pdf is neither an .svg nor a .png file: a QR code is written as one of them."),
        (("--qr", "a.svg", "--until", "soon"), '"soon" is no day or time: write 2027-12-31, or 2027-12-31T17:00, or 17:00 for today; 31-12-2027 is read day first.'),
        (("--qr", "a.svg", "--until", "2020-01-01"), "The badge would end before it begins: give it a later end."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_before_anything_is_done(
    words: tuple[object, ...],
    sentence: str,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    before = registry.log_size()
    monkeypatch.chdir(tmp_path)
    said = registry("badge", "issue", PUPIL, *words)
    assert (said.code, said.out, said.err) == (2, "", f"{sentence}\n")
    assert (registry.log_size(), list(tmp_path.iterdir())) == (before, [])


def test_a_badge_for_three_uses_until_this_evening_is_that(registry: Registry):
    holder = teacher(registry)
    tomorrow = datetime.now(ASSEN) + timedelta(days=1)
    badge = registry.done("badge", "issue", holder, "--assurance", 1, "--max-uses", 3, "--until", f"{tomorrow:%Y-%m-%d} 17:00")  # fmt: skip
    shown = registry("badge", "show", badge, "--json").document
    until = tomorrow.replace(hour=17, minute=0, second=0, microsecond=0).astimezone(UTC)
    assert datetime.fromisoformat(shown["until"]) == until
    assert (shown["max_uses"], shown["uses"], shown["assurance"], shown["name"]) == (3, 0, 1, "Anna de Vries")


def test_a_card_is_one_badges_only(registry: Registry):
    holder = teacher(registry)
    first = registry.done("badge", "issue", holder, "--card", "wiegand:4302741608/34")
    said = registry("badge", "issue", holder, "--card", "wiegand:4302741608/34")
    assert said.code == 2
    assert said.err == (
        f"Badge {first} of {holder} answers to wiegand:4302741608/40 and is active: "
        f"to free the number, revoke it (gatekeeper badge revoke {first}).\n"
    )
    (badge,) = registry.shown(holder)["badges"]
    assert (badge["assurance"], badge["card"]) == (0, "wiegand:4302741608/40")


def test_a_card_whose_badge_is_over_opens_for_its_next_holder(registry: Registry):
    first, next_ = teacher(registry), teacher(registry, name="Bo Smit")
    old = registry.done("badge", "issue", first, "--card", "mifare:04C0FFEE")
    registry.done("badge", "revoke", old)
    new = registry.done("badge", "issue", next_, "--card", "mifare:04C0FFEE")
    assert (registry.states(first)[old], registry.states(next_)[new]) == ("revoked", "active")
    rows = registry.run(
        "SELECT badge, holder, state FROM badge WHERE site_id = $1 AND card_number = $2", b"\x04\xc0\xff\xee"
    )
    assert [tuple(row) for row in rows] == [(new, next_, "active")]
    assert (
        registry.run("SELECT holder FROM badge WHERE site_id = $1 AND badge = $2", old)[0]["holder"] == first
    )
    registry.done("badge", "expire", new)
    registry.done("badge", "issue", first, "--card", "mifare:04C0FFEE")
    with registry.unserved():
        pass
    assert registry.shown(next_)["badges"][0]["standing"] == "taken away"


def test_badges_take_places_in_the_status_list_that_nobody_had(registry: Registry):
    holder = teacher(registry)
    place = registry.folder.root / "tenants" / "school" / "status-index"
    registry.done("badge", "issue", holder, "--assurance", 1)
    first = int(place.read_text())
    registry.done("badge", "issue", holder, "--assurance", 1)
    assert (int(place.read_text()), mode(place)) == (first + 1, 0o600)
    place.unlink()
    registry.done("badge", "issue", holder, "--assurance", 1)
    assert int(place.read_text()) == first + 2, "what is forgotten is found again in the badges themselves"


def test_a_place_that_cannot_be_read_is_no_reason_to_give_one_twice(registry: Registry):
    holder = teacher(registry)
    place = registry.folder.root / "tenants" / "school" / "status-index"
    registry.done("badge", "issue", holder, "--assurance", 1)
    kept = place.read_bytes()
    place.write_bytes(b"seven\n")
    said = registry("badge", "issue", holder, "--assurance", 1)
    assert (said.code, said.err) == (2, f"{place} holds no number any more: remove it, and go on.\n")
    place.write_bytes(kept)


STATES = [("suspend", "suspended"), ("lost", "lost"), ("stolen", "stolen"), ("revoke", "revoked")]


@pytest.mark.parametrize(("verb", "state"), STATES)
def test_what_is_said_of_a_badge_counts_at_once(verb: str, state: str, registry: Registry, tmp_path: Path):
    holder, file = teacher(registry), tmp_path / "badge.json"
    badge = registry.done("badge", "issue", holder, "--assurance", 1, "--out", file)
    said = registry("badge", verb, badge)
    assert said.err == f"Done; entry {registry.log_size() - 1} of the log.\n"
    assert said.out.splitlines()[1].split() == [badge, "Anna", "de", "Vries", f"({holder})", "active", state]
    outcome = registry.scan(in_pocket(file))
    reasons = {"suspended": Reason.BADGE_SUSPENDED, "lost": Reason.BADGE_LOST, "stolen": Reason.BADGE_STOLEN, "revoked": Reason.REVOKED}  # fmt: skip
    assert (outcome.granted, outcome.reason) == (False, reasons[state].bacnet)
    again = registry("badge", verb, badge)
    assert (again.code, again.out) == (0, "")
    assert again.err == "Nothing to change: no badge that is meant is any different.\n"


def test_a_badge_that_was_found_counts_again_and_one_that_is_revoked_never(
    registry: Registry, tmp_path: Path
):
    holder, file = teacher(registry), tmp_path / "badge.json"
    badge = registry.done("badge", "issue", holder, "--assurance", 1, "--out", file)
    registry.done("badge", "lost", badge)
    registry.done("badge", "reinstate", badge)
    assert registry.scan(in_pocket(file)).granted
    registry.done("badge", "revoke", badge)
    said = registry("badge", "reinstate", badge)
    assert said.code == 2
    assert said.err == f"Badge {badge} is revoked, and that is for good: issue another (gatekeeper badge replace {badge}).\n"  # fmt: skip


def test_a_holder_s_lost_badge_is_named_before_it_counts_again(registry: Registry):
    holder = teacher(registry)
    lost, stolen = (registry.done("badge", "issue", holder, "--assurance", 1) for _ in range(2))
    registry.done("badge", "lost", lost)
    registry.done("badge", "stolen", stolen)
    said = registry("badge", "reinstate", holder)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"{holder} holds what is lost or stolen: name the badge that was found. ")
    for named in (f"{lost} (lost)", f"{stolen} (stolen)"):
        assert named in said.err
    assert registry.states(holder) == {lost: "lost", stolen: "stolen"}


def test_the_states_own_names_say_the_same_and_are_as_strict(registry: Registry):
    holder = teacher(registry)
    badge = registry.done("badge", "issue", holder, "--assurance", 1)
    said = registry("badge", "set", badge, "revoked", "--json").document["changes"]
    assert [(one["badge"], one["was"], one["outcome"]) for one in said] == [(badge, "active", "applied")]
    again = registry("badge", "set", badge, "active")
    assert (again.code, registry.states(holder)) == (2, {badge: "revoked"})
    assert again.err == f"Badge {badge} is revoked, and that is for good: issue another (gatekeeper badge replace {badge}).\n"  # fmt: skip


def test_for_a_holder_what_was_said_of_a_badge_is_never_made_less(registry: Registry):
    holder = teacher(registry)
    active, lost, stolen = (registry.done("badge", "issue", holder, "--assurance", 1) for _ in range(3))
    registry.done("badge", "lost", lost)
    registry.done("badge", "stolen", stolen)
    changes = registry("badge", "suspend", holder, "--json").document["changes"]
    assert [(one["badge"], one["was"], one["outcome"]) for one in changes] == [(active, "active", "applied")]
    registry.done("badge", "reinstate", holder)
    assert registry.states(holder) == {active: "active", lost: "lost", stolen: "stolen"}
    registry.done("badge", "revoke", holder)
    assert set(registry.states(holder).values()) == {"revoked"}


def test_a_badge_is_replaced_as_one_outcome(registry: Registry, tmp_path: Path):
    holder, file, other = teacher(registry), tmp_path / "old.json", tmp_path / "new.json"
    old = registry.done("badge", "issue", holder, "--out", file, "--max-uses", 9)
    before = registry.log_size()
    said = registry("badge", "replace", old, "--out", other)
    new = said.out.strip()
    assert (
        said.err.splitlines()[-1]
        == f"Done: {new} replaces {old}; entries {before} and {before + 1} of the log."
    )
    assert registry.kinds(before) == ["badge.changed", "holder.registered"]
    assert registry.states(holder) == {new: "active", old: "revoked"}
    assert registry.shown(holder)["badges"][0]["max_uses"] == 9
    assert registry.scan(in_pocket(other)).granted
    assert registry.scan(in_pocket(file)).reason == Reason.REVOKED.bacnet


def test_a_stolen_badge_that_is_replaced_stays_stolen(registry: Registry, tmp_path: Path):
    holder = teacher(registry)
    old = registry.done("badge", "issue", holder, "--assurance", 1)
    registry.done("badge", "stolen", old)
    new = registry.done("badge", "replace", old)
    assert registry.states(holder) == {new: "active", old: "stolen"}
    said = registry("badge", "replace", holder)
    assert (said.code, sorted(said.err.removesuffix(".\n").partition("They hold ")[2].split(", "))) == (
        2,
        sorted([new, old]),
    )


def test_when_only_half_of_a_replacement_is_made_the_person_hears_which_half_and_what_to_do(
    registry: Registry, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    holder, files = teacher(registry), BadgeFiles(out=tmp_path / "new.json", qr=None)
    old = registry.done("badge", "issue", holder, "--assurance", 1)
    with at_desk(registry.settings, tenant="school") as at:
        registered, (known,) = at.person(holder), at.badges(old)
        registry.done("holder", "change", holder, "--clearance", 1)  # by somebody else, on another machine
        order = BadgeOrder(assurance=Assurance.KEY_BOUND)
        issued, outcomes = _issue(at, registered, order, files, revoking=known)
        capfd.readouterr()
        _tell_replaced(at, registered, known, issued, outcomes, files)
    assert capfd.readouterr().err == (
        f"The old badge is revoked (entry {registry.log_size() - 1}), but there is no new one yet: when it is mended, say the same again. "
        "Refused: registration-old. Version 3 follows 3. Somebody changed this holder meanwhile: run the command again.\n"
    )
    assert (registry.states(holder), list(tmp_path.iterdir())) == ({old: "revoked"}, [])


def test_a_badge_that_expires_ends_in_good_order(registry: Registry, tmp_path: Path):
    holder, file = teacher(registry), tmp_path / "badge.json"
    badge = registry.done("badge", "issue", holder, "--assurance", 1, "--out", file)
    assert badge in registry("badge", "expire", badge, "--dry-run").out
    assert registry.states(holder) == {badge: "active"}
    registry.done("badge", "expire", badge)
    assert registry.states(holder) == {badge: "taken away"}
    outcome = registry.scan(in_pocket(file))
    assert not outcome.granted
    assert outcome.reason in {Reason.HOLDER_UNPROVEN.bacnet, Reason.BADGE_UNASSIGNED.bacnet}
    said = registry("badge", "expire", holder)
    assert (said.code, said.err) == (0, "Nothing to change: no badge that is meant is held by anybody.\n")


def test_badges_whose_time_is_over_are_taken_from_all_at_once(registry: Registry):
    holder = teacher(registry)
    badge = registry.done("badge", "issue", holder, "--assurance", 1, "--until", f"{datetime.now(ASSEN) + timedelta(seconds=3):%Y-%m-%dT%H:%M:%S}")  # fmt: skip
    other = registry.done("badge", "issue", holder, "--assurance", 1)
    while registry.states(holder)[badge] == "active":
        pass
    said = registry("badge", "expire", "--tenant", "school")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == [badge]
    assert registry.states(holder) == {badge: "taken away", other: "active"}


# -- passes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "read"), [("svg", read_svg), ("png", read_png)])
def test_a_pass_is_read_back_from_its_picture_and_opens(
    kind: str, read: Callable[[bytes], Matrix], registry: Registry, tmp_path: Path
):
    file = tmp_path / f"pass.{kind}"
    badge = registry.done("badge", "issue", teacher(registry), "--qr", file)
    assert mode(file) == 0o600
    text = text_of(read(file.read_bytes()))
    assert registry.scan(SimulatedBadge.bearer(read_pass_text(text))).granted
    shown = registry("badge", "show", text, "--json").document
    assert (shown["badge"], shown["standing"]) == (badge, "active")
    again = tmp_path / f"again.{kind}"
    registry.done("badge", "show", badge, "--qr", again)
    assert again.read_bytes() == file.read_bytes()


def test_the_text_of_a_pass_may_come_from_a_desk_scanner(registry: Registry, tmp_path: Path):
    file = tmp_path / "pass.png"
    badge = registry.done("badge", "issue", teacher(registry), "--qr", file)
    done = subprocess.run(
        [sys.executable, "-c", "from gatekeeper.cli import main; main()", "badge", "show", "-", "--json", *map(str, registry.where)],
        input=text_of(read_png(file.read_bytes())) + "\n",
        capture_output=True, text=True, timeout=60, check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("GATEKEEPER_")},
    )  # fmt: skip
    assert json.loads(done.stdout)["badge"] == badge


def test_a_pass_of_another_making_is_told_apart(registry: Registry, tmp_path: Path):
    file = tmp_path / "badge.json"
    registry.done("badge", "issue", teacher(registry), "--assurance", 1, "--out", file)
    token = base64.b64decode(json.loads(file.read_text())["token"])
    forged = token[:-1] + bytes([token[-1] ^ 1])
    said = registry("badge", "show", pass_text(forged))
    assert said.code == 2
    assert "though it says so" in said.err
    for text, why in [("GK1:BB8", "This is the text of no badge.\n"), ("GK9:BB8", "This is not the text of a badge.\n")]:  # fmt: skip
        assert registry("badge", "show", text).err == why


def test_a_badge_with_a_key_is_not_printed(registry: Registry, tmp_path: Path):
    badge = registry.done("badge", "issue", teacher(registry), "--out", tmp_path / "badge.json")
    said = registry("badge", "show", badge, "--qr", tmp_path / "pass.svg")
    assert (said.code, (tmp_path / "pass.svg").exists()) == (2, False)
    assert said.err == "A QR code carries a bearer badge (assurance 1), and this one has assurance 2.\n"


# -- visitors -----------------------------------------------------------------------------------------------------------


def test_a_visitor_is_one_command_from_the_name_to_the_open_gate(registry: Registry, tmp_path: Path):
    host, file = teacher(registry, name="Hester Host"), tmp_path / "piet.svg"
    before = registry.log_size()
    said = registry("visitor", "add", "Piet Puk", "--host", host, "--until", NEXT_MONTH, "--profiles", "guest", "--qr", file)  # fmt: skip
    visitor = said.out.strip()
    visits, where, done = said.err.splitlines()
    (badge,) = registry.states(visitor)
    assert visits == f"Piet Puk visits Hester Host ({host}); the pass {badge} ends {NEXT_MONTH}."
    assert where == f"The pass is in {file}: who has it, or a picture of it, has the badge."
    assert (done, registry.kinds(before)) == (f"Done; entry {before} of the log.", ["holder.registered"])
    shown = registry.shown(visitor)
    assert (shown["kind"], shown["host"], shown["clearance"], shown["profiles"]) == (
        "visitor",
        host,
        1,
        ["guest"],
    )
    assert shown["until"] == shown["badges"][0]["until"]

    badge_in_hand = SimulatedBadge.bearer(read_pass_text(text_of(read_svg(file.read_bytes()))))
    assert registry.scan(badge_in_hand).granted
    listed = {one["holder"]: one for one in registry("visitor", "list", "--tenant", "school", "--json").document["visitors"]}  # fmt: skip
    assert listed[visitor]["zone"] == "yard"

    ended = registry("visitor", "end", visitor)
    inside, visit, done = ended.err.splitlines()
    assert inside.startswith(f"Piet Puk ({visitor}) is in yard by the log, since ")
    assert inside.endswith(": see them out, their badge may not.")
    assert visit == f"The visit of Piet Puk ({visitor}) ends now."
    assert registry.scan(badge_in_hand, OUT).reason == Reason.HOLDER_INACTIVE.bacnet
    again = registry("visitor", "end", visitor)
    assert (again.code, again.err.partition(" ended ")[0]) == (
        0,
        f"Nothing to change: the visit of Piet Puk ({visitor})",
    )


def test_a_visit_that_never_was_is_ended_before_it_begins(registry: Registry):
    visitor = registry.done("visitor", "add", "Nora Nooit", "--host", teacher(registry), "--from", NEXT_MONTH, "--until", NEXT_MONTH, "--profiles", "guest")  # fmt: skip
    assert visitor in registry("visitor", "list", "--tenant", "school").out
    registry.done("visitor", "end", visitor)
    shown = registry.shown(visitor)
    assert shown["from"] == shown["until"]
    assert visitor not in registry("visitor", "list", "--tenant", "school").out
    assert visitor in registry("visitor", "list", "--tenant", "school", "--all").out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("--until", "2020-01-01"),
            "until: lies before the beginning: write a later end, or an earlier beginning.",
        ),
        (("--until", " "), "until: is empty: a visit has an end."),
        (("--until", "2099-01-01"), "until: lies after the end of school's agreement: write "),
        (("--profiles", "gast"), 'profiles: school has no profile "gast"; it has guest, pupil.'),
        (("--host", "h-00002"), "host: school has no holder h-00002: name one of its people."),
        (("--host", PUPIL), f"host: {PUPIL} is a visitor too: name who receives them."),
    ],
)
def test_a_visit_that_cannot_be_is_told_why(
    words: tuple[str, str], problem: str, registry: Registry, tmp_path: Path
):
    given = {"--host": teacher(registry), "--until": NEXT_MONTH, "--profiles": "guest"} | dict([words])
    file = tmp_path / "pass.svg"
    said = registry("visitor", "add", "Piet", "--tenant", "school", "--qr", file, *[part for pair in given.items() for part in pair])  # fmt: skip
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(problem)
    assert not file.exists()


def test_only_a_visitors_visit_is_ended(registry: Registry):
    holder = teacher(registry)
    said = registry("visitor", "end", holder)
    assert (said.code, said.err) == (2, f"Anna de Vries ({holder}) is no visitor, but staff.\n")


# -- nobody serves ------------------------------------------------------------------------------------------------------


def test_while_nobody_serves_the_site_what_is_handed_in_waits_and_is_not_said_twice(
    registry: Registry, tmp_path: Path
):
    holder = teacher(registry)
    with registry.unserved():
        said = registry("holder", "change", holder, "--clearance", 1)
        assert (said.code, said.out.strip()) == (4, holder)
        assert said.err.splitlines()[-1] == (
            "It waits, and is NOT in force: no engine runs this site now. An engine makes it when one does."
        )
        refused = registry("badge", "issue", holder, "--out", tmp_path / "badge.json")
        assert refused.err == (
            f"A change of {holder} was handed in and waits for an engine: start one (gatekeeper serve), then go on.\n"
        )
        assert registry("holder", "show", holder).err == "A change of this holder was handed in and waits for an engine.\n"  # fmt: skip
    registry.done("badge", "issue", holder, "--out", tmp_path / "badge.json")
    assert (registry.shown(holder)["clearance"], registry.shown(holder)["version"]) == (1, 3)


def test_whatever_is_handed_in_while_nobody_serves_is_said_to_wait_in_one_way(registry: Registry):
    holder = teacher(registry)
    badge = registry.done("badge", "issue", holder, "--assurance", 1)
    with registry.unserved():
        for words in (
            ("badge", "lost", badge),
            ("hold", "place", f"holder:{holder}", "--reason", "case 9"),
            ("privacy", "movements", holder, "--purpose", "a look"),
        ):
            said = registry(*words)
            assert (said.code, said.out) == (4, ""), words
            assert said.err.splitlines()[-1] == (
                "It waits, and is NOT in force: no engine runs this site now. An engine makes it when one does."
            )
    registry.wait_until(lambda: registry.states(holder) == {badge: "lost"})


def test_a_gate_that_the_site_file_does_not_have_is_not_admitted(registry: Registry, tmp_path: Path):
    before, request = registry.log_size(), tmp_path / "request.cose"
    trust = registry.folder.read(TRUST)
    key = cose.SigningKey.generate()
    request.write_bytes(enrolment_request(site=registry.site, gate=GateId("nowhere"), key=key))
    said = registry("gate", "admit", request)
    assert (said.code, said.err) == (
        2,
        (
            "Refused: enrolment-gate-unknown. It is for a gate that the policy in force does not have: "
            "it is put into the site file first (nowhere).\n"
        ),
    )
    assert (registry.folder.read(TRUST), registry.log_size()) == (trust, before)


def test_two_registrars_of_one_tenant_take_turns(registry: Registry):
    holder = teacher(registry)
    with SiteFolder(registry.folder.root / "tenants" / "school").alone():
        said = registry("holder", "change", holder, "--clearance", 1)
        assert said.code == 2
        assert said.err.endswith("tenants/school: wait until it is done.\n")
        registry.done("holder", "list", "--tenant", "school")
    registry.done("holder", "change", holder, "--clearance", 1)


def test_the_log_of_all_that_is_whole(registry: Registry):
    said = registry("audit", "verify", "--json")
    assert (said.code, said.document["problems"]) == (0, [])
