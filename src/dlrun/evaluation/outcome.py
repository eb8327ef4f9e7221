"""The true values and outputs of one output of a model, over a split.

What grows with the number of samples is kept up to a limit; counts and sums are exact beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS, Form, are_probabilities

KEPT_BYTES = 256 * 2**20  # of the scores of one output, float32
MOST_CLASSES = 1000  # of a confusion matrix
WRONG = 20  # samples that are shown


@dataclass
class Wrong:
    """The samples that were predicted worst, worst first.

    Args:
        loss: What orders them, ``(rows,)`` float64.
        sample: Their numbers in the split, from 0, ``(rows,)`` as all that follow.
        step: The step of a sequence.
        true: The label: a class, or a number in its units.
        predicted: The same of the model.
        probability: Of the predicted class.
        value: Of several numbers, which one is meant, from 0.
    """

    loss: np.ndarray = field(default_factory=lambda: np.zeros(0))
    sample: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    step: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    true: np.ndarray = field(default_factory=lambda: np.zeros(0))
    predicted: np.ndarray = field(default_factory=lambda: np.zeros(0))
    probability: np.ndarray = field(default_factory=lambda: np.zeros(0))
    value: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, **rows: np.ndarray) -> None:
        """Take the worst of further rows."""
        merged = {name: np.concatenate([getattr(self, name), rows[name]]) for name in rows}
        order = np.argsort(-merged["loss"], kind="stable")[:WRONG]
        for name, values in merged.items():
            setattr(self, name, values[order])


class Outcome:
    """What a model made of a split, in one of its outputs.

    Every unmasked step of a sequence is a position of its own; else a sample is.

    Args:
        form: What the output is.
        positions: The most positions that will be added.
        values: The values of a position's output.
        has_steps: Whether positions are steps of sequences.
        keep: Whether to keep true values and scores; None for as far as they are small enough.
    """

    def __init__(
        self,
        form: Form,
        positions: int,
        values: int,
        *,
        has_steps: bool = False,
        keep: bool | None = None,
    ) -> None:
        self.form, self.has_steps = form, has_steps
        self.bytes = 4 * positions * values
        self.is_kept = self.bytes <= KEPT_BYTES if keep is None else keep
        self.positions = 0
        self.wrong = Wrong()
        self.unknown = 0  # labels that are not a class, and left out
        # Classes; of numbers, sums over the positions: errors, absolute, squared; true values.
        width = len(form.names)
        self.right, self.predicted, self.actual = np.zeros((3, width), np.int64)
        square = width if form.kind in (CLASSES, BINARY) and width <= MOST_CLASSES else 0
        self.confusion = np.zeros((square, square), np.int64)
        self.log_loss, self.squared = 0.0, 0.0
        self.are_probabilities = form.kind != NUMBERS
        self.sums = np.zeros((3, values))
        self._mean, self._deviations = np.zeros((2, values))
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(
        self, labels: np.ndarray, outputs: np.ndarray, sample: np.ndarray, step: np.ndarray
    ) -> None:
        """Take positions.

        Args:
            labels: Class numbers ``(positions,)``; of several labels or numbers ``(positions,
                values)``.
            outputs: As the model returned them, ``(positions, values)`` float32.
            sample: Each position's sample, ``(positions,)`` int64.
            step: Each position's step.
        """
        form = self.form
        if form.kind == NUMBERS:
            self._add_numbers(form.numbers(labels), form.numbers(outputs), sample, step)
            return
        scores = form.scores(outputs)
        if form.kind == MULTILABEL:
            self._add_labels(labels != 0, scores, sample, step)
        else:
            known = (labels >= 0) & (labels < len(form.names))
            if not known.all():
                self.unknown += int((~known).sum())
                labels, outputs, scores = labels[known], outputs[known], scores[known]
                sample, step = sample[known], step[known]
            self._add_classes(labels.astype(np.int64), outputs, scores, sample, step)

    def _keep(self, true: np.ndarray, scores: np.ndarray, sample: np.ndarray) -> None:
        self.positions += len(sample)
        if self.is_kept:
            of_samples = sample if self.has_steps else sample[:0]
            self._parts.append((true, scores.astype(np.float32), of_samples))

    def _add_classes(
        self,
        true: np.ndarray,
        outputs: np.ndarray,
        scores: np.ndarray,
        sample: np.ndarray,
        step: np.ndarray,
    ) -> None:
        kind, classes = self.form.kind, len(self.form.names)
        self.are_probabilities &= not len(true) or are_probabilities(scores, kind)
        if kind == BINARY:
            self._keep(true.astype(np.int32), scores, sample)
            scores = np.concatenate([1 - scores, scores], axis=1)
            chosen = (scores[:, 1] > 0.5).astype(np.int64)
        else:
            self._keep(true.astype(np.int32), scores, sample)
            chosen = outputs.argmax(axis=1)
        right = chosen == true
        self.right += np.bincount(true[right], minlength=classes)
        self.predicted += np.bincount(chosen, minlength=classes)
        self.actual += np.bincount(true, minlength=classes)
        if self.confusion.size:
            flat = np.bincount(true * classes + chosen, minlength=classes**2)
            self.confusion += flat.reshape(classes, classes)
        rows = np.arange(len(true))
        of_true, of_chosen = scores[rows, true], scores[rows, chosen]
        if self.are_probabilities:
            with np.errstate(divide="ignore"):
                loss = -np.log(of_true)
            self.log_loss += float(np.minimum(loss, -np.log(np.finfo(np.float64).tiny)).sum())
            squares = (scores * scores).sum(axis=1) - 2 * of_true + 1
            self.squared += float(squares.sum()) / (2 if kind == BINARY else 1)
        else:
            loss = of_chosen - of_true
        self.wrong.add(
            loss=loss[~right],
            sample=sample[~right],
            step=step[~right],
            true=true[~right],
            predicted=chosen[~right],
            probability=of_chosen[~right],
        )

    def _add_labels(
        self, true: np.ndarray, scores: np.ndarray, sample: np.ndarray, step: np.ndarray
    ) -> None:
        self.are_probabilities &= not len(true) or are_probabilities(scores, MULTILABEL)
        self._keep(true, scores, sample)
        chosen = scores > 0.5
        self.right += (chosen & true).sum(axis=0)
        self.predicted += chosen.sum(axis=0)
        self.actual += true.sum(axis=0)
        if not self.are_probabilities:
            return
        with np.errstate(divide="ignore"):
            losses = -np.log(np.where(true, scores, 1 - scores))
        losses = np.minimum(losses, -np.log(np.finfo(np.float64).tiny))
        self.log_loss += float(losses.sum())
        self.squared += float(np.square(scores - true).sum())
        wrong = (chosen != true).any(axis=1)
        self.wrong.add(
            loss=losses.sum(axis=1)[wrong],
            sample=sample[wrong],
            step=step[wrong],
            # Rows of truth values, as objects: they differ in length once they are named.
            true=_as_objects(true[wrong]),
            predicted=_as_objects(chosen[wrong]),
            probability=np.where(chosen, scores, 1 - scores).min(axis=1)[wrong],
        )

    def _add_numbers(
        self, true: np.ndarray, found: np.ndarray, sample: np.ndarray, step: np.ndarray
    ) -> None:
        self._keep(true.astype(np.float32), found, sample)
        errors = found - true
        self.sums += [errors.sum(axis=0), np.abs(errors).sum(axis=0), np.square(errors).sum(axis=0)]
        self._add_moments(true)
        if not len(errors):
            return
        # Errors of several numbers are compared in units of their own spread.
        spread = np.sqrt(self.variance) if errors.shape[1] > 1 else np.ones(1)
        relative = np.abs(errors) / np.where(spread > 0, spread, 1.0)
        worst = np.nan_to_num(relative, nan=np.inf).argmax(axis=1)
        rows = np.arange(len(errors))
        self.wrong.add(
            loss=np.nan_to_num(relative, nan=np.inf)[rows, worst],
            sample=sample,
            step=step,
            true=true[rows, worst],
            predicted=found[rows, worst],
            value=worst,
        )

    def _add_moments(self, true: np.ndarray) -> None:
        """Merge the moments of further values: differences of large sums would lose digits."""
        count, before = len(true), self.positions - len(true)
        if not count:
            return
        mean = true.mean(axis=0)
        apart = mean - self._mean
        self._deviations += np.square(true - mean).sum(axis=0)
        self._deviations += np.square(apart) * before * count / self.positions
        self._mean += apart * count / self.positions

    @property
    def variance(self) -> np.ndarray:
        """The variance of the true numbers, ``(values,)``."""
        return np.asarray(self._deviations / max(self.positions, 1))

    @property
    def truth(self) -> np.ndarray:
        """The kept true values: classes ``(positions,)`` int32, else ``(positions, values)``."""
        return self._whole(0)

    @property
    def scores(self) -> np.ndarray:
        """The kept scores or numbers, ``(positions, values)`` float32."""
        return self._whole(1)

    @property
    def groups(self) -> np.ndarray:
        """The sample of each kept position, ``(positions,)`` int64."""
        return self._whole(2) if self.has_steps else np.arange(self.positions)

    def _whole(self, part: int) -> np.ndarray:
        assert self.is_kept, "ask is_kept first"
        if len(self._parts) > 1:
            self._parts = [tuple(map(np.concatenate, zip(*self._parts, strict=True)))]  # type: ignore[list-item]
        return self._parts[0][part]


def _as_objects(rows: np.ndarray) -> np.ndarray:
    objects = np.empty(len(rows), object)
    for number, row in enumerate(rows):
        objects[number] = np.flatnonzero(row)
    return objects
