"""Images and texts of one's own, a file each, to predict and to evaluate."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlrun.data.files.spool import Spool
from dlrun.data.image_folder import image_folder
from dlrun.data.input_spec import InputSpec
from dlrun.data.input_spec_json import spec_from_json, spec_to_json
from dlrun.data.readers import Request, open_reader
from dlrun.data.text_folder import text_folder
from dlrun.errors import DlrunError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def saved(data) -> InputSpec:
    return spec_from_json(spec_to_json(data.dataset().spec), source="inputs.json")


def photo(path: Path, seed: int) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def photos(here) -> InputSpec:
    for row in range(12):
        photo(Path("photos", "cat" if row % 2 else "dog", f"{row}.png"), row)
    return saved(image_folder(path="photos", size=[6, 8]))


@pytest.fixture
def reviews(here) -> InputSpec:
    for row in range(12):
        write(f"reviews/{'good' if row % 2 else 'bad'}/{row}.txt", f"word{row % 3} of mine")
    return saved(text_folder(path="reviews"))


def write(path: str, text: str | bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(text.encode() if isinstance(text, str) else text)


def read(source: str, spec: InputSpec, **options):
    return list(open_reader(Request(Path(source), spec, **options)).parts())


def refused(source: str, spec: InputSpec, **options) -> str:
    with pytest.raises(DlrunError) as caught:
        read(source, spec, **options)
    return f"{caught.value.message} {caught.value.hint}"


def test_all_images_of_a_folder_keep_their_order_and_their_names(photos):
    pixels = {f"new/{n:02}.png": photo(Path(f"new/{n:02}.png"), 50 + n) for n in range(23)}
    write("new/05.png", b"no image")
    write("new/.hidden.png", b"")
    write("new/readme.md", "")
    parts = read("new", photos, rows=10)
    assert [part.rows.tolist() for part in parts] == [
        [*range(1, 11)], [*range(11, 21)], [*range(21, 24)]
    ]  # fmt: skip
    assert [name for part in parts for name in part.names["file"]] == list(pixels)
    assert parts[0].wrong == {5: "can't be decoded: it is no image"}
    assert parts[0].place(5) == "--input new/05.png"
    expected = [array for name, array in pixels.items() if name != "new/05.png"]
    np.testing.assert_array_equal(np.concatenate([part.inputs for part in parts]), expected)


def test_an_image_or_a_pattern_is_taken_as_well(photos):
    [part] = read("photos/dog/0.png", photos)
    np.testing.assert_array_equal(part.inputs[0], np.asarray(Image.open("photos/dog/0.png")))
    [part] = read("photos/*/1*.png", photos)
    assert part.names["file"] == ["photos/cat/1.png", "photos/cat/11.png", "photos/dog/10.png"]
    assert "no such file or folder" in refused("nothing.png", photos)
    assert "has no file *.png" in refused("cache", photos)


def test_labels_of_images_are_their_folders_or_columns_of_a_table(photos):
    [part] = read("photos", photos, labels=True)
    assert part.labels.tolist() == [0] * 6 + [1] * 6
    write("later.csv", "when,label,file\n1,dog,photos/dog/0.png\n2,cat,photos/cat/1.png\n")
    [part] = read("later.csv", photos, labels=True)
    assert (part.labels.tolist(), part.names["file"][0]) == ([1, 0], "photos/dog/0.png")
    for table, problem in (
        ("label,file\nowl,photos/dog/0.png\n", "row 1: label 'owl' is not one of cat, dog"),
        (
            "label,file\n,photos/cat/0.png\ncat,photos/cat/1.png\nowl,photos/dog/0.png\n",
            "wrong.csv: row 3: label 'owl' is not one of cat, dog",
        ),
        ("label,file\n,photos/dog/0.png\n,photos/cat/1.png\n", "no row has a target"),
        ("kind,file\ncat,photos/cat/1.png\n", "no column 'label', which the run predicts"),
        ("label\ncat\ndog\n", "has no column of images; it has label"),
        ("label,a,b\ncat,1.png,2.png\n", "several columns of images, a, b;"),
    ):
        write("wrong.csv", table)
        assert problem in refused("wrong.csv", photos, labels=True)
    shutil.copytree("photos/cat", "birds/cat")
    shutil.copytree("photos/dog", "birds/owl")
    assert "birds/owl/0.png: label 'owl' is not one of" in refused("birds", photos, labels=True)
    assert "photos/cat/1.png lies in no folder that names its class" in refused(
        "photos/cat", photos, labels=True
    )
    with pytest.raises(DlrunError) as alone:
        read("photos/cat/1.png", photos, labels=True)
    assert alone.value.hint == "move it, as to photos/cat/CLASS/1.png, and name photos/cat"


def test_images_of_a_table_keep_its_ids(photos):
    rows = ["7,a,photos/dog/0.png", "9,b,lost.png", "7,c,photos/dog/0.png"]
    write("new.csv", "\n".join(["photo_id,place,file", *rows]))
    parts = read("new.csv", photos, rows=2)
    assert [part.names["photo_id"] for part in parts] == [[7, 9], [7]]
    assert "place" not in parts[0].names
    [part] = read("new.csv", photos, ids=("place",))
    assert part.names == {
        "file": ["photos/dog/0.png", "lost.png", "photos/dog/0.png"],
        "place": ["a", "b", "c"],
    }
    assert "new.csv has no column 'plaec', which --id" in refused("new.csv", photos, ids=("plaec",))


def test_ids_of_what_is_no_table_are_refused(photos, reviews):
    np.save("new.npy", np.zeros((2, 6, 8, 3), np.uint8))
    for source, spec in (("photos", photos), ("new.npy", photos), ("reviews", reviews)):
        problem = refused(source, spec, ids=("key",), encoding="utf-8")
        assert f"--id key: names a column, and {source} is no table" in problem


def test_a_table_whose_paths_begin_elsewhere_says_where_they_begin(photos):
    write("tables/new.csv", "file,label\ntrain/a/0.png,a\n")
    with pytest.raises(DlrunError, match="names no file that is there, tables/train/a/0") as caught:
        read("tables/new.csv", photos, labels=True)
    assert caught.value.hint == "paths begin in the folder of the table, tables"


def test_an_image_without_a_label_is_no_sample_to_evaluate_on(photos):
    rows = ["dog,photos/dog/0.png", ",photos/dog/1.png", "cat,photos/cat/1.png"]
    write("later.csv", "\n".join(["label,file", *rows]))
    reader = open_reader(Request(Path("later.csv"), photos, labels=True))
    [part] = reader.parts()
    assert (part.labels.tolist(), part.rows.tolist()) == ([1, 0], [1, 3])
    assert part.names["file"] == ["photos/dog/0.png", "photos/cat/1.png"]
    assert reader.notes() == ["1 row has no label, and is left out"]


def test_texts_are_encoded_as_in_training(reviews):
    write("new/a.txt", "\ufeffword1 of")
    write("new/deep/b.txt", b"\xe9t\xe9")
    write("new/deep/c.txt", "")
    [part] = read("new", reviews, encoding="utf-8")
    assert part.names["file"] == ["new/a.txt", "new/deep/b.txt", "new/deep/c.txt"]
    assert part.wrong == {1: "is not utf-8: byte 0 is 0xe9"}
    [column] = reviews.preprocessing[0].fitted
    ids = {word: number for number, word in enumerate(column.words, 2)}
    assert part.inputs[:, :2].tolist() == [[ids["word1"], ids["of"]], [1, 0]]  # 1: no word
    [part] = read("reviews", reviews, encoding="utf-8", labels=True, rows=100)
    assert part.labels.tolist() == [0] * 6 + [1] * 6
    write("odd/ugly/a.txt", "word1")
    wrong = refused("odd", reviews, encoding="utf-8", labels=True)
    assert "odd: odd/ugly/a.txt: label 'ugly' is not one of bad, good" in wrong


def test_a_table_of_texts_is_read_as_a_table(reviews):
    write("t.csv", "text\nword1 of\n")
    assert "file" not in read("t.csv", reviews, encoding="utf-8")[0].names
    write("t.txt", "word1 of")
    assert read("t.txt", reviews, encoding="utf-8")[0].names["file"] == ["t.txt"]


@pytest.mark.parametrize("form", ["single", "named"])
def test_a_spool_gives_back_what_was_added(form):
    parts = [np.arange(n * 3, dtype=np.int16).reshape(n, 3) for n in (4, 0, 2)]
    with Spool() as spool:
        assert spool.arrays() is None
        for part in parts:
            spool.add(part if form == "single" else {"a": part, "b": part[:, :1].astype(float)})
        found = spool.arrays()
    whole = np.concatenate(parts)
    np.testing.assert_array_equal(found if form == "single" else found["a"], whole)
    if form == "named":
        np.testing.assert_array_equal(found["b"], whole[:, :1])
    assert not list(Path("cache").iterdir())
