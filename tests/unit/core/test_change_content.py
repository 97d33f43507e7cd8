"""What a change may say: every kind as it travels, and each field up to its bound and not beyond."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.change import (
    CHANGE_TYPE,
    AlertChange,
    ApprovalChange,
    BadgeIssue,
    BadgeStateChange,
    Change,
    ChangeContent,
    ChangeRefusal,
    ChangeRefused,
    ErasureChange,
    ForgivenessChange,
    GuardChange,
    HoldChange,
    HolderChange,
    LockdownChange,
    LogExportChange,
    LookUpChange,
    OperatorChange,
    PolicyChange,
    SuspensionChange,
    TrustChange,
    WithdrawalChange,
    read_change,
)
from gatekeeper.core.change_content import content_of, is_about_a_person, kind_of, spelled, type_of
from gatekeeper.core.log_export import AtDoor
from gatekeeper.cose import cbor
from gatekeeper.model.badges import MAX_TOKEN_BYTES, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, BadgeId, HolderId, OperatorId, TenantId
from tests.support.operators import operator_key
from tests.support.sites import HOST, SITE, SmallSite

ID, DIGEST = bytes(range(16)), bytes(range(32))
BADGE = BadgeId(ID.hex())
DOCUMENT, REGISTRATION, ACCOUNT = 1_050_000, 8192, 1024
"""So many bytes a document of each kind may have."""

EPOCH, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def log_export(**changes: Any) -> dict[int, Any]:
    """An export of the whole site's log as it travels; a key of `changes` is that of a field."""
    fields: dict[int, Any] = {1: "site", 2: None, 3: None, 4: [], 5: [], 6: None, 7: False, 8: "x"}
    return fields | {int(field): value for field, value in changes.items()}


KINDS: list[tuple[ChangeContent, str, dict[int, Any]]] = [
    (BadgeStateChange(badge=BADGE, state=BadgeState.LOST), "badge-state", {1: ID, 2: "lost"}),
    (AlertChange(state="tense"), "alert", {1: "tense"}),
    (LockdownChange(scope="site", on=True), "lockdown", {1: "site", 2: True}),
    (LockdownChange(scope="zone:yard", on=False), "lockdown", {1: "zone:yard", 2: False}),
    (LockdownChange(scope="gate:front", on=False), "lockdown", {1: "gate:front", 2: False}),
    (SuspensionChange(tenant=TenantId("school"), on=True), "suspension", {1: "school", 2: True}),
    (ForgivenessChange(holder=HolderId("pupil")), "forgiveness", {1: "pupil"}),
    (GuardChange(entry=0, yes=True), "guard", {1: 0, 2: True}),
    (PolicyChange(document=bytes(DOCUMENT)), "policy", {1: bytes(DOCUMENT)}),
    (TrustChange(document=bytes(DOCUMENT)), "trust", {1: bytes(DOCUMENT)}),
    (
        HolderChange(
            holder=HolderId("pupil"),
            document=bytes(REGISTRATION),
            badges=(
                *(BadgeIssue(badge=BADGE, token=bytes(MAX_TOKEN_BYTES), card=None) for _ in range(30)),
                BadgeIssue(badge=BADGE, token=b"", card=Card(CardTechnology.WIEGAND, bytes(1))),
                BadgeIssue(badge=BADGE, token=b"", card=Card(CardTechnology.MIFARE, bytes(16))),
            ),
        ),
        "holder",
        {
            1: "pupil",
            2: bytes(REGISTRATION),
            3: [
                *([ID, bytes(MAX_TOKEN_BYTES), None] for _ in range(30)),
                [ID, b"", [int(CardTechnology.WIEGAND), bytes(1)]],
                [ID, b"", [int(CardTechnology.MIFARE), bytes(16)]],
            ],
        },
    ),
    (
        OperatorChange(operator=OperatorId("clerk"), document=bytes(ACCOUNT)),
        "operator",
        {1: "clerk", 2: bytes(ACCOUNT)},
    ),
    (ApprovalChange(digest=DIGEST), "approval", {1: DIGEST}),
    (WithdrawalChange(digest=DIGEST), "withdrawal", {1: DIGEST}),
    (
        LogExportChange(
            tree="tenant:school",
            since=EPOCH,
            until=LAST,
            doors=(AccessPointId("front-in"), AccessPointId("shed-in")),
            decisions=tuple(sorted(AtDoor)),
            holder=HolderId("pupil"),
            openings=True,
            reason="x",
        ),
        "log-export",
        log_export(
            **{"1": "tenant:school", "2": 0, "3": 253_402_300_799_000, "6": "pupil", "7": True},
            **{"4": ["front-in", "shed-in"], "5": sorted(one.value for one in AtDoor)},
        ),
    ),
    (
        LogExportChange(
            tree="site",
            since=None,
            until=None,
            doors=(),
            decisions=(),
            holder=None,
            openings=False,
            reason="x",
        ),
        "log-export",
        log_export(),
    ),
    (LookUpChange(holder=HolderId("pupil"), purpose="x" * 200), "look-up", {1: "pupil", 2: "x" * 200}),
    (ErasureChange(holder=HolderId("pupil"), reason="left"), "erasure", {1: "pupil", 2: "left"}),
    (HoldChange(scope="site", on=True, reason="case"), "hold", {1: "site", 2: True, 3: "case"}),
    (HoldChange(scope="tenant:school", on=False, reason="c"), "hold", {1: "tenant:school", 2: False, 3: "c"}),
    (HoldChange(scope="holder:pupil", on=True, reason="c"), "hold", {1: "holder:pupil", 2: True, 3: "c"}),
]


