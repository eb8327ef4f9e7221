"""dlrun data: what a user sees before the first run."""

import numpy as np
import pytest
import yaml
from PIL import Image

from tables import write_all

NPZ = ("data=npz", "data.num_classes=2", "data.validation_samples=1")


def test_a_table_is_described_without_a_framework_or_a_target(dlrun):
    write_all(dlrun.cwd)
    done, imported = dlrun.traced("data", "data=csv", "data.path=houses.csv")
    assert done.returncode == 0, done.stderr
    assert not imported & {"keras", "jax", "torch", "tensorflow", "matplotlib"}
    lines = done.stdout.splitlines()
    assert lines[0] == "houses.csv, 120 samples"
    assert any(line.split()[:3] == ["city", "string", "category"] for line in lines)
    assert "data.target=COLUMN" in done.stdout


def test_choices_are_saved_as_an_option_that_trains_the_same(dlrun):
    write_all(dlrun.cwd)
    typed = ("data=csv", "data.path=houses.csv", "data.target=kind")
    described = dlrun.warm("jax", "data", *typed, "--save", "configs/data/mine.yaml")
    assert described["tasks"] == {"kind": "classification"}
    assert described["classes"]["kind"] == {"barn": 40, "flat": 40, "house": 40}
    assert described["splits"] == {"train": 84, "validation": 18, "test": 18}
    option = yaml.safe_load((dlrun.cwd / "configs/data/mine.yaml").read_text())
    assert option["columns"]["area"] == "number"
    assert (option["kind"], option["split"], option["drop"]) == (
        "classification",
        "stratified",
        ["id"],
    )
    by_option = dlrun.warm("jax", "data", "data=mine")
    for key in ("samples", "splits", "columns", "tasks", "classes"):
        assert by_option[key] == described[key]
    assert by_option["notes"] == []  # what was left out is now said
    config = dlrun.warm("jax", "config", "data=mine")
    assert config["choices"]["task"] == "classification"
    assert config["choices"]["model"] == "tabular"
    again = dlrun.within("jax", "data", *typed, "--save", "configs/data/mine.yaml")
    assert again.returncode == 2
    assert "the file exists" in again.stderr


@pytest.mark.parametrize(
    ("values", "options", "problem"),
    [
        (["1", "inf", "3"], [], "row 2: inf is not a finite number"),
        (["1", "-2", "3"], ["data.weight=a"], "row 2: -2.0 is not a number from 0"),
        (["2026-01-01", "2026-02-31"], ["data.columns.a=date"], "'2026-02-31' is not a date such"),
    ],
)
def test_what_training_refuses_is_described_and_said(dlrun, values, options, problem):
    rows = [f"{values[n % len(values)]},{n % 7},{'xy'[n % 2]}" for n in range(40)]
    (dlrun.cwd / "t.csv").write_text("\n".join(["a,b,kind", *rows]))
    words = ("data=csv", "data.path=t.csv", "data.target=kind", *options)
    [note] = [note for note in dlrun.json_here("data", *words)["notes"] if "training" in note]
    assert note.startswith("training refuses it: data: t.csv: column 'a', row 2: ")
    assert problem in note
    assert dlrun.here("train", *words).returncode == 2
    left_out = ("data=csv", "data.path=t.csv", "data.target=kind", "data.drop=[a]")
    assert "refuses" not in dlrun.here("data", *left_out).stdout


