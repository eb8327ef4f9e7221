"""Precision: what trains in half precision, what stays in float32, and how exact products are."""

import numpy as np
import pytest

from conftest import slow_on
from trainings import BACKENDS, Refused, worker

pytestmark = pytest.mark.trains

YEARS = """
import keras, numpy as np
from dlrun.assembly.precision import keep_inputs_exact

L = keras.layers
years = np.arange(2000, 2025, dtype="float32")[:, None]
ids = np.arange(250, 275, dtype="float32")[:, None]

class Subclassed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.first = layer
    def call(self, inputs):
        return self.first(inputs)

class Within(keras.layers.Layer):
    def build(self, shape):  # a layer that is made when the model is built
        self.first = L.Rescaling(0.1, offset=-200)
    def call(self, inputs):
        return self.first(inputs)

def functional(layer):
    inputs = keras.Input((1,))
    return keras.Model(inputs, layer(inputs))

def sequential(layer):
    return keras.Sequential([keras.Input((1,)), layer])

def normalization():
    return L.Normalization(mean=2012.0, variance=52.0)

def adapted():
    layer = L.Normalization()
    layer.adapt(years)
    return layer

def embedding():
    weights = np.arange(300, dtype="float32")[:, None] / 128
    return L.Embedding(300, 1, embeddings_initializer=keras.initializers.Constant(weights))

models = {
    "functional": (functional, normalization, years),
    "sequential": (sequential, normalization, years),
    "adapted": (sequential, adapted, years),
    "subclassed": (Subclassed, lambda: L.Rescaling(0.1, offset=-200), years),
    "a model in a model": (functional, lambda: sequential(normalization()), years),
    "rescaling": (sequential, lambda: L.Rescaling(0.1, offset=-200), years),
    "made when built": (Subclassed, Within, years),
    "discretization": (sequential, lambda: L.Discretization(
        bin_boundaries=np.arange(2000.5, 2025).tolist()), years),
    "ids": (Subclassed, embedding, ids),
}
for policy in ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16"):
    keras.config.set_dtype_policy(policy)
    for name, (make, layer, inputs) in models.items():
        model = make(layer())
        keep_inputs_exact(model)
        model(inputs * 0)
        keep_inputs_exact(model)
        outputs = keras.ops.convert_to_numpy(keras.ops.cast(model(inputs), "float32"))
        found[f"{name} {policy}"] = [round(float(value), 4) for value in outputs.ravel()]
"""
HALF_LAYER = """
import keras

def half(input_shape, num_classes):
    layers = keras.layers
    return keras.Sequential([
        keras.Input(input_shape),
        layers.Flatten(),
        layers.Dense(4, dtype="bfloat16", name="half"),
        layers.Dense(num_classes),
    ])
"""
NORMALIZED = (np.arange(2000, 2025) - 2012.0) / np.sqrt(52.0)
EXPECTED = {
    "functional": NORMALIZED,
    "sequential": NORMALIZED,
    "adapted": (np.arange(2000, 2025) - 2012.0) / np.std(np.arange(25)),
    "subclassed": np.arange(2000, 2025) * 0.1 - 200,
    "a model in a model": NORMALIZED,
    "rescaling": np.arange(2000, 2025) * 0.1 - 200,
    "made when built": np.arange(2000, 2025) * 0.1 - 200,
    "discretization": np.arange(25),
    "ids": np.arange(250, 275) / 128,
}
MIXED_ONCE = (("torch", "mixed_bfloat16"),)  # test_torch_capture has float16
MATMUL = {
    "jax": "jax.config.jax_default_matmul_precision",
    "tensorflow": "tensorflow.config.experimental.tensor_float_32_execution_enabled()",
    "torch": "[torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32]",
}
IN_USE = {
    "jax": [None, "high", "highest", None],
    "tensorflow": [True, True, False, True],
    "torch": [["highest", True], ["high", True], ["highest", False], ["highest", True]],
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_preprocessing_layers_and_ids_are_not_rounded(tmp_path, backend):
    found = worker(backend).run(tmp_path, YEARS)
    for name, expected in EXPECTED.items():
        for policy in ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16"):
            if (name, policy) == ("adapted", "bfloat16"):
                continue  # Keras has adapted it in bfloat16
            # An embedding's values have the precision that the model computes in.
            tolerance = 2e-4 if name != "ids" or policy == "float32" else 0.01
            values = found[f"{name} {policy}"]
            assert values == pytest.approx(expected, abs=tolerance), (name, policy)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_training_in_half_precision_alone_is_refused_with_the_policy_to_take(tmp_path, precision):
    for backend in BACKENDS:
        with pytest.raises(Refused) as refused:
            worker(backend).train(tmp_path, f"precision={precision}", "smoke=true")
        assert f"precision={precision} can't train" in refused.value.message
        assert f"precision=mixed_{precision}" in refused.value.hint
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("backend", "precision"),
    [
        pytest.param(
            backend, precision, marks=() if (backend, precision) in MIXED_ONCE else pytest.mark.slow
        )
        for backend in BACKENDS
        for precision in ("mixed_bfloat16", "mixed_float16")
    ],
)
def test_mixed_precision_reaches_the_accuracy_of_float32(tmp_path, backend, precision):
    first_network = ("experiment=first_network", "data.limit=6000", "epochs=1")
    mixed = worker(backend).train(tmp_path, *first_network, f"precision={precision}")
    exact = worker(backend).train(tmp_path, *first_network)
    assert mixed["test"]["accuracy"] == pytest.approx(exact["test"]["accuracy"], abs=0.02)


def test_weights_that_a_layer_keeps_in_half_precision_draw_a_warning(dlrun):
    (dlrun.cwd / "half_model.py").write_text(HALF_LAYER)
    (dlrun.cwd / "configs" / "model").mkdir(parents=True)
    (dlrun.cwd / "configs" / "model" / "half.yaml").write_text("_target_: half_model.half\n")
    done = dlrun.within("jax", "train", "model=half", "smoke=true")
    assert done.returncode == 0
    [warning] = [line for line in done.stderr.splitlines() if "lose small updates" in line]
    assert "weights in bfloat16 (sequential/half/kernel and 1 more)" in warning
    assert "dtype=mixed_bfloat16" in warning


@pytest.mark.parametrize("backend", slow_on("tensorflow"))
def test_half_precision_still_evaluates(tmp_path, backend):
    run = worker(backend).train(tmp_path, "data.limit=1000", "epochs=1")
    for precision in ("bfloat16", "float16"):
        half = worker(backend).evaluate(tmp_path, run["path"], f"precision={precision}")
        assert half["metrics"]["loss"] == pytest.approx(run["test"]["loss"], rel=0.02)
        assert half["metrics"]["loss"] != run["test"]["loss"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_matmul_precision_is_set_for_each_run_and_recorded(tmp_path, backend):
    probe = f"""
import {backend}
for precision in ("default", "high", "highest", "default"):
    backend.set_matmul_precision(precision)
    found.setdefault("in use", []).append({MATMUL[backend]})
"""
    assert worker(backend).run(tmp_path, probe)["in use"] == IN_USE[backend]
    run = worker(backend).train(tmp_path, "smoke=true", "matmul_precision=highest")
    assert '"matmul_precision": "highest"' in (run["path"] / "run.json").read_text()
