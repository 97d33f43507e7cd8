"""The certificate with which a gate opens the broker's door: how it is asked for, and what the site's own authority signs.

    gate      CN <gate>              SAN URI spiffe://<site>/gate/<gate>     client only
    account   CN <account>.<site>    SAN URI spiffe://<site>/<account>       client only
    server    CN <first host>        SAN the hosts                           server only: the broker, the enrolment desk

An account is `service`, `outward` (who tells of the site), `integrator`, or `integrator-<which>` of whom there may be several.

A certificate says who may connect, and nothing else: what a gate says counts by its message key, which the trust list
names. So the two keys are apart, and whoever has only this one can drop and delay, never forge. The authority signs leaves
only (path length 0), for names that this module spells itself: of a request it takes the public key and nothing more
(X.509 as profiled by RFC 5280; one URI and no other name, as SPIFFE's X.509-SVID has it).

Keys are not kept here, serial numbers are not drawn here, and nobody is asked whether the gate may have one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatekeeper.model.ids import GateId, SiteId, is_name

__all__ = [
    "AUTHORITY_LIFE",
    "MAX_REQUEST_BYTES",
    "OUTWARD",
    "SERVICE",
    "Authority",
    "CertificateRefusal",
    "CertificateRefused",
    "LeafKey",
    "RevokedCertificate",
    "account_name",
    "authority_certificate",
    "gate_of",
    "hosts_of",
    "integrator_account",
    "public_der",
    "read_certificate_request",
    "renewal_due",
    "request_certificate",
    "service_name",
    "to_pem",
]

SERVICE: Final = "service"
OUTWARD: Final = "outward"
AUTHORITY_LIFE: Final = timedelta(days=3650)
MAX_REQUEST_BYTES: Final = 4096
_CLOCKS_APART: Final = timedelta(minutes=5)
_RENEWED_AT: Final = (2, 3)
_LONGEST_NAME: Final = 64
"""Of a common name (RFC 5280, ub-common-name)."""
_INTEGRATOR: Final = "integrator"
_ACCOUNT: Final = re.compile(rf"{SERVICE}|{OUTWARD}|{_INTEGRATOR}(-[a-z0-9-]{{1,32}})?")

LeafKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class CertificateRefusal(StrEnum):
    """Why no certificate is made of a request."""

    MALFORMED = "certificate-malformed"
    PROOF = "certificate-proof"
    NAME = "certificate-name"
    EXTRAS = "certificate-extras"
    KEY = "certificate-key"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    CertificateRefusal.MALFORMED: "The bytes are not one certificate request (PKCS #10, PEM) of at most 4,096 bytes.",
    CertificateRefusal.PROOF: "The certificate request is not signed with the key that it names.",
    CertificateRefusal.NAME: "The subject of the certificate request is not the gate's name, once, and nothing else.",
    CertificateRefusal.EXTRAS: "The certificate request asks for more than a name: leave extensions and attributes out.",
    CertificateRefusal.KEY: "The key of the certificate request is none of P-256, P-384 and Ed25519.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRefused:
    """A request that no certificate is made of."""

    code: CertificateRefusal
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedCertificate:
    """A certificate that counts no more, and since when."""

    serial: int
    at: datetime


def account_name(account: str, site: SiteId) -> str:
    """The name of one of a site's accounts at the broker; it has a dot, which no gate's name has. Raises ValueError."""
    name = f"{account}.{site}"
    if not _ACCOUNT.fullmatch(account) or len(name) > _LONGEST_NAME:
        raise ValueError(f"{name!r} is no account at the broker, or longer than {_LONGEST_NAME} characters")
    return name


def service_name(site: SiteId) -> str:
    """The name of a site's service at the broker."""
    return account_name(SERVICE, site)


def integrator_account(which: str = "") -> str:
    """The account of who reads what is told outward; of several each has a name. Raises ValueError."""
    if which and not is_name(which):
        raise ValueError(f"{which!r} is no name for an integrator: 1 to 32 of a-z, 0-9 and '-'")
    return f"{_INTEGRATOR}-{which}" if which else _INTEGRATOR


def to_pem(
    document: x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList,
) -> bytes:
    """The text form that TLS programs read."""
    return document.public_bytes(Encoding.PEM)


