"""What the service gives a gate so that it can decide alone: a snapshot, a standing, a trust list.

The snapshot lets the bare card of the site in at the access point that is examined, and nobody else anywhere. Trials change it
before it is signed. It counts for minutes only, for a gate keeps it beyond the examination. What must not be believed of such
things is in `forgeries`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from devices.conformance.service import SHORT
from devices.conformance.site import CARD, HOST, Question, trust_of
from gatekeeper import cose
from gatekeeper.core.enrolment import EnrolmentRequest
from gatekeeper.cose.status_list import STATUS_LIST_TYPE, VALID, StatusList
from gatekeeper.model.badges import BADGE_TYPE, Assurance, Badge, Card, claims_of
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, ZoneId
from gatekeeper.model.messages import ByCard
from gatekeeper.model.people import HolderKind
from gatekeeper.model.snapshot import (
    SNAPSHOT_TYPE,
    STANDING_TYPE,
    KnownCards,
    Snapshot,
    SnapshotClass,
    SnapshotPoint,
    Standing,
)
from gatekeeper.model.topics import Channel, gate_topic, standing_topic, trust_topic

__all__ = ["ALERT", "LONGEST", "SCOPE", "YARD", "Given", "Provided", "Provisions"]

LONGEST: Final = timedelta(minutes=2)
"""For how long a gate may be alone, when that is not what is asked."""
ALERT: Final = 1
SCOPE: Final = "zone:yard"
YARD: Final = ZoneId("yard")
_BADGE: Final = BadgeId("a" * 32)
_STATUS_INDEX: Final = 3
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """A snapshot and the standing that names it, not signed yet."""

    snapshot: Snapshot
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a gate was given: the values, and the bytes as they were signed."""

    provided: Provided
    snapshot: bytes
    standing: bytes

    @property
    def digest(self) -> bytes:
        """By this a gate names the snapshot."""
        return hashlib.sha256(self.snapshot).digest()


class Provisions:
    """Signs what a gate is provided with. `entry` gives the next place in the log; `signed` are the digests of all that was."""

    def __init__(self, question: Question, *, entry: Callable[[], int]) -> None:
        self._question: Final = question
        self._entry: Final = entry
        self.policy_topic: Final = self.policy_topic_of(question.gate)
        self.standing_topic: Final = standing_topic(question.site, prefix=question.prefix)
        self.trust_topic: Final = trust_topic(question.site, prefix=question.prefix)
        self.signed: Final[set[bytes]] = set()

    @property
    def card(self) -> Card:
        """The bare card of the site."""
        credential = self._question.badges[CARD]
        if not isinstance(credential, ByCard):
            raise TypeError("the bare card is presented as a card")
        return credential.card

    # -- what is true -------------------------------------------------------------------------------------------------

    def badge(self, at: datetime) -> Badge:
        """The badge that the bare card stands for."""
        return Badge(
            id=_BADGE,
            site=self._question.site,
            tenant=HOST,
            not_before=at - timedelta(hours=1),
            expires=at + timedelta(hours=12),
            issued=at - timedelta(hours=1),
            ceiling=3,
            assurance=Assurance.CARD_NUMBER,
            kind=HolderKind.STAFF,
            epoch=0,
            requires_trusted_time=False,
            confirmation=None,
            card=self.card,
            status_index=_STATUS_INDEX,
        )

    def cards(self, badge: Badge, *, key: str = "issuer") -> KnownCards:
        """The bare card with the token of a badge, as its issuer signs it."""
        claims = cose.encode(claims_of(badge))
        return KnownCards.of({self.card: cose.sign(claims, key=self._question.keys[key], typ=BADGE_TYPE)})

    def provided(self, at: datetime) -> Provided:
        """A new snapshot that lets the bare card in at any hour, and the standing that names it."""
        question, version, now = self._question, self._entry(), int(at.timestamp())
        snapshot = Snapshot(
            site=question.site,
            gate=question.gate,
            version=version,
            issued=at,
            since=now - _HOUR,
            until=now + _HOUR,
            alert=ALERT,
            points={question.access_point: self.point(question.access_point)},
            hours=((now - _HOUR, now - _HOUR // 2, now - _HOUR // 4, now + _HOUR),),
            classes=(SnapshotClass(tenant=HOST, hours={question.access_point: 0}),),
            rows=bytes.fromhex(_BADGE) + (1).to_bytes(4, "big") + bytes(4),
            cards=self.cards(self.badge(at)),
        )
        standing = Standing(
            site=question.site,
            version=version,
            issued=at,
            alert=ALERT,
            lockdowns=frozenset(),
            suspended=frozenset(),
            statuses={HOST: self.statuses(VALID)},
            trust=0,
            snapshots={question.gate: version},
        )
        return Provided(snapshot=snapshot, standing=standing)

    def nothing(self, at: datetime) -> Provided:
        """A snapshot that lets nobody in anywhere, and the standing that names it."""
        provided = self.provided(at)
        empty = replace(provided.snapshot, points={}, hours=(), classes=(), rows=b"", cards=KnownCards())
        return replace(provided, snapshot=empty)

    def point(self, name: AccessPointId) -> SnapshotPoint:
        """An access point that may be decided alone."""
        return SnapshotPoint(
            id=name,
            longest=LONGEST,
            unlock=SHORT,
            scopes=frozenset({SCOPE}),
            target=YARD,
            passback=None,
        )

    def statuses(self, status: int, *, key: str = "decision") -> bytes:
        """The host's status list, with this status of the badge."""
        site = self._question.site
        listed = StatusList.of(f"site:{site}/t:{HOST}", {_STATUS_INDEX: status}, issued=0)
        return cose.sign(
            listed.payload(),
            key=self._question.keys[key],
            typ=STATUS_LIST_TYPE,
            external_aad=site.encode(),
        )

    def trust(self, at: datetime, **others: str) -> bytes:
        """The trust list of an instant, with others in the place of its keys."""
        question = self._question
        request = EnrolmentRequest(site=question.site, gate=question.gate, record=question.record)
        keys = {**question.keys, **{name: question.keys[other] for name, other in others.items()}}
        return trust_of(request, keys, issued=at)

    def policy_topic_of(self, gate: GateId) -> str:
        """The topic on which a gate is given its snapshot."""
        return gate_topic(self._question.site, gate, Channel.POLICY, prefix=self._question.prefix)

    # -- how it is signed ---------------------------------------------------------------------------------------------

    def given(self, provided: Provided) -> Given:
        """Sign both."""
        snapshot, standing = self.snapshot(provided.snapshot), self.standing(provided.standing)
        return Given(provided=provided, snapshot=snapshot, standing=standing)

    def snapshot(self, snapshot: Snapshot) -> bytes:
        """Sign a snapshot, as the service does."""
        return self.sign(snapshot.payload(), typ=SNAPSHOT_TYPE, topic=self.policy_topic)

    def standing(self, standing: Standing) -> bytes:
        """Sign a standing, as the service does."""
        return self.sign(standing.payload(), typ=STANDING_TYPE, topic=self.standing_topic)

    def sign(self, payload: bytes, *, typ: str, topic: str, key: str = "decision") -> bytes:
        """Sign something with a key of the site, for a topic."""
        wire = cose.sign(payload, key=self._question.keys[key], typ=typ, external_aad=topic.encode())
        self.signed.add(hashlib.sha256(wire).digest())
        return wire
