#!/usr/bin/env bash
# convert_float_to_float16(keep_io_types=True) writes a graph that ONNX's own checker refuses.
#
# onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, CPU.
#
# The conversion in onnxruntime.transformers.float16 keeps the types of inputs and outputs by adding
# a Cast after each input. ONNX demands that a node comes after those whose outputs it takes. But the
# new Cast is appended to the end of the graph, behind the nodes that take its output. The checker
# refuses the file, and so do tools that check what they read; onnxruntime itself sorts the nodes and
# runs it with the right result, so that the one who wrote it does not notice.
#
# Seen:
#   before  Relu Tanh Add            valid
#   after   Relu Tanh Add Cast Cast  refused: Nodes in a graph must be topologically sorted
#   onnxruntime runs it: [[1.7616 1.7616]], NumPy: [[1.7616 1.7616]]
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

cat > "$dir/convert.py" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper
from onnxruntime.transformers.float16 import convert_float_to_float16

x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])
nodes = [
    helper.make_node("Relu", ["x"], ["a"]),
    helper.make_node("Tanh", ["x"], ["b"]),
    helper.make_node("Add", ["a", "b"], ["y"]),
]
graph = helper.make_graph(nodes, "graph", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def look(name, model):
    try:
        checker.check_model(model)
        found = "valid"
    except checker.ValidationError as error:
        found = f"refused: {str(error).partition(',')[0]}"
    print(f"{name:6}  {' '.join(node.op_type for node in model.graph.node):23}  {found}")
    return found


assert look("before", model) == "valid"
half = convert_float_to_float16(model, keep_io_types=True)
assert "topologically sorted" in look("after", half)
session = onnxruntime.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
ones = np.ones((1, 2), "float32")
[found] = session.run(None, {"x": ones})
exact = np.maximum(ones, 0) + np.tanh(ones)
print(f"onnxruntime runs it: {found.round(4)}, NumPy: {exact.round(4)}")
assert np.allclose(found, exact, atol=2e-3)
PYTHON

"$dir/venv/bin/python" "$dir/convert.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
