"""Objects that are wrong in themselves, each with the code it must get: the invalid examples of `schemas/examples`.

`read_as` says what reads them: a rule of the CDDL (a payload, rightly signed before it is read), or one of `PARTS`, the parts
that messages are made of. Entries of the log are held against their schema, which has no codes.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from devices.core.belief import Ignored
from gatekeeper import cose
from gatekeeper.core.audit import Kind, canonical_json
from gatekeeper.core.change import ChangeRefusal
from gatekeeper.core.enrolment import EnrolmentRefusal
from gatekeeper.core.trust import AGREEMENT_TYPE, TrustRefusal, Use
from gatekeeper.cose import cwt
from gatekeeper.model.messages import SCAN_TYPE
from gatekeeper.model.reasons import MessageRefusal, Reason
from tests.contract import readers, specimens
from tests.contract.vector_site import KEYS, SITE, agreement_document, key_of, record_of, trust
from tests.contract.whole_log import whole_log


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Bytes, what reads them, the code they get, and what is wrong."""

    name: str
    read_as: str
    octets: bytes
    code: str
    says: str


MISSING = object()
"""In place of a value: the key is left out."""

_MALFORMED = MessageRefusal.MALFORMED.value
_FORGED = Reason.BADGE_FORGED.code
_CHANGE = ChangeRefusal.MALFORMED.value
_PAYLOADS: tuple[tuple[str, str, Mapping[Any, Any], str, str], ...] = (
    ("scan-by-card", "scan-of-another-version", {0: 2}, _MALFORMED, "Versions are not guessed."),
    ("scan-with-a-pin", "scan-with-a-pin-in-the-clear", {12: "258014"}, _MALFORMED, "It is sealed: bytes."),
    ("scan-with-a-pin", "scan-with-a-pin-too-long", {12: bytes(90)}, _MALFORMED, "Eight bytes are sealed."),
    (
        "scan-with-a-pin",
        "scan-with-a-pin-of-four-digits-bare",
        {12: bytes(85)},
        _MALFORMED,
        "It is filled up to eight bytes.",
    ),
    ("scan-by-card", "scan-that-says-more", {13: 0}, _MALFORMED, "A key that nobody knows."),
    ("scan-by-card", "scan-without-beacon", {7: MISSING}, _MALFORMED, "The beacon is missing."),
    ("scan-by-card", "scan-of-a-short-boot", {1: bytes(7)}, _MALFORMED, "A boot id has eight bytes."),
    ("scan-by-card", "scan-number-zero", {2: 0}, _MALFORMED, "Sequences begin at one."),
    ("scan-by-card", "scan-number-true", {2: True}, _MALFORMED, "A number is no truth."),
    ("scan-by-card", "scan-at-a-place-in-capitals", {5: "Front-In"}, _MALFORMED, "Not a name."),
    ("scan-by-card", "scan-of-a-card-too-long", {6: [0, 0, bytes(17)]}, _MALFORMED, "Sixteen bytes at most."),
    ("scan-by-card", "scan-of-an-unknown-technology", {6: [0, 9, b"card"]}, _MALFORMED, ""),
    ("scan-by-digest", "scan-of-half-a-digest", {6: [2, bytes(16)]}, _MALFORMED, ""),
    ("scan-by-token", "scan-of-a-token-too-long", {6: [1, bytes(1025)]}, _MALFORMED, "1,024 bytes at most."),
    (
        "scan-by-token",
        "scan-with-a-proof-of-65-bytes",
        {8: [bytes(16), bytes(65)]},
        _MALFORMED,
        "DER has no place.",
    ),
    ("scan-decided-offline", "scan-that-was-recorded-offline", {10: 2}, _MALFORMED, "Denied or granted."),
    ("passage-forced", "passage-of-an-unknown-outcome", {6: 5}, _MALFORMED, ""),
    ("passage-taken", "passage-after-half-a-scan", {7: bytes(16)}, _MALFORMED, ""),
    ("status-online", "status-of-an-unknown-kind", {5: 99}, _MALFORMED, ""),
    ("status-online", "status-online-with-a-cause", {8: "command-forged"}, _MALFORMED, "No refusal."),
    ("status-command-refused", "status-that-counts-one", {9: 1}, _MALFORMED, "One is said without a count."),
    ("status-online", "status-in-the-year-10000", {3: 253_402_300_800_000}, _MALFORMED, ""),
    ("hello", "hello-without-a-word", {5: ""}, _MALFORMED, ""),
    ("hello", "hello-of-65-characters", {5: "a" * 65}, _MALFORMED, ""),
    ("link-up", "link-up-without-a-beacon", {5: MISSING}, _MALFORMED, "Without one it proves nothing."),
    ("link-up", "link-that-is-neither-up-nor-down", {3: 2}, _MALFORMED, "One or zero."),
    ("link-up", "link-of-connection-zero", {2: 0}, _MALFORMED, ""),
    ("link-down", "link-down-with-a-beacon", {5: bytes(16)}, _MALFORMED, "A will knows none."),
    ("link-down", "link-down-with-a-snapshot", {4: bytes(32)}, _MALFORMED, ""),
    ("decision-granted", "decision-to-grant-without-an-unlock", {7: MISSING}, Ignored.ANSWER_MALFORMED, ""),
    ("decision-denied", "decision-to-deny-with-an-unlock", {7: 4000}, Ignored.ANSWER_MALFORMED, ""),
    (
        "decision-granted",
        "decision-valid-for-too-long",
        {6: 5001},
        Ignored.ANSWER_MALFORMED,
        "Five seconds at most.",
    ),
    ("decision-waiting", "decision-to-wait-for-too-long", {6: 60_001}, Ignored.ANSWER_MALFORMED, "A minute."),
    ("decision-waiting", "decision-to-wait-with-an-unlock", {7: 4000}, Ignored.ANSWER_MALFORMED, ""),
    ("decision-granted", "decision-of-an-unknown-verdict", {3: 4}, Ignored.ANSWER_MALFORMED, "Doubt denies."),
    (
        "command-to-open",
        "command-to-open-no-door",
        {5: MISSING},
        Ignored.COMMAND_MALFORMED,
        "One door, always.",
    ),
    ("command-to-open", "command-without-an-unlock", {11: MISSING}, Ignored.COMMAND_MALFORMED, ""),
    ("command-to-open", "command-valid-for-too-long", {7: 10_001}, Ignored.COMMAND_MALFORMED, "Ten seconds."),
    ("command-to-lock-down", "command-of-an-unknown-kind", {4: 4}, Ignored.COMMAND_MALFORMED, ""),
    ("command-to-lock-down", "command-of-nobody", {8: MISSING}, Ignored.COMMAND_MALFORMED, ""),
    ("command-to-start-anew", "command-to-start-a-door-anew", {5: "front-in"}, Ignored.COMMAND_MALFORMED, ""),
    ("beacon", "beacon-of-eight-bytes", {2: bytes(8)}, Ignored.BEACON_MALFORMED, ""),
    ("checkpoint", "checkpoint-without-a-note", {2: b""}, Ignored.CHECKPOINT_MALFORMED, ""),
    ("snapshot", "snapshot-of-another-version", {0: 2}, Ignored.SNAPSHOT_MALFORMED, ""),
    ("snapshot", "snapshot-of-another-gate", {2: "inner"}, Ignored.SNAPSHOT_FOREIGN, "On this gate's topic."),
    ("snapshot", "snapshot-that-ends-before-it-begins", {6: 0}, Ignored.SNAPSHOT_MALFORMED, ""),
    (
        "snapshot",
        "snapshot-without-its-tenants",
        {9: []},
        Ignored.SNAPSHOT_MALFORMED,
        "A class refers to one.",
    ),
    (
        "snapshot",
        "snapshot-with-hours-that-overlap",
        {10: [[10, 30, 20, 40], [10, 20]]},
        Ignored.SNAPSHOT_MALFORMED,
        "They rise.",
    ),
    ("snapshot", "snapshot-with-half-a-row", {12: bytes(12)}, Ignored.SNAPSHOT_MALFORMED, "24 bytes each."),
    ("snapshot", "snapshot-with-a-badge-twice", {12: bytes(48)}, Ignored.SNAPSHOT_MALFORMED, "Rows rise."),
    (
        "snapshot",
        "snapshot-with-a-row-of-no-class",
        {12: bytes(20) + b"\0\0\0\x09"},
        Ignored.SNAPSHOT_MALFORMED,
        "",
    ),
    (
        "snapshot",
        "snapshot-with-a-card-without-a-token",
        {13: b"\0\x04card" + bytes(16)},
        Ignored.SNAPSHOT_MALFORMED,
        "Its row says that it has no bytes.",
    ),
    ("standing", "standing-of-another-site", {1: "other-fort"}, Ignored.STANDING_FOREIGN, ""),
    (
        "standing",
        "standing-without-lockdowns",
        {5: MISSING},
        Ignored.STANDING_MALFORMED,
        "None is [], not nothing.",
    ),
    (
        "standing",
        "standing-with-a-list-that-nobody-signed",
        {7: {"army": b"status"}},
        Ignored.STANDING_MALFORMED,
        "One that is not believed spoils the standing.",
    ),
    (
        "status-list",
        "status-list-of-another-tenant",
        {2: "site:vector-fort/t:school"},
        Ignored.STANDING_MALFORMED,
        "",
    ),
    (
        "status-list",
        "status-list-of-two-bits",
        {65533: {"bits": 2, "lst": zlib.compress(bytes(1))}},
        Ignored.STANDING_MALFORMED,
        "Four bits a badge.",
    ),
    (
        "status-list",
        "status-list-with-bytes-behind-it",
        {65533: {"bits": 4, "lst": zlib.compress(bytes(1)) + b"more"}},
        Ignored.STANDING_MALFORMED,
        "One whole stream.",
    ),
    (
        "badge-key-bound-p256",
        "badge-bound-to-no-key",
        {8: MISSING},
        _FORGED,
        "From assurance 2 there must be one.",
    ),
    ("badge-bearer", "badge-with-a-name", {2: "Jansen"}, _FORGED, "No `sub`: a badge names nobody."),
    (
        "badge-bearer",
        "badge-for-months-without-status",
        {65535: MISSING},
        _FORGED,
        "24 hours at most without.",
    ),
    ("badge-bearer", "badge-that-ends-before-it-begins", {4: 1}, _FORGED, ""),
    (
        "badge-bearer",
        "badge-of-another-tenant",
        {1: "t:club"},
        _FORGED,
        "The issuer's key belongs to another.",
    ),
    ("badge-bearer", "badge-of-another-site", {3: "site:other-fort"}, _FORGED, ""),
    (
        "badge-for-three-uses",
        "badge-for-no-use",
        {-65537: {1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 6: False, 8: 0}},
        _FORGED,
        "",
    ),
    (
        "badge-bearer",
        "badge-that-does-not-cry-for-help",
        {-65537: {1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 6: False, 9: False}},
        _FORGED,
        "What is not so is left out.",
    ),
    ("badge-bearer", "badge-with-a-short-id", {7: bytes(15)}, _FORGED, ""),
    ("holder", "holder-of-another-site", {1: "other-fort"}, ChangeRefusal.REGISTRATION, ""),
    ("holder", "holder-that-says-more", {13: 0}, ChangeRefusal.REGISTRATION, ""),
    (
        "holder-with-a-host",
        "holder-with-half-a-pin",
        {12: [bytes(16), bytes(32)]},
        ChangeRefusal.REGISTRATION,
        "",
    ),
    ("operator", "operator-without-a-role", {3: []}, ChangeRefusal.APPOINTMENT, ""),
    (
        "operator",
        "operator-with-roles-falling",
        {3: ["guard", "auditor"]},
        ChangeRefusal.APPOINTMENT,
        "They rise.",
    ),
    ("operator", "operator-of-an-unknown-role", {3: ["king"]}, ChangeRefusal.APPOINTMENT, ""),
    ("operator", "operator-that-ends-before-it-begins", {6: 0}, ChangeRefusal.APPOINTMENT, ""),
    ("agreement", "agreement-above-the-highest-level", {3: 6}, TrustRefusal.AGREEMENT, ""),
    ("agreement", "agreement-of-another-tenant", {2: "club"}, TrustRefusal.AGREEMENT, ""),
    ("trust", "trust-of-another-version", {0: 2}, TrustRefusal.MALFORMED, ""),
    ("trust", "trust-of-another-site", {1: "other-fort"}, TrustRefusal.OTHER_SITE, ""),
    ("trust", "trust-without-gates", {7: MISSING}, TrustRefusal.MALFORMED, ""),
    ("change-of-alert", "change-of-an-unknown-kind", {3: "weather"}, _CHANGE, ""),
    ("change-of-alert", "change-without-author", {5: ""}, _CHANGE, ""),
    (
        "change-of-alert",
        "change-by-another",
        {5: "deputy"},
        ChangeRefusal.AUTHOR,
        "The key is the officer's.",
    ),
    ("change-of-suspension", "change-that-suspends-a-little", {6: {1: "school", 2: 1}}, _CHANGE, ""),
    (
        "change-of-export",
        "change-that-exports-everything",
        {6: {1: "school", 2: "all", 3: "audit"}},
        _CHANGE,
        "",
    ),
    (
        "change-of-export",
        "change-that-exports-for-no-reason",
        {6: {1: "school", 2: "badges", 3: ""}},
        _CHANGE,
        "",
    ),
    (
        "change-of-export",
        "change-that-exports-on-two-lines",
        {6: {1: "school", 2: "badges", 3: "audit\nof 2026"}},
        _CHANGE,
        "",
    ),
    (
        "change-of-log-export-of-all",
        "change-that-exports-no-tree",
        {6: {1: "school", 2: None, 3: None, 4: [], 5: [], 6: None, 7: False, 8: "audit"}},
        _CHANGE,
        "A tenant's tree is called `tenant:` and its name.",
    ),
    (
        "change-of-log-export-of-all",
        "change-that-exports-backwards",
        {6: {1: "site", 2: 2000, 3: 1000, 4: [], 5: [], 6: None, 7: False, 8: "audit"}},
        _CHANGE,
        "It ends before it begins.",
    ),
    (
        "change-of-log-export-of-all",
        "change-that-exports-doors-falling",
        {6: {1: "site", 2: None, 3: None, 4: ["b", "a"], 5: [], 6: None, 7: False, 8: "audit"}},
        _CHANGE,
        "They rise, and each stands once.",
    ),
    ("change-of-look-up", "change-that-looks-for-no-purpose", {6: {1: "pupil", 2: ""}}, _CHANGE, ""),
    ("change-of-erasure", "change-that-erases-nobody", {6: {1: "", 2: "left"}}, _CHANGE, ""),
    ("change-of-hold", "change-that-holds-a-zone", {6: {1: "zone:house", 2: True, 3: "case"}}, _CHANGE, ""),
    ("change-of-guard", "change-of-a-guard-who-says-nothing", {6: {1: 22}}, _CHANGE, ""),
    ("change-of-approval", "change-that-approves-half-a-digest", {6: {1: bytes(16)}}, _CHANGE, ""),
    ("change-of-lockdown", "change-of-no-scope", {6: {1: "door:x", 2: True}}, _CHANGE, ""),
    ("change-of-badge", "change-to-an-unknown-state", {6: {1: bytes(16), 2: "eaten"}}, _CHANGE, ""),
    ("enrolment", "enrolment-in-capitals", {2: "Front"}, EnrolmentRefusal.MALFORMED, ""),
    ("enrolment", "enrolment-of-no-key", {4: b"key"}, EnrolmentRefusal.KEY, ""),
    ("enrolment", "enrolment-of-half-a-tls-key", {0: 2, 5: bytes(16)}, EnrolmentRefusal.MALFORMED, ""),
    ("enrolment", "enrolment-of-version-1-with-a-tls-key", {5: bytes(32)}, EnrolmentRefusal.MALFORMED, ""),
    ("enrolment", "enrolment-without-a-key", {4: MISSING}, EnrolmentRefusal.MALFORMED, ""),
)


