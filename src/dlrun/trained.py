"""What evaluation and prediction share: a trained model, rebuilt from its run directory.

The model is built by code, from the recorded config, and its arrays are loaded into it. No model's
config is deserialised.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun import backends, feeds, run_dir
from dlrun.config.compose import recompose
from dlrun.config.outputs import logged
from dlrun.config.recorded import read_yaml
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.imports import hidden
from dlrun.start import start

if TYPE_CHECKING:  # NumPy is not needed to tell that the command is wrong
    from dlrun import checkpoint
    from dlrun.data.dataset import Dataset
    from dlrun.data.tree import Arrays

# What may differ from the run; all else decides what the arrays mean.
CHANGEABLE = ("backend", "device", "data", "batch_size", "precision", "metrics", "task.metrics")


@dataclass(frozen=True)
class Trained:
    """A model with the weights of one epoch, on a backend, with its data set."""

    run: run_dir.RunDir
    config: Config
    data: Dataset
    model: Any
    epoch: int


def open_run(
    run: str,
    overrides: Sequence[str],
    *,
    runs_dir: Path,
    config_dir: Path | None,
    trusted: Sequence[str] = (),
) -> tuple[run_dir.RunDir, Config]:
    """Find a run and its config, changed by what is typed; no framework is imported.

    Raises:
        DlrunError: If there is no such run, if it names what is not trusted, or if the overrides
            can't be applied to it.
    """
    opened = run_dir.find(run, runs_dir)
    own = Path("configs").resolve()
    if config_dir is None and own.is_dir() and own.is_relative_to(opened.path.resolve()):
        raise DlrunError(
            f"{own} came with the run: its options are not taken for your own",
            hint="work in another directory, or add --config-dir configs if they are",
        )
    recorded = read_yaml(opened.path / run_dir.CONFIG)
    if isinstance(data := recorded.get("data"), dict):
        data.pop("feed", None)  # how samples came to a model is no part of what it has learnt
    config = recompose(
        recorded, overrides, changeable=CHANGEABLE, config_dir=config_dir, trusted=trusted
    )
    backends.require(config.backend.name, training=False)
    feeds.require(config.feed)
    return opened, config


def load(run: run_dir.RunDir, config: Config, which: str, *, compiled: bool) -> Trained:
    """Start the backend, build the model, and load one checkpoint into it.

    Args:
        run: From :func:`open_run`.
        config: From :func:`open_run`.
        which: ``best``, ``last`` or the number of an epoch.
        compiled: Whether to give the model its loss and metrics.

    Raises:
        DlrunError: If there is no such checkpoint, or it is damaged or of another model.
    """
    from dlrun import checkpoint

    epoch = epoch_of(run, which)
    path = checkpoint.path_of(run.checkpoints, checkpoint.Position(epoch))
    saved = checkpoint.read(path)  # before the import, which takes seconds
    data = start(config, config.feed).data

    from dlrun.build import build_model, compile_model

    model = build_model(config, data)
    if compiled:
        compile_model(model, config, training=False)
    assign(model, saved, path)
    return Trained(run, config, data, model, epoch)


def restore(model: Any, checkpoints: Path, epoch: int) -> None:
    """Load an epoch's variables into a model.

    Raises:
        DlrunError: If the checkpoint is damaged or of another model.
    """
    from dlrun import checkpoint

    path = checkpoint.path_of(checkpoints, checkpoint.Position(epoch))
    assign(model, checkpoint.read(path), path)


def assign(model: Any, saved: checkpoint.Checkpoint, path: Path) -> None:
    """Give a model's variables their saved values, in order.

    Raises:
        DlrunError: If their number or a shape differs, or what the model does with them.
    """
    from dlrun import architecture

    found = _other_shapes(model.variables, saved.model)
    if described := saved.state.get("architecture"):  # which the first checkpoints did not have
        found += architecture.differences(architecture.describe(model), described)
    _refuse("model", found, path)
    for variable, value in zip(model.variables, saved.model, strict=True):
        variable.assign(value.value)


def assign_optimizer(model: Any, saved: checkpoint.Checkpoint, path: Path) -> None:
    """Give the variables of a model's optimizer their saved values, in order.

    Raises:
        DlrunError: If their number or a shape differs, or it is an optimizer of another kind.
    """
    from dlrun import architecture

    optimizer = model.optimizer
    found = _other_shapes(optimizer.variables, saved.optimizer)
    if described := saved.state.get("architecture"):
        found += architecture.differences(architecture.describe(model, optimizer), described)
    _refuse("optimizer", found, path)
    for variable, value in zip(optimizer.variables, saved.optimizer, strict=True):
        variable.assign(value.value)


def assign_metrics(model: Any, saved: checkpoint.Checkpoint, path: Path) -> None:
    """Give the running metrics of a model their saved values, in order.

    Raises:
        DlrunError: If their number or a shape differs.
    """
    _refuse("metric", _other_shapes(model.metrics_variables, saved.metrics), path)
    for variable, value in zip(model.metrics_variables, saved.metrics, strict=True):
        variable.assign(value.value)


def _refuse(part: str, found: Sequence[str], path: Path) -> None:
    if found:
        more = f"; {len(found) - 3} more" if len(found) > 3 else ""
        raise DlrunError(
            f"checkpoint {path} is of another {part}: {'; '.join(found[:3])}{more}",
            hint="it takes the code, the data set and the options that the run was trained with",
        )


def _other_shapes(variables: Sequence[Any], saved: Sequence[checkpoint.Variable]) -> list[str]:
    """The first variable that is of another shape, or is missing."""
    ours = [f"{v.path} {tuple(v.shape)}" for v in variables]
    theirs = [f"{v.path} {v.value.shape}" for v in saved]
    shapes = zip_longest((tuple(v.shape) for v in variables), (v.value.shape for v in saved))
    first = next((i for i, (one, other) in enumerate(shapes) if one != other), None)
    if first is None:
        return []
    has, had = (told[first] if first < len(told) else "no more" for told in (ours, theirs))
    return [f"at variable {first} the model has {has}, the checkpoint {had}"]


def evaluate_split(
    model: Any, config: Config, data: Dataset, split: str, callbacks: Sequence[Any] = ()
) -> dict[str, float]:
    """Loss and metrics over one split, in batches, in the config's order."""
    from dlrun.data.batches import Batches

    own = backends.module(config.backend.name).feed
    feed = own if config.feed == feeds.AUTO else feeds.named(config.feed)
    source = feed(Batches(data, data.split(split), config.batch_size))
    metrics = model.evaluate(source, callbacks=list(callbacks), verbose=0, return_dict=True)
    names = dict.fromkeys([*logged(config.task), *metrics])  # Keras goes by the alphabet
    return {name: float(metrics[name]) for name in names if name in metrics}


