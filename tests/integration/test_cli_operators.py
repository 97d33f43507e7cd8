"""Accounts of operators at the command line: two people make one, one person ends it, and each signs with a key of their own."""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, served_site

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("operators"), postgres_server, broker) as registry:
        yield registry


def key_of(registry: Registry, name: str) -> Path:
    return registry.settings.data / "operators" / registry.site / f"{name}.pem"


def account(registry: Registry, name: str) -> Mapping[str, Any] | None:
    """What the site says of an account."""
    operators = registry("operator", "list", "--json").document["operators"]
    return next((one for one in operators if one["operator"] == name), None)


def made(registry: Registry, name: str, *words: object) -> None:
    """An account, proposed and approved."""
    registry.done("operator", "add", name, *words)
    registry.done("proposal", "approve")


def test_an_account_takes_two_people_and_its_key_is_its_owners_alone(registry: Registry):
    before = registry.log_size()
    said = registry("operator", "add", "jan", "--role", "registrar", "--tenant", "school")
    assert said.code == 0
    assert said.err.startswith(
        f"Proposed; entry {before} of the log. It takes a second person: jan of school is registrar. "
    )
    assert account(registry, "jan") is None, "one person alone makes nobody an operator"
    (waiting,) = registry("proposal", "list", "--json").document["proposals"]
    assert (waiting["author"], waiting["kind"], waiting["subject"], waiting["gives"]) == ("admin", "operator", "jan", ["jan of school is registrar"])  # fmt: skip

    approved = registry("proposal", "approve", waiting["proposal"][:8])
    assert approved.err.splitlines() == [
        f"admin proposes, in entry {before}: operator (jan of school is registrar).",
        f"Done; entry {before + 1} of the log.",
    ]
    assert registry.kinds(before) == ["proposal.made", "proposal.approved", "operator.changed"]
    jan = account(registry, "jan")
    assert jan is not None
    assert (jan["tenant"], jan["roles"], jan["state"], jan["version"], jan["key_here"]) == ("school", ["registrar"], "in force", 1, True)  # fmt: skip
    key = key_of(registry, "jan")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_a_registrar_registers_for_their_own_tenant_and_for_no_other(registry: Registry):
    made(registry, "reg", "--role", "registrar", "--tenant", "school")
    words = ("holder", "add", "Bo", "--kind", "staff", "--clearance", 1, "--operator", "reg")
    assert registry(*words, "--tenant", "school").code == 0
    said = registry(*words, "--tenant", "club")
    assert said.code == 1
    assert said.err.splitlines()[-1].startswith("Refused: change-not-yours. ")
    said = registry("lockdown", "on", "site", "--operator", "reg")
    assert said.code == 1
    assert said.err.startswith("Refused: change-not-yours. ")


def test_a_role_that_may_not_say_it_is_told_so_in_a_sentence(registry: Registry):
    made(registry, "watch", "--role", "guard")
    said = registry("tenant", "suspend", "club", "--operator", "watch")
    assert (said.code, said.err) == (1, "Refused: change-role. None of the operator's roles may say this.\n")


def test_who_proposes_does_not_approve_and_may_withdraw(registry: Registry):
    registry.done("operator", "add", "eva", "--role", "auditor", "--tenant", "club")
    said = registry("proposal", "approve", "--operator", "admin")
    assert (said.code, said.err.splitlines()[-1].partition(". ")[0]) == (1, "Refused: proposal-own")
    said = registry("proposal", "approve", "--operator", "school-admin")
    assert (said.code, said.err.splitlines()[-1].partition(". ")[0]) == (1, "Refused: change-role")
    registry.done("proposal", "withdraw")
    assert registry("proposal", "list", "--json").document["proposals"] == []
    assert account(registry, "eva") is None
    assert registry("proposal", "approve").err == "No proposal waits.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("kim", "--role", "guard", "--tenant", "school"), "Only people of army can be guard; kim is of school."),
        (("../kim", "--role", "guard"), "'../kim' is no name: 1 to 32 of a-z, 0-9 and '-'."),
        (("kim", "--role", "guard", "--tenant", "navy"), "The site has no tenant navy; it has army, club, school."),
        (("kim", "--role", "guard", "--until", "2020-01-01"), "The account of kim would end before it begins."),
    ],
)  # fmt: skip
def test_an_account_that_cannot_be_is_told_and_no_key_is_made_for_it(
    words: tuple[str, ...], sentence: str, registry: Registry
):
    before = registry.log_size()
    said = registry("operator", "add", *words)
    assert (said.code, said.out, said.err) == (2, "", f"{sentence}\n")
    keys = {key.stem for key in registry.settings.data.rglob("*.pem")}
    assert (registry.log_size(), "kim" in keys) == (before, False)


def test_what_takes_something_away_takes_one_person_and_counts_at_once(registry: Registry):
    made(registry, "two", "--role", "registrar", "--role", "tenant-admin", "--tenant", "club")
    both = account(registry, "two")
    assert both is not None
    before = registry.log_size()
    said = registry("operator", "add", "two", "--role", "registrar", "--until", both["until"][:10], "--operator", "admin")  # fmt: skip
    assert (said.code, said.err) == (0, f"Done; entry {before} of the log.\n")
    fewer = account(registry, "two")
    assert fewer is not None
    assert (fewer["roles"], fewer["version"], fewer["tenant"]) == (["registrar"], 2, "club")
    registry.done("operator", "revoke", "two")
    assert registry.kinds(before)[-1] == "operator.changed"
    two = account(registry, "two")
    assert two is not None
    assert two["state"] == "revoked"
    said = registry(
        "holder", "add", "Bo", "--kind", "staff", "--clearance", 1, "--tenant", "club", "--operator", "two"
    )
    assert (said.code, said.err.splitlines()[-1]) == (
        1,
        "Refused: change-operator. The operator is revoked, or the time of the account has not begun or is over (two).",
    )


def test_a_key_that_others_can_read_signs_nothing(registry: Registry):
    made(registry, "leak", "--role", "registrar", "--tenant", "school")
    key = key_of(registry, "leak")
    key.chmod(0o644)
    said = registry("holder", "add", "Bo", "--kind", "staff", "--clearance", 1, "--tenant", "school", "--operator", "leak")  # fmt: skip
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"{key} can be reached by others than its owner")
    key.chmod(0o600)


def test_without_a_key_that_may_a_person_hears_whose_is_needed(registry: Registry, tmp_path: Path):
    key = key_of(registry, "officer")
    moved = key.rename(tmp_path / key.name)
    try:
        said = registry("tenant", "suspend", "club")
        assert said.code == 2
        assert (
            said.err == f"This takes a security-officer of army; {key.parent} holds no such operator's key.\n"
        )
        said = registry("tenant", "suspend", "club", "--operator", "officer")
        assert (said.code, said.err) == (2, f"The key of officer is not here: {key}.\n")
    finally:
        moved.rename(key)


def test_the_log_of_all_that_is_whole(registry: Registry):
    said = registry("audit", "verify", "--json")
    assert (said.code, said.document["problems"]) == (0, [])
