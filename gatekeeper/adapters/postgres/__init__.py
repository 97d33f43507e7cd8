"""PostgreSQL: the log and the live state of sites, for the engine (`ledger`) and for those who read (`reading`, `stored_trees`)."""

from gatekeeper.adapters.postgres.connection import connect, migrate_site_database, told_as_unavailable
from gatekeeper.adapters.postgres.leaves import PostgresLeaves
from gatekeeper.adapters.postgres.ledger import LEASE, PostgresLedger
from gatekeeper.adapters.postgres.mending import PostgresMending, SiteOwnedError
from gatekeeper.adapters.postgres.reading import PostgresReading, TimestampRow
from gatekeeper.adapters.postgres.stored_trees import PostgresStoredTrees

__all__ = [
    "LEASE",
    "PostgresLeaves",
    "PostgresLedger",
    "PostgresMending",
    "PostgresReading",
    "PostgresStoredTrees",
    "SiteOwnedError",
    "TimestampRow",
    "connect",
    "migrate_site_database",
    "told_as_unavailable",
]
