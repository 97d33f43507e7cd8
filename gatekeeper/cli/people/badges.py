"""`gatekeeper badge issue|replace|show`: a tenant issues badges to its people."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from gatekeeper.cli.host.waiting import end, waits
from gatekeeper.cli.new_files import see_new, write
from gatekeeper.cli.options import JsonOutput, at_a_site, by_an_operator, in_order
from gatekeeper.cli.people.badge_files import app
from gatekeeper.cli.people.desk import (
    OpenDesk,
    TenantOption,
    at_desk,
    conclude,
    hand_in,
    may_be_made,
    outcome_document,
    paper_of,
    refusal,
)
from gatekeeper.cli.people.passes import BadgeFiles, OutOption, QrOption, ordered, qr_code
from gatekeeper.cli.people.people import badge_document, standing
from gatekeeper.cli.talk import data as out
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import Settings
from gatekeeper.core.change import BadgeStateChange
from gatekeeper.core.supervise import APPLIED, ChangeOutcome
from gatekeeper.model.badges import Assurance, BadgeState
from gatekeeper.model.ids import HolderId
from gatekeeper.service.administration.directory import (
    KnownBadge,
    PeopleError,
    Registered,
    claimed_badge,
    particulars_of,
)
from gatekeeper.service.administration.instants import show_instant
from gatekeeper.service.administration.issuing import IssuedBadge
from gatekeeper.service.administration.pass_text import read_pass_text
from gatekeeper.service.administration.people import BadgeOrder

__all__ = ["app"]

AssuranceOption = Annotated[
    int | None,
    typer.Option(
        "--assurance",
        min=0,
        max=3,
        help="0 a bare card's number, 1 a bearer (QR), 2 with a key, 3 with a key and a PIN. "
        "Else 0 with --card, 1 with --qr, 2 without either.",
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Since when: 2027-09-01, or 1-9-2027 (day first), or 2027-09-01T08:00; else from now on.",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until", help="Until when: 2027-12-31 (that day included), or 17:00; else as long as may be."
    ),
]
MaxUsesOption = Annotated[
    int | None,
    typer.Option("--max-uses", min=1, max=2**31 - 1, help="How often it may be used; else without limit."),
]
CardOption = Annotated[
    str | None,
    typer.Option("--card", help="A bare card's number: mifare:BA839D07, or wiegand:4302741608/34."),
]

# -- issue and replace --------------------------------------------------------------------------------------------------


@app.command("issue")
@by_an_operator
def badge_issue(
    holder: Annotated[str, typer.Argument(metavar="HOLDER", help="Whose it is to be.")],
    assurance: AssuranceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    max_uses: MaxUsesOption = None,
    card: CardOption = None,
    duress: Annotated[
        bool, typer.Option("--duress", help="It opens like another, and cries for help.")
    ] = False,
    out_file: OutOption = None,
    qr: QrOption = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Issue a badge to a holder; its id is printed, its private key never."""
    files = BadgeFiles(out=out_file, qr=qr)
    files.see_new()
    with at_desk(settings, tenant=tenant, about=holder, changes=True) as at:
        registered = at.person(holder)
        order = ordered(
            at.desk,
            files,
            assurance=assurance,
            card=card,
            since=since,
            until=until,
            max_uses=max_uses,
            duress=duress,
        )
        others = _active(at, registered.holder.id)
        issued, (outcome,) = _issue(at, registered, order, files, revoking=None)
        if not json_output and may_be_made(outcome):
            out.print(issued.badge.id)
            _tell_issued(at, registered, issued, files)
            if others:
                say(f"{at.called(registered.holder.id)} has other active badges: {', '.join(others)}.")
        document = {"holder": registered.holder.id, "badge": issued.badge.id, "until": issued.badge.expires}
        conclude(outcome, document, json_output=json_output)


