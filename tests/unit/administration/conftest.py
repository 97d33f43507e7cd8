"""Sites founded for real, with keys made for this run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.service.administration.ceremony import found_site
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.administration.trust_list import read_current_trust
from tests.support.site_files import NOW, Site, example_site, small_site


def _found(document: Mapping[str, Any], root: Path) -> Site:
    folder = SiteFolder(root)
    founding = found_site(document, folder, now=NOW)
    return Site(folder, founding, read_current_trust(folder))


@pytest.fixture
def fort(tmp_path: Path) -> Site:
    """A small site of the test's own."""
    return _found(small_site(), tmp_path / "fort")


@pytest.fixture(scope="session")
def standing_fort(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A small site to read and not to touch."""
    return _found(small_site(), tmp_path_factory.mktemp("standing") / "fort")


@pytest.fixture(scope="session")
def barracks(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The example site, to read and not to touch."""
    return _found(example_site(), tmp_path_factory.mktemp("example") / "barracks")
