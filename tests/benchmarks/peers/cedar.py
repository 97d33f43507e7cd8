"""Cedar, through cedarpy: each holder's own policies, parsed beforehand, as are the entities of each request.

What is asked of Cedar is little: a holder's grants as `permit`, zones as parents of the access point, and the rest in a
few `forbid`. Ids are given as maps and the context as text, and the open schedules as one text to match: of the forms that
its interface has these were the fastest.
"""

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from gatekeeper.model.ids import ProfileId, TenantId
from gatekeeper.model.policy import Policy, SitePolicy
from tests.benchmarks.big_crowd import Ask
from tests.benchmarks.peers import Peer, Plain, plain, seconds

__all__ = ["cedar"]

_ACTION = {"type": "Action", "id": "pass"}


def cedar(policy: Policy, written: SitePolicy, asks: Sequence[Ask]) -> Peer:
    """Make Cedar ready."""
    import cedarpy

    parents = {zone.id: zone.parent for zone in written.zones}
    known: dict[tuple[TenantId, tuple[ProfileId, ...]], Any] = {}
    questions = []
    for ask in asks:
        asked = plain(policy, ask)
        post = (asked.tenant, asked.profiles)
        if post not in known:
            known[post] = cedarpy.PolicySet.from_str("\n".join(_policies(policy, written, *post)))
        entities = cedarpy.Entities.from_json_str(json.dumps(list(_entities(asked, parents))))
        questions.append((_request(asked), known[post], entities))
    is_authorized = cedarpy.is_authorized
    return Peer(
        "cedar",
        f"cedarpy {version('cedarpy')}",
        lambda: [
            is_authorized(request, policies, entities).allowed for request, policies, entities in questions
        ],
    )


def _policies(
    policy: Policy, written: SitePolicy, tenant: TenantId, profiles: tuple[ProfileId, ...]
) -> Iterator[str]:
    """All that may let a holder in, and all that may keep him out."""
    schedules = [schedule.id for schedule in written.schedules]
    for profile in written.profiles:
        for grant in profile.grants if profile.tenant == tenant and profile.id in profiles else ():
            where = (
                f'resource in Zone::"{grant.zone}"'
                if grant.zone
                else f'resource == Point::"{grant.access_point}"'
            )
            open_now = f'context.open like "*|{schedules.index(grant.schedule)}|*"'
            yield (
                f"permit(principal, action, {where}) when {{"
                f" resource.leaving || (context.alert <= {grant.highest_alert} && {open_now}) }};"
            )
    yield (
        "forbid(principal, action, resource) unless { principal.active && principal.since <= context.now"
        " && context.now < principal.until && resource.level <= principal.level"
        " && resource.assurance <= principal.assurance };"
    )
    agreement = policy.tenants[tenant].agreement
    if agreement is not None:
        zones = ", ".join(f'Zone::"{zone}"' for zone in sorted(agreement.zones))
        yield (
            f"forbid(principal, action, resource) unless {{ {seconds(agreement.since)} <= context.now"
            f" && context.now < {seconds(agreement.until)} && resource.level <= {agreement.ceiling}"
            f" && principal.life <= {int(agreement.badge_life.total_seconds())} && resource in [{zones}] }};"
        )
    for veto in written.vetoes:
        if veto.tenant == tenant:
            yield f'forbid(principal, action, resource in Zone::"{veto.zone}");'
    yield from _under_alert(policy, tenant)


def _under_alert(policy: Policy, tenant: TenantId) -> Iterator[str]:
    least = 0
    for alert, demands in enumerate(policy.demands):
        here = f"!resource.leaving && context.alert >= {alert}"
        if demands.assurance > least:
            least = demands.assurance
            yield f"forbid(principal, action, resource) when {{ {here} && principal.assurance < {least} }};"
        if tenant in demands.excluded:
            yield f"forbid(principal, action, resource) when {{ {here} }};"
            return


def _entities(asked: Plain, parents: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    yield {
        "uid": {"type": "Holder", "id": "asking"},
        "attrs": {
            "active": asked.active, "since": asked.since, "until": asked.until, "level": asked.level,
            "assurance": asked.assurance, "life": asked.life,
        },
        "parents": [],
    }  # fmt: skip
    around = []
    zone = asked.point.protected
    while zone is not None:
        around.append({"type": "Zone", "id": zone})
        zone = parents[zone]
    yield {
        "uid": {"type": "Point", "id": asked.door},
        "attrs": {
            "leaving": asked.point.leaving, "level": asked.point.level, "assurance": asked.point.assurance,
        },
        "parents": around,
    }  # fmt: skip


def _request(asked: Plain) -> dict[str, Any]:
    numbers = [str(bit) for bit in range(asked.open_now.bit_length()) if asked.open_now >> bit & 1]
    return {
        "principal": {"type": "Holder", "id": "asking"},
        "action": _ACTION,
        "resource": {"type": "Point", "id": asked.door},
        "context": json.dumps({"now": asked.now, "alert": asked.alert, "open": f"|{'|'.join(numbers)}|"}),
    }
