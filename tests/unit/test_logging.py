"""Logging: one line of JSON an event, on stderr, and nothing else anywhere."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from gatekeeper.observe.logging import configure


@pytest.fixture(autouse=True)
def _root_logger_of_its_own() -> Iterator[None]:
    """`configure` sets the process's stock logging up; a test leaves none of that to the next."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was said on stderr, line by line; nothing may have been said on stdout."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_one_line_of_json_with_when_and_how_grave(capsys: pytest.CaptureFixture[str]):
    configure()
    before = datetime.now(UTC).timestamp()
    structlog.get_logger().warning("broker link", site="fort", up=False, seq=7)
    (line,) = _lines(capsys)
    at = line.pop("timestamp")
    assert before <= at <= datetime.now(UTC).timestamp()
    assert line == {"event": "broker link", "level": "warning", "site": "fort", "up": False, "seq": 7}


def test_what_stands_in_a_value_never_makes_a_second_line(capsys: pytest.CaptureFixture[str]):
    """Else who chooses a topic could write log lines of their own."""
    configure()
    topic = 'gk/\n{"event":"scan","verdict":"granted"}\r\n\x1b[2J'
    structlog.get_logger().info("refused", topic=topic)
    (line,) = _lines(capsys)
    assert line["topic"] == topic


@pytest.mark.parametrize("value", [b"\xff\x00", datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, object()], ids=repr)
def test_a_value_that_json_does_not_know_is_written_all_the_same(
    value: object, capsys: pytest.CaptureFixture[str]
):
    configure()
    structlog.get_logger().info("odd", value=value)
    assert len(_lines(capsys)) == 1


def test_an_exception_is_part_of_its_line(capsys: pytest.CaptureFixture[str]):
    configure()
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("it broke")
    (line,) = _lines(capsys)
    assert "ValueError: invalid literal" in line["exception"]


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]):
    configure(level="warning")
    structlog.get_logger().info("a detail")
    structlog.get_logger().error("a fault")
    assert [line["event"] for line in _lines(capsys)] == ["a fault"]


def test_what_is_bound_to_the_context_stands_in_every_line(capsys: pytest.CaptureFixture[str]):
    configure()
    with structlog.contextvars.bound_contextvars(site="fort"):
        structlog.get_logger().info("one")
    structlog.get_logger().info("two")
    assert [line.get("site") for line in _lines(capsys)] == ["fort", None]


def test_libraries_that_log_speak_on_stderr_too_and_only_when_it_matters(capsys: pytest.CaptureFixture[str]):
    configure()
    logging.getLogger("asyncio").info("a detail of a library")
    logging.getLogger("asyncio").error("a library's fault")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "a library's fault" in captured.err
    assert "a detail" not in captured.err


def test_setting_logging_up_twice_does_not_say_things_twice(capsys: pytest.CaptureFixture[str]):
    configure()
    configure(level="debug")
    structlog.get_logger().debug("once")
    logging.getLogger("library").error("also once")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_person_at_a_terminal_gets_lines_to_read(capsys: pytest.CaptureFixture[str]):
    configure(pretty=True)
    structlog.get_logger().warning("broker link", up=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "broker link" in captured.err
    assert not captured.err.startswith("{")
