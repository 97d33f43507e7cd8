"""A time-stamping authority of the test's own: keys and certificates made at test time, replies by `openssl ts`, over real HTTP."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "made_authority", "served_authority"]

_CONFIGURATION = """\
[ tsa ]
default_tsa = its
[ its ]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


@dataclass
class Authority:
    """An authority's keys, and what it answers."""

    folder: Path
    root: x509.Certificate
    url: str = ""
    queries: list[bytes] = field(default_factory=list)
    answers: Callable[[bytes], tuple[int, bytes]] | None = None
    """Status and bytes, in the place of what is right."""

    @property
    def roots(self) -> Path:
        return self.folder / "root.pem"

    def reply(self, query: bytes) -> bytes:
        """What it says to a query."""
        (self.folder / "query.tsq").write_bytes(query)
        command = [
            "openssl",
            "ts",
            "-reply",
            "-queryfile",
            "query.tsq",
            "-out",
            "reply.tsr",
            "-config",
            "ts.cnf",
        ]
        command += ["-signer", "signer.pem", "-inkey", "signer.key"]
        subprocess.run(command, check=True, cwd=self.folder, capture_output=True)
        return (self.folder / "reply.tsr").read_bytes()


def made_authority(folder: Path, *, for_stamping: bool = True) -> Authority:
    """Make a root, and a signer that it certifies for time stamping, or for something else."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine: no authority can be played without it")
    root_key, signer_key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    root = _certificate("root", root_key, issuer="root", by=root_key, use=None)
    use = ExtendedKeyUsageOID.TIME_STAMPING if for_stamping else ExtendedKeyUsageOID.CODE_SIGNING
    signer = _certificate("signer", signer_key, issuer="root", by=root_key, use=use)
    folder.mkdir(exist_ok=True)
    (folder / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (folder / "signer.pem").write_bytes(signer.public_bytes(Encoding.PEM))
    (folder / "signer.key").write_bytes(
        signer_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (folder / "serial").write_text("01\n")
    (folder / "ts.cnf").write_text(_CONFIGURATION.format(folder=folder))
    return Authority(folder, root)


def _certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    *,
    issuer: str,
    by: EllipticCurvePrivateKey,
    use: x509.ObjectIdentifier | None,
) -> x509.Certificate:
    def named(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{common} of a test")])

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=use is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if use is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=True)
    return builder.sign(by, SHA256())


@contextmanager
def served_authority(folder: Path) -> Iterator[Authority]:
    """An authority that answers over HTTP for the length of a block."""
    authority = made_authority(folder)

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            authority.queries.append(query)
            right = authority.answers is None
            status, reply = (200, authority.reply(query)) if right else authority.answers(query)
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        authority.url = f"http://127.0.0.1:{server.server_port}/tsa"
        thread = threading.Thread(target=server.serve_forever, name="tsa")
        thread.start()
        try:
            yield authority
        finally:
            server.shutdown()
            thread.join()
