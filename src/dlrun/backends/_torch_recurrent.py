"""Keras' LSTM and GRU on torch's own kernels, where Keras runs its Python for every time step.

Import it after the backend has started.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import torch

# Added to a gate's sum, it makes a sigmoid exactly 0 or 1 in float32 and in float64.
CLOSED = 1e4

# What Keras' inner_loop returns: last output, outputs, final states.
Looped = tuple[Any, Any, list[Any]]


def adapt_recurrent_layers() -> None:
    """Let ``LSTM`` and ``GRU`` call torch's kernels on a CPU; once per process."""
    for kind, run in ((keras.layers.LSTM, _run_lstm), (keras.layers.GRU, _run_gru)):
        if not hasattr(kind.inner_loop, "keras_loop"):
            kind.inner_loop = _with_kernel(kind.inner_loop, run)


class _Run(NamedTuple):
    """Outputs, ``(batch_size, steps, units)``, and final states, ``(batch_size, units)`` each."""

    outputs: Any
    states: list[Any]


def _with_kernel(keras_loop: Callable[..., Looped], run: Callable[..., _Run]) -> Any:
    def inner_loop(
        layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> Looped:
        masks = keras.tree.flatten(mask)  # None, a mask, or a list of one
        mask = masks[0] if masks else None
        if not _is_computed(layer, sequences, mask, training):
            return keras_loop(layer, sequences, initial_state, mask, training=training)
        if training and layer.dropout:
            # As Keras has drawn it: one for all steps.
            sequences = sequences * layer.cell.get_dropout_mask(sequences[:, 0, :])[:, None, :]
        return _loop(layer, sequences, keras.tree.flatten(initial_state), mask, run)

    inner_loop.keras_loop = keras_loop  # type: ignore[attr-defined]
    return inner_loop


def _is_computed(layer: Any, sequences: Any, mask: Any, training: bool) -> bool:
    """Whether torch's kernel computes the layer; Keras' loop does what it can't."""
    cell = layer.cell
    return (
        type(cell) in (keras.layers.LSTMCell, keras.layers.GRUCell)
        and torch.is_tensor(sequences)
        and sequences.device.type == "cpu"  # on a GPU, Keras calls cuDNN
        and sequences.dtype in (torch.float32, torch.float64)
        and keras.backend.standardize_dtype(cell.compute_dtype)
        == keras.backend.standardize_dtype(sequences.dtype)
        and min(sequences.shape) > 0
        and cell.activation is keras.activations.tanh
        and cell.recurrent_activation is keras.activations.sigmoid
        and getattr(cell, "reset_after", True)
        and layer.use_cudnn in (True, "auto")
        and not layer.unroll
        and not (training and (cell.recurrent_dropout or _drops_by_gate(cell)))
        and (mask is None or mask.ndim == 2)
    )


def _drops_by_gate(cell: Any) -> bool:
    return bool(cell.dropout) and getattr(cell, "dropout_mask_count", None) is not None


def _loop(
    layer: Any, sequences: Any, initial: list[Any], mask: Any, run: Callable[..., _Run]
) -> Looped:
    if layer.go_backwards:
        sequences = sequences.flip(1)
        mask = None if mask is None else mask.flip(1)
    if mask is None:
        outputs, states = run(layer.cell, sequences, initial, None)
        return outputs[:, -1], outputs, states
    return _masked_loop(layer, sequences, initial, mask.bool(), run)


def _masked_loop(
    layer: Any, sequences: Any, initial: list[Any], mask: Any, run: Callable[..., _Run]
) -> Looped:
    """Run the kernel over each sequence's unmasked steps, which are moved to its front.

    The values of a mask decide nothing in Python, so that a step can be captured, and no mask is
    too ragged: a sequence read backwards has its padding in front.

    Args:
        layer: The recurrent layer.
        sequences: ``(batch_size, steps, features)``.
        initial: States, ``(batch_size, units)`` each.
        mask: ``(batch_size, steps)`` bool.
        run: Calls the kernel.
    """
    order = torch.argsort((~mask).to(torch.uint8), dim=1, stable=True)
    moved = sequences.gather(1, order[..., None].expand_as(sequences))
    count = mask.sum(1, keepdim=True)
    steps = torch.arange(mask.shape[1], device=mask.device)
    keeps_carry = layer.return_state or layer.stateful
    padding = (steps >= count)[..., None] if keeps_carry else None
    found, states = run(layer.cell, moved, initial, padding)
    # After each step, the output of the last unmasked one; none yet: 0, as Keras has it.
    seen = mask.cumsum(1)
    index = (seen - 1).clamp(min=0)[..., None].expand(-1, -1, found.shape[-1])
    kept = mask if layer.zero_output_for_mask else seen > 0
    outputs = torch.where(kept[..., None], found.gather(1, index), 0)
    last = (count - 1).clamp(min=0)[..., None].expand(-1, -1, found.shape[-1])
    state = torch.where(count > 0, found.gather(1, last).squeeze(1), initial[0])
    return outputs[:, -1], outputs, [state, *states[1:]]


def _run_lstm(cell: Any, sequences: Any, initial: list[Any], padding: Any) -> _Run:
    """Keras orders the gates as torch: input, forget, candidate, output."""
    kernel, recurrent, bias = _weights(cell)
    weights = [kernel.T, recurrent.T]
    if padding is not None:
        # One more feature closes the input gate and opens the forget gate: the carry stays.
        closing = torch.tensor([-CLOSED, CLOSED, 0, 0], dtype=kernel.dtype)
        column = closing.repeat_interleave(cell.units)[:, None]
        weights[0] = torch.cat([weights[0], column], dim=1)
        sequences = torch.cat([sequences, padding.to(sequences.dtype)], dim=2)
    if bias is not None:
        weights += [bias, torch.zeros_like(bias)]
    outputs, state, carry = torch.lstm(
        sequences, [state[None] for state in initial], *_settings(weights)
    )
    return _Run(outputs, [state[0], carry[0]])


def _run_gru(cell: Any, sequences: Any, initial: list[Any], padding: Any) -> _Run:
    """Keras orders the gates update, reset, candidate; torch reset, update, candidate."""

    def reorder(weight: Any) -> Any:
        update, reset, candidate = weight.chunk(3)
        return torch.cat([reset, update, candidate])

    kernel, recurrent, bias = _weights(cell)
    weights = [reorder(kernel.T), reorder(recurrent.T)]
    if bias is not None:  # (2, 3 * units): of the inputs and of the state
        weights += [reorder(bias[0]), reorder(bias[1])]
    outputs, state = torch.gru(sequences, initial[0][None], *_settings(weights))
    return _Run(outputs, [state[0]])


def _weights(cell: Any) -> list[Any]:
    return [
        None if weight is None else keras.ops.convert_to_tensor(weight)
        for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
    ]


def _settings(weights: list[Any]) -> tuple[Any, ...]:
    """The arguments after the states: a layer, one direction, the batch first, no dropout."""
    contiguous = [weight.contiguous() for weight in weights]
    return contiguous, len(weights) == 4, 1, 0.0, torch.is_grad_enabled(), False, True
