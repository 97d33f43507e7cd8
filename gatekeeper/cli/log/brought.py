"""What who verifies brings along: keys, a policy of witnesses, root certificates, checkpoints from elsewhere, and a memory.

Nothing of the server is imported here, so that an auditor installs no server.
"""

import os
from datetime import datetime
from errno import ENOENT
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from gatekeeper.service.auditor import CannotCheckError
from gatekeeper.service.auditor.stamping import CheckStamp
from gatekeeper.service.auditor.timestamps import TimestampRefusal, TimestampRefused, verify_timestamp
from gatekeeper.transparency import Policy, Refused, parse_policy

__all__ = ["memory_at_home", "read_policy", "read_roots"]


def memory_at_home() -> Path:
    """The folder in which what was seen of logs is remembered, unless another is named. Raises OSError without a home."""
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        place = Path(state) if state else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise FileNotFoundError(ENOENT, "there is no home to remember in: --memory or --no-memory") from error
    return place / "gatekeeper" / "checkpoints"


def read_policy(file: Path) -> Policy:
    """Read a policy (C2SP tlog-policy). Raises CannotCheckError, or OSError when it cannot be read."""
    policy = parse_policy(file.read_bytes())
    if isinstance(policy, Refused):
        where = f" ({policy.detail})" if policy.detail else ""
        raise CannotCheckError(f"{file} is no policy: {policy.code.sentence}{where}")
    return policy


def read_roots(file: Path) -> CheckStamp:
    """What checks time stamps of the authorities below these root certificates.

    Raises CannotCheckError, also when it checks and cannot, or OSError when the file cannot be read.
    """
    try:
        roots = load_pem_x509_certificates(file.read_bytes())
    except ValueError as error:
        raise CannotCheckError(f"{file} holds no certificates (PEM).") from error

    def stamp(text: bytes, reply: bytes) -> datetime | str:
        found = verify_timestamp(reply, text, roots=roots)
        if not isinstance(found, TimestampRefused):
            return found
        if found.code is TimestampRefusal.UNCHECKED:
            raise CannotCheckError(found.code.sentence)
        return found.code.sentence

    return stamp
