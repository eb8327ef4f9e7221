"""``dlrun train``: one run, from what the user typed to the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun import backends, feeds
from dlrun.assembly.start import start
from dlrun.config.compose import compose, to_yaml
from dlrun.runs.directory import CONFIG, INPUTS, OVERRIDES, RunDir, create_run, plan_run_path
from dlrun.training.initial_weights import read_initial_weights

if TYPE_CHECKING:
    from dlrun.training.reuse import ProcessCache


def train(
    overrides: Sequence[str],
    *,
    config_dir: Path | None = None,
    trusted: Sequence[str] = (),
    quiet: bool = False,
    path: Path | None = None,
    watch: Callable[[dict[str, Any]], bool] | None = None,
    warm: ProcessCache | None = None,
) -> dict[str, Any]:
    """Train, keep the best epoch, and evaluate it on the test split.

    Args:
        overrides: As typed after ``dlrun train``.
        config_dir: The user's own options.
        trusted: Modules that may be instantiated besides those that they name.
        quiet: Leave out the progress.
        path: Of the run's directory; None for a new one in ``runs_dir``.
        watch: As for :func:`dlrun.training.run.train_run`.
        warm: Likewise.

    Returns:
        The result, as ``dlrun train --json`` prints it.

    Raises:
        DlrunError: With exit code 2 if nothing was started, with 1 if the run failed.
        Interrupted: If a signal stopped the run; its record says so.
    """
    config = compose(overrides, config_dir=config_dir, trusted=trusted)
    backends.require(
        config.backend.name, training=True, compile=str(config.loop.get("compile", "auto"))
    )
    feeds.require(config.feed)
    backends.prepare(config.backend.name)
    weights = read_initial_weights(config)
    files = {
        CONFIG: to_yaml(config),
        OVERRIDES: "".join(f"- {_quoted(override)}\n" for override in overrides),
    }
    from dlrun.training import record
    from dlrun.training.run import train_run  # with NumPy, now that nothing typed is wrong

    if quiet:  # of how it is shown, a run that is resumed need not know
        config.callbacks.pop("progress", None)
    with ThreadPoolExecutor(max_workers=1) as pool:
        asking = pool.submit(record.git_state)
        started = start(config, config.feed, warm)
        git = asking.result()
    files[INPUTS] = started.data.spec.to_json()
    path = path or plan_run_path(Path(config.runs_dir), str(config.name))

    with ExitStack() as stack:

        def begin(told: dict[str, Any]) -> RunDir:
            run = create_run(path, told | {"git": git}, files)
            stack.enter_context(run.locked())
            return run

        return train_run(
            config, overrides, started, path, begin, weights=weights, watch=watch, warm=warm
        )


def _quoted(override: str) -> str:
    # A YAML string in single quotes, where only the quote itself is special.
    return "'" + override.replace("'", "''") + "'"
