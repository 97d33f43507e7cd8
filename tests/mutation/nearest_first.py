"""A pytest plugin for `make mutants`: which tests ask what is changed, and which of them are run first.

Most changes of a function are noticed by the same few tests. With these in front, then the tests named after the changed
module, a change costs seconds that would cost minutes in any order. The order says nothing of the verdict: a change has
survived only when all tests that reach it have passed.

A test reaches more than it calls itself: what its modules made while they were imported, and what another test made before
and left in a cache. Where it is found out which test reaches what, both count; and what was made with a function that is
now another is made anew.

Of a change it is enough to know whether it is noticed: properties are asked a few examples, and a counter-example is not
made small.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import Phase, settings
from mutmut.state import state

__all__ = [
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_collectreport",
    "pytest_configure",
    "pytest_runtest_logreport",
    "pytest_runtest_setup",
    "pytest_runtest_teardown",
]

_NOTICED = Path("noticed.tsv")
"""Of each change that was noticed: its module, its function, and the test; in the copy of the tree."""

_AT_IMPORT = Path("at-import.txt")
"""The functions that the tests' modules call while they are imported; in the copy of the tree."""

_FEW = 20
_NOT_MADE_SMALL = (Phase.explicit, Phase.generate)


# -- finding out which test reaches what ------------------------------------------------------------------------------


def pytest_collection_finish() -> None:
    """All modules were imported: what was called until now, every test may rest upon."""
    if _finds_out():
        _AT_IMPORT.write_text("\n".join(sorted(_at_import() | state()._stats)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What another test left in a cache, this one makes again."""
    if _finds_out():
        for module in _tests_modules():
            for named in vars(module).values():
                if hasattr(named, "cache_clear"):
                    named.cache_clear()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """What the modules called while they were imported, this test reaches too."""
    if _finds_out():
        state()._stats.update(_at_import())


def _finds_out() -> bool:
    return os.environ.get("MUTANT_UNDER_TEST") == "stats"


def _at_import() -> set[str]:
    return set(_AT_IMPORT.read_text().splitlines()) if _AT_IMPORT.exists() else set()


def _tests_modules() -> list[ModuleType]:
    return [
        module
        for name, module in sys.modules.items()
        if name.startswith("tests.") and not name.startswith("tests.mutation")
    ]


# -- running them on a change -----------------------------------------------------------------------------------------


def pytest_configure() -> None:
    """The modules of the tests are imported anew when they call what is changed."""
    if ".".join(_changed()) in _at_import():
        for module in _tests_modules():
            del sys.modules[module.__name__]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order by nearness to what is changed; properties are far from all; among equally near ones by name."""
    for item in items:
        _ask_few(item)
    module, function = _changed()
    if not module:
        return
    rows = [line.split("\t") for line in _NOTICED.read_text().splitlines()] if _NOTICED.exists() else []
    of_function = Counter(row[2] for row in rows if row[:2] == [module, function])
    of_module = Counter(row[2] for row in rows if row[0] == module)
    near = module.rpartition(".")[2]

    def distance(item: pytest.Item) -> tuple[int, bool, bool, int, str]:
        is_property = "properties" in item.path.parts
        is_far = near not in item.path.stem
        return -of_function[item.nodeid], is_property, is_far, -of_module[item.nodeid], item.nodeid

    items.sort(key=distance)


def _ask_few(item: pytest.Item) -> None:
    function = getattr(item, "function", None)
    asked = getattr(function, "_hypothesis_internal_use_settings", None)
    if function is not None and asked is not None:
        few = settings(asked, max_examples=min(asked.max_examples, _FEW), phases=_NOT_MADE_SMALL)
        function._hypothesis_internal_use_settings = few


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A change with which the tests cannot even be imported is noticed; pytest would call it a wrong use of itself."""
    if _changed()[0] and report.failed:
        os._exit(int(pytest.ExitCode.TESTS_FAILED))


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
