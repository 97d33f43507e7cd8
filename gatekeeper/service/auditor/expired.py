"""What a bundle gives as expired: that the log itself says so, as far as the bundle shows it.

The entries that tell of deletions stand in the site's tree. A bundle of that tree that shows all entries behind what expired
shows them too: there, whoever hides an entry as expired is found out. A filter, an end before the checkpoint, or a
tenant's tree shows less, and the report says what is then not known.
"""

from collections.abc import Sequence
from itertools import pairwise

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.core.export import Expiry, Manifest
from gatekeeper.service.auditor.findings import Fault, Report, fault
from gatekeeper.service.auditor.segments import Deletion
from gatekeeper.service.words import counted

__all__ = ["hold_expired"]


def hold_expired(
    manifest: Manifest, deletions: Sequence[Deletion], *, hashes_only: bool, report: Report
) -> None:
    """Hold what is given as expired against what the entries of the bundle tell of it. Raises `Found`.

    `deletions` are those that the bundle shows, in the log's order.
    """
    expired = manifest.expired
    if expired is None:
        return
    of_site = manifest.tree == SITE_TREE and not hashes_only
    first = min((one.first for one in deletions), default=0)
    told = max((one.last + 1 for one in deletions), default=0)
    if of_site and not manifest.selection:
        _hold_names(manifest, expired, deletions)
        _hold_row(deletions)
        if told < manifest.begins and manifest.range[1] == manifest.size:
            raise fault(Fault.EXPIRED_UNTOLD, member="manifest.json", index=told)
    is_told = of_site and first <= manifest.range[0] and manifest.begins <= told
    report.unchecked += _unknown(manifest, expired, is_told=is_told)


def _hold_row(deletions: Sequence[Deletion]) -> None:
    """See that deletions join on: a log lets its oldest entries go, and leaves none out."""
    for before, after in pairwise(deletions):
        if after.first != before.last + 1:
            raise fault(Fault.EXPIRED_UNTOLD, member="manifest.json", index=before.last + 1)


def _hold_names(manifest: Manifest, expired: Expiry, deletions: Sequence[Deletion]) -> None:
    """See that the manifest names the first and the last entry that tell of it, where the bundle shows them."""
    start, begins, end = manifest.range[0], manifest.begins, manifest.range[1]
    telling = [one.seq for one in deletions if start <= one.last and one.first < begins]
    named = expired.told_by or ()
    for seq in telling:
        if not named or not named[0] <= seq <= named[1]:
            raise fault(Fault.EXPIRED_OTHER, member="manifest.json", index=seq)
    for seq in named:
        if seq < begins or (seq < end and seq not in telling):
            raise fault(Fault.EXPIRED_OTHER, member="manifest.json", index=seq)


def _unknown(manifest: Manifest, expired: Expiry, *, is_told: bool) -> list[str]:
    entries = counted(expired.entries, "entry", "entries")
    says = []
    if not is_told:
        says.append(
            f"that the log let the first {entries} go, which are given as expired: {_telling(expired)}"
        )
    if manifest.since is not None or manifest.until is not None:
        says.append(f"which of the {entries} that expired were made within the times asked for")
    return says


def _telling(expired: Expiry) -> str:
    if expired.told_by is None:
        return "no entry is named that says so"
    first, last = expired.told_by
    return (
        f"the entries data.expired from {first} to {last} of the site's log would say so, and are not all checked here; "
        "gatekeeper audit prove shows one"
    )
