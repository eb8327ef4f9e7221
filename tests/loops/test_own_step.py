"""Custom steps: those of the docs, native ones, and a gradient penalty."""

import re
from pathlib import Path

import pytest

from conftest import slow_on
from trainings import BACKENDS, Refused, worker

PAGE = Path(__file__).parents[2] / "docs/how-to/own-step.md"
SMALL = ("model.units=256", "data.limit=2000", "epochs=2")

NATIVE = {
    "jax": """
import jax

class Native:
    def train_step(self, model, state, data):
        trainable, non_trainable, slots, metrics = state
        x, y = data[:2]

        def loss_of(trainable, non_trainable):
            outputs, non_trainable = model.stateless_call(
                trainable, non_trainable, x, training=True
            )
            return model.compute_loss(x, y, outputs), (outputs, non_trainable)

        value_and_grad = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (outputs, non_trainable)), gradients = value_and_grad(trainable, non_trainable)
        trainable, slots = model.optimizer.stateless_apply(slots, gradients, trainable)
        logs, updated = {"native": 1.0}, []
        for metric in model.metrics:
            state = metrics[len(updated) : len(updated) + len(metric.variables)]
            arguments = (loss,) if metric.name == "loss" else (y, outputs)
            state = metric.stateless_update_state(state, *arguments)
            value = metric.stateless_result(state)
            logs.update(value if isinstance(value, dict) else {metric.name: value})
            updated += state
        return logs, (trainable, non_trainable, slots, updated)
""",
    "tensorflow": """
import tensorflow as tf

class Native:
    def train_step(self, model, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = model.compute_loss(x, y, outputs)
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        model.metrics[0].update_state(loss)
        return {**model.compute_metrics(x, y, outputs), "native": 1.0}
""",
    "torch": """
import torch

class Native:
    def train_step(self, model, data):
        x, y = data[:2]
        model.zero_grad()
        outputs = model(x, training=True)
        loss = model.compute_loss(x, y, outputs)
        loss.backward()
        with torch.no_grad():
            weights = model.trainable_weights
            model.optimizer.apply([w.value.grad for w in weights], weights)
            model.metrics[0].update_state(loss)
        return {**model.compute_metrics(x, y, outputs), "native": 1.0}
""",
}

# Validation logs the penalty itself.
PENALTY = """
import keras
from dlrun.backends import {backend} as backend
from dlrun.loops.step import Step

class Penalised(Step):
    def __init__(self, weight):
        self.weight = weight

    def loss(self, model, inputs, targets, outputs, *, training):
        def losses(x):
            return model.compute_loss(x, targets, model(x, training=training)) * 100

        penalty = keras.ops.mean(keras.ops.square(backend.gradient(losses)(inputs)))
        if not training:
            return penalty
        usual = super().loss(model, inputs, targets, outputs, training=True)
        return usual + self.weight * penalty
"""


@pytest.fixture
def place(tmp_path):
    """A directory with the how-to's code blocks, each in the file named in its first line."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert {"my_steps.py", "configs/loop/clipped.yaml"} <= {name for name, _ in blocks}
    for name, block in blocks:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(block)
    return tmp_path


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_the_clipped_step_of_the_docs(place, backend):
    def rows(*overrides):
        return worker(backend).train(
            place, *SMALL, "optimizer=sgd", "optimizer.learning_rate=0.1", *overrides
        )["rows"]

    clipped = rows("loop=clipped")
    assert clipped[1]["val_loss"] < clipped[0]["val_loss"]
    own = ("loop=train_step", "loop.step._target_=my_steps.Clipped", "+loop.step.norm=1.0")
    for row, expected in zip(rows(*own), clipped, strict=True):
        assert row["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-4)
    zero_norm = rows("loop=clipped", "loop.step.norm=0.0")
    assert zero_norm[1]["val_loss"] == zero_norm[0]["val_loss"]


@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
def test_the_mixup_step_of_the_readme(place, backend):
    def rows(*loop):
        return worker(backend).train(
            place,
            *SMALL,
            *loop,
            "loop.step._target_=my_steps.Mixup",
            "loss=categorical_crossentropy",
            "metrics=[categorical_accuracy]",
        )["rows"]

    first, last = rows("loop=raw")
    assert last["val_loss"] < first["val_loss"]
    assert last["loss"] > last["val_loss"] + 0.1  # mixup only in training
    assert last["val_categorical_accuracy"] > 0.7
    # Not compiled with XLA, which draws other random numbers on tensorflow.
    raw = rows("loop=raw", *(["loop.compile=graph"] if backend == "tensorflow" else []))
    for row, expected in zip(rows("loop=train_step"), raw, strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_native_train_step_learns_under_fit_and_raw_refuses_it(tmp_path, backend):
    (tmp_path / "my_native.py").write_text(NATIVE[backend])
    step = "loop.step._target_=my_native.Native"
    first, last = worker(backend).train(tmp_path, *SMALL, "loop=train_step", step)["rows"]
    assert first["native"] == 1  # the native step has run
    assert last["loss"] < 0.7 * first["loss"]
    assert last["val_accuracy"] > 0.7
    with pytest.raises(Refused, match="Native has a train_step") as caught:
        worker(backend).train(tmp_path, *SMALL, "loop=raw", step)
    assert "loop=train_step" in caught.value.hint


@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_a_gradient_penalty_trains(tmp_path, backend):
    (tmp_path / "my_penalty.py").write_text(PENALTY.format(backend=backend))

    def last(weight):
        return worker(backend).train(
            tmp_path,
            *SMALL,
            "loop=raw",
            "loop.step._target_=my_penalty.Penalised",
            f"+loop.step.weight={weight}",
        )["rows"][-1]

    free, penalised = last(0.0), last(100.0)
    assert free["val_loss"] > 0
    assert penalised["val_loss"] < 0.7 * free["val_loss"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_of_a_gradient(tmp_path, backend):
    found = worker(backend).run(
        tmp_path,
        "import keras\n"
        "at = keras.ops.convert_to_tensor(3.0)\n"
        "speed = backend.gradient(lambda t: 4.9 * t**2)\n"
        "found['speed'] = float(speed(at))\n"
        "found['acceleration'] = float(backend.gradient(speed)(at))\n",
    )
    assert found == pytest.approx({"speed": 29.4, "acceleration": 9.8}, rel=1e-6)
