"""Why a proof, a note or a path is not believed: one stable code and one sentence for every way it can fail.

A refusal is a value; it is never raised. Codes are part of the contract (verdicts of the auditor's tool and answers of
a witness name them) and are never reused. What to do about a refusal is the caller's affair.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

__all__ = ["Code", "Refusal", "Refused"]


class Code(StrEnum):
    """A stable code, and in `sentence` what it means in plain English."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Self:
        """Make the code the member's value, so that `Refusal("proof-root")` finds it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member


class Refusal(Code):
    """Why something in the public formats is not believed."""

    PROOF_BOUNDS = "proof-bounds", "The sizes and indices of the proof do not lie in order within the tree."
    PROOF_EMPTY_TREE = (
        "proof-empty-tree",
        "Every tree grows from the empty one, so there is nothing to prove.",
    )
    PROOF_LENGTH = "proof-length", "The proof has more or fewer hashes than these sizes ask for."
    PROOF_HASH_WIDTH = "proof-hash-width", "A hash is not 32 bytes long."
    PROOF_OLD_ROOT = "proof-old-root", "The proof does not lead to the root of the older tree."
    PROOF_ROOT = "proof-root", "The proof does not lead to the root of the tree."
    PROOF_LEAF_COUNT = "proof-leaf-count", "More or fewer leaves were given than the range holds."

    TILE_PATH = "tile-path", "The path is not the one spelling of a tile or an entry bundle."
    BUNDLE_TRUNCATED = "bundle-truncated", "The entry bundle ends within an entry or holds too few."
    BUNDLE_TRAILING_BYTES = "bundle-trailing-bytes", "Bytes follow after the last entry of the bundle."

    KEY_FORM = "key-form", "The verifier key is not name, key id and base64 joined by plus signs."
    KEY_TYPE = "key-type", "The verifier key is of a signature type that is not supported."
    KEY_ID = "key-id", "The key id is not the one that follows from the name and the public key."
    KEY_WEAK = "key-weak", "The public key is not canonical or is degenerate: anyone could sign for it."

    NOTE_OVERSIZED = "note-oversized", "The note is longer than 1,000,000 bytes."
    NOTE_UTF8 = "note-utf8", "The note is not valid UTF-8."
    NOTE_CONTROL_CHARACTER = (
        "note-control-character",
        "The note contains a control character that is not a newline.",
    )
    NOTE_STRUCTURE = (
        "note-structure",
        "The note is not a text, a blank line and signature lines, each ending in a newline.",
    )
    NOTE_SIGNATURE_LINE = "note-signature-line", "A signature line is not an em dash, a key name and base64."
    NOTE_KEY_NAME = "note-key-name", "A key name is empty or contains a space or a plus sign."
    NOTE_BASE64 = "note-base64", "A signature is not in canonical base64, or too short to hold one."
    NOTE_TOO_MANY_SIGNATURES = "note-too-many-signatures", "The note has more than 100 signatures."
    NOTE_DUPLICATE_SIGNATURE = "note-duplicate-signature", "Two signature lines are of the same key."
    NOTE_SIGNATURE = "note-signature", "The signature of a known key does not match the text."
    NOTE_UNKNOWN_KEYS = "note-unknown-keys", "No known key signed the note."

    CHECKPOINT_STRUCTURE = (
        "checkpoint-structure",
        "The text is not three or more non-empty lines, each ending in a newline.",
    )
    CHECKPOINT_SIZE = "checkpoint-size", "The tree size is not a plain decimal number below 2^63."
    CHECKPOINT_ROOT = "checkpoint-root", "The root is not 32 bytes in canonical base64."
    CHECKPOINT_ORIGIN = (
        "checkpoint-origin",
        "No known key that bears the name of the origin signed the checkpoint.",
    )

    POLICY_OVERSIZED = "policy-oversized", "The policy is longer than 1,000,000 bytes."
    POLICY_STRUCTURE = (
        "policy-structure",
        "The policy is not made of lines that each end in a newline, or contains a control character.",
    )
    POLICY_LINE = (
        "policy-line",
        "The line is not a log, a witness, a group or a quorum with what belongs to it.",
    )
    POLICY_KEY_TYPE = (
        "policy-key-type",
        "The key is of a type that logs, or witnesses, do not sign with.",
    )
    POLICY_DUPLICATE_KEY = (
        "policy-duplicate-key",
        "The policy names the same public key before, or one of the same name and key id: one log line serves all trees of a site.",
    )
    POLICY_NAME = "policy-name", "The name is taken, or is none, which says that no quorum is asked for."
    POLICY_MEMBER = (
        "policy-member",
        "A name is not defined above, or is a member of a group already.",
    )
    POLICY_THRESHOLD = (
        "policy-threshold",
        "The threshold is not all, any, or a number from 1 to that of the members.",
    )
    POLICY_QUORUM = "policy-quorum", "The policy has no line for the quorum, or more than one."
    POLICY_UNSATISFIED = (
        "policy-unsatisfied",
        "Fewer witnesses have cosigned the checkpoint than the policy asks for.",
    )

    TLOG_PROOF_OVERSIZED = "tlog-proof-oversized", "The proof is longer than 2,000,000 bytes."
    TLOG_PROOF_STRUCTURE = (
        "tlog-proof-structure",
        "The proof is not lines of ASCII, an empty line and a signed checkpoint.",
    )
    TLOG_PROOF_HEADER = "tlog-proof-header", "The proof does not begin with c2sp.org/tlog-proof@v1."
    TLOG_PROOF_EXTRA = "tlog-proof-extra", "The extra data is empty or not in canonical base64."
    TLOG_PROOF_INDEX = (
        "tlog-proof-index",
        "The line after the header is not the index of the entry, a plain decimal number below 2^63.",
    )
    TLOG_PROOF_HASH = (
        "tlog-proof-hash",
        "The lines after the index are not up to 63 hashes of 32 bytes in canonical base64.",
    )

    WITNESS_OVERSIZED = "witness-oversized", "The request to the witness is longer than 131,072 bytes."
    WITNESS_STRUCTURE = (
        "witness-structure",
        "The request is not lines of ASCII, an empty line and a signed checkpoint.",
    )
    WITNESS_OLD_SIZE = (
        "witness-old-size",
        "The request does not begin with old and a plain decimal number below 2^63.",
    )
    WITNESS_PROOF_LINE = (
        "witness-proof-line",
        "The lines after the old size are not up to 63 hashes of 32 bytes in canonical base64.",
    )
    WITNESS_OLD_SIZE_ABOVE = (
        "witness-old-size-above",
        "The old size is larger than that of the checkpoint.",
    )
    WITNESS_UNKNOWN_LOG = "witness-unknown-log", "The witness was not told to watch this log."
    WITNESS_CONFLICT = (
        "witness-conflict",
        "The witness has last cosigned another size than the old size.",
    )
    WITNESS_FORK = (
        "witness-fork",
        "The witness has cosigned another tree of the same size: the log has shown two.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refusal; `detail` says which key, line or hash, where that helps."""

    code: Refusal
    detail: str = ""
