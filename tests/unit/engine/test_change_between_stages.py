"""What was verified under one trust list or policy is decided under the next one only after it was verified again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper import cose
from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.core.change import TrustChange
from gatekeeper.core.register import Register
from gatekeeper.core.trust import KeyState, Trust, read_trust
from gatekeeper.model.ids import GateId, TenantId
from gatekeeper.model.messages import Verdict
from gatekeeper.observe.health import Health
from gatekeeper.ports import Inbound
from gatekeeper.service.engine import Engine, EngineParts
from gatekeeper.service.engine.engine import _Verified, _Work
from gatekeeper.service.engine.intake import Allowance, Arrival
from tests.support.sites import SITE, Sent, SmallSite, listed, signed_trust

NOWHERE = "postgresql:///nowhere"


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


class _Beacons:
    """The small site's beacons, which need no secret."""

    def __init__(self, site: SmallSite) -> None:
        self._site = site

    def counted(self, _now: Any) -> tuple[bytes, ...]:
        return self._site.beacons


@pytest.fixture
def engine(site: SmallSite) -> Engine:
    """An engine that has taken the small site over, and whose links nothing here needs."""
    engine = Engine(
        EngineParts(
            site=SITE,
            owner="test",
            prefix="gk",
            anchor=site.anchor,
            decision_key=cose.SigningKey.generate(),
            log_key=Ed25519PrivateKey.generate(),
            beacon_secret=bytes(32),
            pin_desk=None,
            allowance=Allowance(),
            ledger=PostgresLedger(NOWHERE),
            vault=PostgresKeyVault(NOWHERE),
            transport=MqttSession(
                url="mqtt://127.0.0.1:1", client_id="t", session_expiry=timedelta(0), receive_maximum=8
            ),
            clock=SystemClock(),
            health=Health(),
        )
    )
    engine._flow = site.flow
    engine._beacons = _Beacons(site)  # type: ignore[assignment]
    return engine


def _arrival(sent: Sent) -> Arrival:
    return Arrival(Inbound(topic=sent.topic, payload=sent.wire, retained=False, receipt=(0, 0)), 0.0)


async def _second_stage(engine: Engine, site: SmallSite, verified: _Verified) -> _Work:
    work = _Work([], [], [])
    await engine._take(verified, site.now, work)
    return work


def _change_trust(site: SmallSite, **changes: Any) -> None:
    listing = listed(version=site.flow.trust.version + 1, **changes)
    assert site.supervise(TrustChange(document=signed_trust(listing))).outcome.code == "applied"


async def test_a_scan_of_a_gate_that_was_struck_off_between_the_stages_is_refused(
    engine: Engine, site: SmallSite
):
    verified = engine._verify(_arrival(site.scan("front-in", "sergeant")), site.beacons)
    assert isinstance(verified, _Verified)
    gates = dict(listed().gates)
    del gates[GateId("front")]
    _change_trust(site, gates=gates)
    work = await _second_stage(engine, site, verified)
    assert not work.recorded
    assert engine._letters.get_nowait()[1].code == "gate-unknown"


async def test_a_badge_whose_issuer_was_revoked_between_the_stages_is_denied(engine: Engine, site: SmallSite):
    verified = engine._verify(_arrival(site.scan("front-in", "pupil")), site.beacons)
    assert isinstance(verified, _Verified)
    assert verified.presented is not None
    assert verified.presented.badge is not None
    school = listed().tenants[TenantId("school")]
    issuers = tuple(
        replace(key, state=KeyState.REVOKED, revoked_from=key.revoked_from) for key in school.issuers
    )
    tenants = {**listed().tenants, TenantId("school"): replace(school, issuers=issuers)}
    _change_trust(site, tenants=tenants)
    work = await _second_stage(engine, site, verified)
    assert work.recorded[0][2].answer.verdict is Verdict.DENIED


async def test_a_scan_is_not_verified_twice_while_nothing_changed(
    engine: Engine, site: SmallSite, monkeypatch: pytest.MonkeyPatch
):
    verified = engine._verify(_arrival(site.scan("front-in", "sergeant")), site.beacons)
    assert isinstance(verified, _Verified)
    monkeypatch.delattr(Engine, "_verify")
    work = await _second_stage(engine, site, verified)
    assert work.recorded[0][2].answer.verdict is Verdict.GRANTED


def test_what_a_thread_believed_under_the_former_trust_list_is_not_remembered_for_the_new_one(
    site: SmallSite,
):
    former = site.flow.trust
    token = site.badges["pupil"].token
    register = Register()
    register.forget_read()  # the trust list changes ...
    assert (
        register.read_token(token, trust=former) is not None
    )  # ... while a thread still reads under the former one
    assert register.read_token(token, trust=_without_issuers(site)) is None


def _without_issuers(site: SmallSite) -> Trust:
    tenants = {
        name: replace(tenant, issuers=tuple(replace(key, state=KeyState.REVOKED) for key in tenant.issuers))
        for name, tenant in listed().tenants.items()
    }
    trust = read_trust(
        signed_trust(listed(version=site.flow.trust.version + 1, tenants=tenants)),
        anchor=site.anchor,
        not_below=0,
    )
    assert isinstance(trust, Trust)
    return trust
