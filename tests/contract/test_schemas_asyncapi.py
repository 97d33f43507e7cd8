"""schemas/asyncapi.yaml: its channels, qualities of service and typs are those of the code, and its references lead somewhere."""

import asyncio
import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from devices.agent import GateAgent
from devices.journal_port import MemoryJournal
from devices.link import GateLink, Route, _options
from devices.settings import GateSettings
from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.core import trust as core_trust
from gatekeeper.core.actuate import sign_answer
from gatekeeper.core.commands import Errand, Order
from gatekeeper.core.flow import Recorded
from gatekeeper.core.scan import Authentic, authenticate
from gatekeeper.core.trust import Use
from gatekeeper.model import messages, snapshot
from gatekeeper.model.ids import OperatorId
from gatekeeper.model.messages import CommandKind, LogCheckpoint
from gatekeeper.model.topics import (
    PREFIX,
    UPWARD,
    Channel,
    beacon_topic,
    checkpoint_topic,
    gate_topic,
    link_filter,
    standing_topic,
    trust_topic,
    upward_filters,
)
from gatekeeper.ports import Inbound
from gatekeeper.service.engine.engine import _Work
from gatekeeper.service.engine.intake import Arrival
from tests.contract import cddl, forgeries, readers, specimens
from tests.contract.an_engine import engine
from tests.contract.checkpoints import newest_checkpoint
from tests.contract.play import Play, boot_of, moment
from tests.contract.vector_site import FRONT, SITE, fresh_flow, key_of, trust

SCHEMAS = Path(__file__).parents[2] / "schemas"
KEYWORDS = {
    "document": {
        "asyncapi",
        "id",
        "info",
        "defaultContentType",
        "servers",
        "channels",
        "operations",
        "components",
    },
    "servers": {"host", "protocol", "protocolVersion", "description"},
    "channels": {"address", "description", "parameters", "messages"},
    "operations": {"action", "channel", "summary", "messages", "bindings", "reply"},
    "messages": {"title", "summary", "payload"},
    "parameters": {"description", "default"},
}


class _Loader(yaml.SafeLoader):
    """YAML in which a key stands once."""


def _once(loader: _Loader, node: yaml.MappingNode) -> Any:
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), keys
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _once)


@cache
def document() -> Any:
    return yaml.load((SCHEMAS / "asyncapi.yaml").read_text("utf-8"), Loader=_Loader)  # noqa: S506 - a safe one


def resolved(reference: str) -> Any:
    found = document()
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(part: Any) -> Iterator[str]:
    match part:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for one in part.values():
                yield from references(one)
        case list():
            for one in part:
                yield from references(one)


def operations(channel: str) -> list[Any]:
    return [
        one for one in document()["operations"].values() if one["channel"]["$ref"] == f"#/channels/{channel}"
    ]


def spelled(address: str) -> str:
    return address.format(prefix=PREFIX, site=SITE, gate=FRONT)


# -- the document -----------------------------------------------------------------------------------------------------


def test_every_reference_leads_to_something_and_every_component_is_referred_to():
    named = set(references(document()))
    for reference in named:
        assert resolved(reference) is not None, reference
    components = {
        f"#/components/{kind}/{name}"
        for kind, all_of_them in document()["components"].items()
        for name in all_of_them
    }
    assert components <= named


def test_objects_have_the_keywords_of_asyncapi_3_and_extensions_only():
    assert document()["asyncapi"] == "3.0.0"
    assert set(document()) == KEYWORDS["document"]
    parts = [(kind, document()[kind]) for kind in ("servers", "channels", "operations")]
    parts += list(document()["components"].items())
    for kind, objects in parts:
        for name, one in objects.items():
            unknown = {keyword for keyword in one if not keyword.startswith("x-")} - KEYWORDS[kind]
            assert not unknown, f"{kind}/{name}: {unknown}"


def test_an_address_uses_the_parameters_that_its_channel_names():
    for name, channel in document()["channels"].items():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"]), name


def test_the_default_prefix_is_the_code_s():
    assert document()["components"]["parameters"]["prefix"]["default"] == PREFIX


# -- channels ---------------------------------------------------------------------------------------------------------


def test_there_is_a_channel_for_every_topic_and_no_other():
    addresses = {name: spelled(channel["address"]) for name, channel in document()["channels"].items()}
    assert addresses == {
        **{channel.value: gate_topic(SITE, FRONT, channel) for channel in Channel},
        "beacon": beacon_topic(SITE),
        "checkpoint": checkpoint_topic(SITE),
        "standing": standing_topic(SITE),
        "trust": trust_topic(SITE),
    }


