"""A user's own arrays in one file."""

import io
import zipfile

import numpy as np
import pytest

from dlrun.data.npz import NAMES, npz, read
from dlrun.errors import DlrunError

ARRAYS = {
    "x_train": np.arange(40, dtype=np.uint8).reshape(10, 4),
    "y_train": np.arange(10) % 3,
    "x_test": np.zeros((5, 4), np.uint8),
    "y_test": np.zeros(5, int),
}


def test_the_arrays_become_the_splits(tmp_path):
    np.savez(tmp_path / "mine.npz", **ARRAYS)
    path = str(tmp_path / "mine.npz")
    data = npz(path=path, num_classes=3, validation_samples=4, scale=255)
    assert (len(data.train), len(data.validation), len(data.test)) == (6, 4, 5)
    np.testing.assert_array_equal(data.train.inputs, ARRAYS["x_train"][4:])
    np.testing.assert_array_equal(data.validation.labels, ARRAYS["y_train"][:4])
    assert (data.input_shape, data.num_classes, data.scale) == ((4,), 3, 255)
    assert len(npz(path=path, num_classes=3, limit=2).train) == 2


def test_weights_are_optional_arrays(tmp_path):
    weights = {"w_train": np.arange(10.0), "w_test": np.ones(5)}
    np.savez(tmp_path / "mine.npz", **ARRAYS, **weights)
    data = npz(path=str(tmp_path / "mine.npz"), num_classes=3, validation_samples=4)
    assert data.validation.weights.tolist() == [0, 1, 2, 3]
    assert data.train.weights.tolist() == [4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(data.test.weights, weights["w_test"])
    np.savez(tmp_path / "mine.npz", **ARRAYS)
    data = npz(path=str(tmp_path / "mine.npz"), num_classes=3, standardize=True)
    assert data.train.weights is data.test.weights is None


def break_file(path, how):
    content = path.read_bytes()
    place = content.index(bytes(ARRAYS["x_train"]))
    if how == "missing":
        path.unlink()
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    elif how == "no key":
        np.savez(path, **{name: ARRAYS[name] for name in NAMES[:3]})
    elif how == "one array":
        with path.open("wb") as file:
            np.save(file, ARRAYS["x_train"])
    elif how == "pickled":
        np.savez(path, **ARRAYS | {"y_test": np.array([{}], object)})
    elif how == "a header that lies":
        with zipfile.ZipFile(path, "w") as archive:
            for name in NAMES:
                file = io.BytesIO()
                np.save(file, ARRAYS[name])
                lies = (
                    file.getvalue().replace(b"(", b"(1", 1) if name == "y_test" else file.getvalue()
                )
                archive.writestr(f"{name}.npy", lies)
    else:
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        broken = {"empty": b"", "cut": content[:-200], "text": b"1 2 3", "flipped": flipped}
        path.write_bytes(broken[how])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "no such file"),
        ("a folder", "no such file"),
        ("no key", "no array 'y_test'; the file has x_train, y_train, x_test"),
        ("one array", "is a single array"),
        ("pickled", "can't be read: "),
        ("empty", "is empty, expected a .npz file"),
        ("cut", "is cut short, or something else, expected a .npz file"),
        ("text", "is cut short, or something else, expected a .npz file"),
        ("a header that lies", "can't be read: array 'y_test.npy': its header declares"),
        ("flipped", "can't be read: Bad CRC-32"),
    ],
)
def test_a_damaged_file_is_reported_with_its_path(tmp_path, how, message):
    path = tmp_path / "mine.npz"
    np.savez(path, **ARRAYS)
    break_file(path, how)
    with pytest.raises(DlrunError) as caught:
        read(path, NAMES)
    assert caught.value.message.startswith(f"data: {path}")
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("change", "validation", "message"),
    [
        ({"y_train": np.ones(10, int)}, 2, "y_train is 1 in every row"),
        ({"y_train": np.arange(9) % 3}, 2, r"mine\.npz: .* x_train \(10, 4\), y_train \(9,\)"),
        ({"y_test": np.zeros(4, int)}, 2, r"mine\.npz: .* x_test \(5, 4\), y_test \(4,\)"),
        ({n: ARRAYS[n][:0] for n in ("x_train", "y_train")}, 0, "nothing to train on: there are 0"),
    ],
)
def test_arrays_that_teach_nothing_are_refused_with_a_fix(tmp_path, change, validation, message):
    np.savez(tmp_path / "mine.npz", **ARRAYS | change)
    with pytest.raises(DlrunError, match=message) as caught:
        npz(path=str(tmp_path / "mine.npz"), num_classes=3, validation_samples=validation)
    assert caught.value.hint
    assert "-1" not in caught.value.hint


@pytest.mark.parametrize(
    ("names", "change", "hint"),
    [
        (("x", "y"), {}, "data=npz data.path={path} takes them as they are split"),
        (NAMES, {"y_train": np.array(["a", 1], object)}, "array.astype('float32') or (str)"),
    ],
)
def test_a_file_that_another_option_reads_or_none_says_so(tmp_path, names, change, hint):
    path = tmp_path / "mine.npz"
    np.savez(path, **ARRAYS | change)
    with pytest.raises(DlrunError) as caught:
        read(path, names)
    assert hint.format(path=path) in caught.value.hint


def test_arrays_that_are_not_read_are_named(tmp_path, caplog):
    np.savez(tmp_path / "mine.npz", **ARRAYS)
    npz(path=str(tmp_path / "mine.npz"), num_classes=3)
    assert not caplog.records
    np.savez(tmp_path / "mine.npz", **ARRAYS, x_val=np.ones((5, 4)), weights=np.ones(10))
    npz(path=str(tmp_path / "mine.npz"), num_classes=3)
    [record] = caplog.records
    assert "mine.npz: arrays that are not read: x_val, weights; read are x_train" in record.message


def test_a_file_of_nearly_the_name_is_named(tmp_path):
    np.savez(tmp_path / "mine.npz", **ARRAYS)
    for path in ("mime.npz", "mine.npy"):
        with pytest.raises(DlrunError) as caught:
            read(str(tmp_path / path), NAMES)
        assert caught.value.hint == f"did you mean {tmp_path / 'mine.npz'}?"
