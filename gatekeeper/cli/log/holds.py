"""`gatekeeper hold`: what must be kept though its period is over, because somebody is looking into it."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.postgres.reading import HoldRow
from gatekeeper.app import the_site
from gatekeeper.cli.host.changes import for_the_site
from gatekeeper.cli.host.site_clock import clock_shown
from gatekeeper.cli.options import JsonOutput, at_a_site, by_an_operator, looking_databases, run
from gatekeeper.cli.people.lookups import ReasonOption, one_line
from gatekeeper.cli.talk import json_line, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import HoldChange
from gatekeeper.core.holds import is_hold_scope
from gatekeeper.model.ids import SiteId
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.words import shown

__all__ = ["app", "hold_document"]

app = typer.Typer(no_args_is_help=True, help="Keep what is looked into, though its period is over.")

Scope = Annotated[str, typer.Argument(metavar="SCOPE", help="site, tenant:<tenant> or holder:<holder>.")]


@app.command()
@by_an_operator
def place(
    scope: Scope,
    reason: ReasonOption = None,
    *,
    settings: Settings,
) -> None:
    """Keep everything of a scope from now on: it does not expire, and nobody in it is forgotten."""
    _say_hold(settings, scope, reason, on=True)


@app.command()
@by_an_operator
def lift(
    scope: Scope,
    reason: ReasonOption = None,
    *,
    settings: Settings,
) -> None:
    """Propose to keep a scope no longer than it must be: it takes a second person."""
    _say_hold(settings, scope, reason, on=False)


def _say_hold(settings: Settings, scope: str, reason: str | None, *, on: bool) -> None:
    if not is_hold_scope(scope):
        raise SettingError(f"{shown(scope)} is no scope: write site, tenant:<tenant> or holder:<holder>.")
    for_the_site(settings, HoldChange(scope=scope, on=on, reason=one_line("--reason", reason)))


@app.command("list")
@at_a_site
def list_holds(
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """List what is held, since when and why."""
    which = the_site(settings)
    found, zone = run(_holds(settings, which))
    holds = [hold_document(row) for row in found]
    if json_output:
        json_line({"site": which, "holds": holds})
        return
    rows = [(hold["scope"], _when(hold["since"], zone), hold["reason"], hold["entry"]) for hold in holds]
    table(("scope", "since", "reason", "entry"), rows, yielding=("reason",))


def hold_document(row: HoldRow) -> Mapping[str, Any]:
    """A hold as it is told: why stands in its entry."""
    body = json.loads(row.body) if row.body is not None else {}
    return {"scope": row.scope, "since": row.at, "reason": body.get("reason", ""), "entry": row.seq}


async def _holds(settings: Settings, site: SiteId) -> tuple[Sequence[HoldRow], ZoneInfo]:
    async with looking_databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        return await reading.holds(site), await clock_shown(reading, settings, site)


def _when(at: Any, zone: ZoneInfo) -> str:
    return "-" if at is None else show_time(at, zone)
