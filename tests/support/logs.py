"""Logs for witnesses to watch: a key, a list of leaves, and whatever such a log can sign, also when it lies."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper.transparency import AddCheckpoint, Checkpoint, Latest, Signer, sign_checkpoint
from tests.unit.transparency.oracle import leaves, naive_consistency, naive_root

__all__ = ["FORK_FROM", "WatchableLog", "forked", "honest"]

FORK_FROM = 10
_MOST = 70


@dataclass(frozen=True)
class WatchableLog:
    """A log as its key makes it; two with one key and other leaves are a fork."""

    signer: Signer
    hashes: tuple[bytes, ...]

    def root(self, size: int) -> bytes:
        return naive_root(self.hashes[:size])

    def latest(self, size: int) -> Latest:
        return Latest(size=size, root=self.root(size))

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(origin=self.signer.name, size=size, root=self.root(size))

    def note(self, size: int) -> bytes:
        return sign_checkpoint(self.checkpoint(size), [self.signer])

    def request(self, old: int, new: int) -> AddCheckpoint:
        """Ask for a cosignature at size `new`, with the proof from `old` where there is one."""
        proof = naive_consistency(old, self.hashes[:new]) if 0 < old <= new else []
        return AddCheckpoint(old_size=old, proof=tuple(proof), note=self.note(new))


def _signer(name: str) -> Signer:
    seed = name.encode().ljust(32, b".")[:32]
    return Signer(name=name, private_key=Ed25519PrivateKey.from_private_bytes(seed))


def honest(name: str = "example.com/log") -> WatchableLog:
    """A log that counts."""
    return WatchableLog(_signer(name), tuple(leaves(_MOST)))


def forked(name: str = "example.com/log") -> WatchableLog:
    """Another log by the same key: the same to `FORK_FROM`, and from there on not."""
    counted = leaves(2 * _MOST)
    return WatchableLog(_signer(name), (*counted[:FORK_FROM], *counted[_MOST : 2 * _MOST - FORK_FROM]))
