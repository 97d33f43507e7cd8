"""The site's own certificate authority on disk, what it has issued, and what the broker is given of it.

    ca/key.pem            the authority's key                               its owner's eyes only
    ca/ca.pem             its certificate: carried to the broker, to gates and to the service
    ca/desk.pem           the enrolment desk's own key and certificate      its owner's eyes only
    ca/issued/<serial>.json   {"name", "until", "revoked"?}, one a certificate, before anybody gets it
    ca/keys/<SHA-256>         empty: this TLS key of a gate was certified once, and is kept when its certificate has ended
    broker/crl.pem        the certificates that count no more
    broker/acl            who may say what at the broker; a revoked gate nothing
    broker/device-acl     the same for readers and relays behind bridges, which log in with a password
    broker/device-passwords   their names, and what those passwords are hashed to      its owner's eyes only

A file of ca/issued that nobody can read keeps nobody from anything: the certificate of that number counts no more.

The authority is apart from all else that signs: no trust list names it, no tenant has it, and the message keys of gates
are not its matter. Who may have a certificate is not asked here (see `desk`).
"""

import hashlib
import json
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gatekeeper.core.certificates import (
    OUTWARD,
    SERVICE,
    Authority,
    LeafKey,
    RevokedCertificate,
    account_name,
    authority_certificate,
    integrator_account,
    public_der,
    to_pem,
)
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.service.administration.folder import SiteFolder, SiteFolderError, in_gate
from gatekeeper.service.identity.broker_rights import (
    BridgeRights,
    BridgeUnknownError,
    broker_rights,
    denied_in,
    device_rights,
    gate_of_device,
    read_bridge,
)
from gatekeeper.service.identity.passwords import password_hash

__all__ = [
    "AUTHORITY",
    "BROKER_ACL",
    "BROKER_CRL",
    "DEVICE_ACL",
    "DEVICE_PASSWORDS",
    "SERVER_LIFE",
    "admit_device",
    "certified_until",
    "certify_desk",
    "damaged_files",
    "found_authority",
    "has_authority",
    "is_standing",
    "is_used",
    "issue_to_account",
    "issue_to_gate",
    "issue_to_server",
    "make_tls_key",
    "read_authority",
    "revoke_certificates",
    "write_broker_files",
]

