"""Fitted preprocessing: right against float64, kept in JSON to the bit, applied by predict."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import Dlrun, slow_on
from dlrun.data.dataset import Dataset, Split
from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.data.input_spec_json import spec_from_json, spec_to_json
from dlrun.data.npz import npz
from dlrun.data.preprocessing.standardize import MAX_VALUES, Standardize
from dlrun.errors import DlrunError
from trainings import BACKENDS, worker

DRAW = np.random.default_rng(7)
TABLE = DRAW.normal((1e3, -5, 0, 7), (50, 0.1, 3, 0), (90, 4))  # the last column is constant
LABELS = DRAW.integers(0, 3, 90)
FIT = (Standardize.fit,)


def test_standardized_values_are_those_of_float64():
    step = Standardize.fit(TABLE)
    deviation = np.where(TABLE.std(axis=0) < 1e-9, 1, TABLE.std(axis=0))
    expected = (TABLE - TABLE.mean(axis=0)) / deviation
    assert step.apply(TABLE).dtype == np.float32
    np.testing.assert_allclose(step.apply(TABLE), expected.astype(np.float32), atol=1e-6)
    assert not step.apply(TABLE)[:, 3].any()


def test_a_constant_whose_mean_is_off_by_a_rounding_becomes_zero():
    constant = np.full((1000, 1), 0.1)
    assert constant.mean() != 0.1
    assert not Standardize.fit(constant).apply(constant).any()


def test_images_are_standardized_pixel_by_pixel():
    images = DRAW.integers(0, 256, (40, 3, 5), np.uint8)
    values = Standardize.fit(images).apply(images)
    assert values.shape == (40, 3, 5)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-6)


def test_only_the_training_split_is_measured():
    split = Split(TABLE[:60], LABELS[:60])
    other = Split(TABLE[60:] + 100, LABELS[60:])
    data = Dataset(split, other, other, num_classes=3, fit=FIT).preprocess()
    np.testing.assert_array_equal(
        data.test.inputs, Standardize.fit(TABLE[:60]).apply(TABLE[60:] + 100)
    )


def test_each_of_several_inputs_has_its_own_statistics():
    split = Split({"a": TABLE[:, :2], "b": TABLE[:, 2:]}, LABELS)
    data = Dataset(split, split, split, num_classes=3, fit=FIT).preprocess()
    whole = Standardize.fit(TABLE).apply(TABLE)
    np.testing.assert_array_equal(data.train.inputs["a"], whole[:, :2])
    np.testing.assert_array_equal(data.train.inputs["b"], whole[:, 2:])
    assert data.spec.raw_names == ("a", "b")
    again = data.spec.preprocess({"a": TABLE[:5, :2], "b": TABLE[:5, 2:]})
    np.testing.assert_array_equal(again["b"], whole[:5, 2:])


def test_a_spec_with_steps_is_the_same_after_json():
    step = Standardize.fit(TABLE)
    spec = InputSpec(ArraySpec((4,), "float32"), ArraySpec((), "int64"), 3, 1.0, (step,))
    again = spec_from_json(spec_to_json(spec), source="inputs.json")
    assert again == spec
    assert again.preprocess(TABLE).tobytes() == step.apply(TABLE).tobytes()


def test_a_value_that_is_not_finite_is_still_found_where_it_is(tmp_path):
    dlrun = Dlrun(tmp_path)
    broken = TABLE.copy()
    broken[13, 1] = np.nan
    np.savez(
        tmp_path / "mine.npz", x_train=broken, y_train=LABELS, x_test=TABLE[:9], y_test=LABELS[:9]
    )
    done = dlrun.within("jax", "train", *DATA, "data.validation_samples=10")
    assert done.returncode == 2
    assert "mine.npz: x_train[13, 1] is nan" in done.stderr  # not [3, 1], less 10 for validation


@pytest.mark.parametrize("values", [np.array([["a"], ["b"]]), np.ones((2, 1), complex)])
def test_what_is_not_a_number_is_refused_in_one_line(values):
    split = Split(values, LABELS[:2])
    with pytest.raises(DlrunError, match=r"^data: Standardize: expected integers or floats, got"):
        Dataset(split, split, split, num_classes=3, fit=FIT).preprocess()


def test_too_many_values_are_refused_with_the_way_out():
    split = Split(np.zeros((2, MAX_VALUES + 1)), LABELS[:2])
    with pytest.raises(DlrunError) as raised:
        Dataset(split, split, split, num_classes=3, fit=FIT).preprocess()
    assert raised.value.hint == "scale pixels by data.scale=255"


def test_a_step_of_another_module_is_refused_when_a_run_would_be_written():
    class Mine(Standardize):
        pass

    spec = InputSpec(ArraySpec((4,), "float32"), ArraySpec((), "int64"), 3, 1.0, (Mine.fit(TABLE),))
    with pytest.raises(DlrunError, match="Mine can't be saved with a run"):
        spec_to_json(spec)


DATA = ("data=npz", "data.path=mine.npz", "data.num_classes=3", "data.standardize=true")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, str]:
    """A run on standardized inputs, whose data file is gone, and its predictions before that."""
    place = tmp_path_factory.mktemp("standardized")
    np.savez(
        place / "mine.npz",
        x_train=TABLE[:60], y_train=LABELS[:60], x_test=TABLE[60:], y_test=LABELS[60:],
    )  # fmt: skip
    dlrun = Dlrun(place)
    result = dlrun.warm(
        "jax", "train", *DATA, "data.validation_samples=10", "epochs=2", "batch_size=16"
    )
    dlrun.warm("jax", "predict", result["run_dir"], "--output", "before.npz")
    (place / "mine.npz").unlink()
    return place, result["run_dir"]


@pytest.mark.trains
@pytest.mark.parametrize("backend", slow_on("tensorflow", of=(*BACKENDS, "numpy")))
def test_new_samples_are_standardized_as_the_training_split_was(run, backend):
    place, run_dir = run
    np.save(place / "new.npy", TABLE[60:])
    np.savez(place / "named.npz", samples=TABLE[60:])
    with np.load(place / "before.npz") as arrays:
        before = arrays["predictions"]
    for source in ("new.npy", "named.npz"):
        output = place / f"{backend}.npz"
        worker(backend).predict(place, run_dir, source=place / source, output=output)
        with np.load(output) as arrays:
            np.testing.assert_allclose(arrays["predictions"], before, atol=1e-6)


@pytest.mark.trains
def test_samples_of_another_shape_are_refused_before_keras(run):
    place, run_dir = run
    np.save(place / "wide.npy", np.zeros((3, 5)))
    done = Dlrun(place)("predict", run_dir, "--input", "wide.npy")
    assert done.returncode == 2
    assert "a sample has 5 values, expected 4" in done.stderr


@pytest.mark.trains
def test_the_statistics_are_in_the_run(run):
    place, run_dir = run
    [entry] = json.loads((place / run_dir / "inputs.json").read_text())["preprocessing"]
    assert entry["step"] == "standardize"
    [array] = entry["state"]["arrays"]
    np.testing.assert_allclose(array["mean"], TABLE[10:60].mean(axis=0), rtol=1e-12)


@pytest.mark.trains
def test_evaluation_applies_the_runs_statistics_to_other_data(run):
    """Fitted again to the shifted data, they would undo the shift and report the same metrics."""
    place, run_dir = run
    arrays = {"x_train": TABLE[:60], "y_train": LABELS[:60], "y_test": LABELS[60:]}
    np.savez(place / "same.npz", **arrays, x_test=TABLE[60:])
    shifted = {**arrays, "x_train": TABLE[:60] + 1000}
    np.savez(place / "shifted.npz", **shifted, x_test=TABLE[60:] + 1000)
    jax = worker("jax")
    losses = [
        jax.evaluate(place, run_dir, f"data.path={name}.npz")["metrics"]["loss"]
        for name in ("same", "shifted")
    ]
    assert losses[0] != pytest.approx(losses[1], rel=0.1)
    with pytest.raises(Exception, match="went through 1 preprocessing steps, and these through 0"):
        jax.evaluate(place, run_dir, "data.path=same.npz", "data.standardize=false")


def test_npz_without_the_option_is_as_it_was(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=TABLE, y_train=LABELS, x_test=TABLE, y_test=LABELS)
    data = npz(path=str(path), num_classes=3).preprocess()
    assert data.preprocessing == ()
    np.testing.assert_array_equal(data.train.inputs, TABLE)
