"""`gatekeeper-device enrol`: make the gate's two keys here, and ask for its place at the site.

    key.pem  tls-key.pem     made here, never leave
    request.cose             signed by key.pem, names both: its fingerprint is what two people compare
    request.csr              signed by the TLS key; both are for their owner's eyes, and carried by him
    trust.cose  tls.pem      come from the site, and are looked at before they are kept

    gate.json   anchor.json  ca.pem     carried here by hand from `gatekeeper gate enroll GATE --out FOLDER`: what this gate is,
                                        where trust begins, and by what the desk and the broker are known

With --url the request goes to the site's enrolment desk, with the code that an operator gave, and the answer is waited for.
Without it the two request files are carried by hand. A folder that is another gate's is refused either way.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

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
    read_certificate,
    write_secret,
)
from devices.settings import ANCHOR, GATE, KEY, TLS
from devices.site_desk import DeskAwayError, DeskRefusedError, DeskUrlError, Granted, SiteDesk
from gatekeeper import cose
from gatekeeper.core.certificates import gate_of
from gatekeeper.core.enrolment import EnrolmentRefusal, EnrolmentRequest, fingerprint, read_enrolment
from gatekeeper.core.trust import Anchor
from gatekeeper.model.ids import GateId, SiteId, is_name

__all__ = ["enrol"]

REQUEST, AUTHORITY = "request.cose", "ca.pem"
_WRITES = "at the site, gatekeeper gate enroll GATE --out FOLDER writes what is carried here"
_REFUSED = 1
_LOOK_EVERY_SECONDS = 2.0
_NOT_WAITING = "enrolment-not-waiting"


def enrol(
    out: Annotated[
        Path,
        typer.Option(help="The gate's folder, with what was carried there by hand; the keys are made in it."),
    ],
    site: Annotated[
        str | None, typer.Option(help="The site's name; else gate.json in the folder says it.")
    ] = None,
    gate: Annotated[
        str | None, typer.Option(help="This gate's name at the site; else gate.json in the folder says it.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The site's enrolment desk, https://host:port; else by hand.")
    ] = None,
    authority: Annotated[
        Path | None,
        typer.Option(help="The site's authority, carried here by hand; else ca.pem in the folder."),
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="The one-time code; asked for when it is left out, as it should be.")
    ] = None,
) -> None:
    """Make this gate's keys here and ask for its place at the site, which two people grant after comparing the fingerprint."""
    own = _who(out, site, gate)
    desk = None if url is None else _desk(url, authority or out / AUTHORITY, out, own)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _own_key(out, keep=desk is not None)
    request = _request(out, own, key)
    if desk is None:
        _say(f"The keys of {own.gate} are in {out}; they never leave this machine.")
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
            out, request, granted.certificate, granted.trust, site=own.site, now=datetime.now(UTC)
        )
    except CertificateError as error:
        _fail(str(error))
    _say(
        f"{own.gate} is admitted at {own.site}. Its certificate lasts until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC "
        "and is renewed while the gate runs with --desk."
    )


# -- whose folder it is ---------------------------------------------------------------------------------------------------


class _Own(NamedTuple):
    """Which gate of which site this is."""

    site: SiteId
    gate: GateId


def _who(out: Path, site: str | None, gate: str | None) -> _Own:
    """Who asks: as it is named, and as the folder says. Ends when these are two, or nobody says it."""
    for name in (site, gate):
        if name is not None and not is_name(name):
            _fail(f"{name!r} is no name: use 1 to 32 of a-z, 0-9 and '-'.")
    written = _written(out / GATE)
    own_site, own_gate = site or (written and written.site), gate or (written and written.gate)
    if own_site is None or own_gate is None:
        _fail(f"Say --site and --gate, or carry {GATE} into {out}: {_WRITES}.")
    own = _Own(SiteId(own_site), GateId(own_gate))
    try:
        _must_be_own(out, own, written)
    except OSError as error:
        _fail(f"{error.filename} cannot be used: {error.strerror or error}.")
    return own


