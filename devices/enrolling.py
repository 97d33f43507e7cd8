"""`gatekeeper-device enrol`: make the gate's two keys here, and ask for its place at the site.

    key.pem  tls-key.pem     made here, never leave
    request.cose             signed by key.pem, names both: its fingerprint is what two people compare
    request.csr              signed by the TLS key; both are for their owner's eyes, and carried by him
    trust.cose  tls.pem      come from the site, and are looked at before they are kept

With --url the request goes to the site's enrolment desk, with the code that an operator gave, and the answer is waited for.
Without it the two request files are carried by hand.
"""

import hashlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from devices.certificate import (
    TLS_KEY,
    CertificateError,
    Request,
    keep_granted,
    key_pem,
    make_request,
    write_secret,
)
from devices.site_desk import DeskAwayError, DeskRefusedError, DeskUrlError, Granted, SiteDesk
from gatekeeper import cose
from gatekeeper.core.enrolment import EnrolmentRequest, fingerprint, read_enrolment
from gatekeeper.core.trust import Anchor
from gatekeeper.model.ids import GateId, SiteId, is_name

__all__ = ["enrol"]

_REFUSED = 1
_LOOK_EVERY_SECONDS = 2.0
_NOT_WAITING = "enrolment-not-waiting"


def enrol(
    site: Annotated[str, typer.Option(help="The site's name.")],
    gate: Annotated[str, typer.Option(help="This gate's name at the site.")],
    out: Annotated[Path, typer.Option(help="The gate's folder, in which the keys are made.")],
    url: Annotated[
        str | None, typer.Option(help="The site's enrolment desk, https://host:port; else by hand.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(help="The site's authority (ca.pem), carried here by hand.")
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="The one-time code; asked for when it is left out, as it should be.")
    ] = None,
) -> None:
    """Make this gate's keys here and ask for its place at the site, which two people grant after comparing the fingerprint."""
    for name in (site, gate):
        if not is_name(name):
            _fail(f"{name!r} is no name: use 1 to 32 of a-z, 0-9 and '-'.")
    desk = None if url is None else _desk(url, authority, out, SiteId(site))
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _own_key(out, keep=desk is not None)
    request = _request(out, SiteId(site), GateId(gate), key)
    if desk is None:
        _say(f"The keys of {gate} are in {out}; they never leave this machine.")
        _say(
            f"Carry {out / 'request.cose'} and {out / 'request.csr'} to the site. There, compare this fingerprint before the "
            "gate is admitted:"
        )
        typer.echo(fingerprint(key.public_der))
        return
    _say("Read this fingerprint out to the two operators, who compare it before they admit this gate:")
    typer.echo(fingerprint(key.public_der))
    granted = _until_granted(desk, request, code)
    try:
        certificate = keep_granted(
            out, request, granted.certificate, granted.trust, site=SiteId(site), now=datetime.now(UTC)
        )
    except CertificateError as error:
        _fail(str(error))
    _say(
        f"{gate} is admitted at {site}. Its certificate lasts until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC and "
        "is renewed while the gate runs with --desk."
    )


def _desk(url: str, authority: Path | None, out: Path, site: SiteId) -> SiteDesk:
    if authority is None:
        _fail(
            "Over the network the site is known by its authority: --authority ca.pem, carried here by hand."
        )
    anchor = out / "anchor.json"
    try:
        if Anchor.from_json(anchor.read_text()).site != site:
            _fail(f"{anchor} is of another site.")
        return SiteDesk(url, authority=authority)
    except DeskUrlError as error:
        _fail(str(error))
    except ValueError:
        _fail(f"{anchor} is no trust anchor: fetch it again, by hand.")
    except OSError as error:
        _fail(
            f"{error.filename or authority} cannot be used: {error.strerror or error}. It is carried here by hand."
        )


def _until_granted(desk: SiteDesk, request: Request, code: str | None) -> Granted:
    """Hand the request in, unless it waits there already, and ask until two people have admitted the gate."""
    digest = hashlib.sha256(request.document).hexdigest()
    try:
        granted = desk.look(request.gate, digest)
    except DeskAwayError as error:
        _fail(str(error))
    except DeskRefusedError as error:
        if error.code != _NOT_WAITING:
            _fail(str(error))
        granted = _handed_in(desk, request, code or typer.prompt("Code", err=True))
    if granted is None:
        _say(
            "It waits until two people have admitted this gate. Stop with Ctrl-C, and go on later with the same command."
        )
    while granted is None:
        time.sleep(_LOOK_EVERY_SECONDS)
        try:
            granted = desk.look(request.gate, digest)
        except DeskAwayError:
            continue
        except DeskRefusedError as error:
            _fail(str(error))
    return granted


def _handed_in(desk: SiteDesk, request: Request, code: str) -> Granted | None:
    try:
        return desk.look(request.gate, desk.ask(request, code))
    except (DeskAwayError, DeskRefusedError) as error:
        _fail(str(error))


def _own_key(out: Path, *, keep: bool) -> cose.SigningKey:
    """The gate's own key: a new one, or the one that waits here for its answer."""
    place = out / "key.pem"
    try:
        if keep and place.exists():
            return cose.SigningKey.from_pem(place.read_bytes())
        key = cose.SigningKey.generate()
        _write_new(place, key.to_pem())
    except cose.KeyRefusedError:
        _fail(f"{place} is no private key of a known form.")
    except FileExistsError:
        _fail(f"{place} exists, and no key is written over another.")
    return key


def _request(out: Path, site: SiteId, gate: GateId, key: cose.SigningKey) -> Request:
    """The request that waits here, or a new one."""
    files = out / "request.cose", out / "request.csr", out / TLS_KEY
    if all(file.exists() for file in files):
        asked = read_enrolment(files[0].read_bytes())
        tls_key = load_pem_private_key(files[2].read_bytes(), password=None)
        same = isinstance(asked, EnrolmentRequest) and (asked.site, asked.gate, asked.record.kid) == (
            site,
            gate,
            key.kid,
        )
        if same and isinstance(tls_key, ec.EllipticCurvePrivateKey):
            return Request(gate=gate, document=files[0].read_bytes(), csr=files[1].read_bytes(), key=tls_key)
    request = make_request(site=site, gate=gate, key=key)
    files[2].unlink(missing_ok=True)
    _write_new(files[2], key_pem(request.key))
    write_secret(files[0], request.document)
    write_secret(files[1], request.csr)
    return request


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _fail(sentence: str) -> NoReturn:
    _say(sentence)
    raise typer.Exit(_REFUSED)
