"""The origins of a site's trees, and back."""

import pytest

from gatekeeper.model.ids import SiteId
from gatekeeper.model.trees import SITE_TREE, checkpoint_origin, tree_of

FORT = SiteId("fort")


@pytest.mark.parametrize("tree", [SITE_TREE, "tenant:school", "tenant:site"])
def test_a_tree_is_found_by_its_origin(tree: str):
    assert tree_of(FORT, checkpoint_origin(FORT, tree)) == tree


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "gatekeeper/fort",
        "gatekeeper/castle/site",
        "gatekeeper/castle/tenant/school",
        "gatekeeper/fort/school",
        "gatekeeper/fort/tenant",
        "gatekeeper/fort/tenant/",
        "gatekeeper/fort/tenant/school/more",
        "gatekeeper/fort/tenant/../site",
        "gatekeeper/fort/site/more",
    ],
)
def test_what_is_no_origin_of_a_site_has_no_tree(origin: str):
    assert tree_of(FORT, origin) is None
