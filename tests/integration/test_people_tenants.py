"""What is one tenant's, no other can touch: the command line does not try, and the engine refuses whoever does."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.cli.host.signing import outcome_of
from gatekeeper.cli.people.desk import OpenDesk, at_desk
from gatekeeper.core.change import BadgeStateChange, ChangeContent
from gatekeeper.core.operators import Operator, Role
from gatekeeper.core.supervise import ChangeOutcome
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.badges import Assurance, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import BadgeId, HolderId, OperatorId, ProfileId, TenantId
from gatekeeper.service.administration.directory import Directory, particulars_of
from gatekeeper.service.administration.folder import SiteFolder, issuer_of
from gatekeeper.service.administration.issuing import register_holder
from gatekeeper.service.administration.operators import Signer, key_of_operator, keys_of_operators
from gatekeeper.service.administration.people import BadgeOrder, Desk
from tests.integration.people_site import Registry, served_site
from tests.support.waiting import eventually
from tests.unit.administration.people import anna

pytestmark = pytest.mark.integration

PUPIL, SOLDIER = HolderId("h-00003"), HolderId("h-00001")
VEHICLE = HolderId("h-00005")


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("tenants"), postgres_server, broker) as registry:
        yield registry


@pytest.fixture
def untouched(registry: Registry) -> Iterator[None]:
    """Nothing of the people and no entry is other than it was."""
    before = _people(registry)
    yield
    assert _people(registry) == before


def _people(registry: Registry) -> list[Any]:
    return [
        registry.log_size(),
        *registry.run("SELECT * FROM holder WHERE site_id = $1 ORDER BY holder"),
        *registry.run("SELECT * FROM badge WHERE site_id = $1 ORDER BY badge"),
    ]


def open_desk(registry: Registry, tenant: str) -> OpenDesk:
    with at_desk(registry.settings, tenant=tenant) as at:
        return at


def blind(desk: Desk) -> Desk:
    """A desk that knows of nobody, and so stops nobody."""
    return replace(
        desk, directory=Directory(tenant=desk.tenant, trust=desk.trust, holders=(), badges=(), names={})
    )


def say_as(registry: Registry, tenant: str, content: ChangeContent) -> ChangeOutcome:
    """Hand in what a tenant's administrator signs, whatever it is; what the engine made of it."""
    name = OperatorId(f"{tenant}-admin")
    key = keys_of_operators(registry.settings.data, registry.site).read_key(key_of_operator(name))
    now, change = datetime.now(UTC), secrets.token_bytes(16)
    operator = Operator(
        id=name,
        tenant=TenantId(tenant),
        roles=frozenset({Role.TENANT_ADMIN}),
        key=key.record(use="operator", owner=name),
        since=now,
        until=now,
        version=1,
        revoked=False,
    )
    document = Signer(operator=operator, key=key, site=registry.site).sign(content, change_id=change, at=now)
    return asyncio.run(_handed_in(registry, change, document))


async def _handed_in(registry: Registry, change: bytes, document: bytes) -> ChangeOutcome:
    async with PostgresReading.opened(registry.settings.dsn) as reading:
        await reading.submit(registry.site, change=change, document=document, name=None)
        outcome = await outcome_of(reading, registry.site, change)
    assert outcome is not None
    return outcome


def badge_of(registry: Registry, holder: str) -> BadgeId:
    (badge,) = registry.shown(holder)["badges"]
    return BadgeId(badge["badge"])


# -- the engine ---------------------------------------------------------------------------------------------------------


def test_the_engine_lets_no_tenant_take_over_another_ones_holder(registry: Registry, untouched: None):
    club = blind(open_desk(registry, "club").desk)
    change = club.register(PUPIL, anna(profiles=()), now=datetime.now(UTC)).change
    assert say_as(registry, "club", change).code == "change-not-yours"


@pytest.mark.parametrize("state", BadgeState)
def test_the_engine_lets_no_tenant_speak_of_another_ones_badge(
    state: BadgeState, registry: Registry, untouched: None
):
    change = BadgeStateChange(badge=badge_of(registry, PUPIL), state=state)
    assert say_as(registry, "club", change).code == "change-not-yours"


