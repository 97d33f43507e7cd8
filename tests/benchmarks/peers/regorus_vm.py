"""Rego on the bytecode machine of regorus: compiled once, with the site's rules as data.

The machine's Python binding comes with the package gordon-to-regorus, a fork that publishes it; regorus itself has none on
the package index. The holder is part of the input: held in the data, among all others, it took longer to find than to
read. The input is text, as the machine takes nothing else; `answers` counts the reading of it, as Cedar's does.
"""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from gatekeeper.model.policy import Policy
from tests.benchmarks.big_crowd import Ask
from tests.benchmarks.peers import Peer, Plain, plain, seconds

__all__ = ["regorus_vm"]

_EVER = 1 << 40
_RULES = """
package gate

default allow := false

allow if {
    input.active
    input.since <= input.now
    input.now < input.until
    point := data.points[input.point]
    point.level <= input.level
    point.assurance <= input.assurance
    tenant := data.tenants[input.tenant]
    tenant.since <= input.now
    input.now < tenant.until
    point.level <= tenant.ceiling
    input.life <= tenant.life
    tenant.zones[point.zone]
    way(point, tenant)
}

way(point, _) if {
    point.leaving
    some profile in input.profiles
    data.grants[input.tenant][profile][input.point]
}

way(point, tenant) if {
    not point.leaving
    input.alert < tenant.excluded
    data.demands[input.alert] <= input.assurance
    some profile in input.profiles
    some opening in data.grants[input.tenant][profile][input.point]
    input.alert <= opening[1]
    bits.and(opening[0], input.open) != 0
}
"""


def regorus_vm(policy: Policy, asks: Sequence[Ask]) -> Peer:
    """Make the machine ready."""
    import regorus

    data = json.dumps(_data(policy))
    machine = regorus.Rvm()
    machine.load_program(
        regorus.Program.compile_from_modules(data, [("gate.rego", _RULES)], ["data.gate.allow"])
    )
    machine.set_data_json(data)
    inputs = [json.dumps(_input(plain(policy, ask)), separators=(",", ":")) for ask in asks]
    give, execute = machine.set_input_json, machine.execute

    def answers() -> list[bool]:
        found = []
        for asked in inputs:
            give(asked)
            found.append(execute() == "true")
        return found

    return Peer("regorus_vm", f"gordon-to-regorus {version('gordon-to-regorus')}", answers)


def _data(policy: Policy) -> dict[str, Any]:
    grants: dict[str, dict[str, dict[str, Any]]] = {}
    for (tenant, profile), doors in policy.profiles.items():
        grants.setdefault(tenant, {})[profile] = {
            door: [[opening.schedule, opening.highest_alert] for opening in openings]
            for door, openings in doors.items()
        }
    return {
        "points": {
            point.id: {
                "leaving": point.leaving, "level": point.level, "assurance": point.assurance,
                "zone": point.protected,
            }
            for point in policy.points.values()
        },
        "tenants": {tenant: _tenant(policy, tenant) for tenant in policy.tenants},
        "grants": grants,
        "demands": [demands.assurance for demands in policy.demands],
    }  # fmt: skip


def _tenant(policy: Policy, tenant: Any) -> dict[str, Any]:
    rights = policy.tenants[tenant]
    agreement = rights.agreement
    return {
        "since": seconds(agreement.since) if agreement else 0,
        "until": seconds(agreement.until) if agreement else _EVER,
        "ceiling": agreement.ceiling if agreement else 5,
        "life": int(agreement.badge_life.total_seconds()) if agreement else _EVER,
        "zones": dict.fromkeys(rights.zones - rights.vetoed, True),
        "excluded": excluded_from(policy, tenant),
    }


def excluded_from(policy: Policy, tenant: str) -> int:
    """The first alert state that keeps a tenant out; one above all when none does."""
    states = (alert for alert, demands in enumerate(policy.demands) if tenant in demands.excluded)
    return next(states, len(policy.demands))


def _input(asked: Plain) -> dict[str, Any]:
    return {
        "tenant": asked.tenant, "profiles": asked.profiles, "active": asked.active, "since": asked.since,
        "until": asked.until, "level": asked.level, "assurance": asked.assurance, "life": asked.life,
        "point": asked.door, "now": asked.now, "alert": asked.alert, "open": asked.open_now,
    }  # fmt: skip
