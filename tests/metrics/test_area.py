"""Areas are those of scikit-learn, whatever the scores' scale and offset, and where they tie."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from conftest import slow_on
from trainings import worker

SCRIPT = """
import keras, numpy as np
from dlrun.metrics.area import Area
arrays = np.load("scores.npz")
labels, weights = arrays["labels"], arrays["weights"]
def area(scores, **options):
    metric = Area(**options)
    for epoch in range(2):  # the second one begins with other anchors
        metric.reset_state()
        for start in range(0, len(labels), 250):
            part = slice(start, start + 250)
            batch = (array[part] for array in (labels, scores, weights)[: 2 + epoch])
            metric.update_state(*map(keras.ops.convert_to_tensor, batch))
        yield float(metric.result())
for name in arrays["names"]:
    scores = arrays[str(name)]
    for curve in ("ROC", "PR"):
        found[f"{name} {curve}"] = list(area(scores, curve=curve))
scores, labels = np.stack([arrays["plain"], arrays["far"]], 1)[..., 0], np.stack([labels] * 2, 1)
found["macro"] = list(area(scores, average="macro", activation="sigmoid"))
found["micro"] = list(area(scores, average="micro", activation="sigmoid"))
"""


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_areas_of_scores_of_any_scale_are_within_a_thousandth(tmp_path, backend):
    draw = np.random.default_rng(0)
    labels = (draw.random(2000) < 0.3).astype("int32")
    weights = draw.random(2000).astype("float32")
    z = draw.normal(size=2000) + 1.2 * labels
    scores = {
        "plain": z,
        "far": -8 + 0.1 * z,
        "probabilities": 0.999 + 1e-4 * z,
        "rounded": 1e6 + z,  # in sixteenths
        "large": 1e30 * z,
        "of all sizes": np.exp(5 * z),
        "in two places": np.where(draw.random(2000) < 0.5, -8, 8) + 0.1 * z,
        "three values": np.round(z).clip(-1, 1),
        "equal": 0 * z,
    }
    scores = {name: values.astype("float32")[:, None] for name, values in scores.items()}
    np.savez(tmp_path / "scores.npz", names=list(scores), labels=labels, weights=weights, **scores)
    found = worker(backend).run(tmp_path, SCRIPT)
    for curve, exact in (("ROC", roc_auc_score), ("PR", average_precision_score)):
        for name, values in scores.items():
            expected = [exact(labels, values), exact(labels, values, sample_weight=weights)]
            assert found[f"{name} {curve}"] == pytest.approx(expected, abs=1e-3), name
    single = [roc_auc_score(labels, scores[name]) for name in ("plain", "far")]
    assert found["macro"][0] == pytest.approx(np.mean(single), abs=1e-3)
    together = np.concatenate([scores["plain"], scores["far"]])
    expected = roc_auc_score(np.concatenate([labels, labels]), together)
    assert found["micro"][0] == pytest.approx(expected, abs=1e-3)
