"""Data sets of Hugging Face, from a folder and from the cache."""

import time

import numpy as np
import pytest

from dlrun.data.huggingface import huggingface
from dlrun.errors import DlrunError

datasets = pytest.importorskip("datasets")


def rows(number, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, number)
    return {
        "text": [
            f"the {('dull', 'fine')[label]} film of {random.integers(99)}" for label in labels
        ],
        "label": labels.tolist(),
        "stars": random.normal(size=number).tolist(),
    }


@pytest.fixture
def features():
    return datasets.Features(
        text=datasets.Value("string"),
        label=datasets.ClassLabel(names=["neg", "pos"]),
        stars=datasets.Value("float32"),
    )


def test_a_folder_keeps_its_test_split_and_class_names(tmp_path, features):
    parts = {
        name: datasets.Dataset.from_dict(rows(number, number), features)
        for name, number in (("train", 80), ("test", 20), ("unsupervised", 9))
    }
    datasets.disable_progress_bars()
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "reviews")
    source = huggingface(path=str(tmp_path / "reviews"), target="label", validation=10)
    data = source.dataset()
    assert source.tasks() == {None: "binary_classification"}
    assert {name: kind for name, (kind, _) in source.inputs.items()} == {
        "text": "text",
        "stars": "number",
    }
    assert [len(data.train), len(data.validation), len(data.test)] == [70, 10, 20]
    assert data.targets.classes == ("neg", "pos")
    np.testing.assert_array_equal(data.test.labels, rows(20, 20)["label"])


def test_one_split_is_split_and_missing_labels_are_left_out(tmp_path, features):
    columns = rows(60, 0)
    columns["label"][7], columns["label"][20] = -1, None
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns, features).save_to_disk(tmp_path / "one")
    source = huggingface(path=str(tmp_path / "one"), target="label", drop=["text"])
    assert source.describe().samples == 58
    assert list(source.inputs) == ["stars"]


def test_images_are_named_as_what_a_table_can_not_hold(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    of = {"photo": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}
    found = datasets.Dataset.from_dict({"photo": [pixels] * 8, "label": [0, 1] * 4},
                                       datasets.Features(of))  # fmt: skip
    datasets.disable_progress_bars()
    found.save_to_disk(tmp_path / "photos")
    with pytest.raises(DlrunError) as caught:
        huggingface(path=str(tmp_path / "photos"), target="label").tasks()
    assert caught.value.message == "data: column 'photo' holds images, which a table can't"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "imdb"}, "data.name=imdb: it is not in the cache of datasets, and nothing is"),
        ({"path": "nowhere"}, "data.path=nowhere: no data set that save_to_disk wrote"),
        ({}, "data=huggingface takes data.name or data.path"),
    ],
)
def test_what_is_not_there_is_told_in_a_line_within_seconds(options, message, monkeypatch):
    start = time.perf_counter()
    with pytest.raises(DlrunError) as caught:
        huggingface(target="label", **options).tasks()
    assert time.perf_counter() - start < 10
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message
