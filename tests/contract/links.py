"""What the front gate of the vectors says of its link in its first connection, and its will."""

from gatekeeper import cose
from gatekeeper.model.messages import LINK_TYPE, Link
from gatekeeper.model.topics import PREFIX, Channel, gate_topic
from tests.contract.play import Play, Said, boot_of, moment
from tests.contract.vector_site import FRONT, SITE, key_of

TOPIC = gate_topic(SITE, FRONT, Channel.LINK, prefix=PREFIX)


def links() -> list[Said]:
    """That it is there, with the session's beacon; and that it is gone."""
    beacon = Play().beacons.counted(moment(0))[0]
    up = Link(boot=boot_of(FRONT), connection=1, up=True, snapshot=None, beacon=beacon)
    down = Link(boot=boot_of(FRONT), connection=1, up=False, snapshot=None, beacon=None)
    return [
        Said(
            name=name,
            says=says,
            key=FRONT,
            topic=TOPIC,
            wire=cose.sign(link.payload(), key=key_of(FRONT), typ=LINK_TYPE, external_aad=TOPIC.encode()),
        )
        for name, says, link in (
            ("link-of-front", "The gate is there: it has heard the session's beacon.", up),
            ("will-of-front", "What the broker says when this connection is lost.", down),
        )
    ]
