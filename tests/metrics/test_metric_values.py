"""Each metric has the value that scikit-learn and SciPy give it, on each backend and loop."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, log_softmax, softmax
from sklearn import metrics as sk

from conftest import slow, slow_on
from dlrun.config.compose import compose
from trainings import BACKENDS, worker

LOOPS = ("fit", "train_step", "raw")
FAST = (("torch", "fit"), ("torch", "raw"))
CLASSIFICATION = (
    "accuracy",
    "f1",
    "f1_per_class",
    "precision",
    "recall",
    "iou",
    "top_k",
    "auc",
    "pr_auc",
    "r2",
    "pearson",
    "mae",
    "mape",
    "mse",
    "rmse",
    "cosine",
    "log_cosh",
)
# A data set of three classes that overlap, one of them rare, and a model without a hidden layer.
CODE = """
import keras
import numpy as np
from dlrun.data.dataset import Dataset, Split

def sets():
    arrays = np.load("sets.npz")
    parts = [Split(arrays[f"x_{s}"], arrays[f"y_{s}"]) for s in ("train", "validation", "test")]
    return Dataset(*parts, num_classes=3)

def linear(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(inputs))

def steps(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    regularizer = keras.regularizers.L2(0.1)
    hidden = keras.layers.SimpleRNN(4, return_sequences=True, kernel_regularizer=regularizer)(
        keras.layers.Masking()(inputs)
    )
    return keras.Model(inputs, keras.layers.Dense(num_classes)(hidden))
"""


def prepare(folder, **arrays):
    """A project with a data set and two models."""
    np.savez(folder / "sets.npz", **arrays)
    (folder / "my_net.py").write_text(CODE)
    for group, name in (("data", "sets"), ("model", "linear"), ("model", "steps")):
        path = folder / "configs" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Of a test.\n#   dlrun train\n_target_: my_net.{name}\n")


def one_metric_each(options):
    return f"metrics=[{','.join(options)}]"


def of_classes(labels, probabilities):
    """The metrics of CLASSIFICATION, from class numbers and float64 probabilities."""
    one_hot, predicted = np.eye(3)[labels], probabilities.argmax(axis=1)
    error = probabilities - one_hot
    norm = np.linalg.norm(probabilities, axis=1)
    by_class = sk.f1_score(labels, predicted, average=None)
    return {
        "accuracy": sk.accuracy_score(labels, predicted),
        "f1": sk.f1_score(labels, predicted, average="macro"),
        **{f"f1_per_class_{number}": value for number, value in enumerate(by_class)},
        "precision": sk.precision_score(labels, predicted, average="macro", zero_division=0),
        "recall": sk.recall_score(labels, predicted, average="macro"),
        "iou": sk.jaccard_score(labels, predicted, average="macro"),
        "top_k": sk.top_k_accuracy_score(labels, probabilities, k=2),
        "auc": sk.roc_auc_score(one_hot, probabilities, average="micro"),
        "pr_auc": sk.average_precision_score(one_hot, probabilities, average="micro"),
        "r2": sk.r2_score(one_hot, probabilities),
        "pearson": np.mean(
            [stats.pearsonr(one_hot[:, c], probabilities[:, c])[0] for c in range(3)]
        ),
        "mae": sk.mean_absolute_error(one_hot, probabilities),
        "mse": sk.mean_squared_error(one_hot, probabilities),
        "rmse": np.sqrt((error**2).mean()),
        "cosine": (probabilities[one_hot == 1] / norm).mean(),
        "log_cosh": np.log(np.cosh(error)).mean(),
    }


@pytest.mark.parametrize(
    ("backend", "loop"),
    [
        (backend, loop) if (backend, loop) in FAST else slow(backend, loop)
        for backend, loop in product(BACKENDS, LOOPS)
    ],
)
def test_each_metric_of_classes_equals_scikit_learns_in_each_loop(tmp_path, backend, loop):
    generator = np.random.default_rng(0)
    arrays = {}
    for split, size in (("train", 192), ("validation", 320), ("test", 320)):
        labels = generator.choice(3, size, p=[0.6, 0.3, 0.1])
        arrays[f"x_{split}"] = generator.normal(size=(size, 4)) + np.eye(4)[labels]
        arrays[f"y_{split}"] = labels
    prepare(tmp_path, **arrays)
    np.save(tmp_path / "x.npy", arrays["x_validation"].astype("float32"))
    words = ("model=linear", "data=sets", "task.metrics.top_k.k=2")
    # Each loop compiles its metrics again: all of them once, then one of each file.
    chosen = CLASSIFICATION if loop == "fit" else ("f1_per_class", "top_k", "auc", "r2", "mae")
    result = worker(backend).train(
        tmp_path,
        *(*words, one_metric_each(chosen), "task.monitor=val_f1_per_class_1", f"loop={loop}"),
        *("batch_size=64", "epochs=2", "optimizer=sgd", "optimizer.learning_rate=0.5"),
    )
    for split, source in (("validation", tmp_path / "x.npy"), ("test", None)):
        place = tmp_path / f"{split}.npz"
        worker(backend).predict(tmp_path, result["path"], place, source)
        with np.load(place) as predicted:
            probabilities = predicted["predictions"].astype(np.float64)
        expected = of_classes(arrays[f"y_{split}"], probabilities)
        logged = {n: v for n, v in result[split].items() if n not in ("loss", "mape")}
        chosen_ones = {n: v for n, v in expected.items() if loop == "fit" or n in logged}
        assert logged == pytest.approx(chosen_ones, abs=1e-4)
    best = max(result["rows"], key=lambda row: row["val_f1_per_class_1"])
    assert result["best_epoch"] == best["epoch"]


# Metrics of arrays, given in batches, for labels and outputs of every kind.
SCRIPT = """
import numpy as np
from dlrun.assembly.compile import _metric
from dlrun.config.compose import compose

def measure(option, labels, outputs, batch, task="classification", **changes):
    words = [f"task.metrics.{option}.{key}={value}" for key, value in changes.items()]
    task = compose([f"task={task}", f"metrics={option}", *words]).task
    metric = _metric("task.metrics", option, task.metrics[option])
    for first in range(0, len(labels), batch):
        metric.update_state(labels[first : first + batch], outputs[first : first + batch])
    return np.asarray(keras.ops.convert_to_numpy(metric.result())).tolist()

import keras
arrays = np.load("arrays.npz")
def get(*names):
    return [arrays[name] for name in names]
binary, regression = "binary_classification", "regression"
batch = 100  # of 400
found.update({
    **{
        f"binary {option}": measure(option, *get("two", "logit"), batch, binary)
        for option in ("f1", "precision", "recall", "iou", "auc", "pr_auc")
    },
    "macro": measure("f1", *get("two", "logit"), batch, binary, average="macro"),
    **{
        f"scaled {scale}": measure("auc", *get("two", scale), batch, binary)
        for scale in ("down", "up")
    },
    "rare": measure("auc", *get("two", "rare"), batch, binary),
    "sure": measure("auc", *get("three", "sure"), batch),
    "by class": measure("auc", *get("three", "logits"), batch, average="null"),
    "weighted": measure("recall", *get("three", "logits"), batch, average="weighted"),
    "micro": measure("precision", *get("three", "logits"), batch, average="micro"),
    "labels": measure("f1", *get("several", "logits"), batch, threshold=0.5),
    "far r2": measure("r2", *get("far", "near_far"), batch, regression),
    "far pearson": measure("pearson", *get("far", "near_far"), batch, regression),
    "rmse": measure("rmse", *get("number", "guess"), batch, regression),
    "mape": measure("mape", *get("number", "guess"), batch, regression),
    "equal top": measure("top_k", arrays["three"], arrays["logits"] * 0, batch, k=1),
    "nan top": measure("top_k", arrays["three"], arrays["logits"] * np.nan, batch, k=1),
})
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", RuntimeWarning)
    measure("f1", arrays["three"] * 0, arrays["logits"] + [9, 0, 0], batch)  # two classes of none
found["warnings"] = [str(warning.message) for warning in caught]
"""


@pytest.mark.parametrize("backend", slow_on("jax", of=(*BACKENDS, "numpy")))
def test_metrics_are_exact_where_scores_are_small_or_far_from_zero(tmp_path, backend):
    generator = np.random.default_rng(1)
    size = 400
    two, three = generator.integers(0, 2, size), generator.integers(0, 3, size)
    logit = (generator.normal(size=(size, 1)) + two[:, None]).astype("float32")
    logits = (generator.normal(size=(size, 3)) + np.eye(3)[three]).astype("float32")
    number = generator.normal(5, 1, (size, 1)).astype("float32")
    far = (1e5 + generator.normal(size=(size, 1))).astype("float32")
    arrays = {
        "two": two,
        "three": three,
        "several": (logits + generator.normal(size=logits.shape) > 0).astype("float32"),
        "logit": logit,
        "logits": logits,
        "down": logit * 2.0**-30,
        "up": logit * 2.0**15,
        "rare": logit / 4 - 7,  # probabilities of about 0.001
        "sure": logits * 20,  # probabilities that round to 1
        "number": number,
        "guess": number + generator.normal(size=(size, 1)).astype("float32"),
        "far": far,
        "near_far": far + generator.normal(0, 0.1, far.shape).astype("float32"),
    }
    np.savez(tmp_path / "arrays.npz", **arrays)
    double = {name: array.astype(np.float64) for name, array in arrays.items()}
    probabilities, above = softmax(double["logits"], axis=1), double["logit"][:, 0] > 0
    sure = log_softmax(double["sure"], axis=1)
    odds = np.column_stack([
        sure[:, c] - np.logaddexp(*np.delete(sure, c, axis=1).T) for c in range(3)
    ])  # fmt: skip
    area = sk.roc_auc_score(two, double["logit"][:, 0])
    labels = double["several"].astype(int)
    expected = {
        "binary f1": sk.f1_score(two, above),
        "binary precision": sk.precision_score(two, above),
        "binary recall": sk.recall_score(two, above),
        "binary iou": sk.jaccard_score(two, above),
        "binary auc": area,
        "binary pr_auc": sk.average_precision_score(two, double["logit"][:, 0]),
        "macro": sk.f1_score(two, above, average="macro"),
        "scaled down": area,
        "scaled up": area,
        "rare": sk.roc_auc_score(two, expit(double["rare"][:, 0])),
        "sure": sk.roc_auc_score(np.eye(3)[three], odds, average="micro"),
        "by class": sk.roc_auc_score(three, probabilities, multi_class="ovr", average=None),
        "weighted": sk.recall_score(three, probabilities.argmax(1), average="weighted"),
        "micro": sk.precision_score(three, probabilities.argmax(1), average="micro"),
        "labels": sk.f1_score(labels, probabilities > 0.5, average="macro", zero_division=0),
        "far r2": sk.r2_score(double["far"], double["near_far"]),
        "far pearson": stats.pearsonr(double["far"][:, 0], double["near_far"][:, 0])[0],
        "rmse": sk.root_mean_squared_error(double["number"], double["guess"]),
        "mape": 100 * sk.mean_absolute_percentage_error(double["number"], double["guess"]),
        "equal top": (three == 0).mean(),
        "nan top": 0,
    }
    found = worker(backend).run(tmp_path, SCRIPT)
    assert found.pop("warnings") == []
    assert set(found) == set(expected)
    for name, value in found.items():
        near = 1e-3 if name == "rare" else 1e-4
        assert value == pytest.approx(expected[name], rel=1e-4, abs=near), name


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_masked_sequences_have_one_loss_whatever_the_batch_size_and_loop(tmp_path, backend):
    generator = np.random.default_rng(2)
    arrays = {}
    for split, size in (("train", 90), ("validation", 50), ("test", 60)):
        inputs = generator.normal(size=(size, 6, 2))
        lengths = generator.integers(1, 7, size)
        inputs[np.arange(6) >= lengths[:, None]] = 0  # the padding is masked
        arrays[f"x_{split}"], arrays[f"y_{split}"] = inputs, generator.integers(0, 3, (size, 6))
        arrays[f"steps_{split}"] = np.arange(6) < lengths[:, None]
    prepare(tmp_path, **arrays)
    options = ("accuracy", "f1", "rmse", "root_mean_squared_error")
    words = ("model=steps", "data=sets", one_metric_each(options), "optimizer=sgd", "epochs=1")
    # The weights stay: what an epoch logs is the loss of the whole split.
    words = (*words, "optimizer.learning_rate=0", "batch_size=40")
    runs = [*((f"loop={loop}",) for loop in LOOPS), ("loop=raw", "+task.loss.reduction=sum")]
    result, *others = [worker(backend).train(tmp_path, *words, *changed) for changed in runs]
    run = result["path"]
    for other in others:
        for split in ("train", "validation", "test"):
            assert other[split] == pytest.approx(result[split], rel=1e-5, abs=1e-6)
    for split, size in (("train", 90), ("test", 13)):
        words = (tmp_path, run, f"batch_size={size}")
        evaluated = worker(backend).evaluate(*words, split=split, trusted=["my_net"])["metrics"]
        assert evaluated == pytest.approx(result[split], rel=1e-5, abs=1e-6)
    worker(backend).predict(tmp_path, run, tmp_path / "p.npz")
    counted = arrays["steps_test"]
    with np.load(tmp_path / "p.npz") as predicted:
        probabilities = predicted["predictions"].astype(np.float64)[counted]
    labels = arrays["y_test"][counted]
    one_hot = np.eye(3)[labels]
    penalty = penalty_of(run)
    assert penalty > 0.01
    expected = {
        "loss": -np.log(probabilities[one_hot == 1]).mean() + penalty,
        "accuracy": sk.accuracy_score(labels, probabilities.argmax(1)),
        "f1": sk.f1_score(labels, probabilities.argmax(1), average="macro"),
        "rmse": np.sqrt(((one_hot - probabilities) ** 2).mean()),
        "root_mean_squared_error": np.sqrt(((one_hot - probabilities) ** 2).sum(1).mean()),
    }
    assert result["test"] == pytest.approx(expected, abs=1e-4)


def penalty_of(run):
    """The model's penalty on weights, from its checkpoint."""
    [place] = run.glob("checkpoints/*/arrays.npz")
    with np.load(place) as arrays:
        [kernel] = [a for a in arrays.values() if a.shape == (2, 4)]
    return 0.1 * (kernel.astype(np.float64) ** 2).sum()


def test_of_each_metric_the_better_direction_is_known():
    smaller = {"mae", "mape", "mse", "rmse", "log_cosh"}
    for option in CLASSIFICATION:
        names = ["f1_per_class_0"] if option == "f1_per_class" else [option]
        for name in names:
            config = compose([one_metric_each([option]), f"task.monitor=val_{name}"])
            assert config.task.mode == ("min" if option in smaller else "max"), option
