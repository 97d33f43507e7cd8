"""A person's own data as one page to read: whole in English and whole in Dutch, on a screen of any width and on paper.

A switch shows one of the two; printed, and without style sheets, both are there. Nothing is fetched, nothing runs.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from gatekeeper.core.happened import Clock
from gatekeeper.model.people import Names
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.reasons import Reason
from gatekeeper.service.administration.own_data import OwnData, PersonEntry
from gatekeeper.service.administration.own_words import FIELDS, KINDS, PHRASES, VALUES

__all__ = ["own_page"]

_REASONS: Final = {reason.code: reason for reason in Reason}
_LANGUAGES: Final = ("en", "nl")
_STYLE: Final = files(__package__).joinpath("own_page.css").read_text("utf-8")
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_OF_THE_PLACE: Final = ("zone", "since", "quality", "access_point", "came_with", "seq")
_OF_THE_BADGE: Final = (
    *(
        "standing",
        "assurance",
        "ceiling",
        "from",
        "until",
        "max_uses",
        "uses",
        "last_used",
        "locked_until",
        "card",
    ),
)
_COMPARED: Final = ("kind", "clearance", "profiles", "until", "certificates", "host")
"""What of two versions of a registration is compared."""

_Column = tuple[str, Callable[[PersonEntry], str]]


def own_page(own: OwnData, *, policy: SitePolicy) -> bytes:
    """Draw the page; times are by the site's clock, and names are those of its policy."""
    title = " · ".join(_phrase("title", language) for language in _LANGUAGES)
    switch = "".join(
        f"<input type=radio name=language id={language}{' checked' if language == 'en' else ''}>"
        f"<label for={language} lang={language}>{escape(_phrase('language', language))}</label>"
        for language in _LANGUAGES
    )
    articles = "".join(_Version(own, policy, language).drawn() for language in _LANGUAGES)
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        "<meta name=viewport content='width=device-width,initial-scale=1'><meta name=color-scheme content='light dark'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{switch}{articles}</body></html>\n"
    ).encode()


def _phrase(name: str, language: str) -> str:
    return _in(PHRASES[name], language)


def _in(names: Names, language: str) -> str:
    return names.nl if language == "nl" else names.en


