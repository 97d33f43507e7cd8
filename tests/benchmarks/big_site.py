"""A big site, the same in every run: 12 tenants, 60 zones, 200 access points, 40 schedules, 4 alert states, as a document.

    outside - gate zone - campus ── a house for each of 11 tenants, in it an office and a laboratory; mess, parking
                        └ garrison ─ seven blocks, in each a staff room and a vault

It is read, signed and compiled as any site file. Its rules are static: who, where, when, in which alert state, under which
agreement; nothing asks for the past. Those are the rules that other engines can be given too.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from gatekeeper import cose
from gatekeeper.core.trust import (
    TRUST_TYPE,
    Anchor,
    TenantTrust,
    Trust,
    TrustListing,
    TrustRefused,
    Use,
    read_trust,
    trust_payload,
)
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.model.site_file import read_site
from tests.support.sites import cosigned_agreement, key_of, trusted

__all__ = ["ALERTS", "CIVIL", "HOST", "PROFILES", "SITE", "big_document", "big_trust", "signing_key"]

SITE: Final = SiteId("big-site")
HOST: Final = TenantId("garrison")
CIVIL: Final = tuple(
    map(
        TenantId,
        ("college", "innovation", "ministry", "municipality", "resilience", "reservists", "logistics", "catering",
         "care", "energy", "sports"),
    )
)  # fmt: skip
ALERTS: Final = ("alpha", "bravo", "charlie", "delta")
PROFILES: Final = ("entry", "house", "office", "laboratory", "evening", "weekend", "round", "guest")
_SEED: Final = 20_270_301
_BLOCKS: Final = tuple(f"block-{number}" for number in range(1, 8))
_SECOND_DOORS: Final = (
    *["campus"] * 7, *["gate-zone"] * 3, *["garrison"] * 3, *(f"{tenant}-house" for tenant in CIVIL),
    *(f"{tenant}-office" for tenant in CIVIL), *_BLOCKS[:6],
)  # fmt: skip
_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CEILINGS: Final = (3, 4, 2)
_BADGE_DAYS: Final = 365


def big_document() -> dict[str, Any]:
    """The site file."""
    dice = random.Random(_SEED)
    doors = list(_doors())
    return {
        "site": {
            "id": SITE,
            "name": _names("Big site"),
            "time_zone": "Europe/Amsterdam",
            "host": HOST,
            "outside": "outside",
            "alert_states": list(ALERTS),
        },
        "tenant": [{"id": HOST, "name": _names(HOST)}, *map(_tenant, CIVIL)],
        "zone": list(_zones()),
        "gate": [{"id": f"gate-{n}", "name": _names(f"Gate {n}")} for n in range(len(doors) // 2)],
        "access_point": [point for number, door in enumerate(doors) for point in _points(number, *door)],
        "calendar": [_calendar("public", _PUBLIC), _calendar("school", (*_PUBLIC, *_school_holidays()))],
        "schedule": _schedules(dice),
        "profile": [
            _profile(tenant, profile, dice) for tenant in (HOST, *CIVIL) for profile in PROFILES
        ],
        "veto": [
            {"tenant": tenant, "zone": zone, "why": _names("Not here")}
            for tenant, zone in (
                ("reservists", "block-3"), ("logistics", "block-7-vault"), ("catering", "ministry-house"),
                ("energy", "resilience-laboratory"), ("care", "college-laboratory"),
            )
        ],
        "alert": [
            {"state": "charlie", "assurance": 2},
            {"state": "delta", "excluded": ["catering", "sports"]},
        ],
    }  # fmt: skip


# -- tenants ----------------------------------------------------------------------------------------------------------


def _tenant(tenant: TenantId) -> dict[str, Any]:
    number = CIVIL.index(tenant)
    zones = [
        "gate-zone",
        "campus",
        *(["garrison"] if tenant in {"reservists", "logistics", "energy"} else []),
    ]
    agreement = {
        "ceiling": _CEILINGS[number % 3],
        "zones": zones,
        "from": datetime(2026, 1, 1, tzinfo=UTC),
        "until": datetime(2027, 4, 15, tzinfo=UTC)
        if tenant == "sports"
        else datetime(2031, 1, 1, tzinfo=UTC),
        "badge_days": _BADGE_DAYS,
    }
    return {"id": tenant, "name": _names(tenant), "agreement": agreement}


# -- places -----------------------------------------------------------------------------------------------------------


def _zones() -> Iterator[dict[str, Any]]:
    yield _zone("outside", None, HOST, 0, 0)
    yield _zone("gate-zone", None, HOST, 1, 1)
    yield _zone("campus", None, HOST, 1, 1)
    yield _zone("garrison", None, HOST, 3, 2)
    for tenant in CIVIL:
        yield _zone(f"{tenant}-house", "campus", tenant, 1, 1)
        yield _zone(f"{tenant}-office", f"{tenant}-house", tenant, 2, 2)
        yield _zone(f"{tenant}-laboratory", f"{tenant}-house", tenant, 3, 2)
    for block in _BLOCKS:
        yield _zone(block, "garrison", HOST, 3, 2)
        yield _zone(f"{block}-staff", block, HOST, 4, 2)
        yield _zone(f"{block}-vault", block, HOST, 5, 2)
    yield _zone("mess", "campus", HOST, 1, 1)
    yield _zone("parking", "campus", HOST, 1, 0)


def _zone(zone: str, parent: str | None, owner: str, level: int, assurance: int) -> dict[str, Any]:
    written = {
        "id": zone,
        "name": _names(zone),
        "owner": owner,
        "level": level,
        "assurance": assurance,
        "anti_passback": "soft" if zone in {"gate-zone", "campus", "garrison"} else "none",
    }
    return written if parent is None else written | {"parent": parent}


def _doors() -> Iterator[tuple[str, str, str]]:
    """Each door with the zones on both sides, the outer one first."""
    parents = {zone["id"]: zone.get("parent") for zone in _zones()}
    outer = {"gate-zone": "outside", "campus": "gate-zone", "garrison": "gate-zone"}
    for zone, parent in parents.items():
        if zone != "outside":
            yield f"{zone}-1", parent or outer[zone], zone
    for number, zone in enumerate(_SECOND_DOORS, 2):
        yield f"{zone}-{number}", parents[zone] or outer[zone], zone


def _points(number: int, door: str, outer: str, inner: str) -> Iterator[dict[str, Any]]:
    for direction, source, target in (("in", outer, inner), ("out", inner, outer)):
        yield {
            "id": f"{door}-{direction}", "gate": f"gate-{number // 2}", "from": source, "to": target,
            "direction": direction, "name": _names(f"{door} {direction}"),
        }  # fmt: skip


# -- times ------------------------------------------------------------------------------------------------------------

_PUBLIC: Final = tuple(
    date.fromisoformat(day)
    for day in (
        "2026-12-25", "2026-12-26", "2027-01-01", "2027-03-26", "2027-03-28", "2027-03-29", "2027-04-27",
        "2027-05-05", "2027-05-06", "2027-05-16", "2027-05-17", "2027-12-25", "2027-12-26", "2028-01-01",
    )
)  # fmt: skip


def _school_holidays() -> Iterator[date]:
    for since, days in ((date(2027, 2, 20), 9), (date(2027, 4, 24), 16), (date(2027, 7, 10), 44)):
        for day in range(days):
            if since + timedelta(days=day) not in _PUBLIC:
                yield since + timedelta(days=day)


def _calendar(name: str, days: Sequence[date]) -> dict[str, Any]:
    return {"id": name, "days": [{"date": day, "name": _names(f"{day:%d %B}")} for day in sorted(days)]}


def _schedules(dice: random.Random) -> list[dict[str, Any]]:
    always = {"days": list(_WEEK), "from": "00:00", "until": "24:00"}
    found: list[dict[str, Any]] = [{"id": "always", "name": _names("Always"), "windows": [always]}]
    for number in range(1, 40):
        opens, closes = dice.randrange(5, 10), dice.randrange(16, 24)
        days = _WEEK[: dice.choice((5, 5, 5, 6, 7))]
        windows = [
            {
                "days": list(days),
                "from": f"{opens:02}:{dice.choice((0, 15, 30, 45)):02}",
                "until": f"{closes:02}:00",
            }
        ]
        if number % 4 == 0:
            windows[0]["until"] = "12:30"
            windows.append({"days": list(days), "from": "13:00", "until": f"{closes:02}:30"})
        schedule: dict[str, Any] = {
            "id": f"hours-{number}", "name": _names(f"Hours {number}"), "windows": windows,
        }  # fmt: skip
        if number % 5:
            special = [] if number % 2 else [{"from": "10:00", "until": "15:00"}]
            schedule |= {"calendar": "school" if number % 3 == 0 else "public", "on_special_days": special}
        found.append(schedule)
    return found


# -- rights -----------------------------------------------------------------------------------------------------------


def _profile(tenant: TenantId, profile: str, dice: random.Random) -> dict[str, Any]:
    zones, points = _reach(tenant, profile, dice)
    hours = "always" if profile == "entry" else f"hours-{dice.randrange(1, 40)}"
    highest = "delta" if tenant == HOST else dice.choice(ALERTS[:3])
    grants = [{"zone": zone, "schedule": hours, "highest_alert": highest} for zone in zones]
    grants += [{"access_point": point, "schedule": hours, "highest_alert": highest} for point in points]
    return {"id": profile, "tenant": tenant, "name": _names(profile), "grants": grants}


def _reach(tenant: TenantId, profile: str, dice: random.Random) -> tuple[list[str], list[str]]:
    """The zones and the access points that a profile leads to."""
    own = dice.choice(_BLOCKS) if tenant == HOST else f"{tenant}-house"
    match profile:
        case "entry":
            garrison = _points_of("garrison") if tenant in {HOST, "reservists", "logistics", "energy"} else []
            return ["gate-zone", "mess", "parking"], [*_points_of("campus"), *garrison]
        case "house":
            return [], _points_of(own)
        case "office":
            return [f"{own}-staff" if tenant == HOST else f"{tenant}-office"], _points_of(own)
        case "laboratory":
            return [f"{own}-vault" if tenant == HOST else f"{tenant}-laboratory"], _points_of(own)
        case "evening" | "weekend":
            return [own], []
        case "round":
            return [dice.choice(_BLOCKS) for _ in range(3)] + [f"{dice.choice(CIVIL)}-house"], []
        case _:
            return [f"{dice.choice(CIVIL)}-house", f"{dice.choice(CIVIL)}-office"], []


def _points_of(zone: str) -> list[str]:
    return [f"{door}-{way}" for door, _, inner in _doors() if inner == zone for way in ("in", "out")]


def _names(text: str) -> dict[str, str]:
    return {"en": text, "nl": text}


# -- trust ------------------------------------------------------------------------------------------------------------


def signing_key(tenant: TenantId) -> cose.SigningKey:
    """The key that a tenant signs agreements with, and the host its policy."""
    return key_of(f"{tenant} signing")


def big_trust() -> Trust:
    """The site's trust list with every tenant's agreement, believed."""
    tenants = {
        tenant.id: TenantTrust(
            signing=trusted(f"{tenant.id} signing", use=Use.TENANT, owner=tenant.id),
            issuers=(trusted(f"{tenant.id} issuer", use=Use.ISSUER, owner=tenant.id),),
            agreement=None
            if tenant.agreement is None
            else cosigned_agreement(
                tenant.agreement, by=(f"{HOST} signing", f"{tenant.id} signing"), site=SITE
            ),
            epoch=1,
        )
        for tenant in read_site(big_document()).tenants
    }
    root = key_of("root 1")
    listing = TrustListing(
        site=SITE, version=1, issued=datetime(2026, 1, 1, tzinfo=UTC), threshold=1, roots=(root.public_der,),
        tenants=tenants, gates={}, services=(),
    )  # fmt: skip
    document = cose.cosign(trust_payload(listing), keys=[root], typ=TRUST_TYPE, external_aad=SITE.encode())
    anchor = Anchor(site=SITE, host=HOST, threshold=1, roots=listing.roots)
    trust = read_trust(document, anchor=anchor, not_below=0)
    assert not isinstance(trust, TrustRefused), trust
    return trust
