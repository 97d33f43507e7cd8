"""The logs of a site over HTTP, as in C2SP tlog-tiles: checkpoints, tiles, and entry bundles where they are published.

GET /log/<origin>/checkpoint                       text/plain, kept by nobody
GET /log/<origin>/tile/<level>/<index>[.p/<width>]     application/octet-stream, never changes
GET /log/<origin>/tile/entries/<index>[.p/<width>]     application/octet-stream, kept for a week

404 for what is not there, not yet there or not published; 503 when there is too much to answer, or no database.
"""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from gatekeeper.adapters.http.problem import problem
from gatekeeper.ports import LedgerUnavailableError
from gatekeeper.service.publication import Publication, Published, Resource, Unpublished

__all__ = ["log_routes"]

_TEXT, _BYTES = "text/plain; charset=utf-8", "application/octet-stream"
_FORMS: Mapping[Resource, tuple[str, str]] = {
    Resource.CHECKPOINT: (_TEXT, "no-cache"),
    Resource.TILE: (_BYTES, "public, max-age=31536000, immutable"),
    # It never changes either, but what is dropped when its time is over must not stay with others for a year.
    Resource.BUNDLE: (_BYTES, "public, max-age=604800, immutable"),
}
"""Of each kind: what it is, and how long it may be kept."""


def log_routes(publication: Publication) -> APIRouter:
    """The routes below /log."""
    routes = APIRouter()

    @routes.api_route("/log/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def log(path: str, request: Request) -> Response:
        if b"%" in request.scope["raw_path"]:  # a second spelling of a path that has one
            return _answer(Unpublished.NOT_THERE)
        try:
            return _answer(await publication.at(path))
        except LedgerUnavailableError:
            return _later("The database does not answer.")

    return routes


def _answer(found: Published | Unpublished) -> Response:
    match found:
        case Published(resource=resource, content=content):
            form, kept = _FORMS[resource]
            headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
            return Response(content, media_type=form, headers=headers)
        case Unpublished.NOT_THERE:
            return problem(404, title="Not there", detail="Nothing is published here, or not yet.")
        case Unpublished.BUSY:
            return _later("Too many ask at once.")


def _later(why: str) -> Response:
    return problem(503, title="Not now", detail=why, headers={"Retry-After": "1"})
