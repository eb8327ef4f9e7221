"""Texts in folders: classes, splits, encodings, and the run that is trained on them."""

import inspect
import json
import pydoc
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conftest import slow_on
from dlrun.data.text_folder import TextFolder, text_folder
from dlrun.errors import DlrunError
from trainings import worker

# Texts that every Python has: what its functions say of themselves.
MODULES = {
    "numbers": ("math", "cmath", "statistics", "decimal", "fractions", "random"),
    "files": ("os", "os.path", "shutil", "pathlib", "glob", "tempfile"),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: Path, texts: dict[str, str | bytes]) -> str:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder)


def reviews(folder: Path, count: int = 10) -> str:
    texts = {f"{kind}/{n}.txt": f"a {kind} film, number {n}" for n in range(count)
             for kind in ("good", "bad")}  # fmt: skip
    return write(folder, texts)


def files_of(source: TextFolder) -> dict[str, int]:
    """The split of each file."""
    files = [name for batch in source.batches() for name in batch.column("file").to_pylist()]
    return dict(zip(files, source.splits.tolist(), strict=True))


def test_a_folder_is_a_table_of_texts_labels_and_files(tmp_path):
    source = text_folder(path=reviews(tmp_path / "reviews"))
    assert dict(source.tasks()) == {None: "binary_classification"}
    described = source.describe()
    assert described.samples == 20
    assert described.splits == {"train": 14, "validation": 3, "test": 3}
    assert described.classes == {"label": {"bad": 10, "good": 10}}
    [text, label, file] = described.columns
    assert (text["kind"], label["kind"], file["kind"]) == ("text", "target", "left out")
    data = source.dataset()
    assert data.train.inputs.shape == (14, 5)
    [column] = data.preprocessing[0].fitted
    words = {word: number for number, word in enumerate(column.words, 2)}
    for split in (data.train, data.validation, data.test):
        for n, (ids, is_good) in enumerate(zip(split.inputs, split.labels, strict=True)):
            assert f"{'good' if is_good else 'bad'}/" in split.ids(n)
            assert ids[0] == words["a"]
            assert ids[1] == words["good" if is_good else "bad"]


def test_the_choices_that_are_described_give_the_same_data(tmp_path):
    source = text_folder(path=reviews(tmp_path / "reviews"))
    again = text_folder(**source.describe().explicit)
    assert (again.dataset().train.inputs == source.dataset().train.inputs).all()


def test_folders_of_splits_are_recognized_and_a_validation_is_drawn(tmp_path):
    path = reviews(tmp_path / "all/train")
    reviews(tmp_path / "all/test", count=3)
    source = text_folder(path=str(Path(path).parent))
    assert source.describe().splits == {"train": 17, "validation": 3, "test": 6}
    assert all(
        (name.startswith("test")) == (split == 2) for name, split in files_of(source).items()
    )
    reviews(tmp_path / "all/val", count=2)
    more = text_folder(path=str(Path(path).parent))
    assert more.describe().splits == {"train": 20, "validation": 4, "test": 6}
    assert more.describe().explicit["split"] == "auto"
    assert sum(text_folder(path=more.path, split="random").describe().splits.values()) == 30


def test_folders_to_train_and_to_validate_are_no_classes(tmp_path):
    reviews(tmp_path / "all/train")
    path = reviews(tmp_path / "all/val", count=2)
    source = text_folder(path=str(Path(path).parent))
    assert source.describe().splits == {"train": 17, "validation": 4, "test": 3}


def test_classes_may_be_called_train_and_test(tmp_path):
    texts = {f"{kind}/{n}.txt": f"{n}" for n in range(9) for kind in ("train", "test", "bus")}
    source = text_folder(path=write(tmp_path / "vehicles", texts))
    assert source.labels[None].classes == ("bus", "test", "train")


def test_by_the_hash_of_names_texts_that_are_added_leave_the_others_where_they_were(tmp_path):
    before = files_of(text_folder(path=reviews(tmp_path / "r", 100), split="hash"))
    after = files_of(text_folder(path=reviews(tmp_path / "r", 150), split="hash"))
    assert {name: after[name] for name in before} == before


def test_the_vocabulary_is_that_of_the_training_texts(tmp_path):
    texts = {
        f"{split}/{kind}/{n}.txt": f"{split} {kind} {n}"
        for split in ("train", "val", "test") for kind in ("good", "bad") for n in range(3)
    }  # fmt: skip
    [column] = text_folder(path=write(tmp_path / "r", texts)).dataset().preprocessing[0].fitted
    assert set(column.words) == {"train", "good", "bad", "0", "1", "2"}


def test_what_lies_elsewhere_is_left_out_and_told(tmp_path):
    path = reviews(tmp_path / "r")
    write(
        tmp_path / "r",
        {"README.txt": "x", "good/a.pdf": b"%", "good/.hidden": "x", ".git/a.txt": "x"},
    )
    write(tmp_path / "r", {"good/deeper/1.txt": "a good one", "bad/empty.txt": ""})
    source = text_folder(path=path)
    assert source.describe().samples == 22
    assert source.notes == [
        "1 texts lie in no folder of a class, and are left out",
        "1 files that are not *.txt are left out",
        "1 text is empty",
    ]


