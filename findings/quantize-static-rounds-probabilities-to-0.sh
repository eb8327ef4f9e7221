#!/usr/bin/env bash
# quantize_static takes a final Softmax with it: almost half of the probabilities become exactly 0.
#
# onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# A model whose last two nodes are a MatMul and a Softmax is quantized to int8 with onnxruntime's
# defaults and calibrated on the very samples that are then predicted. One would expect weights and
# products in int8, and probabilities that are a little off. But the Softmax's output is quantized
# too, in 255 steps from 0 to 1, so that each probability below about 0.002 is 0. The classes are
# those of the same model without its Softmax, and almost those of float32; but the cross-entropy of
# labels that were drawn from the float32 probabilities is infinite. With the Softmax computed after
# the quantized model it is 0.784, in float32 0.783.
#
# Seen (4,000 samples of 10 classes):
#   float32                      same class 1.000  zeros 0.000  loss 0.783
#   int8, softmax in the graph   same class 0.976  zeros 0.446  loss inf
#   int8, softmax after it       same class 0.976  zeros 0.000  loss 0.784
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

cat > "$dir/quantize.py" <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

draw = np.random.default_rng(0)
weights = draw.normal(size=(16, 10)).astype("float32")
inputs = draw.normal(size=(4000, 16)).astype("float32")


def save(path, *, with_softmax):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 10])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits" if with_softmax else "y"])]
    if with_softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["y"], axis=-1))
    graph = helper.make_graph(nodes, "graph", [x], [y], [numpy_helper.from_array(weights, "w")])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


class Samples(CalibrationDataReader):
    def __init__(self):
        self.batches = iter(np.split(inputs, 80))

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"x": batch}


def run(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": inputs})[0]


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


save("with.onnx", with_softmax=True)
save("without.onnx", with_softmax=False)
quantize_static("with.onnx", "with8.onnx", Samples())
quantize_static("without.onnx", "without8.onnx", Samples())
exact = run("with.onnx").astype("float64")
exact /= exact.sum(axis=1, keepdims=True)
labels = np.array([draw.choice(10, p=p) for p in exact])
found = {
    "float32": exact,
    "int8, softmax in the graph": run("with8.onnx"),
    "int8, softmax after it": softmax(run("without8.onnx")),
}
losses, zeros = {}, {}
for name, p in found.items():
    with np.errstate(divide="ignore"):
        losses[name] = -np.log(p[np.arange(4000), labels]).mean()
    zeros[name] = np.mean(p == 0)
    same = np.mean(p.argmax(axis=1) == exact.argmax(axis=1))
    print(f"{name:27}  same class {same:.3f}  zeros {zeros[name]:.3f}  loss {losses[name]:.3f}")
    assert same > 0.95
assert np.isinf(losses["int8, softmax in the graph"]) and zeros["int8, softmax in the graph"] > 0.3
assert abs(losses["int8, softmax after it"] - losses["float32"]) < 0.01
PYTHON

cd "$dir"
venv/bin/python quantize.py 2> log || { cat log; exit 1; }
