"""A badge that is a number and nothing else: what Wiegand wires and OSDP readers tell of a card."""

from dataclasses import dataclass, field

from gatekeeper.model.badges import Card
from gatekeeper.model.messages import ByCard, Credential

__all__ = ["NumberBadge"]


@dataclass(frozen=True, slots=True)
class NumberBadge:
    """A card number, and what was typed with it."""

    card: Card
    pin: str | None = field(default=None, repr=False)

    @property
    def credential(self) -> Credential:
        """The number."""
        return ByCard(self.card)

    async def prove(self, _digest: bytes) -> None:
        """Nothing: a number has no key."""
