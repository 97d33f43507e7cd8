"""Lockdowns are repeated until the gate says that it follows, less and less often, and whatever a gate says ends no engine."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.audit import Draft, Kind
from gatekeeper.core.commands import Errand, Order, Unsent
from gatekeeper.core.lockdowns import Lockdowns
from gatekeeper.model.ids import BootId, GateId, OperatorId
from gatekeeper.model.messages import CommandKind
from gatekeeper.service.engine.commanding import Commanding
from tests.support.sites import NOON, SITE, SmallSite, key_of
from tests.support.waiting import eventually

FRONT, BOOT, JOURNAL = GateId("front"), BootId(b"boot-001"), BootId(b"journal1")


class Broker:
    """The port to a broker: the topics of what reached it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_there = True

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        assert (bool(payload), qos, retain) == (True, 0, False)
        if self.is_there:
            self.sent.append(topic)
        return self.is_there


class Told:
    """The commands of an engine at work, what is committed, and a clock that a hand moves."""

    def __init__(self, lockdowns: Lockdowns | None = None) -> None:
        self.broker, self.at, self.seq = Broker(), NOON, 0
        self.policy = SmallSite().flow.policy
        self.commanding = Commanding(
            site=SITE,
            key=key_of("decision"),
            prefix="gk",
            transport=self.broker,  # type: ignore[arg-type]
            clock=self,  # type: ignore[arg-type]
            boot_of=lambda _: BOOT,
        )
        self.commanding.begin(lockdowns or Lockdowns(), self.policy)

    def now(self) -> datetime:
        return self.at

    def says(self, kind: Kind, **public: Any) -> None:
        self.seq += 1
        draft = Draft(
            kind=kind, at=self.at, seq=self.seq, tenants=(), public=public, person=None, personal=None
        )
        self.commanding.learn([draft], self.policy)

    def orders(self, *, on: bool) -> None:
        self.says(Kind.LOCKDOWN_CHANGED, scope="gate:front", on=on, author="officer")

    def starts(self) -> None:
        self.says(Kind.GATE_HELLO, gate=FRONT, boot=BOOT.hex(), journal_id=JOURNAL.hex(), journal_written=0)

    def journals(self, number: int, status: str) -> None:
        self.says(
            Kind.GATE_STATUS,
            gate=FRONT,
            boot=JOURNAL.hex(),
            journal=True,
            sequence=number,
            status=status,
        )

    def sent(self) -> int:
        """How many commands have gone out, now that all that is due has."""
        self.commanding._ask_again()
        return len(self.broker.sent)


def test_a_gate_that_confirms_is_told_no_more_and_its_confirmations_are_answered_by_nothing():
    told = Told()
    told.starts()
    told.orders(on=True)
    assert told.sent() == 1
    for number in range(1, 101):
        told.journals(number, "locked_down")
        assert told.sent() == 1
    told.orders(on=False)
    assert told.sent() == 2


def test_a_gate_that_says_the_wrong_thing_again_and_again_is_told_less_and_less_often():
    told = Told()
    told.starts()
    told.orders(on=True)
    for number in range(1, 601):
        told.journals(number, "released")
        told.sent()
        told.at += timedelta(seconds=0.1)
    assert told.sent() == 5, "at once, and after 2, 6, 14 and 30 seconds"


def test_a_gate_that_says_hello_is_told_at_once():
    told = Told()
    told.starts()
    told.orders(on=True)
    assert told.sent() == 1
    told.starts()
    assert told.sent() == 2


async def test_a_gate_that_claims_a_lockdown_that_nobody_ordered_stops_no_engine():
    lockdowns = Lockdowns()
    fields = {"gate": FRONT, "boot": BOOT.hex(), "status": "locked_down"}
    lockdowns.learn(Kind.GATE_STATUS, fields, seq=1, at=NOON)
    told = Told(lockdowns)
    running = asyncio.create_task(told.commanding.run())
    told.says(Kind.GATE_STATUS, **fields)
    told.orders(on=False)
    await eventually(lambda: told.broker.sent != [] or running.done())
    assert len(told.broker.sent) == 1, "released, in the name of who released it"
    running.cancel()


WORDS = st.one_of(
    st.tuples(
        st.just(Kind.LOCKDOWN_CHANGED),
        st.fixed_dictionaries(
            {
                "scope": st.sampled_from(["site", "zone:armoury", "gate:front", "gate:nobody"]),
                "on": st.booleans(),
                "author": st.just("officer"),
            }
        ),
    ),
    st.tuples(
        st.just(Kind.GATE_HELLO),
        st.fixed_dictionaries(
            {"gate": st.sampled_from(["front", "inner", "nobody"]), "boot": st.sampled_from(["01", "02"])},
            optional={"journal_id": st.sampled_from(["01", "0a"]), "journal_written": st.integers(0, 2)},
        ),
    ),
    st.tuples(
        st.just(Kind.GATE_STATUS),
        st.fixed_dictionaries(
            {
                "gate": st.sampled_from(["front", "inner", "nobody"]),
                "boot": st.sampled_from(["01", "02", "0a"]),
                "status": st.sampled_from(["locked_down", "released", "tamper"]),
                "sequence": st.integers(1, 3),
            },
            optional={
                "journal": st.sampled_from([True]),
                "access_point": st.sampled_from(["front-in", "shed-in", "nowhere"]),
            },
        ),
    ),
)


@given(words=st.lists(WORDS, max_size=12), standing=st.sets(st.sampled_from(["site", "gate:front"])))
def test_whatever_is_ordered_and_said_the_wishes_are_in_the_name_of_a_word_that_wants_them(
    words: list[tuple[Kind, dict[str, Any]]], standing: set[str]
):
    told = Told(Lockdowns.of(SITE, (), standing=standing))
    for kind, fields in words:
        told.says(kind, **fields)
    told.sent()
    for wish in told.commanding._lockdowns.wishes(told.policy):
        assert wish.word.on is wish.on
    told.commanding._lockdowns.standings(told.policy)


def test_a_command_that_is_not_sent_says_why_and_is_sent_no_more():
    told = Told()
    order = Order(
        errand=Errand(gate=FRONT, boot=BOOT, kind=CommandKind.REBOOT),
        operator=OperatorId("officer"),
        second=None,
        entry=7,
    )
    command = told.commanding.sign(order, now=NOON)
    told.broker.is_there = False
    assert told.commanding.give(command) is Unsent.BROKER_AWAY
    told.broker.is_there = True
    told.commanding.link_up()
    assert told.sent() == 0
    told.at = command.until - timedelta(milliseconds=1)
    assert told.commanding.give(command) is None
    told.at = command.until
    assert told.commanding.give(command) is Unsent.LATE
    assert told.sent() == 1
