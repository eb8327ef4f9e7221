"""Windows of time series: what is in them, and that nothing of the test is in the training."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from dlrun.data.dataset import Dataset
from dlrun.data.input_spec import InputSpec
from dlrun.data.input_spec_json import spec_from_json, spec_to_json
from dlrun.data.preprocessing import from_entry, to_entry
from dlrun.data.timeseries import timeseries
from dlrun.errors import DlrunError

SPLITS = ("train", "validation", "test")
START = datetime.datetime(2026, 1, 1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))


def columns(rows: int = 100, seed: int = 0) -> dict[str, list]:
    draw = np.random.default_rng(seed)
    return {
        "hour": [str(START + datetime.timedelta(hours=n)) for n in range(rows)],
        "load": (np.arange(rows) + draw.normal(size=rows)).round(3).tolist(),
        "wind": draw.normal(5, 2, rows).round(3).tolist(),
    }


def write(path: Path, table: dict[str, list]) -> str:
    csv.write_csv(pa.table(table), path)
    return str(path)


def given(path, **options) -> dict:
    return {"path": path, "target": "load", "time": "hour", "history": 5, "horizon": 3, **options}


def loop(table, columns, targets, bounds, history, horizon, stride) -> tuple[list, np.ndarray]:
    """The same in a plain loop, in float64; ``bounds`` are the first rows of each split."""
    values = np.stack([np.array(table[name], float) for name in columns], axis=1)
    train = values[: bounds[1]]
    scaled = (values - train.mean(axis=0)) / train.std(axis=0)
    found = []
    for first, end in zip(bounds, [*bounds[1:], len(values)], strict=True):
        inputs, labels = [], []
        for start in range(first, end - history - horizon + 1, stride):
            inputs.append(scaled[start : start + history])
            labels.append(scaled[start + history : start + history + horizon, :targets].reshape(-1))
        found.append((np.array(inputs), np.array(labels)))
    return found, train


@pytest.mark.parametrize(
    ("target", "stride", "order"),
    [("load", 1, ["load", "wind"]), (["wind", "load"], 4, ["wind", "load"])],
)
def test_windows_are_those_of_a_plain_loop(tmp_path, target, stride, order):
    table = columns()
    source = timeseries(
        **given(write(tmp_path / "t.csv", table), target=target, stride=stride, test=20)
    )
    data, targets = source.dataset(), 1 if target == "load" else 2
    expected, train = loop(table, order, targets, [0, 65, 80], 5, 3, stride)
    for name, (inputs, labels) in zip(SPLITS, expected, strict=True):
        split = getattr(data, name)
        assert split.inputs.dtype == split.labels.dtype == np.float32
        np.testing.assert_allclose(split.inputs, inputs, atol=1e-5)
        np.testing.assert_allclose(split.labels, labels, atol=1e-5)
    described = source.describe()
    assert described.splits == {name: len(getattr(data, name)) for name in SPLITS}
    assert (data.num_classes, dict(source.tasks())) == (3 * targets, {None: "regression"})
    # Labels are given back in the target's units, of each row and column.
    named = data.targets.columns
    assert named[:targets] == tuple(f"{name}+1" for name in order[:targets])
    first = np.array([[table[name.partition("+")[0]][4 + int(name[-1])] for name in named]])
    np.testing.assert_allclose(data.targets.restore(data.train.labels[:1]), first, atol=1e-4)
    np.testing.assert_allclose(data.targets.mean[:targets], train.mean(axis=0)[:targets])


def test_windows_of_one_series_are_views_and_those_of_several_never_cross_them(tmp_path):
    one, other = columns(100), columns(60, seed=1)
    data = timeseries(**given(write(tmp_path / "one.csv", one))).dataset()
    assert np.shares_memory(data.train.inputs[0], data.train.inputs[1])
    # The rows of the series are mixed.
    rows = [(one, n, "a") for n in range(100)] + [(other, n, "b") for n in range(60)]
    rows.sort(key=lambda row: (row[1], row[2]))
    mixed = {name: [table[name][n] for table, n, _ in rows] for name in one}
    mixed["shop"] = [name for *_, name in rows]
    source = timeseries(**given(write(tmp_path / "two.csv", mixed), group="shop", test=40))
    data = source.dataset()
    step = data.preprocessing[0]
    loads = {"a": one["load"], "b": other["load"]}
    restored = data.train.inputs[:, :, 0] * step.deviation[0] + step.mean[0]
    seen = dict.fromkeys(loads, 0)
    for window in restored:
        name = next(
            name for name, of in loads.items()
            if any(np.allclose(window, of[n : n + 5], atol=1e-3) for n in range(len(of) - 4))
        )  # fmt: skip
        seen[name] += 1
    # The last 40 rows test, those of the first series; 12 rows of each validate.
    assert seen == {"a": 48 - 7, "b": 48 - 7}
    assert (len(data.validation), len(data.test)) == (2 * (12 - 7), 40 - 7)


def test_series_that_are_too_short_for_a_window_are_named(tmp_path, caplog):
    tables = [(columns(100), "a"), (columns(7), "b"), (columns(6), "c")]
    both = {name: [value for table, _ in tables for value in table[name]] for name in columns()}
    both["shop"] = [name for table, name in tables for _ in table["hour"]]
    note = "2 series are left out, without 8 rows one after the other: b, c"
    source = timeseries(**given(write(tmp_path / "t.csv", both), group="shop"))
    assert source.describe().notes == [note]
    for _ in ("made", "from the cache"):
        with caplog.at_level("INFO", logger="dlrun"):
            source.dataset()
        assert note in caplog.text
        caplog.clear()


def test_no_value_of_the_test_changes_what_is_learned_from(tmp_path):
    table = columns()
    before = timeseries(**given(write(tmp_path / "a.csv", table), test=30)).dataset()
    for name in ("load", "wind"):
        table[name][70:] = (np.random.default_rng(9).normal(size=30) * 1e6).tolist()
    after = timeseries(**given(write(tmp_path / "b.csv", table), test=30)).dataset()
    assert not np.array_equal(before.test.inputs, after.test.inputs)
    assert before.preprocessing[0].state() == after.preprocessing[0].state()
    assert before.targets == after.targets
    for name in ("train", "validation"):
        assert getattr(before, name).inputs.tobytes() == getattr(after, name).inputs.tobytes()
        assert getattr(before, name).labels.tobytes() == getattr(after, name).labels.tobytes()


def test_the_error_of_the_last_value_is_told(tmp_path, caplog):
    table = columns()
    path = write(tmp_path / "t.csv", table)
    with caplog.at_level("INFO", logger="dlrun"):
        timeseries(**given(path, test=20)).dataset()
    load = table["load"]
    ends = range(85, 100 - 3 + 1)
    error = np.mean([np.abs(np.array(load[end : end + 3]) - load[end - 1]).mean() for end in ends])
    assert f"test: repeating the last value has a mean absolute error of {error:.4g}" in caplog.text


def test_no_window_lies_in_two_splits(tmp_path):
    data = timeseries(**given(write(tmp_path / "t.csv", columns()), covariates=[])).dataset()
    ends = 0.0
    for name in SPLITS:
        split = getattr(data, name)
        rows = np.concatenate([split.inputs.reshape(-1), split.labels.reshape(-1)])
        restored = rows * data.targets.deviation[0] + data.targets.mean[0]
        assert restored.min() > ends - 4  # load grows by 1 an hour, with noise
        ends = restored.max()
    assert ends > 97


def test_gaps_split_a_series_or_are_ignored(tmp_path):
    table = columns()
    for column in table.values():
        del column[30:33]
    path = write(tmp_path / "t.csv", table)
    with pytest.raises(DlrunError, match=r"row 31: 2026-01-02 09:00:00 comes 4 hours after"):
        timeseries(**given(path)).tasks()
    ignored, split = (timeseries(**given(path, gaps=how)).dataset() for how in ("ignore", "split"))
    assert len(ignored.train) - len(split.train) == 5 + 3 - 1
    months = {"month": [f"2026-{n:02}-01" for n in range(1, 13)], "load": list(range(12))}
    path = write(tmp_path / "m.csv", months)
    source = timeseries(path=path, target="load", time="month", history=2, validation=3, test=3)
    assert len(source.dataset().train) == 4


def test_missing_values_are_refused_or_filled_in_from_the_past(tmp_path):
    table = columns()
    table["wind"][10:12] = [None, None]
    path = write(tmp_path / "t.csv", table)
    with pytest.raises(DlrunError, match="column 'wind': row 11 has no value; 2 are missing"):
        timeseries(**given(path)).tasks()
    step = timeseries(**given(path, fill="forward")).dataset().preprocessing[0]
    filled = [*table["wind"][:10], *[table["wind"][9]] * 2, *table["wind"][12:]]
    assert step.mean[1] == pytest.approx(np.mean(filled[:70]))
    table["wind"][0] = None
    with pytest.raises(DlrunError, match="row 1 has no value, nor has a row before it"):
        timeseries(**given(write(tmp_path / "u.csv", table), fill="forward")).tasks()


def test_an_empty_line_of_a_series_without_times_is_a_step(tmp_path):
    (tmp_path / "t.csv").write_text("load\n" + "1\n2\n\n4\n" * 15)
    options = {"path": str(tmp_path / "t.csv"), "target": "load", "time": None, "history": 4}
    with pytest.raises(DlrunError, match="column 'load': row 3 has no value; 15 are missing"):
        timeseries(**options).dataset()


def change(table, name, row, value):
    table[name][row] = value


@pytest.mark.parametrize(
    ("wrong", "options", "problem"),
    [
        (lambda t: t["hour"].sort(reverse=True), {}, "row 2: 2026-01-05 02:00:00 comes after"),
        (lambda t: change(t, "hour", 6, t["hour"][5]), {}, "is there twice, first in row 6"),
        (lambda t: change(t, "hour", 6, "1.2.2026"), {}, "row 7 is '1.2.2026', expected a date"),
        (lambda t: change(t, "hour", 6, None), {}, "row 7 has no time"),
        (lambda t: change(t, "load", 6, "n/k"), {}, "column 'load', row 7 is 'n/k'"),
        (lambda t: change(t, "wind", 6, "n/k"), {}, "data: column 'wind', row 7 is 'n/k'"),
        (lambda t: t.update(load=[5] * 100), {}, "load: is 5 in every row of the training"),
        (lambda t: t.update(wind=[None] + ["a"] * 99), {"group": "wind"}, "row 1 names no series"),
        (len, {"history": 80}, "take 83 rows; the train split has at most 70 one after the other"),
        (len, {"history": 13}, "take 16 rows; the validation split has at most 15"),
        (len, {"history": 0}, "data.history=0: must be at least 1"),
        (len, {"gaps": "fill"}, "data.gaps=fill: expected refuse, split, ignore"),
        (len, {"fill": "mean"}, "data.fill=mean: expected null, forward"),
        (len, {"covariates": ["load"]}, "expected different columns"),
        (len, {"covariates": ["sun"]}, "data.covariates=sun: "),
        (len, {"target": "laod"}, "data.target=laod: "),
        (len, {"time": "our"}, "data.time=our: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_line(tmp_path, wrong, options, problem):
    table = columns()
    wrong(table)
    table = {name: list(map(str, of)) if "n/k" in of else of for name, of in table.items()}
    with pytest.raises(DlrunError) as caught:
        timeseries(**given(write(tmp_path / "t.csv", table), **options)).tasks()
    assert problem in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"),
        ("%d-%m-%YT%H:%M", "%d-%m-%YT%H:%M"),
    ],
)
def test_times_that_are_written_otherwise_are_told_with_their_format(tmp_path, written, form):
    table = columns(60)
    times = [START + datetime.timedelta(days=n) for n in range(60)]
    table["hour"] = [time.strftime(written) for time in times]
    path = write(tmp_path / "t.csv", table)
    with pytest.raises(DlrunError, match="expected a date") as caught:
        timeseries(**given(path)).tasks()
    assert caught.value.hint == f"'data.time_format={form}' if that is how times are written"
    timeseries(**given(path, time_format=form)).tasks()


def test_a_decimal_comma_is_told_with_what_reads_it(tmp_path):
    path = tmp_path / "t.csv"
    for delimiter, hint in ((";", "'data.decimal=\",\"' if"), (",", "choose a column of numbers")):
        rows = [f'{n}{delimiter}"{n},5"' for n in range(60)]
        path.write_text("\n".join([f"hour{delimiter}load", *rows]))
        with pytest.raises(DlrunError, match="row 1 is '0,5', expected a number") as caught:
            timeseries(**given(str(path))).tasks()
        assert str(caught.value.hint).startswith(hint)
    path.write_text(path.read_text().replace("hour,", "hour;").replace(',"', ';"'))
    timeseries(**given(str(path), decimal=",")).tasks()


def test_several_series_take_no_more_room_than_the_cache_may(tmp_path):
    table = columns(50)
    both = {name: of + of for name, of in table.items()} | {"shop": ["a"] * 50 + ["b"] * 50}
    path = write(tmp_path / "t.csv", both)
    with pytest.raises(DlrunError, match=r"58 windows of 2 parts of series take .* data.cache_gb"):
        timeseries(**given(path, group="shop", cache_gb=2e-6, validation=20, test=30)).dataset()


def saved(data: Dataset) -> InputSpec:
    return spec_from_json(spec_to_json(data.spec), source="inputs.json")


def test_a_forecast_is_made_from_the_last_rows_of_each_series(tmp_path):
    table = columns(60)
    both = {name: of + of[:50] for name, of in table.items()} | {"shop": ["a"] * 60 + ["b"] * 50}
    spec = saved(timeseries(**given(write(tmp_path / "t.csv", both), group="shop")).dataset())
    [step] = spec.preprocessing
    windows = spec.preprocess({name: np.array(of) for name, of in both.items()})
    assert windows.shape == (2, 5, 2)
    restored = windows * step.deviation + step.mean
    for window, end in zip(restored, (60, 50), strict=True):
        np.testing.assert_allclose(window[:, 0], table["load"][end - 5 : end], atol=1e-4)
        np.testing.assert_allclose(window[:, 1], table["wind"][end - 5 : end], atol=1e-4)
    assert step.last(pa.table(both).to_batches()[0].to_pydict()).names == ("a", "b")
    assert step.last(both).rows.tolist() == [59, 109]
    short = {name: of[:60] + of[60:64] for name, of in both.items()}
    with pytest.raises(ValueError, match="series 'b' ends with 4 rows, expected 5"):
        spec.preprocess(short)
    with pytest.raises(ValueError, match="there is no column 'wind'"):
        spec.preprocess({name: of for name, of in both.items() if name != "wind"})


def test_a_run_is_evaluated_by_what_it_was_fitted_to(tmp_path):
    data = timeseries(**given(write(tmp_path / "a.csv", columns()))).dataset()
    new = given(write(tmp_path / "b.csv", columns(90, seed=3)))
    again = timeseries(**new).dataset(saved(data))
    assert again.preprocessing == data.preprocessing
    assert again.targets == data.targets
    with pytest.raises(DlrunError, match=r"data\.history=6: the run was trained with 5"):
        timeseries(**{**new, "history": 6}).dataset(saved(data))
    with pytest.raises(DlrunError, match="has no column 'wind', which the run was trained on"):
        less = {name: of for name, of in columns().items() if name != "wind"}
        timeseries(**given(write(tmp_path / "c.csv", less))).dataset(saved(data))


def test_a_number_that_float32_does_not_hold_is_refused(tmp_path):
    table = columns()
    for row, words in (
        (97, "column 'wind': row 98 is 1e\\+300, expected a number that float32 holds"),
        (7, "column 'wind' has numbers as large as 1e\\+300"),
    ):
        changed = table | {"wind": [1e300 if n == row else v for n, v in enumerate(table["wind"])]}
        path = write(tmp_path / f"{row}.csv", changed)
        with pytest.raises(DlrunError, match=words):
            timeseries(**given(path)).dataset()


def test_a_damaged_step_is_refused(tmp_path):
    [step] = timeseries(**given(write(tmp_path / "t.csv", columns()))).dataset().preprocessing
    assert from_entry(to_entry(step)) == step
    for wrong in (
        {"history": 0}, {"history": True}, {"targets": 3}, {"mean": [1]}, {"deviation": [0, 1]},
        {"gaps": "x"}, {"fill": 1}, {"time": 3}, {"columns": []}, {"more": 1},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="windows"):
            from_entry({"step": "windows", "state": {**step.state(), **wrong}})
