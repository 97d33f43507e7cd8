"""What `hardware` of an access point in gate.json says, read strictly: "simulated" (see `by_hand`), or an object of these pieces.

    reader           {"kind": "wiegand", "chip", "d0", "d1", "formats"?, "bias"?}
                     {"kind": "osdp", "port", "baud"?, "address", "key_file", "formats"?, "install"?}
                     {"kind": "pcsc", "name"}
    strike           {"kind": "gpio", a line, "fail": "secure" | "safe"}
                     {"kind": "osdp", "output"}                                   an output of the reader itself
    contact, request_to_exit, tamper, fire                                        a line
    lamps            {"green"?, "red"?, "buzzer"?}, each a line                   an OSDP reader has its own

    a line           {"chip", "line", "active_low"?, "bias"?, "debounce_ms"?}

README.md beside this file says what each is for. What is not said has no meaning: an unknown name is refused, and so is a
line, or an address on a bus, that stands twice in one gate. Nothing is opened here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias

from devices.hardware.wiegand_format import FORMATS, WiegandFormat, format_named, overlapping
from gatekeeper.model.ids import AccessPointId

__all__ = [
    "MARK",
    "Fail",
    "Hardware",
    "HardwareSettingsError",
    "LampSettings",
    "LineSettings",
    "LineStrike",
    "OsdpSettings",
    "OutputStrike",
    "PcscSettings",
    "PointHardware",
    "Pull",
    "ReaderSettings",
    "SimulatedHardware",
    "StrikeSettings",
    "WiegandSettings",
    "read_hardware",
    "refuse_twice",
]

_CARDS: Final = ("26", "34", "37")
_OR_SIMULATED: Final = ', or "simulated"'
_BAUDS: Final = (9600, 19200, 38400, 57600, 115200, 230400)
_MOST_ADDRESS: Final = 126
_MOST_LINE: Final = 1023
_MOST_DEBOUNCE: Final = 5000
_DEBOUNCE: Final = 50
_SCBK_BYTES: Final = 16
_SCBK_DEFAULT: Final = bytes(range(0x30, 0x40))
"""The key that every OSDP reader leaves the factory with: everybody has it."""


class HardwareSettingsError(ValueError):
    """What is written of the hardware cannot be; the message is a sentence that says what may."""


class Fail(StrEnum):
    """What a strike does without power: `secure` holds the door, `safe` lets it open."""

    SECURE = "secure"
    SAFE = "safe"


class Pull(StrEnum):
    """How a line is pulled while nothing drives it."""

    AS_IS = "as-is"
    UP = "pull-up"
    DOWN = "pull-down"
    NONE = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """One line of a chip."""

    chip: str
    line: int
    active_low: bool = False
    bias: Pull = Pull.AS_IS
    debounce: timedelta = timedelta(milliseconds=_DEBOUNCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WiegandSettings:
    """A Wiegand reader on two lines of one chip."""

    chip: str
    d0: int
    d1: int
    formats: tuple[WiegandFormat, ...]
    bias: Pull = Pull.AS_IS


@dataclass(frozen=True, slots=True, kw_only=True)
class OsdpSettings:
    """An OSDP reader at a serial port. `install` lets a reader without a key of its own be given this one."""

    port: str
    baud: int
    address: int
    key: bytes = field(repr=False)
    formats: tuple[WiegandFormat, ...]
    install: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PcscSettings:
    """A reader of contactless cards that PC/SC calls by this name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStrike:
    """A strike on a line."""

    line: LineSettings
    fail: Fail


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputStrike:
    """A strike on an output of the access point's own OSDP reader."""

    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LampSettings:
    """The lamps and the buzzer of a reader."""

    green: LineSettings | None = None
    red: LineSettings | None = None
    buzzer: LineSettings | None = None


ReaderSettings: TypeAlias = WiegandSettings | OsdpSettings | PcscSettings
StrikeSettings: TypeAlias = LineStrike | OutputStrike


@dataclass(frozen=True, slots=True, kw_only=True)
class PointHardware:
    """All hardware of one access point."""

    reader: ReaderSettings
    strike: StrikeSettings
    contact: LineSettings | None = None
    request_to_exit: LineSettings | None = None
    tamper: LineSettings | None = None
    fire: LineSettings | None = None
    lamps: LampSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedHardware:
    """No metal at all: an access point that is moved by hand, at a gate that is tried."""

    has_contact: bool


MARK: Final = "SIMULATED"
"""What stands before all that is said of such hardware."""

Hardware: TypeAlias = PointHardware | SimulatedHardware
_SIMULATED: Final = "simulated"

PIECES: Final[Mapping[str, frozenset[str]]] = {
    "hardware": frozenset({"reader", "strike", "contact", "request_to_exit", "tamper", "fire", "lamps"}),
    "wiegand": frozenset({"kind", "chip", "d0", "d1", "formats", "bias"}),
    "osdp": frozenset({"kind", "port", "baud", "address", "key_file", "formats", "install"}),
    "pcsc": frozenset({"kind", "name"}),
    "line": frozenset({"chip", "line", "active_low", "bias", "debounce_ms"}),
    "strike on a line": frozenset({"kind", "fail", "chip", "line", "active_low", "bias"}),
    "strike on an output": frozenset({"kind", "output"}),
    "lamps": frozenset({"green", "red", "buzzer"}),
}
"""The names that each object may have; README.md lists the same."""


