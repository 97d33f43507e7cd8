"""Whoever stands at the gate and does what is asked: a person at a terminal, or a program.

A program gets one JSON object a line on its standard input and answers each with one on its standard output:

    {"number": 7, "do": "present", "badge": "card", "pin": null, "times": 1, "sentence": "Hold the badge ..."}
    {"number": 7, "done": true}                         or "done": false, when it cannot be done
    {"number": 8, "done": true, "released": false}      what `look` is answered by

    start, restart   the gate; it begins without a memory of the former boot but what it keeps on disk
    present          hold the badge of that name in badges.json to the reader, and type `pin` when it is not null
    open, close      the door
    force            open the door without a badge and close it, `times` times
    cut, restore     the gate's link to the broker
    look             whether the strike was released since the last line

A program that ends or writes anything else cannot do what is left.
"""

import asyncio
import json
import shlex
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Protocol, Self

from typing_extensions import override

from devices.conformance.script import Ask, Do, Reply

__all__ = ["Driver", "DriverError", "Person", "Program"]

_LAST_WORDS: Final = 5.0
_NO: Final = Reply(done=False)
_TO_ANOTHER: Final = Reply(done=False)
_SHOWN: Final = 80
"""So many bytes are shown of what is no answer."""


class Driver(Protocol):
    """Does what is asked. A question that nobody waits for any more is cancelled."""

    async def obey(self, asked: Ask) -> Reply:
        """Do it, and say what came of it."""
        ...


class DriverError(Exception):
    """The program cannot be started; the message says why."""


class Person(Driver):
    """Somebody at a terminal: reads what to do on standard error, and answers with Enter."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._gone = False
        threading.Thread(target=self._read, name="terminal", daemon=True).start()

    @override
    async def obey(self, asked: Ask) -> Reply:
        # What was typed before the question answers another.
        while not self._lines.empty():
            self._gone |= self._lines.get_nowait() is None
        if self._gone:
            return _NO
        how = "y or n, or 'cannot'" if asked.do is Do.LOOK else "Enter when it is done, or 'cannot'"
        sys.stderr.write(f"> {asked.sentence} [{how}] ")
        sys.stderr.flush()
        try:
            line = await self._lines.get()
        except asyncio.CancelledError:
            sys.stderr.write("- noticed.\n")
            raise
        self._gone = line is None
        if line is None or line.strip().lower() == "cannot":
            return _NO
        if asked.do is not Do.LOOK:
            return Reply(done=True)
        word = line.strip().lower()[:1]
        return Reply(done=True, released=word == "y") if word in {"y", "n"} else _NO

    def _read(self) -> None:
        for line in sys.stdin:
            self._tell(line)
        self._tell(None)

    def _tell(self, line: str | None) -> None:
        with suppress(RuntimeError):  # the examination is over, and its loop closed
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


class Program(Driver):
    """A program that does what it reads, for the length of a block. Raises `DriverError` when it cannot be started."""

    def __init__(self, command: str) -> None:
        self._command: Final = command
        self._process: asyncio.subprocess.Process | None = None
        self._number = 0
        self._told = False

    async def __aenter__(self) -> Self:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *shlex.split(self._command), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            raise DriverError(f"The driver cannot be started: {error}.") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    @override
    async def obey(self, asked: Ask) -> Reply:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return _NO
        self._number += 1
        question = {
            "number": self._number,
            "do": asked.do.value,
            "badge": asked.badge,
            "pin": asked.pin,
            "times": asked.times,
            "sentence": asked.sentence,
        }
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            await process.stdin.drain()
        except OSError:
            return _NO
        while line := await process.stdout.readline():
            reply = _reply_in(line, number=self._number)
            if reply is None:
                self._tell(line)
                return _NO
            if reply is not _TO_ANOTHER:
                return reply
        return _NO

    def _tell(self, line: bytes) -> None:
        """Say once of what a program writes beside its answers, for all that it is asked for is then not judged."""
        if not self._told:
            self._told = True
            shown = line[:_SHOWN].decode(errors="replace").strip()
            written = "".join(character if character.isprintable() else "?" for character in shown)
            sys.stderr.write(
                f"The driver wrote what is no answer: {written}\n"
                "Its standard output is for answers alone; what it was asked for counts as not done.\n"
            )


def _reply_in(line: bytes, *, number: int) -> Reply | None:
    """The reply to this question, or `_TO_ANOTHER`; None when it is none."""
    try:
        written: Any = json.loads(line)
    except ValueError:
        return None
    match written:
        case {"number": int(found), "done": bool(done)}:
            released = written.get("released")
            reply = Reply(done=done, released=released if isinstance(released, bool) else None)
            return reply if found == number else _TO_ANOTHER
        case _:
            return None
