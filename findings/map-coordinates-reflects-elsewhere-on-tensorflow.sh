#!/usr/bin/env bash
# On tensorflow, keras.ops.image.map_coordinates mirrors an image at the wrong place, or raises.
#
# keras 3.15.1 with jax 0.10.2 and tensorflow-cpu 2.21.0, scipy 1.17.1; Python 3.11, Linux, CPU.
#
# A little beyond the first row of an image, fill_mode="reflect" takes that row once more, as SciPy and jax
# do. On tensorflow it takes rows further inside: the edge of an elastic deformation, whose default this mode
# is, moves inwards by up to a row or more. Beyond the last row, fill_mode="mirror" takes the second to last
# one, or is between the two; on tensorflow it asks for a row that is not there, and raises InvalidArgumentError.
#
# Seen, of an image whose rows begin with 0, 5, 10, 15 and 20, in its second column:
#   scipy       reflect at -0.4: 1.00  at -0.6: 1.00  mirror at 4.3: 19.50
#   jax         reflect at -0.4: 1.00  at -0.6: 1.00  mirror at 4.3: 19.50
#   tensorflow  reflect at -0.4: 3.00  at -0.6: 4.00  mirror at 4.3: InvalidArgumentError
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6 scipy==1.17.1

cat > "$dir/coordinates.py" <<'PYTHON'
import keras
import numpy as np
from scipy.ndimage import map_coordinates

backend = keras.backend.backend()
image = np.arange(25, dtype="float32").reshape(5, 5)


def value(row, mode):
    place = np.array([[row], [1]], "float32")
    try:
        found = keras.ops.image.map_coordinates(image, place, order=1, fill_mode=mode)
    except Exception as error:
        return type(error).__name__
    return float(keras.ops.convert_to_numpy(found)[0])


def line(values):
    near, far, beyond = (v if isinstance(v, str) else f"{v:.2f}" for v in values)
    return f"reflect at -0.4: {near}  at -0.6: {far}  mirror at 4.3: {beyond}"


asked = ((-0.4, "reflect"), (-0.6, "reflect"), (4.3, "mirror"))
expected = [map_coordinates(image, [[row], [1]], order=1, mode=mode)[0] for row, mode in asked]
found = [value(row, mode) for row, mode in asked]
if backend == "jax":
    print(f"{'scipy':10}  {line(expected)}")
print(f"{backend:10}  {line(found)}")
if backend == "tensorflow":
    assert np.allclose(found[:2], [3, 4], atol=1e-4) and found[2] == "InvalidArgumentError"
else:
    assert np.allclose(found, expected, atol=1e-4)
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/coordinates.py" 2> "$dir/log" \
        || { cat "$dir/log"; exit 1; }
done
