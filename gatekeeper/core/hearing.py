"""Which gates are there: a fold over what they say of their links, and over time (EN 60839-11-1: a lost channel is reported).

    never ---> up ---------------> awaited ---------------> silent          up again, from any of them, on a sign of life
                  its link is lost,         it was not heard
                  or no word in time        within its time

A sign of life is a link message whose beacon still counts: the gate was there within the last three beacons, however the
message came. So the broker can hide a gate, which is told then, and cannot make one seem to be there that is not. A gate
repeats it once a minute; three minutes without one, or thirty seconds after the broker said its will, it is silent.

INVARIANT: a silence is told once, and its end once, over any takeover: the log is asked what was told last.
INVARIANT: nothing is decided by it. A gate that was never heard is not silent: it may not know of this channel.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gatekeeper import cose
from gatekeeper.core.audit import Draft, Kind, read_body, timestamp
from gatekeeper.core.scan import Rejected
from gatekeeper.core.trust import KeyState, Trust, Use
from gatekeeper.model.ids import BootId, GateId, SiteId
from gatekeeper.model.messages import LINK_PERIOD, LINK_TYPE, MAX_MESSAGE_BYTES, Link, MessageMalformed
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import Channel, read_gate_topic

__all__ = [
    "GRACE",
    "PATIENCE",
    "SILENT_ALARM",
    "Heard",
    "Hearing",
    "LinkState",
    "draft_of_hearing",
    "read_link",
    "told_silent",
]

GRACE: Final = timedelta(seconds=30)
"""How long a gate may be away whose link is known to be lost: it reconnects after a restart, or another certificate."""
PATIENCE: Final = 3 * LINK_PERIOD
"""How long a gate may say nothing whose link is not known to be lost."""
SILENT_ALARM: Final = "gate-silent"


class LinkState(StrEnum):
    """What is known of a gate's link."""

    NEVER = "never"
    UP = "up"
    AWAITED = "awaited"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is known of one gate: its state and since when, its last sign of life, and the snapshot it said it holds (SHA-256)."""

    state: LinkState = LinkState.NEVER
    since: datetime | None = None
    heard_at: datetime | None = None
    snapshot: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """And what only this engine needs: by when it must have been heard, and the connection that said last that it is up."""

    heard: Heard
    expected_by: datetime | None = None
    connection: tuple[BootId, int] | None = None


def read_link(topic: str, wire: bytes, *, trust: Trust, prefix: str) -> tuple[GateId, Link] | Rejected:
    """Believe bytes to be a gate's word on its link, or say why not."""
    at = read_gate_topic(topic, prefix=prefix)
    if at is None or at.site != trust.site or at.channel is not Channel.LINK:
        return Rejected(MessageRefusal.TOPIC, "", None)
    if len(wire) > MAX_MESSAGE_BYTES:
        return Rejected(MessageRefusal.OVERSIZED, f"{len(wire)} bytes", at.gate)
    listed = trust.listing.gates.get(at.gate)
    if listed is None:
        return Rejected(MessageRefusal.UNKNOWN_GATE, "", at.gate)
    if listed.state is KeyState.REVOKED:
        return Rejected(MessageRefusal.GATE_REVOKED, "", at.gate)
    verified = cose.verify(wire, keys=trust.gates, typ=LINK_TYPE, use=Use.GATE, external_aad=topic.encode())
    if isinstance(verified, cose.Refused):
        return Rejected(verified.code, verified.detail, at.gate)
    # INVARIANT: the gate of the topic is the gate of the key.
    if verified.key.owner != at.gate:
        return Rejected(MessageRefusal.FOREIGN_GATE, "", at.gate)
    link = Link.read(verified.payload)
    if isinstance(link, MessageMalformed):
        return Rejected(MessageRefusal.MALFORMED, link.detail, at.gate)
    return at.gate, link


def told_silent(
    site: SiteId, rows: Iterable[tuple[int, datetime, bytes]]
) -> Mapping[GateId, datetime | None]:
    """What the log told last of each gate: since when it is silent, or None that it is heard again. `rows` are in order."""
    told: dict[GateId, datetime | None] = {}
    for seq, at, body in rows:
        match read_body(body, site=site, seq=seq):
            case {"kind": Kind.GATE_SILENT, "gate": str(gate)}:
                told[GateId(gate)] = at
            case {"kind": Kind.GATE_HEARD, "gate": str(gate)}:
                told[GateId(gate)] = None
            case _:
                pass
    return told


