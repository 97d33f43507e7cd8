"""What must be refused: bytes that are nearly right, and the code that each must get.

`for_service()` goes the way of a message into the service, `for_gate()` the way of an answer, a beacon or a checkpoint into a gate.
A test demands one forgery at least for every code that bytes can get.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any

from devices.core.belief import Ignored
from devices.core.events import AnswerReceived, BeaconReceived, CheckpointReceived, CommandReceived, Effect
from gatekeeper import cose
from gatekeeper.core.flow import Refused
from gatekeeper.core.scan import Rejected, authenticate
from gatekeeper.cose.sign1 import _to_be_signed
from gatekeeper.model.fields import milliseconds
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import BEACON_TYPE, DECISION_TYPE, PASSAGE_TYPE, SCAN_TYPE, Credential, Scan
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import PREFIX, Channel, beacon_topic, gate_topic
from gatekeeper.ports import Inbound
from gatekeeper.service.engine.intake import Allowance, Intake
from tests.contract.checkpoints import TOPIC, message_of_checkpoint, newest_checkpoint, note_of
from tests.contract.commands import TO_OPEN, commands, message_of_command
from tests.contract.commands import TOPIC as COMMANDS
from tests.contract.play import Gate, Play, Said, boot_of, moment, published, scan_of
from tests.contract.session import played
from tests.contract.vector_site import FORMER, FRONT, INNER, SITE, key_of
from tests.contract.whole_log import whole_log

TAG = b"\xd2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forged:
    """Bytes on a topic, what is done before they come, and the code they get."""

    name: str
    says: str
    topic: str
    wire: bytes
    code: str
    retained: bool = False
    after: tuple[str, ...] = ()
    arrives: int = 10


def _topic(channel: Channel, gate: GateId = FRONT) -> str:
    return gate_topic(SITE, gate, channel, prefix=PREFIX)


@cache
def session() -> Play:
    return played()


def said(name: str) -> Said:
    """A message of the session."""
    everything = [one for step in session().steps for one in (step.up, step.down)]
    everything += [newest_checkpoint(), *commands()]
    everything += [one for word in session().words for one in (word.change, word.down)]
    return next(one for one in everything if one.name == name)


def parts(wire: bytes) -> list[Any]:
    found: list[Any] = cose.decode(wire[1:])
    return found


def envelope(
    payload: bytes | None,
    *,
    header: Any,
    aad: str,
    key: str = FRONT,
    unprotected: Any = None,
    detached: bytes | None = None,
    tag: bytes = TAG,
) -> bytes:
    """A message with every part as it is wanted, and a signature that is right for it."""
    protected = header if isinstance(header, bytes) else cose.encode(header)
    signature = key_of(key).sign(_to_be_signed(protected, aad.encode(), detached or payload or b""))
    return tag + cose.encode([protected, unprotected or {}, payload, signature])


# -- for the service --------------------------------------------------------------------------------------------------


def for_service() -> Iterator[Forged]:
    """What a gate's topic may bring."""
    yield from _moved()
    yield from _wrong_hands()
    yield from _wrong_form()
    yield from _wrong_bytes()
    yield from _wrong_order()


def _moved() -> Iterator[Forged]:
    wire = said("scan-key-bound").wire

    def moved(name: str, says: str, topic: str, code: cose.Refusal | MessageRefusal, **more: Any) -> Forged:
        return Forged(name=name, says=says, topic=topic, wire=wire, code=code.value, **more)

    topic, unknown = _topic(Channel.SCAN), MessageRefusal.TOPIC
    yield moved(
        "moved-to-another-gate",
        "The topic is signed too.",
        _topic(Channel.SCAN, INNER),
        cose.Refusal.COSE_SIGNATURE,
    )
    yield moved(
        "moved-to-another-channel",
        "Each channel has its typ.",
        _topic(Channel.PASSAGE),
        cose.Refusal.COSE_TYPE,
    )
    yield moved("moved-to-another-site", "", topic.replace(SITE, "other-fort"), unknown)
    yield moved("moved-to-another-prefix", "", topic.replace(PREFIX, "other", 1), unknown)
    yield moved("moved-to-another-version", "", topic.replace("/v1/", "/v2/"), unknown)
    yield moved("moved-to-a-channel-down", "", _topic(Channel.DECISION), unknown)
    yield moved("topic-in-capitals", "", topic.replace(FRONT, "Front"), unknown)
    yield moved("gate-that-is-not-listed", "", topic.replace(FRONT, "back"), MessageRefusal.UNKNOWN_GATE)
    says = "The broker had kept it: only live messages count."
    yield moved("retained", says, topic, MessageRefusal.RETAINED, retained=True)


