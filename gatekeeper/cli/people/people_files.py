"""`gatekeeper holder import` and `holder export`: a tenant's people as a CSV file, whole or not at all."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from gatekeeper import cose
from gatekeeper.cli.options import JsonOutput, by_an_operator, in_order
from gatekeeper.cli.people.csv_files import (
    DryRun,
    ExcelNl,
    FileArgument,
    FileOption,
    HandedIn,
    content_of,
    hand_in_lines,
    refuse_problems,
    tell_done,
    tell_unchanged,
)
from gatekeeper.cli.people.desk import OpenDesk, Paper, TenantOption, at_desk, paper_of
from gatekeeper.cli.people.exports import ApprovedOption, Listing, ReasonOption, export
from gatekeeper.cli.people.pins import app
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import Settings
from gatekeeper.core.change import Exported
from gatekeeper.core.supervise import APPLIED, ChangeOutcome
from gatekeeper.service.administration.csv_import import (
    ImportLine,
    ImportPlan,
    change_id,
    plan_import,
    write_people,
)
from gatekeeper.service.administration.directory import particulars_of
from gatekeeper.service.administration.particulars import write_particulars

__all__ = ["app"]


@app.command("import")
@by_an_operator
def holder_import(
    file: FileArgument,
    dry_run: DryRun = False,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Register the people of a CSV file, and change those who are registered already.

    The first line names the columns, in any order. Only holder must be there;
    what has no column stays as it is.

    holder: the id, a personnel number, say

    name: the name; kind: staff, contractor, visitor, reservist or vehicle

    clearance: the highest level, 0 to 5; profiles: with spaces between

    from, until: 2027-12-31, 31-12-2027 or 2027-12-31T17:00; empty: as it is

    certificates: first-aid=2027-12-31, with spaces between; host: a holder's id

    UTF-8, with , or ; between the cells. The whole file is checked first: if a
    line is bad, nothing is done. People who are not in it stay as they are.
    Interrupted, run it again: it goes on.
    """
    content = content_of(file)
    with at_desk(settings, tenant=tenant, changes=not dry_run) as at:
        plan = plan_import(content, at.desk, now=datetime.now(UTC))
        refuse_problems(file, plan.problems, at, json_output=json_output)
        todo = [line for line in plan.lines if line.columns]
        if dry_run:
            _tell_plan(at, plan, todo, json_output=json_output)
            return
        again = f"holder import {file}"
        outcomes = hand_in_lines(at, _papers(at, todo), len(todo), again=again, json_output=json_output)
        _tell_done(at, plan, todo, outcomes, json_output=json_output)


def _papers(at: OpenDesk, todo: Sequence[ImportLine]) -> Iterator[Paper]:
    now, key = datetime.now(UTC), at.desk.issuer.key
    for line in todo:
        registration = at.desk.register(line.holder, line.wanted, now=now)
        yield paper_of(registration, partial(_number, line, key))


def _number(line: ImportLine, key: cose.SigningKey, attempt: int) -> bytes:
    return change_id(line, key=key, attempt=attempt)


# -- telling ------------------------------------------------------------------------------------------------------------


def _tell_plan(at: OpenDesk, plan: ImportPlan, todo: Sequence[ImportLine], *, json_output: bool) -> None:
    if json_output:
        json_line({"tenant": at.tenant, **_plan_document(plan), "problems": [], "done": 0})
        return
    if todo:
        rows = [(one.line, one.holder, one.wanted.name, _what(at, one)) for one in todo]
        table(("line", "holder", "name", "what"), rows)
    tell_unchanged([line.line for line in plan.unchanged])
    say(f"It would register {len(plan.added)} and change {len(plan.changed)}. Nothing was done.")


def _what(at: OpenDesk, line: ImportLine) -> str:
    """What a line changes, for a person."""
    if line.former is None:
        return "new"
    before = write_particulars(particulars_of(line.former), at.zone)
    after = write_particulars(line.wanted, at.zone)
    return "; ".join(
        f"{column}: {before[column] or 'none'} -> {after[column] or 'none'}" for column in line.columns
    )


def _plan_document(plan: ImportPlan) -> dict[str, Any]:
    return {
        "added": [line.holder for line in plan.added],
        "changed": {line.holder: line.columns for line in plan.changed},
        "unchanged": [line.holder for line in plan.unchanged],
    }


def _tell_done(
    at: OpenDesk,
    plan: ImportPlan,
    todo: Sequence[ImportLine],
    outcomes: Sequence[ChangeOutcome | None],
    *,
    json_output: bool,
) -> None:
    made = [line for line, one in zip(todo, outcomes, strict=True) if one is not None and one.code == APPLIED]
    handed = HandedIn(
        plan=_plan_document(plan),
        outcomes=outcomes,
        named=lambda place: (todo[place].line, todo[place].holder),
        done=len(made),
        refused=len(todo) - len(made) - sum(one is None for one in outcomes),
        unchanged=[line.line for line in plan.unchanged],
    )
    new = sum(line.former is None for line in made)
    tell_done(at, handed, f"{new} registered, {len(made) - new} changed", json_output=json_output)


# -- export -------------------------------------------------------------------------------------------------------------


@app.command("export")
@by_an_operator
def holder_export(
    file: FileOption = None,
    excel_nl: ExcelNl = False,
    reason: ReasonOption = None,
    approved: ApprovedOption = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Write a tenant's people as a CSV file (RFC 4180, UTF-8), which `holder import` reads; it takes two people.

    With --reason it is proposed, and nothing is written. Once another has
    approved it, the same with --approved ENTRY writes the file.
    """
    export(
        settings,
        Exported.HOLDERS,
        partial(_listing, excel=excel_nl),
        tenant=tenant,
        reason=reason,
        approved=approved,
        file=file,
        json_output=json_output,
    )


def _listing(at: OpenDesk, *, excel: bool) -> Listing:
    content, people = write_people(at.desk, excel=excel), sum(1 for _ in at.directory.everyone())
    words = f"{people} {'person' if people == 1 else 'people'}"
    return Listing(content=content, count=people, words=words, left_out=len(at.directory.unbelieved()))


in_order(app, "add", "change", "pin", "list", "show", "import", "export", "forgive")
