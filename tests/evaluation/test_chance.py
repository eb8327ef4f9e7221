"""Intervals and tests of differences, against SciPy's."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from dlrun.errors import DlrunError
from dlrun.evaluation.chance import compare, mcnemar
from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS, Form
from dlrun.evaluation.outcome import Outcome
from dlrun.evaluation.resampling import intervals

CLASS = Form(CLASSES, ("a", "b", "c"), "softmax")


def outcome(form, labels, outputs, sample=None, **options):
    made = Outcome(form, len(labels), outputs.shape[1], **options)
    places = np.arange(len(labels))
    made.add(labels, outputs, places if sample is None else sample, places)
    return made


def guesses(labels, share, rng):
    """Logits that are right for a share of the samples."""
    right = rng.random(len(labels)) < share
    chosen = np.where(right, labels, (labels + 1) % 3)
    return np.eye(3, dtype=np.float32)[chosen] * 5


@pytest.mark.parametrize("counts", [(0, 0), (3, 9), (9, 3), (40, 41), (500, 600), (0, 30)])
def test_mcnemar_is_the_exact_binomial_test(counts):
    expected = stats.binomtest(counts[0], sum(counts)).pvalue if sum(counts) else 1.0
    assert mcnemar(*counts) == pytest.approx(expected)


def test_a_difference_of_classes_is_told_from_chance():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 2000)
    good, worse, alike = (guesses(labels, share, rng) for share in (0.9, 0.85, 0.9))
    found = compare(outcome(CLASS, labels, good), outcome(CLASS, labels, worse))
    assert (found.metric, found.test, found.significant) == ("accuracy", "mcnemar", True)
    right = [logits.argmax(axis=1) == labels for logits in (good, worse)]
    assert found.only_right == (right[0] & ~right[1]).sum()
    assert found.difference == pytest.approx(right[0].mean() - right[1].mean())
    difference = right[0].astype(float) - right[1]
    width = 1.96 * difference.std() / np.sqrt(len(difference))
    assert np.diff(found.interval)[0] == pytest.approx(2 * width, rel=0.1)
    assert not compare(outcome(CLASS, labels, good), outcome(CLASS, labels, alike)).significant


def test_numbers_are_compared_by_resampling_pairs():
    rng = np.random.default_rng(1)
    true = rng.normal(size=(400, 1))
    noise = rng.normal(size=(400, 1))
    form = Form(NUMBERS, ("x",))
    first, second = (outcome(form, true, true + scale * noise) for scale in (1.0, 1.05))
    found = compare(first, second)
    assert (found.test, found.metric) == ("paired bootstrap", "mean_absolute_error")
    assert found.significant  # a small difference, but the same in every sample
    assert found.interval[1] < 0
    other = outcome(form, true, true + rng.normal(size=(400, 1)))
    assert not compare(first, other).significant


def test_intervals_are_as_wide_as_those_of_scipy():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 600)
    logits = guesses(labels, 0.8, rng)
    found = intervals(outcome(CLASS, labels, logits), 1000)
    right = (logits.argmax(axis=1) == labels).astype(float)
    expected = stats.bootstrap((right,), np.mean, method="percentile", rng=0).confidence_interval
    assert found["summary"]["accuracy"] == pytest.approx(expected, abs=0.005)
    low, high = found["per_class"]["b"]["recall"]
    assert low < right[labels == 1].mean() < high


@pytest.mark.parametrize("kind", [CLASSES, BINARY, MULTILABEL])
def test_losses_and_areas_are_those_of_scikit_learn_on_each_drawn_split(kind):
    rng = np.random.default_rng(5)
    names = {CLASSES: "abc", BINARY: "ny", MULTILABEL: "pq"}[kind]
    width = 1 if kind == BINARY else len(names)
    labels = (
        rng.integers(0, 2, (300, 2)) if kind == MULTILABEL else rng.integers(0, len(names), 300)
    )
    activation = "softmax" if kind == CLASSES else "sigmoid"
    # Rounded, so that some scores are equal.
    logits = rng.normal(size=(300, width)).round(1).astype(np.float32)
    made = outcome(Form(kind, tuple(names), activation), labels, logits)
    drawn = np.random.default_rng(0).integers(0, 300, 300)  # the first split
    truth, scores = labels[drawn], made.scores[drawn].astype(float)
    found = intervals(made, 1)["summary"]
    suffix = "" if kind == BINARY else "_macro"
    if kind == CLASSES:
        hot, whole = np.eye(3)[truth], scores / scores.sum(axis=1, keepdims=True)
        losses = metrics.log_loss(truth, whole), np.square(scores - hot).sum(axis=1).mean()
        truth = hot
    else:
        truth = truth.reshape(300, width)
        each = [metrics.log_loss(truth[:, n], scores[:, n]) for n in range(width)]
        losses = np.mean(each), np.square(scores - truth).mean()
    expected = {
        "log_loss": losses[0],
        "brier_score": losses[1],
        f"roc_auc{suffix}": metrics.roc_auc_score(truth, scores),
        f"average_precision{suffix}": metrics.average_precision_score(truth, scores),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx((value, value), rel=1e-6), name


def test_the_steps_of_a_sample_are_drawn_together():
    """Steps that are all right or all wrong together say as little as one step of each."""
    rng = np.random.default_rng(3)
    labels = np.repeat(rng.integers(0, 2, 50), 20)
    right = np.repeat(rng.random(50) < 0.7, 20)
    logits = np.where(right == (labels == 1), 3.0, -3.0)[:, None].astype(np.float32)
    form, samples = Form(BINARY, ("no", "yes"), "sigmoid"), np.repeat(np.arange(50), 20)
    whole = outcome(form, labels, logits, sample=samples, has_steps=True)
    low, high = intervals(whole, 500)["summary"]["accuracy"]
    expected = 2 * 1.96 * np.sqrt(0.7 * 0.3 / 50)
    assert high - low == pytest.approx(expected, rel=0.25)
    assert compare(whole, whole).test == "paired bootstrap"


def test_other_samples_and_what_is_not_kept_are_refused():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 50)
    logits = guesses(labels, 0.5, rng)
    first = outcome(CLASS, labels, logits)
    for other, message in (
        (outcome(CLASS, labels[::-1].copy(), logits), "evaluated on other samples"),
        (outcome(Form(CLASSES, ("a", "b", "d"), None), labels, logits), "predict other things"),
        (outcome(CLASS, labels, logits, keep=False), "too many to keep"),
    ):
        with pytest.raises(DlrunError, match=message):
            compare(first, other)
