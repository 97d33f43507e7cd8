"""The proof vectors of transparency-dev/merkle: what they refuse, we refuse; what they believe, we believe."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.transparency import verify_consistency, verify_inclusion

VECTORS = os.environ.get("GATEKEEPER_VECTORS")
_EACH = 98


def _cases(kind: str) -> list[object]:
    if VECTORS is None:
        return [pytest.param(None, marks=pytest.mark.skip(reason="GATEKEEPER_VECTORS is not set"))]
    folder = Path(VECTORS) / "merkle" / kind
    files = sorted(folder.rglob("*.json"))
    if len(files) != _EACH:
        raise FileNotFoundError(f"Below {folder} are {len(files)} vectors, not {_EACH}.")
    return [pytest.param(json.loads(file.read_text()), id=str(file.relative_to(folder))) for file in files]


@pytest.mark.parametrize("case", _cases("inclusion"))
def test_inclusion_proofs_are_judged_as_the_vectors_judge_them(case: dict[str, Any]):
    refused = verify_inclusion(
        index=case["leafIdx"],
        size=case["treeSize"],
        leaf=_bytes(case["leafHash"]),
        proof=[_bytes(sibling) for sibling in case["proof"] or []],
        root=_bytes(case["root"]),
    )
    assert (refused is not None) == case["wantErr"], case["desc"]


@pytest.mark.parametrize("case", _cases("consistency"))
def test_consistency_proofs_are_judged_as_the_vectors_judge_them(case: dict[str, Any]):
    refused = verify_consistency(
        old_size=case["size1"],
        new_size=case["size2"],
        old_root=_bytes(case["root1"]),
        new_root=_bytes(case["root2"]),
        proof=[_bytes(sibling) for sibling in case["proof"] or []],
    )
    assert (refused is not None) == case["wantErr"], case["desc"]


def _bytes(encoded: str | None) -> bytes:
    return base64.b64decode(encoded or "")
