"""Reading how long what is kept: `[retention]` of the site, and `retention` of a tenant, which is of its own people only."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from gatekeeper.model.ids import TenantId
from gatekeeper.model.retention import TENANTS_OWN, USUAL, Kept, Periods, Retention
from gatekeeper.model.site_file.forms import a_named, a_number
from gatekeeper.model.site_file.reading import Reading, Table, is_read, only

__all__ = ["KEYS", "read_retention"]

_DAY = timedelta(days=1)
KEYS: Final[Mapping[Kept, tuple[str, int, int]]] = {
    Kept.ENTRIES: ("entries_days", 365, 36_600),
    Kept.PERSONAL: ("personal_days", 1, 3660),
    Kept.PEOPLE: ("people_days", 1, 3660),
    Kept.VISITORS: ("visitor_days", 1, 3660),
    Kept.REFUSED: ("refused_days", 1, 366),
    Kept.RECEIPTS: ("receipt_days", 7, 366),
}
"""The key of each kind, and the fewest and most days that it takes.

A year of entries, because a log of weeks proves nothing; a week of receipts, because the broker keeps messages for one.
"""


def read_retention(reading: Reading) -> Retention:
    """Read the site's periods and those of its tenants."""
    table = reading.one("retention")
    site = dict(USUAL)
    if table is not None:
        only(
            table,
            "entries_days",
            "personal_days",
            "people_days",
            "visitor_days",
            "refused_days",
            "receipt_days",
        )
        site.update(_periods(table, tuple(Kept)))
    return Retention(site=site, tenants=dict(_of_tenants(reading)))


def _of_tenants(reading: Reading) -> Iterator[tuple[TenantId, Periods]]:
    for table in reading.each("tenant"):
        periods = table.maybe_inner("retention", _of_a_tenant)
        tenant = table.read("id", a_named(TenantId))
        if periods and is_read(tenant):
            yield tenant, periods


def _of_a_tenant(table: Table) -> Periods:
    only(table, "personal_days", "people_days", "visitor_days")
    return _periods(table, TENANTS_OWN)


def _periods(table: Table, kinds: tuple[Kept, ...]) -> Periods:
    found = {}
    for kind in kinds:
        key, least, most = KEYS[kind]
        days = table.maybe(key, a_number(most, least=least), None)
        if days is not None:
            found[kind] = days * _DAY
    return found
