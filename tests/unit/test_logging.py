"""Logging: one line of JSON an event, on stderr, and nothing else anywhere."""

import json
import logging
import re
import secrets
import warnings
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
    logging.captureWarnings(capture=False)


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


@pytest.mark.parametrize(
    "value",
    [b"\xff\x00", datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, object()],
    ids=lambda value: type(value).__name__,
)
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


def test_a_line_for_a_person_has_a_time_to_read_and_in_a_file_no_colours(capsys: pytest.CaptureFixture[str]):
    configure(pretty=True)
    structlog.get_logger("door").warning("alarm", gate="front")
    line = capsys.readouterr().err
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \[warning", line)
    assert "\x1b" not in line


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


def test_libraries_that_log_speak_in_lines_of_json_too_and_only_when_it_matters(
    capsys: pytest.CaptureFixture[str],
):
    configure()
    before = datetime.now(UTC).timestamp()
    logging.getLogger("asyncio").info("a detail of a library")
    logging.getLogger("asyncio").error("a library's fault: %s\nover two lines", "at the door")
    (line,) = _lines(capsys)
    assert before <= line.pop("timestamp") <= datetime.now(UTC).timestamp()
    assert line == {
        "event": "a library's fault: at the door\nover two lines",
        "level": "error",
        "logger": "asyncio",
    }


def test_what_a_library_tells_beside_its_sentence_is_not_passed_on(capsys: pytest.CaptureFixture[str]):
    """A record carries what it was called with; none of that is ours to spread."""
    configure()
    logging.getLogger("library").warning("it failed", extra={"holder": "Wim Visser"})
    assert "Wim" not in json.dumps(_lines(capsys))


def test_an_exception_that_a_library_logs_is_part_of_its_line(capsys: pytest.CaptureFixture[str]):
    configure()
    try:
        int("broken")
    except ValueError:
        logging.getLogger("library").exception("it broke")
    (line,) = _lines(capsys)
    assert line["event"] == "it broke"
    assert "ValueError: invalid literal" in line["exception"]


def test_a_warning_of_python_is_a_line_of_json_as_well(capsys: pytest.CaptureFixture[str]):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        configure()
        warnings.warn("it will end badly", RuntimeWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = _lines(capsys)
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "RuntimeWarning: it will end badly" in line["event"]


def test_libraries_speak_to_a_person_as_everything_else_does(capsys: pytest.CaptureFixture[str]):
    configure(pretty=True)
    logging.getLogger("library").warning("a library's doubt")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "a library's doubt" in captured.err
    assert not captured.err.startswith("{")


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


@pytest.mark.parametrize("form", [{"pretty": True}, {"pretty": False}], ids=["for a person", "for a program"])
def test_what_stood_in_variables_when_something_broke_is_not_said(
    form: dict[str, bool], capsys: pytest.CaptureFixture[str]
):
    configure(**form)
    password = secrets.token_hex()
    for log in (structlog.get_logger(), logging.getLogger("library")):
        try:
            int(f"broken {len(password)}")
        except ValueError:
            log.exception("it broke")
    said = capsys.readouterr().err
    assert said.count("invalid literal") == 2
    assert password not in said
