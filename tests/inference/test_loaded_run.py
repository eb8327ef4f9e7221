"""A run predicts from its saved input spec, or without one from its data set."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import Dlrun, slow_on
from dlrun.data.tickets import tickets
from trainings import BACKENDS

KEPT = Path(__file__).parents[1] / "runs" / "kept"
OWN = """
from dlrun.data.tickets import tickets

def mine():
    return tickets(train_samples=64, validation_samples=16, test_samples=20, vocabulary_size=50)
"""


def predictions(dlrun, run, *arguments, backend="jax"):
    dlrun.warm(backend, "predict", run, *arguments, "--output", "out.npz")
    with np.load(dlrun.cwd / "out.npz") as arrays:
        return dict(arrays)


def assert_same_bits(actual, expected):
    assert list(actual) == list(expected)
    for name, array in actual.items():
        assert array.tobytes() == expected[name].tobytes(), name


def assert_one_line(done, message):
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def npz_run(tmp_path_factory):
    """A run trained on ``mine.npz``, with pixels divided by 7."""
    dlrun = Dlrun(tmp_path_factory.mktemp("file"))
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (80, 6, 6), np.uint8)
    labels = draw.integers(0, 3, 80)
    arrays = {"x_train": images[:50], "y_train": labels[:50]}
    arrays |= {"x_test": images[50:], "y_test": labels[50:]}
    np.savez(dlrun.cwd / "mine.npz", **arrays)
    np.save(dlrun.cwd / "test.npy", arrays["x_test"])
    np.savez(dlrun.cwd / "test.npz", x=arrays["x_test"], y=arrays["y_test"])
    data = (
        "data.path=mine.npz",
        "data.num_classes=3",
        "data.scale=7",
        "data.validation_samples=10",
    )
    result = dlrun.warm("jax", "train", "data=npz", *data, "epochs=1", "batch_size=16")
    return dlrun, Path(result["run_dir"])


@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch", of=(*BACKENDS, "numpy")))
def test_own_inputs_are_predicted_bit_for_bit_without_the_training_data(npz_run, backend):
    dlrun, run = npz_run
    expected = predictions(dlrun, run, backend=backend)  # of the data set's test split
    (dlrun.cwd / "mine.npz").rename(dlrun.cwd / "gone.npz")
    try:
        actual = predictions(dlrun, run, "--input", "test.npy", backend=backend)
    finally:
        (dlrun.cwd / "gone.npz").rename(dlrun.cwd / "mine.npz")
    assert_same_bits(actual, expected)


@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch", of=(*BACKENDS, "numpy")))
def test_arrays_with_labels_are_evaluated_as_the_test_split_is(npz_run, backend):
    dlrun, run = npz_run
    expected = dlrun.warm(backend, "evaluate", run)
    actual = dlrun.warm(backend, "evaluate", run, "--data", "test.npz")
    assert actual["metrics"] == expected["metrics"]
    assert actual["figures"]["confusion_matrix"] == expected["figures"]["confusion_matrix"]
    predicted = predictions(
        dlrun, run, "--input", "test.npz", backend=backend
    )  # without the labels
    assert_same_bits(predicted, predictions(dlrun, run, "--input", "test.npy", backend=backend))


def test_wrong_labels_of_arrays_are_refused_before_a_framework_is_imported(npz_run):
    dlrun, run = npz_run
    images = np.load(dlrun.cwd / "test.npy")
    for labels, problem in (
        (np.arange(30), "labels[3] is 3: expected a class number from 0 to 2"),
        (np.zeros((30, 2), int), "array y: expected shape (samples), got (30, 2)"),
        (np.asarray(["a"] * 30), "array y: expected numbers, got dtype <U1"),
    ):
        np.savez(dlrun.cwd / "wrong.npz", x=images, y=labels)
        assert_one_line(dlrun.here("evaluate", run, "--data", "wrong.npz"), problem)


def test_commands_that_need_samples_read_the_data_set(npz_run):
    dlrun, run = npz_run
    (dlrun.cwd / "mine.npz").rename(dlrun.cwd / "gone.npz")
    try:
        for command in (["evaluate", run], ["predict", run]):
            assert_one_line(dlrun.within("jax", *command), "mine.npz: no such file")
        # A data set that is typed is read, even though the samples come from --input.
        typed = ("predict", run, "data.path=none.npz", "--input", "test.npy")
        assert_one_line(dlrun.within("jax", *typed), "none.npz: no such file")
    finally:
        (dlrun.cwd / "gone.npz").rename(dlrun.cwd / "mine.npz")


def test_inputs_by_name_are_predicted_without_the_data_function(dlrun):
    (dlrun.cwd / "configs" / "data").mkdir(parents=True)
    (dlrun.cwd / "configs" / "data" / "mine.yaml").write_text("_target_: my_data.mine\n")
    (dlrun.cwd / "my_data.py").write_text(OWN)
    result = dlrun.warm("torch", "train", "model=ticket_classifier", "data=mine", "epochs=1")
    expected = predictions(dlrun, result["run_dir"])
    (dlrun.cwd / "my_data.py").unlink()
    test = tickets(test_samples=20, vocabulary_size=50).test
    np.savez(dlrun.cwd / "own.npz", **test.inputs)
    actual = predictions(dlrun, result["run_dir"], "--input", "own.npz")
    assert list(actual) == ["priority", "department", "department_label"]
    assert_same_bits(actual, expected)
    assert_one_line(dlrun("predict", result["run_dir"]), "no module named 'my_data'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 1, "inputs": [', "Expecting value"),
        ("[" * 200_000, "nested too deeply"),
        ('{"version": 1, "_target_": "evil.run"}', "it has no inputs"),
        (b"\xff\xfe", "can't be read"),
        (None, "expected shape (samples, 3), got (4, 28, 28)"),
    ],
)
def test_damaged_spec_is_reported(trained, dlrun, text, message):
    run = trained.copy("jax", dlrun.cwd)
    if text is None:  # valid, but of another model
        content = json.loads((run / "inputs.json").read_text())
        content["inputs"][0]["shape"] = [3]
        text = json.dumps(content)
    (run / "inputs.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    np.save(dlrun.cwd / "images.npy", np.zeros((4, 28, 28), np.uint8))
    assert_one_line(dlrun.within("jax", "predict", run, "--input", "images.npy"), message)


def test_damaged_spec_is_reported_before_a_framework_is_imported(trained, dlrun):
    run = trained.copy("jax", dlrun.cwd)
    (run / "inputs.json").write_text('{"version": 1, "inputs": [')
    np.save(dlrun.cwd / "images.npy", np.zeros((4, 28, 28), np.uint8))
    done, imported = dlrun.traced("predict", run, "--input", "images.npy")
    assert_one_line(done, "Expecting value")
    assert not imported & {"keras", "jax"}


def test_spec_of_another_model_is_refused(trained, dlrun):
    run = trained.copy("jax", dlrun.cwd)
    content = json.loads((run / "inputs.json").read_text())
    content["inputs"][0]["shape"] = [3]
    (run / "inputs.json").write_text(json.dumps(content))
    np.save(dlrun.cwd / "three.npy", np.zeros((4, 3), np.uint8))
    assert_one_line(
        dlrun.within("jax", "predict", run, "--input", "three.npy"), "is of another model"
    )


@pytest.mark.slow
def test_run_without_a_saved_spec_uses_its_data_set(dlrun):
    [kept_run] = KEPT.iterdir()
    run = Path(shutil.copytree(kept_run, dlrun.cwd / "runs" / "kept" / kept_run.name))
    assert not (run / "inputs.json").exists()
    from dlrun.data.mnist import mnist

    np.save(dlrun.cwd / "images.npy", mnist().test.inputs[:300])
    assert_same_bits(predictions(dlrun, run, "--input", "images.npy"), predictions(dlrun, run))
    recorded = dlrun.record(run)["test"]
    metrics = dlrun.warm("jax", "evaluate", run)["metrics"]
    assert metrics == pytest.approx(recorded, abs=1e-5)
    dlrun.json("resume", run, "epochs=4")
    content = json.loads((run / "inputs.json").read_text())
    assert (content["inputs"][0]["shape"], content["scale"]) == ([28, 28], 255.0)