def test_a_gate_sends_what_the_service_listens_to_and_receives_all_else_that_is_in_use():
    answered = {pattern.rsplit("/", maxsplit=1)[1] for pattern in upward_filters(SITE)}
    assert answered == {channel.value for channel in UPWARD}
    listened = answered | {link_filter(SITE).rsplit("/", maxsplit=1)[1]}
    for name in document()["channels"]:
        actions = [operation["action"] for operation in operations(name)]
        assert actions == ["send" if name in listened else "receive"], name


def test_what_goes_up_is_answered_on_the_decision_channel():
    for operation in document()["operations"].values():
        if operation["action"] == "send" and operation["channel"]["$ref"] != "#/channels/link":
            assert operation["reply"]["channel"]["$ref"] == "#/channels/decision"


def link() -> GateLink:
    return GateLink("mqtt://127.0.0.1:1", gate=FRONT, password="none")


def routes() -> dict[str, Route]:
    settings = GateSettings(
        site=SITE,
        gate=FRONT,
        prefix=PREFIX,
        doorways=(),
        bridge=None,
        key=key_of(FRONT),
        password="none",
        trust=trust(),
    )
    return dict(GateAgent(settings, link(), open_journal=MemoryJournal)._routes)


def test_a_gate_listens_to_every_channel_that_goes_down():
    up = {channel.value for channel in (*UPWARD, Channel.LINK)}
    down = {spelled(one["address"]) for name, one in document()["channels"].items() if name not in up}
    assert set(routes()) == down


# -- messages ---------------------------------------------------------------------------------------------------------


def test_every_message_has_the_typ_of_the_code():
    typs = {
        name.removesuffix("_TYPE").lower(): value
        for module in (messages, snapshot, core_trust)
        for name, value in vars(module).items()
        if name.endswith("_TYPE") and isinstance(value, str) and name != "AGREEMENT_TYPE"
    }
    assert {name: message["x-typ"] for name, message in document()["components"]["messages"].items()} == typs


@pytest.mark.parametrize(
    "name", [name for name, one in document()["components"]["messages"].items() if "payload" in one]
)
def test_a_payload_is_a_rule_of_the_cddl_that_signs_with_the_same_typ(name: str):
    message = document()["components"]["messages"][name]
    file, rule = message["payload"]["schema"].split("#")
    assert (SCHEMAS / file).samefile(cddl.FILE)
    _, body = cddl.rules()[rule]
    assert body.given[0].value == message["x-typ"]
    assert body.given[1].name == name
    assert Use(message["x-key-use"])


@pytest.mark.parametrize(
    "name", [name for name, one in document()["components"]["messages"].items() if "payload" in one]
)
def test_the_examples_and_vectors_of_a_message_exist_and_are_of_it(name: str):
    message = document()["components"]["messages"][name]
    valid = specimens.payloads()
    assert [valid[example][0] for example in message["x-examples"]] == [name] * len(message["x-examples"])
    assert {example for example, (rule, _) in valid.items() if rule == name} == set(message["x-examples"])
    session = json.loads((SCHEMAS / "vectors" / "session.json").read_text("utf-8"))
    steps = session["steps"]
    said = [
        session["beacon"],
        session["checkpoint"],
        *session["commands"],
        *session["links"],
        *(step[way] for step in steps for way in ("up", "down") if way in step),
    ]
    alone = json.loads((SCHEMAS / "vectors" / "alone.json").read_text("utf-8"))
    said += [alone["trust"], *alone["snapshots"].values(), *alone["standings"].values()]
    rules = {one["name"]: one["rule"] for one in said}
    uses = {one["name"]: one["key"] for one in said}
    keys = json.loads((SCHEMAS / "vectors" / "keys.json").read_text("utf-8"))["keys"]
    for vector in message["x-vectors"]:
        assert rules[vector] == name
        assert keys[uses[vector]]["use"] == message["x-key-use"]


# -- how it travels ---------------------------------------------------------------------------------------------------


def binding(channel: str) -> dict[str, Any]:
    [operation] = operations(channel)
    found: dict[str, Any] = operation["bindings"]["mqtt"]
    return found


class _Client:
    """paho's client, as far as what it is asked to publish."""

    def __init__(self) -> None:
        self.published: list[tuple[str, int, bool]] = []

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        assert payload
        self.published.append((topic, qos, retain))


