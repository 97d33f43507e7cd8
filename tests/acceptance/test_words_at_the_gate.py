"""What people add to a badge, against the real broker and database: a guard's word, and a PIN."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.core.pin import SALT_BYTES, make_pin_record, pin_info, seal_pin
from gatekeeper.core.register import HOLDER_TYPE, holder_payload, read_holder
from gatekeeper.core.trust import Trust, read_trust
from gatekeeper.model.ids import AccessPointId, GateId, HolderId
from gatekeeper.model.messages import Answer, Verdict
from gatekeeper.model.people import Holder
from gatekeeper.model.reasons import Reason
from gatekeeper.service.administration.folder import PIN_PEPPER, TRUST, SiteFolder, issuer_of
from tests.acceptance.barracks import ROOT, SITE, Barracks, Program, barracks
from tests.acceptance.voice import Voice, voice

MAIN, DOOR = GateId("main-gate"), "main-gate"
SALT = bytes(range(SALT_BYTES))


async def _command(site: Barracks, *words: str) -> None:
    done = await Program.start("gatekeeper.cli", *words, *site._where(), environment={})
    async with asyncio.timeout(30):
        assert await done.process.wait() == 0, words
    await done.end()


async def _apply(site: Barracks, folder: Path, rules: str) -> None:
    """Put a site file in force in which the gate zone has this rule, too."""
    text = (ROOT / "deploy/examples" / SITE / "site.toml").read_text("utf-8")
    changed = folder / "changed.toml"
    changed.write_text(text.replace("search = { one_in = 100 }", f"search = {{ one_in = 100 }}\n{rules}"))
    await _command(site, "site", "apply", str(changed))


async def _next_word(gate: Voice, wire: bytes) -> Answer:
    async with asyncio.timeout(20):
        return await gate.heard(wire)


@pytest.mark.timeout(180)
async def test_a_guards_silence_is_a_no(server_folder: Path):
    async with barracks(server_folder) as site, site.engine(), voice(site, MAIN, DOOR) as gate:
        await _apply(site, server_folder, "guard_check = { seconds = 2 }")
        wire = gate.sign(gate.scan().payload())
        asked = await gate.ask(wire)
        assert (asked.verdict, asked.reason) == (Verdict.WAITING, Reason.VERIFICATION_REQUIRED.bacnet)
        silent = await _next_word(gate, wire)
        assert (silent.verdict, silent.reason) == (Verdict.DENIED, Reason.VERIFICATION_TIMEOUT.bacnet)
        await site.assert_log_sound()


@pytest.mark.timeout(180)
async def test_a_guards_yes_lets_in(server_folder: Path):
    async with barracks(server_folder) as site, site.engine(), voice(site, MAIN, DOOR) as gate:
        await _apply(site, server_folder, "guard_check = { seconds = 40 }")
        wire = gate.sign(gate.scan().payload())
        waiting = await gate.ask(wire)
        assert waiting.verdict is Verdict.WAITING, waiting
        await _command(site, "verify", str(waiting.entry), "yes")
        word = await _next_word(gate, wire)
        assert (word.verdict, word.message) == (Verdict.GRANTED, waiting.message)
        assert (await gate.ask(wire)).entry == word.entry, "the last word is the stored one"
        await site.assert_log_sound()


def _with_pin(site: Barracks, trust: Trust, holder: Holder) -> bytes:
    folder = SiteFolder(site.site)
    record = make_pin_record("25801470", duress="08520741", pepper=folder.read_secret(PIN_PEPPER), salt=SALT)
    renewed = replace(holder, pin=record, version=holder.version + 1)
    key = folder.read_key(issuer_of(holder.tenant))
    return cose.sign(holder_payload(renewed, site=SITE), key=key, typ=HOLDER_TYPE, external_aad=SITE.encode())


async def _give_pin(site: Barracks, gate: Voice, trust: Trust) -> None:
    """Renew the guard's registration with a PIN, in the database as the registrar's change would."""
    people = json.loads((site.site / "people.json").read_text())
    name = next(one["holder"] for one in people if one["badge"]["id"] == gate.badge["id"])
    async with PostgresReading.opened(site.postgres.dsn()) as reading:
        connection: Any = reading._connection
        document = await connection.fetchval("SELECT document FROM holder WHERE holder = $1", HolderId(name))
        holder = read_holder(document, trust=trust)
        assert isinstance(holder, Holder)
        await connection.execute(
            "UPDATE holder SET document = $2 WHERE holder = $1", name, _with_pin(site, trust, holder)
        )


@pytest.mark.timeout(180)
async def test_a_pin_is_asked_checked_and_counted_and_found_nowhere(server_folder: Path):
    async with barracks(server_folder) as site:
        folder = SiteFolder(site.site)
        trust = read_trust(folder.read(TRUST), anchor=folder.read_anchor(), not_below=0)
        assert isinstance(trust, Trust)
        assert trust.seal_key is not None
        seal_key = trust.seal_key.public_der

        def sealed(pin: str) -> bytes:
            info = pin_info(site=SITE, gate=MAIN, access_point=AccessPointId(f"{DOOR}-in"))
            return seal_pin(pin, public_der=seal_key, info=info)

        async with site.engine(), voice(site, MAIN, DOOR) as gate:
            await _give_pin(site, gate, trust)
        async with site.engine() as engine, voice(site, MAIN, DOOR) as gate:
            await _apply(site, server_folder, 'pin = "always"')

            async def types(pin: str | None) -> Answer:
                scan = gate.scan(sealed_pin=None if pin is None else sealed(pin))
                return await gate.ask(gate.sign(scan.payload()))

            assert (await types(None)).reason == Reason.PIN_MISSING.bacnet
            assert (await types("11111111")).reason == Reason.PIN_WRONG.bacnet
            assert (await types("25801470")).verdict is Verdict.GRANTED
            assert "25801470" not in await engine.says(r'"verdict":"granted"[^\n]*')
        await site.assert_log_sound()
        async with PostgresReading.opened(site.postgres.dsn()) as reading:
            bodies = b"".join([entry.body async for entry in reading.entries(SITE, since=0)])
        assert b"25801470" not in bodies
