"""A chip whose lines a test moves: the fake that ships with the port, or the kernel's gpio-sim where it is.

gpio-sim (Linux 5.17 or later, `modprobe gpio-sim` as root) makes a real /dev/gpiochip: configfs describes it, and sysfs pulls
its lines and tells how they are driven.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Protocol

from devices.hardware.fake_chip import FakeChip
from devices.hardware.gpio import RequestLines, kernel_lines

__all__ = ["GPIO_SIM", "Chip", "a_fake_chip", "a_kernel_chip"]

GPIO_SIM = Path("/sys/kernel/config/gpio-sim")
_NAMES = count()


class Chip(Protocol):
    path: str

    @property
    def request_lines(self) -> RequestLines: ...

    def drive(self, line: int, *, high: bool) -> None: ...

    def level(self, line: int) -> bool: ...

    def pulse(self, line: int, *, after_us: int = 1000) -> None: ...


class _KernelChip:
    def __init__(self, path: str, pulls: Path) -> None:
        self.path = path
        self.request_lines = kernel_lines
        self._pulls = pulls

    def drive(self, line: int, *, high: bool) -> None:
        (self._pulls / f"sim_gpio{line}" / "pull").write_text("pull-up" if high else "pull-down")

    def level(self, line: int) -> bool:
        return (self._pulls / f"sim_gpio{line}" / "value").read_text().strip() == "1"

    def pulse(self, line: int, *, after_us: int = 1000) -> None:
        until = time.perf_counter() + after_us / 1e6
        while time.perf_counter() < until:  # a reader's own pace, which the kernel's clock sees
            pass
        self.drive(line, high=False)
        self.drive(line, high=True)


@contextmanager
def a_fake_chip() -> Iterator[FakeChip]:
    yield FakeChip()


@contextmanager
def a_kernel_chip(lines: int = 32) -> Iterator[_KernelChip]:
    device = GPIO_SIM / f"gatekeeper-{next(_NAMES)}"
    bank = device / "bank0"
    device.mkdir()
    try:
        bank.mkdir()
        (bank / "num_lines").write_text(str(lines))
        (device / "live").write_text("1")
        name = (bank / "chip_name").read_text().strip()
        platform = (device / "dev_name").read_text().strip()
        chip = _KernelChip(f"/dev/{name}", Path("/sys/devices/platform") / platform / name)
        for line in range(lines):
            chip.drive(line, high=True)
        yield chip
    finally:
        with suppress(OSError):
            (device / "live").write_text("0")
        with suppress(OSError):
            bank.rmdir()
        device.rmdir()
