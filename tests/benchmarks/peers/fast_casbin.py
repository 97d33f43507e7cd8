"""Casbin's fast enforcer: for each holder's profiles one enforcer, which looks only at the lines for the door that is asked for.

Everything that does not depend on such a line is worked out beforehand as far as it can be, so that the matcher is one
expression over plain attributes.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from gatekeeper.model.ids import ProfileId, TenantId
from gatekeeper.model.policy import Policy
from tests.benchmarks.big_crowd import Ask
from tests.benchmarks.peers import Peer, Plain, plain, seconds
from tests.benchmarks.peers.regorus_vm import excluded_from

__all__ = ["fast_casbin"]

_MODEL = """
[request_definition]
r = door, act, sub, obj, ctx

[policy_definition]
p = door, act, schedule, highest

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.door == p.door && r.sub.active && r.sub.since <= r.ctx.now && r.ctx.now < r.sub.until \
 && r.obj.level <= r.sub.level && r.obj.assurance <= r.sub.assurance && r.obj.zone in r.sub.zones \
 && (r.obj.leaving || r.ctx.demanded <= r.sub.assurance && r.ctx.alert < r.sub.excluded \
 && p.highest in r.ctx.alerts && p.schedule in r.ctx.open)
"""


def fast_casbin(policy: Policy, asks: Sequence[Ask]) -> Peer:
    """Make casbin ready."""
    import casbin
    from casbin.model import FastModel

    known: dict[tuple[TenantId, tuple[ProfileId, ...]], Any] = {}
    questions = []
    for ask in asks:
        asked = plain(policy, ask)
        post = (asked.tenant, asked.profiles)
        if post not in known:
            known[post] = _enforcer(
                casbin.FastEnforcer, FastModel([0, 1]), sorted(set(_lines(policy, *post)))
            )
        questions.append((known[post].enforce, asked.door, *_attributes(policy, asked)))
    return Peer(
        "casbin",
        f"pycasbin {version('pycasbin')}",
        lambda: [enforce(door, "pass", *attributes) for enforce, door, *attributes in questions],
    )


def _enforcer(kind: Any, model: Any, lines: Sequence[tuple[str, str, str]]) -> Any:
    model.load_model_from_text(_MODEL)
    enforcer = kind(model, cache_key_order=[0, 1])
    enforcer.logger.disabled = True
    for door, schedule, highest in lines:
        enforcer.add_policy(door, "pass", schedule, highest)
    return enforcer


def _lines(
    policy: Policy, tenant: TenantId, profiles: tuple[ProfileId, ...]
) -> Iterator[tuple[str, str, str]]:
    for profile in profiles:
        for door, openings in policy.profiles[tenant, profile].items():
            for opening in openings:
                yield door, str(opening.schedule), str(opening.highest_alert)


def _attributes(policy: Policy, asked: Plain) -> Iterator[SimpleNamespace]:
    rights = policy.tenants[asked.tenant]
    agreement = rights.agreement
    short = agreement is None or asked.life <= agreement.badge_life.total_seconds()
    yield SimpleNamespace(
        active=asked.active and short,
        since=max(asked.since, seconds(agreement.since) if agreement else 0),
        until=min(asked.until, seconds(agreement.until) if agreement else asked.until),
        level=min(asked.level, agreement.ceiling if agreement else 5),
        assurance=asked.assurance,
        zones=rights.zones - rights.vetoed,
        excluded=excluded_from(policy, asked.tenant),
    )
    point = asked.point
    yield SimpleNamespace(
        level=point.level, assurance=point.assurance, zone=point.protected, leaving=point.leaving
    )
    yield SimpleNamespace(
        now=asked.now,
        alert=asked.alert,
        demanded=policy.demands[asked.alert].assurance,
        alerts=frozenset(map(str, range(asked.alert, len(policy.demands)))),
        open=frozenset(
            str(1 << bit) for bit in range(asked.open_now.bit_length()) if asked.open_now >> bit & 1
        ),
    )
