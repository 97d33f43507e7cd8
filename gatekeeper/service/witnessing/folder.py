"""A witness' name and keys on disk.

    witness.json            its name
    keys/ed25519.pem        what it cosigns with
    keys/ml-dsa-44.pem      likewise, against quantum computers; may be missing
    witness.sqlite          what it remembers: never to be restored from a backup, see below

INVARIANT: who puts an older `witness.sqlite` in place lets the witness cosign again what it had gone beyond. A witness
that lost its memory gets a new name and new keys, and a place in a new policy.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.transparency import Cosigner, MlDsaCosigner, is_key_name

__all__ = ["WitnessFolder", "WitnessFolderError"]

_NAME: Final = "witness.json"
_ED25519: Final = "keys/ed25519.pem"
_ML_DSA: Final = "keys/ml-dsa-44.pem"
_STORE: Final = "witness.sqlite"
_LONGEST_NAME: Final = 255


class WitnessFolderError(Exception):
    """A folder that is none of a witness; the message says what to do."""


class WitnessFolder:
    """The folder of one witness."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = SiteFolder(root)

    @property
    def store(self) -> Path:
        """Where the witness remembers."""
        return self.root / _STORE

    def make(self, name: str, *, post_quantum: bool) -> None:
        """Make a new witness here. Raises WitnessFolderError when the name is none, or there is a witness already."""
        if not is_key_name(name) or len(name.encode()) > _LONGEST_NAME:
            raise WitnessFolderError(
                "A witness is named like a URL without its scheme, such as witness.example.org/gate: "
                "no spaces, no plus signs, 255 bytes at most."
            )
        if self._files.holds(_NAME):
            raise WitnessFolderError(
                f"{self.root} holds a witness already: its name and keys stay as they are."
            )
        # The name comes last: an init that was interrupted goes on with the keys that it made.
        if not self._files.holds(_ED25519):
            self._files.keep_secret(_ED25519, _pem(Ed25519PrivateKey.generate()))
        if post_quantum and not self._files.holds(_ML_DSA):
            self._files.keep_secret(_ML_DSA, _pem(MLDSA44PrivateKey.generate()))
        self._files.write(_NAME, json.dumps({"name": name}).encode() + b"\n")

    def cosigners(self) -> Sequence[Cosigner | MlDsaCosigner]:
        """What the witness cosigns with. Raises WitnessFolderError and SiteFolderError."""
        if not self._files.holds(_NAME):
            raise WitnessFolderError(
                f"{self.root} holds no witness yet: gatekeeper witness init --name NAME."
            )
        name = self._name()
        cosigners: list[Cosigner | MlDsaCosigner] = [Cosigner(name=name, private_key=self._ed25519())]
        if self._files.holds(_ML_DSA):
            cosigners.append(MlDsaCosigner(name=name, private_key=self._ml_dsa()))
        return cosigners

    def _name(self) -> str:
        try:
            return str(json.loads(self._files.read(_NAME))["name"])
        except (ValueError, KeyError, TypeError):
            raise WitnessFolderError(f"{self.root / _NAME} does not tell the name of the witness.") from None

    def _ed25519(self) -> Ed25519PrivateKey:
        key = self._key(_ED25519)
        if not isinstance(key, Ed25519PrivateKey):
            raise WitnessFolderError(f"{self.root / _ED25519} is no private key of Ed25519.")
        return key

    def _ml_dsa(self) -> MLDSA44PrivateKey:
        key = self._key(_ML_DSA)
        if not isinstance(key, MLDSA44PrivateKey):
            raise WitnessFolderError(f"{self.root / _ML_DSA} is no private key of ML-DSA-44.")
        return key

    def _key(self, place: str) -> object:
        try:
            return load_pem_private_key(self._files.read_secret(place), password=None)
        except ValueError:
            return None


def _pem(key: Ed25519PrivateKey | MLDSA44PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
