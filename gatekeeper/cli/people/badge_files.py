"""`gatekeeper badge import` and `badge export`: a tenant's badges as a CSV file, whole or not at all."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.cli.new_files import see_folder, write
from gatekeeper.cli.options import JsonOutput, by_an_operator
from gatekeeper.cli.people.badge_states import app
from gatekeeper.cli.people.csv_files import (
    DryRun,
    ExcelNl,
    FileArgument,
    FileOption,
    HandedIn,
    content_of,
    counted,
    hand_in_lines,
    refuse_problems,
    tell_done,
    tell_unchanged,
)
from gatekeeper.cli.people.desk import OpenDesk, Paper, TenantOption, at_desk, paper_of
from gatekeeper.cli.people.exports import ApprovedOption, Listing, ReasonOption, export
from gatekeeper.cli.people.passes import qr_code
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import Exported
from gatekeeper.core.supervise import APPLIED, ChangeOutcome
from gatekeeper.model.badges import Assurance
from gatekeeper.model.card_numbers import write_card_number
from gatekeeper.model.ids import BadgeId
from gatekeeper.service.administration.csv_badges import (
    BadgeLine,
    BadgePlan,
    badge_change_id,
    plan_badges,
    write_badges,
)
from gatekeeper.service.administration.directory import PeopleError, particulars_of
from gatekeeper.service.administration.instants import show_instant

__all__ = ["PassFolder", "app", "must_be_folder", "write_passes"]

PassFolder = Annotated[
    Path | None,
    typer.Option("--qr", metavar="FOLDER", help="Where the passes go, each a file BADGE.svg (0600)."),
]


@app.command("import")
@by_an_operator
def badge_import(
    file: FileArgument,
    dry_run: DryRun = False,
    qr: PassFolder = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Issue the cards and bearer badges of a CSV file; each badge once, however often the file is imported.

    The first line names the columns, in any order. Only holder must be there.

    holder: whose it is; badge: the id of one that is there, empty for a new one

    assurance: 0 a bare card, 1 a bearer (QR); empty: 0 with a card, else 1

    card: mifare:BA839D07, or wiegand:4302741608/34

    from, until: 2027-12-31, 31-12-2027 or 2027-12-31T17:00; empty: as long as
    may be; max_uses: how often it may be used

    state: what is said of one that is there; empty for a new one

    UTF-8, with , or ; between the cells. The whole file is checked first: if a
    line is bad, nothing is done. Interrupted, run it again: it goes on.
    """
    content = content_of(file)
    must_be_folder(qr)
    with at_desk(settings, tenant=tenant, changes=not dry_run) as at:
        plan = plan_badges(content, at.desk, waiting=at.waiting, now=datetime.now(UTC))
        refuse_problems(file, plan.problems, at, json_output=json_output)
        if dry_run:
            _tell_plan(at, plan, json_output=json_output)
            return
        groups = list(plan.new.values())
        again = f"badge import {file}" + ("" if qr is None else f" --qr {qr}")
        outcomes = hand_in_lines(at, _papers(at, groups), len(groups), again=again, json_output=json_output)
    if qr is not None:
        write_passes(settings, at.tenant, [line.badge for line in plan.lines], qr)
    _tell_done(at, plan, groups, outcomes, json_output=json_output)


def _papers(at: OpenDesk, groups: Iterable[Sequence[BadgeLine]]) -> Iterator[Paper]:
    """A change for each holder, with all of their new badges."""
    desk = at.desk
    for lines in groups:
        now, registered = datetime.now(UTC), at.directory.get(lines[0].holder)
        particulars = particulars_of(registered)
        issued = [
            desk.issue(line.order, to=particulars, status_index=at.status_index(), now=now)
            for line in lines
            if line.order is not None
        ]
        registration = desk.register(lines[0].holder, particulars, now=now, issued=issued)
        version = registered.holder.version
        yield paper_of(registration, partial(badge_change_id, tuple(lines), version, desk.issuer.key))


# -- passes -------------------------------------------------------------------------------------------------------------


def must_be_folder(folder: Path | None) -> None:
    """See, before anything is done, that passes can be written to a folder. Raises SettingError."""
    if folder is None:
        return
    if not folder.is_dir():
        raise SettingError(f"{folder} is no folder: make it (mkdir -m 700 {folder}).")
    see_folder(folder)


