"""Rows of other splits that also occur in the training split."""

import logging

import numpy as np
import pytest

from dlrun.data import duplicates
from dlrun.data.duplicates import RowHashes, row_hashes
from dlrun.data.table import table


def test_rows_that_also_train_draw_a_line_also_from_the_cache(tmp_path, caplog):
    generator = np.random.default_rng(0)
    lines = ["x,town,y,split"]
    for number in range(60):
        split = ("train", "train", "train", "validation", "test", "test")[number % 6]
        lines.append(f"{generator.normal():.6f},{'ABC'[number % 3]},{number % 2},{split}")
    first = lines[1].rpartition(",")[0]
    other = first.replace(f",{first.split(',')[1]},", ",C,")  # another category: another row
    lines += [f"{first},test", f"{first},test", f"{first},validation", f"{other},test"]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    expected = [
        "data: 1 of 11 validation samples also occur in the training split",
        "data: 2 of 23 test samples also occur in the training split",
    ]
    for _ in range(2):  # made, then from the cache
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="dlrun"):
            table(path=str(path), target="y").dataset()
        assert [record.getMessage() for record in caplog.records] == expected
    notes = table(path=str(path), target="y").describe().notes
    assert [f"data: {note}" for note in notes] == expected


def test_the_counts_are_those_of_numpy_in_one_pass_and_in_several(tmp_path, monkeypatch):
    generator = np.random.default_rng(1)
    rows = {
        "train": generator.integers(0, 12, (3000, 3)).astype(np.int32),
        "validation": generator.integers(0, 13, (500, 3)).astype(np.int32),
        "test": generator.integers(0, 14, (700, 3)).astype(np.int32),
    }
    known = {tuple(row) for row in rows["train"].tolist()}
    expected = {
        split: sum(tuple(row) in known for row in rows[split].tolist())
        for split in ("validation", "test")
    }
    for at_once in (duplicates.IN_MEMORY, 1000):
        monkeypatch.setattr(duplicates, "IN_MEMORY", at_once)
        with RowHashes(tmp_path) as hashes:
            for split, values in rows.items():
                for part in np.array_split(values, 3):
                    arrays = [part[:, :1].astype(np.float32), part[:, 1:]]
                    hashes.add(split, row_hashes(arrays))
            assert hashes.counts() == expected
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_different_rows_have_different_hashes(dtype):
    grid = np.stack(np.meshgrid(*[np.arange(20)] * 4), axis=-1).reshape(-1, 4).astype(dtype)
    assert len(np.unique(row_hashes([grid]))) == len(grid)
    assert len(np.unique(row_hashes([grid[:, :1], grid[:, 1:]]))) == len(grid)


def test_one_sample_is_called_one_as_several_are():
    counts = {"validation": 1, "test": 2}
    assert duplicates.notes(counts, {"validation": 1, "test": 5}) == [
        "the validation sample also occurs in the training split",
        "2 of 5 test samples also occur in the training split",
    ]