def mistakes() -> Iterator[Mistake]:
    """All that have a code."""
    valid = specimens.payloads()
    for example, name, changes, code, says in _PAYLOADS:
        rule, payload = valid[example]
        fields = cose.decode(payload, bounds=_ROOMY) | changes
        kept = {key: value for key, value in fields.items() if value is not MISSING}
        yield Mistake(name=name, read_as=rule, octets=cose.encode(kept), code=str(code), says=says)
    yield from _parts()


_ROOMY = cose.Bounds(max_bytes=1 << 20, max_depth=16, max_items=1 << 16)


def _parts() -> Iterator[Mistake]:
    refusal = cose.Refusal

    def part(read_as: str, name: str, octets: bytes, code: cose.Refusal, says: str = "") -> Mistake:
        return Mistake(name=name, read_as=read_as, octets=octets, code=code.value, says=says)

    big = b"\x59\x1f\xfe" + bytes(8190)
    yield part(
        "item", "item-of-8193-bytes", big, refusal.CBOR_OVERSIZED, "8,192 at most, unless it says otherwise."
    )
    topic = readers.topic_of(readers.UPWARD["scan"][0])
    by_service = readers.signed(b"\xa0", key="decision", typ=SCAN_TYPE, aad=topic)
    yield part(
        "message", "message-by-a-key-of-another-use", by_service, refusal.COSE_KEY_USE, "A key has one use."
    )
    payload, signatures = cose.decode(agreement_document())
    for name, document, code in (
        ("cosigned-by-nobody", [payload, []], refusal.COSIGNED_STRUCTURE),
        ("cosigned-falling", [payload, signatures[::-1]], refusal.COSIGNED_ORDER),
        ("cosigned-twice-by-one", [payload, [signatures[0], signatures[0]]], refusal.COSIGNED_ORDER),
    ):
        yield part("cosigned", name, cose.encode(document), code)
    yield part("claims", "claims-of-a-day-in-text", cose.encode({4: "tomorrow"}), refusal.CWT_CLAIMS)
    yield part(
        "claims",
        "claims-by-name",
        cose.encode({"iss": "t:school"}),
        refusal.CWT_CLAIMS,
        "Claims have numbers.",
    )
    yield from _keys(part)


