"""What evaluation and prediction share: a trained model, rebuilt from its run directory.

The model is built by code, from the recorded config, and its arrays are loaded into it. No model's
config is deserialised.
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
from dlrun.config.recorded import read_config
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.runs.directory import CONFIG, INPUTS, RunDir
from dlrun.runs.locate import find_run

if TYPE_CHECKING:  # NumPy is not needed to tell that the command is wrong
    from dlrun.data.dataset import Dataset
    from dlrun.data.input_spec import InputSpec
    from dlrun.feeds import Feed


@dataclass(frozen=True)
class LoadedRun:
    """A model with the weights of one epoch, on a backend.

    Args:
        run: Where it was trained.
        config: Of the run, changed by what was typed.
        spec: What the model takes and returns.
        model: With its weights.
        epoch: Which they are of.
        feed: From batches to what ``model.evaluate`` takes.
        dataset: None where nothing but ``spec`` was needed of it.
    """

    run: RunDir
    config: Config
    spec: InputSpec
    model: Any
    epoch: int
    feed: Feed
    dataset: Dataset | None = None

    @property
    def data(self) -> Dataset:
        """The data set; only of a run that was loaded with it."""
        assert self.dataset is not None, "load the run without a spec"
        return self.dataset


def open_run(
    run: str,
    overrides: Sequence[str],
    *,
    runs_dir: Path,
    config_dir: Path | None,
    trusted: Sequence[str] = (),
    needs_data: bool = True,
) -> tuple[RunDir, Config]:
    """Find a run and its config, changed by what is typed; no framework is imported.

    Args:
        run: A run directory, or ``latest``.
        overrides: Changes to the run's config, of :data:`dlrun.config.groups.EVALUABLE`.
        runs_dir: Where ``latest`` looks.
        config_dir: The user's own options.
        trusted: Modules that the run may name besides those that the user's options name.
        needs_data: Whether samples are wanted. If not, the code of the data set may be gone,
            where :func:`read_input_spec` has what the model needs.

    Raises:
        DlrunError: If there is no such run, if it names what is not trusted, or if the overrides
            can't be applied to it.
    """
    opened = find_run(run, runs_dir)
    own = Path("configs").resolve()
    if config_dir is None and own.is_dir() and own.is_relative_to(opened.path.resolve()):
        raise DlrunError(
            f"{own} came with the run: its options are not taken for your own",
            hint="work in another directory, or add --config-dir configs if they are",
        )
    recorded = read_config(opened.path / CONFIG)
    recorded.pop("feed", None)  # how samples reached the model is no part of what it has learnt
    if isinstance(choices := recorded.get("choices"), dict):
        choices.pop("feed", None)
    config = recompose(
        recorded,
        overrides,
        changeable=EVALUABLE,
        config_dir=config_dir,
        trusted=trusted,
        unused=() if needs_data or not (opened.path / INPUTS).is_file() else ("data",),
    )
    require(config, training=False)
    return opened, config


def read_input_spec(run: RunDir, overrides: Sequence[str]) -> InputSpec | None:
    """What a run's model takes and returns, as the run has saved it.

    Args:
        run: From :func:`open_run`.
        overrides: As for :func:`open_run`.

    Returns:
        None where the data set must tell: for a run of a version that saved none, and where
        another data set is typed.

    Raises:
        DlrunError: If the file can't be read, or is damaged.
    """
    path = run.path / INPUTS
    if overrides_part(overrides, "data") or not path.is_file():
        return None
    from dlrun.data.input_spec import MAX_BYTES, InputSpec

    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DlrunError(f"{path} can't be read: {error}") from error
    return InputSpec.from_json(text, source=str(path))


def load_run(
    run: RunDir, config: Config, which: str, *, compiled: bool, spec: InputSpec | None = None
) -> LoadedRun:
    """Start the backend, build the model, and load one checkpoint into it.

    Args:
        run: From :func:`open_run`.
        config: From :func:`open_run`.
        which: ``best``, ``last`` or the number of an epoch.
        compiled: Whether to give the model its loss and metrics.
        spec: What the model takes, from :func:`read_input_spec`: no data set is read. None reads
            the data set, and goes by it.

    Raises:
        DlrunError: If there is no such checkpoint, or it is damaged or of another model.
    """
    from dlrun.checkpoints.format import read_checkpoint
    from dlrun.checkpoints.store import Position, checkpoint_path

    epoch = resolve_epoch(run, which)
    path = checkpoint_path(run.checkpoints, Position(epoch))
    saved = read_checkpoint(path)  # before the import, which takes seconds
    data: Dataset | None = None
    if spec is None:
        _, _, data, feed = start(config)
        spec = data.spec
    else:
        _, _, feed = start_backend(config)

    from dlrun.assembly.compile import compile_model
    from dlrun.assembly.model import build_model

    model = build_model(config, spec)
    if compiled:
        compile_model(model, config, training=False)
    assign_weights(model, saved, path)
    return LoadedRun(run, config, spec, model, epoch, feed, data)


def resolve_epoch(run: RunDir, which: str) -> int:
    """The epoch that ``best``, ``last`` or a number names among a run's checkpoints.

    Raises:
        DlrunError: If the run has no such checkpoint.
    """
    from dlrun.checkpoints.store import list_epochs, read_best_epoch

    kept = list_epochs(run.checkpoints)
    if not kept:
        raise DlrunError(
            f"{run.path} has no checkpoint",
            hint=f"its status is '{run.record.get('status')}'; train it again, with the"
            " checkpoint callback",
        )
    if which.isdecimal():
        epoch: int | None = int(which)
    else:
        epoch = read_best_epoch(run.checkpoints) if which == "best" else kept[-1]
    if epoch not in kept:
        raise DlrunError(
            f"{run.path} has no checkpoint of epoch {epoch}",
            hint=f"it has those of {', '.join(map(str, kept))}: --checkpoint {kept[-1]}",
        )
    return epoch
