"""A manifest is read in its one spelling, and never when its numbers lie in no order."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from gatekeeper.core.export import (
    COLUMNS,
    FORMER,
    SEGMENT,
    Counts,
    Dialect,
    EarlierCheckpoint,
    Expiry,
    ExportedBy,
    Manifest,
    Proofs,
    Segment,
    Selection,
    bewijst,
    manifest_document,
    member_name,
    proofs_document,
    proves,
    read_manifest,
    read_proofs,
    segments_of,
)
from gatekeeper.core.log_export import AtDoor
from gatekeeper.model.ids import HolderId, SiteId

MANIFEST = Manifest(
    site=SiteId("fort"),
    tree="tenant:school",
    size=100,
    root=bytes(32),
    range=(9, 41),
    within=(10, 40),
    since=datetime(2026, 6, 1, tzinfo=UTC),
    until=datetime(2026, 7, 1, tzinfo=UTC),
    selection=Selection(doors=("front-in",), decisions=(AtDoor.DENIED,), holder=HolderId("h-pupil")),
    openings=True,
    csv=Dialect.EXCEL_NL,
    parquet=False,
    counts=Counts(entries=4, withheld=28, personal=2, openings=1, rows=2),
    export=ExportedBy(
        index=98,
        seq=700,
        at="2026-07-02T10:00:00.000000Z",
        by="army",
        author="auditor",
        approved_by="officer",
        reason="yearly review",
    ),
    written="2026-07-02T10:00:01.000000Z",
    program="gatekeeper 0.1.0",
)
DOCUMENT = manifest_document(MANIFEST)


def test_a_manifest_is_read_as_it_was_written():
    assert read_manifest(DOCUMENT) == MANIFEST
    assert MANIFEST.origin == "gatekeeper/fort/tenant/school"
    assert MANIFEST.borders == {9, 40}


def test_a_manifest_that_counts_no_columns_is_one_of_before():
    document = {name: value for name, value in json.loads(DOCUMENT).items() if name != "columns"}
    spelled = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    assert read_manifest(spelled) == replace(MANIFEST, columns=FORMER)
    assert manifest_document(replace(MANIFEST, columns=FORMER)) == spelled


def test_a_manifest_of_a_bundle_without_a_table_counts_no_columns_and_is_read_by_programs_of_before():
    document = manifest_document(replace(MANIFEST, csv=None))
    assert "columns" not in json.loads(document)
    assert read_manifest(document) == replace(MANIFEST, csv=None)
    counted = {**json.loads(document), "columns": len(COLUMNS)}
    assert read_manifest(orjson.dumps(counted, option=orjson.OPT_SORT_KEYS)) is None


@pytest.mark.parametrize("columns", [0, FORMER, len(COLUMNS) + 1, float(len(COLUMNS)), True, None, "21"])
def test_a_manifest_counts_the_columns_of_now_or_none(columns: object):
    document = {**json.loads(DOCUMENT), "columns": columns}
    assert read_manifest(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)) is None


@pytest.mark.parametrize("field", sorted(set(json.loads(DOCUMENT)) - {"columns"}))
def test_a_manifest_without_one_of_its_fields_is_none(field: str):
    document = {name: value for name, value in json.loads(DOCUMENT).items() if name != field}
    assert read_manifest(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "gatekeeper-bundle/2"),
        ("site", "Fort"),
        ("tree", "tenant:"),
        ("tree", "school"),
        ("origin", "gatekeeper/fort/site"),
        ("size", 40),
        ("size", 2**63),
        ("size", True),
        ("size", 100.0),
        ("root", "00" * 31),
        ("root", "AA" * 32),
        ("range", [9]),
        ("range", [11, 41]),
        ("range", [8, 41]),
        ("range", [9, 42]),
        ("range", [-1, 41]),
        ("within", [10, 8]),
        ("from", "2026-06-01"),
        ("doors", ["front-out", "front-in"]),
        ("doors", ["front-in", "front-in"]),
        ("decisions", ["forgotten"]),
        ("openings", 1),
        ("csv", "tsv"),
        ("parquet", None),
        ("counts", {"entries": 4}),
        ("counts", {"entries": -4, "withheld": 28, "personal": 2, "openings": 1, "rows": 2}),
        ("export", {}),
        ("export", None),
        ("more", 1),
    ],
)
def test_a_manifest_that_says_what_none_can_is_none(field: str, value: object):
    document = {**json.loads(DOCUMENT), field: value}
    assert read_manifest(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)) is None


@pytest.mark.parametrize("told_by", [None, (500, 500), (500, 620)])
def test_what_expired_is_read_as_it_was_written(told_by: tuple[int, int] | None):
    manifest = replace(MANIFEST, expired=Expiry(entries=31, told_by=told_by))
    assert read_manifest(manifest_document(manifest)) == manifest
    assert (manifest.begins, MANIFEST.begins) == (40, 9)


@pytest.mark.parametrize(
    "expired",
    [
        None,
        {},
        {"entries": 0, "told_by": None},
        {"entries": -1, "told_by": None},
        {"entries": True, "told_by": None},
        {"entries": 32, "told_by": None},
        {"entries": 3},
        {"entries": 3, "told_by": []},
        {"entries": 3, "told_by": [5]},
        {"entries": 3, "told_by": [5, 4]},
        {"entries": 3, "told_by": [5.0, 6]},
        {"entries": 3, "told_by": "56"},
        {"entries": 3, "told_by": None, "more": 1},
    ],
)
def test_no_manifest_says_anything_else_of_what_expired(expired: object):
    document = {**json.loads(DOCUMENT), "expired": expired}
    assert read_manifest(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)) is None


def test_what_expired_is_told_in_both_languages_with_who_tells_of_it():
    for told_by, english, dutch in (
        (None, "No entry that says so", "Een vermelding die dat zegt is niet meer bekend"),
        ((5, 9), "from 5 to 9", "van 5 tot en met 9"),
    ):
        manifest = replace(MANIFEST, expired=Expiry(entries=12, told_by=told_by))
        assert any("the first 12 expired" in one and english in one for one in proves(manifest))
        assert any("Van de eerste 12" in one and dutch in one for one in bewijst(manifest))


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b"null", b"\xff", DOCUMENT + b"\n", b" " + DOCUMENT])
def test_what_is_no_manifest_is_none(document: bytes):
    assert read_manifest(document) is None


def test_a_filter_and_times_prove_less_and_say_so():
    assert any("NOT proved" in one for one in proves(MANIFEST))
    assert any("NIET bewezen" in one for one in bewijst(MANIFEST))
    whole = Manifest(
        **{name: getattr(MANIFEST, name) for name in MANIFEST.__slots__}
        | {"selection": Selection(), "since": None, "until": None}
    )
    assert (len(proves(whole)), len(proves(MANIFEST))) == (2, 4)
    assert (len(bewijst(whole)), len(bewijst(MANIFEST))) == (2, 4)


def test_counts_add_up():
    assert Counts(entries=1, rows=2) + Counts(entries=3, openings=4) == Counts(entries=4, rows=2, openings=4)


def test_segments_end_at_multiples_of_their_width_and_with_the_range():
    assert list(segments_of(3, 3)) == []
    assert list(segments_of(SEGMENT - 1, 2 * SEGMENT + 1)) == [
        Segment(SEGMENT - 1, SEGMENT),
        Segment(SEGMENT, 2 * SEGMENT),
        Segment(2 * SEGMENT, 2 * SEGMENT + 1),
    ]
    assert member_name("entries", Segment(SEGMENT, 2 * SEGMENT), "jsonl") == "entries/000000262144.jsonl"


PROOFS = Proofs(
    range=(bytes(32), bytes([1] * 32)),
    export=(bytes([2] * 32),),
    consistency=(
        EarlierCheckpoint(size=3, root=bytes(32), hashes=(bytes(32),)),
        EarlierCheckpoint(size=7, root=bytes(32), hashes=()),
    ),
)


def test_proofs_are_read_as_they_were_written():
    assert read_proofs(proofs_document(PROOFS)) == PROOFS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("range", None),
        ("range", ["AA=="]),
        ("range", [1]),
        ("range", ["A" * 44]),
        ("export", "A" * 43 + "="),
        ("consistency", [{"size": 0, "root": "A" * 43 + "=", "hashes": []}]),
        ("consistency", [{"size": True, "root": "A" * 43 + "=", "hashes": []}]),
        ("consistency", [{"size": 3, "hashes": []}]),
        ("consistency", [{"size": n, "root": "A" * 43 + "=", "hashes": []} for n in (7, 3)]),
        ("consistency", [{"size": n, "root": "A" * 43 + "=", "hashes": []} for n in (3, 3)]),
        ("range", ["A" * 43 + "="] * 129),
        ("more", []),
    ],
)
def test_proofs_in_another_spelling_are_none(field: str, value: object):
    document = {**json.loads(proofs_document(PROOFS)), field: value}
    assert read_proofs(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)) is None


def test_a_filter_gives_what_fits_all_its_heads():
    body = {"access_point": "front-in", "kind": "access.denied"}
    assert Selection(doors=("front-in",), decisions=(AtDoor.DENIED, AtDoor.GRANTED)).gives(body, None)
    assert not Selection(doors=("back-in",)).gives(body, None)
    assert not Selection(decisions=(AtDoor.GRANTED,)).gives(body, None)
    assert not Selection(holder=HolderId("h-pupil")).gives(body, None)
    assert not Selection(holder=HolderId("h-pupil")).gives(body, {"holder": "h-teacher"})
    assert Selection(holder=HolderId("h-pupil")).gives(body, {"holder": "h-pupil"})
    assert not Selection()
    assert Selection().gives({}, None)
