"""Logs of the gate's program: one line an event on stderr, for a terminal or for a machine.

No credential, token, proof or password is ever given to a logger; nothing here would take it out again.
"""

import logging
import sys

import structlog

__all__ = ["log_to_stderr"]


def log_to_stderr(*, level: int = logging.INFO) -> None:
    """Send all logs of this process to stderr: coloured at a terminal, JSON elsewhere."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
