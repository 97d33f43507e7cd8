"""The plan of a change on the big site: who gains and who loses which doors, for everybody, at every alert state."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from time import thread_time
from typing import Any

from gatekeeper.core.effective import differences, subjects
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.core.trust import Trust
from gatekeeper.model.policy import Policy
from tests.benchmarks.big_crowd import BEGIN, DAYS, Crowd
from tests.benchmarks.big_site import HOST, SITE, big_document, signing_key

__all__ = ["plan_of_changes"]


def plan_of_changes(policy: Policy, trust: Trust, crowd: Crowd) -> dict[str, Any]:
    """Seconds to plan each of several changes, compiling of the new policy included, and what comes of it."""
    return {name: _plan(policy, trust, crowd, change) for name, change in _CHANGES.items()}


def _plan(
    policy: Policy, trust: Trust, crowd: Crowd, change: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    document = big_document()
    change(document)
    signed = sign_policy(document, site=SITE, key=signing_key(HOST))
    best, found = float("inf"), []
    for _ in range(3):
        begun = thread_time()
        after = compile_from(signed, trust=trust)
        assert not isinstance(after, PolicyRefused)
        alike = subjects(crowd.people, (policy, after))
        found = differences(policy, after, alike, now=BEGIN + timedelta(days=DAYS // 2))
        best = min(best, thread_time() - begun)
    return {
        "seconds": best,
        "doors": len({one.access_point for one in found}),
        "holders": len({holder for one in found for holder in one.holders}),
    }


def _another_profile(document: dict[str, Any]) -> None:
    profile = next(one for one in document["profile"] if (one["tenant"], one["id"]) == ("college", "office"))
    profile["grants"].append({"zone": "mess", "schedule": "always", "highest_alert": "alpha"})
    profile["grants"].pop(0)


def _other_hours(document: dict[str, Any]) -> None:
    document["schedule"][7]["windows"][0]["until"] = "15:45"


def _stricter(document: dict[str, Any]) -> None:
    for zone in document["zone"]:
        if zone["id"] in {"garrison", "campus"}:
            zone["level"] += 1
    document["alert"][0]["assurance"] = 3
    document["veto"] += deepcopy(
        [document["veto"][0] | {"tenant": tenant} for tenant in ("energy", "logistics")]
    )


_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a profile": _another_profile,
    "hours": _other_hours,
    "levels, an alert state and vetoes": _stricter,
    "nothing": lambda _: None,
}
