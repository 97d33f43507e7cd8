"""What the service of the vectors has a gate do: commands for the front gate's first boot; or such as are wrong in one way."""

from datetime import timedelta
from typing import Any

from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId, OperatorId
from gatekeeper.model.messages import COMMAND_TYPE, COMMAND_VALIDITY, Command, CommandKind
from gatekeeper.model.topics import PREFIX, Channel, gate_topic
from tests.contract.play import Said, boot_of, moment
from tests.contract.vector_site import FRONT, SITE, key_of

TOPIC = gate_topic(SITE, FRONT, Channel.COMMAND, prefix=PREFIX)
TO_OPEN = Command(
    boot=boot_of(FRONT),
    sequence=1,
    gate=FRONT,
    kind=CommandKind.OPEN,
    access_point=AccessPointId("front-in"),
    issued=moment(1000),
    valid=COMMAND_VALIDITY,
    operator=OperatorId("officer"),
    second=OperatorId("deputy"),
    entry=31,
    unlock=timedelta(seconds=4),
)
TO_LOCK_DOWN = Command(
    boot=boot_of(FRONT),
    sequence=2,
    gate=FRONT,
    kind=CommandKind.LOCK_DOWN,
    access_point=None,
    issued=moment(1000),
    valid=COMMAND_VALIDITY,
    operator=OperatorId("officer"),
    second=None,
    entry=32,
    unlock=None,
)


def message_of_command(
    command: Command = TO_OPEN,
    *,
    key: str = "decision",
    aad: str = TOPIC,
    changes: dict[int, Any] | None = None,
) -> bytes:
    """The message that brings a command; `changes` alters fields of it, and None leaves one out."""
    content = cose.decode(command.payload()) | (changes or {})
    content = {field: value for field, value in content.items() if value is not None}
    return cose.sign(cose.encode(content), key=key_of(key), typ=COMMAND_TYPE, external_aad=aad.encode())


def commands() -> list[Said]:
    """Commands that the front gate obeys once its hello is answered."""
    return [
        Said(name=name, says=says, key="decision", topic=TOPIC, wire=message_of_command(command))
        for name, says, command in (
            ("command-to-open", "Two officers have one door opened.", TO_OPEN),
            ("command-to-lock-down", "Nothing opens at the gate until it is released.", TO_LOCK_DOWN),
        )
    ]
