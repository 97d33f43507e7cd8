"""A pytest plugin for `make mutants`: the tests that noticed the neighbouring changes come first.

Most changes of a function are noticed by the same few tests. With these in front, then the tests named after the changed
module, a change costs seconds that would cost minutes in any order. The order says nothing of the verdict: a change has
survived only when all of them passed.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

__all__ = ["pytest_collection_modifyitems", "pytest_runtest_logreport"]

_NOTICED = Path("noticed.tsv")
"""Of each change that was noticed: its module, its function, and the test; in the copy of the tree."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order by nearness to what is changed; among equally near ones the order is that of their names."""
    module, function = _changed()
    if not module:
        return
    rows = [line.split("\t") for line in _NOTICED.read_text().splitlines()] if _NOTICED.exists() else []
    of_function = Counter(row[2] for row in rows if row[:2] == [module, function])
    of_module = Counter(row[2] for row in rows if row[0] == module)
    near = module.rpartition(".")[2]

    def distance(item: pytest.Item) -> tuple[int, bool, int, str]:
        return -of_function[item.nodeid], near not in item.path.stem, -of_module[item.nodeid], item.nodeid

    items.sort(key=distance)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember which test noticed the change."""
    module, function = _changed()
    if module and report.failed:
        with _NOTICED.open("a") as file:
            file.write(f"{module}\t{function}\t{report.nodeid}\n")


def _changed() -> tuple[str, str]:
    """The changed module and function; mutmut names both to the process that runs the tests."""
    module, _, function = os.environ.get("MUTANT_UNDER_TEST", "").rpartition(".")
    return module, function.rpartition("__mutmut_")[0]