def _wrong_hands() -> Iterator[Forged]:
    topic, wire = _topic(Channel.SCAN), said("scan-key-bound").wire
    payload = parts(wire)[2]

    def signed(name: str, says: str, code: cose.Refusal | MessageRefusal, **how: Any) -> Forged:
        key = key_of(how.get("key", FRONT), how.get("algorithm"))
        forged = cose.sign(
            payload, key=key, typ=how.get("typ", SCAN_TYPE), external_aad=how.get("aad", topic).encode()
        )
        return Forged(name=name, says=says, topic=topic, wire=forged, code=code.value)

    yield signed("signed-by-another-gate", "", MessageRefusal.FOREIGN_GATE, key=INNER)
    says, topic = "Its key is in the trust list, and revoked there.", _topic(Channel.SCAN, FORMER)
    yield signed("signed-by-a-revoked-gate", says, MessageRefusal.GATE_REVOKED, key=FORMER)
    topic = _topic(Channel.SCAN)
    yield signed("signed-by-a-stranger", "", cose.Refusal.COSE_UNKNOWN_KEY, key="stranger")
    yield signed(
        "signed-by-the-service", "Its key is no gate's.", cose.Refusal.COSE_UNKNOWN_KEY, key="decision"
    )
    yield signed("signed-as-a-passage", "", cose.Refusal.COSE_TYPE, typ=PASSAGE_TYPE)
    yield signed("signed-without-the-topic", "", cose.Refusal.COSE_SIGNATURE, aad="")
    says = "ES256 on the curve of ESP256: the trust list says which, not the message."
    yield signed("another-algorithm", says, cose.Refusal.COSE_ALGORITHM, algorithm=cose.Algorithm.ES256)
    yield from _altered(topic, wire)


def _altered(topic: str, wire: bytes) -> Iterator[Forged]:
    protected, _, payload, signature = parts(wire)

    def altered(name: str, says: str, parts_of_it: list[Any], code: cose.Refusal) -> Forged:
        return Forged(name=name, says=says, topic=topic, wire=TAG + cose.encode(parts_of_it), code=code.value)

    flipped = bytes((payload[0], payload[1], payload[2] ^ 1)) + payload[3:]
    signature_refused = cose.Refusal.COSE_SIGNATURE
    yield altered("bit-in-the-payload", "", [protected, {}, flipped, signature], signature_refused)
    last = signature[:-1] + bytes((signature[-1] ^ 1,))
    yield altered("bit-in-the-signature", "", [protected, {}, payload, last], signature_refused)
    yield altered("signature-too-short", "", [protected, {}, payload, signature[:-1]], signature_refused)
    yield altered("signature-missing", "", [protected, {}, payload, b""], signature_refused)
    kid = cose.encode({1: -9, 4: bytes(8), 16: SCAN_TYPE})
    yield altered("key-id-of-nobody", "", [kid, {}, payload, signature], cose.Refusal.COSE_UNKNOWN_KEY)


