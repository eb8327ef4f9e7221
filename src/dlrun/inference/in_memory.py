"""Predictions for what is in memory: arrays, or a frame of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError

if TYPE_CHECKING:  # NumPy is imported where it is used
    from dlrun.data.input_spec import InputSpec
    from dlrun.data.tree import Arrays
    from dlrun.inference.loaded_run import LoadedRun

INPUTS = "inputs"  # what the argument is called in messages


class ArrayPredictor:
    """Predicts for arrays, with a model that stays loaded and compiled.

    Args:
        run: The loaded run.
    """

    def __init__(self, run: LoadedRun) -> None:
        from dlrun.inference.prediction import predictor

        self._run = run
        self._predict = predictor(run.model, run.config, run.spec)

    def __call__(self, raw: Any) -> Arrays:
        """The outputs, with the task's activation, ``(samples, *output_shape)``.

        Args:
            raw: Samples ``(samples, *input_shape)``, or a mapping of those of each input: integers
                are scaled as the training data were, floats must be scaled already.

        Raises:
            DlrunError: If they are not what the run takes.
        """
        from dlrun.assembly.check_inputs import check_inputs
        from dlrun.data.readers.arrays import prepare_arrays

        spec = self._run.spec
        inputs = prepare_arrays(INPUTS, _by_name(raw, spec), spec)
        check_inputs(self._run.model, spec, {INPUTS: inputs})
        return self._all(inputs)

    def test_split(self) -> Arrays:
        """The outputs for the test split; only of a run that was loaded with its data."""
        return self._all(self._run.data.split("test").inputs)

    def _all(self, inputs: Arrays) -> Arrays:
        from dlrun.data.tree import concatenate

        return concatenate(list(self._predict(inputs, False)))


def _by_name(raw: Any, spec: InputSpec) -> Arrays:
    """Arrays in the form in which the run takes them: one, or one for each name."""
    import numpy as np

    names = spec.raw_names
    if not names:
        if isinstance(raw, Mapping):
            raise DlrunError(f"{INPUTS}: expected one array, got a mapping of {', '.join(raw)}")
        return np.asarray(raw)
    if not isinstance(raw, Mapping):
        raise DlrunError(
            f"{INPUTS}: the run takes inputs by name: {', '.join(names)}",
            hint=f"pass a mapping, {{'{names[0]}': ...}}",
        )
    if missing := [name for name in names if name not in raw]:
        raise DlrunError(f"{INPUTS}: has no array '{missing[0]}': {', '.join(map(str, raw))}")
    return {name: np.asarray(raw[name]) for name in names}


def takes_columns(spec: InputSpec | None) -> bool:
    """Whether a run was trained on a table, so that it takes its columns."""
    from dlrun.data.preprocessing.columns import Columns
    from dlrun.data.preprocessing.windows import Windows

    return spec is not None and any(spec.step(kind) is not None for kind in (Columns, Windows))


def is_frame(inputs: Any) -> bool:
    """Whether an object is a table of columns, such as a frame of pandas, polars or pyarrow."""
    return hasattr(inputs, "__arrow_c_stream__") or hasattr(inputs, "__dataframe__")


@contextmanager
def frame_as_file(frame: Any) -> Iterator[Path]:
    """Write a frame, or a mapping of columns, to a file that a reader of tables takes.

    Raises:
        DlrunError: If its columns can't be written; an error about the file names the argument.
    """
    from dlrun.system.packages import require_package

    require_package("pyarrow", "a data frame", "data")
    import pyarrow as pa

    with TemporaryDirectory() as directory:
        path = Path(directory) / "frame.arrow"
        try:
            is_pandas = type(frame).__module__.partition(".")[0] == "pandas"
            make: Callable[..., Any] = pa.Table.from_pandas if is_pandas else pa.table
            table = make(frame, **({"preserve_index": False} if is_pandas else {}))
        except (pa.ArrowException, TypeError, ValueError, KeyError, OverflowError) as error:
            raise DlrunError(f"{INPUTS}: the columns can't be read: {error}") from error
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        try:
            yield path
        except DlrunError as error:
            message = error.message.replace(f"--input {path}", INPUTS)
            raise DlrunError(message, hint=error.hint, exit_code=error.exit_code) from error


def as_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as a frame of pandas, or as they are where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        return list(rows)
    return pd.DataFrame(list(rows))
