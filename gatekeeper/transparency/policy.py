"""Which logs and witnesses are believed, and how many must have cosigned, as in C2SP tlog-policy.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...        `k` of these witnesses and earlier groups
    quorum <name>|none                        exactly one such line

Items are separated by spaces and tabs; empty lines and those that begin with # say nothing. Names are compared octet by
octet, and a name counts towards one group at most. Only the form is read here; what a URL is good for, its user says.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gatekeeper.transparency.keys import SignatureType, VerifiedSignature, Verifier, parse_verifier
from gatekeeper.transparency.refusal import Refusal, Refused
from gatekeeper.transparency.signed_checkpoint import OpenedCheckpoint, open_checkpoint
from gatekeeper.transparency.spelling import parse_decimal

__all__ = ["Policy", "PolicyGroup", "PolicyLog", "PolicyWitness", "parse_policy"]

_MAX_BYTES: Final = 1_000_000
_NONE: Final = "none"
_SPACE: Final = re.compile(r"[ \t]+")
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLog:
    """A log that is believed, and where it may be reached."""

    verifier: Verifier
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyWitness:
    """A witness that is believed; the name means something within the policy only."""

    name: str
    verifier: Verifier
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGroup:
    """Witnesses and groups of which `threshold` must have witnessed a checkpoint."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy as it is read: groups name only what stands before them, so they are weighed in one pass."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str | None
    """The witness or group that must have witnessed; None when no cosignature is asked for."""

    def satisfied(self, cosignatures: Iterable[VerifiedSignature]) -> bool:
        """Tell whether the quorum has cosigned."""
        if self.quorum is None:
            return True
        cosigned = {one.verifier for one in cosignatures}
        witnessed = {witness.name for witness in self.witnesses if witness.verifier in cosigned}
        for group in self.groups:
            if sum(member in witnessed for member in group.members) >= group.threshold:
                witnessed.add(group.name)
        return self.quorum in witnessed

    def open_checkpoint(self, note: bytes, *, logs: Iterable[Verifier] = ()) -> OpenedCheckpoint | Refused:
        """Believe a checkpoint of one of these logs, or of `logs` known otherwise, that the quorum has cosigned."""
        believed = [*logs, *(log.verifier for log in self.logs), *(one.verifier for one in self.witnesses)]
        opened = open_checkpoint(note, believed)
        if isinstance(opened, OpenedCheckpoint) and not self.satisfied(opened.cosignatures):
            return Refused(code=Refusal.POLICY_UNSATISFIED)
        return opened


def parse_policy(text: bytes) -> Policy | Refused:
    """Read a policy file (tlog-policy, Policy file syntax and structure); `detail` names the line that is refused."""
    if len(text) > _MAX_BYTES:
        return Refused(code=Refusal.POLICY_OVERSIZED)
    if _FORBIDDEN.search(text) or not text.endswith(b"\n"):
        return Refused(code=Refusal.POLICY_STRUCTURE)
    # Octets that are no UTF-8 survive as they are, so that names stay opaque.
    lines = text.decode(errors="surrogateescape").split("\n")
    reading = _Reading()
    for number, line in enumerate(lines, start=1):
        words = [word for word in _SPACE.split(line) if word]
        if not words or words[0].startswith("#"):
            continue
        refusal = reading.take(words)
        if refusal is not None:
            return Refused(code=refusal, detail=f"line {number}")
    return reading.policy()


class _Reading:
    """A policy while it is read, line by line."""

    def __init__(self) -> None:
        self._logs: list[PolicyLog] = []
        self._witnesses: list[PolicyWitness] = []
        self._groups: list[PolicyGroup] = []
        self._quorums: list[str | None] = []
        self._free: set[str] = set()
        self._names: set[str] = set()

    def take(self, words: Sequence[str]) -> Refusal | None:
        """Take a line; say why not."""
        match words:
            case ["log", key, *url] if len(url) <= 1:
                return self._take_log(key, url)
            case ["witness", name, key, *url] if len(url) <= 1:
                return self._take_witness(name, key, url)
            case ["group", name, threshold, *members] if members:
                return self._take_group(name, threshold, members)
            case ["quorum", name]:
                return self._take_quorum(name)
            case _:
                return Refusal.POLICY_LINE

    def policy(self) -> Policy | Refused:
        """Give the policy, when it says what the quorum is."""
        if len(self._quorums) != 1:
            return Refused(code=Refusal.POLICY_QUORUM)
        return Policy(
            logs=tuple(self._logs),
            witnesses=tuple(self._witnesses),
            groups=tuple(self._groups),
            quorum=self._quorums[0],
        )

    def _take_log(self, key: str, url: Sequence[str]) -> Refusal | None:
        verifier = parse_verifier(key)
        if isinstance(verifier, Refused):
            return verifier.code
        if verifier.type is not SignatureType.ED25519:
            return Refusal.POLICY_KEY_TYPE
        if self._is_known(verifier, self._logs):
            return Refusal.POLICY_DUPLICATE_KEY
        self._logs.append(PolicyLog(verifier=verifier, url=next(iter(url), None)))
        return None

    def _take_witness(self, name: str, key: str, url: Sequence[str]) -> Refusal | None:
        verifier = parse_verifier(key)
        if isinstance(verifier, Refused):
            return verifier.code
        if not verifier.type.cosigns:
            return Refusal.POLICY_KEY_TYPE
        if self._is_known(verifier, self._witnesses):
            return Refusal.POLICY_DUPLICATE_KEY
        self._witnesses.append(PolicyWitness(name=name, verifier=verifier, url=next(iter(url), None)))
        return self._define(name)

    def _take_group(self, name: str, threshold: str, members: Sequence[str]) -> Refusal | None:
        if len(set(members)) != len(members) or not self._free.issuperset(members):
            return Refusal.POLICY_MEMBER
        least = {"all": len(members), "any": 1}.get(threshold, parse_decimal(threshold))
        if least is None or not 1 <= least <= len(members):
            return Refusal.POLICY_THRESHOLD
        self._free.difference_update(members)
        self._groups.append(PolicyGroup(name=name, threshold=least, members=tuple(members)))
        return self._define(name)

    def _take_quorum(self, name: str) -> Refusal | None:
        if self._quorums:
            return Refusal.POLICY_QUORUM
        if name != _NONE and name not in self._names:
            return Refusal.POLICY_MEMBER
        self._quorums.append(None if name == _NONE else name)
        return None

    def _is_known(self, verifier: Verifier, peers: Sequence[PolicyLog | PolicyWitness]) -> bool:
        """Tell whether a peer has this key, or anybody one that no signature could tell from it."""
        if any(verifier.public_key == peer.verifier.public_key for peer in peers):
            return True
        logs, witnesses = [one.verifier for one in self._logs], [one.verifier for one in self._witnesses]
        return any((verifier.name, verifier.key_id) == (one.name, one.key_id) for one in logs + witnesses)

    def _define(self, name: str) -> Refusal | None:
        if name == _NONE or name in self._names:
            return Refusal.POLICY_NAME
        self._names.add(name)
        self._free.add(name)
        return None
