"""Data sets of TensorFlow Datasets, from folders that it prepared."""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlrun.data.tfds import tfds
from dlrun.data.tfds_folders import process as tfds_process
from dlrun.data.tfds_folders.folder import read_folder
from dlrun.errors import DlrunError

needs_tfds = pytest.mark.skipif(
    find_spec("tensorflow_datasets") is None, reason="tensorflow_datasets is not installed"
)

# Prepared by tfds itself. The same photos also as tfrecord, by a writer of another package.
PREPARE = """
import io, json, shutil, sys
from pathlib import Path
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorboardX.record_writer import RecordWriter

F = tfds.features

class Flowers(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, supervised_keys=("sizes", "kind"), features=F.FeaturesDict({
            "sizes": F.Tensor(shape=(2,), dtype=np.float32), "wild": np.bool_, "note": F.Text(),
            "kind": F.ClassLabel(names=["rose", "iris"]), "place": {"height": np.int32},
            "tags": F.Sequence(F.Text())}))
    def _split_generators(self, _):
        return {"train": self._generate_examples(40), "test": self._generate_examples(10),
                "unlabelled": self._generate_examples(3)}
    def _generate_examples(self, rows):
        for n in range(rows):
            yield n, {"sizes": np.float32([n, -n / 8]), "wild": n % 3 == 0, "note": f"n\\u00ba {n}",
                      "kind": -1 if n == 7 else n % 2, "place": {"height": n},
                      "tags": ["a"] * (n % 3)}

class Photos(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("2.1.0")
    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, supervised_keys=("image", "label"), features=F.FeaturesDict({
            "image": F.Image(shape=(None, None, 3)), "label": F.ClassLabel(num_classes=3),
            "id": F.Text()}))
    def _split_generators(self, _):
        return {"train": self._generate_examples(30)}
    def _generate_examples(self, rows):
        for n in range(rows):
            pixels = np.random.default_rng(n).integers(0, 256, (8, 6, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
            file.seek(0)
            yield n, {"image": file, "label": n % 3, "id": str(n)}

root = Path(sys.argv[1])
for builder in (Flowers, Photos):
    builder(data_dir=root, file_format="array_record").download_and_prepare()
info = json.loads((root / "photos/2.1.0/dataset_info.json").read_text())
other = root / "photos/2.0.0"
other.mkdir()
shutil.copy(root / "photos/2.1.0/features.json", other)
(other / "dataset_info.json").write_text(json.dumps({**info, "fileFormat": "tfrecord"}))
writer = RecordWriter(str(other / "photos-train.tfrecord-00000-of-00001"))
source = tfds.builder_from_directory(root / "photos/2.1.0").as_data_source("train").data_source
for n in range(30):
    writer.write(source[n])
writer.close()
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("tfds")
    command = [sys.executable, "-c", PREPARE, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def without_tensorflow(tmp_path, monkeypatch):
    """A TensorFlow that can't be imported by the process that reads."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/tensorflow.py").write_text("raise ImportError('TensorFlow is not needed')")
    places = [str(tmp_path / "broken"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))


@needs_tfds
def test_a_table_keeps_its_test_split_class_names_and_values(prepared, without_tensorflow):
    source = tfds(path=str(prepared), name="flowers", drop=["tags", "note"], validation=10)
    data = source.dataset()
    assert source.tasks() == {None: "binary_classification"}
    assert {name: kind for name, (kind, _) in source.inputs.items()} == {
        "sizes_0": "number",
        "sizes_1": "number",
        "wild": "boolean",
        "place/height": "number",
    }
    # Row 7 of each split has no label.
    assert [len(data.train), len(data.validation), len(data.test)] == [29, 10, 9]
    table = source._rows.to_pydict()
    rows = table["place/height"]
    assert sorted(rows) == sorted([*range(40), *range(10)])
    assert table["note"] == [f"nº {n}" for n in rows]
    assert table["sizes_1"] == [-n / 8 for n in rows]
    assert table["kind"] == [None if n == 7 else ("rose", "iris")[n % 2] for n in rows]
    assert table["split"] == ["train"] * 40 + ["test"] * 10
    assert "tensorflow_datasets" not in sys.modules


@needs_tfds
@pytest.mark.parametrize("version", [None, "2.0.0"])  # array_record, which is newer, and tfrecord
def test_images_are_arrays_of_one_size_and_are_split(prepared, without_tensorflow, version):
    source = tfds(path=str(prepared), name="photos", version=version, size=[8, 6])
    data = source.dataset()
    assert data.targets.classes == ("0", "1", "2")
    assert (data.scale, data.train.inputs.dtype) == (255.0, np.uint8)
    assert sum(map(len, (data.train, data.validation, data.test))) == 30
    written = {
        np.random.default_rng(n).integers(0, 256, (8, 6, 3)).astype(np.uint8).tobytes(): n % 3
        for n in range(30)
    }
    for split in (data.train, data.validation, data.test):
        found = [written.pop(image.tobytes()) for image in split.inputs]
        assert found == split.labels.tolist()
    assert not written


