"""A table becomes a data set: what its columns are is found, and what is wrong is said."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from dlrun.data.input_spec_json import spec_from_json, spec_to_json
from dlrun.data.preprocessing.columns import Columns
from dlrun.data.row_formats.csv import Rows
from dlrun.data.splits import SPLITS
from dlrun.data.table import table
from dlrun.data.table_formats import TableOptions, csv, formats_of_tables
from dlrun.data.tabular import write_rows
from dlrun.data.tabular.arrow_table import arrow_table
from dlrun.data.tabular.column_types import Cells
from dlrun.data.tabular.column_values import to_numbers
from dlrun.data.tabular.number_types import LARGE
from dlrun.data.timeseries import timeseries
from dlrun.errors import DlrunError
from dlrun.report.data import data_tables
from tables import CITIES, houses, write_all, write_csv


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "houses.csv", houses())


def refused(**arguments):
    with pytest.raises(DlrunError) as caught:
        table(**{"path": "houses.csv", "target": "price", **arguments}).dataset()
    assert "\n" not in caught.value.message
    return caught.value


def rows_of(of, split):
    return np.flatnonzero(of.splits == ("train", "validation", "test").index(split))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_examples_of_days_are_days(suffix):
    write_all(Path())
    [sold] = [c for c in table(path=f"houses.{suffix}").describe().columns if c["name"] == "sold"]
    assert sold["type"] == "timestamp[us]"
    assert sold["examples"] == houses()["sold"][:5]


def test_columns_and_task_are_found_and_each_split_is_encoded_by_the_training_split_alone():
    of = table(path="houses.csv", target="price")
    data, columns = of.dataset(), houses()
    assert of.tasks() == {None: "regression"}
    assert {name: kind for name, (kind, _) in of.inputs.items()} == {
        "area": "number",
        "city": "category",
        "rooms": "number",
        "garden": "boolean",
        "sold": "date",
        "kind": "category",
    }
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [83, 18, 18]
    train = rows_of(of, "train")
    price = np.array(columns["price"][:-1])
    mean, deviation = price[train].mean(), price[train].std()
    for split in ("train", "validation", "test"):
        rows = rows_of(of, split)
        labels = data.split(split).labels[:, 0]
        np.testing.assert_allclose(labels, (price[rows] - mean) / deviation, atol=1e-5)
    np.testing.assert_allclose(data.targets.restore(labels[:, None])[:, 0], price[rows], rtol=1e-6)
    area = np.array([np.nan if v is None else v for v in columns["area"]])
    scaled = (area[rows] - np.nanmean(area[train])) / np.nanstd(area[train])
    found = data.test.inputs
    np.testing.assert_allclose(found[:, 0], np.nan_to_num(scaled), atol=1e-5)
    np.testing.assert_array_equal(found[:, 1], np.isnan(scaled))
    [step] = data.preprocessing
    city = next(column for column in step.fitted if column.name == "city")
    assert set(city.categories) == set(CITIES)


def test_columns_that_are_numbered_are_named_by_their_numbers(tmp_path):
    rows = [f"{n / 7:.3f},{n % 5},{n % 2},{n % 3}" for n in range(60)]
    (tmp_path / "numbered.csv").write_text("\n".join(["0,1,2,3", *rows]) + "\n")
    of = table(path="numbered.csv", target=2, drop=[1], weight=3, columns={0: "number"})
    assert (of.targets, list(of.inputs), of.weight) == (("2",), ["0"], "3")
    assert table(path="numbered.csv", target=[1, 2]).targets == ("1", "2")
    assert refused(path="numbered.csv", target=-1).message.startswith("data.target=-1:")


def test_each_format_gives_the_same_arrays(tmp_path):
    write_all(tmp_path)
    first, *others = (
        table(path=f"houses.{suffix}", target="price").dataset() for suffix in formats_of_tables()
    )
    for other in others:
        np.testing.assert_array_equal(first.train.inputs, other.train.inputs)
        np.testing.assert_array_equal(first.test.labels, other.test.labels)


def test_the_spec_of_a_run_holds_columns_and_targets_and_encodes_new_rows_the_same():
    data = table(path="houses.csv", target=["price", "kind"]).dataset()
    spec = spec_from_json(spec_to_json(data.spec), source="x")
    assert spec == data.spec
    assert spec.targets["kind"].classes == ("barn", "flat", "house")
    again = table(path="houses.csv", target=["price", "kind"], seed=5).dataset(spec)
    assert again.preprocessing == data.preprocessing
    assert again.targets == data.targets


def test_a_change_of_test_rows_does_not_change_what_training_sees():
    of = table(path="houses.csv", target="price", split="time", by="sold")
    before, columns = of.dataset(), houses()
    for row in rows_of(of, "test"):
        columns["area"][row], columns["city"][row] = 1e6, "Rom"
    write_csv(of.entry.parent.parent / "houses.csv", columns)
    after = table(path="houses.csv", target="price", split="time", by="sold").dataset()
    np.testing.assert_array_equal(before.train.inputs, after.train.inputs)
    assert before.preprocessing == after.preprocessing
    assert (before.test.inputs != after.test.inputs).any()


def test_the_task_is_chosen_from_the_target():
    columns = houses()
    columns["price"][-1] = 1.0
    columns["stars"] = [n % 5 + 1 for n in range(120)]
    columns["flag"] = [n % 2 for n in range(120)]
    write_csv(table(path="houses.csv", target="price").entry.parent.parent / "h.csv", columns)
    for target, kind in {
        "price": "regression",
        "sold": "classification",
        "city": "classification",
        "kind": "classification",
        "garden": "binary_classification",
        "flag": "binary_classification",
        "stars": "classification",
    }.items():
        if target != "sold":
            assert table(path="h.csv", target=target).tasks() == {None: kind}, target
    several = table(path="h.csv", target=["price", "area"])
    assert several.tasks() == {None: "regression"}
    assert several.dataset().num_classes == 2
    assert table(path="h.csv", target=["garden", "flag"]).tasks() == {None: "multilabel"}
    assert table(path="h.csv", target=["garden", "price"]).tasks() == {
        "garden": "binary_classification",
        "price": "regression",
    }
    assert table(path="h.csv", target="stars", kind="regression").dataset().num_classes == 1


def test_nested_columns_are_left_out_and_can_be_neither_named_nor_needed():
    columns = {"x": [1.0, 2.0, 4.0, 3.0] * 10, "price": [1.0, 3.0, 2.0, 4.0] * 10}
    nested = pa.array([{"a": 1}] + [None] * 39)
    parquet.write_table(pa.table({**columns, "place": nested}), "lake.parquet")
    of = table(path="lake.parquet", target="price")
    assert list(of.inputs) == ["x"]
    assert of.notes == [
        "column 'place' is left out: its values are structs, maps, nested lists or bytes"
    ]
    [place] = [column for column in of.describe().columns if column["name"] == "place"]
    assert (place["kind"], place["missing"], place["distinct"]) == ("left out", 39, None)
    assert place["type"] == "struct<a: int64>"
    assert "struct<a: int64>" in data_tables(vars(of.describe()))
    for dropped in ({"drop": ["place"]}, {"columns": {"place": "drop"}}):
        assert not table(path="lake.parquet", target="price", **dropped).notes
    for key, named in {
        "data.target=place": {"target": "place"},
        "data.weight=place": {"weight": "place"},
        "data.columns.place": {"columns": {"place": "category"}},
        "data.by=place": {"split": "group", "by": "place"},
    }.items():
        error = refused(**{"path": "lake.parquet", **named})
        assert error.message.startswith(f"{key}: the column has type struct<a: int64>; expected")
        assert error.hint == "write its parts as columns of their own"
    parquet.write_table(pa.table({**columns, "x": nested}), "new.parquet")
    saved = spec_from_json(spec_to_json(of.dataset().spec), source="x")
    with pytest.raises(DlrunError, match="column 'x' has type struct<a: int64>"):
        table(path="new.parquet", target="price").dataset(saved)


def test_a_bad_byte_does_not_drop_a_column_of_texts_and_bytes_are_not_named():
    columns = {"x": [n / 7 for n in range(300)], "price": [n % 50 + 0.5 for n in range(300)]}
    texts = pa.array([b"a good text", b"another one"] * 149 + [b"K\xf6ln", None])
    parquet.write_table(
        pa.table({**columns, "text": texts, "blob": pa.array([b"\xff\xfe"] * 300)}), "a.parquet"
    )
    error = refused(path="a.parquet")
    assert error.message == "data: a.parquet: column 'text' is not UTF-8"
    assert error.hint == "decode its values, or data.columns.text=drop"
    of = table(path="a.parquet", target="price", drop=["text"])
    assert of.notes == [
        "column 'blob' is left out: its values are structs, maps, nested lists or bytes"
    ]
    for name in ("text", "blob"):
        error = refused(path="a.parquet", columns={name: "text"})
        assert error.message == f"data: a.parquet: column '{name}' is not UTF-8"
        assert error.hint == "decode its values, or write the table without it"


def test_lists_and_texts_with_bars_are_several_classes_at_once(tmp_path):
    write_all(tmp_path)
    data = table(path="films.csv", target="genres", kind="multilabel").dataset()
    assert data.targets.classes == ("action", "comedy", "drama")
    assert data.num_classes == 3
    total = sum(split.labels.sum(axis=0) for split in (data.train, data.validation, data.test))
    assert total.tolist() == [40, 40, 40]


def test_a_blank_target_of_lists_is_missing_or_of_no_class(tmp_path):
    genres = ["war|drama", "drama", "", "war"] * 20
    write_csv(tmp_path / "f.csv", {"year": [1900 + n for n in range(80)], "genres": genres})
    arguments = {"path": "f.csv", "target": "genres", "kind": "multilabel"}
    found = table(**arguments).describe()
    assert (found.samples, found.classes) == (60, {"genres": {"drama": 40, "war": 40}})
    assert "20 rows have no target, and are left out; data.blank=no_class" in found.notes[0]
    of = table(**arguments, blank="no_class")
    data, kept = of.dataset(), of.describe()
    assert (kept.samples, kept.classes, kept.notes) == (80, found.classes, [])
    for split in ("train", "validation", "test"):
        expected = [[int(k in genres[row]) for k in ("drama", "war")] for row in rows_of(of, split)]
        assert data.split(split).labels.tolist() == expected
    np.testing.assert_array_equal(table(**kept.explicit).dataset().test.labels, data.test.labels)
    assert "data.blank=none: expected missing or no_class" in refused(blank="none").message


def test_a_split_column_and_folders_of_splits_are_recognised(tmp_path):
    columns = houses()
    columns["split"] = ["test" if n % 4 == 0 else "train" for n in range(120)]
    write_csv(tmp_path / "s.csv", columns)
    of = table(path="s.csv", target="kind")
    assert rows_of(of, "test").tolist() == list(range(0, 120, 4))
    assert "split" not in of.inputs
    for name in ("train", "test"):
        (tmp_path / "parts" / name).mkdir(parents=True)
        write_csv(tmp_path / "parts" / name / "a.csv", houses(rows=40, seed=len(name)))
    data = table(path="parts", target="kind", validation=0.25).dataset()
    assert [len(s) for s in (data.train, data.validation, data.test)] == [30, 10, 40]


def test_the_second_time_arrays_come_from_the_cache_and_a_damaged_entry_is_made_anew(tmp_path):
    first = table(path="houses.csv", target="price").dataset()
    entries = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.npy")}
    assert entries
    table(path="houses.csv", target="price").dataset()
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.npy")} == entries
    for path in entries:
        path.write_bytes(path.read_bytes()[:-7])
    again = table(path="houses.csv", target="price").dataset()
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)


def test_evaluation_of_the_same_table_finds_the_arrays_of_the_run(tmp_path):
    data = table(path="houses.csv", target="price").dataset()
    entries = set((tmp_path / "cache").iterdir())
    saved = spec_from_json(spec_to_json(data.spec), source="inputs.json")
    again = table(path="houses.csv", target="price").dataset(saved)
    np.testing.assert_array_equal(again.test.labels, data.test.labels)
    assert set((tmp_path / "cache").iterdir()) == entries


def test_a_table_from_the_cache_is_not_read_again_and_takes_neither_pyarrow_nor_pandas():
    code = (
        "import sys; from dlrun.data.table import table;"
        "data = table(path='houses.csv', target='price').dataset();"
        "print(len(data.train), sorted({'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    told = []
    for _ in range(2):
        command = [sys.executable, "-c", code]
        told.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert "pyarrow" in told[0]
    assert told[1] == "83 []\n"


def test_notes_tell_what_is_left_out():
    columns = houses()
    columns["empty"], columns["same"] = [None] * 120, ["x"] * 120
    write_csv(table(path="houses.csv", target="price").entry.parent.parent / "n.csv", columns)
    notes = table(path="n.csv", target="price").notes
    assert notes == [
        "column 'id' is left out: each row has another value, like an id",
        "column 'empty' is left out: it has no values",
        "column 'same' is left out: all values are equal",
        "1 row has no target, and is left out",
    ]


def test_a_blank_cell_of_columns_of_classes_is_missing_or_none_of_them(tmp_path):
    marks = {"cat": [1, "", 0, ""] * 20, "dog": [1, 1, "", ""] * 20}
    write_csv(tmp_path / "f.csv", {"year": [1900 + n for n in range(80)], **marks})
    arguments = {"path": "f.csv", "target": ["cat", "dog"]}
    assert "dog: every row is 1" in refused(**arguments, kind="multilabel").message
    kept = table(**arguments, blank="no_class").describe()
    assert (kept.samples, kept.tasks) == (80, {"cat, dog": "multilabel"})
    assert kept.classes == {"cat, dog": {"cat": 20, "dog": 40}}
    of = table(**kept.explicit)
    expected = np.array([[1, 1], [0, 1], [0, 0], [0, 0]] * 20)
    np.testing.assert_array_equal(of.dataset().test.labels, expected[rows_of(of, "test")])
    marks["dog"] = [1, 0, "", ""] * 20
    write_csv(tmp_path / "f.csv", {"year": [1900 + n for n in range(80)], **marks})
    missing = table(**arguments).describe()
    assert (missing.samples, missing.classes) == (20, {"cat, dog": {"cat": 20, "dog": 20}})


@pytest.mark.parametrize(
    ("target", "task"), [("price", "price is regression"), ("kind", "kind is classification")]
)
def test_blanks_of_no_class_are_refused_for_other_tasks(target, task):
    error = refused(target=target, blank="no_class")
    assert f"data.blank=no_class: is for several classes at once, and the task of {task}" in (
        error.message
    )
    assert error.hint == "data.blank=missing, or data.kind=multilabel"


def test_rows_are_named_by_a_column_of_ids_and_without_one_by_their_numbers():
    of, ids = table(path="houses.csv", target="price"), houses()["id"]
    rows = rows_of(of, "test")
    names = of.dataset().test.ids
    assert [names(sample) for sample in range(len(rows))] == [str(ids[row]) for row in rows]
    assert names[3:](0) == str(ids[rows[3]])
    write_csv(Path("plain.csv"), {name: v for name, v in houses().items() if name != "id"})
    plain = table(path="plain.csv", target="price")
    assert plain.dataset().test.ids(0) == f"row {rows_of(plain, 'test')[0] + 1}"


def test_a_limit_leaves_out_no_row_for_its_target():
    notes = table(path="houses.csv", target="price").notes
    limited = table(path="houses.csv", target="price", limit=5)
    assert limited.notes == notes
    assert limited.describe().splits == {"train": 5, "validation": 5, "test": 5}


def test_what_a_column_is_can_be_said():
    of = table(
        path="houses.csv",
        target="price",
        columns={
            "rooms": "category",
            "area": {"kind": "number", "scale": "min_max"},
            "id": "number",
        },
        drop=["kind"],
        categories={"encoding": "ids"},
    )
    assert of.inputs["rooms"] == ("category", {"encoding": "ids"})
    assert of.inputs["area"] == ("number", {"scale": "min_max"})
    assert "id" in of.inputs
    assert "kind" not in of.inputs
    data = of.dataset()
    assert list(data.train.inputs) == ["numbers", "categories"]
    assert data.train.inputs["categories"].dtype == np.int32
    for place, size in enumerate(data.sizes["categories"]):
        assert data.train.inputs["categories"][:, place].max() < size


WRONG = {
    "an unknown target": ({"target": "prize"}, "houses.csv has no such column; it has id, area"),
    "no target": ({"target": None}, "needs a column of houses.csv: id, area"),
    "an unknown column": ({"columns": {"aria": "number"}}, "data.columns.aria: "),
    "an unknown kind": ({"columns": {"area": "image"}}, "there is no kind 'image'"),
    "an unknown option": ({"numbers": {"scales": "log"}}, "a number has no option 'scales'"),
    "an unknown scale": ({"numbers": {"scale": "log2"}}, "scale is log2"),
    "a text that is no number": ({"columns": {"city": "number"}}, "row 1 is"),
    "a target of text": ({"target": "city", "kind": "regression"}, "row 1 is"),
    "two classes needed": ({"target": "kind", "kind": "binary_classification"}, "has 3 different"),
    "an unknown task": ({"kind": "ranking"}, "expected classification"),
    "no column left": ({"drop": ["id", "area", "city", "rooms", "garden", "sold", "kind"]},
                       "has no column to learn from"),
    "the target twice": ({"target": ["price", "price"]}, "expected different columns"),
    "a group that is not there": ({"split": "group", "by": "owner"}, "data.by=owner"),
    "no time": ({"split": "time", "by": "city"}, "column 'city', row 1: '"),
    "an id as classes": ({"target": "id", "kind": "classification"}, "class 0 has one row"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_refused_in_one_line(arguments, words):
    assert words in refused(**arguments).message


def test_almost_numbers_are_refused_by_row_and_can_be_called_missing(tmp_path):
    columns = houses()
    columns["area"][7] = "unknown"
    write_csv(tmp_path / "h.csv", columns)
    error = refused(path="h.csv")
    assert re.search(r"column 'area': row 8 is 'unknown', but 99% of the rows", error.message)
    assert "data.missing=[unknown]" in error.hint
    of = table(path="h.csv", target="price", missing=["unknown"])
    assert of.inputs["area"][0] == "number"
    columns["price"][3] = "?"
    write_csv(tmp_path / "h.csv", columns)
    assert "data.target: column 'price', row 4 is '?'" in refused(path="h.csv", missing=["unknown"],
                                                        kind="regression").message  # fmt: skip
    error = refused(path="h.csv", missing=["unknown"])  # no task is said
    assert "data.target: column 'price': row 4 is '?', but 99% of" in error.message
    assert "data.missing=[?]" in error.hint
    assert error.hint.endswith("or data.kind=classification")


MIXED = {
    "numbers": (lambda n: f"abc{n}" if n == 7 else n + 0.5, "row 8 is 'abc7', but 98% of the rows"),
    "half": (lambda n: n + 0.5 if n % 3 else f"abc{n}", "row 1 is 'abc0', but 67% of the rows are"),
    "list": (lambda n: [1, 2] if n == 7 else n + 0.5, "row 8 is '[1, 2]', but 98% of the rows"),
    "dates": (lambda n: "soon" if n == 7 else f"2026-{n // 28 + 1:02}-{n % 28 + 1:02}",
              "row 8 is 'soon', but 98% of the rows are dates"),
    "truth values": (lambda n: -1 if n == 7 else n % 2 == 0,
                     "row 8 is '-1', but 98% of the rows are true or false"),
    "yes": (lambda n: "2" if n == 7 else "yNt1"[n % 4], "row 8 is '2', but 98% of the rows"),
    "no day": (lambda n: f"2026-02-{n % 30 + 1:02}", "row 29 is '2026-02-29', but 97% of the rows"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "words"), MIXED.values(), ids=MIXED)
def test_a_value_of_another_kind_than_most_is_refused_by_row_and_value(tmp_path, value, words):
    rows = [{"area": value(n), "rooms": n % 5, "price": 3.0 * n} for n in range(60)]
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))
    error = refused(path="h.jsonl")
    assert error.message.startswith("data: column 'area': row ")
    assert words in error.message
    assert "data.columns.area=" in error.hint


def test_a_number_among_truth_values_of_a_csv_is_told_with_what_settles_it(tmp_path):
    def write(share, other=-1):
        rows = [f"{other if n % 20 >= share * 20 else n % 2 == 0},{n},{n / 3}" for n in range(60)]
        (tmp_path / "h.csv").write_text("\n".join(["sold,rooms,price", *rows, ",5,7.5"]))

    write(0.95)
    error = refused(path="h.csv")
    assert (
        error.message
        == "data: column 'sold': row 20 is '-1', but 95% of the rows are true or false"
    )
    assert error.hint == (
        "correct it, or 'data.missing=[-1]' if it stands for a missing value, or"
        " data.columns.sold=category"
    )
    of = table(path="h.csv", target="price", missing=["-1"])
    assert (of.inputs["sold"], of.notes) == (("boolean", {}), [])
    of = table(path="h.csv", target="price", columns={"sold": "category"})
    assert (of.inputs["sold"], of.notes) == (("category", {}), [])
    write(0.6)
    assert table(path="h.csv", target="price").notes == [
        "column 'sold' is taken for categories: 60% of the rows are true or false, and row 13 is"
        " '-1'; data.columns.sold=category says that it is meant"
    ]
    write(0.95, "unknown")  # a category of its own
    of = table(path="h.csv", target="price")
    assert (of.inputs["sold"], of.notes) == (("category", {}), [])
    write(0.95, 0)
    assert table(path="h.csv", target="price").inputs["sold"] == ("boolean", {})


def test_a_table_without_inputs_says_why_each_column_is_none(tmp_path):
    rows = [{"area": str(n + 0.5), "same": 1, "price": 3.0 * n} for n in range(60)]
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))
    error = refused(path="h.jsonl")
    assert "column 'area': each row has another value, like an id" in error.message
    assert "column 'same': all values are equal" in error.message
    assert error.hint == "data.columns.area=number takes it all the same"
    of = table(path="h.jsonl", target="price", columns={"area": "number"})
    np.testing.assert_allclose(of.dataset().train.inputs.mean(), 0, atol=1e-6)


def test_integers_too_large_for_64_bits_are_numbers(tmp_path):
    rows = [f'{{"area": {n if n != 7 else 10**30}, "price": {3 * n}}}' for n in range(60)]
    (tmp_path / "h.jsonl").write_text("\n".join(rows))
    of = table(path="h.jsonl", target="price")
    assert of.inputs["area"] == ("number", {})
    assert of.profiles["area"].high == 1e30


@pytest.fixture
def large(tmp_path):
    """Keys of three rows each, which are 1 apart: as float64, all but one are equal."""
    rows = [f"{2**64 + n // 3},{n % 5},{3 * n}" for n in range(60)]
    (tmp_path / "h.csv").write_text("\n".join(["key,rooms,price", *rows]))
    return {"path": "h.csv", "target": "price"}


def test_large_integers_are_exact_as_categories_groups_and_classes(large):
    of = table(**large, columns={"key": "category"})
    keys = [str(value) for batch in of.batches() for value in batch["key"].to_pylist()]
    trained = {key for key, split in zip(keys, of.splits, strict=True) if not split}
    assert {*of.dataset().spec.preprocessing[0].fitted[0].categories} == trained
    of = table(**large, split="group", by="key")
    assert len({*of.splits.tolist()}) == 3  # as one group, they would be in one split
    assert len({*zip(keys, of.splits.tolist(), strict=True)}) == len({*keys}) == 20
    of = table(path="h.csv", target="key", kind="classification")
    assert of.labels[None].classes == tuple(str(2**64 + n) for n in range(20))


def test_large_integers_are_the_nearest_floats_as_numbers(large, tmp_path):
    of = table(**large, columns={"key": {"kind": "number", "scale": "min_max"}})
    text = (tmp_path / "h.csv").read_text()
    floats = re.sub(r"^(\d{10,})", r"\1.0", text, flags=re.MULTILINE) + "\n0.5,1,1"  # no integer
    (tmp_path / "f.csv").write_text(floats)
    as_floats = table(path="f.csv", target="price")
    assert [of.profiles["key"].type, as_floats.profiles["key"].type] == [LARGE, "double"]
    numbers = [np.concatenate([to_numbers("key", batch["key"]) for batch in each.batches()])
               for each in (of, as_floats)]  # fmt: skip
    np.testing.assert_array_equal(numbers[0], numbers[1][:-1])
    assert (of.profiles["key"].low, of.profiles["key"].high) == (2.0**64, 2.0**64)
    of.dataset()


def test_a_large_id_names_the_rows_and_is_no_input(large, tmp_path):
    rows = [f"{2**64 + n},{n % 5},{3 * n}" for n in range(60)]
    (tmp_path / "h.csv").write_text("\n".join(["id,rooms,price", *rows]))
    of = table(**large)
    assert of.notes == ["column 'id' is left out: each row has another value, like an id"]
    assert of.row_names[3] == str(2**64 + 3)


def test_what_is_said_of_a_column_that_is_no_input_is_told_to_have_no_effect(tmp_path):
    rows = [
        {"area": n % 45, "shop": n % 7, "w": 1 + n % 3, "note": n % 5, "price": 3.0 * n + 1}
        for n in range(60)
    ]
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))
    log = {"kind": "number", "scale": "log"}
    given = dict.fromkeys(rows[0], log)
    options = {"path": "h.jsonl", "target": "price", "weight": "w", "drop": ["note"]}
    of = table(**options, columns=given, split="group", by="shop")
    assert [note for note in of.notes if "no effect" in note] == [
        "data.columns.shop has no effect: the column is that of data.split=group",
        "data.columns.w has no effect: the column weighs the samples",
        "data.columns.note has no effect: the column is in data.drop",
        "data.columns.price has no effect: the column is a target, and numbers of targets are"
        " standardized; data.kind says what it is",
    ]
    assert (
        table(**options, columns={"note": "drop", "shop": "number"}, split="time", by="shop").notes
        == []
    )


def test_texts_that_look_like_numbers_or_dates_are_told_with_how_to_read_them(tmp_path):
    rows = [
        {"rooms": str(n % 40), "zip": f"0{1000 + n % 40}", "day": f"{n % 28 + 1:02}.11.2026",
         "area": n % 45 + 0.5 if n % 4 else False, "price": 3.0 * n} for n in range(60)
    ]  # fmt: skip
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))
    of = table(path="h.jsonl", target="price")
    assert of.notes == [
        "column 'rooms' has numbers as texts: data.columns.rooms=number reads them",
        "column 'day' looks like dates:"
        """ 'data.columns.day={kind: date, format: "%d.%m.%Y"}' reads them""",
        "column 'area' is taken for categories: 75% of the rows are numbers, and row 1 is 'false';"
        " data.columns.area=category says that it is meant",
    ]
    dates = {"kind": "date", "format": "%d.%m.%Y"}
    assert len(table(path="h.jsonl", target="price", columns={"day": dates}).notes) == 2


@pytest.mark.parametrize("other", [{"k": 1}, ["a", "b"]])
def test_an_object_or_list_among_texts_is_told(tmp_path, other):
    rows = [{"m": "abc"[n % 3] if n != 7 else other, "area": n / 7, "price": 3.0 * n}
            for n in range(60)]  # fmt: skip
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert table(path="h.jsonl", target="price").notes == [
        f"column 'm' is taken for categories: of its values, {json.dumps(other)} is a list or"
        " object, and others are not"
    ]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"target": "tags", "kind": "classification"}, "data.kind=multilabel"),
        ({"target": "tags", "kind": "regression"}, "data.kind=multilabel"),
        ({"target": ["flag", "tags"], "kind": "multilabel"}, "leave out data.kind"),
        ({"target": "flag", "split": "group", "by": "tags"}, "choose another column"),
        ({"target": "flag", "split": "hash", "by": "tags"}, "choose another column"),
        ({"target": "flag", "weight": "tags"}, "choose another column"),
        *(
            ({"target": "flag", "columns": {"tags": kind}}, "data.columns.tags=drop")
            for kind in ("category", "text", "boolean", "date", "number")
        ),
    ],
)
def test_lists_where_each_row_has_one_value_are_refused(tmp_path, options, hint):
    rows = [{"area": n / 7, "flag": n % 2, "tags": ["u", "v"][: n % 3]} for n in range(60)]
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))
    error = refused(path="h.jsonl", **options)
    assert "tags: the column has lists, expected one value in each row" in error.message
    assert error.hint == hint
    kept = {"path": "h.jsonl", "target": ["flag", "tags"]}
    assert dict(table(**kept).tasks()) == {"flag": "binary_classification", "tags": "multilabel"}


def test_a_day_is_called_by_its_date_and_a_time_without_zeros(tmp_path):
    rows = [f"2026-01-0{n % 2 + 1},2026-01-01 10:0{n % 2}:00,{n * 0.5}" for n in range(40)]
    (tmp_path / "h.csv").write_text("\n".join(["due,at,area", *rows]))
    assert table(path="h.csv", target="due").labels[None].classes == ("2026-01-01", "2026-01-02")
    times = table(path="h.csv", target="at").labels[None].classes
    assert times == ("2026-01-01 10:00:00", "2026-01-01 10:01:00")


def test_rows_of_a_wrong_split_are_counted_in_the_table(tmp_path):
    columns = houses()
    columns["price"][2] = None
    columns["sold"][9] = None
    write_csv(tmp_path / "h.csv", columns)
    assert (
        refused(path="h.csv", split="time", by="sold").message == "data.by=sold: row 10 has no time"
    )
    columns["sold"] = [f"{n % 28 + 1}.11.2026" for n in range(120)]
    write_csv(tmp_path / "h.csv", columns)
    error = refused(path="h.csv", split="time", by="sold")
    assert error.message.startswith("data: h.csv: column 'sold', row 1: '1.11.2026' is not a date")
    assert error.hint == """'data.columns.sold={kind: date, format: "%d.%m.%Y"}'"""


def test_a_column_that_names_splits_is_no_input_of_another_split(tmp_path):
    columns = houses() | {"split": [["train", "val", "test"][n % 3] for n in range(120)]}
    write_csv(tmp_path / "h.csv", columns)
    of = table(path="h.csv", target="price", folds=3)
    assert "split" not in of.inputs
    assert "column 'split' is left out: data.split=random does not go by it" in of.notes
    assert (
        "split"
        in table(path="h.csv", target="price", folds=3, columns={"split": "category"}).inputs
    )


def test_a_column_of_texts_for_one_of_numbers_is_to_be_another_one():
    assert refused(weight="city").hint == "choose a column of numbers"
    assert refused(target="city", kind="regression").hint == "choose a column of numbers"


def test_a_name_with_a_space_is_suggested_as_it_is_typed(tmp_path):
    (tmp_path / "h.csv").write_text("area, price\n" + "1,2\n2,3\n" * 20)
    assert refused(path="h.csv").hint == """'data.target=" price"'"""


def test_a_wrong_weight_is_not_called_missing():
    columns = houses()
    columns["rooms"][3] = -2
    write_csv(Path("h.csv"), columns)
    error = refused(path="h.csv", weight="rooms")
    assert error.message.endswith("row 4: -2.0 is not a number from 0")
    assert error.hint == "correct it"


def test_a_value_that_float32_does_not_hold_is_refused_by_row(tmp_path):
    columns = houses()
    columns["area"][7] = 1e100
    write_csv(tmp_path / "h.csv", columns)
    words = "column 'area' has numbers as large as 1e+100"
    assert words in refused(path="h.csv", numbers={"scale": "none"}).message
    assert np.isfinite(table(path="h.csv", target="price").dataset().train.inputs).all()
    columns["area"][7] = 1e300
    write_csv(tmp_path / "h.csv", columns)
    assert "column 'area' has numbers as large as 1e+300" in refused(path="h.csv").message
    # In the test split, which the statistics do not know.
    columns["split"] = ["test" if n in (7, 8) else "train" for n in range(120)]
    write_csv(tmp_path / "h.csv", columns)
    error = refused(path="h.csv")
    large = "1e+300 is not a number that float32 holds"
    assert error.message == f"data: h.csv: column 'area', row 8: {large}"
    assert error.hint == "correct it, or 'data.columns.area={kind: number, scale: log}'"
    scaled = table(
        path="h.csv", target="price", columns={"area": {"kind": "number", "scale": "log"}}
    )
    assert np.isfinite(scaled.dataset().test.inputs).all()
    error = refused(path="h.csv", target="area")
    assert error.message == f"data: h.csv: column 'area', row 8: {large}"
    assert error.hint == "correct it"
    columns["split"] = ["test" if n in (9, 10) else "train" for n in range(120)]
    write_csv(tmp_path / "h.csv", columns)
    error = refused(path="h.csv", target="area")
    assert error.message == "data.target=area: has numbers as large as 1e+300"
    columns["rooms"][9] = 1e300
    write_csv(tmp_path / "h.csv", columns)
    error = refused(path="h.csv", weight="rooms", drop=["area"])
    assert error.message == f"data: h.csv: column 'rooms', row 10: {large}"


def test_rows_are_encoded_in_blocks_as_at_once(tmp_path, monkeypatch):
    columns = houses()
    columns["importance"] = [1 + n % 4 for n in range(120)]
    columns["split"] = ["train", "train", "test", "validation"] * 30
    write_csv(tmp_path / "h.csv", columns)

    def arrays():
        data = table(path="h.csv", target=["price", "kind"], weight="importance").dataset()
        return [array.tobytes() for name in SPLITS for array in data.split(name).arrays()]

    whole = arrays()
    monkeypatch.setattr(write_rows, "BLOCK", 7)
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "other"))
    assert arrays() == whole
    columns["area"][102] = 1e300  # of the test, in a later block
    write_csv(tmp_path / "h.csv", columns)
    assert "row 103: 1e+300 is not a number that float32" in refused(path="h.csv").message
    columns["area"][102], columns["importance"][106] = 1, -1
    write_csv(tmp_path / "h.csv", columns)
    error = refused(path="h.csv", weight="importance")
    assert error.message.endswith("column 'importance', row 107: -1.0 is not a number from 0")


def test_a_column_of_weights_goes_with_its_rows_and_is_no_input(tmp_path):
    columns = houses()
    columns["importance"] = [1 + n % 4 for n in range(120)]
    write_csv(tmp_path / "h.csv", columns)
    of = table(path="h.csv", target=["price", "kind"], weight="importance")
    data = of.dataset()
    for split in ("train", "test"):
        expected = [columns["importance"][row] for row in rows_of(of, split)]
        for name in ("price", "kind"):
            assert data.split(split).weights[name].tolist() == expected
    assert "importance" not in of.inputs
    columns["importance"][9] = -1
    write_csv(tmp_path / "h.csv", columns)
    error = refused(path="h.csv", weight="importance")
    assert error.message.endswith("column 'importance', row 10: -1.0 is not a number from 0")


def test_targets_that_teach_nothing_are_refused(tmp_path):
    columns = houses()
    columns |= {"none": [None] * 120, "same": [3] * 120, "rare": ["a"] * 119 + ["b"]}
    write_csv(tmp_path / "h.csv", columns)
    for target, words in (
        ("none", "has no values"),
        ("same", "every row is 3"),
        ("rare", "class b has one row"),
    ):
        assert words in refused(path="h.csv", target=target).message


def test_the_description_makes_each_choice_explicit():
    of = table(path="houses.csv", target="price")
    explicit = of.describe().explicit
    again = table(**json.loads(json.dumps(explicit)))
    np.testing.assert_array_equal(again.dataset().train.inputs, of.dataset().train.inputs)
    assert isinstance(again.dataset().preprocessing[0], Columns)
    assert explicit["drop"] == ["id"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"delimiter": "ab"}, "data.delimiter='ab': expected one"),
        ({"delimiter": ""}, "data.delimiter='': expected one"),
        ({"delimiter": '"'}, "data.delimiter='\"': expected one"),
        ({"delimiter": 12}, "data.delimiter='12': expected one"),
        ({"decimal": "x"}, "data.decimal='x': expected . or ,"),
        ({"decimal": ",", "delimiter": ","}, "data.decimal=',' beside data.delimiter=','"),
    ],
)
def test_a_delimiter_or_decimal_point_that_is_none_is_refused(given, problem):
    assert refused(**given).message.startswith(problem)
    with pytest.raises(DlrunError, match=re.escape(problem)):
        timeseries(path="houses.csv", target="price", time="sold", history=3, **given)


def test_a_tab_is_typed_as_a_backslash_and_t():
    write_csv(Path("tabs.csv"), houses(), delimiter="\t")
    assert "price" in table(path="tabs.csv", target="price", delimiter=r"\t").profiles


@pytest.mark.parametrize(
    ("text", "given", "hint"),
    [
        ("a:b:y\n1:2:3\n", {}, """data.delimiter='":"'"""),
        ("a,b,y\n1,2,3\n", {"delimiter": ";"}, """data.delimiter='","'"""),
        ("a,b,y\n1,2,3\n", {"decimal": ","}, "leave out data.decimal=,"),
    ],
)
def test_a_table_of_one_column_says_what_may_be_its_delimiter(tmp_path, text, given, hint):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DlrunError, match="no such column") as caught:
        table(path=str(tmp_path / "a.csv"), target="y", **given).tasks()
    assert hint in caught.value.hint


@pytest.mark.parametrize("rows", [60, 12_000])
@pytest.mark.parametrize("repeats", [False, True])
def test_a_target_with_decimal_commas_says_how_to_read_it(tmp_path, rows, repeats):
    values = [f"{n},25" for n in range(rows)]
    values[-1] = values[0] if repeats else values[-1]
    columns = {"x": [n % 7 for n in range(rows)], "y": values}
    write_csv(tmp_path / "a.csv", columns, delimiter=";")
    error = refused(path=str(tmp_path / "a.csv"), target="y")
    assert error.message.startswith("data.target=y: ")
    assert error.hint == """'data.decimal=","' if the comma is that of a decimal"""
    table(path=str(tmp_path / "a.csv"), target="y", decimal=",").dataset()


def test_a_comma_among_the_numbers_of_a_table_in_memory_names_the_row():
    columns = {"x": list(range(60)), "y": [*["1"] * 30, *["2"] * 29, "1,5"]}
    of = arrow_table("frame", lambda: pa.table(columns), target="y")
    with pytest.raises(DlrunError, match=r"column 'y': row 60 is '1,5', but 98%") as caught:
        of.dataset()
    assert caught.value.hint == "correct it, or data.kind=classification"


def test_empty_lines_before_the_names_are_skipped(tmp_path):
    (tmp_path / "a.csv").write_text("\n\r\na;b\n1;2\n")
    assert list(table(path=str(tmp_path / "a.csv"), target="b").profiles) == ["a", "b"]
    assert Rows(tmp_path / "a.csv", TableOptions()).names == ["a", "b"]


EMPTY_LINES = {
    "plain": (b"a\n1.5\n\n2.5\n\n", ["1.5", None, "2.5", None]),
    "after other empty lines": (b"\r\n\na\r\n1.5\r\n\r\n2.5\r\n", ["1.5", None, "2.5"]),
    "with line breaks in quotes": (b'a\n"1\n\n2"\n\n3\n', ["1\n\n2", None, "3"]),
}


@pytest.mark.parametrize("case", EMPTY_LINES)
def test_an_empty_line_of_a_single_column_is_a_row(tmp_path, case):
    """pyarrow, polars and DuckDB write a missing value of a single column as nothing."""
    path = tmp_path / "a.csv"
    content, expected = EMPTY_LINES[case]
    path.write_bytes(content)
    batches = csv.batches(path, {"a": pa.string()}, TableOptions())
    assert [value for batch in batches for value in batch["a"].to_pylist()] == expected
    [block] = Rows(path, TableOptions()).blocks({"a": Cells.VALUES}, size=10)
    assert block.batch["a"].to_pylist() == expected
    assert block.rows.tolist() == list(range(1, len(expected) + 1))


def test_a_wrong_row_among_empty_lines_of_a_single_column_keeps_its_number(tmp_path):
    (tmp_path / "a.csv").write_text("\n\na\n1.5\n\n2,5\n3.5\n")
    [block] = Rows(tmp_path / "a.csv", TableOptions()).blocks({"a": Cells.VALUES}, size=10)
    assert block.rows.tolist() == [1, 2, 4] and list(block.wrong) == [3]


def test_an_empty_line_of_several_columns_is_no_row(tmp_path):
    (tmp_path / "a.csv").write_text("\na,b\n1,2\n\n3,4\n\n")
    [batch] = csv.batches(tmp_path / "a.csv", {}, TableOptions())
    assert batch.to_pylist() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
