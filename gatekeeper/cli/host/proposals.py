"""`gatekeeper proposal`: changes that take two people: see what waits, agree to it, or take one's own back."""

from collections.abc import Sequence
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.host.changes import tell
from gatekeeper.cli.host.confirmed import Followed, follow, tell_followed
from gatekeeper.cli.host.gates import keep_trust
from gatekeeper.cli.host.signing import HandedIn, believed, hand_in, patiently, second_signer, the_signer
from gatekeeper.cli.host.site_clock import clock_shown
from gatekeeper.cli.options import JsonOutput, at_a_site, by_an_operator, run
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import (
    ApprovalChange,
    ErasureChange,
    ExportChange,
    LogExportChange,
    OpeningChange,
    RebootChange,
    WithdrawalChange,
)
from gatekeeper.core.change_content import type_of
from gatekeeper.core.enact import DEEDS
from gatekeeper.core.proposals import Proposal
from gatekeeper.core.supervise import APPLIED
from gatekeeper.model.ids import SiteId
from gatekeeper.service.administration.folder import POLICY
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.administration.operators import OperatorError

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Changes that take two people.")

Which = Annotated[
    str | None,
    typer.Argument(metavar="PROPOSAL", help="How its number begins; else the only one that waits."),
]


@app.command("list")
@at_a_site
def list_proposals(
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """List what waits for a second person, and what it would give."""
    which = the_site(settings)
    waiting, zone = run(_waiting(settings, which))
    if json_output:
        json_line({"site": which, "proposals": [_document(one) for one in waiting]})
        return
    rows = [
        (
            one.digest.hex()[:8],
            one.author,
            one.kind,
            "; ".join(one.gives),
            show_time(one.expires, zone),
            one.seq,
        )
        for one in waiting
    ]
    table(("proposal", "by", "what", "gives", "until", "entry"), rows, yielding=("gives",))


@app.command()
@by_an_operator
def approve(
    which: Which = None,
    *,
    settings: Settings,
) -> None:
    """Agree to what another has proposed: it is made at once."""
    handed_in, followed = run(_approve(settings, the_site(settings), which))
    if followed is None:
        tell(handed_in)
    else:
        tell_followed(followed)


@app.command()
@at_a_site
def withdraw(
    which: Which = None,
    *,
    settings: Settings,
) -> None:
    """Take back what one has proposed oneself."""
    tell(run(_withdraw(settings, the_site(settings), which)))


async def _waiting(settings: Settings, site: SiteId) -> tuple[Sequence[Proposal], ZoneInfo]:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        return await reading.proposals(site), await clock_shown(reading, settings, site)


async def _approve(settings: Settings, site: SiteId, which: str | None) -> tuple[HandedIn, Followed | None]:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        proposal = await _meant(reading, site, which)
        say(f"{proposal.author} proposes, in entry {proposal.seq}: {_words(proposal)}")
        signer = await second_signer(
            reading,
            settings,
            site,
            deeds=DEEDS[type_of(proposal.kind)],
            author=proposal.author,
            operator=None,
        )
        handed_in = await hand_in(reading, signer, ApprovalChange(digest=proposal.digest))
        if handed_in.outcome is not None and handed_in.outcome.code == APPLIED:
            await _keep(reading, settings, site, proposal)
            await _say_export(reading, site, proposal)
            await _say_forgotten(reading, site, proposal)
        followed = None
        if type_of(proposal.kind) in {OpeningChange, RebootChange}:
            followed = await follow(reading, site, handed_in.outcome)
        return handed_in, followed


async def _withdraw(settings: Settings, site: SiteId, which: str | None) -> HandedIn:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        proposal = await _meant(reading, site, which)
        _, operators = await believed(reading, settings, site)
        author = operators.get(proposal.author)
        if author is None:
            raise OperatorError(f"The site has no operator {proposal.author} any more.")
        signer = the_signer(settings, site, author)
        return await hand_in(reading, signer, WithdrawalChange(digest=proposal.digest))


async def _meant(reading: PostgresReading, site: SiteId, which: str | None) -> Proposal:
    """The proposal whose number begins so; without one, the only one that waits. Raises SettingError."""
    waiting = await reading.proposals(site)
    found = [one for one in waiting if which is None or one.digest.hex().startswith(which.lower())]
    if len(found) == 1:
        return found[0]
    there = ", ".join(one.digest.hex()[:8] for one in waiting)
    if not waiting:
        raise SettingError("No proposal waits.")
    if not found:
        raise SettingError(f"No proposal {which} waits; those that wait are {there}.")
    raise SettingError(f"Say which proposal: {there}.")


async def _keep(reading: PostgresReading, settings: Settings, site: SiteId, proposal: Proposal) -> None:
    """Keep the policy or trust list that came in force in the site's folder too."""
    folder, policy = site_folder(settings, site), await reading.document(site, "policy")
    if proposal.kind == "policy" and policy is not None and folder.holds_site():
        folder.write(POLICY, policy)
    if proposal.kind == "trust":
        keep_trust(settings, site, await reading.document(site, "trust"))


async def _say_export(reading: PostgresReading, site: SiteId, proposal: Proposal) -> None:
    """Say which entry lets the file of an export be written; its number is what whoever writes it needs."""
    kind = type_of(proposal.kind)
    if kind not in {ExportChange, LogExportChange}:
        return
    made = await reading.outcome(site, proposal.change)
    if made is not None:
        how = "audit export" if kind is LogExportChange else "the same command"
        say(f"For 24 hours the file may be written, by {how} with --approved {made.seq}.")


async def _say_forgotten(reading: PostgresReading, site: SiteId, proposal: Proposal) -> None:
    """Say that a person's key is destroyed, once it is: that is when they are forgotten."""
    made = await reading.outcome(site, proposal.change) if type_of(proposal.kind) is ErasureChange else None
    if made is None or made.seq is None:
        return
    say("Their rows are gone; what is left of them is let go, and then their key is destroyed.")
    seq = made.seq

    async def forgotten() -> bool | None:
        return await reading.is_forgotten(site, seq) or None

    if await patiently(forgotten) is None:
        say("The engine is still at it, or the key vault does not answer. It goes on until it is done.")
    else:
        say(
            "Forgotten: their key is destroyed, and nobody opens what was sealed under it, from no backup of the log."
        )


def _words(proposal: Proposal) -> str:
    given = "; ".join(proposal.gives)
    whom = f" It is about {proposal.person}." if proposal.person is not None else ""
    return f"{proposal.kind}{f' ({given})' if given else ''}.{whom}"


def _document(proposal: Proposal) -> dict[str, Any]:
    return {
        "proposal": proposal.digest.hex(),
        "author": proposal.author,
        "tenant": proposal.tenant,
        "kind": proposal.kind,
        "subject": proposal.subject,
        "holder": proposal.person,
        "gives": list(proposal.gives),
        "expires": proposal.expires,
        "entry": proposal.seq,
    }
