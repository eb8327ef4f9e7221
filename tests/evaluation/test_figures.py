"""Figures of an evaluation, against scikit-learn's."""

import csv

import numpy as np
import pytest
from sklearn import calibration, metrics

from dlrun.evaluation import curves
from dlrun.evaluation.classes import THRESHOLDS
from dlrun.evaluation.figures import figures_of, write_all
from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS, Form
from dlrun.evaluation.outcome import Outcome

SAMPLES = 500


def outcome(form, labels, outputs, parts=3, **options):
    made = Outcome(form, len(labels), outputs.shape[1], **options)
    for rows in np.array_split(np.arange(len(labels)), parts):
        made.add(labels[rows], outputs[rows], rows, np.zeros(len(rows), np.int64))
    return made


def softmax(logits):
    values = np.exp(logits.astype(np.float64))
    return values / values.sum(axis=1, keepdims=True)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def classes(rng):
    """Labels and logits of four classes: one is never predicted, one never there."""
    labels = rng.choice(4, SAMPLES, p=[0.5, 0.3, 0.2, 0.0])
    logits = rng.normal(size=(SAMPLES, 4)).astype(np.float32)
    logits[np.arange(SAMPLES), labels] += 1
    logits[:, 2] -= 20
    return labels, logits.round(1)  # with ties


def column(figures, table, name):
    return figures.to_dict()[table][name]


def test_figures_of_classes_are_those_of_scikit_learn(classes):
    labels, logits = classes
    figures = figures_of(outcome(Form(CLASSES, tuple("abcd"), "softmax"), labels, logits))
    chosen, found = logits.argmax(axis=1), softmax(logits)
    expected = metrics.precision_recall_fscore_support(
        labels, chosen, labels=range(4), zero_division=0
    )
    rows = np.array([row[1:] for row in figures.tables["per_class"].rows], float).T
    np.testing.assert_allclose(rows, expected, atol=1e-12)
    counts = np.array(figures.to_dict()["confusion_matrix"]["counts"])
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(labels, chosen, labels=range(4)))
    said = figures.summary
    assert said["accuracy"] == metrics.accuracy_score(labels, chosen)
    assert said["balanced_accuracy"] == pytest.approx(np.mean(expected[1][:3]))
    assert said["matthews_corrcoef"] == pytest.approx(metrics.matthews_corrcoef(labels, chosen))
    assert said["log_loss"] == pytest.approx(metrics.log_loss(labels, found, labels=range(4)))
    for mean in ("macro", "weighted"):
        of_mean = metrics.f1_score(labels, chosen, average=mean, zero_division=0)
        assert said[f"f1_{mean}"] == pytest.approx(of_mean)


