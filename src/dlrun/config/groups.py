"""The config groups, in one table.

A new group is an entry here, a field of :class:`dlrun.config.schema.Config`, a line in the
defaults of ``configs/dlrun.yaml``, and a directory of options.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Group:
    """One config group: a directory of options, each of which fills one key of the config.

    Args:
        name: The directory's name, and the key of a choice, as in ``name=option``.
        meaning: What it chooses, for the docs.
        place: The key that an option fills, unless it is the group's name. The option's first
            line, ``# @package``, gives Hydra the same key.
        several: Whether a run takes several options, by name, rather than one.
        modules: Modules whose components are trusted in this group, even in a copied config.
        given: Arguments that dlrun passes to the component; YAML files can't set them.
        kept: Keys that dlrun reads itself and does not pass to the component.
        optional: Whether a run may have no component.
        resume: Whether a resumed run may choose another option.
        evaluate: Whether evaluation and prediction may choose another option.
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
        """Whether each option is a component with its own ``_target_``."""
        return bool(self.modules) and not self.place


_TABLE = (
    Group("backend", "The framework that runs the model.", resume=True, evaluate=True),
    Group("device", "The device. `device=gpu:1` is the second GPU.", resume=True, evaluate=True),
    Group(
        "distribution",
        "How a run is spread over `device.count` devices: see "
        "[Several devices](../how-to/several-devices.md).",
        resume=True,
        evaluate=True,
    ),
    Group(
        "data",
        "The data set: see [Your own data](../how-to/own-data.md).",
        modules=("dlrun.data",),
        kept=frozenset({"default_model", "default_task"}),
        evaluate=True,
    ),
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
        "A loss that replaces the task's.",
        place="task.loss",
        modules=("dlrun.losses", "keras.losses"),
    ),
    Group(
        "metrics",
        "Metrics of the task. `+metrics=auc` adds one, `metrics=[auc,recall]` replaces all.",
        place="task.metrics",
        several=True,
        modules=("dlrun.metrics", "keras.metrics"),
        kept=frozenset({"weighted"}),
        evaluate=True,
    ),
    Group(
        "model",
        "The model. Each brings the data set and the task it was made for.",
        modules=(
            "dlrun.models",
            "keras.layers",
            "keras.initializers",
            "keras.regularizers",
            "keras.constraints",
        ),
        given=frozenset({"input_shape", "num_classes", "input_sizes", "load_weights"}),
    ),
    Group(
        "augmentation",
        "Random changes of images in training: see [Images](../how-to/images.md). "
        "`augmentation=standard` chooses the usual ones, `+augmentation=flip` adds one.",
        several=True,
        modules=("keras.layers",),
    ),
    Group(
        "optimizer",
        "The optimizer.",
        modules=("keras.optimizers", "keras.optimizers.schedules", "torch.optim", "optax"),
        kept=frozenset({"exclude_from_weight_decay"}),
    ),
    Group(
        "schedule",
        "The learning rate over the run, from `optimizer.learning_rate`: see "
        "[Optimizers and schedules](../how-to/optimizers.md).",
        modules=("dlrun.schedules",),
        given=frozenset({"learning_rate", "epochs", "steps_per_epoch"}),
        optional=True,
    ),
    Group(
        "loop",
        "The training loop: see [Loops](loops.md).",
        modules=("dlrun.loops", "dlrun.losses", "keras.losses"),
        given=frozenset({"training", "feed"}),
        kept=frozenset({"only_backend"}),
        resume=True,
    ),
    Group(
        "callbacks",
        "Callbacks. `+callbacks=plots` adds one to the usual four, `~callbacks.csv` removes one,"
        " `callbacks=plots` replaces all of them, also the one that saves checkpoints.",
        several=True,
        modules=("dlrun.callbacks", "keras.callbacks", "keras.optimizers.schedules"),
        resume=True,
    ),
    Group(
        "profile",
        "Whether training measures where its time goes. `profile=simple` prints a table,"
        " `profile=trace` records each operation of some steps.",
        modules=("dlrun.callbacks",),
        optional=True,
        resume=True,
    ),
    Group(
        "tracker",
        "Where runs are also written: see [Trackers](../how-to/trackers.md). `tracker=mlflow` "
        "chooses one, `tracker=[mlflow,tensorboard]` several.",
        several=True,
        modules=("dlrun.trackers",),
        kept=frozenset({"package"}),
        resume=True,
    ),
    Group(
        "export",
        "Formats to export the trained model to. `+export=keras` adds one.",
        several=True,
        modules=("dlrun.exports",),
        given=frozenset({"model", "spec", "directory"}),
        kept=frozenset({"package"}),
        resume=True,
    ),
    Group(
        "experiment",
        "A preset: it chooses options of other groups and sets keys. "
        "The command line takes precedence.",
    ),
)
GROUPS = {group.name: group for group in _TABLE}

# The keys that may change: the others determine the meaning or the order of a run's arrays.
RESUMABLE = (
    "epochs",
    "max_steps",
    *(group.name for group in _TABLE if group.resume),
    "optimizer.learning_rate",
)
EVALUABLE = (
    "batch_size",
    "precision",
    "matmul_precision",
    *(key for group in _TABLE if group.evaluate for key in dict.fromkeys((group.name, group.key))),
)


def component_modules(part: str) -> tuple[str, ...]:
    """The modules of the trusted components of a part of the config, such as ``task``."""
    groups = (group for group in _TABLE if group.key.partition(".")[0] == part)
    return tuple(dict.fromkeys(module for group in groups for module in group.modules))


def parts_with_components() -> Iterator[str]:
    """The parts of the config that name components."""
    yield from dict.fromkeys(group.key.partition(".")[0] for group in _TABLE if group.modules)


def without_kept(group: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A component's config without the keys that dlrun reads itself."""
    return {key: value for key, value in spec.items() if key not in GROUPS[group].kept}
