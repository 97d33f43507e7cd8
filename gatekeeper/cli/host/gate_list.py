"""`gatekeeper gate list`: which gates there are, whose link is up, and what each holds.

It shows what the trust list and the policy in the database say, what the engine that owns the site last wrote of the gates'
links, and what the site's own certificate authority has issued. It asks no gate and no broker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import site_folder, the_site
from gatekeeper.cli.host.believed import trust_of_the_log
from gatekeeper.cli.host.gates import gate
from gatekeeper.cli.options import JsonOutput, at_a_site, looking_databases, run
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import timestamp
from gatekeeper.core.hearing import Heard, LinkState
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.trust import KeyState, TrustedKey
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.ports import GateLinkRow
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.identity.authority_files import certified_until
from gatekeeper.service.words import counted

__all__ = ["gate"]

_KEYS: Final = {
    KeyState.ACTIVE: "active",
    KeyState.VERIFY_ONLY: "verify-only",
    KeyState.REVOKED: "revoked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gate:
    """What is to be said of one gate."""

    gate: GateId
    key: str
    heard: Heard
    snapshot: str | None
    certificate_until: datetime | None


@gate.command("list")
@at_a_site
def gate_list(json_output: JsonOutput = False, *, settings: Settings) -> None:
    """Show every gate: its key, since when it is up or silent, whether it holds its newest snapshot, its certificate's end."""
    gates, is_served, clock = run(_gates(settings, the_site(settings)))
    if json_output:
        json_line({"served": is_served, "gates": [_document(one) for one in gates]})
        return
    table(
        ("gate", "key", "link", "since", "last heard", "snapshot", "certificate until"),
        [
            (
                one.gate,
                one.key,
                one.heard.state.value if _counts(one) else "-",
                _time(one.heard.since, clock),
                _time(one.heard.heard_at, clock),
                one.snapshot or "-",
                _time(one.certificate_until, clock),
            )
            for one in gates
        ],
    )
    silent = sum(one.heard.state is LinkState.SILENT for one in gates)
    if silent:
        say(f"{counted(silent, 'gate is', 'gates are')} silent.")
    if not is_served:
        say("No engine serves the site now: what is said of links is as the last one left it.")


async def _gates(settings: Settings, site: SiteId) -> tuple[Sequence[_Gate], bool, ZoneInfo]:
    async with looking_databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        trust = await trust_of_the_log(settings, site, reading)
        policy = compile_from(await reading.document(site, "policy") or b"", trust=trust)
        if isinstance(policy, PolicyRefused):
            raise SettingError(f"The policy is not believed: {policy.code.sentence}")
        links = await reading.gate_links(site)
        is_served = await reading.is_served(site)
    keys, certificates = trust.listing.gates, certified_until(site_folder(settings, site))
    found = [
        _of(name, keys.get(name), links.get(name), certificates.get(name))
        for name in sorted({*policy.gates, *keys})
    ]
    return found, is_served, policy.timetable.time_zone


def _of(
    name: GateId, key: TrustedKey | None, link: GateLinkRow | None, certificate_until: datetime | None
) -> _Gate:
    return _Gate(
        gate=name,
        key="none" if key is None else _KEYS[key.state],
        heard=Heard() if link is None else link.heard,
        snapshot=None if link is None else _snapshot(link),
        certificate_until=certificate_until,
    )


def _snapshot(link: GateLinkRow) -> str | None:
    """Whether a gate says that it holds the newest that was made for it; None when it says nothing, or none was made."""
    if link.heard.state is LinkState.NEVER or link.made is None:
        return None
    if link.heard.snapshot is None:
        return "none"
    return "newest" if link.heard.snapshot == link.made else "older"


def _counts(one: _Gate) -> bool:
    return one.key not in {"none", "revoked"}


def _time(at: datetime | None, clock: ZoneInfo) -> str:
    return "-" if at is None else show_time(at, clock)


def _document(one: _Gate) -> dict[str, Any]:
    def told(at: datetime | None) -> str | None:
        return None if at is None else timestamp(at)

    return {
        "gate": one.gate,
        "key": one.key,
        "link": one.heard.state.value if _counts(one) else None,
        "since": told(one.heard.since),
        "last_heard": told(one.heard.heard_at),
        "snapshot": one.snapshot,
        "certificate_until": told(one.certificate_until),
    }
