"""Which doors are to be locked down, and which gates have said that they are: a fold over the entries of the log.

    lockdown.changed            who locked a scope down, or released it
    gate.hello                  a gate started: it has forgotten its lockdowns
    gate.status locked_down,    what a gate says that a command made of it, or of one of its doors
      released

The same fold is the engine's, which repeats a command until the gate has said so, and of whoever asks which gates have.
It orders nothing itself, and no decision depends on it: the service grants nobody in a lockdown, whatever a gate says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gatekeeper.core.audit import Kind, read_body
from gatekeeper.model.ids import AccessPointId, GateId, OperatorId, SiteId
from gatekeeper.model.policy import Point, Policy

__all__ = ["Confirmed", "Lockdowns", "Standing", "Wish", "Word"]

_SAID = {"locked_down": True, "released": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """The last word on a scope: whether it is locked down, who said so, and who agreed."""

    on: bool
    seq: int
    at: datetime
    author: OperatorId
    second: OperatorId | None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a gate says of itself or of a door, in the boot that it said hello in last."""

    on: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Wish:
    """What is still to be ordered of a gate (None: of all its doors), and on whose word."""

    gate: GateId
    access_point: AccessPointId | None
    word: Word
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a gate is with what was ordered last of some of its access points, or all; None: it has not said so yet."""

    gate: GateId
    access_points: tuple[AccessPointId, ...]
    is_whole: bool
    on: bool
    word: Word
    confirmed_at: datetime | None


@dataclass(slots=True)
class Lockdowns:
    """The words on all scopes, and what the gates said."""

    words: dict[str, Word] = field(default_factory=dict)
    boots: dict[GateId, str] = field(default_factory=dict)
    said: dict[GateId, dict[AccessPointId | None, Confirmed]] = field(default_factory=dict)

    @classmethod
    def of(cls, site: SiteId, rows: Iterable[tuple[int, datetime, bytes]]) -> "Lockdowns":
        """Fold the bodies of entries, in order; one that is not in the spelling of an entry says nothing."""
        found = cls()
        for seq, at, body in rows:
            entry = read_body(body, site=site, seq=seq)
            if entry is not None:
                found.learn(entry["kind"], entry, seq=seq, at=at)
        return found

    def learn(self, kind: str, fields: Mapping[str, Any], *, seq: int, at: datetime) -> bool:
        """Take an entry, in the order of the log; whether it says anything of lockdowns."""
        match kind, fields:
            case Kind.LOCKDOWN_CHANGED, {"scope": str(scope), "on": bool(on), "author": str(author)}:
                second = fields.get("approved_by")
                agreed = OperatorId(second) if isinstance(second, str) else None
                self.words[scope] = Word(on=on, seq=seq, at=at, author=OperatorId(author), second=agreed)
            case Kind.GATE_HELLO, {"gate": str(gate), "boot": str(boot)}:
                self.boots[GateId(gate)] = boot
                self.said.pop(GateId(gate), None)
            case Kind.GATE_STATUS, {"gate": str(gate), "boot": str(boot), "status": str(status)} if (
                status in _SAID
            ):
                self._hear(GateId(gate), boot, fields.get("access_point"), Confirmed(_SAID[status], at))
            case _:
                return False
        return True

    def _hear(self, gate: GateId, boot: str, door: AccessPointId | None, word: Confirmed) -> None:
        """What was said before the last start may come after it, and says nothing any more."""
        if self.boots.get(gate, boot) != boot:
            return
        said = self.said.setdefault(gate, {})
        if door is None:
            said.clear()
        said[door] = word

    def confirmed(self, point: Point) -> Confirmed | None:
        """What the gate of an access point said of it last; None when it said nothing since it started."""
        said = self.said.get(point.gate, {})
        return said.get(point.id) or said.get(None)

    def locks(self, point: Point) -> Word | None:
        """The latest word by which an access point is to be locked down; None when it is not."""
        return max(
            (word for scope, word in self.words.items() if word.on and scope in point.scopes),
            key=lambda word: word.seq,
            default=None,
        )

    def standings(self, policy: Policy) -> list[Standing]:
        """Of every gate that is to be locked down, or has not said yet that it is released: how far it is."""
        gates: dict[GateId, list[Point]] = {}
        for point in policy.points.values():
            gates.setdefault(point.gate, []).append(point)
        found = [self._standing(gate, points) for gate, points in sorted(gates.items())]
        return [one for one in found if one is not None]

    def _standing(self, gate: GateId, points: Sequence[Point]) -> Standing | None:
        locked = [(point, word) for point in points if (word := self.locks(point)) is not None]
        concerned = [point for point, _ in locked] or [point for point in points if self._is_locked(point)]
        if not concerned:
            return None
        word = max((word for _, word in locked), key=lambda one: one.seq, default=None)
        word = word or self._wish(gate, None, concerned[0], None).word
        said = [self.confirmed(point) for point in concerned]
        follows = [one.at for one in said if one is not None and one.on is bool(locked)]
        return Standing(
            gate=gate,
            access_points=tuple(point.id for point in concerned),
            is_whole=len(concerned) == len(points),
            on=bool(locked),
            word=word,
            confirmed_at=max(follows) if len(follows) == len(concerned) else None,
        )

    def wishes(self, policy: Policy) -> list[Wish]:
        """What is to be ordered: of every gate whose doors are not what they are to be."""
        gates: dict[GateId, list[Point]] = {}
        for point in policy.points.values():
            gates.setdefault(point.gate, []).append(point)
        return [wish for gate, points in gates.items() for wish in self._of(gate, points)]

    def _of(self, gate: GateId, points: Iterable[Point]) -> Iterator[Wish]:
        wanted = [(point, self.locks(point)) for point in points]
        missing = [
            (point, word) for point, word in wanted if self._is_locked(point) is not (word is not None)
        ]
        if not missing:
            return
        if len({word is not None for _, word in wanted}) == 1:
            yield self._wish(gate, None, *missing[0])
        else:
            yield from (self._wish(gate, point.id, point, word) for point, word in missing)

    def _wish(self, gate: GateId, door: AccessPointId | None, point: Point, word: Word | None) -> Wish:
        if word is not None:
            return Wish(gate, door, word, on=True)
        # Locked down, and to be so no more: on the last word that released one of its scopes, else on the last word.
        over = [one for scope, one in self.words.items() if scope in point.scopes and not one.on]
        last = max(over or self.words.values(), key=lambda one: one.seq)
        return Wish(gate, door, last, on=False)

    def _is_locked(self, point: Point) -> bool:
        confirmed = self.confirmed(point)
        return confirmed is not None and confirmed.on
