"""Operators: believed as their tenants signed them, and who of them may say what.

`ROLES` writes the whole table down a second time, as a security officer would say it; SECURITY.md says it a third time.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.change import ChangeContent
from gatekeeper.core.enact import DEEDS
from gatekeeper.core.operators import (
    HOST_ROLES,
    OPERATOR_TYPE,
    OPERATOR_USE,
    WORDS,
    Deed,
    Operator,
    OperatorRecord,
    Operators,
    Role,
    may,
    may_second,
    operator_payload,
    read_operator,
)
from gatekeeper.core.trust import KeyState, Trust, Use, read_trust
from gatekeeper.model.fields import UINT
from gatekeeper.model.ids import OperatorId, TenantId
from tests.support.operators import FROM, UNTIL, account, cast, operator_key, recorded_account, signed_account
from tests.support.sites import HOST, NOON, SITE, ground, key_of, listed, signed_trust, trusted

SCHOOL, CLUB = TenantId("school"), TenantId("club")
SECURITY = Path(__file__).parents[3] / "SECURITY.md"
GUARD, OFFICER, ADMIN = Role.GUARD, Role.SECURITY_OFFICER, Role.SITE_ADMIN
REGISTRAR, TENANT_ADMIN, AUDITOR = Role.REGISTRAR, Role.TENANT_ADMIN, Role.AUDITOR


def trust() -> Trust:
    return ground().trust


def record(operator: Operator, *, by: str | None = None) -> OperatorRecord:
    return recorded_account(operator, site=SITE, key=key_of(by or f"{operator.tenant} signing"))


def believed(*operators: Operator) -> Mapping[OperatorId, Operator]:
    return Operators(record(one) for one in operators).believed(trust=trust())


# -- who may say what -------------------------------------------------------------------------------------------------

ROLES: dict[Deed, tuple[set[Role], set[Role], set[Role]]] = {
    # what                       of the host, about all     about the own tenant        and a second person
    Deed.ANSWER_FOR_A_FACE: ({GUARD, OFFICER}, set(), set()),
    Deed.FORGIVE: ({GUARD, OFFICER}, set(), set()),
    Deed.RAISE_ALERT: ({GUARD, OFFICER}, set(), set()),
    Deed.LOWER_ALERT: ({OFFICER}, set(), set()),
    Deed.LOCK_DOWN: ({GUARD, OFFICER}, set(), set()),
    Deed.RELEASE: ({OFFICER}, set(), {OFFICER, ADMIN}),
    Deed.SUSPEND_TENANT: ({OFFICER}, set(), set()),
    Deed.REINSTATE_TENANT: ({OFFICER}, set(), set()),
    Deed.STOP_BADGE: ({OFFICER}, {REGISTRAR, TENANT_ADMIN}, set()),
    Deed.REINSTATE_BADGE: (set(), {REGISTRAR, TENANT_ADMIN}, set()),
    Deed.LET_BADGE_GO: ({OFFICER}, set(), set()),
    Deed.REGISTER_HOLDER: (set(), {REGISTRAR, TENANT_ADMIN}, set()),
    Deed.CHANGE_POLICY: ({ADMIN}, set(), set()),
    Deed.WIDEN_POLICY: ({ADMIN}, set(), {OFFICER, ADMIN}),
    Deed.CHANGE_TRUST: ({ADMIN}, set(), set()),
    Deed.WIDEN_TRUST: ({ADMIN}, set(), {OFFICER, ADMIN}),
    Deed.WITHDRAW_OPERATOR: ({OFFICER, ADMIN}, {TENANT_ADMIN}, set()),
    Deed.GRANT_OPERATOR: ({ADMIN}, set(), {OFFICER, ADMIN}),
    Deed.EXPORT_PEOPLE: (set(), {REGISTRAR, TENANT_ADMIN}, {OFFICER, ADMIN}),
    Deed.EXPORT_LOG: ({AUDITOR}, {AUDITOR}, set()),
    Deed.EXPORT_MOVEMENTS: ({AUDITOR}, {AUDITOR}, {OFFICER, ADMIN}),
    Deed.LOOK_UP: ({AUDITOR, OFFICER}, {TENANT_ADMIN}, set()),
    Deed.ERASE: ({ADMIN}, {TENANT_ADMIN}, {OFFICER, ADMIN}),
    Deed.PLACE_HOLD: ({OFFICER}, set(), set()),
    Deed.LIFT_HOLD: ({OFFICER}, set(), {OFFICER, ADMIN}),
    Deed.OPEN_DOOR: ({GUARD, OFFICER}, set(), set()),
    Deed.OPEN_HIGH_DOOR: ({GUARD, OFFICER}, set(), {OFFICER, ADMIN}),
    Deed.REBOOT_GATE: ({OFFICER, Role.MAINTENANCE}, set(), set()),
}


def test_every_deed_is_in_the_table():
    assert ROLES.keys() == WORDS.keys() == set(Deed)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("deed", Deed)
def test_a_role_may_say_what_the_table_says_and_nothing_else(deed: Deed, role: Role):
    of_host, own, second = ROLES[deed]
    for tenant in (HOST, SCHOOL):
        one = account("somebody", tenant, [role])
        for about in (None, HOST, SCHOOL, CLUB):
            expected = (tenant == HOST and role in of_host) or (about == tenant and role in own)
            assert may(one, deed, about=about, host=HOST) is expected, (tenant, about)
        assert may_second(one, deed, host=HOST) is (tenant == HOST and role in second)


@pytest.mark.parametrize(
    ("role", "deeds"),
    [
        (AUDITOR, {Deed.EXPORT_LOG, Deed.EXPORT_MOVEMENTS, Deed.LOOK_UP}),
        (Role.MAINTENANCE, {Deed.REBOOT_GATE}),
    ],
)
def test_who_only_looks_changes_nothing(role: Role, deeds: set[Deed]):
    one = account("somebody", HOST, [role])
    assert {deed for deed in Deed if may(one, deed, about=HOST, host=HOST)} == deeds
    assert not any(may_second(one, deed, host=HOST) for deed in Deed)


def test_whoever_gives_more_or_takes_for_good_needs_a_second_person_and_who_takes_what_can_be_given_again_does_not():
    assert {deed for deed in Deed if WORDS[deed].second} == {
        Deed.RELEASE,
        Deed.WIDEN_POLICY,
        Deed.WIDEN_TRUST,
        Deed.GRANT_OPERATOR,
        Deed.EXPORT_PEOPLE,
        Deed.EXPORT_MOVEMENTS,
        Deed.ERASE,
        Deed.LIFT_HOLD,
        Deed.OPEN_HIGH_DOOR,
    }


def test_every_kind_of_change_amounts_to_something_and_every_deed_to_a_change():
    assert DEEDS.keys() == set(ChangeContent.__args__)
    deeds = [deed for of_kind in DEEDS.values() for deed in of_kind]
    assert sorted(deeds) == sorted([*Deed, Deed.LOOK_UP]), (
        "none twice, but a log of one holder is a look-up too"
    )


def _documented() -> dict[str, list[str]]:
    table = SECURITY.read_text("utf-8").split("## Who may say what")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+) \|$", table, re.MULTILINE)[1:]
    return {row[0]: row[1:] for row in (line.split(" | ") for line in rows)}


def test_the_documents_say_of_every_deed_what_the_table_says():
    def told(roles: frozenset[Role]) -> str:
        return ", ".join(role.value for role in Role if role in roles) or "-"

    assert _documented() == {
        deed.value: [told(word.host), told(word.own), told(word.second)] for deed, word in WORDS.items()
    }


def test_the_documents_name_every_role():
    text = SECURITY.read_text("utf-8")
    assert all(f"`{role}`" in text for role in Role)


# -- accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [7, UINT])
def test_an_account_is_read_as_it_was_signed(version: int):
    one = account("jansma", SCHOOL, [TENANT_ADMIN, REGISTRAR], version=version, revoked=True)
    assert read_operator(record(one).document, trust=trust()) == one


@pytest.mark.parametrize("by", ["school issuer", "club signing", "army signing", "nobody"])
def test_an_account_counts_when_its_own_tenant_signed_it(by: str):
    one = account("jansma", SCHOOL, [REGISTRAR])
    assert Operators([record(one, by=by)]).believed(trust=trust()) == {}
    assert Operators([record(one)]).believed(trust=trust()) == {one.id: one}


def test_no_tenant_makes_a_guard_of_the_site():
    for role in HOST_ROLES:
        assert believed(account("jansma", SCHOOL, [role])) == {}
        assert believed(account("jansma", SCHOOL, [REGISTRAR, role])) == {}
        assert believed(account("jansma", HOST, [role]))


GOOD: dict[int, Any] = {
    0: 1,
    1: SITE,
    2: "jansma",
    3: ["auditor", "registrar"],
    4: [-9, operator_key("jansma").public_der],
    5: int(FROM.timestamp()),
    6: int(UNTIL.timestamp()),
    7: 1,
    8: False,
}


def _signed(content: Any, *, typ: str = OPERATOR_TYPE, aad: str = SITE) -> bytes:
    payload = content if isinstance(content, bytes) else cose.encode(content)
    return cose.sign(payload, key=key_of("school signing"), typ=typ, external_aad=aad.encode())


def test_the_document_of_the_contract_is_read():
    one = account("jansma", SCHOOL, [Role.AUDITOR, REGISTRAR])
    assert operator_payload(one, site=SITE) == cose.encode(GOOD)
    assert read_operator(_signed(GOOD), trust=trust()) == one


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        [],
        {},
        *({key: value for key, value in GOOD.items() if key != left} for left in GOOD),
        *(
            {**GOOD, **spoilt}
            for spoilt in (
                {0: 2},
                {0: True},
                {1: "castle"},
                {2: "No Name"},
                {2: b"jansma"},
                {3: []},
                {3: ["king"]},
                {3: ["registrar", "auditor"]},
                {3: ["auditor", "auditor"]},
                {3: "auditor"},
                {3: [b"auditor"]},
                {4: [-9]},
                {4: [-9, b""]},
                {4: [-19, operator_key("jansma").public_der]},
                {4: [True, operator_key("jansma").public_der]},
                {4: [0, operator_key("jansma").public_der]},
                {5: int(UNTIL.timestamp())},
                {5: 1 << 60},
                {6: "never"},
                {7: -1},
                {7: True},
                {8: 0},
                {8: None},
                {9: "more"},
            )
        ),
    ],
    ids=repr,
)
def test_signed_bytes_that_are_no_account_are_refused(content: Any):
    assert read_operator(_signed(content), trust=trust()) is None


def test_an_account_of_another_site_or_another_kind_of_document_is_none():
    assert read_operator(_signed(GOOD, aad="castle"), trust=trust()) is None
    assert read_operator(_signed(GOOD, typ="application/pacs-agreement+cose"), trust=trust()) is None


def test_a_row_that_says_another_name_or_tenant_than_its_document_gives_nobody_a_right():
    one = account("jansma", SCHOOL, [REGISTRAR])
    for wrong in ({"id": OperatorId("officer")}, {"tenant": HOST}):
        assert Operators([replace(record(one), **wrong)]).believed(trust=trust()) == {}


def test_a_key_that_two_claim_is_nobodys():
    one, other = account("jansma", SCHOOL, [REGISTRAR]), account("idrissi", CLUB, [REGISTRAR], key="jansma")
    third = account("ottens", SCHOOL, [REGISTRAR])
    assert believed(one, other, third).keys() == {third.id}


@pytest.mark.parametrize("used", ["army signing", "school issuer", "front", "decision", "root 1"])
def test_a_key_that_has_another_use_on_the_site_signs_no_change(used: str):
    one = account("jansma", SCHOOL, [REGISTRAR])
    taken = replace(one, key=key_of(used).record(use=OPERATOR_USE, owner="jansma"))
    assert believed(taken) == {}
    assert Operators().key_taken(taken, trust=trust())


def test_a_key_is_free_for_its_own_owner():
    one = account("jansma", SCHOOL, [REGISTRAR])
    operators = Operators([record(one)])
    assert not operators.key_taken(replace(one, version=2), trust=trust())
    assert operators.key_taken(account("idrissi", CLUB, [REGISTRAR], key="jansma"), trust=trust())


def test_time_is_half_open_and_a_revoked_account_has_none():
    one = account("jansma", SCHOOL, [REGISTRAR])
    second = timedelta(seconds=1)
    assert [one.in_force(at) for at in (FROM - second, FROM, UNTIL - second, UNTIL)] == [
        False,
        True,
        True,
        False,
    ]
    assert not replace(one, revoked=True).in_force(FROM)


LESS: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"roles": frozenset({REGISTRAR})}, True),
    ({"since": FROM + timedelta(days=1)}, True),
    ({"until": UNTIL - timedelta(days=1)}, True),
    ({"revoked": True}, True),
    ({"revoked": True, "roles": frozenset(Role)}, True),
    ({"roles": frozenset({REGISTRAR, Role.AUDITOR, TENANT_ADMIN})}, False),
    ({"since": FROM - timedelta(days=1)}, False),
    ({"until": UNTIL + timedelta(days=1)}, False),
    ({"key": operator_key("another").record(use=OPERATOR_USE, owner="jansma")}, False),
]


@pytest.mark.parametrize(("changes", "less"), LESS)
def test_what_only_takes_is_known_from_what_gives(changes: dict[str, Any], *, less: bool):
    former = account("jansma", SCHOOL, [REGISTRAR, Role.AUDITOR])
    assert replace(former, version=2, **changes).within(former) is less


def test_who_was_revoked_gets_everything_anew():
    former = account("jansma", SCHOOL, [REGISTRAR], revoked=True)
    assert not replace(former, revoked=False).within(former)


def test_what_was_believed_under_one_trust_list_is_asked_again_under_the_next():
    one = account("jansma", SCHOOL, [REGISTRAR])
    operators = Operators([record(one)])
    assert operators.believed(trust=trust())
    assert one.key.kid in operators.ring(trust=trust())
    school = replace(
        listed().tenants[SCHOOL],
        signing=trusted("school signing", use=Use.TENANT, owner=SCHOOL, state=KeyState.REVOKED),
        agreement=None,
    )
    later = read_trust(
        signed_trust(listed(version=2, tenants={**listed().tenants, SCHOOL: school})),
        anchor=ground().anchor,
        not_below=0,
    )
    assert isinstance(later, Trust)
    assert operators.believed(trust=later) == {}
    assert operators.ring(trust=later) == {}
    assert operators.tenant_of(one.id) == SCHOOL, "the name stays taken"


# -- two who can make others ------------------------------------------------------------------------------------------

CREWS: list[tuple[dict[str, list[Role]], bool]] = [
    ({}, False),
    ({"a": [ADMIN]}, False),
    ({"a": [ADMIN, OFFICER]}, False),
    ({"a": [ADMIN], "b": [OFFICER]}, True),
    ({"a": [ADMIN], "b": [ADMIN]}, True),
    ({"a": [OFFICER], "b": [OFFICER]}, False),
    ({"a": [ADMIN], "b": [GUARD]}, False),
]


@pytest.mark.parametrize(("crew", "able"), CREWS)
def test_it_takes_an_administrator_and_another_to_make_an_operator(
    crew: dict[str, list[Role]], *, able: bool
):
    operators = Operators(record(account(name, HOST, roles)) for name, roles in crew.items())
    assert operators.can_grant(trust=trust(), now=NOON) is able
    assert not operators.can_grant(trust=trust(), now=UNTIL)


def test_who_would_be_the_last_is_known_beforehand():
    operators = Operators(
        record(account(name, HOST, [role])) for name, role in (("a", ADMIN), ("b", OFFICER))
    )
    gone = account("b", HOST, [OFFICER], version=2, revoked=True)
    another = account("c", HOST, [OFFICER])
    assert not operators.can_grant(trust=trust(), now=NOON, after=gone)
    assert operators.can_grant(trust=trust(), now=NOON, after=another)
    operators.put(record(another))
    assert operators.can_grant(trust=trust(), now=NOON, after=gone)


def test_the_cast_of_the_tests_is_believed():
    found = Operators(cast(SITE, lambda tenant: key_of(f"{tenant} signing"))).believed(trust=trust())
    assert found.keys() == {"army", "colonel", "guard", "officer", "admin", "school", "club"}
    assert signed_account(found[OperatorId("guard")], site=SITE, key=key_of("army signing"))