def _wrong_form() -> Iterator[Forged]:
    topic, wire = _topic(Channel.SCAN), said("scan-key-bound").wire
    payload = parts(wire)[2]
    header = {1: -9, 4: key_of(FRONT).kid, 16: SCAN_TYPE}

    def formed(name: str, says: str, code: cose.Refusal, **how: Any) -> Forged:
        how = {"payload": payload, "header": header, "aad": topic} | how
        return Forged(name=name, says=says, topic=topic, wire=envelope(**how), code=code.value)

    refused = cose.Refusal
    yield formed("untagged", "", refused.COSE_TAG, tag=b"")
    yield formed("tagged-as-a-mac", "", refused.COSE_TAG, tag=b"\xd1")
    yield formed("header-without-typ", "", refused.COSE_HEADER, header={1: -9, 4: key_of(FRONT).kid})
    yield formed("header-with-a-content-type", "", refused.COSE_HEADER, header={**header, 3: 0})
    yield formed("header-that-is-critical", "", refused.COSE_HEADER, header={**header, 2: [16]})
    yield formed("header-in-another-order", "", refused.COSE_HEADER, header=_backwards(header))
    yield formed("header-unprotected", "", refused.COSE_HEADER, unprotected={4: key_of(FRONT).kid})
    yield formed("payload-detached", "", refused.COSE_STRUCTURE, payload=None, detached=payload)
    text = TAG + cose.encode(["protected", {}, payload, bytes(64)])
    yield Forged(name="header-of-text", says="", topic=topic, wire=text, code=refused.COSE_STRUCTURE.value)
    three = TAG + cose.encode(parts(wire)[:3])
    yield Forged(name="three-parts", says="", topic=topic, wire=three, code=refused.COSE_STRUCTURE.value)
    malformed = MessageRefusal.MALFORMED
    says = "Rightly signed, but the keys of the map stand backwards."
    backwards = envelope(_backwards(cose.decode(payload)), header=header, aad=topic)
    yield Forged(
        name="payload-in-another-order", says=says, topic=topic, wire=backwards, code=malformed.value
    )


def _backwards(fields: dict[int, Any]) -> bytes:
    """A map whose keys do not rise: valid CBOR, and not deterministic."""
    pairs = [cose.encode(key) + cose.encode(value) for key, value in sorted(fields.items(), reverse=True)]
    return bytes((0xA0 | len(pairs),)) + b"".join(pairs)


def _wrong_bytes() -> Iterator[Forged]:
    topic, wire = _topic(Channel.SCAN), said("scan-key-bound").wire
    refused = cose.Refusal

    def bytes_of(name: str, says: str, forged: bytes, code: cose.Refusal | MessageRefusal) -> Forged:
        return Forged(name=name, says=says, topic=topic, wire=forged, code=code.value)

    yield bytes_of("nothing", "", b"", refused.COSE_TAG)
    yield bytes_of("json", "", b'{"badge": "BA839D07"}', refused.COSE_TAG)
    yield bytes_of("truncated", "", wire[:-1], refused.CBOR_TRUNCATED)
    yield bytes_of("trailing-byte", "", wire + b"\0", refused.CBOR_TRAILING_BYTES)
    yield bytes_of("oversized", "One byte over 8,192.", wire.ljust(8193, b"\0"), MessageRefusal.OVERSIZED)
    yield bytes_of("too-deep", "", TAG + b"\x81" * 9 + b"\0", refused.CBOR_TOO_DEEP)
    says = "An array that announces 2^32 items."
    yield bytes_of(
        "too-many-items", says, TAG + b"\x9b" + (1 << 32).to_bytes(8, "big"), refused.CBOR_TOO_MANY_ITEMS
    )
    yield bytes_of("reserved-byte", "", TAG + b"\x84\x1c", refused.CBOR_MALFORMED)
    says = "An array of four, its length written in two bytes where one does."
    longer = TAG + b"\x98\x04" + wire[2:]
    yield bytes_of("longer-than-needed", says, longer, refused.CBOR_NOT_DETERMINISTIC)
    yield bytes_of(
        "indefinite-length", "", TAG + b"\x9f" + wire[2:] + b"\xff", refused.CBOR_NOT_DETERMINISTIC
    )
    yield bytes_of("float", "", TAG + b"\x81\xf9\x3c\x00", refused.CBOR_TYPE_NOT_ALLOWED)
    yield bytes_of("tag-within", "", TAG + b"\x81\xc1\0", refused.CBOR_TYPE_NOT_ALLOWED)
    yield bytes_of("key-twice", "", TAG + b"\x81\xa2\x01\0\x01\0", refused.CBOR_DUPLICATE_KEY)
    yield bytes_of("text-that-is-none", "", TAG + b"\x81\x61\xff", refused.CBOR_TEXT)


