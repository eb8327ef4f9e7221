"""Forecasts from tables: the last rows of each series, or each window to evaluate on."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from dlrun.data.input_spec import InputSpec
from dlrun.data.input_spec_json import spec_from_json, spec_to_json
from dlrun.data.readers import Request, open_reader
from dlrun.data.timeseries import timeseries
from dlrun.errors import DlrunError
from dlrun.inference.checked_parts import CheckedParts
from dlrun.inference.in_memory import frame_as_file, takes_columns

HISTORY, HORIZON = 5, 3


def columns(rows: int, shop: str) -> dict[str, list]:
    load = np.random.default_rng(len(shop) + rows).normal(50, 9, rows).round(3).tolist()
    hours = [f"2026-01-{1 + n // 24:02} {n % 24:02}:00:00" for n in range(rows)]
    return {"hour": hours, "shop": [shop] * rows, "load": load}


def write(path: Path, *tables: dict[str, list]) -> Path:
    csv.write_csv(pa.concat_tables(map(pa.table, tables)), path)
    return path


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InputSpec:
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "old.csv", columns(80, "a"), columns(80, "b"))
    data = timeseries(
        path=str(path), target="load", time="hour", group="shop", history=HISTORY, horizon=HORIZON
    ).dataset()
    return spec_from_json(spec_to_json(data.spec), source="inputs.json")


def test_a_forecast_is_named_by_its_series_and_the_time_that_it_follows(tmp_path, spec):
    new = [columns(60, "a"), columns(40, "new")]
    path = write(tmp_path / "new.csv", *new)
    [part] = open_reader(Request(path, spec)).parts()
    assert (part.rows.tolist(), part.names["shop"]) == ([60, 100], ["a", "new"])
    assert [str(time) for time in part.names["hour"]] == [table["hour"][-1] for table in new]
    [step] = spec.preprocessing
    for window, table in zip(part.inputs, new, strict=True):
        restored = window[:, 0] * step.deviation + step.mean
        np.testing.assert_allclose(restored, table["load"][-HISTORY:], atol=1e-4)


def from_stdin(monkeypatch, spec, *lines: object):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return open_reader(Request(Path("-"), spec)).parts()


def test_rows_on_stdin_are_those_of_a_file(tmp_path, spec, monkeypatch):
    new = [columns(60, "a"), columns(40, "new")]
    [expected] = open_reader(Request(write(tmp_path / "new.csv", *new), spec)).parts()
    rows = [dict(zip(t, row, strict=True)) for t in new for row in zip(*t.values(), strict=True)]
    rows[-1]["load"] = int(rows[-1]["load"])  # beside numbers that are not whole
    [part] = from_stdin(monkeypatch, spec, *rows)
    assert part.rows.tolist() == expected.rows.tolist()
    assert part.names["shop"] == expected.names["shop"]
    assert part.names["hour"] == [str(time) for time in expected.names["hour"]]
    np.testing.assert_array_equal(part.inputs[0], expected.inputs[0])
    np.testing.assert_array_equal(part.inputs[1, :-1], expected.inputs[1, :-1])


def test_what_is_wrong_with_rows_on_stdin_is_told_in_a_line(spec, monkeypatch):
    row = {"hour": "2026-01-01 00:00", "shop": "a", "load": 1.0}
    for lines, problem in (
        ([], "has no rows"),
        ([row, "nonsense"], "row 2 is not JSON: 'nonsense'"),
        (["hour,shop"], r"row 1 is not JSON, as .* are \(a CSV needs a file\): 'hour,shop'"),
        ([[row]], "row 1 is not an object"),
        ([{"hour": 1, "shop": "a"}], "has no column 'load', which the run takes"),
        ([row], "series 'a' ends with 1 rows, expected 5"),
        ([{**row, "load": "x"}], "row 1 is 'x', expected a number"),
    ):
        with pytest.raises(DlrunError, match=problem) as caught:
            CheckedParts(from_stdin(monkeypatch, spec, *lines), Path("-"), skip=False)
        assert caught.value.message.startswith("--input -")


def test_a_run_is_evaluated_on_every_window_and_what_follows_it(tmp_path, spec):
    new = [columns(30, "a"), columns(20, "b"), columns(7, "short")]
    path = write(tmp_path / "new.csv", *new)
    reader = open_reader(Request(path, spec, labels=True, rows=10))
    parts = list(reader.parts())
    assert reader.notes() == ["1 series is left out, without 8 rows one after the other: short"]
    assert [len(part.rows) for part in parts] == [10, 10, 10, 6]
    labels = spec.targets.restore(np.concatenate([part.labels for part in parts]))
    expected = [
        table["load"][end : end + HORIZON]
        for table in new for end in range(HISTORY, len(table["load"]) - HORIZON + 1)
    ]  # fmt: skip
    np.testing.assert_allclose(labels, expected, atol=1e-4)


def test_what_is_wrong_with_a_table_is_told_in_a_line(tmp_path, spec):
    table = columns(30, "a")
    gap = {name: of[:9] + of[12:] for name, of in table.items()}
    short = {name: of[:4] for name, of in table.items()}
    less = {name: of for name, of in table.items() if name != "shop"}
    for changed, problem in (
        (gap, "row 10: 2026-01-01 12:00:00 comes 4 hours after"),
        (short, "series 'a' ends with 4 rows, expected 5"),
        (less, "has no column 'shop', which the run takes"),
        ({**table, "load": ["x", *table["load"][1:]]}, "row 1 is 'x', expected a number"),
    ):
        wrong = {name: [*map(str, of)] for name, of in changed.items()}
        with pytest.raises(DlrunError) as caught:
            path = write(tmp_path / "w.csv", wrong)
            CheckedParts(open_reader(Request(path, spec)).parts(), path, skip=False)
        assert f"--input {tmp_path / 'w.csv'}" in caught.value.message
        assert problem in caught.value.message
        assert "data.gaps" not in str(caught.value.hint)


def test_what_is_wrong_with_a_series_is_told_of_it_alone(tmp_path, spec):
    whole = columns(30, "whole")
    short = {name: of[:4] for name, of in columns(30, "short").items()}
    gap = {name: of[:9] + of[12:] for name, of in columns(30, "gap").items()}
    text = columns(30, "text")
    tables = [{**table, "load": [*map(str, table["load"])]} for table in (short, whole, gap, text)]
    tables[3]["load"][2] = "x"
    path = write(tmp_path / "new.csv", *tables)
    [part] = open_reader(Request(path, spec)).parts()
    assert (part.rows.tolist(), part.names["shop"]) == (
        [4, 34, 61, 91],
        ["short", "whole", "gap", "text"],
    )
    assert {number: why.partition(",")[0] for number, why in part.wrong.items()} == {
        0: "series 'short' ends with 4 rows",
        2: "column 'hour': row 44: 2026-01-01 12:00:00 comes 4 hours after 2026-01-01 08:00:00",
        3: "column 'load': row 64 is 'x'",
    }
    [alone] = open_reader(Request(write(tmp_path / "alone.csv", whole), spec)).parts()
    np.testing.assert_array_equal(part.inputs, alone.inputs)
    with pytest.raises(
        DlrunError, match=r"row 4: series 'short' .*; 2 more rows are wrong"
    ) as told:
        CheckedParts(iter([part]), path, skip=False)
    assert "--on-error skip leaves such rows" in str(told.value.hint)


def test_a_run_of_time_series_takes_the_columns_of_a_frame(tmp_path, spec):
    new = columns(30, "a")
    path = write(tmp_path / "new.csv", new)
    assert takes_columns(spec)  # rather than arrays
    with frame_as_file(new) as frame:
        parts = [next(open_reader(Request(of, spec)).parts()) for of in (path, frame)]
    np.testing.assert_array_equal(*(part.inputs for part in parts))
    assert parts[1].names == {"shop": ["a"], "hour": [new["hour"][-1]]}
