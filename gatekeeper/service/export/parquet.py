"""The table of a bundle as Parquet, for programs that analyse it: the columns of the CSV, with types where that is natural.

It needs the extra `parquet`. Rows go to the file in groups, so that memory holds one, whatever the segment. What a cell
holds that has no place in its column's type is null: a rendering fails for no entry, and proves none.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import IO, Any, Final, Self

from gatekeeper.core.export import COLUMNS

__all__ = ["ParquetError", "ParquetTable", "must_have_parquet"]

_GROUP: Final = 1 << 16
"""Rows of a group."""
_DIGITS: Final = 18
"""So many digits are always within 64 bits."""


class ParquetError(Exception):
    """Parquet cannot be written; the message says what to do."""


def must_have_parquet() -> None:
    """See that Parquet can be written here, before anything is. Raises ParquetError."""
    if find_spec("pyarrow") is None:
        raise ParquetError(
            "Parquet needs the package pyarrow, which is not installed: pip install '.[parquet]' in the folder of "
            "Gatekeeper's source, or export without."
        )


class ParquetTable:
    """One Parquet file on its way into `file`, which is open for as long as this block. It is readable once it is `finish`ed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._arrow: Any = import_module("pyarrow")
        self._schema = _schema(self._arrow)
        self._writer = import_module("pyarrow.parquet").ParquetWriter(file, self._schema, compression="zstd")
        self._waiting: list[Any] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Take rows, each with the cells that `cells_of` gives."""
        if not rows:
            return
        columns = zip(_READ.values(), zip(*rows, strict=True), self._schema.types, strict=True)
        arrays = [self._arrow.array(map(read, cells), type=kind) for read, cells, kind in columns]
        self._waiting.append(self._arrow.record_batch(arrays, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= _GROUP:
            self._write()

    def finish(self) -> IO[bytes]:
        """Write what waits, and what makes the file whole; give the file."""
        self._write()
        self._writer.close()
        return self._file

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(self._arrow.Table.from_batches(self._waiting, schema=self._schema))
        self._waiting, self._rows = [], 0


def _integer(cell: str) -> int | None:
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= _DIGITS else None


def _time(cell: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return None if at.tzinfo is None else at


def _claim(cell: str) -> bool | None:
    return True if cell == "yes" else None


def _text(cell: str) -> str | None:
    return cell or None


_Read = Callable[[str], Any]

_READ: Final[Mapping[str, _Read]] = {
    **dict.fromkeys(COLUMNS, _text),
    **dict.fromkeys(("index", "seq", "assurance", "grant"), _integer),
    **dict.fromkeys(("at", "happened"), _time),
    "alarm": _claim,
}
"""How the cells of a column are read."""


def _schema(arrow: Any) -> Any:
    kinds: Mapping[_Read, Any] = {
        _integer: arrow.int64(),
        _time: arrow.timestamp("us", tz="UTC"),
        _claim: arrow.bool_(),
        _text: arrow.string(),
    }
    return arrow.schema([arrow.field(name, kinds[_READ[name]]) for name in COLUMNS])
