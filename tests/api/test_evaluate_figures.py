"""Figures of finished runs: in their directory, on the screen, as JSON and as CSV."""

import csv
import json

import numpy as np
import pytest
from sklearn import metrics

from conftest import slow_on
from houses import SPLIT, read_csv, without, write_csv
from trainings import Refused, worker

pytestmark = pytest.mark.trains

DATA = """
import numpy as np
from dlrun.data.dataset import Dataset, Split

def steps(limit=None):
    generator = np.random.default_rng(1)
    x = generator.integers(1, 6, (60, 5))
    y = x % 3
    x[:, 3:] *= generator.integers(0, 2, (60, 1))  # padding
    weights = np.ones((60, 5), "float32")
    weights[::4, 0] = 0
    split = Split(x.astype("float32"), y, weights)
    return Dataset(split, split, split, num_classes=3)
"""
MODEL = """
import keras

def tags(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Embedding(6, 8, mask_zero=True)(inputs)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))
"""


def tables(run):
    return {
        str(p.relative_to(run / "evaluation")): read_csv(p)
        for p in run.rglob("evaluation/**/*.csv")
    }


def of_test_split(homes, name):
    """The rows of the test split, and what the run predicts for them."""
    rows = [place for place, split in enumerate(SPLIT) if split == "test"]
    part = {column: [values[row] for row in rows] for column, values in homes.table.items()}
    write_csv(homes.cwd / "part.csv", without(part, "price", "big", "tags", "kind"))
    return rows, part, homes.predict(name, "part.csv")


def test_a_run_keeps_the_figures_of_its_classes(homes):
    rows, part, predicted = of_test_split(homes, "kind")
    run = homes.run("kind")
    found = tables(run)
    truth, chosen = part["kind"], [row["predicted_kind"] for row in predicted]
    names = ["big", "mid", "small"]
    counts = metrics.confusion_matrix(truth, chosen, labels=names)
    matrix = [[int(row[name]) for name in names] for row in found["confusion_matrix.csv"]]
    assert matrix == counts.tolist()
    assert [row["true"] for row in found["confusion_matrix.csv"]] == names
    recall = metrics.recall_score(truth, chosen, labels=names, average=None, zero_division=0)
    assert [float(row["recall"]) for row in found["per_class.csv"]] == pytest.approx(recall)
    assert {"roc.csv", "precision_recall.csv", "calibration.csv"} <= set(found)
    worst = found["most_wrong.csv"][0]
    row = rows[int(worst["sample"])]
    assert worst["id"] == homes.table["house_id"][row]
    assert worst["label"] == homes.table["kind"][row] != worst["predicted"]


def test_each_output_has_a_folder(homes):
    _, part, predicted = of_test_split(homes, "both")
    found = tables(homes.run("both"))
    errors = [float(row["predicted_price"]) for row in predicted] - np.array(part["price"])
    quantiles = {float(r["quantile"]): float(r["error"]) for r in found["price/residuals.csv"]}
    assert quantiles[0.5] == pytest.approx(np.median(errors), rel=1e-4)
    assert "kind/per_class.csv" in found
    assert "per_class.csv" not in found
    named = tables(homes.run("tags"))
    assert [row["class"] for row in named["per_class.csv"]] == ["a", "b", "c"]
    assert len(tables(homes.run("big"))["thresholds.csv"]) == 19


def test_steps_that_are_masked_or_weigh_nothing_do_not_count(dlrun):
    (dlrun.cwd / "my_data.py").write_text(DATA)
    (dlrun.cwd / "my_net.py").write_text(MODEL)
    words = ("data._target_=my_data.steps", "~data.validation_samples", "epochs=2")
    words += ("model._target_=my_net.tags", "~model.units", "--trust", "my_data")
    names = {}
    exec(DATA, names)
    split = names["steps"]().test
    counted = (split.inputs != 0) & (split.weights != 0)
    for backend in ("jax", "torch"):
        result = dlrun.warm(backend, "train", *words, "--trust", "my_net")
        found = tables(dlrun.path(result))
        assert [int(r["support"]) for r in found["per_class.csv"]] == np.bincount(
            split.labels[counted]
        ).tolist()
        assert "step" in found["most_wrong.csv"][0]


OWN = """
from dlrun.loops.step import Step

class Own(Step):
    pass
"""


@pytest.mark.parametrize("backend", slow_on("tensorflow", of=("jax", "tensorflow")))
def test_several_batches_a_call_and_a_step_of_ones_own_have_figures_too(dlrun, backend):
    (dlrun.cwd / "own.py").write_text(OWN)
    several = ("loop=fit", "loop.steps_per_execution=4")
    for words in (several, ("loop=raw", "loop.step._target_=own.Own", "--trust", "own")):
        result = dlrun.warm(backend, "train", "data.limit=300", "epochs=1", *words)
        found = tables(dlrun.path(result))["confusion_matrix.csv"]
        counts = np.array([[int(row[str(name)]) for name in range(10)] for row in found])
        assert counts.sum() == 300
        assert np.trace(counts) / 300 == pytest.approx(result["test"]["accuracy"])


