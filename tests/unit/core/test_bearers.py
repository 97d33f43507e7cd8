"""Whose badges count beforehand, for gates that may be alone one day, and what the status lists say of the others."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.bearers import Bearers, statuses
from gatekeeper.core.memory import NEVER_USED
from gatekeeper.core.register import BadgeRecord, HolderRecord, Register
from gatekeeper.core.snapshots import Bearer
from gatekeeper.core.trust import Trust, TrustRefused, read_trust
from gatekeeper.cose.status_list import INVALID, MOST_STATUSES, SUSPENDED, VALID
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import AccessPointId, BadgeId, HolderId, TenantId
from tests.support.founded import ground, issue, listed, register_holder, signed_trust
from tests.support.sites import BADGES, SmallSite

ARMY, SCHOOL = TenantId("army"), TenantId("school")
SERGEANT = HolderId("sergeant")
LOST, STOLEN = 0x0B, 0x0C


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def found(site: SmallSite, bearers: Bearers | None = None) -> dict[str, Bearer]:
    """Whose badges count now, by name."""
    bearers = Bearers() if bearers is None else bearers
    names = {issued.badge.id: name for name, issued in site.badges.items()}
    return {names[bearer.badge.id]: bearer for bearer in bearers.of(site.flow, now=site.now)}


def later_trust(**changes: Any) -> Trust:
    """The next trust list of the site."""
    listing = listed(version=2, **changes)
    trust = read_trust(signed_trust(listing), anchor=ground().anchor, not_below=0)
    assert not isinstance(trust, TrustRefused), trust
    return trust


def epoch_of(tenant: TenantId, epoch: int) -> Trust:
    tenants = listed().tenants
    return later_trust(tenants={**tenants, tenant: replace(tenants[tenant], epoch=epoch)})


def registered(site: SmallSite, name: str, document: bytes, *badges: BadgeId) -> None:
    """Something else is stored under the name of a holder."""
    record = HolderRecord(id=HolderId(name), document=document)
    site.flow.register.put_holder(record, tenant=site.holders[name].tenant, badges=badges)


# -- whose badges count -----------------------------------------------------------------------------------------------


def test_everybody_whose_badge_is_in_force_is_found_once_with_it(site: SmallSite):
    bearers = list(Bearers().of(site.flow, now=site.now))
    assert sorted(bearer.holder.id for bearer in bearers) == sorted(BADGES)
    assert all(bearer.badge == BADGES[bearer.holder.id].badge for bearer in bearers)
    assert all(bearer.holder == site.holders[bearer.holder.id] for bearer in bearers)


@pytest.mark.parametrize("state", [state for state in BadgeState if state is not BadgeState.ACTIVE])
def test_a_badge_that_was_stopped_does_not_count(state: BadgeState, site: SmallSite):
    site.flow.register.set_state(BADGES["sergeant"].badge.id, state)
    assert set(found(site)) == set(BADGES) - {"sergeant"}


def test_a_badge_that_is_locked_out_counts_again_when_that_is_over(site: SmallSite):
    until = site.now + timedelta(minutes=5)
    site.flow.memory.usage[BADGES["sergeant"].badge.id] = replace(NEVER_USED, locked_until=until)
    assert "sergeant" not in found(site)
    site.advance(minutes=5)
    assert "sergeant" in found(site)


def test_when_a_badge_was_last_used_goes_with_it(site: SmallSite):
    used = replace(NEVER_USED, uses=1, last_at=site.now, last_point=AccessPointId("front-in"))
    site.flow.memory.usage[BADGES["sergeant"].badge.id] = used
    bearers = found(site)
    assert (bearers["sergeant"].last_used, bearers["private"].last_used) == (site.now, None)


def test_only_a_bare_card_brings_its_token_for_it_cannot_show_one(site: SmallSite):
    bearers = found(site)
    assert bearers["van"].token == BADGES["van"].token
    assert {bearer.token for name, bearer in bearers.items() if name != "van"} == {b""}


def test_the_age_of_a_tenants_badges_is_that_of_the_trust_list(site: SmallSite):
    site.flow.trust = epoch_of(SCHOOL, 3)
    bearers = found(site)
    assert (bearers["teacher"].epoch, bearers["sergeant"].epoch) == (3, 1)


def test_two_badges_of_one_holder_both_count(site: SmallSite):
    second = issue("the sergeant's second", "army", status_index=8)
    holder = replace(
        site.holders["sergeant"], badges=(BADGES["sergeant"].badge.id, second.badge.id), version=2
    )
    site.enter("second", second)
    registered(site, "sergeant", register_holder(holder), *holder.badges)
    assert {name for name, bearer in found(site).items() if bearer.holder == holder} == {"sergeant", "second"}


# -- what is not believed ---------------------------------------------------------------------------------------------


def test_a_registration_that_its_tenant_did_not_sign_gives_nobody_a_badge(site: SmallSite):
    holder = site.holders["sergeant"]
    registered(site, "sergeant", register_holder(holder, by="a stranger"), *holder.badges)
    assert "sergeant" not in found(site)


def test_a_registration_under_anothers_name_gives_nobody_a_badge(site: SmallSite):
    sergeant = site.holders["sergeant"]
    registered(site, "private", register_holder(sergeant), *sergeant.badges)
    assert set(found(site)) == set(BADGES) - {"sergeant", "private"}


def test_a_badge_that_another_holds_by_now_is_not_found_with_whose_it_was(site: SmallSite):
    badge = BADGES["sergeant"].badge.id
    private = replace(site.holders["private"], badges=(badge,), version=2)
    registered(site, "private", register_holder(private), badge)
    assert found(site)["sergeant"].holder == private


@pytest.mark.parametrize("token", [b"none", BADGES["private"].token])
def test_a_badge_whose_token_is_none_or_anothers_does_not_count(token: bytes, site: SmallSite):
    badge = BADGES["sergeant"].badge.id
    record = BadgeRecord(id=badge, token=token, state=BadgeState.ACTIVE)
    site.flow.register.put_badge(record, tenant=ARMY, card=None)
    assert [bearer.holder.id for bearer in Bearers().of(site.flow, now=site.now)].count(SERGEANT) == 0


def test_a_registration_that_names_a_badge_which_is_not_there_names_none(site: SmallSite):
    gone = BadgeId("ff" * 16)
    holder = replace(site.holders["sergeant"], badges=(gone,), version=2)
    registered(site, "sergeant", register_holder(holder), gone)
    assert "sergeant" not in found(site)


# -- what it remembers ------------------------------------------------------------------------------------------------


def test_what_was_believed_is_read_anew_when_it_says_something_else(site: SmallSite):
    bearers = Bearers()
    assert found(site, bearers)["sergeant"].holder.clearance == 5
    lower = replace(site.holders["sergeant"], clearance=1, version=2)
    registered(site, "sergeant", register_holder(lower), *lower.badges)
    assert found(site, bearers)["sergeant"].holder == lower


def test_what_was_believed_is_believed_no_more_when_the_trust_list_took_its_key_back(site: SmallSite):
    bearers = Bearers()
    assert "sergeant" in found(site, bearers)
    tenants = listed().tenants
    site.flow.trust = later_trust(tenants={**tenants, ARMY: replace(tenants[ARMY], issuers=())})
    assert set(found(site, bearers)) == {"teacher", "pupil", "member", "van"}


def test_who_was_forgotten_is_not_remembered_here_either(site: SmallSite):
    bearers = Bearers()
    found(site, bearers)
    assert SERGEANT in bearers._read
    site.flow.erase(SERGEANT)
    assert "sergeant" not in found(site, bearers)
    assert SERGEANT not in bearers._read


# -- statuses ---------------------------------------------------------------------------------------------------------


def with_indices(site: SmallSite) -> dict[BadgeState, int]:
    """A badge of the army in each state, each with an index of its own."""
    indices = {state: 100 + number for number, state in enumerate(BadgeState)}
    for state, index in indices.items():
        issued = issue(f"a badge that is {state}", "army", status_index=index)
        site.enter(state, issued)
        site.flow.register.set_state(issued.badge.id, state)
    return indices


def test_each_state_of_a_badge_has_a_status_of_its_own(site: SmallSite):
    indices = with_indices(site)
    listed_now = statuses(site.flow)[ARMY]
    assert {state: listed_now[index] for state, index in indices.items()} == {
        BadgeState.ACTIVE: VALID,
        BadgeState.REVOKED: INVALID,
        BadgeState.SUSPENDED: SUSPENDED,
        BadgeState.LOST: LOST,
        BadgeState.STOLEN: STOLEN,
    }


def test_a_badge_is_listed_by_its_tenant_and_nobody_else(site: SmallSite):
    site.enter("of the school", issue("of the school", "school", status_index=55))
    lists = statuses(site.flow)
    assert lists[SCHOOL][55] == VALID
    assert 55 not in lists[ARMY]


def test_every_tenant_has_a_list_also_one_without_badges():
    site = SmallSite(register=Register())
    assert statuses(site.flow) == {tenant: {} for tenant in site.flow.policy.tenants}


_LAST = MOST_STATUSES - 1


@pytest.mark.parametrize(("index", "more"), [(None, {}), (_LAST, {_LAST: VALID}), (MOST_STATUSES, {})])
def test_a_badge_without_an_index_that_a_list_can_hold_is_not_listed(
    index: int | None, more: dict[int, int], site: SmallSite
):
    before = dict(statuses(site.flow)[ARMY])
    site.enter("new", issue("new", "army", status_index=index))
    assert statuses(site.flow)[ARMY] == before | more


def test_a_token_that_nobody_signed_is_not_listed(site: SmallSite):
    before = statuses(site.flow)
    site.enter("forged", issue("forged", "army", by="a stranger", status_index=99))
    assert statuses(site.flow) == before
