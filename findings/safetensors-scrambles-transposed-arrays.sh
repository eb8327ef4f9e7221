#!/usr/bin/env bash
# safetensors.numpy 0.8 writes a transposed array in the order of its memory, and loads another matrix.
#
# safetensors 0.8.0 and 0.7.0, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# A dense layer of torch holds its weight as (outputs, inputs), one of Keras as (inputs, outputs), so the
# weight is transposed and saved. With 0.7.0 it comes back as it was. With 0.8.0 the file has the right
# name, dtype and shape, and the numbers are in other places; neither save nor load says so. NumPy's
# transpose turns only the strides of an array; 0.8.0 passes on the address of its first number, and the
# writer takes the memory for rows. np.asfortranarray(a) is written wrong alike, and so are the columns of
# a pandas frame as DataFrame.to_numpy() returns them. np.ascontiguousarray(a) before the save mends it.
#
# The docstrings of both versions ask for contiguous tensors, which a transposed array is in its own order.
# safetensors.torch refuses such a tensor with an error. Known: safetensors issue 825, open.
#
# Seen, saved as [[0. 3.] [1. 4.] [2. 5.]]:
#   0.7.0  transposed [[0. 3.] [1. 4.] [2. 5.]]  contiguous [[0. 3.] [1. 4.] [2. 5.]]
#   0.8.0  transposed [[0. 1.] [2. 3.] [4. 5.]]  contiguous [[0. 3.] [1. 4.] [2. 5.]]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")

cat > "$dir/save.py" <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load, save

weight = np.arange(6, dtype="float32").reshape(2, 3)
tensors = {"transposed": weight.T, "contiguous": np.ascontiguousarray(weight.T)}
assert np.array_equal(tensors["transposed"], tensors["contiguous"])

seen = [safetensors.__version__]
for name, found in sorted(load(save(tensors)).items(), reverse=True):
    assert found.shape == (3, 2)
    seen.append(f"{name} {str(found).replace(chr(10), '')}")
print("  ".join(seen))
PYTHON

for version in 0.7.0 0.8.0; do
    "$python" -m venv --without-pip "$dir/$version"
    "$python" -m pip --python "$dir/$version/bin/python" install --quiet \
        --disable-pip-version-check "safetensors==$version" numpy==2.4.6
    "$dir/$version/bin/python" "$dir/save.py"
done > "$dir/seen"
cat "$dir/seen"
diff "$dir/seen" - <<'SEEN'
0.7.0  transposed [[0. 3.] [1. 4.] [2. 5.]]  contiguous [[0. 3.] [1. 4.] [2. 5.]]
0.8.0  transposed [[0. 1.] [2. 3.] [4. 5.]]  contiguous [[0. 3.] [1. 4.] [2. 5.]]
SEEN
