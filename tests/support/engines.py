"""An engine of the small site in a database, without a link to a broker: its stages are driven by hand."""

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.core.audit import NOBODY, SITE_TREE, tenant_tree
from gatekeeper.model.ids import HolderId
from gatekeeper.observe.health import Health
from gatekeeper.ports import Clock
from gatekeeper.service.engine import Engine, EngineParts
from gatekeeper.service.engine.intake import Allowance
from gatekeeper.service.engine.recorder import Recorder
from gatekeeper.service.engine.sealing import Sealer
from gatekeeper.transparency import Tree
from tests.support.sites import BADGES, SITE, SmallSite, key_of

__all__ = ["owning_engine"]


async def owning_engine(site: SmallSite, ledger: PostgresLedger, clock: Clock) -> Engine:
    """An engine that owns the small site, with an empty log and everybody's keys."""
    engine = Engine(
        EngineParts(
            site=SITE,
            owner="test",
            prefix="gk",
            anchor=site.anchor,
            decision_key=key_of("decision"),
            log_key=Ed25519PrivateKey.generate(),
            beacon_secret=bytes(32),
            pin_desk=None,
            allowance=Allowance(),
            ledger=ledger,
            vault=PostgresKeyVault("postgresql:///nowhere"),
            transport=MqttSession(
                url="mqtt://127.0.0.1:1", client_id="t", session_expiry=timedelta(0), receive_maximum=8
            ),
            clock=clock,
            health=Health(),
        )
    )
    trees = [SITE_TREE, *(tenant_tree(tenant) for tenant in site.flow.policy.tenants)]
    await ledger.found(SITE)
    epoch = await ledger.claim(SITE, owner="test")
    assert epoch is not None
    await ledger.open_trees(SITE, trees)
    people = [NOBODY, *map(HolderId, BADGES)]
    engine._epoch, engine._flow = epoch, site.flow
    sealer = Sealer(
        SITE, trees={name: Tree.empty() for name in trees}, keys={who: bytes(32) for who in people}
    )
    engine._recorder = Recorder(SITE, epoch=epoch, sealer=sealer, ledger=ledger, health=Health())
    return engine
