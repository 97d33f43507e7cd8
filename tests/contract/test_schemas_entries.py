"""The JSON Schemas of the log and the log itself: no kind without a branch, no field without an entry that has it."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading, migrate_site_database
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.core.audit import (
    SITE_TREE,
    Draft,
    Kind,
    canonical_json,
    commitment,
    seal_body,
    seal_personal,
    tenant_tree,
)
from gatekeeper.core.change_content import type_of
from gatekeeper.core.enact import DEEDS
from gatekeeper.core.facts import Companion, Factor, Facts, GuardsWord, Past
from gatekeeper.core.operators import WORDS, Role
from gatekeeper.core.replay import DECIDED, recollect, redecide
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.badges import Assurance, BadgeState
from gatekeeper.model.messages import ClockQuality, StatusKind
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from gatekeeper.service.administration.opening import open_site
from gatekeeper.service.engine.sealing import Sealer, open_personal
from gatekeeper.transparency import Tree
from gatekeeper.transparency.comparing import Part
from tests.contract import an_engine
from tests.contract.entry_schemas import NAMES, branch, faults, personal_of, schema
from tests.contract.plain_flows import small_site_drafts
from tests.contract.ruled_flows import ruled_drafts
from tests.contract.specimens import Damaged, damaged
from tests.contract.vector_site import SITE, fresh_flow
from tests.contract.whole_log import founding, whole_log
from tests.support.databases import temporary_database

# -- every entry that the product makes -------------------------------------------------------------------------------


def _sealed(drafts: tuple[Draft, ...]) -> Iterator[tuple[bytes, bytes | None]]:
    sizes: dict[str, int] = {}
    for draft in drafts:
        names = [SITE_TREE, *map(tenant_tree, draft.tenants)]
        places = {name: draft.seq if name == SITE_TREE else sizes.get(name, 0) for name in names}
        sizes.update({name: sizes.get(name, 0) + 1 for name in names})
        personal = seal_personal(draft, salt=bytes(16))
        yield seal_body(draft, site=SITE, trees=places, nonce=bytes(16), personal=personal), personal


@cache
def made() -> tuple[tuple[bytes, bytes | None], ...]:
    """All entries of the small site, with rules and without, and of the vectors' log; each with its personal part."""
    flows = (small_site_drafts(), *ruled_drafts())
    sealed = [entry for drafts in flows for entry in _sealed(drafts)]
    return (*sealed, *((entry.body, entry.personal) for entry in whole_log()))