def _wrong_order() -> Iterator[Forged]:
    topic = _topic(Channel.SCAN)
    boot, beacon = boot_of(FRONT), session().beacons.counted(moment(1000))[0]

    def scan(sequence: int, **changes: Any) -> bytes:
        made: Scan = scan_of(FRONT, boot=boot, sequence=sequence, beacon=beacon, **changes)
        return cose.sign(made.payload(), key=key_of(FRONT), typ=SCAN_TYPE, external_aad=topic.encode())

    yield Forged(
        name="other-bytes-under-a-number-that-was-used",
        says="Number 2 was the key-bound scan's.",
        topic=topic,
        wire=scan(2),
        code=MessageRefusal.SEQUENCE_CONFLICT.value,
        after=("hello-of-front", "scan-key-bound"),
    )
    yield Forged(
        name="number-below-the-window",
        says="After number 100 the window begins at 37.",
        topic=topic,
        wire=scan(36),
        code=MessageRefusal.SEQUENCE_OLD.value,
        after=("hello-of-front", "scan-number-100"),
    )


def extra() -> dict[str, Said]:
    """What a forgery comes after and the session does not hold."""
    topic = _topic(Channel.SCAN)
    scan = scan_of(
        FRONT, boot=boot_of(FRONT), sequence=100, beacon=session().beacons.counted(moment(1000))[0]
    )
    wire = cose.sign(scan.payload(), key=key_of(FRONT), typ=SCAN_TYPE, external_aad=topic.encode())
    down = _topic(Channel.DECISION)
    wait = {
        key: value
        for key, value in cose.decode(parts(said("answer-to-scan-key-bound").wire)[2]).items()
        if key != 7
    }
    waits = cose.sign(
        cose.encode(wait | {3: 3, 4: 15, 6: 1000}),
        key=key_of("decision"),
        typ=DECISION_TYPE,
        external_aad=down.encode(),
    )
    log = whole_log()
    rolled_back = message_of_checkpoint(
        len(log) - 2, bytes(range(32)), log[-1].draft.at + timedelta(seconds=1)
    )
    return {
        "checkpoint-of-a-log-rolled-back": Said(
            name="checkpoint-of-a-log-rolled-back", says="", key="decision", topic=TOPIC, wire=rolled_back
        ),
        "scan-number-100": Said(name="scan-number-100", says="", key=FRONT, topic=topic, wire=wire),
        "wait-for-a-second": Said(name="wait-for-a-second", says="", key="decision", topic=down, wire=waits),
    }


def word_of_service(
    before: list[tuple[str, bytes]], topic: str, wire: bytes, *, retained: bool
) -> str | None:
    """What a service that took all before it says of one more message; None when it takes it."""
    play = Play()
    now = moment(1100)
    for earlier_topic, earlier in before:
        authentic = authenticate(earlier_topic, earlier, trust=play.flow.trust, prefix=PREFIX)
        assert not isinstance(authentic, Rejected), authentic
        play.flow.take(authentic, play.flow.verify(authentic, beacons=play.beacons.counted(now)), now=now)
    intake = Intake(allowance=Allowance(), prefix=PREFIX)
    inbound = Inbound(topic=topic, payload=wire, retained=retained, receipt=(0, 0))
    turned_away = intake.offer(inbound, at=0.0)
    if turned_away is not None:
        return turned_away.code.value
    found = authenticate(topic, wire, trust=play.flow.trust, prefix=PREFIX)
    if isinstance(found, Rejected):
        return found.code.value
    outcome = play.flow.take(found, play.flow.verify(found, beacons=play.beacons.counted(now)), now=now)
    return outcome.code.value if isinstance(outcome, Refused) else None


