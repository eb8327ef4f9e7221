"""Take a model's outputs from the pass that evaluates it, with nothing compiled a second time.

Keras' step of a test hands its logs on. It calls ``compute_metrics``, which here puts the outputs
beside them; they are taken out again before Keras or a callback sees the logs.

Import it after the backend has started.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from dlrun.data.tree import leaves
from dlrun.losses.masks import masks_of

OUTPUTS, MASKS, LABELS = "dlrun_outputs", "dlrun_masks", "dlrun_labels"
ATTRIBUTE = "dlrun_captured"
# Values of one sample's output: above it a batch should not be kept until the host has read it.
MOST_VALUES = 2**20

# Called with the outputs of a batch, their masks by number, and the labels if they are captured.
Sink = Callable[[Any, Mapping[int, Any], Any], None]


class CapturedOutputs:
    """The outputs of a model's tests.

    Args:
        model: Compiled, and not used yet.
        labels: Whether a step may change the labels, so that they are captured too.
    """

    def __init__(self, model: keras.Model, *, labels: bool) -> None:
        self._model, self._labels = model, labels
        self._is_test = False
        self._sink: Sink | None = None
        self._metrics, self._make = model.compute_metrics, model.make_test_function
        model.compute_metrics = self._compute_metrics
        model.make_test_function = self._make_test_function
        # Not with setattr, which would track it as a part of the model.
        vars(model)[ATTRIBUTE] = self

    @contextmanager
    def to(self, sink: Sink) -> Iterator[None]:
        """Call a function with the outputs of each batch that is evaluated meanwhile."""
        self._sink = sink
        try:
            yield
        finally:
            self._sink = None

    # Whatever else it is called with: a model of the user's own may take other weights, or none.
    def _compute_metrics(
        self, x: Any, y: Any, y_pred: Any, *weights: Any, **named: Any
    ) -> dict[str, Any]:
        logs: dict[str, Any] = self._metrics(x, y, y_pred, *weights, **named)
        if not self._is_test or not _is_small(y_pred):
            return logs
        masks = {str(number): mask for number, mask in masks_of(y_pred).items()}
        labels = {LABELS: y} if self._labels else {}
        return {**logs, OUTPUTS: y_pred, MASKS: masks, **labels}

    def _make_test_function(self, force: bool = False) -> Any:
        model = self._model
        if model.test_function is not None and not force:
            return model.test_function
        self._make(force=force)
        function = model.test_function

        def test(*arguments: Any) -> Any:
            self._is_test = True  # while it is traced, or run
            try:
                result = function(*arguments)
            finally:
                self._is_test = False
            logs, *state = result if isinstance(result, tuple) else (result,)
            if isinstance(logs, Mapping) and OUTPUTS in logs:
                logs = dict(logs)
                outputs, masks = logs.pop(OUTPUTS), logs.pop(MASKS)
                labels = logs.pop(LABELS, None)
                if self._sink is not None:
                    self._sink(outputs, {int(n): mask for n, mask in masks.items()}, labels)
            return (logs, *state) if state else logs

        model.test_function = test
        return test


def capture_outputs(model: keras.Model, *, labels: bool) -> None:
    """Let a compiled model's tests be captured, see :func:`captured_of`."""
    CapturedOutputs(model, labels=labels)


def captured_of(model: keras.Model) -> CapturedOutputs | None:
    """What :func:`capture_outputs` made for a model."""
    captured: CapturedOutputs | None = vars(model).get(ATTRIBUTE)
    return captured


def _is_small(outputs: Any) -> bool:
    return all(
        hasattr(leaf, "shape") and math.prod(n or 1 for n in tuple(leaf.shape)[1:]) <= MOST_VALUES
        for leaf in leaves(outputs)
    )
