"""Weights of samples and classes: every loop computes the loss that float64 NumPy computes."""

import functools
from itertools import product

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.utils.class_weight import compute_sample_weight

from conftest import in_turn, slow, slow_on
from dlrun.data.batches import permutation
from dlrun.data.sampling import ClassSampling
from trainings import BACKENDS, Refused, worker

pytestmark = pytest.mark.trains

SCORES = ("f1", "precision", "recall", "iou", "r2")
LOOPS = ("fit", "train_step", "train_step_own_loss", "raw")
# Each backend; fit is in the tests of feeds, samples and labels.
ONCE = (("jax", "raw"), ("tensorflow", "train_step_own_loss"), ("torch", "train_step"))
TRAIN, VALIDATION, BATCH, RATE = 300, 60, 32, 0.3  # ten steps, the last of 12 samples

DATA = """
import numpy as np
from dlrun.data.dataset import Dataset, Split

def steps(masked=False, by_step=False, limit=None):
    # As many samples as steps: a weight for each sample would fit the axis of the steps.
    generator = np.random.default_rng(1)
    x = generator.normal(size=(4, 4, 3)).astype("float32")
    if masked:
        x[1, 2:] = x[2, 3:] = -1
    weights = np.arange(16.0).reshape(4, 4) if by_step else np.array([1.0, 5.0, 0.5, 0.0])
    split = Split(x, generator.integers(0, 3, (4, 4)), weights)
    return Dataset(split, split, split, num_classes=3)

def two_outputs(limit=None):
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=(50, 3)).astype("float32"), generator.integers(0, 3, 50)
    labels = {"number": generator.normal(size=(50, 1)).astype("float32"), "kind": y}
    weighted = Split(x, labels, {"number": generator.uniform(0, 3, 50)})
    return Dataset(weighted, Split(x, labels)[:20], weighted[:30], {"number": 1, "kind": 3})
"""
MODULE = """
import keras
from dlrun.loops.step import Step

def linear(input_shape, num_classes, units=None):
    dense = keras.layers.Dense(units or num_classes, kernel_initializer="zeros")
    return keras.Sequential([keras.Input(input_shape), dense])

def as_given(input_shape, num_classes, masked=False):
    inputs = keras.Input(input_shape)
    x = keras.layers.Masking(-1.0)(inputs) if masked else inputs
    return keras.Model(inputs, keras.layers.Dense(num_classes, kernel_initializer="identity")(x))

class Two(keras.Model):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.number = keras.layers.Dense(1, kernel_initializer="ones")
        self.kind = keras.layers.Dense(3, kernel_initializer="identity")

    def call(self, x):
        return {"number": self.number(x), "kind": self.kind(x)}

class Old(Step):
    def loss(self, model, inputs, targets, outputs, *, training):
        return model.compute_loss(inputs, targets, outputs, training=training)

class New(Step):
    def batch(self, inputs, targets, seed, sample_weight=None):
        parts = (inputs, targets) if sample_weight is None else (inputs, targets, sample_weight)
        return parts

    def loss(self, model, inputs, targets, outputs, *, training, sample_weight=None):
        return model.compute_loss(inputs, targets, outputs, sample_weight, training=training)

class OldStepper:
    def __init__(self, model, step, *, compile, scale):
        pass

    def train(self, inputs, targets):
        raise AssertionError("not reached")

    test = train

class OfSamples(keras.losses.SparseCategoricalCrossentropy):
    def call(self, y_true, y_pred):
        return keras.ops.mean(super().call(y_true, y_pred), axis=-1)

class Whole(keras.losses.SparseCategoricalCrossentropy):
    def call(self, y_true, y_pred):
        return keras.ops.mean(y_pred)

class Native:
    def train_step(self, model, *arguments):
        raise AssertionError("not reached")
"""
TASK = """
loss:
  number: {_target_: keras.losses.MeanSquaredError}
  kind: {_target_: keras.losses.SparseCategoricalCrossentropy, from_logits: true}
metrics:
  number: {mae: {_target_: keras.metrics.MeanAbsoluteError}}
  kind: {accuracy: {_target_: keras.metrics.SparseCategoricalAccuracy}}
activation: {kind: softmax}
"""
NPZ = (
    *("data=npz", "data.path=mine.npz", "data.num_classes=2", f"batch_size={BATCH}"),
    *(f"data.validation_samples={VALIDATION}", "optimizer=sgd"),
    *("model._target_=my_net.linear", "~model.units"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One class of two is rare, and each sample has a weight."""
    place = tmp_path_factory.mktemp("weights")
    (place / "my_net.py").write_text(DATA + MODULE)
    (place / "configs/task").mkdir(parents=True)
    (place / "configs/task/two.yaml").write_text(TASK)
    generator = np.random.default_rng(0)
    y = (generator.random(500) < 0.2).astype(int)
    x = (generator.normal(size=(500, 4)) + 0.8 * y[:, None]).astype(np.float32)
    w = generator.uniform(0.2, 3, 500).astype(np.float32)
    end = TRAIN + VALIDATION
    arrays = {"x_train": x[:end], "y_train": y[:end], "w_train": w[:end]}
    np.savez(place / "mine.npz", **arrays, x_test=x[end:], y_test=y[end:], w_test=w[end:])
    del arrays["w_train"]
    np.savez(place / "plain.npz", **arrays, x_test=x[end:], y_test=y[end:])
    return place


def reference(place, *, rate=RATE, orders=None, epochs=2, batch=BATCH):
    """The losses of a softmax over a linear layer, trained by plain gradient descent."""
    file = np.load(place / "mine.npz")
    x, y, w = (
        np.concatenate([file[f"{n}_train"], file[f"{n}_test"]]).astype(np.float64) for n in "xyw"
    )
    y, train = y.astype(int), np.arange(VALIDATION, VALIDATION + TRAIN)
    counts = np.bincount(y[train])
    if orders is None:
        w = w * (TRAIN / (2 * counts))[y]
        orders = [permutation(0, epoch, TRAIN) for epoch in range(epochs)]
    weights, rows = np.zeros((5, 2)), []
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)

    def probabilities(of):
        logits = x[of] @ weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def loss(of):
        # What Keras' reduction is: divided by the number of samples, not by the sum of weights.
        sum_of_weights = w[of].sum()
        mean = log_loss(y[of], probabilities(of), sample_weight=w[of], labels=[0, 1])
        return mean * sum_of_weights / len(of)

    for order in orders:
        losses = []
        for first in range(0, len(order), batch):
            of = train[order[first : first + batch]]
            losses.append((loss(of), len(of)))
            errors = (probabilities(of) - np.eye(2)[y[of]]) * w[of][:, None]
            weights -= rate * x[of].T @ errors / len(of)
        rows.append(sum(value * size for value, size in losses) / len(order))
    test, validation = np.arange(VALIDATION + TRAIN, 500), np.arange(VALIDATION)
    scores, right = probabilities(test)[:, 1], (probabilities(test).argmax(axis=1) == y[test])
    return {
        "loss": rows,
        "val_loss": loss(validation),
        "validation": weighted_scores(y[validation], probabilities(validation), w[validation]),
        "test": {
            "loss": loss(test),
            "accuracy": np.average(right, weights=w[test]),
            "plain": np.mean(right),
            **weighted_scores(y[test], probabilities(test), w[test]),
            "auc": roc_auc_score(y[test], scores, sample_weight=w[test]),
            "pr_auc": average_precision_score(y[test], scores, sample_weight=w[test]),
        },
    }


def weighted_scores(labels, probabilities, weights):
    """What scikit-learn gives for the metrics of SCORES."""
    guess, options = probabilities.argmax(axis=1), {"sample_weight": weights, "average": "macro"}
    return {
        "f1": sk.f1_score(labels, guess, **options),
        "precision": sk.precision_score(labels, guess, zero_division=0, **options),
        "recall": sk.recall_score(labels, guess, **options),
        "iou": sk.jaccard_score(labels, guess, **options),
        "r2": sk.r2_score(np.eye(2)[labels], probabilities, sample_weight=weights),
    }


@functools.cache
def weighted_run(place, backend, loop):
    return worker(backend).train(
        place,
        *NPZ,
        f"loop={loop}",
        *("task.class_weight=balanced", "epochs=2", f"optimizer.learning_rate={RATE}"),
        "+task.metrics.accuracy.weighted=true",
        "+task.metrics.plain._target_=keras.metrics.SparseCategoricalAccuracy",
        f"+metrics=[{','.join(SCORES)}]",
        *(f"+task.metrics.{name}.weighted=true" for name in SCORES),
    )


@pytest.mark.parametrize(
    ("backend", "loop"),
    [
        (backend, loop) if (backend, loop) in ONCE else slow(backend, loop)
        for backend, loop in product(BACKENDS, LOOPS)
    ],
)
def test_the_weighted_loss_of_each_loop_is_scikit_learns(place, backend, loop):
    expected, run = reference(place), weighted_run(place, backend, loop)
    assert [row["loss"] for row in run["rows"]] == pytest.approx(expected["loss"], rel=1e-5)
    assert run["rows"][-1]["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-5)
    test, validated = run["test"], {name: run["rows"][-1][f"val_{name}"] for name in SCORES}
    assert validated == pytest.approx(expected["validation"], rel=1e-5)
    assert test["loss"] == pytest.approx(expected["test"]["loss"], rel=1e-5)
    assert test["accuracy"] == pytest.approx(expected["test"]["accuracy"], rel=1e-5)
    assert test["plain"] == pytest.approx(expected["test"]["plain"], rel=1e-6)
    assert run["rows"][0]["accuracy"] != run["rows"][0]["plain"]


@pytest.mark.parametrize(
    ("backend", "feed"),
    [
        slow("torch", "numpy"),
        ("torch", "pandas"),
        slow("jax", "tf_data"),
        slow("tensorflow", "torch_dataloader"),
        ("tensorflow", "pydataset"),
    ],
)
def test_every_feed_passes_the_weights_on(place, backend, feed):
    typed = ("task.class_weight=balanced", "epochs=2", f"optimizer.learning_rate={RATE}")
    run = worker(backend).train(place, *NPZ, f"feed={feed}", *typed)
    expected = reference(place)["loss"]
    assert [row["loss"] for row in run["rows"]] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow", of=(*BACKENDS, "numpy")))
def test_evaluation_gives_the_weighted_loss_for_any_batch_size(place, backend):
    run, expected = weighted_run(place, "torch", "raw"), reference(place)["test"]
    for size in (7, 140):
        typed = f"batch_size={size}"
        found = worker(backend).evaluate(place, run["path"], typed, trusted=["my_net"])
        for name in ("loss", "accuracy", "plain", *SCORES):
            assert found["metrics"][name] == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.parametrize(("backend", "loop"), [slow("jax", "raw"), ("torch", "fit")])
def test_a_mean_over_weights_is_one_over_all_samples(place, backend, loop):
    reduction = "+task.loss.reduction=mean_with_sample_weight"
    run = worker(backend).train(place, *NPZ, f"loop={loop}", reduction, "epochs=1")
    losses = [
        worker(backend).evaluate(place, run["path"], typed, trusted=["my_net"])["metrics"]["loss"]
        for typed in ("batch_size=7", "batch_size=140")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[1] == pytest.approx(run["test"]["loss"], rel=1e-5)


def test_areas_under_curves_are_weighted(place):
    run, expected = weighted_run(place, "torch", "raw"), reference(place)["test"]
    typed = [f"task.metrics.{name}.average=null" for name in ("auc", "pr_auc")]
    typed += [f"+task.metrics.{name}.weighted=true" for name in ("auc", "pr_auc")]
    overrides = ("+metrics=[auc,pr_auc]", *typed)
    found = worker("torch").evaluate(place, run["path"], *overrides, trusted=["my_net"])
    assert found["metrics"]["auc_1"] == pytest.approx(expected["auc"], abs=2e-3)  # in bins
    assert found["metrics"]["pr_auc_1"] == pytest.approx(expected["pr_auc"], abs=5e-3)


def test_a_metric_of_keras_that_counts_samples_counts_fractions_of_them(place):
    run, expected = weighted_run(place, "torch", "raw"), reference(place)["test"]["iou"]
    typed = (
        "+task.metrics.one_hot={_target_: dlrun.metrics.one_hot.OneHotMetric,"
        " metric: OneHotMeanIoU, num_classes: 2, weighted: true}",
        "+task.metrics.by_class={_target_: keras.metrics.MeanIoU, num_classes: 2,"
        " sparse_y_pred: false, weighted: true}",
    )
    found = worker("torch").evaluate(place, run["path"], *typed, trusted=["my_net"])["metrics"]
    for name in ("one_hot", "by_class"):
        assert found[name] == pytest.approx(expected, rel=1e-5)


def test_evaluation_on_other_data_weighs_classes_as_training_did(place):
    run, expected = weighted_run(place, "torch", "raw"), reference(place)["test"]
    file = dict(np.load(place / "mine.npz"))
    file["y_train"] = np.arange(TRAIN + VALIDATION) % 2  # balanced
    np.savez(place / "other.npz", **file)
    other = "data.path=other.npz"
    found = worker("torch").evaluate(place, run["path"], other, trusted=["my_net"])
    assert found["metrics"]["loss"] == pytest.approx(expected["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("backend", "loop", "sampling"),
    [
        ("jax", "fit", "oversample"),
        slow("tensorflow", "train_step", "oversample"),
        slow("torch", "raw", "oversample"),
        ("torch", "raw", "undersample"),
    ],
)
def test_a_sampled_epoch_trains_on_as_many_of_each_class(place, backend, loop, sampling):
    y = np.load(place / "mine.npz")["y_train"][VALIDATION:]
    drawn = ClassSampling(y, oversample=sampling == "oversample")
    seeds = (np.random.SeedSequence([0, epoch]) for epoch in range(3))
    orders = [drawn.draw(np.random.default_rng(seed)) for seed in seeds]
    expected = reference(place, orders=orders)
    typed = (*NPZ, f"loop={loop}", f"task.sampling={sampling}", f"optimizer.learning_rate={RATE}")
    run = worker(backend).train(place, *typed, "epochs=2")
    assert [r["loss"] for r in run["rows"]] == pytest.approx(expected["loss"][:2], rel=1e-5)
    rate = run["examples_per_second"] * run["step_seconds"]  # samples per step
    assert rate == pytest.approx(drawn.samples / np.ceil(drawn.samples / BATCH), rel=1e-3)
    resumed = worker(backend).resume(place, run["path"], "epochs=3")
    assert [r["loss"] for r in resumed["rows"]] == pytest.approx(expected["loss"], rel=1e-5)
    assert resumed["rows"][-1]["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-5)


def test_a_balanced_logistic_regression_has_scikit_learns_coefficients(place):
    file = np.load(place / "plain.npz")
    x, y = file["x_train"], file["y_train"]
    exact = LogisticRegression(C=np.inf, class_weight="balanced", tol=1e-8).fit(x, y)
    run = worker("jax").train(
        place,
        *(override.replace("mine", "plain") for override in NPZ),
        *("loop=raw", "task=binary_classification", "+model.units=1", "data.validation_samples=0"),
        *("task.class_weight=balanced", "task.monitor=loss", "batch_size=360", "epochs=60"),
        *("optimizer.learning_rate=1", "optimizer.momentum=0.8", "~callbacks.early_stopping"),
    )
    scores = exact.predict_proba(x)
    loss = log_loss(y, scores, sample_weight=compute_sample_weight("balanced", y))
    assert run["rows"][-1]["loss"] == pytest.approx(loss, rel=1e-4)
    from dlrun.checkpoints.format import read_checkpoint

    saved = read_checkpoint(run["path"] / "checkpoints/epoch-0060").model
    values = {variable.path.rpartition("/")[2]: variable.value for variable in saved}
    np.testing.assert_allclose(values["kernel"][:, 0], exact.coef_[0], rtol=2e-2)
    np.testing.assert_allclose(values["bias"], exact.intercept_, rtol=2e-2)


# Any number of classes at once


@pytest.fixture(scope="module")
def several(place):
    """Three labels of a sample, one of them rare, and a weight of each sample."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(400, 4)).astype(np.float32)
    y = (x[:, :3] > [0.0, 0.5, 1.6]).astype(np.uint8)
    w = generator.uniform(0.2, 3, 400).astype(np.float32)
    parts = {"train": slice(0, 300), "test": slice(300, 400)}
    arrays = {
        f"{n}_{p}": a[of] for n, a in zip("xyw", (x, y, w), strict=True) for p, of in parts.items()
    }
    np.savez(place / "several.npz", **arrays)
    return x.astype(np.float64), y, w.astype(np.float64)


@pytest.mark.parametrize(
    ("backend", "loop"),
    [slow("jax", "raw"), ("jax", "fit"), ("tensorflow", "train_step"), ("torch", "raw")],
)
def test_each_of_several_labels_is_balanced_in_each_loop(place, several, backend, loop):
    x, y, w = several
    run = worker(backend).train(
        place,
        *("data=npz", "data.path=several.npz", "data.num_classes=3", "data.validation_samples=0"),
        *("task=multilabel", "task.class_weight=balanced", "task.monitor=loss", f"loop={loop}"),
        *("optimizer=sgd", f"optimizer.learning_rate={RATE}", "epochs=2", f"batch_size={BATCH}"),
        *("model._target_=my_net.linear", "~model.units"),
        "+task.metrics.binary_accuracy.weighted=true",
    )
    balanced = np.stack([len(t) / (2 * np.bincount(t)) for t in y[:300].T])
    weights = w[:, None] * np.where(y, balanced[:, 1], balanced[:, 0])
    x, kernel = np.concatenate([x, np.ones((400, 1))], axis=1), np.zeros((5, 3))
    chance = lambda of: 1 / (1 + np.exp(-x[of] @ kernel))  # noqa: E731
    loss = lambda of: np.mean(  # noqa: E731
        [log_loss(y[of, n], chance(of)[:, n], sample_weight=weights[of, n], labels=[0, 1])
         * weights[of, n].mean() for n in range(3)]
    )  # fmt: skip
    for epoch, row in enumerate(run["rows"]):
        losses, order = [], permutation(0, epoch, 300)
        for first in range(0, 300, BATCH):
            of = order[first : first + BATCH]
            losses.append(loss(of) * len(of))
            errors = (chance(of) - y[of]) * weights[of] / 3
            kernel -= RATE * x[of].T @ errors / len(of)
        assert row["loss"] == pytest.approx(sum(losses) / 300, rel=1e-5)
    test = np.arange(300, 400)
    right = (chance(test) > 0.5) == y[test]
    assert run["test"]["loss"] == pytest.approx(loss(test), rel=1e-5)
    expected = pytest.approx(np.average(right, weights=weights[test]), rel=1e-5)
    assert run["test"]["binary_accuracy"] == expected
    if backend == "torch":
        found = worker("numpy").evaluate(place, run["path"], trusted=["my_net"])["metrics"]
        assert found["loss"] == pytest.approx(loss(test), rel=1e-5)
        assert found["binary_accuracy"] == expected


def test_a_metric_that_can_not_weigh_each_label_is_refused(place, several):
    with pytest.raises(Refused) as refused:
        worker("jax").train(
            place,
            *("data=npz", "data.path=several.npz", "data.num_classes=3", "task=multilabel"),
            "data.validation_samples=0",
            *(
                "task.class_weight=balanced",
                "+metrics=auc",
                "+task.metrics.auc.weighted=true",
                "task.monitor=loss",
            ),
            *("model._target_=my_net.linear", "~model.units"),
        )
    assert "task.metrics.auc: task.class_weight weighs each label" in str(refused.value)


# Labels with steps, and several outputs


def made(function, *arguments):
    """What a function of the module's data sets returns, in this process."""
    names = {}
    exec(DATA, names)
    return names[function](*arguments)


def cross_entropy(logits, labels):
    odds = np.exp(logits.astype(np.float64))
    return -np.log(np.take_along_axis(odds, labels[..., None], -1)[..., 0] / odds.sum(axis=-1))


@pytest.mark.parametrize(
    ("backend", "given"), in_turn(BACKENDS, ((False, False), (True, False), (True, True)))
)
def test_a_weight_per_sample_counts_for_each_of_its_steps(place, backend, given):
    masked, by_step = given
    split = made("steps", masked, by_step).test
    mask = ~(split.inputs == -1).all(axis=-1) if masked else np.ones((4, 4), bool)
    weights = split.weights if by_step else np.repeat(split.weights[:, None], 4, axis=1)
    losses = cross_entropy(split.inputs, split.labels)
    right = split.inputs.argmax(axis=-1) == split.labels
    run = worker(backend).train(
        place,
        *("data._target_=my_net.steps", "~data.validation_samples"),
        *("model._target_=my_net.as_given", "~model.units", f"+model.masked={masked}"),
        *(f"+data.masked={masked}", f"+data.by_step={by_step}", "optimizer=sgd"),
        *("optimizer.learning_rate=0.0", "epochs=1", "batch_size=4", "loop=raw"),
        *("metrics=[sparse_categorical_accuracy,f1]", "+task.metrics.f1.weighted=true"),
        "+task.metrics.sparse_categorical_accuracy.weighted=true",
        "task.metrics.f1.average=micro",
    )
    expected = (losses * weights)[mask].sum() / mask.sum()
    for found in (run["rows"][0]["loss"], run["rows"][0]["val_loss"], run["test"]["loss"]):
        assert found == pytest.approx(expected, rel=1e-5)
    share = np.average(right[mask], weights=weights[mask])
    assert run["test"]["f1"] == pytest.approx(share, rel=1e-5)
    assert run["test"]["sparse_categorical_accuracy"] == pytest.approx(share, rel=1e-5)


@pytest.mark.parametrize(
    ("backend", "loop"), [("jax", "train_step"), ("tensorflow", "fit"), ("torch", "raw")]
)
def test_each_output_has_its_own_weights(place, backend, loop):
    data = made("two_outputs")
    counts = np.bincount(data.train.labels["kind"])
    by_class = (len(data.train) / (3 * counts))[data.test.labels["kind"]]
    squares = np.square(data.test.inputs.sum(axis=1) - data.test.labels["number"][:, 0])
    number = np.mean(squares * data.test.weights["number"])
    kind = np.mean(cross_entropy(data.test.inputs, data.test.labels["kind"]) * by_class)
    kinds = "task.metrics.kind.accuracy"
    run = worker(backend).train(
        place,
        *("data._target_=my_net.two_outputs", "~data.validation_samples", "~model.units"),
        *("model._target_=my_net.Two", "task=two", "task.class_weight={kind: balanced}"),
        *(f"loop={loop}", "optimizer=sgd", "optimizer.learning_rate=0.0", "epochs=1"),
        *(f"+{kinds}.weighted=true", "batch_size=16"),
    )
    right = data.test.inputs.argmax(axis=1) == data.test.labels["kind"]
    expected = {
        "loss": number + kind,
        "number_loss": number,
        "kind_loss": kind,
        "number_mae": np.mean(np.sqrt(squares)),
        "kind_accuracy": np.average(right, weights=by_class),
    }
    assert run["test"] == pytest.approx(expected, rel=1e-5)
    # The validation split has no weights: each of its samples counts once.
    of_validation = squares[:20].mean()
    assert run["rows"][0]["val_number_loss"] == pytest.approx(of_validation, rel=1e-5)
    evaluated = worker("numpy").evaluate(place, run["path"], trusted=["my_net"])
    assert evaluated["metrics"] == pytest.approx(expected, rel=1e-5)


# Steps of one's own


@pytest.mark.parametrize(
    ("loop", "step", "message", "hint"),
    [
        ("raw", "Old", "Old.loss takes no sample_weight", "def loss(..., sample_weight=None)"),
        ("train_step", "Old", "Old.loss takes no sample_weight", "sample_weight=None"),
        ("train_step", "Native", "may leave out the weights", "takes_sample_weight = True"),
    ],
)
def test_a_step_that_can_not_take_weights_refuses_them(place, loop, step, message, hint):
    with pytest.raises(Refused, match=message) as caught:
        worker("torch").train(place, *NPZ, f"loop={loop}", f"loop.step._target_=my_net.{step}")
    assert hint in caught.value.hint
    if step == "Old":  # without weights it trains as before
        plain = [override.replace("mine", "plain") for override in NPZ]
        own = f"loop.step._target_=my_net.{step}"
        assert worker("torch").train(place, *plain, f"loop={loop}", own, "epochs=1")["test"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            ("loop=raw", "+loop.stepper={_target_: my_net.OldStepper, _partial_: true}"),
            "loop.stepper: OldStepper takes no weights, and the samples have them",
        ),
        (
            ("task.loss={_target_: my_net.Whole}",),
            "task.loss: sparse_categorical_crossentropy has one value for a batch",
        ),
    ],
)
def test_what_can_not_be_weighted_refuses_weights(place, typed, message):
    with pytest.raises(Refused, match=message):
        worker("torch").train(place, *NPZ, *typed)


def test_weights_of_an_axis_that_the_loss_does_not_have_are_refused(place):
    shape = (
        r"train.weights has shape \(4, 4\), but the values of task.loss, my_net.OfSamples, have"
        r" shape \(4,\)"
    )
    with pytest.raises(Refused, match=shape):
        worker("torch").train(
            place,
            *("data._target_=my_net.steps", "~data.validation_samples", "+data.by_step=true"),
            *("model._target_=my_net.as_given", "~model.units", "metrics=[]"),
            "task.loss={_target_: my_net.OfSamples}",
        )


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_a_step_gets_the_weights_in_the_hooks_that_take_them(place, backend):
    typed = (*NPZ, "loop=raw", "epochs=2", f"optimizer.learning_rate={RATE}")
    own = ("loop.step._target_=my_net.New", "task.class_weight=balanced")
    run = worker(backend).train(place, *typed, *own)
    expected = reference(place)["loss"]
    assert [row["loss"] for row in run["rows"]] == pytest.approx(expected, rel=1e-5)
