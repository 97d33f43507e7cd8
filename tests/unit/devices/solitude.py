"""A gate that may be left alone, for tests: what the service signs for it, and what the gate keeps of it on disk."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from devices.core.checkpoints import CheckpointMemory
from devices.core.events import (
    CardPresented,
    Effect,
    KeepPolicy,
    LinkDown,
    PolicyFile,
    Show,
    Signal,
    SnapshotReceived,
    StandingReceived,
    Unlock,
    WallTime,
)
from devices.core.journal import JournalBounds
from devices.core.standby import Held
from gatekeeper import cose
from gatekeeper.cose.status_list import STATUS_LIST_TYPE, StatusList
from gatekeeper.model.badges import Assurance, Badge, claims_of
from gatekeeper.model.ids import AccessPointId, BadgeId, TenantId, ZoneId
from gatekeeper.model.messages import ByToken, ClockQuality, Credential
from gatekeeper.model.people import HolderKind
from gatekeeper.model.snapshot import (
    SNAPSHOT_TYPE,
    STANDING_TYPE,
    KnownCards,
    LocalPassback,
    Snapshot,
    SnapshotClass,
    SnapshotPoint,
    Standing,
)
from gatekeeper.model.topics import Channel, standing_topic
from tests.unit.devices.ground import GATE, HOST, IN, NOON, OUT, SITE, Talk, only, topic

__all__ = ["BADGE", "LONGEST", "Lonely", "badge_of", "row"]

BADGE = BadgeId("00" * 16)
LONGEST = timedelta(hours=4)
HOUR = 3600


def badge_of(**changes: Any) -> Badge:
    """A bearer badge of the host."""
    badge = Badge(
        id=BADGE,
        site=SITE,
        tenant=HOST,
        not_before=NOON - timedelta(days=1),
        expires=NOON + timedelta(days=30),
        issued=NOON - timedelta(days=1),
        ceiling=3,
        assurance=Assurance.BEARER,
        kind=HolderKind.STAFF,
        epoch=1,
        requires_trusted_time=False,
        confirmation=None,
        card=None,
        status_index=3,
    )
    return replace(badge, **changes)


def row(badge: BadgeId, holder: int) -> bytes:
    """A badge of the snapshot's only class, and the number of its holder."""
    return bytes.fromhex(badge) + holder.to_bytes(4, "big") + bytes(4)


