"""The throw-away site of an examination, on disk: made once, kept, so that a gate need not be set up anew for every run.

    request.cose   the foreign gate's enrolment request           brought by its maker
    anchor.json    where its trust begins                         for the gate
    trust.cose     the trust list with the gate in it             for the gate
    badges.json    {"card": {"technology", "number"}, "bearer": {"token"}, "keyed": {"token", "private_key"}}, in hexadecimal
                                                                  for whoever presents them
    keys/          the site's own keys                            for nobody's eyes
    report.json, report.txt                                       what was found

These keys guard nothing but the examination: a gate that believes this site must believe it nowhere else.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from devices.conformance.site import BEARER, CARD, KEY_NAMES, KEYED, anchor_of, badges_of, trust_of
from gatekeeper import cose
from gatekeeper.core.enrolment import EnrolmentRefused, EnrolmentRequest, read_enrolment
from gatekeeper.core.trust import Trust, read_trust
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.model.messages import ByCard, ByToken, Credential

__all__ = ["ExaminationFolder", "FolderError", "RequestRefusedError"]

REQUEST, ANCHOR, TRUST, BADGES, KEYS = "request.cose", "anchor.json", "trust.cose", "badges.json", "keys"
_CARD_BYTES: Final = 4


class FolderError(Exception):
    """The folder cannot be used; the message says what to do."""


class RequestRefusedError(Exception):
    """The enrolment request is not one of this gate; the message says why."""


class ExaminationFolder:
    """A folder with its keys and anchor; they are made when they are not there."""

    def __init__(self, path: Path, *, site: SiteId) -> None:
        self.path: Final = path
        self.site: Final = site
        try:
            (path / KEYS).mkdir(mode=0o700, parents=True, exist_ok=True)
            self.keys: Final[Mapping[str, cose.SigningKey]] = {name: self._key(name) for name in KEY_NAMES}
            (path / ANCHOR).write_text(anchor_of(site, self.keys).to_json())
        except OSError as error:
            raise FolderError(f"{path} cannot be written: {error.strerror}.") from error
        except cose.KeyRefusedError as error:
            raise FolderError(
                f"{path / KEYS} holds a key that cannot be used: use another folder."
            ) from error

    @property
    def request_path(self) -> Path:
        """Where the enrolment request is looked for."""
        return self.path / REQUEST

    def request_of(self, gate: GateId, document: bytes) -> EnrolmentRequest:
        """Believe the request of this gate. Raises `RequestRefusedError`."""
        request = read_enrolment(document)
        if isinstance(request, EnrolmentRefused):
            raise RequestRefusedError(f"{request.code}: {request.code.sentence}")
        if (request.site, request.gate) != (self.site, gate):
            raise RequestRefusedError(
                f"it is of {request.gate} at {request.site}, not of {gate} at {self.site}"
            )
        return request

    def admit(self, request: EnrolmentRequest, *, at: datetime) -> bool:
        """Have the trust list name the gate's key; whether it is a new list, which the gate must be given."""
        path = self.path / TRUST
        if path.exists():
            held = read_trust(path.read_bytes(), anchor=anchor_of(self.site, self.keys), not_below=0)
            listed = held.gates.get(request.record.kid) if isinstance(held, Trust) else None
            if listed is not None and listed.owner == request.gate:
                return False
        path.write_bytes(trust_of(request, self.keys, issued=at))
        return True

    def badges(self, *, at: datetime) -> Mapping[str, Credential]:
        """The badges to present; made when they are not there."""
        path = self.path / BADGES
        if path.exists():
            return _badges_in(path)
        number = hashlib.sha256(self.keys["badge"].kid).digest()[:_CARD_BYTES]
        badges = badges_of(self.site, self.keys, issued=at, number=number)
        _write_secret(path, _badges_out(badges, self.keys["badge"]))
        return badges

    def _key(self, name: str) -> cose.SigningKey:
        path = self.path / KEYS / f"{name}.pem"
        if path.exists():
            return cose.SigningKey.from_pem(path.read_bytes())
        algorithm = cose.Algorithm.ED25519 if name == "log" else cose.Algorithm.ESP256
        key = cose.SigningKey.generate(algorithm)
        _write_secret(path, key.to_pem())
        return key


def _badges_out(badges: Mapping[str, Credential], key: cose.SigningKey) -> bytes:
    written: dict[str, dict[str, str]] = {}
    for name, credential in badges.items():
        match credential:
            case ByCard(card):
                written[name] = {"technology": card.technology.name.lower(), "number": card.number.hex()}
            case ByToken(token):
                written[name] = {"token": token.hex()}
            case _:
                raise TypeError("a badge is presented as a card or as a token")
    written[KEYED]["private_key"] = key.to_pem().decode()
    return json.dumps(written, indent=1).encode() + b"\n"


def _badges_in(path: Path) -> Mapping[str, Credential]:
    try:
        written: dict[str, Any] = json.loads(path.read_bytes())
        card = Card(
            CardTechnology[written[CARD]["technology"].upper()], bytes.fromhex(written[CARD]["number"])
        )
        tokens = {name: ByToken(bytes.fromhex(written[name]["token"])) for name in (BEARER, KEYED)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderError(f"{path} is not what was written there: remove it, and run this again.") from error
    return {CARD: ByCard(card), **tokens}


def _write_secret(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
