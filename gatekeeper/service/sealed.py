"""Sealing what is personal and stays: under the person's own key, and bound to what it is and whose.

    sealed = nonce 12 || AES-256-GCM(the person's key, nonce, plaintext, aad)      aad = purpose 00 site 00 holder

Whoever has no key reads nothing, and whoever destroys the key has forgotten all of it, in every backup. A name is filled
up before it is sealed, so that its length tells nothing of it.
"""

import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatekeeper.model.ids import HolderId, SiteId

__all__ = ["open_name", "open_names", "seal", "seal_name", "unseal"]

_NONCE_BYTES: Final = 12
_NAME: Final = "gatekeeper-name-v1"
_FILLED_UP_TO: Final = 64


def seal(plaintext: bytes, *, purpose: str, key: bytes, site: SiteId, holder: HolderId) -> bytes:
    """Seal something of a person under their key."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, _bound_to(purpose, site, holder))


def unseal(sealed: bytes, *, purpose: str, key: bytes, site: SiteId, holder: HolderId) -> bytes | None:
    """Open what was sealed so; None when it was altered, is another person's, or something else of theirs."""
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, _bound_to(purpose, site, holder))
    except (InvalidTag, ValueError):
        return None


def _bound_to(purpose: str, site: SiteId, holder: HolderId) -> bytes:
    return f"{purpose}\0{site}\0{holder}".encode()


# -- names --------------------------------------------------------------------------------------------------------------


def seal_name(name: str, *, key: bytes, site: SiteId, holder: HolderId) -> bytes:
    """Seal a name; no name is no bytes."""
    text = name.encode()
    filled = text + bytes(-len(text) % _FILLED_UP_TO)
    return seal(filled, purpose=_NAME, key=key, site=site, holder=holder) if text else b""


def open_name(sealed: bytes, *, key: bytes | None, site: SiteId, holder: HolderId) -> str:
    """Open a name; nothing where there is none, and of who was forgotten."""
    if key is None or not sealed:
        return ""
    filled = unseal(sealed, purpose=_NAME, key=key, site=site, holder=holder)
    return "" if filled is None else filled.rstrip(b"\0").decode(errors="replace")


def open_names(
    sealed: Mapping[HolderId, bytes], *, keys: Mapping[HolderId, bytes], site: SiteId
) -> dict[HolderId, str]:
    """Open names; who has none, or was forgotten, is not among them."""
    opened = {
        holder: open_name(name, key=keys.get(holder), site=site, holder=holder)
        for holder, name in sealed.items()
    }
    return {holder: name for holder, name in opened.items() if name}