def test_encodings(tmp_path):
    texts = {f"{kind}/{n}.txt": f"café {kind}" for kind in "ab" for n in range(5)}
    latin = {name: text.encode("latin-1") for name, text in texts.items()}
    marked = {name: "\ufeff".encode() + text.encode() for name, text in texts.items()}
    path = write(tmp_path / "latin", latin)
    with pytest.raises(DlrunError) as caught:
        text_folder(path=path).tasks()
    assert caught.value.message == f"data: {path}/a/0.txt is not utf-8: byte 3 is 0xe9"
    assert "data.encoding=latin-1" in caught.value.hint
    for source in (
        text_folder(path=path, encoding="latin-1"),
        text_folder(path=write(tmp_path / "marked", marked)),
    ):
        assert source.dataset().preprocessing[0].fitted[0].words[0] == "café"


@pytest.mark.parametrize(
    ("texts", "options", "problem"),
    [
        ({}, {}, "no such folder"),
        (
            {"a.txt": "x"},
            {},
            "no text: no file *.txt in a folder for its class; 1 lie in no folder",
        ),
        ({"a/1.txt": "x", "a/2.txt": "y"}, {}, "at least two classes, found a"),
        ({"a/1.txt": "x", "a/2.txt": "y", "b/1.txt": "z"}, {}, "class 'b' has one text"),
        (
            {f"{k}/{n}.txt": "!" for k in "ab" for n in range(9)},
            {},
            "no text of the training split has a word",
        ),
        ({"a/1.txt": "x"}, {"classes": ["b"]}, "there is no text in a folder 'b'"),
        ({}, {"encoding": "utf-9"}, "data.encoding=utf-9: there is no such encoding"),
        ({}, {"length": 0}, "data.length=0: expected auto, or from 1"),
        ({}, {"split": "time"}, "data.split=time: expected auto, random"),
        ({}, {"kind": "regression"}, "data.kind=regression: expected classification"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tmp_path, texts, options, problem):
    with pytest.raises(DlrunError) as caught:
        text_folder(path=write(tmp_path / "r", texts), **options).dataset()
    assert problem in caught.value.message
    assert caught.value.exit_code == 2


def test_a_wrong_folder_ends_before_a_framework_is_imported(dlrun):
    done, imported = dlrun.traced("train", "data=text_folder", "data.path=nowhere")
    assert (done.returncode, "no such folder" in done.stderr) == (2, True)
    assert not imported & {"keras", "jax", "tensorflow", "torch"}


def docstrings(folder: Path) -> str:
    """Write what the functions of some modules say of themselves."""
    texts = {}
    for kind, names in MODULES.items():
        for name in names:
            for key, value in vars(import_module(name)).items():
                text = inspect.getdoc(value) if callable(value) and not key.startswith("_") else ""
                if text and len(text.split()) >= 5 and text != inspect.getdoc(type(value)):
                    texts[f"{kind}/{name}.{key}.txt"] = pydoc.plain(text)
    return write(folder, texts)


@pytest.mark.trains
@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
def test_a_run_learns_what_texts_are_about_and_predicts_new_ones(tmp_path, monkeypatch, backend):
    monkeypatch.delenv("DLRUN_CACHE")
    docstrings(tmp_path / "docs")
    result = worker(backend).train(
        tmp_path, "data=text_folder", "data.path=docs", "epochs=20", "batch_size=16",
        "optimizer.learning_rate=3e-3",
    )  # fmt: skip
    counts = [len(list((tmp_path / "docs" / kind).iterdir())) for kind in MODULES]
    assert result["test"]["binary_accuracy"] > max(counts) / sum(counts) + 0.1
    saved = json.loads((result["path"] / "inputs.json").read_text())
    assert saved["outputs"][0]["target"]["classes"] == ["files", "numbers"]
    np.savez(tmp_path / "new.npz", text=np.array(["Return the square root of x.",
             "Remove a directory tree, following symbolic links."]))  # fmt: skip
    worker(backend).predict(tmp_path, result["path"], Path("p.npz"), Path("new.npz"))
    root, tree = np.load(tmp_path / "p.npz")["probability_numbers"]
    assert root > 0.5 > tree


@pytest.mark.trains
def test_a_text_beside_numbers_is_for_another_model(tmp_path):
    kinds = ["good" if n % 2 else "bad" for n in range(60)]
    texts = [f"a {kind} film of {1900 + n}" for n, kind in enumerate(kinds)]
    table = {"text/body": texts, "stars": list(np.arange(60) / 7), "label": kinds}
    with pa.ipc.new_file(str(tmp_path / "t.arrow"), pa.table(table).schema) as writer:
        writer.write_table(pa.table(table))
    given = ("data=arrow", "data.path=t.arrow", "data.target=label", "epochs=1")
    assert worker("torch").train(tmp_path, *given)["epochs"] == 1  # model=tabular, found
    with pytest.raises(Exception, match="model=text_lstm reads one text; the data have 2 inputs"):
        worker("torch").train(tmp_path, *given, "model=text_lstm")
    for model in ("text_average", "text_classifier"):
        trained = worker("torch").train(tmp_path, *given, "data.drop=[stars]", f"model={model}")
        saved = json.loads((trained["path"] / "inputs.json").read_text())
        assert saved["inputs"][0]["sizes"] == [2 + 5 + 42]  # of each, a year
