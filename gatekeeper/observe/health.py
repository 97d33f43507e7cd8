"""Whether the service lives, and whether it can decide right now."""

from dataclasses import dataclass

__all__ = ["Health"]


@dataclass(slots=True)
class Health:
    """What the parts of the service last said of themselves; read by `/health/ready`."""

    owns_site: bool = False
    broker: bool = False
    database: bool = False

    @property
    def ready(self) -> bool:
        """A scan that arrives now would be decided."""
        return self.owns_site and self.broker and self.database

    def document(self) -> dict[str, bool]:
        """The parts by name."""
        return {"owns_site": self.owns_site, "broker": self.broker, "database": self.database}
