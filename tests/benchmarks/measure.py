"""How a figure is taken: the best of several rounds for work in this process, percentiles for waits."""

import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import quantiles

__all__ = ["per_call", "percentiles", "timed"]


def per_call(work: Callable[[], object], *, calls: int, rounds: int = 5) -> float:
    """Seconds a call, the best round of several."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(calls):
            work()
        best = min(best, (time.perf_counter() - begun) / calls)
    return best


async def timed(work: Callable[[], Awaitable[object]], *, times: int) -> list[float]:
    """Seconds of each of several awaits."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - begun)
    return taken


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49] * 1000, 3), "p99_ms": round(cuts[98] * 1000, 3)}