def test_curves_are_those_of_scikit_learn(classes, rng):
    labels, logits = classes
    scores = softmax(logits)[:, 0].astype(np.float32)
    truth = labels == 0
    ranking = curves.Ranking(truth, scores)
    thresholds, wrong, right = ranking.roc()
    for ours, theirs in zip(
        (wrong, right, thresholds), metrics.roc_curve(truth, scores), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    thresholds, precision, recall = ranking.precision_recall()
    theirs = metrics.precision_recall_curve(truth, scores)
    for ours, of_them in zip((precision, recall, thresholds[:-1]), theirs, strict=True):
        np.testing.assert_allclose(ours, of_them, atol=1e-12)
    assert curves.area(ranking.roc()) == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert curves.average_precision(ranking.precision_recall()) == pytest.approx(
        metrics.average_precision_score(truth, scores)
    )
    said, true, counts = curves.calibration(truth, scores)
    theirs = calibration.calibration_curve(truth, scores, n_bins=10)
    np.testing.assert_allclose((true, said), theirs, rtol=1e-6)
    assert counts.sum() == SAMPLES


def test_a_binary_output_has_a_table_of_thresholds(rng):
    labels = (rng.random(SAMPLES) < 0.3).astype(np.int64)
    logits = (rng.normal(size=(SAMPLES, 1)) + 2 * labels[:, None]).astype(np.float32)
    figures = figures_of(outcome(Form(BINARY, ("no", "yes"), "sigmoid"), labels, logits))
    scores = 1 / (1 + np.exp(-logits[:, 0].astype(np.float64)))
    rows = {row[0]: row[1:] for row in figures.tables["thresholds"].rows}
    assert tuple(rows) == THRESHOLDS
    for threshold in (0.05, 0.5, 0.9):
        chosen = scores > threshold
        expected = (
            metrics.precision_score(labels, chosen),
            metrics.recall_score(labels, chosen),
            metrics.f1_score(labels, chosen),
            metrics.recall_score(labels, chosen, pos_label=0),
            metrics.accuracy_score(labels, chosen),
        )
        assert rows[threshold] == pytest.approx(expected)
    assert figures.summary["accuracy"] == rows[0.5][-1]
    assert figures.summary["brier_score"] == pytest.approx(
        metrics.brier_score_loss(labels, scores), rel=1e-6
    )
    assert figures.summary["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert {row[0] for row in figures.tables["roc"].rows} == {"yes"}


def test_several_labels_have_figures_for_each(rng):
    labels = (rng.random((SAMPLES, 3)) < [0.2, 0.5, 0.7]).astype(np.uint8)
    logits = (rng.normal(size=(SAMPLES, 3)) + 2 * labels - 1).astype(np.float32)
    figures = figures_of(outcome(Form(MULTILABEL, ("a", "b", "c"), "sigmoid"), labels, logits))
    expected = metrics.precision_recall_fscore_support(labels, logits > 0)
    rows = np.array([row[1:] for row in figures.tables["per_class"].rows]).T
    np.testing.assert_allclose(rows, expected)
    assert "confusion_matrix" not in figures.tables
    assert figures.summary["hamming_loss"] == metrics.hamming_loss(labels, logits > 0)
    assert figures.summary["f1_micro"] == pytest.approx(
        metrics.f1_score(labels, logits > 0, average="micro")
    )
    worst = figures.tables["most_wrong"].records()[0]
    named = "|".join(np.array(["a", "b", "c"])[labels[worst["sample"]] != 0])
    assert worst["label"] == named
    assert worst["predicted"] != named


def test_figures_of_numbers_are_those_of_scikit_learn(rng):
    true = rng.normal(1e6, 5, (SAMPLES, 2))
    found = true + rng.normal(1, [1, 3], (SAMPLES, 2))
    made = Outcome(Form(NUMBERS, ("x", "y")), SAMPLES, 2)
    for rows in np.array_split(np.arange(SAMPLES), 3):
        made.add(true[rows], found[rows], rows, rows)
    figures = figures_of(made)
    rows = figures.tables["per_target"].records()
    r2 = metrics.r2_score(true, found, multioutput="raw_values")
    assert [row["r2"] for row in rows] == pytest.approx(r2)
    errors = metrics.mean_absolute_error(true, found, multioutput="raw_values")
    assert [row["mean_absolute_error"] for row in rows] == pytest.approx(errors)
    assert figures.summary["r2"] == pytest.approx(metrics.r2_score(true, found))
    quantiles = {(r[0], r[1]): r[2] for r in figures.tables["residuals"].rows}
    expected = np.quantile(found[:, 1] - true[:, 1], 0.95)
    assert quantiles["y", 0.95] == pytest.approx(expected, abs=0.1)  # float32, near a million


def test_what_is_not_kept_has_the_same_counts_and_no_curves(classes):
    labels, logits = classes
    form = Form(CLASSES, tuple("abcd"), "softmax")
    whole = figures_of(outcome(form, labels, logits))
    counted = figures_of(outcome(form, labels, logits, parts=7, keep=False))
    for name in ("per_class", "confusion_matrix", "most_wrong"):
        assert counted.tables[name] == whole.tables[name]
    assert "roc" in whole.tables
    assert "roc" not in counted.tables
    assert counted.notes == ["no curves: the outputs have 0 MB, and are not kept"]


def test_the_worst_samples_are_named_and_written(classes, tmp_path):
    labels, logits = classes
    form = Form(CLASSES, ("a", "b,c", 'd"', "e"), "softmax")
    figures = figures_of(outcome(form, labels, logits), ids=lambda sample: f"file {sample}")
    write_all({"": figures}, tmp_path / "evaluation")
    with (tmp_path / "evaluation" / "most_wrong.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    loss = -np.log(softmax(logits)[np.arange(SAMPLES), labels])
    loss[logits.argmax(axis=1) == labels] = -1
    worst = np.argsort(-loss)[:20]
    assert len(rows) == 20
    assert sorted(float(row["loss"]) for row in rows) == pytest.approx(sorted(loss[worst]))
    assert rows[0]["id"] == f"file {rows[0]['sample']}"
    assert {row["label"] for row in rows} <= set(form.names)
    with (tmp_path / "evaluation" / "confusion_matrix.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["true", *form.names]


def test_an_outputs_name_leads_to_no_other_folder(classes, tmp_path):
    labels, logits = classes
    figures = figures_of(outcome(Form(CLASSES, tuple("abcd"), "softmax"), labels, logits))
    write_all({"..": figures, "a/b": figures}, tmp_path / "evaluation")
    folders = {path.parent.name for path in (tmp_path / "evaluation").rglob("per_class.csv")}
    assert folders == {"_2", "a_b"}
