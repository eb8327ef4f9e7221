"""The forecaster of time series: against forecasts that need no training."""

from pathlib import Path

import numpy as np
import pytest

from trainings import BACKENDS, Refused, worker

DAY, HISTORY, HORIZON, ROWS = 24, 48, 12, 1500
GIVEN = ("data=timeseries", "data.path=load.csv", "data.target=load", "data.time=null",
         f"data.history={HISTORY}", f"data.horizon={HORIZON}", "batch_size=32")  # fmt: skip


def expected(hours: np.ndarray) -> np.ndarray:
    """A trend, a day and a week."""
    day, week = (np.sin(2 * np.pi * hours / period) for period in (DAY, 7 * DAY))
    return 100 + hours / 50 + 10 * day + 4 * week


def load(rows: int = ROWS) -> np.ndarray:
    return expected(np.arange(rows)) + np.random.default_rng(0).normal(size=rows)


def write(folder: Path, values: np.ndarray) -> None:
    lines = [repr(float(value)) for value in values]
    (folder / "load.csv").write_text("\n".join(["load", *lines, ""]), encoding="utf-8")


def error_of(values: np.ndarray, back: int) -> float:
    """The mean absolute error over the test of the value ``back`` hours before; 0: of the last."""
    test = values[len(values) - round(0.15 * len(values)) :]
    errors = []
    for start in range(len(test) - HISTORY - HORIZON + 1):
        end = start + HISTORY
        after = test[end : end + HORIZON]
        before = test[end - back : end - back + HORIZON] if back else test[end - 1]
        errors.append(np.abs(after - before).mean())
    return float(np.mean(errors))


@pytest.mark.trains
@pytest.mark.parametrize(
    ("backend", "encoder"),
    [
        ("jax", "mlp"),
        pytest.param("jax", "conv", marks=pytest.mark.slow),
        pytest.param("jax", "lstm", marks=pytest.mark.slow),
        *(pytest.param(name, "mlp", marks=pytest.mark.slow) for name in BACKENDS[1:]),
    ],
)
def test_it_beats_the_last_value_and_that_of_the_day_before(tmp_path, backend, encoder):
    values = load()
    write(tmp_path, values)
    result = worker(backend).train(tmp_path, *GIVEN, "epochs=15", f"model.encoder={encoder}")
    naive, seasonal = error_of(values, 0), error_of(values, DAY)
    assert result["test"]["mean_absolute_error"] < 0.9 * min(naive, seasonal)
    # What follows the last row that there is.
    np.savez(tmp_path / "new.npz", load=values)
    worker(backend).predict(tmp_path, result["path"], Path("p.npz"), Path("new.npz"))
    with np.load(tmp_path / "p.npz") as found:
        forecast = [found[f"predicted_load+{step}"][0] for step in range(1, HORIZON + 1)]
    following = expected(np.arange(ROWS, ROWS + HORIZON))
    assert np.abs(forecast - following).mean() < 0.5 * naive
    evaluated = worker(backend).evaluate(tmp_path, result["path"])
    assert evaluated["metrics"]["loss"] == pytest.approx(result["test"]["loss"], abs=1e-6)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["model.encoder=gru"], "model.encoder=gru: expected mlp, lstm, conv"),
        (["model.horizon=5"], "forecasts 5 rows (model.horizon); the data have inputs (48, 1)"),
        (["model.horizon=1"], "12 values would be 12 columns of 1"),
    ],
)
def test_what_it_can_not_forecast_is_refused(tmp_path, overrides, problem):
    write(tmp_path, load(800))
    with pytest.raises(Refused) as caught:
        worker("jax").train(tmp_path, *GIVEN, *overrides)
    assert problem in caught.value.message
