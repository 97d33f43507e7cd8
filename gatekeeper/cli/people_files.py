"""`gatekeeper holder import` and `holder export`: a tenant's people as a CSV file, whole or not at all."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gatekeeper import cose
from gatekeeper.cli.desk import OpenDesk, Paper, TenantOption, at_desk, hand_in, paper_of, refusal
from gatekeeper.cli.options import Data, Dsn, JsonOutput, Operator, Site, VaultDsn, quiet_settings
from gatekeeper.cli.pins import app
from gatekeeper.cli.talk import json_line, progress, say, table
from gatekeeper.config import SettingError
from gatekeeper.core.supervise import APPLIED, ChangeOutcome
from gatekeeper.service.administration.csv_import import (
    ImportLine,
    ImportPlan,
    change_id,
    plan_import,
    write_people,
)
from gatekeeper.service.administration.directory import particulars_of
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.administration.particulars import write_particulars

__all__ = ["app"]

_MISUSED: Final = 2
_INTERRUPTED: Final = 130
_SHOWN: Final = 50
_NAMED: Final = 8
_LARGEST: Final = 64 << 20


@app.command("import")
def holder_import(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The file; its columns are told above.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
    operator: Operator = None,
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
    settings = quiet_settings(data=data, site=site, dsn=dsn, vault_dsn=vault_dsn, operator=operator)
    content = _content(file)
    with at_desk(settings, tenant=tenant, changes=not dry_run) as at:
        plan = plan_import(content, at.desk, now=datetime.now(UTC))
        if plan.problems:
            _tell_problems(file, plan, at, json_output=json_output)
            raise typer.Exit(_MISUSED)
        todo = [line for line in plan.lines if line.columns]
        if dry_run:
            _tell_plan(at, plan, todo, json_output=json_output)
            return
        outcomes = _hand_in(at, todo, file, bar=not json_output and sys.stderr.isatty())
        _tell_done(at, plan, todo, outcomes, json_output=json_output)


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > _LARGEST:
            raise SettingError(f"{file} is over {_LARGEST >> 20} MB: import it in parts.")
        return file.read_bytes()
    except OSError as error:
        raise SettingError(f"{file} cannot be read: {error.strerror}.") from None


def _hand_in(
    at: OpenDesk, todo: Sequence[ImportLine], file: Path, *, bar: bool
) -> Sequence[ChangeOutcome | None]:
    done = 0
    with progress("importing", len(todo)) if bar else nullcontext() as drawn:

        def told(place: int) -> None:
            nonlocal done
            done = place
            if drawn is not None:
                drawn(place)

        try:
            return hand_in(at, _papers(at, todo), told)
        except KeyboardInterrupt:
            say(f"Interrupted: {done} of {len(todo)} changes are made, some more may be on their way.")
            say(f"To complete it: gatekeeper holder import {file} --tenant {at.tenant}")
            raise typer.Exit(_INTERRUPTED) from None


def _papers(at: OpenDesk, todo: Sequence[ImportLine]) -> Iterator[Paper]:
    now, key = datetime.now(UTC), at.desk.issuer.key
    for line in todo:
        registration = at.desk.register(line.holder, line.wanted, now=now)
        yield paper_of(registration, partial(_number, line, key))


def _number(line: ImportLine, key: cose.SigningKey, attempt: int) -> bytes:
    return change_id(line, key=key, attempt=attempt)


# -- telling ------------------------------------------------------------------------------------------------------------


def _tell_problems(file: Path, plan: ImportPlan, at: OpenDesk, *, json_output: bool) -> None:
    if json_output:
        problems = [
            {"line": one.line, "column": one.problem.column, "problem": one.problem.what}
            for one in plan.problems
        ]
        json_line({"tenant": at.tenant, "problems": problems, "done": 0})
        return
    for one in plan.problems[:_SHOWN]:
        say(f"{file}:{one.line}: {one.problem}.")
    if len(plan.problems) > _SHOWN:
        say(f"... and {len(plan.problems) - _SHOWN} more problems (--json tells all).")
    lines = len({one.line for one in plan.problems})
    say(f"{_count(lines, 'line')} of {file} {'is' if lines == 1 else 'are'} bad. Nothing was done.")


def _tell_plan(at: OpenDesk, plan: ImportPlan, todo: Sequence[ImportLine], *, json_output: bool) -> None:
    if json_output:
        json_line({"tenant": at.tenant, **_plan_document(plan), "problems": [], "done": 0})
        return
    table(
        ("line", "holder", "name", "what"),
        [(one.line, one.holder, one.wanted.name, _what(at, one)) for one in todo],
    )
    _tell_unchanged(plan)
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
    results = list(zip(todo, outcomes, strict=True))
    refused = [(line, one) for line, one in results if one is not None and one.code != APPLIED]
    waiting = sum(one is None for one in outcomes)
    done = len(todo) - len(refused) - waiting
    if json_output:
        told = [
            {"line": line.line, "holder": line.holder, "outcome": one.code, "detail": one.detail}
            for line, one in refused
        ]
        json_line(
            {
                "tenant": at.tenant,
                **_plan_document(plan),
                "problems": [],
                "done": done,
                "waiting": waiting,
                "refused": told,
            }
        )
    else:
        for line, one in refused[:_SHOWN]:
            say(f"line {line.line}: {line.holder}: {refusal(one)}")
        _tell_unchanged(plan)
        if waiting:
            say(f"{waiting} handed in, and no engine runs this site now; they are made when one does.")
        new = sum(
            1 for line, one in results if line.former is None and one is not None and one.code == APPLIED
        )
        say(f"Done: {new} registered, {done - new} changed, {len(refused)} refused.")
    if refused:
        raise typer.Exit(1)


def _tell_unchanged(plan: ImportPlan) -> None:
    lines = plan.unchanged
    if lines:
        named = ", ".join(str(one.line) for one in lines[:_NAMED]) + (" ..." if len(lines) > _NAMED else "")
        change = "changes" if len(lines) == 1 else "change"
        say(f"{_count(len(lines), 'line')} {change} nothing: {named}.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# -- export -------------------------------------------------------------------------------------------------------------


@app.command("export")
def holder_export(
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.csv", help="Where to (0600); else to stdout.")
    ] = None,
    excel_nl: Annotated[
        bool,
        typer.Option("--excel-nl", help="As Dutch Excel opens it: ; between cells, and a byte order mark."),
    ] = False,
    tenant: TenantOption = None,
    data: Data = None,
    site: Site = None,
    dsn: Dsn = None,
    vault_dsn: VaultDsn = None,
) -> None:
    """Write a tenant's people as a CSV file (RFC 4180, UTF-8), which `holder import` reads."""
    settings = quiet_settings(data=data, site=site, dsn=dsn, vault_dsn=vault_dsn)
    with at_desk(settings, tenant=tenant) as at:
        content = write_people(at.desk, excel=excel_nl)
        people, left_out = sum(1 for _ in at.directory.everyone()), at.directory.unbelieved()
    if file is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        SiteFolder(file.parent).write_private(file.name, content)
        say(f"{people} {'person' if people == 1 else 'people'} of {at.tenant} in {file}.")
    if left_out:
        say(f"{len(left_out)} registrations are not signed by {at.tenant}, and are left out.")
