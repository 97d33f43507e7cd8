"""How a Mosquitto keeps a password: hashed as `mosquitto_passwd` does it."""

import base64
import hashlib
import secrets

__all__ = ["password_hash"]


def password_hash(password: str, *, salt: bytes | None = None, iterations: int = 1000) -> str:
    """Hash a password as `mosquitto_passwd` does: $7$iterations$salt$PBKDF2-SHA512, in base64.

    The broker derives again at each login, in its only thread; these passwords are random and long, so few
    iterations lose nothing.
    """
    salt = secrets.token_bytes(12) if salt is None else salt
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"
