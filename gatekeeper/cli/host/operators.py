"""`gatekeeper operator`: accounts of those who change a site: who they are, what they are there for, until when.

To give somebody a role takes two of the host's people: `add` proposes it, another says `gatekeeper proposal approve`. To
take something away takes one, and counts at once.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gatekeeper import cose
from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.host.changes import submit
from gatekeeper.cli.host.signing import believed
from gatekeeper.cli.host.site_clock import site_clock
from gatekeeper.cli.options import JsonOutput, at_a_site, by_an_operator, run
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import Settings
from gatekeeper.core.change import OperatorChange
from gatekeeper.core.operators import Deed, Operator, Role
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import OperatorId, SiteId, TenantId
from gatekeeper.service.administration.folder import SiteFolder, signing_of
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.administration.operators import (
    OPERATOR_TERM,
    OperatorError,
    key_of_operator,
    keys_of_operators,
    new_operator,
    revoked,
    see_that_it_can_be,
    sign_operator,
)

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Who may change the site, and what they may say.")

_DAY_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%z"]


@app.command()
@by_an_operator
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account's name: of a-z, 0-9 and '-'.")],
    role: Annotated[list[Role], typer.Option(help="What they are there for; may be given several times.")],
    tenant: Annotated[str | None, typer.Option(help="Whose operator it is; else the host's.")] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAY_FORMATS, help="When the account ends; else in ten years.")
    ] = None,
    *,
    settings: Settings,
) -> None:
    """Make an account with a key of its own, or give a known one other roles; its tenant signs it, two people enter it."""
    which = the_site(settings)
    trust, known = run(_known(settings, which))
    whose = TenantId(tenant) if tenant is not None else _tenant_of(name, known, trust)
    keys, now = keys_of_operators(settings.data, which), datetime.now(UTC)
    former = known.get(OperatorId(name))
    ends = until.astimezone(UTC) if until is not None else now + OPERATOR_TERM
    whose = _listed(whose, trust)
    see_that_it_can_be(name, tenant=whose, host=trust.host, roles=role, since=now, until=ends)
    made = new_operator(
        name,
        tenant=whose,
        host=trust.host,
        roles=role,
        key=_key(keys, name, former),
        since=now,
        until=ends,
        version=1 if former is None else former.version + 1,
    )
    takes = former is not None and made.within(former)
    deeds = (Deed.WITHDRAW_OPERATOR if takes else Deed.GRANT_OPERATOR,)
    submit(settings, which, _signed(made, site_folder(settings, which), trust), tenant=whose, deeds=deeds)


@app.command("list")
@at_a_site
def list_operators(
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """List the site's operators, and whose keys are on this machine."""
    which = the_site(settings)
    known, zone = run(_shown(settings, which))
    keys, now = keys_of_operators(settings.data, which), datetime.now(UTC)
    if json_output:
        json_line({"site": which, "operators": [_document(one, keys, now) for one in known.values()]})
        return
    rows = [
        (
            one.id,
            one.tenant,
            ", ".join(sorted(one.roles)),
            _state(one, now),
            show_time(one.until, zone),
            "here" if keys.holds(key_of_operator(one.id)) else "",
        )
        for one in known.values()
    ]
    table(("operator", "tenant", "roles", "state", "until", "key"), rows)


@app.command()
@by_an_operator
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")],
    *,
    settings: Settings,
) -> None:
    """End an account for good: what its key signs counts no more."""
    which = the_site(settings)
    trust, known = run(_known(settings, which))
    former = known.get(OperatorId(name))
    if former is None:
        raise OperatorError(f"The site has no operator {name}.")
    change = _signed(revoked(former), site_folder(settings, which), trust)
    submit(settings, which, change, tenant=former.tenant, deeds=(Deed.WITHDRAW_OPERATOR,))


async def _known(settings: Settings, site: SiteId) -> tuple[Trust, dict[OperatorId, Operator]]:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        return await believed(reading, settings, site)


async def _shown(settings: Settings, site: SiteId) -> tuple[dict[OperatorId, Operator], ZoneInfo]:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        trust, known = await believed(reading, settings, site)
        return known, await site_clock(reading, site, trust=trust)


def _tenant_of(name: str, known: dict[OperatorId, Operator], trust: Trust) -> TenantId:
    former = known.get(OperatorId(name))
    return trust.host if former is None else former.tenant


def _listed(tenant: TenantId, trust: Trust) -> TenantId:
    if tenant not in trust.listing.tenants:
        raise OperatorError(f"The site has no tenant {tenant}; it has {', '.join(_sorted(trust))}.")
    return tenant


def _sorted(trust: Trust) -> Iterable[str]:
    return sorted(trust.listing.tenants)


def _key(keys: SiteFolder, name: str, former: Operator | None) -> cose.SigningKey:
    """The key that is here, whoever made it, else a new one: nobody's key is made twice."""
    place = key_of_operator(OperatorId(name))
    if keys.holds(place):
        return keys.read_key(place)
    if former is not None:
        say(
            f"{name} gets a new key, {keys.root / place}; the former one counts no more once this is approved."
        )
    return keys.make_key(place)


def _signed(operator: Operator, folder: SiteFolder, trust: Trust) -> OperatorChange:
    key = folder.read_key(signing_of(operator.tenant))
    document = sign_operator(operator, site=trust.site, key=key)
    return OperatorChange(operator=operator.id, document=document)


def _state(operator: Operator, now: datetime) -> str:
    if operator.revoked:
        return "revoked"
    if operator.in_force(now):
        return "in force"
    return "to come" if now < operator.since else "over"


def _document(operator: Operator, keys: SiteFolder, now: datetime) -> dict[str, object]:
    return {
        "operator": operator.id,
        "tenant": operator.tenant,
        "roles": sorted(operator.roles),
        "state": _state(operator, now),
        "from": operator.since,
        "until": operator.until,
        "version": operator.version,
        "key_here": keys.holds(key_of_operator(operator.id)),
    }
