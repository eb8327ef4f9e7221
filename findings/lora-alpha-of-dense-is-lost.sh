#!/usr/bin/env bash
# Dense and Embedding take lora_alpha, and scale their adapters as if it had not been given.
#
# keras 3.15.1 with jax 0.10.2; Python 3.11, Linux, CPU. The backend makes no difference.
#
# A layer with lora_rank=2 and lora_alpha=16 adds its low-rank update times 16 / 2, says the documentation.
# EinsumDense and Conv1D do so. Dense and Embedding add it times 1: once they are built, lora_alpha is the
# rank, in get_config() too. The update is an eighth of what was asked for, and nothing is said.
# enable_lora(2, lora_alpha=16) on a built layer does scale by 8, until the model is saved and loaded: the
# loaded Dense and Embedding scale by 1.
#
# build() of these two layers enables the adapter with the rank alone, which sets lora_alpha anew. What a
# loaded model predicts is right, as the update was added to the kernel when it was saved; what is trained
# after that is not.
#
# Seen (how many times the product of the two matrices is added):
#   Dense        in the constructor 1  by enable_lora 8  loaded 1
#   Embedding    in the constructor 1  by enable_lora 8  loaded 1
#   EinsumDense  in the constructor 8  by enable_lora 8  loaded 8
#   Conv1D       in the constructor 8  by enable_lora 8  loaded 8
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/lora.py" <<'PYTHON'
import keras
import numpy as np
from keras import layers

samples = np.eye(4, dtype="float32")[:, None]  # (batch, time, features)
kinds = {
    "Dense": (lambda **lora: layers.Dense(3, **lora), samples),
    "Embedding": (lambda **lora: layers.Embedding(4, 3, **lora), np.arange(4)[:, None]),
    "EinsumDense": (
        lambda **lora: layers.EinsumDense("abc,cd->abd", (None, 3), **lora),
        samples,
    ),
    "Conv1D": (lambda **lora: layers.Conv1D(3, 1, **lora), samples),
}


def model_of(layer, inputs):
    return keras.Sequential([keras.Input(inputs.shape[1:], dtype=inputs.dtype), layer])


def scale(model, inputs):
    """How many times a product of ones is added to what the layer gives without an adapter."""
    [layer] = model.layers
    [a, b] = [w for w in layer.weights if "lora" in w.name]
    a.assign(np.ones(a.shape))
    b.assign(np.zeros(b.shape))
    without = model.predict(inputs, verbose=0)
    b.assign(np.ones(b.shape))
    added = model.predict(inputs, verbose=0) - without
    assert np.ptp(added) < 1e-4
    return round(float(added.mean()) / layer.lora_rank, 4)


for name, (make, inputs) in kinds.items():
    constructed = scale(model_of(make(lora_rank=2, lora_alpha=16), inputs), inputs)
    model = model_of(make(), inputs)
    model.layers[0].enable_lora(2, lora_alpha=16)
    enabled = scale(model, inputs)
    before = model.predict(inputs, verbose=0)
    model.save("model.keras")
    model = keras.saving.load_model("model.keras")
    np.testing.assert_allclose(model.predict(inputs, verbose=0), before, rtol=1e-5)
    loaded = scale(model, inputs)
    print(
        f"{name:11}  in the constructor {constructed:g}  by enable_lora {enabled:g}  loaded {loaded:g}"
    )
    kept = 1 if name in ("Dense", "Embedding") else 8
    assert (constructed, enabled, loaded) == (kept, 8, kept)
PYTHON

cd "$dir"
export KERAS_HOME="$dir/keras" KERAS_BACKEND=jax CUDA_VISIBLE_DEVICES=""
venv/bin/python lora.py 2> log || { cat log; exit 1; }
