"""Sealing: an entry's places, its commitment, and a personal part that only its person's key opens, and only there."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from gatekeeper.core.audit import NOBODY, Draft, Kind, commitment
from gatekeeper.model.ids import HolderId, SiteId, TenantId
from gatekeeper.ports import SealedEntry
from gatekeeper.service.engine.sealing import Sealed, Sealer, open_personal
from gatekeeper.transparency import Tree, leaf_hash

SITE = SiteId("fort")
ARMY, SCHOOL = TenantId("army"), TenantId("school")
SERGEANT, PUPIL, STRANGER = HolderId("sergeant"), HolderId("pupil"), HolderId("stranger")
KEYS = {SERGEANT: b"s" * 32, PUPIL: b"p" * 32, NOBODY: b"n" * 32}
AT = datetime(2026, 6, 3, 10, tzinfo=UTC)


@pytest.fixture
def sealer() -> Sealer:
    trees = {name: Tree.empty() for name in ("site", "tenant:army", "tenant:school")}
    return Sealer(SITE, trees=trees, keys=KEYS)


def _draft(seq: int, *tenants: TenantId, person: HolderId | None = None, **personal: Any) -> Draft:
    return Draft(
        kind=Kind.ACCESS_GRANTED,
        at=AT,
        seq=seq,
        tenants=tenants,
        public={"gate": "front"},
        person=person,
        personal=personal or None,
    )


def _open(entry: SealedEntry, **other: Any) -> dict[str, Any]:
    assert entry.personal is not None
    assert entry.person is not None
    terms: dict[str, Any] = {"key": KEYS.get(entry.person), "site": SITE, "seq": entry.seq} | other
    found: dict[str, Any] = json.loads(open_personal(entry.personal, **terms))
    return found


# -- places -----------------------------------------------------------------------------------------------------------


def test_an_entry_names_its_place_in_the_sites_tree_and_in_those_of_the_tenants_it_concerns(sealer: Sealer):
    drafts = [_draft(0, SCHOOL), _draft(1), _draft(2, SCHOOL, ARMY), _draft(3, ARMY)]
    sealed = sealer.seal(drafts)
    assert [json.loads(entry.body)["trees"] for entry in sealed.entries] == [
        {"site": 0, "tenant:school": 0},
        {"site": 1},
        {"site": 2, "tenant:school": 1, "tenant:army": 0},
        {"site": 3, "tenant:army": 1},
    ]
    assert [entry.tenants for entry in sealed.entries] == [
        ((SCHOOL, 0),),
        (),
        ((SCHOOL, 1), (ARMY, 0)),
        ((ARMY, 1),),
    ]


def test_the_bodies_are_the_leaves_of_every_tree_they_stand_in(sealer: Sealer):
    sealed = sealer.seal([_draft(seq, *((SCHOOL,) if seq % 3 else ())) for seq in range(300)])
    for name, tree in sealed.trees.items():
        grown = Tree.empty()
        tiles = grown.append(
            [leaf_hash(entry.body) for entry in sealed.entries if name in json.loads(entry.body)["trees"]]
        )
        assert tree.root() == grown.root()
        assert [tile for of, tile in sealed.tiles if of == name] == tiles
    assert {head.tree: (head.old_size, head.size, head.root) for head in sealed.heads} == {
        name: (0, tree.size, tree.root()) for name, tree in sealed.trees.items()
    }


def test_a_tree_that_no_entry_concerns_has_no_new_head(sealer: Sealer):
    assert [head.tree for head in sealer.seal([_draft(0, ARMY)]).heads] == ["site", "tenant:army"]
    assert sealer.seal([]).heads == []


def test_what_is_sealed_upon_a_batch_goes_on_where_that_one_ends(sealer: Sealer):
    first = sealer.seal([_draft(0, ARMY), _draft(1)])
    sealing = sealer.begin(after=first)
    for draft in (_draft(2, ARMY), _draft(3, SCHOOL)):
        sealing.add([draft])
    second = sealing.done()
    assert sealer.size == 0, "nothing is accepted"
    assert [(head.tree, head.old_size, head.size) for head in second.heads] == [
        ("site", 2, 4),
        ("tenant:army", 1, 2),
        ("tenant:school", 0, 1),
    ]
    sealer.accept(first)
    sealer.accept(second)
    grown = Tree.empty()
    grown.append([leaf_hash(entry.body) for entry in (*first.entries, *second.entries)])
    assert sealer.tree("site").root() == grown.root()


def test_what_is_sealed_counts_only_when_it_is_accepted(sealer: Sealer):
    before = sealer.heads()
    first, again = sealer.seal([_draft(0, ARMY)]), sealer.seal([_draft(0, ARMY)])
    assert sealer.heads() == before
    assert first.entries[0].tenants == again.entries[0].tenants == ((ARMY, 0),)
    sealer.accept(first)
    assert sealer.size == 1
    assert sealer.seal([_draft(1, ARMY)]).entries[0].tenants == ((ARMY, 1),)


def test_a_tree_that_is_there_is_not_begun_anew(sealer: Sealer):
    sealer.accept(sealer.seal([_draft(0, ARMY)]))
    sealer.open_tree("tenant:army")
    sealer.open_tree("tenant:club")
    assert {name: size for name, size, _ in sealer.heads()} == {
        "site": 1,
        "tenant:army": 1,
        "tenant:school": 0,
        "tenant:club": 0,
    }


def test_the_same_draft_sealed_twice_makes_two_different_leaves(sealer: Sealer):
    """The nonce: nobody finds out what an entry says by trying all that it could say."""
    bodies = {sealer.seal([_draft(0, ARMY)]).entries[0].body for _ in range(100)}
    assert len(bodies) == 100
    nonces = {json.loads(body)["nonce"] for body in bodies}
    assert {len(bytes.fromhex(nonce)) for nonce in nonces} == {16}


# -- what is personal -------------------------------------------------------------------------------------------------


def _personal(sealer: Sealer, *people: HolderId) -> Sealed:
    return sealer.seal([_draft(seq, ARMY, person=who, badge="ba83") for seq, who in enumerate(people)])


def test_what_is_personal_is_not_in_the_leaf_which_commits_to_it(sealer: Sealer):
    entry = _personal(sealer, SERGEANT).entries[0]
    body = json.loads(entry.body)
    assert "sergeant" not in entry.body.decode()
    assert "ba83" not in body.values()
    assert entry.person == SERGEANT
    plaintext = open_personal(entry.personal or b"", key=KEYS[SERGEANT], site=SITE, seq=0)
    assert commitment(plaintext) == body["personal"]
    assert json.loads(plaintext)["badge"] == "ba83"


def test_the_same_personal_part_twice_is_committed_to_and_encrypted_differently(sealer: Sealer):
    entries = _personal(sealer, *[SERGEANT] * 50).entries
    assert len({json.loads(entry.body)["personal"] for entry in entries}) == 50
    assert len({(entry.personal or b"")[:12] for entry in entries}) == 50, "a nonce is never used twice"
    assert len({_open(entry)["salt"] for entry in entries}) == 50


def test_an_entry_in_which_nothing_is_personal_commits_to_nothing(sealer: Sealer):
    entry = sealer.seal([_draft(0, ARMY)]).entries[0]
    assert (entry.person, entry.personal) == (None, None)
    assert "personal" not in json.loads(entry.body)


@pytest.mark.parametrize(
    "other",
    [{"seq": 1}, {"site": SiteId("castle")}, {"key": KEYS[PUPIL]}, {"key": KEYS[NOBODY]}],
    ids=["another entry", "another site", "another person", "nobody"],
)
def test_a_personal_part_opens_in_its_own_entry_for_its_own_person_only(
    other: dict[str, Any], sealer: Sealer
):
    entry = _personal(sealer, SERGEANT).entries[0]
    assert _open(entry)["badge"] == "ba83"
    with pytest.raises(InvalidTag):
        _open(entry, **other)


@pytest.mark.parametrize("place", [0, 12, -1])
def test_a_personal_part_that_was_altered_does_not_open(place: int, sealer: Sealer):
    entry = _personal(sealer, SERGEANT).entries[0]
    altered = bytearray(entry.personal or b"")
    altered[place] ^= 1
    with pytest.raises(InvalidTag):
        open_personal(bytes(altered), key=KEYS[SERGEANT], site=SITE, seq=0)


@pytest.mark.parametrize("who", [NOBODY, STRANGER, None], ids=["nobody", "without a key", "no one named"])
def test_what_is_personal_of_nobody_known_is_sealed_under_nobodys_key(who: HolderId | None, sealer: Sealer):
    entry = sealer.seal([_draft(0, person=who, card="BA839D07")]).entries[0]
    assert entry.person == NOBODY
    assert _open(entry)["card"] == "BA839D07"
    assert "BA839D07" not in entry.body.decode()


def test_a_person_whose_key_is_learnt_is_sealed_under_it_from_then_on(sealer: Sealer):
    assert not sealer.knows(STRANGER)
    sealer.learn({STRANGER: b"x" * 32})
    assert sealer.knows(STRANGER)
    entry = _personal(sealer, STRANGER).entries[0]
    assert entry.person == STRANGER
    assert _open(entry, key=b"x" * 32)["badge"] == "ba83"
