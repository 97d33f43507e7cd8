"""An OSDP reader at the other end of a pseudo-terminal: libosdp's own peripheral, in a thread of its own."""

import os
import pty
import select
import socket
import threading
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import osdp_sys
from osdp import Capability, Channel, LibFlag, LogLevel, PDCapabilities, PDInfo, PeripheralDevice

__all__ = ["ADDRESS", "Bus", "Cable", "a_bus", "a_cable"]

ADDRESS = 101
_ABLE = (
    (Capability.OutputControl, 1, 1),
    (Capability.LEDControl, 1, 1),
    (Capability.AudibleControl, 1, 1),
    (Capability.CardDataFormat, 1, 1),
)


class _Wire(Channel):
    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def read(self, max_bytes: int) -> bytes:
        try:
            return os.read(self._fd, max_bytes)
        except OSError:
            return b""

    def write(self, buf: bytes) -> int:
        try:
            return os.write(self._fd, buf)
        except OSError:
            return 0

    def flush(self) -> None:
        pass


class SoftReader:
    """One reader that is powered."""

    def __init__(self, fd: int, *, key: bytes | None, flags: Sequence[int], address: int = ADDRESS) -> None:
        self.commands: list[dict[str, Any]] = []
        self._device = PeripheralDevice(
            PDInfo(address, _Wire(fd), scbk=key, flags=list(flags)),
            PDCapabilities(_ABLE),
            log_level=LogLevel.Emergency,
            command_handler=self._take,
        )
        self._device.start()

    def _take(self, command: dict[str, Any]) -> tuple[int, None]:
        self.commands.append(command)
        return 0, None

    def reads(self, bits: str, *, card_format: int = osdp_sys.CARD_FMT_RAW_WIEGAND) -> None:
        data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
        self.tell(osdp_sys.EVENT_CARDREAD, format=card_format, direction=0, length=len(bits), data=data)

    def types(self, keys: bytes) -> None:
        self.tell(osdp_sys.EVENT_KEYPRESS, data=keys)

    def opened(self, *, opened: bool) -> None:
        self.tell(osdp_sys.EVENT_STATUS, type=osdp_sys.STATUS_REPORT_LOCAL, report=bytes([opened, 0]))

    def tell(self, event: int, **details: Any) -> None:
        assert self._device.submit_event({"event": event, "reader_no": 0, **details})

    def power_off(self) -> None:
        self._device.teardown()


class PlainReader:
    """A reader of before 2013, or somebody with two wires and this page: OSDP in the clear.

    53 | address, 80 set in a reply | length, 2 | sequence, 04 for a CRC | command or reply | ... | CRC, 2
    """

    def __init__(self, fd: int, bits: str) -> None:
        self.polled = 0
        size = -(-len(bits) // 8)
        card = int(bits.ljust(size * 8, "0"), 2).to_bytes(size, "big")
        self._raw = b"\x50" + bytes([0, 1]) + len(bits).to_bytes(2, "little") + card
        self._fd = fd
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plain reader")
        self._thread.start()

    def power_off(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        heard = b""
        while not self._stop.wait(0.002):
            try:
                heard += os.read(self._fd, 512)
            except OSError:
                continue
            begin = heard.find(b"\x53")
            heard = heard[begin:] if begin >= 0 else b""
            if len(heard) >= 6 and len(heard) >= (length := int.from_bytes(heard[2:4], "little")):
                packet, heard = heard[:length], heard[length:]
                self._answer(packet)

    def _answer(self, packet: bytes) -> None:
        match packet[5]:
            case 0x61:  # osdp_ID
                reply = b"\x45" + bytes(12)
            case 0x62:  # osdp_CAP: output, card format, lamp, buzzer; no security
                reply = b"\x46" + bytes([2, 1, 1, 3, 1, 1, 4, 1, 1, 5, 1, 1])
            case 0x60:  # osdp_POLL
                self.polled += 1
                reply = self._raw
            case _:
                reply = b"\x40"
        head = bytes([0x53, packet[1] | 0x80]) + (len(reply) + 7).to_bytes(2, "little")
        sent = head + bytes([packet[4] & 3 | 4]) + reply
        os.write(self._fd, sent + _crc(sent).to_bytes(2, "little"))


def _crc(data: bytes) -> int:
    crc = 0x1D0F
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


class Bus:
    """A cable with several readers: each hears what the gate says, and the gate hears each."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        self._cable = Cable()
        self.port = self._cable.port
        self._ends: list[tuple[socket.socket, socket.socket]] = []
        self.readers: dict[int, SoftReader] = {}
        for address, key in keys.items():
            ours, theirs = socket.socketpair()
            os.set_blocking(theirs.fileno(), False)
            self._ends.append((ours, theirs))
            flags = (LibFlag.EnforceSecure,)
            self.readers[address] = SoftReader(theirs.fileno(), key=key, flags=flags, address=address)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus")
        self._thread.start()

    def close(self) -> None:
        for reader in self.readers.values():
            reader.power_off()
        self._stop.set()
        self._thread.join()
        for end in self._ends:
            for side in end:
                side.close()
        self._cable.close()

    def _run(self) -> None:
        far = self._cable.far
        ours = [end[0] for end in self._ends]
        while not self._stop.is_set():
            ready, _, _ = select.select([far, *ours], [], [], 0.05)
            for side in ready:
                if side == far:
                    said = os.read(far, 512)
                    for end in ours:
                        end.sendall(said)
                else:
                    os.write(far, side.recv(512))


class Cable:
    """A pseudo-terminal: the gate opens `port`, readers hang on the other end."""

    def __init__(self) -> None:
        self._far, self._near = pty.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._far, False)
        self.port = os.ttyname(self._near)
        self._powered: list[SoftReader | PlainReader] = []

    def power(self, *, key: bytes | None, flags: Sequence[int] = (LibFlag.EnforceSecure,)) -> SoftReader:
        reader = SoftReader(self._far, key=key, flags=flags)
        self._powered.append(reader)
        return reader

    def power_plain(self, bits: str) -> "PlainReader":
        """A reader that knows no secure channel and shows this card whenever it is polled."""
        reader = PlainReader(self._far, bits)
        self._powered.append(reader)
        return reader

    def power_off(self) -> None:
        while self._powered:
            self._powered.pop().power_off()

    def pull(self) -> None:
        """Pull the adapter out: the port is gone."""
        self.power_off()
        os.close(self._near)
        os.close(self._far)
        self._near = self._far = -1

    @property
    def far(self) -> int:
        """The readers' end."""
        return self._far

    def close(self) -> None:
        self.power_off()
        if self._far >= 0:
            self.pull()


@contextmanager
def a_bus(keys: Mapping[int, bytes]) -> Iterator[Bus]:
    bus = Bus(keys)
    try:
        yield bus
    finally:
        bus.close()


@contextmanager
def a_cable() -> Iterator[Cable]:
    cable = Cable()
    try:
        yield cable
    finally:
        cable.close()
