"""Columns become a model's inputs as scikit-learn and NumPy would make them."""

import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from dlrun.data import columns
from dlrun.data.preprocessing.columns import Columns
from dlrun.data.tabular.column_values import WrongValueError, index_of_class
from dlrun.data.targets import Target


def fit(kind, values, *, parts=3, **options):
    """Fit a column to values in batches, and save and load it."""
    fitter = columns.fitter(kind, "c", options)
    array = values if isinstance(values, pa.Array) else pa.array(values)
    size = -(-len(array) // parts)
    for start in range(0, len(array), size):
        fitter.update(array[start : start + size])
    entry = json.loads(json.dumps(columns.to_entry(fitter.result())))
    return columns.from_entry(entry)


def encode(column, values):
    """The values of a column, ``(rows, width)``."""
    out = np.zeros((len(values), column.width), np.int32 if column.sizes else np.float32)
    column.encode(values, out)
    return out


NUMBERS = np.random.default_rng(0).normal(1e6, 30, 1000)


def test_numbers_are_scaled_as_scikit_learn_scales_them():
    new = pa.array([1e6, 1e6 + 50])
    for scale, scaler in (("standardize", StandardScaler()), ("min_max", MinMaxScaler())):
        scaler.fit(NUMBERS[:, None])
        found = encode(fit("number", NUMBERS, scale=scale), new)
        expected = scaler.transform(np.asarray(new)[:, None])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    logs = np.sign(NUMBERS) * np.log1p(np.abs(NUMBERS))
    found = encode(fit("number", NUMBERS, scale="log"), new)[:, 0]
    expected = (np.log1p(np.asarray(new)) - logs.mean()) / logs.std()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert encode(fit("number", NUMBERS, scale="none"), new)[:, 0].tolist() == [1e6, 1e6 + 50]


def test_a_number_too_large_for_its_scale_is_refused_without_a_warning():
    column = fit("number", [1e-9, 2e-9])
    for large in (1e300, -1e308):  # which overflow where they are divided
        with pytest.raises(WrongValueError, match="expected a number that float32 holds"):
            encode(column, pa.array([1e-9, large]))


def test_quantiles_are_the_share_of_training_values_below():
    column = fit("number", np.arange(5001.0), scale="quantile")
    found = encode(column, pa.array([-5.0, 1250.0, 2500.0, 9999.0]))[:, 0]
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 1], atol=1e-3)


def test_a_missing_number_is_the_mean_and_has_an_indicator_if_training_has_some():
    column = fit("number", [1.0, None, 3.0, 5.0])
    assert encode(column, pa.array([None, 3.0])).tolist() == [[0, 1], [0, 0]]
    assert encode(fit("number", [1.0, 3.0]), pa.array([None, 3.0])).tolist() == [[0], [1]]


def test_a_constant_number_is_not_divided_by_zero():
    assert encode(fit("number", [0.1] * 7), pa.array([0.1])).tolist() == [[0]]


def test_categories_are_one_hot_as_scikit_learn_makes_them():
    values = ["b", "a", "b", "c", None, "b", "a"]
    column = fit("category", values, encoding="one_hot")
    found = encode(column, pa.array(["a", "b", "c", "new", None]))
    encoder = OneHotEncoder(categories=[["b", "a", "c"]], handle_unknown="ignore")
    encoder.fit([[v] for v in "abc"])
    expected = encoder.transform([[v] for v in ("a", "b", "c", "new", "new")]).toarray()
    np.testing.assert_array_equal(found[:, 2:], expected)
    assert found[:, 0].tolist() == [0, 0, 0, 0, 1]  # missing


def test_ids_have_their_own_for_unseen_missing_and_rare_categories():
    values = ["b"] * 5 + ["a"] * 3 + ["rare", "odd"]
    column = fit("category", values, encoding="ids", min_count=2)
    found = encode(column, pa.array(["new", None, "rare", "odd", "b", "a"]))
    assert found[:, 0].tolist() == [0, 1, 2, 2, 3, 4]
    assert column.sizes == (5,)
    few = fit("category", values, encoding="ids", max_categories=1)
    assert encode(few, pa.array(["b", "a"]))[:, 0].tolist() == [3, 2]


def test_numbers_and_texts_of_one_category_are_the_same():
    column = fit("category", pa.array([7, 8, 7]), encoding="ids")
    for values in (pa.array(["7"]), pa.array([7]), pa.array([7.0])):
        assert encode(column, values).tolist() == [[3]]


def test_dates_and_texts_of_one_category_are_the_same():
    days = np.array(["2020-01-01", "2021-01-01", "2020-01-01"], "datetime64[us]")
    column = fit("category", pa.array(days), encoding="ids")
    target = Target("binary_classification", ("day",), column.categories)
    for values in (
        days[:2],
        ["2020-01-01", "2021-01-01T00:00"],
        ["2020-01-01 00:00:00Z", "2021-01-01"],
    ):
        assert encode(column, pa.array(values)).tolist() == [[3], [4]]
        assert target.encode({"day": pa.array(values)}).tolist() == [0, 1]
    assert encode(column, pa.array(["2020-01-02", "soon", None])).tolist() == [[0], [0], [1]]


