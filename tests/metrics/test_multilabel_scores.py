"""Labels of several classes at once: each class above 0.5 is predicted, as scikit-learn has it."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics as sk

from trainings import BACKENDS, worker

SCRIPT = """
import keras, numpy as np
from dlrun.metrics import class_scores
arrays = np.load("scores.npz")
for name in ("F1", "Precision", "Recall", "IoU"):
    for average in ("auto", "micro", "weighted", None):
        metric = getattr(class_scores, name)(average=average, activation="sigmoid")
        for start in range(0, 300, 100):
            batch = (arrays[key][start : start + 100] for key in ("labels", "logits"))
            metric.update_state(*map(keras.ops.convert_to_tensor, batch))
        found[f"{name} {average}"] = np.asarray(metric.result()).tolist()
metric = class_scores.F1(activation="sigmoid")  # one class each: the most probable one
metric.update_state(arrays["labels"].argmax(1), keras.ops.convert_to_tensor(arrays["logits"]))
found["one class each"] = float(metric.result())
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_class_above_one_half_is_predicted_of_a_multi_label_task(tmp_path, backend):
    draw = np.random.default_rng(0)
    labels = (draw.random((300, 4)) < (0.5, 0.4, 0.3, 0.2)).astype("int32")
    logits = (draw.normal(size=(300, 4)) + 1.5 * labels - 0.7).astype("float32")
    np.savez(tmp_path / "scores.npz", labels=labels, logits=logits)
    found = worker(backend).run(tmp_path, SCRIPT)
    scores = {
        "F1": sk.f1_score,
        "Precision": sk.precision_score,
        "Recall": sk.recall_score,
        "IoU": sk.jaccard_score,
    }
    for name, score in scores.items():
        for average in ("auto", "micro", "weighted", None):
            as_named = "macro" if average == "auto" else average
            expected = score(labels, expit(logits) > 0.5, average=as_named)
            assert found[f"{name} {average}"] == pytest.approx(expected, abs=1e-6), name
    single = sk.f1_score(labels.argmax(1), logits.argmax(1), average="macro")
    assert found["one class each"] == pytest.approx(single, abs=1e-6)
