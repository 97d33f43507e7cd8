"""Whether the service lives, and whether it can decide right now."""

from dataclasses import dataclass

import structlog

__all__ = ["Health"]

_log = structlog.get_logger("gatekeeper.health")


@dataclass(slots=True)
class Health:
    """What the parts of the service last said of themselves; read by `/health/ready`."""

    owns_site: bool = False
    broker: bool = False
    database: bool = False
    _lost: bool = False

    @property
    def ready(self) -> bool:
        """A scan that arrives now would be decided."""
        return self.owns_site and self.broker and self.database

    def document(self) -> dict[str, bool]:
        """The parts by name."""
        return {"owns_site": self.owns_site, "broker": self.broker, "database": self.database}

    def database_answered(self) -> None:
        """The database is there; said in the log when it was away."""
        self.database = True
        if self._lost:
            self._lost = False
            _log.info("the database answers again")

    def database_is_away(self) -> None:
        """The database did not answer; said in the log once."""
        self.database = False
        if not self._lost:
            self._lost = True
            _log.warning("the database does not answer")
