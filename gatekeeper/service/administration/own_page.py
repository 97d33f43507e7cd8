"""A person's own data as one page to read, in English and Dutch: nothing is fetched from anywhere, nothing runs."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from gatekeeper.model.reasons import Reason
from gatekeeper.service.administration.own_data import OwnData, PersonEntry

__all__ = ["own_page"]

_REASONS: Final = {reason.code: reason for reason in Reason}
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "access.granted": ("let in", "toegelaten"),
    "access.denied": ("refused", "geweigerd"),
    "access.waiting": ("waited for a guard", "wachtte op een bewaker"),
    "access.accompanied": ("came along with somebody", "ging met iemand mee"),
    "access.offline-granted": ("let in by the gate alone", "toegelaten door de poort alleen"),
    "access.offline-denied": ("refused by the gate alone", "geweigerd door de poort alleen"),
    "passage.taken": ("went through", "ging erdoor"),
    "passage.not-taken": ("did not go through", "ging er niet door"),
    "passage.forced": ("the door was forced", "de deur werd geforceerd"),
    "passage.held-open": ("the door was held open", "de deur werd opengehouden"),
    "person.looked-up": ("your movements were looked at", "uw bewegingen zijn ingezien"),
    "log.exported": ("your movements were exported", "uw bewegingen zijn geëxporteerd"),
    "holder.registered": (
        "you were registered, or that was changed",
        "u bent geregistreerd, of dat is gewijzigd",
    ),
    "badge.changed": ("something was said of your badge", "er is iets gezegd over uw pas"),
    "presence.forgiven": ("where you were was forgotten", "waar u was is vergeten"),
    "hold.placed": ("what is known of you must be kept", "wat van u bekend is moet bewaard blijven"),
    "hold.lifted": ("that need not be kept any more", "dat hoeft niet meer bewaard te blijven"),
    "proposal.made": ("something was proposed about you", "er is iets over u voorgesteld"),
}
_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "holder": ("Number", "Nummer"),
    "tenant": ("Organisation", "Organisatie"),
    "name": ("Name", "Naam"),
    "kind": ("Kind", "Soort"),
    "clearance": ("Clearance", "Screeningsniveau"),
    "profiles": ("Access profiles", "Toegangsprofielen"),
    "from": ("From", "Vanaf"),
    "until": ("Until", "Tot"),
    "certificates": ("Certificates", "Certificaten"),
    "host": ("Host", "Gastheer"),
    "version": ("Version", "Versie"),
    "pin": ("Has a PIN", "Heeft een pincode"),
    "badge": ("Badge", "Pas"),
    "state": ("State", "Toestand"),
    "standing": ("Standing", "Stand"),
    "assurance": ("Assurance", "Zekerheid"),
    "ceiling": ("Highest level", "Hoogste niveau"),
    "max_uses": ("Uses at most", "Gebruik ten hoogste"),
    "card": ("Card number", "Kaartnummer"),
    "uses": ("Uses", "Gebruik"),
    "last_used": ("Last used", "Laatst gebruikt"),
    "locked_until": ("Locked until", "Geblokkeerd tot"),
    "zone": ("Zone", "Zone"),
    "since": ("Since", "Sinds"),
    "quality": ("How it is known", "Hoe dat bekend is"),
    "access_point": ("Door", "Deur"),
    "seq": ("Entry", "Regel"),
    "came_with": ("Came with", "Kwam met"),
}
_HEADS: Final = (
    ("Entry", "Regel"),
    ("When", "Wanneer"),
    ("What", "Wat"),
    ("Where", "Waar"),
    ("Why", "Waarom"),
)
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;"
    "border-bottom:1px solid #bbb}h2{margin-top:2.5rem}img{max-width:12rem}[lang=nl]{font-style:italic}"
)


def own_page(own: OwnData, *, zone: ZoneInfo) -> bytes:
    """Draw the page; times are by the site's clock."""
    parts = [
        _head(own, zone),
        _heading("What is registered", "Wat geregistreerd is"),
        _fields(own.registration, zone),
        _photo(own.photo),
        _heading("Badges", "Passen"),
        _records(own.badges, zone),
        _heading("Where you are, as far as the site knows", "Waar u bent, voor zover het terrein dat weet"),
        _fields(own.whereabouts or {}, zone),
        _heading("Where you were, and wanted to be", "Waar u was, en wilde zijn"),
        _entries(own.movements, zone),
        _heading("Who looked at that, and what for", "Wie dat heeft ingezien, en waarvoor"),
        _entries(own.lookings, zone),
        _heading("What else the log says of you", "Wat het logboek verder over u zegt"),
        _entries(own.others, zone),
    ]
    return f"<!doctype html><html lang=en>{''.join(parts)}</html>\n".encode()


