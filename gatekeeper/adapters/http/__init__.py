"""The service over HTTP: metrics for Prometheus, whether it lives and can decide, and the log for who checks it.

GET /metrics         Prometheus text
GET /health/live     200 while the process runs
GET /health/ready    200 when a scan would be decided now, else 503; which part is missing stands in the body
GET /log/...         the logs of the site, as in C2SP tlog-tiles; see `log`
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from typing_extensions import override

from gatekeeper import __version__
from gatekeeper.adapters.http.connections import ACCEPTED_AT_ONCE, TimelyProtocol, listening
from gatekeeper.adapters.http.enrolment import ShowsCertificate
from gatekeeper.adapters.http.log import log_routes
from gatekeeper.adapters.http.problem import problem
from gatekeeper.observe.health import Health
from gatekeeper.service.publication import Publication

__all__ = ["http_app", "serving"]

_GRACE_SECONDS = 3


def http_app(
    *, health: Health, registry: CollectorRegistry, publication: Publication | None = None
) -> FastAPI:
    """The HTTP side of the service; without a publication there is no log on it."""
    app = FastAPI(title="Gatekeeper", version=__version__, docs_url=None, redoc_url=None)
    if publication is not None:
        app.include_router(log_routes(publication))

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """Say that the process runs."""
        return {"status": "live"}

    @app.get("/health/ready", responses={503: {"description": "Scans would not be decided now."}})
    async def ready() -> Response:
        """Say whether a scan would be decided now, and which part is missing when not."""
        parts = health.document()
        if health.ready:
            return JSONResponse({"status": "ready", **parts})
        missing = ", ".join(name for name, there in parts.items() if not there)
        return problem(503, title="Not ready", detail=f"Missing: {missing}.", further=parts)

    return app


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it is a part of."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: FastAPI, *, host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve an app for the length of a block; gives its URL. Raises OSError when the port is taken."""
    listener = listening(host, port)
    config = uvicorn.Config(
        app,
        http=TimelyProtocol if tls is None else ShowsCertificate,
        backlog=ACCEPTED_AT_ONCE,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    config.load()
    config.ssl = tls
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        yield f"{'http' if tls is None else 'https'}://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
