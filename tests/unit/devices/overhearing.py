"""A bridge at no broker: what a device says is handed to it as the link would, and what it makes of it is read as the agent would."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, TypeVar

from devices.bridges.fitted import Publish
from devices.hardware.ports import Fittings
from devices.link import Message, Route
from gatekeeper.model.badges import Card
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import ByCard

__all__ = ["bypassed", "felt", "hear", "left", "presented", "telling", "written"]


T = TypeVar("T")


class Bridge(Protocol):
    @property
    def fittings(self) -> Mapping[AccessPointId, Fittings]: ...

    @property
    def routes(self) -> Mapping[str, Route]: ...


def telling(sent: list[tuple[str, bytes]] | None) -> Publish:
    """What a bridge publishes is written down, topic and payload."""
    written_down = [] if sent is None else sent
    return lambda topic, payload: written_down.append((topic, payload))


def hear(bridge: Bridge, topic: str, payload: bytes, *, retained: bool = False) -> None:
    """The link delivers a message."""
    bridge.routes[topic].deliver(Message(topic, payload, retained))


async def presented(bridge: Bridge, access_point: AccessPointId) -> list[Card]:
    """The cards that an agent is given now, and no more."""
    return [_card(badge.credential) for badge in await _all_of(bridge.fittings[access_point].reader.badges())]


async def bypassed(bridge: Bridge, access_point: AccessPointId) -> int:
    """How often a device opened the door by itself, as far as an agent is told now."""
    bypass = bridge.fittings[access_point].bypass
    assert bypass is not None
    return len(await _all_of(bypass.openings()))


async def left(bridge: Bridge, access_point: AccessPointId) -> int:
    """How often somebody asked to leave, as an agent is told now: a button is not pressed when it begins."""
    button = bridge.fittings[access_point].request_to_exit
    assert button is not None
    first, *more = await _all_of(button.changes())
    assert first is False
    return sum(more)


async def felt(items: AsyncIterator[bool]) -> list[bool]:
    """What a contact or a switch tells now, and no more."""
    return await _all_of(items)


async def _all_of(items: AsyncIterator[T]) -> list[T]:
    """What there is to take without waiting for anything from outside."""
    taken: list[T] = []
    while True:
        following = asyncio.ensure_future(anext(items))
        for _ in range(3):  # turns of the loop in which whoever waits may take
            await asyncio.sleep(0)
        if not following.done():
            following.cancel()
            return taken
        taken.append(following.result())


def _card(credential: object) -> Card:
    assert isinstance(credential, ByCard)
    return credential.card


def written(content: Any) -> bytes:
    return json.dumps(content).encode()
