"""Transparency: an append-only log that anyone can hold to its word, in the public formats of C2SP and RFC 6962.

    hashing       leaf and node hashes, and how they pair       tiles       the tree cut into tiles, paths, entry bundles
    merkle        the growing tree                              proofs      inclusion, consistency, ranges
    note          signed notes                                  keys        who signs and cosigns them, and verifies
    checkpoint    a log's size and root                         cosignature what a witness signs of it
    signed_checkpoint   what log and witnesses signed           policy      which logs and witnesses are believed, and how many
    tlog_proof    one entry's proof in one file                 witness     how a witness is asked, and what it answers
    spelling      base64 and decimals, spelt one way            refusal     why something is not believed

Pure: bytes in, values out, no file, no clock, no randomness. It knows nothing of doors.
"""

from gatekeeper.transparency.checkpoint import Checkpoint, parse_checkpoint
from gatekeeper.transparency.keys import (
    Cosigner,
    MlDsaCosigner,
    NoteSignature,
    SignatureType,
    Signer,
    VerifiedSignature,
    Verifier,
    parse_verifier,
)
from gatekeeper.transparency.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    EdgeError,
    Tree,
    leaf_hash,
    node_hash,
    root_of,
)
from gatekeeper.transparency.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Note,
    OpenedNote,
    format_note,
    open_note,
    parse_note,
    sign_note,
)
from gatekeeper.transparency.policy import (
    Policy,
    PolicyGroup,
    PolicyLog,
    PolicyWitness,
    parse_policy,
)
from gatekeeper.transparency.proofs import (
    RangeVerifier,
    Span,
    Subtree,
    Subtrees,
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    range_proof,
    range_spans,
    subtree_hashes,
    subtrees_of,
    tiles_for,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from gatekeeper.transparency.refusal import (
    Refusal,
    Refused,
)
from gatekeeper.transparency.signed_checkpoint import (
    OpenedCheckpoint,
    open_checkpoint,
    read_checkpoint,
    sign_checkpoint,
    with_cosignatures,
)
from gatekeeper.transparency.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    BundleCoordinates,
    HashReader,
    MissingTileError,
    Tile,
    TileCoordinates,
    TileHashes,
    bundle_path,
    format_bundle,
    node_hash_from_tiles,
    parse_bundle,
    parse_bundle_path,
    parse_tile_path,
    tile_coordinates,
    tile_path,
)
from gatekeeper.transparency.tlog_proof import (
    TlogProof,
    format_tlog_proof,
    parse_tlog_proof,
    verify_tlog_proof,
)

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "MAX_NOTE_BYTES",
    "MAX_SIGNATURES",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "BundleCoordinates",
    "Checkpoint",
    "Cosigner",
    "EdgeError",
    "HashReader",
    "MissingTileError",
    "MlDsaCosigner",
    "Note",
    "NoteSignature",
    "OpenedCheckpoint",
    "OpenedNote",
    "Policy",
    "PolicyGroup",
    "PolicyLog",
    "PolicyWitness",
    "RangeVerifier",
    "Refusal",
    "Refused",
    "SignatureType",
    "Signer",
    "Span",
    "Subtree",
    "Subtrees",
    "Tile",
    "TileCoordinates",
    "TileHashes",
    "TlogProof",
    "Tree",
    "VerifiedSignature",
    "Verifier",
    "bundle_path",
    "consistency_proof",
    "consistency_spans",
    "format_bundle",
    "format_note",
    "format_tlog_proof",
    "inclusion_proof",
    "inclusion_spans",
    "leaf_hash",
    "node_hash",
    "node_hash_from_tiles",
    "open_checkpoint",
    "open_note",
    "parse_bundle",
    "parse_bundle_path",
    "parse_checkpoint",
    "parse_note",
    "parse_policy",
    "parse_tile_path",
    "parse_tlog_proof",
    "parse_verifier",
    "range_proof",
    "range_spans",
    "read_checkpoint",
    "root_of",
    "sign_checkpoint",
    "sign_note",
    "subtree_hashes",
    "subtrees_of",
    "tile_coordinates",
    "tile_path",
    "tiles_for",
    "verify_consistency",
    "verify_inclusion",
    "verify_range",
    "verify_tlog_proof",
    "with_cosignatures",
]
