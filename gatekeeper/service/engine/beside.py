"""What goes on beside an engine while it owns its site, and what the engine offers to it.

It is begun once the site is taken over and cancelled when the site is lost. It never waits in the way of a scan: what it
has to say for the log the engine commits between two batches.
"""

from typing import Protocol

from gatekeeper.core.audit import Draft
from gatekeeper.core.flow import Flow

__all__ = ["Beside", "Owner"]


class Owner(Protocol):
    """An engine that owns its site."""

    @property
    def flow(self) -> Flow:
        """The state of the site, to look at."""
        ...

    @property
    def size(self) -> int:
        """How many entries the log holds for certain."""
        ...

    async def beyond(self, size: int) -> int:
        """Wait until the log holds more than so many entries, for certain; how many it holds."""
        ...

    async def record(self, draft: Draft) -> None:
        """Write an entry of the service's own; its place is given by the engine. Returns when it is committed."""
        ...


class Beside(Protocol):
    """Work beside an engine."""

    async def run(self, owner: Owner) -> None:
        """Go on until cancelled."""
        ...
