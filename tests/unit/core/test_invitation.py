"""An invitation counts when an operator signed it who may admit gates now; spelled otherwise, or by anybody else, it does not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.change import CHANGE_TYPE, ChangeRefusal
from gatekeeper.core.invitation import (
    INVITATION_TYPE,
    Invitation,
    read_invitation,
    sign_invitation,
    why_not_inviting,
)
from gatekeeper.core.operators import HOST_ROLES, Role
from gatekeeper.cose import cbor
from gatekeeper.model.ids import GateId, OperatorId
from tests.support.operators import UNTIL, account, operator_key, recorded_account
from tests.support.sites import NOON, SITE, SmallSite, key_of

MADE = Invitation(
    site=SITE,
    gate=GateId("front"),
    digest=bytes(range(32)),
    until=NOON + timedelta(minutes=10),
    by=OperatorId("admin"),
)
GOOD: dict[int, Any] = {
    0: 1,
    1: SITE,
    2: "front",
    3: bytes(range(32)),
    4: int(MADE.until.timestamp()),
    5: "admin",
}


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def believed(site: SmallSite, document: bytes) -> Invitation | None:
    return read_invitation(document, trust=site.flow.trust, operators=site.flow.operators, now=site.now)


def signed(content: object, *, by: str = "admin", typ: str = INVITATION_TYPE, aad: str = SITE) -> bytes:
    return cose.sign(cbor.encode(content), key=operator_key(by), typ=typ, external_aad=aad.encode())


def test_what_was_signed_is_read(site: SmallSite):
    assert believed(site, sign_invitation(MADE, key=operator_key("admin"))) == MADE
    assert believed(site, signed(GOOD)) == MADE


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        "front",
        GOOD | {0: 2},
        GOOD | {0: True},
        GOOD | {1: "castle"},
        GOOD | {1: 7},
        GOOD | {2: "Front"},
        GOOD | {2: b"front"},
        GOOD | {3: bytes(31)},
        GOOD | {3: bytes(33)},
        GOOD | {3: "digest"},
        GOOD | {4: 1 << 60},
        GOOD | {4: "soon"},
        GOOD | {5: "officer"},
        GOOD | {5: "nobody"},
        GOOD | {6: 1},
        {key: value for key, value in GOOD.items() if key != 5},
    ],
)
def test_another_spelling_is_none(site: SmallSite, content: object):
    assert believed(site, signed(content)) is None


def test_for_another_use_or_site_or_by_a_key_of_nobody_it_is_none(site: SmallSite):
    assert believed(site, signed(GOOD, aad="castle")) is None
    assert believed(site, signed(GOOD, typ=CHANGE_TYPE)) is None
    assert believed(site, signed(GOOD, by="nobody")) is None
    assert believed(site, b"") is None


@pytest.mark.parametrize("role", Role)
def test_who_may_admit_gates_may_invite_them_and_nobody_else(role: Role):
    tenant = "army" if role in HOST_ROLES else "school"
    refused = why_not_inviting(account("one", tenant, [role]), host=SmallSite().flow.trust.host, now=NOON)
    assert refused == (None if role is Role.SITE_ADMIN else ChangeRefusal.ROLE)


def test_what_counts_is_who_may_when_the_code_is_used(site: SmallSite):
    document = sign_invitation(replace(MADE, until=UNTIL), key=operator_key("admin"))
    site.now = UNTIL - timedelta(seconds=1)
    assert believed(site, document) is not None
    site.now = UNTIL
    assert believed(site, document) is None
    site.now = NOON
    demoted = account("admin", "army", (Role.GUARD,), version=2)
    site.flow.operators.put(recorded_account(demoted, site=SITE, key=key_of("army")))
    assert believed(site, document) is None
