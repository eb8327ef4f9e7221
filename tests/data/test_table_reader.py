"""Rows to predict are encoded to the bit as the rows that a run was trained on."""

import csv
import itertools
import json
import sys
from datetime import time

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from dlrun.data import columns as kinds
from dlrun.data.input_spec_json import spec_from_json, spec_to_json
from dlrun.data.readers import Request, open_reader
from dlrun.data.row_formats import Block, evenly
from dlrun.data.table import table
from dlrun.data.table_formats import TableOptions
from dlrun.data.tabular.column_values import index_of_class, to_seconds
from dlrun.data.tree import concatenate
from dlrun.inference.described_columns import ANY
from dlrun.inference.prediction_files import write_columns

ROWS = 90


@pytest.fixture
def columns():
    """Values that a CSV holds in many ways; each column repeats with another period."""
    cycle = itertools.cycle

    def of(*values):
        return list(itertools.islice(cycle(values), ROWS))

    return {
        "area": of(1.5, 2, None, 1e-3, -7.25, 3, 8),
        "rooms": of(1, 2, 3, 40, 5),
        "zip": of("007", "012", "100", "999"),
        "level": of(1, 2, None, 3),
        "garden": of(True, False, True),
        "pool": of("Yes", "no", "NO", None),
        "sold": of("2020-01-05", "2021-11-30", "2020-06-01"),
        "seen": of("2020-01-05T10:00:00Z", "2020-01-06T23:30:00Z", None),
        "opens": of("09:30", "10:00", "11:45"),
        "size": of(1.5, 2.5, 30.0, None),
        "shift": of("09:30", "10:00", None),
        "flag": of(1.0, 0.0, None),
        "note": of("A quiet house", "near the sea, bright", "old house: needs work", None),
        "price": of(1.0, 5.5, 2.25, 9.0, 7.0),
    }


def write(path, columns, *, decimal=".", delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            texts = ["" if v is None else str(v) for v in row]
            is_number = [isinstance(v, float) for v in row]
            writer.writerow(
                t.replace(".", decimal) if n else t for t, n in zip(texts, is_number, strict=True)
            )


def source(path, **options):
    given = dict.fromkeys(("zip", "level", "size", "shift"), "category")
    given |= {"flag": "boolean", "note": {"kind": "text", "length": 5}}
    return table(path=str(path), target="price", kind="regression", columns=given, **options)


def assert_encoded_alike(data, request):
    """Every row of the data set is among those of the reader, with the same label."""
    parts = list(open_reader(request).parts())
    assert not any(part.wrong for part in parts)
    inputs = concatenate([part.inputs for part in parts])
    labels = concatenate([part.labels for part in parts])
    rows = rows_of(inputs, labels)
    of_splits = [rows_of(s.inputs, s.labels) for s in (data.train, data.validation, data.test)]
    assert sorted(rows) == sorted(itertools.chain(*of_splits))


def rows_of(inputs, labels):
    arrays = [*inputs.values(), labels]
    return [b"".join(array[row].tobytes() for array in arrays) for row in range(len(labels))]


def test_a_csv_is_encoded_as_in_training(columns, tmp_path):
    path = tmp_path / "t.csv"
    write(path, columns)
    data = source(path).dataset()
    assert_encoded_alike(data, Request(path, data.spec, rows=7, labels=True))


def test_decimal_commas_and_words_for_missing_are_those_of_the_run(columns, tmp_path):
    path = tmp_path / "t.csv"
    columns["pool"] = [value or "none" for value in columns["pool"]]
    write(path, columns, decimal=",", delimiter=";")
    data = source(path, decimal=",", missing=["none"]).dataset()
    options = TableOptions(decimal=",", missing=("none",))
    assert_encoded_alike(data, Request(path, data.spec, labels=True, table=options))


def test_other_formats_of_the_same_rows_are_encoded_alike(columns, tmp_path):
    """Also where their types differ from those of the CSV: numbers as texts, and 1 as 1.0."""
    write(tmp_path / "t.csv", columns)
    data = source(tmp_path / "t.csv").dataset()
    names = list(columns)
    lines = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    columns["level"] = [None if value is None else float(value) for value in columns["level"]]
    columns["opens"] = [time.fromisoformat(text) for text in columns["opens"]]
    columns["rooms"] = [str(value) for value in columns["rooms"]]
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=32)
    for name in ("t.jsonl", "t.parquet"):
        assert_encoded_alike(data, Request(tmp_path / name, data.spec, rows=50, labels=True))