AUTHORITY: Final = "ca/ca.pem"
BROKER_CRL: Final = "broker/crl.pem"
BROKER_ACL: Final = "broker/acl"
DEVICE_ACL: Final = "broker/device-acl"
DEVICE_PASSWORDS: Final = "broker/device-passwords"
SERVER_LIFE: Final = timedelta(days=365)
_KEY: Final = "ca/key.pem"
_ISSUED: Final = "ca/issued"
_KEYS: Final = "ca/keys"
_DESK: Final = "ca/desk.pem"
_PASSWORD_BYTES: Final = 16
_FIRST_YEAR: Final = 1950
_SERIAL: Final = re.compile(r"(?!0{40})[0-7][0-9a-f]{39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issued:
    """A certificate that was made, by what is needed to take it back."""

    serial: int
    name: str
    until: datetime
    revoked: datetime | None


def make_tls_key() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """A new key for TLS, and its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def has_authority(folder: SiteFolder) -> bool:
    """Whether this site has an authority of its own here."""
    return folder.holds(_KEY)


def found_authority(
    folder: SiteFolder, *, site: SiteId, prefix: str, now: datetime, revoked_gates: Collection[GateId] = ()
) -> Authority:
    """Make the site's authority and its empty list of revoked certificates. Raises `SiteFolderError` when there is one."""
    key, pem = make_tls_key()
    certificate = authority_certificate(site, key=key, serial=_serial(), now=now)
    folder.keep_secret(_KEY, pem)
    folder.write(AUTHORITY, to_pem(certificate))
    authority = Authority(site=site, certificate=certificate, key=key)
    write_broker_files(folder, authority, prefix=prefix, revoked_gates=revoked_gates, now=now)
    return authority


def read_authority(folder: SiteFolder) -> Authority:
    """The site's authority. Raises `SiteFolderError` when it is not here, or not whole."""
    if not has_authority(folder):
        raise SiteFolderError(f"{folder.root} holds no certificate authority: gatekeeper ca init makes one.")
    damaged = SiteFolderError(
        f"{folder.root / 'ca'} is damaged: its key and its certificate do not belong together."
    )
    try:
        key = load_pem_private_key(folder.read_secret(_KEY), password=None)
        certificate = x509.load_pem_x509_certificate(folder.read(AUTHORITY))
    except ValueError:
        raise damaged from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise damaged
    return Authority(site=folder.read_anchor().site, certificate=certificate, key=key)


def issue_to_gate(
    folder: SiteFolder, authority: Authority, gate: GateId, key: LeafKey, *, now: datetime, life: timedelta
) -> x509.Certificate:
    """Issue a gate's certificate; it and that its key was used are written down before anybody gets it."""
    folder.write_private(_place_of_key(key), b"")
    return _keep(folder, gate, authority.for_gate(gate, key, serial=_serial(), now=now, life=life), now)


def issue_to_account(
    folder: SiteFolder, authority: Authority, account: str, key: LeafKey, *, now: datetime
) -> x509.Certificate:
    """Issue the certificate with which an account of the site connects to the broker. Raises ValueError for what is none."""
    certificate = authority.for_account(account, key, serial=_serial(), now=now, life=SERVER_LIFE)
    return _keep(folder, account_name(account, authority.site), certificate, now)


def issue_to_server(
    folder: SiteFolder, authority: Authority, hosts: list[str], key: LeafKey, *, now: datetime
) -> x509.Certificate:
    """Issue the certificate of a server by its host names."""
    certificate = authority.for_server(hosts, key, serial=_serial(), now=now, life=SERVER_LIFE)
    # No gate's name has a colon: a gate that is called as a host is keeps that host's certificate out of its own end.
    return _keep(folder, f"server:{hosts[0]}", certificate, now)


def certify_desk(folder: SiteFolder, host: str, *, now: datetime) -> Path:
    """The enrolment desk's own key and certificate, made anew: the file that holds both."""
    key, pem = make_tls_key()
    certificate = issue_to_server(folder, read_authority(folder), [host], key.public_key(), now=now)
    folder.write_private(_DESK, pem + to_pem(certificate))
    return folder.root / _DESK


def is_standing(folder: SiteFolder, serial: int) -> bool:
    """Whether a certificate of this number was made here, and was not taken back."""
    return any(one.serial == serial and one.revoked is None for one in _issued(folder))


def is_used(folder: SiteFolder, key: LeafKey) -> bool:
    """Whether a gate was ever certified here for a TLS key."""
    return folder.holds(_place_of_key(key))


def certified_until(folder: SiteFolder) -> Mapping[str, datetime]:
    """Until when the last certificate of each name counts that was not taken back."""
    found: dict[str, datetime] = {}
    for one in _issued(folder):
        if one.revoked is None:
            found[one.name] = max(one.until, found.get(one.name, one.until))
    return found


def revoke_certificates(folder: SiteFolder, name: str, *, now: datetime) -> int:
    """Take back every certificate that a name has and that has not ended; says how many those are."""
    standing = [
        one for one in _issued(folder) if one.name == name and one.until > now and one.revoked is None
    ]
    for one in standing:
        _write(
            folder, one.serial, {"name": one.name, "until": one.until.isoformat(), "revoked": now.isoformat()}
        )
    return len(standing)


def write_broker_files(
    folder: SiteFolder, authority: Authority, *, prefix: str, revoked_gates: Collection[GateId], now: datetime
) -> tuple[str, ...]:
    """Write what the broker reads anew when it is told to; gives the places of what changed, where that matters to anybody.

    That is who is revoked, by certificate and by name, which integrators there are, and what bridges and their devices reach.
    An account whose certificates were all taken back is revoked too, and in doubt (see `damaged_files`) one that is not known
    to have another.
    """
    read = {file: _read_issued(file) for file in _files(folder)}
    issued = [one for one in read.values() if one is not None]
    damaged = [file for file, one in read.items() if one is None]
    # The list first: what else is read here can be spoiled, and keeps nobody from revoking.
    changed = [BROKER_CRL] if _write_revoked(folder, authority, issued, damaged, now) else []
    counting = [one for one in issued if one.until > now]
    standing = {one.name for one in counting if one.revoked is None}
    accounts = {one.name for one in counting if one.name.endswith(f".{authority.site}")}
    doubted = _doubted(folder, authority.site) if damaged else frozenset()
    bridges = _bridges(folder, prefix=prefix)
    rights = broker_rights(
        authority.site,
        prefix=prefix,
        revoked={*revoked_gates, *((accounts | doubted) - standing)},
        integrators={name for name in accounts & standing if name.startswith(f"{integrator_account()}-")},
        bridges=bridges,
    )
    if _rewrite(folder, BROKER_ACL, rights):
        changed.append(BROKER_ACL)
    devices = device_rights(_logins(folder), revoked_gates=revoked_gates, bridges=bridges)
    if _rewrite(folder, DEVICE_ACL, devices) and folder.holds(DEVICE_PASSWORDS):
        changed.append(DEVICE_ACL)
    return tuple(changed)


def _rewrite(folder: SiteFolder, place: str, text: str) -> bool:
    """Write a text unless it is there; whether it was written."""
    if folder.holds(place) and folder.read(place) == text.encode():
        return False
    folder.write(place, text.encode())
    return True


def _write_revoked(
    folder: SiteFolder,
    authority: Authority,
    issued: Iterable[_Issued],
    damaged: Collection[Path],
    now: datetime,
) -> bool:
    """Write the list of revoked certificates, unless the one that is there names the same; whether it was written."""
    revoked = {one.serial: one.revoked for one in issued if one.revoked is not None and one.until > now}
    listed = _listed(folder)
    if damaged:
        # INVARIANT: what nobody can read counts no more, and while it is there nothing leaves the list.
        doubted = {int(file.stem, 16): now for file in damaged if _SERIAL.fullmatch(file.stem)}
        revoked = {**doubted, **(listed or {}), **revoked}
    if listed is not None and listed.keys() == revoked.keys():
        return False
    entries = [RevokedCertificate(serial=serial, at=at) for serial, at in revoked.items()]
    folder.write(BROKER_CRL, to_pem(authority.revocations(entries, now=now)))
    return True


def _listed(folder: SiteFolder) -> dict[int, datetime] | None:
    """The numbers on the list that is there, and since when; None when there is none, or one that nobody can read."""
    if not folder.holds(BROKER_CRL):
        return None
    try:
        crl = x509.load_pem_x509_crl(folder.read(BROKER_CRL))
        return {one.serial_number: one.revocation_date_utc for one in crl}
    except ValueError:
        return None


def _doubted(folder: SiteFolder, site: SiteId) -> frozenset[str]:
    """The accounts that may have had a certificate of which nobody can read any more: the site's own, and who was denied."""
    own = {account_name(account, site) for account in (SERVICE, OUTWARD, integrator_account())}
    before = folder.read(BROKER_ACL).decode(errors="replace") if folder.holds(BROKER_ACL) else ""
    return frozenset(own | {name for name in denied_in(before) if name.endswith(f".{site}")})


# -- devices that log in with a password -------------------------------------------------------------------------------------


def admit_device(folder: SiteFolder, login: str) -> str:
    """Give a device's login a new password, in the place of the one that it had; the password is kept nowhere."""
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    logins = {**_logins(folder), login: password_hash(password)}
    lines = "".join(f"{name}:{hashed}\n" for name, hashed in sorted(logins.items()))
    folder.write_private(DEVICE_PASSWORDS, lines.encode())
    return password


def _logins(folder: SiteFolder) -> dict[str, str]:
    if not folder.holds(DEVICE_PASSWORDS):
        return {}
    lines = folder.read(DEVICE_PASSWORDS).decode(errors="replace").splitlines()
    logins = (line.partition(":") for line in lines)
    # A spoiled line is no login, and keeps nobody from revoking another's.
    return {
        name: hashed for name, _, hashed in logins if gate_of_device(name) is not None and hashed.isascii()
    }


def _bridges(folder: SiteFolder, *, prefix: str) -> dict[GateId, BridgeRights | None]:
    """What every bridge of the site reaches, by the gate.json in its folder here; None for one that nobody understands."""
    found: dict[GateId, BridgeRights | None] = {}
    for gate in folder.gates():
        try:
            rights = read_bridge(gate, folder.read(in_gate(gate, "gate.json")), prefix=prefix)
        except (BridgeUnknownError, SiteFolderError, OSError):
            # Whoever revokes a gate must not be kept from it by another's file.
            found[gate] = None
        else:
            if rights is not None:
                found[gate] = rights
    return found


# -- what was issued ---------------------------------------------------------------------------------------------------------


def _keep(folder: SiteFolder, name: str, certificate: x509.Certificate, now: datetime) -> x509.Certificate:
    # INVARIANT: a certificate that cannot be taken back is given to nobody.
    for ended in [one for one in _issued(folder) if one.until <= now]:
        (folder.root / _place(ended.serial)).unlink(missing_ok=True)
    until = certificate.not_valid_after_utc.isoformat()
    _write(folder, certificate.serial_number, {"name": name, "until": until})
    return certificate


def damaged_files(folder: SiteFolder) -> tuple[Path, ...]:
    """The files of what was issued that nobody can read: whose certificate it was and whether it was revoked is not known."""
    return tuple(file for file in _files(folder) if _read_issued(file) is None)


def _issued(folder: SiteFolder) -> Iterator[_Issued]:
    for file in _files(folder):
        one = _read_issued(file)
        if one is not None:
            yield one


def _files(folder: SiteFolder) -> list[Path]:
    return sorted((folder.root / _ISSUED).glob("*.json"))


def _read_issued(file: Path) -> _Issued | None:
    """What a file tells of a certificate; None when it is not just as `_write` leaves it: in doubt nothing counts."""
    try:
        written = json.loads(file.read_bytes())
        match written:
            case {"name": str(name), "until": str(until), **more} if more.keys() <= {"revoked"}:
                return _Issued(
                    serial=_read_serial(file.stem),
                    name=_read_name(name),
                    until=_read_time(until),
                    revoked=_read_time(str(more["revoked"])) if more else None,
                )
            case _:
                return None
    except (ValueError, RecursionError, OSError):
        return None


def _read_serial(stem: str) -> int:
    if not _SERIAL.fullmatch(stem):
        raise ValueError(stem)
    return int(stem, 16)


def _read_name(text: str) -> str:
    # It may get a line in the broker's access list.
    if not (text.isascii() and text.isprintable()):
        raise ValueError(text)
    return text


def _read_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    # A list of revoked certificates has no earlier one (RFC 5280, 5.1.2.6).
    if at.utcoffset() != timedelta() or at.year < _FIRST_YEAR:
        raise ValueError(text)
    return at


def _place(serial: int) -> str:
    return f"{_ISSUED}/{serial:040x}.json"


def _place_of_key(key: LeafKey) -> str:
    return f"{_KEYS}/{hashlib.sha256(public_der(key)).hexdigest()}"


def _write(folder: SiteFolder, serial: int, document: dict[str, str]) -> None:
    folder.write_private(_place(serial), json.dumps(document).encode() + b"\n")


def _serial() -> int:
    # RFC 5280, 4.1.2.2: positive, at most twenty octets; this one is never zero and cannot be foretold.
    return (1 << 158) | secrets.randbits(158)
