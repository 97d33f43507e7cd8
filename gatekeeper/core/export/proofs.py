"""The proofs of a bundle, `proofs.json`: from its entries, its own entry and older checkpoints to the checkpoint.

    {"consistency":[{"hashes":[...],"root":"base64","size":N}, ...],"export":[...],"range":[...]}

Only the canonical spelling is read. Whether a proof leads anywhere is for `transparency.proofs` to find.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gatekeeper.core.audit import canonical_json
from gatekeeper.transparency import HASH_SIZE
from gatekeeper.transparency.spelling import decode_base64, encode_base64

__all__ = ["EarlierCheckpoint", "Proofs", "proofs_document", "read_proofs"]

_MOST_HASHES: Final = 128
_MOST_EARLIER: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierCheckpoint:
    """What an auditor may have seen before, and the proof that the checkpoint of the bundle grew from it."""

    size: int
    root: bytes
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """The range proof, the inclusion proof of the export's own entry, and consistency proofs by rising size."""

    range: tuple[bytes, ...]
    export: tuple[bytes, ...]
    consistency: tuple[EarlierCheckpoint, ...] = ()


def proofs_document(proofs: Proofs) -> bytes:
    """The bytes of `proofs.json`."""
    return canonical_json(
        {
            "range": _listed(proofs.range),
            "export": _listed(proofs.export),
            "consistency": [
                {"size": one.size, "root": encode_base64(one.root), "hashes": _listed(one.hashes)}
                for one in proofs.consistency
            ],
        }
    )


def read_proofs(document: bytes) -> Proofs | None:
    """Read `proofs.json`; None for what `proofs_document` has not written."""
    try:
        found = orjson.loads(document)
        proofs = Proofs(
            range=_hashes(found["range"]),
            export=_hashes(found["export"]),
            consistency=tuple(map(_earlier, found["consistency"][:_MOST_EARLIER])),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    sizes = [one.size for one in proofs.consistency]
    if sizes != sorted(set(sizes)) or proofs_document(proofs) != document:
        return None
    return proofs


def _listed(hashes: Sequence[bytes]) -> list[str]:
    return [encode_base64(one) for one in hashes]


def _hashes(found: Any) -> tuple[bytes, ...]:
    if not isinstance(found, list) or len(found) > _MOST_HASHES:
        raise ValueError("no list of hashes")
    return tuple(map(_hash, found))


def _hash(found: Any) -> bytes:
    decoded = decode_base64(found)
    if decoded is None or len(decoded) != HASH_SIZE:
        raise ValueError("no hash")
    return decoded


def _earlier(found: Any) -> EarlierCheckpoint:
    if type(found["size"]) is not int or not 0 < found["size"] < 1 << 63:
        raise ValueError("no size")
    return EarlierCheckpoint(size=found["size"], root=_hash(found["root"]), hashes=_hashes(found["hashes"]))