def read_hardware(written: object, *, has_contact: bool, read_secret: Callable[[str], bytes]) -> Hardware:
    """Read the hardware of one access point; `read_secret` reads a file of the gate's folder, and its errors pass.

    Raises `HardwareSettingsError`.
    """
    if written == _SIMULATED:
        return SimulatedHardware(has_contact=has_contact)
    piece = _object(written, "hardware", PIECES["hardware"])
    reader = _reader(piece.get("reader"), read_secret)
    strike = _strike(piece.get("strike"))
    if isinstance(strike, OutputStrike) and not isinstance(reader, OsdpSettings):
        raise HardwareSettingsError("a strike of the kind osdp hangs on an OSDP reader, and this is none.")
    contact = _line_of(piece, "contact")
    if (contact is not None) != has_contact:
        raise HardwareSettingsError(
            'hardware has a contact exactly where the access point has one: name its line, or write "contact": false '
            "beside the hardware."
        )
    lamps = _lamps(piece["lamps"]) if "lamps" in piece else None
    if lamps is not None and isinstance(reader, OsdpSettings):
        raise HardwareSettingsError("an OSDP reader has lamps of its own: leave out lamps.")
    return PointHardware(
        reader=reader,
        strike=strike,
        contact=contact,
        request_to_exit=_line_of(piece, "request_to_exit"),
        tamper=_line_of(piece, "tamper"),
        fire=_line_of(piece, "fire"),
        lamps=lamps,
    )


def refuse_twice(hardware: Mapping[AccessPointId, Hardware]) -> None:
    """Refuse what two pieces of one gate would share, and metal beside what is simulated. Raises `HardwareSettingsError`."""
    points = {name: point for name, point in hardware.items() if isinstance(point, PointHardware)}
    # INVARIANT: what somebody types moves nothing at a gate that holds a real door.
    if points and len(points) < len(hardware):
        raise HardwareSettingsError(
            "simulated hardware stands alone: at all access points of a gate, or at none."
        )
    lines = Counter(line for point in points.values() for line in _lines(point))
    for (chip, line), times in lines.items():
        if times > 1:
            raise HardwareSettingsError(f"line {line} of {chip} is used {times} times.")
    readers = [point.reader for point in points.values()]
    panels = Counter((reader.port, reader.address) for reader in readers if isinstance(reader, OsdpSettings))
    for (port, address), times in panels.items():
        if times > 1:
            raise HardwareSettingsError(f"the address {address} at {port} is used {times} times.")
    bauds: dict[str, int] = {}
    for reader in readers:
        if isinstance(reader, OsdpSettings) and bauds.setdefault(reader.port, reader.baud) != reader.baud:
            raise HardwareSettingsError(f"all readers at {reader.port} have one baud.")
    names = Counter(reader.name for reader in readers if isinstance(reader, PcscSettings))
    for name, times in names.items():
        if times > 1:
            raise HardwareSettingsError(f"the PC/SC reader {name} is used {times} times.")


def _lines(point: PointHardware) -> Iterator[tuple[str, int]]:
    if isinstance(point.reader, WiegandSettings):
        yield point.reader.chip, point.reader.d0
        yield point.reader.chip, point.reader.d1
    lamps = point.lamps or LampSettings()
    single: Iterable[LineSettings | None] = (
        point.strike.line if isinstance(point.strike, LineStrike) else None,
        point.contact,
        point.request_to_exit,
        point.tamper,
        point.fire,
        lamps.green,
        lamps.red,
        lamps.buzzer,
    )
    yield from ((line.chip, line.line) for line in single if line is not None)


def _reader(written: object, read_secret: Callable[[str], bytes]) -> ReaderSettings:
    match written:
        case {"kind": "wiegand"}:
            return _wiegand(_object(written, "a Wiegand reader", PIECES["wiegand"]))
        case {"kind": "osdp"}:
            return _osdp(_object(written, "an OSDP reader", PIECES["osdp"]), read_secret)
        case {"kind": "pcsc"}:
            piece = _object(written, "a PC/SC reader", PIECES["pcsc"])
            return PcscSettings(name=_text(piece, "name"))
        case _:
            raise HardwareSettingsError("hardware needs a reader of the kind wiegand, osdp or pcsc.")


def _wiegand(piece: Mapping[str, Any]) -> WiegandSettings:
    return WiegandSettings(
        chip=_device(piece, "chip"),
        d0=_whole(piece, "d0", most=_MOST_LINE),
        d1=_whole(piece, "d1", most=_MOST_LINE),
        formats=_formats(piece),
        bias=_pull(piece),
    )


