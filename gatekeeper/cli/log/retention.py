"""`gatekeeper retention`: what is kept how long, what goes next, and what is held."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.postgres.reading import HoldRow
from gatekeeper.app import the_site
from gatekeeper.cli.host.signing import believed
from gatekeeper.cli.log.holds import hold_document
from gatekeeper.cli.options import JsonOutput, at_a_site, looking_databases, run
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.retention import goes_at, is_held
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.model.retention import TENANTS_OWN, Kept, Retention
from gatekeeper.service.administration.instants import show_time

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What is kept how long.")

_WORDS = {
    Kept.ENTRIES: "bodies of entries",
    Kept.PERSONAL: "personal parts",
    Kept.PEOPLE: "registrations that ended",
    Kept.VISITORS: "visitors whose time is over",
    Kept.REFUSED: "refused bytes",
    Kept.RECEIPTS: "receipts",
}


@app.callback()
def _group() -> None:
    """Keep `show` a sub-command while it is the only one."""


@app.command()
@at_a_site
def show(
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Show what is kept how long, how old the oldest is, and when it goes."""
    which = the_site(settings)
    kept = run(_kept(settings, which))
    rows = list(_rows(kept))
    if json_output:
        json_line(
            {
                "site": which,
                "kept": rows,
                "holds": list(map(hold_document, kept.holds)),
                "deleted": kept.deleted,
            }
        )
        return
    table(
        ("what", "of", "days", "oldest", "goes"),
        [
            (
                _WORDS[row["what"]],
                row["tenant"] or "all",
                row["days"],
                _when(row["oldest"], kept.zone),
                _goes(row, kept),
            )
            for row in rows
        ],
    )
    if kept.deleted:
        say(f"The bodies of the first {kept.deleted} entries are deleted; their hashes are not.")
    for hold in kept.holds:
        say(f"Held: {hold.scope}, by entry {hold.seq}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What a site keeps, as of an instant."""

    retention: Retention
    oldest: Mapping[tuple[Kept, TenantId | None], datetime]
    holds: Sequence[HoldRow]
    deleted: int
    now: datetime
    zone: ZoneInfo


async def _kept(settings: Settings, site: SiteId) -> _Kept:
    now = datetime.now(UTC)
    async with looking_databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        trust, _ = await believed(reading, settings, site)
        policy = read_policy(await reading.document(site, "policy") or b"", trust=trust)
        if isinstance(policy, PolicyRefused):
            raise SettingError(f"The policy is not believed: {policy.code.sentence}")
        retention = policy.written.retention
        return _Kept(
            retention=retention,
            oldest=await _oldest(reading, site, retention, now),
            holds=await reading.holds(site),
            deleted=await reading.log_start(site),
            now=now,
            zone=ZoneInfo(policy.written.time_zone),
        )


async def _oldest(
    reading: PostgresReading, site: SiteId, retention: Retention, now: datetime
) -> Mapping[tuple[Kept, TenantId | None], datetime]:
    found: dict[tuple[Kept, TenantId | None], datetime] = {
        (kind, None): at for kind, at in (await reading.oldest(site)).items()
    }
    for tenant in retention.tenants:
        at = await reading.oldest_part(site, tenant)
        if at is not None:
            found[Kept.PERSONAL, tenant] = at
    for kind, tenant, until in await reading.ended(site, now=now):
        for whose in (None, tenant):
            found[kind, whose] = min(until, found.get((kind, whose), until))
    return found


def _rows(kept: _Kept) -> Iterator[dict[str, Any]]:
    for kind in Kept:
        yield _row(kept, kind, None)
        for tenant in sorted(kept.retention.tenants) if kind in TENANTS_OWN else ():
            if kind in kept.retention.tenants[tenant]:
                yield _row(kept, kind, tenant)


def _row(kept: _Kept, kind: Kept, tenant: TenantId | None) -> dict[str, Any]:
    oldest, period = kept.oldest.get((kind, tenant)), kept.retention.period(kind, tenant)
    held = is_held(kind, tenant, [hold.scope for hold in kept.holds])
    # Of receipts the newest of each gate stay, however old they are: when the oldest goes is not known.
    goes = oldest is not None and not held and kind is not Kept.RECEIPTS
    return {
        "what": kind,
        "tenant": tenant,
        "days": period.days,
        "oldest": oldest,
        "goes": goes_at(kind, oldest, period) if oldest is not None and goes else None,
        "held": held,
    }


def _goes(row: Mapping[str, Any], kept: _Kept) -> str:
    if row["held"]:
        return "held"
    if row["goes"] is None:
        return "-"
    return "within the hour" if row["goes"] <= kept.now else show_time(row["goes"], kept.zone)


def _when(at: datetime | None, zone: ZoneInfo) -> str:
    return "-" if at is None else show_time(at, zone)
