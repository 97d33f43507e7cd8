"""Changes to a running site: signed by an operator, ordered and made by the engine, told when done or proposed."""

from typing import Annotated

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import databases, the_site
from gatekeeper.cli.host.planned import show_alert_plan
from gatekeeper.cli.host.signing import HandedIn, hand_in, signer_for
from gatekeeper.cli.host.waiting import waits
from gatekeeper.cli.options import JsonOutput, by_an_operator, run
from gatekeeper.cli.people.desk import refusal
from gatekeeper.cli.talk import say
from gatekeeper.config import Settings
from gatekeeper.core.change import (
    AlertChange,
    ChangeContent,
    ForgivenessChange,
    LockdownChange,
    SuspensionChange,
)
from gatekeeper.core.operators import Deed
from gatekeeper.core.supervise import APPLIED, PROPOSED, ChangeOutcome
from gatekeeper.model.ids import HolderId, SiteId, TenantId

__all__ = ["alert", "for_the_site", "holder", "lockdown", "submit", "tell", "tenant"]

alert = typer.Typer(no_args_is_help=True, help="The site's alert state.")
lockdown = typer.Typer(
    no_args_is_help=True, help="Lock the site, a zone or a gate down, or release it; show which gates follow."
)
tenant = typer.Typer(no_args_is_help=True, help="Suspend a tenant, or end that.")
holder = typer.Typer(no_args_is_help=True, help="What the site believes of a holder.")


@alert.command("set")
@by_an_operator
def alert_set(
    state: Annotated[str, typer.Argument(help="One of the site's alert states.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say who would lose what.")] = False,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Take the site to an alert state."""
    if dry_run:
        show_alert_plan(settings, state, json_output)
        return
    for_the_site(settings, AlertChange(state=state))


alert.command("raise")(alert_set)


@lockdown.command("on")
@by_an_operator
def lockdown_on(
    scope: Annotated[str, typer.Argument(help="site, zone:<zone> or gate:<gate>.")] = "site",
    *,
    settings: Settings,
) -> None:
    """Lock a scope down: nobody passes, in or out, until it is released."""
    for_the_site(settings, LockdownChange(scope=scope, on=True))


@lockdown.command("off")
@by_an_operator
def lockdown_off(
    scope: Annotated[str, typer.Argument(help="site, zone:<zone> or gate:<gate>.")] = "site",
    *,
    settings: Settings,
) -> None:
    """Propose to release a scope: it takes a second person."""
    for_the_site(settings, LockdownChange(scope=scope, on=False))


@tenant.command("suspend")
@by_an_operator
def tenant_suspend(
    name: Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")],
    *,
    settings: Settings,
) -> None:
    """Let a tenant's people in nowhere until it is reinstated; they may go home."""
    for_the_site(settings, SuspensionChange(tenant=TenantId(name), on=True))


@tenant.command("reinstate")
@by_an_operator
def tenant_reinstate(
    name: Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")],
    *,
    settings: Settings,
) -> None:
    """End a tenant's suspension."""
    for_the_site(settings, SuspensionChange(tenant=TenantId(name), on=False))


@holder.command("forgive")
@by_an_operator
def holder_forgive(
    name: Annotated[str, typer.Argument(metavar="HOLDER", help="The holder's id.")],
    *,
    settings: Settings,
) -> None:
    """Forget where a holder is, so that anti-passback holds nothing against them."""
    for_the_site(settings, ForgivenessChange(holder=HolderId(name)))


def submit(
    settings: Settings,
    site: SiteId,
    content: ChangeContent,
    *,
    tenant: TenantId | None = None,
    operator: str | None = None,
    deeds: tuple[Deed, ...] = (),
) -> ChangeOutcome | None:
    """Sign a change as an operator, hand it in, and tell what became of it; exit 1 when it was refused, 4 when it waits.

    `tenant` is whose matter it is (None: the site's); `deeds` is what it amounts to, where its content does not tell. Raises
    OperatorError when nobody here may sign it.
    """
    handed_in = run(_submit(settings, site, content, tenant=tenant, operator=operator, deeds=deeds))
    tell(handed_in)
    return handed_in.outcome


async def _submit(
    settings: Settings,
    site: SiteId,
    content: ChangeContent,
    *,
    tenant: TenantId | None,
    operator: str | None,
    deeds: tuple[Deed, ...],
) -> HandedIn:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        signer = await signer_for(
            reading, settings, site, content, tenant=tenant, operator=operator, deeds=deeds
        )
        return await hand_in(reading, signer, content)


def tell(handed_in: HandedIn) -> None:
    """Tell what became of a change; exit 1 when it was refused, 4 when it waits."""
    outcome = handed_in.outcome
    if outcome is None:
        raise waits()
    if outcome.code == APPLIED:
        said = f": {outcome.detail}" if outcome.detail else ""
        say(f"Done{said}; entry {outcome.seq} of the log.")
    elif outcome.code == PROPOSED:
        say(
            f"Proposed; entry {outcome.seq} of the log. It takes a second person"
            f"{': ' + outcome.detail if outcome.detail else ''}. Within 24 hours another of the host's people says: "
            f"gatekeeper proposal approve {handed_in.digest.hex()[:8]}"
        )
    else:
        say(refusal(outcome))
        raise typer.Exit(1)


def for_the_site(settings: Settings, content: ChangeContent) -> ChangeOutcome | None:
    """Sign a change about the site, hand it in, and tell what became of it (see `submit`)."""
    return submit(settings, the_site(settings), content)
