"""A run serves by its input specification where its training data are gone, and without it too."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import Dlrun
from dlrun.data.tickets import tickets

KEPT = Path(__file__).parents[1] / "runs" / "kept"
OWN = """
from dlrun.data.tickets import tickets

def mine():
    return tickets(train_samples=64, validation_samples=16, test_samples=20, vocabulary_size=50)
"""


def predictions(dlrun, run, *arguments):
    dlrun.json("predict", run, *arguments, "--output", "out.npz")
    with np.load(dlrun.cwd / "out.npz") as arrays:
        return dict(arrays)


def assert_same_bits(ours, theirs):
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def assert_one_line(done, told):
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def of_a_file(tmp_path_factory):
    """A run whose data came from ``mine.npz``, pixels that are divided by 7."""
    dlrun = Dlrun(tmp_path_factory.mktemp("file"))
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (80, 6, 6), np.uint8)
    labels = draw.integers(0, 3, 80)
    arrays = {"x_train": images[:50], "y_train": labels[:50]}
    arrays |= {"x_test": images[50:], "y_test": labels[50:]}
    np.savez(dlrun.cwd / "mine.npz", **arrays)
    np.save(dlrun.cwd / "test.npy", arrays["x_test"])
    own = ("data.path=mine.npz", "data.num_classes=3", "data.scale=7", "data.validation_samples=10")
    result = dlrun.json("train", "data=npz", *own, "epochs=1", "batch_size=16")
    return dlrun, Path(result["run_dir"])


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch", "numpy"])
def test_own_inputs_are_predicted_to_the_bit_without_the_training_data(of_a_file, backend):
    dlrun, run = of_a_file
    expected = predictions(dlrun, run, f"backend={backend}")  # of the data set's test split
    (dlrun.cwd / "mine.npz").rename(dlrun.cwd / "gone.npz")
    try:
        ours = predictions(dlrun, run, f"backend={backend}", "--input", "test.npy")
    finally:
        (dlrun.cwd / "gone.npz").rename(dlrun.cwd / "mine.npz")
    assert_same_bits(ours, expected)


def test_samples_of_the_data_set_are_asked_of_the_data_set(of_a_file):
    dlrun, run = of_a_file
    (dlrun.cwd / "mine.npz").rename(dlrun.cwd / "gone.npz")
    try:
        for command in (["evaluate", run], ["predict", run]):
            assert_one_line(dlrun(*command), "mine.npz: no such file")
        # One that is typed is read, though the samples come from elsewhere.
        typed = ("predict", run, "data.path=none.npz", "--input", "test.npy")
        assert_one_line(dlrun(*typed), "none.npz: no such file")
    finally:
        (dlrun.cwd / "gone.npz").rename(dlrun.cwd / "mine.npz")


def test_inputs_by_name_are_predicted_without_the_function_that_made_them(dlrun):
    (dlrun.cwd / "configs" / "data").mkdir(parents=True)
    (dlrun.cwd / "configs" / "data" / "mine.yaml").write_text("_target_: my_data.mine\n")
    (dlrun.cwd / "my_data.py").write_text(OWN)
    result = dlrun.json("train", "model=ticket_classifier", "data=mine", "epochs=1")
    expected = predictions(dlrun, result["run_dir"])
    (dlrun.cwd / "my_data.py").unlink()
    test = tickets(test_samples=20, vocabulary_size=50).test
    np.savez(dlrun.cwd / "own.npz", **test.inputs)
    ours = predictions(dlrun, result["run_dir"], "--input", "own.npz")
    assert list(ours) == ["priority", "department", "department_label"]
    assert_same_bits(ours, expected)
    assert_one_line(dlrun("predict", result["run_dir"]), "no module named 'my_data'")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"version": 1, "inputs": [', "Expecting value"),
        ("[" * 200_000, "nested too deeply"),
        ('{"version": 1, "_target_": "evil.run"}', "it has no inputs"),
        (b"\xff\xfe", "can't be read"),
        (None, "expected shape (samples, 3), got (4, 28, 28)"),
    ],
)
def test_damaged_specification_is_told_before_a_framework_is_imported(trained, dlrun, text, told):
    run = trained.copy("jax", dlrun.cwd)
    if text is None:  # sound, and of another model
        content = json.loads((run / "inputs.json").read_text())
        content["inputs"][0]["shape"] = [3]
        text = json.dumps(content)
    (run / "inputs.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    np.save(dlrun.cwd / "images.npy", np.zeros((4, 28, 28), np.uint8))
    done, imported = dlrun.traced("predict", run, "--input", "images.npy")
    assert_one_line(done, told)
    assert not imported & {"keras", "jax"}


def test_specification_of_another_model_is_refused(trained, dlrun):
    run = trained.copy("jax", dlrun.cwd)
    content = json.loads((run / "inputs.json").read_text())
    content["inputs"][0]["shape"] = [3]
    (run / "inputs.json").write_text(json.dumps(content))
    np.save(dlrun.cwd / "three.npy", np.zeros((4, 3), np.uint8))
    assert_one_line(dlrun("predict", run, "--input", "three.npy"), "is of another model")


def test_run_that_has_saved_none_serves_by_its_data_set(dlrun):
    [kept] = KEPT.iterdir()
    run = Path(shutil.copytree(kept, dlrun.cwd / "runs" / "kept" / kept.name))
    assert not (run / "inputs.json").exists()
    from dlrun.data.mnist import mnist

    np.save(dlrun.cwd / "images.npy", mnist().test.inputs[:300])
    assert_same_bits(
        predictions(dlrun, run, "--input", "images.npy"),
        predictions(dlrun, run),
    )
    told = dlrun.record(run)["test"]
    metrics = dlrun.json("evaluate", run)["metrics"]
    assert metrics == pytest.approx(told, abs=1e-5)
    dlrun.json("resume", run, "epochs=4")
    content = json.loads((run / "inputs.json").read_text())
    assert (content["inputs"][0]["shape"], content["scale"]) == ([28, 28], 255.0)