@app.command("replace")
@by_an_operator
def badge_replace(
    badge: Annotated[str, typer.Argument(metavar="BADGE", help="The badge to be replaced.")],
    assurance: AssuranceOption = None,
    until: UntilOption = None,
    max_uses: MaxUsesOption = None,
    card: CardOption = None,
    out_file: OutOption = None,
    qr: QrOption = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Issue another badge in the place of one, which is revoked; of the same assurance unless said otherwise."""
    files = BadgeFiles(out=out_file, qr=qr)
    files.see_new()
    with at_desk(settings, tenant=tenant, about=badge, changes=True) as at:
        (old,) = _only(at.badges(badge), badge)
        registered = at.person(old.holder)
        usual = int(old.badge.assurance) if card is None and qr is None else None
        order = ordered(
            at.desk,
            files,
            assurance=usual if assurance is None else assurance,
            card=card,
            until=until,
            max_uses=old.badge.max_uses if max_uses is None else max_uses,
            duress=old.badge.duress,
        )
        issued, outcomes = _issue(at, registered, order, files, revoking=old)
        if json_output:
            document = {"holder": old.holder, "replaced": old.badge.id, "badge": issued.badge.id}
            json_line({**document, "outcomes": [outcome_document(one) for one in outcomes]})
        else:
            _tell_replaced(at, registered, old, issued, outcomes, files)
    end(outcomes)


def _issue(
    at: OpenDesk,
    registered: Registered,
    order: BadgeOrder,
    files: BadgeFiles,
    *,
    revoking: KnownBadge | None,
) -> tuple[IssuedBadge, Sequence[ChangeOutcome | None]]:
    """Issue a badge; the one that it replaces is revoked just before, and never after.

    Everything is made and checked before the first of the two is handed in, and the second goes right behind it.
    """
    now = datetime.now(UTC)
    holder, particulars = registered.holder.id, particulars_of(registered)
    issued = at.desk.issue(order, to=particulars, status_index=at.status_index(), now=now)
    registration = at.desk.register(holder, particulars, now=now, issued=[issued])
    papers = [paper_of(registration)]
    if revoking is not None and revoking.state not in {BadgeState.STOLEN, BadgeState.REVOKED}:
        papers.insert(0, paper_of(BadgeStateChange(badge=revoking.badge.id, state=BadgeState.REVOKED)))
    with files.holding(issued, zone=at.zone):
        outcomes = hand_in(at, papers)
    if not may_be_made(outcomes[-1]):
        files.discard()
    return issued, outcomes


def _tell_issued(at: OpenDesk, registered: Registered, issued: IssuedBadge, files: BadgeFiles) -> None:
    badge = issued.badge
    until = show_instant(badge.expires, at.zone, ends=True)
    say(f"For {at.called(registered.holder.id)}: assurance {int(badge.assurance)}, until {until}.")
    files.tell()
    if badge.assurance is Assurance.BEARER and files.qr is None:
        say(f"To print it: gatekeeper badge show {badge.id} --qr pass.svg")


def _tell_replaced(
    at: OpenDesk,
    registered: Registered,
    old: KnownBadge,
    issued: IssuedBadge,
    outcomes: Sequence[ChangeOutcome | None],
    files: BadgeFiles,
) -> None:
    made = [one for one in outcomes if one is not None and one.code == APPLIED]
    refused = [one for one in outcomes if one is not None and one.code != APPLIED]
    if may_be_made(outcomes[-1]):
        out.print(issued.badge.id)
        _tell_issued(at, registered, issued, files)
    if len(made) == len(outcomes):
        entries = " and ".join(str(one.seq) for one in made)
        noun = "entry" if len(made) == 1 else "entries"
        say(f"Done: {issued.badge.id} replaces {old.badge.id}; {noun} {entries} of the log.")
    elif not refused:
        waits(len(outcomes) - len(made))
    elif may_be_made(outcomes[-1]):
        say(f"The new badge is issued, but the old one is not revoked. {refusal(refused[0])}")
    elif made:
        say(
            f"The old badge is revoked (entry {made[0].seq}), but there is no new one yet: "
            f"when it is mended, say the same again. {refusal(refused[0])}"
        )
    else:
        say(f"Nothing was done. {refusal(refused[0])}")


def _active(at: OpenDesk, holder: HolderId) -> list[str]:
    now = datetime.now(UTC)
    badges = at.directory.badges_of(holder)
    return [one.badge.id for one in badges if standing(one, now) == "active"]


def _only(badges: Sequence[KnownBadge], name: str) -> Sequence[KnownBadge]:
    if len(badges) == 1 and badges[0].badge.id == name:
        return badges
    ids = ", ".join(one.badge.id for one in badges) or "none"
    raise PeopleError(f"{name} is a holder: name the badge. They hold {ids}.")


# -- show ---------------------------------------------------------------------------------------------------------------


@app.command("show")
@at_a_site
def badge_show(
    badge: Annotated[
        str,
        typer.Argument(
            metavar="BADGE", help="A badge's id; the text of its QR code; or - to read that from stdin."
        ),
    ],
    qr: QrOption = None,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Show whose a badge is and how it stands; or write a bearer badge's QR code once more."""
    see_new(qr)
    text = sys.stdin.readline().strip("\r\n") if badge == "-" else badge
    token = _token_in(text)
    name = text if token is None else _claimed(token)
    with at_desk(settings, tenant=tenant, about=name) as at:
        (known,) = _only(at.badges(name), name)
    if token is not None and token != known.token:
        raise PeopleError(f"This QR code is not that of badge {name}, though it says so: keep it.")
    if qr is not None:
        write(qr, qr_code(known.badge, known.token, qr, zone=at.zone))
        BadgeFiles(out=None, qr=qr).tell()
    document = badge_document(at, known)
    if json_output:
        json_line({**document, "name": _name(at, known)})
        return
    shown = {key: value for key, value in document.items() if value not in (None, False)}
    shown["holder"] = at.called(known.holder)
    shown["from"] = show_instant(known.badge.not_before, at.zone, ends=False)
    shown["until"] = show_instant(known.badge.expires, at.zone, ends=True)
    table(("badge", known.badge.id), list(shown.items())[1:])


def _token_in(text: str) -> bytes | None:
    """The token in the text of a QR code; None for what is a badge's id."""
    if ":" not in text:
        return None
    try:
        return read_pass_text(text)
    except ValueError as error:
        raise PeopleError(f"{str(error)[0].upper()}{str(error)[1:]}.") from None


def _claimed(token: bytes) -> str:
    badge = claimed_badge(token)
    if badge is None:
        raise PeopleError("This is the text of no badge.")
    return badge.id


def _name(at: OpenDesk, known: KnownBadge) -> str | None:
    found = at.directory.find(known.holder)
    return None if found is None else found.name


in_order(
    app,
    "issue",
    "replace",
    "show",
    "suspend",
    "lost",
    "stolen",
    "revoke",
    "reinstate",
    "set",
    "expire",
    "import",
    "export",
)
