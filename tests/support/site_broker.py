"""A real Mosquitto with exactly the configuration of deploy/mosquitto, and the people who knock at its door.

Only what must differ is put in: paths, a loopback port, the site's name. Every certificate is made at test time.
"""

import json
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatekeeper import cose
from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.core.certificates import (
    SERVICE,
    Authority,
    LeafKey,
    RevokedCertificate,
    account_name,
    service_name,
    to_pem,
)
from gatekeeper.core.trust import Anchor
from gatekeeper.embedded.broker import free_port
from gatekeeper.embedded.child import Child, until
from gatekeeper.embedded.ground import private_folder, server_account, settle
from gatekeeper.embedded.mosquitto_program import find_mosquitto, libraries_beside
from gatekeeper.model.ids import GateId, SiteId, TenantId
from gatekeeper.service.administration.folder import SiteFolder, in_gate
from gatekeeper.service.engine.engine import LONGEST_IN
from gatekeeper.service.identity.authority_files import (
    AUTHORITY,
    BROKER_ACL,
    BROKER_CRL,
    DEVICE_ACL,
    DEVICE_PASSWORDS,
    admit_device,
    found_authority,
    issue_to_account,
    issue_to_gate,
    issue_to_server,
    make_tls_key,
    revoke_certificates,
    write_broker_files,
)
from gatekeeper.service.identity.broker_rights import broker_configuration, device_login

__all__ = ["DEPLOYED", "SITE", "Pass", "SiteBroker", "forged_certificate", "site_broker", "start_mosquitto"]

DEPLOYED = Path(__file__).parents[2] / "deploy" / "mosquitto"
SITE = SiteId("assen")
_LIFE = timedelta(hours=1)
_READY = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What somebody shows at the broker's door: files of a certificate and its key, and whom they trust."""

    certificate: Path
    key: Path
    authority: Path

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


class SiteBroker:
    """The broker, and the site's authority behind it."""

    def __init__(
        self, folder: Path, port: int, authority: Authority, child: Child, device_port: int | None = None
    ) -> None:
        self.files = folder
        self.port = port
        self.device_port = device_port
        self.child = child
        self.site = SiteFolder(folder / "site")
        self.authority = authority

    @property
    def url(self) -> str:
        return f"mqtts://127.0.0.1:{self.port}"

    def gate(self, name: str) -> Pass:
        """A gate's pass, as the site issues it."""
        key, pem = make_tls_key()
        certificate = issue_to_gate(
            self.site, self.authority, GateId(name), key.public_key(), now=datetime.now(UTC), life=_LIFE
        )
        return self.passed(name, certificate, pem)

    def account(self, account: str) -> Pass:
        """The pass of one of the site's accounts, as the site issues it."""
        key, pem = make_tls_key()
        certificate = issue_to_account(
            self.site, self.authority, account, key.public_key(), now=datetime.now(UTC)
        )
        return self.passed(account_name(account, self.authority.site), certificate, pem)

    def service(self) -> Pass:
        """The service's pass, as the site issues it."""
        return self.account(SERVICE)

    def passed(self, name: str, certificate: x509.Certificate, key: bytes) -> Pass:
        """A certificate and its key as files."""
        number = len(list(self.files.glob("*.crt")))
        files = Pass(
            certificate=self.files / f"{number}-{name.replace('/', '_')}.crt",
            key=self.files / f"{number}-{name.replace('/', '_')}.key",
            authority=self.site.root / AUTHORITY,
        )
        files.certificate.write_bytes(to_pem(certificate))
        files.key.write_bytes(key)
        return files

    def session(self, *, fresh: bool = False) -> MqttSession:
        """The service's own session, as `gatekeeper serve` makes it."""
        pass_ = self.service()
        return MqttSession(
            url=self.url,
            client_id=service_name(self.authority.site),
            session_expiry=timedelta(0) if fresh else timedelta(days=7),
            receive_maximum=64,
            longest_in=LONGEST_IN,
            ca_file=pass_.authority,
            certificate_file=pass_.certificate,
            key_file=pass_.key,
        )

    async def device(self, gate: str, which: str = "") -> tuple[str, str]:
        """The login of a device of a bridge, as the site gives it, and its password."""
        login = device_login(GateId(gate), which)
        password = admit_device(self.site, login)
        write_broker_files(self.site, self.authority, prefix="gk", revoked_gates=(), now=datetime.now(UTC))
        await self.carry(DEVICE_PASSWORDS, DEVICE_ACL)
        return login, password

    async def revoke(self, name: str) -> None:
        """Take a gate's certificates back, carry the files to the broker, and have it read them."""
        now = datetime.now(UTC)
        assert revoke_certificates(self.site, name, now=now) > 0
        write_broker_files(self.site, self.authority, prefix="gk", revoked_gates=[GateId(name)], now=now)
        await self.carry(BROKER_CRL, BROKER_ACL)

    async def rights_carried(self) -> None:
        """Write who may say what anew, carry it to the broker, and have it read it."""
        write_broker_files(self.site, self.authority, prefix="gk", revoked_gates=(), now=datetime.now(UTC))
        await self.carry(BROKER_CRL, BROKER_ACL)

    async def account_revoked(self, name: str) -> None:
        """Take an account's certificates back, carry the files to the broker, and have it read them."""
        assert revoke_certificates(self.site, name, now=datetime.now(UTC)) > 0
        await self.rights_carried()

    async def revoke_certificate_only(self, name: str) -> None:
        """Take a gate's certificates back, and leave its rights at the broker as they are."""
        now = datetime.now(UTC)
        assert revoke_certificates(self.site, name, now=now) > 0
        write_broker_files(self.site, self.authority, prefix="gk", revoked_gates=(), now=now)
        await self.carry(BROKER_CRL)

    async def revoke_serial(self, serial: int) -> None:
        """Put one certificate on the broker's list, and leave all others."""
        now = datetime.now(UTC)
        listed = self.authority.revocations([RevokedCertificate(serial=serial, at=now)], now=now)
        self.site.write(BROKER_CRL, to_pem(listed))
        await self.carry(BROKER_CRL)

    async def renewed(self) -> x509.Certificate:
        """Give the broker its next key and certificate, in the place of those it has, and have it read them."""
        key, pem = make_tls_key()
        certificate = issue_to_server(
            self.site, self.authority, ["127.0.0.1"], key.public_key(), now=datetime.now(UTC)
        )
        self.site.write("broker/server.pem", pem + to_pem(certificate))
        await self.carry("broker/server.pem")
        return certificate

    async def saved(self) -> None:
        """Wait until the broker has written down what it holds now; it does so once a second."""
        since = self.child.log_end()
        assert await until(
            lambda: self.child.said(since).count("Saving in-memory database") >= 2, within=_READY
        )

    async def crash(self) -> None:
        """Pull the plug (SIGKILL), and start the broker again."""
        await self.child.kill()
        self.child = await _started(self.files)

    async def carry(self, *places: str) -> None:
        """Carry files of the site to the broker, and have it read them."""
        since = self.child.log_end()
        for place in places:
            _carry(self.site.root / place, self.files / Path(place).name)
        self.child.send(signal.SIGHUP)
        assert await until(lambda: "Reloading config" in self.child.said(since), within=_READY)


