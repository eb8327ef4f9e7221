"""Metrics in the units of a target far from 0, such as a time."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from trainings import BACKENDS, worker

MEAN, DEVIATION = 1.7e9, 10.0
SCRIPT = f"""
import keras, numpy as np
from dlrun.metrics.in_units import in_units
from dlrun.metrics.moments import R2, Pearson
arrays = np.load("standardized.npz")
names = ("MeanAbsoluteError", "RootMeanSquaredError", "R2Score")
for metric in (*(getattr(keras.metrics, name)() for name in names), R2(), Pearson()):
    in_units(metric, ({MEAN},), ({DEVIATION},))
    for start in range(0, 200, 25):
        part = slice(start, start + 25)
        batch = (keras.ops.convert_to_tensor(arrays[key][part]) for key in ("labels", "outputs"))
        metric.update_state(*batch)
    found[type(metric).__name__] = float(metric.result())
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_metric_is_that_of_float64(tmp_path, backend):
    draw = np.random.default_rng(0)
    labels = draw.normal(size=(200, 1)).astype("float32")
    outputs = labels + draw.normal(0, 0.3, (200, 1)).astype("float32")
    np.savez(tmp_path / "standardized.npz", labels=labels, outputs=outputs)
    times, forecasts = (a.astype(np.float64) * DEVIATION + MEAN for a in (labels, outputs))
    r2 = sklearn.r2_score(times, forecasts)
    assert worker(backend).run(tmp_path, SCRIPT) == pytest.approx(
        {
            "MeanAbsoluteError": sklearn.mean_absolute_error(times, forecasts),
            "RootMeanSquaredError": sklearn.root_mean_squared_error(times, forecasts),
            "R2Score": r2,
            "R2": r2,
            "Pearson": np.corrcoef(times[:, 0], forecasts[:, 0])[0, 1],
        },
        rel=1e-5,
    )
