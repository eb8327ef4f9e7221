"""On torch's CPU, LSTM and GRU run on torch's kernels, and give the numbers of the equations."""

import pytest

from trainings import worker

# Each layer against its equations in float64, masks as Keras documents them, and against Keras'
# own loop (use_cudnn=False), outputs and gradients.
COMPARE = """
import itertools
import keras
import numpy as np
import torch
import dlrun.backends._torch_recurrent as recurrent

LSTM, GRU = keras.layers.LSTM, keras.layers.GRU
rng, calls, kernel = np.random.default_rng(0), [], recurrent._loop
recurrent._loop = lambda *given: calls.append(given[0]) or kernel(*given)
x = rng.normal(size=(4, 6, 3)).astype("float32")
masks = {
    "right": np.arange(6) < np.array([6, 3, 1, 4])[:, None],
    "ragged": rng.random((4, 6)) < 0.5,
    "empty": np.zeros((4, 6), bool),
}
masks["ragged"][:, 0] = [True, False, False, True]

def sigmoid(a):
    return 1 / (1 + np.exp(-a))

def by_equations(kind, weights, x, mask, initial):
    # One sample after the other, one unmasked step after the other, in float64.
    kernel, recurrent_kernel, bias = (w.astype("float64") for w in weights)
    outputs, states = np.zeros((*x.shape[:2], 5)), [s.astype("float64") for s in initial]
    for row in range(len(x)):
        output = np.zeros(5)
        h, *c = (s[row] for s in states)
        for t in range(x.shape[1]):
            if mask is None or mask[row, t]:
                if kind is LSTM:
                    i, f, g, o = np.split(x[row, t] @ kernel + h @ recurrent_kernel + bias, 4)
                    c = [sigmoid(f) * c[0] + sigmoid(i) * np.tanh(g)]
                    h = sigmoid(o) * np.tanh(c[0])
                else:
                    xz, xr, xh = np.split(x[row, t] @ kernel + bias[0], 3)
                    hz, hr, hh = np.split(h @ recurrent_kernel + bias[1], 3)
                    z = sigmoid(xz + hz)
                    h = z * h + (1 - z) * np.tanh(xh + sigmoid(xr + hr) * hh)
                output = h
            outputs[row, t] = output
        for state, last in zip(states, (h, *c)):
            state[row] = last
    return [outputs, *states]

def results(layer, mask, initial, use_cudnn):
    for one in getattr(layer, "layers", None) or (
        [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]
    ):
        one.use_cudnn = use_cudnn
        one.cell.seed_generator.state.assign([0, 7])
    inputs = torch.tensor(x, requires_grad=True)
    given = None if initial is None else [torch.tensor(s, requires_grad=True) for s in initial]
    outputs = keras.tree.flatten(
        layer(inputs, mask=None if mask is None else torch.tensor(mask), initial_state=given,
              training=True)
    )
    loss = sum((o * torch.arange(o.numel()).reshape(o.shape).cos()).sum() for o in outputs)
    variables = [inputs, *(given or []), *(v.value for v in layer.trainable_variables)]
    gradients = torch.autograd.grad(loss, variables, materialize_grads=True)
    return [r.detach().numpy() for r in (*outputs, *gradients)]

def worst(a, b):
    return max(float(np.abs(p - q).max()) for p, q in zip(a, b, strict=True))

found.update(equations=0.0, keras=0.0)
options = [{}, {"return_sequences": True}, {"return_sequences": True, "return_state": True},
           {"go_backwards": True, "return_state": True}, {"dropout": 0.3, "return_state": True},
           {"use_bias": False}]
for kind, mask, both, given in itertools.product(
    (LSTM, GRU), (None, *masks.values()), (False, True), (False, True)
):
    for option in options:
        if both and option.get("go_backwards"):
            continue
        rare = mask is masks["ragged"] or mask is masks["empty"] or both != given
        if rare and option != options[2]:  # which compares with the equations
            continue
        layer = kind(5, bias_initializer="normal", seed=7, **option)
        layer = keras.layers.Bidirectional(layer) if both else layer
        layer.build(x.shape)
        number = (2 if kind is LSTM else 1) * (1 + both)
        initial = rng.normal(size=(number, 4, 5)).astype("float32") if given else None
        calls.clear()
        fast = results(layer, mask, initial, "auto")
        assert len(calls) == 1 + both, (kind, option)
        found["keras"] = max(found["keras"], worst(fast, results(layer, mask, initial, False)))
        assert len(calls) == 1 + both
        if option == options[2] and not both:
            weights = [v.numpy() for v in layer.weights[:3]]
            states = np.zeros((number, 4, 5)) if initial is None else initial
            expected = by_equations(kind, weights, x, mask, states)
            found["equations"] = max(found["equations"], worst(fast[: 1 + number], expected))

calls.clear()
sequences = torch.tensor(x)
for layer in (
    GRU(5, reset_after=False), LSTM(5, activation="relu"), LSTM(5, unroll=True),
    LSTM(5, recurrent_dropout=0.5), LSTM(5, dtype="mixed_bfloat16"),
):
    layer(sequences, training=True)
found["left to Keras"] = not calls
"""


def test_torch_s_kernels_give_the_numbers_of_the_equations_and_of_keras_loop(tmp_path):
    found = worker("torch").run(tmp_path, COMPARE)
    assert found["equations"] < 1e-6
    assert found["keras"] < 1e-5
    assert found["left to Keras"]


MODEL = """
import keras
import numpy as np

def stacked(input_shape, num_classes, *, units=4, **_):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Embedding(50, units, mask_zero=True),
            layers.Bidirectional(layers.LSTM(units, return_sequences=True)),
            layers.GRU(units),
            layers.Dense(num_classes),
        ]
    )
    rng = np.random.default_rng(0)  # the same on each backend, unlike Keras' initializers
    model.set_weights([rng.normal(size=w.shape, scale=0.3) for w in model.weights])
    return model
"""


@pytest.mark.slow
@pytest.mark.trains
def test_a_stacked_bidirectional_model_with_masks_is_the_same_in_each_loop_and_on_jax(tmp_path):
    (tmp_path / "my_net.py").write_text(MODEL)
    common = ("model=text_lstm", "model._target_=my_net.stacked", "data.vocabulary_size=50",
              "data.limit=96", "batch_size=16", "epochs=2")  # fmt: skip
    losses = {}
    for backend, loops in (("torch", ("fit", "train_step", "raw")), ("jax", ("fit",))):
        for loop in loops:
            run = worker(backend).train(tmp_path, *common, f"loop={loop}")
            losses[backend, loop] = [row["loss"] for row in run["rows"]]
    expected = losses.pop(("jax", "fit"))
    for each in losses.values():
        assert each == pytest.approx(expected, rel=1e-5)