@pytest.mark.parametrize(("content", "kind", "fields"), KINDS, ids=[kind for _, kind, _ in KINDS])
def test_every_kind_of_change_is_read_as_it_is_spelled(
    content: ChangeContent, kind: str, fields: dict[int, Any]
):
    assert spelled(content) == (kind, fields)
    assert content_of(kind, fields) == content
    assert (kind_of(content), type_of(kind)) == (kind, type(content))


def test_what_a_change_says_of_a_person_is_known_from_what_it_says_of_the_site():
    assert {kind for content, kind, _ in KINDS if is_about_a_person(content)} == {
        *("badge-state", "forgiveness", "holder", "look-up", "erasure", "hold", "log-export")
    }
    of_none = [one for one, kind, _ in KINDS if kind in {"hold", "log-export"} and not is_about_a_person(one)]
    assert [getattr(one, "scope", getattr(one, "tree", None)) for one in of_none] == [
        *("site", "site", "tenant:school")
    ]


@pytest.mark.parametrize("content", [content for content, kind, _ in KINDS if kind in {"policy", "trust"}])
def test_a_document_of_the_greatest_size_travels(content: ChangeContent):
    site = SmallSite()
    read = read_change(
        site.change(content), trust=site.flow.trust, operators=site.flow.operators, now=site.now
    )
    assert isinstance(read, Change)
    assert read.content == content


def holder(*issues: Any, name: Any = "pupil", document: Any = b"") -> dict[int, Any]:
    return {1: name, 2: document, 3: list(issues)}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("unheard-of", {1: "tense"}),
        ("badge-state", {1: ID[:-1], 2: "lost"}),
        ("badge-state", {1: ID + b"\0", 2: "lost"}),
        ("badge-state", {1: ID, 2: "eaten"}),
        ("alert", {1: "Very tense"}),
        ("alert", {1: 1}),
        ("lockdown", {1: "the yard", 2: True}),
        ("lockdown", {1: "zone:yard and more", 2: True}),
        ("lockdown", {1: "site", 2: 1}),
        ("suspension", {1: "The School", 2: True}),
        ("forgiveness", {1: "A Pupil"}),
        ("guard", {1: -1, 2: True}),
        ("guard", {1: True, 2: True}),
        ("guard", {1: 1, 2: 1}),
        ("policy", {1: bytes(DOCUMENT + 1)}),
        ("policy", {1: "text"}),
        ("trust", {1: bytes(DOCUMENT + 1)}),
        ("holder", holder(name="A Pupil")),
        ("holder", holder(document=bytes(REGISTRATION + 1))),
        ("holder", holder(*([ID, b"", None] for _ in range(33)))),
        ("holder", holder() | {4: None}),
        ("holder", holder([ID[:-1], b"", None])),
        ("holder", holder([ID, bytes(MAX_TOKEN_BYTES + 1), None])),
        ("holder", holder([ID, b"", [int(CardTechnology.MIFARE), b""]])),
        ("holder", holder([ID, b"", [int(CardTechnology.MIFARE), bytes(17)]])),
        ("holder", holder([ID, b"", [99, bytes(4)]])),
        ("holder", holder([ID, b"", "a card"])),
        ("operator", {1: "The Clerk", 2: b""}),
        ("operator", {1: "clerk", 2: bytes(ACCOUNT + 1)}),
        ("approval", {1: DIGEST[:-1]}),
        ("approval", {1: DIGEST + b"\0"}),
        ("withdrawal", {1: DIGEST[:-1]}),
        ("withdrawal", {1: DIGEST + b"\0"}),
        *(
            ("log-export", log_export(**spoilt))
            for spoilt in (
                {"1": "school"},
                {"1": "tenant:"},
                {"1": "tenant:The School"},
                {"1": "site:"},
                {"2": -1},
                {"2": True},
                {"2": "now"},
                {"3": 253_402_300_799_001},
                {"2": 1000, "3": 1000},
                {"2": 1001, "3": 1000},
                {"4": ["Front"]},
                {"4": [1]},
                {"4": ["b", "a"]},
                {"4": ["a", "a"]},
                {"4": [f"door-{number:02}" for number in range(65)]},
                {"4": "front-in"},
                {"5": ["eaten"]},
                {"5": ["granted", "denied"]},
                {"5": ["granted", "granted"]},
                {"6": "A Pupil"},
                {"6": 7},
                {"7": 1},
                {"8": ""},
                {"8": "two\nlines"},
                {"8": 1},
            )
        ),
        ("log-export", {key: value for key, value in log_export().items() if key != 8}),
        ("look-up", {1: "A Pupil", 2: "why"}),
        ("look-up", {1: "pupil", 2: ""}),
        ("look-up", {1: "pupil"}),
        ("erasure", {1: "A Pupil", 2: "why"}),
        ("erasure", {1: "pupil", 2: "x" * 201}),
        ("hold", {1: "zone:yard", 2: True, 3: "case"}),
        ("hold", {1: "site:", 2: True, 3: "case"}),
        ("hold", {1: "holder:A Pupil", 2: True, 3: "case"}),
        ("hold", {1: "site", 2: 1, 3: "case"}),
        ("hold", {1: "site", 2: True, 3: ""}),
    ],
)
def test_what_goes_beyond_a_bound_is_no_change(kind: str, fields: dict[int, Any]):
    assert content_of(kind, fields) is None