def _keys(part: Callable[..., Mistake]) -> Iterator[Mistake]:
    refusal, key = cose.Refusal, key_of("front").public_der
    p256, ed25519 = int(cose.Algorithm.ESP256), int(cose.Algorithm.ED25519)
    compressed = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + b"\x02" + key[27:59]
    edwards = bytes.fromhex("302a300506032b6570032100")
    for name, algorithm, spki, code, says in (
        ("key-compressed", p256, compressed, refusal.KEY_FORM, "Points are written uncompressed."),
        ("key-of-another-curve", ed25519, key, refusal.KEY_FORM, ""),
        ("key-off-its-curve", p256, key[:-1] + bytes((key[-1] ^ 1,)), refusal.KEY_OFF_CURVE, ""),
        (
            "key-of-small-order",
            ed25519,
            edwards + b"\x01" + bytes(31),
            refusal.KEY_SMALL_ORDER,
            "Anyone could sign.",
        ),
    ):
        yield part("key", name, cose.encode([algorithm, spki]), code, says)
    twice = [[p256, key, use, "front"] for use in (Use.GATE.value, Use.DECISION.value)]
    yield part("keys", "keys-one-for-two-uses", cose.encode(twice), refusal.KEY_ID_CLASH)


def _key(octets: bytes) -> str | None:
    algorithm, spki = cose.decode(octets)
    try:
        cose.KeyRecord.of(spki, algorithm=cose.Algorithm(algorithm), use=Use.GATE, owner="front")
    except cose.KeyRefusedError as error:
        return error.code.value
    return None


