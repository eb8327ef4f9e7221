"""Collect the outputs of an evaluation, batch by batch, as outcomes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from dlrun.assembly.check_outputs import data_may_change
from dlrun.config.schema import Config
from dlrun.data.dataset import Dataset, Split
from dlrun.data.tree import leaf, leaves, leaves_by_name
from dlrun.evaluation.form import BINARY, CLASSES, MULTILABEL, NUMBERS, Form
from dlrun.evaluation.outcome import Outcome
from dlrun.inference.forms import form_of, output_names

# Batches that a device may still compute, and their values: reading one at once would make the
# host wait for it.
AHEAD, AHEAD_VALUES = 32, 2**24
AT_ONCE = 2**20  # values that are added to an outcome together
# Values of all outputs, some 25 million of which take a second: a run does not wait for more.
MOST_VALUES = 2**28


class Collector:
    """Takes the outputs of a split's batches, in its order.

    Args:
        config: The run's config.
        data: The data set.
        split: The samples that are evaluated.
        most: The most values that all outputs may have; None for any number.

    ``outcomes`` has an outcome for each output, ``""`` for a single one; ``reasons`` says why one
    is left out.
    """

    def __init__(
        self, config: Config, data: Dataset, split: Split, *, most: int | None = None
    ) -> None:
        self._config, self._data, self._split, self._most = config, data, split, most
        self._own_labels = data_may_change(config)
        self._waiting: deque[tuple[Any, Mapping[int, Any], Any]] = deque()
        self._waiting_values = 0
        self._is_too_large = False
        self._pending: list[tuple[Any, ...]] = []
        self._pending_values = 0
        self._sample = 0
        self.outcomes: dict[str, Outcome] = {}
        self.reasons: dict[str, str] = {}

    def take(self, outputs: Any, masks: Mapping[int, Any], labels: Any) -> None:
        """Take a batch, as :class:`dlrun.assembly.capture.CapturedOutputs` has it."""
        values = _values(outputs)
        if self._most is not None and values / _samples(outputs) * len(self._split) > self._most:
            self._is_too_large = True
        if self._is_too_large:
            return
        self._waiting.append((outputs, masks, labels))
        self._waiting_values += values
        while len(self._waiting) > AHEAD or self._waiting_values > AHEAD_VALUES:
            self._read()

    def close(self) -> None:
        """Read what is still on the device.

        If the outputs of some samples were not seen, no output has an outcome.
        """
        while self._waiting:
            self._read()
        self._flush()
        if self._sample != len(self._split):
            self.outcomes = {}
            missing = f"the outputs of {len(self._split) - self._sample:,} samples were not seen"
            if self._is_too_large:
                missing = f"the outputs have more than {self._most:,} values"
            self.reasons = {name or "": missing for name in output_names(self._data.spec)}

    def _read(self) -> None:
        outputs, masks, labels = self._waiting.popleft()
        self._waiting_values -= _values(outputs)
        arrays = {name: _to_numpy(tensor) for name, tensor in leaves_by_name(outputs).items()}
        names = list(arrays)
        # Keras sorts a mapping's names in places: masks are by the place in this one.
        of_masks = {names[number]: _to_numpy(mask) for number, mask in masks.items()}
        of_labels = None
        if self._own_labels:
            of_labels = {name: _to_numpy(leaf(labels, name)) for name in names}
        self._pending.append((arrays, of_masks, of_labels))
        self._pending_values += sum(array.size for array in arrays.values())
        if self._pending_values >= AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        parts, self._pending, self._pending_values = self._pending, [], 0
        count = sum(len(next(iter(arrays.values()))) for arrays, _, _ in parts)
        samples = slice(self._sample, self._sample + count)
        self._sample += count
        for name in output_names(self._data.spec):
            outputs = np.concatenate([arrays[name] for arrays, _, _ in parts])
            of_masks = [masks.get(name) for _, masks, _ in parts]
            mask = None if any(m is None for m in of_masks) else np.concatenate(of_masks)
            if self._own_labels:
                labels = np.concatenate([of_labels[name] for _, _, of_labels in parts])
            else:
                labels = np.asarray(leaf(self._split.labels, name)[samples])
            self._add(name, labels, outputs, mask, samples)

    def _add(
        self,
        name: str | None,
        labels: np.ndarray,
        outputs: np.ndarray,
        mask: np.ndarray | None,
        samples: slice,
    ) -> None:
        key = name or ""
        if key in self.reasons:
            return
        if key not in self.outcomes and not self._begin(name, labels, outputs):
            return
        outcome = self.outcomes[key]
        counted = self._mask_of_counted(name, mask, samples)
        outcome.add(*_positions(outcome.form, labels, outputs, counted, samples.start))

    def _begin(self, name: str | None, labels: np.ndarray, outputs: np.ndarray) -> bool:
        """Make the outcome of an output from its first batches; False if there can be none."""
        form = form_of(self._config, self._data.spec, name, outputs.shape[1:])
        if isinstance(form, Form) and len(labels) != len(outputs):
            form = f"a step returns {len(outputs)} outputs for {len(labels)} labels"
        if isinstance(form, Form) and form.kind == BINARY and ((labels != 0) & (labels != 1)).any():
            form = "its labels are not only 0 and 1"
        if isinstance(form, str):
            self.reasons[name or ""] = form
            return False
        a_sample = int(np.prod(outputs.shape[1:]))
        values = a_sample if form.kind == NUMBERS else outputs.shape[-1]
        if form.kind == NUMBERS and len(form.names) == 1:
            values = 1
        self.outcomes[name or ""] = Outcome(
            form,
            len(self._split) * a_sample // max(values, 1),
            values,
            has_steps=form.kind != NUMBERS and outputs.ndim > 2,
        )
        return True

    def _mask_of_counted(
        self, name: str | None, mask: np.ndarray | None, samples: slice
    ) -> np.ndarray | None:
        """What counts, ``(samples,)`` or with steps: what no mask and no weight of 0 leaves out."""
        weights: Any = self._split.weights
        if weights is not None and isinstance(self._split.labels, Mapping):
            weights = weights.get(name)
        if weights is None:
            return mask
        there: np.ndarray = np.asarray(weights[samples]) != 0
        if mask is None or there.ndim > mask.ndim:
            return there
        axes = tuple(range(there.ndim, mask.ndim))
        return np.asarray(mask & np.expand_dims(there, axes))


def _positions(
    form: Form, labels: np.ndarray, outputs: np.ndarray, counted: np.ndarray | None, first: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, outputs, sample and step of each position that counts."""
    count = len(outputs)
    flat: np.ndarray
    true: np.ndarray
    if form.kind == NUMBERS:
        width = outputs[0].size if len(form.names) > 1 or outputs[0].size == 1 else 1
        flat, true = outputs.reshape(-1, width), labels.reshape(-1, width)
    else:
        flat = outputs.reshape(-1, outputs.shape[-1])
        if form.kind == CLASSES and labels.shape == outputs.shape:
            labels = labels.argmax(axis=-1)
        true = labels.reshape(flat.shape) if form.kind == MULTILABEL else labels.reshape(-1)
    steps = len(flat) // max(count, 1)
    sample = np.repeat(np.arange(first, first + count), steps)
    step = np.tile(np.arange(steps), count)
    if counted is not None and not counted.all():
        kept = _spread(counted, count, steps)
        flat, true, sample, step = flat[kept], true[kept], sample[kept], step[kept]
    return true, flat, sample, step


def _spread(counted: np.ndarray, count: int, steps: int) -> np.ndarray:
    """What counts, for each position; a sample of several numbers counts if one of them does."""
    of_samples: np.ndarray = counted.reshape(count, -1)
    if of_samples.shape[1] not in (1, steps):
        of_samples = np.asarray(
            np.repeat(of_samples, steps // of_samples.shape[1], axis=1)
            if steps % of_samples.shape[1] == 0
            else of_samples.any(axis=1, keepdims=True)
        )
    return np.asarray(np.broadcast_to(of_samples, (count, steps)).reshape(-1) != 0)


def _values(outputs: Any) -> int:
    return sum(math.prod(tuple(array.shape)) for array in leaves(outputs))


def _samples(outputs: Any) -> int:
    return max(1, int(leaves(outputs)[0].shape[0]))


def _to_numpy(tensor: Any) -> np.ndarray:
    import keras

    # Also of half precision, which NumPy has no type for.
    array = np.asarray(keras.ops.convert_to_numpy(tensor))
    return array if array.dtype.kind in "biuf" else array.astype(np.float32)
