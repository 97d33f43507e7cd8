"""`gatekeeper can`, `why` and `replay`: would it open, why did it not, and would it be decided the same again."""

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from textwrap import wrap
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, site_folder, the_site
from gatekeeper.cli.host.site_clock import instant_typed
from gatekeeper.cli.options import JsonOutput, at_a_site, by_an_operator, run
from gatekeeper.cli.people.lookups import PurposeOption, look_up, one_line
from gatekeeper.cli.people.names import Names
from gatekeeper.cli.talk import data as out
from gatekeeper.cli.talk import json_line, progress, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import FORGOTTEN, NOBODY
from gatekeeper.core.flow import Flow
from gatekeeper.core.happened import happened
from gatekeeper.model.ids import AccessPointId, HolderId, SiteId
from gatekeeper.ports import StoredEntry
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.engine.loading import flow_of
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.service.explaining import Line, Wording, may, policy_at
from gatekeeper.service.explaining import replay as replay_log

__all__ = ["can", "open_flow", "replay", "why"]

_NO, _DIFFERS = 1, 1


@asynccontextmanager
async def open_flow(settings: Settings, site: SiteId, dsn: str) -> AsyncIterator[Flow]:
    """The site as an engine would take it over now, to look at and to ask; nothing is claimed and nothing written."""
    async with PostgresReading.opened(dsn) as reading:
        epoch = await reading.epoch(site)
    if epoch is None:
        raise SettingError(f"The database holds no site {site}.")
    ledger = PostgresLedger(dsn)
    try:
        yield flow_of(await ledger.load(site, epoch=epoch), anchor=site_folder(settings, site).read_anchor())
    finally:
        await ledger.close()


# -- can ----------------------------------------------------------------------------------------------------------------


