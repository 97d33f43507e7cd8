"""`python -m tests.support.outward_page`: writes the tables and examples of schemas/onvif.md anew, from what the code makes of real entries."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from gatekeeper.core.export.feeds import PublicEntry, read_public
from gatekeeper.core.export.onvif import (
    DoorStates,
    OnvifEvent,
    Topic,
    configuration_events,
    discovered,
    events_of,
    topic_prefix,
)
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import OnvifReason, Reason
from tests.contract.test_schemas_entries import made
from tests.contract.vector_site import SITE, fresh_flow

__all__ = ["PAGE", "entities", "events", "page", "policy", "public_entries", "states"]

PAGE: Final = Path(__file__).parents[2] / "schemas" / "onvif.md"
AT: Final = datetime(2026, 6, 3, tzinfo=UTC)
_MADE: Final = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


@cache
def public_entries() -> tuple[PublicEntry, ...]:
    """Every kind of entry that the product makes."""
    return tuple(read_public(SITE, json.loads(body)["seq"], AT, body) for body, _ in made())


@cache
def policy() -> Policy:
    """The vectors' site."""
    return fresh_flow().policy


@cache
def events() -> tuple[tuple[PublicEntry, OnvifEvent], ...]:
    """Every event that those entries are, as if the last change of policy took all doors away and brought them back."""
    told = [(entry, event) for entry in public_entries() for event in events_of(entry, policy().points)]
    changed = next(entry for entry in public_entries() if entry.kind == "policy.changed")
    for before, after in ((policy().points, {}), ({}, policy().points)):
        told += [(changed, event) for event in configuration_events(before, after, at=changed.at)]
    return tuple(told)


@cache
def states() -> tuple[tuple[PublicEntry, OnvifEvent], ...]:
    """Every word that stood at some time while those entries were taken."""
    doors = DoorStates(policy().points, lockdowns=(), at=AT)
    return tuple(_words(doors))


def _words(doors: DoorStates) -> Iterator[tuple[PublicEntry, OnvifEvent]]:
    for entry in public_entries():
        doors.take(entry)
        for state in doors.changes():
            if state.data:
                yield entry, state


def entities() -> Mapping[str, bytes]:
    """What a Home Assistant is told of the vectors' site."""
    return discovered(policy(), policy().points.values(), prefix="gk", home="homeassistant", program="1.2.3")


# -- the page ---------------------------------------------------------------------------------------------------------


def page() -> str:
    """The page as it must be."""
    parts = {"topics": _topics, "reasons": _reasons, "examples": _examples, "discovery": _discovery}
    return _MADE.sub(
        lambda found: found[1] + "\n".join(parts[found[2]]()) + "\n" + found[3], PAGE.read_text("utf-8")
    )


def _topics() -> Iterator[str]:
    yield "| topic | retained | source | data | entries |"
    yield "|---|---|---|---|---|"
    for topic in Topic:
        told = [(entry, event) for entry, event in (*events(), *states()) if event.topic is topic]
        items = dict.fromkeys(item for _, event in told for item in event.data)
        kinds = dict.fromkeys(f"`{entry.kind}`" for entry, _ in told if not topic.is_state)
        if topic.startswith("Configuration/"):
            kinds["`trust.changed`"] = None
        yield (
            f"| `tns1:{topic}` | {'yes' if topic.is_state else 'no'} | `{topic.source}` "
            f"| {' '.join(f'`{item}`' for item in items)} | {' '.join(kinds)} |"
        )


def _reasons() -> Iterator[str]:
    yield "| ONVIF | reasons of the log |"
    yield "|---|---|"
    for word in OnvifReason:
        codes = [f"`{reason.code}`" for reason in Reason if reason.onvif is word and reason.denies]
        if codes:
            yield f"| `{word}` | {' '.join(codes)} |"


def _examples() -> Iterator[str]:
    for topic in Topic:
        event = next(event for _, event in (*events(), *states()) if event.topic is topic)
        yield "```"
        yield event.address(topic_prefix(SITE, prefix="gk"))
        yield event.payload().decode()
        yield "```"


def _discovery() -> Iterator[str]:
    first = next(iter(policy().points))
    for topic, payload in entities().items():
        if f"/{first}-" in topic:
            yield "```"
            yield topic
            yield payload.decode()
            yield "```"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
