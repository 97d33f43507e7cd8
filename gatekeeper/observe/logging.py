"""One line of JSON an event, on stderr: fast, flat, and without anything personal. For a person, a line to read.

Data goes to stdout and talk to stderr, so a pipe never mixes the two. What libraries log, and Python's own warnings, go
the same way in the same form, with the logger that said so; only what matters of it, and nothing that it was called with.
"""

import logging
import sys
from typing import Any

import orjson
import structlog

__all__ = ["configure"]


def configure(*, level: str = "info", pretty: bool = False) -> None:
    """Set logging up once for the process. `pretty` is for a person; only a terminal is given colours."""
    threshold = getattr(logging, level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if pretty else None, utc=True),
    ]
    if pretty:
        factory: object = structlog.PrintLoggerFactory(sys.stderr)
        # Plain: the other formatters show what stood in variables, and a key or a password may.
        render = structlog.dev.ConsoleRenderer(
            timestamp_key="timestamp",
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        )
        final: list[structlog.typing.Processor] = [render]
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
    _configure_libraries(max(threshold, logging.WARNING), [*shared, structlog.stdlib.add_logger_name], final)


def _configure_libraries(
    threshold: int, shared: list[structlog.typing.Processor], final: list[structlog.typing.Processor]
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final, _as_text],
        )
    )
    logging.basicConfig(level=threshold, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def _as_text(_logger: object, _method: str, line: Any) -> str:
    return line.decode() if isinstance(line, bytes) else str(line)
