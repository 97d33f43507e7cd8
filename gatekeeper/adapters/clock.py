"""The clock of the machine."""

from datetime import UTC, datetime

__all__ = ["SystemClock"]


class SystemClock:
    """The time of day as the operating system keeps it."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        return datetime.now(UTC)
