"""Which rows train, validate and test."""

import numpy as np
import pytest

from dlrun.data.draw_splits import split_rows
from dlrun.data.splits import TEST, TRAIN, VALIDATION, SplitOptions, file_split, resolve_way
from dlrun.errors import DlrunError


def counts(splits):
    return [int((splits == split).sum()) for split in (TRAIN, VALIDATION, TEST)]


def test_shares_and_numbers_of_rows_are_exact_and_depend_on_the_seed_alone():
    options = SplitOptions("random", validation=0.2, test=0.1)
    splits = split_rows(1000, options)
    assert counts(splits) == [700, 200, 100]
    np.testing.assert_array_equal(splits, split_rows(1000, options))
    # The config gives numbers of rows as floats, like shares.
    other = SplitOptions("random", validation=7.0, test=9, seed=1)
    other.check()
    assert counts(split_rows(1000, other)) == [984, 7, 9]
    # Known values: the same on every machine.
    assert np.flatnonzero(split_rows(20, SplitOptions("random")) == TEST).tolist() == [0, 2, 14]


def test_each_class_has_its_share_in_each_split():
    classes = np.repeat([0, 1, 2], [600, 300, 100])
    splits = split_rows(1000, SplitOptions("stratified"), classes=classes)
    for label, size in enumerate((600, 300, 100)):
        found = counts(splits[classes == label])
        assert np.allclose(found, [0.7 * size, 0.15 * size, 0.15 * size], atol=1.5)


def test_rows_that_are_added_later_leave_the_others_where_they_were():
    options = SplitOptions("hash", by="id")
    ids = [f"user-{n}" for n in range(3000)]
    first = split_rows(2000, options, values=ids[:2000])
    mixed = ids[2500:] + ids[:2000]
    later = split_rows(2500, options, values=mixed)
    np.testing.assert_array_equal(first, later[500:])
    assert np.allclose(counts(later), [1750, 375, 375], atol=60)


def test_no_group_is_in_two_splits():
    groups = np.random.default_rng(0).integers(0, 60, 2000)
    splits = split_rows(2000, SplitOptions("group", by="g"), values=groups.tolist())
    assert all(len(set(splits[groups == group])) == 1 for group in set(groups))
    assert np.allclose(counts(splits), [1400, 300, 300], atol=60)


def test_the_latest_rows_test_and_equal_times_stay_together():
    times = np.random.default_rng(0).integers(0, 50, 1000).astype(float)
    splits = split_rows(1000, SplitOptions("time", by="t"), values=times)
    assert times[splits == TRAIN].max() < times[splits == VALIDATION].min()
    assert times[splits == VALIDATION].max() < times[splits == TEST].min()


def test_a_column_names_the_splits_and_validation_is_drawn_if_it_names_none():
    values = ["train"] * 80 + ["TEST"] * 20
    splits = split_rows(100, SplitOptions("column", by="split"), values=values)
    assert counts(splits) == [68, 12, 20]
    assert (splits[80:] == TEST).all()
    with pytest.raises(DlrunError, match=r"row 2 of column 'split' is 'holdout'"):
        split_rows(2, SplitOptions("column", by="split"), values=["train", "holdout"])


def test_a_split_that_is_not_named_is_drawn_from_the_training_rows():
    options = SplitOptions("column", by="split", test=10)
    splits = split_rows(100, options, values=["train"] * 80 + ["validation"] * 20)
    assert counts(splits) == [70, 20, 10]
    assert (splits[80:] == VALIDATION).all()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_size_of_a_split_that_is_named_is_refused(split):
    values = ["train", "validation", "test"]
    named = r"split is already named, by column 'part'"
    with pytest.raises(DlrunError, match=rf"data\.{split}=0\.3: the {split} {named}"):
        split_rows(3, SplitOptions("column", by="part", **{split: 0.3}), values=values)
    codes = np.asarray([TRAIN, VALIDATION, TEST])
    with pytest.raises(DlrunError, match="by the names of folders or files"):
        split_rows(3, SplitOptions("files", **{split: 0.3}), files=codes)


def test_files_to_train_and_to_validate_are_enough_for_a_split_by_files():
    assert resolve_way(SplitOptions(), [], [TRAIN, VALIDATION], classes=True).way == "files"
    assert resolve_way(SplitOptions(), [], [TRAIN, None], classes=True).way == "stratified"


@pytest.mark.parametrize("way", ["random", "stratified", "group", "hash"])
def test_over_the_folds_each_row_is_tested_once(way):
    classes = np.arange(1003) % 3
    values = [f"g{n % 97}" for n in range(1003)]
    tested = np.zeros(1003, int)
    for fold in range(5):
        options = SplitOptions(way, by="g", folds=5, fold=fold, validation=0.1)
        splits = split_rows(1003, options, values=values, classes=classes)
        tested += splits == TEST
        assert counts(splits)[1] > 0
        if way == "stratified":
            assert counts(splits)[2] in (200, 201)
    assert (tested == 1).all()


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train/a.csv", TRAIN),
        ("val/a.csv", VALIDATION),
        ("data/test.csv", TEST),
        ("test-00000-of-00001.parquet", TEST),
        ("contest.csv", None),
    ],
)
def test_folders_and_files_name_splits(path, split):
    assert file_split(path) == split


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"way": "evenly"}, "expected auto, random"),
        ({"validation": 1.5}, "expected a share of the rows"),
        ({"test": -1}, "expected a share of the rows"),
        ({"test": None}, "test=null: expected a share of the rows"),
        ({"validation": "10%"}, "validation=10%: expected a share of the rows"),
        ({"validation": float("nan")}, "expected a share of the rows"),
        ({"test": float("inf")}, "expected a share of the rows"),
        ({"folds": 5, "fold": 5}, "expected a fold from 0"),
        ({"folds": 2.5}, "expected a fold from 0"),
        ({"folds": "a"}, "expected a fold from 0"),
        ({"folds": 5, "test": 0.2}, "data.test=0.2: with data.folds=5, one of the folds is the"),
        ({"folds": 5, "test": 0}, "data.test=0: with data.folds=5"),
        ({"fold": 2}, "needs the number of folds, data.folds"),
        ({"folds": 5, "way": "time", "by": "day"}, "a split by time has no folds"),
        ({"folds": 5, "way": "column", "by": "part"}, "a split by column has no folds"),
        ({"folds": 5, "way": "files"}, "a split by files has no folds"),
        ({"seed": -1}, "expected an integer from 0"),
        ({"way": "group"}, "needs a column"),
        ({"by": "city"}, "data.split=auto takes no column"),
        ({"way": "random", "by": "city"}, "data.split=random takes no column"),
    ],
)
def test_impossible_splits_are_refused(options, words):
    with pytest.raises(DlrunError, match=words):
        SplitOptions(**options).check()


def test_an_empty_split_is_refused():
    with pytest.raises(DlrunError, match="the train split is empty: 0 rows to train"):
        split_rows(3, SplitOptions("random", validation=2, test=1))


def test_more_folds_than_rows_are_refused():
    with pytest.raises(DlrunError, match=r"data\.folds=4: there are 3 rows"):
        split_rows(3, SplitOptions("random", folds=4))


@pytest.mark.parametrize(
    ("way", "values"), [("hash", ["a", None]), ("group", ["a", None]), ("time", [1.0, np.nan])]
)
def test_a_row_without_what_it_is_split_by_is_named(way, values):
    with pytest.raises(DlrunError, match=r"data\.by=c: row 12 has no "):
        split_rows(2, SplitOptions(way, by="c"), values=values, numbers=[7, 12])