@asynccontextmanager
async def site_broker(
    folder: Path, anchor: Anchor | None = None, *, bridges: Mapping[str, Mapping[str, Any]] | None = None
) -> AsyncIterator[SiteBroker]:
    """Start a broker with the deployed configuration, for the length of a block; of the anchor's site, else of one made up.

    With `bridges`, by their gates, it listens for devices too.
    """
    account = server_account()
    folder = private_folder(settle(folder, account) / "mosquitto", account)
    now, site = datetime.now(UTC), SiteFolder(folder / "site")
    if anchor is None:
        roots = (cose.SigningKey.generate().public_der,)
        anchor = Anchor(site=SITE, host=TenantId("host"), threshold=1, roots=roots)
    site.write("anchor.json", anchor.to_json().encode())
    for gate, bridge in (bridges or {}).items():
        site.write(in_gate(GateId(gate), "gate.json"), json.dumps({"bridge": bridge}).encode())
    authority = found_authority(site, site=anchor.site, prefix="gk", now=now)
    key, pem = make_tls_key()
    certificate = issue_to_server(site, authority, ["127.0.0.1"], key.public_key(), now=now)
    (folder / "server.pem").write_bytes(pem + to_pem(certificate))
    for place in (AUTHORITY, BROKER_CRL, BROKER_ACL):
        _carry(site.root / place, folder / Path(place).name)
    port, device_port = free_port(), None
    deployed = (DEPLOYED / "mosquitto.conf").read_bytes()
    if bridges:
        device_port = free_port(other_than=port)
        deployed = broker_configuration(devices=(ip_address("127.0.0.1"), device_port))
        _carry(site.root / DEVICE_ACL, folder / Path(DEVICE_ACL).name)
        (folder / Path(DEVICE_PASSWORDS).name).touch()
    (folder / "mosquitto.conf").write_text(_filled_in(folder, port, deployed.decode()))
    for file in ("server.pem", "mosquitto.conf"):
        shutil.chown(folder / file, account.uid, account.gid)
    broker = SiteBroker(folder, port, authority, await _started(folder), device_port)
    try:
        yield broker
    finally:
        await broker.child.stop()


async def _started(folder: Path) -> Child:
    program = await find_mosquitto(None, unpack_to=folder)
    child = Child(
        [str(program), "-c", str(folder / "mosquitto.conf")],
        account=server_account(),
        log_file=folder / "mosquitto.log",
        environment=libraries_beside(program),
    )
    try:
        await child.ready(partial(_runs, child), within=_READY)
    except BaseException:
        await child.kill()
        raise
    return child


@asynccontextmanager
async def start_mosquitto(folder: Path, port: int) -> AsyncIterator[Child]:
    """Run the broker on the files that `gatekeeper ca broker` wrote, for the length of a block."""
    _put_in_place(folder, port)
    child = await _started(folder)
    try:
        yield child
    finally:
        await child.stop()


def _put_in_place(folder: Path, port: int) -> None:
    account, configuration = server_account(), folder / "mosquitto.conf"
    configuration.write_text(_filled_in(folder, port, configuration.read_text()))
    for file in (folder, *folder.iterdir()):
        shutil.chown(file, account.uid, account.gid)


def _filled_in(folder: Path, port: int, text: str) -> str:
    """The deployed configuration with this test's paths and port; nothing else is changed, and all of it was there."""
    for deployed, here in (
        ("listener 8883\n", f"listener {port} 127.0.0.1\n"),
        ("/etc/mosquitto/gatekeeper/", f"{folder}/"),
        ("/var/lib/mosquitto/", f"{folder}/"),
    ):
        assert deployed in text
        text = text.replace(deployed, here)
    return text


def _carry(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    shutil.chown(target, server_account().uid, server_account().gid)


def _runs(child: Child) -> bool:
    return "running" in child.said()


def forged_certificate(
    signer: Authority | tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    names: Sequence[str],
    key: LeafKey,
    *,
    authority: bool = False,
    server: bool = False,
) -> x509.Certificate:
    """A certificate that the site's authority would never make, signed by whoever has a key to sign it."""
    issuer, signing = (signer.certificate, signer.key) if isinstance(signer, Authority) else signer
    now = datetime.now(UTC)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .sign(signing, SHA256())
    )
