"""Folders of images: classes, splits, the cache, and the runs that are trained on them."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlrun.config.compose import compose
from dlrun.data.image_folder import image_folder
from dlrun.data.images.decode import decode
from dlrun.data.splits import LEFT_OUT
from dlrun.errors import DlrunError
from photos import write_classes, write_digits, write_image
from trainings import worker


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def settle(folder: Path) -> None:
    """Date all images back: a file of the last two seconds may change, so it is not copied."""
    for image in folder.rglob("*.png"):
        os.utime(image, (1e9, 1e9))


def decoded(cache: Path) -> int:
    return len(list(cache.glob("*/images.npy")))


def test_folders_are_classes(tmp_path):
    source = image_folder(path=write_classes(tmp_path / "photos"))
    assert dict(source.tasks()) == {None: "classification"}
    described = source.describe()
    assert described.splits == {"train": 22, "validation": 4, "test": 4}
    assert described.classes == {"label": {"cat": 10, "dog": 10, "owl": 10}}
    assert described.columns[0]["counts"] == {"20 x 20": 30}
    assert described.explicit["size"] == [20, 20]
    data = source.dataset()
    assert (data.num_classes, data.scale, data.input_shape) == (3, 255.0, (20, 20, 3))
    assert data.targets.classes == ("cat", "dog", "owl")
    for split, code in (("train", 0), ("validation", 1), ("test", 2)):
        rows = np.flatnonzero(source.splits == code)
        arrays = getattr(data, split)
        expected = [decode(source.paths[row], source.form) for row in rows]
        np.testing.assert_array_equal(arrays.inputs, np.stack(expected))
        names = [source.paths[row].parent.name for row in rows]
        assert [arrays.ids(n) for n in range(len(rows))] == [str(source.paths[r]) for r in rows]
        assert [data.targets.classes[label] for label in arrays.labels] == names


def test_every_choice_that_was_found_can_be_said(tmp_path):
    source = image_folder(path=write_classes(tmp_path / "photos"), limit=5)
    said = image_folder(**source.describe().explicit, limit=5)
    assert said.splits.tolist() == source.splits.tolist()
    assert (said.form, said.samples.targets) == (source.form, source.samples.targets)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("train", "test"), ("train", "valid")])
def test_folders_of_the_splits(tmp_path, names):
    for split in names:
        write_classes(tmp_path / "photos" / split, 12 if split == "train" else 4)
    source = image_folder(path=str(tmp_path / "photos"))
    counts = source.describe().splits
    assert sum(counts.values()) == 36 + 12 * (len(names) - 1)
    assert all(counts.values())
    for name, code in zip(source.samples.names, source.splits, strict=True):
        folder = name.split("/")[0]
        assert code in ({2} if folder == "test" else {1} if folder != "train" else {0, 1, 2})
    named = "validation" if "valid" in names else "test"
    with pytest.raises(DlrunError, match=rf"data\.{named}=0\.3: .* is already named"):
        _ = image_folder(path=str(tmp_path / "photos"), **{named: 0.3}).splits
    if len(names) == 3:
        assert counts == {"train": 36, "validation": 12, "test": 12}


def test_a_folder_beside_those_of_the_splits_is_left_out(tmp_path):
    for split in ("train", "test"):
        write_classes(tmp_path / "photos" / split)
    write_image(tmp_path / "photos" / "unlabeled" / "a.png")
    source = image_folder(path=str(tmp_path / "photos"))
    assert source.describe().classes == {"label": {"cat": 20, "dog": 20, "owl": 20}}
    assert source.notes == [
        f"1 file is left out, in no folder of a class: {tmp_path}/photos/unlabeled/a.png"
    ]
    write_classes(tmp_path / "vehicles", classes=("bus", "train/steam", "train/electric"))
    assert image_folder(path=str(tmp_path / "vehicles")).samples._files.classes == ("bus", "train")


def test_images_that_are_added_later_leave_the_others_in_their_splits(tmp_path):
    def splits():
        source = image_folder(path=path, split="hash")
        return dict(zip(source.samples.names, source.splits.tolist(), strict=True))

    path = write_classes(tmp_path / "photos", 40)
    before = splits()
    assert sorted({*before.values()}) == [0, 1, 2]
    write_classes(tmp_path / "photos", 20, classes=("ape",))
    assert {name: split for name, split in splits().items() if name in before} == before


def test_two_classes_are_a_binary_target(tmp_path):
    source = image_folder(path=write_classes(tmp_path / "photos", classes=("no", "yes")))
    assert dict(source.tasks()) == {None: "binary_classification"}
    assert source.dataset().num_classes == 1


def test_sizes_and_channels_that_are_found(tmp_path):
    grey = write_classes(tmp_path / "grey", 3, mode="L")
    assert image_folder(path=grey).form.shape == (20, 20, 1)
    assert image_folder(path=grey, channels=3, size=[16, 24]).form.shape == (16, 24, 3)
    write_image(tmp_path / "grey" / "cat" / "wide.png", size=(20, 30))
    assert image_folder(path=grey).form.shape == (128, 128, 3)


def test_a_table_of_paths_and_labels(tmp_path):
    paths = [write_image(tmp_path / "all" / f"{n}.png", n) for n in range(40)]
    rows = [(path.name, n % 2, n * 1.5, "a|b" if n % 3 else "b") for n, path in enumerate(paths)]
    with (tmp_path / "all" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "old", "age", "tags"), *rows])
    common = {"path": str(tmp_path / "all"), "labels": "labels.csv"}
    of_rows = [decode(path, image_folder(**common, target="old").form) for path in paths]
    kinds = {"old": "binary_classification", "age": "regression", "tags": "binary_classification"}
    for target, kind in kinds.items():
        source = image_folder(**common, target=target)
        assert dict(source.tasks()) == {None: kind}
        train = source.dataset().train
        rows = np.flatnonzero(source.splits == 0)
        np.testing.assert_array_equal(train.inputs, np.stack([of_rows[row] for row in rows]))
    source = image_folder(**common, target="age")
    ages, values = source.dataset(), np.flatnonzero(source.splits == 0) * 1.5
    assert ages.targets.mean == pytest.approx((values.mean(),))
    restored = ages.targets.restore(ages.train.labels)[:, 0]
    np.testing.assert_allclose(restored, values, rtol=1e-5, atol=1e-5)
    several = image_folder(**common, target="tags", kind="multilabel").dataset()
    assert several.train.labels.shape[1:] == (2,)
    with pytest.raises(DlrunError, match=r"data\.target: needs a column"):
        image_folder(**common).tasks()


def test_deep_images_that_use_few_bits_are_told(tmp_path, caplog):
    caplog.set_level("INFO")
    for row in range(20):
        path = tmp_path / "photos" / "ab"[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 1000 + 163 * row, np.uint16)).save(path)
    dark = image_folder(path=str(tmp_path / "photos"))
    told = (
        "the highest value of 20 of the 16-bit images is 4,097, which becomes 16 of 255;"
        " data.bits=13 makes them brighter"
    )
    assert dark.describe().notes == [told]
    assert dark.dataset().train.inputs.max() <= 16
    assert told in caplog.text
    bright = image_folder(path=str(tmp_path / "photos"), bits=13)
    assert bright.describe().notes == []
    assert bright.dataset().train.inputs.max() > 100
    assert bright.dataset().spec.preprocessing[0].bits == 13
    assert image_folder(**bright.describe().explicit).form == bright.form
    with pytest.raises(DlrunError, match=r"data\.bits=7: expected 8, 9"):
        image_folder(path="photos", bits=7)


def test_a_class_that_a_run_does_not_know_is_told_by_its_row(tmp_path):
    write_image(tmp_path / "a.png")

    def of(name: str, kinds: list[str]):
        rows = "".join(f"a.png,{kind}\n" for kind in kinds)
        (tmp_path / name).write_text(f"file,kind\n{rows}")
        return image_folder(path=str(tmp_path), labels=name, split="random")

    spec = of("old.csv", ["cat", "dog"] * 10).dataset().spec
    other = of("new.csv", [*["cat", "dog"] * 5, "owl", "owl", *["cat", "dog"] * 5])
    with pytest.raises(
        DlrunError, match=r"new\.csv: row 1[12]: column 'kind': 'owl' is not one of"
    ):
        other.dataset(spec)


def test_a_missing_file_of_a_table_is_told(tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("file,x\na.png,1.5\nb.png,2.5\na.png,3.5\n")
    source = image_folder(path=str(tmp_path), labels="labels.csv")
    with pytest.raises(DlrunError, match=r"b\.png can't be decoded: no such file"):
        source.tasks()
    with pytest.raises(DlrunError, match=r"data\.labels=lost\.csv: no such file"):
        image_folder(path=str(tmp_path), labels="lost.csv").tasks()


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("fil", r"data\.image=fil: .*labels\.jsonl has no such column; it has file, tags, o, x"),
        ("tags", r"data\.image=tags: the column has lists"),
        ("o", r"data\.image=o: the column has type struct"),
    ],
)
def test_a_column_that_names_no_files_is_refused(tmp_path, image, problem):
    rows = [{"file": "a.png", "tags": ["u"], "o": {"k": n}, "x": n / 7} for n in range(9)]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DlrunError, match=problem):
        image_folder(path=str(tmp_path), labels="labels.jsonl", image=image, target="x").tasks()


def test_a_name_that_is_a_number_is_a_name_and_a_list_is_none(tmp_path):
    rows = "".join(f"{path.name},{n * 1.5}\n" for n, path in enumerate(
        write_image(tmp_path / f"{n}.png", n) for n in range(9)))  # fmt: skip
    (tmp_path / "labels.csv").write_text(f"0,1\n{rows}")
    common = {"path": str(tmp_path), "labels": "labels.csv", "target": "1"}
    assert len(image_folder(**common, image=0).paths) == 9
    for key in ("labels", "image", "by"):
        with pytest.raises(DlrunError, match=rf"data\.{key}=\['a'\]: expected one name"):
            image_folder(**{**common, key: ["a"]})


def test_images_are_decoded_once_for_all_splits(tmp_path, own_cache, monkeypatch):
    path = write_classes(tmp_path / "photos")
    first = image_folder(path=path).dataset()
    assert decoded(own_cache) == 1
    monkeypatch.setattr("dlrun.data.images.encode.decode", None)  # nothing is decoded again
    again = image_folder(path=path).dataset()
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    copied = shutil.copytree(path, tmp_path / "copy", copy_function=shutil.copyfile)
    source = image_folder(path=str(copied), folds=5, fold=2, seed=3)
    folded = source.dataset()
    expected = [
        decode(source.paths[row], source.form) for row in np.flatnonzero(source.splits == 2)
    ]
    np.testing.assert_array_equal(folded.test.inputs, np.stack(expected))


def test_a_table_of_other_rows_decodes_what_is_new(tmp_path, monkeypatch):
    path = write_classes(tmp_path / "photos")
    settle(tmp_path)
    names = [f"{name}/{n}.png" for name in ("cat", "dog", "owl") for n in range(10)]
    seen: list[Path] = []

    def decode_and_note(image, form):
        seen.append(image)
        return decode(image, form)

    def images_of(named):
        seen.clear()
        rows = "".join(f"{name},{name[:3]}\n" for name in named)
        (tmp_path / "labels.csv").write_text(f"file,label\n{rows}")
        source = image_folder(path=path, labels=str(tmp_path / "labels.csv"))
        splits = source.dataset()
        found = np.concatenate([splits.train.inputs, splits.validation.inputs, splits.test.inputs])
        rows = np.argsort(source.splits, kind="stable")
        np.testing.assert_array_equal(
            found, np.stack([decode(source.paths[row], source.form) for row in rows])
        )
        return [str(image.relative_to(path)) for image in seen]

    monkeypatch.setattr("dlrun.data.images.encode.decode", decode_and_note)
    assert sorted(images_of(names[:25])) == sorted(names[:25])
    assert images_of(names[24::-1]) == []
    assert images_of([*names[5:25], *names[10:15]]) == []
    assert sorted(images_of(names)) == sorted(names[25:])
    image_folder(path=path).dataset()  # the folders are the classes
    assert len(seen) == 5
    write_image(tmp_path / "photos/dog/3.png", 1)
    assert images_of(names) == ["dog/3.png"]


def test_a_changed_file_is_decoded_again(tmp_path):
    path = write_classes(tmp_path / "photos")
    before = image_folder(path=path).dataset().train.inputs
    for seed, file in enumerate((tmp_path / "photos").rglob("*.png")):
        write_image(file, 1000 + seed)
    assert (image_folder(path=path).dataset().train.inputs != before).any()


def test_large_arrays_stay_in_their_file(tmp_path, monkeypatch):
    monkeypatch.setattr("dlrun.data.images.encode.IN_MEMORY", 0)
    data = image_folder(path=write_classes(tmp_path / "photos")).dataset()
    assert type(data.train.inputs) is np.ndarray
    assert not data.train.inputs.flags.owndata
    assert not data.train.inputs.flags.writeable


def test_a_limit_keeps_images_of_every_class(tmp_path):
    source = image_folder(path=write_classes(tmp_path / "photos", 20), limit=6)
    kept = [name.split("/")[0] for name, code in zip(source.samples.names, source.splits,
            strict=True) if code == 0]  # fmt: skip
    assert sorted(kept) == ["cat"] * 2 + ["dog"] * 2 + ["owl"] * 2


def test_broken_images_are_told_or_left_out(tmp_path):
    path = write_classes(tmp_path / "photos")
    whole = (tmp_path / "photos/cat/3.png").read_bytes()
    (tmp_path / "photos/cat/3.png").write_bytes(whole[: len(whole) // 2])  # found when decoded
    (tmp_path / "photos/owl/4.png").write_text("no image")  # found by its header
    with pytest.raises(DlrunError, match=r"owl/4\.png can't be decoded: it is no image"):
        image_folder(path=path).tasks()
    source = image_folder(path=path, on_error="skip")
    data = source.dataset()
    assert sum(len(split) for split in (data.train, data.validation, data.test)) == 28
    assert (source.splits == LEFT_OUT).sum() == 1
    assert any("owl/4.png" in note for note in source.notes)
    (tmp_path / "photos/owl/4.png").unlink()
    with pytest.raises(DlrunError, match=r"cat/3\.png can't be decoded"):
        image_folder(path=path).dataset()


def nothing(folder: Path) -> None:
    folder.mkdir()


def no_classes(folder: Path) -> None:
    write_image(folder / "a.png")


def one_class(folder: Path) -> None:
    write_classes(folder, classes=("cat",))


def one_image(folder: Path) -> None:
    write_classes(folder)
    write_image(folder / "rare" / "a.png")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such folder"),
        (nothing, "has no images"),
        (no_classes, "has an image, but no folder for each class"),
        (one_class, "has one class, 'cat', expected at least two"),
        (one_image, "class 'rare' has one image"),
        (lambda folder: folder.write_text(""), "is a file, expected a folder of images"),
    ],
)
def test_folders_that_are_no_data_set(tmp_path, make, message):
    make(tmp_path / "photos")
    with pytest.raises(DlrunError, match=message) as caught:
        image_folder(path=str(tmp_path / "photos")).tasks()
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.parametrize(
    ("key", "value"),
    [("size", [0, 16]), ("size", [1, 2, 3]), ("size", 1e5), ("size", 20_000), ("channels", 2),
     ("resize", "bend"), ("background", "red"), ("on_error", "ignore"), ("kind", "guess"),
     ("validation", 1.5)],
)  # fmt: skip
def test_an_impossible_option_is_refused_by_key_and_value(key, value):
    with pytest.raises(DlrunError) as caught:
        image_folder(path="photos", **{key: value})
    assert caught.value.message.startswith(f"data.{key}={value}: expected ")


@pytest.mark.parametrize("key", ["image", "target", "by"])
def test_an_option_that_names_a_column_is_refused_without_a_table(key):
    with pytest.raises(DlrunError, match="'x' names a column, but there is no table"):
        image_folder(path="photos", **{key: "x"})


@pytest.mark.parametrize("target", [None, "kind"])
def test_a_table_in_place_of_the_folder_is_told_with_what_names_it(tmp_path, target):
    path = tmp_path / "labels.csv"
    path.write_text("path,kind\na.png,cat\n")
    with pytest.raises(DlrunError, match=r"labels\.csv: is a table, expected a folder") as caught:
        image_folder(path=str(path), target=target)
    assert str(caught.value.hint).startswith(f"data.path={tmp_path} data.labels={path},")


def test_a_wrong_folder_is_told_before_a_framework_is_imported(dlrun):
    write_classes(dlrun.cwd / "photos", 3)
    (dlrun.cwd / "photos/cat/1.png").write_text("no image")
    done = dlrun("train", "data=image_folder", "data.path=photos", env={"KERAS_BACKEND": "none"})
    assert done.returncode == 2
    assert done.stderr.startswith("error: data: photos/cat/1.png can't be decoded: it is no image")
    assert "data.on_error=skip" in done.stderr


@pytest.mark.slow
@pytest.mark.trains
def test_digits_are_learned_from_their_images(tmp_path):
    tensorflow = worker("tensorflow")
    path = write_digits(tmp_path / "digits", 900)
    settings = ("data=image_folder", f"data.path={path}", "data.size=16", "model.filters=16")
    result = tensorflow.train(tmp_path, *settings, "epochs=8", "batch_size=32")
    assert result["test"]["accuracy"] > 0.9
    saved = json.loads((result["path"] / "inputs.json").read_text())
    assert saved["outputs"][0]["target"]["classes"] == [str(n) for n in range(10)]
    evaluated = tensorflow.evaluate(tmp_path, result["path"])
    assert evaluated["metrics"] == pytest.approx(result["test"], abs=1e-5)
    # Images of the user's, in the form that the run saved.
    sevens = tmp_path / "digits" / "7"
    count = tensorflow.predict(tmp_path, result["path"], "sevens.npz", sevens)["samples"]
    assert count == len(list(sevens.iterdir()))
    with np.load(tmp_path / "sevens.npz") as arrays:
        assert (arrays["predicted_label"] == "7").mean() > 0.8
        assert arrays["file"][0].startswith(str(sevens))


def test_keys_of_options_that_are_added_are_known_beside_a_task_that_is_found(tmp_path):
    path = write_classes(tmp_path / "photos")
    config = compose(
        ["data=image_folder", f"data.path={path}", "+augmentation=zoom",
         "augmentation.zoom.height_factor=0.3"]
    )  # fmt: skip
    assert config.choices["task"] == "classification"
    assert config.choices["model"] == "small_convnet"
    assert config.augmentation["zoom"]["height_factor"] == 0.3
