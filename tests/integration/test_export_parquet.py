"""The Parquet of a bundle holds the cells of its CSV, typed; it is written in constant memory, and proves nothing."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from gatekeeper.adapters.postgres import PostgresLeaves
from gatekeeper.core.audit import Kind, tenant_tree
from gatekeeper.core.export import COLUMNS, Counts, Dialect, Selection
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.export import parquet as parquet_module
from gatekeeper.service.export import writing
from gatekeeper.service.export.parquet import ParquetError, ParquetTable, must_have_parquet
from tests.support.exports import members_of, opened_with, planned, written
from tests.support.fort import ARMY, PUPIL, SCHOOL, SERGEANT, Fort

pytestmark = pytest.mark.integration

OF_SCHOOL = tenant_tree(SCHOOL)
INTEGERS = {"index", "seq", "assurance", "grant"}


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fort]:
    monkeypatch.setattr(writing, "_PIECE", 64)
    async with Fort.opened(postgres_server) as fort:
        for _ in range(5):
            await fort.commit(fort.pen.write(30, person=PUPIL, kind=Kind.ACCESS_GRANTED))
            await fort.commit(
                fort.pen.write(8, person=SERGEANT, tenants=(ARMY, SCHOOL), kind=Kind.ACCESS_DENIED)
            )
        yield fort


@pytest.fixture
async def leaves(fort: Fort) -> AsyncIterator[PostgresLeaves]:
    async with PostgresLeaves.opened(fort.dsn, fort.site) as leaves:
        yield leaves


def read(content: bytes) -> pa.Table:
    return parquet.read_table(io.BytesIO(content))


def as_cell(column: str, value: Any) -> str:
    """The cell of the CSV that a value stands for."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return "yes" if value is True else str(value)


def test_columns_have_types_where_that_is_natural():
    table = read(_file_of([]))
    assert table.column_names == list(COLUMNS)
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        match name:
            case "at" | "happened":
                assert kind == pa.timestamp("us", tz="UTC")
            case "alarm":
                assert kind == pa.bool_()
            case _:
                assert kind == (pa.int64() if name in INTEGERS else pa.string())


def test_cells_are_read_as_what_they_are_and_null_where_they_are_not():
    then, later = "2026-06-03T02:15:00.500000Z", "2026-06-03T10:00:01.000002Z"
    good = _row(index="7", seq="12", at=later, alarm="yes", grant="0", reason="=1+1", happened=then)
    empty = _row()
    bad = _row(index="-1", seq="9" * 19, at="today", alarm="no", assurance="\u0662", grant="2 ")
    zoneless = _row(at="2026-06-03T10:00:01")
    table = read(_file_of([good, empty, bad, zoneless]))
    first, *others = table.to_pylist()
    told = {name: value for name, value in first.items() if value is not None}
    assert {name: as_cell(name, value) for name, value in told.items()} == {
        "index": "7", "seq": "12", "at": later, "alarm": "yes", "grant": "0", "reason": "=1+1", "happened": then,
    }  # fmt: skip
    for other in others:
        assert set(other.values()) == {None}


