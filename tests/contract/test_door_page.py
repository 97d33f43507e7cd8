"""The page about the door says what the door does."""

from devices.core.door import ONVIF, TRANSITIONS, DoorState
from tests.support.door_page import PAGE, page


def test_the_page_is_written_from_the_table():
    assert PAGE.read_text("utf-8") == page(), "python -m tests.support.door_page writes it anew"


def test_the_diagram_has_an_arrow_for_every_transition_and_no_other():
    _, _, after = page().partition("```mermaid\nstateDiagram-v2\n")
    diagram, _, _ = after.partition("```")
    names = {state.replace("-", "_"): state for state in DoorState}
    drawn = set()
    for line in diagram.splitlines():
        start, arrow, rest = line.strip().partition(" --> ")
        if arrow and start != "[*]":
            end, _, happened = rest.partition(": ")
            drawn.add((names[start], happened, names[end]))
    assert drawn == {(before, happened, after) for (before, happened), (after, _) in TRANSITIONS.items()}


def test_every_state_is_drawn_and_has_a_name_in_onvif():
    assert set(ONVIF) == set(DoorState)
    assert {after for after, _ in TRANSITIONS.values()} == set(DoorState)


def test_a_state_is_open_in_onvif_exactly_when_a_contact_can_close_it():
    for state in set(DoorState) - {DoorState.LOCKED, DoorState.LOCKED_DOWN}:
        closes = any(
            before is state and happened == "closed" and after is not state
            for (before, happened), (after, _) in TRANSITIONS.items()
        )
        assert (ONVIF[state].physical == "Open") is closes, state