def test_the_engine_lets_no_tenant_hand_in_what_another_has_signed(registry: Registry, untouched: None):
    school = open_desk(registry, "school").desk
    said = particulars_of(school.directory.get(PUPIL))
    change = school.register(PUPIL, replace(said, clearance=0), now=datetime.now(UTC)).change
    assert say_as(registry, "club", change).code == "change-not-yours"


def test_the_engine_lets_no_tenant_take_another_ones_badge_or_card(registry: Registry, untouched: None):
    club, now = blind(open_desk(registry, "club").desk), datetime.now(UTC)
    change = club.register(HolderId("c-1"), anna(profiles=()), now=now).change
    holder = club.register(HolderId("c-1"), anna(profiles=()), now=now).holder
    theirs = replace(holder, badges=(badge_of(registry, PUPIL),))
    taken = replace(change, document=register_holder(theirs, issuer=club.issuer))
    assert say_as(registry, "club", taken).code == "change-not-yours"

    number = registry.shown(VEHICLE)["badges"][0]["card"].removeprefix("mifare:")
    card = Card(CardTechnology.MIFARE, bytes.fromhex(number))
    order = BadgeOrder(assurance=Assurance.CARD_NUMBER, card=card)
    issued = club.issue(order, to=anna(), status_index=0, now=now)
    carded = club.register(HolderId("c-1"), anna(profiles=()), now=now, issued=[issued]).change
    assert say_as(registry, "club", carded).code == "change-not-yours"


def test_a_tenant_changes_what_is_its_own(registry: Registry):
    club = open_desk(registry, "club").desk
    change = club.register(
        HolderId("c-own"), anna(profiles=(ProfileId("member"),)), now=datetime.now(UTC)
    ).change
    assert say_as(registry, "club", change).code == "applied"
    assert registry.shown("c-own")["tenant"] == "club"


# -- the command line ---------------------------------------------------------------------------------------------------


def test_at_one_tenants_desk_nobody_else_is_there(registry: Registry, untouched: None, tmp_path: Path):
    for words in (
        ("holder", "show", PUPIL),
        ("holder", "change", PUPIL, "--clearance", 0),
        ("badge", "issue", PUPIL, "--out", tmp_path / "badge.json"),
        ("visitor", "end", PUPIL),
    ):
        said = registry(*words, "--tenant", "club")
        assert (said.code, said.out, said.err) == (2, "", f"club has no holder {PUPIL}.\n"), words
    for words in (("badge", "suspend", PUPIL), ("badge", "revoke", PUPIL), ("badge", "expire", PUPIL), ("badge", "show", PUPIL)):  # fmt: skip
        said = registry(*words, "--tenant", "club")
        assert (said.code, said.err) == (2, f"club has no badge and no holder {PUPIL}.\n"), words
    badge = badge_of(registry, PUPIL)
    said = registry("badge", "replace", badge, "--tenant", "club")
    assert (said.code, said.err) == (2, f"club has no badge and no holder {badge}.\n")
    said = registry(
        "holder", "add", "Bo", "--id", PUPIL, "--kind", "staff", "--clearance", 1, "--tenant", "club"
    )
    assert (said.code, said.err) == (2, f"holder: {PUPIL} is taken on this site: choose another id.\n")
    assert not (tmp_path / "badge.json").exists()


def test_in_one_tenants_file_nobody_else_stands(registry: Registry):
    said = registry("holder", "export", "--tenant", "club", "--approved", registry.approved("holder", "club"))
    assert said.code == 0, said
    assert said.out.startswith("holder,")
    assert PUPIL not in said.out


def test_a_stranger_who_signs_all_the_same_is_refused_and_leaves_nothing_behind(
    registry: Registry, untouched: None, tmp_path: Path
):
    file = tmp_path / "badge.json"
    sentence = "Refused: change-not-yours. A tenant changes its own badges, holders and operators; all else is the host's.\n"  # fmt: skip
    for words in (
        ("badge", "revoke", PUPIL),
        ("holder", "change", PUPIL, "--clearance", 0),
        ("badge", "issue", PUPIL, "--out", file),
        ("visitor", "end", PUPIL),
    ):
        said = registry(*words, "--operator", "club-admin")
        assert said.code == 1, words
        assert said.err.endswith(sentence), words
        assert "Done" not in said.err, words
    assert not file.exists()


