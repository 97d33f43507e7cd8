"""What can happen to a gate (events), and what it can do (effects).

The shell turns the world into events and effects into the world; it decides nothing. A timer has a name: to start it
again replaces it. Nothing here has behaviour.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from devices.core.belief import Ignored
from devices.core.checkpoints import CheckpointMemory, Contradiction
from devices.core.journal import Entry, JournalFound
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import ClockQuality, Credential

__all__ = [
    "AnswerReceived",
    "Append",
    "AppendFailed",
    "Appended",
    "AskProof",
    "BeaconReceived",
    "BeginJournal",
    "Bequeath",
    "CallOut",
    "CancelTimer",
    "CardPresented",
    "CheckpointReceived",
    "CommandReceived",
    "ContactClosed",
    "ContactOpened",
    "Effect",
    "EntriesRead",
    "Event",
    "ExitRequested",
    "FireCleared",
    "FireDetected",
    "JournalBegun",
    "JournalSettled",
    "KeepCheckpoints",
    "KeepPolicy",
    "LinkDown",
    "LinkUp",
    "Lock",
    "OpenedItself",
    "PolicyFile",
    "ProofGiven",
    "Publish",
    "ReadEntries",
    "ReaderHeard",
    "ReaderLost",
    "Restart",
    "Retain",
    "Settle",
    "Show",
    "Signal",
    "SnapshotReceived",
    "StandingReceived",
    "StartTimer",
    "Started",
    "TamperCleared",
    "TamperOpened",
    "Timer",
    "TimerFired",
    "TimerKind",
    "TrustReceived",
    "Unlock",
    "WallTime",
    "Warn",
]


@dataclass(frozen=True, slots=True)
class WallTime:
    """What the gate's wall clock says, and how far it may be believed. No grant depends on it."""

    at: datetime
    quality: ClockQuality


class TimerKind(StrEnum):
    """What a timer is for."""

    PROOF = "proof"
    RESEND = "resend"
    DEADLINE = "deadline"
    UNLOCK = "unlock"
    WARNED = "warned"
    HELD = "held"
    ALONE = "alone"
    FIRE = "fire"
    KEPT = "kept"
    JOURNAL = "journal"
    HELD_CARD = "held-card"
    RESTART = "restart"
    HELD_BACK = "held-back"


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer's name: its purpose and its access point (`KEPT`, `JOURNAL`, `RESTART` and `HELD_BACK` are the gate's)."""

    kind: TimerKind
    access_point: AccessPointId | None = None


class Signal(StrEnum):
    """What the display of a reader says: of a badge, or of the door (`CLOSE_DOOR` and `LOCKDOWN`, until `READY`)."""

    GRANTED = "granted"
    DENIED = "denied"
    WAITING = "waiting"
    BUSY = "busy"
    NO_SERVICE = "no-service"
    LOCKDOWN = "lockdown"
    TAMPERED = "tampered"
    CLOSE_DOOR = "close-door"
    READY = "ready"


# -- events ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The gate's program started, and this is what it found of its journal; the first event, and only once.

    `recalled` are the newest entries that are not answered: what a gate that is alone remembers of itself.
    """

    journal: JournalFound
    recalled: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The broker is there, and our subscriptions stand."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The broker is gone; what is published now is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPresented:
    """A credential was read; `gate_random` is 16 new random bytes, used when the badge must prove its key.

    `sealed_pin` is what was typed with it, sealed for the service before anything else saw it.
    """

    access_point: AccessPointId
    credential: Credential
    gate_random: bytes
    sealed_pin: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofGiven:
    """The badge signed what it was asked to sign, or None: it went away or cannot."""

    access_point: AccessPointId
    signature: bytes | None


@dataclass(frozen=True, slots=True)
class AnswerReceived:
    """Bytes on the gate's own decision topic."""

    wire: bytes


@dataclass(frozen=True, slots=True)
class BeaconReceived:
    """Bytes on the site's beacon topic."""

    wire: bytes


@dataclass(frozen=True, slots=True)
class CheckpointReceived:
    """Bytes on the site's checkpoint topic."""

    wire: bytes


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """Bytes on the gate's own command topic."""

    wire: bytes


@dataclass(frozen=True, slots=True)
class SnapshotReceived:
    """Bytes on the gate's own policy topic."""

    wire: bytes


@dataclass(frozen=True, slots=True)
class StandingReceived:
    """Bytes on the site's standing topic."""

    wire: bytes


@dataclass(frozen=True, slots=True)
class TrustReceived:
    """Bytes on the site's trust topic."""

    document: bytes


@dataclass(frozen=True, slots=True)
class ExitRequested:
    """Somebody inside pressed the button of a door to leave through it."""

    access_point: AccessPointId


@dataclass(frozen=True, slots=True)
class FireDetected:
    """The fire panel's input to the gate is on."""


@dataclass(frozen=True, slots=True)
class FireCleared:
    """The fire panel's input to the gate is off again."""


@dataclass(frozen=True, slots=True)
class ContactOpened:
    """The door's contact says open."""

    access_point: AccessPointId


@dataclass(frozen=True, slots=True)
class ContactClosed:
    """The door's contact says closed."""

    access_point: AccessPointId


@dataclass(frozen=True, slots=True)
class OpenedItself:
    """The device at a door says that it has let it open, and this gate did not have it do so."""

    access_point: AccessPointId


