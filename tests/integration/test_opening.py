"""Opening a founded site: it is open or it is not, and what failed half-way can be tried again."""

from pathlib import Path

import pytest

from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.ports import LedgerUnavailableError
from gatekeeper.service.administration.ceremony import Founding, found_site
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.administration.opening import SiteNotOpenedError, open_site
from tests.support.fort import Fort
from tests.support.site_files import NOW, small_site

pytestmark = pytest.mark.integration


def _founding(folder: Path, site: str) -> Founding:
    document = small_site()
    document["site"]["id"] = site
    return found_site(document, SiteFolder(folder / site), now=NOW)


async def test_a_site_whose_opening_failed_half_way_can_be_opened_after_all(
    postgres_server: EmbeddedPostgres, tmp_path: Path, empty_database: str
):
    founding = _founding(tmp_path, "half-open")
    vault = PostgresKeyVault(empty_database)
    await vault.migrate()
    async with Fort.opened(postgres_server) as fort:
        ledger = PostgresLedger(fort.dsn)
        try:
            away = PostgresKeyVault("postgresql://127.0.0.1:1/x")
            with pytest.raises(LedgerUnavailableError):
                await open_site(founding, ledger=ledger, vault=away, now=NOW)
            await ledger.found(founding.anchor.site)
            assert await ledger.claim(founding.anchor.site, owner="one who died") == 1
            await ledger.close()
            assert await open_site(founding, ledger=ledger, vault=vault, now=NOW) > 0
            await ledger.close()
            with pytest.raises(SiteNotOpenedError):
                await open_site(founding, ledger=ledger, vault=vault, now=NOW)
        finally:
            await ledger.close()