def _osdp(piece: Mapping[str, Any], read_secret: Callable[[str], bytes]) -> OsdpSettings:
    baud = piece.get("baud", 9600)
    if type(baud) is not int or baud not in _BAUDS:
        raise HardwareSettingsError(f"baud is one of {', '.join(map(str, _BAUDS))}.")
    return OsdpSettings(
        port=_device(piece, "port"),
        baud=baud,
        address=_whole(piece, "address", most=_MOST_ADDRESS),
        key=_key(_text(piece, "key_file"), read_secret),
        formats=_formats(piece),
        install=_claim(piece, "install"),
    )


def _key(name: str, read_secret: Callable[[str], bytes]) -> bytes:
    if "/" in name or name.startswith("."):
        raise HardwareSettingsError("key_file is the name of a file in the gate's own folder.")
    try:
        key = bytes.fromhex(read_secret(name).decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _SCBK_BYTES:
        raise HardwareSettingsError(
            f"{name} holds no key: a secure channel's key is 16 bytes, written as 32 hexadecimal digits."
        )
    if key == _SCBK_DEFAULT or len(set(key)) == 1:
        raise HardwareSettingsError(
            f"{name} holds a key that everybody knows: draw one, as with openssl rand -hex 16."
        )
    return key


def _strike(written: object) -> StrikeSettings:
    match written:
        case {"kind": "gpio", **line}:
            _object(written, "a strike on a line", PIECES["strike on a line"])
            fail = line.pop("fail", None)
            if not isinstance(fail, str) or fail not in set(Fail):
                raise HardwareSettingsError(
                    'a strike on a line says what it does without power: "fail" is secure or safe.'
                )
            return LineStrike(line=_line(line, "the strike"), fail=Fail(fail))
        case {"kind": "osdp"}:
            piece = _object(written, "a strike on an output", PIECES["strike on an output"])
            return OutputStrike(output=_whole(piece, "output", most=255))
        case _:
            raise HardwareSettingsError("hardware needs a strike of the kind gpio or osdp.")


def _lamps(written: object) -> LampSettings:
    piece = _object(written, "lamps", PIECES["lamps"])
    if not piece:
        raise HardwareSettingsError("lamps names one of green, red, buzzer, or is left out.")
    return LampSettings(**{name: _line(line, name) for name, line in piece.items()})


def _line_of(piece: Mapping[str, Any], name: str) -> LineSettings | None:
    return _line(piece[name], name) if name in piece else None


def _line(written: object, what: str) -> LineSettings:
    piece = _object(written, what, PIECES["line"])
    return LineSettings(
        chip=_device(piece, "chip"),
        line=_whole(piece, "line", most=_MOST_LINE),
        active_low=_claim(piece, "active_low"),
        bias=_pull(piece),
        debounce=timedelta(
            milliseconds=_whole({"debounce_ms": _DEBOUNCE} | dict(piece), "debounce_ms", most=_MOST_DEBOUNCE)
        ),
    )


def _formats(piece: Mapping[str, Any]) -> tuple[WiegandFormat, ...]:
    names = piece.get("formats", list(_CARDS))
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise HardwareSettingsError('formats is a list of names, as in ["26"].')
    known = {name: format_named(name) for name in names}
    for name, form in known.items():
        if form is None:
            raise HardwareSettingsError(
                f"{name} is no format: use {', '.join(FORMATS)}, raw-16 to raw-128, uid-32, uid-56 or uid-80."
            )
    formats = tuple(form for form in known.values() if form is not None)
    if len(known) != len(names) or overlapping(formats):
        raise HardwareSettingsError("formats names two of one length, which no reader can tell apart.")
    return formats


def _object(written: object, what: str, known: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(written, dict):
        raise HardwareSettingsError(f"{what} is an object{_OR_SIMULATED if what == 'hardware' else ''}.")
    unknown = sorted(written.keys() - known)
    if unknown:
        raise HardwareSettingsError(f"{', '.join(unknown)} is no setting of {what}.")
    return written


def _device(piece: Mapping[str, Any], name: str) -> str:
    path = piece.get(name)
    if not isinstance(path, str) or not path.startswith("/dev/") or "\0" in path or "/../" in path:
        raise HardwareSettingsError(f"{name} is the path of a device, as in /dev/gpiochip0 or /dev/ttyUSB0.")
    return path


def _text(piece: Mapping[str, Any], name: str) -> str:
    text = piece.get(name)
    if not isinstance(text, str) or not text.strip() or len(text) > 128 or not text.isprintable():
        raise HardwareSettingsError(f"{name} is a text of 1 to 128 characters.")
    return text


def _whole(piece: Mapping[str, Any], name: str, *, most: int) -> int:
    number = piece.get(name)
    if type(number) is not int or not 0 <= number <= most:
        raise HardwareSettingsError(f"{name} is a whole number from 0 to {most}.")
    return number


def _claim(piece: Mapping[str, Any], name: str) -> bool:
    claim = piece.get(name, False)
    if type(claim) is not bool:
        raise HardwareSettingsError(f"{name} is true or false.")
    return claim


def _pull(piece: Mapping[str, Any]) -> Pull:
    pull = piece.get("bias", Pull.AS_IS.value)
    if not isinstance(pull, str) or pull not in set(Pull):
        raise HardwareSettingsError(f"bias is one of {', '.join(Pull)}.")
    return Pull(pull)
