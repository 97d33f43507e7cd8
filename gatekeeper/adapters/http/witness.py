"""A witness over HTTP, as in C2SP tlog-witness.

POST /add-checkpoint     200 cosignature lines; 400, 403, 404, 409, 422 as `gatekeeper.transparency.witness` draws them
GET /health/live         200 while the process runs
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from gatekeeper import __version__
from gatekeeper.ports import WitnessStoreError
from gatekeeper.service.witnessing import Cosigned, Witness
from gatekeeper.transparency import MAX_REQUEST_BYTES, Rejected

__all__ = ["witness_app"]

_SIZE = "text/x.tlog.size"
_BODY_SECONDS = 10.0


def witness_app(witness: Witness) -> FastAPI:
    """The HTTP side of a witness."""
    app = FastAPI(title="Gatekeeper witness", version=__version__, docs_url=None, redoc_url=None)

    @app.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        """Cosign a checkpoint that goes on from the latest one of its log."""
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _bounded(request.stream())
            answer = await witness.add_checkpoint(body)
        except TimeoutError:
            return PlainTextResponse("The request did not come in time.\n", status_code=408)
        except WitnessStoreError:
            return PlainTextResponse("The witness cannot read its memory.\n", status_code=503)
        return _answered(answer)

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """Say that the process runs."""
        return {"status": "live"}

    return app


async def _bounded(stream: AsyncIterator[bytes]) -> bytes:
    """A body, or as much of it as shows that it is too long."""
    body = bytearray()
    async for piece in stream:
        body += piece
        if len(body) > MAX_REQUEST_BYTES:
            break
    return bytes(body)


def _answered(answer: Cosigned | Rejected) -> Response:
    match answer:
        case Cosigned(lines=lines):
            return PlainTextResponse(lines)
        case Rejected(known_size=int() as size):
            # As the specification spells it: a media type would have a charset added.
            return Response(f"{size}\n", status_code=answer.status, headers={"content-type": _SIZE})
        case Rejected():
            return PlainTextResponse(f"{answer.code}: {answer.code.sentence}\n", status_code=answer.status)
