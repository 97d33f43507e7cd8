"""The one log line of a scan: what an operator needs, and nothing of who it was."""

import json
import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import pytest

from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.observe.logging import configure
from gatekeeper.ports import Inbound
from gatekeeper.service.engine import Engine
from gatekeeper.service.engine.engine import _Verified
from gatekeeper.service.engine.intake import Arrival
from tests.support.engines import owning_engine
from tests.support.fort import site_database
from tests.support.sites import BADGES, CARD, NOON, Sent, SmallSite

pytestmark = pytest.mark.integration

FIELDS = {
    *("event", "level", "timestamp"),
    *("gate", "access_point", "sequence", "verdict", "reason", "seq", "ms"),
}


class _StandingClock:
    """It is noon, when the small site's badges are valid."""

    def now(self) -> datetime:
        return NOON


@pytest.fixture(autouse=True)
def _root_logger_of_its_own() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


@pytest.fixture
async def engine(site: SmallSite, postgres_server: EmbeddedPostgres) -> AsyncIterator[Engine]:
    """An engine that owns the small site in a real database, and has no link to a broker."""
    ledger = PostgresLedger(await site_database(postgres_server))
    engine = await owning_engine(site, ledger, _StandingClock())
    yield engine
    await ledger.close()


async def _decide(engine: Engine, site: SmallSite, *scans: Sent) -> None:
    """Take scans the whole way, committed in one batch."""
    verified = []
    for sent in scans:
        arrival = Arrival(Inbound(sent.topic, sent.wire, retained=False, receipt=(0, 0)), 0.0)
        found = engine._verify(arrival, site.beacons)
        assert isinstance(found, _Verified)
        verified.append(found)
    await engine._process(verified)


async def test_the_line_of_a_scan_says_where_what_and_why_and_not_who(
    engine: Engine, site: SmallSite, capsys: pytest.CaptureFixture[str]
):
    configure()
    unknown = Card(CardTechnology.MIFARE, bytes.fromhex("0BADCAFE"))
    scans = [
        site.scan("front-in", "sergeant"),
        site.scan("armoury-in", "pupil"),
        site.scan("shed-in", CARD),
        site.scan("shed-in", unknown),
    ]
    await _decide(engine, site, *scans)
    said = capsys.readouterr()
    assert said.out == ""
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.err.splitlines()]
    assert [line["event"] for line in lines] == ["scan"] * 4
    assert [(line["gate"], line["access_point"], line["seq"]) for line in lines] == [
        ("front", "front-in", 0),
        ("inner", "armoury-in", 1),
        ("shed-reader", "shed-in", 2),
        ("shed-reader", "shed-in", 3),
    ]
    assert [line["verdict"] for line in lines] == ["granted", "denied", "granted", "denied"]
    for line in lines:
        assert set(line) == FIELDS

    told = said.err.lower()
    for name, issued in BADGES.items():
        assert name not in told, "nobody is named"
        assert issued.badge.id not in told
    for secret in (*(issued.token for issued in BADGES.values()), *(sent.wire for sent in scans)):
        assert secret.hex()[:24] not in told
        assert b64encode(secret).decode()[:24].lower() not in told
    for card in (CARD, unknown):
        assert card.number.hex() not in told
