"""Every scenario, played; and for every reason there is one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.model.reasons import Reason
from tests.support.rules_scenarios import Scenario, play, scenarios_in

SCENARIOS = scenarios_in(Path(__file__).parent)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: f"{one.file}: {one.title}")
def test_what_should_happen_happens(scenario: Scenario):
    play(scenario)


def test_titles_are_different():
    assert len({scenario.title for scenario in SCENARIOS}) == len(SCENARIOS)


def test_there_is_a_scenario_for_every_reason_and_one_for_every_outcome():
    rows = [row for scenario in SCENARIOS for row in scenario.rows]
    told = {code for row in rows for code in (*row.reasons, *row.reported)}
    assert told == {reason.code for reason in Reason} - {Reason.GRANTED.code}
    assert {row.what for row in rows} == {"granted", "denied", "waits", ""}


@pytest.mark.parametrize(
    "altered",
    [
        {"what": "denied"},
        {"what": "waits"},
        {"reasons": ("denied-clearance",)},
        {"reported": ("denied-clearance",)},
        {"along": ()},
        {"host": "sergeant"},
        {"zone": "shed"},
    ],
)
def test_a_row_that_is_not_so_fails(altered: dict[str, Any]):
    """A story that is told otherwise than it happens, in each column."""
    scenario = next(one for one in SCENARIOS if one.file == "two-persons")
    granted = next(row for row in scenario.rows if row.what == "granted" and row.zone)
    rows = tuple(replace(row, **altered) if row is granted else row for row in scenario.rows)
    with pytest.raises(AssertionError, match="granted"):
        play(replace(scenario, rows=rows))
