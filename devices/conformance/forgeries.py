"""Snapshots, standings and trust lists that no gate may believe: each would let the bare card in, and is wrong in one way.

A snapshot comes with the true standing that would name it, a trust list with what only its key has signed: so a gate that lacks
the one check shows it at the door. Every version rises, but for what is old.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from devices.conformance.provisions import Given, Provisions
from devices.conformance.service import OTHER_GATE
from devices.conformance.site import HOST
from gatekeeper.cose.status_list import VALID
from gatekeeper.model.ids import SiteId
from gatekeeper.model.snapshot import SNAPSHOT_TYPE, STANDING_TYPE, Snapshot, Standing

__all__ = ["Lie", "false_snapshots", "false_standings", "false_trust", "over"]

_OTHER_SITE: Final = SiteId("another-site")
_FIRST_LIST: Final = datetime(1971, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """What is wrong, its code in `reasons.md`, the message (topic and bytes) that is, and those that would make use of it."""

    what: str
    code: str
    wrong: tuple[str, bytes]
    then: tuple[tuple[str, bytes], ...] = ()


def false_snapshots(provisions: Provisions, at: datetime, *, older: Given) -> list[Lie]:
    """Snapshots to be refused by a gate that holds a newer one than `older`."""
    new = [provisions.provided(at) for _ in range(7)]
    snapshots = [one.snapshot for one in new]
    topic, elsewhere = provisions.policy_topic, provisions.policy_topic_of(OTHER_GATE)

    def signed(
        snapshot: Snapshot, *, key: str = "decision", typ: str = SNAPSHOT_TYPE, aad: str = topic
    ) -> bytes:
        return provisions.sign(snapshot.payload(), key=key, typ=typ, topic=aad)

    wrong = [
        ("by a stranger", "forged", signed(snapshots[0], key="stranger")),
        ("by a key of another use", "forged", signed(snapshots[1], key="seal")),
        ("for another gate's topic", "forged", signed(snapshots[2], aad=elsewhere)),
        ("of another typ", "forged", signed(snapshots[3], typ=STANDING_TYPE)),
        (
            "of a version that is not known",
            "malformed",
            provisions.sign(_of_version_2(snapshots[4].payload()), typ=SNAPSHOT_TYPE, topic=topic),
        ),
        ("of another gate", "foreign", signed(replace(snapshots[5], gate=OTHER_GATE))),
        ("of another site", "foreign", signed(replace(snapshots[6], site=_OTHER_SITE))),
        ("older than the one held", "old", older.snapshot),
    ]
    names_older = replace(provisions.provided(at).standing, snapshots=older.provided.standing.snapshots)
    standings = [*(one.standing for one in new), names_older]
    return [
        Lie(
            what=f"a snapshot {what}",
            code=f"snapshot-{code}",
            wrong=(topic, wire),
            then=((provisions.standing_topic, provisions.standing(standing)),),
        )
        for (what, code, wire), standing in zip(wrong, standings, strict=True)
    ]


def false_standings(provisions: Provisions, at: datetime, *, held: Snapshot, older: Given) -> list[Lie]:
    """Standings to be refused by a gate that holds a newer one than `older`, and this snapshot."""
    topic, elsewhere = provisions.standing_topic, provisions.policy_topic

    def new() -> Standing:
        return replace(provisions.provided(at).standing, snapshots={held.gate: held.version})

    def signed(
        standing: Standing, *, key: str = "decision", typ: str = STANDING_TYPE, aad: str = topic
    ) -> bytes:
        return provisions.sign(standing.payload(), key=key, typ=typ, topic=aad)

    unlisted = {HOST: provisions.statuses(VALID, key="stranger")}
    wrong = [
        ("by a stranger", "forged", signed(new(), key="stranger")),
        ("for another topic", "forged", signed(new(), aad=elsewhere)),
        ("of another typ", "forged", signed(new(), typ=SNAPSHOT_TYPE)),
        (
            "of a version that is not known",
            "malformed",
            provisions.sign(_of_version_2(new().payload()), typ=STANDING_TYPE, topic=topic),
        ),
        ("with a status list by a stranger", "malformed", signed(replace(new(), statuses=unlisted))),
        ("of another site", "foreign", signed(replace(new(), site=_OTHER_SITE))),
        ("older than the one held", "old", older.standing),
    ]
    return [
        Lie(what=f"a standing {what}", code=f"standing-{code}", wrong=(topic, wire))
        for what, code, wire in wrong
    ]


def false_trust(provisions: Provisions, at: datetime) -> list[Lie]:
    """Trust lists to be refused: one that the roots did not sign, and one of long ago. Both name another decision key."""

    def made(what: str, code: str, document: bytes) -> Lie:
        new = provisions.provided(at)
        snapshot = provisions.sign(
            new.snapshot.payload(), typ=SNAPSHOT_TYPE, topic=provisions.policy_topic, key="stranger"
        )
        standing = provisions.sign(
            new.standing.payload(), typ=STANDING_TYPE, topic=provisions.standing_topic, key="stranger"
        )
        return Lie(
            what=f"a trust list {what}",
            code=f"trust-{code}",
            wrong=(provisions.trust_topic, document),
            then=((provisions.policy_topic, snapshot), (provisions.standing_topic, standing)),
        )

    forged = provisions.trust(at + timedelta(minutes=1), root="stranger", decision="stranger")
    return [
        made("that the roots did not sign", "forged", forged),
        made("older than the one held", "old", provisions.trust(_FIRST_LIST, decision="stranger")),
    ]


def over(provisions: Provisions, at: datetime) -> Lie:
    """A snapshot whose time was over before the standing that a gate holds was made."""
    new, until = provisions.provided(at), int(at.timestamp()) - 600
    snapshot = replace(new.snapshot, since=until - 600, until=until)
    return Lie(
        what="a snapshot that is over already",
        code="snapshot-expired",
        wrong=(provisions.policy_topic, provisions.snapshot(snapshot)),
    )


def _of_version_2(payload: bytes) -> bytes:
    """The first pair of the map is 0: 1, the version."""
    return payload[:2] + b"\x02" + payload[3:]
