"""Columns of predictions as files."""

from datetime import datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from dlrun.data.tabular.number_types import LARGE
from dlrun.inference.described_columns import ANY, INTEGER
from dlrun.inference.prediction_files import write_columns


def parts(*ids):
    return iter([{"index": (INTEGER, range(len(each))), "id": (ANY, each)} for each in ids])


@pytest.mark.parametrize("rows", [3, 70_000])  # which wait until the end, or are written before
def test_ids_that_grow_beyond_64_bits_are_exact_in_a_parquet_file(tmp_path, rows):
    ids = [list(range(rows)), [7, None], [2**64 + 1, None, -5], [9], [-(10**37)]]
    write_columns(tmp_path / "p.parquet", parts(*ids))
    table = parquet.read_table(tmp_path / "p.parquet")
    assert [str(column.type) for column in table.columns] == ["int64", LARGE]
    assert table["id"].to_pylist() == [value for each in ids for value in each]
    assert table["index"].to_pylist() == [at for each in ids for at in range(len(each))]
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]


def test_smaller_ids_stay_int64_in_a_parquet_file(tmp_path):
    write_columns(tmp_path / "p.parquet", parts([1], [None, 2**63 - 1]))
    assert parquet.read_table(tmp_path / "p.parquet")["id"].type == pa.int64()


@pytest.mark.parametrize("rows", [3, 70_000])  # which wait until the end, or are written before
@pytest.mark.parametrize(
    ("first", "later", "texts"),
    [
        (7, "a7", ["7", "a7"]),
        (7, 0.5, ["7", "0.5"]),
        (2**64, 0.5, ["18446744073709551616", "0.5"]),
        (0.5, 2**53 + 1, ["0.5", "9007199254740993"]),
        (7, 10**38, ["7", f"{10**38}"]),
        (True, "a", ["true", "a"]),
        ("a", 7, ["a", "7"]),
        (datetime(2026, 1, 31), "a", ["2026-01-31", "a"]),
        ([1, 2], "a", ["[1, 2]", "a"]),
        (b"\xff", "a", ["\\xff", "a"]),
        (b"a", "b", ["a", "b"]),
    ],
)
def test_ids_of_several_types_are_texts_in_a_parquet_file(tmp_path, rows, first, later, texts):
    write_columns(tmp_path / "p.parquet", parts([None] * 2, [first] * rows, [later, None], [first]))
    ids = parquet.read_table(tmp_path / "p.parquet")["id"]
    assert ids.type == pa.string()
    assert ids.to_pylist() == [None, None, *texts[:1] * rows, texts[1], None, texts[0]]
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]


def test_equal_ids_are_equal_texts_in_any_part_of_a_parquet_file(tmp_path):
    values = [1.0, 1e-7, True, datetime(2026, 1, 2), time(7, 30), 2**64, Decimal("1.50"), b"\xff"]
    mixed = ["a", *values, None, [1.0]]
    write_columns(tmp_path / "p.parquet", parts(*([value] for value in values), mixed))
    ids = parquet.read_table(tmp_path / "p.parquet")["id"].to_pylist()
    texts = ["1", "1e-7", "true", "2026-01-02", "07:30:00.000000", f"{2**64}", "1.50", "\\xff"]
    assert ids == [*texts, "a", *texts, None, "[1.0]"]


@pytest.mark.parametrize(
    ("value", "kind"), [(7, pa.int64()), (0.5, pa.float64()), (None, pa.string())]
)
def test_ids_that_begin_further_down_have_their_type_in_a_parquet_file(tmp_path, value, kind):
    write_columns(tmp_path / "p.parquet", parts([None] * 70_000, [None, value]))
    ids = parquet.read_table(tmp_path / "p.parquet")["id"]
    assert ids.type == kind
    assert ids.to_pylist() == [None] * 70_001 + [value]
