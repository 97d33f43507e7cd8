"""The anchor: where trust begins, as it is carried by hand."""

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from gatekeeper.core.trust import Anchor
from tests.support.sites import ground

# -- the anchor -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [1, 2, 3])
def test_an_anchor_is_read_as_it_was_written(threshold: int):
    anchor = replace(ground().anchor, threshold=threshold)
    assert Anchor.from_json(anchor.to_json()) == anchor


@pytest.mark.parametrize(
    "spoilt",
    [
        {"site": "No Name"},
        {"host": ""},
        {"threshold": 0},
        {"threshold": 4},
        {"threshold": "2"},
        {"roots": "one"},
        {"roots": []},
        {"roots": ["no base64!", "b", "c"]},
        {"roots": [b64encode(root).decode() + "!" for root in ground().anchor.roots]},
    ],
)
def test_what_is_no_anchor_is_refused(spoilt: dict[str, Any]):
    document = json.loads(ground().anchor.to_json())
    with pytest.raises(ValueError):
        Anchor.from_json(json.dumps({**document, **spoilt}))


def test_one_root_written_three_times_is_one_root():
    document = json.loads(ground().anchor.to_json())
    document["roots"] = document["roots"][:1] * 3
    with pytest.raises(ValueError, match="no trust anchor"):
        Anchor.from_json(json.dumps(document))
