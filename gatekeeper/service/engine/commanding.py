"""The engine's commands to gates: signed for the boot a gate is in, published after their entries are committed.

What opens or starts anew is sent once: an engine that ends between the commit and that has moved nothing, and the log shows
no word of the gate that it obeyed. A lockdown, and its release, is repeated to every gate that has not said that it follows
it, less and less often, and at once when a gate says hello or the broker comes back: commands are QoS 0, and a gate forgets
its lockdowns when it starts.

INVARIANT: it learns only what was committed (`learn`), so no gate is released before the log says so.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from gatekeeper import cose
from gatekeeper.core.audit import Draft, Kind
from gatekeeper.core.commands import Errand, Order, SignedCommand, Unsent, sign_command
from gatekeeper.core.lockdowns import Lockdowns, Wish
from gatekeeper.model.ids import BootId, GateId, SiteId
from gatekeeper.model.messages import CommandKind
from gatekeeper.model.policy import Policy
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import Clock, Transport

__all__ = ["Commanding"]

_FIRST_PATIENCE: Final = timedelta(seconds=2)
_LAST_PATIENCE: Final = timedelta(seconds=60)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)

_log = structlog.get_logger("gatekeeper.commands")


class Commanding:
    """The commands of one engine. `boot_of` says which boot of a gate the site has heard of last."""

    def __init__(
        self,
        *,
        site: SiteId,
        key: cose.SigningKey,
        prefix: str,
        transport: Transport,
        clock: Clock,
        boot_of: Callable[[GateId], BootId | None],
    ) -> None:
        self._site = site
        self._key = key
        self._prefix = prefix
        self._transport = transport
        self._clock = clock
        self._boot_of = boot_of
        # Read back from the log by who takes the site over.
        self._lockdowns = Lockdowns()
        self._policy: Policy | None = None
        self._wishes: dict[GateId, list[Wish]] = {}

        # Lost with the engine: its successor goes on with the time (`sign`), and orders what is due at once.
        self._sequence = 0
        self._tried: dict[GateId, tuple[datetime, timedelta]] = {}
        self._due = asyncio.Event()

    def begin(self, lockdowns: Lockdowns, policy: Policy) -> None:
        """Go on from what the log says so far."""
        self._lockdowns, self._policy = lockdowns, policy
        self._wishes = self._wishes_under(policy)
        self._due.set()

    def learn(self, drafts: Iterable[Draft], policy: Policy) -> None:
        """Take entries that are committed, and the policy they were made under."""
        # Each is learnt, whichever says something first.
        news = [
            draft
            for draft in drafts
            if self._lockdowns.learn(draft.kind, draft.public, seq=draft.seq, at=draft.at)
        ]
        if not news and policy is self._policy:
            return
        before = self._wishes
        self._policy, self._wishes = policy, self._wishes_under(policy)
        started = {draft.public["gate"] for draft in news if draft.kind is Kind.GATE_HELLO}
        # What a gate says and changes nothing makes nobody tell it sooner: it answers commands, and would be told without end.
        for gate in list(self._tried):
            if gate in started or self._wishes.get(gate) != before.get(gate):
                del self._tried[gate]
        self._due.set()

    def link_up(self) -> None:
        """The broker is there again: gates that were away with it are asked at once."""
        self._tried.clear()
        self._due.set()

    def sign(self, order: Order, *, now: datetime) -> SignedCommand:
        """Sign an order that is being committed; it is not to be given before that."""
        # INVARIANT: it rises within a boot over engines, too, as far as their clocks agree: one that is behind is not obeyed
        # for as long as it is.
        self._sequence = max(self._sequence + 1, (now - _EPOCH) // timedelta(milliseconds=1))
        return sign_command(
            order, sequence=self._sequence, issued=now, site=self._site, key=self._key, prefix=self._prefix
        )

    def give(self, command: SignedCommand) -> Unsent | None:
        """Publish a command whose entry is committed, unless that took too long; why it was not sent, or None."""
        errand, unsent = command.order.errand, None
        if self._clock.now() >= command.until:
            unsent = Unsent.LATE
        elif not self._transport.publish(command.topic, command.wire):
            unsent = Unsent.BROKER_AWAY
        sent = unsent is None
        metrics.command(errand.kind.name.lower(), "sent" if sent else "dropped").inc()
        _log.info(
            "command",
            gate=errand.gate,
            access_point=errand.access_point,
            kind=errand.kind.name.lower(),
            seq=command.order.entry,
            sent=sent,
        )
        return unsent

    async def run(self) -> None:
        """Repeat lockdowns and releases until cancelled."""
        while True:
            patience = self._ask_again()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._due.wait()
            self._due.clear()

    def _ask_again(self) -> float | None:
        """Order what is due, and say in how many seconds to look again; None when nothing waits."""
        now, waits = self._clock.now(), []
        for gate, wanted in self._wishes.items():
            boot = self._boot_of(gate)
            if boot is None:
                continue  # it is told when it says hello
            due, patience = self._tried.get(gate, (now, _FIRST_PATIENCE))
            if due <= now:
                for wish in wanted:
                    self.give(self.sign(_ordered(wish, boot), now=now))
                due = now + patience
                self._tried[gate] = (due, min(2 * patience, _LAST_PATIENCE))
            waits.append((due - now).total_seconds())
        return min(waits, default=None)

    def _wishes_under(self, policy: Policy) -> dict[GateId, list[Wish]]:
        found: dict[GateId, list[Wish]] = {}
        for wish in self._lockdowns.wishes(policy):
            found.setdefault(wish.gate, []).append(wish)
        return found


def _ordered(wish: Wish, boot: BootId) -> Order:
    kind = CommandKind.LOCK_DOWN if wish.on else CommandKind.RELEASE
    return Order(
        errand=Errand(gate=wish.gate, boot=boot, kind=kind, access_point=wish.access_point),
        operator=wish.word.author,
        second=wish.word.second,
        entry=wish.word.seq,
    )
