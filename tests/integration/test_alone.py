"""A door goes on when nobody answers: with the real service that provides it, goes away, and is told afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devices.agent import GateAgent
from devices.app import make_gate
from devices.core.events import PolicyFile, Signal
from devices.hardware.simulated import SimulatedBadge
from devices.settings import read_gate_folder
from gatekeeper import cose
from gatekeeper.cose.status_list import INVALID, STATUS_LIST_TYPE, VALID, StatusList, read_status_list
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.badges import BADGE_TYPE, Badge, read_badge
from gatekeeper.model.ids import BadgeId, GateId
from gatekeeper.model.messages import ByToken
from gatekeeper.model.snapshot import SNAPSHOT_BOUNDS, SNAPSHOT_TYPE, STANDING_TYPE, Snapshot, Standing
from tests.integration.people_site import IN, OUT, Registry, in_pocket, saying, served_site
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ALONE = {"offline": {"hours": 4, "unseen": "accept"}}


@pytest.fixture
def registry(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Registry]:
    with served_site(tmp_path, postgres_server, broker, yard={"rules": ALONE}) as registry:
        registry.say = saying(capfd)
        yield registry


def pupil(registry: Registry, folder: Path) -> tuple[str, SimulatedBadge]:
    """A new pupil with a badge of their own."""
    holder = registry.done(
        "holder", "add", "Anna de Vries", "--kind", "staff", "--clearance", 2, "--profiles", "pupil", "--tenant", "school",
    )  # fmt: skip
    file = folder / f"{holder}.json"
    return registry.done("badge", "issue", holder, "--out", file), in_pocket(file)


def place(registry: Registry) -> Path:
    return registry.folder.root / "gates" / "front"


def kept(registry: Registry, file: PolicyFile, typ: str) -> bytes:
    """What the gate keeps of what the service signed."""
    parsed = cose.parse((place(registry) / file).read_bytes(), typ=typ, bounds=SNAPSHOT_BOUNDS)
    assert isinstance(parsed, cose.Parsed)
    return parsed.payload or b""


def snapshot(registry: Registry) -> Snapshot | None:
    if not (place(registry) / PolicyFile.SNAPSHOT).exists():
        return None
    read = Snapshot.read(kept(registry, PolicyFile.SNAPSHOT, SNAPSHOT_TYPE))
    return read if isinstance(read, Snapshot) else None


def standing(registry: Registry) -> Standing | None:
    if not (place(registry) / PolicyFile.STANDING).exists():
        return None
    read = Standing.read(kept(registry, PolicyFile.STANDING, STANDING_TYPE))
    return read if isinstance(read, Standing) else None


def is_provided(registry: Registry, badge: str) -> bool:
    """Whether the gate keeps a snapshot with this badge, and a word of the service that it counts."""
    holds, stands = snapshot(registry), standing(registry)
    if holds is None or stands is None or holds.find(BadgeId(badge)) is None:
        return False
    return stands.snapshots.get(GateId("front")) == holds.version


def status_of(registry: Registry, badge: SimulatedBadge) -> int | None:
    """What the newest word that the gate keeps says of a badge."""
    assert isinstance(badge.credential, ByToken)
    token = cose.parse(badge.credential.token, typ=BADGE_TYPE)
    assert isinstance(token, cose.Parsed)
    claims, stands = read_badge(token.payload or b""), standing(registry)
    assert isinstance(claims, Badge)
    assert claims.status_index is not None
    if stands is None:
        return None
    listed = cose.parse(stands.statuses[claims.tenant], typ=STATUS_LIST_TYPE)
    assert isinstance(listed, cose.Parsed)
    read = read_status_list(listed.payload or b"")
    return read.status(claims.status_index) if isinstance(read, StatusList) else None


@asynccontextmanager
async def working(registry: Registry, *, broker: str | None = None) -> AsyncIterator[GateAgent]:
    """The site's gate, at work."""
    settings = read_gate_folder(place(registry))
    async with make_gate(settings, broker=broker or registry.broker.url) as gate:
        yield gate


async def test_a_gate_lets_in_whom_it_may_while_the_service_is_away_and_tells_it_afterwards(
    registry: Registry, tmp_path: Path
):
    badge, anna = await asyncio.to_thread(pupil, registry, tmp_path)
    stranger = SimulatedBadge.bearer(b"no badge of anybody")
    async with working(registry) as gate:
        await eventually(lambda: is_provided(registry, badge), within=30)
        await asyncio.to_thread(registry.stop)
        assert (await gate.present(IN, stranger)).signal is not Signal.GRANTED
        outcome = await gate.present(IN, anna)
        assert (outcome.granted, outcome.entry) == (True, None)
        assert [unlock.entry for unlock in gate.tally.unlocks] == [None]
        await asyncio.to_thread(registry.start)
        told = {"access.offline-granted", "passage.taken"}
        await asyncio.to_thread(registry.wait_until, lambda: told <= set(registry.kinds()))
    rows = await asyncio.to_thread(
        registry.run, "SELECT body FROM entry WHERE site_id = $1 AND kind = 'access.offline-granted'"
    )
    (body,) = [json.loads(row["body"]) for row in rows]
    assert body["gate_at"] < body["at"]
    assert body["policy"]
    assert (await asyncio.to_thread(registry, "presence", "--json")).document is not None


async def test_a_revoked_badge_stays_revoked_while_nobody_answers(registry: Registry, tmp_path: Path):
    badge, anna = await asyncio.to_thread(pupil, registry, tmp_path)
    async with working(registry) as gate:
        await eventually(lambda: is_provided(registry, badge), within=30)
        assert status_of(registry, anna) == VALID
        await asyncio.to_thread(registry.done, "badge", "revoke", badge)
        await eventually(lambda: status_of(registry, anna) == INVALID, within=30)
        await asyncio.to_thread(registry.stop)
        assert (await gate.present(IN, anna)).signal is Signal.DENIED
        assert not gate.tally.unlocks
    await asyncio.to_thread(registry.start)


async def test_a_gate_that_starts_without_a_broker_decides_from_what_it_kept(
    registry: Registry, tmp_path: Path
):
    badge, anna = await asyncio.to_thread(pupil, registry, tmp_path)
    async with working(registry):
        await eventually(lambda: is_provided(registry, badge), within=30)
    async with working(registry, broker="mqtt://127.0.0.1:1") as gate:
        assert (await gate.present(IN, anna)).granted
        assert (await gate.present(OUT, anna)).granted
    async with working(registry):
        told = ["access.offline-granted", "access.offline-granted"]
        await asyncio.to_thread(
            registry.wait_until, lambda: [kind for kind in registry.kinds() if kind in told] == told
        )