def test_truth_values_are_1_and_0():
    assert encode(fit("boolean", [True, None]), pa.array([True, False, None])).tolist() == [
        [1, 0],
        [0, 0],
        [0, 1],
    ]
    assert encode(fit("boolean", ["yes", "no"]), pa.array(["Yes", "f", "1"])).tolist() == [
        [1],
        [0],
        [1],
    ]


def test_dates_are_a_time_line_and_cycles():
    days = np.datetime64("2024-01-01") + np.arange(730)
    column = fit("date", pa.array(days.astype("datetime64[us]")))
    seconds = days.astype("datetime64[s]").astype(float)
    found = encode(column, pa.array(["2024-01-01", "2025-12-30"]))
    expected = (seconds[[0, 729]] - seconds.mean()) / seconds.std()
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)
    week = found[:, 3:5]
    again = encode(column, pa.array(["2024-01-08", "2024-01-09"]))[:, 3:5]
    np.testing.assert_allclose(week[0], again[0], atol=1e-5)  # both a Monday
    assert abs(week[0] - again[1]).max() > 0.1
    assert column.cycles == ("year", "week")
    other = fit("date", ["31/12/2024", "01/02/2025"], format="%d/%m/%Y")
    assert encode(other, pa.array(["31/12/2024"]))[0, 0] == pytest.approx(-1)


def test_texts_are_the_ids_of_their_words_cut_and_padded():
    column = fit("text", ["The cat sat", "the Dog's cat", "the ÖL"], length=4)
    assert column.words[:2] == ("the", "cat")
    found = encode(column, pa.array(["THE cat, unheard!", "", None, "öl the the the the the"]))
    known = {word: n + 2 for n, word in enumerate(column.words)}
    oil = known["öl"]
    assert found.tolist() == [[2, 3, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [oil, 2, 2, 2]]
    assert column.sizes == (2 + 5,)
    assert fit("text", ["a b c d"], vocabulary_size=4).sizes == (4,)


@pytest.mark.parametrize(
    ("kind", "values", "row", "value"),
    [
        ("number", ["1", "x"], 1, "x"),
        ("number", [1.0, float("inf")], 1, float("inf")),
        ("boolean", ["yes", "maybe"], 1, "maybe"),
        ("date", ["2024-01-01", "31.12.2024"], 1, "31.12.2024"),
    ],
)
def test_a_value_of_another_kind_is_named_by_row(kind, values, row, value):
    with pytest.raises(WrongValueError) as caught:
        fit(kind, values, parts=1)
    assert (caught.value.row, caught.value.value) == (row, value)


def test_columns_of_one_input_lie_side_by_side_and_several_inputs_are_named():
    number, ids = fit("number", [1.0, 3.0]), fit("category", ["a", "b"], encoding="ids")
    step = Columns.from_state(json.loads(json.dumps(Columns((number,)).state())))
    assert step.apply({"c": pa.array([3.0])}).tolist() == [[1]]
    text = fit("text", ["a b"], length=2)
    renamed = [
        columns.from_entry({**columns.to_entry(c), "name": n})
        for c, n in ((ids, "i"), (text, "t"), (number, "n"))
    ]
    step = Columns(tuple(renamed))
    found = step.apply({"n": np.array([3.0]), "i": pa.array(["b"]), "t": pa.array(["b a"])})
    assert {name: array.tolist() for name, array in found.items()} == {
        "numbers": [[1]],
        "categories": [[4]],
        "t": [[3, 2]],
    }
    assert step.sizes == {"categories": (5,), "t": (4,)}
    with pytest.raises(ValueError, match="there is no column 'i'"):
        step.apply({"n": np.array([3.0])})


DAMAGED = {
    "no kind": {"name": "c", "kind": "os", "state": {}},
    "no state": {"name": "c", "kind": "number", "state": {}},
    "a deviation of 0": {
        "name": "c",
        "kind": "number",
        "state": {
            "scale": "none",
            "offset": 0,
            "divisor": 0,
            "fill": 0,
            "indicator": False,
            "quantiles": [],
        },
    },
    "words twice": {"name": "c", "kind": "text", "state": {"length": 1, "words": ["a", "a"]}},
    "a length of text": {"name": "c", "kind": "text", "state": {"length": "1", "words": ["a"]}},
    "an unknown cycle": {
        "name": "c",
        "kind": "date",
        "state": {"format": None, "mean": 0, "deviation": 1, "cycles": ["era"], "indicator": False},
    },
}


@pytest.mark.parametrize("entry", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_column_of_a_run_is_refused(entry):
    with pytest.raises(ValueError):
        columns.from_entry(entry)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_negative_zero_is_the_category_and_class_0(dtype):
    """Rounded to a whole number, -0.3 is -0.0, which Arrow takes for another value than 0.0."""
    values = pa.array(np.array([0.2, -0.3, -0.1, 0.4, 1.2, -1.5]).round().astype(dtype))
    assert fit("category", values).categories == ("0", "-2", "1")
    assert index_of_class(values, ["-2", "0", "1"]).tolist() == [1, 1, 1, 1, 2, 0]
    assert index_of_class(pa.array(["-0.0", "-0"]), ["-2", "0"]).tolist() == [1, 1]
