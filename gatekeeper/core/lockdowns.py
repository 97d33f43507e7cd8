"""Which doors are to be locked down, and which gates have said that they are: a fold over the entries of the log.

    lockdown.changed            who locked a scope down, or released it
    gate.hello                  a gate started: it has forgotten its lockdowns
    gate.status locked_down,    what a gate says that a command made of it, or of one of its doors
      released

The same fold is the engine's, which repeats a command until the gate has said so, and of whoever asks which gates have.
What a gate says comes in its boot's stream, or through its journal, which outlives boots: of the journal that its hello
names, what was written before the hello was said before the start; a journal that nobody knew at the hello was begun after.

INVARIANT: nothing is ordered in the name of nobody: a gate is released on a word that released one of its scopes, and
locked down on one that locked one down. A lockdown whose entry has expired still stands: it keeps its gates from being
released, and whoever says it again has them told.

It orders nothing itself, and no decision depends on it: the service grants nobody in a lockdown, whatever a gate says.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
    word: Word | None
    """None when the log holds no such word (any more)."""
    confirmed_at: datetime | None


@dataclass(slots=True)
class Lockdowns:
    """The words on all scopes, and what the gates said."""

    words: dict[str, Word] = field(default_factory=dict)
    wordless: set[str] = field(default_factory=set)
    """The scopes that are locked down by a word which the log does not hold any more."""
    boots: dict[GateId, list[str]] = field(default_factory=dict)
    journals: dict[GateId, dict[str, int | None]] = field(default_factory=dict)
    """How far each journal was written at the last hello; None for one that says nothing any more."""
    said: dict[GateId, dict[AccessPointId | None, Confirmed]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, site: SiteId, rows: Iterable[tuple[int, datetime, bytes]], *, standing: Collection[str]
    ) -> "Lockdowns":
        """Fold the bodies of entries, in order; one that is not in the spelling of an entry says nothing.

        `standing` are the scopes that are locked down after the last of them, by whatever entry.
        """
        found = cls()
        for seq, at, body in rows:
            entry = read_body(body, site=site, seq=seq)
            if entry is not None:
                found.learn(entry["kind"], entry, seq=seq, at=at)
        found.wordless = {
            scope for scope in standing if scope not in found.words or not found.words[scope].on
        }
        return found

    def learn(self, kind: str, fields: Mapping[str, Any], *, seq: int, at: datetime) -> bool:
        """Take an entry, in the order of the log; whether it says anything of lockdowns."""
        match kind, fields:
            case Kind.LOCKDOWN_CHANGED, {"scope": str(scope), "on": bool(on), "author": str(author)}:
                second = fields.get("approved_by")
                agreed = OperatorId(second) if isinstance(second, str) else None
                self.wordless.discard(scope)
                self.words[scope] = Word(on=on, seq=seq, at=at, author=OperatorId(author), second=agreed)
            case Kind.GATE_HELLO, {"gate": str(gate), "boot": str(boot)}:
                self._greet(GateId(gate), boot, fields)
            case Kind.GATE_STATUS, {"gate": str(gate), "boot": str(_), "status": str(status)} if (
                status in _SAID
            ):
                if self._is_of_now(GateId(gate), fields):
                    self._hear(GateId(gate), fields.get("access_point"), Confirmed(_SAID[status], at))
            case _:
                return False
        return True

    def _greet(self, gate: GateId, boot: str, fields: Mapping[str, Any]) -> None:
        """A gate has started; a hello of a boot that another has followed comes late, and says nothing."""
        boots = self.boots.setdefault(gate, [])
        if boot in boots[:-1]:
            return
        if boot not in boots:
            boots.append(boot)
        journals = self.journals.setdefault(gate, {})
        journals.update(dict.fromkeys(journals, None))
        match fields:
            case {"journal_id": str(journal), "journal_written": int(written)}:
                journals[journal] = written
            case _:
                pass
        self.said.pop(gate, None)

    def _is_of_now(self, gate: GateId, fields: Mapping[str, Any]) -> bool:
        """Whether a gate says something since its last hello: what was said before the start may come after it."""
        if fields.get("journal") is not True:
            return fields["boot"] in self.boots.get(gate, [fields["boot"]])[-1:]
        match fields.get("sequence"):
            case int(number):
                written = self.journals.setdefault(gate, {}).setdefault(fields["boot"], 0)
                return written is not None and number > written
            case _:
                return False

    def _hear(self, gate: GateId, door: AccessPointId | None, word: Confirmed) -> None:
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
        locked = [point for point in points if self._is_to_be_locked(point)]
        concerned = locked or [point for point in points if self._is_locked(point)]
        words = [self.locks(point) for point in locked] or [self._releases(point) for point in concerned]
        if not concerned:
            return None
        said = [self.confirmed(point) for point in concerned]
        follows = [one.at for one in said if one is not None and one.on is bool(locked)]
        return Standing(
            gate=gate,
            access_points=tuple(point.id for point in concerned),
            is_whole=len(concerned) == len(points),
            on=bool(locked),
            word=max((one for one in words if one is not None), key=lambda one: one.seq, default=None),
            confirmed_at=max(follows) if len(follows) == len(concerned) else None,
        )

    def wishes(self, policy: Policy) -> list[Wish]:
        """What is to be ordered: of every gate whose doors are not what they are to be."""
        gates: dict[GateId, list[Point]] = {}
        for point in policy.points.values():
            gates.setdefault(point.gate, []).append(point)
        return [wish for gate, points in gates.items() for wish in self._of(gate, points)]

    def _of(self, gate: GateId, points: Sequence[Point]) -> Iterator[Wish]:
        missing = [point for point in points if self._is_locked(point) is not self._is_to_be_locked(point)]
        if len({self._is_to_be_locked(point) for point in points}) == 1:
            wishes = [self._wish(gate, None, point) for point in missing]
            yield from [wish for wish in wishes if wish is not None][:1]
        else:
            wishes = [self._wish(gate, point.id, point) for point in missing]
            yield from [wish for wish in wishes if wish is not None]

    def _wish(self, gate: GateId, door: AccessPointId | None, point: Point) -> Wish | None:
        on = self._is_to_be_locked(point)
        word = self.locks(point) if on else self._releases(point)
        return Wish(gate, door, word, on=on) if word is not None else None

    def _releases(self, point: Point) -> Word | None:
        """The latest word that released a scope of an access point; None when none did, as far as the log says."""
        return max(
            (word for scope, word in self.words.items() if not word.on and scope in point.scopes),
            key=lambda word: word.seq,
            default=None,
        )

    def _is_to_be_locked(self, point: Point) -> bool:
        return self.locks(point) is not None or not self.wordless.isdisjoint(point.scopes)

    def _is_locked(self, point: Point) -> bool:
        confirmed = self.confirmed(point)
        return confirmed is not None and confirmed.on
