"""Looking somebody up: first the entry that says so, with its purpose; then, and only then, where they were.

INVARIANT: no command shows from the log where a person was before the log says that it was looked at, by whom, and why.
"""

import json
from collections.abc import AsyncIterator
from typing import Annotated

import typer
from cryptography.exceptions import InvalidTag

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.cli.host.signing import hand_in, signer_for
from gatekeeper.cli.host.waiting import waits
from gatekeeper.cli.people.desk import refusal
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import LookUpChange
from gatekeeper.core.change_content import is_reason
from gatekeeper.core.supervise import APPLIED
from gatekeeper.model.ids import HolderId, SiteId, TenantId
from gatekeeper.service.administration.own_data import PersonEntry
from gatekeeper.service.engine.sealing import open_personal

__all__ = ["PurposeOption", "ReasonOption", "entries_of", "look_up", "one_line", "tenant_of"]

PurposeOption = Annotated[
    str | None,
    typer.Option("--purpose", help="What for, in one line; it stays in the log for good, so name nobody."),
]

ReasonOption = Annotated[
    str | None,
    typer.Option("--reason", help="Why, in one line; it stays in the log for good, so name nobody."),
]


def one_line(option: str, text: str | None) -> str:
    """A purpose or a reason as the log takes it. Raises SettingError for none."""
    said = (text or "").strip()
    if not is_reason(said):
        raise SettingError(f"{option}: write in one line of 1 to 200 characters why; name nobody.")
    return said


async def tenant_of(reading: PostgresReading, site: SiteId, holder: HolderId) -> TenantId:
    """Whose holder it is. Raises SettingError for nobody's."""
    registered = (await reading.registrations(site, [holder])).get(holder)
    if registered is None:
        raise SettingError(f"The site has no holder {holder}: there never was one, or they were forgotten.")
    return registered.tenant


async def look_up(
    reading: PostgresReading, settings: Settings, site: SiteId, holder: HolderId, purpose: str
) -> int:
    """Have the log say that somebody is looked up; give the entry. Exits 1 when that is refused, 4 when it waits."""
    change = LookUpChange(holder=holder, purpose=purpose)
    tenant = await tenant_of(reading, site, holder)
    signer = await signer_for(reading, settings, site, change, tenant=tenant)
    outcome = (await hand_in(reading, signer, change)).outcome
    if outcome is not None and outcome.code == APPLIED and outcome.seq is not None:
        say(f"Looked up by {signer.operator.id}; entry {outcome.seq} of the log.")
        return outcome.seq
    if outcome is None:
        say("Nothing is shown: what is looked at stands in the log first.")
        raise waits()
    say(refusal(outcome))
    raise typer.Exit(1)


async def entries_of(
    reading: PostgresReading, vault_dsn: str, site: SiteId, holder: HolderId
) -> AsyncIterator[PersonEntry]:
    """All entries that are about somebody, oldest first, opened with their key; for who has looked them up."""
    key = (await PostgresKeyVault(vault_dsn).keys_of(site, [holder])).get(holder)
    if key is None:
        return
    async for entry in reading.entries_of(site, holder):
        try:
            opened = open_personal(entry.personal or b"", key=key, site=site, seq=entry.seq)
        except (InvalidTag, ValueError):
            raise SettingError(
                f"What is personal of entry {entry.seq} does not open: it was altered. Have the log verified."
            ) from None
        yield PersonEntry(
            seq=entry.seq,
            at=entry.at,
            kind=entry.kind,
            body=json.loads(entry.body),
            personal=json.loads(opened),
        )
