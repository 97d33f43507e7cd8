"""The enrolment desk over HTTPS: for gates, and for nobody else.

POST /enrolment                     {"request", "csr", "code"}   202 {"digest"}: it waits for two people
GET  /enrolment/<gate>/<digest>                                  202 while it waits; 200 {"certificate", "authority", "trust"}
POST /renewal                       {"request", "csr"}           200 the same; the gate's certificate is shown over TLS

`request` and `trust` are base64, `csr`, `certificate` and `authority` PEM. What is refused is a problem (RFC 9457) with a
`code` of schemas/reasons.md. TLS is 1.3; a client's certificate is asked for, and when it comes it must be one of the site's
own authority. What a gate showed reaches the application as the TLS extension of ASGI says (`client_cert_chain`).
"""

import asyncio
import binascii
import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, assert_never

from cryptography import x509
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from typing_extensions import override

from gatekeeper import __version__
from gatekeeper.adapters.http.connections import TimelyProtocol
from gatekeeper.adapters.http.problem import problem
from gatekeeper.core.certificates import CertificateRefusal
from gatekeeper.core.enrolment import EnrolmentRefusal
from gatekeeper.model.ids import GateId, is_name
from gatekeeper.service.identity.desk import Answer, Certified, EnrolmentDesk, Refused, Waits

__all__ = ["ShowsCertificate", "enrolment_app", "enrolment_tls"]

_MAX_BODY: Final = 16_384
_BODY_SECONDS: Final = 10.0
_STATUS: Final[Mapping[EnrolmentRefusal | CertificateRefusal, int]] = {
    EnrolmentRefusal.CODE: 403,
    EnrolmentRefusal.IDENTITY: 403,
    EnrolmentRefusal.NOT_WAITING: 404,
    EnrolmentRefusal.KEY_USED: 409,
    EnrolmentRefusal.KEY_KNOWN: 409,
    EnrolmentRefusal.LATER: 503,
}


def enrolment_app(desk: EnrolmentDesk) -> FastAPI:
    """The HTTP side of a desk."""
    app = FastAPI(
        title="Gatekeeper enrolment", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )

    @app.post("/enrolment")
    async def ask(request: Request) -> Response:
        body = await _fields(request, "request", "csr", "code")
        if body is None:
            return _refused(Refused(code=EnrolmentRefusal.MALFORMED))
        return _answered(
            await desk.ask(document=body["request"], csr=body["csr"], code=body["code"].decode())
        )

    @app.get("/enrolment/{gate}/{digest}")
    async def look(gate: str, digest: str) -> Response:
        if not is_name(gate):
            return _refused(Refused(code=EnrolmentRefusal.NOT_WAITING))
        return _answered(await desk.look(GateId(gate), digest))

    @app.post("/renewal")
    async def renew(request: Request) -> Response:
        body = await _fields(request, "request", "csr")
        if body is None:
            return _refused(Refused(code=EnrolmentRefusal.MALFORMED))
        return _answered(await desk.renew(_shown(request), document=body["request"], csr=body["csr"]))

    return app


def _answered(answer: Answer) -> Response:
    match answer:
        case Certified():
            document = {
                "certificate": answer.certificate.decode(),
                "authority": answer.authority.decode(),
                "trust": b64encode(answer.trust).decode(),
            }
            return JSONResponse(document, headers={"Cache-Control": "no-store"})
        case Waits(digest=digest):
            return JSONResponse({"digest": digest}, status_code=202, headers={"Cache-Control": "no-store"})
        case Refused():
            return _refused(answer)
        case _:
            assert_never(answer)


def _refused(refused: Refused) -> Response:
    later = {"Retry-After": "2"} if refused.code is EnrolmentRefusal.LATER else {}
    return problem(
        _STATUS.get(refused.code, 422),
        title="Not enrolled",
        detail=refused.code.sentence,
        headers=later,
        further={"code": refused.code.value},
    )


async def _fields(request: Request, *wanted: str) -> dict[str, bytes] | None:
    """The body, when it has these fields and no others, each a text: `request` decoded, all else as it is."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > _MAX_BODY:
                    return None
        read = json.loads(bytes(body))
        if not isinstance(read, dict) or read.keys() != set(wanted):
            return None
        return {name: _octets(name, read[name]) for name in wanted}
    except (TimeoutError, ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
        return None


def _octets(name: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(name)
    return b64decode(value, validate=True) if name == "request" else value.encode("ascii")


def _shown(request: Request) -> x509.Certificate | None:
    """The certificate that the client showed, which TLS has verified."""
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
    return x509.load_pem_x509_certificate(chain[0].encode()) if chain else None


# -- TLS ----------------------------------------------------------------------------------------------------------------


def enrolment_tls(*, certificate: Path, authority: Path) -> ssl.SSLContext:
    """TLS for the desk: 1.3, with the desk's own key and certificate in one file, and gates' certificates asked for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(certificate)
    return context


class ShowsCertificate(TimelyProtocol):
    """The server's protocol, which tells the application whose certificate a connection came with."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        plug = transport.get_extra_info("ssl_object")
        shown = plug.getpeercert(binary_form=True) if plug is not None else None
        chain = [ssl.DER_cert_to_PEM_cert(shown)] if shown else []
        app = self.app

        async def with_certificate(scope: Any, receive: Any, send: Any) -> None:
            told = {**scope.get("extensions", {}), "tls": {"client_cert_chain": chain}}
            await app({**scope, "extensions": told}, receive, send)

        self.app = with_certificate
