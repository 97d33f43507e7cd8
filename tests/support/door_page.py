"""`python -m tests.support.door_page`: writes schemas/door.md anew from the table of the door."""

from pathlib import Path
from typing import Final

from devices.core.door import ONVIF, TRANSITIONS, DoorState

__all__ = ["PAGE", "page"]

PAGE: Final = Path(__file__).parents[2] / "schemas" / "door.md"

_BEGINNING: Final = """# The door

What its contact, its timers and its grants make of a door at the gate: the table of `devices/core/door.py`, from which this page is written
(`python -m tests.support.door_page`). What it does not name changes nothing. Only `grant` releases the strike, and a grant is an answer that the
service signed for an unanswered scan of this door.

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
    arrows = [f"    {state} --> {after}: {happened}" for (state, happened), (after, _) in TRANSITIONS.items()]
    return ["```mermaid", "stateDiagram-v2", f"    [*] --> {DoorState.LOCKED}", *arrows, "```"]


def _transitions() -> list[str]:
    rows = [
        f"| `{state}` | `{happened}` | `{after}` | {', '.join(f'`{act}`' for act in acts)} |"
        for (state, happened), (after, acts) in TRANSITIONS.items()
    ]
    return ["| state | what happens | state after it | what the gate does |", "|---|---|---|---|", *rows]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
