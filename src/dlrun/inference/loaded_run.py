"""A trained model, rebuilt from its run directory for evaluation and prediction.

Code builds the model from the recorded config, and its arrays are loaded into it. No Keras config
is deserialised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.assembly.require import require
from dlrun.assembly.start import start, start_backend
from dlrun.checkpoints.weights import assign_weights
from dlrun.config.compose import overrides_part, recompose
from dlrun.config.groups import EVALUABLE
from dlrun.config.project import HERE, Project
from dlrun.config.run_config import read_config
from dlrun.config.schema import Config
from dlrun.config.weighting import wrong_weighting
from dlrun.errors import DlrunError
from dlrun.inference.chosen_epoch import require_checkpoint, resolve_epoch
from dlrun.inference.exported_file import (
    BACKEND,
    ExportedRun,
    exported_epoch,
    find_exported,
    load_exported,
    refuse_fixed,
)
from dlrun.inference.recorded_weights import weigh_as_recorded
from dlrun.runs.directory import CONFIG, INPUTS, RECORD, RunDir
from dlrun.runs.locate import find_run
from dlrun.system.files import is_dir, is_file

if TYPE_CHECKING:  # NumPy is not needed to report a wrong command
    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec
    from dlrun.feeds import Feed


@dataclass(frozen=True)
class LoadedRun:
    """A model with the weights of one epoch, on a backend.

    Args:
        run: Where it was trained.
        config: The run's config, with the overrides applied.
        spec: The model's inputs and outputs.
        model: The model with its weights.
        epoch: The epoch of the weights.
        feed: Turns batches into a source for ``model.evaluate``.
        dataset: The data set; None if the run was loaded with a ``spec``.
        logged: The names of loss and metrics; none if the model is not compiled.
    """

    run: RunDir
    config: Config
    spec: InputSpec
    model: Any
    epoch: int
    feed: Feed
    dataset: Dataset | None = None
    logged: tuple[str, ...] = ()

    @property
    def computed_by(self) -> str:
        """What computes: the backend, or the runtime of an exported file."""
        return self.run.runtime if isinstance(self.run, ExportedRun) else self.config.backend.name

    def checkpoint(self, which: str) -> str:
        """The checkpoint that ``which`` has named: of an exported file, the number of its epoch."""
        return str(self.epoch) if isinstance(self.run, ExportedRun) else which

    @property
    def data(self) -> Dataset:
        """The data set; only if the run was loaded without a ``spec``."""
        assert self.dataset is not None, "load the run without a spec"
        return self.dataset


def open_run(
    run: str,
    overrides: Sequence[str],
    *,
    runs_dir: Path,
    project: Project = HERE,
    needs_data: bool = True,
    needs_backend: bool = True,
) -> tuple[RunDir, Config]:
    """Find a run, and apply overrides to its config. No framework is imported.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config; only to keys of
            :data:`dlrun.config.groups.EVALUABLE`.
        runs_dir: Where to look for ``latest``.
        project: The user's own options, and what is trusted.
        needs_data: Whether samples are needed. If not, and the run saved its input spec, the code
            of the data set may be missing.
        needs_backend: Whether the model is needed. If not, its backend may be missing.

    Raises:
        DlrunError: If there is no such run, it names an untrusted module, or an override can't be
            applied.
    """
    exported = find_exported(run)
    if exported is None and is_file(Path(run)):
        raise DlrunError(
            f"{run} is neither a run nor an exported file",
            hint=f"name the run before your samples: dlrun evaluate latest --data {run}, or dlrun"
            f" predict latest --input {run}",
        )
    opened = exported or find_run(run, runs_dir)
    configs = Path("configs").resolve()
    if (
        project.config_dir is None
        and is_dir(configs)
        and configs.is_relative_to(opened.path.resolve())
    ):
        raise DlrunError(
            f"{configs} is part of the run directory, so its options are not trusted as your own",
            hint="work in another directory, or add --config-dir configs to trust them",
        )
    if exported is not None:
        refuse_fixed(exported, overrides)
        recorded, overrides = dict(exported.content.config), [*overrides, *BACKEND]
    else:
        recorded = read_config(opened.path / CONFIG)
    for part in ("feed", "distribution"):  # neither affects the weights
        recorded.pop(part, None)
        if isinstance(choices := recorded.get("choices"), dict):
            choices.pop(part, None)
    if isinstance(device := recorded.get("device"), dict):
        device["count"] = 1
    has_spec = exported or is_file(opened.path / INPUTS)
    unused = ["data"] if has_spec and not needs_data else []
    if exported is not None:
        unused.append("model")  # the file holds its own graph
    config = recompose(
        recorded,
        overrides,
        changeable=EVALUABLE,
        project=project,
        unused=unused,
        trained_in=None if project.config_dir else opened.project,
    )
    _weigh_as_trained(config, opened)
    if needs_backend:
        require(config, training=False, builds_model=exported is None)
    return opened, config


# Keys of the data that say how a table is read, and nothing about what the model takes.
READING = frozenset(
    {
        *("data.delimiter", "data.decimal", "data.missing", "data.format", "data.weight"),
        "data.blank",
    }
)


def _weigh_as_trained(config: Config, run: RunDir) -> None:
    """Weigh classes as the run's training split did: evaluation may read other data.

    Raises:
        DlrunError: If its record holds no weights of classes.
    """
    recorded = run.record.get("class_weight")
    if config.task.class_weight is None or recorded is None:
        return
    config.task.class_weight = recorded
    for problem in wrong_weighting(config):
        raise DlrunError(f"{run.path / RECORD}: {problem.key}: {problem.text}")


def read_input_spec(run: RunDir, overrides: Sequence[str]) -> InputSpec | None:
    """The inputs and outputs of a run's model, unless a data set must tell.

    Args:
        run: From :func:`open_run`.
        overrides: As for :func:`open_run`.

    Returns:
        None for a run of a version that saved no spec, and if ``overrides`` change the data set;
        not if they change how a table is read, see :data:`READING`.

    Raises:
        DlrunError: If the file can't be read, or is damaged.
    """
    return None if overrides_part(overrides, "data", but=READING) else read_saved_spec(run)


def read_saved_spec(run: RunDir) -> InputSpec | None:
    """The spec that a run has saved; None for a run of a version that saved none.

    Raises:
        DlrunError: If the file can't be read, or is damaged.
    """
    from dlrun.data.input_spec_json import MAX_BYTES, spec_from_json

    if isinstance(run, ExportedRun):
        return run.content.spec
    path = run.path / INPUTS
    if not is_file(path):
        return None
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DlrunError(f"{path} can't be read: {error}") from error
    return spec_from_json(text, source=str(path))


def load_run(
    run: RunDir, config: Config, which: str, *, compiled: bool, spec: InputSpec | None = None
) -> LoadedRun:
    """Start the backend, build the model, and load one checkpoint into it.

    Args:
        run: From :func:`open_run`.
        config: From :func:`open_run`.
        which: ``best``, ``last`` or the number of an epoch.
        compiled: Whether to compile the model with its loss and metrics.
        spec: From :func:`read_input_spec`; the data set is then not read. None reads the data set
            and uses its spec.

    Raises:
        DlrunError: If ``which`` is another word, or the checkpoint is missing, damaged or of
            another model.
    """
    from dlrun.checkpoints.format import read_checkpoint
    from dlrun.checkpoints.store import Position, checkpoint_path

    require_checkpoint(which)
    if isinstance(run, ExportedRun):
        exported_epoch(run, which)
        return _load_exported(run, config, compiled=compiled, needs_data=spec is None)
    epoch = resolve_epoch(run, which)
    path = checkpoint_path(run.checkpoints, Position(epoch))
    # Before importing the framework, which takes seconds.
    saved = read_checkpoint(path, history=False)
    data: Dataset | None = None
    if spec is None:
        _, _, data, feed = start(config, saved=read_saved_spec(run))
        spec = data.spec
    else:
        _, _, feed = start_backend(config)

    from dlrun.assembly.check_inputs import match_inputs
    from dlrun.assembly.compile import compile_model
    from dlrun.assembly.model import build_model

    model = build_model(config, spec, load_weights=False)
    logged = compile_model(model, config, spec, length=None) if compiled else []
    assign_weights(model, saved, path)
    if data is not None:
        data = match_inputs(model, data)
        data = weigh_as_recorded(model, data, config, run)[0] if compiled else data
    return LoadedRun(run, config, spec.match(model), model, epoch, feed, data, tuple(logged))


def _load_exported(
    run: ExportedRun, config: Config, *, compiled: bool, needs_data: bool
) -> LoadedRun:
    parts = load_exported(run, config, compiled=compiled, needs_data=needs_data)
    model, feed, data, logged = parts
    spec = run.content.spec.match(model)
    return LoadedRun(run, config, spec, model, run.content.epoch, feed, data, logged)
