"""What a device behind a bridge tells of waits in one line, and cards alone are dropped from it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devices.bridges.fitted import BridgedDoor
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.messages import ByCard
from tests.support.waiting import eventually


def card(number: int) -> Card:
    return Card(CardTechnology.WIEGAND, number.to_bytes(4, "big"))


class Taking:
    """An agent that takes what a bridged door tells of, in the order in which it comes."""

    def __init__(self) -> None:
        self.door = BridgedDoor(release=lambda _lasting: None, has_contact=True, feels_tamper=True)
        self.taken: list[tuple[str, object]] = []

    async def cards(self) -> None:
        async for badge in self.door.badges():
            credential = badge.credential
            assert isinstance(credential, ByCard)
            self.taken.append(("card", int.from_bytes(credential.card.number, "big")))

    async def contact(self) -> None:
        assert self.door.fittings.contact is not None
        async for opened in self.door.fittings.contact.changes():
            self.taken.append(("door", opened))

    async def tamper(self) -> None:
        assert self.door.fittings.tamper is not None
        async for opened in self.door.fittings.tamper.changes():
            self.taken.append(("housing", opened))


@asynccontextmanager
async def taking() -> AsyncIterator[Taking]:
    agent = Taking()
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one()) for one in (agent.cards, agent.contact, agent.tamper)]
        await asyncio.sleep(0)
        yield agent
        for task in running:
            task.cancel()


async def test_a_burst_of_cards_pushes_no_forced_door_and_no_opened_housing_out_of_the_line():
    async with taking() as agent:
        agent.door.feel(opened=True)
        agent.door.tamper(opened=True)
        for number in range(1, 101):
            agent.door.present(card(number))
        agent.door.feel(opened=False)
        await eventually(lambda: ("door", False) in agent.taken)
    newest = [("card", number) for number in range(85, 101)]
    assert agent.taken == [("door", True), ("housing", True), *newest, ("door", False)]


async def test_a_door_that_moves_often_pushes_no_card_out_of_the_line():
    async with taking() as agent:
        agent.door.present(card(7))
        for number in range(50):
            agent.door.feel(opened=number % 2 == 0)
        await eventually(lambda: len(agent.taken) == 51)
    assert agent.taken == [("card", 7), *[("door", number % 2 == 0) for number in range(50)]]
