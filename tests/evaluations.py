"""What pages are made of: the ``evaluation/`` of a run of classes, and sweeps of many runs."""

import csv
import json
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_curve,
)


def write_table(path: Path, head: list[str], rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def write_evaluation(
    folder: Path, probabilities: np.ndarray, labels: np.ndarray, names: list[str]
) -> None:
    """Write every table of a classification, from its predictions, with scikit-learn.

    Args:
        folder: The run's ``evaluation/``.
        probabilities: ``(samples, classes)``.
        labels: ``(samples,)`` integers.
        names: Of the classes.
    """
    predicted, every = probabilities.argmax(1), range(len(names))
    scores = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    head = ["class", "precision", "recall", "f1", "support"]
    write_table(folder / "per_class.csv", head, zip(names, *scores, strict=True))
    counts = confusion_matrix(labels, predicted, labels=every)
    rows = [[name, *row] for name, row in zip(names, counts, strict=True)]
    write_table(folder / "confusion_matrix.csv", ["true", *names], rows)
    roc, recall, calibration = [], [], []
    for number, name in enumerate(names):
        truth, of = labels == number, probabilities[:, number]
        false, true, thresholds = roc_curve(truth, of)
        roc += [(name, *row) for row in zip(thresholds, false, true, strict=True)]
        precise, found, thresholds = precision_recall_curve(truth, of)
        ends = zip([*thresholds, np.inf], precise, found, strict=True)
        recall += [(name, *row) for row in ends]
        fraction, mean = calibration_curve(truth, of, n_bins=5)
        calibration += [(name, m, f, 1) for m, f in zip(mean, fraction, strict=True)]
    rates = ["class", "threshold", "false_positive_rate", "true_positive_rate"]
    write_table(folder / "roc.csv", rates, roc)
    write_table(
        folder / "precision_recall.csv", ["class", "threshold", "precision", "recall"], recall
    )
    head = ["class", "mean_probability", "fraction_of_positives", "count"]
    write_table(folder / "calibration.csv", head, calibration)
    loss = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9))
    rows = [
        (at, at, names[labels[at]], names[predicted[at]], probabilities[at].max(), loss[at])
        for at in np.argsort(-loss)[:20]
    ]
    head = ["sample", "id", "label", "predicted", "probability", "loss"]
    write_table(folder / "most_wrong.csv", head, rows)


def write_sweep(place: Path, runs: int, epochs: int, mark: str = "") -> Path:
    """A sweep of many runs on two backends, with curves of any numbers.

    Args:
        place: Its directory.
        runs: How many.
        epochs: Of each run.
        mark: Stands behind every text.
    """
    draw = np.random.default_rng(0)
    entries = []
    for number in range(runs):
        curve = np.exp(-np.arange(epochs) / draw.uniform(3, 30)) + draw.uniform(0, 1)
        differs = {
            "backend": ("jax", "torch")[number % 2] + mark,
            "optimizer.learning_rate": f"{10 ** draw.uniform(-5, -1):.6g}",
            "model.units" + mark: str(int(draw.choice([16, 64, 256]))),
            "seed": str(number // 2 % 5),
        }
        metrics = {"loss": curve.min(), "accuracy": 1 - curve.min() / 3}
        entries.append(
            {
                "number": number,
                "run_dir": f"anywhere/{number:03}",
                "status": "completed" + mark,
                "backend": differs["backend"],
                "best_epoch": epochs,
                "epochs": epochs,
                "validation": metrics,
                "test": {name + mark: value for name, value in metrics.items()},
                "seconds": {"first_step": draw.uniform(0, 1), "total": draw.uniform(5, 9)},
                "step_seconds": draw.uniform(1e-3, 2e-3),
                "peak_memory_bytes": 5e8,
                "overrides": [f"{key}={value}" for key, value in differs.items()],
                "differs": differs,
                **({"error": mark} if mark else {}),
            }
        )
        rows = [(n + 1, 1.0, 0.001, value, value / 2) for n, value in enumerate(curve)]
        head = ["epoch", "seconds", "learning_rate", "val_loss", "loss"]
        write_table(place / f"{number:03}" / "metrics.csv", head, rows)
    record = {"runs": entries, "keys": list(differs), "monitor": "val_loss", "mode": "min"}
    record |= {"overrides": ["seed=0,1,2,3,4" + mark], "jobs": 2}
    (place / "sweep.json").write_text(json.dumps(record))
    return place
