"""On torch the raw loop replays captured operations, with bit-identical results."""

import functools
import json

import pytest

from conftest import slow, slow_on
from trainings import worker

SMALL = ("data.limit=960", "batch_size=32", "epochs=2", "model=odd", "+callbacks=between")

# Each kind does something that a captured and replayed step could get wrong.
ODD = """
import json
import keras
import torch

class Odd(keras.layers.Layer):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.gain, self.calls = kind, 1.0, 0
        self.noise = keras.layers.GaussianNoise(0.3, seed=1)
        self.dropout = keras.layers.Dropout(0.3)
        self.constant = torch.full((16,), 0.5)

    def build(self, shape):
        self.scale = self.add_weight(shape=(16,), initializer="ones")
        self.now, self.before, self.whole, self.part = (
            self.add_weight(shape=(16,), initializer="ones", trainable=False) for _ in range(4)
        )

    def call(self, x, training=False):
        self.calls += 1
        x = x * self.scale
        for kind in self.kind.split("+"):
            x = getattr(self, kind)(x, training)
        return x

    def plain(self, x, training):
        return x

    def changed_between_epochs(self, x, training):
        return x * self.gain

    def frozen_between_epochs(self, x, training):
        return x

    def native_dropout(self, x, training):
        return self.dropout(x, training=training)

    def seeded_noise(self, x, training):
        return self.noise(x, training=training)

    def python_counter(self, x, training):
        return x * (1 + self.calls % 2)

    def reads_values(self, x, training):
        return x * 0.5 if float(keras.ops.mean(x)) > 0.3 else x

    def reads_an_array(self, x, training):
        return x * float(x.detach().numpy().max())

    def tensor_that_is_not_a_variable(self, x, training):
        return x * self.constant

    def one_variable_to_the_next(self, x, training):
        if training:
            self.before.assign(self.now)
            self.now.assign(keras.ops.mean(x, axis=0) + 0.5 * self.now)
        return x + self.before

    def variable_changed_in_place(self, x, training):
        with torch.no_grad():
            self.whole.value.mul_(0.99)
        return x * self.whole

    def part_of_a_variable_changed_in_place(self, x, training):
        with torch.no_grad():
            self.part.value[:8].add_(0.01)
        return x * self.part

    def constant_changed_in_place(self, x, training):
        halves = torch.ones(16)
        halves.mul_(0.5)
        return x * halves

    def input_changed_in_place(self, x, training):
        return x  # see Spoil

    def constants(self, x, training):
        return x * torch.ones(16).sum().sqrt() / keras.ops.sum(keras.ops.arange(4.0))

    def penalty(self, x, training):
        self.add_loss(0.01 * keras.ops.mean(keras.ops.square(x)))
        return x

class Spoil(keras.layers.Flatten):
    def call(self, inputs):
        return super().call(inputs.mul_(0.9))

def model(input_shape, num_classes, kind):
    flatten = Spoil if "input_changed_in_place" in kind else keras.layers.Flatten
    return keras.Sequential([
        keras.Input(input_shape),
        flatten(),
        keras.layers.Dense(16, activation="relu", kernel_regularizer="l2"),
        Odd(kind),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(num_classes),
    ])

class Between(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.updates, apply = 0, self.model.optimizer.apply

        def counted(*gradients_and_weights):
            self.updates += 1
            apply(*gradients_and_weights)

        self.model.optimizer.apply = counted

    def on_epoch_begin(self, epoch, logs=None):
        odd = self.model.layers[2]
        if epoch == 1 and "changed_between_epochs" in odd.kind:
            odd.gain = 0.1
        if epoch == 1 and "frozen_between_epochs" in odd.kind:
            self.model.layers[1].trainable = False

    def on_train_end(self, logs=None):
        with open("calls.json", "w") as file:
            json.dump([self.model.layers[2].calls, self.updates], file)
"""
# A CUDA graph on a CPU: the operations of a function, which compute on the memory that they had.
GRAPH = """
import json
import keras
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from dlrun.backends._torch_stepper import Steps, TorchStepper

replays = []

class Recording(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.operations, self.made, self.before = [], [], {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operation is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("a value is read while the operations are recorded")
        written = [tensor for argument, value in zip(operation._schema.arguments, args)
                   if argument.is_write for tensor in tensors(value)]
        written += [tensor for argument in operation._schema.arguments
                    if argument.is_write for tensor in tensors(kwargs.get(argument.name))]
        for tensor in written:
            self.before.setdefault(tensor.data_ptr(), (tensor, tensor.clone()))
        returned = operation(*args, **kwargs)
        self.operations.append((operation, args, kwargs, returned))
        return returned

    def undo(self):
        for tensor, before in self.before.values():
            tensor.copy_(before)

    def replay(self):
        replays.append(len(self.operations))
        with torch.no_grad():
            for operation, args, kwargs, returned in self.operations:
                for old, new in zip(tensors(returned), tensors(operation(*args, **kwargs))):
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)

def tensors(value):
    if torch.is_tensor(value):
        return [value]
    return [t for v in value for t in tensors(v)] if isinstance(value, (list, tuple)) else []

def record(function):
    recording = Recording()
    with torch.random.fork_rng(), torch.no_grad(), recording:
        returned = function()
    with torch.no_grad():
        recording.undo()
    return returned, recording.replay

def fail(function):
    record(function)
    raise RuntimeError("the operations can't be recorded")

def stepper(model, step, *, compile, scale, record=record):
    steps = Steps(model, step)
    steps.capture()
    return TorchStepper(steps, scale, keras.ops.zeros(()).device, record)

def failing(*arguments, **keywords):
    return stepper(*arguments, **keywords, record=fail)

class Replays(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        with open("replays.json", "w") as file:
            json.dump(replays, file)
        replays.clear()
"""
BETWEEN = ("changed_between_epochs", "frozen_between_epochs")
TOGETHER = (
    "native_dropout",
    "one_variable_to_the_next",
    "penalty",
    "constants",
    "input_changed_in_place",
    "variable_changed_in_place",
    "part_of_a_variable_changed_in_place",
)
READ_ALIKE = ("seeded_noise", "reads_an_array", "constant_changed_in_place")
CALLED = (
    "seeded_noise",
    "reads_values",
    "reads_an_array",
    "tensor_that_is_not_a_variable",
    "constant_changed_in_place",
)


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Each epoch's losses, and the number of calls of the odd layer and of the optimizer."""
    place = tmp_path_factory.mktemp("odd")
    (place / "odd.py").write_text(ODD)
    (place / "graph.py").write_text(GRAPH)
    for group, name, text in (
        ("model", "odd", "_target_: odd.model\nkind: plain\n"),
        ("callbacks", "between", "between:\n  _target_: odd.Between\n"),
        ("callbacks", "replays", "replays:\n  _target_: graph.Replays\n"),
    ):
        (place / "configs" / group).mkdir(parents=True, exist_ok=True)
        (place / "configs" / group / f"{name}.yaml").write_text(text)

    @functools.cache
    def train(loop, kind, *overrides):
        rows = worker("torch").train(
            place, *SMALL, f"loop={loop}", f"model.kind={kind}", *overrides
        )["rows"]
        losses = [row[name] for row in rows for name in ("loss", "accuracy", "val_loss")]
        return losses, *json.loads((place / "calls.json").read_text())

    train.place = place
    return train


