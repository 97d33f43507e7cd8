"""Whether a tenant's people or badges may be written to a file: the log must say that two people agreed, and lately.

    proposed, with a reason -> approved by another -> people.exported -> for a day: the file may be written

What counts is the body of that entry, the bytes that are the leaf of the site's tree; nothing that a row says beside it.
Whether the tree holds this body is not proved here: the audit does that, over the whole log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from gatekeeper.core.audit import Kind, instant, read_body
from gatekeeper.core.change import Exported
from gatekeeper.model.ids import SiteId, TenantId

__all__ = ["EXPORT_LASTS", "ApprovedExport", "ExportRefusal", "ExportRefused", "approved_export"]

EXPORT_LASTS: Final = timedelta(hours=24)


class ExportRefusal(StrEnum):
    """Why an entry lets nothing be exported."""

    NO_ENTRY = "export-no-entry"
    ALTERED = "export-altered"
    NOT_APPROVED = "export-not-approved"
    OTHER_TENANT = "export-other-tenant"
    OTHER_LIST = "export-other-list"
    OTHER_REASON = "export-other-reason"
    TOO_OLD = "export-too-old"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    ExportRefusal.NO_ENTRY: "The log holds no such entry.",
    ExportRefusal.ALTERED: "The entry is not as the log writes one: have the log verified.",
    ExportRefusal.NOT_APPROVED: "The entry approves no export: name the entry people.exported.",
    ExportRefusal.OTHER_TENANT: "The entry approves an export of another tenant.",
    ExportRefusal.OTHER_LIST: "The entry approves an export of badges where holders are asked for, or the other way round.",
    ExportRefusal.OTHER_REASON: "The export was approved for another reason.",
    ExportRefusal.TOO_OLD: "The export was approved more than 24 hours ago: propose it anew.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRefused:
    """An entry that lets nothing be exported, and what it is instead."""

    code: ExportRefusal
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedExport:
    """An export to which two people agreed."""

    reason: str
    author: str
    approved_by: str
    at: datetime


def approved_export(
    body: bytes,
    *,
    site: SiteId,
    seq: int,
    tenant: TenantId,
    what: Exported,
    now: datetime,
    reason: str | None = None,
) -> ApprovedExport | ExportRefused:
    """Read the body of an entry as the approval of this export; `reason` is what it must give, when one is given."""
    entry = read_body(body, site=site, seq=seq)
    if entry is None:
        return ExportRefused(code=ExportRefusal.ALTERED)
    if entry["kind"] != Kind.PEOPLE_EXPORTED:
        return ExportRefused(code=ExportRefusal.NOT_APPROVED, detail=f"{seq} is {entry['kind']}")
    found = _approved(entry)
    if found is None:
        return ExportRefused(code=ExportRefusal.ALTERED)
    if entry.get("tenant") != tenant:
        return ExportRefused(code=ExportRefusal.OTHER_TENANT)
    if entry.get("what") != what:
        return ExportRefused(code=ExportRefusal.OTHER_LIST)
    if reason not in {None, found.reason}:
        return ExportRefused(code=ExportRefusal.OTHER_REASON, detail=found.reason)
    if now - found.at >= EXPORT_LASTS:
        return ExportRefused(code=ExportRefusal.TOO_OLD)
    return found


def _approved(entry: Mapping[str, Any]) -> ApprovedExport | None:
    match entry:
        case {"reason": str(reason), "author": str(author), "approved_by": str(second), "at": str(at)}:
            written = at
        case _:
            return None
    # INVARIANT: whoever has proposed an export is not whoever agreed to it.
    if author == second:
        return None
    try:
        return ApprovedExport(reason=reason, author=author, approved_by=second, at=instant(written))
    except ValueError:
        return None