@pytest.mark.parametrize(
    ("kind", "target"), [("multilabel", ["flag", "garden"]), ("classification", ["size"])]
)
def test_labels_are_those_of_training(columns, tmp_path, kind, target):
    columns = {n: [0.0 if v is None else v for v in columns[n]] for n in ("area", *target)}
    write(tmp_path / "t.csv", columns, decimal=",", delimiter=";")
    options = {"decimal": ",", "delimiter": ";"}
    data = table(path=str(tmp_path / "t.csv"), target=target, kind=kind, **options).dataset()
    request = Request(tmp_path / "t.csv", data.spec, labels=True, table=TableOptions(**options))
    [part] = open_reader(request).parts()
    of_splits = [split.labels for split in (data.train, data.validation, data.test)]
    assert sorted(part.labels.tolist()) == sorted(np.concatenate(of_splits).tolist())


def test_rows_without_one_of_several_targets_are_told_to_lack_either(tmp_path):
    rows = [f"{n % 7},{'ab'[n % 2]},{n * n}" for n in range(40)]
    (tmp_path / "old.csv").write_text("\n".join(["x,kind,price", *rows]))
    data = table(path=str(tmp_path / "old.csv"), target=["kind", "price"]).dataset()
    (tmp_path / "new.csv").write_text("x,kind,price\n1,a,3\n2,,4\n3,b,\n")
    reader = open_reader(Request(tmp_path / "new.csv", data.spec, labels=True))
    assert [part.rows.tolist() for part in reader.parts()] == [[1]]
    assert reader.notes() == ["2 rows have no kind or price, and are left out"]


MINUTES = """
from dataclasses import dataclass

from dlrun.data.columns import NUMBERS
from dlrun.data.tabular.column_types import Cells


@dataclass(frozen=True)
class Minutes:
    name: str

    input, cells, width, sizes = NUMBERS, Cells.TEXTS, 1, ()

    def encode(self, values, out):
        out[:, 0] = [float(text.removesuffix(" min")) / 60 for text in values.to_pylist()]

    @classmethod
    def from_state(cls, name, state):
        return cls(name)


class Fitter:
    OPTIONS = ()

    def __init__(self, name):
        self._name = name

    def update(self, values):
        pass

    def result(self):
        return Minutes(self._name)


def takes(profile):
    return all(text.endswith(" min") for text in profile.examples)
"""


@pytest.fixture
def added_kind(tmp_path, monkeypatch):
    """A file of one's own in the package of the kinds of columns, until the test ends."""
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "minutes.py").write_text(MINUTES)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path / "kinds")])
    monkeypatch.setattr(kinds, "kinds", kinds.kinds.__wrapped__)  # which is cached
    yield "minutes"
    del sys.modules[f"{kinds.__name__}.minutes"], kinds.minutes


def test_a_file_added_to_columns_is_a_kind_that_is_found_saved_and_read(
    columns, tmp_path, added_kind
):
    columns["stay"] = list(itertools.islice(itertools.cycle(["5 min", "90 min", "7 min"]), ROWS))
    write(tmp_path / "t.csv", columns)
    data = source(tmp_path / "t.csv").dataset()
    assert source(tmp_path / "t.csv").inputs["stay"] == (added_kind, {})
    spec = spec_from_json(spec_to_json(data.spec), source="inputs.json")
    assert_encoded_alike(data, Request(tmp_path / "t.csv", spec, labels=True))


def test_each_row_is_found_of_which_a_column_of_the_target_is_wrong(columns, tmp_path):
    write(tmp_path / "t.csv", columns)
    spec = table(path=str(tmp_path / "t.csv"), target=["rooms", "price"]).dataset().spec
    for name, row in (("rooms", 60), ("price", 40), ("rooms", 3), ("price", 3), ("price", 89)):
        columns[name][row] = "bad"
    write(tmp_path / "new.csv", columns)
    parts = list(open_reader(Request(tmp_path / "new.csv", spec, labels=True)).parts())
    assert [sorted(part.wrong) for part in parts] == [[3, 40, 60, 89]]
    assert len(parts[0].labels) == ROWS - 4


def test_rows_with_numbers_that_float32_does_not_hold_are_wrong(columns, tmp_path):
    columns = {name: columns[name] for name in ("rooms", "area", "price")}
    columns["area"] = [1.0 if value is None else abs(value) for value in columns["area"]]
    write(tmp_path / "t.csv", columns)
    spec = table(path=str(tmp_path / "t.csv"), target="price", weight="area").dataset().spec
    for name, row in (("rooms", 60), ("price", 40), ("area", 3)):
        columns[name][row] = 1e300
    write(tmp_path / "new.csv", columns)
    [part] = open_reader(Request(tmp_path / "new.csv", spec)).parts()
    assert part.wrong == {60: "column 'rooms': 1e+300 is not a number that float32 holds"}
    [part] = open_reader(Request(tmp_path / "new.csv", spec, labels=True, weight="area")).parts()
    assert sorted(part.wrong) == [3, 40, 60]
    assert np.isfinite(part.inputs).all()
    assert np.isfinite(part.labels).all()
    assert np.isfinite(part.weights).all()