# -- for a gate -------------------------------------------------------------------------------------------------------


def for_gate() -> Iterator[Forged]:
    """What a gate's decision topic and those for every gate may bring, ten milliseconds after the key-bound scan went out."""
    yield from _answers()
    yield from _beacons()
    yield from _checkpoints()
    yield from _commands()


def _answers() -> Iterator[Forged]:
    topic = _topic(Channel.DECISION)
    grant = said("answer-to-scan-key-bound")
    fields = cose.decode(parts(grant.wire)[2])
    other = cose.decode(parts(said("answer-to-hello-of-front").wire)[2])

    def answer(
        name: str, says: str, code: Ignored, *, key: str = "decision", aad: str = topic, **how: Any
    ) -> Forged:
        content = how.pop("fields", fields) | how.pop("changes", {})
        wire = cose.sign(cose.encode(content), key=key_of(key), typ=DECISION_TYPE, external_aad=aad.encode())
        return Forged(name=name, says=says, topic=topic, wire=how.pop("wire", wire), code=code.value, **how)

    forged, malformed = Ignored.ANSWER_FORGED, Ignored.ANSWER_MALFORMED
    yield answer("grant-by-a-stranger", "", forged, key="stranger")
    yield answer("grant-by-the-key-of-the-log", "Only a decision key decides.", forged, key="log")
    yield answer("grant-by-another-gate", "", forged, key=INNER)
    yield answer("grant-for-another-topic", "", forged, aad=_topic(Channel.DECISION, INNER))
    yield answer("grant-with-a-bit-altered", "", forged, wire=grant.wire[:-1] + bytes((grant.wire[-1] ^ 1,)))
    yield answer("grant-that-is-no-cbor", "", forged, wire=b"granted")
    yield answer("grant-of-another-version", "", malformed, changes={0: 2})
    yield answer("grant-that-says-more", "", malformed, changes={10: True})
    yield answer("grant-that-lasts-too-long", "", malformed, changes={6: 5001})
    yield answer("grant-without-an-unlock", "", malformed, fields={k: v for k, v in fields.items() if k != 7})
    yield answer("denial-with-an-unlock", "", malformed, changes={3: 0})
    waits = {key: value for key, value in fields.items() if key != 7} | {3: 3, 6: 60_000}
    yield answer("wait-with-an-unlock", "", malformed, changes={3: 3})
    yield answer("wait-for-more-than-a-minute", "", malformed, fields={**waits, 6: 60_001})
    yield answer("grant-that-lasts-as-long-as-a-wait", "", malformed, changes={6: 60_000})
    says = "Signed for this topic, and yet for another gate."
    yield answer("grant-for-another-gate", says, Ignored.ANSWER_FOREIGN, changes={2: INNER})
    yield answer("grant-for-another-scan", "", Ignored.ANSWER_UNKNOWN, changes={1: bytes(32)})
    says = "The scan was answered."
    repeated, late, misplaced = Ignored.ANSWER_REPEATED, Ignored.ANSWER_LATE, Ignored.ANSWER_MISPLACED
    yield answer("grant-twice", says, repeated, after=(grant.name,), arrives=20)
    yield answer("grant-after-five-seconds", "", late, arrives=5000)
    yield answer("grant-after-its-validity", "Valid for a second.", late, changes={6: 1000}, arrives=1000)
    recorded = {key: value for key, value in fields.items() if key != 7} | {3: 2}
    yield answer("scan-that-is-only-recorded", "", misplaced, fields=recorded)
    yield answer("wait-after-five-seconds", "It was given up.", late, fields=waits, arrives=5000)
    says = "A wait opens nothing, and ends: the grant that comes after it came too late."
    yield answer("grant-after-a-wait-is-over", says, late, after=("wait-for-a-second",), arrives=1000)
    yield answer("hello-that-waits", "", misplaced, fields={**waits, 1: other[1]})
    hello = {**fields, 1: other[1]}
    yield answer("hello-that-is-granted", "Only a scan can be granted.", misplaced, fields=hello)


