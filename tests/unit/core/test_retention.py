"""What is due, what a hold spares, and what an entry says of what went."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import Kind, seal_body, timestamp
from gatekeeper.core.register import HolderRecord, read_term
from gatekeeper.core.retention import (
    Digest,
    Due,
    Expired,
    draft_of_expiry,
    due_now,
    expired_registrations,
    has_ended,
    read_expired,
    tenant_named,
)
from gatekeeper.model.ids import HolderId, TenantId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.retention import USUAL, Kept, Retention
from tests.support.sites import NOON, ground

ARMY, SCHOOL = TenantId("army"), TenantId("school")
DAY = timedelta(days=1)
POLICY = replace(
    ground().policy,
    retention=Retention(tenants={SCHOOL: {Kept.PERSONAL: 30 * DAY, Kept.VISITORS: 180 * DAY}}),
)


def _due(*holds: str) -> list[Due]:
    return list(due_now(POLICY, holds=holds, now=NOON))


def test_every_kind_is_looked_for_and_a_tenants_own_first_where_it_is_shorter():
    found = _due()
    assert [(due.kind, due.tenant) for due in found] == [
        (Kept.PERSONAL, SCHOOL),
        (Kept.PERSONAL, None),
        (Kept.VISITORS, None),
        (Kept.PEOPLE, None),
        (Kept.REFUSED, None),
        (Kept.RECEIPTS, None),
        (Kept.ENTRIES, None),
    ]
    assert found[0].before == NOON - 30 * DAY
    assert found[1].before == NOON - 180 * DAY
    assert found[-1].before == datetime(2019, 6, 1, tzinfo=UTC), (
        "the month of seven years ago is not over yet then"
    )
    assert (NOON - USUAL[Kept.ENTRIES]).month == 6


def test_under_a_hold_on_the_site_nothing_is_due():
    assert _due("site", "tenant:school") == []


def test_a_hold_on_a_tenant_spares_its_data_and_every_body():
    found = _due("tenant:school")
    assert (Kept.PERSONAL, SCHOOL) not in {(due.kind, due.tenant) for due in found}
    assert {due.kind for due in found} == set(Kept) - {Kept.ENTRIES}
    of_tenants = [due for due in found if due.kind in {Kept.PERSONAL, Kept.PEOPLE, Kept.VISITORS}]
    assert all(due.spared_tenants == {SCHOOL} for due in of_tenants)


def test_a_hold_on_a_holder_spares_what_is_theirs_and_lets_the_rest_be_looked_for():
    found = _due("holder:pupil")
    assert {due.kind for due in found} == set(Kept)
    personal = [due for due in found if due.kind in {Kept.PERSONAL, Kept.PEOPLE, Kept.VISITORS}]
    assert all(due.spared == {"pupil"} and due.spared_tenants == frozenset() for due in personal)


# -- registrations ----------------------------------------------------------------------------------------------------


def _record(name: str) -> HolderRecord:
    return HolderRecord(id=HolderId(name), document=ground().registrations[name])


def test_the_term_of_a_registration_is_read_without_believing_it():
    holder = ground().holders["pupil"]
    document = ground().registrations["pupil"]
    assert read_term(document) == (HolderKind.VISITOR, holder.until)
    assert read_term(document[:-1] + bytes([document[-1] ^ 1])) == (HolderKind.VISITOR, holder.until)


@pytest.mark.parametrize(
    "document", [b"", b"\xd2", b"\xd2\x80", b"\xff" * 40, b"\xd2\x84\x40\xa0\x41\xff\x40"]
)
def test_of_what_is_no_registration_no_term_is_read(document: bytes):
    assert read_term(document) is None
    due = Due(kind=Kept.PEOPLE, tenant=None, before=datetime.max.replace(tzinfo=UTC))
    assert not has_ended(HolderRecord(id=HolderId("x"), document=document), ARMY, due)


@pytest.mark.parametrize(
    ("changes", "ended"),
    [
        ({}, True),
        ({"tenant": SCHOOL}, True),
        ({"tenant": ARMY}, False),
        ({"kind": Kept.PEOPLE}, False),
        ({"spared": frozenset({"pupil"})}, False),
        ({"spared_tenants": frozenset({SCHOOL})}, False),
        ({"before": datetime(2026, 12, 1, tzinfo=UTC)}, False),
    ],
)
def test_a_registration_that_is_over_for_so_long_is_one_to_look_for(changes: dict[str, Any], ended: bool):  # noqa: FBT001 - the expected answer
    due = Due(kind=Kept.VISITORS, tenant=None, before=datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC))
    assert has_ended(_record("pupil"), SCHOOL, replace(due, **changes)) is ended


def test_the_digest_over_registrations_depends_on_no_order():
    due = Due(kind=Kept.VISITORS, tenant=None, before=NOON)
    digests = [hashlib.sha256(name.encode()).digest() for name in ("a", "b", "c")]
    assert expired_registrations(due, SCHOOL, digests) == expired_registrations(
        due, SCHOOL, reversed(digests)
    )
    assert expired_registrations(due, SCHOOL, digests).count == 3


# -- what an entry says -----------------------------------------------------------------------------------------------

SAID = Expired(
    kind=Kept.PERSONAL, tenant=SCHOOL, first=3, last=9, before=NOON, count=4, digest=bytes(range(32))
)


def _body(expired: Expired = SAID) -> dict[str, Any]:
    draft = draft_of_expiry(expired, POLICY, at=NOON, seq=12)
    return {"kind": draft.kind, **draft.public}


@pytest.mark.parametrize(
    "expired",
    [
        SAID,
        replace(SAID, tenant=None),
        replace(SAID, kind=Kept.ENTRIES, tenant=None),
        replace(SAID, kind=Kept.VISITORS, first=None, last=None),
        replace(SAID, kind=Kept.REFUSED, tenant=None, first=None, last=None),
    ],
)
def test_what_an_entry_says_is_read_back(expired: Expired):
    assert read_expired(_body(expired)) == expired


@pytest.mark.parametrize(
    "changes",
    [
        {"what": "everything"},
        {"what": None},
        {"first": -1},
        {"first": True},
        {"last": "9"},
        {"last": None},
        {"count": 1.5},
        {"digest": "00"},
        {"digest": "zz" * 32},
        {"digest": 7},
        {"before": "yesterday"},
        {"tenant": "The School"},
        {"tenant": 5},
    ],
)
def test_what_says_nothing_that_could_be_held_against_the_log_is_not_read(changes: dict[str, Any]):
    assert read_expired({**_body(), **changes}) is None
    assert read_expired({name: value for name, value in _body().items() if name not in changes}) is None or (
        changes.keys() <= {"tenant"}
    )


def test_the_entry_stands_in_the_tree_of_the_tenant_whose_peoples_data_went():
    assert draft_of_expiry(SAID, POLICY, at=NOON, seq=12).tenants == (SCHOOL,)
    assert draft_of_expiry(replace(SAID, tenant=None), POLICY, at=NOON, seq=12).tenants == ()
    gone = replace(SAID, tenant=TenantId("long-gone"))
    assert draft_of_expiry(gone, POLICY, at=NOON, seq=12).tenants == (), (
        "a tenant that is no more has no tree"
    )


def test_the_digest_is_the_one_that_the_schema_describes():
    draft = draft_of_expiry(SAID, POLICY, at=NOON, seq=12)
    body = seal_body(draft, site=POLICY.site, trees={"site": 12}, nonce=bytes(16), personal=None)
    assert draft.kind is Kind.DATA_EXPIRED
    assert timestamp(NOON).encode() in body
    digest = Digest(Kept.PERSONAL)
    digest.add(3, bytes(32))
    digest.add(9, b"\1" * 32)
    said = b"gatekeeper-expired-v1\0personal\0" + (3).to_bytes(8) + bytes(32) + (9).to_bytes(8) + b"\1" * 32
    assert (digest.count, digest.value()) == (2, hashlib.sha256(said).digest())


@pytest.mark.parametrize(
    ("body", "tenant"), [({"tenant": "school"}, SCHOOL), ({}, None), ({"tenant": 7}, None)]
)
def test_the_tenant_whose_period_counts_is_the_one_that_the_entry_names(
    body: dict[str, Any], tenant: TenantId | None
):
    assert tenant_named(body) == tenant