def public_der(key: LeafKey) -> bytes:
    """A public key as SubjectPublicKeyInfo, in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# -- asking -------------------------------------------------------------------------------------------------------------


def request_certificate(gate: GateId, *, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Ask for a gate's certificate (PKCS #10 in PEM): its name and its key, and nothing else."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_common_name(gate))
    return to_pem(builder.sign(key, SHA256()))


def read_certificate_request(document: bytes, *, gate: GateId) -> LeafKey | CertificateRefused:
    """The key that a gate wants certified, or why it is not.

    INVARIANT: nothing of a request but its key gets into a certificate; a request that says more is refused whole.
    """
    if len(document) > MAX_REQUEST_BYTES:
        return CertificateRefused(code=CertificateRefusal.MALFORMED, detail=f"{len(document)} bytes")
    try:
        request = x509.load_pem_x509_csr(document)
        key, subject, asked = (
            request.public_key(),
            request.subject,
            len(request.extensions) + len(request.attributes),
        )
        proven = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature, x509.DuplicateExtension) as error:
        return CertificateRefused(code=CertificateRefusal.MALFORMED, detail=str(error)[:200])
    if not proven:
        return CertificateRefused(code=CertificateRefusal.PROOF)
    if not is_name(gate) or subject != _common_name(gate):
        return CertificateRefused(code=CertificateRefusal.NAME, detail=subject.rfc4514_string()[:200])
    if asked:
        return CertificateRefused(code=CertificateRefusal.EXTRAS)
    match key:
        case ed25519.Ed25519PublicKey() | ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            return key
        case _:
            return CertificateRefused(code=CertificateRefusal.KEY)


# -- the authority ------------------------------------------------------------------------------------------------------


def authority_certificate(
    site: SiteId, *, key: ec.EllipticCurvePrivateKey, serial: int, now: datetime
) -> x509.Certificate:
    """The authority of a site, which vouches for itself: it signs leaves and lists of revoked ones, and no other authority."""
    name = _common_name(f"Gatekeeper authority of {site}")
    return (
        _builder(name, name, serial, since=now - _CLOCKS_APART, until=now + AUTHORITY_LIFE)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(leaf=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A site's own authority, with its key. It is no tenant's, and signs for nobody but this site."""

    site: SiteId
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def for_gate(
        self, gate: GateId, key: LeafKey, *, serial: int, now: datetime, life: timedelta
    ) -> x509.Certificate:
        """A gate's certificate. Raises ValueError for a name that no gate has."""
        if not is_name(gate):
            raise ValueError(f"{gate!r} is no gate's name")
        names = [x509.UniformResourceIdentifier(f"spiffe://{self.site}/gate/{gate}")]
        return self._leaf(gate, names, key, _CLIENT, serial=serial, now=now, life=life)

    def for_account(
        self, account: str, key: LeafKey, *, serial: int, now: datetime, life: timedelta
    ) -> x509.Certificate:
        """The certificate with which an account of the site connects to the broker. Raises ValueError for what is none."""
        name = account_name(account, self.site)
        names = [x509.UniformResourceIdentifier(f"spiffe://{self.site}/{account}")]
        return self._leaf(name, names, key, _CLIENT, serial=serial, now=now, life=life)

    def for_server(
        self, hosts: Sequence[str], key: LeafKey, *, serial: int, now: datetime, life: timedelta
    ) -> x509.Certificate:
        """The certificate of a server that goes by these names or addresses: the broker's, or the enrolment desk's."""
        return self._leaf(
            hosts[0], [_host(host) for host in hosts], key, _SERVER, serial=serial, now=now, life=life
        )

    def revocations(
        self, revoked: Iterable[RevokedCertificate], *, now: datetime
    ) -> x509.CertificateRevocationList:
        """The list of certificates that count no more.

        It is put beside the broker by hand or by a unit, never fetched: a date on which it ends would guard against nobody,
        and would lock every gate out. So it ends with the authority.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - _CLOCKS_APART)
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(one.at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, SHA256())

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Whether this authority made a certificate."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def _leaf(
        self,
        name: str,
        names: Sequence[x509.GeneralName],
        key: LeafKey,
        purpose: x509.ObjectIdentifier,
        *,
        serial: int,
        now: datetime,
        life: timedelta,
    ) -> x509.Certificate:
        until = min(now + life, self.certificate.not_valid_after_utc)
        return (
            _builder(
                _common_name(name), self.certificate.subject, serial, since=now - _CLOCKS_APART, until=until
            )
            .public_key(key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(leaf=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, SHA256())
        )


_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def gate_of(certificate: x509.Certificate, *, site: SiteId) -> GateId | None:
    """Whose certificate it is, when it is a gate's of this site. That the authority signed it is for TLS to have checked."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if len(names) == 1 else ""
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    # INVARIANT: one identity, said twice: what a server reads as the name is what the site certified.
    said = [one.value for one in others if isinstance(one, x509.UniformResourceIdentifier)]
    if not is_name(name) or len(list(others)) != 1 or said != [f"spiffe://{site}/gate/{name}"]:
        return None
    return GateId(name)


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """The names and addresses of the server that a certificate is for; none when it is no server's."""
    extensions = certificate.extensions
    try:
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        others = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in others] if _SERVER in purposes else []


def renewal_due(certificate: x509.Certificate) -> datetime:
    """When a gate asks for the next one: at two thirds of this one's life."""
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    part, of = _RENEWED_AT
    return since + (until - since) * part / of


def _builder(
    name: x509.Name, issuer: x509.Name, serial: int, *, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .serial_number(serial)
        .not_valid_before(since.astimezone(UTC))
        .not_valid_after(until.astimezone(UTC))
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, leaf: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=leaf,
        key_cert_sign=not leaf,
        crl_sign=not leaf,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
