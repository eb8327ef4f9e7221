"""Optimizers of torch.optim and optax under both kinds of loop."""

import numpy as np
import pytest

from conftest import in_turn, slow
from dlrun.checkpoints.format import read_checkpoint
from trainings import worker

SMALL = ("model.units=32", "data.limit=900", "epochs=3")
OPTIMIZERS = (
    ("torch", "torch_sgd", 0.01),
    ("torch", "torch_adamw", 0.001),
    ("jax", "optax_sgd", 0.01),
    ("jax", "optax_adamw", 0.001),
)
# The relative difference between the weights after torch's kernel and after Keras.
FUSED = """
import keras, numpy as np
from dlrun.optimizers.fused_adam import FusedAdam
gradients = np.random.default_rng(0).normal(size=(3, 1000)).astype("DTYPE")
moved = []
for optimizer in (keras.optimizers.Adam(), FusedAdam()):
    weights = keras.Variable(np.zeros(1000), dtype="DTYPE")
    for gradient in gradients[:STEPS]:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weights])
    moved.append(keras.ops.convert_to_numpy(weights.value))
found["differs"] = float(np.max(np.abs(moved[1] - moved[0])) / np.max(np.abs(moved[0])))
"""


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("dtype", "near"), [("float32", 1e-6), ("float64", 1e-12)])
def test_fused_adam_gives_the_updates_of_keras(tmp_path, steps, dtype, near):
    code = FUSED.replace("STEPS", str(steps)).replace("DTYPE", dtype)
    assert worker("torch").run(tmp_path, code)["differs"] < near


