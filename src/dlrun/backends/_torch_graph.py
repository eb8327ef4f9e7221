"""Run the operations of a training step on a GPU as one CUDA graph."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from dlrun.backends._torch_capture import leaves, like, same, shapes_of
from dlrun.errors import first_line

log = logging.getLogger("dlrun")

# Records a function's operations without running them; returns its results, and a replay that fills
# them anew.
Record = Callable[[Callable[[], Any]], tuple[Any, Callable[[], None]]]


def record_cuda_graph(function: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
    """Record a function's operations without running them.

    Args:
        function: Its tensors lie on the GPU, and it reads no value of one.

    Returns:
        The function's results, and a replay that fills them anew.
    """
    graph = torch.cuda.CUDAGraph()
    with (
        torch.cuda.stream(torch.cuda.current_stream()),  # goes back to it if the recording fails
        torch.cuda.graph(graph, capture_error_mode="thread_local"),  # others may use the GPU
    ):
        returned = function()
    return returned, graph.replay


class _Recorded(NamedTuple):
    """A recorded step: it reads and writes where tensors lay when it was recorded."""

    batch: Sequence[Any]
    returned: Any
    replay: Callable[[], None]
    traces: int
    variables: Sequence[Any]


class RecordedStep:
    """A step that is replayed with one launch for all of its operations.

    The GPU waits for Python between the operations of a small model, even if these are traced. A
    CUDA graph launches them together. It holds addresses in place of tensors, so the batch is
    copied to where it lay, and it is recorded again once a variable or a trace is another one.

    Only a step that consists of verified traces is recorded: these read no values and run no code
    of the user's. The first replay has to give the same bits as the step.

    Args:
        step: From the tensors of a batch, and ``logged``, to the logs; its only side effect is on
            variables.
        variables: Returns all variables that the step may read or assign.
        traces: The number of traces made so far, and of calls that replayed none.
        record: :func:`record_cuda_graph`.
    """

    def __init__(
        self,
        step: Callable[..., dict[str, Any]],
        *,
        variables: Callable[[], Sequence[Any]],
        traces: Callable[[], tuple[int, int]],
        record: Record,
    ) -> None:
        self._step = step
        self._variables = variables
        self._traces = traces
        self._record = record
        self._recorded: dict[Any, _Recorded | None] = {}  # by shapes; None if it can't be
        self._usable: dict[Any, _Recorded] = {}
        self._is_traced: set[Any] = set()

    def recheck(self) -> None:
        """Call the step until its traces have been verified again."""
        self._usable.clear()
        self._is_traced.clear()

    def __call__(self, *batch: Any, logged: bool) -> dict[str, Any]:
        """Train or evaluate on a batch; returns the logs."""
        tensors = list(leaves(batch))
        key = (shapes_of(tensors), logged)
        if (recorded := self._usable.get(key)) is not None:
            torch._foreach_copy_(recorded.batch, tensors)
            recorded.replay()
            return _copied(recorded.returned)
        if key not in self._is_traced:
            before = self._traces()
            logs = self._step(*batch, logged=logged)
            if self._traces() == before:
                self._is_traced.add(key)
            return logs
        if key in self._recorded and not self._is_current(self._recorded[key]):
            del self._recorded[key]
        if key in self._recorded:
            return self._use(key, batch, logged)
        return self._try(key, batch, tensors, logged)

    def _is_current(self, recorded: _Recorded | None) -> bool:
        """Whether a recorded step computes what the step does now."""
        if recorded is None:
            return True
        now = [id(variable.value) for variable in self._variables()]
        return recorded.traces == self._traces()[0] and now == list(map(id, recorded.variables))

    def _use(self, key: Any, batch: Sequence[Any], logged: bool) -> dict[str, Any]:
        if (recorded := self._recorded[key]) is None:
            return self._step(*batch, logged=logged)
        self._usable[key] = recorded
        return self(*batch, logged=logged)

    def _try(
        self, key: Any, batch: Sequence[Any], tensors: Sequence[Any], logged: bool
    ) -> dict[str, Any]:
        """Record the step, compare a replay with the step, and return the step's logs."""
        variables = [variable.value for variable in self._variables()]
        fixed = [tensor.clone() for tensor in tensors]
        held = like(batch, iter(fixed))
        traces = self._traces()
        try:
            returned, replay = self._record(lambda: self._step(*held, logged=logged))
            if self._traces() != traces:
                raise RuntimeError("not all of the step was traced")
        except RuntimeError as error:
            log.info("loop.compile=cuda_graph: not recorded: %s", first_line(error))
            self._recorded[key] = None
            return self._step(*batch, logged=logged)
        with torch.no_grad():
            before = [value.clone() for value in variables]
            # The step must draw the same numbers from torch's generators as the replay.
            with torch.random.fork_rng(range(torch.cuda.device_count())):
                replay()
            replayed = [value.clone() for value in (*leaves(returned), *variables)]
            torch._foreach_copy_(variables, before)
        logs = self._step(*batch, logged=logged)
        if same(replayed, [*leaves(logs), *variables]):
            recorded = _Recorded(fixed, returned, replay, traces[0], variables)
            self._recorded[key] = self._usable[key] = recorded
        else:
            log.info("loop.compile=cuda_graph: not used, as a replay gave other bits")
            self._recorded[key] = None
        return logs


def _copied(returned: Any) -> dict[str, Any]:
    """Logs that the next replay does not change."""
    copies: dict[str, Any] = like(returned, iter([t.clone() for t in leaves(returned)]))
    return copies
