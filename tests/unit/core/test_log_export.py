"""Exports of the log and look-ups: who may take what out of it, and what the log says of that for good."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import (
    SITE_TREE,
    Draft,
    Kind,
    canonical_json,
    seal_body,
    seal_personal,
    tenant_tree,
)
from gatekeeper.core.change import ApprovalChange, LogExportChange, LookUpChange
from gatekeeper.core.log_export import KINDS_AT_DOOR, AtDoor, LogExport, is_tree, read_log_export
from gatekeeper.core.operators import Role
from gatekeeper.core.supervise import APPLIED, PROPOSED
from gatekeeper.model.ids import AccessPointId, HolderId, TenantId
from tests.support.changes import WHOLE_LOG, agreed, made
from tests.support.operators import account, recorded_account
from tests.support.sites import NOON, SITE, SmallSite, key_of

ALL = WHOLE_LOG
SCHOOLS = replace(ALL, tree="tenant:school")
SOME = replace(
    SCHOOLS,
    since=NOON - timedelta(days=31),
    until=NOON,
    doors=(AccessPointId("front-in"), AccessPointId("shed-in")),
    decisions=(AtDoor.DENIED, AtDoor.GRANTED),
)
OPENED = replace(SCHOOLS, openings=True)
PUPIL, SERGEANT = HolderId("pupil"), HolderId("sergeant")


@pytest.fixture
def site() -> SmallSite:
    made_site = SmallSite()
    for name, tenant, roles in (
        ("auditor", "army", [Role.AUDITOR]),
        ("inspector", "school", [Role.AUDITOR]),
        ("head", "school", [Role.TENANT_ADMIN]),
        ("officer-2", "army", [Role.SECURITY_OFFICER]),
    ):
        record = recorded_account(account(name, tenant, roles), site=SITE, key=key_of(f"{tenant} signing"))
        made_site.flow.operators.put(record)
    return made_site


def code(site: SmallSite, content: LogExportChange | LookUpChange, by: str) -> str:
    return site.supervise(content, by=by).outcome.code


def body_of(draft: Draft, **changes: Any) -> bytes:
    """The body of an entry, or one that says otherwise."""
    personal = seal_personal(draft, salt=bytes(16))
    trees = {SITE_TREE: draft.seq} | {tenant_tree(tenant): 0 for tenant in draft.tenants}
    body = json.loads(seal_body(draft, site=SITE, trees=trees, nonce=bytes(16), personal=personal))
    return canonical_json({key: value for key, value in (body | changes).items() if value is not None})


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "by", "expected"),
    [
        (ALL, "auditor", APPLIED),
        (SCHOOLS, "auditor", APPLIED),
        (SCHOOLS, "inspector", APPLIED),
        (ALL, "inspector", "change-not-yours"),
        (replace(SCHOOLS, tree="tenant:club"), "inspector", "change-not-yours"),
        (ALL, "officer", "change-role"),
        (ALL, "admin", "change-role"),
        (SCHOOLS, "head", "change-role"),
        (OPENED, "auditor", PROPOSED),
        (OPENED, "inspector", PROPOSED),
        (replace(OPENED, tree="site"), "inspector", "change-not-yours"),
        (OPENED, "head", "change-role"),
        (replace(SCHOOLS, holder=PUPIL), "auditor", APPLIED),
        (replace(SCHOOLS, holder=PUPIL), "officer", APPLIED),
        (replace(SCHOOLS, holder=PUPIL), "head", APPLIED),
        (replace(SCHOOLS, holder=PUPIL), "inspector", "change-role"),
        (replace(SCHOOLS, holder=SERGEANT), "auditor", APPLIED),
        (replace(SCHOOLS, holder=SERGEANT), "head", "change-not-yours"),
        (replace(OPENED, holder=SERGEANT), "inspector", "change-not-yours"),
        (replace(OPENED, holder=PUPIL), "inspector", PROPOSED),
        (replace(ALL, holder=HolderId("nobody")), "auditor", "holder-unknown"),
        (replace(OPENED, holder=HolderId("nobody")), "auditor", "holder-unknown"),
    ],
)
def test_an_auditor_takes_the_log_and_who_was_where_takes_another_word(
    site: SmallSite, content: LogExportChange, by: str, expected: str
):
    assert code(site, content, by) == expected


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("auditor", APPLIED),
        ("officer", APPLIED),
        ("head", APPLIED),
        ("inspector", "change-role"),
        ("guard", "change-role"),
        ("admin", "change-role"),
        ("club", "change-not-yours"),
    ],
)
def test_where_a_person_was_is_looked_up_by_their_tenant_and_by_those_who_watch_over_the_site(
    site: SmallSite, by: str, expected: str
):
    assert code(site, LookUpChange(holder=PUPIL, purpose="a complaint"), by) == expected


def test_nobody_looks_up_who_is_not_there(site: SmallSite):
    assert (
        code(site, LookUpChange(holder=HolderId("nobody"), purpose="why not"), "officer") == "holder-unknown"
    )
    assert (
        code(site, LookUpChange(holder=HolderId("nobody"), purpose="why not"), "head") == "change-not-yours"
    )


@pytest.mark.parametrize("role", Role)
def test_who_somebody_was_is_opened_by_two_of_whom_one_is_an_officer_or_an_administrator(
    site: SmallSite, role: Role
):
    record = recorded_account(account("jansma", "army", [role]), site=SITE, key=key_of("army signing"))
    site.flow.operators.put(record)
    assert code(site, OPENED, "inspector") == PROPOSED
    (proposal,) = site.flow.proposals
    done = site.supervise(ApprovalChange(digest=proposal.digest), by="jansma")
    may = role in {Role.SECURITY_OFFICER, Role.SITE_ADMIN}
    assert done.outcome.code == (APPLIED if may else "change-role")


# -- what the log says ------------------------------------------------------------------------------------------------


def test_the_log_says_what_was_taken_from_it_by_whom_and_why(site: SmallSite):
    entry = made(site, SOME, by="inspector").draft
    assert entry is not None
    assert (entry.kind, entry.tenants, entry.person, entry.personal) == (
        *("log.exported", ("school",), None, None),
    )
    assert entry.public == {
        "tree": "tenant:school",
        "from": "2026-05-03T10:00:00.000000Z",
        "to": "2026-06-03T10:00:00.000000Z",
        "doors": ["front-in", "shed-in"],
        "decisions": ["denied", "granted"],
        "openings": False,
        "reason": "yearly audit",
        "change": bytes(15).hex() + "01",
        "by": "school",
        "author": "inspector",
        "signed_at": "2026-06-03T10:00:00.000000Z",
    }


def test_what_was_not_asked_for_is_left_out(site: SmallSite):
    entry = made(site, ALL, by="auditor").draft
    assert entry is not None
    assert entry.tenants == ()
    assert entry.public.keys() == {*("tree", "openings", "reason", "change", "by", "author", "signed_at")}


def test_whose_movements_were_taken_is_for_nobody_who_reads_the_log(site: SmallSite):
    entry = made(site, replace(SOME, holder=PUPIL), by="auditor").draft
    assert entry is not None
    assert entry.public["one_holder"] is True
    assert (entry.person, entry.personal) == ("pupil", {"holder": "pupil"})
    assert "pupil" not in body_of(entry).decode()


def test_an_export_of_anothers_person_stands_in_their_tree_too(site: SmallSite):
    entry = made(site, replace(SCHOOLS, holder=SERGEANT), by="auditor").draft
    assert entry is not None
    assert entry.tenants == ("school", "army")


def test_a_look_up_says_what_for_and_hides_of_whom(site: SmallSite):
    entry = made(site, LookUpChange(holder=PUPIL, purpose="complaint 12"), by="officer").draft
    assert entry is not None
    assert (entry.kind, entry.tenants, entry.person, entry.personal) == (
        *("person.looked-up", ("school",), "pupil", {"holder": "pupil"}),
    )
    assert entry.public == {
        "tenant": "school",
        "purpose": "complaint 12",
        "change": bytes(15).hex() + "01",
        "by": "army",
        "author": "officer",
        "signed_at": "2026-06-03T10:00:00.000000Z",
    }


def test_what_is_proposed_of_a_person_says_in_public_of_nobody(site: SmallSite):
    done = site.supervise(replace(OPENED, holder=PUPIL), by="inspector")
    assert done.outcome.code == PROPOSED
    (entry,) = done.drafts
    assert entry.public["subject"] == "tenant:school"
    assert entry.public["gives"] == ["the log of tenant:school with what it says of one holder: yearly audit"]
    assert (entry.person, entry.personal) == ("pupil", {"holder": "pupil"})
    (proposal,) = site.flow.proposals
    assert proposal.person == "pupil", "the second person is told"
    assert "pupil" not in body_of(entry).decode()


def test_the_bytes_of_a_change_about_a_person_are_let_go_and_those_of_another_stay(site: SmallSite):
    by_change = {
        "of everybody": site.supervise(ALL, by="auditor"),
        "of one": site.supervise(replace(SCHOOLS, holder=PUPIL), by="auditor"),
        "a look-up": site.supervise(LookUpChange(holder=PUPIL, purpose="a complaint"), by="auditor"),
        "refused": site.supervise(LookUpChange(holder=PUPIL, purpose="a complaint"), by="club"),
        "unreadable": site.supervise(b"\x00", by="auditor"),
    }
    assert {what: done.outcome.forgets for what, done in by_change.items()} == {
        "of everybody": False,
        "of one": True,
        "a look-up": True,
        "refused": True,
        "unreadable": True,
    }


# -- and read back ----------------------------------------------------------------------------------------------------


def test_an_export_is_read_from_its_entry_as_it_was_asked_for(site: SmallSite):
    entry = made(site, replace(SOME, holder=PUPIL), by="auditor").draft
    assert entry is not None
    personal = seal_personal(entry, salt=bytes(16))
    found = read_log_export(body_of(entry), site=SITE, seq=entry.seq, personal=personal)
    assert found == LogExport(
        tree=SOME.tree,
        since=SOME.since,
        until=SOME.until,
        doors=SOME.doors,
        decisions=SOME.decisions,
        one_holder=True,
        holder=PUPIL,
        openings=False,
        reason="yearly audit",
        author="auditor",
        approved_by=None,
        seq=entry.seq,
        at=NOON,
    )
    hidden = read_log_export(body_of(entry), site=SITE, seq=entry.seq)
    assert hidden == replace(found, holder=None), "whoever cannot open it learns that it is one, and not who"
    swapped = seal_personal(replace(entry, personal={"holder": "sergeant"}), salt=bytes(16))
    assert read_log_export(body_of(entry), site=SITE, seq=entry.seq, personal=swapped) == hidden


def test_an_export_that_opens_names_the_second_person(site: SmallSite):
    entry = agreed(site, OPENED)
    found = read_log_export(body_of(entry), site=SITE, seq=entry.seq)
    assert found is not None
    assert (found.openings, found.author, found.approved_by) == (True, "army", "colonel")
    assert (found.since, found.until, found.doors, found.decisions, found.one_holder) == (
        *(None, None, (), (), False),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "people.exported"},
        {"seq": 7},
        {"site": "castle"},
        {"tree": None},
        {"openings": None},
        {"reason": None},
        {"author": None},
        {"from": "yesterday"},
        {"from": "2026-05-03T10:00:00.000000"},
        {"at": "2026-06-03T12:00:00+02:00"},
        {"decisions": ["eaten"]},
        {"approved_by": None},
        {"approved_by": "army"},
    ],
    ids=repr,
)
def test_a_body_that_the_log_does_not_write_so_allows_no_export(site: SmallSite, changes: dict[str, Any]):
    entry = agreed(site, replace(SOME, openings=True))
    assert read_log_export(body_of(entry), site=SITE, seq=entry.seq) is not None
    assert read_log_export(body_of(entry, **changes), site=SITE, seq=entry.seq) is None
    assert read_log_export(b" " + body_of(entry), site=SITE, seq=entry.seq) is None


@pytest.mark.parametrize(
    ("tree", "one"),
    [
        ("site", True),
        ("tenant:school", True),
        ("tenant:a", True),
        ("tenant:", False),
        ("tenant:The School", False),
        ("school", False),
        ("", False),
        ("site:school", False),
        ("tenant:tenant:school", False),
    ],
)
def test_a_tree_has_one_name(tree: str, *, one: bool):
    assert is_tree(tree) is one


def test_every_outcome_at_a_door_is_some_kind_of_entry_and_no_kind_is_two():
    assert KINDS_AT_DOOR.keys() == set(AtDoor)
    kinds = [kind for of_word in KINDS_AT_DOOR.values() for kind in of_word]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) == {kind for kind in Kind if kind.value.startswith(("access.", "passage."))}


def test_times_travel_to_the_millisecond(site: SmallSite):
    at = datetime(2026, 5, 3, 10, 0, 0, 123_000, tzinfo=UTC)
    entry = made(site, replace(SOME, since=at, until=at + timedelta(milliseconds=1)), by="auditor").draft
    assert entry is not None
    assert (entry.public["from"], entry.public["to"]) == (
        "2026-05-03T10:00:00.123000Z",
        "2026-05-03T10:00:00.124000Z",
    )


def test_the_tree_of_a_tenant_that_has_left_is_the_hosts_to_export(site: SmallSite):
    entry = made(site, replace(ALL, tree="tenant:long-gone"), by="auditor").draft
    assert entry is not None
    assert (entry.tenants, entry.public["tree"]) == ((), "tenant:long-gone")
    assert TenantId("long-gone") not in site.flow.policy.tenants