RECORDED = ("+loop.stepper={_target_:graph.stepper,_partial_:true}", "+callbacks=replays")


@pytest.mark.parametrize("kind", ["+".join(TOGETHER), *BETWEEN, *map(slow, TOGETHER)])
def test_replayed_graphs_give_the_bits_of_eager_steps(train, kind):
    losses, *_ = train("raw", kind, *RECORDED)
    expected, *_ = train("raw", kind, "loop.compile=eager")
    assert losses == expected
    replays = json.loads((train.place / "replays.json").read_text())
    assert len(replays) > 30


@pytest.mark.parametrize("kind", slow_on(*READ_ALIKE, of=CALLED))
def test_what_reads_values_is_in_no_graph(train, kind):
    losses, *_ = train("raw", kind, *RECORDED)
    expected, *_ = train("raw", kind, "loop.compile=eager")
    assert losses == expected
    replays = json.loads((train.place / "replays.json").read_text())
    # Noise is drawn in training alone.
    assert bool(replays) == (kind == "seeded_noise")


def test_a_run_whose_steps_cannot_be_recorded_replays_their_traces(train):
    failing = ("+loop.stepper={_target_:graph.failing,_partial_:true}", "+callbacks=replays")
    losses, calls, _ = train("raw", "plain", *failing)
    expected, all_calls, _ = train("raw", "plain", "loop.compile=eager")
    assert losses == expected
    assert calls < 0.5 * all_calls
    assert json.loads((train.place / "replays.json").read_text()) == []


