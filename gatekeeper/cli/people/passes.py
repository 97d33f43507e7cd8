"""Badges as files: what belongs into a badge with a key, and the QR code of a bearer badge.

Both are credentials: who has the file has the badge. So they are 0600, written whole or not at all, and never over another.

    --out FILE            JSON: id, assurance, token (Base64), key (PEM) or null, card or null
    --qr FILE.svg|png     a QR code (ISO/IEC 18004, error correction M) of `GK1:` and the token in Base45 (RFC 9285)
"""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import segno
import typer

from gatekeeper.cli.new_files import see_new, write_all
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError
from gatekeeper.model.badges import Assurance, Badge
from gatekeeper.model.card_numbers import read_card_number
from gatekeeper.service.administration.instants import read_instant, show_instant
from gatekeeper.service.administration.issuing import IssuedBadge
from gatekeeper.service.administration.operators import OperatorError
from gatekeeper.service.administration.pass_text import pass_text
from gatekeeper.service.administration.people import BadgeOrder, Desk

__all__ = ["BadgeFiles", "OutOption", "QrOption", "badge_file", "ordered", "qr_code"]

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="Where the badge's private key and token go (0600, a new file)."
    ),
]
QrOption = Annotated[
    Path | None,
    typer.Option(
        "--qr", metavar="FILE", help="A bearer badge as a QR code: FILE.svg or FILE.png (0600, new)."
    ),
]

_PIXELS: Final = 6
_QUIET_ZONE: Final = 4
_LINE: Final = 20
_KINDS: Final = ("svg", "png")


def badge_file(issued: IssuedBadge) -> bytes:
    """What belongs into a badge and nowhere else: its token and its private key."""
    badge, key = issued.badge, issued.key
    content = {
        "id": badge.id,
        "assurance": int(badge.assurance),
        "token": base64.b64encode(issued.token).decode(),
        "key": None if key is None else key.to_pem().decode(),
        "card": None,
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def qr_code(badge: Badge, token: bytes, file: Path, *, zone: ZoneInfo) -> bytes:
    """The QR code of a bearer badge, as an image of the kind that the file's name says. Raises SettingError.

    Below an SVG stands which pass it is, so that two are told apart: how its number begins, and its time by the site's clock.
    """
    kind = file.suffix.lower().removeprefix(".")
    if kind not in _KINDS:
        raise SettingError(f"{file} is neither an .svg nor a .png file: a QR code is written as one of them.")
    if badge.assurance is not Assurance.BEARER:
        raise SettingError(
            f"A QR code carries a bearer badge (assurance 1), and this one has assurance {badge.assurance}."
        )
    code = segno.make_qr(pass_text(token), error="m", boost_error=False)
    if kind == "svg":
        return _svg(code, badge, zone)
    image = io.BytesIO()
    code.save(image, kind=kind, scale=_PIXELS, border=_QUIET_ZONE)
    return image.getvalue()


def _svg(code: segno.QRCode, badge: Badge, zone: ZoneInfo) -> bytes:
    width = code.symbol_size(scale=_PIXELS, border=_QUIET_ZONE)[0]
    begins = show_instant(badge.not_before, zone, ends=False)
    ends = show_instant(badge.expires, zone, ends=True)
    words = "".join(
        f'<text x="{width // 2}" y="{width + _LINE * line}">{escape(text)}</text>'
        for line, text in enumerate((badge.id[:8], f"{begins} → {ends}"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{width + 2 * _LINE}">'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f"{code.svg_inline(scale=_PIXELS, border=_QUIET_ZONE)}"
        f'<g font-family="sans-serif" font-size="13" text-anchor="middle">{words}</g></svg>\n'
    ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeFiles:
    """Where a new badge's key and token go, and its QR code."""

    out: Path | None
    qr: Path | None

    def see_new(self) -> None:
        """See that they can be written. Raises SettingError, or OSError."""
        see_new(self.out, self.qr)

    @contextmanager
    def holding(self, issued: IssuedBadge, *, zone: ZoneInfo) -> Iterator[None]:
        """Write them, all or none, before the badge is handed in; and take them away when nobody may do that."""
        self._write(issued, zone)
        try:
            yield
        except OperatorError:
            self.discard()
            raise

    def _write(self, issued: IssuedBadge, zone: ZoneInfo) -> None:
        contents: dict[Path, bytes] = {}
        if self.qr is not None:
            contents[self.qr] = qr_code(issued.badge, issued.token, self.qr, zone=zone)
        if self.out is not None:
            contents[self.out] = badge_file(issued)
        write_all(contents)

    def discard(self) -> None:
        """Take them away again: the badge is not to be."""
        for file in (self.out, self.qr):
            if file is not None:
                file.unlink(missing_ok=True)

    def tell(self) -> None:
        """Say where they are."""
        if self.out is not None:
            say(f"What belongs into the badge is in {self.out}: put it there, then remove the file.")
        if self.qr is not None:
            say(f"The pass is in {self.qr}: who has it, or a picture of it, has the badge.")


def ordered(
    desk: Desk,
    files: BadgeFiles,
    *,
    assurance: int | None,
    card: str | None,
    until: str | None,
    since: str | None = None,
    **more: Any,
) -> BadgeOrder:
    """What a badge is to be, as it was said on the command line. Raises SettingError for what does not fit."""
    usual = 0 if card is not None else 1 if files.qr is not None else 2
    level = Assurance(usual if assurance is None else assurance)
    if level is Assurance.CARD_NUMBER and card is None:
        raise SettingError("A bare card is known by its number: say it with --card mifare:BA839D07.")
    if level is not Assurance.CARD_NUMBER and card is not None:
        raise SettingError("A card's number is assurance 0, and no more: leave out --assurance, or --card.")
    if level is not Assurance.BEARER and files.qr is not None:
        raise SettingError("A QR code carries a bearer badge: leave out --qr, or say --assurance 1.")
    if level is Assurance.CARD_NUMBER and files.out is not None:
        raise SettingError("A bare card holds nothing but its number: leave out --out.")
    if level >= Assurance.KEY_BOUND and files.out is None:
        raise SettingError("This badge has a private key of its own: say with --out FILE where that goes.")
    today = datetime.now(desk.zone).date()
    try:
        return BadgeOrder(
            assurance=level,
            card=None if card is None else read_card_number(card),
            since=None if since is None else read_instant(since, desk.zone, ends=False, today=today),
            until=None if until is None else read_instant(until, desk.zone, ends=True, today=today),
            **more,
        )
    except ValueError as error:
        raise SettingError(f"{error}.") from None
