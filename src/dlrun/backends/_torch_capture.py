"""Capture the torch operations of a part of a training step, and replay them."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import MethodType
from typing import Any

import keras
import torch
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.graph import CodeGen
from torch.fx.node import map_arg

CALLS = 8  # before tracing, which pays off only after about 50 calls


class CapturedFunction:
    """A function of tensors and variables that replays its traced operations.

    In a small model, Keras' Python overhead takes as long as the operations themselves. So after
    some calls the function is traced, once per set of shapes: on fake tensors, with every variable
    as an input. A function that reads a tensor's value, as a random layer does to seed a generator,
    or a tensor that is not a variable, can't be traced and is always called directly.

    A trace fixes the state of Python objects at the time of tracing. So it is used only after its
    results on a training batch were bit-identical to the function's, and :meth:`recheck` requires
    that comparison again.

    Args:
        function: From trees of tensors to a tree of tensors; its only side effect is on variables.
        variables: Returns all variables that the function may read or assign.
        all_agree: Of a function that waits for other processes: whether something is so in all of
            them. They trace and compare in the same call, and all of them replay, or none.

    Attributes:
        traced: How often it was traced.
        direct: The calls after which no trace was verified.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        variables: Callable[[], Sequence[Any]],
        all_agree: Callable[[bool], bool] = bool,
    ) -> None:
        self._function = function
        self._variables = variables
        self._all_agree = all_agree
        self._traces: dict[Any, _Trace | None] = {}  # by shapes; None if they can't be traced
        self._verified: dict[Any, _Trace] = {}
        self._calls: Counter[Any] = Counter()
        self.traced = 0
        self.direct = 0

    def recheck(self) -> None:
        """Call the function directly until its trace has been verified again.

        That is at once where many calls came since the last time, as there are likely to be as many
        again, else after some calls, as for the first trace. Where none came, as in validation none
        of training's, it stays as it was.
        """
        often = [shapes for shapes, calls in self._calls.items() if calls >= CALLS - 1]
        self._verified.clear()
        self._calls = Counter(dict.fromkeys(often, CALLS - 1))

    def __call__(self, *trees: Any) -> Any:
        """Call the function, or replay its trace if verified."""
        tensors = list(leaves(trees))
        shapes = shapes_of(tensors)
        if (trace := self._verified.get(shapes)) is not None:
            return trace.run(tensors)
        self._calls[shapes] += 1
        trace = self._traced(shapes, trees) if self._calls[shapes] >= CALLS else None
        if trace is None:
            self.direct += 1
            return self._function(*trees)
        returned = trace.verify(self._function, trees, tensors, self._all_agree)
        if trace.is_verified:
            self._verified[shapes] = trace
            return returned
        self.direct += 1
        if trace.was_verified:
            del self._traces[shapes]  # something has changed: the next call traces again
        else:
            self._traces[shapes] = None
        return returned

    def _traced(self, shapes: Any, trees: Sequence[Any]) -> _Trace | None:
        """The trace for these shapes; None if there can be none."""
        if shapes not in self._traces:
            self._traces[shapes] = self._trace(trees)
            self.traced += 1
        return self._traces[shapes]

    def _trace(self, trees: Sequence[Any]) -> _Trace | None:
        try:
            trace = _Trace(self._function, self._variables(), trees)
        except Exception:  # torch and each layer raise their own if they can't be traced
            trace = None
        return trace if self._all_agree(trace is not None) else None


class _Trace:
    """The operations of a function, and the variables that it reads and assigns."""

    def __init__(
        self, function: Callable[..., Any], variables: Sequence[Any], trees: Sequence[Any]
    ) -> None:
        self.is_verified = self.was_verified = False
        if not all(torch.is_tensor(leaf) for leaf in leaves(trees)):
            raise TypeError("an argument that is not a tensor would become a constant")

        def pure(values: Sequence[Any], trees: Sequence[Any]) -> list[Any]:
            initial = list(zip(variables, values, strict=True))
            with keras.StatelessScope(initial, collect_losses=True) as scope:
                self._returned = function(*trees)
            current = [(v, scope.get_current_value(v), old) for v, old in initial]
            self._assigned = [variable for variable, new, old in current if new is not old]
            # Copies: a value may be the tensor of another variable, which is assigned first.
            new = [new.clone() for _, new, old in current if new is not old]
            return [*leaves(self._returned), *new]

        traced = make_fx(pure, tracing_mode="fake")([v.value for v in variables], trees)
        traced.graph.set_codegen(CodeGen())  # flat tensors in and out, without trees
        inputs = traced.graph.find_nodes(op="placeholder")
        self._constants = _simplify(traced)
        read = [node for node in inputs[: len(variables)] if node.users]
        self._read = [v for v, node in zip(variables, inputs, strict=False) if node.users]
        # Keras' optimizers on torch update their variables in place.
        written = set(_written_nodes(traced.graph))
        self._written = [node in written for node in (*read, *inputs[len(variables) :])]
        for node in inputs[: len(variables)]:
            if not node.users:
                traced.graph.erase_node(node)
        traced.recompile()
        self._compute = _without_wrappers(traced)

    def run(self, tensors: Sequence[Any]) -> Any:
        """Replay the operations; returns what the function would return."""
        with torch.no_grad():
            results = self._compute(*self._inputs, *tensors)
            assigned = len(results) - len(self._targets)
            if self._targets:
                torch._foreach_copy_(self._targets, results[assigned:])
        return like(self._returned, iter(results[:assigned]))

    def verify(
        self,
        function: Callable[..., Any],
        trees: Any,
        tensors: Sequence[Any],
        all_agree: Callable[[bool], bool],
    ) -> Any:
        """Call the function, and check that the operations give bit-identical results."""
        self._inputs = [*self._constants, *(variable.value for variable in self._read)]
        self._targets = [variable.value for variable in self._assigned]
        inputs = [*self._inputs[len(self._constants) :], *tensors]
        written = zip(inputs, self._written, strict=True)
        copies = [tensor.clone() if changes else tensor for tensor, changes in written]
        # The function must draw the same numbers from torch's generators as the operations.
        with torch.no_grad(), torch.random.fork_rng(range(torch.cuda.device_count())):
            try:
                results = self._compute(*self._constants, *copies)
            except Exception:  # torch's LSTM takes an undefined tensor, which no trace can hold
                results = ()
        returned = function(*trees)
        expected = [*leaves(returned), *self._targets, *inputs]
        is_same = all_agree(same([*results, *copies], expected))
        self.was_verified, self.is_verified = self.is_verified, is_same
        return returned