@dataclass(frozen=True, slots=True)
class TamperOpened:
    """Somebody opens the housing of the gate, or of one reader."""

    access_point: AccessPointId | None


@dataclass(frozen=True, slots=True)
class TamperCleared:
    """The housing is closed again."""

    access_point: AccessPointId | None


@dataclass(frozen=True, slots=True)
class ReaderHeard:
    """A reader that reports by itself is there."""

    access_point: AccessPointId


@dataclass(frozen=True, slots=True)
class ReaderLost:
    """A reader that reports by itself has been silent for too long."""

    access_point: AccessPointId


@dataclass(frozen=True, slots=True)
class Appended:
    """Every entry of the journal up to this number is on disk, and survives a power cut."""

    number: int


@dataclass(frozen=True, slots=True)
class AppendFailed:
    """The disk did not take the entry of this number: neither it nor any after it is on disk, or will be."""

    number: int


@dataclass(frozen=True, slots=True)
class JournalSettled:
    """It is on disk that a journal is answered up to this number."""

    journal: BootId
    number: int


@dataclass(frozen=True, slots=True)
class EntriesRead:
    """What `ReadEntries` asked for: entries of a journal from its disk, in order, each signature verified."""

    journal: BootId
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class JournalBegun:
    """A new journal was begun on disk in the midst of work; what the former one holds unanswered is beside it.

    INVARIANT: of what was told to be appended and is not `Appended` yet, nothing is on disk, nor will be.
    """

    found: JournalFound


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that was started has run out."""

    timer: Timer


Event: TypeAlias = (
    Started
    | LinkUp
    | LinkDown
    | CardPresented
    | ProofGiven
    | AnswerReceived
    | BeaconReceived
    | CheckpointReceived
    | CommandReceived
    | ExitRequested
    | FireDetected
    | FireCleared
    | SnapshotReceived
    | StandingReceived
    | TrustReceived
    | ContactOpened
    | ContactClosed
    | OpenedItself
    | TamperOpened
    | TamperCleared
    | ReaderHeard
    | ReaderLost
    | Appended
    | AppendFailed
    | JournalSettled
    | EntriesRead
    | JournalBegun
    | TimerFired
)


# -- effects --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Send bytes to the broker; not retained."""

    topic: str
    payload: bytes
    qos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retain:
    """Send bytes to the broker at QoS 0, which keeps them for whoever comes later."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bequeath:
    """Leave bytes with the broker as the will of the next connection: it retains them when that is lost, or ends."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Put an entry of the journal on disk, after those before it; `Appended` or `AppendFailed` says what came of it."""

    number: int
    wire: bytes
    access_point: AccessPointId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEntries:
    """Read entries of a journal that follow a number, so many at the most; then `EntriesRead`, or `JournalBegun`."""

    journal: BootId
    after: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginJournal:
    """Begin a new journal: the service takes no more of this one. Then `JournalBegun`."""

    instead_of: BootId


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Note on disk that a journal is answered up to this number, and take the space back; then `JournalSettled`."""

    journal: BootId
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskProof:
    """Have the presented badge sign these 32 bytes; the answer is `ProofGiven`."""

    access_point: AccessPointId
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """Release the strike. `Lock` follows after `lasting` at the latest; a strike that can do so, ends by itself."""

    access_point: AccessPointId
    lasting: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Secure the strike."""

    access_point: AccessPointId


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """Send `TimerFired` after a while; a timer of the same name is replaced."""

    timer: Timer
    after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTimer:
    """Forget a timer, if it runs."""

    timer: Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Tell whoever stands at the reader. `reason` and `entry` are of the answer, `waited` is how long it took."""

    access_point: AccessPointId
    signal: Signal
    reason: int | None = None
    entry: int | None = None
    waited: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CallOut:
    """Tell whoever stands at the door something of the door. It answers no badge."""

    access_point: AccessPointId
    signal: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepCheckpoints:
    """Keep what is remembered of the log where a power cut does not reach it; `alarm` says what was just found out."""

    memory: CheckpointMemory
    alarm: Contradiction | None = None


class PolicyFile(StrEnum):
    """What is kept of what the site says, by the name of its file."""

    SNAPSHOT = "snapshot.cose"
    STANDING = "standing.cose"
    CONFIRMING = "confirming.cose"
    TRUST = "trust.cose"
    LOCKDOWN = "lockdown.cose"


@dataclass(frozen=True, slots=True)
class KeepPolicy:
    """Keep what the site signed, in the place of what was kept before, whole or not at all; nothing, for what counts no more."""

    file: PolicyFile
    wire: bytes


@dataclass(frozen=True, slots=True)
class Warn:
    """Say in the gate's own log, once, that the service sends what cannot be believed."""

    why: Ignored


@dataclass(frozen=True, slots=True)
class Restart:
    """End the gate's program in order, so that whoever keeps it running starts it anew."""


Effect: TypeAlias = (
    Publish
    | Retain
    | Bequeath
    | Append
    | Settle
    | ReadEntries
    | BeginJournal
    | AskProof
    | Unlock
    | Lock
    | StartTimer
    | CancelTimer
    | Show
    | CallOut
    | KeepCheckpoints
    | KeepPolicy
    | Warn
    | Restart
)
