"""The auditor's tool: a bundle is checked offline, with nothing but public keys and what was seen of the log before.

    archive     the ZIP file, strictly and as streams      signing     the checkpoint: whose it is, who cosigned
    vouching    whose word on any checkpoint counts        timestamps  what time-stamping authorities say of one
    segments    entries, openings and table of a segment   seen        checkpoints from elsewhere
    stamping    which checkpoint the time stamp is over    timestamps  tokens (RFC 3161), from the roots of authorities
    expired     what is given as let go by the log
    exported    the export's own entry                     memory      what is remembered from one time to the next
    bundle      all of it, in order                        findings    faults with their codes, and the report

It needs none of the server's packages, and whatever stands in a bundle, nothing here raises but what says that it cannot
be checked.
"""

from gatekeeper.service.auditor.bundle import Known, verify_bundle
from gatekeeper.service.auditor.findings import CannotCheckError, Fault, Finding, Report, Seen
from gatekeeper.service.auditor.memory import Memory, Remembered

__all__ = [
    "CannotCheckError",
    "Fault",
    "Finding",
    "Known",
    "Memory",
    "Remembered",
    "Report",
    "Seen",
    "verify_bundle",
]
