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
    with pytest.raises(DlrunError, match="--id shop: a forecast is named by its series"):
        open_reader(Request(path, spec, ids=("shop",)))


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
        ([row], "series 'a': ends with 1 rows, expected 5"),
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
        (short, "series 'a': ends with 4 rows, expected 5"),
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
        0: "ends with 4 rows",
        2: "column 'hour': row 44: 2026-01-01 12:00:00 comes 4 hours after 2026-01-01 08:00:00",
        3: "column 'load': row 64 is 'x'",
    }
    [alone] = open_reader(Request(write(tmp_path / "alone.csv", whole), spec)).parts()
    np.testing.assert_array_equal(part.inputs, alone.inputs)
    with pytest.raises(DlrunError) as told:
        CheckedParts(iter([part]), path, skip=False)
    assert told.value.message == (
        f"--input {path}: series 'short': ends with 4 rows, expected 5; 2 more series are wrong"
    )
    assert (
        told.value.hint
        == "add rows to it, or --on-error skip leaves such series without a prediction"
    )


@pytest.mark.parametrize("labels", [False, True])
def test_a_series_with_a_number_that_float32_does_not_hold_is_wrong_alone(tmp_path, spec, labels):
    tables = [columns(40, "right"), columns(30, "large")]
    tables[1]["load"][-HORIZON - 1] = 1e300
    path = write(tmp_path / "new.csv", *tables)
    parts = list(open_reader(Request(path, spec, labels=labels)).parts())
    why = "column 'load': row 67 is 1e+300, expected a number that float32 holds"
    assert [text for part in parts for text in part.wrong.values()] == [why]
    assert all(np.isfinite(part.inputs).all() for part in parts)
    assert sum(map(len, (part.inputs for part in parts))) == (33 if labels else 1)


def test_the_usual_step_of_a_series_is_that_of_all(tmp_path, spec):
    daily = {**columns(30, "daily"), "hour": [f"2026-01-{1 + n:02} 00:00:00" for n in range(30)]}
    unread = {**columns(30, "unread"), "hour": [f"{n}. January" for n in range(30)]}
    hourly = [columns(30, name) for name in "abc"]
    for tables in ([daily, *hourly], [daily, unread, *hourly]):  # which can't be read as one
        path = write(tmp_path / "new.csv", *tables)
        [part] = open_reader(Request(path, spec)).parts()
        assert part.wrong[0] == (
            "column 'hour': row 2: 2026-01-02 00:00:00 comes 1 day after 2026-01-01 00:00:00, the"
            " usual step is 1 hour; 29 such gaps"
        )
        assert [part.names["shop"][n] for n in part.wrong] == [t["shop"][0] for t in tables[:-3]]
        with pytest.raises(DlrunError, match="series 'daily': column 'hour': row 2") as told:
            CheckedParts(iter([part]), path, skip=False)
        assert told.value.hint.startswith("complete the table: the run was trained without gaps")
        assert "or --on-error skip leaves such series" in told.value.hint


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 0, 3, 2]])
def test_a_run_is_evaluated_on_the_series_that_can_be_read(tmp_path, spec, order, caplog):
    whole, text, turned, other = (columns(20, name) for name in ("a", "text", "turned", "other"))
    text["load"][2] = "x"
    turned["hour"].reverse()
    tables = [[whole, text, turned, other][n] for n in order]
    for table in tables:
        table["load"] = [*map(str, table["load"])]

    def read(*tables, skip=True):
        path = write(tmp_path / "new.csv", *tables)
        parts = open_reader(Request(path, spec, labels=True)).parts()
        checked = CheckedParts(parts, path, skip=skip, key="--data", skipping="leaves such {} out")
        parts = [*checked]
        whole = [np.concatenate([getattr(p, of) for p in parts]) for of in ("inputs", "labels")]
        return checked.wrong, parts[-1].rows, whole

    wrong, rows, arrays = read(*tables)
    assert wrong == 2
    assert sum(": series '" in line for line in caplog.messages) == 2
    places = [n for n, table in enumerate(tables) if table in (whole, other)]
    assert rows.tolist() == [20 * n + end for n in places for end in range(HISTORY, 18)]
    right = read(*(tables[n] for n in places))
    assert right[0] == 0
    for got, expected in zip(arrays, right[2], strict=True):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(DlrunError, match=r"series 'turned': .* comes after") as told:
        read(turned, whole, skip=False)
    assert (
        told.value.hint == "sort the table by its time, or --on-error skip leaves such series out"
    )
    with pytest.raises(DlrunError, match="no series could be read"):
        read(turned, text)


def test_one_wrong_series_does_not_make_thousands_slow(tmp_path, spec, monkeypatch):
    [step] = spec.preprocessing
    tables = [columns(6, f"shop {n}") for n in range(512)]
    tables[77]["load"][2] = None
    path = write(tmp_path / "new.csv", *tables)
    looks = []
    last = type(step).last
    monkeypatch.setattr(type(step), "last", lambda *args: looks.append(args) or last(*args))
    [part] = open_reader(Request(path, spec)).parts()
    assert (list(part.wrong), len(part.inputs), len(part.rows)) == ([77], 511, 512)
    assert len(looks) < 4 * 9  # halves until it is found, and twice as many after it
    looks.clear()
    path = write(tmp_path / "short.csv", *(columns(4, f"shop {n}") for n in range(512)))
    [part] = open_reader(Request(path, spec)).parts()
    assert len(part.wrong) == 512
    assert len(looks) < 512 + 2 * 9  # each once


def test_times_that_are_numbers_name_the_forecasts_as_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    for name, first in (("small", 0), ("large", 2**63)):
        table = {**columns(80, "a"), "hour": [first + 4096 * n for n in range(80)]}
        path = tmp_path / f"{name}.csv"
        rows = zip(*table.values(), strict=True)
        path.write_text("\n".join(["hour,shop,load", *(",".join(map(str, r)) for r in rows)]))
        data = timeseries(
            path=str(path), target="load", time="hour", group="shop", history=HISTORY,
            horizon=HORIZON, gaps="ignore",
        ).dataset()  # fmt: skip
        [part] = open_reader(Request(path, data.spec)).parts()
        assert part.names["hour"] == [first + 4096 * 79]
        assert type(part.names["hour"][0]) is int


def test_a_run_of_time_series_takes_the_columns_of_a_frame(tmp_path, spec):
    new = columns(30, "a")
    path = write(tmp_path / "new.csv", new)
    assert takes_columns(spec)  # rather than arrays
    with frame_as_file(new) as frame:
        parts = [next(open_reader(Request(of, spec)).parts()) for of in (path, frame)]
    np.testing.assert_array_equal(*(part.inputs for part in parts))
    assert parts[1].names == {"shop": ["a"], "hour": [new["hour"][-1]]}