@pytest.mark.parametrize(
    "content",
    [AlertChange(state="Very tense"), PolicyChange(document=bytes(DOCUMENT + 1)), ApprovalChange(digest=b"")],
)
def test_what_nobody_would_read_is_not_signed(content: ChangeContent):
    with pytest.raises(ValueError, match="no change that would be read"):
        SmallSite().change(content)


# -- what is around it ------------------------------------------------------------------------------------------------

LAST_MS = 253_402_300_799_000
"""The last whole second of the year 9999."""


def around(**changes: Any) -> dict[int, Any]:
    """A change of the alert state as it travels; `f4` is the field 4."""
    fields: dict[int, Any] = {
        0: 1,
        1: SITE,
        2: ID,
        3: "alert",
        4: 1_780_000_000_000,
        5: HOST,
        6: {1: "tense"},
    }
    return fields | {int(name.removeprefix("f")): value for name, value in changes.items()}


def read(fields: dict[int, Any]) -> Change | ChangeRefused:
    site = SmallSite()
    document = cose.sign(
        cbor.encode(fields), key=operator_key(HOST), typ=CHANGE_TYPE, external_aad=SITE.encode()
    )
    return read_change(document, trust=site.flow.trust, operators=site.flow.operators, now=site.now)


def test_a_change_is_spelled_as_the_contract_says():
    site = SmallSite()
    at = datetime(2026, 6, 3, 10, 0, 0, 123_000, tzinfo=UTC)
    parsed = cose.parse(site.change(AlertChange(state="tense"), at=at, change_id=ID), typ=CHANGE_TYPE)
    assert not isinstance(parsed, cose.Refused)
    assert parsed.payload == cbor.encode(around(f4=int(at.timestamp() * 1000)))


@pytest.mark.parametrize("since", [0, 1, 1_780_000_000_000, LAST_MS])
def test_a_change_of_any_time_is_read_and_its_age_is_for_others_to_judge(since: int):
    found = read(around(f4=since))
    assert isinstance(found, Change)
    assert (found.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == since
    assert (found.id, found.author, found.content) == (ID, HOST, AlertChange(state="tense"))


@pytest.mark.parametrize(
    "fields",
    [
        around(f0=2),
        around(f1="castle"),
        around(f2=ID[:-1]),
        around(f2=ID + b"\0"),
        around(f3="unheard-of"),
        around(f4=-1),
        around(f4=LAST_MS + 1),
        around(f4=1 << 63),
        around(f4=True),
        around(f5="The Army"),
        around(f6={1: "tense", 2: None}),
        around(f7=None),
    ],
)
def test_what_is_around_a_change_is_read_up_to_its_bounds_and_not_beyond(fields: dict[int, Any]):
    found = read(fields)
    assert isinstance(found, ChangeRefused)
    assert found.code is ChangeRefusal.MALFORMED
