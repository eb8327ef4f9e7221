"""A part of a training step as the list of torch's operations that Keras makes in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import torch
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.graph import CodeGen
from torch.fx.node import map_arg

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
        shapes = tuple([(tensor.shape, tensor.stride(), tensor.dtype) for tensor in tensors])
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
            given = list(zip(variables, values, strict=True))
            with keras.StatelessScope(given, collect_losses=True) as scope:
                self._returned = function(*trees)
            now = [(v, scope.get_current_value(v), old) for v, old in given]
            self._assigned = [variable for variable, new, old in now if new is not old]
            # Copies: one may be the tensor of another variable, which is assigned before it.
            new = [new.clone() for _, new, old in now if new is not old]
            return [*_leaves(self._returned), *new]

        traced = make_fx(pure, tracing_mode="fake")([v.value for v in variables], trees)
        traced.graph.set_codegen(CodeGen())  # tensors in and out, and no trees to walk over
        inputs = traced.graph.find_nodes(op="placeholder")
        self._constants = _simplify(traced)
        read = [node for node in inputs[: len(variables)] if node.users]
        self._read = [v for v, node in zip(variables, inputs, strict=False) if node.users]
        # Keras' optimizers on torch change their variables where they lie.
        written = set(_written(traced.graph))
        self._written = [node in written for node in (*read, *inputs[len(variables) :])]
        for node in inputs[: len(variables)]:
            if not node.users:
                traced.graph.erase_node(node)
        traced.recompile()
        self._compute = traced.forward

    def run(self, tensors: Sequence[Any]) -> Any:
        """Make the operations; what the function would have returned."""
        with torch.no_grad():
            results = self._compute(*self._inputs, *tensors)
            assigned = len(results) - len(self._targets)
            if self._targets:
                torch._foreach_copy_(self._targets, results[assigned:])
        return _like(self._returned, iter(results[:assigned]))

    def prove(self, function: Callable[..., Any], trees: Any, tensors: Sequence[Any]) -> Any:
        """What the function returns; see whether the operations do the same, to the bit."""
        self._inputs = [*self._constants, *(variable.value for variable in self._read)]
        self._targets = [variable.value for variable in self._assigned]
        given = [*self._inputs[len(self._constants) :], *tensors]
        written = zip(given, self._written, strict=True)
        tried = [tensor.clone() if changes else tensor for tensor, changes in written]
        # What they draw from torch's own generators, the function draws again.
        with torch.no_grad(), torch.random.fork_rng(range(torch.cuda.device_count())):
            results = self._compute(*self._constants, *tried)
        returned = function(*trees)
        expected = [*_leaves(returned), *self._targets, *given]
        self.was_proven, self.proven = self.proven, _same([*results, *tried], expected)
        return returned


def _simplify(traced: GraphModule) -> list[Any]:
    """Take out of a graph what does not change its results; values for its new first inputs."""
    graph, aten = traced.graph, torch.ops.aten
    for node in graph.find_nodes(op="call_function", target=aten.detach.default):
        node.replace_all_uses_with(node.args[0])  # without gradients it is the same tensor
    for node in graph.output_node().all_input_nodes:
        if node.target is aten.clone.default and not _may_alias(node.args[0]):
            node.replace_all_uses_with(node.args[0])  # nothing comes after, to change it
    graph.eliminate_dead_code()
    # A loss's and a mean's divisions are mostly of constants, each a call as long as a small layer.
    known: dict[Node, Any] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            known[node] = getattr(traced, node.target)
        elif (
            node.op == "call_function"
            and not node.is_impure()
            and all(before in known for before in node.all_input_nodes)
        ):
            args, kwargs = map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = node.target(*args, **kwargs)
    if any(node in known for node in _written(graph)):
        raise ValueError("a constant is changed")
    needed = [node for node in known if any(user not in known for user in node.users)]
    first = next(iter(graph.nodes))
    for number, node in enumerate(needed):
        with graph.inserting_before(first):
            node.replace_all_uses_with(graph.placeholder(f"constant_{number}"))
    graph.eliminate_dead_code()
    return [known[node] for node in needed]


def _written(graph: Graph) -> Iterator[Node]:
    """What the operations of a graph change where it lies."""
    for node in graph.nodes:
        if (schema := getattr(node.target, "_schema", None)) is not None and schema.is_mutable:
            given = {a.name: g for a, g in zip(schema.arguments, node.args, strict=False)}
            given |= node.kwargs
            for argument in schema.arguments:
                if argument.is_write:
                    leaves = _leaves(given.get(argument.name))
                    yield from (_owner(leaf) for leaf in leaves if isinstance(leaf, Node))


def _owner(node: Node) -> Node:
    """Whose memory a node's value is."""
    while node.op == "call_function" and _may_alias(node):
        node = node.args[0]
    return node


def _may_alias(node: Node) -> bool:
    """Whether a node's value may be the memory of another."""
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(returned.alias_info for returned in schema.returns)


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
