"""A site's folder with an authority, and nothing else in it."""

from pathlib import Path

import pytest

from gatekeeper.service.administration.folder import ANCHOR, SiteFolder
from gatekeeper.service.identity.authority_files import found_authority
from tests.support.sites import NOON, SITE, ground


@pytest.fixture
def folder(tmp_path: Path) -> SiteFolder:
    made = SiteFolder(tmp_path / "site")
    made.write(ANCHOR, ground().anchor.to_json().encode())
    found_authority(made, site=SITE, prefix="gk", now=NOON)
    return made