@pytest.mark.parametrize(("chosen", "loop"), in_turn(OPTIMIZERS, ("fit", "raw")))
def test_each_optimizer_trains_at_the_scheduled_rate_and_can_be_evaluated(tmp_path, chosen, loop):
    backend, optimizer, rate = chosen
    result = worker(backend).train(
        tmp_path,
        *SMALL,
        f"optimizer={optimizer}",
        f"loop={loop}",
        "+callbacks=learning_rate_scheduler",
        "callbacks.learning_rate_scheduler.schedule.decay_rate=0.5",
    )
    rows = result["rows"]
    rates = [row["learning_rate"] for row in rows]
    assert rates == pytest.approx([rate, rate / 2, rate / 4], rel=1e-5)
    assert rows[-1]["loss"] < rows[0]["loss"]
    evaluated = worker(backend).evaluate(tmp_path, result["path"])
    assert evaluated["metrics"]["loss"] == pytest.approx(result["test"]["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("backend", "optimizer", "loop"),
    [
        ("torch", "torch_sgd", "fit"),
        ("jax", "optax_sgd", "raw"),
        slow("torch", "torch_sgd", "raw"),
        slow("jax", "optax_sgd", "fit"),
    ],
)
def test_the_optimizer_uses_the_scheduled_rate(tmp_path, backend, optimizer, loop):
    def losses(name):
        rows = worker(backend).train(
            tmp_path,
            *SMALL,
            f"optimizer={name}",
            f"loop={loop}",
            "+callbacks=learning_rate_scheduler",
            "callbacks.learning_rate_scheduler.schedule.decay_rate=0.5",
        )["rows"]
        return [row[name] for row in rows for name in ("loss", "val_loss")]

    assert losses(optimizer) == pytest.approx(losses("sgd"), rel=1e-5)


@pytest.mark.parametrize(("backend", "optimizer"), [("jax", "torch_sgd"), ("torch", "optax_adamw")])
def test_another_backend_refuses_the_optimizer(dlrun, backend, optimizer):
    done = dlrun.within(backend, "train", f"optimizer={optimizer}")
    assert done.returncode in (1, 2)
    [error] = [line for line in done.stderr.splitlines() if "error:" in line]
    assert "optimizer" in error
    assert f"this is '{backend}'" in error
    assert "Traceback" not in done.stderr
    assert not (dlrun.cwd / "runs").exists()


CONSTRAINED = """
import keras

def net(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    head = keras.layers.Dense(num_classes, kernel_constraint=keras.constraints.MaxNorm(0.5))
    return keras.Model(inputs, head(keras.layers.Flatten()(inputs)))
"""


@pytest.mark.parametrize(
    ("chosen", "loop"),
    in_turn((("torch", "torch_sgd", "lr"), ("jax", "optax_sgd", "learning_rate")), ("fit", "raw")),
)
def test_weights_keep_to_their_constraints(tmp_path, chosen, loop):
    (backend, name, rate), reached = chosen, {}
    (tmp_path / "my_net.py").write_text(CONSTRAINED)
    for optimizer, key in ((name, rate), ("sgd", "learning_rate")):
        words = ("model._target_=my_net.net", "~model.units", "data.limit=300", "epochs=1")
        given = (f"optimizer={optimizer}", f"optimizer.{key}=0.5", f"loop={loop}")
        result = worker(backend).train(tmp_path, *words, *given)
        saved = read_checkpoint(result["path"] / "checkpoints" / "epoch-0001")
        [kernel] = [v.value for v in saved.model if v.path.endswith("kernel")]
        reached[optimizer] = np.linalg.norm(kernel, axis=0)
    assert reached["sgd"] == pytest.approx(0.5, rel=1e-3)
    assert reached[name] == pytest.approx(reached["sgd"], rel=1e-5)


AROUND = (
    "+optimizer.gradient_accumulation_steps=3",
    "+optimizer.global_clipnorm=0.5",
    "+optimizer.use_ema=true",
    "+optimizer.ema_momentum=0.9",
    "+optimizer.ema_overwrite_frequency=2",
)


LIBRARIES = (("torch", "torch_sgd", "lr"), ("jax", "optax_sgd", "learning_rate"))


@pytest.mark.parametrize(("chosen", "loop"), in_turn(LIBRARIES, ("fit", "train_step", "raw")))
def test_what_keras_does_around_an_update_is_done_for_every_library(tmp_path, chosen, loop):
    (backend, name, rate), reached = chosen, {}
    for optimizer, key in ((name, rate), ("sgd", "learning_rate")):
        given = (f"optimizer={optimizer}", f"optimizer.{key}=0.1", "optimizer.momentum=0.9")
        words = ("data.limit=500", "batch_size=50", "model.units=8", f"loop={loop}")
        # An epoch of 8 batches ends within an update; the second begins from a checkpoint.
        first = worker(backend).train(tmp_path, *given, *words, *AROUND, "epochs=1")
        result = worker(backend).resume(tmp_path, first["path"], "epochs=2")
        saved = read_checkpoint(result["path"] / "checkpoints" / "epoch-0002")
        reached[optimizer] = [v.value for v in saved.model]
    for mine, keras in zip(reached[name], reached["sgd"], strict=True):
        assert mine == pytest.approx(keras, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("backend", "optimizer"), [("torch", "torch_sgd"), ("jax", "optax_sgd")])
def test_an_argument_that_the_optimizer_does_not_take_is_refused(dlrun, backend, optimizer):
    done = dlrun.within(backend, "train", f"optimizer={optimizer}", "+optimizer.rho=0.9")
    assert done.returncode == 2
    [error] = [line for line in done.stderr.splitlines() if "error:" in line]
    assert error.endswith("unexpected keyword argument 'rho'")
    assert not (dlrun.cwd / "runs").exists()


@pytest.mark.parametrize(("backend", "optimizer"), [("torch", "torch_sgd"), ("jax", "optax_sgd")])
def test_what_keras_refuses_is_not_told_of_the_other_library(dlrun, backend, optimizer):
    clips = ("+optimizer.clipnorm=1", "+optimizer.clipvalue=1")
    done = dlrun.within(backend, "train", f"optimizer={optimizer}", *clips)
    assert done.returncode == 2
    assert "optimizer: keras.optimizers.Optimizer raised ValueError: Only one of" in done.stderr


def test_torch_trains_with_what_replaces_an_optimizer_of_keras(tmp_path):
    found = worker("torch").run(
        tmp_path,
        """
import keras
from dlrun.backends.torch import adapt_optimizer
from dlrun.optimizers import on_torch
from dlrun.optimizers.fused_adam import FusedAdam

class Adam(keras.optimizers.Adam):
    pass

for name, made in {
    **{n: getattr(keras.optimizers, n)(1e-3) for n in ("Adam", "AdamW", "Nadam", "SGD")},
    "amsgrad": keras.optimizers.Adam(1e-3, amsgrad=True),
    "own": Adam(1e-3),
}.items():
    classes = type(adapt_optimizer(made)).__mro__
    found[name] = [c.__name__ for c in classes if c in (FusedAdam, on_torch.Nadam)]
""",
    )
    replaced = {"Adam": ["FusedAdam"], "AdamW": ["FusedAdam"], "Nadam": ["Nadam"]}
    assert found == {**replaced, "SGD": [], "amsgrad": [], "own": []}


def test_the_fused_adam_is_keras_adam_for_every_memory_layout(tmp_path):
    found = worker("torch").run(
        tmp_path,
        """
import keras, torch
from dlrun.optimizers.fused_adam import FusedAdam

def trained(kind):
    weight = keras.Variable(keras.initializers.Orthogonal(seed=1)((6, 4)))
    optimizer = kind(0.01)
    optimizer.build([weight])
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        optimizer.apply([torch.randn(shape, generator=generator).permute(order)], [weight])
    return weight.value, [keras.ops.convert_to_numpy(v) for v in optimizer.variables]

for name, shape, order in (("as it is", (6, 4), (0, 1)), ("transposed", (4, 6), (1, 0))):
    (ours, our_slots), (theirs, their_slots) = trained(FusedAdam), trained(keras.optimizers.Adam)
    found["transposed weights"] = not ours.is_contiguous()
    found[name] = max(
        float(abs(a - b).max()) for a, b in zip(our_slots, their_slots)
    ) + float(abs(ours - theirs).max())
""",
    )
    assert found.pop("transposed weights")
    assert found == pytest.approx({"as it is": 0, "transposed": 0}, abs=1e-6)


def test_a_fused_optimizer_of_torch_moves_weights_of_every_memory_layout(tmp_path):
    found = worker("torch").run(
        tmp_path,
        """
from functools import partial
import keras, torch
from dlrun.optimizers.torch_optim import TorchOptim

def trained(kind, shape, order, fused):
    weights = keras.initializers.Orthogonal(seed=1)((6, 4)), keras.ops.ones((6, 4))
    weights = [keras.Variable(weight) for weight in weights]
    optimizer = TorchOptim(partial(kind, lr=0.01, fused=fused))
    optimizer.build(weights)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        gradients = [torch.randn(shape, generator=generator).permute(order) for _ in weights]
        optimizer.apply(gradients, weights)
    return torch.stack([weight.value.detach() for weight in weights])

for kind in (torch.optim.AdamW, torch.optim.SGD):
    for name, shape, order in (("as it is", (6, 4), (0, 1)), ("transposed", (4, 6), (1, 0))):
        one, other = (trained(kind, shape, order, fused) for fused in (True, False))
        found[f"{kind.__name__} {name}"] = float(abs(one - other).max())
""",
    )
    assert found == pytest.approx(dict.fromkeys(found, 0), abs=1e-6)
    assert len(found) == 4
