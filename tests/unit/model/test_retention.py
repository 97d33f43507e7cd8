"""How long what is kept: as the site file says, as usual where it does not, and never longer than the host allows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.policy_document import compile_from, sign_policy
from gatekeeper.core.widening import policy_gains
from gatekeeper.model.ids import TenantId
from gatekeeper.model.policy import Policy
from gatekeeper.model.retention import TENANTS_OWN, USUAL, Kept, Retention
from gatekeeper.model.site_file import SiteFileError, read_site, read_site_file
from gatekeeper.model.site_file.retention import KEYS
from tests.support.sites import SITE, ground, key_of, site_document

SCHOOL, CLUB = TenantId("school"), TenantId("club")
Spoil = Callable[[dict[str, Any]], object]


def _site(host: dict[str, Any] | None = None, school: dict[str, Any] | None = None) -> dict[str, Any]:
    document = site_document()
    if host is not None:
        document["retention"] = host
    if school is not None:
        document["tenant"][1]["retention"] = school
    return document


def _compiled(document: dict[str, Any]) -> Policy:
    signed = sign_policy(document, site=SITE, key=key_of("army signing"))
    policy = compile_from(signed, trust=ground().trust)
    assert isinstance(policy, Policy)
    return policy


def _days(retention: Retention, kind: Kept, tenant: TenantId | None) -> int:
    return retention.period(kind, tenant).days


def test_a_policy_that_names_no_period_is_read_with_the_usual_ones():
    retention = _compiled(site_document()).retention
    assert retention == Retention()
    assert {kind: retention.period(kind, SCHOOL) for kind in Kept} == dict(USUAL)


def test_a_tenant_keeps_its_own_for_a_shorter_while_and_the_others_as_the_host_says():
    kept = _compiled(_site({"personal_days": 100, "visitor_days": 60}, {"personal_days": 30})).retention
    assert [_days(kept, Kept.PERSONAL, tenant) for tenant in (SCHOOL, CLUB, None)] == [30, 100, 100]
    assert [_days(kept, Kept.VISITORS, tenant) for tenant in (SCHOOL, CLUB, None)] == [60, 60, 60]


def test_no_tenant_keeps_for_longer_than_the_host_also_where_a_policy_says_so():
    """A person's file is refused for it; what was signed by other means is compiled, and means the host's period."""
    document = _site({"personal_days": 100}, {"personal_days": 101})
    assert _days(_compiled(document).retention, Kept.PERSONAL, SCHOOL) == 100
    with pytest.raises(SiteFileError) as refused:
        read_site_file(document)
    assert refused.value.problems == [
        "tenant school, retention, personal_days: 101 are more than the host's 100"
    ]


def test_a_file_whose_entries_go_before_their_personal_parts_is_refused():
    with pytest.raises(SiteFileError, match="entries go before the personal parts that they commit to"):
        read_site_file(_site({"entries_days": 365, "personal_days": 366}))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (_site({"entries_days": 364}), "entries_days: 364 is no whole number from 365 to 36600"),
        (_site({"receipt_days": 6}), "receipt_days: 6 is no whole number from 7 to 366"),
        (_site({"personal_days": 0}), "personal_days: 0 is no whole number from 1 to 3660"),
        (_site({"personal_weeks": 1}), "personal_weeks: unknown key"),
        (_site(school={"entries_days": 400}), "entries_days: unknown key"),
        (_site(school={"refused_days": 10}), "refused_days: unknown key"),
    ],
)
def test_a_period_out_of_bounds_and_a_key_that_is_not_theirs_are_told(document: dict[str, Any], said: str):
    with pytest.raises(SiteFileError) as refused:
        read_site(document)
    assert any(said in problem for problem in refused.value.problems), refused.value.problems


def test_the_host_writes_its_periods_under_retention_and_not_as_a_tenant():
    document = site_document()
    document["tenant"][0]["retention"] = {"personal_days": 30}
    with pytest.raises(SiteFileError, match="the host's periods are the site's"):
        read_site(document)


def test_every_kind_has_a_usual_period_and_a_key_that_takes_it():
    assert set(USUAL) == set(KEYS) == set(Kept)
    for kind, (_, least, most) in KEYS.items():
        assert least <= USUAL[kind].days <= most
    assert USUAL[Kept.ENTRIES] >= USUAL[Kept.PERSONAL]


@pytest.mark.parametrize("days", [179, 181])
@pytest.mark.parametrize("kind", Kept)
def test_another_period_takes_two_people_whether_it_is_longer_or_shorter(kind: Kept, days: int):
    before = _compiled(_site({KEYS[kind][0]: 365 if kind is Kept.ENTRIES else 180}))
    after = _compiled(_site({KEYS[kind][0]: days + 200 if kind is Kept.ENTRIES else days}))
    found = policy_gains(before, after)
    assert any(kind.value in gain for gain in found), found
    assert policy_gains(after, after) == ()


@pytest.mark.parametrize("kind", TENANTS_OWN)
def test_another_period_of_a_tenant_takes_two_people_too(kind: Kept):
    shorter, usual = _compiled(_site(school={KEYS[kind][0]: 30})), _compiled(site_document())
    assert policy_gains(usual, shorter) == (f"school: {kind.value} kept for 30 days, not 180",)
    assert policy_gains(shorter, usual) == (f"school: {kind.value} kept for 180 days, not 30",)
    assert usual.retention.period(kind, SCHOOL) == timedelta(days=180)