def test_classes_are_compared_as_what_they_are():
    def of(values, known):
        return index_of_class(pa.array(values), known).tolist()

    assert of(["7", "007", "7.0", " 10", "8", None, "x"], ["7", "10"]) == [0, 0, 0, 1, -1, -1, -1]
    assert of([7.0, 10.5, None], ["7", "10.5"]) == [0, 1, -1]
    assert of(["007", "7", "08"], ["007", "7"]) == [0, 1, -1]  # codes: two that are equal numbers
    assert of([2**53, 2**53 + 1, -(2**53)], [str(2**53)]) == [0, -1, -1]  # equal as floats
    assert of([f"0{2**53}", f"{2**53 + 1}.0"], [str(2**53), "7"]) == [0, -1]
    assert of([float(2**64), 7.0], [str(2**64), "7"]) == [0, 1]
    assert of([str(2**64 - 1)], ["1.8446744073709552e+19"]) == [0]  # of a run that had floats
    assert of(["True", "FALSE", "yes"], ["false", "true"]) == [1, 0, -1]
    assert of(["Rome", "rome"], ["Rome"]) == [0, -1]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_large_ids_and_categories_of_new_rows_are_exact(tmp_path, suffix):
    keys = [2**63 + n // 10 for n in range(60)]
    write(tmp_path / "t.csv", {"key": keys, "price": list(range(60))})
    given = {"key": {"kind": "category", "encoding": "ids"}}
    data = table(path=str(tmp_path / "t.csv"), target="price", columns=given).dataset()
    [column] = data.spec.preprocessing[0].fitted
    new = {"key": [keys[0], keys[0] - 1, keys[0] + 1], "row_id": [2**64 - 1, 2**64 - 2, 5]}
    path = tmp_path / f"new.{suffix}"
    if suffix == "csv":
        write(path, new)
    elif suffix == "jsonl":
        lines = [dict(zip(new, row, strict=True)) for row in zip(*new.values(), strict=True)]
        path.write_text("\n".join(map(json.dumps, lines)))
    else:
        parquet.write_table(pa.table({n: pa.array(v, pa.uint64()) for n, v in new.items()}), path)
    reader = open_reader(Request(path, data.spec))
    [part] = reader.parts()
    ids = [column.categories.index(str(keys[at])) + 3 for at in (0, 10)]
    assert part.inputs[:, 0].tolist() == [ids[0], 0, ids[1]]
    assert reader.notes() == ["column 'key': 1 row has a value that training did not see"]
    assert list(map(int, part.names["row_id"])) == new["row_id"]
    if suffix == "parquet":  # whose numbers are not texts
        for output in ("p.jsonl", "p.csv", "p.parquet", "p.npz"):
            write_columns(tmp_path / output, iter([{"row_id": (ANY, part.names["row_id"])}]))
        assert json.loads((tmp_path / "p.jsonl").read_text().split("\n")[0])["row_id"] == 2**64 - 1
        assert (tmp_path / "p.csv").read_text().split() == ["row_id", *map(str, new["row_id"])]
        assert np.load(tmp_path / "p.npz")["row_id"].tolist() == list(map(str, new["row_id"]))
        assert parquet.read_table(tmp_path / "p.parquet")["row_id"].to_pylist() == new["row_id"]


def test_dates_may_have_a_zone_each():
    texts = pa.array(["2020-01-01T12:00:00+02:00", None, "2020-01-01", "2020-01-01T10:00:00Z"])
    seconds = to_seconds("day", texts)
    noon = np.datetime64("2020-01-01T10:00:00").astype(float)
    np.testing.assert_array_equal(seconds, [noon, np.nan, noon - 36_000, noon])


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_blocks_of_one_size_hold_all_rows_once(size):
    """Rows 4 and 9, which can't be read, stay with those around them."""
    rows = [row for row in range(1, 13) if row not in (4, 9)]
    cuts = [rows[:2], [], rows[2:7], rows[7:]]
    blocks = [
        Block(pa.RecordBatch.from_pydict({"x": pa.array(cut, pa.int64())}), np.array(cut, int),
              {4: "short"} if 5 in cut else {9: "short"} if 12 in cut else {})
        for cut in cuts
    ]  # fmt: skip
    found = list(evenly(blocks, size))
    assert [len(block.rows) for block in found[:-1]] == [size] * (len(found) - 1)
    assert [row for block in found for row in block.batch.column("x").to_pylist()] == rows
    assert [row for block in found for row in block.rows] == rows
    places = [row for block in found for row in sorted([*block.rows, *block.wrong])]
    assert places == list(range(1, 13))