def test_a_class_can_decide(trained, dlrun):
    run = trained.run("jax")
    found = dlrun.within(
        "jax", "evaluate", run, "--fail-under", "recall[8]=0.999", "--csv", "tables", "--json"
    )
    assert found.returncode == 1
    figures = json.loads(found.stdout)["figures"]
    recall = figures["per_class"][8]["recall"]
    assert found.stderr.splitlines()[0] == f"error: recall[8] {recall:.6g} is under 0.999"
    with (dlrun.cwd / "tables" / "metrics.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    rows = {(row["class"], row["metric"]): float(row["value"]) for row in read}
    assert len(rows) == len(read)  # each figure once
    assert rows["8", "recall"] == recall
    assert rows["", "f1_macro"] == figures["summary"]["f1_macro"]
    assert sum(map(sum, figures["confusion_matrix"]["counts"])) == 3000
    for gate, message in {
        "recall[cat]=0.9": "there is no 'cat'; there are 0, 1, 2",
        "recal[1]=0.9": "no metric 'recal[1]'",
    }.items():
        done = dlrun.here("evaluate", run, "--fail-under", gate)
        assert done.returncode == 2
        assert message in done.stderr


def test_several_runs_and_backends_are_one_table(trained, dlrun):
    runs = [trained.run("jax"), trained.run("torch")]
    found = dlrun.json(
        "evaluate", *runs, "backend=jax,numpy", "--checkpoint", "best,4", "--against", runs[1],
        "data.limit=500",
    )  # fmt: skip
    each = found["evaluations"]
    assert [e["run_dir"] for e in each] == [str(run) for run in runs for _ in range(4)]
    assert [e["backend"] for e in each] == ["jax", "numpy"] * 4
    losses = [e["metrics"]["loss"] for e in each]
    assert losses[::2] == pytest.approx(losses[1::2], abs=1e-5)
    with_itself = each[4]["figures"]["against"]
    assert (with_itself["p_value"], with_itself["difference"]) == (1.0, 0.0)
    other = each[0]["figures"]["against"]
    assert other["difference"] == pytest.approx(
        each[0]["metrics"]["accuracy"] - each[4]["metrics"]["accuracy"], abs=1e-6
    )


def test_a_comparison_names_the_checkpoint(trained, dlrun):
    run = trained.run("jax")
    done = dlrun.within(
        "numpy", "evaluate", run, "--checkpoint", "best,4", "--against", run, "data.limit=500"
    )
    assert done.returncode == 0, done.stderr
    first, second = (line for line in done.stdout.splitlines() if "p = " in line)
    assert f"{run}, epoch " in first
    assert "p = 1 " in first  # the best epoch, with itself
    assert second.startswith(f"{run}, epoch 4, numpy: ")


def test_the_screen_has_the_table_and_an_interval(trained, dlrun):
    words = ("evaluate", trained.run("jax"), "--bootstrap", "50", "data.limit=300")
    done = dlrun.within("jax", *words)
    assert done.returncode == 0, done.stderr
    for part in ("95 % interval", "class  precision", "true \\ predicted", "most wrong"):
        assert part in done.stdout


def test_each_output_has_its_tables_on_the_screen_and_as_csv(homes):
    # One of them is called "kind", as a key of the figures of a single output.
    words = ["evaluate", str(homes.run("both")), "--csv", "tables_of_both"]
    code, stdout, stderr = worker("jax").command(homes.cwd, words)
    assert code == 0, stderr
    for part in ("\nprice\n", "\nkind\n", "root_mean_squared_error", "f1_macro"):
        assert part in stdout
    rows = read_csv(homes.cwd / "tables_of_both/metrics.csv")
    found = {(row["output"], row["class"], row["metric"]) for row in rows}
    assert {("price", "", "r2"), ("kind", "mid", "recall")} <= found


def test_ids_of_a_file_name_the_worst(homes):
    write_csv(homes.cwd / "truth.csv", homes.table)
    found = worker("jax").evaluate(homes.cwd, homes.run("kind"), data="truth.csv")
    worst = found["figures"]["most_wrong"][0]
    assert worst["id"] == homes.table["house_id"][worst["sample"]]
    with pytest.raises(Refused, match="predict other things"):
        worker("jax").evaluate(
            homes.cwd, homes.run("kind"), data="truth.csv", against=str(homes.run("big"))
        )
