"""Steps that torch compiles update weights as others do."""

import shutil

import pytest

from trainings import worker

STEPS = """
import keras
import numpy as np
from dlrun.backends import torch

def weights(name, jit_compile):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    optimizer = getattr(keras.optimizers, name)(learning_rate=0.01, weight_decay=0.1)
    optimizer = torch.adapt_optimizer(optimizer)
    model.compile(optimizer=optimizer, loss="mse", jit_compile=jit_compile)
    generator = np.random.default_rng(0)
    inputs, labels = generator.normal(size=(32, 4)), generator.normal(size=(32, 2))
    model.fit(inputs, labels, batch_size=8, epochs=2, verbose=0)
    return np.concatenate([np.ravel(w) for w in model.get_weights()])

found.update({{jit: weights({name!r}, jit == "jit").tolist() for jit in ("jit", "plain")}})
"""


@pytest.mark.slow  # compiling takes half a minute
@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_a_compiled_step_updates_as_another(tmp_path, name):
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch compiles with a C++ compiler")
    found = worker("torch").run(tmp_path, STEPS.format(name=name))
    assert found["jit"] == pytest.approx(found["plain"], abs=1e-6)