def predicted(model: Any, config: Config, data: Dataset, inputs: Arrays) -> Iterator[Arrays]:
    """Predictions, with the task's activation, a batch at a time.

    Args:
        model: Its outputs are logits.
        config: For the activation and the batch size.
        data: For the inputs' shape and scale, and the outputs' names.
        inputs: Samples as they are kept in memory, not scaled.
    """
    import numpy as np

    from dlrun.build import with_activation
    from dlrun.data.tree import leaves, tree_map

    predictor, size = with_activation(model, config, data), config.batch_size
    for first in range(0, len(leaves(inputs)[0]), size):
        part = operator.itemgetter(slice(first, first + size))
        batch = tree_map(np.asarray, tree_map(part, inputs))
        outputs = predictor.predict_on_batch(data.prepare(batch))
        if isinstance(named := data.num_classes, Mapping):
            yield {name: np.asarray(outputs[name]) for name in named}  # Keras goes by the alphabet
        else:
            yield np.asarray(outputs)


def export_keras(model: Any, config: Config, data: Dataset, path: Path) -> None:
    """Write a standard ``.keras`` file, whole or not at all; its outputs are predictions."""
    from dlrun.build import with_activation

    partial = path.with_name(f".partial-{path.name}")  # Keras insists on the suffix
    try:
        with hidden(["tensorflow"]), _uncompiled(model):
            with_activation(model, config, data).save(partial)
        partial.replace(path)
    except NotImplementedError as error:
        raise DlrunError(
            f"{path.name} can't be written: {config.model['_target_']} has no get_config(),"
            " which Keras saves a model by",
            hint="the run is whole without it: evaluate and predict need none",
            exit_code=1,
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _uncompiled(model: Any) -> Iterator[None]:
    """Hide what a model was compiled with.

    In a file it would be losses that only dlrun can load, and the optimizer's slots: with Adam two
    thirds of the file.
    """
    before = model.compiled, getattr(model, "optimizer", None)
    model.compiled, model.optimizer = False, None
    try:
        yield
    finally:
        model.compiled, model.optimizer = before


def epoch_of(run: run_dir.RunDir, which: str) -> int:
    """The epoch that ``best``, ``last`` or a number names among a run's checkpoints.

    Raises:
        DlrunError: If the run has no such checkpoint.
    """
    from dlrun import checkpoint

    kept = checkpoint.epochs_kept(run.checkpoints)
    if not kept:
        raise DlrunError(
            f"{run.path} has no checkpoint",
            hint=f"its status is '{run.record.get('status')}'; train it again, with the"
            " checkpoint callback",
        )
    if which.isdecimal():
        epoch: int | None = int(which)
    else:
        epoch = checkpoint.best_epoch(run.checkpoints) if which == "best" else kept[-1]
    if epoch not in kept:
        raise DlrunError(
            f"{run.path} has no checkpoint of epoch {epoch}",
            hint=f"it has those of {', '.join(map(str, kept))}: --checkpoint {kept[-1]}",
        )
    return epoch
