"""Scenarios as a security officer writes them: a table of who badges where and when, what should happen, and why.

How such a file is written stands in tests/scenarios/README.md. Here it is read and played: people are enrolled with real
badges, every row is a signed message or a signed change, and every row is held to what it says.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gatekeeper.core.change import AlertChange, ForgivenessChange, LockdownChange, SuspensionChange
from gatekeeper.core.decide import Decision
from gatekeeper.core.facts import GuardsWord
from gatekeeper.core.flow import Recorded
from gatekeeper.core.register import HolderRecord
from gatekeeper.model.badges import Assurance, BadgeRecord, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import HolderId, ProfileId, TenantId
from gatekeeper.model.messages import ClockQuality, PassageOutcome, StatusKind
from gatekeeper.model.people import Holder, HolderKind
from tests.support.founded import FOUNDED
from tests.support.rules_site import PIN_RECORD, RuledSite, document_with
from tests.support.sites import Issued, Sent, beacon_number, issue, register_holder

__all__ = ["Row", "Scenario", "play", "scenarios_in"]

LOCAL = ZoneInfo("Europe/Amsterdam")
_STATES = {state.value: state for state in BadgeState}
_SAID = {"yes": GuardsWord.YES, "no": GuardsWord.NO, "silence": GuardsWord.SILENCE}
_PASSAGES = {
    "through": PassageOutcome.TAKEN,
    "not through": PassageOutcome.NOT_TAKEN,
    "holds open": PassageOutcome.HELD_OPEN,
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a story. `why` holds the codes of reasons, and what else is said of the outcome."""

    line: str
    at: datetime
    who: str
    where: str
    what: str
    reasons: tuple[str, ...]
    reported: tuple[str, ...]
    along: tuple[str, ...]
    host: str | None
    zone: str | None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A story with the site that it happens on."""

    file: str
    title: str
    zones: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Any]
    people: Mapping[str, Mapping[str, Any]]
    rows: tuple[Row, ...]


# -- reading ----------------------------------------------------------------------------------------------------------


def scenarios_in(folder: Path) -> list[Scenario]:
    """Every scenario of every file."""
    files = [(path, tomllib.loads(path.read_text())) for path in sorted(folder.glob("*.toml"))]
    return [
        Scenario(
            file=path.stem,
            title=one["title"],
            zones={**document.get("zone", {}), **one.get("zone", {})},
            tables={**document.get("site", {}), **one.get("site", {})},
            people={**document.get("people", {}), **one.get("people", {})},
            rows=tuple(_rows(one["story"])),
        )
        for path, document in files
        for one in document["scenario"]
    ]


def _rows(story: str) -> Iterator[Row]:
    day = datetime(2026, 6, 3, tzinfo=LOCAL)
    before: datetime | None = None
    for line in story.splitlines():
        if not line.strip() or line.lstrip().startswith(("#", "when")):
            continue
        columns = [column.strip() for column in line.partition(" -- ")[0].split("|")]
        when, who, where, what, why = [*columns, *[""] * (5 - len(columns))]
        day, at = _instant(when, day)
        assert before is None or at >= before, f"time runs backwards: {line}"
        before = at
        yield _row(line.strip(), at, who, where, what, why)


def _instant(when: str, day: datetime) -> tuple[datetime, datetime]:
    """A time of day, after a date where it is another day; `again` is the second time on the night that has it twice."""
    words = when.split()
    if "-" in words[0]:
        day = datetime.fromisoformat(words.pop(0)).replace(tzinfo=LOCAL)
    hour, minute, *second = words[0].split(":")
    at = day.replace(
        hour=int(hour), minute=int(minute), second=int(second[0]) if second else 0, fold="again" in words
    )
    return day, at.astimezone(UTC)


def _row(line: str, at: datetime, who: str, where: str, what: str, why: str) -> Row:
    said: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in why.split(","))):
        word, _, rest = part.partition(" ")
        kind = word if word in {"with", "host", "in", "reported"} else "reasons"
        said.setdefault(kind, []).append(rest if kind != "reasons" else part)
    return Row(
        line=line,
        at=at,
        who=who,
        where=where,
        what=what,
        reasons=tuple(said.get("reasons", ())),
        reported=tuple(said.get("reported", ())),
        along=tuple(said.get("with", ())),
        host=next(iter(said.get("host", ())), None),
        zone=next(iter(said.get("in", ())), None),
    )


# -- playing ----------------------------------------------------------------------------------------------------------


def play(scenario: Scenario) -> None:
    """Let a story happen, and hold every row to what it says."""
    stage = _Stage(scenario)
    for row in scenario.rows:
        stage.site.now = row.at
        stage.happens(row)


class _Stage:
    def __init__(self, scenario: Scenario) -> None:
        self.site = RuledSite()
        self.site.write(document_with(scenario.zones, **scenario.tables))
        self.scans: dict[tuple[str, str], Sent] = {}
        self.waiting: Recorded | None = None
        for name, person in scenario.people.items():
            self._enrol(name, person)

    def _enrol(self, name: str, person: Mapping[str, Any]) -> None:
        known = {
            "tenant", "profiles", "kind", "clearance", "certificates", "host", "pin", "until", "badge",
            "unregistered", "registered_by", "forged",
        }  # fmt: skip
        assert person.keys() <= known, f"{name}: {person.keys() - known}"
        tenant, kind = person.get("tenant", "army"), HolderKind(person.get("kind", "staff"))
        badge = dict(person.get("badge", {}))
        if "assurance" in badge:
            badge["assurance"] = Assurance(badge["assurance"])
        issued = issue(name, tenant, by=person.get("forged"), kind=kind, **badge)
        holder = Holder(
            id=HolderId(name),
            tenant=TenantId(tenant),
            kind=kind,
            clearance=person.get("clearance", 5),
            profiles=tuple(map(ProfileId, person.get("profiles", ["soldier"]))),
            badges=(issued.badge.id,),
            since=FOUNDED,
            until=person.get("until", datetime(2026, 12, 1, tzinfo=UTC)),
            version=1,
            certificates=tuple(person.get("certificates", {}).items()),
            host=person.get("host"),
            pin=PIN_RECORD if person.get("pin") else None,
        )
        self._register(name, issued, holder, person)

    def _register(self, name: str, issued: Issued, holder: Holder, person: Mapping[str, Any]) -> None:
        site = self.site
        if "registered_by" in person:
            document = register_holder(holder, by=f"{person['registered_by']} issuer")
            site.badges[name] = issued
            badge = BadgeRecord(id=issued.badge.id, token=issued.token, state=BadgeState.ACTIVE)
            site.flow.register.put_badge(badge, tenant=holder.tenant, card=None)
            record = HolderRecord(id=holder.id, document=document)
            site.flow.register.put_holder(record, tenant=holder.tenant, badges=holder.badges)
        else:
            site.enter(name, issued, None if person.get("unregistered") else holder)

    # -- what happens ---------------------------------------------------------------------------------------------------

    def happens(self, row: Row) -> None:
        """One row."""
        match row.who:
            case "officer":
                self._orders(row)
            case "guard":
                assert self.waiting is not None, f"nobody waits: {row.line}"
                self._settles(row)
            case "engine":
                assert row.where == "restarts", row.line
                self.site.restart()
            case _:
                self._at_a_door(row)

    def _orders(self, row: Row) -> None:
        verb, _, rest = row.where.partition(" ")
        orders: dict[str, Callable[[], Any]] = {
            "alert": lambda: AlertChange(state=rest),
            "lockdown": lambda: LockdownChange(scope=rest, on=True),
            "release": lambda: LockdownChange(scope=rest, on=False),
            "suspend": lambda: SuspensionChange(tenant=TenantId(rest), on=True),
            "reinstate": lambda: SuspensionChange(tenant=TenantId(rest), on=False),
            "forgive": lambda: ForgivenessChange(holder=HolderId(rest)),
        }
        if verb in _STATES:
            self.site.flow.register.set_state(self.site.badges[rest].badge.id, _STATES[verb])
        else:
            self.site.changed(orders[verb]())

    def _settles(self, row: Row) -> None:
        word, waiting = _SAID[row.where], self.waiting
        assert waiting is not None
        if word is GuardsWord.SILENCE:
            settled = self.site.flow.settle(waiting.receipt.seq, word, now=self.site.now)
            assert settled is not None
            assert settled.decision is not None
            self._held(row, settled.decision, settled)
        else:
            self._held(row, self.site.answer(waiting, yes=word is GuardsWord.YES), None)
        self.waiting = None

    def _at_a_door(self, row: Row) -> None:
        for words, outcome in _PASSAGES.items():
            if row.where.startswith(f"{words} "):
                door = row.where.removeprefix(f"{words} ")
                scan = self.scans.get((row.who, door))
                self.site.recorded(self.site.passage(door, outcome, scan=scan))
                self._is_in(row)
                return
        if row.where.startswith("closes "):
            door = row.where.removeprefix("closes ")
            gate = self.site.gate_of(door)
            self.site.recorded(self.site.status(gate, StatusKind.CLOSED_AGAIN, access_point=door))
            return
        door, _, pin = row.where.partition(" PIN ")
        sent = self._scan(row.who, door, pin)
        outcome_now = self.site.recorded(sent)
        self.scans[row.who, door] = sent
        assert outcome_now.decision is not None
        self._held(row, outcome_now.decision, outcome_now)

    def _scan(self, who: str, door: str, pin: str) -> Sent:
        site = self.site
        changes: dict[str, Any] = {"sealed_pin": site.sealed(door, pin)} if pin else {}
        if "'s clock" in who:
            changes["clock"] = ClockQuality.SYNCHRONISED
            who = who.partition(" ")[0]
        if who == "stranger":
            return site.scan(door, Card(CardTechnology.WIEGAND, b"\x17"), **changes)
        if who.startswith("copy of "):
            return site.scan(door, who.removeprefix("copy of "), **changes | {"proof": None})
        if who.startswith("recording of "):
            issued, old = site.badges[who.removeprefix("recording of ")], beacon_number(1)
            assert issued.key is not None
            proof = site.prove(door, issued.key, beacon=old)
            return site.scan(door, issued, **changes | {"beacon": old, "proof": proof})
        return site.scan(door, who, **changes)

    # -- what should have happened --------------------------------------------------------------------------------------

    def _held(self, row: Row, made: Decision, outcome: Recorded | None) -> None:
        said = "waits" if made.waits is not None else "granted" if made.granted else "denied"
        told = {
            "what": said,
            "reasons": sorted(reason.code for reason in made.reasons),
            "reported": sorted(reason.code for reason in made.shadow),
            "with": sorted(one.holder for one in made.party),
            "host": made.host,
        }
        wanted = {
            "what": row.what,
            "reasons": sorted(row.reasons),
            "reported": sorted(row.reported),
            "with": sorted(row.along),
            "host": row.host,
        }
        assert told == wanted, row.line
        if made.waits is not None:
            self.waiting = outcome
        self._is_in(row)

    def _is_in(self, row: Row) -> None:
        if row.zone is not None:
            assert self.site.where(row.who) == row.zone, row.line
