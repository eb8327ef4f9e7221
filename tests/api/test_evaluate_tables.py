"""Evaluating runs on tables of the user's own."""

import shutil

import numpy as np
import pytest

from houses import SPLIT, columns, read_csv, without, write_csv
from trainings import Refused, worker

pytestmark = pytest.mark.trains


def evaluate(homes, name, *overrides, **options):
    return worker("jax").evaluate(homes.cwd, homes.run(name), *overrides, **options)


@pytest.fixture
def truth(homes):
    """``truth.csv``: new rows with their targets, of which two are missing."""
    table = columns(40, seed=2)
    for name in ("price", "kind"):
        table[name][3] = table[name][20] = None
    write_csv(homes.cwd / "truth.csv", table)
    return table


def test_metrics_are_those_of_the_predictions(homes, truth):
    there = [row for row in range(40) if row not in (3, 20)]
    rows = homes.predict("price", "truth.csv")
    errors = np.array([float(rows[r]["predicted_price"]) - truth["price"][r] for r in there])
    result = evaluate(homes, "price", data="truth.csv")
    assert (result["split"], result["samples"]) == ("truth.csv", 38)
    assert result["notes"] == ["2 rows have no price, and are left out"]
    metrics = result["metrics"]
    assert metrics["mean_absolute_error"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    of_train = np.array(homes.table["price"])[np.array(SPLIT) == "train"]
    assert metrics["loss"] == pytest.approx(((errors / of_train.std()) ** 2).mean(), rel=1e-5)

    rows = homes.predict("kind", "truth.csv")
    right = [float(rows[r][f"probability_{truth['kind'][r]}"]) for r in there]
    metrics = evaluate(homes, "kind", data="truth.csv")["metrics"]
    assert metrics["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-5)
    correct = [rows[r]["predicted_kind"] == truth["kind"][r] for r in there]
    assert metrics["accuracy"] == pytest.approx(np.mean(correct))


def test_rows_that_cannot_be_read_are_left_out_if_asked_for(homes, truth):
    whole = {name: [*map(str, of)] if name == "rooms" else of for name, of in truth.items()}
    write_csv(homes.cwd / "less.csv", {name: [*of[:5], *of[6:]] for name, of in whole.items()})
    whole["rooms"][5] = "many"
    write_csv(homes.cwd / "wrong.csv", whole)
    with pytest.raises(Refused, match=r"row 6: .*many"):
        evaluate(homes, "price", data="wrong.csv")
    result = evaluate(homes, "price", "data.weight=area", data="wrong.csv", on_error="skip")
    expected = evaluate(homes, "price", "data.weight=area", data="less.csv")
    assert (result["samples"], result["skipped"]) == (37, 1)
    assert result["metrics"] == expected["metrics"]
    with pytest.raises(Refused, match="--on-error skip: is for samples of --data"):
        evaluate(homes, "price", on_error="skip")


@pytest.mark.parametrize("name", ["price", "both"])
def test_rows_whose_label_or_weight_cannot_be_read_are_left_out_too(homes, truth, name):
    less = {column: [*of[:5], of[6], *of[8:]] for column, of in truth.items()}
    write_csv(homes.cwd / "less.csv", less)
    texts = {column: ["" if value is None else str(value) for value in truth[column]]
             for column in ("price", "rooms")}  # fmt: skip
    texts["price"][5], texts["rooms"][7] = "bad", "-2"
    write_csv(homes.cwd / "wrong.csv", truth | texts)
    with pytest.raises(Refused, match=r"row 6: column 'price': 'bad' is not .*1 more row is wrong"):
        evaluate(homes, name, "data.weight=rooms", data="wrong.csv")
    options = {"data": "wrong.csv", "on_error": "skip"}
    result = evaluate(homes, name, "data.weight=rooms", **options)
    expected = evaluate(homes, name, "data.weight=rooms", data="less.csv")
    assert (result["samples"], result["skipped"]) == (36, 2)
    assert result["metrics"] == expected["metrics"]
    dates = {"price": [f"2026-01-01 {n % 24:02}:00:00" for n in range(40)]}  # not even as no rows
    write_csv(homes.cwd / "dates.csv", truth | dates)
    with pytest.raises(Refused, match="no row could be read"):
        evaluate(homes, name, data="dates.csv", on_error="skip")


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_rows_of_which_none_has_a_target_are_no_data(homes, truth, on_error):
    write_csv(homes.cwd / "none.csv", truth | {"price": [None] * 40})
    with pytest.raises(Refused, match="no row has a target"):
        evaluate(homes, "price", data="none.csv", on_error=on_error)


def test_a_column_weighs_the_rows(homes, truth):
    there = [row for row in range(40) if row not in (3, 20)]
    rows = homes.predict("price", "truth.csv")
    errors = np.array([float(rows[r]["predicted_price"]) - truth["price"][r] for r in there])
    scaled = (errors / np.array(homes.table["price"])[np.array(SPLIT) == "train"].std()) ** 2
    weights = np.array(truth["rooms"])[there]
    metrics = evaluate(homes, "price", "data.weight=rooms", data="truth.csv")["metrics"]
    assert metrics["loss"] == pytest.approx((scaled * weights).mean(), rel=1e-5)
    evaluate(homes, "both", "data.weight=rooms", data="truth.csv")
    truth["rooms"][5] = -2
    write_csv(homes.cwd / "negative.csv", truth)
    for source, message in {
        "negative.csv": "row 6: column 'rooms': -2.0 is not a number from 0",
        "new.csv": "has no column 'price'",
    }.items():
        with pytest.raises(Refused, match=message):
            evaluate(homes, "price", "data.weight=rooms", data=source)
    with pytest.raises(Refused, match="has no column 'w', which weighs the run's rows"):
        evaluate(homes, "price", "data.weight=w", data="truth.csv")


@pytest.mark.parametrize("backend", ["jax", "numpy"])
def test_classes_weigh_as_in_training_on_other_data_too(homes, truth, dlrun, backend):
    run = homes.run("weighted")
    weights = dlrun.record(run)["class_weight"]
    assert len(set(weights.values())) > 1
    there = [row for row in range(40) if row not in (3, 20)]
    rows = homes.predict("weighted", "truth.csv")
    kinds = [truth["kind"][row] for row in there]
    right = [float(rows[r][f"probability_{kind}"]) for r, kind in zip(there, kinds, strict=True)]
    expected = np.mean([weights[kind] * -np.log(p) for kind, p in zip(kinds, right, strict=True)])
    copy = shutil.copytree(run, dlrun.cwd / "run")
    words = ("evaluate", copy, f"backend={backend}", "--data", homes.cwd / "truth.csv")
    assert dlrun.json(*words)["metrics"]["loss"] == pytest.approx(expected, rel=1e-5)


def test_numpy_evaluates_without_the_training_data(homes, truth, dlrun):
    run = shutil.copytree(homes.run("both"), dlrun.cwd / "run")
    words = ("backend=numpy", "--data", homes.cwd / "truth.csv")
    here = dlrun.json("evaluate", run, *words)["metrics"]
    assert here == pytest.approx(evaluate(homes, "both", data="truth.csv")["metrics"], rel=1e-5)


def test_a_wrong_target_is_one_line(homes, truth):
    truth["kind"][30] = "huge"
    write_csv(homes.cwd / "huge.csv", truth)
    write_csv(homes.cwd / "none.csv", without(truth, "kind"))
    expected = "row 31: column 'kind': 'huge' is not one of big, mid, small"
    for source, message in {"huge.csv": expected, "none.csv": "has no column 'kind'"}.items():
        with pytest.raises(Refused, match=message):
            evaluate(homes, "kind", data=source)
    with pytest.raises(Refused, match="huge"):
        evaluate(homes, "kind", "data.path=huge.csv", "data.split=random", "data.drop=[price]")


def test_the_test_split_of_another_file_is_encoded_as_the_runs_own(homes):
    """It has two of three classes, one of them once, and no id: nothing is found anew."""
    table = without(columns(60, seed=3), "house_id", "price", "big", "tags")
    table["kind"] = ["small"] * 59 + ["mid"]
    split = ["train", "validation", "test"] * 20
    write_csv(homes.cwd / "later.csv", {**table, "split": split})
    write_csv(homes.cwd / "part.csv", {name: values[2::3] for name, values in table.items()})
    there = evaluate(homes, "kind", "data.path=later.csv")
    expected = evaluate(homes, "kind", data="part.csv")
    assert (there["split"], there["samples"]) == ("test", 20)
    assert there["metrics"] == pytest.approx(expected["metrics"], rel=1e-6)
    probabilities = [
        float(row[f"probability_{kind}"])
        for row, kind in zip(homes.predict("kind", "part.csv"), table["kind"][2::3], strict=True)
    ]
    assert there["metrics"]["loss"] == pytest.approx(-np.log(probabilities).mean(), rel=1e-5)
    assert len(read_csv(homes.cwd / "part.csv")) == 20
