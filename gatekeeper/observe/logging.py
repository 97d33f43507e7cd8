"""One line of JSON an event, on stderr: fast, flat, and without anything personal.

Data goes to stdout and talk to stderr, so a pipe never mixes the two. Stock logging of libraries goes the same way.
"""

import logging
import sys

import orjson
import structlog

__all__ = ["configure"]


def configure(*, level: str = "info", pretty: bool = False) -> None:
    """Set logging up once for the process. `pretty` is for a person at a terminal."""
    threshold = getattr(logging, level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt=None, utc=True),
    ]
    if pretty:
        factory: object = structlog.PrintLoggerFactory(sys.stderr)
        final: list[structlog.typing.Processor] = [structlog.dev.ConsoleRenderer(timestamp_key="timestamp")]
    else:
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
        final = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str)),
        ]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=factory,  # type: ignore[arg-type]  # two factories, one protocol
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), stream=sys.stderr, force=True)
