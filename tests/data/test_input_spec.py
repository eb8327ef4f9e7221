"""The input specification: exact scaling, JSON round trips, hostile files."""

import json

import numpy as np
import pytest

from dlrun.data.dataset import Dataset, Split
from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.data.input_spec_json import MAX_BYTES, spec_from_json, spec_to_json
from dlrun.data.tickets import tickets
from dlrun.errors import DlrunError

ONE = InputSpec(ArraySpec((28, 28), "uint8"), ArraySpec((), "int64"), 10, 255.0)


def test_a_data_set_has_a_spec():
    split = Split(np.zeros((5, 28, 28), np.uint8), np.arange(5))
    data = Dataset(split, split, split, num_classes=np.int64(10), scale=255)
    assert data.spec == ONE
    assert (data.input_shape, data.spec.label_shape) == ((28, 28), ())


def test_arrays_by_name_keep_their_order():
    spec = tickets(train_samples=5, vocabulary_size=50).spec
    read = spec_from_json(spec_to_json(spec), source="inputs.json")
    assert read == spec
    assert list(read.input_shape) == ["title", "text_body", "tags"]
    assert read.num_classes == {"priority": 1, "department": 4}
    assert read.labels["priority"] == ArraySpec((1,), "float32")


@pytest.mark.parametrize("scale", [255.0, 0.1, 1 / 3, 1.0])
def test_only_array_is_the_same_after_json(scale):
    spec = InputSpec(ArraySpec((3,), "float64"), ArraySpec((1,), "float32"), 1, scale)
    assert spec_from_json(spec_to_json(spec), source="inputs.json") == spec


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("scale", [1, 255, 7, 0.1])
def test_integers_are_divided_by_scale_and_floats_are_not(dtype, scale):
    values = np.arange(100).reshape(10, 10).astype(dtype)
    before = values.copy()
    spec = InputSpec(ArraySpec((10,), dtype), ArraySpec((), "int64"), 10, float(scale))
    prepared = spec.prepare(values)
    expected = values.astype(np.float32)
    if np.issubdtype(dtype, np.integer):
        expected = expected / np.float32(scale)
    assert prepared.dtype == np.float32
    np.testing.assert_array_equal(prepared, expected)
    np.testing.assert_array_equal(values, before)


def changed(**fields):
    return json.dumps(json.loads(spec_to_json(ONE)) | fields)


def array(**fields):
    return [{"name": None, "shape": [3], "dtype": "uint8"} | fields]


def step(step="standardize", state=None, **fields):
    arrays = [{"name": None, "mean": [0], "deviation": [1]} | fields]
    return {"step": step, "state": {"arrays": arrays} if state is None else state}


DAMAGED = {
    "empty": ("", "Expecting value"),
    "cut": (spec_to_json(ONE)[:80], ""),
    "list": ("[]", "expected a mapping"),
    "deep": ("[" * 200_000, "nested too deeply"),
    "digits": ('{"scale": ' + "9" * 5_000 + "}", ""),
    "large": (" " * (MAX_BYTES + 1), "characters, more than"),
    "newer": (changed(version=2), "its version is 2"),
    "an unknown key": (changed(run="evil.run"), "it has an unknown key, 'run'"),
    "no outputs": ('{"version": 1}', "it has no inputs"),
    "a step of targets": (changed(preprocessing=[{"_target_": "evil.run"}]), "expected step and"),
    "steps of text": (changed(preprocessing="standardize"), "preprocessing is not a list"),
    "many steps": (changed(preprocessing=[step()] * 101), "preprocessing is not a list"),
    "an unknown step": (changed(preprocessing=[step("os")]), "no preprocessing step 'os'"),
    "a step of a path": (changed(preprocessing=[step("..readers.npy")]), "no preprocessing step"),
    "a step of numbers": (changed(preprocessing=[step(3)]), "no preprocessing step 3"),
    "a state of text": (changed(preprocessing=[step(state="x")]), "is not a mapping"),
    "no state": (changed(preprocessing=[step(state={})]), "needs a list of arrays"),
    "no arrays": (changed(preprocessing=[step(state={"arrays": []})]), "is for 1 to 1,000 arrays"),
    "half an array": (changed(preprocessing=[step(more=3)]), "needs name, mean and deviation"),
    "no statistics": (changed(preprocessing=[step(mean=[], deviation=[])]), "keeps 1 to 10,000"),
    "many statistics": (changed(preprocessing=[step(mean=[0] * 10_001)]), "keeps 1 to 10,000"),
    "a mean of text": (changed(preprocessing=[step(mean=["0"])]), "keeps finite numbers"),
    "a mean of nan": (changed(preprocessing=[step(mean=[float("nan")])]), "keeps finite numbers"),
    "a mean too many": (changed(preprocessing=[step(mean=[0, 1])]), "as many means"),
    "a deviation of 0": (changed(preprocessing=[step(deviation=[0])]), "not above 0"),
    "a step for a list": (changed(preprocessing=[step(name=[])]), "has the name []"),
    "scale 0": (changed(scale=0), "scale is 0"),
    "scale nan": (changed(scale=float("nan")), "scale is nan"),
    "scale infinite": (changed(scale=float("inf")), "scale is inf"),
    "scale true": (changed(scale=True), "scale is True"),
    "scale beyond floats": (changed(scale=10**400), "too large"),
    "no inputs": (changed(inputs=[]), "inputs is not a list of 1 to"),
    "many inputs": (changed(inputs=array() * 1001), "inputs is not a list of 1 to"),
    "input of numbers": (changed(inputs=[3]), "inputs[0] is not a mapping"),
    "target": (changed(inputs=array(_target_="evil.run")), "unknown key, '_target_'"),
    "two without names": (changed(inputs=array() * 2), "inputs[0].name is None"),
    "two of one name": (changed(inputs=array(name="a") * 2), "two arrays named 'a'"),
    "name of escapes": (changed(inputs=array(name="\x1b]0;x\x07")), "inputs[0].name is '\\x1b"),
    "long name": (changed(inputs=array(name="x" * 1000)), "inputs[0].name is"),
    "shape": (changed(inputs=array(shape="x")), "inputs[0].shape is 'x'"),
    "negative": (changed(inputs=array(shape=[-1])), "inputs[0].shape is [-1]"),
    "axis of none": (changed(inputs=array(shape=[None])), "inputs[0].shape is [None]"),
    "axis of true": (changed(inputs=array(shape=[True])), "inputs[0].shape is [True]"),
    "terabytes": (changed(inputs=array(shape=[2**20, 2**20])), "inputs[0].shape is"),
    "many axes": (changed(inputs=array(shape=[1] * 33)), "inputs[0].shape is"),
    "objects": (changed(inputs=array(dtype="object")), "inputs[0].dtype is 'object'"),
    "text": (changed(inputs=array(dtype="<U9")), "inputs[0].dtype is '<U9'"),
    "dtype of a list": (changed(inputs=array(dtype=[])), "inputs[0].dtype is []"),
    "classes": (changed(outputs=array(num_classes=0)), "outputs[0].num_classes is 0"),
    "many classes": (changed(outputs=array(num_classes=2**40)), "outputs[0].num_classes is"),
    "no classes": (changed(outputs=array()), "outputs[0] has no num_classes"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_an_invalid_spec_is_refused_in_one_line(name):
    text, message = DAMAGED[name]
    with pytest.raises(DlrunError) as caught:
        spec_from_json(text, source="inputs.json")
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith("inputs.json can't be read as an input specification: ")
    assert message in caught.value.message
    assert "\n" not in caught.value.message and len(caught.value.message) < 250