@needs_tfds
def test_images_are_resized_by_pillow_to_the_size_that_is_asked_for(prepared):
    source = tfds(path=str(prepared), name="photos", target="label", size=4)
    wanted = set()
    for n in range(30):
        pixels = np.random.default_rng(n).integers(0, 256, (8, 6, 3)).astype(np.uint8)
        small = Image.fromarray(pixels).resize((4, 4), Image.Resampling.BILINEAR)
        wanted.add(small.tobytes())
    train = source.dataset().train.inputs
    assert train.shape[1:] == (4, 4, 3)
    assert {image.tobytes() for image in train} <= wanted


@needs_tfds
def test_what_can_not_be_read_is_told_in_a_line(prepared, tmp_path, monkeypatch):
    with pytest.raises(
        DlrunError, match=r"'tags' of flowers 1\.0\.0 holds Sequence, which a table"
    ):
        tfds(path=str(prepared), name="flowers")
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in (prepared / "photos/2.0.0").iterdir():
        (cut / file.name).write_bytes(file.read_bytes())
    records = cut / "photos-train.tfrecord-00000-of-00001"
    records.write_bytes(records.read_bytes()[:-9])
    with pytest.raises(DlrunError, match="is damaged: a record is cut off"):
        tfds(path=str(cut)).tasks()
    for key in [key for key in os.environ if key.lower().endswith("_proxy")]:
        monkeypatch.delenv(key)
    monkeypatch.setattr(tfds_process, "HOST", "host.invalid")
    start = time.perf_counter()
    with pytest.raises(DlrunError, match=r"host\.invalid can't be reached"):
        tfds(path=str(tmp_path), name="mnist", download=True)
    assert time.perf_counter() - start < 10


# Of folders, without tensorflow_datasets

CORE = "tensorflow_datasets.core.features"
NEW = {
    "pythonClassName": f"{CORE}.features_dict.FeaturesDict",
    "featuresDict": {"features": {
        "image": {"pythonClassName": f"{CORE}.image_feature.Image",
                  "image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "28", "1"]}}},
        "label": {"pythonClassName": f"{CORE}.class_label_feature.ClassLabel",
                  "classLabel": {"numClasses": "10"}},
        "age": {"pythonClassName": f"{CORE}.tensor_feature.Tensor",
                "tensor": {"dtype": "float32", "shape": {}}},
    }},
}  # fmt: skip
OLD = {
    "type": f"{CORE}.features_dict.FeaturesDict",
    "content": {
        "image": {"type": f"{CORE}.image_feature.Image",
                  "content": {"dtype": "uint8", "shape": [None, 28, 1], "encoding_format": "png"}},
        "label": {"type": f"{CORE}.class_label_feature.ClassLabel", "content": {"num_classes": 10}},
        "age": {"type": f"{CORE}.tensor_feature.Tensor",
                "content": {"dtype": "float32", "shape": []}},
    },
}  # fmt: skip


def write(folder: Path, features: object) -> str:
    folder.mkdir(parents=True)
    split = {"name": "train", "shardLengths": ["3", "4"]}
    info = {"name": "digits", "version": "1.0.0", "splits": [split]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(features))
    return str(folder)


def test_folders_of_older_versions_say_the_same(tmp_path):
    new, old = (read_folder(Path(write(tmp_path / str(n), f))) for n, f in enumerate([NEW, OLD]))
    assert new.features == old.features
    assert [(f.name, f.kind, f.shape) for f in new.features] == [
        ("image", "image", (None, 28, 1)),
        ("label", "label", ()),
        ("age", "number", ()),
    ]
    assert new.splits == {"train": 7}


def test_features_that_are_code_of_somebody_else_are_refused(tmp_path):
    features = {"pythonClassName": "my_features.Mine", "content": {}}
    with pytest.raises(DlrunError, match=r"'my_features\.Mine', which would be imported"):
        tfds(path=write(tmp_path / "own", features))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "mnist"}, "data.name=mnist: there is no prepared home/mnist, and nothing is"),
        ({"path": "nowhere"}, "data.path=nowhere: no data set that tensorflow_datasets prepared"),
        ({"name": "kaggle:mine"}, "data.name=kaggle:mine: expected NAME, NAME/CONFIG or NAME:"),
        ({"path": "all"}, "data: all holds several data sets: digits/big, digits/small"),
        ({"path": "all", "name": "digits"}, "data: all/digits holds several data sets: big, small"),
        ({"path": "all", "name": "digits/big:3.0.0"}, "data.version=3.0.0: all/digits/big has ver"),
        ({"path": "all", "name": "digits/big"}, "data: digits 1.0.0 names no target"),
        ({"path": "all", "name": "digits/big", "size": 20_000, "target": "age"}, "data.size"),
        ({}, "data=tfds takes data.name or data.path"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", "home")
    for place in ("big/1.0.0", "small/1.0.0"):
        write(Path("all/digits") / place, NEW)
    with pytest.raises(DlrunError) as caught:
        tfds(**options).tasks()
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message
