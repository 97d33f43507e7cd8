"""What a bundle says and how it is spelled (`schemas/bundle.md`): shared by whoever writes one and whoever checks it.

    manifest    what was asked for, and what is there           selection   which entries a filter gives
    lines       gaps, personal parts opened                     table       entries as rows of a table
    proofs      the hashes that lead to the checkpoint          segments    how a range is cut, and member names
    words       what a bundle proves, in English and Dutch

Pure: bytes and values; nothing is opened, written, or believed here.
"""

from gatekeeper.core.export.lines import (
    GAP_STARTS,
    OPENING_START,
    Absent,
    Gap,
    Opening,
    gap_line,
    opening_line,
    read_gap,
    read_opening,
)
from gatekeeper.core.export.manifest import (
    FORMAT,
    Counts,
    Expiry,
    ExportedBy,
    Manifest,
    manifest_document,
    read_manifest,
)
from gatekeeper.core.export.proofs import EarlierCheckpoint, Proofs, proofs_document, read_proofs
from gatekeeper.core.export.segments import SEGMENT, Segment, member_name, segments_of
from gatekeeper.core.export.selection import EVERYTHING, Selection
from gatekeeper.core.export.table import COLUMNS, FORMER, Dialect, Told, cells_of, heading, rows_of
from gatekeeper.core.export.words import bewijst, proves

__all__ = [
    "COLUMNS",
    "EVERYTHING",
    "FORMAT",
    "FORMER",
    "GAP_STARTS",
    "OPENING_START",
    "SEGMENT",
    "Absent",
    "Counts",
    "Dialect",
    "EarlierCheckpoint",
    "Expiry",
    "ExportedBy",
    "Gap",
    "Manifest",
    "Opening",
    "Proofs",
    "Segment",
    "Selection",
    "Told",
    "bewijst",
    "cells_of",
    "gap_line",
    "heading",
    "manifest_document",
    "member_name",
    "opening_line",
    "proofs_document",
    "proves",
    "read_gap",
    "read_manifest",
    "read_opening",
    "read_proofs",
    "rows_of",
    "segments_of",
]
