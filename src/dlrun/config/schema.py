"""The typed root of every config.

Parts that name a class or function (``_target_``) stay mappings: their keys are its arguments.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlrun.loops import LOOPS
from dlrun.system.interval import parse_every


@dataclass
class Backend:
    """The framework."""

    name: str = "jax"
    """A module of ``dlrun.backends``: jax, tensorflow, torch, or numpy to evaluate and predict."""
    compilation_cache: bool = False
    """Keep compiled functions on disk, so that the next run starts faster; jax only."""


@dataclass
class Device:
    """The device to compute on."""

    kind: str = "auto"
    """auto, cpu, gpu or tpu; auto takes an accelerator if there is one."""
    index: int | None = None
    """The number of the device, from 0; null takes the first. ``device=gpu:1`` sets both keys."""
    count: int = 1
    """How many devices the run is spread over, from the first; the CPU is split into as many."""

    def __str__(self) -> str:
        return self.kind if self.index is None else f"{self.kind}:{self.index}"


@dataclass
class Distribution:
    """How a run is spread over several devices."""

    kind: str = "none"
    """The strategy, such as data_parallel; none for one device."""
    layout: Any = None
    """Of model_parallel: ``auto``, the largest axis of each weight that divides; or a mapping from
    patterns of paths to axes, such as ``{dense.*kernel:[null,model]}``."""
    replicas: int = 1
    """Of model_parallel: copies of the model, each with its part of every batch."""
    timeout: float = 50.0
    """Seconds that a process waits for another one in a step; then the run ends with an error."""


@dataclass
class Task:
    """What to learn: the loss, the metrics, and the value that decides the best epoch.

    If a model has several outputs, ``loss``, ``metrics`` and ``activation`` are mappings with the
    outputs' names as keys, or lists in the order of ``outputs``.
    """

    outputs: list[str] | None = None
    """The outputs' names in order, if loss, metrics and activation are lists."""
    loss: Any = None
    """The loss, as a ``_target_`` with its arguments; by output if there are several."""
    metrics: Any = None  # Any: a list can't replace a typed mapping
    """The metrics by name, each a ``_target_`` with its arguments."""
    activation: Any = None
    """The activation that ``predict`` and the exported model apply to the logits."""
    monitor: str = "val_loss"
    """The logged value that decides the best epoch, early stopping and learning-rate cuts."""
    loss_weights: Any = None
    """What each output's loss counts in their sum, by output; null: 1 for each."""
    class_weight: Any = None
    """The weight of each class in the loss: null, ``balanced``, or a mapping such as
    ``{0: 1, 1: 5}``; by output if there are several."""
    sampling: Any = None
    """``oversample`` or ``undersample`` to train on as many samples of each class; null for each
    sample once. By output, of one, if there are several."""
    mode: str = "auto"
    """Whether smaller or larger is better: min, max, or auto, which goes by the metric's name."""


@dataclass
class Reproduces:
    """The number that an experiment has to reach: that of the books, or a baseline's."""

    system: str = ""
    """The systems of the books that it covers, such as S4, S5."""
    prints: str = ""
    """The books' own result, in words."""
    baseline: str = ""
    """For data without a source that prints a result: what another program reaches, in words."""
    metric: str = "test.accuracy"
    """The result to compare: split and metric, such as ``test.accuracy``."""
    least: float | None = None
    """The smallest value that counts as reproduced."""
    most: float | None = None
    """The largest value that counts as reproduced."""
    loops: list[str] = field(default_factory=lambda: list(LOOPS))
    """The training modes to run, on every backend."""
    native_loops: dict[str, Any] = field(default_factory=dict)
    """Further training modes, by backend."""
    needs: str | None = None
    """The experiment whose run this one starts from."""
    slow: bool = False
    """Run only with ``dlrun reproduce --slow`` or by name."""


@dataclass
class Config:
    """The config of one run."""

    choices: dict[str, str] = field(default_factory=dict)
    """The option chosen in each group; recorded by dlrun, not set by hand."""
    name: str | None = None
    seed: int = 0
    epochs: int | float | None = 10
    batch_size: int = 128
    steps_per_epoch: int | None = None
    max_steps: int | None = None
    validate_every: Any = None
    precision: str = "float32"
    matmul_precision: str = "default"
    smoke: bool = False
    init_from: str | None = None
    runs_dir: str = "runs"
    backend: Backend = field(default_factory=Backend)
    device: Device = field(default_factory=Device)
    distribution: Distribution = field(default_factory=Distribution)
    data: dict[str, Any] = field(default_factory=dict)
    feed: dict[str, Any] = field(default_factory=dict)
    task: Task = field(default_factory=Task)
    model: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    export: dict[str, Any] = field(default_factory=dict)
    tracker: dict[str, Any] = field(default_factory=dict)
    reproduces: Reproduces | None = None
    """For experiments: what ``dlrun reproduce`` compares with the books."""
    sweep: dict[str, Any] | None = None
    """Values by key, which ``dlrun sweep`` uses and a single run ignores."""

    def __post_init__(self) -> None:
        if isinstance(self.epochs, float) and self.epochs.is_integer():
            self.epochs = int(self.epochs)

    @property
    def planned_epochs(self) -> int:
        """The most epochs, as far as the config alone tells: the data may hold more, or fewer."""
        if self.epochs is not None:
            return math.ceil(self.epochs)
        return math.ceil((self.max_steps or 1) / (self.steps_per_epoch or self.max_steps or 1))

    @property
    def validates_by_time(self) -> bool:
        """Whether the clock decides when to validate."""
        every = self.validate_every
        return every is not None and parse_every(every).unit == "seconds"

    @property
    def spread(self) -> str:
        """How the run is spread over devices, in short; empty for a run on one."""
        chosen = self.distribution
        if chosen.kind != "model_parallel":
            return "" if chosen.kind == "none" else f"{chosen.kind} x{self.device.count}"
        copies = f", {chosen.replicas} copies" if chosen.replicas > 1 else ""
        return f"{chosen.kind} x{self.device.count}{copies}, layout {_layout_text(chosen.layout)}"


def _layout_text(layout: Any) -> str:
    """A layout as it is typed."""
    if not isinstance(layout, Mapping):
        return str(layout or "auto")
    axes = (
        f"{pattern}:{json.dumps(each, separators=(',', ':'))}" for pattern, each in layout.items()
    )
    return "{" + ",".join(axes).replace('"', "") + "}"