def test_classes_that_no_training_sample_has_are_told_of_each_sort_of_source(dlrun):
    splits, in_split = ("train", "val", "test"), ("xy", "xyz", "xy")
    rows = [
        f"{n / 2},p{n}.png,{splits[n % 3]},{in_split[n % 3][n // 3 % len(in_split[n % 3])]}"
        for n in range(60)
    ]
    (dlrun.cwd / "t.csv").write_text("\n".join(["a,image,split,kind", *rows]))
    for n in range(60):
        Image.new("L", (4, 4), n).save(dlrun.cwd / f"p{n}.png")
    inputs, labels = np.arange(60.0)[:, None], np.arange(60)
    np.savez(
        dlrun.cwd / "t.npz", x_train=inputs, y_train=labels % 2, x_test=inputs, y_test=labels % 3
    )
    of_table = "validation.labels has class z, which no training sample has"
    images = ("data=image_folder", "data.path=.", "data.labels=t.csv")
    for words, note in (
        (["data=csv", "data.path=t.csv", "data.target=kind"], of_table),
        ([*images, "data.target=kind"], of_table),
        (
            ["data=npz", "data.path=t.npz", "data.num_classes=3", "data.validation_samples=1"],
            "test.labels has class 2, which no training sample has",
        ),
    ):
        assert note in dlrun.json_here("data", *words)["notes"], words


def test_distributions_are_drawn(dlrun):
    pytest.importorskip("matplotlib")
    write_all(dlrun.cwd)
    words = ("data=csv", "data.path=houses.csv", "--plot", "data.png")
    described = dlrun.warm("jax", "data", *words)
    assert (dlrun.cwd / "data.png").read_bytes()[1:4] == b"PNG"
    area = next(column for column in described["columns"] if column["name"] == "area")
    assert sum(area["histogram"]["counts"]) == 120 - area["missing"]


@pytest.mark.parametrize("data", ["blobs", "tickets", "npy", "npz"])
def test_distributions_of_arrays_are_drawn(dlrun, data):
    """What has no table and no images had an empty picture."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    x, y = np.arange(60.0).reshape(20, 3), np.arange(20) % 2
    np.savez(dlrun.cwd / "npy.npz", x=x, y=y)
    np.savez(dlrun.cwd / "npz.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    words = {
        "npy": ("data.path=npy.npz",),
        "npz": ("data.path=npz.npz", "data.num_classes=2", "data.validation_samples=4"),
    }.get(data, ())
    described = dlrun.warm("jax", "data", f"data={data}", *words, "--plot", "data.png")
    for column in described["columns"]:
        histogram, known = column["histogram"], column["name"] in described["classes"]
        assert known or sum(histogram["counts"]) > 0, column
    # An empty picture is white.
    assert pyplot.imread(dlrun.cwd / "data.png")[:, :, :3].min() < 0.5


def test_nothing_to_draw_is_refused(dlrun):
    pytest.importorskip("matplotlib")
    x, y = np.ones((8, 3)), np.ones((8, 1))
    np.savez(dlrun.cwd / "same.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    words = ("data=npz", "data.path=same.npz", "data.num_classes=1", "data.validation_samples=2")
    done = dlrun.within("jax", "data", *words, "--plot", "data.png")
    assert done.returncode == 2
    assert "error: --plot data.png: no column has a distribution" in done.stderr
    assert not (dlrun.cwd / "data.png").exists()


def test_a_data_set_in_memory_is_described(dlrun):
    described = dlrun.warm("jax", "data", "data=tickets")
    assert described["splits"] == {"train": 1280, "validation": 320, "test": 320}
    assert sum(described["classes"]["department"].values()) == 1280


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data=csv"], "data.path: needs a value"),
        (["data=csv", "data.path=nothing.csv"], "no such file"),
        (["data=csv", "data.path=houses.csv", "data.target=prise"], "hint: data.target=price"),
        (["data=blobs", "--save", "configs/data/b.yaml"], "finds nothing that could be saved"),
        (["data=csv", "data.path=houses.csv", "--plot", "a.txt"], "expected a name that ends in"),
        ([*NPZ, "data.path=named.npz"], "train.labels has dtype <U1: expected integers or floats"),
    ],
)
def test_mistakes_are_one_line(dlrun, overrides, words):
    write_all(dlrun.cwd)
    inputs, names = np.zeros((4, 2)), np.array(["a", "b", "a", "b"])
    np.savez(dlrun.cwd / "named.npz", x_train=inputs, y_train=names, x_test=inputs, y_test=names)
    done = dlrun.within("jax", "data", *overrides)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
