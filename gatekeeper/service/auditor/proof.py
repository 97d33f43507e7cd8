"""The proof of one entry, checked offline: that the entry is where it says in the log that it says, and who vouches for that."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.service.auditor.findings import CannotCheckError
from gatekeeper.transparency import (
    Policy,
    Refused,
    TlogProof,
    VerifiedSignature,
    Verifier,
    leaf_hash,
    parse_tlog_proof,
    read_checkpoint,
    verify_tlog_proof,
)

__all__ = ["Proven", "check_proof"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a proof proves: an entry of a site, its place in a log, the checkpoint, and who cosigned when."""

    site: str
    seq: int
    origin: str
    index: int
    size: int
    root: bytes
    witnesses: tuple[VerifiedSignature, ...]


def check_proof(
    proof: bytes, entry: bytes, *, logs: Sequence[Verifier], policy: Policy | None
) -> Proven | str:
    """Check the bytes of a proof against the bytes of an entry; a sentence says what is wrong.

    Raises CannotCheckError when nobody is named whose word would count.
    """
    read = parse_tlog_proof(proof)
    if isinstance(read, Refused):
        return read.code.sentence
    if not logs and (policy is None or not policy.logs):
        raise CannotCheckError("No key of the log is given: --key, or a --policy that names it.")
    named = [_renamed(log, read) for log in logs]
    opened = verify_tlog_proof(read, leaf=leaf_hash(entry), logs=named, policy=policy)
    if isinstance(opened, Refused):
        return opened.code.sentence
    body = _body(entry)
    if body is None or not _is_of(body, opened.checkpoint.origin, read.index):
        return "The entry says that it is elsewhere than where it is proven to be."
    return Proven(
        site=body["site"],
        seq=body["seq"],
        origin=opened.checkpoint.origin,
        index=read.index,
        size=opened.checkpoint.size,
        root=opened.checkpoint.root,
        witnesses=tuple(opened.cosignatures),
    )


def _renamed(log: Verifier, proof: TlogProof) -> Verifier:
    """A log's key under the name of the proof's log, if that is of the same site: one key signs all its trees."""
    checkpoint = read_checkpoint(proof.checkpoint)
    if isinstance(checkpoint, Refused) or _site(checkpoint.origin) != _site(log.name):
        return log
    return replace(log, name=checkpoint.origin)


def _site(origin: str) -> list[str]:
    return origin.split("/")[:2]


def _body(entry: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(entry)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and isinstance(body.get("trees"), dict) else None


def _is_of(body: dict[str, Any], origin: str, index: int) -> bool:
    """Whether an entry names this place in this log, and its own in the site's."""
    site, trees = body.get("site"), body["trees"]
    named = {f"gatekeeper/{site}/{str(tree).replace(':', '/')}": place for tree, place in trees.items()}
    places = (named.get(origin), trees.get(SITE_TREE), body.get("seq"))
    return all(type(place) is int for place in places) and places[0] == index and places[1] == places[2]
