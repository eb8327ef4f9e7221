"""The steps of several runs in one program on jax: ``vmap`` over their states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dlrun.backends._jax_stepper import JaxStepper, Program, State, gather_on_device
from dlrun.backends._jax_steps import programs
from dlrun.loops.step import Step

if TYPE_CHECKING:
    from dlrun.data.batches import Batches, Take


class _Run(NamedTuple):
    """A run: its model, its step, and what these compute in training and validation."""

    model: Any
    step: Step
    of: dict[str, Program]
    compile: str
    scale: float


class _Call(NamedTuple):
    """Steps of a run; ``state`` and the others as for :data:`dlrun.backends._jax_stepper.Run`."""

    run: _Run
    kind: str
    state: State
    batches: Any
    arrays: Any


class JaxLanes:
    """See :class:`dlrun.backends.Lanes`."""

    def __init__(self, ask: Callable[[Any], Any]) -> None:
        self._ask = ask
        self._programs: list[_LaneProgram] = []
        self._of_run: dict[int, _LaneProgram] = {}
        self._placed: dict[tuple[int, ...], tuple[Any, Callable[..., Any]]] = {}

    def place(self, batches: Batches) -> Take:
        """See :class:`dlrun.backends.Lanes`."""
        arrays = batches.split.arrays()
        key = tuple(map(id, arrays))  # they are kept, so that no other array gets the id of one
        if key not in self._placed:
            self._placed[key] = arrays, gather_on_device(batches)
        return self._placed[key][1]

    def stepper(self, model: Any, step: Step, *, compile: str, scale: float) -> JaxStepper:
        """See :class:`dlrun.backends.Lanes`."""
        train, test = programs(model, step)
        run = _Run(model, step, {"train": train, "test": test}, compile, scale)

        def call(kind: str, state: State, batches: Any, arrays: Any) -> Any:
            return self._ask(_Call(run, kind, state, batches, arrays))

        return JaxStepper(model, partial(call, "train"), partial(call, "test"))

    def answer(self, calls: Sequence[_Call]) -> list[tuple[dict[str, Any], State]]:
        """See :class:`dlrun.backends.Lanes`."""
        alike: dict[Any, list[int]] = {}
        for number, call in enumerate(calls):
            shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(call.batches))
            key = id(self._program(call)), call.kind, shapes, id(call.arrays)
            alike.setdefault(key, []).append(number)
        answers: dict[int, Any] = {}
        for numbers in alike.values():
            some = [calls[number] for number in numbers]
            answers |= zip(numbers, self._program(some[0]).run(some), strict=True)
        return [answers[number] for number in range(len(calls))]

    def _program(self, call: _Call) -> _LaneProgram:
        """The program of a run: that of an earlier run, if both compute the same."""
        run = call.run
        if (known := self._of_run.get(id(run))) is None:
            found = (p for p in self._programs if p.computes(call))
            if (known := next(found, None)) is None:
                known = _LaneProgram(call)
                self._programs.append(known)
            self._of_run[id(run)] = known
            known.runs.append(run)  # which keeps its id
        return known


class _LaneProgram:
    """Steps of several runs that compute the same from their states.

    Args:
        call: The first call of the first of them.
    """

    def __init__(self, call: _Call) -> None:
        first = call.run
        self.runs: list[_Run] = []
        self._first = call
        self._text: str | None = None
        self._divisor = np.float32(first.scale)
        self._loops = first.compile == "scan"
        # Of states (lanes, ...) and batches (steps, lanes, ...) or of one step (lanes, ...).
        axes = (0, 1 if self._loops else 0, None, None)
        self._compiled = {
            kind: jax.jit(
                jax.vmap(of.scan if self._loops else of.step, in_axes=axes), donate_argnums=0
            )
            for kind, of in first.of.items()
        }
        self._lanes = 0

    def computes(self, call: _Call) -> bool:
        """Whether a run's steps are these: what jax would compile is the same, to the letter."""
        first, run = self._first.run, call.run
        if (first.compile, first.scale) != (run.compile, run.scale):
            return False
        # One model, and a step that keeps nothing of its run.
        if first.model is run.model and type(first.step) is type(run.step) is Step:
            return True
        if self._text is None:
            self._text = _text(self._first)
        return self._text == _text(call)

    def run(self, calls: Sequence[_Call]) -> list[tuple[dict[str, Any], State]]:
        """Compute calls of one kind whose batches have the same shapes; logs and state of each."""
        # Runs that have ended leave their lanes empty: a program for each number of them would be
        # compiled each time that one stops. With half of them empty it pays off.
        self._lanes = self._lanes or len(calls)
        while len(calls) <= self._lanes // 2:
            self._lanes = -(-self._lanes // 2)
        self._lanes = max(self._lanes, len(calls))
        filled = [*calls, *[calls[0]] * (self._lanes - len(calls))]
        kind, arrays = calls[0].kind, calls[0].arrays
        state = _stack([call.state for call in filled])
        batches = jax.tree.map(lambda *of: np.stack(of, 1), *[call.batches for call in filled])
        compiled = self._compiled[kind]
        logs: Any = {}
        if self._loops:
            logs, state = compiled(state, batches, arrays, self._divisor)
        else:
            for index in range(len(jax.tree.leaves(batches)[0])):
                batch = jax.tree.map(lambda array, at=index: array[at], batches)
                logs, state = compiled(state, batch, arrays, self._divisor)
        return _unstack((logs, state), len(calls))  # type: ignore[no-any-return]


# One call for all arrays: there are as many as variables times lanes.
@partial(jax.jit)
def _stack(states: Sequence[State]) -> State:
    return jax.tree.map(lambda *values: jnp.stack(values), *states)  # type: ignore[no-any-return]


@partial(jax.jit, static_argnums=1)
def _unstack(results: Any, lanes: int) -> list[Any]:
    return [jax.tree.map(lambda array, at=lane: array[at], results) for lane in range(lanes)]


def _text(call: _Call) -> str:
    """What jax would compile for a step of a run, constants included."""
    batch = jax.tree.map(lambda array: array[0], call.batches)
    step = jax.jit(call.run.of[call.kind].step)
    return str(step.lower(call.state, batch, call.arrays, np.float32(1)).as_text())
