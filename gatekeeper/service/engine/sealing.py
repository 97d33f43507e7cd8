"""Sealing: drafts become entries with their places in the trees, their nonces, and personal parts nobody can read.

A batch is sealed on copies of the trees; they become the trees when the batch is committed, and are dropped when the
engine is.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, seal_body, seal_personal, tenant_tree
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import SealedEntry, TreeHead
from gatekeeper.transparency import Tile, Tree, leaf_hash

__all__ = ["Sealed", "Sealer", "open_personal"]

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A batch ready to commit, and the trees as they will be then."""

    entries: Sequence[SealedEntry]
    tiles: Sequence[tuple[str, Tile]]
    heads: Sequence[TreeHead]
    trees: Mapping[str, Tree]


class Sealer:
    """The trees of one site and the keys of its people."""

    def __init__(self, site: SiteId, *, trees: Mapping[str, Tree], keys: Mapping[HolderId, bytes]) -> None:
        self._site = site
        self._trees = dict(trees)
        self._keys = dict(keys)
        self._ciphers: dict[HolderId, AESGCM] = {}

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self._trees[SITE_TREE].size

    def heads(self) -> list[tuple[str, int, bytes]]:
        """The committed trees: name, size, root."""
        return [(name, tree.size, tree.root()) for name, tree in self._trees.items()]

    def tree(self, name: str) -> Tree:
        """A committed tree; it never grows, what is committed next makes another."""
        return self._trees[name]

    def knows(self, person: HolderId) -> bool:
        """Whether there is a key for a person."""
        return person in self._keys

    def learn(self, keys: Mapping[HolderId, bytes]) -> None:
        """Take new keys of persons."""
        self._keys.update(keys)

    def forget(self, persons: Iterable[HolderId]) -> None:
        """Let go of the keys of persons: nothing more is written under them."""
        for person in persons:
            self._keys.pop(person, None)
            self._ciphers.pop(person, None)

    def open_tree(self, name: str) -> None:
        """Begin a tree, unless there is one."""
        self._trees.setdefault(name, Tree.empty())

    def seal(self, drafts: Sequence[Draft]) -> Sealed:
        """Seal a batch after the committed trees."""
        grown: dict[str, Tree] = {}
        leaves: dict[str, list[bytes]] = {}
        entries = []
        entropy = secrets.token_bytes(44 * len(drafts))
        for number, draft in enumerate(drafts):
            chance = entropy[44 * number : 44 * (number + 1)]
            places = {SITE_TREE: draft.seq}
            for tenant in draft.tenants:
                name = tenant_tree(tenant)
                places[name] = self._trees[name].size + len(leaves.get(name, ()))
            personal = seal_personal(draft, salt=chance[:16])
            body = seal_body(draft, site=self._site, trees=places, nonce=chance[16:32], personal=personal)
            leaf = leaf_hash(body)
            for name in places:
                leaves.setdefault(name, []).append(leaf)
            person = self._whose(draft)
            entries.append(
                SealedEntry(
                    seq=draft.seq,
                    at=draft.at,
                    kind=draft.kind.value,
                    body=body,
                    tenants=tuple((tenant, places[tenant_tree(tenant)]) for tenant in draft.tenants),
                    person=person,
                    personal=None
                    if personal is None
                    else self._encrypt(person, personal, draft.seq, chance[32:]),
                )
            )
        tiles: list[tuple[str, Tile]] = []
        heads = []
        for name, hashes in leaves.items():
            tree = grown[name] = self._trees[name].copy()
            tiles += [(name, tile) for tile in tree.append(hashes)]
            heads.append(
                TreeHead(tree=name, old_size=self._trees[name].size, size=tree.size, root=tree.root())
            )
        return Sealed(entries=entries, tiles=tiles, heads=heads, trees=grown)

    def accept(self, sealed: Sealed) -> None:
        """A batch is committed: its trees are the trees."""
        self._trees.update(sealed.trees)

    def _whose(self, draft: Draft) -> HolderId | None:
        if draft.personal is None:
            return None
        return draft.person if draft.person is not None and draft.person in self._keys else NOBODY

    def _encrypt(self, person: HolderId | None, plaintext: bytes, seq: int, nonce: bytes) -> bytes:
        owner = person if person is not None else NOBODY
        cipher = self._ciphers.get(owner)
        if cipher is None:
            cipher = self._ciphers[owner] = AESGCM(self._keys[owner])
        return nonce + cipher.encrypt(nonce, plaintext, _bound_to(self._site, seq))


def open_personal(sealed: bytes, *, key: bytes, site: SiteId, seq: int) -> bytes:
    """Decrypt a personal part. Raises cryptography's InvalidTag when it is another entry's, or altered."""
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(site, seq))


def _bound_to(site: SiteId, seq: int) -> bytes:
    return f"gatekeeper-personal-v1\0{site}\0{seq}".encode()