async def test_every_segment_is_read_back_as_the_cells_of_its_csv(
    fort: Fort, leaves: PostgresLeaves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatekeeper.core.export.segments.SEGMENT", 128)
    plan = await planned(
        fort, leaves, tree=OF_SCHOOL, openings=True, csv=Dialect.RFC4180, parquet=True,
        selection=Selection(decisions=("denied",)),
    )  # fmt: skip
    counts = await written(plan, leaves, tmp_path / "b.zip", opener=opened_with(fort))
    assert counts == Counts(entries=40, withheld=150, personal=40, openings=40, rows=40)
    members = members_of(tmp_path / "b.zip")
    segments = [name.partition("/")[2].partition(".")[0] for name in members if name.startswith("entries/")]
    assert segments == ["000000000000", "000000000128"]
    for segment in segments:
        text = members[f"csv/{segment}.csv"].decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        table = read(members[f"parquet/{segment}.parquet"])
        assert len(rows) == table.num_rows > 0
        assert [{name: as_cell(name, row[name]) for name in COLUMNS} for row in table.to_pylist()] == rows
    assert {row["holder"] for row in table.to_pylist()} == {SERGEANT}


async def test_parquet_alone_needs_no_csv_and_stands_behind_what_it_renders(
    fort: Fort, leaves: PostgresLeaves, tmp_path: Path
):
    plan = await planned(fort, leaves, tree=OF_SCHOOL, parquet=True)
    counts = await written(plan, leaves, tmp_path / "b.zip")
    assert counts == Counts(entries=190, personal=190)
    members = members_of(tmp_path / "b.zip")
    assert list(members)[3:5] == ["entries/000000000000.jsonl", "parquet/000000000000.parquet"]
    table = read(members["parquet/000000000000.parquet"])
    assert table.column("index").to_pylist() == list(range(190))
    assert table.column("personal").to_pylist() == ["closed"] * 190
    assert table.column("holder").null_count == 190


async def test_a_segment_of_which_all_is_withheld_has_an_empty_table(
    fort: Fort, leaves: PostgresLeaves, tmp_path: Path
):
    nowhere = Selection(doors=("nowhere",))
    plan = await planned(fort, leaves, tree=OF_SCHOOL, parquet=True, selection=nowhere)
    await written(plan, leaves, tmp_path / "b.zip")
    assert read(members_of(tmp_path / "b.zip")["parquet/000000000000.parquet"]).num_rows == 0


async def test_an_export_stopped_within_a_table_goes_on_and_ends_the_same(
    fort: Fort, leaves: PostgresLeaves, tmp_path: Path
):
    plan = await planned(fort, leaves, tree=OF_SCHOOL, parquet=True)
    await written(plan, leaves, tmp_path / "whole.zip")

    def stop(done: int) -> None:
        if done >= 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await written(plan, leaves, tmp_path / "stopped.zip", progress=stop)
    await written(plan, leaves, tmp_path / "stopped.zip")
    assert (tmp_path / "stopped.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()


async def test_without_the_package_nothing_is_written_and_a_sentence_says_what_to_do(
    fort: Fort, leaves: PostgresLeaves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plan = await planned(fort, leaves, tree=OF_SCHOOL, parquet=True)
    monkeypatch.setattr(parquet_module, "find_spec", lambda _name: None)
    with pytest.raises(ParquetError, match=r"pip install '\.\[parquet\]'"):
        must_have_parquet()
    with pytest.raises(ParquetError):
        await written(plan, leaves, tmp_path / "b.zip")
    assert (tmp_path / "b.zip.partial").read_bytes() == b""
    assert not (tmp_path / "b.zip").exists()


def test_rows_go_to_the_file_in_groups_and_memory_holds_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parquet_module, "_GROUP", 1000)
    with (tmp_path / "t.parquet").open("w+b") as file, ParquetTable(file) as table:
        sizes, held = [], []
        for piece in range(40):
            table.add([_row(index=str(piece * 500 + at), reason=f"{piece}-{at}") for at in range(500)])
            sizes.append(file.tell())
            held.append(pa.total_allocated_bytes())
        table.finish()
    read_back = parquet.ParquetFile(tmp_path / "t.parquet")
    assert [read_back.metadata.row_group(at).num_rows for at in range(read_back.num_row_groups)] == [
        1000
    ] * 20
    assert sizes[1] < sizes[21] < sizes[39]
    assert max(held[20:]) <= 2 * max(held[:4])
    assert read_back.read().column("index").to_pylist() == list(range(20_000))


def _row(**cells: str) -> list[str]:
    return [cells.get(name, "") for name in COLUMNS]


def _file_of(rows: list[list[str]]) -> bytes:
    file = io.BytesIO()
    with ParquetTable(file) as table:
        table.add(rows)
        table.finish()
    return file.getvalue()