def _key_ring(octets: bytes) -> str | None:
    try:
        cose.key_ring(
            cose.KeyRecord.of(spki, algorithm=cose.Algorithm(algorithm), use=use, owner=owner)
            for algorithm, spki, use, owner in cose.decode(octets)
        )
    except cose.KeyRefusedError as error:
        return error.code.value
    return None


def _code_of(found: object) -> str | None:
    return found.code.value if isinstance(found, cose.Refused) else None


def _message(octets: bytes) -> str | None:
    ring = cose.key_ring(map(record_of, KEYS))
    topic = readers.topic_of(readers.UPWARD["scan"][0])
    return _code_of(cose.verify(octets, keys=ring, typ=SCAN_TYPE, use=Use.GATE, external_aad=topic.encode()))


def _cosigned(octets: bytes) -> str | None:
    return _code_of(
        cose.verify_cosigned(
            octets, keys=trust().tenants, typ=AGREEMENT_TYPE, uses={Use.TENANT}, external_aad=SITE.encode()
        )
    )


PARTS: Mapping[str, Callable[[bytes], str | None]] = {
    "item": lambda octets: _code_of(cose.decode(octets)),
    "message": _message,
    "cosigned": _cosigned,
    "claims": lambda octets: _code_of(cwt.read_claims(octets)),
    "key": _key,
    "keys": _key_ring,
}
"""What reads a part: one item of CBOR, a scan message by any key of the site, an agreement, claims, [algorithm, SPKI] and
[[algorithm, SPKI, use, owner]]."""