@dataclass(frozen=True, slots=True)
class _Version:
    """The page in one language."""

    own: OwnData
    policy: SitePolicy
    language: str

    def drawn(self) -> str:
        own = self.own
        badges = "".join(self._badge(one) for one in own.badges)
        place = own.whereabouts or {}
        registered = {"name": own.registration.get("name"), **own.registration}
        return (
            f"<article lang={self.language}>{self._head()}"
            f"{self._part('registration', self._photo() + self._fields(registered))}"
            f"{self._part('badges', badges)}"
            f"{self._part('whereabouts', self._fields({key: place.get(key) for key in _OF_THE_PLACE}))}"
            f"{self._part('movements', self._movements())}"
            f"{self._part('lookings', self._lookings())}"
            f"{self._part('others', self._others())}</article>"
        )

    # -- words -----------------------------------------------------------------------------------------------------

    def _say(self, name: str, **given: object) -> str:
        return _phrase(name, self.language).format(**given)

    def _called(self, things: Iterable[Any], name: object) -> str:
        """What the policy calls a thing of this id; the id where it knows none."""
        found = next((thing.names for thing in things if thing.id == name), None)
        return str(name) if found is None else _in(found, self.language)

    def _tenant(self, name: object) -> str:
        return self._called(self.policy.tenants, name)

    def _zone(self, name: object) -> str:
        return self._called(self.policy.zones, name)

    def _point(self, name: object) -> str:
        return self._called(self.policy.access_points, name)

    def _time(self, at: datetime) -> str:
        local = at.astimezone(ZoneInfo(self.policy.time_zone))
        return f"<time datetime={local.isoformat(timespec='seconds')}>{local:%Y-%m-%d %H:%M:%S}</time>"

    def _value(self, key: str, value: Any) -> str:
        """A value in words, as HTML; nothing for one that is not there."""
        match value:
            case None:
                return ""
            case bool():
                return escape(self._say("yes" if value else "no"))
            case datetime():
                return self._time(value)
            case dict():
                return "; ".join(
                    f"{escape(str(name))}: {self._value('', one)}" for name, one in value.items()
                )
            case list() | tuple():
                return "; ".join(self._value(key, one) for one in value)
            case _:
                return escape(self._word(key, value))

    def _word(self, key: str, value: Any) -> str:
        match key:
            case "tenant":
                return self._tenant(value)
            case "zone":
                return self._zone(value)
            case "access_point":
                return self._point(value)
            case "profiles":
                own = self.own.registration.get("tenant")
                return self._called((one for one in self.policy.profiles if one.tenant == own), value)
            case _:
                found = VALUES.get(key, {}).get(str(value))
                return str(value) if found is None else _in(found, self.language)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _head(self) -> str:
        own, policy = self.own, self.policy
        site = _in(policy.names, self.language)
        about = (
            self._say("all", site=escape(site), at=self._time(own.made_at)),
            escape(self._say("clock", zone=policy.time_zone)),
            escape(self._say("looked", entry=own.entry)),
        )
        return f"<header><h1>{escape(self._say('title'))}</h1><p>{' '.join(about)}</p></header>"

    def _part(self, heading: str, content: str) -> str:
        said = content or f"<p>{escape(self._say('nothing'))}</p>"
        return f"<section><h2>{escape(self._say(heading))}</h2>{said}</section>"

    def _photo(self) -> str:
        photo = self.own.photo
        if photo is None:
            return ""
        form = "png" if photo.startswith(b"\x89PNG") else "jpeg"
        picture = base64.b64encode(photo).decode()
        return f'<img alt="{escape(self._say("photo"))}" src="data:image/{form};base64,{picture}">'

    def _fields(self, fields: Mapping[str, Any]) -> str:
        told = [(key, self._value(key, value)) for key, value in fields.items()]
        lines = [f"<div><dt>{escape(self._field(key))}<dd>{value}</div>" for key, value in told if value]
        return f"<dl>{''.join(lines)}</dl>" if lines else ""

    def _field(self, key: str) -> str:
        return _in(FIELDS[key], self.language) if key in FIELDS else key

    def _badge(self, badge: Mapping[str, Any]) -> str:
        # Where no rule counts the uses of a badge there are none to tell.
        fields = {key: badge.get(key) for key in _OF_THE_BADGE if key != "uses" or badge.get(key)}
        number = f"<code>{escape(str(badge['badge']))}</code>"
        return f"<div class=card><h3>{escape(self._say('badge'))} {number}</h3>{self._fields(fields)}</div>"

    # -- entries ---------------------------------------------------------------------------------------------------

    def _movements(self) -> str:
        return self._entries(self.own.movements, [("where", self._where), ("why", self._why)])

    def _lookings(self) -> str:
        return self._entries(self.own.lookings, [("who", self._who), ("purpose", self._purpose)])

    def _others(self) -> str:
        columns = [("details", self._details), ("who", self._who), ("why", self._purpose)]
        return self._entries(self.own.others, columns)

    def _entries(self, entries: Iterable[PersonEntry], further: Sequence[_Column]) -> str:
        """A table of entries, without the columns in which nothing stands."""
        columns: list[_Column] = [
            ("when", self._when),
            ("what", self._what),
            *further,
            ("entry", lambda entry: str(entry.seq)),
        ]
        rows = [[cell(entry) for _, cell in columns] for entry in entries]
        kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
        heads = [escape(self._say(name)) for name, _ in columns]
        head = "".join(f"<th scope=col>{heads[place]}" for place in kept)
        body = "".join("<tr>" + "".join(_cell(heads[place], row[place]) for place in kept) for row in rows)
        return f"<table><thead><tr>{head}<tbody>{body}</table>" if rows else ""

    def _when(self, entry: PersonEntry) -> str:
        """When it happened; of what was told later, also when."""
        then = entry.happened
        if not then.is_late:
            return self._time(then.at)
        clock = escape(self._say("own clock")) if then.clock is Clock.FREE_RUNNING else ""
        told = self._say("told", at=self._time(then.logged))
        return f"{self._time(then.at)}<br><small>{' '.join(filter(None, (clock, told)))}</small>"

    def _what(self, entry: PersonEntry) -> str:
        again = entry.kind == "holder.registered" and entry.body.get("version", 1) > 1
        kind = "holder.changed" if again else entry.kind
        return escape(_in(KINDS[kind], self.language) if kind in KINDS else kind)

    def _where(self, entry: PersonEntry) -> str:
        body = entry.body
        if "access_point" not in body:
            return ""
        place = escape(self._point(body["access_point"]))
        way = [escape(self._zone(body[end])) for end in ("from", "to") if end in body]
        return f"{place}<br><small>{' → '.join(way)}</small>" if way else place

    def _why(self, entry: PersonEntry) -> str:
        """Why somebody was refused or had to wait; never that they cried for help."""
        codes = entry.body.get("reasons") or [entry.body.get("reason")]
        found = [_REASONS[code] for code in codes if code in _REASONS]
        told = [reason for reason in found if reason not in {Reason.GRANTED, Reason.DURESS}]
        return escape(" ".join(one.dutch if self.language == "nl" else one.english for one in told))

    def _who(self, entry: PersonEntry) -> str:
        tenant = entry.body.get("by")
        said = (str(entry.body.get("author", "")), "" if tenant is None else self._tenant(tenant))
        return escape(", ".join(filter(None, said)))

    def _purpose(self, entry: PersonEntry) -> str:
        return escape("; ".join(str(entry.body[key]) for key in ("purpose", "reason") if key in entry.body))

    def _details(self, entry: PersonEntry) -> str:
        match entry.kind:
            case "holder.registered":
                return "<br>".join(self._registered(entry))
            case "badge.changed":
                states = [self._value("state", entry.body.get(end)) for end in ("from", "to")]
                return f"{' → '.join(states)}<br><code>{escape(str(entry.personal.get('badge', '')))}</code>"
            case _:
                return ""

    def _registered(self, entry: PersonEntry) -> Iterable[str]:
        version = int(entry.body.get("version", 0))
        if version:
            yield escape(self._say("version", version=version))
        badges = entry.personal.get("badges")
        if badges:
            numbers = ", ".join(f"<code>{escape(str(badge))}</code>" for badge in badges)
            yield self._say("new badges", badges=numbers)
        known = _versions(self.own)
        if version in known and version - 1 in known:
            before, after = known[version - 1], known[version]
            for key in _COMPARED:
                if before[key] != after[key]:
                    yield self._changed(key, before[key], after[key])

    def _changed(self, key: str, before: Any, after: Any) -> str:
        none = escape(self._say("none"))
        return self._say(
            "changed",
            field=escape(self._field(key)),
            before=self._value(key, before) or none,
            after=self._value(key, after) or none,
        )


def _cell(heading: str, content: str) -> str:
    return f'<td data-of="{heading}"><div>{content}</div>' if content else "<td>"


def _versions(own: OwnData) -> Mapping[int, Mapping[str, Any]]:
    """What the versions of a registration said, as far as that is known: the last one, and those that decisions went by."""
    known: dict[int, Mapping[str, Any]] = {}
    for entry in own.entries:
        match entry.personal:
            case {"facts": {"holder": {"version": int(version), **then}}}:
                known[version] = {key: _as_now(key, then.get(key)) for key in _COMPARED}
    now = own.registration.get("version")
    if isinstance(now, int):
        known[now] = {key: _plain(own.registration.get(key)) for key in _COMPARED}
    return known


def _as_now(key: str, value: Any) -> Any:
    """What facts hold in the form of a registration: they have times as seconds."""
    match key, value:
        case "until", int():
            return datetime.fromtimestamp(value, UTC)
        case "certificates", dict():
            return {name: datetime.fromtimestamp(until, UTC) for name, until in value.items()}
        case _:
            return value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
