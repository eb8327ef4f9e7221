#!/usr/bin/env bash
# On torch, bicubic upsampling overshoots edges one and a half times as far as on jax: another curve.
#
# keras 3.15.1 with jax 0.10.2 and torch 2.13.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# A bicubic interpolation has one parameter, a, and Keras no argument for it. On jax it is -0.5, as in
# Pillow, on torch -0.75. UpSampling2D(interpolation="bicubic") and Resizing of one image differ: next to an
# edge from 0 to 1 they reach 1.07 on jax and 1.11 on torch, and noise from 0 to 255 is up to 19 apart. A
# model whose weights are loaded on the other backend, or that is given images which were resized there,
# predicts something else. With antialias=True torch takes -0.5, also where an image grows and there is
# nothing to smooth: then the backends agree.
#
# Keras passes the name on to torch.nn.functional.interpolate, whose curve is another than jax' own.
#
# Seen:
#   jax     highest 1.0703   UpSampling2D a=-0.5 Resizing a=-0.5 antialias a=-0.5
#   torch   highest 1.1055   UpSampling2D a=-0.75 Resizing a=-0.75 antialias a=-0.5
#   8-bit noise at twice its size: 19 apart at most, 4.4 on average
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0 numpy==2.4.6

cat > "$dir/bicubic.py" <<'PYTHON'
import keras
import numpy as np

backend = keras.backend.backend()


def weights(distance, a):
    """Of Keys' cubic convolution, of values at a distance in pixels."""
    d = abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def twice(row, a):
    """A row at twice its length, away from its ends."""
    centers = (np.arange(2 * len(row)) + 0.5) / 2 - 0.5
    return weights(centers[:, None] - np.arange(len(row)), a) @ row


def resized(layer, images):
    return keras.ops.convert_to_numpy(layer(images))


edge = np.repeat([0.0, 1.0], 8)
image = np.tile(edge, (4, 1))[None, ..., None].astype("float32")
noise = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
layers = {
    "UpSampling2D": keras.layers.UpSampling2D(2, interpolation="bicubic"),
    "Resizing": keras.layers.Resizing(8, 32, interpolation="bicubic"),
    "antialias": keras.layers.Resizing(8, 32, interpolation="bicubic", antialias=True),
}
inner = slice(6, -6)
found = {name: resized(layer, image)[0, 4, inner, 0] for name, layer in layers.items()}
best = {
    name: min((-0.5, -0.75), key=lambda a, row=row: abs(row - twice(edge, a)[inner]).max())
    for name, row in found.items()
}
for name, row in found.items():
    np.testing.assert_allclose(row, twice(edge, best[name])[inner], atol=1e-5)
print(f"{backend:6}  highest {found['UpSampling2D'].max():.4f}  ", *(f"{n} a={a}" for n, a in best.items()))
expected = -0.75 if backend == "torch" else -0.5
assert best == {"UpSampling2D": expected, "Resizing": expected, "antialias": -0.5}
np.save(f"{backend}.npy", resized(layers["UpSampling2D"], noise))
if backend == "torch":
    apart = np.abs(np.load("jax.npy") - np.load("torch.npy"))
    print(f"8-bit noise at twice its size: {apart.max():.0f} apart at most, {apart.mean():.1f} on average")
    assert apart.max() > 15 and apart.mean() > 2
PYTHON

cd "$dir"
export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES=""
for backend in jax torch; do
    KERAS_BACKEND=$backend venv/bin/python bicubic.py 2> log || { cat log; exit 1; }
done
