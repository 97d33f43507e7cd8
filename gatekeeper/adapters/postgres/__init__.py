"""PostgreSQL: the log and the live state of sites, for the engine (`ledger`) and for those who read (`reading`, `stored_trees`)."""

from gatekeeper.adapters.postgres.connection import connect, migrate_site_database
from gatekeeper.adapters.postgres.leaves import PostgresLeaves
from gatekeeper.adapters.postgres.ledger import LEASE, PostgresLedger
from gatekeeper.adapters.postgres.reading import PostgresReading
from gatekeeper.adapters.postgres.stored_trees import PostgresStoredTrees

__all__ = [
    "LEASE",
    "PostgresLeaves",
    "PostgresLedger",
    "PostgresReading",
    "PostgresStoredTrees",
    "connect",
    "migrate_site_database",
]
