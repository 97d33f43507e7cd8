"""A serial port that blocks nobody: bytes out, bytes in, and what went wrong.

It is opened raw, at 8 data bits without parity, and for this process alone. A port that vanishes (an adapter pulled out) says
so in `broken`, and is tried again by `reopen`. Which bytes mean what is not known here.
"""

import fcntl
import os
import termios
from typing import Final

from devices.hardware.ports import HardwareError

__all__ = ["SerialPort"]

_SPEEDS: Final = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
    230400: termios.B230400,
}


class SerialPort:
    """One port; `read`, `write` and `flush` never raise. `id` tells the ports of one program apart."""

    def __init__(self, path: str, *, baud: int) -> None:
        self.id: Final = 0
        self.path: Final = path
        self._baud: Final = baud
        self.broken: OSError | None = None
        self._fd = -1
        try:
            self._open()
        except BlockingIOError as error:
            raise HardwareError(f"{path}: another program has it") from error
        except OSError as error:
            raise HardwareError(f"{path}: {error.strerror or error}") from error

    def read(self, most: int) -> bytes:
        """What has arrived, `most` bytes of it; nothing when nothing has."""
        if self.broken is not None:
            return b""
        try:
            return os.read(self._fd, most)
        except BlockingIOError:
            return b""
        except OSError as error:
            self.broken = error
            return b""

    def write(self, written: bytes) -> int:
        """Send bytes; how many were taken."""
        if self.broken is not None:
            return 0
        try:
            return os.write(self._fd, written)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.broken = error
            return 0

    def flush(self) -> None:
        """Forget what arrived and was not read."""
        if self.broken is None:
            try:
                termios.tcflush(self._fd, termios.TCIFLUSH)
            except (OSError, termios.error) as error:
                self.broken = OSError(str(error))

    def reopen(self) -> bool:
        """Try a broken port again; whether it is there."""
        self.close()
        try:
            self._open()
        except OSError as error:
            self.broken = error
            return False
        self.broken = None
        return True

    def close(self) -> None:
        """Give the port back."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self.broken = OSError("closed")

    def _open(self) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            speed = _SPEEDS[self._baud]
            settings = termios.tcgetattr(fd)
            control = termios.CS8 | termios.CREAD | termios.CLOCAL
            settings[0:6] = [0, 0, control, 0, speed, speed]
            termios.tcsetattr(fd, termios.TCSANOW, settings)
        except (OSError, termios.error) as error:
            os.close(fd)
            raise OSError(*error.args) from error
        self._fd, self.broken = fd, None
