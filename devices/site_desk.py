"""The site's enrolment desk, as a gate reaches it: HTTPS, TLS 1.3, the site's own authority and no other.

It asks once and does not wait; who calls says when to ask again. What comes is bytes, not believed here.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from devices.certificate import Request
from gatekeeper.model.ids import GateId

__all__ = ["DeskAwayError", "DeskRefusedError", "DeskUrlError", "Granted", "SiteDesk"]

_SECONDS: Final = 15.0
_LONGEST: Final = 20_000_000
_DONE, _WAITS, _LATER = 200, 202, 503


class DeskUrlError(ValueError):
    """The desk's URL cannot be used; the message says what to write instead."""


class DeskAwayError(Exception):
    """The desk cannot be reached, or says that it is to be asked again later."""


class DeskRefusedError(Exception):
    """The desk says no; `code` is one of schemas/reasons.md."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"The site refuses: {code}. {sentence}")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the desk gave: a certificate (PEM) and the trust list in force."""

    certificate: bytes
    trust: bytes


class SiteDesk:
    """One site's desk at `https://host[:port]`. Raises `DeskUrlError` for another URL, OSError for the authority's file."""

    def __init__(self, url: str, *, authority: Path) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.path.strip("/"):
            raise DeskUrlError("The desk's URL is https://host[:port], and nothing behind it.")
        self._host, self._port = parts.hostname, parts.port or 443
        self._authority = authority
        self._tls()

    def ask(self, request: Request, code: str) -> str:
        """Hand a request in with a code; by what is given it is asked after."""
        body = {**_body(request), "code": code}
        return str(self._call("POST", "/enrolment", body).get("digest", ""))

    def look(self, gate: GateId, digest: str) -> Granted | None:
        """What has become of a request; None while it waits."""
        return self._granted(self._call("GET", f"/enrolment/{gate}/{digest}", None))

    def renew(self, request: Request, *, shown: Path) -> Granted:
        """Ask for the next certificate with the one in a file."""
        granted = self._granted(self._call("POST", "/renewal", _body(request), shown=shown))
        if granted is None:
            raise DeskAwayError("The desk gave no certificate.")
        return granted

    def _tls(self, shown: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if shown is not None:
            context.load_cert_chain(shown)
        return context

    def _call(
        self, method: str, path: str, body: Mapping[str, str] | None, *, shown: Path | None = None
    ) -> Mapping[str, Any]:
        link = http.client.HTTPSConnection(self._host, self._port, timeout=_SECONDS, context=self._tls(shown))
        try:
            content = None if body is None else json.dumps(body)
            link.request(method, path, content, {"Content-Type": "application/json"})
            answer = link.getresponse()
            document = json.loads(answer.read(_LONGEST))
        except ssl.SSLCertVerificationError as error:
            raise DeskRefusedError(
                "tls", f"Its certificate is not the site's own: {error.verify_message}."
            ) from error
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            raise DeskAwayError(f"https://{self._host}:{self._port} gives no answer: {error}.") from error
        finally:
            link.close()
        if not isinstance(document, dict):
            raise self._nonsense()
        if answer.status in {_DONE, _WAITS}:
            return document
        if answer.status == _LATER:
            raise DeskAwayError("The desk is busy, or no engine runs the site.")
        raise DeskRefusedError(str(document.get("code", answer.status)), str(document.get("detail", "")))

    def _granted(self, document: Mapping[str, Any]) -> Granted | None:
        """What was given; None when nothing was. Raises `DeskAwayError` when it cannot be read."""
        match document:
            case {"certificate": str(certificate), "trust": str(trust)}:
                try:
                    return Granted(
                        certificate=certificate.encode(), trust=base64.b64decode(trust, validate=True)
                    )
                except ValueError as error:
                    raise self._nonsense() from error
            case _:
                return None

    def _nonsense(self) -> DeskAwayError:
        return DeskAwayError(f"https://{self._host}:{self._port} gives an answer that is none.")


def _body(request: Request) -> dict[str, str]:
    return {"request": base64.b64encode(request.document).decode(), "csr": request.csr.decode()}