def _beacons() -> Iterator[Forged]:
    topic = beacon_topic(SITE, prefix=PREFIX)
    now = session().beacon()
    fields = cose.decode(parts(now.wire)[2])

    def beacon(name: str, says: str, code: Ignored, *, key: str = "decision", **how: Any) -> Forged:
        content = fields | how.get("changes", {})
        aad = how.get("aad", topic)
        wire = cose.sign(cose.encode(content), key=key_of(key), typ=BEACON_TYPE, external_aad=aad.encode())
        return Forged(name=name, says=says, topic=topic, wire=how.get("wire", wire), code=code.value)

    other = topic.replace(SITE, "other-fort")
    yield beacon("beacon-by-a-stranger", "", Ignored.BEACON_FORGED, key="stranger")
    yield beacon("beacon-of-another-topic", "", Ignored.BEACON_FORGED, aad=other)
    yield beacon("beacon-of-another-version", "", Ignored.BEACON_MALFORMED, changes={0: 2})
    yield beacon("beacon-of-eight-bytes", "", Ignored.BEACON_MALFORMED, changes={2: bytes(8)})
    yield beacon("beacon-of-another-site", "", Ignored.BEACON_FOREIGN, changes={1: "other-fort"})
    yield beacon("beacon-twice", "It does not grow younger.", Ignored.BEACON_REPEATED, wire=now.wire)
    yield beacon("beacon-of-before", "", Ignored.BEACON_OLD, wire=session().beacon(at=-10_000).wire)


def _checkpoints() -> Iterator[Forged]:
    newest = newest_checkpoint()
    log = whole_log()
    size, at = len(log), log[-1].draft.at
    root, later = bytes(range(32)), at + timedelta(seconds=1)

    def checkpoint(name: str, says: str, code: Ignored, *, after: tuple[str, ...] = (), **how: Any) -> Forged:
        wire = how.pop("wire", None) or message_of_checkpoint(
            how.pop("size", size), root, how.pop("at", at), **how
        )
        return Forged(name=name, says=says, topic=newest.topic, wire=wire, code=code.value, after=after)

    forged, unsigned = Ignored.CHECKPOINT_FORGED, Ignored.CHECKPOINT_UNSIGNED
    says = "The note may be the log's, but no decision key sent it to the gates."
    yield checkpoint("checkpoint-sent-by-a-stranger", says, forged, key="stranger")
    yield checkpoint("checkpoint-on-another-topic", "", forged, aad=beacon_topic(SITE, prefix=PREFIX))
    yield checkpoint("checkpoint-of-another-version", "", Ignored.CHECKPOINT_MALFORMED, changes={0: 2})
    yield checkpoint("checkpoint-of-another-site", "", Ignored.CHECKPOINT_FOREIGN, changes={1: "other-fort"})
    yield checkpoint("checkpoint-that-is-no-note", "", unsigned, changes={2: b"42 entries"})
    by_another = partial(note_of, key="shed-reader")
    yield checkpoint(
        "checkpoint-signed-by-another-key", "Only the log's key signs it.", unsigned, note=by_another
    )
    of_a_tenant = partial(note_of, tree="tenant:army")
    yield checkpoint("checkpoint-of-a-tenants-tree", "Gates remember the site's.", unsigned, note=of_a_tenant)
    known = (newest.name,)
    yield checkpoint("checkpoint-twice", "", Ignored.CHECKPOINT_REPEATED, wire=newest.wire, after=known)
    says = "Smaller, and of before the largest: the broker repeats an old one."
    yield checkpoint("checkpoint-of-before", says, Ignored.CHECKPOINT_OLD, size=size - 1, after=known)
    says = "The gate said so at the first one, and keeps both."
    told = (*known, "checkpoint-of-a-log-rolled-back")
    yield checkpoint(
        "checkpoint-rolled-back-again", says, Ignored.CHECKPOINT_TOLD, size=size - 1, at=later, after=told
    )


