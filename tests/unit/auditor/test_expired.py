"""What is given as expired: the deletions that a bundle shows must join on, and reach as far."""

from collections.abc import Sequence

import pytest

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.core.export import EVERYTHING, Counts, Expiry, ExportedBy, Manifest
from gatekeeper.model.ids import SiteId
from gatekeeper.service.auditor.expired import hold_expired
from gatekeeper.service.auditor.findings import Fault, Found, Report
from gatekeeper.service.auditor.segments import Deletion

SIZE, GONE = 400, 251
FIRST, SECOND = Deletion(seq=300, first=0, last=99), Deletion(seq=310, first=100, last=250)


def _manifest(told_by: tuple[int, int]) -> Manifest:
    return Manifest(
        site=SiteId("fort"), tree=SITE_TREE, size=SIZE, root=bytes(32), range=(0, SIZE), within=(0, SIZE), since=None,
        until=None, selection=EVERYTHING, openings=False, csv=None, parquet=False, counts=Counts(), key="fort+0+key",
        export=ExportedBy(
            index=398, seq=398, at="2026-07-02T10:00:00.000000Z", by="army", author="auditor", approved_by=None,
            reason="review",
        ),
        written="2026-07-02T10:00:00.000000Z", program="gatekeeper", expired=Expiry(entries=GONE, told_by=told_by),
    )  # fmt: skip


def _held(deletions: Sequence[Deletion]) -> Report:
    report = Report()
    hold_expired(
        _manifest((deletions[0].seq, deletions[-1].seq)), deletions, hashes_only=False, report=report
    )
    return report


def test_deletions_that_join_on_account_for_what_expired():
    assert _held([FIRST, SECOND]).unchecked == []


@pytest.mark.parametrize("first", [101, 150, 99, 0])
def test_what_lies_between_two_deletions_is_told_by_none(first: int):
    with pytest.raises(Found) as found:
        _held([FIRST, Deletion(seq=310, first=first, last=250)])
    assert (found.value.finding.code, found.value.finding.index) == (Fault.EXPIRED_UNTOLD, 100)


def test_where_the_first_entries_that_tell_of_it_have_expired_too_that_is_said():
    (said,) = _held([SECOND]).unchecked
    assert said.startswith("that the log let the first 251 entries go")


def test_the_end_of_what_expired_is_told():
    with pytest.raises(Found) as found:
        _held([FIRST])
    assert (found.value.finding.code, found.value.finding.index) == (Fault.EXPIRED_UNTOLD, 100)
