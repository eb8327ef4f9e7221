"""Predictions of finished runs for their test split and the user's own arrays."""

import csv

import numpy as np
import pytest

from conftest import COMMAND

SAMPLES = 50


@pytest.fixture
def images(dlrun):
    """Pixels 0 to 255, uint8, in ``images.npy``."""
    images = np.random.default_rng(0).integers(0, 256, (SAMPLES, 28, 28), np.uint8)
    np.save(dlrun.cwd / "images.npy", images)
    return images


def predict(dlrun, run, *arguments, name="predictions.npz", backend="jax"):
    result = dlrun.warm(backend, "predict", run, *arguments, "--output", name)
    assert result["output"] == name
    with np.load(dlrun.cwd / name) as arrays:
        return dict(arrays)


def test_test_split_is_predicted_by_default_into_the_run(trained, dlrun):
    run = trained.copy("jax", dlrun.cwd)
    result = dlrun.json("predict", run)
    assert list(result) == [
        *("run_dir", "checkpoint", "epoch", "backend", "input", "samples", "output")
    ]
    assert (result["input"], result["samples"]) == ("test", 3000)
    assert result["output"] == str(run / "predictions.npz")
    with np.load(run / "predictions.npz") as arrays:
        predictions, labels = arrays["predictions"], arrays["labels"]
    assert predictions.shape == (3000, 10)
    np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-5)
    # The accuracy of these labels is the one that training reported.
    from dlrun.data.mnist import mnist

    accuracy = (labels == mnist().test.labels[:3000]).mean()
    assert accuracy == pytest.approx(trained.result("jax")["test"]["accuracy"], abs=1e-6)


@pytest.mark.parametrize("backend", ["tensorflow", "torch", "numpy"])
def test_predictions_are_the_same_on_every_backend(trained, dlrun, images, backend):
    run = trained.run("jax")
    on_jax = predict(dlrun, run, "--input", "images.npy")
    there = predict(dlrun, run, "--input", "images.npy", backend=backend)
    np.testing.assert_allclose(there["predictions"], on_jax["predictions"], atol=1e-5)
    np.testing.assert_array_equal(there["labels"], on_jax["labels"])


def test_csv_has_one_row_per_sample_with_the_same_numbers(trained, dlrun, images):
    run = trained.run("jax")
    expected = predict(dlrun, run, "--input", "images.npy")
    dlrun.warm("jax", "predict", run, "--input", "images.npy", "--output", "out.csv")
    with (dlrun.cwd / "out.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["index", "label", *(f"output_{i}" for i in range(10))]
    assert [int(row[0]) for row in rows] == list(range(SAMPLES))
    np.testing.assert_array_equal([int(row[1]) for row in rows], expected["labels"])
    values = np.array([row[2:] for row in rows], np.float32)
    np.testing.assert_array_equal(values, expected["predictions"])


def test_scaled_floats_and_pixels_are_predicted_alike(trained, dlrun, images):
    np.savez(dlrun.cwd / "floats.npz", images.astype(np.float64) / 255)
    run = trained.run("jax")
    floats = predict(dlrun, run, "--input", "floats.npz")
    pixels = predict(dlrun, run, "--input", "images.npy")
    np.testing.assert_allclose(floats["predictions"], pixels["predictions"], atol=1e-6)


def test_array_of_an_npz_is_chosen_by_name(trained, dlrun, images):
    np.savez(dlrun.cwd / "two.npz", old=images[:3], new=images[3:])
    run = trained.run("jax")
    chosen = predict(dlrun, run, "--input", "two.npz", "--array", "new")
    every = predict(dlrun, run, "--input", "images.npy")
    np.testing.assert_allclose(chosen["predictions"], every["predictions"][3:], atol=1e-6)


def test_batch_size_does_not_change_the_predictions(trained, dlrun, images):
    run = trained.run("jax")
    few = predict(dlrun, run, "--input", "images.npy", "batch_size=7")
    many = predict(dlrun, run, "--input", "images.npy", "batch_size=4096")
    assert few["predictions"].shape == (SAMPLES, 10)
    np.testing.assert_allclose(few["predictions"], many["predictions"], rtol=1e-5, atol=1e-6)


def test_existing_output_is_replaced_atomically(trained, dlrun, images):
    (dlrun.cwd / "predictions.npz").write_text("what was there before")
    arrays = predict(dlrun, trained.run("jax"), "--input", "images.npy")
    assert len(arrays["predictions"]) == SAMPLES
    assert not list(dlrun.cwd.glob(".*"))


def _write_bad_inputs(cwd, images):
    np.save(cwd / "flat.npy", images.reshape(SAMPLES, 784))
    np.save(cwd / "one.npy", images[0])
    np.save(cwd / "none.npy", images[:0])
    np.save(cwd / "complex.npy", images.astype(np.complex64))
    scaled = images / np.float32(255)
    scaled[3, 2, 1] = np.nan
    np.save(cwd / "nan.npy", scaled)
    np.save(cwd / "objects.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save(cwd / "text.npy", np.array(["a"]))
    np.savez(cwd / "two.npz", old=images, new=images)
    (cwd / "images.txt").write_text("1 2 3")
    (cwd / "empty.npy").touch()
    for name, source in (("cut.npy", "images.npy"), ("cut.npz", "two.npz")):
        content = (cwd / source).read_bytes()
        (cwd / name).write_bytes(content[: len(content) // 2])
    (cwd / "folder.npy").mkdir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--input flat.npy", "expected shape (samples, 28, 28), got (50, 784)"),
        ("--input one.npy", "expected shape (samples, 28, 28), got (28, 28)"),
        ("--input none.npy", "has no samples"),
        ("--input complex.npy", "expected numbers, got dtype complex64"),
        ("--input nan.npy", "--input nan.npy: the value at [3, 2, 1] is nan"),
        ("--input objects.npy", "can't be read"),
        ("--input text.npy", "expected numbers, got dtype"),
        ("--input two.npz", "has several arrays: old, new"),
        ("--input two.npz --array neu", "has no array 'neu': old, new"),
        ("--input images.txt", "expected a .npy or .npz file"),
        ("--input empty.npy", "can't be read"),
        ("--input cut.npy", "can't be read"),
        ("--input cut.npz", "can't be read"),
        ("--input missing.npy", "no such file"),
        ("--input folder.npy", "no such file"),
        ("--output out.txt", "expected a name that ends in .npz or .csv"),
        ("--output nowhere/out.npz", "there is no directory nowhere"),
        ("--output /proc/out.npz", "can't be written"),
        ("--checkpoint bets", "did you mean best?"),
        ("epochs=3", "can't change here"),
    ],
)
def test_invalid_files_are_reported_before_a_framework_is_imported(
    trained, dlrun, images, arguments, message
):
    _write_bad_inputs(dlrun.cwd, images)
    done = dlrun.here("predict", trained.run("jax"), *arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_full_disk_fails_and_leaves_no_partial_file(trained, dlrun):
    # Simulated by a file size limit of 8 KiB, which needs no root.
    limited = ["bash", "-c", 'ulimit -f 8; exec "$0" "$@"', COMMAND]
    done = dlrun("predict", trained.run("jax"), "--output", "out.npz", command=limited)
    assert done.returncode == 1
    assert "error: can't write out.npz" in done.stderr
    assert not [path for path in dlrun.cwd.iterdir() if "out.npz" in path.name]