def _must_be_own(out: Path, own: _Own, written: _Own | None) -> None:
    """INVARIANT: no key asks in another's name: not for another gate, nor at another site, than what lies in its folder is of."""
    if written is not None:
        _must_be(out / GATE, written, own)
    anchor = out / ANCHOR
    if anchor.exists() and (of := _site_of(anchor)) != own.site:
        _refuse(EnrolmentRefusal.OTHER_SITE, f"{anchor} is of {of}, and this is to be of {own.site}")
    asked = _asked(out)
    if asked is not None:
        _must_be(out / REQUEST, _Own(asked.site, asked.gate), own)
    if (out / TLS).exists():
        with suppress(CertificateError):  # one that is spoiled is replaced
            certificate = read_certificate(out / TLS)
            if gate_of(certificate, site=own.site) != own.gate:
                _refuse(
                    EnrolmentRefusal.OTHER_GATE,
                    f"{out / TLS} is of another gate than {own.gate} at {own.site}",
                )


def _must_be(file: Path, found: _Own, own: _Own) -> None:
    if found.site != own.site:
        _refuse(EnrolmentRefusal.OTHER_SITE, f"{file} is of {found.site}, and this is to be of {own.site}")
    if found.gate != own.gate:
        _refuse(EnrolmentRefusal.OTHER_GATE, f"{file} is of {found.gate}, and this is to be {own.gate}")


def _written(file: Path) -> _Own | None:
    """Whom gate.json names; None where there is none."""
    try:
        match json.loads(file.read_bytes()):
            case {"site": str(site), "gate": str(gate)} if is_name(site) and is_name(gate):
                return _Own(SiteId(site), GateId(gate))
            case _:
                _fail(f"{file} names no site and gate: {_WRITES}.")
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        _fail(f"{file} is no JSON: {_WRITES}.")
    except OSError as error:
        _fail(f"{file} cannot be used: {error.strerror or error}.")


def _site_of(anchor: Path) -> SiteId:
    try:
        return Anchor.from_json(anchor.read_text()).site
    except ValueError:
        _fail(f"{anchor} is no trust anchor: fetch it again, by hand.")


def _asked(out: Path) -> EnrolmentRequest | None:
    """What the key in this folder has asked for before."""
    key, request = out / KEY, out / REQUEST
    if not (key.exists() and request.exists()):
        return None
    asked = read_enrolment(request.read_bytes())
    try:
        own = cose.SigningKey.from_pem(key.read_bytes())
    except cose.KeyRefusedError:
        _fail(f"{key} is no private key of a known form.")
    return asked if isinstance(asked, EnrolmentRequest) and asked.record.kid == own.kid else None


# -- the desk --------------------------------------------------------------------------------------------------------------


def _desk(url: str, authority: Path, out: Path, own: _Own) -> SiteDesk:
    missing = [file for file in (out / GATE, out / ANCHOR, authority) if not file.exists()]
    if missing:
        _fail(
            f"{', '.join(map(str, missing))} {'is' if len(missing) == 1 else 'are'} not here. Trust begins with what is carried here "
            f"by hand: {_WRITES.replace('GATE', own.gate)}."
        )
    try:
        return SiteDesk(url, authority=authority)
    except DeskUrlError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or authority} cannot be used: {error.strerror or error}.")


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
    place = out / KEY
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


def _request(out: Path, own: _Own, key: cose.SigningKey) -> Request:
    """The request that waits here, or a new one."""
    site, gate = own
    files = out / REQUEST, out / "request.csr", out / TLS_KEY
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


def _refuse(code: EnrolmentRefusal, why: str) -> NoReturn:
    _fail(f"Refused: {code}. {code.sentence.removesuffix('.')} ({why}).")


def _fail(sentence: str) -> NoReturn:
    _say(sentence)
    raise typer.Exit(_REFUSED)
