"""What people cost in memory, in a process of its own: registered, read for the first time, and folded at their doors.

    python -m tests.benchmarks.memory FILE      a pickle for each record of `big_crowd`; figures as JSON

The resident set is asked before and after, so that what keys cost in the cryptographic library is counted too.
"""

import gc
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gatekeeper.core.decide import decide
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from tests.benchmarks.big_crowd import Record, own_doors, read_crowd, registered
from tests.benchmarks.big_site import HOST, SITE, big_document, big_trust, signing_key

__all__ = ["memory_of"]

_PER = 100_000
_DOORS_EACH = 6


def memory_of(records: Iterable[Record]) -> dict[str, Any]:
    """Measure a crowd."""
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as folder:
        path = Path(folder) / "records"
        with path.open("wb") as file:
            for record in records:
                pickle.dump(record, file)
        told = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.memory", str(path)], check=True, stdout=subprocess.PIPE
        )
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def _measure(path: Path) -> dict[str, Any]:
    trust = big_trust()
    policy = compile_from(sign_policy(big_document(), site=SITE, key=signing_key(HOST)), trust=trust)
    assert not isinstance(policy, PolicyRefused)
    begun = _resident()
    register = registered(_records(path))
    stored = _resident()
    crowd = read_crowd(register, trust)
    read = _resident()
    folds = 0
    for ask in own_doors(crowd, policy, each=_DOORS_EACH):
        decide(policy, ask.facts, ask.request, ask.now)
        folds += 1
    folded = _resident()
    people = len(crowd.people)
    return {
        "measured_on": people,
        "register_mb": (stored - begun) / people * _PER / 1e6,
        "register_read_mb": (read - stored) / people * _PER / 1e6,
        f"folds_at_{_DOORS_EACH}_doors_each_mb": (folded - read) / people * _PER / 1e6,
        "bytes_a_fold": (folded - read) / folds,
    }


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        while True:
            try:
                record: Record = pickle.load(file)  # noqa: S301 - written by the process that started this one
            except EOFError:
                return
            yield record


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(Path(sys.argv[1]))))
