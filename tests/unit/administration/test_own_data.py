"""A person's own data: all of it, for whoever reads it and for a machine, and nothing that runs or is fetched."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.model.reasons import Reason
from gatekeeper.service.administration.own_data import OwnData, PersonEntry
from gatekeeper.service.administration.own_page import own_page

AT = datetime(2026, 6, 3, 10, tzinfo=UTC)
ASSEN = ZoneInfo("Europe/Amsterdam")
PNG = b"\x89PNG\r\n\x1a\n picture"


def entry(seq: int, kind: str, **body: object) -> PersonEntry:
    return PersonEntry(
        seq=seq,
        at=AT,
        kind=kind,
        body={"v": 1, "nonce": "00", "seq": seq, "kind": kind, "personal": "committed", **body},
        personal={"salt": "00", "holder": "h-1"},
    )


OWN = OwnData(
    site=SiteId("fort"),
    holder=HolderId("h-1"),
    made_at=AT,
    entry=9,
    registration={"name": "Anna <script>alert(1)</script>", "until": AT, "pin": True, "host": None},
    badges=[{"badge": "ab" * 16, "until": AT}, {"badge": "cd" * 16, "until": None}],
    whereabouts={"zone": "yard", "since": AT},
    photo=PNG,
    entries=[
        entry(1, "holder.registered"),
        entry(
            3,
            "access.denied",
            reason=Reason.CLEARANCE.code,
            access_point="front-in",
            **{"from": "outside", "to": "yard"},
        ),
        entry(4, "person.looked-up", purpose="complaint 12", author="officer", by="army"),
        entry(5, "log.exported", reason="audit", author="auditor", by="army"),
        entry(6, "passage.taken"),
    ],
)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [str(value) for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(own: OwnData) -> _Reader:
    reader = _Reader()
    reader.feed(own_page(own, zone=ASSEN).decode())
    return reader


def test_every_entry_stands_in_one_part_and_none_is_left_out():
    document = OWN.document()
    assert [one["seq"] for one in document["movements"]] == [3, 6]
    assert [one["seq"] for one in document["looked_at_by"]] == [4, 5]
    assert [one["seq"] for one in document["other_entries"]] == [1]


def test_a_machine_is_told_what_is_said_and_not_what_only_proves_it():
    (told, _) = OWN.document()["movements"]
    assert told["personal"] == {"holder": "h-1"}
    assert not {"nonce", "v"} & told.keys()
    assert json.loads(json.dumps(OWN.document(), default=str))["photo_base64"]


def test_the_page_says_everything_in_both_languages_by_the_sites_clock():
    text = read(OWN).text
    for words in (
        *("Your own data", "Uw eigen gegevens", "front-in: outside → yard", "complaint 12; officer; army"),
        *("refused", "geweigerd", Reason.CLEARANCE.english, Reason.CLEARANCE.dutch),
        *(
            "ab" * 16,
            "cd" * 16,
            "yard",
            "2026-06-03 12:00:00",
            "Who looked at that",
            "Wie dat heeft ingezien",
        ),
    ):
        assert words in text, words
    assert "10:00:00" not in text, "no other clock"


def test_what_somebody_is_called_is_text_and_nothing_runs_or_is_fetched():
    page = read(OWN)
    assert "Anna <script>alert(1)</script>" in page.text
    assert not {"script", "link", "iframe", "form"} & page.tags
    assert [source[:22] for source in page.sources] == ["data:image/png;base64,"]
    assert b"default-src 'none'" in own_page(OWN, zone=ASSEN)
    assert not re.search(rb"\son[a-z]+=", own_page(OWN, zone=ASSEN))


def test_who_has_nothing_is_told_so():
    nothing = replace(OWN, badges=(), whereabouts=None, photo=None, entries=())
    assert read(nothing).text.count("Niets.") == 5
    assert read(nothing).sources == []
