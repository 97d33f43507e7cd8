"""decide() alone, on the big site: beside the ideal table look-up, and beside other engines under the same static rules.

Every engine answers the same requests in the same order, and no figure counts unless every answer is equal. Time is
that of the thread, the best of several rounds: other work on the machine takes turns, and is not counted.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from time import thread_time
from typing import Any

from gatekeeper.core.decide import decide
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.core.trust import Trust
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.policy import Policy, SitePolicy
from gatekeeper.model.site_file import read_site
from tests.benchmarks.big_crowd import Ask, Crowd, Record, asked, read_crowd, registered, signed_records
from tests.benchmarks.big_site import HOST, SITE, big_document, big_trust, signing_key
from tests.benchmarks.memory import memory_of
from tests.benchmarks.peers import Peer
from tests.benchmarks.peers.cedar import cedar
from tests.benchmarks.peers.fast_casbin import fast_casbin
from tests.benchmarks.peers.ideal import ideal
from tests.benchmarks.peers.regorus_vm import regorus_vm
from tests.benchmarks.plan import plan_of_changes

__all__ = ["decision_alone", "memory_of_people", "plan_of_a_change"]

_HOLDERS = 20_000
_REQUESTS = 20_000
_REFOLDED = 2000


@dataclass(frozen=True, slots=True)
class Ground:
    """The big site, compiled, with everybody on it."""

    signed: bytes
    written: SitePolicy
    trust: Trust
    policy: Policy
    records: Sequence[Record]
    crowd: Crowd


@cache
def _ground() -> Ground:
    document, trust = big_document(), big_trust()
    sizes = {kind: len(document[kind]) for kind in ("tenant", "zone", "access_point", "schedule")}
    assert sizes == {"tenant": 12, "zone": 60, "access_point": 200, "schedule": 40}, sizes
    signed = sign_policy(document, site=SITE, key=signing_key(HOST))
    records = list(signed_records(_HOLDERS))
    return Ground(
        signed=signed,
        written=read_site(document),
        trust=trust,
        policy=_compiled(signed, trust),
        records=records,
        crowd=read_crowd(registered(records), trust),
    )


def _compiled(signed: bytes, trust: Trust) -> Policy:
    policy = compile_from(signed, trust=trust)
    assert not isinstance(policy, PolicyRefused), policy
    return policy


def decision_alone() -> dict[str, Any]:
    """Microseconds a decision, ours and theirs, and what the site costs to compile and a badge to fold anew."""
    site = _ground()
    asks = asked(site.crowd, site.policy, requests=_REQUESTS)
    policy = replace(site.policy)
    calls = [(ask.facts, ask.request, ask.now) for ask in asks]
    first = _seconds(lambda: [decide(policy, *call) for call in calls], rounds=1)
    decisions = [decide(policy, facts, request, now) for facts, request, now in calls]
    ours = Peer(
        "decide", "", lambda: [decide(policy, facts, request, now).granted for facts, request, now in calls]
    )
    return {
        "decide": _compared(ours, _peers(site, asks)),
        "answers": dict(Counter(decision.reason.code for decision in decisions).most_common()),
        "first_decision_of_a_badge_at_a_door_us": first / len(calls) * 1e6,
        "refold_us": _refolded(policy, asks[:_REFOLDED]) * 1e6,
        "compile_s": _seconds(lambda: _compiled(site.signed, site.trust), rounds=5),
        "schedules_of_one_day_ms": _seconds(lambda: _days(site), rounds=3) / 30 * 1e3,
    }


def memory_of_people() -> dict[str, Any]:
    """Megabytes for 100,000 holders with a badge each."""
    return memory_of(_ground().records)


def plan_of_a_change() -> dict[str, Any]:
    """Seconds to say who gains and who loses what."""
    site = _ground()
    return plan_of_changes(site.policy, site.trust, site.crowd)


# -- beside the others ------------------------------------------------------------------------------------------------


def _peers(site: Ground, asks: Sequence[Ask]) -> Iterator[tuple[Peer, int]]:
    """Each peer that is to be had, and how many rounds it is worth."""
    yield ideal(site.policy, site.crowd, asks), 15
    for name, rounds, ready in (
        ("cedarpy", 2, lambda: cedar(site.policy, site.written, asks)),
        ("regorus", 4, lambda: regorus_vm(site.policy, asks)),
        ("casbin", 2, lambda: fast_casbin(site.policy, asks)),
    ):
        try:
            yield ready(), rounds
        except ImportError:
            sys.stderr.write(
                f"{name} is not installed, so nothing is compared with it; `make bench` installs it\n"
            )


def _compared(ours: Peer, peers: Iterator[tuple[Peer, int]]) -> dict[str, Any]:
    """Seconds a request of everybody, and how many times ours; all answers must be equal."""
    wanted = ours.answers()
    own = _seconds(ours.answers, rounds=15)
    theirs: dict[Peer, float] = {}
    for peer, rounds in peers:
        answered = peer.answers()
        different = sum(one is not other for one, other in zip(answered, wanted, strict=True))
        if different:
            raise AssertionError(f"{peer.name} gives {different} of {len(wanted)} other answers")
        theirs[peer] = _seconds(peer.answers, rounds=rounds)
        own = min(own, _seconds(ours.answers, rounds=5))
    figures: dict[str, Any] = {"us": own / len(wanted) * 1e6}
    for peer, seconds in theirs.items():
        figures[f"beside {peer.name}"] = {
            **({"package": peer.package} if peer.package else {}),
            "its_us": seconds / len(wanted) * 1e6,
            **({"ratio": own / seconds} if peer.name == "ideal" else {"times_faster": seconds / own}),
        }
    return figures


def _seconds(work: Callable[[], object], *, rounds: int) -> float:
    """The best of several rounds, in time of this thread."""
    best = float("inf")
    for _ in range(rounds):
        begun = thread_time()
        work()
        best = min(best, thread_time() - begun)
    return best


# -- change -----------------------------------------------------------------------------------------------------------


def _refolded(policy: Policy, asks: Sequence[Ask]) -> float:
    """Seconds to decide on a badge that was withdrawn just now, and again on one that was given back."""
    withdrawn = [replace(ask, facts=replace(ask.facts, badge_state=BadgeState.REVOKED)) for ask in asks]
    again = [replace(ask, facts=replace(ask.facts)) for ask in asks]

    def both() -> None:
        for ask in withdrawn:
            assert not decide(policy, ask.facts, ask.request, ask.now).granted
        for ask in again:
            decide(policy, ask.facts, ask.request, ask.now)

    return _seconds(both, rounds=5) / (2 * len(asks))


def _days(site: Ground) -> None:
    timetable = replace(site.policy.timetable, _days={})
    for day in range(30):
        timetable.open_at(1_800_000_000.0 + day * 86_400)
