"""Metrics in the units of a target far from 0, such as a year or a time."""

import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn

from dlrun.metrics.in_units import in_units
from dlrun.metrics.moments import R2, Pearson

MEAN, DEVIATION = 1.7e9, 10.0
LABELS = np.random.default_rng(0).normal(size=(200, 1))
OUTPUTS = LABELS + np.random.default_rng(1).normal(0, 0.3, (200, 1))
TIMES, FORECASTS = LABELS * DEVIATION + MEAN, OUTPUTS * DEVIATION + MEAN


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (keras.metrics.MeanAbsoluteError, sklearn.mean_absolute_error(TIMES, FORECASTS)),
        (keras.metrics.RootMeanSquaredError, sklearn.root_mean_squared_error(TIMES, FORECASTS)),
        (keras.metrics.R2Score, sklearn.r2_score(TIMES, FORECASTS)),
        (R2, sklearn.r2_score(TIMES, FORECASTS)),
        (Pearson, np.corrcoef(TIMES[:, 0], FORECASTS[:, 0])[0, 1]),
    ],
)
def test_a_metric_is_that_of_float64(metric, expected):
    measured = metric()
    in_units(measured, (MEAN,), (DEVIATION,))
    for rows in np.split(np.arange(200), 8):
        measured.update_state(LABELS[rows].astype("float32"), OUTPUTS[rows].astype("float32"))
    assert float(measured.result()) == pytest.approx(expected, rel=1e-5)
