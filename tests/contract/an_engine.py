"""An engine of the vectors' site, to ask for what it writes and publishes."""

from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.observe.health import Health
from gatekeeper.ports import KeyVault, Ledger
from gatekeeper.service.engine import Engine, EngineParts
from gatekeeper.service.engine.intake import Allowance
from tests.contract.vector_site import BEACON_SECRET, SITE, anchor, key_of


def engine(ledger: Ledger, vault: KeyVault, *, transport: Any = None) -> Engine:
    """With the vectors' keys; without a transport it has one that nobody opens."""
    return Engine(
        EngineParts(
            site=SITE,
            owner="test",
            prefix="gk",
            anchor=anchor(),
            decision_key=key_of("decision"),
            log_key=Ed25519PrivateKey.generate(),
            beacon_secret=BEACON_SECRET,
            pin_desk=None,
            allowance=Allowance(),
            ledger=ledger,
            vault=vault,
            transport=transport
            or MqttSession(
                url="mqtt://127.0.0.1:1", client_id="t", session_expiry=timedelta(0), receive_maximum=8
            ),
            clock=SystemClock(),
            health=Health(),
        )
    )
