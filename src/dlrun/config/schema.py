"""The typed root of every config, and the limits that types alone can't express.

The parts that name their own class or function (``_target_``) stay mappings: their keys are that
function's arguments.
"""

from dataclasses import dataclass, field
from typing import Any

from dlrun import feeds


@dataclass
class Backend:
    """Which framework computes; ``name`` is a module of ``dlrun.backends``."""

    name: str = "jax"
    compilation_cache: bool = False


@dataclass
class Device:
    """Where it computes; ``kind`` is auto, cpu, gpu or tpu."""

    kind: str = "auto"
    index: int | None = None

    def __str__(self) -> str:
        return self.kind if self.index is None else f"{self.kind}:{self.index}"


@dataclass
class Task:
    """What is learnt: the loss, the metrics by name, and what decides the best epoch.

    Where a model has several outputs, ``loss``, ``metrics`` and ``activation`` are mappings by the
    outputs' names, or lists in the order that ``outputs`` tells.
    """

    outputs: list[str] | None = None
    loss: Any = None
    metrics: Any = None  # no mapping: a list could not take its place
    activation: Any = None
    monitor: str = "val_loss"
    mode: str = "auto"


@dataclass
class Reproduces:
    """What an experiment shows: which number of the source material, and when it is reached.

    ``metric`` is a split and a metric, as ``test.accuracy``; ``least`` or ``most`` is its limit.
    ``loops`` are the training modes to run, ``native_loops`` more of them by backend, ``needs``
    another experiment whose run it starts from, ``slow`` keeps it out unless it is asked for.
    """

    system: str = ""
    prints: str = ""
    metric: str = "test.accuracy"
    least: float | None = None
    most: float | None = None
    loops: list[str] = field(default_factory=lambda: ["fit", "train_step", "raw"])
    native_loops: dict[str, Any] = field(default_factory=dict)
    needs: str | None = None
    slow: bool = False


@dataclass
class Config:
    """One run. ``choices`` holds the option chosen in each group.

    ``data.feed`` is the runner's own key beside the data set's arguments. ``sweep`` holds, by key,
    the values that ``dlrun sweep`` gives it; a single run does without.
    """

    choices: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    seed: int = 0
    epochs: int = 10
    batch_size: int = 128
    precision: str = "float32"
    smoke: bool = False
    export_keras: bool = False
    init_from: str | None = None
    runs_dir: str = "runs"
    backend: Backend = field(default_factory=Backend)
    device: Device = field(default_factory=Device)
    data: dict[str, Any] = field(default_factory=lambda: {"feed": feeds.AUTO})
    task: Task = field(default_factory=Task)
    model: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    reproduces: Reproduces | None = None
    sweep: dict[str, Any] | None = None

    @property
    def feed(self) -> str:
        """The name of the kind of source that ``fit()`` is given."""
        return str(self.data.get("feed", feeds.AUTO))
