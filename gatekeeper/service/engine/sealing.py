"""Sealing: drafts become entries with their places in the trees, their nonces, and personal parts nobody can read.

A batch is sealed on copies of the trees; they become the trees when the batch is committed, and are dropped when the
engine is.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, seal_body, seal_personal, tenant_tree
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import SealedEntry, TreeHead
from gatekeeper.transparency import Tile, Tree, leaf_hash

__all__ = ["Sealed", "Sealer", "Sealing", "open_personal"]

Encrypted = tuple[HolderId, bytes]
"""Whose key encrypted what is personal, and the nonce with what was encrypted."""

_NONCE_BYTES: Final = 12
_CHANCE: Final = 16 + 16 + _NONCE_BYTES
"""What is random in an entry: the salt of its personal part, its nonce, and that of the encryption."""


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
        sealing = self.begin()
        sealing.add(drafts)
        return sealing.done()

    def begin(self, *, after: Sealed | None = None) -> "Sealing":
        """Begin a batch after the committed trees, or upon one that is sealed and not yet committed."""
        trees = self._trees if after is None else {**self._trees, **after.trees}
        return Sealing(self._site, trees, self.encrypt)

    def accept(self, sealed: Sealed) -> None:
        """A batch is committed: its trees are the trees."""
        self._trees.update(sealed.trees)

    def encrypt(self, person: HolderId | None, plaintext: bytes, seq: int, nonce: bytes) -> Encrypted:
        """Encrypt what is personal under a person's key, or under nobody's where there is none."""
        owner = person if person is not None and person in self._keys else NOBODY
        cipher = self._ciphers.get(owner)
        if cipher is None:
            cipher = self._ciphers[owner] = AESGCM(self._keys[owner])
        return owner, nonce + cipher.encrypt(nonce, plaintext, _bound_to(self._site, seq))


class Sealing:
    """A batch that is being sealed, a few entries at a time."""

    def __init__(
        self,
        site: SiteId,
        trees: Mapping[str, Tree],
        encrypt: Callable[[HolderId | None, bytes, int, bytes], Encrypted],
    ) -> None:
        self._site = site
        self._trees = trees
        self._encrypt = encrypt
        self._entries: list[SealedEntry] = []
        self._leaves: dict[str, list[bytes]] = {}

    def add(self, drafts: Sequence[Draft]) -> None:
        """Seal what comes next."""
        entropy = secrets.token_bytes(_CHANCE * len(drafts))
        for number, draft in enumerate(drafts):
            self._entries.append(self._seal(draft, entropy[_CHANCE * number : _CHANCE * (number + 1)]))

    def done(self) -> Sealed:
        """The batch, and the trees as they are with it."""
        grown: dict[str, Tree] = {}
        tiles: list[tuple[str, Tile]] = []
        heads = []
        for name, leaves in self._leaves.items():
            old = self._trees[name]
            tree = grown[name] = old.copy()
            tiles += [(name, tile) for tile in tree.append(leaves)]
            heads.append(TreeHead(tree=name, old_size=old.size, size=tree.size, root=tree.root()))
        return Sealed(entries=self._entries, tiles=tiles, heads=heads, trees=grown)

    def _seal(self, draft: Draft, chance: bytes) -> SealedEntry:
        grows = [self._leaves.setdefault(SITE_TREE, [])]
        places = {SITE_TREE: draft.seq}
        tenants = []
        for tenant in draft.tenants:
            name = tenant_tree(tenant)
            leaves = self._leaves.setdefault(name, [])
            place = places[name] = self._trees[name].size + len(leaves)
            tenants.append((tenant, place))
            grows.append(leaves)
        plaintext = seal_personal(draft, salt=chance[:16])
        body = seal_body(draft, site=self._site, trees=places, nonce=chance[16:32], personal=plaintext)
        leaf = leaf_hash(body)
        for leaves in grows:
            leaves.append(leaf)
        person, personal = None, None
        if plaintext is not None:
            person, personal = self._encrypt(draft.person, plaintext, draft.seq, chance[32:])
        return SealedEntry(draft.seq, draft.at, draft.kind.value, body, tuple(tenants), person, personal)


def open_personal(sealed: bytes, *, key: bytes, site: SiteId, seq: int) -> bytes:
    """Decrypt a personal part. Raises cryptography's InvalidTag when it is another entry's, or altered."""
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(site, seq))


def _bound_to(site: SiteId, seq: int) -> bytes:
    return f"gatekeeper-personal-v1\0{site}\0{seq}".encode()
