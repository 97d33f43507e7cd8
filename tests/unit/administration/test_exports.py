"""What an entry must say before people are written to a file: of this tenant, of this list, by two people, lately."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import canonical_json, timestamp
from gatekeeper.core.change import Exported
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.service.administration.exports import (
    EXPORT_LASTS,
    ApprovedExport,
    ExportRefusal,
    ExportRefused,
    approved_export,
)

NOW = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
ENTRY: dict[str, Any] = {
    "v": 1,
    "site": "fort",
    "seq": 7,
    "at": timestamp(NOW),
    "kind": "people.exported",
    "nonce": "00" * 16,
    "trees": {"site": 7, "tenant:school": 2},
    "tenant": "school",
    "what": "holders",
    "reason": "yearly review",
    "by": "school",
    "author": "jansma",
    "signed_at": timestamp(NOW),
    "change": "00" * 16,
    "proposal": "00" * 32,
    "approved_by": "officer",
}


def read(body: bytes, **asked: Any) -> ApprovedExport | ExportRefused:
    what: dict[str, Any] = {
        "site": SiteId("fort"),
        "seq": 7,
        "tenant": TenantId("school"),
        "what": Exported.HOLDERS,
        "now": NOW,
    }
    return approved_export(body, **{**what, **asked})


def refused(body: bytes, **asked: Any) -> ExportRefusal:
    found = read(body, **asked)
    assert isinstance(found, ExportRefused), found
    return found.code


def test_an_entry_of_two_people_lets_the_file_be_written():
    found = ApprovedExport(reason="yearly review", author="jansma", approved_by="officer", at=NOW)
    assert read(canonical_json(ENTRY)) == found
    assert read(canonical_json(ENTRY), reason="yearly review") == found


def test_it_lets_it_be_written_for_a_day_and_no_longer():
    body = canonical_json(ENTRY)
    assert isinstance(read(body, now=NOW + EXPORT_LASTS - timedelta(microseconds=1)), ApprovedExport)
    assert refused(body, now=NOW + EXPORT_LASTS) is ExportRefusal.TOO_OLD


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"tenant": TenantId("club")}, ExportRefusal.OTHER_TENANT),
        ({"what": Exported.BADGES}, ExportRefusal.OTHER_LIST),
        ({"reason": "curiosity"}, ExportRefusal.OTHER_REASON),
        ({"site": SiteId("castle")}, ExportRefusal.ALTERED),
        ({"seq": 8}, ExportRefusal.ALTERED),
    ],
)
def test_it_approves_what_it_says_and_nothing_else(asked: dict[str, Any], code: ExportRefusal):
    assert refused(canonical_json(ENTRY), **asked) is code


@pytest.mark.parametrize("kind", ["proposal.made", "proposal.approved", "holder.registered"])
def test_another_kind_of_entry_approves_no_export(kind: str):
    found = read(canonical_json({**ENTRY, "kind": kind}))
    assert found == ExportRefused(code=ExportRefusal.NOT_APPROVED, detail=f"7 is {kind}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        json.dumps(ENTRY).encode(),
        canonical_json(ENTRY) + b"\n",
        canonical_json(ENTRY).replace(b'"tenant":"school"', b'"tenant":"club","tenant":"school"'),
        *(canonical_json({key: value for key, value in ENTRY.items() if key != left}) for left in (
            *("v", "site", "seq", "at", "kind", "trees", "reason", "author", "approved_by"),
        )),
        *(
            canonical_json({**ENTRY, **spoilt})
            for spoilt in (
                {"v": 2},
                {"seq": "7"},
                {"trees": {"site": 6}},
                {"trees": {"tenant:school": 7}},
                {"trees": []},
                {"at": "yesterday"},
                {"at": "2026-06-03T10:00:00"},
                {"at": 0},
                {"reason": None},
                {"approved_by": "jansma"},
                {"approved_by": None},
            )
        ),
    ],
    ids=repr,
)  # fmt: skip
def test_what_the_log_would_not_write_approves_nothing(body: bytes):
    assert refused(body) is ExportRefusal.ALTERED
