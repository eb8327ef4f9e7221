"""The typed root of every config, and the limits that types alone can't express.

The parts that name their own class or function (``_target_``) stay mappings: their keys are that
function's arguments.
"""

from dataclasses import dataclass, field
from typing import Any

from dlrun.loops import LOOPS


@dataclass
class Backend:
    """Which framework computes; ``name`` is a module of ``dlrun.backends``."""

    name: str = "jax"
    """A module of ``dlrun.backends``: jax, tensorflow, torch, or numpy to evaluate and predict."""
    compilation_cache: bool = False
    """Keep compiled functions on disk, so that the next run starts sooner; jax only."""


@dataclass
class Device:
    """Where it computes; ``kind`` is auto, cpu, gpu or tpu."""

    kind: str = "auto"
    """auto, cpu, gpu or tpu; auto takes an accelerator where there is one."""
    index: int | None = None
    """Which device of this kind, from 0; null takes the first. ``device=gpu:1`` sets both."""

    def __str__(self) -> str:
        return self.kind if self.index is None else f"{self.kind}:{self.index}"


@dataclass
class Task:
    """What is learnt: the loss, the metrics by name, and what decides the best epoch.

    Where a model has several outputs, ``loss``, ``metrics`` and ``activation`` are mappings by the
    outputs' names, or lists in the order that ``outputs`` tells.
    """

    outputs: list[str] | None = None
    """The order of the outputs' names, where loss, metrics and activation are lists."""
    loss: Any = None
    """The loss, as a ``_target_`` with its arguments; by output where there are several."""
    metrics: Any = None  # no mapping: a list could not take its place
    """The metrics by name, each a ``_target_`` with its arguments."""
    activation: Any = None
    """The activation that ``predict`` and the exported model apply to the logits."""
    monitor: str = "val_loss"
    """The logged value that decides the best epoch, early stopping and learning-rate cuts."""
    mode: str = "auto"
    """Whether a small or a large value is better: min, max, or auto by the metric's name."""


@dataclass
class Reproduces:
    """What an experiment shows: which number of the source material, and when it is reached.

    ``metric`` is a split and a metric, as ``test.accuracy``; ``least`` or ``most`` is its limit.
    ``loops`` are the training modes to run, ``native_loops`` more of them by backend, ``needs``
    another experiment whose run it starts from, ``slow`` keeps it out unless it is asked for.
    """

    system: str = ""
    """The systems of the source material that the experiment covers, such as S4, S5."""
    prints: str = ""
    """What the source material prints, in words."""
    metric: str = "test.accuracy"
    """The result to compare, as split and metric."""
    least: float | None = None
    """The smallest value that counts as reached."""
    most: float | None = None
    """The largest value that counts as reached."""
    loops: list[str] = field(default_factory=lambda: list(LOOPS))
    """The training modes to run, on every backend."""
    native_loops: dict[str, Any] = field(default_factory=dict)
    """More training modes, by backend."""
    needs: str | None = None
    """Another experiment, whose run this one starts from."""
    slow: bool = False
    """Run only with ``dlrun reproduce --slow`` or by name."""


@dataclass
class Config:
    """One run. ``choices`` holds the option chosen in each group.

    ``sweep`` holds, by key, the values that ``dlrun sweep`` gives it; a single run does without.
    """

    choices: dict[str, str] = field(default_factory=dict)
    """The option chosen in each group; recorded by dlrun, not set by hand."""
    name: str | None = None
    seed: int = 0
    epochs: int = 10
    batch_size: int = 128
    precision: str = "float32"
    smoke: bool = False
    init_from: str | None = None
    runs_dir: str = "runs"
    backend: Backend = field(default_factory=Backend)
    device: Device = field(default_factory=Device)
    data: dict[str, Any] = field(default_factory=dict)
    feed: dict[str, Any] = field(default_factory=dict)
    task: Task = field(default_factory=Task)
    model: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    export: dict[str, Any] = field(default_factory=dict)
    reproduces: Reproduces | None = None
    """For experiments: the number of the source material that ``dlrun reproduce`` compares."""
    sweep: dict[str, Any] | None = None
    """Values by key, which ``dlrun sweep`` takes and a single run ignores."""
