"""What is done to the gate, one thing after the other in the order in which one builds it, and what is made of its answers.

    pieces     what trials are made of        doors      passages, a lost link, a full window
    asking     hello, beacon, scan            badges     tokens, keys, PINs
    believing  answers, and lies              memory     checkpoints, and a restart
    commands   orders, and forged ones        journal    what a power cut must not take
    solitude   what trials of a gate that nobody answers are made of
    alone      when a gate decides, and what it tells of it
    withheld   whom it lets in no longer, and not at all
    refusing   what it must not believe       kept       what it knows after a restart

Each trial leaves the gate as it found it: its scan answered, its door shut, beacons coming.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from devices.conformance.script import Script, listen
from devices.conformance.stage import Stage
from devices.conformance.trials.alone import try_alone, try_cut_off, try_in_turn, try_not_given
from devices.conformance.trials.asking import (
    try_beacons,
    try_first_scan,
    try_first_words,
    try_no_beacon,
    try_silence,
)
from devices.conformance.trials.badges import try_bearer, try_pin, try_proof
from devices.conformance.trials.believing import (
    try_denial,
    try_late,
    try_lies,
    try_long_wait,
    try_once,
    try_waits,
)
from devices.conformance.trials.commands import try_commands, try_lockdown
from devices.conformance.trials.doors import try_door, try_held, try_lost_link, try_window
from devices.conformance.trials.journal import try_journal
from devices.conformance.trials.kept import try_kept
from devices.conformance.trials.memory import try_checkpoints, try_restart
from devices.conformance.trials.pieces import ARRIVAL, CannotJudgeError
from devices.conformance.trials.refusing import try_refusals
from devices.conformance.trials.withheld import try_ages, try_rights, try_taken_away
from gatekeeper.model.messages import Verdict

__all__ = ["TRIALS", "Trial", "perform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is asked of the gate in a few words, what it judges, and how it goes."""

    asks: str
    judges: frozenset[str]
    play: Callable[[Stage], Script[None]]
    needs_contact: bool = field(default=False)
    needs_interlock: frozenset[str] = field(default=frozenset())
    """Which of its requirements are of a door of an interlock."""
    needs_alone: bool = field(default=False)


def perform(trial: Trial, stage: Stage) -> Script[None]:
    """Make one trial, and leave the gate as it was found."""
    why = "nothing showed it"
    if trial.needs_contact and not stage.question.has_contact:
        why = "the access point has no contact"
    elif trial.needs_alone and not stage.question.decides_alone:
        why = "not asked: of this gate nobody said that it decides alone (--alone)"
    else:
        try:
            yield from trial.play(stage)
        except CannotJudgeError as reason:
            why = str(reason)
    if not stage.question.interlocked:
        stage.undecided(trial.needs_interlock, "the access point is of no interlock")
    stage.undecided((one for one in trial.judges if stage.ledger.of(one) is None), why)
    yield from _tidied(stage)


def _tidied(stage: Stage) -> Script[None]:
    stage.records = True
    if stage.is_provided:
        yield from stage.give(stage.provisions.nothing(stage.wall))
    for one in stage.open_questions():
        yield stage.settle(one, Verdict.DENIED if one.is_question else Verdict.RECORDED)
    if stage.answers and stage.last_answered + ARRIVAL > stage.now:
        yield from listen(ARRIVAL)


def _trial(
    asks: str,
    play: Callable[[Stage], Script[None]],
    *numbers: int,
    contact: bool = False,
    interlock: Iterable[int] = (),
    alone: bool = False,
) -> Trial:
    ids = {number: f"GK-G-{number:03}" for number in (*numbers, *interlock)}
    return Trial(
        asks=asks,
        judges=frozenset(ids.values()),
        play=play,
        needs_contact=contact,
        needs_interlock=frozenset(ids[number] for number in interlock),
        needs_alone=alone,
    )


TRIALS: Final = (
    _trial("start, and no answer to the hello", try_first_words, 30, 90, 92, interlock=(86,)),
    _trial("a badge, and no beacon yet", try_no_beacon, 41),
    _trial("a badge, granted, and nobody enters", try_first_scan, 40, 50, 70, 71, 81),
    _trial("a badge, and no answer", try_silence, 51, 52, 53, 74),
    _trial("a badge, and forged answers", try_lies, *range(60, 68), 69),
    _trial("a badge, denied, then granted", try_denial, 72),
    _trial("a badge, and a grant that comes late", try_late, 68),
    _trial("a badge, granted twice", try_once, 73),
    _trial("a badge, and two waits", try_waits, 75, 77),
    _trial("a badge, a wait, and a grant after five seconds", try_long_wait, 76),
    _trial("beacons that stop, repeat, are old or forged", try_beacons, 40, 42, 43, 44, 45),
    _trial("somebody enters; the door is forced", try_door, 80, 82, 84, contact=True, interlock=(85,)),
    _trial("the door is left open", try_held, 83, 84, contact=True),
    _trial("a bearer badge", try_bearer, 125),
    _trial("a badge with a key", try_proof, 120, 121, 122),
    _trial("a badge and a PIN", try_pin, 130, 131),
    _trial("checkpoints that repeat, contradict, are forged", try_checkpoints, 100, 101, 102, 103, 104, 105),
    _trial("the link is cut, and comes back", try_lost_link, 93, contact=True),
    _trial("a door that says much, and no answers", try_window, 94, 144, contact=True),
    _trial("a badge, and no right to decide alone", try_not_given, 160),
    _trial("a badge, a snapshot, and nobody there", try_alone, 161, 163, alone=True),
    _trial("a badge, a snapshot, and no answer, a wait or a denial", try_in_turn, 162, 163, alone=True),
    _trial("a badge while the link is cut", try_cut_off, 161, 163, alone=True),
    _trial("a badge, and a snapshot that counts no more", try_ages, 164, alone=True),
    _trial("a badge, and what takes its right away", try_taken_away, 165, alone=True),
    _trial("a badge that has no right", try_rights, 166, alone=True),
    _trial(
        "snapshots, standings, trust lists to be refused",
        try_refusals,
        167,
        168,
        alone=True,
    ),
    _trial("commands to open, and such that must not be obeyed", try_commands, *range(150, 157), 158),
    _trial("a lockdown, a badge that is granted, and its end", try_lockdown, 157),
    _trial("a restart, and no answers before and after", try_journal, 140, 141, 145, 146, contact=True),
    _trial("a restart, and an older snapshot put back", try_kept, 169, alone=True),
    _trial("a restart", try_restart, 33, 100, 104),
)
"""In the order in which they are made: the first is always made, the last ends a boot."""