class Lonely(Talk):
    """A gate with snapshot and standing of noon, whose wall clock is right."""

    @classmethod
    def left(cls, **how: Any) -> "Lonely":
        """A gate that was provided, and then lost its link for longer than beacons last."""
        talk = cls.provided(**how)
        talk.happens(LinkDown())
        talk.passes(60)
        talk.did.clear()
        return talk

    @classmethod
    def provided(cls, *, bounds: JournalBounds | None = None, **how: Any) -> "Lonely":
        """A gate that was provided, and is still linked."""
        talk = cls.ready(bounds=bounds)
        assert isinstance(talk, Lonely)
        talk.comes(SnapshotReceived(talk.snapshot(**how)))
        talk.comes(StandingReceived(talk.standing()))
        talk.did.clear()
        return talk

    # -- what the service signs -----------------------------------------------------------------------------------

    def point(self, name: AccessPointId = IN, **changes: Any) -> SnapshotPoint:
        point = SnapshotPoint(
            id=name,
            longest=LONGEST,
            unlock=timedelta(seconds=6),
            scopes=frozenset({"site", "zone:yard", f"gate:{GATE}"}),
            target=ZoneId("outside" if name == OUT else "yard"),
            passback=LocalPassback(within=None, zones=frozenset({ZoneId("yard")})) if name == IN else None,
        )
        return replace(point, **changes)

    def snapshot(
        self,
        *,
        key: cose.SigningKey | None = None,
        aad: str = topic(Channel.POLICY),
        rights: Mapping[AccessPointId, int] | None = None,
        **changes: Any,
    ) -> bytes:
        """The rights of one badge, all day but between three and four o'clock."""
        noon = int(NOON.timestamp())
        given = {IN: 0, OUT: 0} if rights is None else rights
        snapshot = Snapshot(
            site=SITE,
            gate=GATE,
            version=100,
            issued=NOON,
            since=noon - HOUR,
            until=noon + 24 * HOUR,
            alert=1,
            points={name: self.point(name) for name in (IN, OUT)},
            hours=((noon - HOUR, noon + 3 * HOUR, noon + 4 * HOUR, noon + 24 * HOUR),),
            classes=(SnapshotClass(tenant=HOST, hours=given),),
            rows=row(BADGE, 7),
            cards=KnownCards(),
        )
        payload = replace(snapshot, **changes).payload()
        return cose.sign(
            payload, key=key or self.service.decision, typ=SNAPSHOT_TYPE, external_aad=aad.encode()
        )

    def status_list(self, tenant: TenantId = HOST, statuses: Mapping[int, int] | None = None) -> bytes:
        listed = StatusList.of(f"site:{SITE}/t:{tenant}", {9: 0, **(statuses or {})}, issued=0)
        return cose.sign(
            listed.payload(), key=self.service.decision, typ=STATUS_LIST_TYPE, external_aad=SITE.encode()
        )

    def standing(
        self,
        *,
        key: cose.SigningKey | None = None,
        aad: str = standing_topic(SITE),
        statuses: Mapping[int, int] | None = None,
        **changes: Any,
    ) -> bytes:
        standing = Standing(
            site=SITE,
            version=100,
            issued=NOON,
            alert=1,
            lockdowns=frozenset(),
            suspended=frozenset(),
            statuses={HOST: self.status_list(statuses=statuses)},
            trust=1,
            snapshots={GATE: 100},
        )
        payload = replace(standing, **changes).payload()
        return cose.sign(
            payload, key=key or self.service.decision, typ=STANDING_TYPE, external_aad=aad.encode()
        )

    def token(self, badge: Badge, *, issuer: cose.SigningKey | None = None) -> bytes:
        claims = cose.encode(claims_of(badge))
        return cose.sign(claims, key=issuer or self.service.issuer, typ="application/pacs-cred+cwt")

    # -- what happens ---------------------------------------------------------------------------------------------

    @property
    def noon_since(self) -> timedelta:
        return timedelta(seconds=self.at - 1000)

    clock_is_off = timedelta()
    clock = ClockQuality.SYNCHRONISED

    def happens(self, event: Any) -> list[Effect]:
        """The wall clock goes on by itself, as wrong as the test has set it."""
        self.wall = WallTime(NOON + self.noon_since + self.clock_is_off, self.clock)
        return super().happens(event)

    def comes(self, event: Any) -> list[Effect]:
        return self.happens(event)

    def shows(self, badge: Badge | Credential | None = None, at: AccessPointId = IN) -> Signal:
        """Present a badge and give what the reader shows in the end."""
        credential = (
            ByToken(self.token(badge or badge_of())) if badge is None or isinstance(badge, Badge) else badge
        )
        effects = self.happens(CardPresented(access_point=at, credential=credential, gate_random=b"r" * 16))
        return only(Show, effects or self.did)[-1].signal

    def unlocked(self) -> list[Unlock]:
        return only(Unlock, self.did)

    def said(self) -> dict[str, int]:
        return {said.value: count for said, count in self.controller.tally.alone.items() if count}

    def loses_power(self) -> None:
        """It starts anew with what is on its disk, its journal too, and no link."""
        held = self.kept()
        self.restarts(CheckpointMemory(), held=held, linked=False)
        self.did.clear()

    def kept(self) -> Held:
        """What is on disk."""
        files = {one.file: one.wire for one in only(KeepPolicy, self.did)}
        return Held(
            snapshot=files.get(PolicyFile.SNAPSHOT),
            standing=files.get(PolicyFile.STANDING),
            confirming=files.get(PolicyFile.CONFIRMING) or None,
            lockdown=files.get(PolicyFile.LOCKDOWN),
        )
