"""Entries: one spelling, no name in a leaf, and enough kept apart to decide again."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gatekeeper.core.audit import (
    SITE_TREE,
    Draft,
    Kind,
    canonical_json,
    commitment,
    seal_body,
    seal_personal,
    tenant_tree,
    timestamp,
)
from gatekeeper.core.change import (
    AlertChange,
    BadgeIssue,
    BadgeStateChange,
    ErasureChange,
    ExportChange,
    Exported,
    ForgivenessChange,
    HoldChange,
    HolderChange,
    LockdownChange,
    LookUpChange,
    OpeningChange,
    OperatorChange,
    RebootChange,
    SuspensionChange,
    WithdrawalChange,
)
from gatekeeper.core.commands import Unsent
from gatekeeper.core.decide import Facts, Request, decide
from gatekeeper.core.drafting import draft_of_unsent
from gatekeeper.core.operators import Role
from gatekeeper.core.proposals import digest_of
from gatekeeper.core.retention import Due, draft_of_expiry, expired_registrations
from gatekeeper.core.supervise import expire_proposals
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, GateId, HolderId, TenantId
from gatekeeper.model.messages import ClockQuality, PassageOutcome, StatusKind, Verdict
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.reasons import Reason
from gatekeeper.model.retention import Kept
from tests.support.changes import WHOLE_LOG
from tests.support.clocks import FAR_FROM_GREENWICH, running_in
from tests.support.operators import account, signed_account
from tests.support.rules_site import RuledSite
from tests.support.sites import BADGES, CARD, NOON, SITE, SmallSite, ground, issue, key_of, register_holder

NONCE, SALT = bytes(range(16)), bytes(range(16, 32))


def draft(**changes: Any) -> Draft:
    fields: dict[str, Any] = {
        "kind": Kind.GATE_STATUS,
        "at": NOON,
        "seq": 7,
        "tenants": (),
        "public": {"gate": "front"},
        "person": None,
        "personal": None,
    }
    return Draft(**(fields | changes))


# -- canonical JSON ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "{}"),
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
        ({"b": {"z": [1, "2", None, True, False], "a": {}}}, '{"b":{"a":{},"z":[1,"2",null,true,false]}}'),
        ({"A": 1, "a": 1, "_": 1, "10": 1, "9": 1}, '{"10":1,"9":1,"A":1,"_":1,"a":1}'),
        ({"n": -1, "m": 2**53, "l": 2**63}, '{"l":9223372036854775808,"m":9007199254740992,"n":-1}'),
        ({"s": "é€😀/\x7f"}, '{"s":"é€😀/\x7f"}'),
        ({"s": '"\\\b\t\n\f\r\x00\x1f'}, r'{"s":"\"\\\b\t\n\f\r\u0000\u001f"}'),
        ({"k": Kind.GATE_GAP, "v": Assurance.BEARER}, '{"k":"gate.gap","v":1}'),
    ],
)
def test_a_document_has_one_spelling(document: Mapping[str, Any], text: str):
    """RFC 8785, 3.2: no space, keys in order, literals for what need not be escaped."""
    assert canonical_json(document) == text.encode()


def test_the_order_in_which_a_document_was_made_does_not_show():
    document = {"z": 1, "m": {"b": [], "a": 0}, "a": "x"}
    backwards = {"a": "x", "m": {"a": 0, "b": []}, "z": 1}
    assert canonical_json(document) == canonical_json(backwards)
    assert canonical_json(json.loads(canonical_json(document))) == canonical_json(document)


@pytest.mark.parametrize("value", [NOON, b"bytes", {1, 2}, object(), {1: "a number as a key"}, "\ud800"])
def test_what_has_no_place_in_a_document_is_not_written(value: object):
    with pytest.raises((TypeError, ValueError)):
        canonical_json({"value": value})


# -- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 6, 3, 10, tzinfo=UTC), "2026-06-03T10:00:00.000000Z"),
        (datetime(2026, 6, 3, 10, 0, 0, 1, tzinfo=UTC), "2026-06-03T10:00:00.000001Z"),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-12-31T23:30:00.000000Z"),
        (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_is_27_characters_in_utc_and_reads_back(at: datetime, text: str):
    assert timestamp(at) == text
    assert len(text) == 27
    assert datetime.fromisoformat(text) == at


# -- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_names_its_site_its_number_and_its_places():
    trees = {SITE_TREE: 7, tenant_tree(TenantId("school")): 3, tenant_tree(TenantId("army")): 5}
    body = seal_body(draft(), site=SITE, trees=trees, nonce=NONCE, personal=None)
    assert body == (
        b'{"at":"2026-06-03T10:00:00.000000Z","gate":"front","kind":"gate.status",'
        b'"nonce":"000102030405060708090a0b0c0d0e0f","seq":7,"site":"fort",'
        b'"trees":{"site":7,"tenant:army":5,"tenant:school":3},"v":1}'
    )


def test_a_tenants_tree_is_never_the_sites():
    assert tenant_tree(TenantId("site")) != SITE_TREE


def test_a_body_commits_to_its_personal_part_and_says_nothing_of_it():
    made = draft(person=HolderId("sergeant"), personal={"holder": "sergeant"})
    personal = seal_personal(made, salt=SALT)
    assert personal == b'{"holder":"sergeant","salt":"101112131415161718191a1b1c1d1e1f"}'
    body = json.loads(seal_body(made, site=SITE, trees={SITE_TREE: 7}, nonce=NONCE, personal=personal))
    assert body["personal"] == commitment(personal)
    assert body["personal"] == hashlib.sha256(b"gatekeeper-personal-v1\0" + personal).hexdigest()
    assert "sergeant" not in json.dumps(body)


def test_the_same_personal_part_under_another_salt_is_another_commitment():
    """Or the few holders of a site could be tried one by one."""
    made = draft(personal={"holder": "sergeant"})
    first, second = seal_personal(made, salt=SALT), seal_personal(made, salt=NONCE)
    assert first is not None
    assert second is not None
    assert commitment(first) != commitment(second)


def test_an_entry_without_a_personal_part_commits_to_none():
    assert seal_personal(draft(), salt=SALT) is None
    body = json.loads(seal_body(draft(), site=SITE, trees={SITE_TREE: 7}, nonce=NONCE, personal=None))
    assert "personal" not in body


ENVELOPE = {"v", "site", "seq", "at", "kind", "nonce", "trees", "personal"}


def everything_that_can_be_said() -> SmallSite:
    """A site in which an entry of every kind that the core writes was made, of people one by one."""
    site = SmallSite()
    site.recorded(site.hello("front", gate_at=NOON, clock=ClockQuality.SYNCHRONISED))
    for who in ("sergeant", "teacher", "pupil", "van", CARD):
        for door in ("front-in", "barrack-in", "shed-in"):
            scan = site.scan(door, who, gate_at=NOON)
            site.recorded(scan)
            for outcome in PassageOutcome:
                site.recorded(site.passage(door, outcome, scan=scan))
            for verdict in (Verdict.GRANTED, Verdict.DENIED):
                site.tap(door, who, offline_verdict=verdict)
    told = site.status("front")
    site.recorded(told)
    site.refused(site.status("front", sequence=told.message.sequence, kind=StatusKind.TAMPER))
    site.skip("front", 100)
    site.recorded(site.status("front"))
    site.supervise(AlertChange(state="tense"))
    site.supervise(LockdownChange(scope="gate:front", on=True))
    site.supervise(BadgeStateChange(badge=BADGES["pupil"].badge.id, state=BadgeState.LOST))
    new = issue("newcomer", "army")
    holder = Holder(
        id=HolderId("newcomer"),
        tenant=TenantId("army"),
        kind=HolderKind.VISITOR,
        clearance=0,
        profiles=(),
        badges=(new.badge.id,),
        since=NOON,
        until=NOON + timedelta(days=1),
        version=1,
    )
    registration = HolderChange(
        holder=holder.id,
        document=register_holder(holder),
        badges=(BadgeIssue(badge=new.badge.id, token=new.token, card=None),),
    )
    site.badges["newcomer"] = new
    site.supervise(registration, name=b"Nina Newcomer")
    return site


def everything_that_takes_rules_or_two() -> RuledSite:
    """The kinds of entries that take a rule, a guard or a second person."""
    site = RuledSite(
        {
            "shed": {"guard_check": {"seconds": 20}},
            "barrack": {"search": {"one_in": 2}, "two_persons": {"seconds": 60}},
        }
    )
    site.answer(site.tap("shed-in", "sergeant"), yes=True)
    for who, let_in in (("private", False), ("sergeant", True)):
        assert site.ask("barrack-in", who).granted is let_in
    for on in (True, False):
        site.changed(SuspensionChange(tenant=TenantId("school"), on=on))
    site.changed(ForgivenessChange(holder=HolderId("private")))
    newcomer = account("newcomer", "army", (Role.GUARD,))
    document = signed_account(newcomer, site=SITE, key=key_of("army signing"))
    site.changed(OperatorChange(operator=newcomer.id, document=document))
    site.changed(ExportChange(tenant=TenantId("army"), what=Exported.HOLDERS, reason="yearly review"))
    _taken_kept_and_forgotten(site)
    site.changed(OpeningChange(access_point=AccessPointId("shed-in"), reason="a crate"))
    site.changed(RebootChange(gate=site.gate_of("shed-in"), reason="it hangs"))
    site.drafts.append(
        draft_of_unsent(site.drafts[-1], Unsent.BROKER_AWAY, at=site.now, seq=site.flow.next_seq)
    )
    site.changed(LockdownChange(scope="gate:inner", on=True))
    release = LockdownChange(scope="gate:inner", on=False)
    proposed = site.change(release, change_id=bytes(range(16)))
    site.supervise(proposed, filed_as=bytes(range(16)))
    site.supervise(WithdrawalChange(digest=digest_of(proposed)))
    site.supervise(release)
    site.advance(hours=25)
    site.drafts += expire_proposals(site.flow, now=site.now, writes=site.writes)
    site.drafts.append(_expired(site))
    return site


def _expired(site: RuledSite) -> Draft:
    due = Due(kind=Kept.PEOPLE, tenant=None, before=site.now)
    registrations = [hashlib.sha256(record.document).digest() for record, _ in site.flow.register.holders()]
    said = expired_registrations(due, TenantId("army"), registrations)
    return draft_of_expiry(said, site.flow.policy, at=site.now, seq=site.flow.next_seq)


def _taken_kept_and_forgotten(site: RuledSite) -> None:
    private = HolderId("private")
    site.changed(replace(WHOLE_LOG, holder=private, openings=True))
    site.changed(LookUpChange(holder=private, purpose="a complaint"))
    for on in (True, False):
        site.changed(HoldChange(scope="holder:private", on=on, reason="a case"))
    site.changed(ErasureChange(holder=private, reason="left the service"))


def test_nothing_personal_stands_in_a_body():
    site, ruled = everything_that_can_be_said(), everything_that_takes_rules_or_two()
    drafts = [*site.drafts, *ruled.drafts]
    assert set(Kind) - {made.kind for made in drafts} == {
        Kind.SITE_FOUNDED,
        Kind.ENGINE_STARTED,
        Kind.GATE_ASKED,
        Kind.GATE_CERTIFIED,
        Kind.GATE_SILENT,
        Kind.GATE_HEARD,
        Kind.LOG_MISMATCH,
        Kind.POLICY_CHANGED,
        Kind.TRUST_CHANGED,
    }, "a kind of entry is missing from this test"
    secrets = [
        *site.holders,
        "newcomer",
        "Nina",
        CARD.number.hex(),
        *(one.badge.id for one in site.badges.values()),
    ]
    secrets += [one.token.hex() for one in site.badges.values()]
    for made in drafts:
        personal = seal_personal(made, salt=SALT)
        body = seal_body(made, site=SITE, trees={SITE_TREE: made.seq}, nonce=NONCE, personal=personal)
        # An operator acts in office, and is named.
        told = re.sub(r'"(author|approved_by|operator|subject)":"[^"]*"', "", body.decode())
        told = re.sub(r'"gives":\["newcomer of army is guard"\]', "", told)
        assert not [secret for secret in secrets if secret in told], f"{made.kind} tells of a person"


def test_no_entry_overwrites_what_every_entry_says():
    for made in [*everything_that_can_be_said().drafts, *everything_that_takes_rules_or_two().drafts]:
        assert not ENVELOPE & made.public.keys(), made.kind


def test_every_entry_can_be_written_in_one_spelling():
    for made in [*everything_that_can_be_said().drafts, *everything_that_takes_rules_or_two().drafts]:
        personal = seal_personal(made, salt=SALT)
        body = seal_body(made, site=SITE, trees={SITE_TREE: made.seq}, nonce=NONCE, personal=personal)
        for written in (body, personal):
            assert written is None or canonical_json(json.loads(written)) == written


# -- deciding again ---------------------------------------------------------------------------------------------------


def facts_from(document: Mapping[str, Any]) -> Facts:
    """The facts of a decision, from what the log kept of them and nothing else."""
    codes = {reason.code: reason for reason in Reason}
    state = document["badge_state"]
    return Facts(
        badge=None if document["badge"] is None else _badge_from(document["badge"]),
        badge_state=None if state is None else BadgeState(state),
        assurance=Assurance(document["assurance"]),
        findings=tuple(codes[code] for code in document["findings"]),
        holder=None if document["holder"] is None else _holder_from(document["holder"]),
        holder_unproven=document["holder_unproven"],
        epoch=document["epoch"],
        whereabouts=document["whereabouts"],
        alert=document["alert"],
        lockdowns=frozenset(document["lockdowns"]),
    )


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _badge_from(kept: Mapping[str, Any]) -> Badge:
    times = {name: _at(kept[name]) for name in ("not_before", "expires", "issued")}
    rest = {"site": SITE, "confirmation": None, "card": None, "status_index": None}
    return Badge(
        **{
            **kept,
            **times,
            **rest,
            "assurance": Assurance(kept["assurance"]),
            "kind": HolderKind(kept["kind"]),
        }
    )


def _holder_from(kept: Mapping[str, Any]) -> Holder:
    times = {name: _at(kept[name]) for name in ("since", "until")}
    return Holder(
        **{
            **kept,
            **times,
            "profiles": tuple(kept["profiles"]),
            "badges": (),
            "kind": HolderKind(kept["kind"]),
        }
    )


def test_what_is_kept_is_enough_to_decide_again():
    """Promise 7: the same reasons, from the written personal part, at any later time."""
    site = everything_that_can_be_said()
    for door in ("front-in", "barrack-in", "armoury-in", "back-door"):
        for who in (
            "sergeant",
            "private",
            "teacher",
            "pupil",
            "member",
            CARD,
            issue("x", "army", by="stranger"),
        ):
            site.advance(hours=7)
            site.tap(door, who)
    again = 0
    for made in site.drafts:
        if made.kind not in {Kind.ACCESS_GRANTED, Kind.ACCESS_DENIED}:
            continue
        written = seal_personal(made, salt=SALT)
        assert written is not None
        request = Request(
            access_point=AccessPointId(made.public["access_point"]),
            gate=GateId(made.public["gate"]),
            clock=ClockQuality.NONE,
        )
        decision = decide(ground().policy, facts_from(json.loads(written)["facts"]), request, made.at)
        assert decision.granted is (made.kind is Kind.ACCESS_GRANTED)
        assert [reason.code for reason in decision.reasons] == made.public["reasons"]
        assert decision.reason.code == made.public["reason"]
        assert decision.policy.hex() == made.public["policy"]
        again += 1
    assert again > 30


@pytest.mark.parametrize("zone", FAR_FROM_GREENWICH)
def test_a_time_is_one_of_utc_wherever_the_service_runs(zone: str):
    with running_in(zone):
        assert timestamp(NOON) == "2026-06-03T10:00:00.000000Z"
