"""`make bench`: each figure beside its floor of the same run; a table, and bench.json. ARGS="decision log" runs some only."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.alone import alone_at_work
from tests.benchmarks.bundle import bundle_checked
from tests.benchmarks.decision import decision_alone, memory_of_people, plan_of_a_change
from tests.benchmarks.exporting import bundles_written
from tests.benchmarks.journal import journal_at_work
from tests.benchmarks.log import sealed_append
from tests.benchmarks.walking import people_walking
from tests.benchmarks.way import whole_way

PARTS = {
    "decision": decision_alone,
    "memory": memory_of_people,
    "plan": plan_of_a_change,
    "log": lambda: asyncio.run(sealed_append()),
    "journal": lambda: asyncio.run(journal_at_work()),
    "alone": alone_at_work,
    "bundle": bundle_checked,
    "export": bundles_written,
    "walking": people_walking,
    "way": lambda: asyncio.run(whole_way()),
}


def main(wanted: list[str]) -> None:
    """Measure what is wanted, or everything."""
    unknown = set(wanted) - set(PARTS)
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.")
    found = {}
    for name in wanted or PARTS:
        sys.stderr.write(f"measuring {name}\n")
        found[name] = PARTS[name]()
    Path("bench.json").write_text(json.dumps(found, indent=2) + "\n")
    table = Table("what", "figure", box=None)
    for group, figures in found.items():
        for name, figure in _flat(figures):
            table.add_row(f"{group}.{name}", f"{figure:,.3f}" if isinstance(figure, float) else str(figure))
    Console().print(table)


def _flat(figures: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, figure in figures.items():
        inner = _flat(figure) if isinstance(figure, Mapping) else [("", figure)]
        rows += [(f"{name}.{deeper}".rstrip("."), value) for deeper, value in inner]
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