@cache
def by_kind() -> Mapping[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for body, _ in made():
        document = json.loads(body)
        found[document["kind"]].append(document)
    return found


# -- kinds and fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_one(name: str):
    Draft202012Validator.check_schema(schema(name))


def test_there_is_a_branch_for_every_kind_and_no_other():
    branches = [one["$ref"].removeprefix("#/$defs/") for one in schema("entry")["oneOf"]]
    assert sorted(branches) == sorted(Kind)
    for kind in Kind:
        assert schema("entry")["$defs"][kind]["properties"]["kind"] == {"const": kind.value}


def test_the_core_makes_every_kind():
    assert set(by_kind()) == set(Kind)


def test_every_entry_and_every_personal_part_is_allowed():
    for body, personal in made():
        assert faults("entry", json.loads(body)) == [], body
        if personal is not None:
            assert faults("personal", json.loads(personal)) == [], personal
            assert faults(personal_of(json.loads(body)["kind"]), json.loads(personal)) == [], personal


SINCE = {Kind.PASSAGE_FORCED: {"alarm"}, Kind.PASSAGE_HELD_OPEN: {"alarm"}}
"""Fields that every entry of a kind has that is made now, and entries of before have not: a log is never made anew."""


@pytest.mark.parametrize("kind", Kind)
def test_a_branch_names_the_fields_that_entries_have_and_demands_those_that_all_have(kind: Kind):
    may, must = branch(kind)
    entries = by_kind()[kind]
    assert set().union(*entries) == may
    assert set(entries[0]).intersection(*entries) - SINCE.get(kind, set()) == must


def test_reasons_states_and_words_are_those_of_the_code():
    words = schema("entry")["$defs"]
    denying = {reason.code for reason in Reason if reason.denies}
    assert set(words["denial"]["enum"]) == denying
    assert set(words["remark"]["enum"]) == {reason.code for reason in Reason} - denying - {
        Reason.GRANTED.code
    }
    assert words["access.granted"]["properties"]["reason"]["const"] == Reason.GRANTED.code
    assert set(words["badge-state"]["enum"]) == set(BadgeState)
    assert set(words["assurance"]["enum"]) == set(Assurance)
    assert set(words["gate.status"]["properties"]["status"]["enum"]) == {
        kind.name.lower() for kind in StatusKind
    }
    assert set(words["log.mismatch"]["properties"]["part"]["enum"]) == set(Part)
    clocks = words["from-a-gate"]["properties"]["clock"]["enum"]
    assert set(clocks) == {quality.name.lower() for quality in ClockQuality}
    assert set(schema("facts")["$defs"]["kind"]["enum"]) == set(HolderKind)
    assert set(words["roles"]["items"]["enum"]) == set(Role)
    by_two = {type_of(kind) for kind in words["of-a-proposal"]["properties"]["proposes"]["enum"]}
    assert by_two == {
        content for content, deeds in DEEDS.items() if any(WORDS[deed].second for deed in deeds)
    }


def test_facts_are_those_of_the_code():
    described, past = schema("facts"), schema("facts")["$defs"]["past"]["properties"]
    assert set(described["properties"]) == set(Facts.__dataclass_fields__)
    assert set(past) == set(Past.__dataclass_fields__)
    assert set(past["factor"]["enum"]) == set(Factor) - {Factor.NONE}
    assert set(past["guard"]["enum"]) == set(GuardsWord) - {GuardsWord.NOT_ASKED}
    assert set(described["$defs"]["companion"]["properties"]) == set(Companion.__dataclass_fields__)


def _facts() -> list[Any]:
    return [
        json.loads(personal)["facts"]
        for _, personal in made()
        if personal is not None and b'"facts"' in personal
    ]


def test_all_that_can_be_asked_of_the_past_was_asked_and_answered_in_every_word():
    pasts = [facts["past"] for facts in _facts()]
    described = schema("facts")["$defs"]["past"]["properties"]
    assert set().union(*pasts) == set(described)
    assert {} in pasts
    for word in ("factor", "guard"):
        assert {past[word] for past in pasts if word in past} == set(described[word]["enum"])
    companions = [one for past in pasts for one in past.get("company", ())]
    assert {one["waiting"] for one in companions} == {True, False}
    assert any(facts["holder"]["certificates"] for facts in _facts() if facts["holder"] is not None)


def test_personal_parts_have_all_that_their_schema_names():
    facts = _facts()
    for part in ("badge", "holder"):
        described = schema("facts")["$defs"][part]["properties"]
        assert {frozenset(fact[part]) for fact in facts if fact[part] is not None} == {frozenset(described)}
        assert any(fact[part] is None for fact in facts)
    shapes = {frozenset(json.loads(personal)) for _, personal in made() if personal is not None}
    parts = [one for one in schema("personal")["$defs"].values() if "properties" in one]
    assert shapes == {frozenset(one[key]) for one in parts for key in ("properties", "required")}


def test_every_decision_of_the_vectors_log_can_be_made_again_from_what_the_log_holds():
    policy, seen = fresh_flow().policy, set()
    for entry in whole_log():
        body = json.loads(entry.body)
        if body["kind"] in DECIDED:
            assert entry.personal is not None
            asked = recollect(body, json.loads(entry.personal), site=SITE)
            assert redecide(policy, asked, body) == [], body
            seen.add(body["kind"])
    assert seen == DECIDED


# -- what is no entry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_an_entry_with_a_field_missing_added_or_of_another_type_is_none(kind: Kind):
    seen = 0
    entry = max(by_kind()[kind], key=len)
    _, must = branch(kind)
    for damage in damaged(entry):
        if len(damage.where) != 1 or not _is_json(damage.value):
            continue
        [field] = damage.where
        if damage.how == "range" or (damage.how == "missing" and field not in must):
            continue
        seen += 1
        assert faults("entry", damage.value), damage
    assert seen > 2 * len(must)


def _largest_of_each_kind() -> list[tuple[str, Any]]:
    parts = [
        (json.loads(body)["kind"], json.loads(personal)) for body, personal in made() if personal is not None
    ]
    largest = dict(sorted(parts, key=lambda part: len(json.dumps(part))))
    facts = [("facts", part["facts"]) for part in largest.values() if "facts" in part]
    return [*((personal_of(kind), part) for kind, part in largest.items()), *facts]


@pytest.mark.parametrize(("name", "document"), _largest_of_each_kind())
def test_a_personal_part_with_anything_missing_or_added_is_none(name: str, document: Any):
    assert faults(name, document) == []
    for damage in damaged(document):
        if damage.how not in {"missing", "unknown"} or not _is_json(damage.value):
            continue
        if not _is_a_shorter_list(damage.where, document) and not _is_another_map(damage):
            assert faults(name, damage.value), damage


def _is_a_shorter_list(where: tuple[Any, ...], document: Any) -> bool:
    """A list may well have fewer items."""
    for step in where[:-1]:
        document = document[step]
    return isinstance(document, list) and where[-1] < len(document)


def _is_another_map(damage: Damaged) -> bool:
    """Of the past whatever was not asked is left out, and some maps have names as keys."""
    holds_it = damage.where[-2] if len(damage.where) > 1 else None
    if damage.how == "missing":
        return holds_it in {"past", "crowds", "opened", "certificates"}
    return holds_it in {"crowds", "certificates"}


def _is_json(value: Any) -> bool:
    match value:
        case dict():
            return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
        case list():
            return all(map(_is_json, value))
        case _:
            return not isinstance(value, bytes)


def test_no_entry_is_of_two_kinds():
    for kind, entries in by_kind().items():
        for other in Kind:
            if other != kind:
                assert faults("entry", {**max(entries, key=len), "kind": other.value}) or _are_alike(
                    kind, other
                )


def _are_alike(kind: str, other: str) -> bool:
    """Some kinds differ in nothing but their name."""
    return branch(kind) == branch(other)


# -- as it is stored --------------------------------------------------------------------------------------------------


def test_a_sealed_batch_is_allowed_and_opens_to_what_the_schema_describes():
    drafts = list(small_site_drafts()[:40])
    keys = {draft.person: bytes(32) for draft in drafts if draft.person is not None}
    sealer = Sealer(SITE, trees={}, keys=keys)
    for name in {SITE_TREE, *(tenant_tree(tenant) for draft in drafts for tenant in draft.tenants)}:
        sealer.open_tree(name)
    for entry in sealer.seal(drafts).entries:
        body = json.loads(entry.body)
        assert faults("entry", body) == []
        assert canonical_json(body) == entry.body
        if entry.personal is not None:
            plaintext = open_personal(entry.personal, key=bytes(32), site=SITE, seq=entry.seq)
            assert commitment(plaintext) == body["personal"]
            assert faults("personal", json.loads(plaintext)) == []


@pytest.mark.integration
async def test_what_the_opening_of_a_site_and_a_starting_engine_write_is_allowed(
    postgres_server: EmbeddedPostgres,
):
    async with temporary_database(postgres_server) as dsn, temporary_database(postgres_server) as vault_dsn:
        await migrate_site_database(dsn)
        vault = PostgresKeyVault(vault_dsn)
        await vault.migrate()
        opening = PostgresLedger(dsn)
        size = await open_site(founding(), ledger=opening, vault=vault, now=datetime.now(UTC))
        await opening.close()
        ledger = PostgresLedger(dsn)
        engine = an_engine.engine(ledger, vault)
        engine._epoch = await engine._claim()
        await engine._load(await ledger.load(SITE, epoch=engine._epoch))
        await engine._begin()
        await ledger.close()
        async with PostgresReading.opened(dsn) as reading:
            bodies = [json.loads(entry.body) async for entry in reading.entries(SITE, since=0)]
    assert [body["kind"] for body in bodies] == [
        "site.founded",
        *["holder.registered"] * (size - 1),
        "engine.started",
    ]
    for body in bodies:
        assert faults("entry", body) == []
    described = {
        body["kind"]: body.keys()
        for body in map(json.loads, (entry.body for entry in whole_log()[: size + 1]))
    }
    assert {body["kind"]: body.keys() for body in bodies} == described


def test_the_log_of_the_vectors_is_one_log():
    grown: dict[str, Tree] = {}
    for seq, entry in enumerate(whole_log()):
        body = json.loads(entry.body)
        assert canonical_json(body) == entry.body
        assert body["seq"] == body["trees"][SITE_TREE] == seq
        for name, index in body["trees"].items():
            tree = grown.setdefault(name, Tree.empty())
            assert tree.size == index
            tree.append([bytes(32)])
        assert body.get("personal") == (None if entry.personal is None else commitment(entry.personal))
