"""The site's database: its connections, and its tables."""

from importlib.resources import files
from pathlib import Path

from gatekeeper.adapters.sql import FAILURES, connect, migrate

__all__ = ["FAILURES", "connect", "migrate_site_database"]


async def migrate_site_database(dsn: str) -> None:
    """Bring the tables of sites and logs to this version. Raises LedgerUnavailableError."""
    await migrate(dsn, migrations=Path(str(files("gatekeeper.adapters.postgres").joinpath("migrations"))))
