#!/usr/bin/env bash
# keras.ops.stft(window=None) transforms longer frames than it is told to, but not on torch.
#
# keras 3.15.1 with torch 2.13.0, tensorflow-cpu 2.21.0 and jax 0.10.2, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# A sine is cut into frames of 10 samples, which are transformed with fft_length=16. A frame that is shorter
# than the transform is padded with zeros, and so it is with any window. window=None is documented as no
# window, which is a window of ones. On torch it is. On jax, tensorflow and numpy each frame has 16 samples,
# the 6 around it in place of zeros too, and the numbers are off by up to 5. The shapes are the same. Those
# backends take a window of ones as long as the transform, torch one as long as the frame, padded.
#
# istft(window=None) of what stft(window=None) gives is not the signal, on any of the backends: it is on each
# with a window of ones of 10 samples. With fft_length equal to sequence_length stft is right without a window,
# and istft is not.
#
# Seen, the largest differences from float64 NumPy of frames of 10 and of 16, and of istft from the signal:
#               window=None                a window of ones
#   jax         10 4.99  16 0.00  istft 2.19 10 0.00  16 4.99  istft 0.00
#   tensorflow  10 4.99  16 0.00  istft 2.99 10 0.00  16 4.99  istft 0.00
#   torch       10 0.00  16 4.99  istft 1.00 10 0.00  16 4.99  istft 0.00
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    keras==3.15.1 torch==2.13.0 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cat > "$dir/frames.py" <<'PYTHON'
import keras
import numpy as np
from keras import ops

FRAME, STEP, FFT = 10, 5, 16
signal = np.sin(np.arange(60) * 0.7).astype("float32")


def expected(frame):
    """The transform in float64 of frames that are centred and padded with zeros."""
    padded = np.pad(signal.astype("float64"), FFT // 2, mode="reflect")
    window = np.zeros(FFT)
    window[(FFT - frame) // 2 :][:frame] = 1
    starts = range(0, len(padded) - FFT + 1, STEP)
    return np.array([np.fft.rfft(padded[start : start + FFT] * window) for start in starts])


def differences(window):
    parts = ops.stft(ops.convert_to_tensor(signal), FRAME, STEP, FFT, window=window)
    real, imaginary = (ops.convert_to_numpy(part) for part in parts)
    back = ops.istft(parts, FRAME, STEP, FFT, length=len(signal), window=window)
    errors = [np.abs(real + 1j * imaginary - expected(frame)).max() for frame in (FRAME, FFT)]
    return [*errors, np.abs(ops.convert_to_numpy(back) - signal).max()]


backend = keras.backend.backend()
none, ones = differences(None), differences(np.ones(FRAME, "float32"))
parts = ["10 {:.2f}  16 {:.2f}  istft {:.2f}".format(*found) for found in (none, ones)]
print(f"{backend:11}", *parts, sep=" ")
near, far = (0, 1) if backend == "torch" else (1, 0)
assert none[near] < 1e-5 and none[far] > 4.9 and none[2] > 0.9
assert ones[0] < 1e-5 and ones[1] > 4.9 and ones[2] < 1e-5
PYTHON

export KERAS_HOME="$dir/keras" CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3
for backend in jax tensorflow torch; do
    KERAS_BACKEND=$backend "$dir/venv/bin/python" "$dir/frames.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done
