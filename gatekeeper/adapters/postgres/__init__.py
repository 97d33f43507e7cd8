"""PostgreSQL: the log and the live state of sites, for the engine (`ledger`) and for those who read (`reading`)."""

from gatekeeper.adapters.postgres.connection import connect, migrate_site_database
from gatekeeper.adapters.postgres.ledger import LEASE, PostgresLedger
from gatekeeper.adapters.postgres.reading import PostgresReading, TimestampRow

__all__ = ["LEASE", "PostgresLedger", "PostgresReading", "TimestampRow", "connect", "migrate_site_database"]
