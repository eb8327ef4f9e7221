"""``dlrun parity``: the same steps on each backend, or in each loop, and how far they differ."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError
from dlrun.proofs import agreement
from dlrun.proofs.parity_compare import compare
from dlrun.proofs.parity_members import (
    BACKENDS,
    DEVICES,
    LOOPS_ALONE,
    Settings,
    compose_members,
    list_members,
)
from dlrun.proofs.parity_process import Processes
from dlrun.remote.places import refuse_remote
from dlrun.report.parity import draw
from dlrun.runs.directory import plan_run_path
from dlrun.system.files import is_dir, is_file, refusal_code, write_json, write_text
from dlrun.system.packages import require_matplotlib
from dlrun.system.pictures import save


def parity(
    overrides: Sequence[str] = (),
    *,
    chosen: Sequence[str] = (),
    loops: bool = False,
    devices: Sequence[int] = (),
    settings: Settings,
) -> dict[str, Any]:
    """Train the first steps of a run in several processes, from the same weights, and compare.

    The config's callbacks are not used. Runs on the CPU, unless an override chooses a device.

    Args:
        overrides: As typed after ``dlrun parity``.
        chosen: Backends; empty for all that are installed. The first that trains is the reference.
        loops: Compare the loops on the config's backend instead.
        devices: Compare these numbers of devices instead, on the config's backend and in its loop.
        settings: Steps, tolerances and the user's own options.

    Returns:
        The result, as ``dlrun parity --json`` prints it.

    Raises:
        DlrunError: If the config is wrong, there is nothing to compare, or a process fails.
    """
    members = list_members(overrides, chosen, loops=loops, devices=devices)
    compares = DEVICES if devices else LOOPS_ALONE if loops else BACKENDS
    configs = compose_members(members, settings, compares=compares)
    config = next(iter(configs.values()))
    with result_directory(Path(config.runs_dir)) as directory:
        with Processes() as processes:
            result, losses = compare(
                configs, members, processes, directory, settings, compares=compares
            )
        result = {**result, "overrides": list(overrides)}
        _write(directory, result, losses)
    return result


@contextmanager
def result_directory(runs_dir: Path) -> Iterator[Path]:
    """A new directory for the result, removed if it stays empty."""
    refuse_remote(runs_dir, "'dlrun parity'")
    directory = plan_run_path(runs_dir, "parity")
    try:
        directory.mkdir(parents=True)
        yield directory
    except OSError as error:
        raise DlrunError(
            f"can't write to {directory}: {error.strerror or error}",
            hint="choose another place with runs_dir=PATH",
            exit_code=1 if is_dir(directory) else refusal_code(error),
        ) from error
    finally:
        with suppress(OSError):  # not empty
            directory.rmdir()


def _write(directory: Path, result: dict[str, Any], losses: Mapping[str, Sequence[float]]) -> None:
    """Write the losses, their curves and the result, and add their paths to it."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["step", *losses])
    columns = zip(*losses.values(), strict=True)
    writer.writerows([step, *row] for step, row in enumerate(columns, 1))
    write_text(directory / "losses.csv", rows.getvalue())
    plot = directory / "losses.png"
    try:
        require_matplotlib("the plot")
        save(draw(result, losses, agreement.relative(losses, result["reference"])), plot)
    except DlrunError as error:
        result["notes"].append(f"no plot: {error.message}; {error.hint}")
    result |= {
        "directory": str(directory),
        "losses": str(directory / "losses.csv"),
        "plot": str(plot) if is_file(plot) else None,
    }
    write_json(directory / "parity.json", result)