class Hearing:
    """What is known of the gates of one site that are believed."""

    def __init__(self) -> None:
        self._known: dict[GateId, _Known] = {}
        self._linked = False
        self._deaf_since: datetime | None = None
        self._ended: dict[GateId, Heard] = {}
        """Silences that have ended, and are not told yet."""

    @classmethod
    def of(
        cls, heard: Mapping[GateId, Heard], told: Mapping[GateId, datetime | None], *, now: datetime
    ) -> "Hearing":
        """Go on from what a former engine knew, and what the log told last. Who was there has to show it anew."""
        found = cls()
        found._deaf_since = now
        for gate, one in heard.items():
            silent_since = told.get(gate, one.since if one.state is LinkState.SILENT else None)
            if one.state is LinkState.NEVER:
                found._known[gate] = _Known(heard=one)
            elif silent_since is not None:
                state = replace(one, state=LinkState.SILENT, since=silent_since)
                found._known[gate] = _Known(heard=state)
            elif one.state is LinkState.SILENT:
                state = replace(one, state=LinkState.AWAITED, since=now)
                found._known[gate] = _Known(heard=state, expected_by=now + PATIENCE)
            else:
                found._known[gate] = _Known(heard=one, expected_by=now + PATIENCE)
        return found

    def adopt(self, trust: Trust) -> None:
        """Know of those gates that the trust list has and does not revoke; of all others nothing is known any more."""
        gates = {gate for gate, key in trust.listing.gates.items() if key.state is not KeyState.REVOKED}
        self._known = {gate: self._known.get(gate, _Known(heard=Heard())) for gate in sorted(gates)}
        self._ended = {gate: one for gate, one in self._ended.items() if gate in gates}

    @property
    def gates(self) -> Mapping[GateId, Heard]:
        """What is known of each gate."""
        return {gate: known.heard for gate, known in self._known.items()}

    @property
    def silent(self) -> Collection[GateId]:
        """Who is silent."""
        return [gate for gate, known in self._known.items() if known.heard.state is LinkState.SILENT]

    # -- what happens -------------------------------------------------------------------------------------------------

    def linked(self, *, now: datetime) -> None:
        """The broker is there (again): as long as it was gone nobody could be heard, and so much more time everybody gets."""
        # INVARIANT: no more than that: who breaks the link again and again would else hide a silence for ever.
        deaf = timedelta() if self._deaf_since is None else now - self._deaf_since
        self._linked, self._deaf_since = True, None
        for gate, known in self._known.items():
            if known.expected_by is not None:
                self._known[gate] = replace(known, expected_by=known.expected_by + deaf)

    def unlinked(self, *, now: datetime) -> None:
        """The broker is gone, and nobody can be heard: that is no silence of theirs."""
        self._linked = False
        self._deaf_since = self._deaf_since or now

    def hear(self, gate: GateId, link: Link, *, counted: Collection[bytes], now: datetime) -> None:
        """Take what a gate says of its link, or its will. `counted` are the beacons that count now."""
        known = self._known.get(gate)
        if known is None:
            return
        if not link.up:
            self._known[gate] = _lost(known, link, now=now)
        elif link.beacon in counted:
            if known.heard.state is LinkState.SILENT:
                self._ended[gate] = known.heard
            self._known[gate] = _alive(known, link, now=now)
        else:
            self._known[gate] = _retained(known, link, now=now)

    def fall_silent(self, *, now: datetime) -> Iterator[tuple[GateId, Heard]]:
        """Those who were not heard in their time, once: they are silent from now on."""
        if not self._linked:
            return
        for gate, known in list(self._known.items()):
            if known.expected_by is not None and known.expected_by <= now:
                silent = replace(known.heard, state=LinkState.SILENT, since=now)
                self._known[gate] = replace(known, heard=silent, expected_by=None)
                yield gate, silent

    def speak_again(self) -> Iterator[tuple[GateId, Heard]]:
        """Those who were silent and are heard again, once, with what was known of them while they were silent."""
        ended, self._ended = self._ended, {}
        yield from ended.items()

    @property
    def next_due(self) -> datetime | None:
        """When somebody falls silent who is not heard, next; None when nobody does."""
        due = [known.expected_by for known in self._known.values() if known.expected_by is not None]
        return min(due, default=None) if self._linked else None


def _alive(known: _Known, link: Link, *, now: datetime) -> _Known:
    goes_on = known.heard.state is LinkState.UP
    heard = Heard(
        state=LinkState.UP,
        since=known.heard.since if goes_on else now,
        heard_at=now,
        snapshot=link.snapshot,
    )
    return _Known(heard=heard, expected_by=now + PATIENCE, connection=(link.boot, link.connection))


def _retained(known: _Known, link: Link, *, now: datetime) -> _Known:
    """It said once that it was up, of which this tells no more than that there is such a gate."""
    if known.connection is not None or known.heard.state is not LinkState.NEVER:
        return known
    heard = Heard(state=LinkState.AWAITED, since=now, snapshot=link.snapshot)
    return _Known(heard=heard, expected_by=now + PATIENCE)


def _lost(known: _Known, link: Link, *, now: datetime) -> _Known:
    """Its link is lost, unless it was another than the one that was heard last: of that the will comes late."""
    if known.connection not in {None, (link.boot, link.connection)}:
        return known
    match known.heard.state:
        case LinkState.NEVER | LinkState.UP:
            heard = replace(known.heard, state=LinkState.AWAITED, since=now)
            return replace(known, heard=heard, expected_by=now + GRACE)
        case LinkState.AWAITED if known.expected_by is not None:
            return replace(known, expected_by=min(known.expected_by, now + GRACE))
        case _:
            return known


def draft_of_hearing(kind: Kind, gate: GateId, heard: Heard, *, at: datetime, seq: int = 0) -> Draft:
    """A gate has fallen silent, or is heard again; `heard` is what was known of it while it was silent."""
    public: dict[str, object] = {"gate": gate}
    if heard.heard_at is not None:
        public["last_heard"] = timestamp(heard.heard_at)
    if kind is Kind.GATE_SILENT:
        public["alarm"] = True
    return Draft(kind=kind, at=at, seq=seq, tenants=(), public=public, person=None, personal=None)