def test_what_a_gate_sends_has_the_quality_of_service_that_stands_here():
    play = Play()
    play.start(FRONT, at=0)
    scan = play.presents(
        FRONT, "front-in", forgeries.scan_credential(), at=1000, key=key_of("badge-sergeant")
    )
    broker = _Client()
    sending = link()
    sending._up, sending._client = True, broker  # type: ignore[assignment]
    sending.publish(scan.topic, scan.payload, qos=scan.qos)
    [(_, qos, retain)] = broker.published
    assert {(binding(channel.value)["qos"], binding(channel.value)["retain"]) for channel in UPWARD} == {
        (qos, retain)
    }
    sending.retain("a topic", b"link")
    assert broker.published[1:] == [("a topic", binding("link")["qos"], binding("link")["retain"])]


def test_a_gate_asks_for_what_is_retained_where_something_is():
    for name in ("decision", "command", "beacon", "checkpoint", "policy", "standing", "trust"):
        route = routes()[spelled(document()["channels"][name]["address"])]
        assert route.retained is binding(name)["retain"]
        assert _options(route).retainHandling == (0 if route.retained else 2)


class _Kept:
    """The port to the broker, which keeps what is published, as `MqttSession` would be called."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.something = asyncio.Event()

    def publish(self, *arguments: Any, **named: Any) -> bool:
        call = inspect.signature(MqttSession.publish).bind(self, *arguments, **named)
        call.apply_defaults()
        self.published.append(call.arguments)
        self.something.set()
        return True

    def acknowledge(self, _inbound: Inbound) -> None:
        """Nothing is sent again here."""


async def test_what_the_service_sends_has_the_quality_of_service_that_stands_here():
    kept = _Kept()
    nowhere = "postgresql:///nowhere"
    running = engine(PostgresLedger(nowhere), PostgresKeyVault(nowhere), transport=kept)
    said = forgeries.said("hello-of-front")
    authentic = authenticate(said.topic, said.wire, trust=trust(), prefix=PREFIX)
    assert isinstance(authentic, Authentic)
    running._flow = Play().flow
    outcome = running._flow.take(authentic, None, now=moment(0))
    assert isinstance(outcome, Recorded)
    topic, outcome.receipt.signed = sign_answer(
        outcome.answer, site=SITE, key=key_of("decision"), prefix=PREFIX
    )
    inbound = Inbound(topic=said.topic, payload=said.wire, retained=False, receipt=(0, 0))
    running._actuate(_Work([], [(Arrival(inbound, 0.0), authentic, outcome)], []), [topic])
    running._linked.set()
    kept.something.clear()
    beacons = asyncio.create_task(running._publish_beacons())
    await kept.something.wait()
    beacons.cancel()
    newest = newest_checkpoint()
    read = LogCheckpoint.read(forgeries.parts(newest.wire)[2])
    assert isinstance(read, LogCheckpoint)
    running._announcer.signed(read.note, at=read.at)
    kept.something.clear()
    announcing = asyncio.create_task(running._announcer.run())
    await kept.something.wait()
    announcing.cancel()
    assert kept.published[-1]["payload"] == newest.wire
    running._flow = fresh_flow()
    # Those of gates that count carry a snapshot, those of revoked ones are cleared.
    snapshots = {readers.topic_of(Channel.POLICY, gate) for gate in running._flow.trust.listing.gates}
    running._provisions.changed(running._flow)
    providing = asyncio.create_task(running._provisions.run())
    async with asyncio.timeout(30):
        while not snapshots <= {call["topic"] for call in kept.published}:
            kept.something.clear()
            await kept.something.wait()
    providing.cancel()
    ordered = Order(
        errand=Errand(gate=FRONT, boot=boot_of(FRONT), kind=CommandKind.LOCK_DOWN),
        operator=OperatorId("officer"),
        second=None,
        entry=1,
    )
    command = running._commanding.sign(ordered, now=running._parts.clock.now())
    running._commanding.give(command)
    sent = {call["topic"]: {"qos": call["qos"], "retain": call["retain"]} for call in kept.published}
    channels = ("decision", "command", "beacon", "checkpoint", "standing", "trust")
    bindings = {spelled(document()["channels"][name]["address"]): binding(name) for name in channels}
    bindings |= dict.fromkeys(snapshots, binding("policy"))
    assert sent == {topic: {"qos": one["qos"], "retain": one["retain"]} for topic, one in bindings.items()}
