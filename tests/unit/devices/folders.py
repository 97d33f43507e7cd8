"""A gate's folder on disk, as the ceremony of a site leaves it."""

import json
from pathlib import Path
from typing import Any

from gatekeeper import cose
from gatekeeper.model.ids import GateId
from tests.unit.devices.ground import GATE, IN, OUT, SITE, Service

__all__ = ["gate_file", "gate_folder"]

PASSWORD = "made at test time"


def gate_file(gate: GateId = GATE, **changes: Any) -> dict[str, Any]:
    written = {
        "site": SITE,
        "gate": gate,
        "prefix": "gk",
        "access_points": [{"id": IN, "direction": "in"}, {"id": OUT, "direction": "out"}],
    }
    return {name: value for name, value in (written | changes).items() if value is not None}


def gate_folder(
    folder: Path, service: Service, key: cose.SigningKey, written: dict[str, Any] | None = None
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "gate.json").write_text(json.dumps(written or gate_file()))
    (folder / "anchor.json").write_text(service.anchor.to_json())
    (folder / "trust.cose").write_bytes(service.trust_document)
    for name, secret in (("key.pem", key.to_pem()), ("broker-password", f"{PASSWORD}\n".encode())):
        (folder / name).write_bytes(secret)
        (folder / name).chmod(0o600)
    return folder
