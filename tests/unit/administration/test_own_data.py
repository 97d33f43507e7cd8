"""A person's own data: all of it, for whoever reads it and for a machine, and nothing that runs or is fetched."""

import json
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from html.parser import HTMLParser
from pathlib import Path

from gatekeeper.core.audit import timestamp
from gatekeeper.model.ids import HolderId
from gatekeeper.model.reasons import Reason
from gatekeeper.model.site_file import read_site
from gatekeeper.service.administration.own_data import OwnData, PersonEntry
from gatekeeper.service.administration.own_page import own_page

AT = datetime(2026, 6, 3, 10, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[3] / "deploy/examples/johan-willem-friso/site.toml"
POLICY = read_site(tomllib.loads(EXAMPLE.read_text()))
PNG = b"\x89PNG\r\n\x1a\n picture"


def entry(seq: int, kind: str, personal: dict[str, object] | None = None, **body: object) -> PersonEntry:
    return PersonEntry(
        seq=seq,
        at=AT,
        kind=kind,
        body={"v": 1, "nonce": "00", "seq": seq, "kind": kind, "personal": "committed", **body},
        personal={"salt": "00", "holder": "h-1", **(personal or {})},
    )


REFUSED = entry(
    3,
    "access.denied",
    {"facts": {"holder": {"version": 1, "clearance": 2, "profiles": ["college-leave"], "kind": "staff"}}},
    reason=Reason.CLEARANCE.code,
    reasons=[Reason.CLEARANCE.code, Reason.DURESS.code],
    access_point="main-gate-in",
    **{"from": "outside", "to": "gate-zone"},
)

LATE = entry(
    6, "passage.taken", gate_at=timestamp(AT - timedelta(hours=8)), clock="free_running", at=timestamp(AT)
)

OWN = OwnData(
    site=POLICY.site,
    holder=HolderId("h-1"),
    made_at=AT,
    entry=9,
    registration={
        "holder": "h-1",
        "tenant": "regional-college",
        "name": "Anna <script>alert(1)</script>",
        "kind": "staff",
        "clearance": 3,
        "profiles": ("college-leave",),
        "certificates": {"first-aid": AT},
        "version": 2,
        "pin": True,
        "host": None,
    },
    badges=[
        {"badge": "ab" * 16, "standing": "revoked", "until": AT, "uses": 0, "card": None},
        {"badge": "cd" * 16, "standing": "active", "until": AT, "uses": 7, "card": "mifare:00"},
    ],
    whereabouts={"holder": "h-1", "zone": "garrison", "since": AT, "quality": "taken", "host": None},
    photo=PNG,
    entries=[
        entry(1, "holder.registered", version=1, by="defence"),
        REFUSED,
        entry(4, "person.looked-up", purpose="complaint 12", author="officer", by="defence"),
        entry(5, "log.exported", reason="audit", author="auditor", by="defence"),
        LATE,
        entry(7, "badge.changed", {"badge": "ab" * 16}, author="jan", **{"from": "active", "to": "revoked"}),
        entry(8, "holder.registered", {"badges": ["cd" * 16]}, version=2, author="jan"),
    ],
)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.texts = {"en": "", "nl": ""}
        self.language = ""
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.language = str(dict(attrs)["lang"]) if tag == "article" else self.language
        self.sources += [str(value) for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"
        if self.language:
            self.texts[self.language] += f"{data}\n"


def read(own: OwnData) -> _Reader:
    reader = _Reader()
    reader.feed(own_page(own, policy=POLICY).decode())
    return reader


def test_every_entry_stands_in_one_part_and_none_is_left_out():
    document = OWN.document()
    assert [one["seq"] for one in document["movements"]] == [3, 6]
    assert [one["seq"] for one in document["looked_at_by"]] == [4, 5]
    assert [one["seq"] for one in document["other_entries"]] == [1, 7, 8]


def test_a_machine_is_told_what_is_said_and_not_what_only_proves_it():
    (_, told) = OWN.document()["movements"]
    assert told["personal"] == {"holder": "h-1"}
    assert not {"nonce", "v"} & told.keys()
    assert json.loads(json.dumps(OWN.document(), default=str))["photo_base64"]


ENGLISH = (
    *("Your own data", "Regional College North", "staff", "The way out", "Garrison", "revoked", "first-aid"),
    *("the door saw you go through", "Main gate, on foot, in", "Outside → Gate zone", "refused"),
    *(Reason.CLEARANCE.english, "complaint 12", "officer, Armed forces, garrison Assen", "active → revoked"),
    *("your registration was changed", "version 2", "Clearance: 2 → 3", "2026-06-03 12:00:00"),
)
DUTCH = (
    *(
        "Uw eigen gegevens",
        "Regiocollege Noord",
        "medewerker",
        "De weg naar buiten",
        "first-aid",
        "Garnizoen",
        "ingetrokken",
    ),
    *("de deur zag u erdoor gaan", "Hoofdpoort, te voet, in", "Buiten → Poortzone", "geweigerd"),
    *(
        Reason.CLEARANCE.dutch,
        "complaint 12",
        "officer, Krijgsmacht, garnizoen Assen",
        "actief → ingetrokken",
    ),
    *("uw registratie is gewijzigd", "versie 2", "Screeningsniveau: 2 → 3", "2026-06-03 12:00:00"),
)


def test_the_page_says_everything_whole_in_each_language_by_the_sites_clock():
    texts = read(OWN).texts
    for language, words, foreign in (("en", ENGLISH, DUTCH), ("nl", DUTCH, ENGLISH)):
        for word in words:
            assert word in texts[language], word
        for word in set(foreign) - set(words):
            assert word not in texts[language], word
        for badge in ("ab" * 16, "cd" * 16):
            assert badge in texts[language]
        assert "10:00:00" not in texts[language], "no other clock"


def test_every_word_stands_under_its_heading():
    page = own_page(OWN, policy=POLICY).decode()
    assert '<td data-of="Who"><div>officer, Armed forces, garrison Assen</div>' in page
    assert '<td data-of="What for"><div>complaint 12</div>' in page
    assert f'<td data-of="Why"><div>{escape(Reason.CLEARANCE.english)}</div>' in page


def test_a_column_in_which_nothing_stands_is_left_out():
    granted = replace(
        OWN, entries=[entry(2, "access.granted", reason="granted", access_point="main-gate-in")]
    )
    assert "Why" not in read(granted).text
    assert "Received by" not in read(OWN).text


def test_that_somebody_cried_for_help_is_on_no_page_and_in_no_file():
    assert Reason.DURESS.english not in read(OWN).text
    facts = {"badge": {"id": "00", "duress": True}, "past": {"factor": "duress", "uses": 2}}
    cried = entry(2, "access.granted", {"facts": facts}, reasons=[Reason.DURESS.code], alarm=True)
    (told,) = replace(OWN, entries=[cried]).document()["movements"]
    assert told["personal"]["facts"] == {"badge": {"id": "00"}, "past": {"uses": 2}}
    assert "alarm" not in told
    assert told["reasons"] == []


def test_a_cry_for_help_that_is_only_reported_is_in_no_file_either():
    duress, clearance = Reason.DURESS.code, Reason.CLEARANCE.code
    for shadow, told in (([duress], None), ([clearance, duress], [clearance]), ([clearance], [clearance])):
        cried = entry(2, "access.granted", reasons=[], shadow=shadow)
        (movement,) = replace(OWN, entries=[cried]).document()["movements"]
        assert movement.get("shadow") == told
        assert told is not None or "shadow" not in movement


def test_of_others_a_person_is_told_only_how_many_they_were():
    guest = {"holder": "h-2", "tenant": "club", "kind": "visitor", "roles": ["club/guest"], "host": "h-4"}
    past = {"company": [guest, {**guest, "holder": "h-3"}], "visitors": ["h-5"], "uses": 2}
    waited = entry(2, "access.waiting", {"facts": {"badge": None, "past": past}, "party": ["h-2", "h-3"]})
    (told,) = replace(OWN, entries=[waited]).document()["movements"]
    assert told["personal"]["party"] == 2
    assert told["personal"]["facts"]["past"] == {"company": 2, "visitors": 1, "uses": 2}
    assert not re.search(r"h-[2-5]|club", json.dumps(told, default=str))


def test_no_file_holds_a_badge_that_could_be_shown_to_a_gate():
    scanned = entry(3, "access.granted", {"scan": "QmFkZ2U=", "badge": "ab" * 16}, message="cd" * 32)
    own = replace(OWN, entries=[scanned])
    (told,) = own.document()["movements"]
    assert (told["message"], told["personal"]["badge"]) == ("cd" * 32, "ab" * 16)
    assert "QmFkZ2U=" not in json.dumps(own.document(), default=str)
    assert "QmFkZ2U=" not in own_page(own, policy=POLICY).decode()


def test_the_page_is_drawn_for_dark_screens_narrow_ones_and_paper():
    page = own_page(OWN, policy=POLICY).decode()
    for rule in ("prefers-color-scheme:dark", "max-width:46rem", "@page{size:A4", "@media print"):
        assert rule in page, rule


def test_what_somebody_is_called_is_text_and_nothing_runs_or_is_fetched():
    page = read(OWN)
    assert "Anna <script>alert(1)</script>" in page.text
    assert not {"script", "link", "iframe", "form"} & page.tags
    assert [source[:22] for source in page.sources] == ["data:image/png;base64,"] * 2
    assert b"default-src 'none'" in own_page(OWN, policy=POLICY)
    assert not re.search(rb"\son[a-z]+=", own_page(OWN, policy=POLICY))


def test_who_has_nothing_is_told_so():
    nothing = replace(OWN, badges=(), whereabouts=None, photo=None, entries=())
    assert read(nothing).texts["nl"].count("Niets.") == 5
    assert read(nothing).sources == []


def test_what_a_gate_told_hours_later_has_both_times_for_whoever_reads_and_for_a_machine():
    texts = read(OWN).texts
    assert "2026-06-03 04:00:00\nBy the gate's own clock; told at \n2026-06-03 12:00:00\n." in texts["en"]
    assert "2026-06-03 04:00:00\nVolgens de eigen klok van de poort; gemeld op \n" in texts["nl"]
    refused, late = OWN.document()["movements"]
    assert (late["at"], late["happened"], late["happened_by"]) == (
        *("2026-06-03T10:00:00.000000Z", "2026-06-03T02:00:00.000000Z", "free-running"),
    )
    assert (refused["happened"], refused["happened_by"]) == ("2026-06-03T10:00:00.000000Z", "log")
