"""The losses and optimizers of the books: each trains, and each loss has the right value."""

import numpy as np
import pytest

from conftest import in_turn
from trainings import BACKENDS, worker

LOSSES = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
    "mean_squared_error",
    "kl_divergence",
    "cosine_similarity",
)
OPTIMIZERS = (
    ("optimizer=sgd", "optimizer.momentum=0.9"),
    ("optimizer=rmsprop",),
    ("optimizer=adam",),
    ("optimizer=adagrad",),
)
# Builds each loss as a run does, without training, and finds its values.
SCRIPT = """
import numpy as np
from dlrun.assembly.compile import _loss
from dlrun.config.compose import compose
logits, labels = np.random.default_rng(0).normal(size=(7, 4)).astype("float32"), np.arange(7) % 4
shapes = {"(7,)": labels, "(7, 1)": labels[:, None], "one-hot": np.eye(4, dtype="float32")[labels]}
for name in NAMES:
    loss = _loss("task.loss", compose([f"loss={name}"]).task.loss)
    given = shapes if "sparse" not in name else {"(7,)": labels}
    found[name] = {shape: float(loss(true, logits)) for shape, true in given.items()}
binary = _loss("task.loss", compose(["loss=binary_crossentropy"]).task.loss)
found["one logit"] = {"(7,)": float(binary(labels % 2, logits[:, :1]))}
"""


@pytest.mark.parametrize(("backend", "loss"), in_turn(BACKENDS, LOSSES))
def test_each_loss_and_each_optimizer_trains_and_the_run_is_evaluated(tmp_path, backend, loss):
    optimizer = OPTIMIZERS[LOSSES.index(loss) % len(OPTIMIZERS)]
    words = (f"loss={loss}", *optimizer, "smoke=true", "epochs=2")
    result = worker(backend).train(tmp_path, *words)
    first, last = (row["loss"] for row in result["rows"])
    assert last < first
    evaluated = worker("numpy").evaluate(tmp_path, result["path"])["metrics"]
    assert evaluated == pytest.approx(result["test"], abs=1e-5)


def test_each_loss_is_computed_from_logits_for_every_label_format(tmp_path):
    values = worker("numpy").run(tmp_path, SCRIPT.replace("NAMES", repr(LOSSES)))
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(7, 4))
    one_hot = np.eye(4)[np.arange(7) % 4]
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    sigmoid = 1 / (1 + np.exp(-logits))
    right, wrong = one_hot * np.log(sigmoid), (1 - one_hot) * np.log(1 - sigmoid)
    cross_entropy = -np.log(softmax[one_hot == 1]).mean()
    odd = np.arange(7) % 2 == 1
    expected = {
        "sparse_categorical_crossentropy": cross_entropy,
        "categorical_crossentropy": cross_entropy,
        "binary_crossentropy": -(right + wrong).mean(),
        "mean_squared_error": ((softmax - one_hot) ** 2).mean(),
        "kl_divergence": cross_entropy,  # one-hot labels have no entropy
        "cosine_similarity": -(softmax[one_hot == 1] / np.linalg.norm(softmax, axis=1)).mean(),
        "one logit": -np.log(np.where(odd, sigmoid[:, 0], 1 - sigmoid[:, 0])).mean(),
    }
    assert set(values) == set(expected)
    for name, by_shape in values.items():
        for shape, value in by_shape.items():
            assert value == pytest.approx(expected[name], abs=1e-5), (name, shape)


def test_an_unknown_loss_is_reported(dlrun):
    words = ("train", "smoke=true", "loss=mean_squared_error", "task.loss.loss=Nosuch")
    done = dlrun.within("jax", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: task.loss: " in done.stderr
    assert "Nosuch" in done.stderr
    assert not (dlrun.cwd / "runs").exists()