def _head(own: OwnData, zone: ZoneInfo) -> str:
    title = f"{own.site}: {own.holder}"
    return (
        "<head><meta charset=utf-8><meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<meta name=viewport content='width=device-width'><title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<h1>{_both('Your own data', 'Uw eigen gegevens')}</h1>"
        f"<p>{_both('All that this site knows of you, as of', 'Alles wat dit terrein van u weet, op')} "
        f"{_time(own.made_at, zone)} ({escape(zone.key)}). "
        f"{_both('That it was looked up for you stands in the log as entry', 'Dat dit voor u is ingezien staat in het logboek als regel')} "
        f"{own.entry}.</p>"
    )


def _both(english: str, dutch: str) -> str:
    return f"{escape(english)} <span lang=nl>/ {escape(dutch)}</span>"


def _heading(english: str, dutch: str) -> str:
    return f"<h2>{_both(english, dutch)}</h2>"


def _fields(fields: Mapping[str, Any], zone: ZoneInfo) -> str:
    lines = [
        f"<tr><th scope=row>{_called(key)}<td>{escape(_text(_value(value, zone)))}"
        for key, value in fields.items()
    ]
    return f"<table>{''.join(lines)}</table>" if lines else _nothing()


def _called(key: str) -> str:
    return _both(*_FIELDS.get(key, (key, key)))


def _photo(photo: bytes | None) -> str:
    if photo is None:
        return ""
    form = "png" if photo.startswith(b"\x89PNG") else "jpeg"
    picture = base64.b64encode(photo).decode()
    return f'<p><img alt="{escape("Photo / Foto")}" src="data:image/{form};base64,{picture}">'


def _records(records: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> str:
    if not records:
        return _nothing()
    columns = list(records[0])
    head = "".join(f"<th scope=col>{_called(column)}" for column in columns)
    rows = [
        "<tr>" + "".join(f"<td>{escape(_text(_value(one.get(column), zone)))}" for column in columns)
        for one in records
    ]
    return f"<table><tr>{head}{''.join(rows)}</table>"


def _entries(entries: Iterable[PersonEntry], zone: ZoneInfo) -> str:
    rows = [
        f"<tr><td>{entry.seq}<td>{_time(entry.at, zone)}<td>{_both(*_KINDS.get(entry.kind, (entry.kind,) * 2))}"
        f"<td>{escape(_where(entry.body))}<td>{_why(entry.body)}"
        for entry in entries
    ]
    head = "".join(f"<th scope=col>{_both(*names)}" for names in _HEADS)
    return f"<table><tr>{head}{''.join(rows)}</table>" if rows else _nothing()


def _where(body: Mapping[str, Any]) -> str:
    place = body.get("access_point", "")
    return (
        f"{place}: {body['from']} → {body['to']}" if {"from", "to", "access_point"} <= body.keys() else place
    )


def _why(body: Mapping[str, Any]) -> str:
    """The reason of a decision in both languages, or the purpose and who it was, of somebody who looked."""
    reason = _REASONS.get(str(body.get("reason")))
    if reason is not None:
        return _both(reason.english, reason.dutch)
    said = [str(body[key]) for key in ("purpose", "reason") if key in body]
    return escape("; ".join([*said, *(f"{body[key]}" for key in ("author", "by") if key in body)]))


def _nothing() -> str:
    return f"<p>{_both('Nothing.', 'Niets.')}</p>"


def _value(value: Any, zone: ZoneInfo) -> Any:
    return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value


def _time(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _text(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes / ja" if value else "no / nee"
        case dict():
            return ", ".join(f"{key}: {_text(one)}" for key, one in value.items()) or "-"
        case list() | tuple():
            return ", ".join(map(_text, value)) or "-"
        case _:
            return str(value)