def word_of(read_as: str, octets: bytes) -> str | None:
    """What the code says of an object; None when it takes it."""
    return PARTS[read_as](octets) if read_as in PARTS else readers.refusal(read_as, octets)


def entries_not_of_the_log() -> Iterator[tuple[str, str, bytes]]:
    """Bodies that are none: name, what is wrong, the body."""
    first = {kind: _body(kind) for kind in Kind}
    granted, gap, founded = first[Kind.ACCESS_GRANTED], first[Kind.GATE_GAP], first[Kind.SITE_FOUNDED]
    waiting, locked = first[Kind.ACCESS_WAITING], first[Kind.LOCKDOWN_CHANGED]
    denied, taken = first[Kind.ACCESS_DENIED], first[Kind.PASSAGE_TAKEN]
    exported, log_exported = first[Kind.PEOPLE_EXPORTED], first[Kind.LOG_EXPORTED]
    erased, held = first[Kind.PERSON_ERASED], first[Kind.HOLD_PLACED]
    wrong: Mapping[str, tuple[str, Mapping[str, Any]]] = {
        "entry-of-an-unknown-kind": ("No branch has it.", {**gap, "kind": "gate.dancing"}),
        "entry-of-another-version": ("", {**gap, "v": 2}),
        "entry-that-says-more": ("A field that its kind does not have.", {**gap, "reason": "granted"}),
        "entry-without-a-nonce": ("", {key: value for key, value in gap.items() if key != "nonce"}),
        "entry-with-a-holder": ("What is personal is not in the body.", {**granted, "holder": "h-pupil"}),
        "entry-without-its-personal-part": (
            "",
            {key: value for key, value in granted.items() if key != "personal"},
        ),
        "entry-granted-for-a-denial": ("", {**granted, "reason": Reason.CLEARANCE.code}),
        "entry-denied-for-no-reason": ("", {**denied, "reasons": []}),
        "entry-in-local-time": ("UTC, with microseconds.", {**gap, "at": "2026-06-03T12:00:00+02:00"}),
        "entry-outside-the-site-s-tree": ("", {**gap, "trees": {}}),
        "entry-with-a-grant-after-no-scan": (
            "",
            {key: value for key, value in taken.items() if key != "scan"},
        ),
        "entry-that-waits-for-nothing": ("", {**waiting, "reasons": [Reason.SEARCH_SELECTED.code]}),
        "entry-with-an-empty-shadow": ("Left out when there is none.", {**waiting, "shadow": []}),
        "entry-approved-without-a-proposal": ("", {**locked, "approved_by": "deputy"}),
        "entry-founded-by-no-root": ("", {**founded, "roots": []}),
        "entry-exported-by-one-alone": (
            "",
            {key: value for key, value in exported.items() if key not in {"proposal", "approved_by"}},
        ),
        "entry-that-opens-for-one-alone": ("", {**log_exported, "openings": True}),
        "entry-erased-by-one-alone": (
            "",
            {key: value for key, value in erased.items() if key not in {"proposal", "approved_by"}},
        ),
        "entry-of-a-hold-that-names-somebody": ("", {**held, "scope": "holder:h-pupil"}),
    }
    for name, (says, body) in wrong.items():
        yield name, says, canonical_json(body)


def _body(kind: Kind) -> dict[str, Any]:
    entry = next(entry for entry in whole_log() if entry.draft.kind is kind)
    body: dict[str, Any] = json.loads(entry.body)
    return body