def _simplify(traced: GraphModule) -> list[Any]:
    """Remove from a graph what does not affect its results; returns its new leading inputs."""
    graph, aten = traced.graph, torch.ops.aten
    for node in graph.find_nodes(op="call_function", target=aten.detach.default):
        node.replace_all_uses_with(node.args[0])  # without gradients it is the same tensor
    for node in graph.output_node().all_input_nodes:
        if node.target is aten.clone.default and not _may_alias(node.args[0]):
            node.replace_all_uses_with(node.args[0])  # nothing can change it afterwards
    graph.eliminate_dead_code()
    # Losses and means divide mostly constants, and each division takes as long as a small layer.
    known: dict[Node, Any] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            known[node] = getattr(traced, node.target)
        elif (
            node.op == "call_function"
            and not node.is_impure()
            and not _is_shared(node)
            and all(source in known for source in node.all_input_nodes)
        ):
            args, kwargs = map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = node.target(*args, **kwargs)
    if any(node in known for node in _written_nodes(graph)):
        raise ValueError("a constant is changed")
    needed = [node for node in known if any(user not in known for user in node.users)]
    first = next(iter(graph.nodes))
    for number, node in enumerate(needed):
        with graph.inserting_before(first):
            node.replace_all_uses_with(graph.placeholder(f"constant_{number}"))
    graph.eliminate_dead_code()
    return [known[node] for node in needed]


def _without_wrappers(traced: GraphModule) -> Callable[..., Any]:
    """The function of a graph, which calls each operation without torch's Python around it.

    That Python does nothing but call the operation, in a quarter of a small model's time.
    """
    direct: dict[str, Any] = {}

    def name_of(match: re.Match[str]) -> str:
        operation = functools.reduce(getattr, match[0].split(".")[1:], torch)
        if type(operation) is not torch._ops.OpOverload:
            return match[0]
        name = "_".join(("operation", *match.groups()))
        direct[name] = operation._op
        return name

    source = re.sub(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)", name_of, traced.code)
    scope = {**type(traced).forward.__globals__, **direct}
    exec(source, scope)  # as torch did with this source
    return MethodType(scope["forward"], traced)


def _is_shared(node: Node) -> bool:
    """Whether other processes take part in a node's operation."""
    return getattr(node.target, "namespace", "") == "_c10d_functional"


def _written_nodes(graph: Graph) -> Iterator[Node]:
    """The nodes whose values the operations of a graph change in place."""
    for node in graph.nodes:
        if (schema := getattr(node.target, "_schema", None)) is not None and schema.is_mutable:
            values = {a.name: v for a, v in zip(schema.arguments, node.args, strict=False)}
            values |= node.kwargs
            for argument in schema.arguments:
                if argument.is_write:
                    written = leaves(values.get(argument.name))
                    yield from (_owner(leaf) for leaf in written if isinstance(leaf, Node))


def _owner(node: Node) -> Node:
    """The node that owns the memory of a node's value."""
    while node.op == "call_function" and _may_alias(node):
        node = node.args[0]
    return node


def _may_alias(node: Node) -> bool:
    """Whether a node's value may share memory with another's."""
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(returned.alias_info for returned in schema.returns)


def shapes_of(tensors: Sequence[Any]) -> tuple[Any, ...]:
    """What a trace of a function of these tensors depends on beside their values."""
    return tuple([(tensor.shape, tensor.stride(), tensor.dtype) for tensor in tensors])


def same(results: Sequence[Any], expected: Sequence[Any]) -> bool:
    return len(results) == len(expected) and all(
        a is b if a is None or b is None else torch.equal(a, b)
        for a, b in zip(results, expected, strict=True)
    )


# Keras' own tree functions take a twentieth of a step.


def leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        yield tree
        return
    for branch in tree:
        yield from leaves(branch)


def like(tree: Any, values: Iterator[Any]) -> Any:
    """A tree of the same structure with other leaves."""
    if isinstance(tree, dict):
        return {name: like(branch, values) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [like(branch, values) for branch in tree]
    return tuple(like(b, values) for b in tree) if isinstance(tree, tuple) else next(values)
