"""A disk that lost the last entry after it was sent: its number is given again, the service refuses it, and nothing is stuck or lost."""

import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devices.agent import GateAgent
from devices.app import make_link, open_journal
from devices.core.journal_format import RECORDS
from devices.core.lane import Limits
from devices.journal_file import JOURNAL
from devices.settings import GateSettings, read_gate_folder
from gatekeeper.adapters.postgres import PostgresReading
from tests.acceptance.barracks import SITE, Barracks, barracks
from tests.acceptance.test_journal import a_gate_with_contacts
from tests.support.waiting import eventually

pytestmark = pytest.mark.acceptance

IMPATIENT = Limits(resend=timedelta(milliseconds=100), resend_most=timedelta(milliseconds=400))
"""A gate that sends again what is refused every five seconds is here for minutes."""


async def test_a_number_that_is_given_again_is_refused_and_what_stood_there_is_told_in_a_new_journal(
    server_folder: Path,
):
    async with barracks(server_folder) as site, site.engine():
        settings = read_gate_folder(a_gate_with_contacts(site))
        await tells(site, settings, openings=2)
        assert settings.journal_folder is not None
        path = settings.journal_folder / JOURNAL
        content = bytearray(path.read_bytes())
        assert len(content) > RECORDS
        content[-1] ^= 1
        path.write_bytes(content)
        await tells(site, settings, openings=2)
        told = await entries(site)
        journals = list(dict.fromkeys(body["boot"] for _, body in told if body.get("journal")))
        assert len(journals) == 2
        assert [kind for kind, _ in told].count("gate.conflict") == 1
        assert any(body.get("status") == "journal_damaged" for _, body in told)
        # Four openings were forced, of which one stood where the service already had another.
        assert [kind for kind, _ in told].count("passage.forced") == 4


async def tells(site: Barracks, settings: GateSettings, *, openings: int) -> None:
    """Have a door forced so many times, and wait until all is answered."""
    link = make_link(settings, broker=site.broker.url)
    gate = GateAgent(settings, link, open_journal=partial(open_journal, settings), limits=IMPATIENT)
    door = next(door.id for door in settings.doorways if door.has_contact)
    async with gate:
        await gate.service_heard()
        for _ in range(openings):
            gate.feel(door, opened=True)
            gate.feel(door, opened=False)
        journal = gate._controller._up.journal
        await eventually(lambda: journal._entries == 0, within=180)


async def entries(site: Barracks) -> list[tuple[str, dict[str, Any]]]:
    async with PostgresReading.opened(site.postgres.dsn()) as reading:
        return [(entry.kind, json.loads(entry.body)) async for entry in reading.entries(SITE, since=0)]
