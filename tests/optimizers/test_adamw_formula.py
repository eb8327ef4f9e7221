"""AdamW of Keras, torch and optax, with what Keras does around an update, against its formula."""

import numpy as np
import pytest

from trainings import worker

RATE, DECAY, BETA_1, BETA_2 = 2.0**-6, 0.3, 0.9, 0.999  # the rate is exact in float32
SHAPES = ((3, 2), (2,))
AROUND = {
    "nothing": {},
    "clipnorm": {"clipnorm": 0.3},
    "clipvalue": {"clipvalue": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.3},
    "accumulation": {"gradient_accumulation_steps": 3},
    "average": {"use_ema": True, "ema_momentum": 0.9},
    "all": {"global_clipnorm": 0.3, "gradient_accumulation_steps": 3, "use_ema": True,
            "ema_momentum": 0.9},
}  # fmt: skip
APPLIED = """
import functools, keras, numpy as np
if keras.backend.backend() == "torch":
    import torch
    from dlrun.optimizers.torch_optim import TorchOptim
    factory = functools.partial(
        torch.optim.AdamW, lr=RATE, weight_decay=DECAY, betas=(BETA_1, BETA_2), eps=0.0
    )
    library = functools.partial(TorchOptim, factory)
else:
    import optax
    from dlrun.optimizers.optax import Optax
    factory = functools.partial(
        optax.adamw, weight_decay=DECAY, b1=BETA_1, b2=BETA_2, eps=0.0
    )
    library = functools.partial(Optax, factory, RATE)
own = functools.partial(
    keras.optimizers.AdamW, learning_rate=RATE, weight_decay=DECAY, epsilon=0.0
)
for name, around in AROUND.items():
    for kind, make in (("keras", own), ("library", library)):
        weights = [keras.Variable(np.ones(shape), dtype="DTYPE") for shape in SHAPES]
        optimizer = backend.adapt_optimizer(make(**around))
        optimizer.build(weights)
        for step in GRADIENTS:
            given = [np.reshape(g, shape).astype("DTYPE") for g, shape in zip(step, SHAPES)]
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in given], weights)
        averages = optimizer._model_variables_moving_average if around.get("use_ema") else ()
        found[f"{name} {kind}"] = [
            np.asarray(keras.ops.convert_to_numpy(v.value)).ravel().tolist()
            for v in (*weights, *averages)
        ]
"""


def expected(gradients, *, clipnorm=None, clipvalue=None, global_clipnorm=None,
             gradient_accumulation_steps=1, use_ema=False, ema_momentum=None):  # fmt: skip
    """The weights, and their averages, in float64."""
    weights = [np.ones(np.prod(shape)) for shape in SHAPES]
    means, squares = ([np.zeros_like(w) for w in weights] for _ in range(2))
    averages = None
    size = gradient_accumulation_steps
    for step in range(1, len(gradients) // size + 1):
        part = gradients[(step - 1) * size : step * size]
        update = [np.mean(each, axis=0) for each in zip(*part, strict=True)]
        if clipnorm is not None:
            update = [g * min(1, clipnorm / np.linalg.norm(g)) for g in update]
        if clipvalue is not None:
            update = [g.clip(-clipvalue, clipvalue) for g in update]
        if global_clipnorm is not None:
            norm = np.sqrt(sum((g**2).sum() for g in update))
            update = [g * min(1, global_clipnorm / norm) for g in update]
        for n, gradient in enumerate(update):
            weights[n] = weights[n] * (1 - RATE * DECAY)
            means[n] = BETA_1 * means[n] + (1 - BETA_1) * gradient
            squares[n] = BETA_2 * squares[n] + (1 - BETA_2) * gradient**2
            scale = np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
            weights[n] = weights[n] - RATE * scale * means[n] / np.sqrt(squares[n])
        if averages is None:
            averages = list(weights)
        elif use_ema:
            pairs = zip(averages, weights, strict=True)
            averages = [ema_momentum * a + (1 - ema_momentum) * w for a, w in pairs]
    return [*weights, *(averages or () if use_ema else ())]


# The formula has no epsilon, which is 1e-7.
@pytest.mark.parametrize(
    ("backend", "dtype", "near"), [("torch", "float64", 1e-6), ("jax", "float32", 2e-6)]
)
def test_adamw_is_its_formula_whatever_is_done_around_an_update(tmp_path, backend, dtype, near):
    random = np.random.default_rng(0)
    gradients = [[random.normal(size=np.prod(s)) for s in SHAPES] for _ in range(6)]
    values = {
        **{"RATE": RATE, "DECAY": DECAY, "BETA_1": BETA_1, "BETA_2": BETA_2},
        **{"AROUND": AROUND, "SHAPES": SHAPES},
        "GRADIENTS": [[g.tolist() for g in step] for step in gradients],
    }
    code = "\n".join([*(f"{name} = {value!r}" for name, value in values.items()), APPLIED])
    found = worker(backend).run(tmp_path, code.replace("DTYPE", dtype))
    for name, around in AROUND.items():
        for kind in ("keras", "library"):
            got = found[f"{name} {kind}"]
            for mine, formula in zip(got, expected(gradients, **around), strict=True):
                np.testing.assert_allclose(mine, formula, rtol=near, atol=near, err_msg=name)