@at_a_site
def can(
    holder: Annotated[str, typer.Argument(help="The holder's id.")],
    verb: Annotated[str, typer.Argument(metavar="enter", help="The word: enter.")],
    access_point: Annotated[str, typer.Argument(help="The access point's id.")],
    at: Annotated[
        str | None,
        typer.Option(help="When, by the site's clock (2027-12-31T17:00, or 17:00 for today); else now."),
    ] = None,
    alert: Annotated[str | None, typer.Option(help="In which alert state; else the site's.")] = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Say whether a holder may pass an access point, and every reason why not; exit 0 yes, 1 no."""
    if verb != "enter":
        raise SettingError(f"Say: gatekeeper can {holder} enter {access_point}.")
    if not run(_can(settings, HolderId(holder), AccessPointId(access_point), at, alert, json_output)):
        raise typer.Exit(_NO)


async def _can(
    settings: Settings,
    holder: HolderId,
    access_point: AccessPointId,
    at: str | None,
    alert: str | None,
    json_output: bool,
) -> bool:
    site = the_site(settings)
    async with databases(settings) as (dsn, _), open_flow(settings, site, dsn) as flow:
        policy = flow.policy
        if access_point not in policy.points:
            raise SettingError(f"The site has no access point {access_point}.")
        if flow.register.tenant_of_holder(holder) is None:
            raise SettingError(f"The site has no holder {holder}.")
        if alert is not None and alert not in policy.alert_states:
            raise SettingError(f"The site's alert states are {', '.join(policy.alert_states)}.")
        state = None if alert is None else policy.alert_states.index(alert)
        zone = policy.timetable.time_zone
        when = datetime.now(UTC) if at is None else instant_typed("--at", at, zone, ends=False)
        answers = may(flow, holder, access_point, at=when, alert=state)
        best = answers[0].decision
        said = policy.alert_states[flow.alert if state is None else state]
    # What waits for a guard is no yes, and nothing denies it.
    reasons = [reason for reason in best.reasons if reason.denies or best.waits is not None]
    if json_output:
        json_line(
            {
                "holder": holder,
                "access_point": access_point,
                "at": when,
                "alert": said,
                "granted": best.granted,
                "badge": answers[0].badge,
                "reasons": [reason.code for reason in best.reasons],
                "shadow": [reason.code for reason in best.shadow],
                "policy": best.policy.hex(),
            }
        )
        return best.granted
    clock = f"{when.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"
    out.print(f"{'Yes' if best.granted else 'No'}: {holder} at {access_point}, {clock}, alert state {said}.")
    told = [(reason.code, reason.english) for reason in (*reasons, *best.shadow)]
    if told:
        table(("reason", "in words"), told)
    return best.granted


# -- why ----------------------------------------------------------------------------------------------------------------


@by_an_operator
def why(
    seq: Annotated[int, typer.Argument(min=0, max=2**63 - 1, help="The entry's number in the log.")],
    purpose: PurposeOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Say what the log holds of an entry: every rule that failed, and the policy; with --purpose also who, and what was known."""
    run(_why(settings, seq, None if purpose is None else one_line("--purpose", purpose), json_output))


async def _why(settings: Settings, seq: int, purpose: str | None, json_output: bool) -> None:
    site = the_site(settings)
    async with databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        found = [entry async for entry in reading.entries(site, since=seq, until=seq + 1)]
        if not found and seq < await reading.log_start(site):
            raise SettingError(
                f"The body of entry {seq} is deleted: it was kept for as long as the policy says."
            )
        if not found:
            raise SettingError(f"The log has no entry {seq}; it holds {await reading.size(site)}.")
        (entry,) = found
        hidden = purpose is None and entry.person not in {None, NOBODY, FORGOTTEN}
        if purpose is not None and not hidden and entry.person not in {None, NOBODY, FORGOTTEN}:
            await look_up(reading, settings, site, HolderId(str(entry.person)), purpose)
        personal = None if hidden else await _personal(entry, site, vault_dsn)
        body = json.loads(entry.body)
        if json_output:
            json_line({"entry": body, "personal": personal})
            return
        documents = await reading.documents(site)
        policy = policy_at(documents, anchor=site_folder(settings, site).read_anchor(), seq=seq)
        name = (
            None if hidden or personal is None else await _name(reading, Names(vault_dsn, site), entry, site)
        )
    words = Wording(
        zone=ZoneInfo("UTC") if policy is None else policy.timetable.time_zone,
        alert_states=() if policy is None else policy.alert_states,
    )
    out.print(f"Entry {seq}: {body['kind']}, {show_time(entry.at, words.zone)} ({words.zone.key}).")
    then = happened(body, logged=entry.at)
    if then.is_late:
        out.print(f"It happened at {show_time(then.at, words.zone)}, by the gate's {then.clock} clock.")
    _section("reasons", words.reasons(body))
    _section("in the open", words.in_the_open(body))
    if hidden:
        out.print(
            "\nWho it was, and what was known of them, is shown with --purpose, and stands in the log then."
        )
    elif personal is None:
        out.print(
            "\nThe personal part is closed: its person was forgotten, its period is over, or it cannot be opened here."
        )
    else:
        _section("who it was", words.who(personal, name=name))
        _section("the badge", words.badge(personal))
        _section("what was known", words.known(personal))


def _section(heading: str, lines: Sequence[Line]) -> None:
    """Lines under a heading; a terminal has them wrapped, a pipe whole. Without lines there is no heading."""
    if not lines:
        return
    width = out.width if sys.stdout.isatty() else sys.maxsize
    out.print(f"\n[bold]{heading}[/bold]")
    for line in lines:
        before = "  " * (line.depth + 1)
        text = f"{line.label}: {line.value}" if line.value else f"{line.label}:"
        told = wrap(
            text,
            width,
            initial_indent=before,
            subsequent_indent=f"{before}    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        out.print("\n".join(told), markup=False)


async def _name(reading: PostgresReading, names: Names, entry: StoredEntry, site: SiteId) -> str | None:
    if entry.person is None:
        return None
    return (await names.open(await reading.names(site, [entry.person]))).get(entry.person)


async def _personal(entry: StoredEntry, site: SiteId, vault_dsn: str) -> Mapping[str, Any] | None:
    if entry.personal is None or entry.person is None:
        return {}
    key = (await PostgresKeyVault(vault_dsn).keys(site)).get(entry.person)
    if key is None:
        return None
    opened: Mapping[str, Any] = json.loads(open_personal(entry.personal, key=key, site=site, seq=entry.seq))
    return opened


# -- replay -------------------------------------------------------------------------------------------------------------


@at_a_site
def replay(
    since: Annotated[int, typer.Option("--from", help="The first entry.")] = 0,
    until: Annotated[int | None, typer.Option("--to", help="The entry to stop before; else the end.")] = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Make every decision in the log again, from its facts and its policy; exit 1 when one would be another."""
    if not run(_replay(settings, since, until, json_output)):
        raise typer.Exit(_DIFFERS)


async def _replay(settings: Settings, since: int, until: int | None, json_output: bool) -> bool:
    site = the_site(settings)
    async with databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
        size = await reading.size(site)
        with progress("replaying", size) as bar:
            report = await replay_log(
                site,
                reading.entries(site, since=since, until=min(size, until) if until is not None else size),
                documents=await reading.documents(site),
                anchor=site_folder(settings, site).read_anchor(),
                keys=await PostgresKeyVault(vault_dsn).keys(site),
                progress=bar,
            )
    differing = [
        {
            "seq": one.seq,
            "differences": [
                {"what": d.what, "logged": d.logged, "decided": d.decided} for d in one.differences
            ],
        }
        for one in report.differing
    ]
    if json_output:
        json_line({"decisions": report.decisions, "closed": report.closed, "differing": differing})
        return report.same
    for difference in differing:
        out.print(
            f"ALARM: entry {difference['seq']} would be decided otherwise: {difference['differences']}",
            markup=False,
        )
    say(
        f"{report.decisions} decisions made again, {len(differing)} of them otherwise; "
        f"{report.closed} could not be opened (their persons were forgotten)."
    )
    return report.same
