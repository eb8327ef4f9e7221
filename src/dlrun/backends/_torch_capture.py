"""A part of a training step as the list of torch's operations that Keras makes in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.graph import CodeGen

CALLS = 8  # before a trace, which costs what it saves in some 50: a short run goes without


class Captured:
    """A function of tensors and variables, run as the operations that it was seen to make.

    What Keras does around the operations of a small model takes as long as they do. So after some
    calls the function is traced, once for each set of shapes: on tensors that hold no values, with
    every variable an input. One that looks at a value, as a random layer does to seed a generator,
    or at a tensor that is no variable, can't be traced and is called as it is for good.

    A trace keeps what Python objects were when it was made. So it is used only once it has given
    the very bits that the function gives for a batch of the training; and :meth:`doubt` makes it
    prove that again.

    Args:
        function: From trees of tensors to a tree of tensors; it changes variables only.
        variables: Gives all that it may read or assign.
    """

    def __init__(
        self, function: Callable[..., Any], variables: Callable[[], Sequence[Any]]
    ) -> None:
        self._function = function
        self._variables = variables
        self._traces: dict[Any, _Trace | None] = {}  # by shapes; None where there can be none
        self._trusted: dict[Any, _Trace] = {}
        self._calls: Counter[Any] = Counter()

    def doubt(self) -> None:
        """Call the function itself until its trace has proven itself again."""
        self._trusted.clear()
        self._calls.clear()

    def __call__(self, *trees: Any) -> Any:
        """What the function returns."""
        tensors = list(_leaves(trees))
        shapes = tuple([(tensor.shape, tensor.dtype) for tensor in tensors])
        if (trace := self._trusted.get(shapes)) is not None:
            return trace.run(tensors)
        self._calls[shapes] += 1
        if self._calls[shapes] < CALLS:
            return self._function(*trees)
        if shapes not in self._traces:
            self._traces[shapes] = self._traced(trees)
        if (trace := self._traces[shapes]) is None:
            return self._function(*trees)
        returned = trace.prove(self._function, trees, tensors)
        if trace.proven:
            self._trusted[shapes] = trace
        elif trace.was_proven:
            del self._traces[shapes]  # something has changed since: the next call traces anew
        else:
            self._traces[shapes] = None
        return returned

    def _traced(self, trees: Sequence[Any]) -> _Trace | None:
        try:
            return _Trace(self._function, self._variables(), trees)
        except Exception:  # torch, and each layer, has its own for what can't be traced
            return None


class _Trace:
    """The operations of a function, and the variables that they read and assign."""

    def __init__(
        self, function: Callable[..., Any], variables: Sequence[Any], trees: Sequence[Any]
    ) -> None:
        self.proven = self.was_proven = False
        if not all(torch.is_tensor(leaf) for leaf in _leaves(trees)):
            raise TypeError("what is no tensor would be a constant")

        def pure(values: Sequence[Any], trees: Sequence[Any]) -> list[Any]:
            versions = [value._version for value in values]
            given = list(zip(variables, values, strict=True))
            with keras.StatelessScope(given, collect_losses=True) as scope:
                self._returned = function(*trees)
            if versions != [value._version for value in values]:
                raise ValueError("a variable was changed in place, out of Keras' sight")
            now = [(v, scope.get_current_value(v), old) for v, old in given]
            self._assigned = [variable for variable, new, old in now if new is not old]
            # Copies: one may be the tensor of another variable, which is assigned before it.
            new = [new.clone() for _, new, old in now if new is not old]
            return [*_leaves(self._returned), *new]

        traced = make_fx(pure, tracing_mode="fake")([v.value for v in variables], trees)
        traced.graph.set_codegen(CodeGen())  # tensors in and out, and no trees to walk over
        detach = torch.ops.aten.detach.default  # without gradients it is the same tensor
        for node in traced.graph.find_nodes(op="call_function", target=detach):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
        inputs = traced.graph.find_nodes(op="placeholder")[: len(variables)]
        self._read = [v for v, node in zip(variables, inputs, strict=True) if node.users]
        for node in inputs:
            if not node.users:
                traced.graph.erase_node(node)
        traced.recompile()
        self._compute = traced.forward

    def run(self, tensors: Sequence[Any]) -> Any:
        """Make the operations; what the function would have returned."""
        with torch.no_grad():
            results = iter(self._compute(*self._inputs, *tensors))
            returned = _like(self._returned, results)
            for target, value in zip(self._targets, results, strict=True):
                target.copy_(value)
        return returned

    def prove(self, function: Callable[..., Any], trees: Any, tensors: Sequence[Any]) -> Any:
        """What the function returns; see whether the operations do the same, to the bit."""
        self._inputs = [variable.value for variable in self._read]
        self._targets = [variable.value for variable in self._assigned]
        # What they draw from torch's own generators, the function draws again.
        with torch.no_grad(), torch.random.fork_rng(range(torch.cuda.device_count())):
            results = self._compute(*self._inputs, *tensors)
        returned = function(*trees)
        expected = [*_leaves(returned), *self._targets]
        self.was_proven, self.proven = self.proven, _same(results, expected)
        return returned


def _same(results: Sequence[Any], expected: Sequence[Any]) -> bool:
    return len(results) == len(expected) and all(
        ours is theirs if ours is None or theirs is None else torch.equal(ours, theirs)
        for ours, theirs in zip(results, expected, strict=True)
    )


# Keras' own walk over trees costs a twentieth of a step.


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        yield tree
        return
    for branch in tree:
        yield from _leaves(branch)


def _like(tree: Any, leaves: Iterator[Any]) -> Any:
    """A tree with other leaves."""
    if isinstance(tree, dict):
        return {name: _like(branch, leaves) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [_like(branch, leaves) for branch in tree]
    return tuple(_like(b, leaves) for b in tree) if isinstance(tree, tuple) else next(leaves)
