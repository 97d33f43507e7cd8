"""`gatekeeper visitor import`: a group's arrival list as a CSV file, whole or not at all, with a pass for everybody."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer

from gatekeeper import cose
from gatekeeper.cli.options import JsonOutput, by_an_operator
from gatekeeper.cli.people.badge_files import PassFolder, must_be_folder, write_passes
from gatekeeper.cli.people.csv_files import (
    DryRun,
    FileArgument,
    HandedIn,
    content_of,
    counted,
    hand_in_lines,
    refuse_problems,
    tell_done,
    tell_unchanged,
)
from gatekeeper.cli.people.desk import OpenDesk, Paper, TenantOption, at_desk, paper_of
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.supervise import APPLIED, ChangeOutcome
from gatekeeper.service.administration.csv_visitors import (
    VisitorLine,
    VisitorPlan,
    plan_visitors,
    visitor_change_id,
)
from gatekeeper.service.administration.instants import read_instant, show_instant, write_instant

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Visitors: with a host, an end, and a pass.")


@app.command("import")
@by_an_operator
def visitor_import(
    file: FileArgument,
    host: Annotated[
        str | None, typer.Option("--host", help="Who receives those whose line names nobody.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Since when, for lines that do not say.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Until when, for lines that do not say: 17:00, or 2027-12-31."),
    ] = None,
    profiles: Annotated[
        str | None,
        typer.Option("--profiles", help='Access profiles, for lines that do not say: "guest lab".'),
    ] = None,
    clearance: Annotated[
        str | None, typer.Option("--clearance", help="The highest level, for lines that do not say; else 1.")
    ] = None,
    max_uses: Annotated[
        int | None,
        typer.Option(
            "--max-uses", min=1, max=2**31 - 1, help="How often a pass may be used; else without limit."
        ),
    ] = None,
    dry_run: DryRun = False,
    qr: PassFolder = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Register a group's visitors from a CSV file, each with a pass; nobody twice, however often it is imported.

    The first line names the columns, in any order. Only name must be there:
    what a line does not say, the options say for all.

    name: the visitor's name; visitor: an id, empty: one is made

    host: the holder who receives them

    from, until: 2027-12-31, 31-12-2027 or 2027-12-31T17:00

    profiles: with spaces between; clearance: 0 to 5; max_uses: of the pass

    UTF-8, with , or ; between the cells. The whole file is checked first: if a
    line is bad, nothing is done. Interrupted, run it again: it goes on.
    """
    content = content_of(file)
    must_be_folder(qr)
    given = {"host": host, "from": since, "until": until, "profiles": profiles, "clearance": clearance}
    given["max_uses"] = None if max_uses is None else str(max_uses)
    with at_desk(settings, tenant=tenant, about=host, changes=not dry_run) as at:
        plan = plan_visitors(content, at.desk, usual=_usual(at, given), now=datetime.now(UTC))
        refuse_problems(file, plan.problems, at, json_output=json_output)
        if dry_run:
            _tell_plan(at, plan, json_output=json_output)
            return
        again = shlex.join(
            ["visitor", "import", str(file), *_options(given), *([] if qr is None else ["--qr", str(qr)])]
        )
        outcomes = hand_in_lines(
            at, _papers(at, plan.new), len(plan.new), again=again, json_output=json_output
        )
    if qr is not None:
        write_passes(settings, at.tenant, [line.badge for line in plan.lines], qr)
    _tell_done(at, plan, outcomes, json_output=json_output)


def _options(given: Mapping[str, str | None]) -> Iterator[str]:
    for column, text in given.items():
        if text is not None:
            yield from (f"--{column.replace('_', '-')}", text)


def _usual(at: OpenDesk, given: Mapping[str, str | None]) -> dict[str, str]:
    """What was said for all, as it would stand in a line; a time alone is of today. Raises SettingError."""
    usual = {column: text for column, text in given.items() if text is not None}
    today = datetime.now(at.zone).date()
    for column, ends in (("from", False), ("until", True)):
        if usual.get(column, "").strip():
            try:
                instant = read_instant(usual[column], at.zone, ends=ends, today=today)
            except ValueError as error:
                raise SettingError(f"--{column}: {error}.") from None
            usual[column] = write_instant(instant, at.zone, ends=ends)
    return usual


def _papers(at: OpenDesk, lines: Sequence[VisitorLine]) -> Iterator[Paper]:
    desk = at.desk
    for line in lines:
        if line.order is not None:
            now = datetime.now(UTC)
            issued = desk.issue(line.order, to=line.wanted, status_index=at.status_index(), now=now)
            registration = desk.register(line.visitor, line.wanted, now=now, issued=[issued])
            yield paper_of(registration, partial(_number, line, desk.issuer.key))


def _number(line: VisitorLine, key: cose.SigningKey, attempt: int) -> bytes:
    return visitor_change_id(line, key=key, attempt=attempt)


# -- telling ------------------------------------------------------------------------------------------------------------


def _tell_plan(at: OpenDesk, plan: VisitorPlan, *, json_output: bool) -> None:
    if json_output:
        json_line({"tenant": at.tenant, **_plan_document(plan), "problems": [], "done": 0})
        return
    _table(at, plan.new)
    tell_unchanged([line.line for line in plan.unchanged])
    say(f"It would register {counted(len(plan.new), 'visitor')}. Nothing was done.")


def _tell_done(
    at: OpenDesk, plan: VisitorPlan, outcomes: Sequence[ChangeOutcome | None], *, json_output: bool
) -> None:
    done = [line for line, one in zip(plan.new, outcomes, strict=True) if one and one.code == APPLIED]
    handed = HandedIn(
        plan=_plan_document(plan),
        outcomes=outcomes,
        named=lambda place: (plan.new[place].line, plan.new[place].visitor),
        done=len(done),
        refused=len(plan.new) - len(done) - sum(one is None for one in outcomes),
        unchanged=[line.line for line in plan.unchanged],
    )
    if not json_output:
        _table(at, done)
    tell_done(at, handed, f"{len(done)} registered", json_output=json_output)


def _table(at: OpenDesk, lines: Sequence[VisitorLine]) -> None:
    if lines:
        columns = ("line", "visitor", "name", "host", "until", "pass")
        table(columns, [_row(at, line) for line in lines])


def _row(at: OpenDesk, line: VisitorLine) -> tuple[Any, ...]:
    wanted = line.wanted
    return (
        line.line,
        line.visitor,
        wanted.name,
        "" if wanted.host is None else at.called(wanted.host),
        "" if wanted.until is None else show_instant(wanted.until, at.zone, ends=True),
        line.badge,
    )


def _plan_document(plan: VisitorPlan) -> dict[str, Any]:
    return {
        "added": [{"line": one.line, "holder": one.visitor, "badge": one.badge} for one in plan.new],
        "unchanged": [one.visitor for one in plan.unchanged],
    }
