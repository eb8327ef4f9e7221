"""Columns of predictions as files."""

import pyarrow as pa
import pytest
from pyarrow import parquet

from dlrun.data.tabular.number_types import LARGE
from dlrun.errors import DlrunError
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


@pytest.mark.parametrize("later", [["a"], [0.0, 1.5], [2**64, 1.5], [2**64, 10**38]])
def test_ids_of_several_types_in_a_parquet_file_are_told(tmp_path, later):
    (tmp_path / "p.parquet").write_text("before")
    with pytest.raises(DlrunError, match=r"column 'id' holds .* and then other values: ") as caught:
        write_columns(tmp_path / "p.parquet", parts([1, 2], later))
    assert caught.value.hint == "--output predictions.jsonl"
    assert (tmp_path / "p.parquet").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]
