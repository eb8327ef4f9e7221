"""A batch in parts, each in a process of torch: the model's call, and what spans the batch."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import torch
from keras.src.backend.torch import random as keras_random  # Keras exports no other way
from torch import distributed
from torch.distributed import _functional_collectives  # noqa: F401 - it registers the operations
from torch.utils._python_dispatch import TorchDispatchMode

from dlrun.backends._spread_layers import moments_of_batch, refusal
from dlrun.backends._torch_devices import edges, state
from dlrun.backends.torch import random_state
from dlrun.losses.masks import masks_of, set_masks

_LAYERS = keras.layers
_OPERATIONS = torch.ops._c10d_functional  # which a trace can hold, unlike torch.distributed's


def call(model: Any, inputs: Any, *, training: bool) -> Any:
    """The model's outputs of the whole batch, of which this process computes its part.

    A batch with fewer samples than there are processes is computed whole by each of them.
    """
    whole = len(keras.tree.flatten(inputs)[0])
    count, rank = distributed.get_world_size(), distributed.get_rank()
    if whole < count:
        return model(inputs, training=training)
    begins = edges(whole, count)
    state.whole, state.first, state.last = whole, begins[rank], begins[rank + 1]
    watch = _WatchRandom() if training and state.is_watched else None
    try:
        part = keras.tree.map_structure(lambda x: x[state.first : state.last], inputs)
        with watch or nullcontext():
            outputs = model(part, training=training)
    finally:
        state.whole = 0
    if watch is not None:
        if watch.has_drawn:
            raise refusal("a layer that draws random numbers of torch's own")
        state.is_watched = False
    if any(layer._losses for layer in model._flatten_layers()):
        raise refusal("add_loss of a layer")
    sizes = [last - first for first, last in itertools.pairwise(begins)]
    masks = {number: _gather(mask, sizes) for number, mask in masks_of(outputs).items()}
    outputs = keras.tree.map_structure(lambda x: _Gather.apply(x, sizes, rank), outputs)
    set_masks(outputs, masks)
    return outputs


def reduce_gradients(gradients: Sequence[Any]) -> list[Any]:
    """The gradients of the whole batch: their mean over the processes, see :class:`_Gather`."""
    reduced: list[Any] = list(gradients)
    by_dtype: dict[torch.dtype, list[int]] = {}
    for number, gradient in enumerate(gradients):
        by_dtype.setdefault(gradient.dtype, []).append(number)
    for numbers in by_dtype.values():
        parts = [gradients[number].contiguous() for number in numbers]
        flat = _total(torch._utils._flatten_dense_tensors(parts))
        flat /= distributed.get_world_size()
        for number, part in zip(
            numbers, torch._utils._unflatten_dense_tensors(flat, parts), strict=True
        ):
            reduced[number] = part
    return reduced


def _gather(part: Any, sizes: Sequence[int]) -> Any:
    """The parts of all processes in order; they may differ in size."""
    most = max(sizes)
    sent = part.to(torch.uint8) if part.dtype == torch.bool else part.contiguous()
    if len(sent) < most:
        sent = torch.cat([sent, sent.new_zeros((most - len(sent), *sent.shape[1:]))])
    received = _OPERATIONS.all_gather_into_tensor(sent, len(sizes), _group_name())
    received = _OPERATIONS.wait_tensor(received)
    if most != min(sizes):
        parts = zip(received.split(most), sizes, strict=True)
        received = torch.cat([array[:size] for array, size in parts])
    return received.to(part.dtype)


def _total(part: Any) -> Any:
    """The sum over all processes, in place of the tensor."""
    return _OPERATIONS.wait_tensor(_OPERATIONS.all_reduce_(part, "sum", _group_name()))


def _group_name() -> str:
    return str(distributed.group.WORLD.group_name)


class _Gather(torch.autograd.Function):
    """The outputs of all processes. Backwards: of this process's, times the number of processes.

    So the mean of the gradients over the processes is their sum over the samples, and counts what
    each process computes alike, such as a penalty of weights, once.
    """

    @staticmethod
    def forward(context: Any, part: Any, sizes: Sequence[int], rank: int) -> Any:
        context.first = sum(sizes[:rank])
        context.last, context.count = context.first + sizes[rank], len(sizes)
        return _gather(part, sizes)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return gradients[0][context.first : context.last] * context.count, None, None


class _Sum(torch.autograd.Function):
    """The sum over all processes, and of its gradients too."""

    @staticmethod
    def forward(context: Any, part: Any) -> Any:
        return _total(part.clone())

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return _total(gradients[0].clone())


def _drawn_by_keras(draw: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(draw)
    def drawn(*arguments: Any, **keywords: Any) -> Any:
        state.draws = True
        try:
            return draw(*arguments, **keywords)
        finally:
            state.draws = False

    return drawn


class _WatchRandom(TorchDispatchMode):
    """Finds out whether a model draws random numbers that each process draws for itself."""

    has_drawn = False

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        is_random = torch.Tag.nondeterministic_seeded in function.tags and not state.draws
        before = random_state() if is_random else []
        result = function(*arguments, **(keywords or {}))
        if is_random:
            given = (*arguments, *(keywords or {}).values())
            has_own = any(isinstance(value, torch.Generator) for value in given)
            changed = not all(map(np.array_equal, before, random_state()))
            self.has_drawn = self.has_drawn or has_own or changed
        return result


@contextmanager
def _replace(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def statistics_of_batches() -> Iterator[None]:
    """Let BatchNormalization take mean and variance of the whole batch."""
    of_part = _LAYERS.BatchNormalization._moments

    def moments(layer: Any, inputs: Any, mask: Any) -> Any:
        if not state.whole:
            return of_part(layer, inputs, mask)
        return moments_of_batch(layer, inputs, torch.ones_like(inputs), mask, _Sum.apply)

    with _replace(_LAYERS.BatchNormalization, "_moments", moments):
        yield


@contextmanager
def random_by_sample() -> Iterator[None]:
    """Let dropout and noise draw for the whole batch, and take what belongs to this part."""

    def drop_by_sample(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        size = state.last - state.first
        if not state.whole or not inputs.shape or len(inputs) != size:
            return dropout(inputs, rate, noise_shape, seed)
        if noise_shape is not None and noise_shape[0] == size:
            noise_shape = (state.whole, *noise_shape[1:])
        ones = inputs.new_ones((state.whole, *inputs.shape[1:]))
        return inputs * dropout(ones, rate, noise_shape, seed)[state.first : state.last]

    def draw_by_sample(draw: Callable[..., Any]) -> Callable[..., Any]:
        draw = _drawn_by_keras(draw)

        @functools.wraps(draw)
        def part(shape: Any, *arguments: Any, **keywords: Any) -> Any:
            size = state.last - state.first
            if not state.whole or not len(shape) or shape[0] != size:
                return draw(shape, *arguments, **keywords)
            whole = draw((state.whole, *shape[1:]), *arguments, **keywords)
            return whole[state.first : state.last]

        return part

    dropout = _drawn_by_keras(keras_random.dropout)
    with ExitStack() as stack:
        stack.enter_context(_replace(keras_random, "dropout", drop_by_sample))
        for name in ("normal", "uniform", "truncated_normal"):
            patched = draw_by_sample(getattr(keras_random, name))
            stack.enter_context(_replace(keras_random, name, patched))
        yield


def all_agree(yes: bool) -> bool:
    """Whether it is so in all processes, each of which asks."""
    votes = torch.tensor(int(yes), device=keras.ops.zeros(()).device)
    distributed.all_reduce(votes, distributed.ReduceOp.MIN)
    return bool(votes)


def agree(number: int) -> int:
    """What rank 0 gives, in all processes."""
    of_rank_0 = torch.tensor(number, device=keras.ops.zeros(()).device)
    distributed.broadcast(of_rank_0, 0)
    return int(of_rank_0)
