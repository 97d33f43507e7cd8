"""Whenever the power goes, a gate knows afterwards no more than it knew before, and decides no longer; and no less, once all was written.

What comes is drawn: snapshots and standings that name this one, the next or none, in any order and as late as they like. The disk is
`PolicyFiles`' own order of writing, cut off after any file.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from hypothesis import event, given, settings
from hypothesis import strategies as st

from devices.core.belief import Ignored
from devices.core.events import KeepPolicy, PolicyFile, SnapshotReceived, StandingReceived
from devices.core.standby import Held, Standby
from devices.policy_files import _IN_ORDER
from gatekeeper.model.topics import PREFIX
from tests.unit.devices.ground import GATE, NOON
from tests.unit.devices.solitude import Lonely

WRITTEN_EVERY: Final = timedelta(minutes=10)
Comes = tuple[str, int, int | None]
COMES: Final = st.lists(
    st.tuples(st.just("snapshot"), st.sampled_from([1, 1, 1, 0, -1]), st.none())
    | st.tuples(st.just("standing"), st.sampled_from([1, 0, 0, -1]), st.sampled_from([0, 0, 1, -1, None])),
    min_size=1,
    max_size=6,
)
"""What comes before the next power cut: by how much newer than what is held, and which snapshot a standing names, counted from that of the gate."""


@cache
def talk() -> Lonely:
    """Whose keys sign everything here."""
    return Lonely()


@cache
def snapshot(version: int, minute: int) -> bytes:
    return talk().snapshot(version=version, issued=NOON + timedelta(minutes=minute))


@cache
def standing(version: int, minute: int, names: int | None) -> bytes:
    named = {} if names is None else {GATE: names}
    return talk().standing(version=version, issued=NOON + timedelta(minutes=minute), snapshots=named)


@dataclass
class Gate:
    """A gate's readiness with its disk: what is on it, and what waits to be written."""

    disk: dict[PolicyFile, bytes] = field(default_factory=dict)
    waits: dict[PolicyFile, bytes] = field(default_factory=dict)
    standby: Standby = field(init=False)

    def __post_init__(self) -> None:
        self.starts()

    def starts(self) -> None:
        names = (PolicyFile.SNAPSHOT, PolicyFile.STANDING, PolicyFile.CONFIRMING)
        found = (self.disk.get(file) or None for file in names)
        held = Held(**dict(zip(("snapshot", "standing", "confirming"), found, strict=True)))
        service = talk().service
        self.standby = Standby(
            gate=GATE, key=b"", prefix=PREFIX, trust=service.trust, anchor=service.anchor, held=held
        )
        self.waits.clear()

    def hears(self, said: SnapshotReceived | StandingReceived) -> None:
        taken = self.standby.take(said, at=0)
        if not isinstance(taken, Ignored):
            self.waits |= {kept.file: kept.wire for kept in taken if isinstance(kept, KeepPolicy)}

    def writes(self, most: int) -> bool:
        """Write so many files of those that wait; whether that was all."""
        for file in [file for file in _IN_ORDER if file in self.waits][:most]:
            self.disk[file] = self.waits.pop(file)
        return not self.waits

    @property
    def versions(self) -> tuple[tuple[int, datetime] | None, ...]:
        known = self.standby._knowledge
        return tuple(one and (one.version, one.issued) for one in (known.snapshot, known.standing))

    @property
    def confirmed(self) -> datetime | None:
        return self.standby._knowledge.confirmed


@settings(max_examples=300)
@given(st.lists(st.tuples(COMES, st.integers(0, 4)), min_size=1, max_size=5))
def test_a_power_cut_makes_a_gate_know_no_more_and_no_less_than_what_was_written(
    boots: list[tuple[list[Comes], int]],
):
    gate, minute = Gate(), 0
    ever: dict[int, datetime] = {}
    for comes, most in boots:
        for what, newer, names in comes:
            minute += 3
            known = [one[0] for one in gate.versions if one is not None]
            version = max(known, default=100) + newer
            if what == "snapshot":
                gate.hears(SnapshotReceived(snapshot(version, minute)))
            else:
                has = gate.versions[0][0] if gate.versions[0] is not None else version
                named = None if names is None else has + names
                gate.hears(StandingReceived(standing(version, minute, named)))
            held = gate.standby._knowledge.snapshot
            if held is not None and gate.confirmed is not None:
                ever[held.version] = max(gate.confirmed, ever.get(held.version, gate.confirmed))
        before, confirmed = gate.versions, gate.confirmed
        is_whole = gate.writes(most)
        gate.starts()
        event(f"whole: {is_whole}, confirming: {bool(gate.disk.get(PolicyFile.CONFIRMING))}")
        for now, then in zip(gate.versions, before, strict=True):
            assert now is None or (then is not None and now <= then)
        held = gate.standby._knowledge.snapshot
        if held is not None and gate.confirmed is not None:
            assert gate.confirmed <= ever[held.version]
        if is_whole:
            assert gate.versions[0] == before[0]
            assert (gate.confirmed is None) == (confirmed is None)
            if gate.confirmed is not None and confirmed is not None:
                assert confirmed - WRITTEN_EVERY < gate.confirmed <= confirmed
        assert not [one for one in gate.standby.refused if one is not Ignored.STANDING_REPEATED]