def write_passes(settings: Settings, tenant: str, badges: Iterable[BadgeId], folder: Path) -> None:
    """Write the QR codes of bearer badges as the site holds them now; those that are there are left alone."""
    with at_desk(settings, tenant=tenant) as at:
        written = 0
        for badge in badges:
            file = folder / f"{badge}.svg"
            try:
                known = at.directory.badge(badge)
            except PeopleError:  # it waits for an engine, or was refused
                continue
            if known.badge.assurance is Assurance.BEARER and not file.exists():
                write(file, qr_code(known.badge, known.token, file, zone=at.zone))
                written += 1
    if written:
        passes = "pass" if written == 1 else "passes"
        say(f"{written} new {passes} in {folder}: who has one, or a picture of it, has the badge.")
    else:
        say(f"No new passes in {folder}.")


# -- telling ------------------------------------------------------------------------------------------------------------


def _tell_plan(at: OpenDesk, plan: BadgePlan, *, json_output: bool) -> None:
    if json_output:
        json_line({"tenant": at.tenant, **_plan_document(plan), "problems": [], "done": 0})
        return
    _table(at, [line for lines in plan.new.values() for line in lines])
    tell_unchanged([line.line for line in plan.unchanged])
    say(f"It would issue {counted(sum(map(len, plan.new.values())), 'badge')}. Nothing was done.")


def _tell_done(
    at: OpenDesk,
    plan: BadgePlan,
    groups: Sequence[Sequence[BadgeLine]],
    outcomes: Sequence[ChangeOutcome | None],
    *,
    json_output: bool,
) -> None:
    done = [
        line
        for lines, one in zip(groups, outcomes, strict=True)
        if one is not None and one.code == APPLIED
        for line in lines
    ]
    waiting = sum(len(lines) for lines, one in zip(groups, outcomes, strict=True) if one is None)
    handed = HandedIn(
        plan=_plan_document(plan),
        outcomes=outcomes,
        named=lambda place: (groups[place][0].line, groups[place][0].holder),
        done=len(done),
        refused=sum(map(len, groups)) - len(done) - waiting,
        unchanged=[line.line for line in plan.unchanged],
    )
    if not json_output:
        _table(at, done)
    tell_done(at, handed, f"{len(done)} issued", json_output=json_output)


def _table(at: OpenDesk, lines: Sequence[BadgeLine]) -> None:
    if lines:
        table(
            ("line", "badge", "holder", "assurance", "card", "until"),
            [_row(at, line) for line in sorted(lines, key=lambda one: one.line)],
        )


def _row(at: OpenDesk, line: BadgeLine) -> tuple[Any, ...]:
    order = line.order
    card = None if order is None else order.card
    until = None if order is None else order.until
    return (
        line.line,
        line.badge,
        at.called(line.holder),
        "" if order is None else int(order.assurance),
        "" if card is None else write_card_number(card),
        "as long as may be" if until is None else show_instant(until, at.zone, ends=True),
    )


def _plan_document(plan: BadgePlan) -> dict[str, Any]:
    return {
        "issued": [
            {"line": line.line, "holder": line.holder, "badge": line.badge}
            for lines in plan.new.values()
            for line in lines
        ],
        "unchanged": [line.badge for line in plan.unchanged],
    }


# -- export -------------------------------------------------------------------------------------------------------------


@app.command("export")
@by_an_operator
def badge_export(
    file: FileOption = None,
    excel_nl: ExcelNl = False,
    reason: ReasonOption = None,
    approved: ApprovedOption = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Write a tenant's badges as a CSV file (RFC 4180, UTF-8), which `badge import` reads; it takes two people.

    No name, token or key is in it. With --reason it is proposed, and nothing is
    written. Once another has approved it, the same with --approved ENTRY writes
    the file.
    """
    export(
        settings,
        Exported.BADGES,
        partial(_listing, excel=excel_nl),
        tenant=tenant,
        reason=reason,
        approved=approved,
        file=file,
        json_output=json_output,
    )


def _listing(at: OpenDesk, *, excel: bool) -> Listing:
    content, badges = write_badges(at.desk, excel=excel), at.directory.badges_by_holder()
    count = sum(map(len, badges.values()))
    return Listing(content=content, count=count, words=counted(count, "badge"))