@pytest.mark.parametrize("operator", ["club-admin", "officer"])
def test_who_may_not_issue_the_new_badge_does_not_revoke_the_old_one_either(
    operator: str, registry: Registry, untouched: None, tmp_path: Path
):
    said = registry(
        "badge", "replace", badge_of(registry, PUPIL), "--operator", operator, "--qr", tmp_path / "a.svg"
    )
    assert (said.code, said.out) == (2, "")
    assert said.err == f"{operator} may register nobody for school: name another with --operator.\n"
    assert not list(tmp_path.iterdir())


def test_whose_key_is_not_here_signs_nothing(registry: Registry, untouched: None, tmp_path: Path):
    file = tmp_path / "badge.json"
    with _away(keys_of_operators(registry.settings.data, registry.site).root / "school-admin.pem"):
        said = registry("badge", "issue", PUPIL, "--out", file)
        assert said.code == 2
        assert said.err.startswith("This takes a registrar or tenant-admin of school; ")
        said = registry("badge", "replace", badge_of(registry, PUPIL))
        assert said.code == 2
    assert not file.exists()


def test_without_the_tenants_own_key_nothing_is_issued_in_its_name(registry: Registry, untouched: None):
    key = registry.folder.root / issuer_of(TenantId("school"))
    with _away(key):
        said = registry("holder", "change", PUPIL, "--clearance", 0)
        assert (said.code, said.err) == (2, f"{key} is missing: was this key moved away?\n")
        assert registry("holder", "show", PUPIL).code == 0
        club = registry.folder.read_secret(issuer_of(TenantId("club")))
        registry.folder.keep_secret(issuer_of(TenantId("school")), club)
        said = registry("holder", "change", PUPIL, "--clearance", 0)
        assert (said.code, said.err) == (
            2,
            "The trust list does not let this key issue for school (any more).\n",
        )
        key.unlink()


def test_where_one_tenants_keys_are_it_need_not_be_named(registry: Registry):
    tenants = registry.folder.root / "tenants"
    with _away(tenants / "army"), _away(tenants / "club"):
        registry.done("holder", "list")
        holder = registry.done("holder", "add", "Bo", "--kind", "staff", "--clearance", 1)
        assert registry.shown(holder)["tenant"] == "school"


def test_the_hosts_officer_stops_anybodys_badge_and_lets_go_no_other_than_what_the_host_stopped(
    registry: Registry,
):
    with _away(registry.folder.root / "tenants" / "school"):
        registry.done("badge", "suspend", PUPIL, "--operator", "officer")
    said = registry("badge", "reinstate", PUPIL)
    assert said.code == 1
    assert said.err.startswith("Refused: change-role")
    assert set(registry.states(PUPIL).values()) == {"suspended"}
    registry.done("badge", "reinstate", PUPIL, "--operator", "officer")
    assert set(registry.states(PUPIL).values()) == {"active"}
    registry.done("badge", "suspend", PUPIL)
    said = registry("badge", "reinstate", PUPIL, "--operator", "officer")
    assert said.code == 1
    assert said.err.startswith("Refused: change-role")
    registry.done("badge", "reinstate", PUPIL)
    assert set(registry.states(PUPIL).values()) == {"active"}


@contextmanager
def _away(path: Path) -> Iterator[None]:
    aside = path.with_name(f"{path.name}.away")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def test_the_engine_is_still_there_and_its_log_is_whole(registry: Registry):
    asyncio.run(eventually(lambda: registry.engine is not None and registry.engine.poll() is None))
    assert registry("audit", "verify", "--json").document["valid"]
    assert SiteFolder(registry.folder.root).holds_site()
    assert registry.shown(SOLDIER)["tenant"] == "army"
