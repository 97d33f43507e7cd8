"""The compiled policy: containment unfolded, rights from what was signed, a version that names its sources."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.model.ids import AccessPointId, GateId, ProfileId, TenantId, ZoneId
from gatekeeper.model.people import Agreement
from gatekeeper.model.policy import Policy, compile_policy, gate_scope, zone_scope
from gatekeeper.model.rules import AntiPassback, Passback
from gatekeeper.model.site_file import read_site
from tests.support.sites import ground, site_document

SCHOOL, CLUB, ARMY = TenantId("school"), TenantId("club"), TenantId("army")


def compiled(
    document: Mapping[str, Any] | None = None,
    *,
    agreements: Mapping[TenantId, Agreement] | None = None,
    sources: tuple[bytes, ...] = (b"policy", b"trust"),
) -> Policy:
    written = read_site(document or site_document())
    return compile_policy(
        written, agreements=ground().trust.agreements if agreements is None else agreements, sources=sources
    )


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compiled()


def point(policy: Policy, name: str) -> Any:
    return policy.points[AccessPointId(name)]


# -- zones and points -------------------------------------------------------------------------------------------------


def test_a_zone_holds_itself_and_all_that_is_inside_at_any_depth(policy: Policy):
    assert policy.inside == {
        "outside": {"outside"},
        "yard": {"yard", "shed", "school-house", "barrack", "armoury"},
        "shed": {"shed"},
        "school-house": {"school-house"},
        "barrack": {"barrack", "armoury"},
        "armoury": {"armoury"},
    }


def test_a_point_has_everything_that_rules_ask_of_its_zone(policy: Policy):
    into, out = point(policy, "barrack-in"), point(policy, "barrack-out")
    for door in (into, out):
        assert (door.protected, door.owner, door.level, door.assurance) == ("barrack", "army", 2, 2)
        assert (door.gate, door.unlock) == ("inner", timedelta(seconds=4))
        assert door.passback == Passback(mode=AntiPassback.HARD)
        assert (door.certificates, door.pin_always, door.pin_schedules, door.shadow) == (
            set(),
            False,
            0,
            set(),
        )
    assert (into.source, into.target, into.leaving) == ("yard", "barrack", False)
    assert (out.source, out.target, out.leaving) == ("barrack", "yard", True)


def test_a_lockdown_reaches_a_point_by_its_site_its_gate_and_every_zone_around_what_it_protects(
    policy: Policy,
):
    assert point(policy, "armoury-in").scopes == {
        "site",
        "gate:inner",
        "zone:armoury",
        "zone:barrack",
        "zone:yard",
    }
    assert point(policy, "front-out").scopes == {"site", "gate:front", "zone:yard"}
    assert (zone_scope("yard"), gate_scope("front")) == ("zone:yard", "gate:front")


@pytest.mark.parametrize(
    ("door", "been"),
    [
        # Going in: who is there already, at any depth.
        ("front-in", {"yard", "shed", "school-house", "barrack", "armoury"}),
        ("barrack-in", {"barrack", "armoury"}),
        ("armoury-in", {"armoury"}),
        # From a sibling: who is in the target; the sibling is no part of it.
        ("corridor", {"barrack", "armoury"}),
        # Going out: who is in the zone around, and not in what is left.
        ("armoury-out", {"barrack"}),
        ("barrack-out", {"yard", "shed", "school-house"}),
        ("front-out", {"outside"}),
    ],
)
def test_whoever_is_in_these_zones_has_passed_this_point_already(door: str, been: set[str], policy: Policy):
    assert point(policy, door).passback_zones == been


# -- tenants ----------------------------------------------------------------------------------------------------------


def test_an_agreement_reaches_into_everything_inside_its_zones_and_no_further(policy: Policy):
    assert policy.tenants[CLUB].zones == {"shed", "barrack", "armoury"}
    assert policy.tenants[SCHOOL].zones == policy.inside[ZoneId("yard")]
    assert policy.tenants[ARMY].zones == set(policy.zones)
    assert [tenant for tenant, rights in policy.tenants.items() if rights.is_host] == ["army"]


def test_a_veto_reaches_into_everything_inside_its_zone(policy: Policy):
    assert policy.tenants[SCHOOL].vetoed == {"armoury"}
    document = site_document()
    document["veto"][0]["zone"] = "barrack"
    document["veto"].append({"tenant": "club", "zone": "shed", "why": {"en": "Tools", "nl": "Gereedschap"}})
    tenants = compiled(document).tenants
    assert (tenants[SCHOOL].vetoed, tenants[CLUB].vetoed) == ({"barrack", "armoury"}, {"shed"})


def test_an_agreement_in_the_file_is_a_proposal_and_gives_nothing():
    rights = compiled(agreements={}).tenants[SCHOOL]
    assert (rights.agreement, rights.zones) == (None, frozenset())
    greedy = site_document()
    greedy["tenant"][1]["agreement"]["ceiling"] = 5
    greedy["tenant"][1]["agreement"]["zones"] = ["yard", "outside"]
    assert compiled(greedy).tenants == compiled().tenants


def test_a_zone_that_the_site_no_longer_has_gives_nothing_and_stops_nothing():
    old = replace(ground().trust.agreements[SCHOOL], zones=frozenset({ZoneId("stables"), ZoneId("shed")}))
    assert compiled(agreements={SCHOOL: old}).tenants[SCHOOL].zones == {"shed"}


def test_an_agreement_for_a_tenant_that_the_policy_does_not_have_gives_nobody_anything():
    guest = replace(ground().trust.agreements[SCHOOL], tenant=TenantId("guest"))
    assert TenantId("guest") not in compiled(agreements={TenantId("guest"): guest}).tenants


# -- profiles ---------------------------------------------------------------------------------------------------------


def openings(policy: Policy, tenant: TenantId, profile: str) -> dict[str, list[tuple[int, int]]]:
    found = policy.profiles[tenant, ProfileId(profile)]
    return {door: [(one.schedule, one.highest_alert) for one in found[door]] for door in found}


ALWAYS, LESSONS = 1, 2


def test_a_grant_of_a_zone_opens_every_point_that_protects_it_or_lies_inside_and_one_of_a_point_only_that(
    policy: Policy,
):
    assert openings(policy, SCHOOL, "pupil") == {
        "front-in": [(LESSONS, 1)],
        "front-out": [(LESSONS, 1)],
        "school-in": [(LESSONS, 0)],
        "school-out": [(LESSONS, 0)],
        "shed-in": [(ALWAYS, 0)],
        "shed-out": [(ALWAYS, 0)],
    }
    assert openings(policy, ARMY, "soldier") == {door: [(ALWAYS, 2)] for door in policy.points}


def test_several_grants_for_one_point_all_stand_and_none_is_mixed_with_another():
    document = site_document()
    document["profile"][1]["grants"] += [
        {"zone": "yard", "schedule": "always", "highest_alert": "calm"},
        {"access_point": "front-in", "schedule": "lessons", "highest_alert": "grave"},
    ]
    found = openings(compiled(document), SCHOOL, "pupil")
    assert found["front-in"] == [(LESSONS, 1), (ALWAYS, 0), (LESSONS, 2)]
    assert found["armoury-in"] == [(ALWAYS, 0)]


def test_profiles_of_two_tenants_may_share_a_name():
    document = site_document()
    document["profile"].append(
        {
            "id": "pupil",
            "tenant": "club",
            "name": {"en": "Pupil", "nl": "Leerling"},
            "grants": [{"zone": "shed", "schedule": "always", "highest_alert": "grave"}],
        }
    )
    policy = compiled(document)
    assert set(openings(policy, CLUB, "pupil")) == {"shed-in", "shed-out"}
    assert openings(policy, SCHOOL, "pupil") == openings(compiled(), SCHOOL, "pupil")


# -- the whole --------------------------------------------------------------------------------------------------------


def test_the_same_sources_compile_to_the_same_policy():
    assert compiled() == compiled()
    assert compiled().version == compiled().version
    assert len(compiled().version) == 32


@pytest.mark.parametrize(
    "sources",
    [
        (b"policy",),
        (b"trust", b"policy"),
        (b"policy", b"trust", b""),
        (b"policytrust",),
        (b"policyt", b"rust"),
        (b"policy", b"trust."),
    ],
)
def test_other_sources_have_another_version(sources: tuple[bytes, ...]):
    assert compiled(sources=sources).version != compiled().version


def test_a_policy_is_altered_by_nobody(policy: Policy):
    with pytest.raises(FrozenInstanceError):
        policy.host = SCHOOL  # type: ignore[misc]
    for mapping in (
        policy.points,
        policy.zones,
        policy.inside,
        policy.gates,
        policy.tenants,
        policy.profiles,
    ):
        with pytest.raises(TypeError):
            mapping[next(iter(mapping))] = None  # type: ignore[index]
    with pytest.raises(TypeError):
        policy.profiles[SCHOOL, ProfileId("pupil")][AccessPointId("armoury-in")] = ()  # type: ignore[index]


def test_compiling_alters_nothing_of_what_was_written():
    document = site_document()
    before = deepcopy(document)
    compiled(document)
    assert document == before


def test_a_gate_without_a_door_is_a_gate_all_the_same():
    document = site_document()
    document["gate"].append({"id": "spare", "name": {"en": "Spare", "nl": "Reserve"}})
    assert GateId("spare") in compiled(document).gates