def _commands() -> Iterator[Forged]:
    heard = ("answer-to-hello-of-front",)
    below = gate_topic(SITE, INNER, Channel.COMMAND, prefix=PREFIX)

    def command(name: str, says: str, code: Ignored, *, after: tuple[str, ...] = heard, **how: Any) -> Forged:
        arrives = how.pop("arrives", 20)
        wire = message_of_command(how.pop("command", TO_OPEN), **how)
        return Forged(
            name=name, says=says, topic=COMMANDS, wire=wire, code=code.value, after=after, arrives=arrives
        )

    forged, malformed, late = Ignored.COMMAND_FORGED, Ignored.COMMAND_MALFORMED, Ignored.COMMAND_LATE
    yield command("command-by-a-stranger", "", forged, key="stranger")
    yield command("command-by-the-key-of-the-log", "Only a decision key commands.", forged, key="log")
    yield command("command-on-another-topic", "", forged, aad=below)
    yield command("command-of-another-version", "", malformed, changes={0: 2})
    yield command("command-that-lasts-too-long", "", malformed, changes={7: 10_001})
    yield command("command-to-open-without-a-door", "", malformed, changes={5: None})
    yield command("command-for-another-gate", "", Ignored.COMMAND_FOREIGN, changes={3: INNER})
    of_before = {1: boot_of(FRONT, 2)}
    yield command("command-for-another-boot", "", Ignored.COMMAND_OTHER_BOOT, changes=of_before)
    says = "The same number again, though it is another command."
    locked = (*heard, "command-to-lock-down")
    yield command("command-that-comes-twice", says, Ignored.COMMAND_REPEATED, after=locked, changes={2: 2})
    says = "No message of this boot is answered, so the gate cannot tell the service's time."
    yield command("command-before-the-time-is-known", says, Ignored.COMMAND_UNTIMED, after=())
    says = "The time is not known yet, and a later command waits for it already."
    yield command(
        "command-behind-one-that-waits", says, Ignored.COMMAND_OVERTAKEN, after=("command-to-lock-down",)
    )
    yield command("command-that-was-kept-back", "", late, arrives=10_500)
    yield command("command-of-tomorrow", "", late, changes={6: milliseconds(moment(20_000))})
    yield command("command-to-open-a-strange-door", "", Ignored.COMMAND_MISPLACED, changes={5: "inner-in"})
    says = "No command opens in a lockdown."
    yield command(
        "command-to-open-in-a-lockdown", says, Ignored.COMMAND_PREVENTED, after=locked, changes={2: 3}
    )


def scan_credential() -> Credential:
    """What the sergeant presents in the session."""
    scan = Scan.read(parts(said("scan-key-bound").wire)[2])
    assert isinstance(scan, Scan)
    return scan.credential


def gate_with_a_scan() -> tuple[Gate, Callable[[str, bytes, int], list[Effect]]]:
    """The front gate with its hello and the key-bound scan unanswered, and a way to bring it something."""
    play = Play()
    play.start(FRONT, at=0)
    sent = play.presents(FRONT, "front-in", scan_credential(), at=1000, key=key_of("badge-sergeant"))
    assert sent.payload == said("scan-key-bound").wire
    gate = play.gates[FRONT]

    def bring(topic: str, wire: bytes, arrives: int) -> list[Effect]:
        events = {
            beacon_topic(SITE, prefix=PREFIX): BeaconReceived,
            TOPIC: CheckpointReceived,
            COMMANDS: CommandReceived,
        }
        event = events.get(topic, AnswerReceived)(wire)
        return gate.happens(event, at=1045 + arrives)

    return gate, bring


__all__ = [
    "Forged",
    "extra",
    "for_gate",
    "for_service",
    "gate_with_a_scan",
    "parts",
    "published",
    "said",
    "scan_credential",
    "session",
    "word_of_service",
]