@pytest.mark.parametrize("kind", ["+".join(TOGETHER), *BETWEEN, *map(slow, TOGETHER)])
def test_results_are_bit_identical_to_eager(train, kind):
    losses, calls, _ = train("raw", kind)
    expected, all_calls, _ = train("raw", kind, "loop.compile=eager")
    assert losses == expected
    assert calls < 0.5 * all_calls


@pytest.mark.parametrize("kind", slow_on(*READ_ALIKE, of=CALLED))
def test_what_reads_values_is_called_each_time(train, kind):
    losses, calls, _ = train("raw", kind)
    expected, all_calls, _ = train("raw", kind, "loop.compile=eager")
    assert losses == expected
    # A layer that can't be captured in training may still be captured in validation.
    assert calls > 0.5 * all_calls


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", slow("mixed_bfloat16")])
def test_results_are_bit_identical_to_fit(train, precision):
    losses, calls, _ = train("raw", "plain", f"precision={precision}")
    expected, all_calls, _ = train("fit", "plain", f"precision={precision}")
    assert losses == expected
    assert calls < 0.5 * all_calls


def test_torchs_own_optimizer_leaves_a_layer_frozen_during_training(train):
    words = ("frozen_between_epochs", "optimizer=torch_sgd")
    assert train("raw", *words)[0] == pytest.approx(train("fit", *words)[0], rel=1e-5)


def test_a_layer_that_counts_its_calls_is_not_captured(train):
    _, calls, _ = train("raw", "python_counter")
    assert calls > 100


RATE = "keras.optimizers.schedules.ExponentialDecay"
AMSGRAD = ("optimizer=adam", "+optimizer.amsgrad=true")
CLIPPED = ("+optimizer.global_clipnorm=0.5", "+optimizer.weight_decay=0.01")
SCHEDULED = (
    f"optimizer.learning_rate={{_target_:{RATE},initial_learning_rate:0.01,"
    "decay_steps:10,decay_rate:0.9}",
)
OPTIMIZERS = {
    "adam": (),
    "amsgrad, clipped and scheduled": (*AMSGRAD, *CLIPPED, *SCHEDULED),
    "amsgrad": AMSGRAD,
    "clipped": CLIPPED,
    "scheduled": SCHEDULED,
    "momentum": ("optimizer=sgd", "optimizer.momentum=0.9"),
    "rmsprop": ("optimizer=rmsprop",),
}
NOT_CAPTURED = {
    "averaged": ("+optimizer.use_ema=true", "+optimizer.ema_overwrite_frequency=10"),
    "accumulated": ("+optimizer.gradient_accumulation_steps=3",),
    "of torch": ("optimizer=torch_sgd",),
}
EACH_ALONE = ("amsgrad", "clipped", "scheduled", "rmsprop", "averaged", "of torch")


@pytest.mark.parametrize("optimizer", slow_on(*EACH_ALONE, of=[*OPTIMIZERS, *NOT_CAPTURED]))
def test_the_optimizer_is_captured_unless_it_reads_values(train, optimizer):
    overrides = (OPTIMIZERS | NOT_CAPTURED)[optimizer]
    losses, _, updates = train("raw", "plain", *overrides)
    expected, _, all_updates = train("raw", "plain", *overrides, "loop.compile=eager")
    assert losses == expected
    assert (updates < 0.5 * all_updates) == (optimizer in OPTIMIZERS)


def test_traces_are_verified_at_once_in_each_epoch_that_validates(train):
    _, few, _ = train("raw", "plain", "epochs=3")
    _, many, _ = train("raw", "plain", "epochs=6")
    assert many - few <= 3 * 2  # of each further epoch, a step of training and one of validation
