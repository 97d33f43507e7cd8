"""The gate's key and certificate for the broker, on disk, and what is asked for with them.

    tls.pem       key and certificate in one file, so that both are replaced at once     its owner's eyes only
    tls-key.pem   the key while its first certificate is waited for                      its owner's eyes only

It is not the key that the gate signs with (key.pem): who has only this one can connect as the gate, and say nothing that
counts. Nothing is sent here.
"""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from devices.settings import TLS
from gatekeeper import cose
from gatekeeper.core.certificates import gate_of, public_der, request_certificate
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.core.trust import Anchor, Trust, TrustRefused, read_trust
from gatekeeper.model.ids import GateId, SiteId

__all__ = [
    "TLS_KEY",
    "CertificateError",
    "Request",
    "keep_granted",
    "key_pem",
    "make_request",
    "owner_of",
    "read_certificate",
    "write_secret",
]

TLS_KEY: Final = "tls-key.pem"


class CertificateError(Exception):
    """What came from the site, or lies here, is not this gate's certificate; the message says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a gate asks for a certificate with: both keys say that they are its own."""

    gate: GateId
    document: bytes
    csr: bytes
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def make_request(
    *, site: SiteId, gate: GateId, key: cose.SigningKey, tls_key: ec.EllipticCurvePrivateKey | None = None
) -> Request:
    """Ask for a certificate for a TLS key, or for a new one; the gate's own key says that it is its."""
    own = tls_key or ec.generate_private_key(ec.SECP256R1())
    document = enrolment_request(site=site, gate=gate, key=key, tls=public_der(own.public_key()))
    return Request(gate=gate, document=document, csr=request_certificate(gate, key=own), key=own)


def read_certificate(file: Path) -> x509.Certificate:
    """The certificate in a gate's `tls.pem`. Raises `CertificateError` when there is none that fits the key beside it."""
    try:
        content = file.read_bytes()
        certificate = x509.load_pem_x509_certificate(content)
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{file} does not hold a key and its certificate.") from error
    if certificate.public_key() != key.public_key():
        raise CertificateError(f"{file} holds a certificate of another key.")
    return certificate


def owner_of(file: Path, *, site: SiteId) -> GateId | None:
    """Whose certificate is in a `tls.pem`: a gate's of this site, or None. Raises as `read_certificate` does."""
    return gate_of(read_certificate(file), site=site)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as it is written."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def keep_granted(
    folder: Path, request: Request, certificate: bytes, trust: bytes, *, site: SiteId, now: datetime
) -> x509.Certificate:
    """Put a certificate that came, with its key, in the place of the former, and the trust list beside it.

    INVARIANT: what is there works until what takes its place is whole on the disk and this gate's: certificate, key and
    trust list are looked at first. Raises `CertificateError` when one is not what it must be.
    """
    try:
        granted = x509.load_pem_x509_certificate(certificate)
        is_own = granted.public_key() == request.key.public_key()
        is_own = is_own and gate_of(granted, site=site) == request.gate
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError("The site sent bytes that are no certificate.") from error
    if not is_own:
        raise CertificateError("The site sent a certificate of another gate, or of another key.")
    if not granted.not_valid_before_utc <= now < granted.not_valid_after_utc:
        raise CertificateError(
            "The site sent a certificate that does not count now: is this gate's clock right?"
        )
    _must_list(folder, request, trust, site)
    write_secret(folder / TLS, key_pem(request.key) + certificate)
    _write(folder / "trust.cose", trust, mode=0o644)
    (folder / TLS_KEY).unlink(missing_ok=True)
    return granted


def _must_list(folder: Path, request: Request, document: bytes, site: SiteId) -> None:
    try:
        anchor = Anchor.from_json((folder / "anchor.json").read_text())
        held = folder / "trust.cose"
        own = read_trust(held.read_bytes(), anchor=anchor, not_below=0) if held.exists() else None
    except ValueError as error:
        raise CertificateError(
            f"{folder / 'anchor.json'} is no trust anchor: fetch it again, by hand."
        ) from error
    not_below = own.version if isinstance(own, Trust) else 0
    trust = read_trust(document, anchor=anchor, not_below=not_below)
    if isinstance(trust, TrustRefused):
        raise CertificateError(f"The site sent a trust list that is not believed. {trust.code.sentence}")
    if trust.site != site or not any(key.owner == request.gate for key in trust.gates.values()):
        raise CertificateError("The site sent a trust list without this gate.")


def write_secret(path: Path, content: bytes) -> None:
    """Write or replace whole a file for its owner's eyes only."""
    _write(path, content, mode=0o600)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
