"""The config groups: all that dlrun knows of each, in one table.

A new group is an entry here, a field of :class:`dlrun.config.schema.Config`, a line in the
defaults of ``configs/dlrun.yaml``, and a directory of options.
"""

from collections.abc import Iterator
from dataclasses import dataclass

# The fields of a Training, and what a loop takes beside it.
_TRAINING = (
    "model", "train", "validation", "epochs", "seed", "callbacks", "backend",
    "initial_epoch", "initial_step", "training", "feed",
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """One config group: a directory of options, and the part of the config that an option fills.

    Args:
        name: The directory's name, and the key of a choice, as in ``name=option``.
        meaning: What is chosen, for the docs.
        place: The key that an option fills, where it is not the group's name. The option's first
            line, ``# @package``, says the same to Hydra.
        several: Whether a run takes several options, by name, rather than one.
        modules: Modules whose components any config may name in this part, whoever wrote it.
        given: Arguments that dlrun passes to the component; no YAML file sets them.
        kept: Keys that dlrun reads itself; they are not passed to the component.
        optional: Whether a run can do without a component.
        resume: Whether a resumed run may choose another option.
        evaluate: Whether evaluation and prediction may.
    """

    name: str
    meaning: str
    place: str = ""
    several: bool = False
    modules: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    optional: bool = False
    resume: bool = False
    evaluate: bool = False

    @property
    def key(self) -> str:
        """The key that an option fills."""
        return self.place or self.name

    @property
    def names_components(self) -> bool:
        """Whether each option is a component of its own, with a ``_target_``."""
        return bool(self.modules) and not self.place


_TABLE = (
    Group("backend", "The framework that computes.", resume=True, evaluate=True),
    Group(
        "device",
        "Where it computes. `device=gpu:1` names the second GPU.",
        resume=True,
        evaluate=True,
    ),
    Group("data", "The data set.", modules=("dlrun.data",), evaluate=True),
    Group(
        "feed",
        "How batches reach `fit()`: see [Feeds](feeds.md).",
        modules=("dlrun.feeds",),
        given=frozenset({"batches"}),
        kept=frozenset({"package"}),
        optional=True,
        resume=True,
        evaluate=True,
    ),
    Group("task", "The loss, the metrics, and the value that decides the best epoch."),
    Group(
        "loss",
        "A loss in place of the task's own.",
        place="task.loss",
        modules=("dlrun.losses", "keras.losses"),
    ),
    Group(
        "metrics",
        "Metrics of the task. `+metrics=auc` adds one, `metrics=[auc,recall]` replaces all.",
        place="task.metrics",
        several=True,
        modules=("dlrun.metrics", "keras.metrics"),
        evaluate=True,
    ),
    Group(
        "model",
        "The model. Each one brings the data set and the task that it was made for.",
        modules=(
            "dlrun.models",
            "keras.layers",
            "keras.initializers",
            "keras.regularizers",
            "keras.constraints",
        ),
        given=frozenset({"input_shape", "num_classes"}),
    ),
    Group(
        "optimizer",
        "The optimizer.",
        modules=("keras.optimizers", "keras.optimizers.schedules", "torch.optim", "optax"),
    ),
    Group(
        "loop",
        "The training loop: see [Loops](loops.md).",
        modules=("dlrun.loops", "dlrun.losses", "keras.losses"),
        given=frozenset(_TRAINING),
        resume=True,
    ),
    Group(
        "callbacks",
        "Callbacks. `+callbacks=plots` adds one, `~callbacks.csv` removes one.",
        several=True,
        modules=("dlrun.callbacks", "keras.callbacks", "keras.optimizers.schedules"),
        resume=True,
    ),
    Group(
        "export",
        "Formats that the trained model is also written in. `+export=keras` adds one.",
        several=True,
        modules=("dlrun.exports",),
        given=frozenset({"model", "spec", "directory"}),
        kept=frozenset({"package"}),
        resume=True,
    ),
    Group(
        "experiment",
        "A preset: it chooses options of other groups and sets keys. "
        "What you type on the command line wins.",
    ),
)
GROUPS = {group.name: group for group in _TABLE}

# What else may change, key by key: the rest decides what a run's arrays mean, or their order.
RESUMABLE = (
    "epochs",
    "optimizer.learning_rate",
    *(group.name for group in _TABLE if group.resume),
)
EVALUABLE = (
    "batch_size",
    "precision",
    *(key for group in _TABLE if group.evaluate for key in dict.fromkeys((group.name, group.key))),
)


def component_modules(part: str) -> tuple[str, ...]:
    """The modules of the components that a part of the config, such as ``task``, may name."""
    groups = (group for group in _TABLE if group.key.partition(".")[0] == part)
    return tuple(dict.fromkeys(module for group in groups for module in group.modules))


def parts_with_components() -> Iterator[str]:
    """The parts of the config that may name components."""
    yield from dict.fromkeys(group.key.partition(".")[0] for group in _TABLE if group.modules)
