"""`python -m tests.support.door_page`: writes schemas/door.md anew from the table of the door."""

from pathlib import Path
from typing import Final

from devices.core.door import ONVIF, TRANSITIONS, DoorState

__all__ = ["PAGE", "page"]

PAGE: Final = Path(__file__).parents[2] / "schemas" / "door.md"

_BEGINNING: Final = """# The door

What its contact, its timers, its grants, its exit button and the orders that stand make of a door at the gate: the table of `devices/core/door.py`,
from which this page is written (`python -m tests.support.door_page`). What it does not name changes nothing.

From outside only `grant` releases the strike: an answer that the service signed for an unanswered scan of this door, or its command to open this
door; `withheld` is a grant while another door of its interlock is not shut. From inside, `exit` says that a wired button has broken the circuit of the strike: the gate
releases nothing. `let-out` is the button of a door that the gate's settings have it release, `fire` the fire panel's input where they say so. A
lockdown and a fire are orders that stand: a door that is in use follows a lockdown (`lock-down`) once it is closed, and fire goes before it.

Tamper is of a housing, not of a door: ONVIF's DoorTamper is `TamperDetected` from the status `tamper` to `tamper-cleared`, and meanwhile the reader
is not asked. The pre-alarm has no name in ONVIF; a gate that does not speak any more is DoorFault `FaultDetected`, which
the service says, not the gate (entries `gate.silent` and `gate.heard`).

"""


def page() -> str:
    """The page as it must be: the states with ONVIF's names, the diagram, and every transition."""
    return _BEGINNING + "\n".join([*_states(), "", *_diagram(), "", *_transitions(), ""])


def _states() -> list[str]:
    rows = [
        f"| `{state}` | {named.mode} | {named.physical} | {named.alarm} |" for state, named in ONVIF.items()
    ]
    return ["| state | ONVIF DoorMode | DoorPhysicalState | DoorAlarm |", "|---|---|---|---|", *rows]


def _diagram() -> list[str]:
    # A name with a hyphen would be read as the beginning of an arrow.
    names = {state: state.replace("-", "_") for state in DoorState}
    told = [f"    {name}: {state}" for state, name in names.items()]
    arrows = [
        f"    {names[state]} --> {names[after]}: {happened}"
        for (state, happened), (after, _) in TRANSITIONS.items()
    ]
    return ["```mermaid", "stateDiagram-v2", *told, f"    [*] --> {names[DoorState.LOCKED]}", *arrows, "```"]


def _transitions() -> list[str]:
    rows = [
        f"| `{state}` | `{happened}` | `{after}` | {', '.join(f'`{act}`' for act in acts)} |"
        for (state, happened), (after, acts) in TRANSITIONS.items()
    ]
    return ["| state | what happens | state after it | what the gate does |", "|---|---|---|---|", *rows]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
