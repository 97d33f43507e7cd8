"""What is required of a gate, each in one sentence under an id that stays: the checklist of schemas/MAKERS.md, as values.

Ids are never reused; the gaps are for what is to come. A requirement is judged by trials or by hand, never by both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["REQUIREMENTS", "Part", "Requirement"]


class Part(StrEnum):
    """Which part of a gate a requirement belongs to. All but the first are for gates that have it."""

    CORE = "core"
    CONTACT = "contact"
    INTERLOCK = "interlock"
    BEARER = "bearer"
    PROOF = "proof"
    PIN = "pin"
    JOURNAL = "journal"
    COMMANDS = "commands"
    ALONE = "alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement; `by_hand` says that no trial shows it."""

    id: str
    part: Part
    sentence: str
    by_hand: bool


def _stated() -> Mapping[str, Requirement]:
    stated: dict[str, Requirement] = {}
    for number, part, sentence, *by_hand in _TABLE:
        requirement = Requirement(
            id=f"GK-G-{number}", part=part, sentence=sentence, by_hand=by_hand == [_BY_HAND]
        )
        stated[requirement.id] = requirement
    return stated


_BY_HAND: Final = "by hand"
_C, _K, _I, _B, _P, _N, _J, _O, _A = (
    Part.CORE,
    Part.CONTACT,
    Part.INTERLOCK,
    Part.BEARER,
    Part.PROOF,
    Part.PIN,
    Part.JOURNAL,
    Part.COMMANDS,
    Part.ALONE,
)
_TABLE: Final[tuple[tuple[str, Part, str] | tuple[str, Part, str, str], ...]] = (
    # Keys and enrolment.
    ("001", _C, "The private key is made at the gate, and nobody can take it out.", _BY_HAND),
    ("002", _C, "The enrolment request names site, gate and key, and is signed with that key."),
    ("003", _C, "The gate shows the fingerprint of its key to whoever installs it.", _BY_HAND),
    ("004", _C, "Nothing but a trust list that the anchor's roots signed says whom to believe.", _BY_HAND),
    # CBOR and COSE.
    ("010", _C, "Every message is a COSE_Sign1 of the one shape."),
    ("011", _C, "All its CBOR is deterministic."),
    ("012", _C, "Its typ is the one of its channel."),
    ("013", _C, "Key id and algorithm are those of the enrolled key."),
    ("014", _C, "The enrolled key signed it for the topic it travels on."),
    ("015", _C, "Its payload is what the CDDL says of its channel, to the letter."),
    ("016", _C, "It is no longer than the bound."),
    # Connecting.
    (
        "020",
        _C,
        "The session is MQTT 5 and clean, and user name and client id are the gate's name.",
        _BY_HAND,
    ),
    ("021", _C, "Messages that are to be answered go up at QoS 1, not retained."),
    ("022", _C, "Below its own name the gate publishes on channels that exist, and on no others."),
    # The hello, and numbers.
    ("030", _C, "The first message of a boot is a hello, with number 1."),
    ("031", _C, "Numbers of a boot rise by one over all channels together, and none is missing."),
    ("032", _C, "Under one number there are the same bytes, however often they are sent."),
    ("033", _C, "Every start draws a new boot id."),
    # The beacon.
    ("040", _C, "A scan carries the newest beacon's value."),
    ("041", _C, "Before a beacon was heard, no scan is made."),
    ("042", _C, "After three periods without a new beacon, no scan is made."),
    ("043", _C, "The same beacon again does not count as a new one."),
    ("044", _C, "An older beacon does not take the place of a newer one."),
    ("045", _C, "A beacon that no decision key signed for its topic changes nothing."),
    # The first scan.
    ("050", _C, "A badge at a reader makes a scan of that access point, with what the badge presents."),
    ("051", _C, "A scan is sent again about every 300 ms while it is not answered."),
    ("052", _C, "A scan is given up after five seconds, and not sent again."),
    ("053", _C, "A scan that was given up is reported as not taken."),
    # Believing an answer.
    ("060", _C, "An answer that another key signed changes nothing."),
    ("061", _C, "An answer that was signed for another topic changes nothing."),
    ("062", _C, "An answer that names another gate changes nothing."),
    ("063", _C, "An answer of another typ changes nothing."),
    ("064", _C, "An answer by a key of another use changes nothing."),
    ("065", _C, "An answer that is not to the letter of the CDDL changes nothing."),
    ("066", _C, "An answer to another message changes nothing."),
    ("067", _C, "A verdict that does not belong to a scan changes nothing for it."),
    ("068", _C, "A grant whose validity has passed since the scan was first sent opens nothing."),
    ("069", _C, "Nothing but a grant that is believed releases a strike."),
    ("070", _C, "A grant that is believed settles the scan and releases the strike."),
    ("071", _C, "No grant depends on a wall clock."),
    ("072", _C, "A denial settles the scan, and a grant after it opens nothing."),
    ("073", _C, "A grant opens once, however often it comes."),
    ("074", _C, "A grant for a scan that was given up opens nothing."),
    ("075", _C, "A wait opens nothing, and the scan is sent on."),
    ("076", _C, "A grant after five seconds opens when a longer wait was asked for, and within that wait."),
    (
        "077",
        _C,
        "A wait is counted from when the scan was first sent, and a second one does not prolong it.",
    ),
    ("078", _C, "The display never shows whether a PIN was typed, or that it was one of duress.", _BY_HAND),
    ("079", _C, "A strike is released no longer than a bound of the gate's own.", _BY_HAND),
    # The door.
    ("080", _K, "A door that opens while its strike is released is reported as taken, with the scan."),
    ("081", _K, "A strike that is secured unused is reported as not taken, with the scan."),
    ("082", _K, "A door that opens without a grant is reported as forced, without a scan."),
    ("083", _K, "A door that stays open for too long is reported as held open."),
    ("084", _K, "A door that was forced or held is reported as closed again."),
    ("085", _I, "A door of an interlock is reported as closed again after every passage."),
    ("086", _I, "A door of an interlock is reported as closed after a start."),
    # Sending again.
    ("090", _C, "What is kept is sent again after 300 ms, and then after twice as long each time."),
    ("091", _C, "What was recorded, and a scan that was answered, is not sent again."),
    ("092", _C, "Only an answer that is believed ends the sending of what is kept."),
    (
        "093",
        _K,
        "What happens while the link is down is told when it is back, and what was kept comes again.",
    ),
    ("094", _K, "No number leaves an unanswered message 64 behind, and what waits for its number comes."),
    # The memory of checkpoints.
    ("100", _C, "A hello carries the largest checkpoint that was believed, also after a restart."),
    ("101", _C, "Another root of a size that is known is reported as log-rolled-back."),
    ("102", _C, "A smaller checkpoint of after the largest is reported as log-rolled-back."),
    ("103", _C, "A checkpoint that is known, or is smaller and of before the largest, raises no alarm."),
    ("104", _C, "What the log's key did not sign, or no decision key brought, is not remembered."),
    ("105", _C, "A contradiction is reported once, until a larger checkpoint comes."),
    ("106", _C, "The memory is on disk whole or not at all, and what contradicts it is kept.", _BY_HAND),
    # Statuses.
    ("110", _C, "An opened housing is reported as tamper, and as tamper-cleared when it is shut.", _BY_HAND),
    # Badges that are more than a number.
    ("120", _P, "A badge with a key proves it with a signature over gate, direction, beacon and chance."),
    ("121", _P, "The gate's chance is new for every scan."),
    ("122", _P, "A scan with a proof says how long the badge took."),
    ("123", _P, "A badge that fails to prove its key is sent without a proof.", _BY_HAND),
    ("125", _B, "A bearer badge is sent as its token, without a proof."),
    ("130", _N, "A PIN is sealed for the site's seal key and this access point, filled up to eight bytes."),
    ("131", _N, "Every PIN is sealed with a new ephemeral key."),
    # The journal.
    ("140", _J, "What was not answered comes again after a restart, as the same bytes."),
    ("141", _J, "Nothing of the journal is sent before hello is answered."),
    ("142", _J, "Its numbers rise by one, and none is missing, over restarts too."),
    ("143", _J, "It is sent in the order of its numbers."),
    ("144", _J, "No more than 32 of its messages are unanswered at once."),
    ("145", _J, "A hello names the journal, and a number that is no lower than any that was sent."),
    ("146", _J, "Its id stays the same over a restart."),
    (
        "147",
        _J,
        "Every message is on disk before it is sent, and before what depends on it is done.",
        _BY_HAND,
    ),
    ("148", _J, "How far it is answered is on disk before what lies 64 or more ahead is sent.", _BY_HAND),
    (
        "149",
        _J,
        "When it is full, nothing in it is overwritten, and journal-full is reported; refusals leave a fifth of it free.",
        _BY_HAND,
    ),
    # Commands.
    ("150", _O, "A command to open releases the strike of its access point, and is told with its digest."),
    ("151", _O, "A command opens once, however often it comes."),
    ("152", _O, "A command of another boot changes nothing."),
    ("153", _O, "A command whose number is no higher than that of one before changes nothing."),
    ("154", _O, "A command whose validity has passed changes nothing."),
    ("155", _O, "A command of another key, topic or typ changes nothing."),
    ("156", _O, "A command that names another gate changes nothing."),
    ("157", _O, "In a lockdown no grant opens; it and its end are told with the digest of the command."),
    (
        "158",
        _O,
        "What must not be obeyed is told with its digest: each code at once, and no more than once an hour.",
    ),
    ("159", _O, "A reboot secures every door, is told, and starts the gate anew.", _BY_HAND),
    # Deciding alone.
    (
        "160",
        _C,
        "Without an answer nothing opens, but where a gate decides alone from what it was given for that.",
    ),
    ("161", _A, "Whoever the snapshot lets in is let in while nobody answers."),
    (
        "162",
        _A,
        "Without a beacon the gate decides at once, else 700 ms after the scan, and then only if no answer came.",
    ),
    (
        "163",
        _A,
        "What it decided stands in its journal, with the verdict and the digest of the snapshot, and without a PIN.",
    ),
    (
        "164",
        _A,
        "A snapshot counts within its own time, and only for so long after a standing that names it.",
    ),
    ("165", _A, "What a standing, a trust list or an order takes away is taken away."),
    ("166", _A, "Nobody is let in whom the snapshot does not let in here and now."),
    ("167", _A, "What is forged, malformed, foreign, old or over already changes nothing of what is held."),
    (
        "168",
        _A,
        "What is refused is told as policy-refused: each code at once, and no more than once an hour.",
    ),
    (
        "169",
        _A,
        "What is held is on disk: after a restart hello names it, and nothing older takes its place.",
    ),
)
REQUIREMENTS: Final[Mapping[str, Requirement]] = _stated()
