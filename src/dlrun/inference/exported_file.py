"""An exported file as a run: its model is what its own runtime computes.

The file is wrapped as a Keras model on the NumPy backend, so that evaluation and prediction treat
it as any run: the same batches, metrics and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError, first_line
from dlrun.inference.recorded_weights import weigh_as_recorded
from dlrun.runs.directory import RunDir
from dlrun.system.files import MAX_BYTES, exists, is_dir, is_file
from dlrun.system.override_text import split_override

if TYPE_CHECKING:
    from dlrun.config.schema import Config
    from dlrun.data.dataset import Dataset
    from dlrun.exports.content import Content

SAVED_MODEL = "saved_model.pb"
FIXED = ("backend", "device", "distribution", "precision", "matmul_precision", "feed")
BACKEND = ("backend=numpy", "device=cpu", "precision=float32", "feed=auto")


class ExportedRun(RunDir):
    """The run of an exported file.

    Args:
        path: The file.
        content: What it says of itself.
    """

    def __init__(self, path: Path, content: Content) -> None:
        super().__init__(path, dict(content.record))
        self.content = content

    @property
    def predictions(self) -> Path:
        """See :class:`dlrun.runs.directory.RunDir`."""
        return self.path.with_name(f"{self.path.name}.predictions.npz")

    @property
    def runtime(self) -> str:
        """What computes."""
        from dlrun.exports import formats

        runtime: str = formats.module(self.content.format).RUNTIME
        return runtime


def find_exported(run: str) -> ExportedRun | None:
    """Open an exported file; None if the word names none.

    Raises:
        DlrunError: If it is a file that dlrun can't take as a run.
    """
    path = Path(run)
    if is_dir(path) and not is_file(path / SAVED_MODEL):
        return None
    if not path.suffix and not exists(path):
        return None
    from dlrun.exports import formats
    from dlrun.exports.content import FILE, Content

    if (name := formats.format_of(path)) is None:
        return None
    if not exists(path):
        raise DlrunError(f"there is no file {path}")
    if not formats.is_run(form := formats.module(name)):
        runs = [n for n in formats.names() if formats.module(n).IS_RUN]
        raise DlrunError(
            f"{path}: a {name} file can't be taken as a run; {', '.join(runs)} files can",
            hint="name the directory of the run",
        )
    formats.require(name)
    try:
        text = form.read_content(path)
    except DlrunError:
        raise
    except Exception as error:  # each runtime has its own
        raise DlrunError(f"{path} can't be read as {name}: {first_line(error)}") from error
    beside = path / FILE if is_dir(path) else path.with_name(f"{path.name}.json")
    if text is None and is_file(beside) and beside.stat().st_size <= MAX_BYTES:
        text = beside.read_text(encoding="utf-8")
    if text is None:
        raise DlrunError(
            f"{path} holds no metadata of dlrun: it says neither what its inputs mean nor its data",
            hint="dlrun export writes them into the file",
        )
    return ExportedRun(path, Content.from_json(text, source=str(path)))


def exported_epoch(run: ExportedRun, which: str) -> int:
    """The epoch of an exported file, which holds one.

    Args:
        run: From :func:`find_exported`.
        which: As typed; ``best``, which is not typed, is that of the file.

    Raises:
        DlrunError: If it names another one.
    """
    epoch = run.content.epoch
    if which not in ("best", str(epoch)):
        raise DlrunError(
            f"--checkpoint {which}: {run.path} holds epoch {epoch} alone",
            hint="leave it out, or name the run",
        )
    return epoch


def refuse_fixed(run: ExportedRun, overrides: Sequence[str]) -> None:
    """Refuse overrides of what the file's runtime decides.

    Raises:
        DlrunError: If there is one.
    """
    for override in overrides:
        if split_override(override)[0].partition(".")[0] in FIXED:
            raise DlrunError(
                f"{override}: {run.path} is run by {run.runtime} on the CPU", hint="leave it out"
            )


def load_exported(
    run: ExportedRun, config: Config, *, compiled: bool, needs_data: bool
) -> tuple[Any, Any, Dataset | None, tuple[str, ...]]:
    """Start Keras on NumPy, and wrap the file.

    Args:
        run: From :func:`find_exported`.
        config: On the NumPy backend.
        compiled: Whether to compile the model with its loss and metrics.
        needs_data: Whether to read the data set.

    Returns:
        The model, the feed, the data set, and the names of loss and metrics.
    """
    from dlrun.assembly.start import start, start_backend

    data: Dataset | None = None
    spec = run.content.spec
    if needs_data:
        _, _, data, feed = start(config, saved=spec)
    else:
        _, _, feed = start_backend(config)

    from dlrun.assembly.check_inputs import match_inputs
    from dlrun.assembly.compile import compile_model
    from dlrun.inference.exported_model import exported_model

    model = exported_model(run.path, run.content, config)
    logged = compile_model(model, config, spec, length=None) if compiled else []
    if data is not None:
        data = match_inputs(model, data)
        if tuple(_shapes(data.spec)) != tuple(_shapes(spec)):
            raise DlrunError(
                f"{run.path} takes inputs {spec.input_shape}; the data set has"
                f" {data.spec.input_shape}",
                hint="evaluate it on data of the training run's form",
            )
        data = weigh_as_recorded(model, data, config, run)[0] if compiled else data
    return model, feed, data, tuple(logged)


def _shapes(spec: Any) -> list[Any]:
    from dlrun.data.tree import leaves

    return leaves(spec.input_shape)
